package reservation

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// heads is a stock map as far as the table needs one.
type heads struct {
	sync.Mutex
	head map[[2]uint32]uint32
}

func (h *heads) Head(sku, location uint32) uint32 {
	h.Lock()
	defer h.Unlock()
	return h.head[[2]uint32{sku, location}]
}

func (h *heads) SwapHead(sku, location, ref uint32) uint32 {
	h.Lock()
	defer h.Unlock()
	cell := [2]uint32{sku, location}
	old := h.head[cell]
	if h.head[cell] = ref; ref == 0 {
		delete(h.head, cell)
	}
	return old
}

const testShards = 4

func testShardOf(sku uint32) int { return int(sku % testShards) }

func newTable() (*Table, *heads) {
	h := &heads{head: map[[2]uint32]uint32{}}
	return New(testShards, testShardOf, h), h
}

// start is a time in no special place of the wheel.
var start = time.Date(2026, time.March, 2, 9, 0, 0, 123456789, time.UTC).UnixNano()

const tick = int64(1) << tickBits

// spans are how far away a deadline may be, with both sides of every edge of the wheel.
func spans() *rapid.Generator[int64] {
	const day = int64(24 * time.Hour)
	edges := []int64{0, tick, 256 * tick, 65536 * tick, 1 << 24 * tick, 31 * day, int64(time.Second), int64(15 * time.Minute)}
	return rapid.OneOf(
		rapid.Custom(func(r *rapid.T) int64 {
			return max(0, rapid.SampledFrom(edges).Draw(r, "edge")+rapid.SampledFrom([]int64{-tick, -1, 0, 1, tick}).Draw(r, "side"))
		}),
		rapid.Int64Range(0, 31*day),
		rapid.Int64Range(0, int64(2*time.Second)),
	)
}

// modelSeed makes references hash alike in every run, so that twins can be looked for.
const modelSeed = 7

// twins returns two references with one hash, as far as the index looks at it: stripe and 32 bits.
var twins = sync.OnceValue(func() (two [2]string) {
	t := &Table{seed: modelSeed}
	seen := make(map[uint64]int)
	for n := 0; ; n++ {
		h := t.referenceHash([]byte(strconv.Itoa(n)))
		h = h>>58<<32 | uint64(uint32(h))
		if other, ok := seen[h]; ok {
			return [2]string{strconv.Itoa(other), strconv.Itoa(n)}
		}
		seen[h] = n
	}
})

func references() []string {
	two := twins()
	return []string{"", "a", "b", "order-12345678", "order-12345679", two[0], two[1]}
}

// newModelTable is newTable with the seed of the model's references.
func newModelTable() (*Table, *heads) {
	t, h := newTable()
	t.seed = modelSeed
	return t, h
}

// model is what a Table should be: the reservations in the order in which they came.
type model struct {
	live []*Reservation
	now  int64
	next uint64 // sequence
	ids  uint64
}

func (m *model) draw(r *rapid.T) *Reservation {
	m.ids++
	re := &Reservation{State: Held, Created: m.now, First: m.next, Sequence: m.next}
	m.next++
	binary.BigEndian.PutUint64(re.ID[:], m.ids)
	if rapid.Bool().Draw(r, "other half") { // ids that differ in either half only
		re.ID[8], re.ID[7] = re.ID[7], 0
		re.ID[9] = re.ID[6]
		re.ID[6] = 0
	}
	re.Deadline = m.now + spans().Draw(r, "deadline")
	re.Channel = []byte(rapid.SampledFrom([]string{"", "web", "app"}).Draw(r, "channel"))
	re.Reference = []byte(rapid.SampledFrom(references()).Draw(r, "reference"))
	re.Owner = rapid.SampledFrom([]uint32{0, 1, 2, 5000}).Draw(r, "owner")
	cells := rapid.SliceOfNDistinct(rapid.IntRange(0, 23), 1, 5, rapid.ID[int]).Draw(r, "cells")
	for _, cell := range cells {
		re.Lines = append(re.Lines, Line{SKU: uint32(cell/4) + 1, Location: uint32(cell%4) + 1, Quantity: rapid.Uint32Range(1, math.MaxInt32).Draw(r, "quantity")})
	}
	return re
}

