package engine

import (
	"fmt"
	"strings"
	"time"
	"unsafe"

	"onhand/engine/internal/record"
	"onhand/engine/internal/reservation"
	"onhand/engine/internal/stock"
)

// A resource is what a reservation holds besides goods: a place in a pickup slot, or a locker compartment. It is a line of
// the reservation like any other, on a cell of a SKU whose name is reserved, at the location where it is. So it is held in
// the same step as the goods, and its deadline, replay and checkpoints are those of every line. Only its on hand is not
// told by the till: it is what the location's record says at the moment of the decision, and written with it.

// SKUs that begin so are resources. No request may hold, count or set them; their availability can be read.
const (
	slotPrefix        = "slot:"        // and the slot's beginning, as in slotLayout
	compartmentPrefix = "compartment:" // and the size
)

const slotLayout = "2006-01-02T15:04Z" // in UTC

// resourceKind is what kind of resource a SKU is.
type resourceKind uint8

const (
	goods resourceKind = iota
	slotResource
	compartmentResource
)

// resourceKindOf tells from a SKU's name what it is.
func resourceKindOf(sku string) resourceKind {
	switch {
	case strings.HasPrefix(sku, slotPrefix):
		return slotResource
	case strings.HasPrefix(sku, compartmentPrefix):
		return compartmentResource
	}
	return goods
}

// checkGoods refuses a SKU whose name is that of a resource.
func checkGoods(field, sku string) error {
	if resourceKindOf(sku) != goods {
		return invalid(field, sku, `a SKU that does not begin with "slot:" or "compartment:", which are reserved for pickup slots and lockers`)
	}
	return nil
}

// checkSKUName refuses a name that can't be that of a SKU, or is that of a resource.
func checkSKUName(field, sku string) error {
	if err := checkName(field, sku); err != nil {
		return err
	}
	return checkGoods(field, sku)
}

// resource is one place in a slot, or one compartment, that a reservation is to hold.
type resource struct {
	kind     resourceKind
	slot     time.Time // when it begins
	size     string
	location string // where it is; not given where the location is to be found
}

// sku returns the SKU that a resource is.
func (r *resource) sku() string {
	if r.kind == slotResource {
		return string(appendSlotSKU(nil, r.slot))
	}
	return compartmentPrefix + r.size
}

func appendSlotSKU(dst []byte, start time.Time) []byte {
	return start.UTC().AppendFormat(append(dst, slotPrefix...), slotLayout)
}

// parseSlotSKU returns the beginning of the slot that a SKU is.
func parseSlotSKU(sku string) (start time.Time, ok bool) {
	text, ok := strings.CutPrefix(sku, slotPrefix)
	if !ok {
		return start, false
	}
	start, err := time.Parse(slotLayout, text)
	return start, err == nil && start.Format(slotLayout) == text
}

// sharedString is b as a string for a look-up that keeps none of it.
func sharedString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// capacityAt returns how many of a resource a location has for whoever asks now: 0 where there is no such thing, or it is
// too late or too early for it.
func (p *place) capacityAt(r *resource, now time.Time) int64 {
	if r.kind == compartmentResource {
		return p.compartmentCount(r.size)
	}
	if p.slots == nil || r.slot.Second() != 0 || r.slot.Nanosecond() != 0 || !p.slotOpen(r.slot, now) {
		return 0
	}
	return p.slotCapacity(r.slot)
}

// resolveResources adds resources to c.lines, behind the lines there are, adding up those that are the same. What is there
// to be taken gets its SKU, and its shard is added to c.locks; what is not carries the reason. Where the location is to be
// found, both are for later (internResources). fallback is the location of those that name none.
func (c *command) resolveResources(e *Engine, all []resource, fallback string, found bool) error {
	goodsLines := len(c.lines)
next:
	for i := range all {
		r := &all[i]
		l := line{resource: r, quantity: 1}
		if !found {
			name := r.location
			if name == "" {
				name = fallback
			}
			var known bool
			if l.location, known = e.lookupLocation(name); !known {
				if err := checkName("location", name); err != nil {
					return err
				}
				l.reason = UnknownLocation
			}
		}
		for j := goodsLines; j < len(c.lines); j++ {
			if have := &c.lines[j]; have.location == l.location && have.reason == l.reason && have.resource.same(r) {
				have.quantity++
				continue next
			}
		}
		c.lines = append(c.lines, l)
	}
	if !found {
		for i := goodsLines; i < len(c.lines); i++ {
			e.viewResource(&c.lines[i], e.Now())
		}
		c.internResources(e)
	}
	return nil
}

