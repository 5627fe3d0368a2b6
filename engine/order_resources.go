package engine

import (
	"errors"
	"time"

	"onhand/engine/internal/record"
	"onhand/engine/internal/stock"
)

// An order may hold a place in a pickup slot and a locker compartment, with its goods and by the same reservation: all of it or
// nothing.

// resources are what a request to place an order asks for besides goods.
func (r *PlaceOrderRequest) resources() (all []resource) {
	if !r.Slot.IsZero() {
		all = append(all, resource{kind: slotResource, slot: r.Slot, location: r.Location})
	}
	if r.Compartment != "" {
		all = append(all, resource{kind: compartmentResource, size: r.Compartment, location: r.Location})
	}
	return all
}

// noteResources writes into an order which slot and compartment it holds.
func (r *PlaceOrderRequest) noteResources(o *record.Order, p *place) {
	if !r.Slot.IsZero() {
		o.Slot, o.SlotEnd = r.Slot.UnixNano(), r.Slot.Add(p.slotLength()).UnixNano()
	}
	o.Compartment = r.Compartment
}

// addResources adds what an order asks for besides goods to the reservation in c.rec, whose shards are locked and theirs with them.
func (e *Engine) addResources(c *command) error {
	if e.holdResources(c) {
		return nil
	}
	refused := &RefusedError{Lines: refusalsFrom(c.rec.Refusals)}
	for i := range refused.Lines {
		e.counts.refused[refused.Lines[i].Reason].Add(1)
	}
	c.rec.Refusals = c.rec.Refusals[:0]
	return refused
}

// offersMax is how many slots a refusal offers instead of one that can't be had.
const offersMax = 3

// offer adds to a refusal what could be had instead of a slot or compartment that is taken: the next slots, the larger sizes.
func (e *Engine) offer(err error, slot time.Time, size string) error {
	if err == nil {
		return nil
	}
	var refused *RefusedError
	if !errors.As(err, &refused) {
		return err
	}
	for i := range refused.Lines {
		l := &refused.Lines[i]
		id, _ := e.locations.Lookup(l.Location)
		p := e.locationOf(id)
		if p == nil {
			continue
		}
		switch l.Reason {
		case SlotFull, NoSuchSlot:
			refused.NextSlots = e.nextSlots(p, slot, e.Now(), offersMax)
		case LockerFull:
			for _, other := range e.compartmentsFrom(p, size) {
				if other == size {
					continue
				}
				sku, _ := e.skus.Lookup(compartmentPrefix + other)
				if view, _ := e.stock.View(sku, p.ID); p.compartmentCount(other) > view.Held && !p.Blocked {
					refused.LargerCompartments = append(refused.LargerCompartments, other)
				}
			}
		}
	}
	return err
}

// reschedule moves the order to another slot, if there is room in it; else it keeps the one it has.
func (w *orderWork) reschedule() error {
	if w.place == nil || !w.live {
		return w.refuse("it is held nowhere that has slots")
	}
	r := &w.c.lines[0] // looked up before the locks were taken
	w.e.viewResourceLocked(r, timeOf(w.now))
	if w.o.Slot == w.r.Slot.UnixNano() {
		return w.refuse("it has that slot")
	}
	w.releaseSlot()
	if err := w.e.addResources(w.c); err != nil {
		return err
	}
	w.o.Slot, w.o.SlotEnd = w.r.Slot.UnixNano(), w.r.Slot.Add(w.place.slotLength()).UnixNano()
	w.touched = true
	// Its clock runs on, but it is kept until the new slot is over: to choose slots is no way to put a deadline off again and again.
	if deadline := bounded(w.o.SlotEnd, w.now); deadline > w.re.Deadline {
		w.setDeadline(deadline)
	}
	return nil
}

// releaseSlot gives the place in the slot back that the order has.
func (w *orderWork) releaseSlot() {
	for i := range w.re.Lines {
		if l := &w.re.Lines[i]; l.Open() > 0 && resourceKindOf(w.e.skus.Name(l.SKU)) == slotResource {
			w.touched = true
			w.e.finishLine(w.c, l, l.Open(), false)
		}
	}
	w.o.Slot, w.o.SlotEnd = 0, 0
}

// prepareMove does what a move needs before locks are taken, and adds the shards to c.locks that it needs besides the order's.
func (e *Engine) prepareMove(c *command, r *MoveRequest, o *record.Order) error {
	c.lines = c.lines[:0]
	switch r.Move {
	case MovePay:
		if OrderState(o.State) == OrderExpired { // which takes its units anew, if they are all there
			return e.freeForOrder(c, o)
		}
	case MoveShort:
		if OnShort(o.OnShort) != OnShortAsk { // what is missing is looked for elsewhere
			return e.freeForOrder(c, o)
		}
	case MoveReschedule:
		slot := resource{kind: slotResource, slot: r.Slot}
		c.locks = stock.LockSet{}
		if err := c.resolveResources(e, []resource{slot}, e.locations.Name(o.Location), false); err != nil {
			return err
		}
		return e.freeForSlot(c)
	}
	return nil
}

// freeForSlot ends what is due in the shard of the slot in c.lines, so that its places are there at the instant they are free. It is
// called without locks.
func (e *Engine) freeForSlot(c *command) error {
	if !c.lines[0].guarded {
		return nil
	}
	chosen := c.locks
	defer func() { c.locks = chosen }()
	shard := stock.ShardOf(c.lines[0].sku)
	return e.endDueIn(c, shard)
}
