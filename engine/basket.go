package engine

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"onhand/engine/hours"
	"onhand/engine/internal/nearest"
	"onhand/engine/internal/stock"
)

// BasketRequest asks where near a position a whole basket can be had. Only places where customers collect are looked at,
// no warehouses, unless the filter asks for them.
type BasketRequest struct {
	Lines  []BasketLine // 1 to BasketLinesMax; the same SKU twice counts as one line with the sum
	Near   Near
	Filter LocationFilter
	Limit  int // locations in the answer, 1 to BasketLocationsMax
}

// BasketLine is a SKU and how many of it.
type BasketLine struct {
	SKU      string
	Quantity int64 // 1 to LineQuantityMax
}

// Limits of a basket.
const (
	BasketLinesMax     = 200
	BasketLocationsMax = 100
)

// BasketAnswer tells where a basket can be had.
type BasketAnswer struct {
	At time.Time // the instant that the answer is about
	// Locations are first those that have all of it, from the nearest on; then those that lack something, by how many lines
	// they have in full, then by how many units, then by distance; then, if there is room, the nearest that have nothing and
	// can have it all sent. Ties are in the order of their ids.
	Locations []BasketLocation
	// ShipHome is the warehouse nearest to the position that has all of it, if any.
	ShipHome *FoundLocation
	// Missing tells, where the basket can be had nowhere, which lines are at fault and why; all of them, with NotTogether,
	// where none is by itself.
	Missing []BasketMissing
}

// Available reports whether the basket can be had at all.
func (b *BasketAnswer) Available() bool {
	return b.ShipHome != nil || slices.ContainsFunc(b.Locations, func(l BasketLocation) bool { return len(l.Options) > 0 })
}

// BasketLocation is what a location has of a basket.
type BasketLocation struct {
	FoundLocation
	Complete bool
	Missing  []BasketMissing // empty where it has all of it
	Options  []Fulfilment
}

// BasketMissing is a line that can't be had.
type BasketMissing struct {
	SKU       string
	Requested int64
	// Available is what there is at the location; in the answer as a whole, the most at any one location, or with NotTogether what one
	// has that has enough: which one depends on the order in which locations were first seen.
	Available int64
	Reason    Reason
}

// FulfilmentKind is a way for a basket to get to its customer.
type FulfilmentKind uint8

// The ways.
const (
	PickupNow   FulfilmentKind = iota + 1 // it is there, and the location is open until it is ready
	PickupLater                           // it is there, and the location opens later, or may
	ShipToStore                           // a supplier has what is lacking
)

// String returns the way as the HTTP interface writes it.
func (k FulfilmentKind) String() string {
	switch k {
	case PickupNow:
		return "pickup_now"
	case PickupLater:
		return "pickup_later"
	case ShipToStore:
		return "ship_to_store"
	}
	return "unknown"
}

// Fulfilment is a way for a basket to get to its customer at a location.
type Fulfilment struct {
	Kind FulfilmentKind
	// ReadyAt is when it can be collected: when it is prepared and the location is open; zero where its hours don't tell.
	ReadyAt time.Time
	From    string // the supplier, for ShipToStore
}

// basket is a question under way.
type basket struct {
	e     *Engine
	in    *BasketRequest
	lines []line
	tally stock.Tally
	at    time.Time
	now   time.Time
	from  nearest.Vector
	basis uint64
	best  []candidate // of class, used again
}

var baskets = sync.Pool{New: func() any { return new(basket) }}

// Basket tells where a basket can be had. Each cell is as of some moment during the call.
func (e *Engine) Basket(in *BasketRequest) (BasketAnswer, error) {
	b := baskets.Get().(*basket)
	defer func() {
		clear(b.best[:cap(b.best)])
		b.e, b.in = nil, nil
		baskets.Put(b)
	}()
	b.e, b.in, b.now, b.from = e, in, e.Now(), nearest.VectorOf(in.Near.Latitude, in.Near.Longitude)
	if err := b.check(); err != nil {
		return BasketAnswer{}, err
	}
	b.at = in.Filter.At
	if b.at.IsZero() {
		b.at = b.now
	}
	b.basis = 0
	b.tally.Begin(e.locations.Len() + 1)
	known := true
	for i := range b.lines {
		known = known && b.lines[i].sku != 0
		b.tally.Add(e.stock, b.lines[i].sku, b.lines[i].quantity)
	}
	b.basis = max(b.basis, b.tally.Latest())
	out := BasketAnswer{At: b.at}
	out.Locations = b.locations()
	if known {
		out.ShipHome = b.shipHome()
	}
	if !out.Available() {
		out.Missing = b.missingEverywhere()
	}
	// A location that was removed meanwhile was passed over.
	return out, e.settle(max(b.basis, e.lastPlace.Load()))
}

