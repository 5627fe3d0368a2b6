package enginetest

import (
	"errors"
	"fmt"
	"strings"

	"onhand/engine"
)

func init() {
	// order NAME LINE … | hold=NAME [pay=online_paid|online_pending|in_store] [way=] [at=] [short=ask|transfer|move] [document]
	// [channel=] [customer=] [reference=] [by=] [key=], order NAME (reads it). The order's reservation goes by the name NAME's too.
	commands["order"] = (*script).order
	// move NAME accept|pick|… [SKU:UNITS[:damaged] …] [code=right|wrong] [document] [recount] [at=] [for=] [reason=] [by=] [key=]
	commands["move"] = (*script).move
	// orders [at=] [state=] [reference=] [page=], counts LOCATION, picks LOCATION (the pick list)
	commands["orders"] = (*script).orders
	commands["counts"] = (*script).counts
	commands["picks"] = (*script).picks
}

func (s *script) order(w words) {
	name := w.plain[0]
	hold, onHold := w.take("hold")
	if len(w.plain) == 1 && !onHold {
		s.orderAnswer(s.db.Order(s.id(name)))
		return
	}
	r := engine.PlaceOrderRequest{
		IDRequired: w.word("document"), Location: w.text("at"), Customer: engine.Person{Reference: w.text("customer")},
		Reference: w.text("reference"), By: w.text("by"), Key: w.text("key"),
	}
	if onHold {
		r.Reservation = s.id(hold)
	} else {
		r.Lines = s.lines(w.plain[1:])
	}
	var err error
	option(&w, "way", &r.Fulfilment, engine.ParseOrderFulfilment, &err)
	option(&w, "pay", &r.Payment, engine.ParsePaymentTerms, &err)
	option(&w, "short", &r.OnShort, engine.ParseOnShort, &err)
	option(&w, "channel", &r.Channel, engine.ParseOrderChannel, &err)
	if err != nil {
		s.fail(err)
		return
	}
	o, err := s.db.PlaceOrder(&r)
	if err == nil {
		s.ids[name], s.codes[name] = o.ID, o.Code
		if s.names[o.ID] == "" {
			s.names[o.ID] = name
		}
		s.holds(name, &o)
	}
	s.orderAnswer(o, err)
}

// holds gives the reservation of an order a name.
func (s *script) holds(name string, o *engine.Order) {
	s.ids[name+"'s"] = o.Reservation
	if s.names[o.Reservation] == "" {
		s.names[o.Reservation] = name + "'s"
	}
}

// option reads a choice, if it is given.
func option[T any](w *words, name string, to *T, parse func(string) (T, error), err *error) {
	if text, given := w.take(name); given && *err == nil {
		*to, *err = parse(text)
	}
}

func (s *script) move(w words) {
	name := w.plain[0]
	m, err := engine.ParseOrderMove(w.plain[1])
	if err != nil {
		s.fail(err)
		return
	}
	r := engine.MoveRequest{
		ID: s.id(name), Move: m, IDChecked: w.word("document"), Recount: w.word("recount"), Location: w.text("at"),
		Reason: w.text("reason"), By: w.text("by"), Bay: w.text("bay"), Vehicle: w.text("vehicle"), PaymentReference: w.text("payment"), Key: w.text("key"),
	}
	r.ExpiresIn, r.ExpiresAt = s.deadline(&w)
	switch code, _ := w.take("code"); code {
	case "right":
		r.Code = s.codes[name]
	case "wrong":
		r.Code = "000000" // no code has a 0
	}
	for _, text := range w.plain[2:] {
		parts := strings.Split(text, ":")
		l := engine.OrderQuantity{SKU: parts[0], Quantity: 1, Damaged: len(parts) > 2}
		if len(parts) > 1 {
			l.Quantity = s.number(parts[1])
		}
		r.Lines = append(r.Lines, l)
	}
	o, err := s.db.MoveOrder(&r)
	if err == nil {
		s.holds(name, &o)
	}
	s.orderAnswer(o, err)
}

