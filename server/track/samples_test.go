package track

import (
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	update = flag.Bool("update", false, "write the pages into testdata, to be read in the diff")
	pageTo = flag.String("pages", "", "folder to write the complete pages to, for .tools/track")
)

var (
	paris, _ = time.LoadLocation("Europe/Paris")
	now      = time.Date(2026, 11, 25, 10, 23, 0, 0, paris) // a Wednesday
)

func hhmm(h, m int) int { return h*60 + m }

// sample returns an order in a state, as it would be on its usual way.
func sample(state State) *Page {
	way := []State{Placed, Accepted, Picking, Ready, Collected}
	p := &Page{
		Token: "9fJ2kQ7xT1uV5wYzA3bC6d", Reference: "FR-2026-118204", Now: now, Zone: "Europe/Paris",
		State: state, Payment: Paid, Fulfilment: Pickup, Handover: Counter, IDRequired: true,
		Location: Location{
			Name:     "Lyon Part-Dieu",
			Address:  Address{Street: "17 Rue du Docteur Bouchut", Locality: "Lyon", PostalCode: "69003", Country: "FR"},
			Phone:    "+33 (0)4 00 00 00 00",
			Position: &Position{45.7607, 4.8567}, CollectionPoint: "Desk at the back, behind the lamps",
		},
		Hours: Hours{
			State: Open, Closes: time.Date(2026, 11, 25, 20, 0, 0, 0, paris),
			Week: week(Span{hhmm(10, 0), hhmm(20, 0)}),
			Special: []SpecialDay{
				{Date: time.Date(2026, 12, 24, 0, 0, 0, 0, time.UTC), Name: "Christmas Eve", DayHours: DayHours{Spans: []Span{{hhmm(10, 0), hhmm(18, 0)}}}},
				{Date: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)},
			},
		},
		CollectUntil: time.Date(2026, 11, 28, 19, 30, 0, 0, paris),
		Lines: []Line{
			{SKU: "lamp-brass-40", Title: "Brass table lamp, 40 cm", Quantity: 1},
			{SKU: "teapot-07", Title: "Cast iron teapot", Quantity: 2},
			{SKU: "3700123456789", Quantity: 250, Unit: "gram"},
		},
	}
	at := now.Add(-26 * time.Hour)
	for _, s := range way[:max(slices.Index(way, state), 2)+1] {
		p.Steps = append(p.Steps, Step{s, at})
		at = at.Add(6*time.Hour + 7*time.Minute)
	}
	switch state {
	case Placed:
		p.Steps, p.Payment = p.Steps[:1], PaymentPending
	case Accepted:
		p.Steps = p.Steps[:2]
	}
	if p.Steps[len(p.Steps)-1].State != state {
		p.Steps = append(p.Steps, Step{state, at})
	}
	if state == Ready || state == Short {
		p.Code, p.QR = "7K4PQX", "onhand:7K4PQX:9fJ2kQ7xT1uV5wYzA3bC6d"
	}
	return p
}

// week is open six days, on one of them with a break.
func week(span Span) (week []Weekday) {
	for _, d := range []time.Weekday{1, 2, 3, 4, 5, 6, 0} {
		w := Weekday{Day: d}
		switch d {
		case time.Saturday:
			w.Spans = []Span{{hhmm(9, 30), hhmm(12, 30)}, {hhmm(14, 0), hhmm(19, 0)}}
		case time.Sunday:
		default:
			w.Spans = []Span{span}
		}
		week = append(week, w)
	}
	return week
}

