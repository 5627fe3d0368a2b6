package stock

import (
	"maps"
	"math"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"onhand/engine/internal/digest"
)

// name is a cell's SKU and location.
type name struct{ sku, location uint32 }

// setting is a SKU's default or a location's state, and the sequence it was set at.
type setting struct {
	safety   int64
	blocked  bool
	sequence uint64
}

// model is what a Map should be: maps, and nothing clever.
type model struct {
	cells     map[name]Cell
	heads     map[name]uint32
	defaults  map[uint32]setting
	locations map[uint32]setting
	sequence  uint64
}

func newModel() *model {
	return &model{map[name]Cell{}, map[name]uint32{}, map[uint32]setting{}, map[uint32]setting{}, 0}
}

// view is what View should answer where the cell exists.
func (m *model) view(n name) Cell {
	c, d, l := m.cells[n], m.defaults[n.sku], m.locations[n.location]
	if c.Flags&OwnSafety == 0 {
		c.Safety = d.safety
	}
	if l.blocked {
		c.Flags |= LocationBlocked
	}
	c.Sequence = max(c.Sequence, d.sequence, l.sequence)
	return c
}

func (m *model) digest() (sum uint64) {
	for n, c := range m.cells {
		sum += fact(n.sku, n.location, &c)
	}
	return sum
}

// onlySet returns the set of one SKU's shard.
func onlySet(sku uint32) (set LockSet) {
	set.Add(ShardOf(sku))
	return set
}

