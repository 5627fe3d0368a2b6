package engine

import (
	"cmp"
	"slices"
	"strings"

	"onhand/engine/hours"
	"onhand/engine/internal/nearest"
	"onhand/engine/internal/stock"
)

// NearbyCell is the stock of a SKU at a location, how far that is, and whether it is open.
type NearbyCell struct {
	Cell
	Hours    hours.Status
	Distance Distance
}

// AvailabilityNear appends to dst up to limit locations that stock a SKU with at least minimum units available, from the
// nearest on, those at the same distance in the order of their ids, and returns the cursor to go on with, zero at the end.
func (e *Engine) AvailabilityNear(dst []NearbyCell, sku string, near Near, filter LocationFilter, minimum int64, after NearCursor, limit int) (found []NearbyCell, next NearCursor, err error) {
	if err := cmp.Or(near.check(), filter.check()); err != nil {
		return dst, NearCursor{}, err
	}
	s, ok := e.knownSKU(sku)
	if !ok {
		return dst, NearCursor{}, unknown(KindSKU, sku)
	}
	basis := e.lastPlace.Load()
	given := len(dst)
	found = slices.Grow(dst, min(limit, 100))
	e.eachStocked(s, nearSearch{&near, &filter, limit + 1, after.Distance}, func() { found, next = found[:given], NearCursor{} },
		func(p *place, status *hours.Status, distance Distance) bool {
			view, stocked := e.stock.View(s, p.ID)
			basis = max(basis, view.Sequence)
			if !stocked || view.Available() < minimum || !after.before(distance, p.symbol) {
				return true
			}
			if len(found)-given == limit {
				last := &found[len(found)-1]
				next = NearCursor{last.Distance, last.Location}
				return false
			}
			found = append(found, NearbyCell{e.cellFrom(s, p.ID, &view), *status, distance})
			return true
		})
	return found, next, e.settle(basis)
}

// eachStocked is eachNear, which may leave out locations that do not stock a SKU.
//
// Where few locations stock it, they are looked up and sorted; where many do, the nearest are soon found among all.
func (e *Engine) eachStocked(sku uint32, q nearSearch, begin func(), visit func(p *place, status *hours.Status, distance Distance) bool) {
	stocked, all := e.stock.SlotsOf(sku), int(e.nearby.size.Load())
	if stocked > 64 && stocked*stocked/max(q.expected, 1) > all {
		e.eachNear(q, begin, visit)
		return
	}
	type candidate struct {
		*place
		distance Distance
	}
	var candidates []candidate
	from, within := nearest.VectorOf(q.near.Latitude, q.near.Longitude), q.near.within()
	e.stock.ScanRaw(sku, func(location uint32, _ stock.Cell) bool {
		if p := e.locationOf(location); p != nil && p.located && q.filter.matches(p) {
			if d := from.Distance(&p.point.Vector); d >= q.least && d <= within {
				candidates = append(candidates, candidate{p, d})
			}
		}
		return true
	})
	slices.SortFunc(candidates, func(a, b candidate) int {
		if n := cmp.Compare(a.distance, b.distance); n != 0 {
			return n
		}
		return strings.Compare(a.symbol, b.symbol)
	})
	begin()
	now := e.Now()
	at := q.filter.At
	if at.IsZero() {
		at = now
	}
	for _, c := range candidates {
		status := c.hoursAt(at, now)
		if q.filter.Open && status.State != hours.Open {
			continue
		}
		if !visit(c.place, &status, c.distance) {
			return
		}
	}
}