func equal(a, b *Reservation) bool {
	return a.ID == b.ID && a.Owner == b.Owner && a.State == b.State && a.Created == b.Created && a.Deadline == b.Deadline && a.First == b.First &&
		a.Sequence == b.Sequence && bytes.Equal(a.Channel, b.Channel) && bytes.Equal(a.Reference, b.Reference) && slices.Equal(a.Lines, b.Lines)
}

func shareACell(some []*Reservation) bool {
	seen := map[[2]uint32]bool{}
	for _, re := range some {
		for _, l := range re.Lines {
			cell := [2]uint32{l.SKU, l.Location}
			if seen[cell] {
				return true
			}
			seen[cell] = true
		}
	}
	return false
}

func mustFind(r *rapid.T, t *Table, id ID) uint32 {
	ref := t.Find(id, nil)
	if ref == 0 {
		r.Fatalf("reservation %x is not found", id)
	}
	return ref
}

// check compares all that the table can be asked with the model.
func (m *model) check(r *rapid.T, t *Table, h *heads) {
	var got Reservation
	for _, want := range m.live {
		var shards [testShards]bool
		ref := t.Find(want.ID, func(shard int) { shards[shard] = true })
		if ref == 0 || !t.Is(ref, want.ID) || t.IDOf(ref) != want.ID || t.Is(ref+1, want.ID) {
			r.Fatalf("reservation %x is not found where it is", want.ID)
		}
		if t.Read(ref, &got); !equal(&got, want) {
			r.Fatalf("read %+v\nwant %+v", got, *want)
		}
		var lines, others [testShards]bool
		for _, l := range want.Lines {
			lines[testShardOf(l.SKU)] = true
		}
		t.ShardsOf(ref, func(shard int) { others[shard] = true })
		if shards != lines || others != lines {
			r.Fatalf("shards %v and %v, want %v", shards, others, lines)
		}
	}
	if t.Find(ID{0xFF}, nil) != 0 || t.Is(1, ID{0xFF}) {
		r.Fatal("a reservation was found that never was")
	}
	m.checkReferences(r, t)
	m.checkCells(r, t, h)
	m.checkPlaces(r, t)
	m.checkSlots(r, t)
	if st := t.Stats(); st.Live != int64(len(m.live)) || st.FreeBytes < 0 || st.FreeBytes > st.Bytes {
		r.Fatalf("%+v with %d live", st, len(m.live))
	}
}

func (m *model) checkReferences(r *rapid.T, t *Table) {
	var entries int
	for _, reference := range append(references(), "nobody's") {
		var want []ID
		for _, re := range m.live {
			if reference != "" && string(re.Reference) == reference {
				want = append(want, re.ID)
			}
		}
		got := t.FindReference([]ID{{1, 2, 3}}, []byte(reference), math.MaxInt)
		if got[0] != (ID{1, 2, 3}) {
			r.Fatal("what was in dst is gone")
		}
		got = got[1:]
		sortIDs(got)
		sortIDs(want)
		if !slices.Equal(got, want) {
			r.Fatalf("with reference %q: %x, want %x", reference, got, want)
		}
		if n := t.CountReference([]byte(reference)); n != int64(len(want)) {
			r.Fatalf("%d are counted with reference %q, want %d", n, reference, len(want))
		}
		if len(want) > 0 {
			entries++
		}
	}
	// However many share a reference, one of them is in the index: that is why they cost no more than others.
	for i := range t.references {
		entries -= t.references[i].index.Len()
	}
	if entries != 0 {
		r.Fatalf("the index has %d entries more than there are references", -entries)
	}
	owners := make(map[uint32]int64)
	for _, re := range m.live {
		owners[re.Owner]++
	}
	for _, owner := range []uint32{1, 2, 5000, 6000, 1 << 30} {
		if n := t.CountOwner(owner); n != owners[owner] {
			r.Fatalf("%d are counted of owner %d, want %d", n, owner, owners[owner])
		}
	}
}

