package hours

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // a machine without zone files must not make hours unknown
)

// Calendar answers questions about a schedule. It is never changed once made, and safe for concurrent use. A nil Calendar
// knows nothing.
type Calendar struct {
	zone     *time.Location
	week     [days]day
	holidays *holidays
	byGroup  []group
	always   bool // round the clock on every day that there is
}

// day is the hours of a day. No spans and not unknown is closed.
type day struct {
	spans   []span // in order, none touching the next
	unknown bool
	said    bool // something was said of it
}

// span is an opening, in minutes since the midnight that its day begins with; to may be on the next day.
type span struct{ from, to int }

// group is a range of special days.
type group struct {
	from, through, length int
	yearly                bool
	day
}

// State is whether a location is open.
type State uint8

// The states.
const (
	Unknown State = iota
	Closed
	Open
)

// String returns the state as it is written as JSON.
func (s State) String() string {
	switch s {
	case Closed:
		return "closed"
	case Open:
		return "open"
	}
	return "unknown"
}

// Status is whether a location is open at an instant, and what comes next.
type Status struct {
	State State
	// Never is whether a closed location stays so for a year, as all of these days are known.
	Never bool
	// Closes, of an open location, is when it closes; zero where that is not within a year.
	Closes time.Time
	// Opens, of a closed location, is the next instant at which it is open; zero where that is not within a year, or where
	// a day of unknown hours comes first.
	Opens time.Time
	// Until is an instant up to which, and not including it, all of this stays so.
	Until time.Time
}

// horizonDays is how far ahead is looked.
const horizonDays = 366

var (
	zonesMu sync.Mutex
	zones   = map[string]*time.Location{}
)

// loadZone returns a time zone, parsed once.
func loadZone(name string) (*time.Location, error) {
	switch {
	case name == "" || name == "Local":
		return nil, fmt.Errorf("no time zone %q", name) // to package time they are UTC and the machine's own
	case name == "localtime" || name == "posixrules" || strings.HasPrefix(name, "posix/") || strings.HasPrefix(name, "right/"):
		// Files that some machines have beside those of the data base. The last count leap seconds, so they are wrong by some.
		return nil, fmt.Errorf("no time zone %q in the data base", name)
	}
	zonesMu.Lock()
	defer zonesMu.Unlock()
	if z := zones[name]; z != nil {
		return z, nil
	}
	z, err := time.LoadLocation(name)
	if err == nil {
		zones[name] = z
	}
	return z, err
}

