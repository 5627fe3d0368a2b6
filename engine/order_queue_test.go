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
