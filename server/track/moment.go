package track

import (
	"fmt"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

var (
	zonesMu sync.Mutex
	zones   = map[string]*time.Location{}
)

// zoneOf returns a time zone, parsed once, and the name that it is shown under.
func zoneOf(name string) (*time.Location, string) {
	if name == "" || name == "Local" { // the latter is the machine's own
		return time.UTC, "UTC"
	}
	zonesMu.Lock()
	defer zonesMu.Unlock()
	if z := zones[name]; z != nil {
		return z, name
	}
	z, err := time.LoadLocation(name)
	if err != nil {
		return time.UTC, "UTC" // and it is shown as such
	}
	zones[name] = z
	return z, name
}

// moment is an instant as it is written: complete, and seen from now.
type moment struct {
	ISO      string // RFC 3339
	Text     string // Thursday 26 November at 19:30
	Relative string // tomorrow; in 3 hours; empty where there is nothing to add
}

// clockwork writes times for a page.
type clockwork struct {
	*texts
	now time.Time
	in  *time.Location
}

func (c *clockwork) moment(t time.Time) *moment {
	if t.IsZero() {
		return nil
	}
	t = t.In(c.in)
	return &moment{
		ISO: t.Format(time.RFC3339), Text: c.absolute(t), Relative: c.relative(t),
	}
}

func (c *clockwork) clockAt(t time.Time) string { return c.texts.clock(t.Hour(), t.Minute()) }

// dated writes a date, with its year where it isn't this one.
func (c *clockwork) dated(t time.Time) string {
	if t.Year() == c.now.In(c.in).Year() {
		return c.texts.date(t)
	}
	return fmt.Sprintf(c.ofYear, c.texts.date(t), t.Year())
}

func (c *clockwork) absolute(t time.Time) string { return fmt.Sprintf(c.at, c.dated(t), c.clockAt(t)) }

// near writes a time for within a sentence, without its date where it is today, and with a word for tomorrow.
func (c *clockwork) near(t time.Time) string {
	t = t.In(c.in)
	switch c.daysTo(t) {
	case 0:
		return fmt.Sprintf(c.atClock, c.clockAt(t))
	case 1:
		return fmt.Sprintf(c.at, c.tomorrow, c.clockAt(t))
	}
	return fmt.Sprintf(c.onDate, c.dated(t), c.clockAt(t))
}

// daysTo returns how many midnights are between now and t.
func (c *clockwork) daysTo(t time.Time) int {
	midnight := func(t time.Time) time.Time { return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC) }
	return int(midnight(t).Sub(midnight(c.now.In(c.in))).Hours() / 24)
}

// relative tells how far t is from now: in minutes or hours on the same day, else in days of the calendar, which is what
// people count.
func (c *clockwork) relative(t time.Time) string {
	d, word := t.Sub(c.now), c.texts.in
	if d < 0 {
		d, word = -d, c.ago
	}
	switch days := c.daysTo(t); {
	case d < time.Minute:
		return c.justNow
	case d < time.Hour:
		return word(int(d/time.Minute), minute)
	case days == 0 || d < 6*time.Hour:
		return word(int(d/time.Hour), hour)
	case days == 1:
		return c.tomorrow
	case days == -1:
		return c.yesterday
	default:
		return word(max(days, -days), day)
	}
}

// slot writes a period.
func (c *clockwork) slotText(from, to time.Time) string {
	from, to = from.In(c.in), to.In(c.in)
	return fmt.Sprintf(c.fromTo, c.dated(from), c.clockAt(from), c.clockAt(to))
}

// capital makes a text begin with a capital letter.
func capital(text string) string {
	r, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(r)) + text[size:]
}
