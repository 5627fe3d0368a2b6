package engine_test

import (
	"errors"
	"testing"
	"time"

	"onhand/engine"
	"onhand/engine/enginetest"
)

// erasedShop has an order that was held three ways: as a cart, as an order that expired unpaid, and anew once it was paid late.
type erasedShop struct {
	*counter
	order         engine.Order
	cart, retaken engine.ID
	other         engine.ID // a cart of the same customer that nothing was ordered of
}

func openErasedShop(t *testing.T, options engine.Options) *erasedShop {
	s := &erasedShop{counter: &counter{enginetest.Open(t, options), t}}
	s.receive(engine.Line{SKU: "lamp", Location: "lyon", Quantity: 5})
	reserve := func() engine.ID {
		r, err := s.Reserve(&engine.ReserveRequest{Lines: []engine.Line{{SKU: "lamp", Location: "lyon", Quantity: 1}}, Reference: "c-7"})
		if err != nil {
			t.Fatal(err)
		}
		return r.ID
	}
	s.cart, s.other = reserve(), reserve()
	if _, err := s.extend(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Release(&engine.FinishRequest{ID: s.other}); err != nil {
		t.Fatal(err)
	}
	s.order = s.counter.order(engine.PlaceOrderRequest{Reservation: s.cart, Payment: engine.OnlinePending, Customer: engine.Person{Reference: "c-7"}})
	s.Pass(24 * time.Hour / 4)
	s.move(&s.order, engine.MovePay)
	if s.retaken = s.order.Reservation; s.retaken == s.cart {
		t.Fatal("the order that was paid late is held by its cart")
	}
	s.move(&s.order, engine.MoveCancel)
	return s
}

// extend answers a retry as it did the first request.
func (s *erasedShop) extend() (engine.Reservation, error) {
	return s.Extend(s.cart, time.Hour, time.Time{}, "longer")
}

// tells checks who the reservations are told to be for, read in every way.
func (s *erasedShop) tells(of map[engine.ID]string) {
	s.t.Helper()
	for id, want := range of {
		if r, err := s.Reservation(id); err != nil || r.Reference != want {
			s.t.Errorf("%s is for %q, %v; want %q", engine.FormatID(id), r.Reference, err, want)
		}
	}
	for _, f := range []engine.ReservationFilter{{}, {Reference: "c-7"}, {Location: "lyon", Reference: "c-7"}} {
		found := make(map[engine.ID]bool)
		for cursor := (engine.ReservationCursor{}); !cursor.Done(); {
			var page []engine.Reservation
			var err error
			if page, cursor, err = s.Reservations(f, cursor, 10); err != nil {
				s.t.Fatal(err)
			}
			for _, r := range page {
				found[r.ID] = true
				if r.Reference != of[r.ID] {
					s.t.Errorf("%s is listed for %q, want %q", engine.FormatID(r.ID), r.Reference, of[r.ID])
				}
			}
		}
		for id, want := range of {
			if found[id] != (f.Reference == "" || want == f.Reference) {
				s.t.Errorf("%s, for %q, is found %t by %+v", engine.FormatID(id), want, found[id], f)
			}
		}
	}
	err := s.Changes(0, func(c *engine.Change) error {
		if c.Reservation != nil && c.Reservation.Reference != of[c.Reservation.ID] {
			s.t.Errorf("the feed says, at %d, %s, that %s is for %q", c.Sequence, c.Kind, engine.FormatID(c.Reservation.ID), c.Reservation.Reference)
		}
		return nil
	})
	if err != nil && !errors.Is(err, engine.ErrNotRetained) {
		s.t.Fatal(err)
	}
	if again, err := s.extend(); err != nil || again.Reference != of[s.cart] {
		s.t.Errorf("a retry is answered for %q, %v", again.Reference, err)
	}
}

// TestAnErasedOrdersReservationsNameNobody: neither those that held it, in what is on record of before too, nor a search by who it was.
// What the customer did besides is not the order's.
func TestAnErasedOrdersReservationsNameNobody(t *testing.T) {
	s := openErasedShop(t, engine.Options{})
	before := map[engine.ID]string{s.cart: "c-7", s.retaken: "c-7", s.other: "c-7"}
	erased := map[engine.ID]string{s.cart: "", s.retaken: "", s.other: "c-7"}
	s.tells(before)
	s.move(&s.order, engine.MoveErase)
	s.tells(erased)
	s.Restart()
	s.tells(erased)
	if err := s.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	s.Restart()
	s.tells(erased)
}

// TestWhatWasErasedStaysSo: where orders are kept for a shorter time than reservations that have ended, and where many others have
// ended since.
func TestWhatWasErasedStaysSo(t *testing.T) {
	s := openErasedShop(t, engine.Options{OrderRetention: time.Hour})
	erased := map[engine.ID]string{s.cart: "", s.retaken: "", s.other: "c-7"}
	s.move(&s.order, engine.MoveErase)
	s.Clock.Advance(2 * time.Hour)
	s.ForgetOrders()
	if _, err := s.Order(s.order.ID); !errors.As(err, new(*engine.UnknownError)) {
		t.Fatalf("an order is kept for too long: %v", err)
	}
	s.tells(erased)
	if err := s.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	s.Restart()
	s.tells(erased)
	s.Clock.Advance(23 * time.Hour)
	s.ForgetOrders()
	if n := s.Stats().Orders; n != 0 {
		t.Fatalf("%d orders are kept for ever", n)
	}
}

// TestAReservationIDUsedAgainIsAnother: what a caller holds anew under the id of an erased order's reservation is not that order's.
func TestAReservationIDUsedAgainIsAnother(t *testing.T) {
	s := openErasedShop(t, engine.Options{})
	s.move(&s.order, engine.MoveErase)
	s.Clock.Advance(25 * time.Hour)
	s.ForgetWindow()
	lamp := []engine.Line{{SKU: "lamp", Location: "lyon", Quantity: 1}}
	if _, err := s.Reserve(&engine.ReserveRequest{ID: s.cart, Lines: lamp, Reference: "c-9"}); err != nil {
		t.Fatal(err)
	}
	if r, err := s.Reservation(s.cart); err != nil || r.Reference != "c-9" {
		t.Fatalf("%+v, %v", r, err)
	}
	if found, _, err := s.Reservations(engine.ReservationFilter{Reference: "c-9"}, engine.ReservationCursor{}, 10); err != nil || len(found) != 1 {
		t.Fatalf("%+v, %v", found, err)
	}
}
