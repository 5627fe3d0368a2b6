// Package stock is the stock map: every cell (SKU × location) of the engine, in memory, read without locks.
//
// SKUs and locations are integers here. A SKU's cells form one row; the SKUs are spread over Shards locks. Whoever
// changes a cell holds the lock of its SKU's shard; whoever changes a SKU's default or a location holds that SKU's
// shard, or all of them. Locks are taken in ascending order (LockSet), and nothing under them waits for anything but
// memory.
package stock

import (
	"math/bits"
	"sync"
	"sync/atomic"
	"unsafe"

	"onhand/engine/internal/chunked"
	"onhand/engine/internal/digest"
	"onhand/engine/internal/prefetch"
)

// Shards is the number of locks the SKUs are spread over. With 256, two of 64 cores that each hold one for 300 ns
// rarely meet, and holding all of them, which a few rare commands do, takes a few microseconds.
const Shards = 256

// Map holds the cells. The zero Map is empty and ready to use.
type Map struct {
	skus      chunked.List[sku]
	locations chunked.List[location]
	locks     [Shards]shard
	cells     atomic.Int64
	slots     atomic.Int64
}

type sku struct {
	row    atomic.Pointer[row]
	safety atomic.Int64 // default safety stock
	// sequence is that of the last change of safety, or settling while it is being changed.
	sequence atomic.Uint64
}

const settling = 1 << 63

// noSKU stands for every SKU of which nothing was ever said. It is only read.
var noSKU sku

type location struct {
	// version is sequence<<8 | flags; the only flag is Blocked.
	version atomic.Uint64
}

// shard keeps each lock on a cache line pair of its own (processors fetch lines in pairs).
type shard struct {
	sync.Mutex
	digest uint64 // of the shard's cells, under the lock
	_      [112]byte
}

// fact is what a cell adds to the digest.
func fact(sku, location uint32, c *Cell) uint64 {
	f := digest.Mix(uint64(digest.Cell), uint64(sku)<<32|uint64(location))
	f = digest.Mix(f, uint64(c.OnHand))
	f = digest.Mix(f, uint64(c.Held))
	return digest.Mix(f, uint64(c.Safety)<<8^c.Sequence<<16^uint64(c.Flags))
}

// ShardOf returns the shard that guards a SKU's cells.
func ShardOf(sku uint32) int { return int(sku * 0x9E3779B1 >> 24) }

// LockSet is a set of shards. Its locks are taken in ascending order, which is the one order of the engine.
type LockSet [Shards / 64]uint64

// Add puts a shard into the set.
func (s *LockSet) Add(shard int) { s[shard/64] |= 1 << (shard % 64) }

// Has reports whether shard is in the set.
func (s *LockSet) Has(shard int) bool { return s[shard/64]&(1<<(shard%64)) != 0 }

// Contains reports whether every shard of t is in s.
func (s *LockSet) Contains(t *LockSet) bool {
	for i := range s {
		if t[i]&^s[i] != 0 {
			return false
		}
	}
	return true
}

// AllShards is the set of all shards.
var AllShards = LockSet{^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0)}

// Lock takes the locks of all shards in set.
func (m *Map) Lock(set *LockSet) {
	for i, word := range set {
		for ; word != 0; word &= word - 1 {
			m.locks[i*64+bits.TrailingZeros64(word)].Lock()
		}
	}
}

// Unlock gives the locks of all shards in set back.
func (m *Map) Unlock(set *LockSet) {
	for i, word := range set {
		for ; word != 0; word &= word - 1 {
			m.locks[i*64+bits.TrailingZeros64(word)].Unlock()
		}
	}
}

// find returns the slot of a cell that exists.
func (m *Map) find(skuID, locationID uint32) *slot {
	s := m.skus.Peek(skuID)
	if s == nil {
		return nil
	}
	r := s.row.Load()
	if r == nil {
		return nil
	}
	i, ok := r.find(locationID)
	if !ok {
		return nil
	}
	return &r.slots[i]
}

// Raw returns a cell as it was last written, or false where there is none. Under the shard's lock it is the present
// value; without it, the value of some moment during the call.
func (m *Map) Raw(skuID, locationID uint32) (Cell, bool) {
	s := m.find(skuID, locationID)
	if s == nil {
		return Cell{}, false
	}
	c := s.load()
	return c, c.Flags&absent == 0
}

