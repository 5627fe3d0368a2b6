package engine

import (
	"fmt"
	"slices"
	"strings"

	"onhand/engine/internal/record"
	"onhand/engine/internal/reservation"
)

// dispatch sends what is held elsewhere on its way: to where it is collected, as a transfer on which it stays held, or to the
// customer.
func (w *orderWork) dispatch() error {
	if err := w.unpaid(); err != nil {
		return err
	}
	if OrderFulfilment(w.o.Fulfilment) == ShipHome {
		return w.sendHome()
	}
	from, err := w.sentFrom()
	if err != nil {
		return err
	}
	units, err := w.asked(func(sku uint32) uint32 { return w.openAt(sku, from) })
	if err != nil {
		return err
	}
	if name := w.e.locations.Name(w.o.Location); len(name) > TransferToMax {
		return invalid("location", name, "a location of at most 56 bytes, as its units on their way are at "+transitPrefix+"…")
	}
	transit, known := w.e.transitOf(w.o.Location)
	if !known {
		return errTransitGone
	}
	t := &w.c.rec.Transfer
	*t = record.Transfer{
		ID: newID(w.now), State: uint8(TransferPlanned), Moves: record.TransferPlanned, From: from, To: w.o.Location, Order: w.o.ID,
		Created: w.now, Reference: w.o.Reference, Reason: w.r.Reason, By: w.r.By, Lines: t.Lines[:0],
	}
	for _, u := range units {
		t.Lines = append(t.Lines, record.TransferLine{SKU: u.sku, Quantity: u.units})
	}
	m := cellMoves{e: w.e}
	if err := w.e.decideDispatch(&m, t, transit, nil, w.re, w.now); err != nil {
		return err
	}
	if err := m.check(); err != nil {
		return err
	}
	m.emit(w.c)
	w.touched = true
	w.o.Transfers = append(w.o.Transfers, t.ID)
	w.o.State = uint8(InTransit)
	return w.restart()
}

// sentFrom returns the location that the order's units are sent from: the one asked for, or the only one where any are held
// besides where they are collected.
func (w *orderWork) sentFrom() (uint32, error) {
	var places []uint32
	var names []string
	for i := range w.re.Lines {
		l := &w.re.Lines[i]
		if w.live && l.Open() > 0 && l.Location != w.o.Location && !w.e.isTransit(l.Location) && !slices.Contains(places, l.Location) {
			places, names = append(places, l.Location), append(names, fmt.Sprintf("%q", w.e.locations.Name(l.Location)))
		}
	}
	if len(places) == 0 {
		return 0, w.refuse("nothing of it is held elsewhere than where it is collected")
	}
	if w.r.Location == "" {
		if len(places) > 1 {
			return 0, invalid("location", "", "one of "+strings.Join(names, ", "))
		}
		return places[0], nil
	}
	if at, _ := w.e.lookupLocation(w.r.Location); slices.Contains(places, at) {
		return at, nil
	}
	return 0, invalid("location", w.r.Location, "a location where units of the order are held: "+strings.Join(names, ", "))
}

// sendHome: the parcel leaves the house. Its units are sold.
func (w *orderWork) sendHome() error {
	if OrderState(w.o.State) == InTransit {
		return w.refuse("it is on its way")
	}
	units, err := w.asked(func(sku uint32) uint32 { return w.openAt(sku, 0) })
	if err != nil {
		return err
	}
	for _, u := range units {
		w.take(u, 0, true)
		w.book(u, openUnits, collected)
	}
	if w.open() > 0 {
		return nil // the rest follows
	}
	w.o.State = uint8(InTransit)
	return nil
}

// receive: what was sent has arrived where it is collected, where it is held for the order from then on; or it was lost or damaged.
func (w *orderWork) receive() error {
	id, err := w.arriving()
	if err != nil {
		return err
	}
	entry := w.e.transfers.get(id)
	if entry == nil {
		return unknown(KindTransfer, FormatID(id))
	}
	t := &w.c.rec.Transfer
	if err := entry.decode(t); err != nil {
		return err
	}
	before := make(map[uint32]uint32, len(t.Lines))
	for i := range t.Lines {
		before[t.Lines[i].SKU] = w.openAt(t.Lines[i].SKU, 0)
	}
	var re *reservation.Reservation
	if w.live {
		re = w.re
	}
	t.Moves = 0
	if w.r.Reason != "" {
		t.Reason = w.r.Reason
	}
	if w.r.By != "" {
		t.By = w.r.By
	}
	m := cellMoves{e: w.e}
	others, err := w.alsoComing(id)
	if err != nil {
		return err
	}
	if err := w.e.decideReceive(&m, t, w.r.Arrived, w.r.Close, re, others, w.now); err != nil {
		return err
	}
	if err := m.check(); err != nil {
		return err
	}
	m.emit(w.c)
	w.touched = w.live
	for i := range t.Lines {
		sku := t.Lines[i].SKU
		if gone := before[sku] - w.openAt(sku, 0); gone > 0 {
			w.book(orderUnits{sku: sku, units: gone}, openUnits, missing)
			owe(w.o)
		}
	}
	if !TransferState(t.State).open() {
		w.o.Transfers = slices.DeleteFunc(w.o.Transfers, func(other ID) bool { return other == id })
	}
	switch {
	case w.open() == 0:
		w.noMoreToCome()
		return nil
	case len(w.o.Transfers) > 0:
		return nil // more is to come
	case w.anyMissing():
		w.o.State = uint8(OrderShort)
	default:
		w.o.State = uint8(Accepted)
	}
	return w.restart()
}

// alsoComing returns how many units of each SKU are on their way for the order by other transfers than one.
func (w *orderWork) alsoComing(but ID) (map[uint32]uint32, error) {
	coming := make(map[uint32]uint32)
	for _, id := range w.o.Transfers {
		entry := w.e.transfers.get(id)
		if id == but || entry == nil {
			continue
		}
		var t record.Transfer
		if err := entry.decode(&t); err != nil {
			return nil, err
		}
		for i := range t.Lines {
			coming[t.Lines[i].SKU] += t.Lines[i].InTransit()
		}
	}
	return coming, nil
}

func (w *orderWork) anyMissing() bool {
	return slices.ContainsFunc(w.o.Lines, func(l record.OrderLine) bool { return l.Missing > 0 })
}

// arriving returns the transfer that is received: the one asked for, or the only one under way.
func (w *orderWork) arriving() (ID, error) {
	switch {
	case w.r.Transfer != (ID{}) && slices.Contains(w.o.Transfers, w.r.Transfer):
		return w.r.Transfer, nil
	case w.r.Transfer != (ID{}):
		return ID{}, invalid("transfer", FormatID(w.r.Transfer), "a transfer that is under way for the order")
	case len(w.o.Transfers) == 0:
		return ID{}, w.refuse("nothing of it is on its way there")
	case len(w.o.Transfers) > 1:
		return ID{}, invalid("transfer", "", "one of the transfers that are under way for the order")
	}
	return w.o.Transfers[0], nil
}

// deliver: the customer has it.
func (w *orderWork) deliver() error {
	if OrderFulfilment(w.o.Fulfilment) != ShipHome {
		return w.refuse("it is collected, not delivered")
	}
	w.end(Collected)
	return nil
}