func (r *resource) same(o *resource) bool {
	return r.kind == o.kind && r.size == o.size && r.slot.Equal(o.slot)
}

// internResources makes the SKUs of the resources known that c.lines may take, and adds their shards to c.locks. It is
// called without locks, and only for what a location has, so that nobody makes names by asking for what there is not.
func (c *command) internResources(e *Engine) {
	for i := range c.lines {
		l := &c.lines[i]
		if l.resource == nil || l.view.OnHand == 0 {
			continue
		}
		if l.sku == 0 {
			l.sku = e.internSKU(l.resource.sku())
		}
		c.locks.Add(stock.ShardOf(l.sku))
		l.guarded = true
	}
}

// viewResource reads what there is of a resource at the line's location, and what is held of it. Under the shard's lock, or
// that of any other, which keeps the location's record as it is, that is the present; without one, a look.
func (e *Engine) viewResource(l *line, now time.Time) {
	if l.location == 0 {
		return
	}
	l.reason = 0
	if l.sku == 0 {
		l.sku, _ = e.skus.Lookup(l.resource.sku())
	}
	view, _ := e.stock.View(l.sku, l.location)
	// What was set of a cell by that name before such names were reserved does not count.
	l.view = stock.Cell{Held: view.Held, Sequence: view.Sequence, Flags: view.Flags & stock.LocationBlocked}
	l.stocked = true
	p := e.locationOf(l.location)
	if p == nil {
		l.reason, l.view.Sequence = UnknownLocation, max(l.view.Sequence, e.lastDeletion.Load())
		return
	}
	l.view.OnHand, l.view.Sequence = p.capacityAt(l.resource, now), max(l.view.Sequence, p.sequence)
}

// viewResourceLocked is viewResource for whoever holds the locks of a request. What the location did not have when they were
// chosen is not guarded by them, and is not there for the request either.
func (e *Engine) viewResourceLocked(l *line, now time.Time) {
	e.viewResource(l, now)
	if !l.guarded {
		l.view.OnHand, l.view.Held = 0, 0
	}
}

// against returns the reason against granting a line as it was read, or 0.
func (l *line) against() Reason {
	if l.resource == nil {
		return reasonAgainst(&l.view, l.stocked, l.quantity)
	}
	slot := l.resource.kind == slotResource
	switch {
	case l.reason == UnknownLocation:
		return UnknownLocation
	case l.view.Flags&stock.LocationBlocked != 0:
		return Blocked
	case l.view.OnHand == 0 && slot:
		return NoSuchSlot
	case l.view.OnHand == 0:
		return NoSuchCompartment
	case l.view.Available() >= l.quantity:
		return 0
	case slot:
		return SlotFull
	}
	return LockerFull
}

// lockToAdd locks a live reservation and the resources in c.lines (resolveResources) that are to be added to it, first freeing
// what has expired of them, and reads it into c.rec. It answers 0, and locks nothing, where there is no such reservation. The
// caller may have put further shards into c.locks.
func (e *Engine) lockToAdd(c *command, id ID) (ref uint32, now int64, err error) {
	chosen := c.locks
	for {
		c.locks = chosen
		if ref = e.reservations.Find(id, c.locks.Add); ref == 0 {
			return 0, 0, nil
		}
		if now, err = e.lockToReserve(c); err != nil {
			return 0, 0, err
		}
		if e.reservations.Is(ref, id) {
			var needs stock.LockSet
			if e.reservations.ShardsOf(ref, needs.Add); c.locks.Contains(&needs) {
				e.reservations.Read(ref, &c.rec.Reservation)
				return ref, now, nil
			}
		}
		e.stock.Unlock(&c.locks)
	}
}

