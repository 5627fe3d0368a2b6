package engine_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"onhand/engine"
	"onhand/engine/enginetest"
)

// ways are how an order of two lamps and four bulbs comes to each state.
var ways = map[engine.OrderState][]engine.OrderMove{
	engine.Placed: nil, engine.Accepted: {engine.MoveAccept}, engine.Picking: {engine.MovePick}, engine.Ready: {engine.MoveReady},
	engine.OrderShort: {engine.MovePick, engine.MoveShort}, engine.InTransit: {engine.MoveDispatch},
	engine.Collected: {engine.MoveReady, engine.MoveCollect}, engine.Cancelled: {engine.MoveCancel}, engine.OrderExpired: {engine.MoveExpire},
	engine.Returned: {engine.MoveReady, engine.MoveCollect, engine.MoveReturn},
}

// in returns an order in a state.
func (s *counter) in(state engine.OrderState) engine.Order {
	s.t.Helper()
	place := engine.PlaceOrderRequest{Lines: twoLines(), Payment: engine.OnlinePaid}
	if state == engine.InTransit {
		place.Fulfilment = engine.ShipHome
	}
	o := s.order(place)
	for _, m := range ways[state] {
		if m == engine.MoveExpire {
			s.Clock.Advance(o.Deadline.Sub(s.Now()))
			s.Sweep()
			continue
		}
		s.move(&o, m, func(r *engine.MoveRequest) {
			r.Code = o.Code
			if m == engine.MoveShort || m == engine.MoveReturn {
				r.Lines = []engine.OrderQuantity{{SKU: "bulb", Quantity: 1}}
			}
		})
	}
	o, err := s.Order(o.ID)
	if err != nil || o.State != state {
		s.t.Fatalf("%+v, %v; should be %s", o, err, state)
	}
	return o
}

// TestEveryIllegalMoveIsRefused asks, in every state, for every move that it does not allow, with arguments that are sound otherwise:
// each is answered with the present state, and nothing has changed. A move that is no request is refused as such.
func TestEveryIllegalMoveIsRefused(t *testing.T) {
	t.Parallel()
	refused := 0
	for _, state := range engine.OrderStates() {
		t.Run(state.String(), func(t *testing.T) {
			s := openCounter(t)
			o := s.in(state)
			for _, m := range engine.OrderMoves() {
				r := engine.MoveRequest{ID: o.ID, Move: m, Code: o.Code, Lines: []engine.OrderQuantity{{SKU: "bulb", Quantity: 1}}, Slot: s.Now()}
				sequence, digest := s.Digest()
				before := everythingOf(t, s.Engine)
				_, err := s.MoveOrder(&r)
				wrong := (*engine.OrderStateError)(nil)
				switch {
				case m.Automatic():
					if !errors.As(err, new(*engine.InvalidError)) {
						t.Errorf("%s was asked for: %v", m, err)
					}
				case slices.Contains(allowed(m), state) != slices.Contains(m.From(), state):
					t.Errorf("%s from %s: the engine's table and the model's differ", m, state)
				case slices.Contains(allowed(m), state):
					// The model and the tests of each move are for these.
					if err == nil {
						s.Close()
						s = openCounter(t)
						o = s.in(state)
						continue
					}
				default:
					refused++
					if !errors.As(err, &wrong) || wrong.State != state || wrong.Move != m || wrong.ID != o.ID || wrong.Sequence != o.Sequence || wrong.Why != "" {
						t.Errorf("%s from %s: %v", m, state, err)
					}
				}
				if n, d := s.Digest(); err != nil && (n != sequence || d != digest || everythingOf(t, s.Engine) != before) {
					t.Errorf("%s from %s was refused and has changed something", m, state)
				}
			}
		})
	}
	if refused < 60 {
		t.Errorf("only %d moves were refused", refused)
	}
}

