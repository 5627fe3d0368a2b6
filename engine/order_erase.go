package engine

import (
	"onhand/engine/internal/record"
	"onhand/engine/internal/reservation"
)

// erase takes what is personal out of an order that has ended. Its history stays.
//
// Records of before are not changed: what they say of an order is left out as they are read, once it is erased (orderFrom), and so is
// the reference of its reservation (referenceOf).
func (w *orderWork) erase() error {
	w.o.Flags |= record.Erased
	w.o.Customer, w.o.Collector = record.Person{}, record.Person{}
	w.o.Notes, w.o.Bay, w.o.Vehicle, w.o.Code = "", "", "", ""
	return nil
}

// referenceOf returns the reference of a reservation as it is told. That of an order is its customer's, and told nobody any more once
// the order is erased.
func (e *Engine) referenceOf(re *reservation.Reservation) []byte {
	if len(re.Reference) > 0 && e.orders.erasedHold(re) {
		return nil
	}
	return re.Reference
}

// erasedHold reports whether a reservation was that of an order that is erased. The order has ended, so one that was made later and
// was given the same id by its caller is another.
func (t *orders) erasedHold(re *reservation.Reservation) bool {
	if t.erased.Load() == 0 {
		return false
	}
	entry := t.get(re.ID)
	if entry == nil || !entry.erased {
		id, _ := t.erasedHolds.Load(re.ID)
		entry = t.get(id)
	}
	return entry != nil && entry.erased && re.Created <= entry.ended
}