// holdResources adds the resources in c.lines to the reservation in c.rec, and their cells to its cells. It answers false,
// with the refusals in c.rec and nothing added, where one of them can't be had. The caller holds their shards, and has read
// them under the locks (lockToReserve). A cell that the record has already is changed there.
func (e *Engine) holdResources(c *command) (held bool) {
	for i := range c.lines {
		l := &c.lines[i]
		if l.resource == nil {
			continue
		}
		if at := c.cellAt(l.sku, l.location); at != nil {
			l.view.Held = at.Held // what the change frees it can take
		}
		if l.reason = l.against(); l.reason != 0 {
			c.rec.Refusals = append(c.rec.Refusals, l.refusal(nil, e.locations.Name(l.location)))
		}
	}
	if len(c.rec.Refusals) > 0 {
		return false
	}
	for i := range c.lines {
		if c.lines[i].resource != nil {
			c.holdResource(&c.lines[i])
		}
	}
	return true
}

// holdResource adds a resource that was granted to the reservation in c.rec. A line of the same that is there already, from
// an earlier change, holds more of it.
func (c *command) holdResource(l *line) {
	if at := c.cellAt(l.sku, l.location); at != nil {
		at.OnHand, at.Held = l.view.OnHand, at.Held+l.quantity
	} else {
		c.addCell(l.sku, l.location, &l.view, l.view.OnHand, l.view.Held+l.quantity, 0)
	}
	re := &c.rec.Reservation
	for i := range re.Lines {
		if have := &re.Lines[i]; have.SKU == l.sku && have.Location == l.location {
			have.Quantity += uint32(l.quantity)
			return
		}
	}
	re.Lines = append(re.Lines, reservation.Line{SKU: l.sku, Location: l.location, Quantity: uint32(l.quantity)})
}

// cellAt returns the cell of the record under way, if it has it.
func (c *command) cellAt(sku, location uint32) *record.Cell {
	for i := range c.rec.Cells {
		if at := &c.rec.Cells[i]; at.SKU == sku && at.Location == location {
			return at
		}
	}
	return nil
}

// Resource is what a reservation holds besides goods: places in a pickup slot, or locker compartments.
type Resource struct {
	Location string
	// Start and End are those of a slot, in UTC; End is zero where the location has no slots any more.
	Start, End time.Time
	// Size is that of a compartment, "" of a slot.
	Size string
	// Quantity = Held + Released + Expired.
	Quantity, Held, Released, Expired int64
}

// resourceFrom turns a line of a reservation into the resource that it holds. sku is its name.
func (e *Engine) resourceFrom(l *reservation.Line, sku string, live bool) Resource {
	r := Resource{Location: e.locations.Name(l.Location), Quantity: int64(l.Quantity), Released: int64(l.Released) + int64(l.Committed)}
	if live {
		r.Held = int64(l.Open())
	} else {
		r.Expired = int64(l.Open())
	}
	if start, ok := parseSlotSKU(sku); ok {
		r.Start = start
		if p := e.locationOf(l.Location); p != nil && p.slotLength() > 0 {
			r.End = start.Add(p.slotLength())
		}
		return r
	}
	r.Size = strings.TrimPrefix(sku, compartmentPrefix)
	return r
}

// describe adds resources to the fingerprint of a request.
func describeResources(f *fingerprint, all []resource) {
	if len(all) == 0 {
		return
	}
	f.text("resources")
	for i := range all {
		f.text(all[i].sku())
		f.text(all[i].location)
	}
}

// checkResources refuses resources that can't be any.
func checkResources(all []resource, found bool) error {
	if len(all) > resourcesMax {
		return invalid("resources", fmt.Sprintf("%d resources", len(all)), fmt.Sprintf("at most %d", resourcesMax))
	}
	for i := range all {
		r := &all[i]
		switch {
		case found && r.location != "":
			return invalid("resources", r.location, "no location, as it is to be found")
		case r.kind == compartmentResource && !validSize(r.size):
			return invalid("compartment", r.size, fmt.Sprintf("1 to %d of a-z, A-Z, 0-9, _ and -", CompartmentSizeMax))
		case r.kind == slotResource && (r.slot.Year() < 1970 || r.slot.Year() > 2200):
			return invalid("slot", r.slot.Format(time.RFC3339), "the beginning of a slot")
		}
	}
	return nil
}

// resourcesMax is the most resources of one reservation.
const resourcesMax = 16
