package stock

import (
	"maps"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"
)

// TestATallyIsACountOfEveryCell compares tallies of baskets with a look at every cell: of SKUs that many locations stock, and few,
// for one unit and more.
func TestATallyIsACountOfEveryCell(t *testing.T) {
	var tally Tally // used again and again, as callers do
	rapid.Check(t, func(r *rapid.T) {
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(r, "seed"), 1))
		var m Map
		locations := rapid.SampledFrom([]uint32{1, 63, 64, 65, 200, 1000}).Draw(r, "locations")
		density := rapid.SliceOfN(rapid.SampledFrom([]float64{0, 0.01, 0.3, 1}), 6, 6).Draw(r, "density")
		sequence := uint64(0)
		for i := range density {
			sku := uint32(i + 1)
			if random.IntN(2) == 0 {
				sequence++
				m.SetDefault(sku, int64(random.IntN(3)-1), sequence)
			}
			for location := uint32(1); location <= locations; location++ {
				if random.Float64() < density[i] {
					sequence++
					m.Put(sku, location, Cell{OnHand: int64(random.IntN(4)), Held: int64(random.IntN(2)), Safety: int64(random.IntN(3) - 1), Sequence: sequence, Flags: Flags(random.IntN(4))})
				}
			}
		}
		type line struct {
			sku      uint32
			quantity int64
		}
		lines := rapid.SliceOfN(rapid.Custom(func(r *rapid.T) line {
			return line{rapid.Uint32Range(0, 7).Draw(r, "sku"), rapid.SampledFrom([]int64{1, 1, 1, 2, 3}).Draw(r, "quantity")}
		}), 0, 12).Draw(r, "lines")
		tally.Begin(locations + 1)
		want := map[uint32]Count{}
		for _, l := range lines {
			tally.Add(&m, l.sku, l.quantity)
			for location := uint32(1); location <= locations; location++ {
				c, ok := m.View(l.sku, location)
				if !ok {
					continue
				}
				count, units := want[location], min(c.Available(), l.quantity)
				count.Units += units
				if units == l.quantity {
					count.Lines++
				}
				want[location] = count
			}
		}
		numbers := tally.Locations(len(lines))
		got := map[uint32]Count{}
		for n := range len(lines) + 1 {
			calls := 0
			tally.With(n, func(location uint32, units int64) {
				if _, twice := got[location]; twice {
					r.Fatalf("location %d comes twice", location)
				}
				got[location] = Count{Units: units, Lines: uint32(n)}
				calls++
			})
			if numbers[n] != calls {
				r.Fatalf("%d locations are said to have %d lines, and %d do", numbers[n], n, calls)
			}
		}
		for location := range locations + 70 {
			c := tally.Of(location)
			if location > 0 && (c.Units != want[location].Units || c.Lines != want[location].Lines) {
				r.Fatalf("location %d has %+v, want %+v", location, c, want[location])
			}
		}
		maps.DeleteFunc(want, func(_ uint32, c Count) bool { return c.Units == 0 })
		if !maps.Equal(got, want) {
			r.Fatalf("%v, want %v", got, want)
		}
	})
}

// TestATallyTellsWhatToWaitFor changes a cell while it is counted. What is seen is never newer than what the tally says was the last
// change.
func TestATallyTellsWhatToWaitFor(t *testing.T) {
	for _, quantity := range []int64{1, 2} { // by the bits, and by the cells
		var m Map
		locks := onlySet(1)
		for location := uint32(1); location <= 100; location++ {
			m.Put(1, location, Cell{})
		}
		var published atomic.Uint64
		var done atomic.Bool
		go func() {
			defer done.Store(true)
			for sequence := uint64(1); sequence <= 200_000; sequence++ {
				m.Lock(&locks)
				if sequence%1000 == 0 {
					m.RemoveSKU(1, sequence) // even, so nothing is in stock
				} else {
					m.Put(1, 50, Cell{OnHand: int64(sequence%2) * 5, Sequence: sequence})
				}
				if sequence%1000 == 1 { // enough for bits
					for location := uint32(100); location < 200; location++ {
						m.Put(1, location, Cell{})
					}
				}
				m.Unlock(&locks)
				published.Store(sequence)
			}
		}()
		var tally Tally
		for !done.Load() {
			before := published.Load()
			tally.Begin(300)
			tally.Add(&m, 1, quantity)
			seen := tally.Of(50).Lines == 1
			if seen != (before%2 == 1) && tally.Latest() <= before {
				t.Fatalf("quantity %d: after change %d it was seen to be in stock: %v, and to have been changed last by %d", quantity, before, seen, tally.Latest())
			}
		}
	}
}
