package engine_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"onhand/engine"
	"onhand/engine/enginetest"
	"onhand/engine/hours"
	"onhand/engine/internal/clock"
)

func minutes(m hours.Minute) *hours.Minute { return &m }

// daily are hours that are the same on every day of the week.
func daily(zone string, opens, closes hours.Minute) hours.Schedule {
	return hours.Schedule{Zone: zone, Regular: []hours.Regular{{
		Days:     []hours.Day{hours.Monday, hours.Tuesday, hours.Wednesday, hours.Thursday, hours.Friday, hours.Saturday, hours.Sunday},
		Interval: hours.Interval{Opens: minutes(opens), Closes: minutes(closes)},
	}}}
}

// withSlots opens a location from 8 to 20 o'clock that has hourly slots for so many orders, and a locker.
func withSlots(t testing.TB, db *enginetest.DB, id string, capacity int64, compartments ...engine.Compartment) {
	t.Helper()
	put(t, db, engine.Location{ID: id}, engine.LocationDetails{
		Position: &engine.Position{}, Schedule: daily("UTC", 8*60, 20*60), Compartments: compartments,
		PickupSlots: &engine.PickupSlots{Interval: 60, Capacity: capacity, Lead: 30, DaysAhead: 3},
	})
}

// inHours is a time after the clock's start.
func inHours(n int) time.Time { return enginetest.Start.Add(time.Duration(n) * time.Hour) }

func forTea(location string) *engine.ReserveRequest {
	return &engine.ReserveRequest{Lines: one("tea", location), ExpiresIn: time.Hour}
}

// refusedFor returns the reasons of a refusal, with the SKUs.
func refusedFor(t testing.TB, err error) string {
	t.Helper()
	var refused *engine.RefusedError
	if !errors.As(err, &refused) {
		t.Fatalf("%v, want a refusal", err)
	}
	var all []string
	for _, l := range refused.Lines {
		all = append(all, fmt.Sprintf("%s at %s: %v, %d on hand, %d held, short by %d", l.SKU, l.Location, l.Reason, l.OnHand, l.Held, l.ShortBy()))
	}
	return strings.Join(all, "; ")
}

// taken tells what is taken of a location's slots, those of which something is, and of its compartments.
func taken(t testing.TB, db *enginetest.DB, location string) string {
	t.Helper()
	slots, _, err := db.Slots(nil, location, time.Time{}, 0, engine.SlotsMax)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, s := range slots {
		if s.Taken > 0 {
			all = append(all, fmt.Sprintf("%s %d of %d", s.Start.Format("2 15:04"), s.Taken, s.Capacity))
		}
	}
	compartments, err := db.Compartments(location)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range compartments {
		if c.Taken > 0 {
			all = append(all, fmt.Sprintf("%s %d of %d", c.Size, c.Taken, c.Count))
		}
	}
	return strings.Join(all, ", ")
}

func held(t testing.TB, db *enginetest.DB, sku, location string) int64 {
	t.Helper()
	c, err := db.Availability(sku, location)
	if err != nil {
		t.Fatal(err)
	}
	return c.Held
}