func (s *script) orders(w words) {
	f := engine.OrderFilter{Location: w.text("at"), Reference: w.text("reference")}
	if text, given := w.take("state"); given {
		state, err := engine.ParseOrderState(text)
		if err != nil {
			s.fail(err)
			return
		}
		f.States = []engine.OrderState{state}
	}
	cursor := engine.OrderCursor{}
	s.pages(&w, func(limit int) bool {
		page, next, err := s.db.Orders(f, cursor, limit)
		if err != nil {
			s.fail(err)
			return false
		}
		for i := range page {
			s.printOrder(&page[i])
		}
		cursor = next
		return !cursor.Done()
	})
}

func (s *script) counts(w words) {
	counts, send, err := s.db.OrderCounts(w.plain[0])
	if err != nil {
		s.fail(err)
		return
	}
	var parts []string
	for _, state := range engine.OrderStates() {
		if counts[state] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[state], state))
		}
	}
	if send > 0 {
		parts = append(parts, fmt.Sprintf("%d to send", send))
	}
	s.print("%s: %s", w.plain[0], strings.Join(parts, ", "))
}

func (s *script) picks(w words) {
	lines, whole, err := s.db.PickList(w.plain[0])
	if err != nil {
		s.fail(err)
		return
	}
	for i := range lines {
		l := &lines[i]
		var names []string
		for _, id := range l.Orders {
			names = append(names, s.nameOf(id))
		}
		send := ""
		if l.Send > 0 {
			send = fmt.Sprintf(", %d of them to be sent", l.Send)
		}
		s.print("%d %s for %s%s", l.Quantity, l.SKU, strings.Join(names, ", "), send)
	}
	if !whole {
		s.print("and more")
	}
}

func (s *script) orderAnswer(o engine.Order, err error) {
	if err != nil {
		s.failOrder(err)
		return
	}
	s.printOrder(&o)
}

// failOrder prints an error of an order.
func (s *script) failOrder(err error) {
	var state *engine.OrderStateError
	var code *engine.CodeError
	switch {
	case errors.As(err, &state) && state.Why != "":
		s.print("refused: %s is %s, and %s", s.nameOf(state.ID), state.State, state.Why)
	case errors.As(err, &state):
		s.print("refused: %s is %s since %d", s.nameOf(state.ID), state.State, state.Sequence)
	case errors.As(err, &code) && code.RetryAt.IsZero():
		s.print("wrong code, the %d. in a row", code.Wrong)
	case errors.As(err, &code):
		s.print("wrong code, the %d. in a row; none is looked at before %s", code.Wrong, when(code.RetryAt))
	default:
		s.fail(err)
	}
}

// printOrder prints an order. Its code is told as given or not: each has another.
func (s *script) printOrder(o *engine.Order) {
	var lines []string
	for i := range o.Lines {
		l := &o.Lines[i]
		text := fmt.Sprintf("%d %s", l.Quantity, l.SKU)
		for _, part := range []struct {
			units int64
			what  string
		}{
			{l.Open, "open"}, {l.Collected, "collected"}, {l.Returned, "returned"}, {l.Damaged, "damaged"}, {l.Missing, "missing"},
			{l.Cancelled, "cancelled"},
		} {
			if part.units != 0 {
				text += fmt.Sprintf(", %d %s", part.units, part.what)
			}
		}
		if l.From != o.Location {
			text += ", from " + l.From
		}
		lines = append(lines, text)
	}
	about := ""
	if !o.Deadline.IsZero() {
		about += " until " + when(o.Deadline)
	}
	if !o.RemindAt.IsZero() {
		about += ", to be reminded " + when(o.RemindAt)
	}
	if !o.Ended.IsZero() {
		about += " since " + when(o.Ended)
	}
	if o.Code == "" {
		about += ", without a code"
	}
	s.print("%d %s is %s at %s%s, payment %s: %s", o.Sequence, s.nameOf(o.ID), o.State, o.Location, about, o.Payment, strings.Join(lines, "; "))
}
