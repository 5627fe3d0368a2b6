package engine

import (
	"sync"
	"time"

	"onhand/engine/internal/record"
	"onhand/engine/internal/stock"
)

// Pickup slots that are over leave cells behind that nobody asks about any more. They are removed, all cells of a slot in one
// record, once nothing is held of any. The slot's name stays known: a quarter of an hour is one name for all locations, so
// that is at most 96 a day.

// slotKept is how long after its beginning a slot is kept at least: as long as the longest slot, and a day more.
const slotKept = 48 * time.Hour

// slotsAtOnce is the most slots that one record removes.
const slotsAtOnce = 128

// oldSlots is what the housekeeping remembers of slots.
type oldSlots struct {
	mu   sync.Mutex // before all other locks
	seen uint32     // SKUs looked at
	left []slotSKU
}

// slotSKU is a slot that may have cells.
type slotSKU struct {
	sku  uint32
	over int64 // engine time from which on it can be removed
}

// removeOldSlots removes the cells of the slots that are over. It fails where the journal has failed.
func (e *Engine) removeOldSlots() error {
	if e.diskFull.Load() {
		return nil
	}
	o := &e.oldSlots
	o.mu.Lock()
	defer o.mu.Unlock()
	for last := e.skus.Through(e.log.Durable()); o.seen < last; {
		o.seen++
		if start, ok := parseSlotSKU(e.skus.Name(o.seen)); ok {
			o.left = append(o.left, slotSKU{o.seen, start.Add(slotKept).UnixNano()})
		}
	}
	now := e.clock.Now()
	var due []uint32
	left := o.left[:0]
	for _, s := range o.left {
		if s.over > now {
			left = append(left, s)
			continue
		}
		cells, held := e.cellsOf(s.sku)
		if held {
			left = append(left, s)
		} else if cells {
			due = append(due, s.sku)
		}
	}
	o.left = left
	for len(due) > 0 {
		n := min(len(due), slotsAtOnce)
		if err := e.removeSlots(due[:n]); err != nil {
			return err
		}
		due = due[n:]
	}
	return nil
}

// removeSlots removes slots of which nothing is held. As they are over, nothing can be held of them again.
func (e *Engine) removeSlots(slots []uint32) error {
	if err := e.log.Admit(); err != nil {
		return err
	}
	c := newCommand()
	defer c.recycle()
	for _, sku := range slots {
		c.locks.Add(stock.ShardOf(sku))
	}
	e.stock.Lock(&c.locks)
	defer e.stock.Unlock(&c.locks)
	for _, sku := range slots {
		if cells, held := e.cellsOf(sku); cells && !held {
			c.rec.Slots = append(c.rec.Slots, sku)
		}
	}
	if len(c.rec.Slots) > 0 {
		c.rec.Kind, c.rec.Time = record.SlotsRemoved, e.clock.Now()
		e.write(c)
	}
	return nil
}

// cellsOf tells whether a SKU has cells, and whether anything is held of one.
func (e *Engine) cellsOf(sku uint32) (cells, held bool) {
	e.stock.ScanRaw(sku, func(_ uint32, c stock.Cell) bool {
		cells, held = true, held || c.Held != 0
		return true
	})
	return cells, held
}