func TestWhatIsCancelledAfterAPartWasCollectedCanStillBeReturned(t *testing.T) {
	s := openCounter(t)
	o := s.order(engine.PlaceOrderRequest{Lines: twoLines(), Payment: engine.OnlinePaid})
	s.move(&o, engine.MoveReady)
	s.move(&o, engine.MoveCollect, withCode(o.Code), lines(engine.OrderQuantity{SKU: "bulb", Quantity: 1}))
	s.move(&o, engine.MoveCancel)
	if o.State != engine.Collected || o.Payment != engine.PaymentRefundDue {
		t.Fatalf("%+v", o)
	}
	s.move(&o, engine.MoveRefund)
	s.move(&o, engine.MoveReturn, lines(engine.OrderQuantity{SKU: "bulb", Quantity: 1}))
	if o.State != engine.Returned || o.Payment != engine.PaymentRefundDue {
		t.Fatalf("%+v", o)
	}
	s.stock("bulb", "lyon", 20, 0)

	// A parcel of which the rest is cancelled is on its way.
	o = s.order(engine.PlaceOrderRequest{Lines: twoLines(), Payment: engine.OnlinePaid, Fulfilment: engine.ShipHome})
	s.move(&o, engine.MoveDispatch, lines(engine.OrderQuantity{SKU: "bulb", Quantity: 4}))
	s.move(&o, engine.MoveCancel)
	if o.State != engine.InTransit || o.Payment != engine.PaymentRefundDue {
		t.Fatalf("%+v", o)
	}
	s.stock("lamp", "lyon", 5, 0)
	s.move(&o, engine.MoveDeliver)
}

// TestAnOrderMovesToWhereItHoldsSomeOfItAlready: the cell is in the change once.
func TestAnOrderMovesToWhereItHoldsSomeOfItAlready(t *testing.T) {
	s := openCounter(t)
	for _, at := range []string{"lyon", "nice"} {
		position := near(at).Position
		put(t, s.DB, engine.Location{ID: at}, engine.LocationDetails{Position: &position})
	}
	s.receive(engine.Line{SKU: "bulb", Location: "nice", Quantity: 3})
	o := s.order(engine.PlaceOrderRequest{
		Lines:      []engine.Line{{SKU: "lamp", Location: "lyon", Quantity: 1}, {SKU: "bulb", Location: "nice", Quantity: 2}, {SKU: "bulb", Location: "lyon", Quantity: 1}},
		Fulfilment: engine.PickupAfter, Location: "lyon", OnShort: engine.OnShortMove,
	})
	s.move(&o, engine.MovePick)
	s.move(&o, engine.MoveShort, lines(engine.OrderQuantity{SKU: "lamp", Quantity: 1}))
	if o.State != engine.Placed || o.Location != "nice" || o.Move != engine.MoveReroute {
		t.Fatalf("%+v", o)
	}
	s.stock("bulb", "nice", 3, 3) // two of them were its own before
	s.stock("bulb", "lyon", 20, 0)
	s.stock("lamp", "nice", 2, 1)
	s.stock("lamp", "lyon", 4, 0)
	s.Restart()
	s.move(&o, engine.MoveReady)
	s.move(&o, engine.MoveCollect, withCode(o.Code))
	s.stock("bulb", "nice", 0, 0)
}

// TestWhatIsShortIsFoundWhereAHoldIsDue: units are free from the deadline of who held them on, whether or not a sweeper has been there.
func TestWhatIsShortIsFoundWhereAHoldIsDue(t *testing.T) {
	for _, how := range []engine.OnShort{engine.OnShortMove, engine.OnShortTransfer} {
		s := openCounter(t)
		for _, at := range []string{"lyon", "nice"} {
			position := near(at).Position
			put(t, s.DB, engine.Location{ID: at}, engine.LocationDetails{Position: &position})
		}
		o := s.order(engine.PlaceOrderRequest{Lines: []engine.Line{{SKU: "lamp", Location: "lyon", Quantity: 1}}, OnShort: how})
		s.move(&o, engine.MovePick)
		if _, err := s.Reserve(&engine.ReserveRequest{Lines: []engine.Line{{SKU: "lamp", Location: "nice", Quantity: 2}}, ExpiresIn: time.Minute}); err != nil {
			t.Fatal(err)
		}
		s.Clock.Advance(time.Minute)
		s.move(&o, engine.MoveShort, lines(engine.OrderQuantity{SKU: "lamp", Quantity: 1}))
		if o.Move != engine.MoveReroute {
			t.Fatalf("%s: %+v", how, o)
		}
		s.stock("lamp", "nice", 2, 1)
	}
}

