package engine

import (
	"strings"

	"onhand/engine/internal/record"
)

// takeBack: units that the customer had come back, to be sold again where they were brought, or damaged. Never more come back than
// were handed over.
func (w *orderWork) takeBack() error {
	if OrderState(w.o.State) == InTransit && OrderFulfilment(w.o.Fulfilment) != ShipHome {
		return w.refuse("it has not reached its customer")
	}
	at := w.o.Location
	if w.r.Location != "" {
		known := false
		if at, known = w.e.lookupLocation(w.r.Location); !known || w.e.locationOf(at) == nil {
			return w.e.unknownLocation(w.r.Location)
		}
	} else if w.place == nil {
		return w.e.unknownLocation(w.e.locations.Name(at))
	}
	units, err := w.asked(func(sku uint32) (units uint32) {
		for i := range w.o.Lines {
			if l := &w.o.Lines[i]; l.SKU == sku {
				units += kept(l)
			}
		}
		return units
	})
	if err != nil {
		return err
	}
	w.c.rec.Reason, w.c.rec.Reference = "return", "order "+FormatID(w.o.ID)
	for _, u := range units {
		if u.damaged {
			w.book(u, kept, func(l *record.OrderLine) *uint32 { return &l.Damaged })
			continue
		}
		view, _ := w.e.stock.View(u.sku, at)
		if onHand := view.OnHand + int64(u.units); onHand > QuantityMax {
			return &RefusedError{Lines: []Refusal{{
				SKU: w.e.skus.Name(u.sku), Location: w.e.locations.Name(at), Reason: Blocked, Requested: int64(u.units), OnHand: view.OnHand, Held: view.Held,
			}}}
		}
		w.c.addCell(u.sku, at, &view, view.OnHand+int64(u.units), view.Held, int64(u.units))
		w.book(u, kept, func(l *record.OrderLine) *uint32 { return &l.Returned })
	}
	w.end(Returned)
	owe(w.o)
	w.reason = strings.TrimSpace(w.r.Reason)
	if at != w.o.Location {
		w.reason = strings.TrimSpace(w.reason + " at " + w.e.locations.Name(at))
	}
	return nil
}

// kept returns the units of a line that the customer has.
func kept(l *record.OrderLine) uint32 { return l.Collected - l.Returned - l.Damaged }
