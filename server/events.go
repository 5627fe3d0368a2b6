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

// appendEventData writes the data of an event: of a cell, all that whoever is to see to it needs; otherwise the change as the
// feed has it, and what people call what an order is about, as they do now.
func (s *Server) appendEventData(dst []byte, c *engine.Change, e *engine.Event) []byte {
	switch {
	case e != nil && e.SKU != "":
		return appendStockEvent(dst, c, e)
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