// TestTwoTransfersBringTheSameSKU: what the one loses is not taken off what the other brings.
func TestTwoTransfersBringTheSameSKU(t *testing.T) {
	s := openCounter(t)
	o := s.order(engine.PlaceOrderRequest{
		Lines:      []engine.Line{{SKU: "lamp", Location: "depot", Quantity: 2}, {SKU: "lamp", Location: "nice", Quantity: 2}},
		Fulfilment: engine.PickupAfter, Location: "lyon",
	})
	from := func(at string) func(*engine.MoveRequest) { return func(r *engine.MoveRequest) { r.Location = at } }
	s.move(&o, engine.MoveDispatch, from("depot"))
	s.move(&o, engine.MoveDispatch, from("nice"))
	first, second := o.Transfers[0], o.Transfers[1]
	s.stock("lamp", engine.TransitName("lyon"), 4, 4)
	s.move(&o, engine.MoveReceive, func(r *engine.MoveRequest) {
		r.Transfer, r.Arrived = first, []engine.TransferUnits{{SKU: "lamp", Units: 1, Lost: 1}}
	})
	if o.State != engine.InTransit || o.Lines[0].Missing+o.Lines[1].Missing != 1 {
		t.Fatalf("%+v", o)
	}
	s.stock("lamp", "lyon", 6, 1)
	s.stock("lamp", engine.TransitName("lyon"), 2, 2)
	s.move(&o, engine.MoveReceive, func(r *engine.MoveRequest) { r.Transfer = second })
	s.stock("lamp", "lyon", 8, 3)
	s.move(&o, engine.MoveReady)
	s.move(&o, engine.MoveCollect, withCode(o.Code))
	s.stock("lamp", "lyon", 5, 0)
}

// TestAnErasedOrderThatIsPaidLateIsRefunded: there is nobody who could be told to collect it, and no code.
func TestAnErasedOrderThatIsPaidLateIsRefunded(t *testing.T) {
	s := openCounter(t)
	o := s.order(engine.PlaceOrderRequest{Lines: twoLines(), Payment: engine.OnlinePending})
	s.Clock.Advance(o.Deadline.Sub(s.Now()))
	s.Sweep()
	s.move(&o, engine.MoveErase)
	s.move(&o, engine.MovePay)
	if o.State != engine.OrderExpired || o.Payment != engine.PaymentRefundDue {
		t.Fatalf("%+v", o)
	}
	s.stock("lamp", "lyon", 5, 0)
}

func TestOnlyWhatComesBackCanBeDamaged(t *testing.T) {
	s := openCounter(t)
	o := s.order(engine.PlaceOrderRequest{Lines: twoLines()})
	for _, m := range []engine.OrderMove{engine.MoveCancel, engine.MoveShort, engine.MoveCollect} {
		invalid := (*engine.InvalidError)(nil)
		err := s.refused(&o, m, lines(engine.OrderQuantity{SKU: "bulb", Quantity: 1}, engine.OrderQuantity{SKU: "bulb", Quantity: 1, Damaged: true}))
		if !errors.As(err, &invalid) || invalid.Field != "lines[1].damaged" {
			t.Errorf("%s: %v", m, err)
		}
	}
	s.stock("bulb", "lyon", 20, 4)
}

// TestUnitsOnTheirWayAreForTransfersOnly: no order is collected there, and nothing comes back there.
func TestUnitsOnTheirWayAreForTransfersOnly(t *testing.T) {
	s := openCounter(t)
	put(t, s.DB, engine.Location{ID: "rome"}, engine.LocationDetails{})
	if _, err := s.PlanTransfer(&engine.TransferRequest{From: "lyon", To: "rome", Dispatch: true, Lines: []engine.TransferUnits{{SKU: "bulb", Units: 2}}}); err != nil {
		t.Fatal(err)
	}
	o := s.in(engine.Collected)
	way := engine.TransitName("rome")
	err := s.refused(&o, engine.MoveReturn, lines(engine.OrderQuantity{SKU: "bulb", Quantity: 1}), func(r *engine.MoveRequest) { r.Location = way })
	if !errors.As(err, new(*engine.InvalidError)) {
		t.Error(err)
	}
	_, err = s.PlaceOrder(&engine.PlaceOrderRequest{Lines: twoLines(), Fulfilment: engine.PickupAfter, Location: way})
	if !errors.As(err, new(*engine.InvalidError)) {
		t.Error(err)
	}
}

