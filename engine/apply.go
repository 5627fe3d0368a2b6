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

// apply installs a record. It is the only place where changes reach the state, live and replayed alike.
func (e *Engine) apply(sequence uint64, r *record.Record, encoded []byte, m mode) {
	for i := range r.Cells {
		c := &r.Cells[i]
		e.stock.Put(c.SKU, c.Location, stock.Cell{
			OnHand: c.OnHand, Held: c.Held, Safety: c.Safety, Sequence: sequence, Flags: stock.Flags(c.Flags),
		})
	}
	switch r.Kind {
	case record.ReservationHeld, record.ReservationCommitted, record.ReservationReleased, record.ReservationExtended,
		record.ReservationExpired:
		e.applyReservation(sequence, r, m)
	case record.SKUSet:
		e.applySKU(sequence, &r.SKU)
	case record.LocationSet:
		e.applyLocation(sequence, &r.Location)
	case record.LocationDeleted:
		e.applyLocationDeleted(sequence, r.Location.ID)
	case record.StockImported:
		e.imports.note(r.Import, r.Time)
	}
	if r.Answer.Asked() {
		e.answers.remember(sequence, r, encoded, m == overlap)
	}
}

// applyReservation installs a reservation as the record left it. Its cells come before, as lines link to them.
func (e *Engine) applyReservation(sequence uint64, r *record.Record, m mode) {
	re := &r.Reservation
	if re.First == 0 {
		re.First = sequence
	}
	re.Sequence = sequence
	ref := uint32(0)
	if m != live || r.Kind != record.ReservationHeld { // a new id is known to be new when live
		ref = e.reservations.Find(re.ID, nil)
	}
	switch {
	case re.State != reservation.Held:
		// Remembered first, so that whoever looks in both places finds it in one.
		e.ended.remember(re, r.Time, m == overlap)
		if ref != 0 {
			e.reservations.Remove(ref)
		}
	case ref != 0:
		e.reservations.Update(ref, re)
	default:
		e.insertReservation(re)
	}
}

func (e *Engine) insertReservation(re *reservation.Reservation) {
	if !e.reservations.Insert(re) {
		// Every live hold has its limit checked before it is decided, so this is a broken invariant.
		panic("engine: no memory left for reservations")
	}
}
