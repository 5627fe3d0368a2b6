package engine

import (
	"fmt"

	"onhand/engine/hours"
	"onhand/engine/internal/record"
	"onhand/engine/internal/reservation"
)

// short: units that were to be picked are not there. In one change their count is corrected, or their cell blocked to be counted;
// the rest of the order stays held; and the missing units are held elsewhere, where the order allows it and there are any, or are
// missing for good.
func (w *orderWork) short() error {
	at := w.o.Location
	if w.r.Location != "" {
		known := false
		if at, known = w.e.lookupLocation(w.r.Location); !known {
			return w.e.unknownLocation(w.r.Location)
		}
	}
	units, err := w.asked(func(sku uint32) uint32 { return w.openAt(sku, at) })
	if err != nil {
		return err
	}
	w.c.rec.Reason, w.c.rec.Reference = "count", "order "+FormatID(w.o.ID)
	if OnShort(w.o.OnShort) == OnShortMove && at == w.o.Location && !w.anyCollected() && len(w.re.Lines)+len(w.o.Lines) <= reservation.LinesMax {
		if p := w.placeWithAll(); p != nil {
			return w.moveTo(p, units)
		}
	}
	lost := false
	for _, u := range units {
		w.take(u, at, false)
		w.correct(u, at)
		rest := u
		if OnShort(w.o.OnShort) == OnShortTransfer {
			rest.units -= w.holdElsewhere(u, at)
		}
		if rest.units > 0 {
			lost = true
			w.book(rest, openUnits, missing)
		}
	}
	switch {
	case w.open() == 0:
		owe(w.o)
		w.noMoreToCome()
		return nil
	case lost:
		owe(w.o)
		w.o.State = uint8(OrderShort)
	default:
		w.o.Move = uint8(MoveReroute)
	}
	return w.restart()
}

// correct takes units that were not found off on hand, or blocks their cell. What is held of it has just been written to the record.
//
// Where more is held than is on hand, as after a till has sold what was held, so many units are known to be gone already: those that
// were not found are these first, and are not taken off twice.
func (w *orderWork) correct(u orderUnits, at uint32) {
	before, _ := w.e.stock.View(u.sku, at)
	gone := max(0, int64(u.units)-max(0, before.Held-before.OnHand))
	for i := range w.c.rec.Cells {
		c := &w.c.rec.Cells[i]
		if c.SKU != u.sku || c.Location != at {
			continue
		}
		if w.r.Recount {
			c.Flags |= record.Blocked
		} else {
			c.OnHand -= gone
			c.Delta -= gone
		}
	}
}

// holdElsewhere holds missing units where there are any: at a supplier of where the order is collected, the fastest first, or at
// the nearest location otherwise. It holds them in one place or not at all, and returns how many.
func (w *orderWork) holdElsewhere(u orderUnits, but uint32) uint32 {
	hold := func(location uint32) bool {
		if location == but || location == w.o.Location && but != w.o.Location {
			return false
		}
		view, stocked := w.e.stock.View(u.sku, location)
		if !stocked || view.Available() < int64(u.units) || len(w.re.Lines) >= reservation.LinesMax {
			return false
		}
		w.hold(u, location)
		return true
	}
	if w.place == nil {
		return 0
	}
	for _, s := range w.place.suppliers {
		if id, known := w.e.lookupLocation(s.Location); known && hold(id) {
			return u.units
		}
	}
	held := uint32(0)
	w.eachNearby(func(p *place) bool {
		if hold(p.ID) {
			held = u.units
		}
		return held == 0
	})
	return held
}

// hold holds units for the order, at a location where they are.
func (w *orderWork) hold(u orderUnits, location uint32) {
	holdMore(w.re, u.sku, location, u.units)
	for i := range w.c.rec.Cells { // the record can have each cell only once, and some of it may just have been given back
		if c := &w.c.rec.Cells[i]; c.SKU == u.sku && c.Location == location {
			c.Held += int64(u.units)
			return
		}
	}
	view, _ := w.e.stock.View(u.sku, location)
	w.c.addCell(u.sku, location, &view, view.OnHand, view.Held+int64(u.units), 0)
}

// nearbyMax is how many locations near the order's are looked at for what is missing.
const nearbyMax = 200

// eachNearby calls f with the locations around that of the order, nearest first, until it answers false.
func (w *orderWork) eachNearby(f func(p *place) bool) {
	if !w.place.located {
		return
	}
	d, err := Details{w.place.Details}.Get()
	if err != nil || d.Position == nil {
		return
	}
	near := Near{Position: *d.Position}
	n, again := 0, false
	w.e.eachNear(nearSearch{near: &near, filter: &LocationFilter{}, expected: 8}, func() { again = n > 0 }, func(p *place, _ *hours.Status, _ Distance) bool {
		if n++; again || n > nearbyMax {
			return false
		}
		return p.ID == w.o.Location || f(p)
	})
}

// placeWithAll returns the nearest location that has all the order still waits for, and can hand it over as it was ordered. What was
// ordered for a slot or a compartment stays where these are: another time or place is for the customer to choose.
func (w *orderWork) placeWithAll() (found *place) {
	if w.o.Slot != 0 || w.o.Compartment != "" {
		return nil
	}
	needs := neededOf(w.o)
	w.eachNearby(func(p *place) bool {
		if LocationKind(p.Kind) == Warehouse || p.lacking(needs).any() || !p.handsOver(Handover(w.o.Handover)) {
			return true
		}
		for i := range w.o.Lines {
			sku := w.o.Lines[i].SKU
			view, stocked := w.e.stock.View(sku, p.ID)
			// What it holds there already is its own.
			need := int64(w.openAt(sku, 0)) - int64(w.openAt(sku, p.ID))
			if need > 0 && (!stocked || view.Available() < need) {
				return true
			}
		}
		found = p
		return false
	})
	return found
}

// moveTo moves the whole order to a location that has all of it, where it begins anew. missing is what was not found.
func (w *orderWork) moveTo(p *place, missing []orderUnits) error {
	need := make([]orderUnits, 0, len(w.o.Lines))
	for i := range w.o.Lines {
		if sku := w.o.Lines[i].SKU; w.openAt(sku, 0) > 0 && !contains(need, sku) {
			need = append(need, orderUnits{sku: sku, units: w.openAt(sku, 0)})
		}
	}
	w.releaseAll()
	for _, u := range missing {
		w.correct(u, w.o.Location)
	}
	for _, u := range need {
		w.hold(u, p.ID)
	}
	w.o.Location, w.place, w.o.State, w.o.Move = p.ID, p, uint8(Placed), uint8(MoveReroute)
	if w.reason = fmt.Sprintf("all of it is at %q", p.symbol); w.r.Reason != "" {
		w.reason = w.r.Reason + "; " + w.reason
	}
	return w.restart()
}
