package engine_test

import (
	"errors"
	"testing"
	"time"

	"onhand/engine"
	"onhand/engine/enginetest"
	"onhand/engine/hours"
)

// counter is a database with some stock at two stores and a warehouse, and short words for what is done to its orders.
type counter struct {
	*enginetest.DB
	t *testing.T
}

func openCounter(t *testing.T) *counter {
	t.Helper()
	s := &counter{enginetest.Open(t, engine.Options{}), t}
	for _, cell := range []engine.Line{
		{SKU: "lamp", Location: "lyon", Quantity: 5}, {SKU: "bulb", Location: "lyon", Quantity: 20},
		{SKU: "lamp", Location: "nice", Quantity: 2}, {SKU: "lamp", Location: "depot", Quantity: 50}, {SKU: "bulb", Location: "depot", Quantity: 50},
	} {
		s.receive(cell)
	}
	return s
}

func (s *counter) receive(l engine.Line) {
	s.t.Helper()
	if _, err := s.Adjust(&engine.Adjustment{Lines: []engine.Line{l}, Reason: "receipt"}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *counter) order(r engine.PlaceOrderRequest) engine.Order {
	s.t.Helper()
	o, err := s.PlaceOrder(&r)
	if err != nil {
		s.t.Fatal(err)
	}
	return o
}

func (s *counter) move(o *engine.Order, m engine.OrderMove, change ...func(*engine.MoveRequest)) {
	s.t.Helper()
	r := engine.MoveRequest{ID: o.ID, Move: m, By: "ana"}
	for _, c := range change {
		c(&r)
	}
	moved, err := s.MoveOrder(&r)
	if err != nil {
		s.t.Fatalf("%s: %v", m, err)
	}
	*o = moved
	read, err := s.Order(o.ID)
	if err != nil || read.State != o.State || read.Sequence != o.Sequence || len(read.History) != len(o.History) {
		s.t.Fatalf("%s answers %+v, but the order is %+v, %v", m, o, read, err)
	}
}

func (s *counter) refused(o *engine.Order, m engine.OrderMove, change ...func(*engine.MoveRequest)) error {
	s.t.Helper()
	r := engine.MoveRequest{ID: o.ID, Move: m}
	for _, c := range change {
		c(&r)
	}
	moved, err := s.MoveOrder(&r)
	if err == nil {
		s.t.Fatalf("%s was allowed: %+v", m, moved)
	}
	return err
}

func (s *counter) stock(sku, location string, onHand, held int64) {
	s.t.Helper()
	c, err := s.Availability(sku, location)
	if err != nil || c.OnHand != onHand || c.Held != held {
		s.t.Fatalf("%s at %s has %d on hand, %d held, %v; want %d, %d", sku, location, c.OnHand, c.Held, err, onHand, held)
	}
}

func withCode(code string) func(*engine.MoveRequest) {
	return func(r *engine.MoveRequest) { r.Code = code }
}

func lines(l ...engine.OrderQuantity) func(*engine.MoveRequest) {
	return func(r *engine.MoveRequest) { r.Lines = l }
}

func twoLines() []engine.Line {
	return []engine.Line{{SKU: "lamp", Location: "lyon", Quantity: 2}, {SKU: "bulb", Location: "lyon", Quantity: 4}}
}

// An order has the id of the reservation that it is placed on, so that either leads to the other. Where a caller has chosen that id for
// another reservation since, the next order takes one of its own; and both are found by what holds their units.
func TestAnOrderHasTheIDOfItsReservation(t *testing.T) {
	s := openCounter(t)
	id := engine.ID{15: 1}
	reserve := func() {
		t.Helper()
		if _, err := s.Reserve(&engine.ReserveRequest{ID: id, Lines: twoLines(), ExpiresIn: time.Hour}); err != nil {
			t.Fatal(err)
		}
	}
	held := func(o *engine.Order) {
		t.Helper()
		owned := (*engine.OrderedError)(nil)
		if _, err := s.Release(&engine.FinishRequest{ID: o.Reservation}); !errors.As(err, &owned) || owned.Order != o.ID {
			t.Fatalf("what is held for order %x was released: %v", o.ID, err)
		}
	}
	reserve()
	first := s.order(engine.PlaceOrderRequest{Reservation: id})
	if first.ID != id {
		t.Fatalf("on reservation %x, %+v", id, first)
	}
	held(&first)
	s.move(&first, engine.MoveCancel)
	s.Clock.Advance(25 * time.Hour)
	s.ForgetWindow() // but not the order
	reserve()
	second := s.order(engine.PlaceOrderRequest{Reservation: id})
	if second.ID == id || second.Reservation != id {
		t.Fatalf("on reservation %x, of which there was an order: %+v", id, second)
	}
	for range 2 {
		held(&second)
		if o, err := s.Order(first.ID); err != nil || o.State != engine.Cancelled {
			t.Fatalf("%+v, %v", o, err)
		}
		s.Restart()
	}
	s.move(&second, engine.MoveReady)
	s.move(&second, engine.MoveCollect, withCode(second.Code))
	s.stock("lamp", "lyon", 3, 0)
	direct := s.order(engine.PlaceOrderRequest{Lines: twoLines()[1:], Payment: engine.OnlinePending})
	if direct.ID != direct.Reservation {
		t.Fatalf("%+v", direct)
	}
	s.Clock.Advance(30 * 24 * time.Hour)
	s.Sweep()
	s.move(&direct, engine.MovePay) // late: what it asked for is held again, by another reservation
	if direct.ID == direct.Reservation {
		t.Fatalf("%+v", direct)
	}
	held(&direct)
	s.Restart()
	held(&direct)
	if err := s.CheckInvariants(); err != nil {
		t.Fatal(err)
	}
}

func TestAnOrderFromClickToCollectedBag(t *testing.T) {
	s := openCounter(t)
	o := s.order(engine.PlaceOrderRequest{Lines: twoLines(), Reference: "A-1", Customer: engine.Person{Reference: "c-7", Name: "Ana"}})
	if o.State != engine.Placed || o.Location != "lyon" || o.Payment != engine.PaymentDueInStore || len(o.Code) != 6 || o.Token == (engine.Token{}) {
		t.Fatalf("%+v", o)
	}
	s.stock("lamp", "lyon", 5, 2)
	if _, err := s.Commit(&engine.FinishRequest{ID: o.Reservation}); !errors.As(err, new(*engine.OrderedError)) {
		t.Fatalf("the reservation of an order was committed behind its back: %v", err)
	}
	s.move(&o, engine.MoveAccept)
	s.move(&o, engine.MovePick)
	s.refused(&o, engine.MoveAccept)
	s.move(&o, engine.MoveReady)
	if o.RemindAt.IsZero() || !o.RemindAt.Before(o.Deadline) {
		t.Fatalf("a reminder is due %v, the deadline %v", o.RemindAt, o.Deadline)
	}
	s.move(&o, engine.MoveArrive, func(r *engine.MoveRequest) { r.Bay, r.Vehicle = "4", "blue" })
	s.move(&o, engine.MoveCollect, withCode(o.Code), lines(engine.OrderQuantity{SKU: "bulb", Quantity: 1}))
	if o.State != engine.Ready || o.Lines[1].Collected != 1 {
		t.Fatalf("%+v", o)
	}
	s.move(&o, engine.MoveCollect, withCode(" "+o.Code[:3]+"-"+o.Code[3:]))
	if o.State != engine.Collected || o.Payment != engine.PaymentPaid || o.Live() {
		t.Fatalf("%+v", o)
	}
	s.stock("lamp", "lyon", 3, 0)
	s.stock("bulb", "lyon", 16, 0)
	if re, err := s.Reservation(o.Reservation); err != nil || re.State != engine.Committed {
		t.Fatalf("%+v, %v", re, err)
	}
	err := s.refused(&o, engine.MoveReturn, lines(engine.OrderQuantity{SKU: "lamp", Quantity: 3}))
	if !errors.As(err, new(*engine.RefusedError)) {
		t.Fatal(err)
	}
	s.move(&o, engine.MoveReturn, lines(engine.OrderQuantity{SKU: "lamp", Quantity: 1}, engine.OrderQuantity{SKU: "lamp", Quantity: 1, Damaged: true}),
		func(r *engine.MoveRequest) { r.Location = "nice" })
	if o.State != engine.Returned || o.Payment != engine.PaymentRefundDue || o.Lines[0].Returned != 1 || o.Lines[0].Damaged != 1 {
		t.Fatalf("%+v", o)
	}
	s.stock("lamp", "nice", 3, 0)
	s.move(&o, engine.MoveRefund)
	s.move(&o, engine.MoveErase)
	if o.Customer != (engine.Person{}) || o.Code != "" || !o.Erased || len(o.History) < 8 {
		t.Fatalf("%+v", o)
	}
	err = s.Changes(0, func(c *engine.Change) error {
		if c.Order != nil && (c.Order.Customer != (engine.Person{}) || c.Order.Code != "") {
			t.Errorf("change %d still tells who ordered", c.Sequence)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAnOrderExpiresWithItsReservation(t *testing.T) {
	s := openCounter(t)
	r := engine.PlaceOrderRequest{Lines: twoLines(), Payment: engine.OnlinePending}
	o := s.order(r)
	if err := s.refused(&o, engine.MoveAccept); !errors.As(err, new(*engine.OrderStateError)) {
		t.Fatal(err)
	}
	late := o
	s.Clock.Advance(o.Deadline.Sub(s.Now()))
	o, err := s.Order(o.ID)
	if err != nil || o.State != engine.OrderExpired || o.Payment != engine.PaymentNone {
		t.Fatalf("%+v, %v", o, err)
	}
	s.stock("lamp", "lyon", 5, 0)
	s.move(&o, engine.MovePay) // all of it is still there
	if o.State != engine.Placed || o.Payment != engine.PaymentPaid || o.Reservation == late.Reservation {
		t.Fatalf("%+v", o)
	}
	s.stock("lamp", "lyon", 5, 2)
	s.move(&o, engine.MoveCancel)
	if o.Payment != engine.PaymentRefundDue {
		t.Fatalf("%+v", o)
	}

	o = s.order(r)
	s.Clock.Advance(time.Hour)
	other := s.order(engine.PlaceOrderRequest{Lines: []engine.Line{{SKU: "lamp", Location: "lyon", Quantity: 4}}})
	s.move(&o, engine.MovePay) // somebody else has them
	if o.State != engine.OrderExpired || o.Payment != engine.PaymentRefundDue || o.Move != engine.MoveRefundDue {
		t.Fatalf("%+v", o)
	}
	s.stock("lamp", "lyon", 5, 4)
	s.stock("bulb", "lyon", 20, 0)
	s.move(&other, engine.MoveCancel)
}

func TestWrongCodesAreCountedAndSlowed(t *testing.T) {
	s := openCounter(t)
	o := s.order(engine.PlaceOrderRequest{Lines: twoLines()})
	s.move(&o, engine.MoveReady)
	var wrong *engine.CodeError
	for n := 1; n <= 3; n++ {
		if err := s.refused(&o, engine.MoveCollect, withCode("000000")); !errors.As(err, &wrong) || wrong.Wrong != n {
			t.Fatal(err)
		}
	}
	if wrong.RetryAt.IsZero() {
		t.Fatal("the fourth attempt is not slowed")
	}
	if err := s.refused(&o, engine.MoveCollect, withCode(o.Code)); !errors.As(err, &wrong) {
		t.Fatal(err)
	}
	s.Clock.Advance(31 * time.Second)
	s.move(&o, engine.MoveCollect, withCode(o.Code))
}

func TestAShortPick(t *testing.T) {
	s := openCounter(t)
	o := s.order(engine.PlaceOrderRequest{Lines: twoLines()})
	s.move(&o, engine.MovePick)
	s.move(&o, engine.MoveShort, lines(engine.OrderQuantity{SKU: "lamp", Quantity: 1}))
	if o.State != engine.OrderShort || o.Lines[0].Missing != 1 || o.Lines[0].Open != 1 {
		t.Fatalf("%+v", o)
	}
	s.stock("lamp", "lyon", 4, 1)
	s.move(&o, engine.MoveReady)
	s.move(&o, engine.MoveCancel)
	s.stock("lamp", "lyon", 4, 0)

	o = s.order(engine.PlaceOrderRequest{Lines: twoLines()})
	s.move(&o, engine.MovePick)
	s.move(&o, engine.MoveShort, lines(engine.OrderQuantity{SKU: "lamp", Quantity: 2}, engine.OrderQuantity{SKU: "bulb", Quantity: 4}),
		func(r *engine.MoveRequest) { r.Recount = true })
	if o.State != engine.Cancelled {
		t.Fatalf("%+v", o)
	}
	if c, err := s.Availability("lamp", "lyon"); err != nil || !c.Blocked || c.OnHand != 4 || c.Available != 0 {
		t.Fatalf("%+v, %v", c, err)
	}
}

func TestListsForStaff(t *testing.T) {
	s := openCounter(t)
	var all []engine.Order
	for range 4 {
		all = append(all, s.order(engine.PlaceOrderRequest{Lines: []engine.Line{{SKU: "bulb", Location: "lyon", Quantity: 2}}, Reference: "same"}))
		s.Clock.Advance(time.Minute)
	}
	s.move(&all[1], engine.MoveAccept)
	s.move(&all[2], engine.MovePick)
	var got []engine.ID
	cursor := engine.OrderCursor{}
	for more := true; more; more = !cursor.Done() {
		page, next, err := s.Orders(engine.OrderFilter{Location: "lyon"}, cursor, 1)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page {
			got = append(got, o.ID)
		}
		cursor = next
	}
	want := []engine.ID{all[0].ID, all[3].ID, all[1].ID, all[2].ID} // placed ones are due first
	if len(got) != len(want) {
		t.Fatalf("%x", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("%x, want %x", got, want)
		}
	}
	pick, whole, err := s.PickList("lyon")
	if err != nil || !whole || len(pick) != 1 || pick[0].Quantity != 4 || len(pick[0].Orders) != 2 {
		t.Fatalf("%+v, %t, %v", pick, whole, err)
	}
	counts, _, err := s.OrderCounts("lyon")
	if err != nil || counts[engine.Placed] != 2 || counts[engine.Accepted] != 1 || counts[engine.Picking] != 1 {
		t.Fatalf("%v, %v", counts, err)
	}
	found, _, err := s.Orders(engine.OrderFilter{Reference: "same", States: []engine.OrderState{engine.Placed}}, engine.OrderCursor{}, 10)
	if err != nil || len(found) != 2 {
		t.Fatalf("%+v, %v", found, err)
	}
}

func TestTheCustomerIsRemindedOnce(t *testing.T) {
	s := openCounter(t)
	o := s.order(engine.PlaceOrderRequest{Lines: twoLines()})
	s.move(&o, engine.MoveReady)
	s.Clock.Advance(o.RemindAt.Sub(s.Now()))
	for end := time.Now().Add(time.Minute); time.Now().Before(end) && !o.RemindAt.IsZero(); time.Sleep(10 * time.Millisecond) {
		var err error
		if o, err = s.Order(o.ID); err != nil {
			t.Fatal(err)
		}
	}
	if o.Move != engine.MoveRemind || !o.RemindAt.IsZero() || o.State != engine.Ready {
		t.Fatalf("%+v", o)
	}
}

func TestLiveOrdersAreLimitedPerCustomer(t *testing.T) {
	s := &counter{enginetest.Open(t, engine.Options{OrdersPerCustomer: 2, OrdersPerOwner: 3}), t}
	s.receive(engine.Line{SKU: "lamp", Location: "lyon", Quantity: 100})
	place := func(customer string) (engine.Order, error) {
		return s.PlaceOrder(&engine.PlaceOrderRequest{
			Lines: []engine.Line{{SKU: "lamp", Location: "lyon", Quantity: 1}}, Customer: engine.Person{Reference: customer}, Owner: "shop",
		})
	}
	limit := func(err error) string {
		var l *engine.LimitError
		if !errors.As(err, &l) {
			t.Fatalf("no limit was met: %v", err)
		}
		return l.Limit
	}
	first, err := place("ana")
	if err != nil {
		t.Fatal(err)
	}
	if _, err = place("ana"); err != nil {
		t.Fatal(err)
	}
	if _, err = place("ana"); limit(err) != engine.OrdersPerCustomer {
		t.Fatal(err)
	}
	if _, err = place("bo"); err != nil {
		t.Fatal(err)
	}
	if _, err = place("cy"); limit(err) != engine.OrdersPerOwner {
		t.Fatal(err)
	}
	s.move(&first, engine.MoveCancel)
	if _, err = place("ana"); err != nil {
		t.Fatal(err)
	}
	s.Clock.Advance(5 * time.Hour) // all are due, whether or not anybody has swept
	for range 2 {
		if _, err = place("ana"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err = place("ana"); limit(err) != engine.OrdersPerCustomer {
		t.Fatal(err)
	}
	var over *engine.LimitError
	if errors.As(err, &over); over.Wait != 4*time.Hour {
		t.Errorf("the first of them ends in %v, want 4h", over.Wait)
	}
}

// TestAParcelOnItsWayIsNoHold: a limit is for those who hold, not for those who have bought.
func TestAParcelOnItsWayIsNoHold(t *testing.T) {
	s := &counter{enginetest.Open(t, engine.Options{OrdersPerCustomer: 1, OrdersPerOwner: 1}), t}
	s.receive(engine.Line{SKU: "lamp", Location: "lyon", Quantity: 100})
	ask := engine.PlaceOrderRequest{
		Lines: []engine.Line{{SKU: "lamp", Location: "lyon", Quantity: 2}}, Customer: engine.Person{Reference: "ana"}, Owner: "shop",
		Fulfilment: engine.ShipHome, Payment: engine.OnlinePaid,
	}
	var over *engine.LimitError
	for range 2 {
		o := s.order(ask)
		s.move(&o, engine.MoveDispatch, lines(engine.OrderQuantity{SKU: "lamp", Quantity: 1}))
		if _, err := s.PlaceOrder(&ask); !errors.As(err, &over) {
			t.Fatalf("one lamp is held still: %v", err)
		}
		s.move(&o, engine.MoveDispatch)
		s.Restart()
	}
}

func (s *counter) available(sku, location string, want int64) {
	s.t.Helper()
	if c, err := s.Availability(sku, location); err != nil || c.Available != want {
		s.t.Fatalf("%d of %s are available at %s, %v; want %d", c.Available, sku, location, err, want)
	}
}

func TestAnOrderIsSentToItsStore(t *testing.T) {
	s := openCounter(t)
	o := s.order(engine.PlaceOrderRequest{
		Lines:    []engine.Line{{SKU: "lamp", Location: "depot", Quantity: 4}, {SKU: "bulb", Location: "lyon", Quantity: 2}},
		Location: "lyon", Fulfilment: engine.PickupAfter, Reference: "A-9",
	})
	s.move(&o, engine.MoveAccept)
	s.refused(&o, engine.MoveReady)
	s.move(&o, engine.MoveDispatch)
	if o.State != engine.InTransit || len(o.Transfers) != 1 {
		t.Fatalf("%+v", o)
	}
	s.stock("lamp", "depot", 46, 0)
	s.stock("lamp", engine.TransitName("lyon"), 4, 4)
	s.available("lamp", engine.TransitName("lyon"), 0)
	transfer, err := s.Transfer(o.Transfers[0])
	if err != nil || transfer.State != engine.TransferInTransit || transfer.Order != o.ID {
		t.Fatalf("%+v, %v", transfer, err)
	}
	// Three have arrived, one was lost: through the transfer, as the store's staff books what comes.
	transfer, err = s.ReceiveTransfer(&engine.TransferMove{ID: transfer.ID, Lines: []engine.TransferUnits{{SKU: "lamp", Units: 3}}, Close: true, Key: "k"})
	if err != nil || transfer.State != engine.TransferReceived || transfer.Lines[0].Lost != 1 {
		t.Fatalf("%+v, %v", transfer, err)
	}
	again, err := s.ReceiveTransfer(&engine.TransferMove{ID: transfer.ID, Lines: []engine.TransferUnits{{SKU: "lamp", Units: 3}}, Close: true, Key: "k"})
	if err != nil || again.Sequence != transfer.Sequence {
		t.Fatalf("a retry answers %+v, %v", again, err)
	}
	s.stock("lamp", "lyon", 8, 3)
	s.stock("lamp", engine.TransitName("lyon"), 0, 0)
	if o, err = s.Order(o.ID); err != nil || o.State != engine.OrderShort || o.Lines[0].Missing+o.Lines[1].Missing != 1 || len(o.Transfers) != 0 {
		t.Fatalf("%+v, %v", o, err)
	}
	s.move(&o, engine.MoveReady)
	s.move(&o, engine.MoveCollect, withCode(o.Code))
	s.stock("lamp", "lyon", 5, 0)
}

func TestUnitsOfAnOrderThatEndsOnTheWayArriveForAnybody(t *testing.T) {
	s := openCounter(t)
	o := s.order(engine.PlaceOrderRequest{
		Lines: []engine.Line{{SKU: "lamp", Location: "depot", Quantity: 4}}, Location: "lyon", Fulfilment: engine.PickupAfter,
	})
	s.move(&o, engine.MoveDispatch)
	id := o.Transfers[0]
	s.move(&o, engine.MoveCancel)
	s.stock("lamp", engine.TransitName("lyon"), 4, 0)
	if _, err := s.ReceiveTransfer(&engine.TransferMove{ID: id}); err != nil {
		t.Fatal(err)
	}
	s.available("lamp", "lyon", 9)
}

func TestMissingUnitsAreSentFromElsewhere(t *testing.T) {
	s := openCounter(t)
	put := func(id string, latitude float64) {
		d, err := engine.NewDetails(engine.LocationDetails{Position: &engine.Position{Latitude: latitude, Longitude: 5}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.PutLocation(engine.Location{ID: id, Details: d}, ""); err != nil {
			t.Fatal(err)
		}
	}
	put("lyon", 45)
	put("nice", 44)
	put("depot", 40)
	o := s.order(engine.PlaceOrderRequest{Lines: twoLines(), OnShort: engine.OnShortTransfer})
	s.move(&o, engine.MovePick)
	s.move(&o, engine.MoveShort, lines(engine.OrderQuantity{SKU: "lamp", Quantity: 1}))
	if o.Move != engine.MoveReroute || o.State != engine.Picking {
		t.Fatalf("%+v", o)
	}
	s.stock("lamp", "lyon", 4, 1)
	s.stock("lamp", "nice", 2, 1)
	s.move(&o, engine.MoveDispatch)
	s.move(&o, engine.MoveReceive)
	s.stock("lamp", "nice", 1, 0)
	s.stock("lamp", "lyon", 5, 2)
	s.move(&o, engine.MoveReady)
	s.move(&o, engine.MoveCollect, withCode(o.Code))

	o = s.order(engine.PlaceOrderRequest{Lines: []engine.Line{{SKU: "lamp", Location: "lyon", Quantity: 2}}, OnShort: engine.OnShortMove})
	s.move(&o, engine.MovePick)
	s.move(&o, engine.MoveShort, lines(engine.OrderQuantity{SKU: "lamp", Quantity: 2}))
	if o.Location != "depot" || o.State != engine.Placed || o.Move != engine.MoveReroute {
		t.Fatalf("%+v", o)
	}
	s.stock("lamp", "lyon", 1, 0)
	s.stock("lamp", "depot", 50, 2)
}

func TestAnOrderHoldsASlotAndACompartment(t *testing.T) {
	s := openCounter(t)
	opens, closes := hours.Minute(9*60), hours.Minute(18*60)
	week := []hours.Regular{{
		Days:     []hours.Day{hours.Monday, hours.Tuesday, hours.Wednesday, hours.Thursday, hours.Friday, hours.Saturday, hours.Sunday},
		Interval: hours.Interval{Opens: &opens, Closes: &closes},
	}}
	d, err := engine.NewDetails(engine.LocationDetails{
		Schedule:     hours.Schedule{Zone: "Europe/Paris", Regular: week},
		PickupSlots:  &engine.PickupSlots{Interval: 60, Capacity: 1, DaysAhead: 7},
		Compartments: []engine.Compartment{{Size: "S", Count: 1}, {Size: "L", Count: 1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutLocation(engine.Location{ID: "lyon", Details: d}, ""); err != nil {
		t.Fatal(err)
	}
	slots, _, err := s.Slots(nil, "lyon", time.Time{}, 2, 10)
	if err != nil || len(slots) < 4 {
		t.Fatalf("%+v, %v", slots, err)
	}
	ask := engine.PlaceOrderRequest{
		Lines: []engine.Line{{SKU: "bulb", Location: "lyon", Quantity: 1}}, Slot: slots[2].Start, Compartment: "S",
	}
	o := s.order(ask)
	if !o.Slot.Equal(slots[2].Start) || o.Compartment != "S" || !o.SlotEnd.Equal(slots[2].End) {
		t.Fatalf("%+v", o)
	}
	var refused *engine.RefusedError
	if _, err = s.PlaceOrder(&ask); !errors.As(err, &refused) || len(refused.NextSlots) == 0 || len(refused.LargerCompartments) != 1 {
		t.Fatalf("%+v, %v", refused, err)
	}
	s.stock("bulb", "lyon", 20, 1) // nothing else was held
	ask.Slot, ask.Compartment = refused.NextSlots[0].Start, "L"
	held, err := s.Reserve(&engine.ReserveRequest{Lines: ask.Lines})
	if err != nil {
		t.Fatal(err)
	}
	onHold := ask
	onHold.Reservation, onHold.Lines = held.ID, nil
	other := s.order(onHold)
	if other.Compartment != "L" {
		t.Fatalf("%+v", other)
	}
	if err := s.refused(&other, engine.MoveReschedule, func(r *engine.MoveRequest) { r.Slot = slots[2].Start }); !errors.As(err, &refused) {
		t.Fatal(err)
	}
	s.move(&other, engine.MoveReschedule, func(r *engine.MoveRequest) { r.Slot = slots[0].Start })
	s.move(&o, engine.MoveReady)
	s.move(&o, engine.MoveCollect, withCode(o.Code))
	s.stock("bulb", "lyon", 19, 1)
	if again := s.order(engine.PlaceOrderRequest{Lines: ask.Lines, Slot: slots[2].Start, Compartment: "S"}); again.Compartment != "S" {
		t.Fatalf("%+v", again)
	}
	pick, _, err := s.PickList("lyon")
	if err != nil || len(pick) != 0 {
		t.Fatalf("%+v, %v", pick, err)
	}
}
