package engine

import (
	"fmt"
	"slices"
	"time"

	"onhand/engine/internal/record"
	"onhand/engine/internal/reservation"
	"onhand/engine/internal/stock"
)

// AdjustReasons are the reasons that an adjustment can give.
var AdjustReasons = []string{"sale", "receipt", "return", "damage", "loss", "count", "transfer", "correction", "other"}

// Adjustment changes on hand by signed quantities: a sale at the till, goods received, a transfer. All lines take effect
// together, and always: what happened in the shop is not up for discussion.
type Adjustment struct {
	// Lines, 1 to LinesMax; quantities −QuantityMax to QuantityMax, not 0. The same cell twice counts as its sum. A SKU,
	// location or cell that is not known yet is created.
	Lines []Line
	// Reason is one of AdjustReasons.
	Reason string
	// Reference is the caller's own, at most ReferenceMax bytes.
	Reference string
	Key       string // idempotency key, if any
}

// StockChange is the answer to a write to stock.
type StockChange struct {
	Sequence uint64
	Time     time.Time
	// Cells are the cells as the change left them, each with how far it moved on hand.
	Cells []CellChange
	// Shortages are the cells whose units no longer cover what is promised of them because of this change.
	Shortages []Shortage
}

// CellChange is a cell after a change.
type CellChange struct {
	Cell
	// Delta is how far the change moved OnHand; 0 where OnHand was set rather than moved.
	Delta int64
	// LowStock is the cell's own threshold where the change has set it, or the zero one where it has taken it away.
	LowStock *Threshold
}

// Shortage is a cell that the change left with more units promised than there are.
type Shortage struct {
	SKU, Location string
	// Units is by how many.
	Units int64
	// AtRisk are the reservations that can't all be honoured, newest first: those that came last, until their units
	// cover the shortage. At most AtRiskMax in one change.
	AtRisk []ID
}

// AtRiskMax is the most reservations that the shortages of one change name.
const AtRiskMax = 1000

// Adjust carries out an adjustment.
func (e *Engine) Adjust(a *Adjustment) (StockChange, error) {
	if err := a.check(); err != nil {
		return StockChange{}, err
	}
	o, err := keyed(a.Key, func(f *fingerprint) {
		f.begin("adjust")
		f.lines(a.Lines)
		f.text(a.Reason)
		f.text(a.Reference)
	})
	if err != nil {
		return StockChange{}, err
	}
	return e.changeStock(&o, a.Lines, nil, func(c *command) error {
		c.rec.Kind, c.rec.Reason, c.rec.Reference = record.StockAdjusted, a.Reason, a.Reference
		for i := range c.lines {
			l := &c.lines[i]
			onHand := l.view.OnHand + l.quantity
			if onHand < -QuantityMax || onHand > QuantityMax {
				return invalid("lines", l.quantity, fmt.Sprintf("a change that leaves on_hand of %q at %q, now %d, within ±%d",
					e.skus.Name(l.sku), e.locations.Name(l.location), l.view.OnHand, int64(QuantityMax)))
			}
			c.addCell(l.sku, l.location, &l.view, onHand, l.view.Held, l.quantity)
		}
		return nil
	})
}

func (a *Adjustment) check() error {
	err := checkLines(a.Lines, func(q int64) bool { return q != 0 && q >= -QuantityMax && q <= QuantityMax },
		fmt.Sprintf("-%d to %d, not 0", int64(QuantityMax), int64(QuantityMax)))
	if err == nil {
		err = checkNames(a.Lines)
	}
	if err == nil {
		err = checkNoneReserved(a.Lines)
	}
	if err != nil {
		return err
	}
	if !slices.Contains(AdjustReasons, a.Reason) {
		return invalid("reason", a.Reason, fmt.Sprintf("one of %v", AdjustReasons))
	}
	return checkText("reference", a.Reference, ReferenceMax)
}

