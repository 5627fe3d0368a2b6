package engine_test

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"onhand/engine"
	"onhand/engine/enginetest"
	"onhand/engine/hours"
	"onhand/engine/internal/nearest"
)

// basketModel is a chain as a test knows it.
type basketModel struct {
	units     map[[2]string]int64 // by SKU and location
	at        map[string]engine.Position
	suppliers map[string][]engine.Supplier
	blocked   map[string]bool
}

func (m *basketModel) available(sku, location string) int64 {
	if m.blocked[location] {
		return 0
	}
	return m.units[[2]string{sku, location}]
}

// answer writes down what a location's part of an answer says, in the way of the test below.
func answer1(id string, complete bool, options []engine.Fulfilment) string {
	text := fmt.Sprint(id, " complete ", complete)
	for _, o := range options {
		text += fmt.Sprint(" ", o.Kind, " ", o.From)
	}
	return text
}

// want says what the answer to a basket is, as its documentation has it.
func (m *basketModel) want(lines map[string]int64, near engine.Position, limit int) (out []string, shipHome string) {
	from := nearest.VectorOf(near.Latitude, near.Longitude)
	type score struct {
		id       string
		lines    int
		units    int64
		distance engine.Distance
		text     string
		supplied bool
	}
	var all []score
	for id, at := range m.at {
		v := nearest.VectorOf(at.Latitude, at.Longitude)
		s := score{id: id, distance: from.Distance(&v)}
		for sku, quantity := range lines {
			have := m.available(sku, id)
			s.units += min(have, quantity)
			if have >= quantity {
				s.lines++
			}
		}
		var options []engine.Fulfilment
		complete := s.lines == len(lines)
		if complete {
			options = append(options, engine.Fulfilment{Kind: engine.PickupLater})
		} else {
			for _, supplier := range m.suppliers[id] {
				enough := true
				for sku, quantity := range lines {
					have := m.available(sku, id)
					enough = enough && (have >= quantity || m.available(sku, supplier.Location) >= quantity-have)
				}
				if enough {
					options = append(options, engine.Fulfilment{Kind: engine.ShipToStore, From: supplier.Location})
					break
				}
			}
		}
		s.supplied = len(options) > 0
		s.text = answer1(id, complete, options)
		if !m.blocked[id] && (s.units > 0 || s.supplied) {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b score) int {
		return cmp.Or(cmp.Compare(b.lines, a.lines), cmp.Compare(b.units, a.units), cmp.Compare(a.distance, b.distance), cmp.Compare(a.id, b.id))
	})
	for _, s := range all[:min(limit, len(all))] {
		out = append(out, s.text)
	}
	complete := true
	for sku, quantity := range lines {
		complete = complete && m.available(sku, "warehouse") >= quantity
	}
	if complete {
		shipHome = "warehouse"
	}
	return out, shipHome
}

