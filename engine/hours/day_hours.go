package hours

import "slices"

// DayHours are the hours of a day. Without spans it is closed, unless they are unknown.
type DayHours struct {
	Spans   []Span
	Unknown bool
}

// Span is an opening, in minutes since the midnight that its day begins with; one that ends after 1440 ends on the next day.
type Span struct{ From, To int }

// Equal reports whether two days have the same hours.
func (d *DayHours) Equal(o *DayHours) bool {
	return d.Unknown == o.Unknown && slices.Equal(d.Spans, o.Spans)
}

// Weekday returns the regular hours of a day of the week.
func (c *Calendar) Weekday(d Day) DayHours {
	if c == nil || d >= days {
		return DayHours{Unknown: true}
	}
	return c.week[d].hours()
}

// On returns the hours of a date: a special day's, a public holiday's, or those of its day of the week.
func (c *Calendar) On(date Date) DayHours {
	if c == nil {
		return DayHours{Unknown: true}
	}
	return c.on(date.number()).hours()
}

func (d *day) hours() DayHours {
	out := DayHours{Unknown: d.unknown}
	for _, s := range d.spans {
		out.Spans = append(out.Spans, Span{s.from, s.to})
	}
	return out
}