func sortIDs(ids []ID) { slices.SortFunc(ids, func(a, b ID) int { return bytes.Compare(a[:], b[:]) }) }

type open struct {
	id    ID
	units uint32
}

func (m *model) checkCells(r *rapid.T, t *Table, h *heads) {
	want := map[[2]uint32][]open{}
	byAge := slices.SortedFunc(slices.Values(m.live), func(a, b *Reservation) int { return cmp.Compare(b.First, a.First) })
	for _, re := range byAge {
		for _, l := range re.Lines {
			cell := [2]uint32{l.SKU, l.Location}
			want[cell] = append(want[cell], open{re.ID, l.Open()})
		}
	}
	for sku := uint32(0); sku <= 7; sku++ {
		for location := uint32(0); location <= 5; location++ {
			var got []open
			t.Cell(sku, location, func(id ID, units uint32) bool {
				got = append(got, open{id, units})
				return true
			})
			cell := [2]uint32{sku, location}
			if !slices.Equal(got, want[cell]) {
				r.Fatalf("cell %v has lines %x, want %x", cell, got, want[cell])
			}
			calls := 0
			t.Cell(sku, location, func(ID, uint32) bool { calls++; return false })
			if calls != min(1, len(got)) {
				r.Fatalf("cell %v was walked on for %d lines", cell, calls)
			}
		}
	}
	if len(h.head) != len(want) {
		r.Fatalf("%d cells have a line, want %d", len(h.head), len(want))
	}
}

func (m *model) checkPlaces(r *rapid.T, t *Table) {
	newestFirst := slices.SortedFunc(slices.Values(m.live), func(a, b *Reservation) int { return int(int64(b.First) - int64(a.First)) })
	before := rapid.Uint64Range(0, m.next+1).Draw(r, "before")
	most := rapid.SampledFrom([]int{0, 1, 2, 1000}).Draw(r, "most")
	for location := uint32(0); location <= 5; location++ {
		for _, firstLineOnly := range []bool{false, true} {
			for _, c := range []struct {
				before uint64
				most   int
			}{{math.MaxUint64, 1000}, {before, most}} {
				want := []Entry{{First: 77}}
				for _, re := range newestFirst {
					i := slices.IndexFunc(re.Lines, func(l Line) bool { return l.Location == location })
					if firstLineOnly && i != 0 || i < 0 || re.First >= c.before || len(want) > c.most {
						continue
					}
					want = append(want, Entry{re.ID, re.First})
				}
				if got := t.Place([]Entry{{First: 77}}, location, c.before, firstLineOnly, c.most); !slices.Equal(got, want) {
					r.Fatalf("location %d before %d, at most %d, first line only %v:\n%v, want\n%v", location, c.before, c.most, firstLineOnly, got, want)
				}
			}
		}
	}
	if len(m.live) > 0 && t.Places() < 2 {
		r.Fatalf("%d places", t.Places())
	}
}

func (m *model) checkSlots(r *rapid.T, t *Table) {
	met := map[ID]int{}
	for shard := range testShards {
		for slot := range WheelSlots {
			var at SlotPosition
			for more := true; more; {
				more = t.Slot(shard, slot, &at, 2, func(ref uint32) {
					met[t.IDOf(ref)]++
					if first := t.line(lineOf(ref, 0)).sku; testShardOf(first) != shard {
						r.Fatalf("a reservation of shard %d is met in shard %d", testShardOf(first), shard)
					}
				})
			}
		}
	}
	for _, re := range m.live {
		if met[re.ID] != 1 {
			r.Fatalf("a walk over the wheel meets %x %d times", re.ID, met[re.ID])
		}
	}
	if len(met) != len(m.live) {
		r.Fatalf("a walk over the wheel meets %d, live are %d", len(met), len(m.live))
	}
}

