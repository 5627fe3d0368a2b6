package engine

import (
	"fmt"
	"sync/atomic"

	"onhand/engine/internal/record"
	"onhand/engine/internal/stock"
)

// # What a change means for what is available
//
// A change of a cell is told by more than its numbers: units ran out or are back, stock became low or has recovered. That
// is decided here, once, while the cell's shard is locked, and put on record with the cell (record.CellEvents). So replay
// and the feed need neither the cell before nor any threshold.
//
//	available  ──┐                       ┌── recovered: Clear is reached
//	      Clear ·│· · · · · · · · · · ·┌─┘
//	        Low ·└┐· · · · · · · · · ┌─┘   in between a low cell stays low, and another does not become it
//	              └──── low ─────────┘
//
// Whether a cell is low is kept in the cell, since between Low and Clear its numbers don't tell. A cell is looked at when
// it changes, and at no other time: a new threshold of a SKU counts from the next change of each of its cells on, one of a
// cell's own at once, as it comes with a change of the cell. While its location is blocked a cell has no events, and is as
// low as it was. Blocking a location, and a SKU's default safety stock, change what is available of any number of cells at
// once: they are told by location.set and sku.set only.

// Threshold says when a cell's stock is low: with Low units available or fewer, and then until there are Clear again. The
// zero Threshold is none.
type Threshold struct{ Low, Clear int64 }

// LowStockMax is the largest threshold, in units.
const LowStockMax = QuantityMax / 2

// NewThreshold makes a threshold of what a caller gives: nothing, low only, or both. Clear is a fifth above low by default,
// and by one unit at least.
func NewThreshold(low, clear *int64) (t Threshold, err error) {
	if low == nil {
		if clear != nil {
			return t, invalid("low_stock_clear", *clear, "nothing without low_stock")
		}
		return t, nil
	}
	if *low < 0 || *low > LowStockMax {
		return t, invalid("low_stock", *low, fmt.Sprintf("0 to %d", int64(LowStockMax)))
	}
	t = Threshold{*low, *low + max(1, *low/5)}
	if clear != nil {
		t.Clear = *clear
	}
	return t, t.check()
}

func (t Threshold) check() error {
	if t == (Threshold{}) {
		return nil
	}
	if t.Low < 0 || t.Low > LowStockMax {
		return invalid("low_stock", t.Low, fmt.Sprintf("0 to %d", int64(LowStockMax)))
	}
	if t.Clear <= t.Low || t.Clear > QuantityMax {
		return invalid("low_stock_clear", t.Clear, fmt.Sprintf("%d to %d, which is above low_stock", t.Low+1, int64(QuantityMax)))
	}
	return nil
}

// describe adds a threshold to a request's fingerprint. One that is not given adds nothing, so that requests keep the
// fingerprint that they had before there were thresholds.
func (t *Threshold) describe(f *fingerprint) {
	if t != nil {
		f.text("low stock")
		f.number(t.Low)
		f.number(t.Clear)
	}
}

// thresholds are what decides that stock is low.
type thresholds struct {
	// used says that there was one ever. Until then nobody looks for any.
	used atomic.Bool
	// own are those of cells that have one of their own, by shard, and guarded by it like the cells. They are few.
	own [stock.Shards]map[uint64]record.Threshold
}

func cellKey(sku, location uint32) uint64 { return uint64(sku)<<32 | uint64(location) }

// thresholdOf returns the threshold of a cell that a record writes, and whether it is the cell's own. The caller holds the
// cell's shard; r is nil where there is no record.
func (e *Engine) thresholdOf(sku, location uint32, r *record.Record) (t record.Threshold, own bool) {
	if r != nil {
		for i := range r.Thresholds {
			if set := &r.Thresholds[i]; set.SKU == sku && set.Location == location {
				if set.Threshold == (record.Threshold{}) {
					return e.thresholdOfSKU(sku), false
				}
				return set.Threshold, true
			}
		}
	}
	if t, own = e.thresholds.own[stock.ShardOf(sku)][cellKey(sku, location)]; own {
		return t, true
	}
	return e.thresholdOfSKU(sku), false
}

func (e *Engine) thresholdOfSKU(sku uint32) record.Threshold {
	if s := e.settingsOf(sku); s != nil {
		return s.LowStock
	}
	return record.Threshold{}
}