// samples are pages of each state, and of what else there is to see. The name is a state, with the ways that differ behind it.
func samples() map[string]*Page {
	of := make(map[string]*Page)
	for _, s := range states {
		of[string(s)] = sample(s)
	}
	change := func(name string, state State, f func(p *Page)) {
		of[name] = sample(state)
		f(of[name])
	}
	collectAll := func(p *Page) {
		for i := range p.Lines {
			p.Lines[i].Collected = p.Lines[i].Quantity
		}
	}
	change("placed", Placed, func(p *Page) {
		p.CollectUntil, p.PayUntil = time.Time{}, now.Add(27*time.Minute)
		p.SlotFrom, p.SlotTo = time.Date(2026, 11, 26, 10, 0, 0, 0, paris), time.Date(2026, 11, 26, 10, 30, 0, 0, paris)
	})
	change("placed_paid", Placed, func(p *Page) { p.CollectUntil, p.Payment = time.Time{}, Paid })
	change("placed_home", Placed, func(p *Page) { p.Fulfilment, p.Handover, p.Payment = ShipHome, "", Paid })
	change("accepted", Accepted, func(p *Page) { p.Payment = DueInStore })
	allInTransit := func(p *Page) {
		for i := range p.Lines {
			p.Lines[i].InTransit = p.Lines[i].Quantity
		}
	}
	received := func(p *Page) {
		p.Fulfilment = ShipToStore
		p.Steps = []Step{{Placed, now.Add(-26 * time.Hour)}, {Accepted, now.Add(-20 * time.Hour)}, {InTransit, now.Add(-14 * time.Hour)}, {Received, now.Add(-25 * time.Minute)}}
	}
	change("received", Accepted, received)
	change("received_picking", Picking, func(p *Page) {
		received(p)
		p.Steps = append(p.Steps, Step{Picking, now.Add(-5 * time.Minute)})
	})
	change("received_partly", Accepted, func(p *Page) {
		received(p)
		p.Lines[1].ToSend = 1
	})
	change("picking_partly", Picking, func(p *Page) { p.Lines[1].ToSend = 1 }) // one was not found, and is held elsewhere
	change("in_transit_partly", InTransit, func(p *Page) {
		p.Lines[1].InTransit, p.Lines[2].ToSend = 1, 250
	})
	change("in_transit", InTransit, func(p *Page) {
		p.Fulfilment = ShipToStore
		allInTransit(p)
		p.Hours.State, p.Hours.Closes, p.Hours.Opens = Closed, time.Time{}, time.Date(2026, 11, 26, 10, 0, 0, 0, paris)
	})
	change("in_transit_home", InTransit, func(p *Page) { p.Fulfilment, p.Handover = ShipHome, "" })
	curbside := func(p *Page) {
		p.Handover, p.CanAnnounce, p.IDRequired = Curbside, true, false
		p.SlotFrom, p.SlotTo = time.Date(2026, 11, 25, 10, 30, 0, 0, paris), time.Date(2026, 11, 25, 11, 0, 0, 0, paris)
		p.CollectUntil = time.Date(2026, 11, 25, 19, 30, 0, 0, paris)
	}
	change("ready_curbside", Ready, curbside)
	change("ready_curbside_arrived", Ready, func(p *Page) {
		curbside(p)
		a := NewArrival(" 4 ", `Blue <Clio> & "trailer"`, now.Add(-2*time.Minute))
		p.Arrival = &a
	})
	change("ready_locker", Ready, func(p *Page) {
		p.Handover, p.IDRequired, p.Location.Name = Locker, false, "Locker, Gare de Vaise"
		p.Location.Phone = ""
		p.Hours = Hours{State: Open, Week: []Weekday{}}
		for _, d := range []time.Weekday{1, 2, 3, 4, 5, 6, 0} {
			p.Hours.Week = append(p.Hours.Week, Weekday{d, DayHours{Spans: []Span{{0, 1440}}}})
		}
		p.CollectUntil = now.Add(40 * time.Minute)
	})
	change("ready_home", Ready, func(p *Page) { p.Fulfilment, p.Handover, p.Code, p.QR = ShipHome, "", "", "" })
	change("ready_partly", Ready, func(p *Page) { p.Lines[1].Collected = 1 })
	change("ready_bare", Ready, func(p *Page) { // the least that a shop may know
		*p = Page{Token: p.Token, Now: now, State: Ready, Fulfilment: Pickup, Handover: Counter, Code: "7K4PQX",
			Location: Location{Name: "lyon"}, Lines: []Line{{SKU: "a-sku-of-sixty-four-bytes-as-some-shops-have-them-0123456789-abcd", Quantity: 12}}}
	})
	change("collected", Collected, collectAll)
	change("collected_home", Collected, func(p *Page) {
		collectAll(p)
		p.Fulfilment, p.Handover = ShipHome, ""
	})
	change("cancelled", Cancelled, func(p *Page) { p.Payment = Refunded })
	change("expired", Expired, func(p *Page) { p.Payment = RefundDue })
	change("short", Short, func(p *Page) { p.Lines[1].Short, p.Payment = 1, RefundDue })
	change("returned", Returned, func(p *Page) {
		collectAll(p)
		p.Steps = slices.Insert(p.Steps, 3, Step{Ready, now.Add(-5 * time.Hour)}, Step{Collected, now.Add(-3 * time.Hour)})
		p.Steps[5].At = now
		p.Lines[1].Returned, p.Payment = 1, RefundDue
	})
	return of
}

// pagesOf renders everything that there is to see in a language, by file name.
func pagesOf(t *testing.T, lang string) map[string]string {
	t.Helper()
	out := make(map[string]string)
	keep := func(name string, b []byte, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out[name+"."+lang+".html"] = string(b)
	}
	for name, p := range samples() {
		b, err := Render(nil, p, lang)
		keep(name, b, err)
	}
	b, err := RenderUnknown(nil, lang)
	keep("unknown", b, err)
	b, err = RenderArrived(nil, samples()["ready_curbside_arrived"], lang)
	keep("arrived", b, err)
	return out
}

// each calls f with every page in every language, by name.
func each(t *testing.T, f func(t *testing.T, name, html string)) {
	t.Helper()
	for _, l := range languages {
		pages := pagesOf(t, l.tag)
		for _, name := range slices.Sorted(maps.Keys(pages)) {
			t.Run(name, func(t *testing.T) { f(t, name, pages[name]) })
		}
	}
}

func compare(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not what it was (-update to accept it):\n%s", path, firstDifference(got, string(want)))
	}
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range g {
		if i >= len(w) || g[i] != w[i] {
			return "got  " + g[i] + "\nwant " + strings.Join(w[min(i, len(w)):min(i+1, len(w))], "")
		}
	}
	return "something is missing at its end"
}