// due returns the ids that are due in a shard, once for each line there, sorted.
func (m *model) due(shard int) (ids []ID) {
	for _, re := range m.live {
		for _, l := range re.Lines {
			if testShardOf(l.SKU) == shard && re.Deadline <= m.now {
				ids = append(ids, re.ID)
			}
		}
	}
	sortIDs(ids)
	return ids
}

// checkDue asks a shard for what is due and compares it to the nanosecond.
func (m *model) checkDue(r *rapid.T, t *Table, shard int) {
	for _, re := range m.live {
		for _, l := range re.Lines {
			if testShardOf(l.SKU) == shard && t.NextDue(shard) > re.Deadline {
				r.Fatalf("nothing is due in shard %d before %d; %x is at %d", shard, t.NextDue(shard), re.ID, re.Deadline)
			}
		}
	}
	want := m.due(shard)
	var got []ID
	for _, ref := range t.Due(nil, shard, m.now, math.MaxInt) {
		got = append(got, t.IDOf(ref))
	}
	sortIDs(got)
	if !slices.Equal(got, want) {
		r.Fatalf("due in shard %d at %d: %x, want %x", shard, m.now, got, want)
	}
	if len(got) == 0 && t.NextDue(shard) <= m.now {
		r.Fatalf("shard %d has nothing due at %d, and says something will be at %d: its sweeper would spin", shard, m.now, t.NextDue(shard))
	}
	for most := range min(3, len(want)) {
		if n := len(t.Due(nil, shard, m.now, most)); n != most {
			r.Fatalf("asked for %d of %d due: %d", most, len(want), n)
		}
	}
}

