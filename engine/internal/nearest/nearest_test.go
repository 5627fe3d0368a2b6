package nearest

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// place is a point as a test states it.
type place struct{ latitude, longitude float64 }

// places draws positions of which many are awkward: on poles and the antimeridian, equal, equally far, a hair apart.
func places(t *rapid.T) []place {
	latitude := rapid.OneOf(rapid.Float64Range(-90, 90), rapid.SampledFrom([]float64{-90, -89.9999999, 0, 45, 45.0000001, 89.9999999, 90}),
		rapid.Map(rapid.IntRange(-9, 9), func(i int) float64 { return float64(i) * 10 }))
	longitude := rapid.OneOf(rapid.Float64Range(-180, 180), rapid.SampledFrom([]float64{-180, -179.9999999, 0, 1e-7, 179.9999999, 180}),
		rapid.Map(rapid.IntRange(-18, 18), func(i int) float64 { return float64(i) * 10 }))
	// Left to itself the library draws few: too few for a tree of more than a leaf.
	n := rapid.SampledFrom([]int{1, 2, 9, 10, 30, 100, 300}).Draw(t, "n")
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) place {
		return place{latitude.Draw(t, "latitude"), longitude.Draw(t, "longitude")}
	}), n, n).Draw(t, "places")
}

func pointsOf(places []place, traits func(i int) uint32) []Point {
	points := make([]Point, len(places))
	for i, p := range places {
		points[i] = Point{Vector: VectorOf(p.latitude, p.longitude), ID: uint32(i), Traits: traits(i)}
	}
	return points
}

// name orders ids otherwise than by number.
func name(id uint32) string { return fmt.Sprintf("%d", id) }

func less(a, b uint32) bool { return name(a) < name(b) }

// all returns everything that a search yields.
func all(s *Search) (found []Found) {
	for {
		batch := s.Batch()
		if len(batch) == 0 {
			return found
		}
		found = append(found, batch...)
	}
}

func TestNearestIsWhatLookingAtEveryPointFinds(t *testing.T) {
	var s Search // used again and again, as callers do
	rapid.Check(t, func(t *rapid.T) {
		places := places(t)
		from := places[len(places)-1]
		traits := rapid.SliceOfN(rapid.Uint32Range(0, 7), len(places), len(places)).Draw(t, "traits")
		points := pointsOf(places[:len(places)-1], func(i int) uint32 { return traits[i] })
		v := VectorOf(from.latitude, from.longitude)
		within := Farthest
		if rapid.Bool().Draw(t, "bounded") {
			within = Millimetres(rapid.Int64Range(0, int64(Farthest)).Draw(t, "within"))
			if len(points) > 0 && rapid.Bool().Draw(t, "on the edge") {
				within = v.Distance(&points[0].Vector)
			}
		}
		least := Millimetres(0)
		if rapid.Bool().Draw(t, "begun") {
			least = Millimetres(rapid.Int64Range(0, int64(Farthest)).Draw(t, "least"))
			if len(points) > 0 && rapid.Bool().Draw(t, "from the edge") {
				least = v.Distance(&points[len(points)-1].Vector) + Millimetres(rapid.IntRange(-1, 1).Draw(t, "edge"))
			}
		}
		wanted := rapid.SampledFrom([]Wanted{{}, {All: 1}, {All: 3}, {None: 4}, {All: 2, None: 1}}).Draw(t, "wanted")
		asked := func(traits uint32) bool { return traits&wanted.All == wanted.All && traits&wanted.None == 0 }
		var want []Found
		for i := range points {
			if d := v.Distance(&points[i].Vector); d >= least && d <= within && asked(points[i].Traits) {
				want = append(want, Found{points[i].ID, points[i].Version, d})
			}
		}
		slices.SortFunc(want, func(a, b Found) int {
			return cmp.Or(cmp.Compare(a.Distance, b.Distance), cmp.Compare(name(a.ID), name(b.ID)))
		})
		var expected []string
		for _, f := range want {
			expected = append(expected, fmt.Sprint(f.ID, " ", f.Distance))
		}

		beside := rapid.IntRange(0, len(points)).Draw(t, "beside the tree")
		tree := Build(slices.Clone(points[beside:]))
		s.Begin(tree, points[:beside], v, least, within, wanted, rapid.SampledFrom([]int{0, 1, 5, 31, 33, 100}).Draw(t, "expected"), less)
		var got []string
		for _, f := range all(&s) {
			got = append(got, fmt.Sprint(f.ID, " ", f.Distance))
		}
		s.End()
		if !slices.Equal(got, expected) {
			t.Fatalf("from %v within %d:\n got %v\nwant %v", from, within, got, expected)
		}
	})
}

