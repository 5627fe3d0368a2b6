package hours

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// ParseOSM reads the common subset of OpenStreetMap's opening_hours
// (https://wiki.openstreetmap.org/wiki/Key:opening_hours/specification): rules separated by semicolons, each with weekdays
// (ranges and lists, PH for public holidays) and hours (lists of intervals, overnight ones too), off or closed, or 24/7. A
// later rule for a day takes the place of an earlier one. Anything else is refused by name, never guessed.
//
// A public holiday is a weekday too, so a later rule for weekdays takes the place of an earlier one for PH, on holidays that
// fall on these. A Schedule can say that of all seven, but not of some: then it is refused. PH belongs into the last rule.
//
// A later rule takes the place of a whole day, of what is left there of the night before as well: Mo-Sa 20:00-03:00; Su off
// is closed on Sunday at one. Hardly anybody means that, and a Schedule, whose nights belong to the day they begin on, can't
// say it, so it is refused too. 20:00-24:00 on the one day and 00:00-03:00 on the next are the same to everybody.
//
// It returns an Error, in the field opening_hours, with the byte at which the text was not understood.
func ParseOSM(text string) ([]Regular, error) {
	p := osmParser{text: text}
	var rules [days][]Interval // of each day, by the latest rule for it
	var since sincePH
	var told []osmRule
	for {
		p.space()
		if p.at == len(p.text) && p.any {
			break // a semicolon at the end is common
		}
		begin := p.at
		of, intervals, err := p.rule()
		if err != nil {
			return nil, err
		}
		for _, d := range of {
			rules[d] = intervals
		}
		since.rule(of, intervals, rules[PublicHoliday], begin)
		told = append(told, osmRule{of, intervals, begin})
		p.any = true
		p.space()
		if p.at == len(p.text) {
			break
		}
		if !p.take(";") {
			return nil, p.refuse()
		}
	}
	switch {
	case since.all():
		rules[PublicHoliday] = nil
	case since.differs:
		p.at = since.at
		return nil, &Error{"opening_hours", fmt.Sprintf("%s at byte %d, after a rule for PH", p.word(), p.at),
			"rules for PH last: on a holiday that is such a weekday the later rule counts"}
	}
	if at, cut := cutNight(told, &rules); cut {
		p.at = at
		return nil, &Error{"opening_hours", fmt.Sprintf("%s at byte %d, after a rule whose hours go on past midnight", p.word(), p.at),
			"such hours written as two, until 24:00 and from 00:00 of the next day: a later rule for that day puts an end to the night before"}
	}
	return regularOf(&rules), nil
}

// sincePH is what later rules have said of weekdays since the latest one for public holidays.
type sincePH struct {
	weekdays [PublicHoliday]bool
	differs  bool // one has other hours than public holidays
	at       int  // the first that has
}

func (s *sincePH) rule(of []Day, intervals, holiday []Interval, at int) {
	if slices.Contains(of, PublicHoliday) {
		*s = sincePH{}
		return
	}
	if holiday == nil {
		return
	}
	if !s.differs && !slices.EqualFunc(intervals, holiday, func(a, b Interval) bool { return same(&a, &b) }) {
		s.differs, s.at = true, at
	}
	for _, d := range of {
		s.weekdays[d] = true
	}
}

// all reports whether every weekday was said again, so that nothing is left of the rule for public holidays.
func (s *sincePH) all() bool { return !slices.Contains(s.weekdays[:], false) }

// osmRule is a rule as it was read.
type osmRule struct {
	of        []Day
	intervals []Interval
	at        int
}

// cutNight finds the first rule that puts an end to a night of an earlier one: it says something of the day on which such a
// night begins or ends, and the day on which it ends is not open until then by itself. A public holiday may be any weekday,
// and any may come before and after it. A night that ends on a day of the same rule, or of an earlier one, or of none, is whole.
func cutNight(told []osmRule, rules *[days][]Interval) (at int, cut bool) {
	const never = math.MaxInt
	all := []Day{Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday, PublicHoliday}
	var later [days]int // where something is said of a day after the rule that is looked at
	for d := range later {
		later[d] = never
	}
	at = never
	for _, r := range slices.Backward(told) {
		if end := pastMidnight(r.intervals); end > 0 {
			for _, d := range r.of {
				begins, ends := []Day{d, PublicHoliday}, []Day{(d + 1) % 7, PublicHoliday}
				if d == PublicHoliday {
					begins, ends = all, all
				}
				said := never // of the day on which it begins
				for _, b := range begins {
					said = min(said, later[b])
				}
				for _, e := range ends {
					// Without a rule of its own a public holiday is a day like others.
					if !(e == PublicHoliday && rules[e] == nil) && !openUntil(rules[e], end) {
						at = min(at, said, later[e])
					}
				}
			}
		}
		for _, d := range r.of {
			later[d] = r.at
		}
	}
	return at, at < never
}

// pastMidnight returns the minute of the next day until which hours go on, 0 where they end on their own.
func pastMidnight(intervals []Interval) (end Minute) {
	for _, v := range intervals {
		if v.Opens != nil && *v.Closes < *v.Opens {
			end = max(end, *v.Closes)
		}
	}
	return end
}

// openUntil reports whether a day is open from midnight to a minute.
func openUntil(intervals []Interval, end Minute) bool {
	var d day
	for i := range intervals {
		d.add(&intervals[i])
	}
	d.merge()
	return len(d.spans) > 0 && d.spans[0].from == 0 && d.spans[0].to >= int(end)
}