func TestBasketsAgainstLookingEverywhere(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		db := enginetest.Open(t, engine.Options{})
		defer db.Close()
		m := &basketModel{map[[2]string]int64{}, map[string]engine.Position{}, map[string][]engine.Supplier{}, map[string]bool{}}
		skus := []string{"a", "b", "c"}
		put(t, db, engine.Location{ID: "warehouse", Kind: engine.Warehouse}, engine.LocationDetails{Position: grid(rt)})
		ids := []string{"warehouse"}
		for i := range rapid.SampledFrom([]int{0, 3, 12, 90}).Draw(rt, "stores") {
			id := fmt.Sprint("store-", i)
			ids = append(ids, id)
			m.at[id] = *grid(rt)
			if rapid.IntRange(0, 2).Draw(rt, "supplied") == 0 {
				m.suppliers[id] = []engine.Supplier{{Location: "warehouse", LeadTime: 7200}}
			}
			m.blocked[id] = rapid.IntRange(0, 9).Draw(rt, "blocked") == 0
			p := m.at[id]
			put(t, db, engine.Location{ID: id, Blocked: m.blocked[id]}, engine.LocationDetails{Position: &p, Suppliers: m.suppliers[id]})
		}
		for _, id := range ids {
			for _, sku := range skus {
				if units := rapid.Int64Range(-2, 4).Draw(rt, "units"); units >= 0 {
					m.units[[2]string{sku, id}] = units
					setOnHand(t, db, sku, id, units)
				}
			}
		}
		request := &engine.BasketRequest{Near: engine.Near{Position: *grid(rt)}, Limit: rapid.SampledFrom([]int{1, 5, 100}).Draw(rt, "limit")}
		lines := map[string]int64{}
		for range rapid.IntRange(1, 4).Draw(rt, "lines") {
			l := engine.BasketLine{SKU: rapid.SampledFrom(skus).Draw(rt, "sku"), Quantity: rapid.Int64Range(1, 3).Draw(rt, "quantity")}
			request.Lines = append(request.Lines, l)
			lines[l.SKU] += l.Quantity
		}
		for sku := range lines {
			if !slices.ContainsFunc(ids, func(id string) bool { _, ok := m.units[[2]string{sku, id}]; return ok }) {
				delete(lines, sku) // never seen, so unknown: said of it below
			}
		}
		got, err := db.Basket(request)
		if err != nil {
			rt.Fatal(err)
		}
		for _, l := range request.Lines {
			if _, known := lines[l.SKU]; !known {
				if got.Available() || !slices.ContainsFunc(got.Missing, func(m engine.BasketMissing) bool { return m.SKU == l.SKU && m.Reason == engine.UnknownSKU }) {
					rt.Fatalf("with the unknown %s: %+v", l.SKU, got)
				}
				return
			}
		}
		want, shipHome := m.want(lines, request.Near.Position, request.Limit)
		var have []string
		for i := range got.Locations {
			l := &got.Locations[i]
			have = append(have, answer1(l.ID, l.Complete, l.Options))
			for _, missing := range l.Missing {
				if missing.Available != m.available(missing.SKU, l.ID) || missing.Requested != lines[missing.SKU] || missing.Available >= missing.Requested {
					rt.Fatalf("%s: missing %+v", l.ID, missing)
				}
			}
		}
		if !slices.Equal(have, want) {
			rt.Fatalf("basket %v near %v:\n got %q\nwant %q", lines, request.Near, have, want)
		}
		if (got.ShipHome != nil) != (shipHome != "") {
			rt.Fatalf("ship home %+v, want %q", got.ShipHome, shipHome)
		}
		if got.Available() == (len(got.Missing) > 0) {
			rt.Fatalf("available %v, missing %+v", got.Available(), got.Missing)
		}
	})
}

func TestBasketThatIsNowhere(t *testing.T) {
	db := enginetest.Open(t, engine.Options{})
	street(t, db, "a", "b")
	setOnHand(t, db, "tea", "a", 5)
	setOnHand(t, db, "pot", "b", 5)
	setOnHand(t, db, "cup", "b", 0)
	for _, c := range []struct {
		lines  []engine.BasketLine
		radius float64
		want   string
	}{
		{[]engine.BasketLine{{"tea", 1}, {"pot", 1}}, 0, "[{tea 1 5 not_together} {pot 1 5 not_together}]"},
		{[]engine.BasketLine{{"tea", 6}, {"pot", 1}}, 0, "[{tea 6 5 short}]"},
		{[]engine.BasketLine{{"tea", 1}, {"nix", 1}}, 0, "[{nix 1 0 unknown_sku}]"},
		{[]engine.BasketLine{{"cup", 1}}, 0, "[{cup 1 0 short}]"},
		{[]engine.BasketLine{{"pot", 1}}, 1500, "[{pot 1 0 not_stocked}]"},
	} {
		got, err := db.Basket(&engine.BasketRequest{Lines: c.lines, Near: engine.Near{Radius: c.radius}, Limit: 5})
		if text := fmt.Sprint(got.Missing); err != nil || text != c.want {
			t.Errorf("%v: %v, %v, want %v", c.lines, text, err, c.want)
		}
	}
}

