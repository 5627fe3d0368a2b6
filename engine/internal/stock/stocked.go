package stock

import "sync/atomic"

// stocked has a bit for each location: whether at least one unit of a SKU is available there, as far as the cell and its
// SKU's default say; whether the location is blocked does not count. It is kept by rows that are large and whose locations are
// not too sparse, so that a question about every location reads a bit of each and not thirty-two bytes: 1,565 locations are
// three cache lines. A bit is written only when the first unit comes or the last one goes.
//
// It is written under the shard's lock and read without one, each bit as of some moment. One that is replaced, by a larger one
// or with its row, is not written any more, and tells what was so when it was looked up.
type stocked struct {
	// latest is at least the sequence of the last change of any bit. It is stored before the bit, so whoever reads it after the bits
	// knows what to wait for.
	latest atomic.Uint64
	words  []atomic.Uint64
}

// stockedFrom is from how many slots on a row keeps its bits, and sparsest how many locations there are for each slot at most:
// a byte for each slot.
const (
	stockedFrom = 64
	sparsest    = 8
)

// stockedWords returns how many words a row of so many slots may have.
func stockedWords(slots int) int { return slots * sparsest / 64 }

// inStock reports whether at least one unit of a raw cell is available, whether or not its location is blocked.
func (c *Cell) inStock(safety int64) bool {
	if c.Flags&OwnSafety != 0 {
		safety = c.Safety
	}
	return c.Flags&(Blocked|absent) == 0 && c.OnHand-c.Held > safety
}

// set writes the bit of a location. The caller holds the shard's lock.
func (b *stocked) set(location uint32, is bool, sequence uint64) {
	b.latest.Store(max(b.latest.Load(), sequence))
	word, bit := &b.words[location/64], uint64(1)<<(location%64)
	if is {
		word.Store(word.Load() | bit)
	} else {
		word.Store(word.Load() &^ bit)
	}
}

// mark sets the bit of a cell that was written, if it has changed. The caller holds the shard's lock.
func (r *row) mark(location uint32, before, after *Cell, safety int64) {
	b := r.stocked.Load()
	if b == nil {
		return
	}
	if is := after.inStock(safety); is != before.inStock(safety) {
		b.set(location, is, after.Sequence)
	}
}

// cover makes room for a location's bit, or gives the bits up where there are too few slots for so many locations; a larger row
// will have them again. The caller holds the shard's lock.
func (r *row) cover(location uint32) {
	b := r.stocked.Load()
	if b == nil || int(location/64) < len(b.words) {
		return
	}
	most := stockedWords(len(r.slots))
	if int(location/64) >= most {
		r.stocked.Store(nil)
		return
	}
	next := &stocked{words: make([]atomic.Uint64, min(most, int(location/64)*5/4+1))}
	for i := range b.words {
		next.words[i].Store(b.words[i].Load())
	}
	next.latest.Store(b.latest.Load())
	r.stocked.Store(next)
}

// restock makes the bits anew from the cells, of a row that has or may have them. sequence is that of the SKU's default. The
// caller holds the shard's lock.
func (r *row) restock(safety int64, sequence uint64) {
	if len(r.slots) < stockedFrom {
		return
	}
	farthest := uint32(0)
	for i := range r.slots {
		farthest = max(farthest, r.slots[i].location())
	}
	if int(farthest/64) >= stockedWords(len(r.slots)) {
		r.stocked.Store(nil)
		return
	}
	b := &stocked{words: make([]atomic.Uint64, farthest/64+1)}
	for i := range r.slots {
		c := r.slots[i].load()
		sequence = max(sequence, c.Sequence)
		if location := r.slots[i].location(); location != 0 && c.inStock(safety) {
			b.words[location/64].Store(b.words[location/64].Load() | 1<<(location%64))
		}
	}
	b.latest.Store(sequence)
	r.stocked.Store(b)
}