// TestTableIsATable compares the table with a list of reservations, through their whole lives, over months.
func TestTableIsATable(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		table, h := newModelTable()
		m := &model{now: start, next: 1}
		insert := func(r *rapid.T, re *Reservation) {
			if !table.Insert(re) {
				r.Fatal("there is no room")
			}
			m.live = append(m.live, re)
		}
		r.Repeat(map[string]func(*rapid.T){
			"insert": func(r *rapid.T) { insert(r, m.draw(r)) },
			"insert many with one reference": func(r *rapid.T) {
				reference := []byte(rapid.SampledFrom(references()).Draw(r, "of all"))
				for range rapid.IntRange(2, 8).Draw(r, "how many") {
					re := m.draw(r)
					re.Reference = reference
					insert(r, re)
				}
			},
			// Commands on different shards come to a location a little out of order.
			"insert out of order": func(r *rapid.T) {
				var some []*Reservation
				for range rapid.IntRange(2, 4).Draw(r, "how many") {
					some = append(some, m.draw(r))
				}
				// On the same cell they come in order, as they do under its lock.
				order := rapid.Permutation(some).Draw(r, "order")
				if shareACell(some) {
					order = some
				}
				for _, re := range order {
					insert(r, re)
				}
			},
			"remove": func(r *rapid.T) {
				if len(m.live) == 0 {
					r.Skip("none is live")
				}
				i := rapid.IntRange(0, len(m.live)-1).Draw(r, "which")
				id := m.live[i].ID
				table.Remove(mustFind(r, table, id))
				m.live = slices.Delete(m.live, i, i+1)
				if table.Find(id, nil) != 0 {
					r.Fatal("what was removed is still found")
				}
			},
			"update": func(r *rapid.T) {
				if len(m.live) == 0 {
					r.Skip("none is live")
				}
				re := m.live[rapid.IntRange(0, len(m.live)-1).Draw(r, "which")]
				re.Sequence = m.next
				m.next++
				if rapid.Bool().Draw(r, "extend") {
					re.Deadline = m.now + spans().Draw(r, "deadline")
				}
				if rapid.Bool().Draw(r, "grow") { // by lines of its own SKUs, elsewhere
					for range rapid.IntRange(1, 3).Draw(r, "lines") {
						l := Line{SKU: rapid.SampledFrom(re.Lines).Draw(r, "like").SKU, Location: rapid.Uint32Range(1, 5).Draw(r, "location")}
						if !slices.ContainsFunc(re.Lines, func(h Line) bool { return h.SKU == l.SKU && h.Location == l.Location }) {
							l.Quantity = rapid.Uint32Range(1, math.MaxInt32).Draw(r, "quantity")
							re.Lines = append(re.Lines, l)
						}
					}
				}
				for i := range re.Lines {
					l := &re.Lines[i]
					if l.Quantity < math.MaxInt32 && rapid.Bool().Draw(r, "more of it") {
						l.Quantity++
					}
					l.Committed += rapid.Uint32Range(0, l.Open()).Draw(r, "committed")
					l.Released += rapid.Uint32Range(0, l.Open()).Draw(r, "released")
				}
				if !table.Update(mustFind(r, table, re.ID), re) {
					r.Fatal("there is no room")
				}
			},
			"time": func(r *rapid.T) {
				m.now += rapid.OneOf(spans(), rapid.Just(int64(300*24*time.Hour))).Draw(r, "passes")
				m.checkDue(r, table, rapid.IntRange(0, testShards-1).Draw(r, "shard"))
			},
			"expire": func(r *rapid.T) {
				shard := rapid.IntRange(0, testShards-1).Draw(r, "shard")
				for refs := table.Due(nil, shard, m.now, 3); len(refs) > 0; refs = table.Due(refs[:0], shard, m.now, 3) {
					slices.Sort(refs)
					for _, ref := range slices.Compact(refs) {
						id := table.IDOf(ref)
						table.Remove(ref)
						m.live = slices.DeleteFunc(m.live, func(re *Reservation) bool {
							if re.ID == id && re.Deadline > m.now {
								r.Fatalf("%x expired before its deadline", id)
							}
							return re.ID == id
						})
					}
				}
				if left := m.due(shard); len(left) != 0 {
					r.Fatalf("%x are due and were not expired", left)
				}
				m.checkDue(r, table, shard)
			},
			"load": func(r *rapid.T) {
				// A checkpoint holds them in any order. What is read back is the same but for the order within a cell, which is
				// that of the sequences.
				loaded, lh := newModelTable()
				slices.SortFunc(m.live, func(a, b *Reservation) int { return int(int64(a.First) - int64(b.First)) })
				for _, re := range rapid.Permutation(m.live).Draw(r, "order") {
					if !loaded.Load(re) {
						r.Fatal("there is no room")
					}
				}
				loaded.SortLists()
				if loaded.Digest() != table.Digest() {
					r.Fatal("the digest depends on the way here")
				}
				table, h = loaded, lh
			},
			"": func(r *rapid.T) { m.check(r, table, h) },
		})
		for shard := range testShards {
			m.checkDue(r, table, shard)
		}
		for _, re := range m.live {
			table.Remove(mustFind(r, table, re.ID))
		}
		if st := table.Stats(); st.Live != 0 || len(h.head) != 0 || table.Digest() != 0 {
			r.Fatalf("with nothing in it: %+v, %d cells, digest %x", st, len(h.head), table.Digest())
		}
		if taken, free := table.arena.bytes(); taken != free {
			r.Fatalf("with nothing in it %d bytes are in use", taken-free)
		}
	})
}

// TestTheDigestOfAReservationDoesNotChange pins a value that is stored in checkpoints and backups.
func TestTheDigestOfAReservationDoesNotChange(t *testing.T) {
	table, _ := newTable()
	table.Insert(&Reservation{
		ID: ID{1, 2, 3, 15: 16}, State: Held, Created: start, Deadline: start + 1, First: 5, Sequence: 9, Reference: []byte("order"),
		Lines: []Line{{SKU: 1, Location: 2, Quantity: 9, Committed: 3, Released: 2}, {SKU: 2, Location: 2, Quantity: 1}},
	})
	const want = 0x5C037E5027B9129B
	if got := table.Digest(); got != want {
		t.Errorf("%#x, want %#x", got, uint64(want))
	}
}

