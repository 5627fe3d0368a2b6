package engine

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"onhand/engine/internal/record"
	"onhand/engine/internal/reservation"
	"onhand/engine/internal/stock"
)

// ErrBroken is what every finding of an audit wraps: a change, or a state, that the rules do not allow.
var ErrBroken = errors.New("invariant broken")

// auditor checks each change against the state before it, by the rules and not by the code that made it: units are
// conserved, nothing is promised that is not there, and no deadline is passed over.
type auditor struct {
	e      *Engine
	before reservation.Reservation
	// events says that there were events on record. Changes before the first come of a program that knew none.
	eventsSeen bool
}

// audit checks a record that is about to be installed.
func (a *auditor) audit(sequence uint64, r *record.Record) error {
	check, ok := auditRules[r.Kind]
	if !ok {
		return a.broken(sequence, "there is no rule for changes of kind %d", r.Kind)
	}
	moved, err := check(a, sequence, r)
	if err != nil {
		return err
	}
	for i := range r.Cells {
		if err := a.cell(sequence, r, &r.Cells[i], moved); err != nil {
			return err
		}
	}
	for cell, m := range moved {
		if m != (movement{}) {
			return a.broken(sequence, "it moves %q at %q by %+v and does not write that cell", a.e.skus.Name(cell.sku), a.e.locations.Name(cell.location), m)
		}
	}
	return nil
}

func (a *auditor) broken(sequence uint64, format string, args ...any) error {
	return fmt.Errorf("%w: change %d: %s", ErrBroken, sequence, fmt.Sprintf(format, args...))
}

type cellID struct{ sku, location uint32 }

// movement is by how much a change moves a cell.
type movement struct{ onHand, held int64 }

// cell compares what a record says of a cell with what it was and how the change should have moved it, and takes it off
// the list of movements.
func (a *auditor) cell(sequence uint64, r *record.Record, c *record.Cell, moved map[cellID]movement) error {
	at := cellID{c.SKU, c.Location}
	before, _ := a.e.stock.View(c.SKU, c.Location)
	m := moved[at]
	switch r.Kind {
	case record.StockAdjusted:
		m.onHand = c.Delta
	case record.StockSet:
		m.onHand = c.OnHand - before.OnHand // a count moves it by what it likes
	case record.StockImported:
		if m.onHand = c.Delta; c.Delta == 0 {
			m.onHand = c.OnHand - before.OnHand
		}
	}
	resource := resourceKindOf(a.e.skus.Name(c.SKU)) != goods
	if resource && (r.Kind == record.ReservationHeld || r.Kind == record.OrderMoved) {
		m.onHand = c.OnHand - before.OnHand // it is what the location's record says
	}
	name := fmt.Sprintf("%q at %q", a.e.skus.Name(c.SKU), a.e.locations.Name(c.Location))
	if c.OnHand-before.OnHand != m.onHand || c.Held-before.Held != m.held {
		return a.broken(sequence, "%s goes from %d on hand, %d held to %d, %d; it should move by %d, %d",
			name, before.OnHand, before.Held, c.OnHand, c.Held, m.onHand, m.held)
	}
	if c.Held < 0 {
		return a.broken(sequence, "%s has %d held", name, c.Held)
	}
	if r.Kind == record.ReservationHeld || r.Kind == record.OrderMoved && m.held > 0 && r.Transfer.State == 0 {
		if c.Flags&(record.Blocked|record.LocationBlocked) != 0 || before.Flags&(stock.Blocked|stock.LocationBlocked) != 0 {
			return a.broken(sequence, "%s is blocked and was promised", name)
		}
		available := before.Available()
		if resource {
			available = c.OnHand - before.Held
		}
		if available < m.held {
			return a.broken(sequence, "%s is oversold: %d were available, %d promised", name, available, m.held)
		}
	}
	delete(moved, at)
	return a.events(sequence, r, c, &before)
}

