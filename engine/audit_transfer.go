package engine

import (
	"fmt"

	"onhand/engine/internal/record"
	"onhand/engine/internal/stock"
)

// transferMoved checks a move of a transfer: units leave one location for another by way of the one where they are in transit,
// and none are made or lost but those that the transfer says are.
func (a *auditor) transferMoved(sequence uint64, r *record.Record) (map[cellID]movement, error) {
	moved := make(map[cellID]movement)
	gone, err := a.transfer(sequence, &r.Transfer, moved)
	if err == nil && r.Reservation.State != 0 {
		err = a.travelled(sequence, r, gone, moved)
	}
	return moved, err
}

// transfer compares a transfer with what it was, and adds to moved how cells must have moved. It returns the units lost and
// damaged, by SKU.
func (a *auditor) transfer(sequence uint64, t *record.Transfer, moved map[cellID]movement) (gone map[uint32]int64, err error) {
	before := record.Transfer{
		From: t.From, To: t.To, Created: t.Created, Order: t.Order, State: uint8(TransferPlanned),
		Lines: make([]record.TransferLine, len(t.Lines)),
	}
	known := a.e.transfers.get(t.ID)
	if known != nil {
		if err := known.decode(&before); err != nil {
			return nil, a.broken(sequence, "transfer %s: %v", FormatID(t.ID), err)
		}
	}
	is := func(move record.TransferMoves) bool { return t.Moves&move != 0 }
	same := t.From == before.From && t.To == before.To && t.From != t.To && t.First == before.First && t.Created == before.Created &&
		t.Order == before.Order && len(t.Lines) == len(before.Lines) && is(record.TransferPlanned) == (known == nil)
	if !same || !TransferState(before.State).open() {
		return nil, a.broken(sequence, "transfer %s, %s, becomes %+v", FormatID(t.ID), TransferState(before.State), *t)
	}
	transit, _ := a.e.transitOf(t.To)
	gone = make(map[uint32]int64)
	var sum struct{ dispatched, received, lost, damaged, cancelled int64 }
	open, dispatched := int64(0), int64(0)
	for i := range t.Lines {
		l, b := &t.Lines[i], &before.Lines[i]
		if known == nil {
			b.SKU, b.Quantity = l.SKU, l.Quantity
		}
		by := func(now, then uint32) int64 { return int64(now) - int64(then) }
		left, back := by(l.Dispatched, b.Dispatched), by(l.Received, b.Received)
		lost, damaged, cancelled := by(l.Lost, b.Lost), by(l.Damaged, b.Damaged), by(l.Cancelled, b.Cancelled)
		ended := int64(l.Received) + int64(l.Lost) + int64(l.Damaged)
		settled := int64(l.Dispatched) + int64(l.Cancelled)
		if l.SKU != b.SKU || l.Quantity != b.Quantity || min(left, back, lost, damaged, cancelled) < 0 ||
			settled > int64(l.Quantity) || ended > int64(l.Dispatched) {
			return nil, a.broken(sequence, "transfer %s: line %+v becomes %+v", FormatID(t.ID), *b, *l)
		}
		open += int64(l.Quantity) - settled + int64(l.Dispatched) - ended
		dispatched += int64(l.Dispatched)
		sum.dispatched, sum.received = sum.dispatched+left, sum.received+back
		sum.lost, sum.damaged, sum.cancelled = sum.lost+lost, sum.damaged+damaged, sum.cancelled+cancelled
		gone[l.SKU] += lost + damaged
		add := func(location uint32, units int64) {
			m := moved[cellID{l.SKU, location}]
			m.onHand += units
			moved[cellID{l.SKU, location}] = m
		}
		add(t.From, -left)
		add(transit, left-back-lost-damaged)
		add(t.To, back)
	}
	state := TransferCancelled
	switch {
	case open > 0 && dispatched > 0:
		state = TransferInTransit
	case open > 0:
		state = TransferPlanned
	case dispatched > 0:
		state = TransferReceived
	}
	if TransferState(t.State) != state || (t.Ended != 0) == (open > 0) {
		return nil, a.broken(sequence, "transfer %s is %s and should be %s", FormatID(t.ID), TransferState(t.State), state)
	}
	for _, m := range []struct {
		move  record.TransferMoves
		units int64
	}{
		{record.TransferDispatched, sum.dispatched}, {record.TransferReceived, sum.received}, {record.TransferLost, sum.lost},
		{record.TransferDamaged, sum.damaged}, {record.TransferCancelled, sum.cancelled},
	} {
		if is(m.move) != (m.units > 0) {
			return nil, a.broken(sequence, "transfer %s is said to be moved by %06b, by which it moves %d units", FormatID(t.ID), m.move, m.units)
		}
	}
	return gone, nil
}

