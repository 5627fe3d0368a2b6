package reservation

import (
	"cmp"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// The live lines of a cell, newest first, linked through the lines; the head lies beside the cell. Guarded by the
// cell's shard.

func (t *Table) cellInsert(ref uint32) {
	l := t.line(ref)
	l.cellNext, l.cellPrevious = t.cells.SwapHead(l.sku, l.location, ref), 0
	if l.cellNext != 0 {
		t.line(l.cellNext).cellPrevious = ref
	}
}

func (t *Table) cellRemove(ref uint32) {
	l := t.line(ref)
	if l.cellNext != 0 {
		t.line(l.cellNext).cellPrevious = l.cellPrevious
	}
	if l.cellPrevious != 0 {
		t.line(l.cellPrevious).cellNext = l.cellNext
	} else {
		t.cells.SwapHead(l.sku, l.location, l.cellNext)
	}
}

// Cell calls f with each live line of a cell, newest first, until f answers false: the reservation's id and the units
// of the line still open. The caller holds the cell's shard.
func (t *Table) Cell(sku, location uint32, f func(id ID, open uint32) bool) {
	for ref := t.cells.Head(sku, location); ref != 0; ref = t.line(ref).cellNext {
		l := t.line(ref)
		if !f(t.header(t.headerOf(ref)).id, l.quantity-l.committed-l.released) {
			return
		}
	}
}

// The live lines of a location, newest first by the sequence that created their reservation, linked through the lines.
// Guarded by the location's lock, a leaf; lines of any shard meet here, so only what never changes is read: id, first
// sequence, SKU, location, number.

func (t *Table) placeInsert(ref uint32, first uint64) {
	l := t.line(ref)
	mu := &t.placeLocks[l.location%stripes]
	head := t.places.At(l.location)
	mu.Lock()
	defer mu.Unlock()
	// Commands on different shards may arrive here a little out of order: step past the newer ones.
	previous, next := uint32(0), *head
	for next != 0 && t.header(t.headerOf(next)).first > first {
		previous, next = next, t.line(next).placeNext
	}
	l.placeNext, l.placePrevious = next, previous
	if next != 0 {
		t.line(next).placePrevious = ref
	}
	if previous != 0 {
		t.line(previous).placeNext = ref
	} else {
		*head = ref
	}
}

// SortLists puts the lists of cells and locations into order after reservations were inserted with Load. Nothing else
// may use the table meanwhile.
//
// Every line is in the list of one location and of one of its cells, so locations are sorted side by side.
func (t *Table) SortLists() {
	var location atomic.Uint32
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			s := listSorter{Table: t}
			for {
				l := location.Add(1) - 1
				if l >= t.places.Len() {
					return
				}
				s.place(t.places.Peek(l))
			}
		})
	}
	workers.Wait()
}

// listSorter sorts lists. A line's age lies in the header of its reservation, far away: it is fetched once, not whenever two
// lines are compared.
type listSorter struct {
	*Table
	lines, ofCell []agedLine
}

type agedLine struct {
	first uint64 // sequence that created the reservation
	ref   uint32
}

func (s *listSorter) aged(ref uint32) agedLine { return agedLine{s.header(s.headerOf(ref)).first, ref} }

func newestFirst(a, b agedLine) int { return cmp.Compare(b.first, a.first) }

// place sorts the list of a location and those of its cells.
func (s *listSorter) place(head *uint32) {
	s.lines = s.lines[:0]
	for ref := *head; ref != 0; ref = s.line(ref).placeNext {
		s.lines = append(s.lines, s.aged(ref))
	}
	slices.SortFunc(s.lines, newestFirst)
	*head = 0
	for i := len(s.lines) - 1; i >= 0; i-- {
		ref := s.lines[i].ref
		l := s.line(ref)
		l.placeNext, l.placePrevious = *head, 0
		if *head != 0 {
			s.line(*head).placePrevious = ref
		}
		*head = ref
	}
	// Each of these lines that is the first of its cell's list stands for that list.
	for i := range s.lines {
		if l := s.line(s.lines[i].ref); l.cellPrevious == 0 && l.cellNext != 0 {
			s.cell(s.lines[i].ref)
		}
	}
}

// cell sorts the list of a cell, which begins with line first.
func (s *listSorter) cell(first uint32) {
	s.ofCell = s.ofCell[:0]
	for ref := first; ref != 0; ref = s.line(ref).cellNext {
		s.ofCell = append(s.ofCell, s.aged(ref))
	}
	slices.SortFunc(s.ofCell, newestFirst)
	next := uint32(0)
	for i := len(s.ofCell) - 1; i >= 0; i-- {
		ref := s.ofCell[i].ref
		l := s.line(ref)
		l.cellNext, l.cellPrevious = next, 0
		if next != 0 {
			s.line(next).cellPrevious = ref
		}
		next = ref
	}
	s.cells.SwapHead(s.line(next).sku, s.line(next).location, next)
}

func (t *Table) placeRemove(ref uint32) {
	l := t.line(ref)
	mu := &t.placeLocks[l.location%stripes]
	mu.Lock()
	defer mu.Unlock()
	if l.placeNext != 0 {
		t.line(l.placeNext).placePrevious = l.placePrevious
	}
	if l.placePrevious != 0 {
		t.line(l.placePrevious).placeNext = l.placeNext
	} else {
		*t.places.At(l.location) = l.placeNext
	}
}

// The live reservations with the same reference, in no order that is promised, linked through the blocks. The index has one
// entry for them all, the first: so it takes as long to insert or remove one however many there are. Guarded by the lock of
// the reference's stripe, a leaf; reservations of any shard meet here, so only what never changes is read besides the
// links: id, number of lines, and text.

