package engine_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"onhand/engine"
	"onhand/engine/enginetest"
)

// everythingOf tells all orders, their reservations and all cells.
func everythingOf(t *testing.T, e *engine.Engine) string {
	t.Helper()
	var parts []string
	for cursor, more := (engine.OrderCursor{}), true; more; more = !cursor.Done() {
		page, next, err := e.Orders(engine.OrderFilter{States: engine.OrderStates()}, cursor, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page {
			re, err := e.Reservation(o.Reservation)
			parts = append(parts, answer(o, re, err))
		}
		cursor = next
	}
	slices.Sort(parts) // by id
	if err := e.EachCell("", "", func(c *engine.Cell) error { parts = append(parts, fmt.Sprintf("%+v\n", *c)); return nil }); err != nil {
		t.Fatal(err)
	}
	return strings.Join(parts, "")
}

// orderMoment is a move, and how an order comes to where it can be made.
type orderMoment struct {
	name    string
	place   engine.PlaceOrderRequest
	before  []engine.MoveRequest
	due     bool // its deadline passes first
	request engine.MoveRequest
	do      func(s *counter, o *engine.Order) error // instead of the request
}

func orderMoments() []orderMoment {
	asked := func(moves ...engine.OrderMove) (all []engine.MoveRequest) {
		for _, m := range moves {
			all = append(all, engine.MoveRequest{Move: m})
		}
		return all
	}
	bulb := []engine.OrderQuantity{{SKU: "bulb", Quantity: 1}}
	of := func(m engine.OrderMove) engine.MoveRequest { return engine.MoveRequest{Move: m} }
	pending := engine.PlaceOrderRequest{Payment: engine.OnlinePending}
	paid := engine.PlaceOrderRequest{Payment: engine.OnlinePaid}
	home := engine.PlaceOrderRequest{Payment: engine.OnlinePaid, Fulfilment: engine.ShipHome}
	ready, collected := asked(engine.MoveReady), asked(engine.MoveReady, engine.MoveCollect)
	return []orderMoment{
		{name: "place", do: func(s *counter, _ *engine.Order) error {
			_, err := s.PlaceOrder(&engine.PlaceOrderRequest{Lines: twoLines(), Customer: engine.Person{Name: "Bo"}})
			return err
		}},
		{name: "place on what is held", do: func(s *counter, _ *engine.Order) error {
			held, _, err := s.Reservations(engine.ReservationFilter{Reference: "cart"}, engine.ReservationCursor{}, 1)
			if err == nil {
				_, err = s.PlaceOrder(&engine.PlaceOrderRequest{Reservation: held[0].ID})
			}
			return err
		}},
		{name: "accept", request: of(engine.MoveAccept)},
		{name: "pick", before: asked(engine.MoveAccept), request: of(engine.MovePick)},
		{name: "ready", before: asked(engine.MoveAccept, engine.MovePick), request: of(engine.MoveReady)},
		{name: "collect", before: ready, request: of(engine.MoveCollect)},
		{name: "collect some", before: ready, request: engine.MoveRequest{Move: engine.MoveCollect, Lines: bulb}},
		{name: "a wrong code", before: ready, request: engine.MoveRequest{Move: engine.MoveCollect, Code: "000000"}},
		{name: "short", before: asked(engine.MovePick), request: engine.MoveRequest{Move: engine.MoveShort, Lines: bulb}},
		{name: "short, to be counted", before: asked(engine.MovePick), request: engine.MoveRequest{Move: engine.MoveShort, Lines: bulb, Recount: true}},
		{name: "short, from elsewhere", place: engine.PlaceOrderRequest{OnShort: engine.OnShortTransfer}, before: asked(engine.MovePick), request: engine.MoveRequest{Move: engine.MoveShort, Lines: bulb}},
		{name: "short, all of it elsewhere", place: engine.PlaceOrderRequest{OnShort: engine.OnShortMove}, before: asked(engine.MovePick), request: engine.MoveRequest{Move: engine.MoveShort, Lines: bulb}},
		{name: "dispatch", place: home, request: of(engine.MoveDispatch)},
		{name: "dispatch some", place: home, request: engine.MoveRequest{Move: engine.MoveDispatch, Lines: bulb}},
		{name: "deliver", place: home, before: asked(engine.MoveDispatch), request: of(engine.MoveDeliver)},
		{name: "cancel", place: paid, request: of(engine.MoveCancel)},
		{name: "cancel some", place: paid, request: engine.MoveRequest{Move: engine.MoveCancel, Lines: bulb}},
		{name: "pay", place: pending, request: engine.MoveRequest{Move: engine.MovePay, PaymentReference: "p"}},
		{name: "pay late", place: pending, due: true, request: of(engine.MovePay)},
		{name: "pay too late", place: pending, before: asked(engine.MoveCancel), request: of(engine.MovePay)},
		{name: "refund", place: paid, before: asked(engine.MoveCancel), request: of(engine.MoveRefund)},
		{name: "extend", request: engine.MoveRequest{Move: engine.MoveExtend, ExpiresIn: 100 * time.Hour}},
		{name: "arrive", before: ready, request: engine.MoveRequest{Move: engine.MoveArrive, Bay: "4"}},
		{name: "return", before: collected, request: engine.MoveRequest{Move: engine.MoveReturn, Lines: bulb}},
		{name: "return elsewhere", before: collected, request: engine.MoveRequest{Move: engine.MoveReturn, Lines: bulb, Location: "nice"}},
		{name: "erase", before: asked(engine.MoveCancel), request: of(engine.MoveErase)},
		{name: "expire", do: func(s *counter, o *engine.Order) error {
			s.Clock.Advance(o.Deadline.Sub(s.Now()))
			_, err := s.Order(o.ID)
			return err
		}},
		{name: "remind", before: ready, do: func(s *counter, o *engine.Order) error {
			s.Clock.Advance(o.RemindAt.Sub(s.Now()))
			s.Remind()
			return nil
		}},
	}
}

// begin brings an order to where the move can be made.
func (m *orderMoment) begin(s *counter) engine.Order {
	for _, at := range []string{"lyon", "nice"} {
		position := near(at).Position
		put(s.t, s.DB, engine.Location{ID: at}, engine.LocationDetails{Position: &position})
	}
	s.receive(engine.Line{SKU: "bulb", Location: "nice", Quantity: 9})
	if _, err := s.Reserve(&engine.ReserveRequest{Lines: one("bulb", "lyon"), Reference: "cart", ExpiresIn: engine.HoldMax}); err != nil {
		s.t.Fatal(err)
	}
	place := m.place
	place.Lines = twoLines()
	o := s.order(place)
	for _, r := range m.before {
		r.ID = o.ID
		if r.Move == engine.MoveCollect {
			r.Code = o.Code
		}
		moved, err := s.MoveOrder(&r)
		if err != nil {
			s.t.Fatal(err)
		}
		o = moved
	}
	if m.due {
		s.Clock.Advance(o.Deadline.Sub(s.Now()))
		s.Sweep()
	}
	return o
}

func (m *orderMoment) make(s *counter, o *engine.Order) error {
	if m.do != nil {
		return m.do(s, o)
	}
	r := m.request
	r.ID = o.ID
	if r.Move == engine.MoveCollect && r.Code == "" {
		r.Code = o.Code
	}
	_, err := s.MoveOrder(&r)
	if m.name == "a wrong code" && err != nil {
		return nil
	}
	return err
}

// TestThePowerGoesInTheMiddleOfAMove pulls the plug while a move waits for its disk, and after it was acknowledged. What a restart
// finds is the order, its reservation and its cells as they were before the move, or as they are after it; once it was
// acknowledged, as they are after it.
func TestThePowerGoesInTheMiddleOfAMove(t *testing.T) {
	t.Parallel()
	covered := map[engine.OrderMove]bool{engine.MoveReceive: true, engine.MoveReschedule: true} // of transfers and slots
	for _, m := range orderMoments() {
		t.Run(m.name, func(t *testing.T) {
			r := enginetest.Rand(t)
			s := openCounter(t)
			o := m.begin(s)
			s.Settle()
			before := everythingOf(t, s.Engine)
			last, _ := s.Digest()
			release := s.HoldSyncs()
			defer release()
			var wg sync.WaitGroup
			wg.Go(func() {
				if err := m.make(s, &o); err != nil {
					t.Error(err)
				}
			})
			for n := last; n == last && !t.Failed(); n, _ = s.Digest() {
				time.Sleep(100 * time.Microsecond)
			}
			type found struct {
				disk     string
				unsynced int
				state    string
			}
			var all []found
			recover := func(when string, unsynced int) {
				disk := enginetest.Crash(s.Disk, unsynced, rand.New(rand.NewPCG(r.Uint64(), 0)))
				after := enginetest.OpenOn(t, disk, engine.Options{})
				all = append(all, found{when, unsynced, everythingOf(t, after.Engine)})
				after.Close()
			}
			for _, unsynced := range []int{50, 0, 100} {
				if recover("while it waits", unsynced); raceDetector {
					break
				}
			}
			release()
			wg.Wait()
			s.Settle()
			recover("acknowledged", 0)
			after := everythingOf(t, s.Engine)
			if after == before {
				t.Fatal("the move has changed nothing")
			}
			for _, f := range all {
				switch {
				case f.disk == "acknowledged" && f.state != after:
					t.Errorf("acknowledged, and not there after a crash:\n%s\nit was\n%s", f.state, after)
				case f.state == after && (f.unsynced > 0 || f.disk == "acknowledged"), f.state == before:
				default:
					t.Errorf("%s, with %d %% of what was not synced:\n%s\nbefore:\n%s\nafter:\n%s", f.disk, f.unsynced, f.state, before, after)
				}
			}
		})
		covered[m.request.Move] = true
	}
	for _, m := range engine.OrderMoves() {
		if !m.Automatic() && !covered[m] {
			t.Errorf("%s is not in the table", m)
		}
	}
}

// TestOrdersMoveWhileACheckpointIsWritten has orders placed, moved and ended by several callers while checkpoints are written, and
// the power go: what is recovered is what there was, to the last bit, and a check finds nothing.
func TestOrdersMoveWhileACheckpointIsWritten(t *testing.T) {
	t.Parallel()
	seeds := enginetest.Rand(t)
	for range rounds(5) {
		s := openCounter(t)
		for _, at := range []string{"lyon", "nice"} {
			position := near(at).Position
			put(t, s.DB, engine.Location{ID: at}, engine.LocationDetails{Position: &position})
			for _, sku := range []string{"lamp", "bulb"} {
				s.receive(engine.Line{SKU: sku, Location: at, Quantity: 10_000})
			}
		}
		done := make(chan struct{})
		var callers sync.WaitGroup
		for range 4 {
			r := rand.New(rand.NewPCG(seeds.Uint64(), 1))
			callers.Go(func() {
				for range 250 { // what they did is gone through several times
					select {
					case <-done:
						return
					default:
						s.oneLife(r)
					}
				}
			})
		}
		for range 4 {
			if err := s.Checkpoint(); err != nil {
				t.Fatal(err)
			}
			s.Clock.Advance(10 * time.Minute) // some expire, some are paid late
			time.Sleep(5 * time.Millisecond)
		}
		if err := s.Checkpoint(); err != nil {
			t.Fatal(err)
		}
		close(done)
		callers.Wait()
		s.Sweep()
		s.Remind()
		before := everythingOf(t, s.Engine)
		sequence, digest := s.Digest()
		s.DB.Crash(0, rand.New(rand.NewPCG(seeds.Uint64(), 2)))
		if n, d := s.Digest(); n != sequence || d != digest {
			t.Errorf("recovered to state %016x at %d, it was %016x at %d", d, n, digest, sequence)
		}
		if after := everythingOf(t, s.Engine); after != before {
			t.Errorf("recovered\n%s\nit was\n%s", after, before)
		}
		s.DB.Close()
	}
}

// oneLife places an order and moves it any way; what is refused is refused.
func (s *counter) oneLife(r *rand.Rand) {
	o, err := s.PlaceOrder(&engine.PlaceOrderRequest{
		Lines: twoLines(), Payment: []engine.PaymentTerms{engine.OnlinePaid, engine.OnlinePending, engine.PayInStore}[r.IntN(3)],
		OnShort: []engine.OnShort{engine.OnShortAsk, engine.OnShortTransfer, engine.OnShortMove}[r.IntN(3)], Key: fmt.Sprint(r.Uint64()),
	})
	if err != nil {
		if none := (*engine.RefusedError)(nil); !errors.As(err, &none) {
			s.t.Error(err)
		}
		return
	}
	moves := engine.OrderMoves()
	for range r.IntN(12) {
		m := engine.MoveRequest{ID: o.ID, Move: moves[r.IntN(len(moves))], Code: o.Code}
		if m.Move == engine.MoveShort || m.Move == engine.MoveReturn || r.IntN(3) == 0 {
			m.Lines = []engine.OrderQuantity{{SKU: []string{"lamp", "bulb"}[r.IntN(2)], Quantity: 1}}
		}
		_, _ = s.MoveOrder(&m)
	}
}