// TestMapIsAMap compares the map with maps through everything that can be done to it. SKUs and locations are few, so that
// rows fill up, grow and are searched for what they don't have.
func TestMapIsAMap(t *testing.T) {
	skus := rapid.SampledFrom([]uint32{1, 2, 3, 1023, 1024, 70_000})
	locations := rapid.OneOf(rapid.Uint32Range(1, 40), rapid.SampledFrom([]uint32{1023, 1024, 70_000}))
	units := rapid.OneOf(rapid.Int64Range(-3, 10), rapid.Int64Range(-1<<47, 1<<47-1), rapid.SampledFrom([]int64{-1 << 47, 1<<47 - 1}))
	safeties := rapid.OneOf(rapid.Int64Range(-3, 3), rapid.Int64Range(math.MinInt32, math.MaxInt32))
	rapid.Check(t, func(r *rapid.T) {
		m, want := &Map{}, newModel()
		named := rapid.Custom(func(r *rapid.T) name { return name{skus.Draw(r, "sku"), locations.Draw(r, "location")} })
		next := func() uint64 { want.sequence++; return want.sequence }
		put := func(r *rapid.T, n name) {
			c := Cell{OnHand: units.Draw(r, "on hand"), Held: units.Draw(r, "held"), Sequence: next()}
			c.Flags = Flags(rapid.ByteRange(0, 3).Draw(r, "flags"))
			if rapid.Bool().Draw(r, "low") {
				c.Flags |= Low
			}
			c.Safety = safeties.Draw(r, "safety")
			given := c
			given.Flags |= LocationBlocked // of a view, and not stored
			m.Put(n.sku, n.location, given)
			if c.Flags&OwnSafety == 0 {
				c.Safety = 0
			}
			want.cells[n] = c
		}
		r.Repeat(map[string]func(*rapid.T){
			"put": func(r *rapid.T) { put(r, named.Draw(r, "cell")) },
			"put many": func(r *rapid.T) {
				sku := skus.Draw(r, "sku")
				if rapid.Bool().Draw(r, "presize") {
					m.Presize(sku, rapid.IntRange(0, 40).Draw(r, "cells"))
				}
				for _, location := range rapid.SliceOfN(locations, 0, 20).Draw(r, "locations") {
					put(r, name{sku, location})
				}
			},
			"fill": func(r *rapid.T) { // so many that the row keeps bits
				sku, first := skus.Draw(r, "sku"), rapid.Uint32Range(1, 200).Draw(r, "first")
				for location := first; location < first+80; location++ {
					c := Cell{OnHand: int64(location % 3), Held: int64(location % 2), Sequence: next()}
					m.Put(sku, location, c)
					want.cells[name{sku, location}] = c
				}
			},
			"default": func(r *rapid.T) {
				sku := skus.Draw(r, "sku")
				s := setting{safety: safeties.Draw(r, "safety"), sequence: next()}
				m.SetDefault(sku, s.safety, s.sequence)
				want.defaults[sku] = s
			},
			"location": func(r *rapid.T) {
				location := locations.Draw(r, "location")
				s := setting{blocked: rapid.Bool().Draw(r, "blocked"), sequence: next()}
				m.SetLocation(location, s.blocked, s.sequence)
				want.locations[location] = s
			},
			"remove location": func(r *rapid.T) {
				location := locations.Draw(r, "location")
				sequence := next()
				m.RemoveLocation(location, sequence)
				m.SetLocation(location, false, sequence)
				maps.DeleteFunc(want.cells, func(n name, _ Cell) bool { return n.location == location })
				want.locations[location] = setting{sequence: sequence}
			},
			"remove SKU": func(r *rapid.T) {
				sku := skus.Draw(r, "sku")
				sequence := next()
				m.RemoveSKU(sku, sequence)
				maps.DeleteFunc(want.cells, func(n name, _ Cell) bool { return n.sku == sku })
				want.defaults[sku] = setting{safety: want.defaults[sku].safety, sequence: sequence}
			},
			"swap head": func(r *rapid.T) {
				// A cell that isn't there yet may have a head too.
				n, ref := named.Draw(r, "cell"), rapid.OneOf(rapid.Just[uint32](0), rapid.Uint32()).Draw(r, "ref")
				if old := m.SwapHead(n.sku, n.location, ref); old != want.heads[n] {
					r.Fatalf("the head was %d, want %d", old, want.heads[n])
				}
				want.heads[n] = ref
			},
			"look": func(r *rapid.T) {
				n := named.Draw(r, "cell")
				m.Prefetch(n.sku, n.location)
				_, there := want.cells[n]
				c, ok := m.View(n.sku, n.location)
				if ok != there || there && c != want.view(n) {
					r.Fatalf("the view of %v is %+v, %v; want %+v, %v", n, c, ok, want.view(n), there)
				}
				if !ok && (c.OnHand != 0 || c.Held != 0 || c.Flags&^LocationBlocked != absent || c.Available() != 0 || c.Sequence > want.sequence) {
					r.Fatalf("the view of a cell that is not there is %+v", c)
				}
				if safety, sequence := m.Default(n.sku); safety != want.defaults[n.sku].safety || sequence != want.defaults[n.sku].sequence {
					r.Fatalf("the default is %d since %d, want %+v", safety, sequence, want.defaults[n.sku])
				}
			},
			"": func(r *rapid.T) {
				for n, c := range want.cells {
					if got, ok := m.Raw(n.sku, n.location); !ok || got != c {
						r.Fatalf("cell %v is %+v, %v; want %+v", n, got, ok, c)
					}
				}
				for n, head := range want.heads {
					if got := m.Head(n.sku, n.location); got != head {
						r.Fatalf("the head of %v is %d, want %d", n, got, head)
					}
				}
				for _, sku := range []uint32{1, 2, 3, 1023, 1024, 70_000, 5, 1 << 31} {
					scanned(r, m, want, sku)
					bitsTellTheCells(r, m, want, sku)
				}
				if st := m.Stats(); st.Cells != int64(len(want.cells)) || st.Bytes < st.Cells*slotBytes {
					r.Fatalf("%+v with %d cells", st, len(want.cells))
				}
				if m.Digest() != want.digest() {
					r.Fatalf("the digest is not that of the cells")
				}
			},
		})
	})
}

// bitsTellTheCells compares the bits of a SKU's row, if it keeps any, with the model.
func bitsTellTheCells(r *rapid.T, m *Map, want *model, sku uint32) {
	s := m.skus.Peek(sku)
	if s == nil || s.row.Load() == nil {
		return
	}
	b := s.row.Load().stocked.Load()
	if b == nil {
		return
	}
	got, n := map[name]bool{}, map[name]bool{}
	for i := range b.words {
		for bit := range 64 {
			if b.words[i].Load()>>bit&1 != 0 {
				got[name{sku, uint32(i*64 + bit)}] = true
			}
		}
	}
	for at := range want.cells {
		if c := want.view(at); at.sku == sku && c.Flags&Blocked == 0 && c.OnHand-c.Held > c.Safety {
			n[at] = true
		}
	}
	if !maps.Equal(got, n) {
		r.Fatalf("SKU %d: the bits tell %v, want %v", sku, got, n)
	}
}

