package engine_test

import (
	"fmt"
	"testing"

	"onhand/engine"
)

// away writes what of an order is away: to send + in transit, line by line.
func (s *counter) away(o *engine.Order) (text string) {
	s.t.Helper()
	away, err := s.OrderAway(o)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, a := range away {
		text += fmt.Sprintf("%d+%d ", a.ToSend, a.InTransit)
	}
	return text
}

func TestWhatOfAnOrderIsAway(t *testing.T) {
	s, o := shipment(t) // 4 lamps and 3 bulbs from the depot, 2 lamps from nice
	want := func(after, want string) {
		t.Helper()
		if got := s.away(&o); got != want {
			t.Fatalf("%s: %q are away, want %q", after, got, want)
		}
	}
	want("placed", "4+0 2+0 3+0 ")
	s.move(&o, engine.MoveDispatch, from("depot"))
	want("dispatched from the depot", "0+4 2+0 0+3 ")
	s.move(&o, engine.MoveReceive, func(r *engine.MoveRequest) { r.Arrived = []engine.TransferUnits{{SKU: "bulb", Units: 3}} })
	want("bulbs received", "0+4 2+0 0+0 ")
	s.move(&o, engine.MoveReceive)
	want("all of that received", "0+0 2+0 0+0 ")
	s.move(&o, engine.MoveDispatch)
	want("dispatched from nice", "0+2 0+0 0+0 ") // two of the six lamps: on their way they are of neither line
	s.move(&o, engine.MoveReceive)
	want("all received", "")
	s.move(&o, engine.MoveReady)
	s.move(&o, engine.MoveCollect, withCode(o.Code))
	want("collected", "")
}

func TestNothingIsAwayOfWhatIsThereOrIsSentHome(t *testing.T) {
	s := openCounter(t)
	there := s.order(engine.PlaceOrderRequest{Lines: []engine.Line{{SKU: "lamp", Location: "lyon", Quantity: 1}}, OnShort: engine.OnShortTransfer})
	home := s.order(engine.PlaceOrderRequest{Lines: []engine.Line{{SKU: "lamp", Location: "lyon", Quantity: 1}}, Fulfilment: engine.ShipHome, Payment: engine.OnlinePaid})
	mixed := s.order(engine.PlaceOrderRequest{
		Lines:    []engine.Line{{SKU: "lamp", Location: "lyon", Quantity: 2}, {SKU: "lamp", Location: "depot", Quantity: 1}},
		Location: "lyon", Fulfilment: engine.PickupAfter,
	})
	ended := s.order(engine.PlaceOrderRequest{Lines: []engine.Line{{SKU: "lamp", Location: "depot", Quantity: 1}}, Location: "lyon", Fulfilment: engine.PickupAfter})
	s.move(&ended, engine.MoveCancel)
	for _, x := range []struct {
		o    *engine.Order
		want string
	}{{&there, ""}, {&home, ""}, {&mixed, "0+0 1+0 "}, {&ended, ""}} {
		if got := s.away(x.o); got != x.want {
			t.Errorf("%q are away, want %q: %+v", got, x.want, x.o)
		}
	}
}

// What is missing and held elsewhere instead is away until it was sent and received.
func TestWhatIsMissingIsAwayUntilItComes(t *testing.T) {
	s := openCounter(t)
	for _, at := range []string{"lyon", "nice"} {
		position := near(at).Position
		put(t, s.DB, engine.Location{ID: at}, engine.LocationDetails{Position: &position})
	}
	o := s.order(engine.PlaceOrderRequest{Lines: []engine.Line{{SKU: "lamp", Location: "lyon", Quantity: 3}}, OnShort: engine.OnShortTransfer})
	s.move(&o, engine.MovePick)
	s.move(&o, engine.MoveShort, func(r *engine.MoveRequest) { r.Lines = []engine.OrderQuantity{{SKU: "lamp", Quantity: 1}} })
	for _, x := range []struct {
		move engine.OrderMove
		want string
	}{{0, "1+0 "}, {engine.MoveDispatch, "0+1 "}, {engine.MoveReceive, ""}} {
		if x.move != 0 {
			s.move(&o, x.move)
		}
		if got := s.away(&o); got != x.want || o.Lines[0].Missing != 0 {
			t.Fatalf("%s: %q are away, want %q: %+v", x.move, got, x.want, o)
		}
	}
}
