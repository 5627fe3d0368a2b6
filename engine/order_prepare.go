package engine

import (
	"fmt"
	"time"

	"onhand/engine/internal/record"
)

// unpaid refuses a move of an order that waits for its payment: nobody picks what may never be paid.
func (w *orderWork) unpaid() error {
	if PaymentState(w.o.Payment) == PaymentPending {
		return w.refuse("its payment is pending")
	}
	return nil
}

// accept: the store has seen the order and takes it on.
func (w *orderWork) accept() error {
	if err := w.unpaid(); err != nil {
		return err
	}
	w.o.State = uint8(Accepted)
	return w.restart()
}

// pick: somebody is gathering it.
func (w *orderWork) pick() error {
	if err := w.unpaid(); err != nil {
		return err
	}
	before := OrderState(w.o.State)
	w.o.State = uint8(Picking)
	if before == Accepted {
		return nil // the clock of being picked runs already
	}
	return w.restart()
}

// ready: all of it lies where it is collected.
func (w *orderWork) ready() error {
	if err := w.unpaid(); err != nil {
		return err
	}
	if OrderFulfilment(w.o.Fulfilment) == ShipHome {
		return w.refuse("it is sent to its customer, not collected")
	}
	for i := range w.re.Lines {
		if l := &w.re.Lines[i]; l.Open() > 0 && l.Location != w.o.Location && w.e.isGoods(l) {
			return w.refuse(fmt.Sprintf("%d units of %q are still at %q", l.Open(), w.e.skus.Name(l.SKU), w.e.locations.Name(l.Location)))
		}
	}
	w.o.State = uint8(Ready)
	return w.restart()
}

// remind: the deadline is near. It is on record so that each customer is reminded once.
func (w *orderWork) remind() error {
	if w.o.RemindAt == 0 || w.o.RemindAt > w.now {
		return w.refuse("no reminder is due")
	}
	w.o.RemindAt = 0
	return nil
}

// extend gives the order more time, as often as its location allows.
func (w *orderWork) extend() error {
	if !w.live {
		return w.refuse("nothing of it is held")
	}
	if most := w.e.timesAt(w.place).ExtensionsMax; int(w.o.Extensions) >= most {
		return w.refuse(fmt.Sprintf("it was extended %d times, which is the most", w.o.Extensions))
	}
	deadline, err := int64(0), error(nil)
	if w.r.ExpiresIn == 0 && w.r.ExpiresAt.IsZero() {
		deadline, err = w.e.clockOf(w.o, w.place, w.now)
		deadline = max(deadline, w.re.Deadline)
	} else if deadline, err = deadlineAt(w.r.ExpiresIn, w.r.ExpiresAt, w.now); err == nil && deadline < w.re.Deadline {
		err = invalid("expires_at", timeOf(deadline).Format(time.RFC3339), "no earlier than the present deadline, "+timeOf(w.re.Deadline).Format(time.RFC3339))
	}
	if err != nil {
		return err
	}
	if deadline == w.re.Deadline { // as where the clock ends by opening hours
		return w.refuse("its deadline is " + timeOf(deadline).Format(time.RFC3339) + " already")
	}
	w.o.Extensions++
	w.setDeadline(deadline)
	return nil
}

// arriveAgain is how soon a customer may say again where they are: anybody with the page's address can.
const arriveAgain = 20 * time.Second

// arrive: the customer is there, and says where. Where they say so again, only the last counts.
func (w *orderWork) arrive() error {
	if w.o.Arrived != 0 {
		if w.now-w.o.Arrived < int64(arriveAgain) {
			return w.refuse("its customer has just said so")
		}
		w.unnoted = true
	}
	w.o.Arrived, w.o.Bay, w.o.Vehicle = w.now, w.r.Bay, w.r.Vehicle
	return nil
}

// cancel gives back all of the order, or some lines of it.
func (w *orderWork) cancel() error {
	if OrderFulfilment(w.o.Fulfilment) == ShipHome && OrderState(w.o.State) == InTransit {
		return w.refuse("it is on its way to its customer: it can be returned")
	}
	units, err := w.asked(func(sku uint32) uint32 { return w.openAt(sku, 0) })
	if err != nil {
		return err
	}
	for _, u := range units {
		w.take(u, 0, false)
		w.book(u, openUnits, cancelled)
	}
	if len(units) > 0 {
		owe(w.o)
	}
	if w.open() == 0 {
		w.noMoreToCome()
	}
	return nil
}

// noMoreToCome settles an order whose last open units were cancelled or not found: what its customer has, or what is on its way,
// is all there will be.
func (w *orderWork) noMoreToCome() {
	w.releaseAll() // its place in a slot or a locker
	switch {
	case !w.anyCollected():
		w.end(Cancelled)
		giveBack(w.o)
	case OrderFulfilment(w.o.Fulfilment) == ShipHome:
		w.o.State = uint8(InTransit)
	default:
		w.end(Collected)
		paidInStore(w.o)
	}
}

func (w *orderWork) anyCollected() bool { return anyCollected(w.o) }

func anyCollected(o *record.Order) bool {
	for i := range o.Lines {
		if o.Lines[i].Collected > 0 {
			return true
		}
	}
	return false
}

// refund: what was due to the customer was paid back.
func (w *orderWork) refund() error {
	if PaymentState(w.o.Payment) != PaymentRefundDue {
		return w.refuse("its payment is " + PaymentState(w.o.Payment).String())
	}
	w.o.Payment = uint8(PaymentRefunded)
	w.notePayment()
	return nil
}

func (w *orderWork) notePayment() {
	if w.r.PaymentReference != "" {
		w.o.PaymentNote = w.r.PaymentReference
	}
}
