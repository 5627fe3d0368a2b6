package engine_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"onhand/engine"
	"onhand/engine/enginetest"
	"onhand/engine/hours"
)

// street opens stores at one end of a street to the other, each a kilometre from the next.
func street(t testing.TB, db *enginetest.DB, names ...string) {
	t.Helper()
	for i, name := range names {
		put(t, db, engine.Location{ID: name}, engine.LocationDetails{Position: &engine.Position{Longitude: float64(i+1) * 0.009}})
	}
}

func find(lines ...engine.Line) *engine.ReserveRequest {
	return &engine.ReserveRequest{Lines: lines, Find: &engine.FindLocation{}, ExpiresIn: time.Hour}
}

func TestTheNearestThatHasItAllIsHeld(t *testing.T) {
	db := enginetest.Open(t, engine.Options{})
	street(t, db, "a", "b", "c", "d")
	put(t, db, engine.Location{ID: "warehouse", Kind: engine.Warehouse}, engine.LocationDetails{Position: &engine.Position{}})
	for _, at := range []string{"a", "b", "c", "d", "warehouse"} {
		setOnHand(t, db, "tea", at, 5)
	}
	setOnHand(t, db, "pot", "a", 1)
	setOnHand(t, db, "pot", "c", 2)
	setOnHand(t, db, "pot", "d", 2)
	setOnHand(t, db, "pot", "warehouse", 2)

	request := find(engine.Line{SKU: "tea", Quantity: 3}, engine.Line{SKU: "pot", Quantity: 1}, engine.Line{SKU: "pot", Quantity: 1})
	request.Key = "k"
	r, err := db.Reserve(request)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Lines) != 2 || r.Lines[0].Location != "c" || r.Lines[1].Location != "c" || r.Lines[1].Quantity != 2 {
		t.Errorf("held %+v, want tea and two pots at c", r.Lines)
	}
	var passed []string
	for _, p := range r.PassedOver {
		passed = append(passed, fmt.Sprintf("%s %s %v %d", p.Location, p.SKU, p.Reason, p.ShortBy()))
	}
	if want := []string{"a pot short 1", "b pot not_stocked 2"}; !slices.Equal(passed, want) {
		t.Errorf("passed over %q, want %q", passed, want)
	}
	if len(r.Refused) > 0 {
		t.Errorf("refused %+v", r.Refused)
	}

	// A retry gives the same answer, after a restart too; the next request goes on to the next store.
	db.Restart()
	again, err := db.Reserve(request)
	if err != nil || again.ID != r.ID || !slices.Equal(again.PassedOver, r.PassedOver) {
		t.Errorf("retry: %+v, %v", again, err)
	}
	request.Key = ""
	if next, err := db.Reserve(request); err != nil || next.Lines[0].Location != "d" || len(next.PassedOver) != 3 {
		t.Errorf("second: %+v, %v", next, err)
	}
	// A warehouse is taken only where it is asked for.
	var refused *engine.RefusedError
	if _, err := db.Reserve(request); !errors.As(err, &refused) || len(refused.Lines) != 4 || refused.Lines[2].Reason != engine.HeldByOthers {
		t.Errorf("third: %v", err)
	}
	request.Find.Filter.Kind = engine.Warehouse
	if r, err := db.Reserve(request); err != nil || r.Lines[0].Location != "warehouse" {
		t.Errorf("warehouse: %+v, %v", r, err)
	}
	request.Find.Near.Radius = 1
	request.Find.Filter.Kind = engine.Locker
	if _, err := db.Reserve(request); !errors.As(err, &refused) || refused.Lines[0].Reason != engine.NoLocation {
		t.Errorf("nowhere: %v", err)
	}
}

// A hold that has run out is free for a request that finds its location, though nothing has swept it.
func TestWhatHasExpiredIsFound(t *testing.T) {
	db := enginetest.Open(t, engine.Options{})
	street(t, db, "a", "b")
	setOnHand(t, db, "tea", "a", 1)
	setOnHand(t, db, "tea", "b", 1)
	first := find(engine.Line{SKU: "tea", Quantity: 1})
	first.ExpiresIn = time.Second
	if r, err := db.Reserve(first); err != nil || r.Lines[0].Location != "a" {
		t.Fatal(r, err)
	}
	db.Clock.Advance(time.Second)
	if r, err := db.Reserve(first); err != nil || r.Lines[0].Location != "a" {
		t.Errorf("%+v, %v: want it at a again", r, err)
	}
}

