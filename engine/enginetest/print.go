package enginetest

import (
	"fmt"
	"strings"
	"time"

	"onhand/engine"
)

func (s *script) print(format string, args ...any) { fmt.Fprintf(&s.out, format+"\n", args...) }

// when returns a time of the first day as that, any other with its date.
func when(t time.Time) string {
	if t.Truncate(24*time.Hour) == Start.Truncate(24*time.Hour) {
		return t.Format("15:04:05.999999999")
	}
	return t.Format("2006-01-02 15:04:05.999999999")
}

func (s *script) nameOf(id engine.ID) string {
	if name, ok := s.names[id]; ok {
		return name
	}
	return engine.FormatID(id)
}

func (s *script) printCell(c *engine.Cell) {
	if !c.Stocked {
		s.print("%d %s@%s: not stocked%s", c.Sequence, c.SKU, c.Location, blocked(false, c.LocationBlocked))
		return
	}
	safety := ""
	if c.SafetyStock != 0 || c.OwnSafetyStock {
		safety = fmt.Sprintf("%d safety stock, ", c.SafetyStock)
		if c.OwnSafetyStock {
			safety = fmt.Sprintf("%d safety stock of its own, ", c.SafetyStock)
		}
	}
	low := ""
	if c.Low {
		low = ", low"
	}
	s.print("%d %s@%s: %d on hand, %d held, %s%d available%s%s",
		c.Sequence, c.SKU, c.Location, c.OnHand, c.Held, safety, c.Available, low, blocked(c.Blocked, c.LocationBlocked))
}

func blocked(cell, location bool) string {
	text := ""
	if cell {
		text += ", blocked"
	}
	if location {
		text += ", location blocked"
	}
	return text
}

func (s *script) printReservation(r *engine.Reservation) {
	var lines []string
	for i := range r.Lines {
		l := &r.Lines[i]
		text := fmt.Sprintf("%s@%s", l.SKU, l.Location)
		for _, part := range []struct {
			units int64
			what  string
		}{{l.Held, "held"}, {l.Committed, "committed"}, {l.Released, "released"}, {l.Expired, "expired"}} {
			if part.units != 0 {
				text += fmt.Sprintf(" %d %s", part.units, part.what)
			}
		}
		lines = append(lines, text)
	}
	about := ""
	if r.Channel != "" {
		about += fmt.Sprintf(" by %s", r.Channel)
	}
	if r.Reference != "" {
		about += fmt.Sprintf(" for %q", r.Reference)
	}
	until := "until"
	if r.State != engine.Held {
		until = "which was to end"
	}
	s.print("%d %s is %s%s, %s %s: %s", r.Sequence, s.nameOf(r.ID), r.State, about, until, when(r.Expires), strings.Join(lines, ", "))
	s.printRefusals(r.Refused)
}

func (s *script) printRefusals(refused []engine.Refusal) {
	for i := range refused {
		r := &refused[i]
		text := fmt.Sprintf("  %s@%s: %s: %d asked", r.SKU, r.Location, r.Reason, r.Requested)
		if r.Granted != 0 {
			text += fmt.Sprintf(", %d granted", r.Granted)
		}
		text += fmt.Sprintf(", short by %d", r.ShortBy())
		if r.OnHand != 0 || r.Held != 0 || r.SafetyStock != 0 {
			text += fmt.Sprintf(" (%d on hand, %d held, %d safety stock)", r.OnHand, r.Held, r.SafetyStock)
		}
		s.print("%s", text)
	}
}

func (s *script) printShortages(shortages []engine.Shortage) {
	for i := range shortages {
		sh := &shortages[i]
		var names []string
		for _, id := range sh.AtRisk {
			names = append(names, s.nameOf(id))
		}
		if names == nil {
			names = []string{"nobody"}
		}
		s.print("  %s@%s is short by %d; at risk: %s", sh.SKU, sh.Location, sh.Units, strings.Join(names, ", "))
	}
}

func (s *script) printEvent(e *engine.Event) {
	if e.SKU == "" { // of a reservation or an order, which are printed above
		s.print("  %s", e.Type)
		return
	}
	text := fmt.Sprintf("  %s: %s@%s, %d available", e.Type, e.SKU, e.Location, e.Available)
	switch {
	case e.Type == engine.StockLowEvent || e.Type == engine.StockRecoveredEvent:
		text += fmt.Sprintf(", threshold %d", e.Threshold)
	case e.Type == engine.StockShortageEvent:
		text += fmt.Sprintf(", short by %d", e.Shortage.Units)
	}
	s.print("%s", text)
}

func (s *script) printSKU(k *engine.SKU) {
	text := fmt.Sprintf("%d sku %s", k.Sequence, k.ID)
	for _, part := range []struct{ name, value string }{{"title", k.Title}, {"unit", k.Unit}, {"gtin", k.GTIN}} {
		if part.value != "" {
			text += fmt.Sprintf(", %s %q", part.name, part.value)
		}
	}
	if k.DefaultSafetyStock != 0 {
		text += fmt.Sprintf(", default safety stock %d", k.DefaultSafetyStock)
	}
	if k.DefaultHold != 0 {
		text += fmt.Sprintf(", default hold %s", k.DefaultHold)
	}
	if t := k.LowStock; t.Clear != 0 {
		text += fmt.Sprintf(", low at %d until %d", t.Low, t.Clear)
	}
	s.print("%s", text)
}

func (s *script) printLocation(l *engine.Location) {
	name := ""
	if l.Name != "" {
		name = fmt.Sprintf(" %q", l.Name)
	}
	s.print("%d %s %s%s%s", l.Sequence, l.Kind, l.ID, name, blocked(l.Blocked, false))
}

func (s *script) printChange(c *engine.Change) {
	about := ""
	if c.Reason != "" {
		about += " " + c.Reason
	}
	if c.Reference != "" {
		about += fmt.Sprintf(" for %q", s.withNames(c.Reference)) // it may name an order
	}
	s.print("%d %s %s%s", c.Sequence, when(c.Time), c.Kind, about)
	inner := &script{names: s.names}
	for i := range c.Cells {
		inner.printCell(&c.Cells[i].Cell)
	}
	if c.Reservation != nil {
		inner.printReservation(c.Reservation)
	} else {
		inner.printRefusals(c.Refused)
	}
	inner.printShortages(c.Shortages)
	if c.Order != nil {
		inner.printOrder(c.Order)
	}
	if c.Transfer != nil {
		inner.printTransfer(c.Transfer)
	}
	for i := range c.Events {
		inner.printEvent(&c.Events[i])
	}
	if c.SKU != nil {
		inner.printSKU(c.SKU)
	}
	if c.Location != nil && c.Kind != engine.LocationDeletedChange {
		inner.printLocation(c.Location)
	} else if c.Location != nil {
		inner.print("%s", c.Location.ID)
	}
	for line := range strings.Lines(inner.out.String()) {
		s.out.WriteString("  " + line)
	}
}