// TestNearestOfRealStores asks from among the stores, from their doors and from the far side of the Earth.
func TestNearestOfRealStores(t *testing.T) {
	file, err := os.Open("testdata/stores.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var stores []place
	for _, row := range rows {
		var p place
		if _, err := fmt.Sscan(row[0], &p.latitude); err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Sscan(row[1], &p.longitude); err != nil {
			t.Fatal(err)
		}
		stores = append(stores, p)
	}
	if len(stores) != 1565 {
		t.Fatalf("%d stores", len(stores))
	}
	points := pointsOf(stores, func(int) uint32 { return 0 })
	tree := Build(slices.Clone(points))
	random := rand.New(rand.NewPCG(1, 2))
	var s Search
	for i := range 300 {
		from := stores[random.IntN(len(stores))]
		switch i % 3 {
		case 1:
			from = place{from.latitude + random.NormFloat64()/10, from.longitude + random.NormFloat64()/10}
		case 2:
			from = place{random.Float64()*180 - 90, random.Float64()*360 - 180}
		}
		v := VectorOf(from.latitude, from.longitude)
		want := make([]Found, len(points))
		for j := range points {
			want[j] = Found{points[j].ID, points[j].Version, v.Distance(&points[j].Vector)}
		}
		slices.SortFunc(want, func(a, b Found) int {
			return cmp.Or(cmp.Compare(a.Distance, b.Distance), cmp.Compare(name(a.ID), name(b.ID)))
		})
		s.Begin(tree, nil, v, 0, Farthest, Wanted{}, 1+i%50, less)
		if got := all(&s); !slices.Equal(got, want) {
			t.Fatalf("from %v:\n got %v\nwant %v", from, got, want)
		}
	}
}

// haversine is the formula as the books have it, for a test of the chord.
func haversine(a, b place) float64 {
	const degree = math.Pi / 180
	s := func(x float64) float64 { return math.Sin(x*degree/2) * math.Sin(x*degree/2) }
	h := s(b.latitude-a.latitude) + math.Cos(a.latitude*degree)*math.Cos(b.latitude*degree)*s(b.longitude-a.longitude)
	return 2 * Radius * math.Asin(math.Sqrt(min(1, h)))
}

func TestDistanceIsTheHaversineFormula(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := places(t)
		a, b := p[0], p[len(p)-1]
		v, w := VectorOf(a.latitude, a.longitude), VectorOf(b.latitude, b.longitude)
		got, want := float64(v.Distance(&w))/1000, haversine(a, b)
		// Both formulas lose digits on the far side of the Earth, where a chord hardly grows.
		tolerance := 0.001
		if want > 19_900_000 {
			tolerance = 1
		}
		if math.Abs(got-want) > tolerance {
			t.Errorf("from %v to %v: %.4f m, want %.4f m", a, b, got, want)
		}
		if d := w.Distance(&v); d != v.Distance(&w) {
			t.Errorf("from %v to %v it is not as far as back", a, b)
		}
	})
}

// TestArcSines: the short way is as exact as the long one, and nothing that is farther is told to be nearer where they meet.
func TestArcSines(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.OneOf(rapid.Float64Range(0, 0.01), rapid.Float64Range(0, 1), rapid.Map(rapid.Float64Range(-30, 0), math.Exp2)).Draw(t, "x")
		got, want := asin(x), math.Asin(x)
		if math.Abs(got-want) > 2*(math.Nextafter(want, 2)-want) {
			t.Errorf("asin(%v) is %v, want %v", x, got, want)
		}
	})
	last := 0.
	for x := 0.01 - 100e-18*1000; x < 0.01+1e-13; x = math.Nextafter(x, 1) {
		if a := asin(x); a < last {
			t.Fatalf("asin(%v) is %v, less than before", x, a)
		} else {
			last = a
		}
	}
}