// check checks the request and resolves its lines.
func (b *basket) check() error {
	in := b.in
	if n := len(in.Lines); n == 0 || n > BasketLinesMax {
		return invalid("lines", fmt.Sprintf("%d lines", n), fmt.Sprintf("1 to %d lines", BasketLinesMax))
	}
	if in.Limit < 1 || in.Limit > BasketLocationsMax {
		return invalid("limit", in.Limit, fmt.Sprintf("1 to %d", BasketLocationsMax))
	}
	if err := cmp.Or(in.Near.check(), in.Filter.check()); err != nil {
		return err
	}
	in.Filter.pickup = in.Filter.Kind == 0
	b.lines = b.lines[:0]
next:
	for i := range in.Lines {
		l := &in.Lines[i]
		if !positiveQuantity(l.Quantity) {
			return invalid(lineField(i, "quantity"), l.Quantity, positiveQuantityWant)
		}
		if err := checkName(lineField(i, "sku"), l.SKU); err != nil {
			return err
		}
		for j := range b.lines {
			if have := &b.lines[j]; in.Lines[have.request].SKU == l.SKU {
				if have.quantity += l.Quantity; !positiveQuantity(have.quantity) {
					return invalid(lineField(i, "quantity"), have.quantity, fmt.Sprintf("at most %d units of one SKU in all", LineQuantityMax))
				}
				continue next
			}
		}
		sku, _ := b.e.knownSKU(l.SKU)
		b.lines = append(b.lines, line{sku: sku, quantity: l.Quantity, request: i})
	}
	return nil
}

// candidate is a location that may get into the answer.
type candidate struct {
	*place
	distance Distance
	units    int64
}

// locations fills the answer, best class first: those with all lines, those with all but one, and so on.
func (b *basket) locations() []BasketLocation {
	out := make([]BasketLocation, 0, b.in.Limit)
	byLines := b.tally.Locations(len(b.lines))
	for lines := len(b.lines); lines >= 0 && len(out) < b.in.Limit; lines-- {
		if byLines[lines] == 0 {
			continue
		}
		class := b.class(lines, b.in.Limit-len(out), byLines[lines])
		for i := range class {
			for j := range b.lines {
				b.e.stock.Prefetch(b.lines[j].sku, class[i].ID)
			}
		}
		for _, c := range class {
			if l, ok := b.locationOf(&c); ok {
				out = append(out, l)
			}
		}
	}
	if len(out) < b.in.Limit {
		out = append(out, b.supplied(b.in.Limit-len(out))...)
	}
	return out
}

// class returns the best locations, at most limit, of the n that have so many lines in full.
func (b *basket) class(lines, limit, n int) []candidate {
	e, best := b.e, b.best[:0]
	defer func() { b.best = best }()
	if lines == len(b.lines) && n > 8*limit {
		// All have the same, so the nearest are the best, and soon found.
		e.eachNear(nearSearch{near: &b.in.Near, filter: &b.in.Filter, expected: 8 * limit}, func() { best = best[:0] }, func(p *place, _ *hours.Status, distance Distance) bool {
			if int(b.tally.Of(p.ID).Lines) == lines && !p.Blocked {
				best = append(best, candidate{p, distance, 0})
			}
			return len(best) < limit
		})
		return best
	}
	within := b.in.Near.within()
	b.tally.With(lines, func(id uint32, units int64) {
		p := e.locationOf(id)
		if p == nil || !p.located || p.Blocked || !b.in.Filter.matches(p) {
			return
		}
		distance := b.from.Distance(&p.point.Vector)
		if distance > within {
			return
		}
		if b.in.Filter.Open && p.hoursAt(b.at, b.now).State != hours.Open {
			return
		}
		best = append(best, candidate{p, distance, units})
	})
	slices.SortFunc(best, func(a, c candidate) int {
		if n := cmp.Or(cmp.Compare(c.units, a.units), cmp.Compare(a.distance, c.distance)); n != 0 {
			return n
		}
		return strings.Compare(a.symbol, c.symbol)
	})
	return best[:min(limit, len(best))]
}

// supplied returns the nearest locations, at most limit, that have nothing of the basket and can have all of it sent.
func (b *basket) supplied(limit int) (out []BasketLocation) {
	const looks = 200 // farther than that nobody goes to collect
	looked := 0
	b.e.eachNear(nearSearch{near: &b.in.Near, filter: &b.in.Filter, expected: looks}, func() { out, looked = nil, 0 }, func(p *place, _ *hours.Status, distance Distance) bool {
		looked++
		if b.tally.Of(p.ID).Units == 0 && len(p.suppliers) > 0 && !p.Blocked {
			if l, ok := b.locationOf(&candidate{p, distance, 0}); ok && len(l.Options) > 0 {
				out = append(out, l)
			}
		}
		return len(out) < limit && looked < looks
	})
	return out
}