// changeStock carries out a write to the cells of lines, creating what is not known yet: decide is called with the cells
// read into c.lines and their shards locked, and fills in c.rec; or it returns an error, and nothing happens but that the
// names are known. To prevent that too, an error can be returned by precondition, if there is one, which is called first.
func (e *Engine) changeStock(o *once, lines []Line, precondition func() error, decide func(c *command) error) (StockChange, error) {
	c := newCommand()
	defer c.recycle()
	sequence, answered, err := o.begin(e, c)
	if err != nil {
		return StockChange{}, err
	}
	if answered {
		return e.stockChange(&c.rec, sequence), nil
	}
	defer o.end(e)
	if err := e.admit(); err != nil {
		return StockChange{}, err
	}
	if precondition != nil {
		if err := precondition(); err != nil {
			return StockChange{}, err
		}
	}
	e.lockToChange(c, lines)
	c.rec.Time, c.rec.Answer = e.clock.Now(), o.answer
	var basis uint64
	for i := range c.lines {
		l := &c.lines[i]
		l.view, l.stocked = e.stock.View(l.sku, l.location)
		basis = max(basis, l.view.Sequence)
	}
	if err := decide(c); err != nil {
		e.stock.Unlock(&c.locks)
		if failed := e.settle(basis); failed != nil {
			return StockChange{}, failed
		}
		return StockChange{}, err
	}
	e.findShortages(c)
	sequence = e.write(c)
	e.stock.Unlock(&c.locks)
	return e.stockChange(&c.rec, sequence), e.settle(sequence)
}

// lockToChange turns lines into c.lines and locks their shards, making known every SKU and location that is not.
func (e *Engine) lockToChange(c *command, lines []Line) {
	for {
		for i := range lines {
			e.internSKU(lines[i].SKU)
			e.ensureLocation(lines[i].Location)
		}
		c.locks = stock.LockSet{}
		_ = c.resolve(e, lines) // names were checked, and are known by now
		e.stock.Lock(&c.locks)
		// A location can be deleted until the lock is held, and not after.
		gone := false
		for i := range c.lines {
			gone = gone || c.lines[i].reason != 0 || e.locationOf(c.lines[i].location) == nil
		}
		if !gone {
			return
		}
		e.stock.Unlock(&c.locks)
	}
}

// findShortages adds to c.rec the shortages that its cells grow into. The caller holds their shards.
func (e *Engine) findShortages(c *command) {
	left := AtRiskMax
	for i := range c.rec.Cells {
		cell := &c.rec.Cells[i]
		after := stock.Cell{OnHand: cell.OnHand, Held: cell.Held, Safety: cell.Safety}
		units := after.Shortage()
		if before, _ := e.stock.View(cell.SKU, cell.Location); units <= before.Shortage() {
			continue
		}
		s := record.Shortage{SKU: cell.SKU, Location: cell.Location, Units: units}
		uncovered := units
		e.reservations.Cell(cell.SKU, cell.Location, func(id reservation.ID, open uint32) bool {
			if uncovered <= 0 || left == 0 {
				return false
			}
			if open > 0 {
				s.AtRisk = append(s.AtRisk, id)
				uncovered -= int64(open)
				left--
			}
			return true
		})
		c.rec.Shortages = append(c.rec.Shortages, s)
	}
}

func (e *Engine) stockChange(r *record.Record, sequence uint64) StockChange {
	return StockChange{
		Sequence: sequence, Time: timeOf(r.Time),
		Cells: e.cellChanges(r, sequence), Shortages: e.shortages(r.Shortages),
	}
}

func (e *Engine) cellChanges(r *record.Record, sequence uint64) []CellChange {
	out := make([]CellChange, len(r.Cells))
	for i := range r.Cells {
		c := &r.Cells[i]
		view := stock.Cell{OnHand: c.OnHand, Held: c.Held, Safety: c.Safety, Sequence: sequence, Flags: stockFlags(c)}
		out[i] = CellChange{Cell: e.cellFrom(c.SKU, c.Location, &view), Delta: c.Delta}
		for _, t := range r.Thresholds {
			if t.SKU == c.SKU && t.Location == c.Location {
				out[i].LowStock = &Threshold{t.Low, t.Clear}
			}
		}
	}
	return out
}

func (e *Engine) shortages(stored []record.Shortage) []Shortage {
	if len(stored) == 0 {
		return nil
	}
	out := make([]Shortage, len(stored))
	for i := range stored {
		s := &stored[i]
		out[i] = Shortage{e.skus.Name(s.SKU), e.locations.Name(s.Location), s.Units, slices.Clone(s.AtRisk)}
	}
	return out
}
