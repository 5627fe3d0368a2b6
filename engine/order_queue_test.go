package engine_test

import (
	"slices"
	"testing"
	"time"

	"onhand/engine"
)

// queue pages through the orders that a listing has, in pages of several sizes that must agree, and compares them with some orders.
func (s *counter) queue(f engine.OrderFilter, want ...engine.Order) {
	s.t.Helper()
	var ids []engine.ID
	for _, o := range want {
		ids = append(ids, o.ID)
	}
	for _, limit := range []int{1, 2, 3, 100} {
		var have []engine.ID
		for cursor, more := (engine.OrderCursor{}), true; more; more = !cursor.Done() {
			page, next, err := s.Orders(f, cursor, limit)
			if err != nil {
				s.t.Fatal(err)
			}
			for _, o := range page {
				have = append(have, o.ID)
			}
			if raw := next.AppendBinary(nil); !next.Done() { // as a client keeps it
				if next, err = engine.ParseOrderCursor(raw); err != nil {
					s.t.Fatal(err)
				}
			}
			cursor = next
		}
		if !slices.Equal(have, ids) {
			s.t.Fatalf("%+v in pages of %d: %x, want %x", f, limit, have, ids)
		}
	}
}

// again calls f as things are, after a restart that reads the journal, and after one that reads a checkpoint.
func (s *counter) again(f func()) {
	s.t.Helper()
	f()
	s.Restart()
	f()
	if err := s.Checkpoint(); err != nil {
		s.t.Fatal(err)
	}
	s.Restart()
	f()
}

// TestWhatHasNoDeadlineIsListedLast: a parcel on its way waits for nobody, so it stands in front of nothing that is due.
func TestWhatHasNoDeadlineIsListedLast(t *testing.T) {
	s := openCounter(t)
	bulb := func(way engine.OrderFulfilment) engine.Order {
		s.Clock.Advance(time.Second)
		return s.order(engine.PlaceOrderRequest{
			Lines: []engine.Line{{SKU: "bulb", Location: "lyon", Quantity: 1}}, Payment: engine.OnlinePaid, Fulfilment: way,
		})
	}
	var parcels []engine.Order
	for range 5 {
		p := bulb(engine.ShipHome)
		s.move(&p, engine.MoveDispatch)
		if !p.Deadline.IsZero() {
			t.Fatalf("a parcel on its way is due %v", p.Deadline)
		}
		parcels = append(parcels, p)
	}
	sent := s.order(engine.PlaceOrderRequest{
		Lines: []engine.Line{{SKU: "lamp", Location: "depot", Quantity: 1}}, Fulfilment: engine.PickupAfter, Location: "lyon",
	})
	s.move(&sent, engine.MoveDispatch) // is on its way as well, and due
	first, second := bulb(engine.Pickup), bulb(engine.ShipHome)
	all := append([]engine.Order{first, second, sent}, parcels...)
	s.again(func() {
		t.Helper()
		s.queue(engine.OrderFilter{Location: "lyon"}, all...)
		s.queue(engine.OrderFilter{}, all...)
		s.queue(engine.OrderFilter{Location: "lyon", States: []engine.OrderState{engine.InTransit}}, all[2:]...)
	})
	s.move(&second, engine.MoveDispatch) // from the queue of what is due to the end
	s.move(&parcels[3], engine.MoveDeliver)
	s.queue(engine.OrderFilter{Location: "lyon"}, first, sent, parcels[0], parcels[1], parcels[2], parcels[4], second)
	s.queue(engine.OrderFilter{Location: "lyon", States: []engine.OrderState{engine.Collected}}, parcels[3])
}

// counted compares how many orders a location has, by state, and how many of them it has to send.
func (s *counter) counted(location string, toSend int, want map[engine.OrderState]int) {
	s.t.Helper()
	have, send, err := s.OrderCounts(location)
	if err != nil || send != toSend {
		s.t.Fatalf("%s: %d to send, want %d, %v", location, send, toSend, err)
	}
	for _, state := range engine.OrderStates() {
		if have[state] != want[state] {
			s.t.Fatalf("%s: %v, want %v", location, have, want)
		}
	}
}

