package engine_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"onhand/engine"
	"onhand/engine/enginetest"
)

// openPickup is a counter whose store has hourly slots for so many orders and a locker with S and L compartments.
func openPickup(t *testing.T, places, boxes int64) *counter {
	t.Helper()
	s := &counter{enginetest.Open(t, engine.Options{}), t}
	withSlots(t, s.DB, "lyon", places, engine.Compartment{Size: "S", Count: boxes}, engine.Compartment{Size: "L", Count: boxes + 1})
	return s
}

// lampAt asks for a lamp in a slot and a compartment.
func lampAt(slot time.Time, size string) engine.PlaceOrderRequest {
	return engine.PlaceOrderRequest{Lines: []engine.Line{{SKU: "lamp", Location: "lyon", Quantity: 1}}, Slot: slot, Compartment: size}
}

func toSlot(slot time.Time) func(*engine.MoveRequest) {
	return func(r *engine.MoveRequest) { r.Slot = slot }
}

func (s *counter) taken(want string) {
	s.t.Helper()
	if got := taken(s.t, s.DB, "lyon"); got != want {
		s.t.Fatalf("taken are %q, want %q", got, want)
	}
}

// TestRacingToOrderOneSlotOneCompartmentOneUnit has two thousand customers place an order for what there is one of. One has it; the
// others are told why not and what they can have instead, and hold nothing more than before.
func TestRacingToOrderOneSlotOneCompartmentOneUnit(t *testing.T) {
	t.Parallel()
	const customers = 2000
	for _, c := range []struct {
		name                 string
		places, boxes, units int64
		held, near           bool
		reason               engine.Reason // 0 = any of them
	}{
		{"the last unit", 9, 9, 1, false, false, engine.HeldByOthers},
		{"the last compartment", 9, 1, 9, false, false, engine.LockerFull},
		{"the last place", 1, 9, 9, false, false, engine.SlotFull},
		{"one of each", 1, 1, 1, false, false, 0},
		{"the last unit nearby", 9, 9, 1, false, true, engine.HeldByOthers},
		{"the last place nearby", 1, 9, 9, false, true, engine.SlotFull},
		{"one of each nearby", 1, 1, 1, false, true, 0},
		{"the last compartment, with units held", 9, 1, customers, true, false, engine.LockerFull},
		{"the last place, with units held", 1, 9, customers, true, false, engine.SlotFull},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := openPickup(t, c.places, c.boxes)
			setOnHand(t, s.DB, "lamp", "lyon", c.units)
			ask := lampAt(inHours(1), "S")
			if c.near {
				ask.Lines[0].Location, ask.Find = "", &engine.FindLocation{}
			}
			holds := make([]engine.ID, customers)
			if c.held {
				for i := range holds {
					holds[i] = reserve(t, s.DB, engine.ReserveRequest{Lines: one("lamp", "lyon"), ExpiresIn: time.Hour}).ID
				}
			}
			var won atomic.Pointer[engine.Order]
			var wins atomic.Int64
			var wait sync.WaitGroup
			begin := make(chan struct{})
			for i := range customers {
				wait.Go(func() {
					r := ask
					r.Lines = slices.Clone(ask.Lines)
					if c.held {
						r.Lines, r.Reservation = nil, holds[i]
					}
					<-begin
					o, err := s.PlaceOrder(&r)
					if err == nil {
						won.Store(&o)
						wins.Add(1)
						return
					}
					var refused *engine.RefusedError
					if !errors.As(err, &refused) {
						t.Errorf("%v, want a refusal", err)
						return
					}
					for _, l := range refused.Lines {
						if c.reason != 0 && l.Reason != c.reason {
							t.Errorf("refused for %v, want %v", l.Reason, c.reason)
						}
						switch l.Reason {
						case engine.SlotFull:
							if len(refused.NextSlots) != 3 || !refused.NextSlots[0].Start.Equal(inHours(2)) {
								t.Errorf("offered %+v", refused.NextSlots)
							}
						case engine.LockerFull:
							if !slices.Equal(refused.LargerCompartments, []string{"L"}) {
								t.Errorf("offered %q", refused.LargerCompartments)
							}
						}
					}
				})
			}
			close(begin)
			wait.Wait()
			want := min(c.places, c.boxes, c.units)
			if wins.Load() != want {
				t.Fatalf("%d have it, want %d", wins.Load(), want)
			}
			check := func() {
				t.Helper()
				lamps := want
				if c.held {
					lamps = customers
				}
				s.stock("lamp", "lyon", c.units, lamps)
				s.taken(fmt.Sprintf("2 10:00 %d of %d, S %d of %d", want, c.places, want, c.boxes))
				if counts, _, err := s.OrderCounts("lyon"); err != nil || int64(counts[engine.Placed]) != want {
					t.Fatalf("%v, %v", counts, err)
				}
				live := int64(0)
				for cursor := (engine.ReservationCursor{}); !cursor.Done(); {
					page, next, err := s.Reservations(engine.ReservationFilter{State: engine.Held}, cursor, 1000)
					if err != nil {
						t.Fatal(err)
					}
					for i := range page {
						if live++; len(page[i].Resources) > 0 != (page[i].ID == won.Load().Reservation) && want == 1 {
							t.Errorf("reservation %x holds %+v", page[i].ID, page[i].Resources)
						}
					}
					cursor = next
				}
				if live != lamps {
					t.Errorf("%d reservations are live, want %d", live, lamps)
				}
			}
			check()
			if err := s.CheckInvariants(); err != nil {
				t.Error(err)
			}
			s.Restart()
			check()
		})
	}
}