// Compile validates a schedule and makes it a calendar, nil where nothing is said of hours.
func (s *Schedule) Compile() (*Calendar, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	if len(s.Regular)+len(s.Special) == 0 {
		return nil, nil
	}
	c := &Calendar{}
	c.zone, _ = loadZone(s.Zone)
	c.holidays, _ = holidaysOf(s.Country, s.Region)
	for i := range s.Regular {
		for _, d := range s.Regular[i].Days {
			c.week[d].add(&s.Regular[i].Interval)
		}
	}
	for i := range c.week {
		c.week[i].unknown = c.week[i].unknown || len(s.Regular) == 0
		c.week[i].merge()
	}
	for i := range s.Special {
		c.special(&s.Special[i])
	}
	for i := range c.byGroup {
		c.byGroup[i].merge()
	}
	slices.SortStableFunc(c.byGroup, func(a, b group) int {
		if a.yearly != b.yearly {
			if b.yearly {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.length, b.length)
	})
	c.always = len(c.byGroup) == 0
	for d := Monday; d <= PublicHoliday; d++ {
		c.always = c.always && (c.week[d].round() || d == PublicHoliday && (c.holidays == nil || !c.week[d].said))
	}
	return c, nil
}

// special adds an entry to the group of its range. Later ranges come first, so that they win over equally long ones.
func (c *Calendar) special(s *Special) {
	from, through := s.From.number(), s.last().number()
	yearly := s.From.Year == 0
	for i := range c.byGroup {
		if g := &c.byGroup[i]; g.yearly == yearly && g.from == from && g.through == through {
			g.add(&s.Interval)
			return
		}
	}
	g := group{from: from, through: through, yearly: yearly, length: through - from}
	if yearly {
		g.length = (s.last().ofYear() - s.From.ofYear() + 366) % 366 // it may go over the year's end
	}
	g.add(&s.Interval)
	c.byGroup = slices.Insert(c.byGroup, 0, g)
}

func (d *day) add(v *Interval) {
	d.said = true
	d.unknown = d.unknown || v.Unknown
	if v.Opens == nil {
		return
	}
	s := span{int(*v.Opens), int(*v.Closes)}
	if s.to <= s.from {
		s.to += dayMinutes
	}
	d.spans = append(d.spans, s)
}

// merge sorts the spans and joins those that touch.
func (d *day) merge() {
	slices.SortFunc(d.spans, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	out := d.spans[:0]
	for _, s := range d.spans {
		if n := len(out); n > 0 && s.from <= out[n-1].to {
			out[n-1].to = max(out[n-1].to, s.to)
		} else {
			out = append(out, s)
		}
	}
	d.spans = out
}

// round reports whether a day is open from midnight to midnight.
func (d *day) round() bool {
	return len(d.spans) == 1 && d.spans[0].from == 0 && d.spans[0].to >= dayMinutes
}

// on returns the hours of a day since 1970.
func (c *Calendar) on(number int) *day {
	if g := c.groupOn(number); g != nil {
		return &g.day
	}
	if c.week[PublicHoliday].said && c.holidays.on(number) {
		return &c.week[PublicHoliday]
	}
	return &c.week[weekday(number)]
}

// groupOn returns the special days that count on a day since 1970, nil for none.
func (c *Calendar) groupOn(number int) *group {
	if len(c.byGroup) == 0 {
		return nil
	}
	date := time.Unix(int64(number)*86400, 0).UTC()
	ofYear := int(date.Month())*32 + date.Day()
	for i := range c.byGroup {
		g := &c.byGroup[i]
		n := number
		if g.yearly {
			n = ofYear
		}
		if g.from <= n && n <= g.through || g.yearly && g.from > g.through && (n >= g.from || n <= g.through) {
			return g
		}
	}
	return nil
}

// weekday returns the day of the week; 1970-01-01 was a Thursday.
func weekday(number int) Day { return Day(((number+3)%7 + 7) % 7) }

// dayAt returns the local date at an instant, in days since 1970.
func (c *Calendar) dayAt(t time.Time) int {
	_, offset := t.In(c.zone).Zone()
	return int(floorDiv(t.Unix()+int64(offset), 86400))
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// instant returns when the clocks on the walls show a time. What they show twice, where they are put back, is the first time:
// who closes at half past two does not stay to see it again. What they never show, where they are put forward, is the instant
// at which they are.
func (c *Calendar) instant(number, minute int) time.Time {
	wall := int64(number)*86400 + int64(minute)*60
	_, before := time.Unix(wall-86400, 0).In(c.zone).Zone()
	_, after := time.Unix(wall+86400, 0).In(c.zone).Zone()
	if before == after {
		return time.Unix(wall-int64(before), 0)
	}
	early, late := time.Unix(wall-int64(max(before, after)), 0), time.Unix(wall-int64(min(before, after)), 0)
	for _, t := range []time.Time{early, late} {
		if _, offset := t.In(c.zone).Zone(); t.Unix()+int64(offset) == wall {
			return t
		}
	}
	// It lies in the gap, so the later of the two is after it.
	start, _ := late.In(c.zone).ZoneBounds()
	return start
}

// spanAt returns the end of the opening that an instant lies in, not joined with what follows; zero where it lies in none.
func (c *Calendar) spanAt(t time.Time) (end time.Time) {
	today := c.dayAt(t)
	for n := today - 1; n <= today; n++ {
		for _, s := range c.on(n).spans {
			if n < today && s.to <= dayMinutes-180 {
				continue // over since before midnight, whatever was done to the clocks
			}
			if !c.instant(n, s.from).After(t) {
				if to := c.instant(n, s.to); to.After(t) && to.After(end) {
					end = to
				}
			}
		}
	}
	return end
}

// OpenAt reports whether the location is known to be open at an instant.
func (c *Calendar) OpenAt(t time.Time) bool { return c != nil && (c.always || !c.spanAt(t).IsZero()) }

// At returns whether the location is open at an instant, and what comes next.
func (c *Calendar) At(t time.Time) Status {
	if c == nil {
		return Status{Until: t.Add(horizonDays * 24 * time.Hour)}
	}
	if c.always {
		return Status{State: Open, Until: t.Add(horizonDays * 24 * time.Hour)}
	}
	today := c.dayAt(t)
	if end := c.spanAt(t); !end.IsZero() {
		limit := t.Add(horizonDays * 24 * time.Hour)
		for end.Before(limit) {
			// Days that are open from midnight to midnight are passed over without a look at the clock.
			n := c.dayAt(end)
			round := n
			for round <= today+horizonDays && c.on(round).round() {
				round++
			}
			next := c.spanAt(end)
			if next.IsZero() {
				return Status{State: Open, Closes: end, Until: end}
			}
			if end = next; round > n+1 {
				if midnight := c.instant(round, 0); midnight.After(end) {
					end = midnight
				}
			}
		}
		return Status{State: Open, Until: c.nextDay(today, t)}
	}
	if c.on(today).unknown {
		return Status{Until: c.nextDay(today, t)}
	}
	for n := today; n <= today+horizonDays; n++ {
		d := c.on(n)
		if d.unknown {
			return Status{State: Closed, Until: c.nextDay(n-1, t)}
		}
		for _, s := range d.spans {
			from := c.instant(n, s.from)
			// A span that lies in a gap of the clock as a whole is none.
			if from.After(t) && c.instant(n, s.to).After(from) {
				return Status{State: Closed, Opens: from, Until: from}
			}
		}
	}
	return Status{State: Closed, Never: true, Until: c.nextDay(today, t)}
}

// nextDay returns the midnight that ends a day, or a little after t where that is past, as it may be where clocks are put
// back at midnight.
func (c *Calendar) nextDay(number int, t time.Time) time.Time {
	if end := c.instant(number+1, 0); end.After(t) {
		return end
	}
	return t.Add(time.Minute)
}

// UnknownError says that hours don't tell what was asked.
type UnknownError struct{ Why string }

func (e *UnknownError) Error() string { return e.Why }

// openDayHorizon is within how many days the open days of a deadline have to be.
const openDayHorizon = 62

// DeadlineOfOpenDay returns the instant that is some time before the last closing of the n-th open day, 1 to 31. The first
// open day is the first on which that instant is still to come, from the day of the instant from on; days without an opening
// are not counted. An opening belongs to the day on which it begins; one that goes on around the clock closes, for this, at
// midnight. It returns an UnknownError where the hours don't tell.
func (c *Calendar) DeadlineOfOpenDay(from time.Time, n int, before time.Duration) (time.Time, error) {
	if c == nil {
		return time.Time{}, &UnknownError{"opening hours are unknown"}
	}
	today := c.dayAt(from)
	for number := today - 1; number <= today+openDayHorizon; number++ {
		d := c.on(number)
		if d.unknown && number >= today {
			date := time.Unix(int64(number)*86400, 0).UTC().Format(time.DateOnly)
			return time.Time{}, &UnknownError{"opening hours on " + date + " are unknown"}
		}
		if len(d.spans) == 0 {
			continue
		}
		last := d.spans[len(d.spans)-1]
		if closes := c.instant(number, last.to).Add(-before); closes.After(from) {
			if n--; n == 0 {
				return closes, nil
			}
		}
	}
	return time.Time{}, &UnknownError{fmt.Sprintf("opening hours have too few open days in the next %d", openDayHorizon)}
}
