package engine

import (
	"fmt"
	"time"

	"onhand/engine/hours"
)

// PickupSlots say that customers choose when to collect: a location's openings are cut into slots of one length (see
// hours.Calendar.Slots), each of which takes so many orders.
type PickupSlots struct {
	Interval int64 `json:"interval"` // minutes, SlotIntervalMin to 1440, dividing the day
	Capacity int64 `json:"capacity"` // orders in a slot, 1 to SlotCapacityMax
	// Lead is until how long before it begins a slot can be taken, in minutes, 0 to SlotLeadMax.
	Lead int64 `json:"lead,omitzero"`
	// DaysAhead is how far ahead a slot can be taken: when it begins within so many times 24 hours; 1 to 31, as far as a
	// reservation can hold.
	DaysAhead int64          `json:"days_ahead"`
	Overrides []SlotOverride `json:"overrides,omitempty"` // at most SlotOverridesMax
}

// SlotOverride is another capacity for the slots that begin at certain times of a weekday or a date, by the clock on the
// wall. Of several, a date of one year goes before one of each year, that before a weekday, then the later entry before the
// earlier.
type SlotOverride struct {
	Weekday  *hours.Day   `json:"weekday,omitzero"`
	Date     hours.Date   `json:"date,omitzero"`
	From     hours.Minute `json:"from"`
	To       hours.Minute `json:"to"`       // a slot that begins then is not meant any more
	Capacity int64        `json:"capacity"` // 0 to SlotCapacityMax; 0 = there are no slots
}

// Limits of pickup slots.
const (
	SlotIntervalMin  = 5     // minutes
	SlotCapacityMax  = 10000 // orders
	SlotLeadMax      = 10080 // minutes, a week
	SlotDaysAheadMax = 31
	SlotOverridesMax = 200
)

const dayMinutes = 24 * 60

func (s *PickupSlots) check(schedule *hours.Schedule) error {
	if s == nil {
		return nil
	}
	if len(schedule.Regular)+len(schedule.Special) == 0 {
		return invalid("pickup_slots", "given", "opening_hours beside it, as slots are where the location is open")
	}
	if s.Interval < SlotIntervalMin || s.Interval > dayMinutes || dayMinutes%s.Interval != 0 {
		return invalid("pickup_slots.interval", s.Interval, fmt.Sprintf("%d to %d minutes that divide a day, such as 15, 30 or 60", SlotIntervalMin, dayMinutes))
	}
	if s.Capacity < 1 || s.Capacity > SlotCapacityMax {
		return invalid("pickup_slots.capacity", s.Capacity, fmt.Sprintf("1 to %d", SlotCapacityMax))
	}
	if s.Lead < 0 || s.Lead > SlotLeadMax {
		return invalid("pickup_slots.lead", s.Lead, fmt.Sprintf("0 to %d minutes", SlotLeadMax))
	}
	if s.DaysAhead < 1 || s.DaysAhead > SlotDaysAheadMax {
		return invalid("pickup_slots.days_ahead", s.DaysAhead, fmt.Sprintf("1 to %d", SlotDaysAheadMax))
	}
	if n := len(s.Overrides); n > SlotOverridesMax {
		return invalid("pickup_slots.overrides", fmt.Sprintf("%d overrides", n), fmt.Sprintf("at most %d", SlotOverridesMax))
	}
	for i := range s.Overrides {
		if err := s.Overrides[i].check(fmt.Sprintf("pickup_slots.overrides[%d]", i)); err != nil {
			return err
		}
	}
	return nil
}

func (o *SlotOverride) check(field string) error {
	if (o.Weekday == nil) == o.Date.IsZero() {
		given := "neither"
		if o.Weekday != nil {
			given = "both"
		}
		return invalid(field, "one with "+given, "exactly one of weekday and date")
	}
	if o.Weekday != nil && *o.Weekday > hours.Sunday {
		return invalid(field+".weekday", o.Weekday.String(), "monday, tuesday, wednesday, thursday, friday, saturday or sunday")
	}
	if d := o.Date; !d.IsZero() {
		// A date that was not read from text may be none.
		if text, err := d.MarshalText(); err != nil || (&hours.Date{}).UnmarshalText(text) != nil {
			return invalid(field+".date", d.String(), "a date such as 2026-12-24, or --12-24 for every year")
		}
	}
	if o.From < 0 || o.From >= dayMinutes {
		return invalid(field+".from", int(o.From), "a time of day from 00:00 to 23:59")
	}
	if o.To <= o.From || o.To > dayMinutes {
		return invalid(field+".to", minuteText(o.To), "a time after from, "+minuteText(o.From)+", up to 24:00")
	}
	if o.Capacity < 0 || o.Capacity > SlotCapacityMax {
		return invalid(field+".capacity", o.Capacity, fmt.Sprintf("0 to %d", SlotCapacityMax))
	}
	return nil
}

func minuteText(m hours.Minute) string {
	text, _ := m.MarshalText()
	return string(text)
}

// wallTime is when a slot begins, by the clock on the wall.
type wallTime struct {
	weekday time.Weekday
	date    hours.Date
	minute  hours.Minute
}

func wallTimeOf(local time.Time) (w wallTime) {
	w.date.Year, w.date.Month, w.date.Day = local.Date()
	w.weekday, w.minute = local.Weekday(), hours.Minute(local.Hour()*60+local.Minute())
	return w
}