// decideEvents decides what a record means for the cells that it writes. The caller holds their shards.
func (e *Engine) decideEvents(r *record.Record) {
	used := len(r.Thresholds) > 0 || e.thresholds.used.Load()
	for i := range r.Cells {
		c := &r.Cells[i]
		if c.Flags&record.LocationBlocked != 0 {
			continue
		}
		after := stock.Cell{OnHand: c.OnHand, Held: c.Held, Safety: c.Safety, Flags: stock.Flags(c.Flags)}
		available := after.Available()
		// That a slot is full is no news of stock.
		if is := available > 0; is != c.WasAvailable && resourceKindOf(e.skus.Name(c.SKU)) == goods {
			c.Events |= record.CellOut
			if is {
				c.Events ^= record.CellOut | record.CellBack
			}
		}
		if used {
			e.decideLow(c, r, available)
		}
	}
}

// decideLow decides whether a cell becomes low or recovers. Where its threshold was taken away it recovers, so that whoever
// was told that it is low is told the end of it too.
func (e *Engine) decideLow(c *record.Cell, r *record.Record, available int64) {
	t, _ := e.thresholdOf(c.SKU, c.Location, r)
	switch low := c.Events&record.CellLow != 0; {
	case !low && t.Clear > 0 && available <= t.Low:
		c.Events |= record.CellLow | record.CellBecameLow
		c.Threshold = t.Low
	case low && available >= t.Clear:
		c.Events = c.Events&^record.CellLow | record.CellRecovered
		c.Threshold = t.Clear
	}
}

// lowEvent is what a record says of a cell with such flags, as long as nothing is decided.
func lowEvent(flags stock.Flags) record.CellEvents {
	if flags&stock.Low != 0 {
		return record.CellLow
	}
	return 0
}

// stockFlags are those of a record's cell as the stock map has them.
func stockFlags(c *record.Cell) stock.Flags {
	flags := stock.Flags(c.Flags)
	if c.Events&record.CellLow != 0 {
		flags |= stock.Low
	}
	return flags
}

// applyThreshold sets a cell's own threshold, or takes it away. The caller holds the cell's shard.
func (e *Engine) applyThreshold(t *record.CellThreshold) {
	own, key := &e.thresholds.own[stock.ShardOf(t.SKU)], cellKey(t.SKU, t.Location)
	if old, ok := (*own)[key]; ok {
		e.recordDigest.Add(-thresholdFact(&record.CellThreshold{SKU: t.SKU, Location: t.Location, Threshold: old}))
		delete(*own, key)
	}
	if t.Threshold == (record.Threshold{}) {
		return
	}
	e.recordDigest.Add(thresholdFact(t))
	if *own == nil {
		*own = make(map[uint64]record.Threshold)
	}
	(*own)[key] = t.Threshold
	e.thresholds.used.Store(true)
}

// dropThresholds takes away the thresholds of all cells of a location that is deleted. The caller holds all shards.
func (e *Engine) dropThresholds(location uint32) {
	for _, own := range e.thresholds.own {
		for key := range own {
			if uint32(key) == location {
				e.applyThreshold(&record.CellThreshold{SKU: uint32(key >> 32), Location: location})
			}
		}
	}
}

// thresholdsOf returns the cells of a shard that have a threshold of their own. The caller holds the shard.
func (e *Engine) thresholdsOf(shard int) (all []record.CellThreshold) {
	for key, t := range e.thresholds.own[shard] {
		all = append(all, record.CellThreshold{SKU: uint32(key >> 32), Location: uint32(key), Threshold: t})
	}
	return all
}

// thresholdFact is what a cell's own threshold adds to the state's digest.
func thresholdFact(t *record.CellThreshold) uint64 {
	return textFact(record.AppendCellThreshold(nil, t), 0, factThreshold)
}

// factThreshold tells thresholds from other texts in the digest; it is none of the kinds of symbols.
const factThreshold = 't'

// StockCell is all there is to know of a cell.
type StockCell struct {
	Cell
	// LowStock is the threshold in force; OwnLowStock says that it is the cell's own, not its SKU's.
	LowStock    Threshold
	OwnLowStock bool
}

// Stock returns all there is to know of a cell. Where the SKU is not stocked there, it says so.
func (e *Engine) Stock(sku, location string) (StockCell, error) {
	s, ok := e.knownSKU(sku)
	if !ok {
		return StockCell{}, unknown(KindSKU, sku)
	}
	l, ok := e.lookupLocation(location)
	if !ok {
		return StockCell{}, e.unknownLocation(location)
	}
	var locks stock.LockSet
	locks.Add(stock.ShardOf(s))
	e.stock.Lock(&locks) // the threshold and the cell are to be of one moment
	out := StockCell{Cell: e.cell(s, l)}
	t, own := e.thresholdOf(s, l, nil)
	e.stock.Unlock(&locks)
	out.LowStock, out.OwnLowStock = Threshold(t), own
	return out, e.settle(out.Sequence)
}