// regularOf writes the intervals of each day as entries: one for each interval, with all the days that have it.
func regularOf(rules *[days][]Interval) (out []Regular) {
	add := func(d Day, v Interval) {
		for i := range out {
			if same(&out[i].Interval, &v) && !slices.Contains(out[i].Days, d) {
				out[i].Days = append(out[i].Days, d)
				return
			}
		}
		out = append(out, Regular{Days: []Day{d}, Interval: v})
	}
	for d := range rules {
		for _, v := range rules[d] {
			add(Day(d), v)
		}
	}
	return out
}

func same(a, b *Interval) bool {
	if a.Closed || b.Closed {
		return a.Closed == b.Closed
	}
	return *a.Opens == *b.Opens && *a.Closes == *b.Closes
}

type osmParser struct {
	text string
	at   int
	any  bool
}

var osmDays = map[string]Day{
	"Mo": Monday, "Tu": Tuesday, "We": Wednesday, "Th": Thursday, "Fr": Friday, "Sa": Saturday, "Su": Sunday, "PH": PublicHoliday,
}

// word returns what stands where the parser is.
func (p *osmParser) word() string {
	rest := p.text[p.at:]
	if end := strings.IndexAny(rest, " ,;"); end >= 0 {
		rest = rest[:max(end, 1)]
	}
	if rest == "" {
		return "the end"
	}
	return quote(rest)
}

// refuse names what is not understood.
func (p *osmParser) refuse() error {
	return &Error{"opening_hours", fmt.Sprintf("%s at byte %d", p.word(), p.at),
		`weekdays and times such as "Mo-Fr 09:00-12:00,14:00-18:00; Sa 10:00-16:00; PH off", or 24/7`}
}

func (p *osmParser) space() {
	for p.at < len(p.text) && p.text[p.at] == ' ' {
		p.at++
	}
}

func (p *osmParser) take(token string) bool {
	if strings.HasPrefix(p.text[p.at:], token) {
		p.at += len(token)
		return true
	}
	return false
}

// rule reads weekdays and what they are open. Weekdays left out are all seven.
func (p *osmParser) rule() (of []Day, intervals []Interval, err error) {
	if p.take("24/7") {
		of = []Day{Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday}
		p.space()
		if closed := p.take("off") || p.take("closed"); closed {
			return of, []Interval{{Closed: true}}, nil
		}
		p.take("open")
		return of, []Interval{interval(0, dayMinutes)}, nil
	}
	if of, err = p.weekdays(); err != nil {
		return nil, nil, err
	}
	p.space()
	if p.take("off") || p.take("closed") {
		if of == nil {
			of = []Day{Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday}
		}
		return of, []Interval{{Closed: true}}, nil
	}
	for {
		v, err := p.interval()
		if err != nil {
			return nil, nil, err
		}
		intervals = append(intervals, v)
		p.space()
		if !p.take(",") {
			break
		}
		p.space()
	}
	if of == nil {
		of = []Day{Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday}
	}
	p.space()
	p.take("open")
	return of, intervals, nil
}

// weekdays reads a list of days and ranges, nil where there is none.
func (p *osmParser) weekdays() (of []Day, err error) {
	for {
		first, ok := p.day()
		if !ok {
			if of == nil {
				return nil, nil
			}
			return nil, p.refuse()
		}
		last := first
		p.space()
		if p.take("-") {
			p.space()
			begin := p.at
			if last, ok = p.day(); !ok || first == PublicHoliday || last == PublicHoliday {
				p.at = begin
				return nil, p.refuse()
			}
		}
		for d := first; ; d = (d + 1) % 7 {
			if !slices.Contains(of, d) {
				of = append(of, d)
			}
			if d == last {
				break
			}
		}
		p.space()
		if !p.take(",") {
			p.take(":") // "Mo-Fr: 09:00-18:00" is common, and means nothing else
			return of, nil
		}
		p.space()
	}
}

func (p *osmParser) day() (Day, bool) {
	if len(p.text)-p.at < 2 {
		return 0, false
	}
	d, ok := osmDays[p.text[p.at:p.at+2]]
	if ok {
		p.at += 2
	}
	return d, ok
}

// interval reads hours such as 09:00-12:30, overnight as 18:00-02:00 or 18:00-26:00.
func (p *osmParser) interval() (Interval, error) {
	from, ok := p.time(dayMinutes - 1)
	if !ok {
		return Interval{}, p.refuse()
	}
	p.space()
	if !p.take("-") {
		return Interval{}, p.refuse()
	}
	p.space()
	begin := p.at
	to, ok := p.time(2 * dayMinutes)
	if !ok {
		return Interval{}, p.refuse()
	}
	if to > dayMinutes {
		to -= dayMinutes
		if to >= from {
			p.at = begin
			return Interval{}, p.refuse() // longer than a day
		}
	}
	if to == from {
		p.at = begin
		return Interval{}, p.refuse() // a whole day, or nothing: who knows
	}
	return interval(from, to), nil
}

func (p *osmParser) time(most int) (int, bool) {
	end := p.at
	for end < len(p.text) && (p.text[end] == ':' || '0' <= p.text[end] && p.text[end] <= '9') {
		end++
	}
	v, ok := parseMinute(p.text[p.at:end], most)
	if ok {
		p.at = end
	}
	return v, ok
}

func interval(from, to int) Interval {
	opens, closes := Minute(from), Minute(to)
	return Interval{Opens: &opens, Closes: &closes}
}
