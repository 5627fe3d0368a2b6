package engine

import (
	"errors"
	"time"

	"onhand/engine/internal/record"
	"onhand/engine/internal/reservation"
	"onhand/engine/internal/stock"
	"onhand/engine/internal/window"
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

// ForgetTransfers lets go of transfers that ended long ago, as the engine does every minute.
func (e *Engine) ForgetTransfers() {
	e.transfers.forget(e.clock.Now() - int64(e.options.TransferRetention))
}

// ForgetOrders lets go of orders that ended long ago, as the engine does every minute.
func (e *Engine) ForgetOrders() { e.forgetOrders(e.clock.Now()) }

// ForgetWindow forgets answers and reservations that have ended, as is done once their time is over and others have come after them.
func (e *Engine) ForgetWindow() {
	e.answers.log = window.New(e.options.WindowAge, e.options.WindowKeys)
	e.ended.log = window.New(e.options.WindowAge, e.options.WindowKeys)
}

// MoveWith dispatches or receives units of a transfer together with a reservation whose units travel along.
func (e *Engine) MoveWith(r *TransferMove, id ID, dispatch bool) (Transfer, error) {
	c := newCommand()
	defer c.recycle()
	transit, err := e.ensureTransit(e.TransferRecord(r.ID).To)
	if err != nil {
		return Transfer{}, err
	}
	if _, _, err := e.lockTransfer(c, r.ID); err != nil {
		return Transfer{}, err
	}
	locks := c.locks
	e.stock.Unlock(&locks)
	ref := e.reservations.Find(id, locks.Add)
	e.stock.Lock(&locks)
	c.locks = locks
	e.reservations.Read(ref, &c.rec.Reservation)
	t, m, now := &c.rec.Transfer, cellMoves{e: e}, e.clock.Now()
	t.Moves = 0
	if dispatch {
		err = e.decideDispatch(&m, t, transit, r.Lines, &c.rec.Reservation, now)
	} else {
		err = e.decideReceive(&m, t, r.Lines, r.Close, &c.rec.Reservation, nil, now)
	}
	if err != nil {
		e.stock.Unlock(&locks)
		return Transfer{}, err
	}
	c.rec.Kind, c.rec.Time = record.TransferMoved, now
	return e.writeTransfer(c, &m)
}

// TransferRecord returns a transfer as it is stored.
func (e *Engine) TransferRecord(id ID) (t record.Transfer) {
	if err := e.transfers.get(id).decode(&t); err != nil {
		panic(err)
	}
	return t
}

// WithSlot and WithCompartment have a request hold a resource too; at "", that is where its first line is, or where its
// location is found.
func (r *ReserveRequest) WithSlot(location string, start time.Time) *ReserveRequest {
	r.resources = append(r.resources, resource{kind: slotResource, slot: start, location: location})
	return r
}

func (r *ReserveRequest) WithCompartment(location, size string) *ReserveRequest {
	r.resources = append(r.resources, resource{kind: compartmentResource, size: size, location: location})
	return r
}

// NextSlots returns the slots of a location that can be taken, and CompartmentsFrom the sizes that are large enough.
func (e *Engine) NextSlots(location string, after time.Time, n int) []Slot {
	id, _ := e.locations.Lookup(location)
	return e.nextSlots(e.locationOf(id), after, e.Now(), n)
}

func (e *Engine) CompartmentsFrom(location, size string) []string {
	id, _ := e.locations.Lookup(location)
	return e.compartmentsFrom(e.locationOf(id), size)
}

// AddResources decides whether the resources of a request can be added to a live reservation, and returns how it would be and
// the cells, or a RefusedError. It changes nothing.
func (e *Engine) AddResources(id ID, r *ReserveRequest) (Reservation, []CellChange, error) {
	c := newCommand()
	defer c.recycle()
	c.lines = c.lines[:0]
	if err := c.resolveResources(e, r.resources, "", false); err != nil {
		return Reservation{}, nil, err
	}
	ref, _, err := e.lockToAdd(c, id)
	if ref == 0 || err != nil {
		return Reservation{}, nil, err
	}
	defer e.stock.Unlock(&c.locks)
	if !e.holdResources(c) {
		return Reservation{}, nil, &RefusedError{Lines: refusalsFrom(c.rec.Refusals)}
	}
	return e.reservationFrom(&c.rec.Reservation), e.cellChanges(&c.rec, 0), nil
}

// RemoveOldSlots removes the slots that are over, as the housekeeping does.
func (e *Engine) RemoveOldSlots() error { return e.removeOldSlots() }

// RemoveSlot removes the cells of a slot, over or not, held or not.
func (e *Engine) RemoveSlot(start time.Time) error {
	sku, _ := e.skus.Lookup(string(appendSlotSKU(nil, start)))
	return e.Forge(func(r *record.Record) { r.Kind, r.Slots = record.SlotsRemoved, append(r.Slots, sku) })
}

// Remind has the customers reminded whose reminder is due, as the engine does four times a second.
func (e *Engine) Remind() { e.remindDue() }

// OrderRecord returns an order as it is stored.
func (e *Engine) OrderRecord(id ID) *record.Order {
	o := new(record.Order)
	if err := e.orders.get(id).decode(o); err != nil {
		panic(err)
	}
	return o
}

// HeldRecord returns a live reservation as it is stored.
func (e *Engine) HeldRecord(id ID) (r reservation.Reservation) {
	e.reservations.Read(e.reservations.Find(id, nil), &r)
	return r
}

// PickListOf is PickList for fewer orders.
func (e *Engine) PickListOf(location string, most int) ([]PickLine, bool, error) {
	return e.pickList(location, most)
}
