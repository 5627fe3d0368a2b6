package server

import (
	"time"

	"github.com/valyala/fasthttp"

	"onhand/engine"
)

// slotsPage is the standard number of slots in one answer.
const slotsPage = 1000

// getSlots lists a location's pickup slots, with what is free of each.
func (s *Server) getSlots(c *call) error {
	var from time.Time
	if text := c.query.value("from"); text != "" {
		var err error
		if from, err = instant("from", text); err != nil {
			return err
		}
	}
	days, err := c.query.number("days", 1, engine.SlotDaysAheadMax, 0)
	if err != nil {
		return err
	}
	limit, err := c.query.limit(slotsPage)
	if err != nil {
		return err
	}
	slots, next, err := s.engine.Slots(nil, c.params[0], from, int(days), limit)
	if err != nil {
		return err
	}
	c.out = append(c.out, `{"location":`...)
	c.out = appendString(c.out, c.params[0])
	c.out = append(appendMember(c.out, "slots"), '[')
	for i := range slots {
		if i > 0 {
			c.out = append(c.out, ',')
		}
		c.out = appendSlot(c.out, &slots[i])
	}
	c.out = append(c.out, ']')
	if !next.IsZero() {
		c.out = appendTime(c.out, "next_from", next.UTC())
	}
	c.out = append(appendTime(c.out, "as_of", s.engine.Now()), '}')
	c.json(fasthttp.StatusOK)
	return nil
}

func appendSlot(dst []byte, s *engine.Slot) []byte {
	dst = s.Start.UTC().AppendFormat(append(dst, `{"start":"`...), time.RFC3339)
	dst = s.End.UTC().AppendFormat(append(dst, `","end":"`...), time.RFC3339)
	dst = s.Start.AppendFormat(append(dst, `","local_start":"`...), time.RFC3339)
	dst = s.End.AppendFormat(append(dst, `","local_end":"`...), time.RFC3339)
	dst = append(dst, '"')
	dst = appendNumber(dst, "capacity", s.Capacity)
	dst = appendNumber(dst, "taken", s.Taken)
	dst = appendNumber(dst, "free", s.Free)
	return append(dst, '}')
}

// getCompartments lists a location's locker compartments by size, with how many are free.
func (s *Server) getCompartments(c *call) error {
	uses, err := s.engine.Compartments(c.params[0])
	if err != nil {
		return err
	}
	c.out = append(c.out, `{"location":`...)
	c.out = appendString(c.out, c.params[0])
	c.out = append(appendMember(c.out, "compartments"), '[')
	for i := range uses {
		u := &uses[i]
		if i > 0 {
			c.out = append(c.out, ',')
		}
		c.out = appendString(append(c.out, `{"size":`...), u.Size)
		c.out = appendNumber(c.out, "count", u.Count)
		c.out = appendNumber(c.out, "taken", u.Taken)
		c.out = appendNumber(c.out, "free", u.Free)
		c.out = append(c.out, '}')
	}
	c.out = append(c.out, ']')
	c.out = append(appendTime(c.out, "as_of", s.engine.Now()), '}')
	c.json(fasthttp.StatusOK)
	return nil
}

// appendResources writes what a reservation holds besides goods.
func appendResources(dst []byte, all []engine.Resource) []byte {
	dst = append(dst, '[')
	for i := range all {
		r := &all[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(append(dst, `{"location":`...), r.Location)
		if r.Size != "" {
			dst = appendText(dst, "compartment", r.Size)
		} else {
			dst = append(appendMember(dst, "slot"), `{"start":"`...)
			dst = append(r.Start.AppendFormat(dst, time.RFC3339), '"')
			if !r.End.IsZero() {
				dst = appendTime(dst, "end", r.End)
			}
			dst = append(dst, '}')
		}
		dst = appendNumber(dst, "quantity", r.Quantity)
		dst = appendNumber(dst, "held", r.Held)
		dst = appendNumber(dst, "released", r.Released)
		dst = appendNumber(dst, "expired", r.Expired)
		dst = append(dst, '}')
	}
	return append(dst, ']')
}
