package engine

import (
	"errors"

	"onhand/engine/internal/record"
	"onhand/engine/internal/stock"
)

// CheckInvariants checks what must hold in any state.
func (e *Engine) CheckInvariants() error {
	e.stock.Lock(&stock.AllShards)
	defer e.stock.Unlock(&stock.AllShards)
	return errors.Join(e.checkInvariants()...)
}

// CountLive returns how many reservations the limits count for a reference and for an owner.
func (e *Engine) CountLive(reference, owner string) (withReference, ofOwner int64) {
	id, _ := e.owners.Lookup(owner)
	return e.reservations.CountReference([]byte(reference)), e.reservations.CountOwner(id)
}

// WatchDisk looks at the free space now, as the engine does every two seconds.
func (e *Engine) WatchDisk() { e.watchDisk() }

// Forge makes a change that no rule has allowed, and waits until it is durable.
func (e *Engine) Forge(change func(r *record.Record)) error {
	c := newCommand()
	c.locks = stock.AllShards
	e.stock.Lock(&c.locks)
	c.rec.Time = e.clock.Now()
	change(&c.rec)
	sequence := e.write(c)
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
