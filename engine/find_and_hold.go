package engine

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"strings"

	"onhand/engine/hours"
	"onhand/engine/internal/record"
	"onhand/engine/internal/stock"
)

// FindLocation asks for a reservation's location to be found: the nearest that passes the filter and has every line.
// Locations at the same distance are tried in the order of their ids.
type FindLocation struct {
	Near   Near
	Filter LocationFilter
}

func (f *FindLocation) describe(p *fingerprint) {
	p.text("find")
	p.number(int64(math.Float64bits(f.Near.Latitude)))
	p.number(int64(math.Float64bits(f.Near.Longitude)))
	p.number(int64(math.Float64bits(f.Near.Radius)))
	p.number(int64(f.Filter.Kind) | int64(servicesTraits(f.Filter.Services))<<3)
	p.time(f.Filter.At)
	p.bool(f.Filter.Open)
}

// PassedOverMax is the most locations that an answer says were passed over, the nearest of them.
const PassedOverMax = 20

// reserveNearest holds all lines of a request at the nearest location that has them. basis is what the answer rests on.
//
// Each location is decided under the locks, so what is granted is there. Each location that qualifies is looked at once,
// so a request is refused only where none had it all for as long as the request took.
func (e *Engine) reserveNearest(c *command, r *ReserveRequest, id ID, o *once) (basis uint64, err error) {
	if err := c.resolveSKUs(e, r.Lines); err != nil {
		return 0, err
	}
	if err := c.resolveResources(e, r.resources, "", true); err != nil {
		return 0, err
	}
	if c.locks == (stock.LockSet{}) {
		c.locks.Add(0) // every record is written under a lock
	}
	basis = e.lastPlace.Load()
	filter := r.Find.Filter
	filter.pickup = filter.Kind == 0
	var passed []record.Refusal
	held := false
	e.eachNear(nearSearch{near: &r.Find.Near, filter: &filter, expected: 8},
		func() { passed = passed[:0] },
		func(p *place, _ *hours.Status, _ Distance) bool {
			if r.order != nil && (r.order.lacking(p).any() || r.order.needsCompartment(p)) {
				return true // like what does not pass the filter
			}
			missing := e.firstShort(c, p.ID)
			if missing == nil {
				var last uint64
				c.internResources(e)
				last, missing, err = e.reserveAt(c, r, p, id, o, passed)
				basis = max(basis, last)
				if held = missing == nil && err == nil; held || err != nil {
					return false
				}
			}
			basis = max(basis, missing.view.Sequence)
			if len(passed) < PassedOverMax {
				passed = append(passed, missing.refusal(r, p.symbol))
			}
			return true
		})
	if held || err != nil {
		return basis, err
	}
	if len(passed) == 0 {
		for i := range c.lines {
			c.lines[i].reason = cmp.Or(c.lines[i].reason, NoLocation)
			passed = append(passed, c.lines[i].refusal(r, ""))
		}
	}
	e.stock.Lock(&c.locks)
	defer e.stock.Unlock(&c.locks)
	c.rec.Time, c.rec.Answer, c.rec.Refusals = e.clock.Now(), o.answer, passed
	last, err := e.refuse(c, o)
	return max(basis, last), err
}

// refusal says why a line can't be granted. The request may live in memory that its caller will reuse.
func (l *line) refusal(r *ReserveRequest, location string) record.Refusal {
	refusal := record.Refusal{
		Location: location, Reason: uint8(l.reason), Requested: l.quantity,
		OnHand: l.view.OnHand, Held: l.view.Held, Safety: l.view.Safety,
	}
	if l.resource != nil {
		refusal.SKU = l.resource.sku()
	} else {
		refusal.SKU = strings.Clone(r.Lines[l.request].SKU)
	}
	return refusal
}

// resolveSKUs turns the lines of a request without locations into c.lines, adding up those for the same SKU.
func (c *command) resolveSKUs(e *Engine, lines []Line) error {
	c.lines = c.lines[:0]
	index := make(map[uint32]int, len(lines))
	for i := range lines {
		in := &lines[i]
		if in.Location != "" {
			return invalid(lineField(i, "location"), in.Location, "nothing, as the location is to be found")
		}
		l := line{quantity: in.Quantity, request: i}
		var known bool
		if l.sku, known = e.knownSKU(in.SKU); !known {
			if err := checkName(lineField(i, "sku"), in.SKU); err != nil {
				return err
			}
			l.reason = UnknownSKU
			c.lines = append(c.lines, l)
			continue
		}
		at, again := index[l.sku]
		if !again {
			index[l.sku] = len(c.lines)
			c.locks.Add(stock.ShardOf(l.sku))
			c.lines = append(c.lines, l)
			continue
		}
		if c.lines[at].quantity += l.quantity; c.lines[at].quantity > LineQuantityMax {
			return invalid(lineField(i, "quantity"), c.lines[at].quantity, fmt.Sprintf("at most %d units of one SKU in all", LineQuantityMax))
		}
	}
	return nil
}

// firstShort returns the first line that a location can't be granted, as a look without locks shows it, or nil. What is
// held there but may be due is for a look under the locks.
func (e *Engine) firstShort(c *command, location uint32) *line {
	for i := range c.lines {
		l := &c.lines[i]
		l.location = location
		if l.resource != nil {
			e.viewResource(l, e.Now())
		} else if l.sku == 0 {
			return l // unknown
		} else {
			l.view, l.stocked = e.stock.View(l.sku, location)
		}
		l.reason = l.against()
		if l.reason != 0 && !(l.short() && e.reservations.NextDue(stock.ShardOf(l.sku)) <= e.clock.Now()) {
			return l
		}
	}
	return nil
}

// reserveAt holds all lines at a location, or returns one that it can't hold there.
func (e *Engine) reserveAt(c *command, r *ReserveRequest, p *place, id ID, o *once, passed []record.Refusal) (basis uint64, missing *line, err error) {
	now, err := e.lockToReserve(c)
	if err != nil {
		return 0, nil, err
	}
	defer e.stock.Unlock(&c.locks)
	if e.locationOf(p.ID) == nil { // deleted in between
		c.lines[0].reason = UnknownLocation
		return e.lastDeletion.Load(), &c.lines[0], nil
	}
	for i := range c.lines {
		l := &c.lines[i]
		if l.reason = l.against(); l.reason != 0 {
			return 0, l, nil
		}
	}
	deadline, err := e.deadline(r, c.lines, now)
	if unknown := (*hours.UnknownError)(nil); errors.As(err, &unknown) {
		c.lines[0].reason = HoursUnknown
		return 0, &c.lines[0], nil
	}
	if err != nil {
		return 0, nil, err
	}
	c.rec.PassedOver = append(c.rec.PassedOver[:0], passed...)
	e.decideReserve(c, r)
	basis, err = e.hold(c, r, id, o, now, deadline)
	return basis, nil, err
}