func (t *Table) referenceStripe(reference []byte) (s *stripe, hash uint32) {
	h := t.referenceHash(reference)
	return &t.references[h>>58], uint32(h)
}

// referenceHead returns the first reservation with a reference, or 0. The caller holds the stripe's lock.
func (t *Table) referenceHead(s *stripe, hash uint32, reference []byte) uint32 {
	search := s.index.Find(hash)
	for ref := search.Next(); ref != 0; ref = search.Next() {
		if _, have := t.text(ref, t.header(ref)); string(have) == string(reference) {
			return ref
		}
	}
	return 0
}

func (t *Table) referenceInsert(ref uint32, reference []byte) {
	s, hash := t.referenceStripe(reference)
	s.mu.Lock()
	defer s.mu.Unlock()
	head := t.referenceHead(s, hash, reference)
	*t.links(ref) = links{next: head}
	if head != 0 {
		t.links(head).previous = ref
		s.index.Replace(hash, head, ref)
	} else {
		s.index.Insert(hash, ref)
	}
}

func (t *Table) referenceRemove(ref uint32, reference []byte) {
	s, hash := t.referenceStripe(reference)
	s.mu.Lock()
	defer s.mu.Unlock()
	l := t.links(ref)
	if l.next != 0 {
		t.links(l.next).previous = l.previous
	}
	switch {
	case l.previous != 0:
		t.links(l.previous).next = l.next
	case l.next != 0:
		s.index.Replace(hash, ref, l.next)
	default:
		s.index.Remove(hash, ref)
	}
}

// referenceMove gives the copy of a reservation the place that the original has.
func (t *Table) referenceMove(from, to uint32, reference []byte) {
	s, hash := t.referenceStripe(reference)
	s.mu.Lock()
	defer s.mu.Unlock()
	l := t.links(from)
	*t.links(to) = *l
	if l.next != 0 {
		t.links(l.next).previous = to
	}
	if l.previous != 0 {
		t.links(l.previous).next = to
	} else {
		s.index.Replace(hash, from, to)
	}
}

// prefetchReferenceRemoval asks for the memory that referenceRemove will touch.
func (t *Table) prefetchReferenceRemoval(ref uint32, reference []byte) {
	s, hash := t.referenceStripe(reference)
	s.mu.Lock()
	s.index.Prefetch(hash)
	l := *t.links(ref)
	s.mu.Unlock()
	for _, neighbour := range [...]uint32{l.next, l.previous} {
		if neighbour != 0 {
			t.PrefetchLine(neighbour - linkUnits)
		}
	}
}

// Entry names a reservation in a listing.
type Entry struct {
	ID    ID
	First uint64
}

// Place appends to dst the reservations with a line at a location that were created before sequence before, newest
// first, up to max, each once. With firstLineOnly it leaves out those whose first line is elsewhere.
func (t *Table) Place(dst []Entry, location uint32, before uint64, firstLineOnly bool, max int) []Entry {
	head := t.places.Peek(location)
	if head == nil {
		return dst
	}
	mu := &t.placeLocks[location%stripes]
	mu.Lock()
	defer mu.Unlock()
	n := 0
	for ref := *head; ref != 0 && n < max; ref = t.line(ref).placeNext {
		h := t.header(t.headerOf(ref))
		if h.first >= before || firstLineOnly && t.line(ref).number != 0 {
			continue
		}
		// The lines of one reservation stand next to each other, as they have the same sequence.
		if n > 0 && dst[len(dst)-1].ID == h.id {
			continue
		}
		dst = append(dst, Entry{h.id, h.first})
		n++
	}
	return dst
}

// Places returns one past the largest location that may have live lines.
func (t *Table) Places() uint32 { return t.places.Len() }

// WheelSlots is the number of slots that Slot takes, in the order in which a walk over all of them misses no
// reservation that stays in the table with its deadline: lines only ever move to later slots of this order.
const WheelSlots = levels*slotsPerLevel + 1

// SlotPosition is how far a walk through a slot has come. The zero position is the beginning.
type SlotPosition struct {
	line, header uint32
	id           ID
	restarts     int
}

// slotRestartsMax is how often a walk through a slot begins anew before it is done in one go.
const slotRestartsMax = 4

// Slot calls f with the reservations whose first line lies in a slot of a shard's wheel, from a position on, after looking
// at max lines at most. It answers false at the slot's end. The caller holds the shard's lock and may give it up between
// two calls: all that is in the slot from the first call to the last is met, or is met in a later slot if it moved there.
// Some may be met twice.
func (t *Table) Slot(shard, slot int, at *SlotPosition, max int, f func(ref uint32)) (more bool) {
	// Level 3 first, level 0 last but one, due last.
	i := due
	if slot < due {
		i = (levels-1-slot/slotsPerLevel)*slotsPerLevel + slot%slotsPerLevel
	}
	w := &t.wheels[shard]
	ref := w.heads[i]
	if at.line != 0 {
		// Lines are added at the head, so those from here on are still the ones that are missing, if this one is still
		// here. That it ends or moves between two calls is rare.
		if t.Is(at.header, at.id) && w.slotOf(t.header(at.header).deadline>>tickBits) == i {
			ref = at.line
		} else if at.restarts++; at.restarts > slotRestartsMax {
			max = math.MaxInt
		}
	}
	for ; ref != 0 && max > 0; max-- {
		l := t.line(ref)
		if l.number == 0 {
			f(t.headerOf(ref))
		}
		ref = l.dueNext
	}
	if ref == 0 {
		return false
	}
	at.line, at.header = ref, t.headerOf(ref)
	at.id = t.header(at.header).id
	return true
}
