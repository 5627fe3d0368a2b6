package track

import (
	"strings"
	"testing"
	"time"
)

// written is a path as text, the present step in brackets, a time of it as its hour.
func written(p *Page) string {
	path, now := p.path()
	var out []string
	for i, s := range path {
		text := string(s.State)
		if !s.At.IsZero() {
			text += s.At.Format(" 15")
		}
		if i == now {
			text = "[" + text + "]"
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

func TestStepsAreTheWayOfTheOrder(t *testing.T) {
	for _, x := range []struct {
		state      State
		fulfilment Fulfilment
		came       string // state hour, …
		want       string
	}{
		{Placed, Pickup, "placed 09", "[placed 09], accepted, picking, ready, collected"},
		{Placed, Pickup, "", "[placed], accepted, picking, ready, collected"},
		{Picking, ShipToStore, "placed 09,accepted 10,picking 11", "placed 09, accepted 10, [picking 11], in_transit, ready, collected"},
		{Ready, Pickup, "placed 09,ready 12", "placed 09, accepted, picking, [ready 12], collected"},
		{InTransit, Pickup, "placed 09,in_transit 12", "placed 09, accepted, picking, [in_transit 12], ready, collected"},
		{Ready, Pickup, "placed 09,accepted 10,picking 11,short 12,picking 13,ready 14", "placed 09, accepted 10, picking 13, [ready 14], collected"},
		{Short, Pickup, "placed 09,accepted 10,picking 11,short 12", "placed 09, accepted 10, picking 11, [short 12]"},
		{Cancelled, Pickup, "placed 09,picking 11,short 12,cancelled 13", "placed 09, picking 11, [cancelled 13]"},
		{Expired, Pickup, "placed 09", "placed 09, [expired]"},
		{Returned, ShipHome, "placed 09,ready 12,collected 13,returned 14", "placed 09, ready 12, collected 13, [returned 14]"},
	} {
		p := &Page{State: x.state, Fulfilment: x.fulfilment, Handover: Counter}
		for came := range strings.SplitSeq(x.came, ",") {
			if name, hour, ok := strings.Cut(came, " "); ok {
				at, err := time.Parse("15", hour)
				if err != nil {
					t.Fatal(err)
				}
				p.Steps = append(p.Steps, Step{State(name), at})
			}
		}
		if got := written(p); got != x.want {
			t.Errorf("%s %s after %s: %s, want %s", x.fulfilment, x.state, x.came, got, x.want)
		}
	}
}

func TestStoriesAreOfTheWayTheCustomerGetsTheOrder(t *testing.T) {
	en := textsOf("en")
	for _, x := range []struct {
		page Page
		want string
	}{
		{Page{State: Ready, Fulfilment: Pickup, Handover: Counter}, "ready"},
		{Page{State: Ready, Fulfilment: Pickup, Handover: Locker}, "ready.locker"},
		{Page{State: Ready, Fulfilment: ShipToStore, Handover: Curbside}, "ready.curbside"},
		{Page{State: Accepted, Fulfilment: ShipToStore, Handover: Locker}, "accepted.ship_to_store"},
		{Page{State: Collected, Fulfilment: ShipHome}, "collected.ship_home"},
		{Page{State: Collected, Fulfilment: ShipHome, Steps: []Step{{State: InTransit}}}, "collected.delivered"},
		{Page{State: Returned, Lines: []Line{{Quantity: 2, Returned: 2}}}, "returned"},
		{Page{State: Returned, Lines: []Line{{Quantity: 2, Returned: 2}, {Quantity: 1}}}, "returned.partly"},
		{Page{State: Cancelled, Fulfilment: ShipHome}, "cancelled"},
	} {
		if got := en.storyKey(&x.page, x.page.State); got != x.want {
			t.Errorf("%+v: %s, want %s", x.page, got, x.want)
		}
	}
}
