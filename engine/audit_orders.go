package engine

import (
	"fmt"
	"slices"

	"onhand/engine/internal/record"
	"onhand/engine/internal/reservation"
)

// orderMoved checks a move of an order against the order and the reservation before it: that the state allows the move, that no unit
// is lost or made on the way, and that order and reservation agree after it.
func (a *auditor) orderMoved(sequence uint64, r *record.Record) (map[cellID]movement, error) {
	o := r.Order
	if o == nil {
		return nil, a.broken(sequence, "a move of an order without one")
	}
	before := new(record.Order)
	if entry := a.e.orders.get(o.ID); entry != nil {
		if err := entry.decode(before); err != nil {
			return nil, err
		}
	}
	if err := a.orderSteps(sequence, before, o); err != nil {
		return nil, err
	}
	if err := a.orderCounts(sequence, before, o); err != nil {
		return nil, err
	}
	var moved map[cellID]movement
	var err error
	if r.Transfer.State != 0 {
		moved, err = a.orderTravels(sequence, r, before)
	} else {
		moved, err = a.orderStock(sequence, r, before)
	}
	if err != nil {
		return nil, err
	}
	return moved, a.agree(sequence, o, &r.Reservation)
}

// causes are the moves that were asked for where a move happened as part of them.
var causes = map[OrderMove]OrderMove{MoveWrongCode: MoveCollect, MoveRefundDue: MovePay, MoveReroute: MoveShort}

func (a *auditor) orderSteps(sequence uint64, before, o *record.Order) error {
	id, move := FormatID(o.ID), OrderMove(o.Move)
	if cause, ok := causes[move]; ok {
		move = cause
	}
	switch {
	case (move == MovePlace) != (before.State == 0):
		return a.broken(sequence, "order %s, %s, is moved by %s", id, OrderState(before.State), move)
	case move == MovePlace:
		if OrderState(o.State) != Placed || len(o.Lines) == 0 {
			return a.broken(sequence, "order %s begins %s with %d lines", id, OrderState(o.State), len(o.Lines))
		}
		return nil
	case int(move) >= len(orderMoves) || !slices.Contains(orderMoves[move].from, OrderState(before.State)):
		return a.broken(sequence, "order %s, %s, is moved by %s", id, OrderState(before.State), move)
	case len(o.History) < len(before.History) || len(o.History) > OrderStepsMax:
		return a.broken(sequence, "the history of order %s goes from %d to %d steps", id, len(before.History), len(o.History))
	case OrderState(o.State).Live() != (o.Ended == 0):
		return a.broken(sequence, "order %s is %s and ended at %d", id, OrderState(o.State), o.Ended)
	case o.Token != before.Token || o.Placed != before.Placed || o.First != before.First:
		return a.broken(sequence, "order %s changes what never changes", id)
	}
	return nil
}

func (a *auditor) orderCounts(sequence uint64, before, o *record.Order) error {
	if before.State != 0 && len(before.Lines) != len(o.Lines) {
		return a.broken(sequence, "order %s goes from %d to %d lines", FormatID(o.ID), len(before.Lines), len(o.Lines))
	}
	for i := range o.Lines {
		l, b := &o.Lines[i], record.OrderLine{SKU: o.Lines[i].SKU, From: o.Lines[i].From, Quantity: o.Lines[i].Quantity}
		if before.State != 0 {
			b = before.Lines[i]
		}
		done := uint64(l.Collected) + uint64(l.Missing) + uint64(l.Cancelled)
		sound := l.SKU == b.SKU && l.From == b.From && l.Quantity == b.Quantity && l.Collected >= b.Collected && l.Missing >= b.Missing &&
			l.Cancelled >= b.Cancelled && l.Returned >= b.Returned && l.Damaged >= b.Damaged &&
			done <= uint64(l.Quantity) && uint64(l.Returned)+uint64(l.Damaged) <= uint64(l.Collected)
		if !sound {
			return a.broken(sequence, "order %s: line %+v becomes %+v", FormatID(o.ID), b, *l)
		}
	}
	return nil
}

// lineMovement is what a change does to the lines of a reservation on one cell.
type lineMovement struct{ open, committed, released int64 }