// At the instant at which an order expires, what it held is there: for who orders, and for who asks for another slot, swept or not.
func TestAnOrdersSlotAndCompartmentAreFreeAtItsDeadline(t *testing.T) {
	for _, again := range []string{"order", "order on a hold", "near", "reschedule"} {
		t.Run(again, func(t *testing.T) {
			s := openPickup(t, 1, 1)
			setOnHand(t, s.DB, "lamp", "lyon", 9)
			first := lampAt(inHours(5), "S")
			first.Payment = engine.OnlinePending
			o := s.order(first)
			next := lampAt(inHours(5), "S")
			other := s.order(lampAt(inHours(4), "L"))
			hold := reserve(t, s.DB, engine.ReserveRequest{Lines: one("lamp", "lyon"), ExpiresIn: time.Hour})
			try := func() error {
				var err error
				switch again {
				case "near":
					next.Lines[0].Location, next.Find = "", &engine.FindLocation{}
				case "order on a hold":
					next.Lines, next.Reservation = nil, hold.ID
				case "reschedule":
					_, err = s.MoveOrder(&engine.MoveRequest{ID: other.ID, Move: engine.MoveReschedule, Slot: inHours(5)})
					return err
				}
				_, err = s.PlaceOrder(&next)
				return err
			}
			s.Clock.Advance(o.Deadline.Sub(s.Now()) - time.Millisecond)
			var refused *engine.RefusedError
			if err := try(); !errors.As(err, &refused) {
				t.Fatalf("before the deadline: %v", err)
			}
			s.Clock.Advance(time.Millisecond)
			if err := try(); err != nil {
				t.Fatalf("at the deadline: %v", err)
			}
			o, err := s.Order(o.ID)
			if err != nil || o.State != engine.OrderExpired {
				t.Fatalf("%+v, %v", o, err)
			}
			s.move(&o, engine.MovePay) // its units are there still; its slot and compartment are another's
			if o.State != engine.Placed || !o.Slot.IsZero() || o.Compartment != "" {
				t.Fatalf("%+v", o)
			}
		})
	}
}