// View returns a cell as it counts for a promise: with the safety stock in force, LocationBlocked where the location is
// blocked, and the latest sequence of the cell, its SKU's default and its location. ok is false where the SKU is not
// stocked there. It takes no lock: what it returns was true
// at one moment during the call.
func (m *Map) View(skuID, locationID uint32) (c Cell, ok bool) {
	s := m.skus.Peek(skuID)
	l := m.locations.Peek(locationID)
	if l == nil {
		return Cell{Flags: absent}, false
	}
	if s == nil {
		// Nothing was ever said of the SKU, but the location may be blocked all the same.
		s = &noSKU
	}
	for {
		skuSequence, locationVersion := s.sequence.Load(), l.version.Load()
		if r := s.row.Load(); r != nil {
			if i, found := r.find(locationID); found {
				c = r.slots[i].load()
				ok = c.Flags&absent == 0
			}
		}
		s.apply(&c, skuSequence, locationVersion)
		// The default and the location have versions of their own; the cell was read between two equal readings of both.
		if s.sequence.Load() == skuSequence && skuSequence != settling && l.version.Load() == locationVersion {
			if !ok {
				c.OnHand, c.Held, c.Flags = 0, 0, c.Flags&LocationBlocked|absent
				return c, false
			}
			return c, true
		}
		c, ok = Cell{}, false
	}
}

// apply turns a raw cell into a view.
func (s *sku) apply(c *Cell, skuSequence, locationVersion uint64) {
	if c.Flags&OwnSafety == 0 {
		c.Safety = s.safety.Load()
	}
	if Flags(locationVersion)&Blocked != 0 {
		c.Flags |= LocationBlocked
	}
	c.Sequence = max(c.Sequence, skuSequence, locationVersion>>8)
}

// SlotsOf returns how many slots a SKU's row has: a little more than it has cells.
func (m *Map) SlotsOf(skuID uint32) int {
	if s := m.skus.Peek(skuID); s != nil {
		if r := s.row.Load(); r != nil {
			return len(r.slots)
		}
	}
	return 0
}

// Scan calls f with a view of each of a SKU's cells, in no order, until f answers false. It takes no lock; each view is
// of some moment during the call.
func (m *Map) Scan(skuID uint32, f func(location uint32, c Cell) bool) {
	s := m.skus.Peek(skuID)
	if s == nil {
		return
	}
	r := s.row.Load()
	if r == nil {
		return
	}
	for i := range r.slots {
		if id := r.slots[i].location(); id != 0 {
			if c, ok := m.View(skuID, id); ok && !f(id, c) {
				return
			}
		}
	}
}

// ScanRaw is Scan with the cells as they were last written.
func (m *Map) ScanRaw(skuID uint32, f func(location uint32, c Cell) bool) {
	s := m.skus.Peek(skuID)
	if s == nil {
		return
	}
	r := s.row.Load()
	if r == nil {
		return
	}
	for i := range r.slots {
		if id := r.slots[i].location(); id != 0 {
			if c := r.slots[i].load(); c.Flags&absent == 0 && !f(id, c) {
				return
			}
		}
	}
}

// Put writes a cell, creating it if it does not exist. The caller holds the shard's lock. c is a raw cell: its Safety
// counts only with OwnSafety.
func (m *Map) Put(skuID, locationID uint32, c Cell) {
	if c.Flags&OwnSafety == 0 {
		c.Safety = 0
	}
	c.Flags &= Blocked | OwnSafety | Low
	s, r, slot := m.slot(skuID, locationID)
	before := slot.load()
	sum := &m.locks[ShardOf(skuID)].digest
	if before.Flags&absent == 0 {
		*sum -= fact(skuID, locationID, &before)
	} else {
		m.cells.Add(1)
	}
	*sum += fact(skuID, locationID, &c)
	slot.store(locationID, c)
	r.mark(locationID, &before, &c, s.safety.Load())
}

// slot returns the slot of a cell and where it is, making an absent cell where there is none. The caller holds the
// shard's lock.
func (m *Map) slot(skuID, locationID uint32) (*sku, *row, *slot) {
	s := m.skus.At(skuID)
	r := s.row.Load()
	if r == nil {
		r = newRow(1)
		m.slots.Add(1)
	}
	i, found := r.find(locationID)
	if !found {
		if r.full() {
			next := r.grown()
			m.slots.Add(int64(len(next.slots) - len(r.slots)))
			r = next
			r.restock(s.safety.Load(), s.sequence.Load()&^settling)
			i, _ = r.find(locationID)
		}
		r.cover(locationID)
		m.locations.At(locationID) // so that View finds it
		r.slots[i].store(locationID, Cell{Flags: absent})
		r.used++
		if r != s.row.Load() {
			s.row.Store(r)
		}
	}
	return s, r, &r.slots[i]
}

// Presize makes room for n more cells of a SKU, so that writing them does not grow the row step by step. The caller
// holds the shard's lock.
func (m *Map) Presize(skuID uint32, n int) {
	s := m.skus.At(skuID)
	if s.row.Load() == nil && n > 0 {
		r := newRow(slotsFor(n))
		r.restock(0, 0)
		m.slots.Add(int64(len(r.slots)))
		s.row.Store(r)
	}
}

