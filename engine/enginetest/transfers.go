package enginetest

import (
	"fmt"
	"strings"

	"onhand/engine"
)

// units reads lines of a transfer: SKU, and, each after a colon, units, which are 1 where they are left out, those of them that
// are damaged besides, and those that are lost.
func (s *script) units(texts []string) []engine.TransferUnits {
	var lines []engine.TransferUnits
	for _, text := range texts {
		parts := strings.Split(text, ":")
		l := engine.TransferUnits{SKU: parts[0], Units: 1}
		for i, to := range []*int64{&l.Units, &l.Damaged, &l.Lost} {
			if len(parts) > i+1 {
				*to = s.number(parts[i+1])
			}
		}
		lines = append(lines, l)
	}
	return lines
}

func (s *script) transfer(w words) {
	name := w.plain[0]
	if len(w.plain) == 1 {
		s.transferAnswer(s.db.Transfer(s.id(name)))
		return
	}
	r := engine.TransferRequest{
		Dispatch: w.word("dispatch"), From: w.plain[1], Reference: w.text("reference"), Reason: w.text("reason"), By: w.text("by"),
		Key: w.text("key"),
	}
	if text, given := w.take("in"); given {
		r.Expected = s.db.Now().Add(s.duration(text))
	}
	r.To, r.Lines = w.plain[2], s.units(w.plain[3:])
	t, err := s.db.PlanTransfer(&r)
	if err == nil {
		s.ids[name] = t.ID
		if s.names[t.ID] == "" {
			s.names[t.ID] = name
		}
	}
	s.transferAnswer(t, err)
}

func (s *script) dispatch(w words)       { s.moveTransfer(w, s.db.DispatchTransfer) }
func (s *script) receive(w words)        { s.moveTransfer(w, s.db.ReceiveTransfer) }
func (s *script) cancelTransfer(w words) { s.moveTransfer(w, s.db.CancelTransfer) }

func (s *script) moveTransfer(w words, f func(*engine.TransferMove) (engine.Transfer, error)) {
	r := engine.TransferMove{ID: s.id(w.plain[0]), Close: w.word("close"), Reason: w.text("reason"), By: w.text("by"), Key: w.text("key")}
	r.Lines = s.units(w.plain[1:])
	s.transferAnswer(f(&r))
}

func (s *script) transfers(w words) {
	f := engine.TransferFilter{Location: w.text("at"), Incoming: w.word("in"), Outgoing: w.word("out")}
	if state, given := w.take("state"); given {
		var err error
		if f.State, err = engine.ParseTransferState(state); err != nil {
			s.fail(err)
			return
		}
	}
	after := uint64(0)
	s.pages(&w, func(limit int) bool {
		page, next, err := s.db.Transfers(f, after, limit)
		if err != nil {
			s.fail(err)
			return false
		}
		for i := range page {
			s.printTransfer(&page[i])
		}
		after = next
		return next != 0
	})
}

func (s *script) transit(w words) {
	for _, text := range w.plain {
		sku, location := cell(text)
		units, sequence, err := s.db.InTransit(sku, location)
		if err != nil {
			s.fail(err)
			continue
		}
		s.print("%s%s: %d in transit", numbered(sequence), text, units)
	}
}

func (s *script) transferAnswer(t engine.Transfer, err error) {
	if err != nil {
		s.fail(err)
		return
	}
	s.printTransfer(&t)
	s.printShortages(t.Shortages)
}

func (s *script) printTransfer(t *engine.Transfer) {
	var lines []string
	for i := range t.Lines {
		l := &t.Lines[i]
		text := fmt.Sprintf("%s %d", l.SKU, l.Quantity)
		for _, part := range []struct {
			units int64
			what  string
		}{
			{l.Dispatched, "dispatched"}, {l.InTransit, "in transit"}, {l.Received, "received"}, {l.Lost, "lost"}, {l.Damaged, "damaged"},
			{l.Cancelled, "cancelled"},
		} {
			if part.units != 0 {
				text += fmt.Sprintf(", %d %s", part.units, part.what)
			}
		}
		lines = append(lines, text)
	}
	about := ""
	for _, part := range []struct{ what, text string }{{"for", t.Reference}, {"because of", t.Reason}, {"by", t.By}} {
		if part.text != "" {
			about += fmt.Sprintf(" %s %q", part.what, part.text)
		}
	}
	if !t.Expected.IsZero() {
		about += ", expected " + when(t.Expected)
	}
	if !t.Ended.IsZero() {
		about += ", ended " + when(t.Ended)
	}
	s.print("%d %s is %s from %s to %s%s: %s", t.Sequence, s.nameOf(t.ID), t.State, t.From, t.To, about, strings.Join(lines, "; "))
}