// TestWhatIsToBeSentIsListedWhereItIs: the staff of a supplier sees the orders that it has to send, among its own and for as long as
// units of them are there; also where the units were found when some were short.
func TestWhatIsToBeSentIsListedWhereItIs(t *testing.T) {
	s := openCounter(t)
	d, err := engine.NewDetails(engine.LocationDetails{Suppliers: []engine.Supplier{{Location: "depot"}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutLocation(engine.Location{ID: "lyon", Details: d}, ""); err != nil {
		t.Fatal(err)
	}
	place := func(r engine.PlaceOrderRequest, sku string, at ...string) engine.Order {
		s.Clock.Advance(time.Second)
		for _, l := range at {
			r.Lines = append(r.Lines, engine.Line{SKU: sku, Location: l, Quantity: 1})
		}
		return s.order(r)
	}
	toLyon := engine.PlaceOrderRequest{Fulfilment: engine.PickupAfter, Location: "lyon", Reference: "same"}
	short := place(engine.PlaceOrderRequest{OnShort: engine.OnShortTransfer}, "lamp", "lyon")
	sent := place(toLyon, "lamp", "depot")
	own := place(engine.PlaceOrderRequest{Reference: "same"}, "bulb", "depot")
	parts := place(toLyon, "lamp", "depot", "nice", "lyon")
	gone := place(toLyon, "lamp", "depot")
	depot, lyon := engine.OrderFilter{Location: "depot"}, engine.OrderFilter{Location: "lyon"}
	s.again(func() {
		t.Helper()
		s.queue(depot, sent, own, parts, gone)
		s.queue(lyon, short, sent, parts, gone)
		s.queue(engine.OrderFilter{Location: "nice"}, parts)
		s.queue(engine.OrderFilter{Location: "depot", Reference: "same"}, sent, own, parts, gone)
		s.counted("depot", 3, map[engine.OrderState]int{engine.Placed: 4})
		s.counted("nice", 1, map[engine.OrderState]int{engine.Placed: 1})
		s.counted("lyon", 0, map[engine.OrderState]int{engine.Placed: 4})
	})

	s.move(&gone, engine.MoveCancel)
	s.move(&short, engine.MoveAccept)
	s.queue(depot, sent, own, parts)
	s.Clock.Advance(time.Minute)
	s.move(&short, engine.MoveShort, lines(engine.OrderQuantity{SKU: "lamp", Quantity: 1}))
	s.move(&parts, engine.MoveDispatch, func(r *engine.MoveRequest) { r.Location = "nice" })
	s.again(func() {
		t.Helper()
		s.queue(depot, sent, own, short, parts) // of parts one unit has still to be sent from there
		s.queue(engine.OrderFilter{Location: "depot", States: []engine.OrderState{engine.InTransit, engine.Cancelled}}, parts)
		s.queue(engine.OrderFilter{Location: "nice"})
		s.queue(engine.OrderFilter{}, sent, short, parts, own) // each once, where it is collected
		s.counted("depot", 3, map[engine.OrderState]int{engine.Placed: 2, engine.Accepted: 1, engine.InTransit: 1})
		s.counted("nice", 0, nil)
	})

	for _, o := range []*engine.Order{&sent, &short, &parts} {
		s.Clock.Advance(time.Second)
		s.move(o, engine.MoveDispatch)
	}
	s.again(func() {
		t.Helper()
		s.queue(depot, own)
		s.queue(engine.OrderFilter{Location: "depot", Reference: "same"}, own)
		s.counted("depot", 0, map[engine.OrderState]int{engine.Placed: 1})
		s.queue(lyon, sent, short, parts)
		s.counted("lyon", 0, map[engine.OrderState]int{engine.InTransit: 3, engine.Cancelled: 1})
	})
}
