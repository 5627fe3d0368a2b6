package engine

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"onhand/engine/internal/stock"
)

// Cell is the stock of one SKU at one location.
type Cell struct {
	SKU, Location string
	// OnHand are the units physically there, Held those of them promised to live reservations.
	OnHand, Held int64
	// SafetyStock is the safety stock in force; OwnSafetyStock says that it is the cell's own, not its SKU's default.
	SafetyStock    int64
	OwnSafetyStock bool
	// Blocked is the cell's own flag, LocationBlocked its location's.
	Blocked, LocationBlocked bool
	// Low says that available came to the threshold of the cell or its SKU, and has not recovered since.
	Low bool
	// Available = max(0, OnHand − Held − SafetyStock), and 0 where the cell or its location is blocked.
	Available int64
	// Stocked says that there is such a cell; if not, all numbers are 0.
	Stocked bool
	// Sequence is the last change of the cell, its SKU's settings or its location's record.
	Sequence uint64
}

func (e *Engine) cellFrom(sku, location uint32, view *stock.Cell) Cell {
	return Cell{
		SKU: e.skus.Name(sku), Location: e.locations.Name(location),
		OnHand: view.OnHand, Held: view.Held, SafetyStock: view.Safety, OwnSafetyStock: view.Flags&stock.OwnSafety != 0,
		Blocked: view.Flags&stock.Blocked != 0, LocationBlocked: view.Flags&stock.LocationBlocked != 0,
		Low: view.Flags&stock.Low != 0, Available: view.Available(), Stocked: true, Sequence: view.Sequence,
	}
}

// Now returns engine time: what deadlines are measured by.
func (e *Engine) Now() time.Time { return timeOf(e.clock.Now()) }

// Availability returns the stock of a SKU at a location. Where it is not stocked there, the cell says so. It takes no
// lock; where the cell was changed within the last block, it waits for that block to be durable.
func (e *Engine) Availability(sku, location string) (Cell, error) {
	s, ok := e.knownSKU(sku)
	if !ok {
		return Cell{}, unknown(KindSKU, sku)
	}
	l, ok := e.lookupLocation(location)
	if !ok {
		return Cell{}, e.unknownLocation(location)
	}
	cell := e.cell(s, l)
	return cell, e.settle(cell.Sequence)
}

// cell returns a cell, of which not everything need be durable, or says that there is none.
func (e *Engine) cell(sku, location uint32) Cell {
	view, stocked := e.stock.View(sku, location)
	if !stocked {
		return Cell{
			SKU: e.skus.Name(sku), Location: e.locations.Name(location),
			LocationBlocked: view.Flags&stock.LocationBlocked != 0, Sequence: view.Sequence,
		}
	}
	return e.cellFrom(sku, location, &view)
}

// AvailabilityEverywhere appends to dst the stock of a SKU at every location that stocks it with at least minimum units
// available, in the order in which the locations were first seen, but for those where units are in transit. sequence is that of the last change among all of its
// cells, also those left out, when the call began: it grows with every change of the answer, which shows all changes up to
// it and perhaps some after it.
func (e *Engine) AvailabilityEverywhere(dst []Cell, sku string, minimum int64) (cells []Cell, sequence uint64, err error) {
	cells, sequence, _, err = e.AvailabilityPage(dst, sku, minimum, 0, 1<<32)
	return cells, sequence, err
}

// AvailabilityPage is AvailabilityEverywhere for up to limit locations after a cursor (0 to begin). It also returns the
// cursor to go on with, 0 at the end.
func (e *Engine) AvailabilityPage(dst []Cell, sku string, minimum int64, after uint32, limit int) (cells []Cell, sequence uint64, next uint32, err error) {
	return e.availabilityPage(dst, sku, minimum, false, after, limit)
}

// availabilityPage is AvailabilityPage, with the locations where units are in transit or without.
func (e *Engine) availabilityPage(dst []Cell, sku string, minimum int64, transit bool, after uint32, limit int) (cells []Cell, sequence uint64, next uint32, err error) {
	s, ok := e.knownSKU(sku)
	if !ok {
		return dst, 0, 0, unknown(KindSKU, sku)
	}
	found := pages.Get().(*page)
	defer pages.Put(found)
	found.views, found.order = found.views[:0], found.order[:0]
	// A location that was deleted takes its cells with it, and so must count as a change too.
	_, sequence = e.stock.Default(s)
	sequence = max(sequence, e.lastDeletion.Load())
	e.stock.Scan(s, func(_ uint32, view stock.Cell) bool {
		sequence = max(sequence, view.Sequence)
		return true
	})
	e.finishChange(s)
	latest := sequence
	e.stock.Scan(s, func(location uint32, view stock.Cell) bool {
		latest = max(latest, view.Sequence)
		// Only what is blocked can be a location of units in transit, so that the others need not be looked up.
		if view.Flags&stock.LocationBlocked != 0 && !transit && e.isTransit(location) {
			return true
		}
		if location > after && view.Available() >= minimum {
			found.order = append(found.order, uint64(location)<<32|uint64(len(found.views)))
			found.views = append(found.views, view)
		}
		return true
	})
	if err := e.settle(max(latest, e.lastDeletion.Load())); err != nil {
		return dst, 0, 0, err
	}
	slices.Sort(found.order)
	order := found.order
	if len(order) > limit {
		order = order[:limit]
		next = uint32(order[limit-1] >> 32)
	}
	dst = slices.Grow(dst, len(order))
	for _, at := range order {
		dst = append(dst, e.cellFrom(s, uint32(at>>32), &found.views[uint32(at)]))
	}
	return dst, sequence, next, nil
}