// events checks what a record says that a change meant for what is available of a cell.
func (a *auditor) events(sequence uint64, r *record.Record, c *record.Cell, before *stock.Cell) error {
	left := max(0, c.OnHand-c.Held-c.Safety)
	if c.Flags&record.Blocked != 0 {
		left = 0
	}
	wasLow := before.Flags&stock.Low != 0
	isLow, want := wasLow, record.CellEvents(0)
	threshold := int64(0)
	if c.Flags&record.LocationBlocked == 0 {
		had := before.Available()
		switch {
		case had > 0 && left == 0:
			want |= record.CellOut
		case had == 0 && left > 0:
			want |= record.CellBack
		}
		t := a.threshold(r, c)
		if !wasLow && t != (record.Threshold{}) && left <= t.Low {
			isLow, threshold = true, t.Low
			want |= record.CellBecameLow
		}
		if wasLow && (t == (record.Threshold{}) || left >= t.Clear) {
			isLow, threshold = false, t.Clear
			want |= record.CellRecovered
		}
	}
	if isLow {
		want |= record.CellLow
	}
	if resourceKindOf(a.e.skus.Name(c.SKU)) != goods {
		want = 0
	}
	a.eventsSeen = a.eventsSeen || c.Events != 0
	if a.eventsSeen && (c.Events != want || c.Threshold != threshold) {
		return a.broken(sequence, "%q at %q goes from %d to %d available, which are events %05b at %d; it says %05b at %d",
			a.e.skus.Name(c.SKU), a.e.locations.Name(c.Location), before.Available(), left, want, threshold, c.Events, c.Threshold)
	}
	return nil
}

// threshold returns the threshold of a cell once a record is installed.
func (a *auditor) threshold(r *record.Record, c *record.Cell) (t record.Threshold) {
	if s := a.e.settingsOf(c.SKU); s != nil {
		t = s.LowStock
	}
	own, ok := a.e.thresholds.own[stock.ShardOf(c.SKU)][cellKey(c.SKU, c.Location)]
	for _, set := range r.Thresholds {
		if set.SKU == c.SKU && set.Location == c.Location {
			own, ok = set.Threshold, set.Threshold != record.Threshold{}
		}
	}
	if ok {
		return own
	}
	return t
}

type auditRule func(a *auditor, sequence uint64, r *record.Record) (map[cellID]movement, error)

var auditRules = map[record.Kind]auditRule{
	record.StockSet:             (*auditor).nothingElse,
	record.StockAdjusted:        (*auditor).nothingElse,
	record.StockImported:        (*auditor).nothingElse,
	record.SKUSet:               (*auditor).noCells,
	record.LocationSet:          (*auditor).noCells,
	record.LocationDeleted:      (*auditor).locationDeleted,
	record.ReservationRefused:   (*auditor).noCells,
	record.ReservationHeld:      (*auditor).held,
	record.ReservationCommitted: (*auditor).changed,
	record.ReservationReleased:  (*auditor).changed,
	record.ReservationExtended:  (*auditor).changed,
	record.ReservationExpired:   (*auditor).changed,
	record.OrderMoved:           (*auditor).orderMoved,
	record.TransferMoved:        (*auditor).transferMoved,
	record.SlotsRemoved:         (*auditor).slotsRemoved,
}

func (a *auditor) nothingElse(uint64, *record.Record) (map[cellID]movement, error) { return nil, nil }

func (a *auditor) noCells(sequence uint64, r *record.Record) (map[cellID]movement, error) {
	if len(r.Cells) > 0 {
		return nil, a.broken(sequence, "it writes %d cells and should write none", len(r.Cells))
	}
	return nil, nil
}

func (a *auditor) locationDeleted(sequence uint64, r *record.Record) (map[cellID]movement, error) {
	for sku := range a.e.stock.SKUs() {
		if c, ok := a.e.stock.Raw(sku, r.Location.ID); ok && (c.Held != 0 || c.OnHand != 0 && resourceKindOf(a.e.skus.Name(sku)) == goods) {
			return nil, a.broken(sequence, "it deletes location %q, which has %d on hand and %d held of %q",
				a.e.locations.Name(r.Location.ID), c.OnHand, c.Held, a.e.skus.Name(sku))
		}
	}
	if n := a.e.transfers.openAt(r.Location.ID); n > 0 {
		return nil, a.broken(sequence, "it deletes location %q, from or to which %d transfers are open", a.e.locations.Name(r.Location.ID), n)
	}
	return a.noCells(sequence, r)
}

