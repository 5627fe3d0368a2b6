package hours

import (
	"iter"
	"time"
)

// Slots cut openings into intervals of one length. The first begins when the location opens, by the clock on the wall, and
// each next one where the one before ends, in time that passes, as long as a whole one is left before it closes. So clocks
// that are changed in the midst of an opening make neither a gap nor an overlap, only more slots or fewer.
//
// A slot lies within one opening, which belongs to the day it begins on. Where openings of two days overlap, the earlier goes
// first: of the later, only those are slots that begin when the last of the earlier one has ended.

// Slots yields the beginnings of the slots of a length that begin from an instant on and before another, in order.
func (c *Calendar) Slots(from, until time.Time, length time.Duration) iter.Seq[time.Time] {
	return func(yield func(time.Time) bool) {
		if c == nil || length <= 0 {
			return
		}
		first, last := c.dayAt(from)-1, c.dayAt(until)
		free := c.slotsEnd(first-1, length)
		for n := first; n <= last; n++ {
			for opens, closes := range c.openings(n) {
				for at := opens; !at.Add(length).After(closes); at = at.Add(length) {
					if at.Before(free) || at.Before(from) {
						continue
					}
					if !at.Before(until) || !yield(at) {
						return
					}
				}
			}
			free = c.slotsEnd(n, length)
		}
	}
}

// SlotAt reports whether a slot of a length begins at an instant.
func (c *Calendar) SlotAt(at time.Time, length time.Duration) bool {
	if c == nil || length <= 0 {
		return false
	}
	today := c.dayAt(at)
	for n := today - 1; n <= today; n++ {
		for opens, closes := range c.openings(n) {
			if !at.Before(opens) && !at.Add(length).After(closes) && at.Sub(opens)%length == 0 {
				return !at.Before(c.slotsEnd(n-1, length))
			}
		}
	}
	return false
}

// Local returns an instant by the clock on the location's wall.
func (c *Calendar) Local(t time.Time) time.Time { return t.In(c.zone) }

// openings yields the openings that begin on a day, in order.
func (c *Calendar) openings(number int) iter.Seq2[time.Time, time.Time] {
	return func(yield func(opens, closes time.Time) bool) {
		for _, s := range c.on(number).spans {
			opens, closes := c.instant(number, s.from), c.instant(number, s.to)
			if closes.After(opens) && !yield(opens, closes) {
				return
			}
		}
	}
}

// slotsEnd returns when the last slot of the openings that begin on a day ends, zero where there is none.
func (c *Calendar) slotsEnd(number int, length time.Duration) (end time.Time) {
	for opens, closes := range c.openings(number) {
		if n := closes.Sub(opens) / length; n > 0 {
			end = opens.Add(n * length)
		}
	}
	return end
}