// page is what AvailabilityPage finds, kept for the next call: the commonest question should not cost an allocation for
// each location. The cells of a SKU lie in the order of a hash, so they are sorted, by numbers that hold a location and
// where its view is: sorting the views themselves took a third of the time.
type page struct {
	views []stock.Cell
	order []uint64 // location<<32 | index in views
}

var pages = sync.Pool{New: func() any { return new(page) }}

// AvailabilityAt is AvailabilityEverywhere at the locations named, in their order; those that do not stock the SKU are in
// the answer too, unless minimum leaves them out.
func (e *Engine) AvailabilityAt(dst []Cell, sku string, locations []string, minimum int64) (cells []Cell, sequence uint64, err error) {
	s, ok := e.knownSKU(sku)
	if !ok {
		return dst, 0, unknown(KindSKU, sku)
	}
	places := make([]uint32, len(locations))
	for i, name := range locations {
		if places[i], ok = e.lookupLocation(name); !ok {
			return dst, 0, e.unknownLocation(name)
		}
		view, _ := e.stock.View(s, places[i])
		sequence = max(sequence, view.Sequence)
	}
	e.finishChange(s)
	latest := sequence
	for _, place := range places {
		cell := e.cell(s, place)
		latest = max(latest, cell.Sequence)
		if cell.Available >= minimum {
			dst = append(dst, cell)
		}
	}
	return dst, sequence, e.settle(latest)
}

// finishChange returns once every change of a SKU's cells that a caller may have seen a part of is there as a whole. One
// change may touch many cells, and a later one of another cell may be seen where an earlier one was not: a caller that
// names a sequence for many cells looks for the sequence first, and at the cells after this, so that no cell is older.
func (e *Engine) finishChange(sku uint32) {
	var locks stock.LockSet
	locks.Add(stock.ShardOf(sku))
	e.stock.Lock(&locks)
	e.stock.Unlock(&locks)
}

// CellName names a cell.
type CellName struct{ SKU, Location string }

// CellResult is the answer to one question of a query.
type CellResult struct {
	Cell Cell
	Err  error // an UnknownError
}

// Query answers for many cells at once, and waits for the disk at most once. It appends a result for each to results.
// Each cell is as of some moment during the call. It fails as a whole where a name can't be one.
func (e *Engine) Query(results []CellResult, names []CellName) ([]CellResult, error) {
	var latest uint64
	for i := range names {
		n := &names[i]
		s, known := e.knownSKU(n.SKU)
		if !known {
			if err := n.check(i); err != nil {
				return results, err
			}
			results = append(results, CellResult{Err: unknown(KindSKU, n.SKU)})
			continue
		}
		l, known := e.lookupLocation(n.Location)
		if !known {
			if err := n.check(i); err != nil {
				return results, err
			}
			latest = max(latest, e.lastDeletion.Load())
			results = append(results, CellResult{Err: unknown(KindLocation, n.Location)})
			continue
		}
		cell := e.cell(s, l)
		latest = max(latest, cell.Sequence)
		results = append(results, CellResult{Cell: cell})
	}
	return results, e.settle(latest)
}

// check refuses names that can't be any, of the cell at index i of a query.
func (n *CellName) check(i int) error {
	if checkName("", n.SKU) != nil {
		return checkName(fmt.Sprintf("cells[%d].sku", i), n.SKU)
	}
	if checkName("", n.Location) != nil {
		return checkName(fmt.Sprintf("cells[%d].location", i), n.Location)
	}
	return nil
}

// WaitSequence waits until every change up to sequence is durable and is shown by reads that begin after it returns. It
// answers false where the sequence was not reached within timeout.
func (e *Engine) WaitSequence(sequence uint64, timeout time.Duration) (reached bool, err error) {
	if sequence == 0 {
		return true, nil
	}
	if e.log.Durable() < sequence {
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		if err := e.log.WaitBeyond(ctx, sequence-1); err != nil {
			if ctx.Err() != nil {
				return false, nil
			}
			return false, err
		}
	}
	e.barrier()
	return true, nil
}

// barrier returns once every record numbered before the call has been applied: a record is numbered and applied under
// the lock of some shard.
func (e *Engine) barrier() {
	for shard := range stock.Shards {
		var locks stock.LockSet
		locks.Add(shard)
		e.stock.Lock(&locks)
		e.stock.Unlock(&locks)
	}
}