// TestALongHistoryStillEnds: after as many steps as are kept, an order goes on to its end, is refunded, and erased.
func TestALongHistoryStillEnds(t *testing.T) {
	s := openCounter(t)
	s.receive(engine.Line{SKU: "bulb", Location: "lyon", Quantity: 1000})
	o := s.order(engine.PlaceOrderRequest{Lines: []engine.Line{{SKU: "bulb", Location: "lyon", Quantity: 900}}, Payment: engine.OnlinePaid})
	s.move(&o, engine.MoveReady)
	one := lines(engine.OrderQuantity{SKU: "bulb", Quantity: 1})
	for {
		r := engine.MoveRequest{ID: o.ID, Move: []engine.OrderMove{engine.MoveCollect, engine.MoveCancel}[len(o.History)%2], Code: o.Code}
		one(&r)
		moved, err := s.MoveOrder(&r)
		if full := (*engine.OrderStateError)(nil); errors.As(err, &full) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		o = moved
	}
	if n := len(o.History); n < 200 || n >= engine.OrderStepsMax {
		t.Fatalf("%d steps were made", n)
	}
	s.Clock.Advance(o.RemindAt.Sub(s.Now()))
	s.Remind()
	if got, err := s.Order(o.ID); err != nil || got.Move != engine.MoveRemind {
		t.Fatalf("its customer is not reminded: %+v, %v", got.Move, err)
	}
	s.move(&o, engine.MoveCollect, withCode(o.Code))
	s.move(&o, engine.MoveRefund)
	s.move(&o, engine.MoveErase)
	if o.State != engine.Collected || o.Payment != engine.PaymentRefunded || !o.Erased {
		t.Fatalf("%+v", o)
	}
	s.Restart()
}

// TestWhatATillHasSoldIsNotTakenOffTwice: units that are held and were sold to somebody else are those that staff do not find.
func TestWhatATillHasSoldIsNotTakenOffTwice(t *testing.T) {
	for _, how := range []engine.OnShort{engine.OnShortAsk, engine.OnShortTransfer, engine.OnShortMove} {
		s := openCounter(t)
		for _, at := range []string{"lyon", "nice"} {
			position := near(at).Position
			put(t, s.DB, engine.Location{ID: at}, engine.LocationDetails{Position: &position})
		}
		setOnHand(t, s.DB, "cup", "lyon", 5)
		if how != engine.OnShortAsk {
			setOnHand(t, s.DB, "cup", "nice", 5)
		}
		o := s.order(engine.PlaceOrderRequest{Lines: []engine.Line{{SKU: "cup", Location: "lyon", Quantity: 5}}, OnShort: how})
		s.receive(engine.Line{SKU: "cup", Location: "lyon", Quantity: -2})
		s.move(&o, engine.MovePick)
		s.move(&o, engine.MoveShort, lines(engine.OrderQuantity{SKU: "cup", Quantity: 3}))
		if how == engine.OnShortMove {
			s.stock("cup", "lyon", 2, 0)
		} else {
			s.stock("cup", "lyon", 2, 2) // two were known to be gone, the third was not
		}
	}
}

