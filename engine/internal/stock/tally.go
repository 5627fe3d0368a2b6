package stock

import (
	"math/bits"
	"runtime"
)

// Tally counts, by location, how much of a basket there is. It is used again and again.
//
// Most lines of baskets are for one unit, and of these it is enough to know where there is any, which the bits of a row tell.
// They are added up sixty-four locations at a time: the first plane has the lowest bit of each location's sum, the next one the
// second, and so on. Lines for more units, and of SKUs that few locations stock, are counted cell by cell; what counts hold of an
// earlier basket is told from the present one by its round, and never cleared.
type Tally struct {
	words  int      // of a plane
	planes []uint64 // one behind the other
	depth  int      // planes in use

	counts []Count
	round  uint32
	found  []uint32 // the locations in counts

	latest uint64
}

// Count is how much of a basket a location has.
type Count struct {
	Units int64 // of what was asked for
	round uint32
	Lines uint32 // with all that was asked for
}

// Begin forgets what was counted. locations is one past the largest there is.
func (t *Tally) Begin(locations uint32) {
	if t.round++; t.round == 0 || len(t.counts) < int(locations) {
		t.counts, t.round = make([]Count, (locations+locations/4+64)&^63), 1
	}
	t.words, t.depth = len(t.counts)/64, 0
	t.found, t.latest = t.found[:0], 0
	// Empty slots count for location 0, which is none: cheaper than to tell them apart.
	t.counts[0].round = t.round
}

// Latest is the sequence of the last change that was seen.
func (t *Tally) Latest() uint64 { return t.latest }

// Of returns how much of the basket a location has.
func (t *Tally) Of(location uint32) Count {
	if int(location) >= len(t.counts) {
		return Count{}
	}
	c := Count{}
	if t.counts[location].round == t.round {
		c = t.counts[location]
	}
	single := t.single(location)
	c.Lines, c.Units = c.Lines+single, c.Units+int64(single)
	return c
}

// single returns how many lines of those in the planes a location has.
func (t *Tally) single(location uint32) (lines uint32) {
	for i := range t.depth {
		lines |= uint32(t.planes[i*t.words+int(location/64)]>>(location%64)&1) << i
	}
	return lines
}

// Locations returns how many locations have so many lines, for each number of lines up to most. Those that have none of
// them count only if they have units.
func (t *Tally) Locations(most int) []int {
	n := make([]int, most+1)
	for lines := 1; lines < min(1<<t.depth, most+1); lines++ {
		for w := range t.words {
			n[lines] += bits.OnesCount64(t.exactly(lines, w))
		}
	}
	for _, location := range t.found {
		if single := t.single(location); single > 0 {
			n[single]--
		}
		if c := t.Of(location); c.Units > 0 {
			n[c.Lines]++
		}
	}
	return n
}

// With calls f with each location that has so many lines, in no order, as Locations counts them.
func (t *Tally) With(lines int, f func(location uint32, units int64)) {
	if lines > 0 && lines < 1<<t.depth {
		for w := range t.words {
			for mask := t.exactly(lines, w); mask != 0; mask &= mask - 1 {
				location := uint32(w*64 + bits.TrailingZeros64(mask))
				if t.counts[location].round != t.round {
					f(location, int64(lines))
				}
			}
		}
	}
	for _, location := range t.found {
		if c := t.Of(location); int(c.Lines) == lines && c.Units > 0 {
			f(location, c.Units)
		}
	}
}

// exactly returns which locations of a word have so many lines of those in the planes.
func (t *Tally) exactly(lines, word int) uint64 {
	mask := ^uint64(0)
	for i := range t.depth {
		mask &= t.planes[i*t.words+word] ^ (uint64(lines>>i&1) - 1)
	}
	return mask
}

// Add counts a line of a basket at every location. A location that is blocked counts as if it were not. It takes no lock;
// each cell is of some moment during the call.
func (t *Tally) Add(m *Map, skuID uint32, quantity int64) {
	s := m.skus.Peek(skuID)
	if s == nil {
		return
	}
	if r := s.row.Load(); r != nil {
		if b := r.stocked.Load(); b != nil && quantity == 1 {
			t.addBits(b)
		} else {
			t.addCells(r, s.safety.Load(), quantity)
		}
	}
	// Last, so that whatever was seen of the SKU's default, and of cells that were removed, is waited for.
	sequence := s.sequence.Load()
	for ; sequence == settling; sequence = s.sequence.Load() {
		runtime.Gosched()
	}
	t.latest = max(t.latest, sequence)
}

func (t *Tally) addBits(b *stocked) {
	for w := range min(len(b.words), t.words) {
		carry := b.words[w].Load()
		for i := 0; carry != 0; i++ {
			if i == t.depth {
				t.deepen()
			}
			at := &t.planes[i*t.words+w]
			*at, carry = *at^carry, *at&carry
		}
	}
	t.latest = max(t.latest, b.latest.Load())
}

// deepen adds a plane.
func (t *Tally) deepen() {
	t.depth++
	if n := t.depth * t.words; n > len(t.planes) {
		next := make([]uint64, n)
		copy(next, t.planes[:n-t.words]) // behind them is what is left of an earlier basket
		t.planes = next
	} else {
		clear(t.planes[n-t.words : n])
	}
}

func (t *Tally) addCells(r *row, safety, quantity int64) {
	latest, counts, round := t.latest, t.counts, t.round
	for i := range r.slots {
		slot := &r.slots[i]
		// As in load, written out: this loop is most of what such a line costs.
		version := slot.version.Load()
		key, onHand, held := slot.key.Load(), slot.onHand.Load(), slot.held.Load()
		location := uint32(key)
		if int(location) >= len(counts) {
			continue // it came after Begin
		}
		kept := int64(int32(key >> 32))
		if Flags(version)&busy != 0 || slot.version.Load() != version {
			c := slot.load()
			version = c.Sequence<<8 | uint64(c.Flags)
			onHand, held, kept = c.OnHand<<headBits, c.Held<<headBits, c.Safety
		}
		flags := Flags(version)
		latest = max(latest, version>>8)
		if flags&absent != 0 {
			continue
		}
		if flags&OwnSafety == 0 {
			kept = safety
		}
		count := &counts[location]
		if count.round != round {
			*count = Count{round: round}
			t.found = append(t.found, location)
		}
		// What is in stock where is anyone's guess, the processor's too: hence no branches.
		units, whole := min(max(onHand>>headBits-held>>headBits-kept, 0), quantity), uint32(0)
		if flags&Blocked != 0 {
			units = 0
		}
		if units == quantity {
			whole = 1
		}
		count.Units += units
		count.Lines += whole
	}
	t.latest = latest
}