func (a *auditor) slotsRemoved(sequence uint64, r *record.Record) (moved map[cellID]movement, err error) {
	for _, sku := range r.Slots {
		name := a.e.skus.Name(sku)
		if start, ok := parseSlotSKU(name); !ok || timeOf(r.Time).Before(start.Add(slotKept)) {
			return nil, a.broken(sequence, "it removes %q, which is no slot that is over", name)
		}
		a.e.stock.ScanRaw(sku, func(location uint32, c stock.Cell) bool {
			if c.Held != 0 {
				err = a.broken(sequence, "it removes %q at %q, of which %d are held", name, a.e.locations.Name(location), c.Held)
			}
			return err == nil
		})
		if err != nil {
			return nil, err
		}
	}
	return a.noCells(sequence, r)
}

func (a *auditor) held(sequence uint64, r *record.Record) (map[cellID]movement, error) {
	re := &r.Reservation
	if a.e.reservations.Find(re.ID, nil) != 0 {
		return nil, a.broken(sequence, "reservation %s is made a second time", FormatID(re.ID))
	}
	if d := re.Deadline - r.Time; re.State != reservation.Held || d < int64(HoldMin) || d > int64(HoldMax) {
		return nil, a.broken(sequence, "reservation %s is made %s and for %d ns", FormatID(re.ID), State(re.State), d)
	}
	if re.Owner > a.e.owners.Len() {
		return nil, a.broken(sequence, "reservation %s is made for owner %d, who is not known", FormatID(re.ID), re.Owner)
	}
	moved := make(map[cellID]movement, len(re.Lines))
	for i := range re.Lines {
		l := &re.Lines[i]
		if l.Quantity == 0 || l.Committed != 0 || l.Released != 0 {
			return nil, a.broken(sequence, "reservation %s begins with line %+v", FormatID(re.ID), *l)
		}
		m := moved[cellID{l.SKU, l.Location}]
		m.held += int64(l.Quantity)
		moved[cellID{l.SKU, l.Location}] = m
	}
	return moved, nil
}

func (a *auditor) changed(sequence uint64, r *record.Record) (map[cellID]movement, error) {
	re := &r.Reservation
	ref := a.e.reservations.Find(re.ID, nil)
	if ref == 0 {
		return nil, a.broken(sequence, "reservation %s is not live", FormatID(re.ID))
	}
	a.e.reservations.Read(ref, &a.before)
	if err := a.expiredTogether(sequence, r); err != nil {
		return nil, err
	}
	expired := r.Kind == record.ReservationExpired
	if due := a.before.Deadline <= r.Time; due != expired {
		return nil, a.broken(sequence, "reservation %s, due %s, is changed by kind %d at %s",
			FormatID(re.ID), timeOf(a.before.Deadline), r.Kind, timeOf(r.Time))
	}
	if re.Deadline < a.before.Deadline || re.Deadline > a.before.Deadline && r.Kind != record.ReservationExtended {
		return nil, a.broken(sequence, "reservation %s has its deadline moved from %s to %s",
			FormatID(re.ID), timeOf(a.before.Deadline), timeOf(re.Deadline))
	}
	if re.Owner != a.before.Owner {
		return nil, a.broken(sequence, "reservation %s goes from owner %d to %d", FormatID(re.ID), a.before.Owner, re.Owner)
	}
	if len(re.Lines) != len(a.before.Lines) {
		return nil, a.broken(sequence, "reservation %s goes from %d to %d lines", FormatID(re.ID), len(a.before.Lines), len(re.Lines))
	}
	return a.lines(sequence, r, expired)
}