// TestAnOrderMovesOnlyToWhereItCanBeHandedOver: to a place that has the services which it was placed with, and, for a locker, to lockers
// without compartments to choose from. What was ordered for a slot stays.
func TestAnOrderMovesOnlyToWhereItCanBeHandedOver(t *testing.T) {
	at := func(i int) *engine.Position { return &engine.Position{Longitude: float64(i) * 0.009} }
	pay := engine.ServicePayInStore
	for _, c := range []struct {
		what     string
		from     engine.LocationDetails
		fromKind engine.LocationKind
		ask      engine.PlaceOrderRequest
		to       engine.LocationDetails
		toKind   engine.LocationKind
		moves    bool
	}{
		{what: "to a counter", ask: engine.PlaceOrderRequest{}, moves: true},
		{what: "from the curbside to where there is none", ask: engine.PlaceOrderRequest{Handover: engine.AtCurbside},
			to: engine.LocationDetails{Services: []engine.Service{engine.ServiceCounter, pay}}},
		{what: "from the curbside to where there is one", ask: engine.PlaceOrderRequest{Handover: engine.AtCurbside},
			to: engine.LocationDetails{Services: []engine.Service{engine.ServiceCurbside, pay}}, moves: true},
		{what: "to where nobody pays in the store", to: engine.LocationDetails{Services: []engine.Service{engine.ServicePayOnline}}},
		{what: "called for, to where nobody takes calls", ask: engine.PlaceOrderRequest{Channel: engine.Phone},
			to: engine.LocationDetails{Services: []engine.Service{pay}}},
		{what: "from a locker to a store", fromKind: engine.Locker},
		{what: "from a locker to a store with lockers", fromKind: engine.Locker, to: engine.LocationDetails{Services: []engine.Service{engine.ServiceLocker, pay}}, moves: true},
		{what: "from a locker to a locker", fromKind: engine.Locker, toKind: engine.Locker, moves: true},
		{what: "from a locker to one with compartments", fromKind: engine.Locker, toKind: engine.Locker,
			to: engine.LocationDetails{Compartments: []engine.Compartment{{Size: "S", Count: 9}}}},
		{what: "from a compartment", fromKind: engine.Locker, from: engine.LocationDetails{Compartments: []engine.Compartment{{Size: "S", Count: 9}}},
			ask: engine.PlaceOrderRequest{Compartment: "S"}, toKind: engine.Locker},
	} {
		t.Run(c.what, func(t *testing.T) {
			s := &counter{enginetest.Open(t, engine.Options{}), t}
			c.from.Position, c.to.Position = at(0), at(1)
			put(t, s.DB, engine.Location{ID: "from", Kind: max(c.fromKind, engine.Store)}, c.from)
			put(t, s.DB, engine.Location{ID: "to", Kind: max(c.toKind, engine.Store)}, c.to)
			setOnHand(t, s.DB, "lamp", "from", 1)
			setOnHand(t, s.DB, "lamp", "to", 1)
			c.ask.Lines, c.ask.OnShort = []engine.Line{{SKU: "lamp", Location: "from", Quantity: 1}}, engine.OnShortMove
			o := s.order(c.ask)
			s.move(&o, engine.MovePick)
			s.move(&o, engine.MoveShort, lines(engine.OrderQuantity{SKU: "lamp", Quantity: 1}), func(r *engine.MoveRequest) { r.Reason = "the box was empty" })
			step := o.History[len(o.History)-1]
			if moved := o.Location == "to"; moved != c.moves {
				t.Fatalf("moved %t, want %t: %+v", moved, c.moves, o)
			} else if moved && (o.State != engine.Placed || step.Reason != `the box was empty; all of it is at "to"`) {
				t.Errorf("it is %s, because %q", o.State, step.Reason)
			}
		})
	}
}

func TestAnExtensionThatGainsNothingDoesNotCount(t *testing.T) {
	s := openCounter(t)
	put(t, s.DB, engine.Location{ID: "lyon"}, engine.LocationDetails{
		Schedule: daily("UTC", 8*60, 20*60), OrderTimes: &engine.OrderTimes{CollectUntil: &engine.CollectUntil{OpenDay: 2}, ExtensionsMax: 1},
	})
	o := s.order(engine.PlaceOrderRequest{Lines: twoLines()})
	s.move(&o, engine.MoveReady)
	s.Clock.Advance(time.Hour)
	var refused *engine.OrderStateError
	if _, err := s.MoveOrder(&engine.MoveRequest{ID: o.ID, Move: engine.MoveExtend}); !errors.As(err, &refused) {
		t.Fatalf("the second open day ends when it did: %v", err)
	}
	s.Clock.Advance(24 * time.Hour)
	before := o.Deadline
	if s.move(&o, engine.MoveExtend); o.Extensions != 1 || !o.Deadline.Equal(before.Add(24*time.Hour)) {
		t.Errorf("%+v", o)
	}
}