func TestTheDigestTellsReservationsApart(t *testing.T) {
	seen := map[uint64]int{}
	for i, change := range []func(re *Reservation){
		func(re *Reservation) {},
		func(re *Reservation) { re.ID[0]++ },
		func(re *Reservation) { re.ID[15]++ },
		func(re *Reservation) { re.Deadline++ },
		func(re *Reservation) { re.First++ },
		func(re *Reservation) { re.Sequence++ },
		func(re *Reservation) { re.Lines[0].SKU++ },
		func(re *Reservation) { re.Lines[0].Location++ },
		func(re *Reservation) { re.Lines[0].Quantity++ },
		func(re *Reservation) { re.Lines[0].Committed++ },
		func(re *Reservation) { re.Lines[0].Released++ },
		func(re *Reservation) { re.Lines[0], re.Lines[1] = re.Lines[1], re.Lines[0] },
		func(re *Reservation) { re.Lines = re.Lines[:1] },
	} {
		table, _ := newTable()
		re := &Reservation{ID: ID{1}, Deadline: start, First: 5, Sequence: 9, Lines: []Line{{1, 2, 9, 3, 2}, {2, 2, 1, 0, 0}}}
		change(re)
		table.Insert(re)
		if other, ok := seen[table.Digest()]; ok {
			t.Errorf("changes %d and %d have one digest", other, i)
		}
		seen[table.Digest()] = i
	}
}

// TestTheLargestReservationFits, with as many lines and as much text as there may be.
func TestTheLargestReservationFits(t *testing.T) {
	table, _ := newTable()
	var want [3]Reservation
	for i := range want {
		re := Reservation{ID: ID{byte(i)}, State: Held, Deadline: start, First: uint64(i), Channel: bytes.Repeat([]byte{'c'}, TextMax), Reference: bytes.Repeat([]byte{'r'}, TextMax-i)}
		for line := range uint32(LinesMax) {
			re.Lines = append(re.Lines, Line{line + 1, line%7 + 1, math.MaxUint32, 1, 2})
		}
		if !table.Insert(&re) {
			t.Fatal("there is no room")
		}
		want[i] = re
	}
	var got Reservation
	for i := range want {
		if table.Read(table.Find(want[i].ID, nil), &got); !equal(&got, &want[i]) {
			t.Errorf("reservation %d is not read as it was inserted", i)
		}
	}
	if n := len(table.Due(nil, 1, start, math.MaxInt)); n != 3*LinesMax/testShards {
		t.Errorf("%d lines are due", n)
	}
	for i := range want {
		table.Remove(table.Find(want[i].ID, nil))
	}
	if taken, free := table.arena.bytes(); taken != free {
		t.Errorf("%d bytes are in use by nothing", taken-free)
	}
}

// TestChurnTakesNoMoreMemory: what a reservation gives back is what the next one of its size takes.
func TestChurnTakesNoMoreMemory(t *testing.T) {
	table, _ := newTable()
	insert := func(n uint64) {
		re := Reservation{Deadline: start, First: n, Lines: []Line{{SKU: uint32(n%50) + 1, Location: 1, Quantity: 1}}}
		binary.LittleEndian.PutUint64(re.ID[:], n)
		re.Lines = append(re.Lines, make([]Line, n%3)...)
		for i := range re.Lines {
			re.Lines[i] = Line{SKU: uint32(n%50) + 1, Location: uint32(i) + 1, Quantity: 1}
		}
		table.Insert(&re)
	}
	remove := func(n uint64) {
		var id ID
		binary.LittleEndian.PutUint64(id[:], n)
		table.Remove(table.Find(id, nil))
	}
	const live = 3000
	for n := range uint64(live) {
		insert(n)
	}
	before, _ := table.arena.bytes()
	for n := range uint64(30_000) {
		remove(n)
		insert(n + live)
	}
	if after, _ := table.arena.bytes(); after != before {
		t.Errorf("the arena has grown from %d to %d bytes", before, after)
	}
}

