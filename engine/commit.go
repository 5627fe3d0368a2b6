package engine

import (
	"strings"

	"onhand/engine/internal/record"
	"onhand/engine/internal/reservation"
)

// FinishRequest commits or releases all of a reservation, or some of its lines.
type FinishRequest struct {
	ID ID
	// Lines to commit or release; none = all that is still held. Quantity 0 means all that is still held of the line.
	Lines []Line
	Key   string // idempotency key, if any
}

// Commit turns held units into sold ones: they leave on hand and held at once. It returns a StateError where the
// reservation is no longer held, by its deadline at the latest, and a RefusedError where a line is not held in that
// quantity; nothing is committed then.
func (e *Engine) Commit(r *FinishRequest) (Reservation, error) {
	return e.finish(r, record.ReservationCommitted)
}

// Release gives held units back. Its errors are those of Commit.
func (e *Engine) Release(r *FinishRequest) (Reservation, error) {
	return e.finish(r, record.ReservationReleased)
}

func (e *Engine) finish(r *FinishRequest, kind record.Kind) (Reservation, error) {
	if len(r.Lines) > 0 {
		if err := checkLines(r.Lines, func(q int64) bool { return q >= 0 && q <= LineQuantityMax }, "0 to 2147483647"); err != nil {
			return Reservation{}, err
		}
		if err := checkNames(r.Lines); err != nil {
			return Reservation{}, err
		}
	}
	o, err := keyed(r.Key, func(f *fingerprint) {
		f.begin("finish")
		f.number(int64(kind))
		_, _ = f.d.Write(r.ID[:])
		f.lines(r.Lines)
	})
	if err != nil {
		return Reservation{}, err
	}
	return e.change(r.ID, &o, func(c *command, _ int64) error {
		c.rec.Kind = kind
		return e.decideFinish(c, r.Lines)
	})
}

// decideFinish takes the lines asked for, or all, out of what the reservation in c.rec holds: to be sold where c.rec is
// a commit, to be free again otherwise.
func (e *Engine) decideFinish(c *command, lines []Line) error {
	re := &c.rec.Reservation
	if len(lines) == 0 {
		for i := range re.Lines {
			if l := &re.Lines[i]; e.isGoods(l) {
				e.finishLine(c, l, l.Open(), c.rec.Kind == record.ReservationCommitted)
			}
		}
	} else if err := e.finishLines(c, lines); err != nil {
		return err
	}
	committed := false
	for i := range re.Lines {
		if re.Lines[i].Open() > 0 && e.isGoods(&re.Lines[i]) {
			return nil
		}
		committed = committed || re.Lines[i].Committed > 0
	}
	// With the last of the goods, slots and compartments are free again: they are nothing that could be sold.
	for i := range re.Lines {
		if l := &re.Lines[i]; l.Open() > 0 {
			e.releaseLine(c, l, l.Open())
		}
	}
	re.State = reservation.Released
	if committed {
		re.State = reservation.Committed
	}
	return nil
}

// finishLines takes the lines asked for, and refuses all of them where one is not held in that quantity.
func (e *Engine) finishLines(c *command, lines []Line) error {
	re := &c.rec.Reservation
	take := make([]uint32, len(re.Lines))
	var refused RefusedError
	for i := range lines {
		in := &lines[i]
		at := -1
		sku, _ := e.skus.Lookup(in.SKU)
		location, _ := e.locations.Lookup(in.Location)
		for j := range re.Lines {
			if re.Lines[j].SKU == sku && re.Lines[j].Location == location {
				at = j
			}
		}
		var open int64
		if at >= 0 {
			open = int64(re.Lines[at].Open() - take[at])
		}
		quantity := in.Quantity
		if quantity == 0 {
			quantity = open
		}
		if at < 0 || quantity > open || quantity == 0 {
			refused.Lines = append(refused.Lines, Refusal{
				SKU: in.SKU, Location: in.Location, Reason: NotReserved, Requested: max(quantity, in.Quantity), Held: open,
			})
			continue
		}
		take[at] += uint32(quantity)
	}
	if len(refused.Lines) > 0 {
		for i := range refused.Lines {
			l := &refused.Lines[i]
			l.SKU, l.Location = strings.Clone(l.SKU), strings.Clone(l.Location)
		}
		return &refused
	}
	for j, units := range take {
		e.finishLine(c, &re.Lines[j], units, c.rec.Kind == record.ReservationCommitted)
	}
	return nil
}

// finishLine takes units of a line out of what is held: to be sold, or to be free again.
func (e *Engine) finishLine(c *command, l *reservation.Line, units uint32, sold bool) {
	if units == 0 {
		return
	}
	if !sold {
		e.releaseLine(c, l, units)
		return
	}
	view, _ := e.stock.View(l.SKU, l.Location)
	l.Committed += units
	c.addCell(l.SKU, l.Location, &view, view.OnHand-int64(units), view.Held-int64(units), -int64(units))
}

// releaseLine gives units of a line back.
func (e *Engine) releaseLine(c *command, l *reservation.Line, units uint32) {
	view, _ := e.stock.View(l.SKU, l.Location)
	l.Released += units
	c.addCell(l.SKU, l.Location, &view, view.OnHand, view.Held-int64(units), 0)
}

// isGoods reports whether a line holds goods, and not a resource.
func (e *Engine) isGoods(l *reservation.Line) bool {
	return resourceKindOf(e.skus.Name(l.SKU)) == goods
}
