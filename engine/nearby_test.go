package engine_test

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"onhand/engine"
	"onhand/engine/enginetest"
	"onhand/engine/internal/nearest"
)

// put stores a location at a position, or without one.
func put(t testing.TB, db *enginetest.DB, l engine.Location, d engine.LocationDetails) {
	t.Helper()
	var err error
	if l.Details, err = engine.NewDetails(d); err != nil {
		t.Fatal(err)
	}
	if _, err := db.PutLocation(l, ""); err != nil {
		t.Fatal(err)
	}
}

// spot is a location as a test knows it.
type spot struct {
	kind     engine.LocationKind
	services []engine.Service
	at       *engine.Position
}

func (s *spot) matches(f *engine.LocationFilter) bool {
	return (f.Kind == 0 || f.Kind == s.kind) && !slices.ContainsFunc(f.Services, func(v engine.Service) bool { return !slices.Contains(s.services, v) })
}

// sorted returns the ids of those spots that are asked for, in the order of the answer.
func sorted(spots map[string]*spot, near engine.Near, filter engine.LocationFilter) []string {
	from := nearest.VectorOf(near.Latitude, near.Longitude)
	distance := func(id string) engine.Distance {
		v := nearest.VectorOf(spots[id].at.Latitude, spots[id].at.Longitude)
		return from.Distance(&v)
	}
	ids := slices.DeleteFunc(slices.Collect(maps.Keys(spots)), func(id string) bool {
		s := spots[id]
		return s.at == nil || !s.matches(&filter) || near.Radius != 0 && float64(distance(id)) > near.Radius*1000
	})
	slices.SortFunc(ids, func(a, b string) int { return cmp.Or(cmp.Compare(distance(a), distance(b)), cmp.Compare(a, b)) })
	return ids
}

// grid draws a position out of few, so that many are equal or equally far from a third.
func grid(t *rapid.T) *engine.Position {
	return &engine.Position{
		Latitude:  rapid.SampledFrom([]float64{-90, -45, 0, 45, 90}).Draw(t, "latitude"),
		Longitude: rapid.SampledFrom([]float64{-180, -90, 0, 90, 180}).Draw(t, "longitude"),
	}
}

// TestNearest puts, moves, changes and deletes locations, so many that trees are built meanwhile, and asks for the nearest
// page by page.
func TestNearest(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		db := enginetest.Open(t, engine.Options{})
		defer db.Close()
		spots := map[string]*spot{}
		id := rapid.Custom(func(t *rapid.T) string { return fmt.Sprint("store-", rapid.IntRange(0, 99).Draw(t, "id")) })
		for range rapid.IntRange(1, 8).Draw(rt, "rounds") {
			for range rapid.SampledFrom([]int{1, 10, 200}).Draw(rt, "changes") {
				at := id.Draw(rt, "location")
				if rapid.IntRange(0, 9).Draw(rt, "delete") == 0 {
					if _, err := db.DeleteLocation(at, ""); (err == nil) != (spots[at] != nil) {
						rt.Fatalf("delete %s: %v", at, err)
					}
					delete(spots, at)
					continue
				}
				s := &spot{kind: rapid.SampledFrom([]engine.LocationKind{engine.Store, engine.Warehouse}).Draw(rt, "kind")}
				if rapid.IntRange(0, 9).Draw(rt, "placed") > 0 {
					s.at = grid(rt)
				}
				if rapid.Bool().Draw(rt, "lockers") {
					s.services = []engine.Service{engine.ServiceLocker}
				}
				put(t, db, engine.Location{ID: at, Kind: s.kind}, engine.LocationDetails{Position: s.at, Services: s.services})
				spots[at] = s
			}
			if rapid.IntRange(0, 4).Draw(rt, "restart") == 0 {
				db.Restart()
			}
			near := engine.Near{Position: *grid(rt), Radius: rapid.SampledFrom([]float64{0, 1, 5_003_778, 10_007_557.221}).Draw(rt, "radius")}
			filter := engine.LocationFilter{Kind: rapid.SampledFrom([]engine.LocationKind{0, engine.Store}).Draw(rt, "of kind")}
			if rapid.Bool().Draw(rt, "with lockers") {
				filter.Services = []engine.Service{engine.ServiceLocker}
			}
			var found []engine.FoundLocation
			for cursor := (engine.NearCursor{}); ; {
				before, limit := len(found), rapid.SampledFrom([]int{1, 3, 1000}).Draw(rt, "limit")
				var err error
				if found, cursor, err = db.LocationsNear(found, near, filter, cursor, limit); err != nil {
					rt.Fatal(err)
				}
				if len(found)-before > limit {
					rt.Fatalf("%d locations, asked for %d", len(found)-before, limit)
				}
				if cursor == (engine.NearCursor{}) {
					break
				}
			}
			var got []string
			for i := range found {
				got = append(got, found[i].ID)
			}
			if want := sorted(spots, near, filter); !slices.Equal(got, want) {
				rt.Fatalf("near %+v, %+v:\n got %v\nwant %v", near, filter, got, want)
			}
		}
	})
}