// TestManyShardsAtOnce has a goroutine work on each shard, and on pairs of them, while others read by id, reference and
// location, which takes no shard's lock. What shares a reference lies in all of the shards. Meant for the race detector;
// the table is whole in the end.
func TestManyShardsAtOnce(t *testing.T) {
	table, h := newModelTable()
	shared := append(references(), "order", "order", "order")
	var locks [testShards]sync.Mutex
	var sequence, ids uint64
	var mu sync.Mutex // guards the two, and live
	live := map[ID]*Reservation{}
	stop := make(chan struct{})
	var readers, writers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				for location := range uint32(3) {
					previous := uint64(math.MaxUint64)
					for _, e := range table.Place(nil, location, math.MaxUint64, false, 50) {
						if e.First >= previous {
							t.Errorf("location %d: %d is listed after %d", location, e.First, previous)
						}
						previous = e.First
						table.Find(e.ID, func(shard int) {
							if shard < 0 || shard >= testShards {
								t.Errorf("shard %d", shard)
							}
						})
					}
				}
				for _, reference := range shared {
					for _, id := range table.FindReference(nil, []byte(reference), math.MaxInt) {
						table.PrefetchID(id)
					}
					table.CountReference([]byte(reference))
					table.PrefetchReference([]byte(reference))
				}
				table.Stats()
				for shard := range testShards {
					table.NextDue(shard)
				}
			}
		})
	}
	for writer := range 4 {
		writers.Go(func() {
			r := rand.New(rand.NewPCG(uint64(writer), 1))
			var own []ID
			for range 1500 {
				if len(own) > 40 {
					i := r.IntN(len(own))
					id := own[i]
					var shards [testShards]bool
					table.Find(id, func(shard int) { shards[shard] = true })
					for shard, in := range shards {
						if in {
							locks[shard].Lock()
						}
					}
					ref := table.Find(id, nil)
					mu.Lock()
					re := live[id]
					mu.Unlock()
					// Some move to a larger block, with a line more.
					l := Line{SKU: re.Lines[0].SKU, Location: r.Uint32N(3), Quantity: 1}
					if r.IntN(2) == 0 && !slices.Contains(re.Lines, l) {
						re.Lines = append(re.Lines, l)
						table.Update(ref, re)
					} else {
						own = slices.Delete(own, i, i+1)
						table.PrefetchRemoval(ref, func(_, _ uint32) {})
						table.Remove(ref)
						mu.Lock()
						delete(live, id)
						mu.Unlock()
					}
					for shard, in := range shards {
						if in {
							locks[shard].Unlock()
						}
					}
					continue
				}
				re := &Reservation{State: Held, Created: start, Deadline: start + r.Int64N(int64(time.Hour)), Reference: []byte(shared[r.IntN(len(shared))])}
				var shards [testShards]bool
				for range 1 + r.IntN(2) {
					l := Line{SKU: 1 + r.Uint32N(8), Location: r.Uint32N(3), Quantity: 1}
					if !slices.Contains(re.Lines, l) {
						re.Lines = append(re.Lines, l)
						shards[testShardOf(l.SKU)] = true
					}
				}
				for shard, in := range shards {
					if in {
						locks[shard].Lock()
					}
				}
				mu.Lock()
				sequence++
				ids++
				re.First, re.Sequence = sequence, sequence
				binary.LittleEndian.PutUint64(re.ID[:], ids)
				live[re.ID] = re
				mu.Unlock()
				table.Insert(re)
				own = append(own, re.ID)
				for shard, in := range shards {
					if in {
						locks[shard].Unlock()
					}
				}
			}
		})
	}
	writers.Wait()
	close(stop)
	readers.Wait()
	sharing := make(map[string][]ID)
	for id, re := range live {
		if len(re.Reference) > 0 {
			sharing[string(re.Reference)] = append(sharing[string(re.Reference)], id)
		}
	}
	for _, reference := range shared {
		want, got := sharing[reference], table.FindReference(nil, []byte(reference), math.MaxInt)
		sortIDs(want)
		sortIDs(got)
		if !slices.Equal(got, want) || table.CountReference([]byte(reference)) != int64(len(want)) {
			t.Errorf("with reference %q: %x, want %x", reference, got, want)
		}
	}
	var got Reservation
	for id, want := range live {
		ref := table.Find(id, nil)
		if ref == 0 {
			t.Errorf("%x is lost", id)
			continue
		}
		if table.Read(ref, &got); !equal(&got, want) {
			t.Errorf("read %+v, want %+v", got, want)
		}
		table.Remove(ref)
	}
	if table.Stats().Live != 0 || table.Digest() != 0 || len(h.head) != 0 {
		t.Errorf("something is left: %+v", table.Stats())
	}
}

