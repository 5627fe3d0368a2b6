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
		{Picking, ShipToStore, "placed 09,accepted 10,picking 11", "placed 09, accepted 10, [picking 11], in_transit, received, ready, collected"},
		{Ready, Pickup, "placed 09,ready 12", "placed 09, accepted, picking, [ready 12], collected"},
		{InTransit, Pickup, "placed 09,in_transit 12", "placed 09, accepted, picking, [in_transit 12], received, ready, collected"},
		{Accepted, ShipToStore, "placed 09,accepted 10,in_transit 12,received 13", "placed 09, accepted 10, picking, in_transit 12, [received 13], ready, collected"},
		{Picking, ShipToStore, "placed 09,picking 11,in_transit 12,received 13,picking 14", "placed 09, accepted, picking 11, in_transit 12, [received 13], ready, collected"},
		{Picking, Pickup, "placed 09,picking 11,in_transit 12,received 13,short 14,picking 15", "placed 09, accepted, picking 11, in_transit 12, [received 13], ready, collected"},
		{Ready, ShipToStore, "placed 09,in_transit 12,received 13,picking 14,ready 15", "placed 09, accepted, picking, in_transit 12, received 13, [ready 15], collected"},
		{InTransit, ShipToStore, "placed 09,in_transit 12,received 13,in_transit 14", "placed 09, accepted, picking, [in_transit 14], received, ready, collected"},
		{Short, ShipToStore, "placed 09,in_transit 12,received 13,short 13", "placed 09, in_transit 12, received 13, [short 13]"},
		{InTransit, ShipHome, "placed 09,picking 11,in_transit 12", "placed 09, accepted, picking 11, ready, [in_transit 12], collected"},
		{Collected, ShipHome, "placed 09,picking 11,in_transit 12,collected 15", "placed 09, accepted, picking 11, ready, in_transit 12, [collected 15]"},
		// One that begins anew has all of its way before it.
		{Accepted, Pickup, "placed 09,accepted 10,picking 11,in_transit 12,received 13,placed 14,accepted 15", "placed 14, [accepted 15], picking, ready, collected"},
		{Accepted, ShipToStore, "placed 09,in_transit 12,received 13,expired 14,placed 15,accepted 16", "placed 15, [accepted 16], picking, in_transit, received, ready, collected"},
		{Ready, Pickup, "placed 09,accepted 10,picking 11,short 12,picking 13,ready 14", "placed 09, accepted 10, picking 13, [ready 14], collected"},
		{Short, Pickup, "placed 09,accepted 10,picking 11,short 12", "placed 09, accepted 10, picking 11, [short 12]"},
		{Cancelled, Pickup, "placed 09,picking 11,short 12,cancelled 13", "placed 09, picking 11, [cancelled 13]"},
		{Expired, Pickup, "placed 09", "placed 09, [expired]"},
		{Returned, ShipHome, "placed 09,ready 12,collected 13,returned 14", "placed 09, ready 12, collected 13, [returned 14]"},
	} {
		p := &Page{State: x.state, Fulfilment: x.fulfilment, Handover: Counter, Lines: []Line{{Quantity: 1}}}
		for came := range strings.SplitSeq(x.came, ",") {
			if name, hour, ok := strings.Cut(came, " "); ok {
				at, err := time.Parse("15", hour)
				if err != nil {
					t.Fatal(err)
				}
				p.Steps = append(p.Steps, Step{State(name), at})
			}
		}
		if x.fulfilment == ShipToStore && !p.was(InTransit) {
			p.Lines[0].ToSend = 1
		}
		if got := written(p); got != x.want {
			t.Errorf("%s %s after %s: %s, want %s", x.fulfilment, x.state, x.came, got, x.want)
		}
	}
}

func TestWhatHasArrivedIsToldFromWhatIsToBeSent(t *testing.T) {
	en, arrived := textsOf("en"), []Step{{State: Placed}, {State: Accepted}, {State: InTransit}, {State: Received}}
	for _, x := range []struct {
		page        Page
		title, step string
	}{
		{Page{State: Accepted, Steps: arrived, Lines: []Line{{Quantity: 2}}}, "Your order has arrived at the store", "At the store"},
		{Page{State: Picking, Steps: arrived, Lines: []Line{{Quantity: 2}}}, "Your order is being prepared for collection", "At the store"},
		{Page{State: Accepted, Steps: arrived, Lines: []Line{{Quantity: 2, ToSend: 1}}}, "Part of your order is at the store", "On its way"},
		{Page{State: Accepted, Steps: arrived[:2], Lines: []Line{{Quantity: 2, ToSend: 2}}}, "Your order is confirmed", "Confirmed"},
		{Page{State: InTransit, Steps: arrived[:3], Lines: []Line{{Quantity: 2, InTransit: 2}}}, "Your order is on its way to the store", "On its way"},
	} {
		x.page.Fulfilment, x.page.Handover = ShipToStore, Counter
		path, now := x.page.path()
		if got, step := en.story(&x.page).title, en.stories[en.storyKey(&x.page, path[now].State)].step; got != x.title || step != x.step {
			t.Errorf("%+v: %q at %q, want %q at %q", x.page, got, step, x.title, x.step)
		}
	}
}

func TestStoriesAreOfTheWayTheCustomerGetsTheOrder(t *testing.T) {
	en := textsOf("en")
	for _, x := range []struct {
		page Page
		want string
	}{
		{Page{State: Placed, Fulfilment: Pickup, Handover: Counter, Payment: Paid}, "placed"},
		{Page{State: Placed, Fulfilment: Pickup, Handover: Counter, Payment: PaymentPending}, "placed.unpaid"},
		{Page{State: Placed, Fulfilment: ShipHome, Payment: PaymentPending}, "placed.unpaid"},
		{Page{State: Ready, Fulfilment: Pickup, Handover: Counter}, "ready"},
		{Page{State: Ready, Fulfilment: Pickup, Handover: Locker}, "ready.locker"},
		{Page{State: Ready, Fulfilment: ShipToStore, Handover: Curbside}, "ready.curbside"},
		{Page{State: Accepted, Fulfilment: ShipToStore, Handover: Locker, Lines: []Line{{Quantity: 1, ToSend: 1}}}, "accepted.ship_to_store"},
		{Page{State: Accepted, Fulfilment: ShipToStore, Handover: Locker, Lines: []Line{{Quantity: 1}}}, "accepted"}, // it has moved to where it is
		{Page{State: Accepted, Fulfilment: Pickup, Handover: Counter, Lines: []Line{{Quantity: 1, ToSend: 1}}}, "accepted.ship_to_store"},
		{Page{State: Picking, Fulfilment: Pickup, Handover: Counter, Lines: []Line{{Quantity: 2, ToSend: 1}}}, "picking.partly"},
		{Page{State: InTransit, Fulfilment: ShipToStore, Handover: Counter, Lines: []Line{{Quantity: 2, InTransit: 2}}}, "in_transit"},
		{Page{State: InTransit, Fulfilment: ShipToStore, Handover: Counter, Lines: []Line{{Quantity: 2, InTransit: 2}, {Quantity: 1}}}, "in_transit.partly"},
		{Page{State: InTransit, Fulfilment: ShipToStore, Handover: Counter, Lines: []Line{{Quantity: 2, Short: 1, InTransit: 1}}}, "in_transit"},
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
