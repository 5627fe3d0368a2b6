package stock

import "sync/atomic"

// row is a SKU's cells at all its locations, side by side: an open-addressing table keyed by location whose slots are
// the cells themselves, so that finding a cell costs one cache miss and "this SKU everywhere" is one sweep of memory.
//
// A row never shrinks or moves its slots. When it fills up a larger copy takes its place, and readers that still hold
// the old one finish on it: what they see is the state as of the moment they looked the row up.
type row struct {
	slots   []slot
	used    int                     // slots with a location, under the shard's lock
	stocked atomic.Pointer[stocked] // nil = not kept
}

// The table is at most 7/8 full and grows by 1/8, so memory per cell stays between 36.6 and 41.1 bytes. Denser costs
// long probes for absent locations, doubling costs a third more memory.
const (
	loadNumerator, loadDenominator = 7, 8
	growthDenominator              = 8
	// alwaysFull is the size up to which a row may fill completely: a whole row is then two or four cache lines.
	alwaysFull = 8
)

// home spreads locations, which are small dense numbers, over n slots (Fibonacci hashing, then the high half of a
// product instead of a division).
func home(location uint32, n int) int {
	return int(uint64(location*0x9E3779B1) * uint64(n) >> 32)
}

// newRow returns an empty row. Its memory is written to, once a page, before it is read: for a page that is read first, the
// kernel maps a page of zeros, and has to interrupt every processor to replace it at the first write. That took a sixth of
// the time of a restart.
func newRow(slots int) *row {
	r := &row{slots: make([]slot, slots)}
	for i := 0; i < slots; i += pageBytes / slotBytes {
		r.slots[i].version.Store(0)
	}
	return r
}

const pageBytes = 4096

// find returns the index of location's slot, or of the empty slot where it would go, or -1 where it is absent from a
// full row.
func (r *row) find(location uint32) (i int, found bool) {
	n := len(r.slots)
	i = home(location, n)
	for range n {
		switch r.slots[i].location() {
		case location:
			return i, true
		case 0:
			return i, false
		}
		if i++; i == n {
			i = 0
		}
	}
	return -1, false
}

func (r *row) full() bool {
	n := len(r.slots)
	if n <= alwaysFull {
		return r.used == n
	}
	return (r.used+1)*loadDenominator > n*loadNumerator
}

// slotsFor returns the size at which a row with n cells is created.
func slotsFor(n int) int {
	if n <= alwaysFull {
		return n
	}
	return n*loadDenominator/loadNumerator + 1
}

// grown returns a larger copy of r, without the absent cells that no line is linked to.
func (r *row) grown() *row {
	n := len(r.slots)
	next := newRow(n + max(1, n/growthDenominator))
	for i := range r.slots {
		location := r.slots[i].location()
		if location == 0 {
			continue
		}
		c, head := r.slots[i].load(), r.slots[i].head()
		if c.Flags&absent != 0 && head == 0 {
			continue
		}
		j, _ := next.find(location)
		next.slots[j].store(location, c)
		next.slots[j].setHead(head)
		next.used++
	}
	return next
}
