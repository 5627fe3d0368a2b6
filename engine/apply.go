package engine

import (
	"onhand/engine/internal/record"
	"onhand/engine/internal/reservation"
	"onhand/engine/internal/stock"
)

// mode says where a record that is being applied comes from.
type mode uint8

const (
	// live: just decided; the shards it touches are locked.
	live mode = iota
	// replay: read back from the journal; nothing else is going on.
	replay
	// overlap: read back from the part of the journal that was written while the checkpoint was; the state may be
	// ahead of the record.
	overlap
)

// apply installs a record. It is the only place where changes reach the state, live and replayed alike; replay calls its
// parts one by one (install.go).
func (e *Engine) apply(sequence uint64, r *record.Record, encoded []byte, m mode) {
	// The end of a reservation is remembered before it leaves the live ones, so that whoever looks in both places finds
	// it in one.
	e.applyEnd(sequence, r, m)
	e.applyState(sequence, r, m)
	e.applyAnswer(sequence, r, encoded, m)
}

// applyEnd keeps a reservation that a record ends readable.
func (e *Engine) applyEnd(sequence uint64, r *record.Record, m mode) {
	re := &r.Reservation
	if re.State == 0 {
		return
	}
	if re.First == 0 {
		re.First = sequence
	}
	re.Sequence = sequence
	if re.State != reservation.Held && r.Kind != record.ReservationRefused {
		e.ended.remember(re, r.Time, m == overlap)
	}
}

// applyState brings cells, live reservations, settings and locations to where a record left them. What it touches of a
// reservation and of cells lies in the shards of their SKUs.
func (e *Engine) applyState(sequence uint64, r *record.Record, m mode) {
	for i := range r.Cells {
		c := &r.Cells[i]
		e.stock.Put(c.SKU, c.Location, stock.Cell{
			OnHand: c.OnHand, Held: c.Held, Safety: c.Safety, Sequence: sequence, Flags: stockFlags(c),
		})
	}
	for i := range r.Thresholds {
		e.applyThreshold(&r.Thresholds[i])
	}
	if r.Reservation.State != 0 && r.Kind != record.ReservationRefused {
		e.applyReservation(r, m)
	}
	if r.Order != nil {
		e.applyOrder(sequence, r)
	}
	switch r.Kind {
	case record.SKUSet:
		e.applySKU(sequence, &r.SKU)
	case record.LocationSet:
		e.applyLocation(sequence, &r.Location)
	case record.LocationDeleted:
		e.applyLocationDeleted(sequence, r.Location.ID)
	case record.StockImported:
		e.imports.note(r.Import, r.Time)
	case record.SlotsRemoved:
		for _, sku := range r.Slots {
			e.stock.RemoveSKU(sku, sequence)
		}
	}
	if r.Transfer.State != 0 {
		e.applyTransfer(sequence, &r.Transfer)
	}
}

// applyReservation brings a live reservation to where a record left it. Its cells come before, as lines link to them.
func (e *Engine) applyReservation(r *record.Record, m mode) {
	re := &r.Reservation
	ref := uint32(0)
	if m == overlap || r.Kind != record.ReservationHeld { // otherwise a new id is known to be new
		ref = e.reservations.Find(re.ID, nil)
	}
	switch {
	case re.State != reservation.Held:
		if ref != 0 {
			e.reservations.Remove(ref)
		}
	case ref != 0:
		if !e.reservations.Update(ref, re) {
			panic("engine: no memory left for reservations")
		}
	default:
		e.insertReservation(re)
	}
}

// applyAnswer remembers what a retry will be answered with.
func (e *Engine) applyAnswer(sequence uint64, r *record.Record, encoded []byte, m mode) {
	if r.Answer.Asked() {
		e.answers.remember(sequence, r, encoded, m == overlap)
	}
}

func (e *Engine) insertReservation(re *reservation.Reservation) {
	if !e.reservations.Insert(re) {
		// Every live hold has its limit checked before it is decided, so this is a broken invariant.
		panic("engine: no memory left for reservations")
	}
}
