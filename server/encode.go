package server

import (
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"onhand/engine"
)

// What is asked thousands of times a second is written by hand; so, for one way of doing things, is the rest.

func appendMember(dst []byte, name string) []byte {
	dst = append(dst, ',', '"')
	dst = append(dst, name...)
	return append(dst, '"', ':')
}

func appendText(dst []byte, name, value string) []byte {
	return appendString(appendMember(dst, name), value)
}

// appendKnown is appendText for what is left out where it is not known.
func appendKnown(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	return appendText(dst, name, value)
}

func appendBool(dst []byte, name string, v bool) []byte {
	return strconv.AppendBool(appendMember(dst, name), v)
}

func appendNumber(dst []byte, name string, v int64) []byte {
	return strconv.AppendInt(appendMember(dst, name), v, 10)
}

func appendUint(dst []byte, name string, v uint64) []byte {
	return strconv.AppendUint(appendMember(dst, name), v, 10)
}

// appendString writes s as a JSON string. What is not valid UTF-8 is written as U+FFFD.
//
// Most strings are ids, in which nothing is escaped. Having the library quote ten of them took a twelfth of the time of the answer
// that they were in.
func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			dst, _ = jsontext.AppendQuote(dst, s) // it fails on invalid UTF-8 only, having written the replacement
			return dst
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}

// appendTime writes a time as RFC 3339 in UTC, with as many decimals as it has.
func appendTime(dst []byte, name string, t time.Time) []byte {
	dst = append(appendMember(dst, name), '"')
	dst = t.AppendFormat(dst, time.RFC3339Nano)
	return append(dst, '"')
}

// appendAvailability writes what a shopper may know of a cell, without the closing brace.
func appendAvailability(dst []byte, c *engine.Cell) []byte {
	dst = appendNumber(dst, "available", c.Available)
	dst = appendNumber(dst, "on_hand", c.OnHand)
	dst = appendNumber(dst, "held", c.Held)
	dst = appendNumber(dst, "safety_stock", c.SafetyStock)
	dst = appendBool(dst, "blocked", c.Blocked || c.LocationBlocked)
	dst = appendBool(dst, "stocked", c.Stocked)
	return appendUint(dst, "sequence", c.Sequence)
}

func appendCellName(dst []byte, sku, location string) []byte {
	dst = append(dst, `{"sku":`...)
	dst = appendString(dst, sku)
	return appendText(dst, "location", location)
}

// appendStock writes all there is to know of a cell, without the closing brace.
func appendStock(dst []byte, c *engine.Cell) []byte {
	dst = appendCellName(dst, c.SKU, c.Location)
	dst = appendNumber(dst, "on_hand", c.OnHand)
	dst = appendNumber(dst, "held", c.Held)
	dst = appendNumber(dst, "safety_stock", c.SafetyStock)
	dst = appendBool(dst, "own_safety_stock", c.OwnSafetyStock)
	dst = appendBool(dst, "blocked", c.Blocked)
	dst = appendBool(dst, "location_blocked", c.LocationBlocked)
	dst = appendNumber(dst, "available", c.Available)
	if c.Low {
		dst = appendBool(dst, "low", true)
	}
	return appendUint(dst, "sequence", c.Sequence)
}

// appendThreshold writes when stock is low, if ever.
func appendThreshold(dst []byte, t engine.Threshold) []byte {
	if t == (engine.Threshold{}) {
		return dst
	}
	dst = appendNumber(dst, "low_stock", t.Low)
	return appendNumber(dst, "low_stock_clear", t.Clear)
}

// appendOwnThreshold writes a cell's own threshold where a change has set it, or that there is none any more.
func appendOwnThreshold(dst []byte, c *engine.CellChange) []byte {
	switch {
	case c.LowStock == nil:
		return dst
	case *c.LowStock == engine.Threshold{}:
		return append(appendMember(dst, "low_stock"), "null"...)
	}
	return appendThreshold(dst, *c.LowStock)
}