// scanned compares both scans of a SKU with the model.
func scanned(r *rapid.T, m *Map, want *model, sku uint32) {
	views, raws := map[name]Cell{}, map[name]Cell{}
	for n := range want.cells {
		if n.sku == sku {
			views[n], raws[n] = want.view(n), want.cells[n]
		}
	}
	for _, scan := range []struct {
		f    func(uint32, func(uint32, Cell) bool)
		want map[name]Cell
	}{{m.Scan, views}, {m.ScanRaw, raws}} {
		got := map[name]Cell{}
		scan.f(sku, func(location uint32, c Cell) bool {
			if _, twice := got[name{sku, location}]; twice {
				r.Fatalf("location %d comes twice", location)
			}
			got[name{sku, location}] = c
			return true
		})
		if !maps.Equal(got, scan.want) {
			r.Fatalf("SKU %d: scanned %+v, want %+v", sku, got, scan.want)
		}
		calls := 0
		scan.f(sku, func(uint32, Cell) bool { calls++; return false })
		if calls != min(1, len(got)) {
			r.Fatalf("SKU %d: a scan that was told to end went on for %d cells", sku, calls)
		}
	}
}

func TestTheZeroMapIsEmpty(t *testing.T) {
	var m Map
	if c, ok := m.View(1, 1); ok || c != (Cell{Flags: absent}) {
		t.Errorf("%+v, %v", c, ok)
	}
	if _, ok := m.Raw(1, 1); ok || m.Head(1, 1) != 0 || m.Digest() != 0 || m.SKUs() != 0 || m.Stats() != (Stats{}) {
		t.Error("there is something in it")
	}
	m.Prefetch(1, 1)
	m.RemoveLocation(1, 1)
	m.RemoveSKU(1, 1)
	if m.Stats().Cells != 0 {
		t.Error("there is a cell in it")
	}
}

// TestTheDigestOfACellDoesNotChange pins a value that is stored in checkpoints and backups.
func TestTheDigestOfACellDoesNotChange(t *testing.T) {
	var m Map
	m.Put(7, 9, Cell{OnHand: -5, Held: 3, Safety: -2, Sequence: 1000, Flags: OwnSafety | Blocked})
	m.Put(8, 9, Cell{OnHand: 1 << 40})
	const want = 0xA8F55D5486E23839
	if got := m.Digest(); got != want {
		t.Errorf("%#x, want %#x", got, uint64(want))
	}
}

// TestTheDigestTellsStatesApart changes one number of a cell at a time.
func TestTheDigestTellsStatesApart(t *testing.T) {
	seen := map[uint64]int{}
	for i, c := range []Cell{
		{}, {OnHand: 1}, {Held: 1}, {Safety: 1, Flags: OwnSafety}, {Safety: -1, Flags: OwnSafety}, {Flags: OwnSafety},
		{Sequence: 1}, {Flags: Blocked}, {OnHand: 1, Held: 1}, {OnHand: -1}, {Held: -1},
	} {
		var m Map
		m.Put(1, 2, c)
		if other, ok := seen[m.Digest()]; ok {
			t.Errorf("states %d and %d have one digest", other, i)
		}
		seen[m.Digest()] = i
	}
	for i, n := range []name{{2, 1}, {1, 1}, {2, 2}} {
		var m Map
		m.Put(n.sku, n.location, Cell{})
		if other, ok := seen[m.Digest()]; ok {
			t.Errorf("%v and state %d have one digest", n, other)
		}
		seen[m.Digest()] = 100 + i
	}
	if fact(1, 2, &Cell{}) == uint64(digest.Cell) {
		t.Error("an empty cell adds nothing of its own")
	}
}