// orderStock compares what a move does to the reservation's lines with what it does to the order's, and returns how it should have
// moved the cells.
func (a *auditor) orderStock(sequence uint64, r *record.Record, before *record.Order) (map[cellID]movement, error) {
	lines, err := a.lineMovements(sequence, r)
	if err != nil {
		return nil, err
	}
	moved := make(map[cellID]movement, len(lines))
	for at, m := range lines {
		moved[at] = movement{-m.committed, m.open}
	}
	returned := make(map[uint32]int64)
	sold := make(map[uint32]int64)
	for i := range r.Cells {
		c := &r.Cells[i]
		at := cellID{c.SKU, c.Location}
		m, l := moved[at], lines[at]
		if resourceKindOf(a.e.skus.Name(c.SKU)) != goods {
			before, _ := a.e.stock.View(c.SKU, c.Location)
			m.onHand = c.OnHand - before.OnHand // it is what the location's record says
			moved[at] = m
			continue
		}
		extra := c.Delta + l.committed // beside what was sold
		switch move := OrderMove(r.Order.Move); {
		case extra == 0:
		case extra > 0 && move == MoveReturn:
			returned[c.SKU] += extra
		case extra < 0 && -extra <= l.released && (move == MoveShort || move == MoveReroute):
		default:
			return nil, a.broken(sequence, "order %s is moved by %s and changes on hand of %q by %d", FormatID(r.Order.ID), move, a.e.skus.Name(c.SKU), c.Delta)
		}
		m.onHand = c.Delta
		moved[at] = m
	}
	for at, l := range lines {
		sold[at.sku] += l.committed
		if l.committed != 0 && resourceKindOf(a.e.skus.Name(at.sku)) != goods {
			return nil, a.broken(sequence, "order %s sells %d of %q", FormatID(r.Order.ID), l.committed, a.e.skus.Name(at.sku))
		}
	}
	for i := range r.Order.Lines {
		l, b := &r.Order.Lines[i], record.OrderLine{}
		if before.State != 0 {
			b = before.Lines[i]
		}
		sold[l.SKU] -= int64(l.Collected) - int64(b.Collected)
		returned[l.SKU] -= int64(l.Returned) - int64(b.Returned)
	}
	for sku, units := range sold {
		if units != 0 {
			return nil, a.broken(sequence, "order %s: %q is sold %d units more than are collected", FormatID(r.Order.ID), a.e.skus.Name(sku), units)
		}
	}
	for sku, units := range returned {
		if units != 0 {
			return nil, a.broken(sequence, "order %s: on hand of %q grows by %d units more than are returned", FormatID(r.Order.ID), a.e.skus.Name(sku), units)
		}
	}
	return moved, nil
}

// orderTravels is orderStock for a move with a transfer: units stay held on their way, but for those that are lost, which the order
// misses.
func (a *auditor) orderTravels(sequence uint64, r *record.Record, before *record.Order) (map[cellID]movement, error) {
	moved := make(map[cellID]movement)
	gone, err := a.transfer(sequence, &r.Transfer, moved)
	if err != nil {
		return nil, err
	}
	lines, err := a.lineMovements(sequence, r)
	if err != nil {
		return nil, err
	}
	held := make(map[uint32]int64)
	for at, l := range lines {
		if l.committed != 0 {
			return nil, a.broken(sequence, "order %s sells %q on its way", FormatID(r.Order.ID), a.e.skus.Name(at.sku))
		}
		held[at.sku] += l.open
		m := moved[at]
		m.held += l.open
		moved[at] = m
	}
	missing := make(map[uint32]int64)
	for i := range r.Order.Lines {
		missing[r.Order.Lines[i].SKU] += int64(r.Order.Lines[i].Missing) - int64(before.Lines[i].Missing)
	}
	for sku, by := range held {
		if resourceKindOf(a.e.skus.Name(sku)) == goods && (by > 0 || -by > gone[sku] || -by != missing[sku]) {
			return nil, a.broken(sequence, "order %s holds %+d of %q, of which %d were lost and %d are missing", FormatID(r.Order.ID), by, a.e.skus.Name(sku), gone[sku], missing[sku])
		}
	}
	return moved, nil
}

// lineMovements compares the lines of the reservation in a record with those before.
func (a *auditor) lineMovements(sequence uint64, r *record.Record) (map[cellID]lineMovement, error) {
	re := &r.Reservation
	lines := make(map[cellID]lineMovement)
	if re.State == 0 {
		return lines, nil
	}
	a.before.Lines = a.before.Lines[:0]
	if ref := a.e.reservations.Find(re.ID, nil); ref != 0 {
		a.e.reservations.Read(ref, &a.before)
		if a.before.Deadline <= r.Time {
			return nil, a.broken(sequence, "reservation %s, due %s, is changed at %s", FormatID(re.ID), timeOf(a.before.Deadline), timeOf(r.Time))
		}
	}
	if d := re.Deadline - r.Time; re.State == reservation.Held && (d <= 0 || d > int64(HoldMax)) {
		return nil, a.broken(sequence, "reservation %s is held for %d ns", FormatID(re.ID), d)
	}
	if len(re.Lines) < len(a.before.Lines) {
		return nil, a.broken(sequence, "reservation %s goes from %d to %d lines", FormatID(re.ID), len(a.before.Lines), len(re.Lines))
	}
	for i := range re.Lines {
		l, b := &re.Lines[i], reservation.Line{SKU: re.Lines[i].SKU, Location: re.Lines[i].Location}
		if i < len(a.before.Lines) {
			b = a.before.Lines[i]
		}
		if l.SKU != b.SKU || l.Location != b.Location || l.Quantity < b.Quantity || l.Committed < b.Committed || l.Released < b.Released ||
			uint64(l.Committed)+uint64(l.Released) > uint64(l.Quantity) {
			return nil, a.broken(sequence, "reservation %s: line %+v becomes %+v", FormatID(re.ID), b, *l)
		}
		if re.State != reservation.Held && l.Open() != 0 {
			return nil, a.broken(sequence, "reservation %s is %s and holds %d units", FormatID(re.ID), State(re.State), l.Open())
		}
		at := cellID{l.SKU, l.Location}
		m := lines[at]
		m.open += int64(l.Open()) - int64(b.Open())
		m.committed += int64(l.Committed) - int64(b.Committed)
		m.released += int64(l.Released) - int64(b.Released)
		lines[at] = m
	}
	return lines, nil
}