// TestNobodyIsLostOnTheWay moves locations while others are asked for: each is found exactly once, wherever it is.
func TestNobodyIsLostOnTheWay(t *testing.T) {
	const locations, rounds = 400, 30
	db := enginetest.Open(t, engine.Options{})
	at := func(r *rand.Rand) *engine.Position {
		return &engine.Position{Latitude: r.Float64(), Longitude: r.Float64()}
	}
	random := rand.New(rand.NewPCG(1, 1))
	for i := range locations {
		put(t, db, engine.Location{ID: fmt.Sprint(i)}, engine.LocationDetails{Position: at(random)})
	}
	var moving sync.WaitGroup
	var moved atomic.Bool
	for mover := range 2 {
		moving.Go(func() {
			r := rand.New(rand.NewPCG(2, uint64(mover)))
			for range rounds {
				for i := mover; i < locations; i += 2 {
					put(t, db, engine.Location{ID: fmt.Sprint(i)}, engine.LocationDetails{Position: at(r)})
				}
			}
		})
	}
	go func() { moving.Wait(); moved.Store(true) }()
	for n := 0; !moved.Load(); n++ {
		found, _, err := db.LocationsNear(nil, engine.Near{Position: *at(random)}, engine.LocationFilter{}, engine.NearCursor{}, 2*locations)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for i := range found {
			if seen[found[i].ID] {
				t.Fatalf("location %s twice", found[i].ID)
			}
			seen[found[i].ID] = true
		}
		if len(seen) != locations {
			t.Fatalf("look %d: %d of %d locations", n, len(seen), locations)
		}
	}
}

func TestAvailabilityNearIsThatOfEveryLocationSorted(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		db := enginetest.Open(t, engine.Options{})
		defer db.Close()
		// Both ways of looking: a SKU that few locations stock, and one that most do.
		n := rapid.SampledFrom([]int{5, 150}).Draw(rt, "locations")
		spots := map[string]*spot{}
		for i := range n {
			id := fmt.Sprint("store-", i)
			s := &spot{kind: engine.Store, at: grid(rt)}
			put(t, db, engine.Location{ID: id}, engine.LocationDetails{Position: s.at})
			if units := rapid.Int64Range(-1, 3).Draw(rt, "units"); units >= 0 {
				setOnHand(t, db, "tea", id, units)
				if units >= 2 {
					spots[id] = s
				}
			}
		}
		setOnHand(t, db, "tea", "nowhere", 9) // no position
		near := engine.Near{Position: *grid(rt), Radius: rapid.SampledFrom([]float64{0, 5_003_778}).Draw(rt, "radius")}
		var found []engine.NearbyCell
		for cursor := (engine.NearCursor{}); ; {
			before, limit := len(found), rapid.SampledFrom([]int{1, 7, 1000}).Draw(rt, "limit")
			var err error
			if found, cursor, err = db.AvailabilityNear(found, "tea", near, engine.LocationFilter{}, 2, cursor, limit); err != nil {
				rt.Fatal(err)
			}
			if len(found)-before > limit {
				rt.Fatalf("%d cells, asked for %d", len(found)-before, limit)
			}
			if cursor == (engine.NearCursor{}) {
				break
			}
		}
		var got []string
		for i := range found {
			if found[i].Available < 2 {
				rt.Fatalf("%s has %d", found[i].Location, found[i].Available)
			}
			got = append(got, found[i].Location)
		}
		if want := sorted(spots, near, engine.LocationFilter{}); !slices.Equal(got, want) {
			rt.Fatalf("near %+v:\n got %v\nwant %v", near, got, want)
		}
	})
}