// lines compares the lines of a changed reservation with those before.
func (a *auditor) lines(sequence uint64, r *record.Record, expired bool) (map[cellID]movement, error) {
	re := &r.Reservation
	moved := make(map[cellID]movement, len(re.Lines))
	open, committed := int64(0), int64(0)
	for i := range re.Lines {
		l, b := &re.Lines[i], &a.before.Lines[i]
		sold, freed := int64(l.Committed)-int64(b.Committed), int64(l.Released)-int64(b.Released)
		sound := l.SKU == b.SKU && l.Location == b.Location && l.Quantity == b.Quantity &&
			(sold == 0 || sold > 0 && r.Kind == record.ReservationCommitted && a.e.isGoods(l)) &&
			(freed == 0 || freed > 0 && (r.Kind == record.ReservationReleased || r.Kind == record.ReservationCommitted && !a.e.isGoods(l))) &&
			uint64(l.Committed)+uint64(l.Released) <= uint64(l.Quantity)
		if !sound {
			return nil, a.broken(sequence, "reservation %s: line %+v becomes %+v", FormatID(re.ID), *b, *l)
		}
		if expired {
			freed = int64(l.Open())
		} else {
			open += int64(l.Open())
		}
		committed += int64(l.Committed)
		m := moved[cellID{l.SKU, l.Location}]
		moved[cellID{l.SKU, l.Location}] = movement{m.onHand - sold, m.held - sold - freed}
	}
	want := reservation.Held
	switch {
	case open > 0:
	case committed > 0:
		want = reservation.Committed
	case expired:
		want = reservation.Expired
	default:
		want = reservation.Released
	}
	if re.State != want {
		return nil, a.broken(sequence, "reservation %s is %s and should be %s", FormatID(re.ID), State(re.State), State(want))
	}
	return moved, nil
}

// checkInvariants checks what must hold in any state: the units held in each cell are those of the live lines, and the
// counts that limits rest on are those of the live reservations.
func (e *Engine) checkInvariants() (findings []error) {
	held := make(map[cellID]int64)
	owners, references := make(map[uint32]int64), make(map[string]int64)
	var r reservation.Reservation
	seen := 0
	for shard := range stock.Shards {
		for slot := range reservation.WheelSlots {
			e.reservations.Slot(shard, slot, &reservation.SlotPosition{}, math.MaxInt, func(ref uint32) {
				seen++
				e.reservations.Read(ref, &r)
				owners[r.Owner]++
				references[string(r.Reference)]++
				for i := range r.Lines {
					held[cellID{r.Lines[i].SKU, r.Lines[i].Location}] += int64(r.Lines[i].Open())
				}
			})
		}
	}
	if live := e.reservations.Stats().Live; int64(seen) != live {
		findings = append(findings, fmt.Errorf("%w: %d reservations have a deadline set, %d are indexed", ErrBroken, seen, live))
	}
	findings = append(findings, e.checkCounts(owners, references)...)
	for sku := range e.stock.SKUs() {
		e.stock.ScanRaw(sku, func(location uint32, c stock.Cell) bool {
			at := cellID{sku, location}
			if c.Held != held[at] {
				findings = append(findings, fmt.Errorf("%w: %q at %q has %d held, its live lines hold %d",
					ErrBroken, e.skus.Name(sku), e.locations.Name(location), c.Held, held[at]))
			}
			delete(held, at)
			return len(findings) < findingsMax
		})
	}
	for at, units := range held {
		if units != 0 && len(findings) < findingsMax {
			findings = append(findings, fmt.Errorf("%w: %d units of %q are held at %q, where there is no such cell",
				ErrBroken, units, e.skus.Name(at.sku), e.locations.Name(at.location)))
		}
	}
	return slices.Concat(findings, e.checkOrders(), e.checkTransit())
}

// checkCounts compares how many reservations are live by owner and by reference with what was counted anew.
func (e *Engine) checkCounts(owners map[uint32]int64, references map[string]int64) (findings []error) {
	for owner := uint32(1); owner <= e.owners.Len(); owner++ {
		if have := e.reservations.CountOwner(owner); have != owners[owner] && len(findings) < findingsMax {
			findings = append(findings, fmt.Errorf("%w: owner %q has %d live reservations and is counted with %d",
				ErrBroken, e.owners.Name(owner), owners[owner], have))
		}
	}
	for reference, live := range references {
		if reference == "" || len(findings) >= findingsMax {
			continue
		}
		if have := e.reservations.CountReference([]byte(reference)); have != live {
			findings = append(findings, fmt.Errorf("%w: reference %q has %d live reservations and is indexed with %d",
				ErrBroken, reference, live, have))
		}
	}
	return findings
}

// findingsMax is how many broken invariants are reported before the rest is left out.
const findingsMax = 100