func TestASlotAndACompartmentAreHeldWithTheGoods(t *testing.T) {
	db := enginetest.Open(t, engine.Options{})
	withSlots(t, db, "lyon", 2, engine.Compartment{Size: "S", Count: 1}, engine.Compartment{Size: "L", Count: 1})
	setOnHand(t, db, "tea", "lyon", 9)
	request := forTea("lyon").WithSlot("", inHours(1)).WithCompartment("", "S")
	request.Key = "first"
	r, err := db.Reserve(request)
	if err != nil {
		t.Fatal(err)
	}
	want := []engine.Resource{
		{Location: "lyon", Start: inHours(1), End: inHours(2), Quantity: 1, Held: 1},
		{Location: "lyon", Size: "S", Quantity: 1, Held: 1},
	}
	if len(r.Lines) != 1 || r.Lines[0].SKU != "tea" || !reflect.DeepEqual(r.Resources, want) {
		t.Fatalf("held %+v", r)
	}
	same := func(what string) {
		t.Helper()
		if got, err := db.Reservation(r.ID); err != nil || !reflect.DeepEqual(got.Resources, want) || len(got.Lines) != 1 {
			t.Errorf("%s: %+v, %v", what, got, err)
		}
		if got, want := taken(t, db, "lyon"), "2 10:00 1 of 2, S 1 of 1"; got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	same("at first")
	db.Restart()
	same("after a restart")
	if err := db.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	db.Restart()
	same("after a restart from a checkpoint")
	db.Crash(0, rand.New(rand.NewPCG(1, 2)))
	same("after a crash")
	if again, err := db.Reserve(request); err != nil || again.ID != r.ID || !reflect.DeepEqual(again.Resources, want) {
		t.Errorf("retry: %+v, %v", again, err)
	}
	request.WithCompartment("", "L")
	if _, err := db.Reserve(request); !errors.Is(err, engine.ErrKeyReused) {
		t.Errorf("another request under the key: %v", err)
	}

	// Whatever can't be had, nothing else is held.
	for want, request := range map[string]*engine.ReserveRequest{
		"compartment:S at lyon: locker_full, 1 on hand, 1 held, short by 1":                                                                          forTea("lyon").WithCompartment("lyon", "S"),
		"compartment:M at lyon: no_such_compartment, 0 on hand, 0 held, short by 1":                                                                  forTea("lyon").WithCompartment("", "M"),
		"slot:2026-03-02T10:30Z at lyon: no_such_slot, 0 on hand, 0 held, short by 1":                                                                forTea("lyon").WithSlot("", inHours(1).Add(30*time.Minute)),
		"slot:2026-03-02T21:00Z at lyon: no_such_slot, 0 on hand, 0 held, short by 1":                                                                forTea("lyon").WithSlot("", inHours(12)), // closed
		"slot:2026-03-02T09:00Z at lyon: no_such_slot, 0 on hand, 0 held, short by 1":                                                                forTea("lyon").WithSlot("", inHours(0)),  // too late
		"slot:2026-03-05T10:00Z at lyon: no_such_slot, 0 on hand, 0 held, short by 1":                                                                forTea("lyon").WithSlot("", inHours(73)), // too early
		"slot:2026-03-02T10:00Z at lyon: slot_full, 2 on hand, 1 held, short by 1":                                                                   forTea("lyon").WithSlot("", inHours(1)).WithSlot("", inHours(1)),
		"slot:2026-03-02T10:00Z at nowhere: unknown_location, 0 on hand, 0 held, short by 1":                                                         forTea("lyon").WithSlot("nowhere", inHours(1)),
		"tea at lyon: short, 9 on hand, 1 held, short by 1":                                                                                          {Lines: []engine.Line{{SKU: "tea", Location: "lyon", Quantity: 9}, {SKU: "tea", Location: "lyon", Quantity: 1}}},
		"tea at nowhere: unknown_location, 0 on hand, 0 held, short by 1; compartment:L at nowhere: unknown_location, 0 on hand, 0 held, short by 1": forTea("nowhere").WithCompartment("", "L"),
	} {
		request.ExpiresIn = time.Hour
		request.Partial = strings.HasPrefix(want, "compartment") // partial or not, resources are all or nothing
		if strings.HasPrefix(want, "tea at lyon") {
			request.WithCompartment("", "L")
			want = "tea at lyon: short, 9 on hand, 1 held, short by 2"
		}
		if _, err := db.Reserve(request); refusedFor(t, err) != want {
			t.Errorf("%s\nwant %s", refusedFor(t, err), want)
		}
	}
	same("after refusals")
	if tea := held(t, db, "tea", "lyon"); tea != 1 {
		t.Errorf("%d held", tea)
	}
	// Asking for what there is not makes no names.
	if _, err := db.Availability("compartment:M", "lyon"); err == nil {
		t.Error("a size that there is not is known")
	}
	if c, err := db.Availability("slot:2026-03-02T10:00Z", "lyon"); err != nil || c.OnHand != 2 || c.Available != 1 {
		t.Errorf("%+v, %v: a slot's places can be read", c, err)
	}

	// A blocked location lets nobody in.
	l, err := db.Location("lyon")
	if err != nil {
		t.Fatal(err)
	}
	l.Blocked = true
	if _, err := db.PutLocation(l, ""); err != nil {
		t.Fatal(err)
	}
	setOnHand(t, db, "tea", "nice", 1)
	if _, err := db.Reserve(forTea("nice").WithSlot("lyon", inHours(2))); !strings.Contains(refusedFor(t, err), "blocked") {
		t.Error(err)
	}
	if free := db.NextSlots("lyon", inHours(0), 3); len(free) > 0 {
		t.Errorf("free where it is blocked: %v", free)
	}
}

// A resource may be elsewhere than the goods.
func TestGoodsThatAreSentToTheSlot(t *testing.T) {
	db := enginetest.Open(t, engine.Options{})
	withSlots(t, db, "lyon", 1)
	setOnHand(t, db, "tea", "warehouse", 9)
	if _, err := db.Reserve(forTea("warehouse").WithSlot("lyon", inHours(1))); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Reserve(forTea("warehouse").WithSlot("", inHours(1))); !strings.Contains(refusedFor(t, err), "no_such_slot") {
		t.Error(err)
	}
	if _, err := db.Reserve(forTea("warehouse").WithSlot("lyon", inHours(1))); !strings.Contains(refusedFor(t, err), "slot_full") {
		t.Error(err)
	}
	if got := held(t, db, "tea", "warehouse"); got != 1 {
		t.Errorf("%d held", got)
	}
}

// With the last of the goods the place is free: sold, given back or expired.
func TestAPlaceIsFreeWithTheLastOfTheGoods(t *testing.T) {
	db := enginetest.Open(t, engine.Options{})
	withSlots(t, db, "lyon", 1, engine.Compartment{Size: "S", Count: 1})
	setOnHand(t, db, "tea", "lyon", 20)
	setOnHand(t, db, "pot", "lyon", 20)
	hold := func() engine.Reservation {
		t.Helper()
		request := forTea("lyon").WithSlot("", inHours(5)).WithCompartment("", "S")
		request.Lines = append(request.Lines, one("pot", "lyon")...)
		r, err := db.Reserve(request)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	const both = "2 14:00 1 of 1, S 1 of 1"
	finish := func(do func(*engine.FinishRequest) (engine.Reservation, error), id engine.ID, lines ...engine.Line) engine.Reservation {
		t.Helper()
		r, err := do(&engine.FinishRequest{ID: id, Lines: lines})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := hold()
	if r := finish(db.Commit, r.ID, one("tea", "lyon")...); r.State != engine.Held || r.Resources[0].Held != 1 || taken(t, db, "lyon") != both {
		t.Errorf("after half of it was sold: %+v, %s", r, taken(t, db, "lyon"))
	}
	if r := finish(db.Commit, r.ID); r.State != engine.Committed || r.Resources[0].Released != 1 || r.Resources[1].Released != 1 || taken(t, db, "lyon") != "" {
		t.Errorf("after all of it was sold: %+v, %s", r, taken(t, db, "lyon"))
	}
	if c, err := db.Availability("slot:2026-03-02T14:00Z", "lyon"); err != nil || c.OnHand != 1 || c.Held != 0 {
		t.Errorf("the slot was sold: %+v, %v", c, err)
	}
	r = hold()
	finish(db.Commit, r.ID, one("tea", "lyon")...)
	if r := finish(db.Release, r.ID, one("pot", "lyon")...); r.State != engine.Committed || taken(t, db, "lyon") != "" {
		t.Errorf("after the rest was given back: %+v, %s", r, taken(t, db, "lyon"))
	}
	r = hold()
	if r := finish(db.Release, r.ID); r.State != engine.Released || r.Resources[1].Released != 1 || taken(t, db, "lyon") != "" {
		t.Errorf("after all of it was given back: %+v, %s", r, taken(t, db, "lyon"))
	}
	// Nobody finishes a slot by name.
	r = hold()
	var invalid *engine.InvalidError
	if _, err := db.Release(&engine.FinishRequest{ID: r.ID, Lines: one("slot:2026-03-02T14:00Z", "lyon")}); !errors.As(err, &invalid) {
		t.Errorf("a slot given back by name: %v", err)
	}
	// At the instant, swept or not.
	db.Clock.Advance(time.Hour - time.Millisecond)
	next := forTea("lyon").WithCompartment("", "S").WithSlot("", inHours(5))
	if _, err := db.Reserve(next); refusedFor(t, err) != "compartment:S at lyon: locker_full, 1 on hand, 1 held, short by 1; slot:2026-03-02T14:00Z at lyon: slot_full, 1 on hand, 1 held, short by 1" {
		t.Error(refusedFor(t, err))
	}
	db.Clock.Advance(time.Millisecond)
	if _, err := db.Reserve(next); err != nil {
		t.Error(err)
	}
	if r, err := db.Reservation(r.ID); err != nil || r.State != engine.Expired || r.Resources[0].Expired != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestFindingALocationWithARoomInItsSlot(t *testing.T) {
	db := enginetest.Open(t, engine.Options{})
	street(t, db, "a")
	for i, id := range []string{"b", "c", "d"} {
		withSlots(t, db, id, int64(i)+1, engine.Compartment{Size: "S", Count: 2})
		l, _ := db.Location(id)
		d, _ := l.Details.Get()
		d.Position = &engine.Position{Longitude: float64(i+2) * 0.009}
		put(t, db, l, d)
	}
	for _, id := range []string{"a", "b", "c", "d"} {
		setOnHand(t, db, "tea", id, 50)
	}
	search := func() *engine.ReserveRequest {
		return find(engine.Line{SKU: "tea", Quantity: 1}).WithSlot("", inHours(1)).WithCompartment("", "S")
	}
	var got []string
	for range 6 {
		r, err := db.Reserve(search())
		if err != nil {
			got = append(got, refusedFor(t, err))
			break
		}
		text := r.Resources[0].Location + r.Resources[1].Location + r.Lines[0].Location
		for _, p := range r.PassedOver {
			text += fmt.Sprintf(" %s:%v", p.Location, p.Reason)
		}
		got = append(got, text)
	}
	want := []string{
		"bbb a:no_such_slot", "ccc a:no_such_slot b:slot_full", "ccc a:no_such_slot b:slot_full",
		"ddd a:no_such_slot b:slot_full c:slot_full", "ddd a:no_such_slot b:slot_full c:slot_full",
		"slot:2026-03-02T10:00Z at a: no_such_slot, 0 on hand, 0 held, short by 1; slot:2026-03-02T10:00Z at b: slot_full, 1 on hand, 1 held, short by 1; " +
			"slot:2026-03-02T10:00Z at c: slot_full, 2 on hand, 2 held, short by 1; compartment:S at d: locker_full, 2 on hand, 2 held, short by 1",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
	for i, id := range []string{"a", "b", "c", "d"} {
		if got := held(t, db, "tea", id); got != int64([]int{0, 1, 2, 2}[i]) {
			t.Errorf("%d held at %s", got, id)
		}
	}
	// What has expired is found, though nothing has swept it.
	db.Clock.Advance(time.Hour)
	if r, err := db.Reserve(find(engine.Line{SKU: "tea", Quantity: 1}).WithSlot("", inHours(2))); err != nil || r.Resources[0].Location != "b" {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := db.Reserve(find(engine.Line{SKU: "tea", Quantity: 1}).WithSlot("a", inHours(2))); err == nil {
		t.Error("a resource with a location was taken where the location is to be found")
	}
}

// TestRacingForOneSlotOneLockerAndOneUnit has two thousand customers want the last place in a slot, a locker's compartment and
// the last units at once. As many are granted as there is of the scarcest; nothing else is held.
func TestRacingForOneSlotOneLockerAndOneUnit(t *testing.T) {
	t.Parallel()
	customers := 2000
	for _, c := range []struct {
		name                 string
		places, boxes, units int64
		finding              bool
		reason               engine.Reason
	}{
		{"the last unit", 40, 30, 1, false, engine.HeldByOthers},
		{"the last compartment", 40, 1, 30, false, engine.LockerFull},
		{"the last place", 1, 40, 30, false, engine.SlotFull},
		{"seven places", 7, 9, 8, false, engine.SlotFull},
		{"one of each", 1, 1, 1, false, 0},
		{"one of each, to be found", 1, 1, 1, true, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			db := enginetest.Open(t, engine.Options{})
			withSlots(t, db, "lyon", c.places, engine.Compartment{Size: "S", Count: c.boxes})
			setOnHand(t, db, "tea", "lyon", c.units)
			var granted atomic.Int64
			var wait sync.WaitGroup
			begin := make(chan struct{})
			for range customers {
				wait.Go(func() {
					request := forTea("lyon")
					if c.finding {
						request = find(engine.Line{SKU: "tea", Quantity: 1})
					}
					request.WithSlot("", inHours(1)).WithCompartment("", "S")
					<-begin
					_, err := db.Reserve(request)
					var refused *engine.RefusedError
					switch {
					case err == nil:
						granted.Add(1)
					case !errors.As(err, &refused):
						t.Error(err)
					case c.reason != 0 && !slices.ContainsFunc(refused.Lines, func(l engine.Refusal) bool { return l.Reason == c.reason }):
						t.Errorf("%v, want %v", err, c.reason)
					}
				})
			}
			close(begin)
			wait.Wait()
			want := min(c.places, c.boxes, c.units)
			if granted.Load() != want {
				t.Errorf("%d granted, want %d", granted.Load(), want)
			}
			for sku := range map[string]bool{"tea": true, "slot:2026-03-02T10:00Z": true, "compartment:S": true} {
				if got := held(t, db, sku, "lyon"); got != want {
					t.Errorf("%d held of %s, want %d", got, sku, want)
				}
			}
			db.Restart()
			if got := held(t, db, "slot:2026-03-02T10:00Z", "lyon"); got != want {
				t.Errorf("%d held of the slot after a restart, want %d", got, want)
			}
		})
	}
}

func TestResourcesAreAddedToAReservation(t *testing.T) {
	db := enginetest.Open(t, engine.Options{})
	withSlots(t, db, "lyon", 2, engine.Compartment{Size: "S", Count: 1})
	setOnHand(t, db, "tea", "lyon", 9)
	r, err := db.Reserve(forTea("lyon").WithSlot("", inHours(1)))
	if err != nil {
		t.Fatal(err)
	}
	ask := func() *engine.ReserveRequest { return new(engine.ReserveRequest) }
	got, cells, err := db.AddResources(r.ID, ask().WithSlot("lyon", inHours(2)).WithCompartment("lyon", "S").WithSlot("lyon", inHours(1)))
	if err != nil || len(got.Lines) != 1 || len(got.Resources) != 3 || len(cells) != 3 || got.Resources[0].Held != 2 || cells[2].OnHand != 2 || cells[2].Held != 2 {
		t.Errorf("%+v %+v %v", got, cells, err)
	}
	if _, _, err := db.AddResources(r.ID, ask().WithSlot("lyon", inHours(2)).WithSlot("lyon", inHours(1)).WithSlot("lyon", inHours(1))); refusedFor(t, err) != "slot:2026-03-02T10:00Z at lyon: slot_full, 2 on hand, 1 held, short by 1" {
		t.Error(err)
	}
	if _, _, err := db.AddResources(r.ID, ask().WithCompartment("lyon", "XL")); !strings.Contains(refusedFor(t, err), "no_such_compartment") {
		t.Error(err)
	}
	if got := taken(t, db, "lyon"); got != "2 10:00 1 of 2" {
		t.Errorf("something has changed: %s", got)
	}
	// What has expired is there to be added, though nothing has swept it.
	other := forTea("lyon").WithCompartment("", "S")
	other.ExpiresIn = time.Minute
	if _, err := db.Reserve(other); err != nil {
		t.Fatal(err)
	}
	db.Clock.Advance(time.Minute)
	if _, _, err := db.AddResources(r.ID, ask().WithCompartment("lyon", "S")); err != nil {
		t.Error(err)
	}
}

func TestResourceNamesAreReserved(t *testing.T) {
	db := enginetest.Open(t, engine.Options{})
	withSlots(t, db, "lyon", 2, engine.Compartment{Size: "S", Count: 1})
	setOnHand(t, db, "tea", "lyon", 9)
	if _, err := db.Reserve(forTea("lyon").WithSlot("", inHours(1)).WithCompartment("", "S")); err != nil {
		t.Fatal(err)
	}
	units := int64(5)
	for _, sku := range []string{"slot:2026-03-02T10:00Z", "slot:", "compartment:S", "compartment:of my own"} {
		for name, do := range map[string]func() error{
			"sku": func() error {
				_, err := db.PutSKU(engine.SKU{ID: sku}, "")
				return err
			},
			"lines[1].sku": func() error {
				_, err := db.Reserve(&engine.ReserveRequest{Lines: append(one("tea", "lyon"), one(sku, "lyon")...)})
				return err
			},
			"lines[0].sku": func() error {
				_, err := db.Adjust(&engine.Adjustment{Lines: one(sku, "lyon"), Reason: "sale"})
				return err
			},
			"sku ": func() error {
				_, err := db.SetStock(&engine.SetStockRequest{SKU: sku, Location: "lyon", OnHand: &units})
				return err
			},
			"lines[0].sku ": func() error {
				_, err := db.Reserve(find(engine.Line{SKU: sku, Quantity: 1}))
				return err
			},
			"sku  ": func() error {
				im, err := db.BeginImport("", engine.ImportSet, false)
				if err != nil {
					return err
				}
				defer im.Close()
				errs, err := im.Apply(nil, []engine.ImportRow{{SKU: sku, Location: "lyon", OnHand: &units}})
				return errors.Join(append(errs, err)...)
			},
		} {
			var invalid *engine.InvalidError
			if err := do(); !errors.As(err, &invalid) || invalid.Field != strings.TrimSpace(name) || !strings.Contains(err.Error(), "reserved") {
				t.Errorf("%s as %s: %v", sku, name, err)
			}
		}
	}
	if skus, next, err := db.SKUs(0, 1); err != nil || len(skus) != 1 || skus[0].ID != "tea" || next != 0 {
		t.Errorf("listed: %+v, %d, %v", skus, next, err)
	}
	var cells []string
	list := func(c *engine.Cell) error { cells = append(cells, c.SKU); return nil }
	if err := db.EachCell("", "", list); err != nil || !slices.Equal(cells, []string{"tea"}) {
		t.Errorf("exported: %q, %v", cells, err)
	}
	cells = nil
	none := func(*engine.SKU) error { return nil }
	if _, err := db.Snapshot(engine.Snapshot{Cell: list, SKU: none, Location: func(*engine.Location) error { return nil }, Reservation: func(*engine.Reservation) error { return nil }}); err != nil || len(cells) != 3 {
		t.Errorf("in a snapshot, as in the feed: %q, %v", cells, err)
	}
	// A location with a slot held is in use; with slots that were held it is not.
	var inUse *engine.InUseError
	setOnHand(t, db, "tea", "lyon", 0)
	if _, err := db.DeleteLocation("lyon", ""); !errors.As(err, &inUse) || inUse.Cells != 3 {
		t.Error(err)
	}
	db.Pass(time.Hour)
	if _, err := db.DeleteLocation("lyon", ""); err != nil {
		t.Error(err)
	}
	if _, _, err := db.Slots(nil, "lyon", time.Time{}, 0, 1); err == nil {
		t.Error("a location that is gone has slots")
	}
}

func TestSlotsThatAreOverAreRemoved(t *testing.T) {
	db := enginetest.Open(t, engine.Options{})
	withSlots(t, db, "lyon", 2)
	withSlots(t, db, "nice", 2)
	setOnHand(t, db, "tea", "lyon", 9)
	setOnHand(t, db, "tea", "nice", 9)
	hold := func(location string, hour int, in time.Duration) engine.ID {
		t.Helper()
		request := forTea(location).WithSlot("", inHours(hour))
		request.ExpiresIn = in
		r, err := db.Reserve(request)
		if err != nil {
			t.Fatal(err)
		}
		return r.ID
	}
	cells := func() (all []string) {
		t.Helper()
		if _, err := db.Snapshot(engine.Snapshot{
			Cell: func(c *engine.Cell) error {
				if strings.HasPrefix(c.SKU, "slot:") {
					all = append(all, c.Location+c.SKU[len("slot:2026-03-"):])
				}
				return nil
			},
			SKU: func(*engine.SKU) error { return nil }, Location: func(*engine.Location) error { return nil }, Reservation: func(*engine.Reservation) error { return nil },
		}); err != nil {
			t.Fatal(err)
		}
		slices.Sort(all)
		return all
	}
	hold("lyon", 1, time.Hour)
	hold("nice", 1, time.Hour)
	kept := hold("lyon", 2, 100*time.Hour)
	hold("nice", 2, time.Hour)
	hold("nice", 26, time.Hour)
	step := func(want ...string) {
		t.Helper()
		if err := db.RemoveOldSlots(); err != nil {
			t.Fatal(err)
		}
		db.Settle()
		if got := cells(); !slices.Equal(got, want) {
			t.Errorf("at %v: %q, want %q", db.Now(), got, want)
		}
	}
	db.Pass(49*time.Hour - time.Nanosecond)
	step("lyon02T10:00Z", "lyon02T11:00Z", "nice02T10:00Z", "nice02T11:00Z", "nice03T11:00Z")
	db.Pass(time.Nanosecond)
	before := db.Stats().Cells
	step("lyon02T11:00Z", "nice02T11:00Z", "nice03T11:00Z")
	if after := db.Stats().Cells; after != before-2 {
		t.Errorf("%d cells, want %d", after, before-2)
	}
	db.Pass(time.Hour)
	step("lyon02T11:00Z", "nice02T11:00Z", "nice03T11:00Z") // one of them is held still
	db.Restart()
	step("lyon02T11:00Z", "nice02T11:00Z", "nice03T11:00Z")
	if err := db.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Commit(&engine.FinishRequest{ID: kept}); err != nil {
		t.Fatal(err)
	}
	step("nice03T11:00Z")
	db.Crash(0, rand.New(rand.NewPCG(7, 7)))
	step("nice03T11:00Z")
	last := db.Durable()
	step("nice03T11:00Z")
	if db.Durable() != last {
		t.Error("there was nothing to remove, and it is on record")
	}
	if c, err := db.Availability("slot:2026-03-02T11:00Z", "lyon"); err != nil || c.Stocked {
		t.Errorf("%+v, %v", c, err)
	}
	var removed []string
	if err := db.Changes(0, func(c *engine.Change) error {
		if c.Kind == engine.SlotsRemovedChange {
			removed = append(removed, c.Slots...)
		} else if len(c.Slots) > 0 {
			t.Errorf("change %d of kind %s removes %q", c.Sequence, c.Kind, c.Slots)
		}
		return nil
	}); err != nil || !slices.Equal(removed, []string{"slot:2026-03-02T10:00Z", "slot:2026-03-02T11:00Z"}) {
		t.Errorf("removed %q, %v", removed, err)
	}
}

// A slot that a live reservation gave back leaves its line behind, which is linked to the cell that goes.
func TestASlotGoesThoughALineOfItIsLinked(t *testing.T) {
	db := enginetest.Open(t, engine.Options{})
	withSlots(t, db, "lyon", 2)
	setOnHand(t, db, "tea", "lyon", 9)
	r := forTea("lyon").WithSlot("", inHours(1))
	r.ExpiresIn = 72 * time.Hour
	if _, err := db.Reserve(r); err != nil {
		t.Fatal(err)
	}
	db.Pass(50 * time.Hour)
	if err := db.RemoveOldSlots(); err != nil {
		t.Fatal(err)
	}
	if got := held(t, db, "slot:2026-03-02T10:00Z", "lyon"); got != 1 {
		t.Errorf("%d held", got)
	}
	db.Pass(22 * time.Hour)
	if err := db.RemoveOldSlots(); err != nil {
		t.Fatal(err)
	}
	db.Settle()
	if c, err := db.Availability("slot:2026-03-02T10:00Z", "lyon"); err != nil || c.Stocked {
		t.Errorf("%+v, %v", c, err)
	}
}

// TestAnAuditFindsAHeldSlotThatIsRemoved forges the removal of slots that may not go.
func TestAnAuditFindsAHeldSlotThatIsRemoved(t *testing.T) {
	t.Parallel()
	for want, wait := range map[string]time.Duration{"of which 1 are held": 60 * time.Hour, "which is no slot that is over": time.Hour} {
		disk, hand := enginetest.NewDisk(), clock.NewManual(enginetest.Start)
		f, err := engine.Open(enginetest.Dir, engine.Options{FS: disk, Clock: hand})
		if err != nil {
			t.Fatal(err)
		}
		units := int64(5)
		if _, err := f.SetStock(&engine.SetStockRequest{SKU: "tea", Location: "nice", OnHand: &units}); err != nil {
			t.Fatal(err)
		}
		details, err := engine.NewDetails(engine.LocationDetails{Schedule: daily("UTC", 0, 1440), PickupSlots: &engine.PickupSlots{Interval: 60, Capacity: 1, DaysAhead: 1}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.PutLocation(engine.Location{ID: "lyon", Details: details}, ""); err != nil {
			t.Fatal(err)
		}
		request := forTea("nice").WithSlot("lyon", inHours(1))
		request.ExpiresIn = 100 * time.Hour
		if _, err := f.Reserve(request); err != nil {
			t.Fatal(err)
		}
		hand.Advance(wait)
		if err := f.RemoveSlot(inHours(1)); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := check(t, disk); !errors.Is(err, engine.ErrBroken) || !strings.Contains(err.Error(), want) {
			t.Errorf("check: %v, want %q", err, want)
		}
	}
}

// TestPlacesAgainstCountingThem does many things with slots and compartments and compares what is taken with a count of who
// holds them, while their numbers change, the machine is restarted, and the power goes.
func TestPlacesAgainstCountingThem(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		db := enginetest.Open(t, engine.Options{})
		defer db.Close()
		type place struct {
			location, name string
		}
		type hold struct {
			deadline time.Time
			places   []place
		}
		holds := make(map[engine.ID]*hold)
		capacity, boxes := map[string]int64{}, map[string]int64{}
		locations := []string{"lyon", "nice"}
		change := func(location string) {
			capacity[location], boxes[location] = rapid.Int64Range(1, 3).Draw(rt, "capacity"), rapid.Int64Range(0, 2).Draw(rt, "boxes")
			var all []engine.Compartment
			if boxes[location] > 0 {
				all = append(all, engine.Compartment{Size: "S", Count: boxes[location]})
			}
			withSlots(t, db, location, capacity[location], all...)
		}
		for _, l := range locations {
			change(l)
			setOnHand(t, db, "tea", l, 1000)
		}
		count := func(p place) (n int64) {
			for _, h := range holds {
				for _, have := range h.places {
					if h.deadline.After(db.Now()) && have == p {
						n++
					}
				}
			}
			return n
		}
		slotName := func(start time.Time) string { return start.UTC().Format("slot:2006-01-02T15:04Z") }
		// limit is what a customer may expect to find, by plain words.
		limit := func(p place) int64 {
			if p.name == "compartment:S" {
				return boxes[p.location]
			}
			start, err := time.Parse("slot:2006-01-02T15:04Z", p.name)
			if err != nil {
				rt.Fatal(err)
			}
			now := db.Now()
			if h := start.Hour(); start.Minute() != 0 || h < 8 || h >= 20 || start.Sub(now) < 30*time.Minute || start.Sub(now) > 72*time.Hour {
				return 0
			}
			return capacity[p.location]
		}
		one := func() (id engine.ID, ok bool) {
			var ids []engine.ID
			for id, h := range holds {
				if h.deadline.After(db.Now()) {
					ids = append(ids, id)
				}
			}
			if len(ids) == 0 {
				return id, false
			}
			slices.SortFunc(ids, func(a, b engine.ID) int { return holds[a].deadline.Compare(holds[b].deadline) })
			return rapid.SampledFrom(ids).Draw(rt, "hold"), true
		}
		reserve := func(*rapid.T) {
			location := rapid.SampledFrom(locations).Draw(rt, "location")
			request := forTea(location)
			request.ExpiresIn = time.Duration(rapid.IntRange(1, 90).Draw(rt, "expires in")) * time.Hour
			h := hold{deadline: db.Now().Add(request.ExpiresIn)}
			if rapid.Bool().Draw(rt, "slot") {
				start := db.Now().Truncate(time.Hour).Add(time.Duration(rapid.SampledFrom([]int{0, 30, 60, 120, 180, 1440, 72 * 60, 73 * 60}).Draw(rt, "start")) * time.Minute)
				request.WithSlot("", start)
				h.places = append(h.places, place{location, slotName(start)})
			}
			if len(h.places) == 0 || rapid.Bool().Draw(rt, "compartment") {
				request.WithCompartment("", "S")
				h.places = append(h.places, place{location, "compartment:S"})
			}
			granted := true
			for _, p := range h.places {
				granted = granted && count(p) < limit(p)
			}
			r, err := db.Reserve(request)
			if granted != (err == nil) {
				rt.Fatalf("%v: %v, want granted %v", h.places, err, granted)
			}
			if err == nil {
				holds[r.ID] = &h
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"reserve": reserve, "reserve more": reserve, "reserve again": reserve,
			"finish": func(*rapid.T) {
				id, ok := one()
				if !ok {
					return
				}
				do := db.Commit
				if rapid.Bool().Draw(rt, "release") {
					do = db.Release
				}
				if r, err := do(&engine.FinishRequest{ID: id}); err != nil || len(r.Resources) != len(holds[id].places) {
					rt.Fatal(r, err)
				}
				delete(holds, id)
			},
			"change the location": func(*rapid.T) { change(rapid.SampledFrom(locations).Draw(rt, "location")) },
			"pass": func(*rapid.T) {
				db.Clock.Advance(time.Duration(rapid.SampledFrom([]int{1, 20, 60, 600, 2000}).Draw(rt, "minutes")) * time.Minute)
			},
			"remove": func(*rapid.T) {
				if err := db.RemoveOldSlots(); err != nil {
					rt.Fatal(err)
				}
			},
			"restart": func(*rapid.T) {
				switch db.Sweep(); rapid.IntRange(0, 9).Draw(rt, "how") {
				case 2:
					if err := db.Checkpoint(); err != nil {
						rt.Fatal(err)
					}
				case 0:
					db.Crash(0, rand.New(rand.NewPCG(1, 1)))
				case 1:
					db.Restart()
				}
			},
			"": func(*rapid.T) {
				db.Sweep()
				for _, location := range locations {
					slots, _, err := db.Slots(nil, location, db.Now().Add(-24*time.Hour), 5, engine.SlotsMax)
					if err != nil {
						rt.Fatal(err)
					}
					for _, s := range slots {
						p := place{location, slotName(s.Start)}
						if n := count(p); s.Taken != n || s.Capacity != capacity[location] || s.Free != max(0, limit(p)-n) {
							rt.Fatalf("%v: %+v, want %d taken of %d", p, s, n, limit(p))
						}
					}
					uses, err := db.Compartments(location)
					if err != nil || len(uses) > 0 != (boxes[location] > 0) {
						rt.Fatal(uses, err)
					}
					for _, u := range uses {
						if n := count(place{location, "compartment:S"}); u.Taken != n || u.Free != max(0, boxes[location]-n) {
							rt.Fatalf("%+v, want %d taken", u, n)
						}
					}
				}
			},
		})
	})
}
