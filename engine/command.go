package engine

import (
	"sync"

	"onhand/engine/internal/record"
	"onhand/engine/internal/reservation"
	"onhand/engine/internal/stock"
)

// command is the working memory of one write, kept for reuse.
//
// A write goes: check the request · claim its key · resolve names · Admit · lock the shards · decide (from what is read
// under the locks, and engine time) · append the record · apply it · unlock · wait until it is durable · answer.
type command struct {
	rec    record.Record
	buffer []byte       // rec, encoded
	order  record.Order // that rec places, if it places one
	lines  []line
	locks  stock.LockSet
	due    []uint32
	ids    []reservation.ID
}

var commands = sync.Pool{New: func() any { return new(command) }}

func newCommand() *command {
	c := commands.Get().(*command)
	c.locks, c.lines = stock.LockSet{}, c.lines[:0]
	c.rec.Reset()
	return c
}

// recycle gives c back. What was taken from it must have been copied.
func (c *command) recycle() {
	if cap(c.buffer) <= 64<<10 {
		commands.Put(c)
	}
}

// write makes c.rec the next change: numbers it, hands it to the journal and applies it. The caller holds the shards of
// every cell and reservation in it, and waits for the sequence once it has let go of them.
func (e *Engine) write(c *command) (sequence uint64) {
	e.decideEvents(&c.rec)
	c.buffer = record.Append(c.buffer[:0], &c.rec)
	sequence = e.log.Append(c.buffer)
	e.apply(sequence, &c.rec, c.buffer, live)
	e.counts.change(sequence, c.rec.Kind)
	if c.rec.Order != nil {
		e.counts.moves[c.rec.Order.Move].Add(1)
	}
	return sequence
}

// addCell adds a cell, as the change leaves it, to the record. view is the cell before, delta the change of on hand that
// the record is to tell.
func (c *command) addCell(sku, location uint32, view *stock.Cell, onHand, held, delta int64) {
	c.rec.Cells = append(c.rec.Cells, record.Cell{
		SKU: sku, Location: location, OnHand: onHand, Held: held, Safety: view.Safety, Delta: delta,
		Flags: record.CellFlags(view.Flags & recordFlags), Events: lowEvent(view.Flags), WasAvailable: view.Available() > 0,
	})
}

// recordFlags are those flags of a cell that a record has as they are.
const recordFlags = stock.Blocked | stock.OwnSafety | stock.LocationBlocked

// admit refuses or delays a write before it takes any lock.
func (e *Engine) admit() error {
	if e.diskFull.Load() {
		return ErrDiskFull
	}
	return e.log.Admit()
}

// settle waits until everything up to sequence is durable. Every answer waits for what it rests on, so that nothing
// that was shown can be taken back by a crash, and no sequence that was shown is ever given to another change.
func (e *Engine) settle(sequence uint64) error {
	if sequence <= e.log.Durable() {
		return nil
	}
	return e.log.Wait(sequence)
}