// BenchmarkHold inserts and removes holds of one line, and reports what a live one takes.
func BenchmarkHold(b *testing.B) {
	for _, lines := range []int{1, 5} {
		b.Run(fmt.Sprint(lines, "_lines"), func(b *testing.B) {
			t := New(testShards, testShardOf, &flat{})
			var re Reservation
			var n uint64
			for b.Loop() {
				n++
				re = Reservation{State: Held, Created: start, Deadline: start + int64(n%900)*int64(time.Second), First: n, Sequence: n, Lines: re.Lines[:0]}
				binary.LittleEndian.PutUint64(re.ID[:], n*0x9E3779B97F4A7C15)
				for i := range lines {
					re.Lines = append(re.Lines, Line{SKU: uint32(n)%flatSKUs + 1, Location: uint32(i), Quantity: 1})
				}
				t.Insert(&re)
			}
			st := t.Stats()
			used := st.Bytes - int64(testShards)*int64(levels*slotsPerLevel+1)*4
			b.ReportMetric(float64(used)/float64(st.Live), "bytes/hold")
		})
	}
}

// BenchmarkSharedReference removes one of 100,000 live holds and inserts another with its reference, where so many share one:
// each may cost what it does where none is shared.
func BenchmarkSharedReference(b *testing.B) {
	const live = 100_000
	for _, shared := range []int{1, 1000, live} {
		b.Run(fmt.Sprint("shared=", shared), func(b *testing.B) {
			t := New(testShards, testShardOf, &flat{})
			r := rand.New(rand.NewPCG(1, 1))
			re := Reservation{State: Held, Created: start, Lines: make([]Line, 1)}
			insert := func(reference int) (id ID) {
				re.First++
				re.Sequence = re.First
				binary.LittleEndian.PutUint64(re.ID[:], re.First*0x9E3779B97F4A7C15)
				re.Deadline = start + int64(re.First%900)*int64(time.Second)
				re.Reference = fmt.Appendf(re.Reference[:0], "customer-%06d", reference)
				re.Lines[0] = Line{SKU: uint32(re.First)%flatSKUs + 1, Location: 1, Quantity: 1}
				if !t.Insert(&re) {
					b.Fatal("there is no room")
				}
				return re.ID
			}
			var ids [live]ID
			for i := range ids {
				ids[i] = insert(i / shared)
			}
			for b.Loop() {
				i := r.IntN(live)
				t.Remove(t.Find(ids[i], nil))
				ids[i] = insert(i / shared)
			}
		})
	}
}

// flat is a stock map of one array, so that the benchmark measures the table alone.
type flat struct{ head [flatSKUs + 1][8]uint32 }

const flatSKUs = 50_000

func (f *flat) Head(sku, location uint32) uint32 { return f.head[sku][location] }

func (f *flat) SwapHead(sku, location, ref uint32) uint32 {
	old := f.head[sku][location]
	f.head[sku][location] = ref
	return old
}
