package engine_test

import (
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"onhand/engine"
	"onhand/engine/enginetest"
)

func (s *counter) picks(location string, want ...engine.PickLine) {
	s.t.Helper()
	have, whole, err := s.PickList(location)
	if err != nil || !whole || !slices.EqualFunc(have, want, func(a, b engine.PickLine) bool { return reflect.DeepEqual(a, b) }) {
		s.t.Fatalf("the pick list of %s is %+v, whole %t, %v; want %+v", location, have, whole, err, want)
	}
}

// TestAPickListIsWholeAmongManyReservations: what customers have in their carts takes no room on it.
func TestAPickListIsWholeAmongManyReservations(t *testing.T) {
	s := openCounter(t)
	o := s.order(engine.PlaceOrderRequest{Lines: twoLines()})
	s.move(&o, engine.MoveAccept)
	const carts, callers = engine.PickListMax + 64, 64
	s.receive(engine.Line{SKU: "bulb", Location: "lyon", Quantity: carts})
	var wg sync.WaitGroup
	for caller := range callers {
		wg.Go(func() {
			for i := caller; i < carts; i += callers {
				if _, err := s.Reserve(&engine.ReserveRequest{Lines: []engine.Line{{SKU: "bulb", Location: "lyon", Quantity: 1}}, ExpiresIn: time.Hour}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	s.picks("lyon", engine.PickLine{SKU: "bulb", Quantity: 4, Orders: []engine.ID{o.ID}}, engine.PickLine{SKU: "lamp", Quantity: 2, Orders: []engine.ID{o.ID}})
}

// TestAPickListLeavesOutWhatIsDueLast: of more orders than it is made for, those that were placed first need not be due first. Orders
// of which nothing is to be fetched take no room.
func TestAPickListLeavesOutWhatIsDueLast(t *testing.T) {
	s := openCounter(t)
	bulbs := func() engine.Order {
		return s.order(engine.PlaceOrderRequest{Lines: []engine.Line{{SKU: "bulb", Location: "lyon", Quantity: 2}}})
	}
	sent := s.order(engine.PlaceOrderRequest{
		Lines: []engine.Line{{SKU: "lamp", Location: "depot", Quantity: 1}}, Fulfilment: engine.PickupAfter, Location: "lyon",
	})
	s.move(&sent, engine.MoveAccept)
	last := bulbs()
	first, second := bulbs(), bulbs()
	for _, o := range []*engine.Order{&first, &second, &last} {
		s.Clock.Advance(time.Minute)
		s.move(o, engine.MovePick)
	}
	for most, want := range map[int][]engine.ID{1: {first.ID}, 2: {first.ID, second.ID}, 3: {first.ID, second.ID, last.ID}} {
		list, whole, err := s.PickListOf("lyon", most)
		if err != nil || whole != (most == 3) || len(list) != 1 || !slices.Equal(list[0].Orders, want) || list[0].Quantity != int64(2*most) {
			t.Fatalf("for %d orders: %+v, whole %t, %v", most, list, whole, err)
		}
	}
}

// TestAPickListHasWhatIsSentElsewhere: an order's units are fetched where they are held, as long as they are there; also where they
// were found elsewhere when some were short, and after restarts.
func TestAPickListHasWhatIsSentElsewhere(t *testing.T) {
	s := openCounter(t)
	d, err := engine.NewDetails(engine.LocationDetails{Suppliers: []engine.Supplier{{Location: "depot"}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutLocation(engine.Location{ID: "lyon", Details: d}, ""); err != nil {
		t.Fatal(err)
	}
	lamp := []engine.Line{{SKU: "lamp", Location: "lyon", Quantity: 1}}
	sent := s.order(engine.PlaceOrderRequest{
		Lines:      []engine.Line{{SKU: "lamp", Location: "depot", Quantity: 3}, {SKU: "bulb", Location: "lyon", Quantity: 1}},
		Fulfilment: engine.PickupAfter, Location: "lyon",
	})
	short := s.order(engine.PlaceOrderRequest{Lines: lamp, OnShort: engine.OnShortTransfer})
	s.picks("depot") // nobody has taken them on
	s.move(&short, engine.MoveAccept)
	s.Clock.Advance(time.Minute)
	s.move(&sent, engine.MoveAccept)
	s.Clock.Advance(time.Minute)
	s.move(&short, engine.MoveShort, lines(engine.OrderQuantity{SKU: "lamp", Quantity: 1}))

	atDepot := engine.PickLine{SKU: "lamp", Quantity: 4, Send: 4, Orders: []engine.ID{sent.ID, short.ID}}
	atLyon := engine.PickLine{SKU: "bulb", Quantity: 1, Orders: []engine.ID{sent.ID}}
	s.picks("depot", atDepot)
	s.picks("lyon", atLyon)
	s.Restart()
	s.picks("depot", atDepot)
	s.move(&sent, engine.MovePick) // a change of the order alone
	if err := s.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	s.Restart()
	s.picks("depot", atDepot)
	s.picks("lyon", atLyon)

	s.move(&short, engine.MoveDispatch)
	s.picks("depot", engine.PickLine{SKU: "lamp", Quantity: 3, Send: 3, Orders: []engine.ID{sent.ID}})
	s.picks("transit:lyon")
	s.move(&short, engine.MoveReceive)
	s.picks("lyon", atLyon, engine.PickLine{SKU: "lamp", Quantity: 1, Orders: []engine.ID{short.ID}})
	s.move(&sent, engine.MoveCancel)
	s.picks("depot")
}

// TestPickListsWhileOrdersMove: an order that comes to be due later while the list is made is not on it twice.
func TestPickListsWhileOrdersMove(t *testing.T) {
	s := &counter{enginetest.Open(t, engine.Options{}), t}
	const orders, movers = engine.OrdersMax * 3 / 2, 8 // a list is made in several steps
	s.receive(engine.Line{SKU: "bulb", Location: "lyon", Quantity: orders})
	var wg sync.WaitGroup
	ids := make([]engine.ID, orders)
	each := func(do func(i int) error) {
		for mover := range movers {
			wg.Go(func() {
				for i := mover; i < orders; i += movers {
					if err := do(i); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
	}
	each(func(i int) error {
		o, err := s.PlaceOrder(&engine.PlaceOrderRequest{Lines: []engine.Line{{SKU: "bulb", Location: "lyon", Quantity: 1}}})
		if ids[i] = o.ID; err == nil {
			_, err = s.MoveOrder(&engine.MoveRequest{ID: o.ID, Move: engine.MoveAccept})
		}
		return err
	})
	wg.Wait()
	s.Clock.Advance(time.Minute)
	var moved atomic.Int64
	each(func(i int) error {
		defer moved.Add(1)
		_, err := s.MoveOrder(&engine.MoveRequest{ID: ids[i], Move: engine.MoveExtend})
		return err
	})
	for moved.Load() < orders && !t.Failed() {
		list, whole, err := s.PickList("lyon")
		if err != nil || !whole || len(list) != 1 {
			t.Fatalf("%+v, %t, %v", list, whole, err)
		}
		slices.SortFunc(list[0].Orders, func(a, b engine.ID) int { return slices.Compare(a[:], b[:]) })
		if n := len(slices.Compact(list[0].Orders)); int64(n) != list[0].Quantity {
			t.Errorf("%d units for %d orders of one each", list[0].Quantity, n)
		}
	}
	wg.Wait()
}
