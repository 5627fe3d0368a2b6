package track

import (
	"fmt"
	"slices"
)

// hoursRow is a row of opening hours.
type hoursRow struct {
	Days, Name string
	Spans      []string
}

// hoursView is the hours as they are shown.
type hoursView struct {
	State   OpenState
	Text    string
	Week    []hoursRow
	Special []hoursRow
}

func (c *clockwork) hoursView(h *Hours) *hoursView {
	v := &hoursView{State: h.State, Text: c.hoursUnknown}
	switch {
	case h.State == Open && h.Closes.IsZero():
		v.Text = c.openNow
	case h.State == Open:
		v.Text = fmt.Sprintf(c.openUntil, c.near(h.Closes))
	case h.State == Closed && h.Opens.IsZero():
		v.Text = c.closedNow
	case h.State == Closed:
		v.Text = fmt.Sprintf(c.closedUntil, c.near(h.Opens))
	case len(h.Week) > 0:
		v.Text = "" // what is known is in the table
	}
	for _, g := range grouped(h.Week) {
		first, last := g[0], g[len(g)-1]
		row := hoursRow{Days: capital(c.texts.days[first.Day]), Spans: c.dayHours(&first.DayHours)}
		switch {
		case len(g) == 7:
			row.Days = c.everyDay
		case len(g) > 1:
			row.Days += " – " + c.texts.days[last.Day]
		}
		v.Week = append(v.Week, row)
	}
	for _, s := range h.Special {
		v.Special = append(v.Special, hoursRow{Days: capital(c.dated(s.Date)), Name: s.Name, Spans: c.dayHours(&s.DayHours)})
	}
	return v
}

// grouped puts days that follow each other and have the same hours together.
func grouped(week []Weekday) (groups [][]Weekday) {
	for i, d := range week {
		if n := len(groups); n > 0 && d.equal(&week[i-1].DayHours) && d.Day == (week[i-1].Day+1)%7 {
			groups[n-1] = append(groups[n-1], d)
			continue
		}
		groups = append(groups, []Weekday{d})
	}
	return groups
}

func (d *DayHours) equal(o *DayHours) bool {
	return d.Unknown == o.Unknown && slices.Equal(d.Spans, o.Spans)
}

func (c *clockwork) dayHours(d *DayHours) (spans []string) {
	switch {
	case d.Unknown:
		return []string{c.notKnown}
	case len(d.Spans) == 0:
		return []string{c.closed}
	case len(d.Spans) == 1 && d.Spans[0] == Span{0, 1440}:
		return []string{c.roundTheClock}
	}
	for _, s := range d.Spans {
		spans = append(spans, c.minutes(s.Opens)+" – "+c.minutes(s.Closes))
	}
	return spans
}

func (c *clockwork) minutes(m int) string { return c.texts.clock(m/60, m%60) }