func appendCellChanges(dst []byte, cells []engine.CellChange) []byte {
	dst = append(dst, '[')
	for i := range cells {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendOwnThreshold(appendStock(dst, &cells[i].Cell), &cells[i])
		if cells[i].Delta != 0 {
			dst = appendNumber(dst, "delta", cells[i].Delta)
		}
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

func appendShortages(dst []byte, shortages []engine.Shortage) []byte {
	dst = append(dst, '[')
	for i := range shortages {
		s := &shortages[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendShortage(appendCellName(dst, s.SKU, s.Location), s), '}')
	}
	return append(dst, ']')
}

// appendShortage writes by how much a cell is short, and at whose risk.
func appendShortage(dst []byte, s *engine.Shortage) []byte {
	dst = appendNumber(dst, "short_by", s.Units)
	dst = append(dst, `,"reservations":[`...)
	for i, id := range s.AtRisk {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, '"')
		dst = engine.AppendID(dst, id)
		dst = append(dst, '"')
	}
	return append(dst, ']')
}

func appendStockChange(dst []byte, c *engine.StockChange) []byte {
	dst = append(dst, `{"sequence":`...)
	dst = strconv.AppendUint(dst, c.Sequence, 10)
	dst = appendTime(dst, "time", c.Time)
	dst = appendCellChanges(appendMember(dst, "cells"), c.Cells)
	if len(c.Shortages) > 0 {
		dst = appendShortages(appendMember(dst, "shortages"), c.Shortages)
	}
	return append(dst, '}')
}

func appendReservation(dst []byte, r *engine.Reservation) []byte {
	dst = append(dst, `{"id":"`...)
	dst = engine.AppendID(dst, r.ID)
	dst = append(dst, `","state":"`...)
	dst = append(dst, r.State.String()...)
	dst = append(dst, `","lines":[`...)
	for i := range r.Lines {
		l := &r.Lines[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendCellName(dst, l.SKU, l.Location)
		dst = appendNumber(dst, "quantity", l.Quantity)
		dst = appendNumber(dst, "held", l.Held)
		dst = appendNumber(dst, "committed", l.Committed)
		dst = appendNumber(dst, "released", l.Released)
		dst = appendNumber(dst, "expired", l.Expired)
		dst = append(dst, '}')
	}
	dst = append(dst, ']')
	if len(r.Resources) > 0 {
		dst = appendResources(appendMember(dst, "resources"), r.Resources)
	}
	dst = appendTime(dst, "created_at", r.Created)
	dst = appendTime(dst, "expires_at", r.Expires)
	if r.Channel != "" {
		dst = appendText(dst, "channel", r.Channel)
	}
	if r.Reference != "" {
		dst = appendText(dst, "reference", r.Reference)
	}
	if len(r.Refused) > 0 {
		dst = appendRefusals(appendMember(dst, "refused"), r.Refused)
	}
	if len(r.PassedOver) > 0 {
		dst = appendRefusals(appendMember(dst, "passed_over"), r.PassedOver)
	}
	dst = appendUint(dst, "sequence", r.Sequence)
	return append(dst, '}')
}

func appendSKU(dst []byte, s *engine.SKU) []byte {
	dst = append(dst, `{"sku":`...)
	dst = appendString(dst, s.ID)
	dst = appendText(dst, "title", s.Title)
	dst = appendText(dst, "unit", s.Unit)
	dst = appendText(dst, "gtin", s.GTIN)
	dst = appendNumber(dst, "default_safety_stock", s.DefaultSafetyStock)
	dst = appendNumber(dst, "default_hold", int64(s.DefaultHold/time.Second))
	for _, step := range [...]struct {
		name   string
		within time.Duration
	}{{"accept_within", s.AcceptWithin}, {"pick_within", s.PickWithin}, {"collect_within", s.CollectWithin}} {
		if step.within != 0 {
			dst = appendNumber(dst, step.name, int64(step.within/time.Second))
		}
	}
	dst = appendThreshold(dst, s.LowStock)
	dst = appendUint(dst, "sequence", s.Sequence)
	return append(dst, '}')
}

// appendChange writes a change, as the feed has it where names is nil.
func appendChange(dst []byte, c *engine.Change, names *orderNames) []byte {
	dst = append(dst, `{"sequence":`...)
	dst = strconv.AppendUint(dst, c.Sequence, 10)
	dst = appendText(dst, "type", string(c.Kind))
	dst = appendTime(dst, "time", c.Time)
	if c.Order != nil {
		dst = appendOrder(appendMember(dst, "order"), c.Order, false, names)
	}
	if c.Reservation != nil {
		dst = appendReservation(appendMember(dst, "reservation"), c.Reservation)
	}
	if len(c.Cells) > 0 {
		dst = appendCellChanges(appendMember(dst, "cells"), c.Cells)
	}
	if len(c.Refused) > 0 {
		dst = appendRefusals(appendMember(dst, "refused"), c.Refused)
	}
	if c.Reason != "" {
		dst = appendText(dst, "reason", c.Reason)
	}
	if c.Reference != "" {
		dst = appendText(dst, "reference", c.Reference)
	}
	if len(c.Shortages) > 0 {
		dst = appendShortages(appendMember(dst, "shortages"), c.Shortages)
	}
	if c.Transfer != nil {
		dst = appendTransfer(appendMember(dst, "transfer"), c.Transfer)
	}
	if c.SKU != nil {
		dst = appendSKU(appendMember(dst, "sku"), c.SKU)
	}
	switch {
	case c.Kind == engine.LocationDeletedChange: // nothing else is left of it
		dst = appendString(append(appendMember(dst, "location"), `{"id":`...), c.Location.ID)
		dst = append(appendUint(dst, "sequence", c.Sequence), '}')
	case c.Location != nil:
		dst = appendLocation(appendMember(dst, "location"), c.Location)
	}
	if len(c.Slots) > 0 {
		dst = append(appendMember(dst, "slots"), '[')
		for i, sku := range c.Slots {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendString(dst, sku)
		}
		dst = append(dst, ']')
	}
	if len(c.Events) > 0 {
		dst = appendEvents(appendMember(dst, "events"), c.Events)
	}
	return append(dst, '}')
}
