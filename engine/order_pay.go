package engine

import (
	"onhand/engine/internal/record"
	"onhand/engine/internal/reservation"
	"onhand/engine/internal/stock"
)

// pay: the payment was confirmed. One that comes after the order has expired takes its units anew, if all of them are still there;
// if not, or if the order was cancelled or erased, it is to be paid back.
func (w *orderWork) pay() error {
	switch {
	case w.o.Flags&record.PaidOnline == 0:
		return w.refuse("it is paid when it is collected")
	case PaymentState(w.o.Payment) != PaymentPending && PaymentState(w.o.Payment) != PaymentNone:
		return w.refuse("its payment is " + PaymentState(w.o.Payment).String())
	}
	w.notePayment()
	switch OrderState(w.o.State) {
	case OrderExpired:
		if w.e.reservations.Full() {
			return ErrTooManyHolds
		}
		if w.o.Flags&record.Erased != 0 || !w.holdAgain() { // who was erased can't be told to collect it, nor has a code
			w.o.Payment, w.o.Move = uint8(PaymentRefundDue), uint8(MoveRefundDue)
			return nil
		}
		w.o.State, w.o.Ended = uint8(Placed), 0
		w.o.Slot, w.o.SlotEnd, w.o.Compartment = 0, 0, "" // others may have them
	case Cancelled:
		w.o.Payment, w.o.Move = uint8(PaymentRefundDue), uint8(MoveRefundDue)
		return nil
	}
	w.o.Payment = uint8(PaymentPaid)
	if OrderState(w.o.State) == Placed {
		return w.restart()
	}
	return nil
}

// holdAgain makes a new reservation of all that an expired order waited for, where it was, or nothing.
func (w *orderWork) holdAgain() bool {
	*w.re = reservation.Reservation{
		ID: newID(w.now), State: reservation.Held, Created: w.now, Lines: w.re.Lines[:0],
		Owner:   w.owner(),
		Channel: append(w.re.Channel[:0], OrderChannel(w.o.Channel).String()...), Reference: append(w.re.Reference[:0], w.o.Customer.Reference...),
	}
	for i := range w.o.Lines {
		if l := &w.o.Lines[i]; l.Open() > 0 {
			holdMore(w.re, l.SKU, l.From, l.Open())
		}
	}
	for i := range w.re.Lines {
		l := &w.re.Lines[i]
		view, stocked := w.e.stock.View(l.SKU, l.Location)
		if reasonAgainst(&view, stocked, int64(l.Quantity)) != 0 {
			w.c.rec.Cells = w.c.rec.Cells[:0]
			w.re.Lines = w.re.Lines[:0]
			return false
		}
		w.c.addCell(l.SKU, l.Location, &view, view.OnHand, view.Held+int64(l.Quantity), 0)
	}
	w.o.Reservation = w.re.ID
	w.touched, w.live = true, true
	return true
}

// owner returns the integer of who placed the order, 0 where that is nobody.
func (w *orderWork) owner() uint32 {
	id, _ := w.e.owners.Lookup(w.o.Owner)
	return id
}

// freeForOrder ends what is due in the shards of an order that is about to hold units which it does not hold yet, so that they are
// there if they can be. It is called without locks.
func (e *Engine) freeForOrder(c *command, o *record.Order) error {
	defer func() { c.locks = stock.LockSet{} }()
	for i := range o.Lines {
		if err := e.endDueIn(c, stock.ShardOf(o.Lines[i].SKU)); err != nil {
			return err
		}
	}
	return nil
}