// TestRacingForBaskets has many callers find and hold baskets of two SKUs, of which the stores have so many together. What
// they hold is all there was and no more; and as nothing is given back, nobody was refused while there was a basket left.
func TestRacingForBaskets(t *testing.T) {
	const stores, callers = 12, 16
	db := enginetest.Open(t, engine.Options{})
	var names []string
	for i := range stores {
		names = append(names, fmt.Sprint("store-", i))
	}
	street(t, db, names...)
	random := rand.New(rand.NewPCG(3, 4))
	total := int64(0)
	for _, name := range names {
		tea, pot := random.Int64N(40), random.Int64N(40)
		setOnHand(t, db, "tea", name, tea)
		setOnHand(t, db, "pot", name, pot)
		total += min(tea, pot)
	}
	var granted atomic.Int64
	var wait sync.WaitGroup
	for caller := range callers {
		wait.Go(func() {
			r := rand.New(rand.NewPCG(5, uint64(caller)))
			for {
				request := find(engine.Line{SKU: "tea", Quantity: 1}, engine.Line{SKU: "pot", Quantity: 1})
				request.Find.Near.Longitude = r.Float64() * 0.1
				if _, err := db.Reserve(request); err != nil {
					// Whoever is refused has seen each store without a basket, and they only get fewer.
					for _, name := range names {
						tea, err1 := db.Availability("tea", name)
						pot, err2 := db.Availability("pot", name)
						if err := errors.Join(err1, err2); err != nil || tea.Available > 0 && pot.Available > 0 {
							t.Errorf("refused, though %s has %d and %d: %v", name, tea.Available, pot.Available, err)
						}
					}
					return
				}
				granted.Add(1)
			}
		})
	}
	wait.Wait()
	if granted.Load() != total {
		t.Errorf("%d baskets held, want %d", granted.Load(), total)
	}
}

func TestBadRequestsToFind(t *testing.T) {
	db := enginetest.Open(t, engine.Options{})
	street(t, db, "a")
	setOnHand(t, db, "tea", "a", 5)
	for name, change := range map[string]func(*engine.ReserveRequest){
		"near.latitude":     func(r *engine.ReserveRequest) { r.Find.Near.Latitude = 91 },
		"radius_km":         func(r *engine.ReserveRequest) { r.Find.Near.Radius = -1 },
		"partial":           func(r *engine.ReserveRequest) { r.Partial = true },
		"lines[0].location": func(r *engine.ReserveRequest) { r.Lines[0].Location = "a" },
		"lines[0].sku":      func(r *engine.ReserveRequest) { r.Lines[0].SKU = "" },
		"lines[1].quantity": func(r *engine.ReserveRequest) {
			r.Lines = append(r.Lines, engine.Line{SKU: "tea", Quantity: 1<<31 - 1})
		},
		"hold_until":                     func(r *engine.ReserveRequest) { r.HoldUntil = &engine.HoldUntil{OpenDay: 1} },
		"hold_until.closing_of_open_day": func(r *engine.ReserveRequest) { r.ExpiresIn, r.HoldUntil = 0, &engine.HoldUntil{OpenDay: 32} },
		"hold_until.minutes_before": func(r *engine.ReserveRequest) {
			r.ExpiresIn, r.HoldUntil = 0, &engine.HoldUntil{OpenDay: 1, Before: -1}
		},
	} {
		r := find(engine.Line{SKU: "tea", Quantity: 1})
		change(r)
		var invalid *engine.InvalidError
		if _, err := db.Reserve(r); !errors.As(err, &invalid) || invalid.Field != name {
			t.Errorf("%s: %v", name, err)
		}
	}
	if c, err := db.Availability("tea", "a"); err != nil || c.Held != 0 {
		t.Errorf("%+v, %v: want nothing held", c, err)
	}
}

// A closing that is less than the shortest hold away is no deadline any more: the next one is the first.
func TestHoldUntilAClosingThatIsAllButHere(t *testing.T) {
	db := enginetest.Open(t, engine.Options{})
	osm, err := hours.ParseOSM("Mo-Su 08:00-18:00")
	if err != nil {
		t.Fatal(err)
	}
	put(t, db, engine.Location{ID: "a"}, engine.LocationDetails{Schedule: hours.Schedule{Zone: "UTC", Regular: osm}})
	setOnHand(t, db, "tea", "a", 5)
	closes := db.Now().UTC().Truncate(24 * time.Hour).Add((24 + 18) * time.Hour)
	for _, c := range []struct {
		left time.Duration
		want time.Time
	}{{time.Second, closes}, {time.Second - 1, closes.AddDate(0, 0, 1)}, {time.Millisecond, closes.AddDate(0, 0, 1)}} {
		db.Clock.Advance(closes.Add(-c.left).Sub(db.Now()))
		r, err := db.Reserve(&engine.ReserveRequest{
			Lines: []engine.Line{{SKU: "tea", Location: "a", Quantity: 1}}, HoldUntil: &engine.HoldUntil{OpenDay: 1},
		})
		if err != nil || !r.Expires.Equal(c.want) {
			t.Errorf("%v before closing: until %v, %v, want %v", c.left, r.Expires, err, c.want)
		}
	}
}