// Head returns the first of a cell's live reservation lines, or 0. The caller holds the shard's lock, or can do with what
// was there a moment ago.
func (m *Map) Head(skuID, locationID uint32) uint32 {
	if s := m.find(skuID, locationID); s != nil {
		return s.head()
	}
	return 0
}

// SwapHead sets the first of a cell's live reservation lines and returns what was there. The caller holds the shard's
// lock. While a checkpoint is read back, a line may come before its cell, which is then absent.
func (m *Map) SwapHead(skuID, locationID, ref uint32) (old uint32) {
	_, _, slot := m.slot(skuID, locationID)
	old = slot.head()
	slot.setHead(ref)
	return old
}

// Prefetch asks for the memory of a cell that will be read soon.
func (m *Map) Prefetch(skuID, locationID uint32) {
	if s := m.skus.Peek(skuID); s != nil {
		if r := s.row.Load(); r != nil {
			prefetch.Line(unsafe.Pointer(&r.slots[home(locationID, len(r.slots))]))
		}
	}
}

// SetDefault sets a SKU's default safety stock. The caller holds the SKU's shard.
func (m *Map) SetDefault(skuID uint32, safety int64, sequence uint64) {
	s := m.skus.At(skuID)
	s.sequence.Store(settling)
	if r := s.row.Load(); r != nil && safety != s.safety.Load() {
		r.restock(safety, sequence)
	}
	s.safety.Store(safety)
	s.sequence.Store(sequence)
}

// Default returns a SKU's default safety stock and the sequence it was set at. The caller holds the SKU's shard, or can
// do with two numbers that need not belong together.
func (m *Map) Default(skuID uint32) (safety int64, sequence uint64) {
	s := m.skus.Peek(skuID)
	if s == nil {
		return 0, 0
	}
	return s.safety.Load(), s.sequence.Load() &^ settling
}

// SetLocation sets whether a location is blocked. The caller holds all shards.
func (m *Map) SetLocation(locationID uint32, blocked bool, sequence uint64) {
	v := sequence << 8
	if blocked {
		v |= uint64(Blocked)
	}
	m.locations.At(locationID).version.Store(v)
}

// RemoveLocation removes all cells of a location. The caller holds all shards.
func (m *Map) RemoveLocation(locationID uint32, sequence uint64) {
	for id := range m.skus.Len() {
		at := m.find(id, locationID)
		if at == nil {
			continue
		}
		c := at.load()
		if c.Flags&absent != 0 {
			continue
		}
		m.locks[ShardOf(id)].digest -= fact(id, locationID, &c)
		removed := Cell{Sequence: sequence, Flags: absent}
		at.store(locationID, removed)
		s := m.skus.At(id)
		s.row.Load().mark(locationID, &c, &removed, s.safety.Load())
		m.cells.Add(-1)
	}
}

// RemoveSKU removes all cells of a SKU. The caller holds its shard. Their memory goes too, unless live reservation lines are
// linked to one still, which may be as long as it holds nothing.
func (m *Map) RemoveSKU(skuID uint32, sequence uint64) {
	s := m.skus.At(skuID)
	// Whoever finds no cell any more waits for this sequence.
	s.sequence.Store(settling)
	defer s.sequence.Store(sequence)
	r := s.row.Load()
	if r == nil {
		return
	}
	sum, linked := &m.locks[ShardOf(skuID)].digest, false
	for i := range r.slots {
		at := &r.slots[i]
		location := at.location()
		if location == 0 {
			continue
		}
		linked = linked || at.head() != 0
		if c := at.load(); c.Flags&absent == 0 {
			*sum -= fact(skuID, location, &c)
			removed := Cell{Sequence: sequence, Flags: absent}
			at.store(location, removed)
			r.mark(location, &c, &removed, s.safety.Load())
			m.cells.Add(-1)
		}
	}
	if !linked {
		s.row.Store(nil)
		m.slots.Add(-int64(len(r.slots)))
	}
}

// Digest returns the digest of all cells. The caller holds all shards.
func (m *Map) Digest() uint64 {
	sum := uint64(0)
	for i := range m.locks {
		sum += m.locks[i].digest
	}
	return sum
}

// SKUs returns one past the largest SKU that may have cells.
func (m *Map) SKUs() uint32 { return m.skus.Len() }

// Stats describes the memory in use, but for the bits of rows: at most a byte for each slot, of 32.
type Stats struct {
	Cells int64
	Bytes int64
}

// Stats returns the present figures.
func (m *Map) Stats() Stats {
	return Stats{
		Cells: m.cells.Load(),
		Bytes: m.slots.Load()*slotBytes + int64(m.skus.Len())*24 + int64(m.locations.Len())*8,
	}
}
