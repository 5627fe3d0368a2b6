package engine

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"onhand/engine/internal/journal"
	"onhand/engine/internal/record"
)

// ChangeKind is what kind of change a change is, as the HTTP interface writes it.
type ChangeKind string

// The kinds of changes.
const (
	StockSetChange             ChangeKind = "stock.set"
	StockAdjustedChange        ChangeKind = "stock.adjusted"
	StockImportedChange        ChangeKind = "stock.imported"
	ReservationHeldChange      ChangeKind = "reservation.held"
	ReservationCommittedChange ChangeKind = "reservation.committed"
	ReservationReleasedChange  ChangeKind = "reservation.released"
	ReservationExtendedChange  ChangeKind = "reservation.extended"
	ReservationExpiredChange   ChangeKind = "reservation.expired"
	ReservationRefusedChange   ChangeKind = "reservation.refused"
	SKUSetChange               ChangeKind = "sku.set"
	LocationSetChange          ChangeKind = "location.set"
	LocationDeletedChange      ChangeKind = "location.deleted"
	TransferPlannedChange      ChangeKind = "transfer.planned"
	TransferDispatchedChange   ChangeKind = "transfer.dispatched"
	TransferReceivedChange     ChangeKind = "transfer.received" // partly or wholly
	TransferLostChange         ChangeKind = "transfer.lost"
	TransferDamagedChange      ChangeKind = "transfer.damaged"
	TransferCancelledChange    ChangeKind = "transfer.cancelled"

	// transferMovedChange is what Stats count all moves of transfers as.
	transferMovedChange ChangeKind = "transfer.moved"
	SlotsRemovedChange  ChangeKind = "slots.removed"
)

var changeKinds = [...]ChangeKind{
	record.StockSet: StockSetChange, record.StockAdjusted: StockAdjustedChange, record.StockImported: StockImportedChange,
	record.ReservationHeld: ReservationHeldChange, record.ReservationCommitted: ReservationCommittedChange,
	record.ReservationReleased: ReservationReleasedChange, record.ReservationExtended: ReservationExtendedChange,
	record.ReservationExpired: ReservationExpiredChange, record.ReservationRefused: ReservationRefusedChange,
	record.SKUSet: SKUSetChange, record.LocationSet: LocationSetChange, record.LocationDeleted: LocationDeletedChange,
	record.OrderMoved:    "order.moved", // each move has a kind of its own
	record.TransferMoved: transferMovedChange,
	record.SlotsRemoved:  SlotsRemovedChange,
}

// Change is one change, as the feed shows it. Everything in it is absolute: what the change left behind.
type Change struct {
	Sequence uint64
	Time     time.Time
	Kind     ChangeKind
	// Cells are the cells that the change touched.
	Cells []CellChange
	// Reservation, for the reservation kinds but refused.
	Reservation *Reservation
	// Refused are the lines that were not, or not wholly, granted.
	Refused []Refusal
	// Reason and Reference are what the caller said of an adjustment or a count.
	Reason, Reference string
	Shortages         []Shortage
	SKU               *SKU
	Location          *Location
	Order             *Order
	// Transfer, for the transfer kinds.
	Transfer *Transfer
	// Slots are the SKUs of pickup slots that are over: their cells are gone.
	Slots []string
	// Events are what the change means besides what Kind says, in an order that is always the same.
	Events []Event
}

func (e *Engine) changeFrom(r *record.Record, sequence uint64) Change {
	c := Change{
		Sequence: sequence, Time: timeOf(r.Time), Kind: changeKinds[r.Kind],
		Cells: e.cellChanges(r, sequence), Refused: refusalsFrom(r.Refusals),
		Reason: r.Reason, Reference: r.Reference, Shortages: e.shortages(r.Shortages),
	}
	if r.Reservation.State != 0 {
		if r.Reservation.First == 0 {
			r.Reservation.First = sequence
		}
		r.Reservation.Sequence = sequence
		re := e.reservationFrom(&r.Reservation)
		c.Reservation = &re
	}
	if r.Order != nil {
		completeOrder(r.Order, sequence)
		o := e.orderFrom(r.Order)
		c.Kind, c.Order = o.Move.Event(), &o
		if o.Erased && c.Reservation != nil {
			c.Reservation.Reference = "" // the customer's
		}
	}
	if r.SKU.ID != 0 {
		s := e.skuFrom(&r.SKU, sequence)
		c.SKU = &s
	}
	if r.Location.ID != 0 {
		l := e.locationFrom(&r.Location, sequence)
		c.Location = &l
	}
	if r.Transfer.State != 0 {
		t := e.transferFrom(&r.Transfer, sequence)
		c.Transfer = &t
		if r.Kind == record.TransferMoved {
			c.Kind = transferChange(r.Transfer.Moves)
		}
	}
	for _, sku := range r.Slots {
		c.Slots = append(c.Slots, e.skus.Name(sku))
	}
	e.addStockEvents(&c, r)
	if r.Order != nil {
		e.addOrderEvents(&c, r, sequence)
	}
	if r.Transfer.State != 0 {
		addTransferLosses(&c, r.Transfer.Moves)
	}
	return c
}

// ErrEnough ends Changes without an error.
var ErrEnough = journal.ErrEnough