// travelled checks a reservation whose units travel with a transfer: what is held at one location no longer is held at another,
// but for what was lost.
func (a *auditor) travelled(sequence uint64, r *record.Record, gone map[uint32]int64, moved map[cellID]movement) error {
	re := &r.Reservation
	ref := a.e.reservations.Find(re.ID, nil)
	if ref == 0 {
		return a.broken(sequence, "reservation %s is not live", FormatID(re.ID))
	}
	a.e.reservations.Read(ref, &a.before)
	if len(re.Lines) < len(a.before.Lines) || re.Deadline != a.before.Deadline {
		return a.broken(sequence, "reservation %s goes from %d to %d lines, or has its deadline moved", FormatID(re.ID), len(a.before.Lines), len(re.Lines))
	}
	held := make(map[uint32]int64)
	for i := range re.Lines {
		l := re.Lines[i]
		b := l
		b.Quantity, b.Committed, b.Released = 0, 0, 0
		if i < len(a.before.Lines) {
			b = a.before.Lines[i]
		}
		if l.SKU != b.SKU || l.Location != b.Location || l.Quantity < b.Quantity || l.Committed != b.Committed || l.Released < b.Released ||
			uint64(l.Committed)+uint64(l.Released) > uint64(l.Quantity) {
			return a.broken(sequence, "reservation %s: line %+v becomes %+v", FormatID(re.ID), b, l)
		}
		by := int64(l.Open()) - int64(b.Open())
		held[l.SKU] += by
		m := moved[cellID{l.SKU, l.Location}]
		m.held += by
		moved[cellID{l.SKU, l.Location}] = m
	}
	for sku, by := range held {
		if by > 0 || -by > gone[sku] {
			return a.broken(sequence, "reservation %s holds %+d of %q, of which %d were lost or damaged", FormatID(re.ID), by, a.e.skus.Name(sku), gone[sku])
		}
	}
	return nil
}

// checkTransit checks what must hold in any state: the units on hand where they are in transit are those that open transfers say
// are on their way.
func (e *Engine) checkTransit() (findings []error) {
	underWay := make(map[cellID]int64)
	var t record.Transfer
	for _, slot := range e.transfers.snapshot(true) {
		if err := slot.entry.Load().decode(&t); err != nil {
			return append(findings, fmt.Errorf("%w: transfer %s: %w", ErrBroken, FormatID(slot.id), err))
		}
		transit, _ := e.transitOf(t.To)
		for i := range t.Lines {
			underWay[cellID{t.Lines[i].SKU, transit}] += int64(t.Lines[i].InTransit())
		}
	}
	for sku := range e.stock.SKUs() {
		e.stock.ScanRaw(sku, func(location uint32, c stock.Cell) bool {
			if at := (cellID{sku, location}); e.isTransit(location) {
				if c.OnHand != underWay[at] {
					findings = append(findings, fmt.Errorf("%w: %q at %q has %d on hand, transfers have %d under way",
						ErrBroken, e.skus.Name(sku), e.locations.Name(location), c.OnHand, underWay[at]))
				}
				delete(underWay, at)
			}
			return len(findings) < findingsMax
		})
	}
	for at, units := range underWay {
		if units != 0 && len(findings) < findingsMax {
			findings = append(findings, fmt.Errorf("%w: %d units of %q are under way to %q, where there is no such cell",
				ErrBroken, units, e.skus.Name(at.sku), e.locations.Name(at.location)))
		}
	}
	return findings
}