func TestKnownDistances(t *testing.T) {
	for _, c := range []struct {
		a, b place
		want Millimetres
	}{
		{place{0, 0}, place{0, 0}, 0},
		{place{0, 180}, place{0, -180}, 0},
		{place{90, 17}, place{90, -133}, 0},
		{place{0, 0}, place{0, 180}, Farthest},
		{place{90, 0}, place{-90, 0}, Farthest},
		{place{0, 0}, place{0, 1}, 111_195_080}, // R · π / 180
		{place{0, 179.5}, place{0, -179.5}, 111_195_080},
		{place{89.5, 0}, place{89.5, 180}, 111_195_080},
	} {
		v, w := VectorOf(c.a.latitude, c.a.longitude), VectorOf(c.b.latitude, c.b.longitude)
		if got := v.Distance(&w); got != c.want {
			t.Errorf("from %v to %v: %d mm, want %d", c.a, c.b, got, c.want)
		}
	}
}

func TestManyPointsAtOnePlace(t *testing.T) {
	points := make([]Point, 10_000)
	for i := range points {
		points[i] = Point{Vector: VectorOf(45, 5), ID: uint32(i)}
	}
	var s Search
	s.Begin(Build(points), nil, VectorOf(46, 6), 0, Farthest, Wanted{}, 10, less)
	found := all(&s)
	if len(found) != len(points) {
		t.Fatalf("%d of %d found", len(found), len(points))
	}
	if !slices.IsSortedFunc(found, func(a, b Found) int { return cmp.Compare(name(a.ID), name(b.ID)) }) {
		t.Error("equally far, and not in the order of their names")
	}
}

func TestNothingToFind(t *testing.T) {
	var s Search
	for _, tree := range []*Tree{nil, Build(nil)} {
		s.Begin(tree, nil, VectorOf(1, 2), 0, Farthest, Wanted{}, 10, less)
		if found := all(&s); len(found) > 0 {
			t.Errorf("found %v", found)
		}
	}
}

func BenchmarkNearest10(b *testing.B) {
	for _, n := range []int{25_000, 1_000_000} {
		random := rand.New(rand.NewPCG(1, 2))
		points := make([]Point, n)
		for i := range points {
			// As stores lie: around centres, few of them in between.
			centre := rand.New(rand.NewPCG(7, uint64(random.IntN(1000))))
			latitude, longitude := centre.Float64()*100-50, centre.Float64()*360-180
			points[i] = Point{Vector: VectorOf(latitude+random.NormFloat64(), longitude+random.NormFloat64()), ID: uint32(i)}
			if random.IntN(100) == 0 {
				points[i].Traits = 1
			}
		}
		from := make([]Vector, 1<<12)
		for i := range from {
			from[i] = points[random.IntN(n)].Vector
		}
		tree := Build(points)
		for _, filter := range []struct {
			name   string
			wanted Wanted
		}{{"all", Wanted{}}, {"one in a hundred", Wanted{All: 1}}} {
			b.Run(fmt.Sprintf("of %d/%s", n, filter.name), func(b *testing.B) {
				var s Search
				for i := 0; b.Loop(); i++ {
					s.Begin(tree, nil, from[i%len(from)], 0, Farthest, filter.wanted, 10, less)
					if len(s.Batch()) < 10 {
						b.Fatal("fewer than 10")
					}
				}
			})
		}
	}
}

func BenchmarkBuild(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 2))
	points := make([]Point, 25_000)
	for i := range points {
		points[i] = Point{Vector: VectorOf(random.Float64()*180-90, random.Float64()*360-180), ID: uint32(i)}
	}
	for b.Loop() {
		Build(slices.Clone(points))
	}
}
