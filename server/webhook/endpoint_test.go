package webhook

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"onhand/engine"
)

func TestBadEndpoints(t *testing.T) {
	good := func() Endpoint { return Endpoint{ID: "shop", URL: "https://shop.example/hook", Secret: newSecret()} }
	if e := good(); e.check() != nil {
		t.Fatal(e.check())
	}
	for name, test := range map[string]struct {
		field string
		spoil func(*Endpoint)
	}{
		"no id":          {"id", func(e *Endpoint) { e.ID = "" }},
		"a path for id":  {"id", func(e *Endpoint) { e.ID = "../KEYS" }},
		"upper case":     {"id", func(e *Endpoint) { e.ID = "Shop" }},
		"long id":        {"id", func(e *Endpoint) { e.ID = strings.Repeat("a", 65) }},
		"no url":         {"url", func(e *Endpoint) { e.URL = "" }},
		"no host":        {"url", func(e *Endpoint) { e.URL = "https:///x" }},
		"another scheme": {"url", func(e *Endpoint) { e.URL = "ftp://shop.example/" }},
		"a password":     {"url", func(e *Endpoint) { e.URL = "https://me:secret@shop.example/" }},
		"a fragment":     {"url", func(e *Endpoint) { e.URL = "https://shop.example/#x" }},
		"no such event":  {"events", func(e *Endpoint) { e.Events = []string{"reservation.hold"} }},
		"no such group":  {"events", func(e *Endpoint) { e.Events = []string{"orders.*"} }},
		"half a group":   {"events", func(e *Endpoint) { e.Events = []string{"reserv*"} }},
		"no location":    {"locations", func(e *Endpoint) { e.Locations = []string{""} }},
		"many locations": {"locations", func(e *Endpoint) { e.Locations = make([]string, 201) }},
		"a novel":        {"description", func(e *Endpoint) { e.Description = strings.Repeat("x", 257) }},
		"a weak secret":  {"secret", func(e *Endpoint) { e.Secret = "whsec_c2hvcnQ=" }},
	} {
		e := good()
		test.spoil(&e)
		var invalid *engine.InvalidError
		if err := e.check(); !errors.As(err, &invalid) || invalid.Field != test.field {
			t.Errorf("%s: %v, want an error of %s", name, err, test.field)
		} else if strings.Contains(err.Error(), "secret@") || strings.Contains(err.Error(), "c2hvcnQ") {
			t.Errorf("%s: the error tells the secret: %v", name, err)
		}
	}
}

func TestFilters(t *testing.T) {
	held := engine.Change{Kind: engine.ReservationHeldChange, Reservation: &engine.Reservation{Lines: []engine.ReservationLine{{Location: "lyon"}}}}
	stock := engine.Change{Kind: engine.StockSetChange, Cells: []engine.CellChange{{Cell: engine.Cell{Location: "paris"}}}}
	refused := engine.Change{Kind: engine.ReservationRefusedChange, Refused: []engine.Refusal{{Location: "nice"}}}
	sku := engine.Change{Kind: engine.SKUSetChange, SKU: &engine.SKU{ID: "lamp"}}
	location := engine.Change{Kind: engine.LocationSetChange, Location: &engine.Location{ID: "lyon"}}
	all := []*engine.Change{&held, &stock, &refused, &sku, &location}
	for name, test := range map[string]struct {
		endpoint Endpoint
		want     []*engine.Change
	}{
		"everything":      {Endpoint{}, all},
		"everything, too": {Endpoint{Events: []string{"*"}}, all},
		"a type":          {Endpoint{Events: []string{"stock.set"}}, []*engine.Change{&stock}},
		"a group":         {Endpoint{Events: []string{"reservation.*"}}, []*engine.Change{&held, &refused}},
		"types":           {Endpoint{Events: []string{"sku.set", "location.*"}}, []*engine.Change{&sku, &location}},
		"a location":      {Endpoint{Locations: []string{"lyon"}}, []*engine.Change{&held, &location}},
		"locations":       {Endpoint{Locations: []string{"paris", "nice"}}, []*engine.Change{&stock, &refused}},
		"both":            {Endpoint{Events: []string{"stock.*"}, Locations: []string{"lyon"}}, nil},
	} {
		f := test.endpoint.filter()
		var got []*engine.Change
		for _, c := range all {
			if f.wants(c, 0) {
				got = append(got, c)
			}
		}
		if len(got) != len(test.want) {
			t.Errorf("%s: %d changes, want %d", name, len(got), len(test.want))
			continue
		}
		for i := range got {
			if got[i] != test.want[i] {
				t.Errorf("%s: %s, want %s", name, got[i].Kind, test.want[i].Kind)
			}
		}
	}
}

// TestFiltersOfEvents: each event of a change is of its own type, and of its own location.
func TestFiltersOfEvents(t *testing.T) {
	c := engine.Change{
		Kind:  engine.StockAdjustedChange,
		Cells: []engine.CellChange{{Cell: engine.Cell{Location: "paris"}}, {Cell: engine.Cell{Location: "nice"}}},
		Events: []engine.Event{
			{Type: engine.StockOutEvent, SKU: "lamp", Location: "paris"},
			{Type: engine.StockLowEvent, SKU: "lamp", Location: "nice"},
			{Type: engine.ReservationExpiredChange}, // of the change as a whole
		},
	}
	for name, test := range map[string]struct {
		endpoint Endpoint
		want     []int
	}{
		"everything":              {Endpoint{}, []int{0, 1, 2, 3}},
		"a type":                  {Endpoint{Events: []string{"stock.low"}}, []int{2}},
		"a group":                 {Endpoint{Events: []string{"stock.*"}}, []int{0, 1, 2}},
		"a location":              {Endpoint{Locations: []string{"nice"}}, []int{0, 2, 3}},
		"a type, elsewhere":       {Endpoint{Events: []string{"stock.low"}, Locations: []string{"paris"}}, nil},
		"of the whole":            {Endpoint{Events: []string{"reservation.*"}}, []int{3}},
		"of the whole, elsewhere": {Endpoint{Events: []string{"reservation.*"}, Locations: []string{"lyon"}}, nil},
	} {
		f := test.endpoint.filter()
		var got []int
		for number := range 1 + len(c.Events) {
			if f.wants(&c, number) {
				got = append(got, number)
			}
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: events %v, want %v", name, got, test.want)
		}
	}
}