// locationOf looks at each line of a location that the tally found, and says what can be done. It answers false where the
// location has changed for the worse since, so that it is not in its place in the answer any more.
func (b *basket) locationOf(c *candidate) (BasketLocation, bool) {
	e := b.e
	status := c.hoursAt(b.at, b.now)
	out := BasketLocation{FoundLocation: FoundLocation{c.location(), status, c.distance}}
	b.basis = max(b.basis, c.sequence)
	complete := uint32(0)
	for i := range b.lines {
		l := &b.lines[i]
		view, stocked := e.stock.View(l.sku, c.ID)
		b.basis = max(b.basis, view.Sequence)
		reason := UnknownSKU
		if l.sku != 0 {
			reason = reasonAgainst(&view, stocked, l.quantity)
		}
		if reason == 0 {
			complete++
			continue
		}
		out.Missing = append(out.Missing, BasketMissing{b.in.Lines[l.request].SKU, l.quantity, view.Available(), reason})
	}
	if complete < b.tally.Of(c.ID).Lines {
		return out, false
	}
	if out.Complete = len(out.Missing) == 0; out.Complete {
		if f, ok := b.pickup(c, &status); ok {
			out.Options = []Fulfilment{f}
		}
	} else if f, ok := b.shipTo(c, out.Missing); ok {
		out.Options = []Fulfilment{f}
	}
	return out, true
}

// pickup tells when a basket that is there can be collected, or false where it never can.
func (b *basket) pickup(c *candidate, status *hours.Status) (Fulfilment, bool) {
	ready := b.at.Add(c.preparation)
	if status.State == hours.Open && (status.Closes.IsZero() || ready.Before(status.Closes)) {
		return Fulfilment{Kind: PickupNow, ReadyAt: ready}, true
	}
	opens, ok := openFrom(c.place, ready)
	return Fulfilment{Kind: PickupLater, ReadyAt: opens}, ok
}

// openFrom returns the first instant from t on at which a location is open, zero where its hours don't tell, and false where
// they tell that it stays closed.
func openFrom(p *place, t time.Time) (time.Time, bool) {
	switch s := p.calendar.At(t); s.State {
	case hours.Open:
		return t, true
	case hours.Closed:
		return s.Opens, !s.Never
	}
	return time.Time{}, true
}

// shipTo returns the fastest supplier that has all that a location lacks.
func (b *basket) shipTo(c *candidate, missing []BasketMissing) (Fulfilment, bool) {
	e := b.e
	for _, supplier := range c.suppliers {
		from, known := e.lookupLocation(supplier.Location)
		if !known {
			continue
		}
		has := func(m BasketMissing) bool {
			sku, _ := e.knownSKU(m.SKU)
			view, _ := e.stock.View(sku, from)
			b.basis = max(b.basis, view.Sequence)
			return view.Available() >= m.Requested-m.Available
		}
		if !slices.ContainsFunc(missing, func(m BasketMissing) bool { return !has(m) }) {
			ready := b.at.Add(time.Duration(supplier.LeadTime)*time.Second + c.preparation)
			opens, ok := openFrom(c.place, ready)
			return Fulfilment{Kind: ShipToStore, From: supplier.Location, ReadyAt: opens}, ok
		}
	}
	return Fulfilment{}, false
}

// shipHome returns the nearest warehouse that has all of the basket; one without a position comes last.
func (b *basket) shipHome() (best *FoundLocation) {
	e := b.e
	b.tally.With(len(b.lines), func(id uint32, _ int64) {
		p := e.locationOf(id)
		if p == nil || LocationKind(p.Kind) != Warehouse || p.Blocked {
			return
		}
		distance := nearest.Farthest + 1
		if p.located {
			distance = b.from.Distance(&p.point.Vector)
		}
		if best == nil || cmp.Or(cmp.Compare(distance, best.Distance), cmp.Compare(e.locations.Name(id), best.ID)) < 0 {
			best = &FoundLocation{p.location(), p.hoursAt(b.at, b.now), distance}
			b.basis = max(b.basis, p.sequence)
		}
	})
	return best
}

// missingEverywhere says which lines can't be had anywhere that was looked at.
func (b *basket) missingEverywhere() (out []BasketMissing) {
	e := b.e
	within := b.in.Near.within()
	none := NoLocation
	e.eachNear(nearSearch{near: &b.in.Near, filter: &b.in.Filter, expected: 1}, func() {}, func(*place, *hours.Status, Distance) bool {
		none = NotStocked
		return false
	})
	most := make([]BasketMissing, len(b.lines))
	for i := range b.lines {
		l := &b.lines[i]
		m := BasketMissing{SKU: b.in.Lines[l.request].SKU, Requested: l.quantity, Reason: none}
		if l.sku == 0 {
			m.Reason = UnknownSKU
		}
		// What counts is the reason at the location that comes closest.
		e.stock.Scan(l.sku, func(location uint32, view stock.Cell) bool {
			p := e.locationOf(location)
			if p == nil || !p.located || !b.in.Filter.matches(p) || b.from.Distance(&p.point.Vector) > within {
				return true
			}
			if status := p.hoursAt(b.at, b.now); status.Never || b.in.Filter.Open && status.State != hours.Open {
				return true // what is there can't be had
			}
			reason := reasonAgainst(&view, true, l.quantity)
			if available := view.Available(); reason == 0 || m.Reason == NotStocked || available > m.Available {
				m.Available, m.Reason = available, reason
			}
			return m.Reason != 0
		})
		most[i] = m
		if m.Reason != 0 {
			out = append(out, m)
		}
	}
	if len(out) > 0 {
		return out
	}
	for i := range most {
		most[i].Reason = NotTogether
	}
	return most
}
