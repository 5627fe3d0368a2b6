package server

import (
	"strconv"

	"onhand/engine"
)

// appendEvents writes what a change means besides its type, for a line of the feed.
func appendEvents(dst []byte, events []engine.Event) []byte {
	dst = append(dst, '[')
	for i := range events {
		e := &events[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"type":`...)
		dst = appendString(dst, string(e.Type))
		if e.SKU != "" {
			dst = appendText(dst, "sku", e.SKU)
			dst = appendText(dst, "location", e.Location)
			dst = appendNumber(dst, "available", e.Available)
			dst = appendEventThreshold(dst, e)
			if e.Type == engine.StockShortageEvent {
				dst = appendNumber(dst, "short_by", e.Shortage.Units)
			}
		}
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

// appendEventThreshold writes what was crossed, where a threshold was.
func appendEventThreshold(dst []byte, e *engine.Event) []byte {
	if e.Type == engine.StockLowEvent || e.Type == engine.StockRecoveredEvent && e.Threshold > 0 {
		return appendNumber(dst, "threshold", e.Threshold)
	}
	return dst
}

// appendEventData writes the data of an event: of a cell, and of what a transfer has lost besides, all that whoever is to see to it
// needs; otherwise the change as the feed has it, and what people call what it is about, as they do now.
func (s *Server) appendEventData(dst []byte, c *engine.Change, e *engine.Event) []byte {
	switch {
	case e != nil && e.SKU != "":
		return appendStockEvent(dst, c, e)
	case e != nil && isLoss(e.Type):
		dst = appendEventHead(dst, c, e)
		dst = appendTransfer(appendMember(dst, "transfer"), c.Transfer)
		return append(s.appendLoss(dst, c.Transfer, e.Type), '}')
	case e == nil && isLoss(c.Kind):
		dst = appendChange(dst, c, nil)
		return append(s.appendLoss(dst[:len(dst)-1], c.Transfer, c.Kind), '}')
	case c.Order != nil:
		return appendChange(dst, c, s.orderNames(c.Order))
	}
	return appendChange(dst, c, nil)
}

// appendEventHead writes what an event begins with that has data of its own.
func appendEventHead(dst []byte, c *engine.Change, e *engine.Event) []byte {
	dst = append(dst, `{"sequence":`...)
	dst = strconv.AppendUint(dst, c.Sequence, 10)
	dst = appendText(dst, "type", string(e.Type))
	dst = appendTime(dst, "time", c.Time)
	return appendText(dst, "cause", string(c.Kind))
}

func appendStockEvent(dst []byte, c *engine.Change, e *engine.Event) []byte {
	dst = appendEventHead(dst, c, e)
	dst = appendText(dst, "sku", e.SKU)
	dst = appendKnown(dst, "title", e.SKUTitle)
	dst = appendText(dst, "location", e.Location)
	dst = appendKnown(dst, "location_name", e.LocationName)
	dst = appendNumber(dst, "available", e.Available)
	dst = appendNumber(dst, "on_hand", e.OnHand)
	dst = appendNumber(dst, "held", e.Held)
	dst = appendEventThreshold(dst, e)
	if e.Shortage != nil {
		dst = appendShortage(dst, e.Shortage)
	}
	return append(dst, '}')
}

func isLoss(kind engine.ChangeKind) bool {
	return kind == engine.TransferLostChange || kind == engine.TransferDamagedChange
}

// appendLoss writes, behind a transfer, where it went by name, and the lines of which units were lost, or damaged: as many as are by
// now, like all that a change tells.
func (s *Server) appendLoss(dst []byte, t *engine.Transfer, kind engine.ChangeKind) []byte {
	dst = appendKnown(dst, "from_name", s.locationName(t.From))
	dst = appendKnown(dst, "to_name", s.locationName(t.To))
	dst = append(appendMember(dst, "lines"), '[')
	first := true
	for i := range t.Lines {
		l := &t.Lines[i]
		name, units := "lost", l.Lost
		if kind == engine.TransferDamagedChange {
			name, units = "damaged", l.Damaged
		}
		if units == 0 {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = appendString(append(dst, `{"sku":`...), l.SKU)
		dst = appendKnown(dst, "title", s.skuTitle(l.SKU))
		dst = append(appendNumber(dst, name, units), '}')
	}
	return append(dst, ']')
}

func (s *Server) orderNames(o *engine.Order) *orderNames {
	names := &orderNames{titles: make([]string, len(o.Lines))}
	if name, phone, err := s.engine.LocationContact(o.Location); err == nil {
		names.location, names.phone = name, phone
	}
	for i := range o.Lines {
		names.titles[i] = s.skuTitle(o.Lines[i].SKU)
	}
	return names
}

// skuTitle returns the title of a SKU as it is now, "" where it is not known: an event goes without it then.
func (s *Server) skuTitle(id string) string {
	if k, err := s.engine.SKU(id); err == nil {
		return k.Title
	}
	return ""
}

// locationName is skuTitle for a location.
func (s *Server) locationName(id string) string {
	if name, _, err := s.engine.LocationContact(id); err == nil {
		return name
	}
	return ""
}
