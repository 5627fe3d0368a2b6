package engine

import (
	"onhand/engine/internal/record"
	"onhand/engine/internal/stock"
)

// WatchDisk looks at the free space now, as the engine does every two seconds.
func (e *Engine) WatchDisk() { e.watchDisk() }

// Forge makes a change that no rule has allowed, and waits until it is durable.
func (e *Engine) Forge(change func(r *record.Record)) error {
	c := newCommand()
	c.locks = stock.AllShards
	e.stock.Lock(&c.locks)
	c.rec.Time = e.clock.Now()
	change(&c.rec)
	for i := range c.rec.Cells {
		cell := &c.rec.Cells[i]
		before, _ := e.stock.View(cell.SKU, cell.Location)
		if cell.Events == 0 { // otherwise they are part of the forgery
			cell.Events, cell.WasAvailable = lowEvent(before.Flags), before.Available() > 0
		}
	}
	sequence := e.write(c)
	e.stock.Unlock(&c.locks)
	return e.settle(sequence)
}

// ForgeOld is Forge by a program that knew no events.
func (e *Engine) ForgeOld(change func(r *record.Record)) error {
	c := newCommand()
	c.locks = stock.AllShards
	e.stock.Lock(&c.locks)
	c.rec.Time = e.clock.Now()
	change(&c.rec)
	c.buffer = record.Append(c.buffer[:0], &c.rec)
	sequence := e.log.Append(c.buffer)
	e.apply(sequence, &c.rec, c.buffer, live)
	e.stock.Unlock(&c.locks)
	return e.settle(sequence)
}

// SetBehindTheJournal changes on hand in memory, and tells the journal nothing.
func (e *Engine) SetBehindTheJournal(sku, location string, onHand int64) {
	s, _ := e.skus.Lookup(sku)
	l, _ := e.locations.Lookup(location)
	e.stock.Lock(&stock.AllShards)
	defer e.stock.Unlock(&stock.AllShards)
	c, _ := e.stock.Raw(s, l)
	c.OnHand = onHand
	e.stock.Put(s, l, c)
}
