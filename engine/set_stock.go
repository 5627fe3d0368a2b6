package engine

import (
	"cmp"
	"fmt"

	"onhand/engine/internal/record"
)

// SetStockRequest sets some of a cell's numbers; what is nil stays as it is. A cell that does not exist is created.
type SetStockRequest struct {
	SKU, Location string
	// OnHand is what a count found, −QuantityMax to QuantityMax.
	OnHand *int64
	// SafetyStock is the cell's own, −SafetyStockMax to SafetyStockMax; negative allows so many units to be promised
	// beyond what is on hand. InheritSafetyStock gives the cell back to its SKU's default instead.
	SafetyStock        *int64
	InheritSafetyStock bool
	// Blocked says that nothing of the cell may be promised.
	Blocked *bool
	// LowStock is the cell's own threshold. InheritLowStock gives the cell back to its SKU's instead.
	LowStock        *Threshold
	InheritLowStock bool
	// IfSequence makes the write conditional: it takes effect only if the cell still is at this sequence, as a read has
	// shown it; 0 = only if there is no such cell.
	IfSequence *uint64
	// Reference is the caller's own, at most ReferenceMax bytes.
	Reference string
	Key       string // idempotency key, if any
}

// SetStock sets some of a cell's numbers. It returns a SequenceError where IfSequence does not hold.
func (e *Engine) SetStock(r *SetStockRequest) (StockChange, error) {
	if err := r.check(); err != nil {
		return StockChange{}, err
	}
	o, err := keyed(r.Key, func(f *fingerprint) {
		f.begin("stock.set")
		f.text(r.SKU)
		f.text(r.Location)
		f.optional(r.OnHand)
		f.optional(r.SafetyStock)
		f.bool(r.InheritSafetyStock)
		f.bool(r.Blocked != nil)
		f.bool(r.Blocked != nil && *r.Blocked)
		f.bool(r.IfSequence != nil)
		if r.IfSequence != nil {
			f.number(int64(*r.IfSequence))
		}
		f.text(r.Reference)
		r.LowStock.describe(f)
		if r.InheritLowStock {
			f.text("low stock of the sku")
		}
	})
	if err != nil {
		return StockChange{}, err
	}
	lines := []Line{{SKU: r.SKU, Location: r.Location}}
	// A cell of an unknown SKU or location is not there; it does not become known by being asked for in vain.
	mayExist := func() error {
		_, sku := e.skus.Lookup(r.SKU)
		_, location := e.lookupLocation(r.Location)
		if r.IfSequence == nil || *r.IfSequence == 0 || sku && location {
			return nil
		}
		return &SequenceError{Want: *r.IfSequence}
	}
	return e.changeStock(&o, lines, mayExist, func(c *command) error {
		l := &c.lines[0]
		if r.IfSequence != nil {
			have := uint64(0)
			if l.stocked {
				have = l.view.Sequence
			}
			if *r.IfSequence != have {
				return &SequenceError{Want: *r.IfSequence, Have: have}
			}
		}
		c.rec.Kind, c.rec.Reference = record.StockSet, r.Reference
		onHand := l.view.OnHand
		if r.OnHand != nil {
			onHand = *r.OnHand
		}
		c.addCell(l.sku, l.location, &l.view, onHand, l.view.Held, 0)
		cell := &c.rec.Cells[0]
		switch {
		case r.SafetyStock != nil:
			cell.Safety, cell.Flags = *r.SafetyStock, cell.Flags|record.OwnSafety
		case r.InheritSafetyStock:
			cell.Safety, _ = e.stock.Default(l.sku)
			cell.Flags &^= record.OwnSafety
		}
		if r.Blocked != nil {
			cell.Flags &^= record.Blocked
			if *r.Blocked {
				cell.Flags |= record.Blocked
			}
		}
		if r.LowStock != nil || r.InheritLowStock {
			set := record.CellThreshold{SKU: l.sku, Location: l.location}
			if r.LowStock != nil {
				set.Threshold = record.Threshold(*r.LowStock)
			}
			c.rec.Thresholds = append(c.rec.Thresholds, set)
		}
		return nil
	})
}

func (r *SetStockRequest) checkNames() error {
	return cmp.Or(checkSKUName("sku", r.SKU), checkName("location", r.Location), checkNotReserved("location", r.Location))
}

func (r *SetStockRequest) check() error {
	if err := r.checkNames(); err != nil {
		return err
	}
	if r.OnHand == nil && r.SafetyStock == nil && r.Blocked == nil && !r.InheritSafetyStock && r.LowStock == nil && !r.InheritLowStock {
		return invalid("body", "empty", "at least one of on_hand, safety_stock, blocked and low_stock")
	}
	if t := r.LowStock; t != nil {
		if *t == (Threshold{}) {
			return invalid("low_stock_clear", t.Clear, "a number above low_stock")
		}
		if err := t.check(); err != nil {
			return err
		}
	}
	if r.OnHand != nil && (*r.OnHand < -QuantityMax || *r.OnHand > QuantityMax) {
		return invalid("on_hand", *r.OnHand, fmt.Sprintf("-%d to %d", int64(QuantityMax), int64(QuantityMax)))
	}
	if s := r.SafetyStock; s != nil && (*s < -SafetyStockMax || *s > SafetyStockMax) {
		return invalid("safety_stock", *s, fmt.Sprintf("-%d to %d", int64(SafetyStockMax), int64(SafetyStockMax)))
	}
	return checkText("reference", r.Reference, ReferenceMax)
}