// Whichever way an order ends, its place and compartment are free with the last of its goods.
func TestAnOrderThatEndsFreesItsSlotAndCompartment(t *testing.T) {
	for name, end := range map[string]func(s *counter, o *engine.Order){
		"cancelled": func(s *counter, o *engine.Order) { s.move(o, engine.MoveCancel) },
		"cancelled line by line": func(s *counter, o *engine.Order) {
			s.move(o, engine.MoveCancel, lines(engine.OrderQuantity{SKU: "lamp", Quantity: 1}))
			s.taken("2 14:00 1 of 1, S 1 of 1")
			s.move(o, engine.MoveCancel, lines(engine.OrderQuantity{SKU: "lamp", Quantity: 1}))
		},
		"collected": func(s *counter, o *engine.Order) {
			s.move(o, engine.MoveReady)
			s.move(o, engine.MoveCollect, withCode(o.Code), lines(engine.OrderQuantity{SKU: "lamp", Quantity: 1}))
			s.taken("2 14:00 1 of 1, S 1 of 1")
			s.move(o, engine.MoveCollect, withCode(o.Code))
		},
		"short of all": func(s *counter, o *engine.Order) {
			s.move(o, engine.MovePick)
			s.move(o, engine.MoveShort, lines(engine.OrderQuantity{SKU: "lamp", Quantity: 2}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := openPickup(t, 1, 1)
			setOnHand(t, s.DB, "lamp", "lyon", 9)
			ask := lampAt(inHours(5), "S")
			ask.Lines[0].Quantity = 2
			o := s.order(ask)
			end(s, &o)
			if o.Live() {
				t.Fatalf("%+v", o)
			}
			s.taken("")
			if c, err := s.Availability("compartment:S", "lyon"); err != nil || c.OnHand != 1 || c.Held != 0 {
				t.Fatalf("%+v, %v", c, err)
			}
			s.order(ask)
		})
	}
}

// Two orders want into the one place that is free: one has it and gives up its own, the other keeps its own and is told of others.
func TestRacingForAnotherSlot(t *testing.T) {
	t.Parallel()
	s := openPickup(t, 1, 9)
	setOnHand(t, s.DB, "lamp", "lyon", 99)
	both := [2]engine.Order{s.order(lampAt(inHours(1), "")), s.order(lampAt(inHours(2), "S"))}
	free := inHours(3)
	move := func(slots [2]time.Time) (errs [2]error) {
		var wait sync.WaitGroup
		for i := range both {
			wait.Go(func() {
				_, errs[i] = s.MoveOrder(&engine.MoveRequest{ID: both[i].ID, Move: engine.MoveReschedule, Slot: slots[i]})
			})
		}
		wait.Wait()
		for i := range both {
			var err error
			if both[i], err = s.Order(both[i].ID); err != nil {
				t.Fatal(err)
			}
		}
		return errs
	}
	for range rounds(60) {
		had := [2]time.Time{both[0].Slot, both[1].Slot}
		errs := move([2]time.Time{free, free})
		winner := slices.Index(errs[:], nil)
		var refused *engine.RefusedError
		if winner < 0 || !errors.As(errs[1-winner], &refused) || refused.Lines[0].Reason != engine.SlotFull || len(refused.NextSlots) == 0 {
			t.Fatalf("%v", errs)
		}
		if !both[winner].Slot.Equal(free) || !both[winner].SlotEnd.Equal(free.Add(time.Hour)) || !both[1-winner].Slot.Equal(had[1-winner]) {
			t.Fatalf("%v and %v, who had %v and wanted %v", both[0].Slot, both[1].Slot, had, free)
		}
		free = had[winner]
		// Each wants the other's: neither can be given what the other keeps.
		had = [2]time.Time{both[0].Slot, both[1].Slot}
		if errs := move([2]time.Time{had[1], had[0]}); errs[0] == nil || errs[1] == nil || both[0].Slot != had[0] || both[1].Slot != had[1] {
			t.Fatalf("%v: %v and %v, who had %v", errs, both[0].Slot, both[1].Slot, had)
		}
		if n := strings.Count(taken(t, s.DB, "lyon"), "1 of 1"); n != 2 {
			t.Fatalf("taken are %s", taken(t, s.DB, "lyon"))
		}
	}
	s.stock("lamp", "lyon", 99, 2)
}

// Many orders change their slots at once: as many places are taken as there are orders in a slot, never more than it has.
func TestManyOrdersChangeTheirSlots(t *testing.T) {
	t.Parallel()
	s := openPickup(t, 2, 99)
	setOnHand(t, s.DB, "lamp", "lyon", 99)
	var orders []engine.ID
	for i := range 10 {
		orders = append(orders, s.order(lampAt(inHours(1+i/2), "L")).ID)
	}
	var wait sync.WaitGroup
	for i, id := range orders {
		r := rand.New(rand.NewPCG(uint64(i), 1))
		wait.Go(func() {
			for n := range rounds(30) {
				m := engine.MoveRequest{ID: id, Move: engine.MoveReschedule, Slot: inHours(1 + r.IntN(6))}
				if _, err := s.MoveOrder(&m); err != nil && !errors.As(err, new(*engine.RefusedError)) && !errors.As(err, new(*engine.OrderStateError)) {
					t.Error(err)
				}
				if i == 0 && n%10 == 9 {
					if err := s.Checkpoint(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wait.Wait()
	for range 2 {
		in := make(map[string]int)
		for _, id := range orders {
			o, err := s.Order(id)
			if err != nil {
				t.Fatal(err)
			}
			re, err := s.Reservation(o.Reservation)
			if err != nil {
				t.Fatal(err)
			}
			held := 0
			for _, place := range re.Resources {
				if place.Size == "" && place.Held > 0 {
					held++
					if !place.Start.Equal(o.Slot) || place.Held != 1 {
						t.Fatalf("it is said to be collected at %v and holds %+v", o.Slot, place)
					}
				}
			}
			if held != 1 {
				t.Fatalf("it holds %d slots: %+v", held, re.Resources)
			}
			in[o.Slot.Format("2 15:04")]++
		}
		var want []string
		for hour := 1; hour <= 6; hour++ {
			if n := in[inHours(hour).Format("2 15:04")]; n > 0 {
				want = append(want, fmt.Sprintf("%s %d of 2", inHours(hour).Format("2 15:04"), n))
			}
		}
		want = append(want, "L 10 of 100")
		s.taken(strings.Join(want, ", "))
		s.Restart()
	}
}

// An order whose location is found has its slot and compartment where it was found.
func TestAnOrderThatFindsItsLocationHasItsSlotThere(t *testing.T) {
	s := &counter{enginetest.Open(t, engine.Options{}), t}
	street(t, s.DB, "a")
	for i, id := range []string{"b", "c"} {
		withSlots(t, s.DB, id, 1, engine.Compartment{Size: "S", Count: 1})
		l, err := s.Location(id)
		if err != nil {
			t.Fatal(err)
		}
		d, err := l.Details.Get()
		if err != nil {
			t.Fatal(err)
		}
		d.Position = &engine.Position{Longitude: float64(i+2) * 0.009}
		put(t, s.DB, l, d)
	}
	for _, at := range []string{"a", "b", "c"} {
		setOnHand(t, s.DB, "lamp", at, 9)
	}
	ask := engine.PlaceOrderRequest{
		Lines: []engine.Line{{SKU: "lamp", Quantity: 2}}, Find: &engine.FindLocation{}, Slot: inHours(1), Compartment: "S",
	}
	for _, want := range []string{"b", "c"} { // a has no slots
		o := s.order(ask)
		re, err := s.Reservation(o.Reservation)
		if err != nil {
			t.Fatal(err)
		}
		if o.Location != want || o.Lines[0].From != want || !o.Slot.Equal(inHours(1)) || !o.SlotEnd.Equal(inHours(2)) || o.Compartment != "S" {
			t.Fatalf("%+v", o)
		}
		if got := taken(t, s.DB, want); got != "2 10:00 1 of 1, S 1 of 1" || len(re.Resources) != 2 || re.Resources[0].Location != want {
			t.Fatalf("%s at %s: %+v", got, want, re.Resources)
		}
	}
	var refused *engine.RefusedError
	if _, err := s.PlaceOrder(&ask); !errors.As(err, &refused) || len(refused.NextSlots) == 0 {
		t.Fatalf("%+v, %v", refused, err)
	}
}

// TestAnOrderFindsALocationThatOffersWhatItNeeds: a location that says which services it has, and lacks one of those, is passed by
// like one that does not pass the filter; one that says nothing may have them.
func TestAnOrderFindsALocationThatOffersWhatItNeeds(t *testing.T) {
	s := &counter{enginetest.Open(t, engine.Options{}), t}
	for i, l := range []struct {
		id       string
		kind     engine.LocationKind
		services []engine.Service
	}{
		{"no-curbside", engine.Store, []engine.Service{engine.ServicePayInStore}},
		{"no-payment", engine.Store, []engine.Service{engine.ServiceCurbside}},
		{"both", engine.Store, []engine.Service{engine.ServiceCurbside, engine.ServicePayInStore}},
		{"silent", engine.Store, nil},
	} {
		put(t, s.DB, engine.Location{ID: l.id, Kind: l.kind}, engine.LocationDetails{Position: &engine.Position{Longitude: float64(i+1) * 0.009}, Services: l.services})
		setOnHand(t, s.DB, "lamp", l.id, 1)
	}
	ask := engine.PlaceOrderRequest{Lines: []engine.Line{{SKU: "lamp", Quantity: 1}}, Find: &engine.FindLocation{}, Handover: engine.AtCurbside}
	for _, want := range []string{"both", "silent"} {
		if o := s.order(ask); o.Location != want {
			t.Fatalf("the order is at %s, want %s", o.Location, want)
		}
	}
	if _, err := s.PlaceOrder(&ask); refusedFor(t, err) != "lamp at both: held_by_others, 1 on hand, 1 held, short by 1; lamp at silent: held_by_others, 1 on hand, 1 held, short by 1" {
		t.Fatal(err)
	}
	ask.Handover = engine.AtLocker
	put(t, s.DB, engine.Location{ID: "silent", Kind: engine.Store}, engine.LocationDetails{Position: &engine.Position{}, Services: []engine.Service{engine.ServicePayInStore}})
	if _, err := s.PlaceOrder(&ask); refusedFor(t, err) != "lamp at : no_location, 0 on hand, 0 held, short by 1" {
		t.Fatal(err)
	}
}

// TestAnOrderIsPutIntoALockerByItsSize: where compartments are known none is taken without being counted.
func TestAnOrderIsPutIntoALockerByItsSize(t *testing.T) {
	s := &counter{enginetest.Open(t, engine.Options{}), t}
	boxes := engine.LocationDetails{Position: &engine.Position{Longitude: 0.009}, Compartments: []engine.Compartment{{Size: "S", Count: 1}}}
	put(t, s.DB, engine.Location{ID: "boxes", Kind: engine.Locker}, boxes)
	put(t, s.DB, engine.Location{ID: "plain", Kind: engine.Locker}, engine.LocationDetails{Position: &engine.Position{Longitude: 0.018}})
	for _, at := range []string{"boxes", "plain"} {
		setOnHand(t, s.DB, "lamp", at, 9)
	}
	at := func(location string) []engine.Line {
		return []engine.Line{{SKU: "lamp", Location: location, Quantity: 1}}
	}
	var invalid *engine.InvalidError
	if _, err := s.PlaceOrder(&engine.PlaceOrderRequest{Lines: at("boxes")}); !errors.As(err, &invalid) || invalid.Field != "compartment" {
		t.Fatal(err)
	}
	s.stock("lamp", "boxes", 9, 0)
	s.order(engine.PlaceOrderRequest{Lines: at("boxes"), Handover: engine.AtCounter})
	s.order(engine.PlaceOrderRequest{Lines: at("boxes"), Compartment: "S"})
	s.order(engine.PlaceOrderRequest{Lines: at("plain")})
	if o := s.order(engine.PlaceOrderRequest{Lines: at(""), Find: &engine.FindLocation{}}); o.Location != "plain" {
		t.Errorf("it was found at %s, the nearest has compartments", o.Location)
	}
}

// TestARefusedOrderIsToldAgainWhenTheSizeIsGone repeats an order that was refused for want of a compartment, at a locker that has
// no such compartments any more.
func TestARefusedOrderIsToldAgainWhenTheSizeIsGone(t *testing.T) {
	s := openPickup(t, 9, 1)
	setOnHand(t, s.DB, "lamp", "lyon", 9)
	ask := lampAt(inHours(1), "S")
	s.order(ask)
	ask.Key = "again"
	for _, want := range [][]string{{"L"}, nil} {
		_, err := s.PlaceOrder(&ask)
		var refused *engine.RefusedError
		if !errors.As(err, &refused) || refused.Lines[0].Reason != engine.LockerFull || !slices.Equal(refused.LargerCompartments, want) {
			t.Fatalf("%v offers %q, want %q", err, refused.LargerCompartments, want)
		}
		withSlots(t, s.DB, "lyon", 9, engine.Compartment{Size: "M", Count: 1})
	}
}

// cutAtSync does something while the power goes just before each sync of the journal, with some of what was not synced kept or none,
// and returns the disks that are left behind.
func cutAtSync(db *enginetest.DB, do func()) (disks []*vfs.MemFS) {
	var mu sync.Mutex
	r := rand.New(rand.NewPCG(7, 7))
	db.BeforeDisk(func(op errorfs.Op) error {
		if enginetest.IsJournalSync(op) {
			mu.Lock()
			defer mu.Unlock()
			for _, kept := range []int{0, 50, 100} {
				disks = append(disks, enginetest.Crash(db.Disk, kept, r))
			}
		}
		return nil
	})
	do()
	db.BeforeDisk(nil)
	return append(disks, enginetest.Crash(db.Disk, 0, r)) // what was answered is there
}

// wholly checks what the power has left behind of something: all of it or nothing, and all of it once it was answered. tell says how a
// database is.
func wholly(t *testing.T, db *enginetest.DB, tell func(*enginetest.DB) string, do func()) {
	t.Helper()
	before := tell(db)
	disks := cutAtSync(db, do)
	after := tell(db)
	if before == after {
		t.Fatalf("nothing was done: %s", after)
	}
	passed := time.Duration(db.Clock.Wall() - enginetest.Start.UnixNano())
	for i, disk := range disks {
		cut := enginetest.OpenOn(t, disk, engine.Options{})
		cut.Clock.Advance(passed)
		if got := tell(cut); got != after && (got != before || i == len(disks)-1) {
			t.Errorf("the power has left\n%s\nof\n%s\nand\n%s", got, before, after)
		}
		cut.Close()
	}
}

func TestPowerGoesWhileSlotsAreOrdered(t *testing.T) {
	s := openPickup(t, 1, 1)
	setOnHand(t, s.DB, "lamp", "lyon", 9)
	setOnHand(t, s.DB, "tea", "lyon", 9)
	s.order(engine.PlaceOrderRequest{Lines: one("tea", "lyon"), Slot: inHours(3), Compartment: "L"}) // so that their names are known
	s.Settle()
	var o engine.Order
	tell := func(db *enginetest.DB) string {
		t.Helper()
		text := taken(t, db, "lyon") + fmt.Sprintf("; %d lamps held", held(t, db, "lamp", "lyon"))
		if o.ID == (engine.ID{}) {
			found, _, err := db.Orders(engine.OrderFilter{Reference: "x"}, engine.OrderCursor{}, 9)
			if err != nil {
				t.Fatal(err)
			}
			for i := range found {
				text += fmt.Sprintf("; ordered for %v, %q", found[i].Slot, found[i].Compartment)
			}
			return text
		}
		now, err := db.Order(o.ID)
		if err != nil {
			t.Fatal(err)
		}
		return text + fmt.Sprintf("; %v %v, %q", now.State, now.Slot, now.Compartment)
	}
	ask := lampAt(inHours(1), "S")
	ask.Reference = "x"
	var placed engine.Order
	wholly(t, s.DB, tell, func() { placed = s.order(ask) })
	o = placed
	wholly(t, s.DB, tell, func() { s.move(&placed, engine.MoveReschedule, toSlot(inHours(2))) })
	s.taken("2 11:00 1 of 1, 2 12:00 1 of 1, S 1 of 1, L 1 of 2")
	if err := s.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	was := tell(s.DB)
	s.Restart()
	if got := tell(s.DB); got != was {
		t.Errorf("after a restart: %s, want %s", got, was)
	}
	wholly(t, s.DB, tell, func() { s.move(&placed, engine.MoveCancel) })
}
