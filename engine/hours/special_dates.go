package hours

import (
	"slices"
	"time"
)

// DatedHours are the hours of a range of dates, each of one year.
type DatedHours struct {
	From, Through Date
	Intervals     []Interval // as they were said; several add up
}

// SpecialDates returns the special days as dates that can be published where no rule says which of several counts: ranges
// in order, none overlapping another, each with the hours that count on all of its dates. Special days of one year are all
// there; those of each year come as in Special.Dates.
func (s *Schedule) SpecialDates(firstYear, lastYear int) (out []DatedHours, err error) {
	c, err := s.Compile()
	if err != nil || c == nil {
		return nil, err
	}
	// What begins or ends nowhere between two cuts counts on all days between them or on none. Days of each year are cut in a
	// year more at both ends: a range over the year's end goes on there, and others may take its place.
	type days struct{ from, through int }
	var told []days
	var cuts []int
	for i := range s.Special {
		for _, r := range s.Special[i].Dates(firstYear, lastYear) {
			told = append(told, days{r[0].number(), r[1].number()})
		}
		for _, r := range s.Special[i].Dates(firstYear-1, lastYear+1) {
			cuts = append(cuts, r[0].number(), r[1].number()+1)
		}
	}
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)
	var last *group
	for i := 1; i < len(cuts); i++ {
		from, through := cuts[i-1], cuts[i]-1
		if !slices.ContainsFunc(told, func(d days) bool { return d.from <= from && through <= d.through }) {
			last = nil
			continue
		}
		g := c.groupOn(from)
		if g == last {
			out[len(out)-1].Through = dateAt(through)
			continue
		}
		last = g
		out = append(out, DatedHours{dateAt(from), dateAt(through), s.intervalsOf(g)})
	}
	return out, nil
}

// intervalsOf returns what was said of a range of special days.
func (s *Schedule) intervalsOf(g *group) (out []Interval) {
	for i := range s.Special {
		v := &s.Special[i]
		if (v.From.Year == 0) == g.yearly && v.From.number() == g.from && v.last().number() == g.through {
			out = append(out, v.Interval)
		}
	}
	return out
}

// dateAt returns the date that is so many days after 1970-01-01.
func dateAt(number int) Date {
	t := time.Unix(int64(number)*86400, 0).UTC()
	return Date{t.Year(), t.Month(), t.Day()}
}