// agree checks that a live order and its reservation are about the same units, until the same deadline.
func (a *auditor) agree(sequence uint64, o *record.Order, re *reservation.Reservation) error {
	if o.Ended != 0 {
		return nil
	}
	if re.State == 0 { // the change leaves it as it is
		re = &a.before
		re.Lines = re.Lines[:0]
		if ref := a.e.reservations.Find(o.Reservation, nil); ref != 0 {
			a.e.reservations.Read(ref, re)
		} else {
			re = &reservation.Reservation{ID: o.Reservation}
		}
	}
	if err := a.e.disagreement(o, re); err != nil {
		return a.broken(sequence, "%v", err)
	}
	return nil
}

// disagreement says what a live order and its reservation disagree on.
func (e *Engine) disagreement(o *record.Order, re *reservation.Reservation) error {
	if o.Reservation != re.ID {
		return fmt.Errorf("order %s points at reservation %s, not at %s", FormatID(o.ID), FormatID(o.Reservation), FormatID(re.ID))
	}
	deadline := int64(0)
	if re.State == reservation.Held {
		deadline = re.Deadline
	}
	if o.Deadline != deadline {
		return fmt.Errorf("order %s is due %d, its reservation %d", FormatID(o.ID), o.Deadline, deadline)
	}
	units := make(map[uint32]int64)
	for i := range o.Lines {
		units[o.Lines[i].SKU] += int64(o.Lines[i].Open())
	}
	for i := range re.Lines {
		if re.State == reservation.Held && e.isGoods(&re.Lines[i]) {
			units[re.Lines[i].SKU] -= int64(re.Lines[i].Open())
		}
	}
	for sku, n := range units {
		if n != 0 {
			return fmt.Errorf("order %s waits for %d units more of %q than are held for it", FormatID(o.ID), n, e.skus.Name(sku))
		}
	}
	return nil
}

// expiredTogether checks that a reservation that expires takes the live order that points at it along, and no other.
func (a *auditor) expiredTogether(sequence uint64, r *record.Record) error {
	entry := a.e.orders.holding(r.Reservation.ID)
	switch {
	case entry == nil && r.Order == nil:
		return nil
	case entry == nil || r.Order == nil || r.Order.ID != entry.id || r.Kind != record.ReservationExpired:
		return a.broken(sequence, "reservation %s ends or changes without its order", FormatID(r.Reservation.ID))
	case OrderState(r.Order.State) != OrderExpired || r.Order.Ended == 0 || r.Order.Deadline != 0:
		return a.broken(sequence, "order %s is %s and its reservation has expired", FormatID(entry.id), OrderState(r.Order.State))
	}
	return nil
}

// checkOrders checks what must hold of all orders in any state: those that are live agree with their reservations.
func (e *Engine) checkOrders() (findings []error) {
	live := 0
	err := e.eachOrder(func(entry *orderEntry, o *record.Order) error {
		if o.Ended != 0 {
			return nil
		}
		live++
		re := reservation.Reservation{ID: o.Reservation}
		if ref := e.reservations.Find(o.Reservation, nil); ref != 0 {
			e.reservations.Read(ref, &re)
		}
		if err := e.disagreement(o, &re); err != nil {
			findings = append(findings, fmt.Errorf("%w: %w", ErrBroken, err))
		}
		if have := e.orders.holding(o.Reservation); have != entry {
			findings = append(findings, fmt.Errorf("%w: order %s is not found by its reservation", ErrBroken, FormatID(o.ID)))
		}
		if !slices.Equal(e.heldElsewhere(&re, o.Location), entry.places()) {
			findings = append(findings, fmt.Errorf("%w: order %s is not to be picked where units of it are held", ErrBroken, FormatID(o.ID)))
		}
		return nil
	})
	if err != nil {
		findings = append(findings, err)
	}
	if counted := e.orders.live.Load(); counted != int64(live) {
		findings = append(findings, fmt.Errorf("%w: %d orders are live, %d are counted", ErrBroken, live, counted))
	}
	return findings[:min(len(findings), findingsMax)]
}