// rank tells which of two overrides for a slot counts: the higher. It is 0 where the override does not mean the slot.
func (o *SlotOverride) rank(w *wallTime) int {
	switch {
	case w.minute < o.From || w.minute >= o.To:
		return 0
	case o.Weekday != nil:
		if time.Weekday((*o.Weekday+1)%7) == w.weekday { // ours begins with Monday, time's with Sunday
			return 1
		}
		return 0
	case o.Date == w.date:
		return 3
	case o.Date.Year == 0 && o.Date.Month == w.date.Month && o.Date.Day == w.date.Day:
		return 2
	}
	return 0
}

// Slot is a pickup slot and how much of it is taken.
type Slot struct {
	// Start and End are by the clock on the location's wall.
	Start, End time.Time
	Capacity   int64 // orders
	Taken      int64
	// Free is how many more can be taken now: 0 also where it is too late for the slot, or too early, or the location is
	// blocked.
	Free int64
}

// slotLength returns how long a location's slots are, 0 where it has none.
func (p *place) slotLength() time.Duration {
	if p.slots == nil || p.calendar == nil {
		return 0
	}
	return time.Duration(p.slots.Interval) * time.Minute
}

// slotCapacity returns how many orders the slot that begins at an instant takes, 0 where none does.
func (p *place) slotCapacity(start time.Time) int64 {
	length := p.slotLength()
	if length == 0 || !p.calendar.SlotAt(start, length) {
		return 0
	}
	return p.capacityOf(start)
}

// capacityOf is slotCapacity for an instant at which a slot is known to begin.
func (p *place) capacityOf(start time.Time) int64 {
	capacity, best := p.slots.Capacity, 1
	if len(p.slots.Overrides) == 0 {
		return capacity
	}
	wall := wallTimeOf(p.calendar.Local(start))
	for i := range p.slots.Overrides {
		if o := &p.slots.Overrides[i]; o.rank(&wall) >= best {
			capacity, best = o.Capacity, o.rank(&wall)
		}
	}
	return capacity
}

// slotOpen reports whether a slot that begins at an instant can be taken now, if there is room in it.
func (p *place) slotOpen(start, now time.Time) bool {
	return !now.After(start.Add(-time.Duration(p.slots.Lead)*time.Minute)) && !start.After(p.lastSlot(now))
}

// lastSlot returns the last instant at which a slot may begin that can be taken now.
func (p *place) lastSlot(now time.Time) time.Time {
	return now.Add(time.Duration(p.slots.DaysAhead) * 24 * time.Hour)
}

// SlotsMax is the most slots that one call tells of.
const SlotsMax = 10000

// Slots appends to dst a location's pickup slots, at most limit, that begin from an instant on (zero = now) within days (0 =
// as far as they can be taken now), with what is taken of each, and returns where to go on from, zero at the end. Each is
// as of some moment during the call.
func (e *Engine) Slots(dst []Slot, location string, from time.Time, days, limit int) (slots []Slot, next time.Time, err error) {
	n, _ := e.locations.Lookup(location)
	p := e.locationOf(n)
	if p == nil {
		return dst, time.Time{}, e.unknownLocation(location)
	}
	now := e.Now()
	if from.IsZero() {
		from = now
	}
	if days < 0 || days > SlotDaysAheadMax {
		return dst, time.Time{}, invalid("days", days, fmt.Sprintf("1 to %d", SlotDaysAheadMax))
	}
	if limit < 1 || limit > SlotsMax {
		return dst, time.Time{}, invalid("limit", limit, fmt.Sprintf("1 to %d", SlotsMax))
	}
	if p.slots == nil {
		return dst, time.Time{}, e.settle(p.sequence)
	}
	until := from.Add(time.Duration(days) * 24 * time.Hour)
	if days == 0 {
		until = p.lastSlot(now).Add(1)
	}
	room, basis := limit, p.sequence
	e.eachSlot(p, from, until, now, func(s Slot, sequence uint64) bool {
		if room == 0 {
			next = s.Start
			return false
		}
		room--
		basis = max(basis, sequence)
		dst = append(dst, s)
		return true
	})
	return dst, next, e.settle(basis)
}

// eachSlot calls f with the slots of a location that begin from an instant on and before another, until it answers false.
// sequence is that of the last change of what is taken.
func (e *Engine) eachSlot(p *place, from, until, now time.Time, f func(s Slot, sequence uint64) bool) {
	length := p.slotLength()
	if length == 0 {
		return
	}
	var name []byte
	for start := range p.calendar.Slots(from, until, length) {
		s := Slot{Capacity: p.capacityOf(start)}
		if s.Capacity == 0 {
			continue
		}
		name = appendSlotSKU(name[:0], start)
		sku, _ := e.skus.Lookup(sharedString(name))
		view, _ := e.stock.View(sku, p.ID)
		s.Start, s.End, s.Taken = p.calendar.Local(start), p.calendar.Local(start.Add(length)), view.Held
		if !p.Blocked && p.slotOpen(start, now) {
			s.Free = max(0, s.Capacity-s.Taken)
		}
		if !f(s, view.Sequence) {
			return
		}
	}
}

// nextSlots returns the first n slots of a location that can be taken now and begin at or after an instant. What they rest
// on may not be durable yet.
func (e *Engine) nextSlots(p *place, after, now time.Time, n int) (free []Slot) {
	if p.slots == nil || n <= 0 {
		return nil
	}
	if after.Before(now) {
		after = now
	}
	e.eachSlot(p, after, p.lastSlot(now).Add(1), now, func(s Slot, _ uint64) bool {
		if s.Free > 0 {
			free = append(free, s)
		}
		return len(free) < n
	})
	return free
}
