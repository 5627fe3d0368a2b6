package reservation

// grow moves a reservation to a block that has room for the lines that r has more, and returns it. Every line takes its place in
// the lists with it, at the cost of its neighbours only; the new ones are put where the reservation's age says.
func (t *Table) grow(ref uint32, r *Reservation) (grown uint32) {
	h := t.header(ref)
	before, to := int(h.lines), *h
	to.lines = uint16(len(r.Lines))
	if grown = t.allocate(&to); grown == 0 {
		return 0
	}
	*t.digestOf(ref) -= t.fact(ref)
	*t.header(grown) = to
	channel, reference := t.text(ref, h)
	toChannel, toReference := t.text(grown, &to)
	copy(toChannel, channel)
	copy(toReference, reference)
	for i := range before {
		t.moveLine(lineOf(ref, i), lineOf(grown, i))
	}
	for i := before; i < len(r.Lines); i++ {
		l, lineRef := &r.Lines[i], lineOf(grown, i)
		*t.line(lineRef) = line{sku: l.SKU, location: l.Location, quantity: l.Quantity, committed: l.Committed, released: l.Released, number: uint32(i)}
		t.cellInsertAt(lineRef, h.first)
		t.wheelInsert(&t.wheels[t.shardOf(l.SKU)], lineRef, h.deadline)
		t.placeInsert(lineRef, h.first)
	}
	if len(reference) > 0 {
		t.referenceMove(ref, grown, reference)
	}
	*t.digestOf(grown) += t.fact(grown)
	hash := t.hash(h.id)
	s := &t.ids[hash>>58]
	s.mu.Lock()
	s.index.Replace(uint32(hash), ref, grown)
	s.mu.Unlock()
	t.release(ref)
	return grown
}

// cellInsertAt inserts a line behind those of reservations that were created after sequence first.
func (t *Table) cellInsertAt(ref uint32, first uint64) {
	l := t.line(ref)
	previous, next := uint32(0), t.cells.Head(l.sku, l.location)
	for next != 0 && t.header(t.headerOf(next)).first > first {
		previous, next = next, t.line(next).cellNext
	}
	if previous == 0 {
		t.cellInsert(ref)
		return
	}
	l.cellNext, l.cellPrevious = next, previous
	t.line(previous).cellNext = ref
	if next != 0 {
		t.line(next).cellPrevious = ref
	}
}

// moveLine copies a line to another block and gives the copy its place in every list. Lines may stand next to lines of the same
// reservation: each is copied with the links that those moved before have left in it.
func (t *Table) moveLine(from, to uint32) {
	l := t.line(from)
	mu := &t.placeLocks[l.location%stripes]
	mu.Lock()
	*t.line(to) = *l
	if l.placeNext != 0 {
		t.line(l.placeNext).placePrevious = to
	}
	if l.placePrevious != 0 {
		t.line(l.placePrevious).placeNext = to
	} else {
		*t.places.At(l.location) = to
	}
	mu.Unlock()
	if l.cellNext != 0 {
		t.line(l.cellNext).cellPrevious = to
	}
	if l.cellPrevious != 0 {
		t.line(l.cellPrevious).cellNext = to
	} else {
		t.cells.SwapHead(l.sku, l.location, to)
	}
	if l.dueNext != 0 {
		t.line(l.dueNext).duePrevious = to
	}
	if l.duePrevious&slotLink != 0 {
		t.wheels[t.shardOf(l.sku)].heads[l.duePrevious&^slotLink] = to
	} else {
		t.line(l.duePrevious).dueNext = to
	}
}
