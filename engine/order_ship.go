package engine

// dispatch sends what is held elsewhere on its way: to where it is collected, or to the customer.
func (w *orderWork) dispatch() error {
	if err := w.unpaid(); err != nil {
		return err
	}
	if OrderFulfilment(w.o.Fulfilment) == ShipHome {
		return w.sendHome()
	}
	return w.refuse("all of it is where it is collected")
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

// receive: what was sent has arrived where it is collected.
func (w *orderWork) receive() error { return w.refuse("nothing of it is on its way there") }

// deliver: the customer has it.
func (w *orderWork) deliver() error {
	if OrderFulfilment(w.o.Fulfilment) != ShipHome {
		return w.refuse("it is collected, not delivered")
	}
	w.end(Collected)
	return nil
}

// reschedule moves the order to another slot.
func (w *orderWork) reschedule() error { return w.refuse("it has no slot") }