// TestAReaderSeesOneMoment has readers look at cells while one writer changes all of each cell's numbers together, adds
// cells so that rows grow, and links lines. Each look must find numbers that belong together, and never older ones than a
// look before.
func TestAReaderSeesOneMoment(t *testing.T) {
	var m Map
	const sku, cells, rounds = 5, 3, 20_000
	// state is what a cell is after change n.
	state := func(n uint64) Cell {
		return Cell{OnHand: int64(n), Held: -2 * int64(n), Safety: int64(n % 1000), Sequence: n, Flags: OwnSafety | Flags(n%2)*Blocked}
	}
	set := onlySet(sku)
	for location := uint32(1); location <= cells; location++ {
		m.Put(sku, location, state(0))
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	check := func(last *uint64, c Cell) bool {
		if c != state(c.Sequence) || c.Sequence < *last {
			t.Errorf("seen %+v after change %d", c, *last)
			return false
		}
		*last = c.Sequence
		return true
	}
	for range 3 {
		wg.Go(func() {
			var last [cells + 1]uint64
			for {
				select {
				case <-stop:
					return
				default:
				}
				for location := uint32(1); location <= cells; location++ {
					raw, ok := m.Raw(sku, location)
					view, ok2 := m.View(sku, location)
					if !ok || !ok2 || !check(&last[location], raw) || !check(&last[location], view) {
						t.Errorf("cell %d is there: %v, %v", location, ok, ok2)
						return
					}
				}
				m.Scan(sku, func(location uint32, c Cell) bool {
					return location > cells || check(&last[location], c)
				})
				m.ScanRaw(sku, func(location uint32, c Cell) bool {
					return location > cells || check(&last[location], c)
				})
			}
		})
	}
	for n := uint64(1); n <= rounds; n++ {
		location := uint32(n%cells) + 1
		m.Lock(&set)
		m.Put(sku, location, state(n))
		m.SwapHead(sku, location, uint32(n)*0x9E3779B1)
		if n%50 == 0 {
			m.Put(sku, cells+uint32(n/50), Cell{OnHand: 1})
		}
		m.Unlock(&set)
	}
	close(stop)
	wg.Wait()
	for location := uint32(1); location <= cells; location++ {
		if head := m.Head(sku, location); head == 0 {
			t.Errorf("cell %d has lost its lines", location)
		}
	}
}

// TestAViewBelongsToItsSequence changes what a view takes from elsewhere: the SKU's default and the location. What a
// reader sees, and the sequence it is told, must be of one change.
func TestAViewBelongsToItsSequence(t *testing.T) {
	for what, c := range map[string]struct {
		change func(m *Map, n uint64)
		sound  func(c Cell) bool
	}{
		"default": {
			func(m *Map, n uint64) { m.SetDefault(5, int64(n), n) },
			func(c Cell) bool { return c.Safety == int64(c.Sequence) },
		},
		"location": {
			func(m *Map, n uint64) { m.SetLocation(7, n%2 == 1, n) },
			func(c Cell) bool { return c.Flags&LocationBlocked != 0 == (c.Sequence%2 == 1) },
		},
	} {
		t.Run(what, func(t *testing.T) {
			var m Map
			m.Put(5, 7, Cell{OnHand: 3})
			stop := make(chan struct{})
			var wg sync.WaitGroup
			for range 3 {
				wg.Go(func() {
					last := uint64(0)
					for {
						select {
						case <-stop:
							return
						default:
						}
						v, ok := m.View(5, 7)
						if !ok || v.OnHand != 3 || !c.sound(v) || v.Sequence < last {
							t.Errorf("seen %+v, %v after %d", v, ok, last)
							return
						}
						last = v.Sequence
						// A cell that is not stocked there is seen with the same settings.
						if v, ok := m.View(5, 8); ok || v.OnHand != 0 || what == "default" && !c.sound(v) {
							t.Errorf("what is not there is seen as %+v, %v", v, ok)
							return
						}
					}
				})
			}
			for n := uint64(1); n <= 100_000; n++ {
				c.change(&m, n) // nobody else writes, so no lock is needed
			}
			close(stop)
			wg.Wait()
		})
	}
}

// TestALargeRowTakesAtMost41BytesACell, as the comment on row promises.
func TestALargeRowTakesAtMost41BytesACell(t *testing.T) {
	for _, presized := range []bool{false, true} {
		var m Map
		if presized {
			m.Presize(1, 5000)
		}
		for n := 1; n <= 5000; n++ {
			m.Put(1, uint32(n), Cell{})
			slots := m.slots.Load()
			if n >= 100 && !presized && (slots*slotBytes*10 > int64(n)*412 || slots*loadNumerator < int64(n)*loadDenominator) {
				t.Fatalf("%d cells take %d slots", n, slots)
			}
		}
		if slots := m.slots.Load(); presized && slots != int64(slotsFor(5000)) {
			t.Errorf("a row made for 5,000 cells has grown to %d slots", slots)
		}
	}
}
