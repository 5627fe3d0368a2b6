package engine_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"onhand/engine"
	"onhand/engine/enginetest"
)

// atOnce runs functions at the same time, as far as the machine has it.
func atOnce(run ...func()) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for _, f := range run {
		wg.Go(func() { <-start; f() })
	}
	close(start)
	wg.Wait()
}

// attempt is a move that somebody makes while others make theirs.
type attempt struct {
	r   engine.MoveRequest
	out engine.Order
	err error
}

// race has all attempts made at once, and time pass between them where d is not 0.
func (s *counter) race(o *engine.Order, d time.Duration, attempts ...*attempt) {
	s.t.Helper()
	var all []func()
	for _, a := range attempts {
		a.r.ID = o.ID
		all = append(all, func() { a.out, a.err = s.MoveOrder(&a.r) })
	}
	if d > 0 {
		all = append(all, func() { s.Clock.Advance(d) })
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	atOnce(all...)
	for _, a := range attempts {
		if state := (*engine.OrderStateError)(nil); a.err != nil && !errors.As(a.err, &state) {
			s.t.Fatalf("%s: %v", a.r.Move, a.err)
		}
	}
	var err error
	if *o, err = s.Order(o.ID); err != nil {
		s.t.Fatal(err)
	}
}

// TestOneOrderManyHands has a bag collected, its order cancelled, and its deadline passed at the same moment, by several of each:
// one of these happens, once, and its units are sold once or free once.
func TestOneOrderManyHands(t *testing.T) {
	t.Parallel()
	s := openCounter(t)
	won := map[engine.OrderState]int{}
	sold := int64(0)
	for range enginetest.Times(100) {
		o := s.order(engine.PlaceOrderRequest{Lines: []engine.Line{{SKU: "bulb", Location: "depot", Quantity: 1}}})
		s.move(&o, engine.MoveReady)
		var all []*attempt
		for range 3 {
			all = append(all, &attempt{r: engine.MoveRequest{Move: engine.MoveCollect, Code: o.Code}}, &attempt{r: engine.MoveRequest{Move: engine.MoveCancel}})
		}
		passes := time.Duration(0)
		if rand.IntN(2) == 0 {
			passes = o.Deadline.Sub(s.Now())
		}
		s.race(&o, passes, all...)
		moved := 0
		for _, a := range all {
			if a.err == nil {
				moved++
			}
		}
		if o.Live() || moved > 1 || (moved == 0) != (o.State == engine.OrderExpired) {
			t.Fatalf("%d moves were made: %+v", moved, o)
		}
		if won[o.State]++; o.State == engine.Collected {
			if sold++; sold == 40 {
				s.receive(engine.Line{SKU: "bulb", Location: "depot", Quantity: 40})
				sold = 0
			}
		}
		s.stock("bulb", "depot", 50-sold, 0)
	}
	t.Logf("who came first: %v", won)
}

// TestAPaymentAtTheLastMoment has a payment arrive while its order's deadline passes and its customer cancels: the money is paid for
// units that are held, or is to be paid back; and the same payment told twice counts once.
func TestAPaymentAtTheLastMoment(t *testing.T) {
	t.Parallel()
	s := openCounter(t)
	ends := map[string]int{}
	for range enginetest.Times(100) {
		o := s.order(engine.PlaceOrderRequest{Lines: []engine.Line{{SKU: "bulb", Location: "lyon", Quantity: 20}}, Payment: engine.OnlinePending})
		all := []*attempt{{r: engine.MoveRequest{Move: engine.MovePay}}, {r: engine.MoveRequest{Move: engine.MovePay}}}
		if rand.IntN(2) == 0 {
			all = append(all, &attempt{r: engine.MoveRequest{Move: engine.MoveCancel}})
		}
		s.race(&o, o.Deadline.Sub(s.Now()), all...)
		if (all[0].err == nil) == (all[1].err == nil) {
			t.Fatalf("the payment was told twice: %v, %v", all[0].err, all[1].err)
		}
		held := int64(0)
		if o.Live() {
			held = 20
		}
		s.stock("bulb", "lyon", 20, held)
		if want := map[bool]engine.PaymentState{true: engine.PaymentPaid, false: engine.PaymentRefundDue}[o.Live()]; o.Payment != want {
			t.Fatalf("the order is %s, its payment %s", o.State, o.Payment)
		}
		ends[fmt.Sprint(o.State, " ", o.Payment)]++
		if o.Live() {
			s.move(&o, engine.MoveCancel)
		}
	}
	t.Log(ends)
}

// TestAnOrderIsAcceptedOrCancelled: who accepts an order that is cancelled at the same moment is told so.
func TestAnOrderIsAcceptedOrCancelled(t *testing.T) {
	t.Parallel()
	s := openCounter(t)
	for range enginetest.Times(100) {
		o := s.order(engine.PlaceOrderRequest{Lines: twoLines()})
		var all []*attempt
		for range 2 {
			for _, m := range []engine.OrderMove{engine.MoveAccept, engine.MovePick, engine.MoveCancel} {
				all = append(all, &attempt{r: engine.MoveRequest{Move: m}})
			}
		}
		s.race(&o, 0, all...)
		counts := map[engine.OrderMove]int{}
		for _, a := range all {
			if a.err == nil {
				counts[a.r.Move]++
			}
		}
		if o.State != engine.Cancelled || counts[engine.MoveCancel] != 1 || counts[engine.MoveAccept] > 1 || counts[engine.MovePick] > 1 ||
			len(o.History) != 1+counts[engine.MoveAccept]+counts[engine.MovePick]+1 {
			t.Fatalf("%v: %+v", counts, o)
		}
		s.stock("lamp", "lyon", 5, 0)
	}
}

// TestTwoThousandCustomersForOneUnit has them all order the last unit, at a store or at whichever is nearest: one order is placed.
func TestTwoThousandCustomersForOneUnit(t *testing.T) {
	t.Parallel()
	for _, near := range []bool{false, true} {
		db := enginetest.Open(t, engine.Options{})
		street(t, db, "a", "b", "c")
		setOnHand(t, db, "console", "b", 1)
		var placed, refused atomic.Int64
		var customers []func()
		for n := range 2000 {
			r := engine.PlaceOrderRequest{Lines: []engine.Line{{SKU: "console", Location: "b", Quantity: 1}}, Customer: engine.Person{Reference: fmt.Sprint("c-", n)}}
			if near {
				r.Lines[0].Location, r.Find = "", &engine.FindLocation{}
			}
			customers = append(customers, func() {
				_, err := db.PlaceOrder(&r)
				if none := (*engine.RefusedError)(nil); errors.As(err, &none) {
					refused.Add(1)
				} else if err != nil {
					t.Error(err)
				} else {
					placed.Add(1)
				}
			})
		}
		atOnce(customers...)
		if placed.Load() != 1 || refused.Load() != 1999 {
			t.Errorf("near %t: %d orders were placed, %d refused", near, placed.Load(), refused.Load())
		}
		if c, err := db.Availability("console", "b"); err != nil || c.Held != 1 || c.OnHand != 1 {
			t.Errorf("%+v, %v", c, err)
		}
		if counts, _, err := db.OrderCounts("b"); err != nil || counts[engine.Placed] != 1 {
			t.Errorf("%v, %v", counts, err)
		}
		db.Close()
	}
}

// TestOneKeyMovesOnce has the same request sent by many at once under one key: it is carried out once, and all are told the same.
func TestOneKeyMovesOnce(t *testing.T) {
	t.Parallel()
	s := openCounter(t)
	same := func(what string, ask func() (engine.Order, error)) (first engine.Order) {
		const askers = 40
		var answers [askers]engine.Order
		var all []func()
		for i := range askers {
			all = append(all, func() {
				var err error
				if answers[i], err = ask(); err != nil {
					t.Errorf("%s: %v", what, err)
				}
			})
		}
		atOnce(all...)
		for i := range answers {
			if answer(answers[i]) != answer(answers[0]) {
				t.Fatalf("%s was answered\n%s\nand\n%s", what, answer(answers[0]), answer(answers[i]))
			}
		}
		return answers[0]
	}
	o := same("an order", func() (engine.Order, error) {
		return s.PlaceOrder(&engine.PlaceOrderRequest{Lines: twoLines(), Payment: engine.OnlinePaid, Key: "place"})
	})
	s.stock("lamp", "lyon", 5, 2)
	moves := []engine.MoveRequest{
		{Move: engine.MoveAccept}, {Move: engine.MovePick}, {Move: engine.MoveShort, Lines: []engine.OrderQuantity{{SKU: "bulb", Quantity: 1}}},
		{Move: engine.MoveReady}, {Move: engine.MoveExtend, ExpiresIn: 100 * time.Hour}, {Move: engine.MoveCancel, Lines: []engine.OrderQuantity{{SKU: "bulb", Quantity: 1}}},
		{Move: engine.MoveCollect, Code: o.Code}, {Move: engine.MoveReturn, Lines: []engine.OrderQuantity{{SKU: "lamp", Quantity: 1}}}, {Move: engine.MoveRefund},
	}
	for i := range moves {
		r := moves[i]
		r.ID, r.Key = o.ID, fmt.Sprint("move ", i)
		moved := same(r.Move.String(), func() (engine.Order, error) { r := r; return s.MoveOrder(&r) })
		if len(moved.History) != i+2 {
			t.Fatalf("%s was carried out more than once: %+v", r.Move, moved.History)
		}
	}
	s.stock("lamp", "lyon", 4, 0)
	s.stock("bulb", "lyon", 17, 0)
	r := moves[0]
	r.ID, r.Key, r.By = o.ID, "move 0", "somebody else"
	if _, err := s.MoveOrder(&r); !errors.Is(err, engine.ErrKeyReused) {
		t.Errorf("another request under the same key: %v", err)
	}
	// A wrong code is counted once for one key.
	o = s.order(engine.PlaceOrderRequest{Lines: []engine.Line{{SKU: "bulb", Location: "depot", Quantity: 1}}})
	s.move(&o, engine.MoveReady)
	var all []func()
	for range 20 {
		all = append(all, func() {
			_, err := s.MoveOrder(&engine.MoveRequest{ID: o.ID, Move: engine.MoveCollect, Code: "000000", Key: "wrong"})
			if wrong := (*engine.CodeError)(nil); !errors.As(err, &wrong) || wrong.Wrong != 1 {
				t.Errorf("a wrong code: %v", err)
			}
		})
	}
	atOnce(all...)
}

// TestALatePaymentFindsWhatIsFreeAtThatInstant: what somebody else held until now is there for the order that is paid now, swept or
// not.
func TestALatePaymentFindsWhatIsFreeAtThatInstant(t *testing.T) {
	t.Parallel()
	s := openCounter(t)
	all := []engine.Line{{SKU: "lamp", Location: "lyon", Quantity: 5}}
	for range enginetest.Times(20) {
		o := s.order(engine.PlaceOrderRequest{Lines: all, Payment: engine.OnlinePending})
		s.Clock.Advance(o.Deadline.Sub(s.Now()))
		other, err := s.Reserve(&engine.ReserveRequest{Lines: all, ExpiresIn: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		s.Clock.Advance(other.Expires.Sub(s.Now()))
		s.move(&o, engine.MovePay)
		if o.State != engine.Placed {
			t.Fatalf("%+v", o)
		}
		s.move(&o, engine.MoveCancel)
	}
}