// What lies in a shop that stays closed can't be had, nor be sent there.
func TestBasketInAShopThatIsClosedForGood(t *testing.T) {
	db := enginetest.Open(t, engine.Options{})
	never := hours.Schedule{Zone: "UTC", Special: []hours.Special{{
		From: hours.Date{Year: 2020, Month: 1, Day: 1}, Through: hours.Date{Year: 2200, Month: 12, Day: 31}, Interval: hours.Interval{Closed: true},
	}}}
	perhaps := hours.Schedule{Zone: "UTC", Special: slices.Clone(never.Special)}
	perhaps.Special[0].Through = hours.Date{Year: db.Now().Year(), Month: db.Now().Month(), Day: db.Now().Day()} // then unknown
	suppliers := []engine.Supplier{{Location: "warehouse"}}
	put(t, db, engine.Location{ID: "closed"}, engine.LocationDetails{Position: &engine.Position{}, Schedule: never, Suppliers: suppliers})
	setOnHand(t, db, "tea", "closed", 5)
	setOnHand(t, db, "pot", "closed", 1)
	ask := func(radius float64, lines ...engine.BasketLine) string {
		t.Helper()
		got, err := db.Basket(&engine.BasketRequest{Lines: lines, Near: engine.Near{Radius: radius}, Limit: 5})
		if err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprint(got.Available(), got.Missing)
		for _, l := range got.Locations {
			text += " " + answer1(l.ID, l.Complete, l.Options)
		}
		return text
	}
	if got, want := ask(0, engine.BasketLine{SKU: "tea", Quantity: 1}), "false [{tea 1 0 not_stocked}] closed complete true"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	put(t, db, engine.Location{ID: "perhaps"}, engine.LocationDetails{Position: &engine.Position{Latitude: 1}, Schedule: perhaps})
	setOnHand(t, db, "tea", "perhaps", 5)
	if got, want := ask(0, engine.BasketLine{SKU: "tea", Quantity: 1}), "true [] closed complete true perhaps complete true pickup_later "; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	put(t, db, engine.Location{ID: "warehouse", Kind: engine.Warehouse}, engine.LocationDetails{})
	setOnHand(t, db, "pot", "warehouse", 1)
	if got, want := ask(1000, engine.BasketLine{SKU: "pot", Quantity: 2}), "false [{pot 2 0 not_stocked}] closed complete false"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, err := db.Basket(&engine.BasketRequest{
		Lines: []engine.BasketLine{{SKU: "tea", Quantity: 1}}, Near: engine.Near{Position: engine.Position{Latitude: -40}, Radius: 10}, Limit: 1,
	}); err != nil || fmt.Sprint(got.Missing) != "[{tea 1 0 no_location}]" {
		t.Errorf("where there is none: %+v, %v", got, err)
	}
}

func TestBadBaskets(t *testing.T) {
	db := enginetest.Open(t, engine.Options{})
	for field, change := range map[string]func(*engine.BasketRequest){
		"lines":             func(r *engine.BasketRequest) { r.Lines = nil },
		"lines[0].sku":      func(r *engine.BasketRequest) { r.Lines[0].SKU = "" },
		"lines[0].quantity": func(r *engine.BasketRequest) { r.Lines[0].Quantity = 0 },
		"lines[1].quantity": func(r *engine.BasketRequest) {
			r.Lines = append(r.Lines, engine.BasketLine{SKU: "tea", Quantity: engine.LineQuantityMax})
		},
		"limit":          func(r *engine.BasketRequest) { r.Limit = 0 },
		"near.longitude": func(r *engine.BasketRequest) { r.Near.Longitude = 181 },
		"radius_km":      func(r *engine.BasketRequest) { r.Near.Radius = -1 },
	} {
		r := &engine.BasketRequest{Lines: []engine.BasketLine{{"tea", 1}}, Limit: 1}
		change(r)
		var invalid *engine.InvalidError
		if _, err := db.Basket(r); !errors.As(err, &invalid) || invalid.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}