// Changes calls f with every durable change after a sequence, in order and without a gap, until f fails, or answers
// ErrEnough, or the last one is reached. It returns ErrNotRetained where the first of them is no longer kept.
func (e *Engine) Changes(after uint64, f func(*Change) error) error {
	if appended := e.log.Appended(); after > appended {
		return invalid("after", after, fmt.Sprintf("at most the present sequence, %d", appended))
	}
	if after == e.log.Durable() {
		return nil
	}
	next := after + 1
	var rec record.Record
	return e.log.Blocks(next, func(b journal.Block) error {
		if b.First > next {
			return ErrNotRetained
		}
		return b.Each(func(sequence uint64, encoded []byte) error {
			if sequence < next {
				return nil
			}
			next = sequence + 1
			if err := record.Decode(encoded, &rec); err != nil {
				return fmt.Errorf("change %d: %w", sequence, err)
			}
			c := e.changeFrom(&rec, sequence)
			return f(&c)
		}, nil)
	})
}

// WaitChanges waits until there is a durable change after a sequence. It returns ctx's error where that ends first.
func (e *Engine) WaitChanges(ctx context.Context, after uint64) error {
	return e.log.WaitBeyond(ctx, after)
}

// Durable returns the sequence of the last durable change, and FirstRetained that of the oldest that can be read back.
func (e *Engine) Durable() uint64 { return e.log.Durable() }

// FirstRetained returns the oldest sequence that Changes can begin with.
func (e *Engine) FirstRetained() (uint64, error) { return e.log.First() }

// Snapshot is how a newcomer gets the state that the changes then carry on. Its functions are called with everything
// there is: locations, SKU settings, cells, live reservations, open transfers, live orders. Each of these is as of some moment during the call, with
// the sequence it was last changed at, and Snapshot returns the sequence that all of them include. Whoever installs the
// changes after that sequence, leaving out those that an item already has, holds the state.
type Snapshot struct {
	Location    func(*Location) error
	SKU         func(*SKU) error
	Cell        func(*Cell) error
	Reservation func(*Reservation) error
	Transfer    func(*Transfer) error // nil = they are left out
	Order       func(*Order) error    // nil = they are left out
}

// Snapshot calls s's functions with the state.
func (e *Engine) Snapshot(s Snapshot) (sequence uint64, err error) {
	sequence = e.log.Appended()
	e.barrier()
	for id := range e.places.Len() {
		if l := e.locationOf(id); l != nil {
			out := l.location()
			if err := e.settle(l.sequence); err != nil {
				return 0, err
			}
			if err := s.Location(&out); err != nil {
				return 0, err
			}
		}
	}
	for id := range e.settings.Len() {
		if have := e.settingsOf(id); have != nil {
			out := e.skuFrom(&have.SKU, have.sequence)
			if err := e.settle(have.sequence); err != nil {
				return 0, err
			}
			if err := s.SKU(&out); err != nil {
				return 0, err
			}
		}
	}
	if err := e.eachCell("", "", true, s.Cell); err != nil {
		return 0, err
	}
	cursor := ReservationCursor{}
	for !cursor.Done() {
		var page []Reservation
		page, cursor, err = e.Reservations(ReservationFilter{State: Held}, cursor, 1000)
		if err != nil {
			return 0, err
		}
		for i := range page {
			if err := s.Reservation(&page[i]); err != nil {
				return 0, err
			}
		}
	}
	if s.Transfer != nil {
		for _, slot := range e.transfers.snapshot(true) {
			entry := slot.entry.Load()
			if !entry.state.open() {
				continue
			}
			t, err := e.transferOf(entry)
			if err = cmp.Or(err, e.settle(entry.sequence)); err != nil {
				return 0, err
			}
			if err := s.Transfer(&t); err != nil {
				return 0, err
			}
		}
	}
	if s.Order != nil {
		if err := e.eachLiveOrder(s.Order); err != nil {
			return 0, err
		}
	}
	// What was left out because it had ended must be durable too: the changes that follow would not bring it back.
	return sequence, e.settle(e.log.Appended())
}

// EachCell calls f with every cell, SKU by SKU, as of some moment during the call: of one SKU or of all (""), at one
// location or at all (""), but for those where units are in transit, which have to be named. Resources, which are no stock, are
// left out.
func (e *Engine) EachCell(sku, location string, f func(*Cell) error) error {
	return e.eachCell(sku, location, false, f)
}

func (e *Engine) eachCell(sku, location string, everything bool, f func(*Cell) error) error {
	first, last := uint32(1), e.skus.Through(e.log.Durable())
	if sku != "" {
		id, ok := e.knownSKU(sku)
		if !ok {
			return unknown(KindSKU, sku)
		}
		first, last = id, id
	}
	if location != "" {
		if _, ok := e.lookupLocation(location); !ok {
			return e.unknownLocation(location)
		}
	}
	var cells []Cell
	for id := first; id <= last; id++ {
		cells = cells[:0]
		name := e.skus.Name(id)
		if !everything && resourceKindOf(name) != goods {
			continue
		}
		if location != "" {
			cell, err := e.Availability(name, location)
			if err != nil {
				return err
			}
			if cell.Stocked {
				cells = append(cells, cell)
			}
		} else {
			var err error
			if cells, _, _, err = e.availabilityPage(cells, name, 0, everything, 0, 1<<32); err != nil {
				return err
			}
		}
		for i := range cells {
			if err := f(&cells[i]); err != nil {
				return err
			}
		}
	}
	return nil
}
