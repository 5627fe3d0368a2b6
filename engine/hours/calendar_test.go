package hours

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// weekly makes a schedule out of OSM hours.
func weekly(t testing.TB, zone, osm string, special ...Special) *Schedule {
	t.Helper()
	regular, err := ParseOSM(osm)
	if err != nil {
		t.Fatal(err)
	}
	s := &Schedule{Zone: zone, Regular: regular, Special: special}
	if strings.Contains(osm, "PH") {
		s.Country = "FR"
	}
	return s
}

func compile(t testing.TB, s *Schedule) *Calendar {
	t.Helper()
	c, err := s.Compile()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// date reads a date, or two with a slash between them.
func date(text string) (d Date) {
	if err := d.UnmarshalText([]byte(text)); err != nil {
		panic(err)
	}
	return d
}

func on(dates, hours string) Special {
	from, through, _ := strings.Cut(dates, "/")
	s := Special{From: date(from)}
	if through != "" {
		s.Through = date(through)
	}
	switch hours {
	case "closed":
		s.Closed = true
	case "unknown":
		s.Unknown = true
	default:
		var opens, closes Minute
		a, b, _ := strings.Cut(hours, "-")
		if err := errors.Join(opens.UnmarshalText([]byte(a)), closes.UnmarshalText([]byte(b))); err != nil {
			panic(err)
		}
		s.Opens, s.Closes = &opens, &closes
	}
	return s
}

func TestAt(t *testing.T) {
	const paris = "Europe/Paris"
	office := weekly(t, paris, "Mo-Fr 09:00-12:00,14:00-18:00; Sa 10:00-16:00")
	holidays := weekly(t, paris, "Mo-Sa 10:00-19:00; PH off")
	bar := weekly(t, paris, "Mo-Sa 18:00-02:00")
	always := weekly(t, paris, "24/7")
	christmas := weekly(t, paris, "24/7", on("--12-25", "closed"))
	special := weekly(t, paris, "Mo-Su 10:00-19:00; PH off",
		on("2026-12-24", "10:00-14:00"), on("2026-12-25", "12:00-14:00"), on("2026-12-28/2027-01-03", "closed"),
		on("2026-12-30", "08:00-09:00"), on("--12-20/--01-06", "11:00-12:00"), on("2026-11-30", "unknown"))
	onlySpecial := &Schedule{Zone: paris, Special: []Special{on("2026-12-24", "10:00-14:00")}}
	night := weekly(t, paris, "Mo-Su 01:00-05:00")
	newYork := weekly(t, "America/New_York", "Mo-Su 01:30-02:30")
	summer := weekly(t, "Australia/Lord_Howe", "Mo-Su 01:45-02:15") // half an hour is put forward at 02:00
	for _, c := range []struct {
		name   string
		s      *Schedule
		at     string // local time
		state  State
		change string // closes or opens, local; "" for none
	}{
		{"a minute before it opens", office, "2026-11-23T08:59", Closed, "2026-11-23T09:00"},
		{"as it opens", office, "2026-11-23T09:00", Open, "2026-11-23T12:00"},
		{"a minute before it closes", office, "2026-11-23T11:59", Open, "2026-11-23T12:00"},
		{"as it closes", office, "2026-11-23T12:00", Closed, "2026-11-23T14:00"},
		{"on Sunday", office, "2026-11-22T12:00", Closed, "2026-11-23T09:00"},

		{"public holiday", holidays, "2026-11-11T12:00", Closed, "2026-11-12T10:00"},
		{"day before it", holidays, "2026-11-10T20:00", Closed, "2026-11-12T10:00"},

		{"after midnight", bar, "2026-11-24T01:59", Open, "2026-11-24T02:00"},
		{"on Sunday after midnight", bar, "2026-11-22T00:30", Open, "2026-11-22T02:00"},
		{"on Sunday evening", bar, "2026-11-22T18:30", Closed, "2026-11-23T18:00"},

		{"round the clock", always, "2026-11-23T00:00", Open, ""},
		{"round the clock but one day", christmas, "2026-01-01T00:00", Open, "2026-12-25T00:00"},
		{"that day", christmas, "2026-12-25T00:00", Closed, "2026-12-26T00:00"},

		{"dated", special, "2026-12-24T15:00", Closed, "2026-12-25T12:00"},
		{"dated, on a public holiday", special, "2026-12-25T12:00", Open, "2026-12-25T14:00"},
		{"dated range before yearly one", special, "2026-12-29T11:30", Closed, "2026-12-30T08:00"},
		{"single day in a range", special, "2026-12-30T08:30", Open, "2026-12-30T09:00"},
		{"yearly over the year's end", special, "2027-01-05T11:30", Open, "2027-01-05T12:00"},
		{"yearly on a public holiday", special, "2029-01-01T11:00", Open, "2029-01-01T12:00"},
		{"unknown day", special, "2026-11-30T11:00", Unknown, ""},
		{"before an unknown day", special, "2026-11-29T20:00", Closed, ""},

		{"nothing regular", onlySpecial, "2026-12-23T11:00", Unknown, ""},
		{"nothing regular, that day", onlySpecial, "2026-12-24T11:00", Open, "2026-12-24T14:00"},
		{"nothing regular, that evening", onlySpecial, "2026-12-24T20:00", Closed, ""},

		{"the night of 23 hours", night, "2026-03-29T01:59", Open, "2026-03-29T05:00"},
		{"round the clock as clocks go forward", always, "2026-03-29T03:00", Open, ""},
		{"closing never shown", newYork, "2026-03-08T01:59", Open, "2026-03-08T03:00"},
		{"opening shown twice, the first", newYork, "2026-11-01T01:15", Closed, "2026-11-01T01:30"},
		{"half an hour forward", summer, "2026-10-04T01:50", Open, "2026-10-04T02:30"},
	} {
		t.Run(c.name, func(t *testing.T) {
			calendar := compile(t, c.s)
			at := local(t, c.at, calendar.zone)
			got := calendar.At(at)
			change := got.Closes
			if got.State == Closed {
				change = got.Opens
			}
			text := ""
			if !change.IsZero() {
				text = change.In(calendar.zone).Format("2006-01-02T15:04")
			}
			if got.State != c.state || text != c.change {
				t.Errorf("at %s: %v until %q, want %v until %q", at, got.State, text, c.state, c.change)
			}
			if open := calendar.OpenAt(at); open != (c.state == Open) {
				t.Errorf("OpenAt: %v", open)
			}
			if !got.Until.After(at) {
				t.Errorf("stays so until %v", got.Until)
			}
		})
	}
}

func local(t testing.TB, text string, zone *time.Location) time.Time {
	t.Helper()
	at, err := time.ParseInLocation("2006-01-02T15:04", text, zone)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// As clocks are put back, what they show twice counts the first time.
func TestAnHourTwice(t *testing.T) {
	c := compile(t, weekly(t, "Europe/Paris", "Su 02:15-05:00; Sa 22:00-02:30"))
	opens := local(t, "2026-10-24T22:00", c.zone)
	if got := c.At(opens); got.Closes.Sub(opens) != 8*time.Hour {
		t.Errorf("open for %v, want eight hours", got.Closes.Sub(opens))
	}
	c = compile(t, weekly(t, "Europe/Paris", "Sa 22:00-02:30"))
	if got := c.At(opens); got.Closes.Sub(opens) != 4*time.Hour+30*time.Minute {
		t.Errorf("open for %v, want four hours and a half", got.Closes.Sub(opens))
	}
}

func TestNoSchedule(t *testing.T) {
	var c *Calendar
	if got := c.At(time.Now()); got.State != Unknown || c.OpenAt(time.Now()) {
		t.Errorf("%+v", got)
	}
	if c, err := (&Schedule{}).Compile(); c != nil || err != nil {
		t.Errorf("%v, %v", c, err)
	}
}

// A shop in Samoa had no 30th of December 2011.
func TestTheDayThatWasNot(t *testing.T) {
	c := compile(t, weekly(t, "Pacific/Apia", "Mo-Su 09:00-17:00"))
	at := local(t, "2011-12-29T18:00", c.zone)
	if got := c.At(at); got.State != Closed || got.Opens.In(c.zone).Format("01-02 15:04") != "12-31 09:00" {
		t.Errorf("%+v", got)
	}
	if got := compile(t, weekly(t, "Pacific/Apia", "24/7", on("2011-12-30", "closed"))).At(at); got.State != Open {
		t.Errorf("%+v", got)
	}
}

func TestDeadlineOfOpenDay(t *testing.T) {
	shop := weekly(t, "Europe/Paris", "Mo-Sa 10:00-19:00; PH off", on("2026-12-24", "10:00-16:00"), on("2027-02-01", "unknown"))
	bar := weekly(t, "Europe/Paris", "Fr-Sa 18:00-02:00")
	for _, c := range []struct {
		s      *Schedule
		from   string
		n      int
		before time.Duration
		want   string
	}{
		{shop, "2026-11-21T12:00", 1, 0, "2026-11-21T19:00"},
		{shop, "2026-11-21T12:00", 2, 30 * time.Minute, "2026-11-23T18:30"}, // over Sunday
		{shop, "2026-11-21T18:30", 1, 30 * time.Minute, "2026-11-23T18:30"}, // too late for today
		{shop, "2026-11-21T18:29", 1, 30 * time.Minute, "2026-11-21T18:30"},
		{shop, "2026-12-24T15:59", 2, 0, "2026-12-26T19:00"}, // over Christmas
		{shop, "2026-12-24T16:00", 2, 0, "2026-12-28T19:00"},
		{shop, "2027-01-30T12:00", 2, 0, "opening hours on 2027-02-01 are unknown"},
		{bar, "2026-11-22T01:00", 1, 0, "2026-11-22T02:00"}, // still Saturday's
		{bar, "2026-11-22T01:00", 2, time.Hour, "2026-11-29T01:00"},
		{weekly(t, "Europe/Paris", "24/7"), "2026-11-22T01:00", 2, 0, "2026-11-24T00:00"},
		{weekly(t, "Europe/Paris", "Mo off"), "2026-11-22T01:00", 1, 0, "opening hours have too few open days in the next 62"},
		{&Schedule{}, "2026-11-22T01:00", 1, 0, "opening hours are unknown"},
	} {
		calendar := compile(t, c.s)
		paris, _ := time.LoadLocation("Europe/Paris")
		got, err := calendar.DeadlineOfOpenDay(local(t, c.from, paris), c.n, c.before)
		text := got.In(paris).Format("2006-01-02T15:04")
		if err != nil {
			text = err.Error()
		}
		if text != c.want {
			t.Errorf("open day %d from %s: %s, want %s", c.n, c.from, text, c.want)
		}
	}
}

// walker tells hours minute by minute, straight from what the documentation says and from nothing but what the clock on the
// wall shows. It does not know of clocks that are changed, so it is asked about days without such a change.
type walker struct {
	s    *Schedule
	zone *time.Location
}

func (w *walker) intervals(at time.Time) (all []Interval, unknown bool) {
	var best *Special
	length := func(s *Special) int {
		days := 0
		for d := time.Date(2000, s.From.Month, s.From.Day, 0, 0, 0, 0, time.UTC); ; d = d.AddDate(0, 0, 1) {
			if d.Year() == 2001 {
				d = d.AddDate(-1, 0, 0)
			}
			if s.From.Year != 0 {
				return int(time.Date(s.last().Year, s.last().Month, s.last().Day, 0, 0, 0, 0, time.UTC).Sub(
					time.Date(s.From.Year, s.From.Month, s.From.Day, 0, 0, 0, 0, time.UTC)) / 24 / time.Hour)
			}
			if d.Month() == s.last().Month && d.Day() == s.last().Day {
				return days
			}
			days++
		}
	}
	covers := func(s *Special) bool {
		y, m, d := at.Date()
		code := func(year int, month time.Month, day int) int { return year*10000 + int(month)*100 + day }
		if s.From.Year != 0 {
			return code(s.From.Year, s.From.Month, s.From.Day) <= code(y, m, d) && code(y, m, d) <= code(s.last().Year, s.last().Month, s.last().Day)
		}
		from, through, today := code(0, s.From.Month, s.From.Day), code(0, s.last().Month, s.last().Day), code(0, m, d)
		if from <= through {
			return from <= today && today <= through
		}
		return today >= from || today <= through
	}
	for i := range w.s.Special {
		s := &w.s.Special[i]
		if !covers(s) {
			continue
		}
		if best == nil || s.From.Year != 0 && best.From.Year == 0 || (s.From.Year == 0) == (best.From.Year == 0) && length(s) <= length(best) {
			best = s
		}
	}
	if best != nil {
		for i := range w.s.Special {
			if s := &w.s.Special[i]; s.From == best.From && s.last() == best.last() {
				all = append(all, s.Interval)
			}
		}
	} else {
		if len(w.s.Regular) == 0 {
			return nil, true
		}
		for _, r := range w.s.Regular {
			for _, d := range r.Days {
				if d < PublicHoliday && time.Weekday((d+1)%7) == at.Weekday() {
					all = append(all, r.Interval)
				}
			}
		}
	}
	for _, v := range all {
		unknown = unknown || v.Unknown
	}
	return all, unknown
}

func (w *walker) state(t time.Time) State {
	at := t.In(w.zone)
	minute := Minute(at.Hour()*60 + at.Minute())
	yesterday, _ := w.intervals(time.Date(at.Year(), at.Month(), at.Day()-1, 12, 0, 0, 0, w.zone))
	for _, v := range yesterday {
		if v.Opens != nil && *v.Closes <= *v.Opens && minute < *v.Closes {
			return Open
		}
	}
	today, unknown := w.intervals(at)
	for _, v := range today {
		if v.Opens != nil && *v.Opens <= minute && (minute < *v.Closes || *v.Closes <= *v.Opens) {
			return Open
		}
	}
	if unknown {
		return Unknown
	}
	return Closed
}

func drawInterval(t *rapid.T) Interval {
	switch rapid.IntRange(0, 9).Draw(t, "kind") {
	case 0:
		return Interval{Closed: true}
	case 1:
		return Interval{Unknown: true}
	}
	hour := rapid.SampledFrom([]Minute{0, 1, 60, 540, 541, 720, 1080, 1439})
	opens := hour.Draw(t, "opens")
	closes := rapid.SampledFrom([]Minute{0, 60, 540, 720, 721, 1080, 1439, 1440}).Filter(func(m Minute) bool { return m != opens }).Draw(t, "closes")
	return Interval{Opens: &opens, Closes: &closes}
}

func drawSchedule(t *rapid.T) *Schedule {
	s := &Schedule{Zone: rapid.SampledFrom([]string{"Europe/Paris", "America/New_York", "Asia/Kathmandu", "UTC"}).Draw(t, "zone")}
	for range rapid.IntRange(0, 5).Draw(t, "regular") {
		s.Regular = append(s.Regular, Regular{
			Days:     rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) Day { return Day(rapid.IntRange(0, 6).Draw(t, "day")) }), 1, 7, rapid.ID).Draw(t, "days"),
			Interval: drawInterval(t),
		})
	}
	for range rapid.IntRange(0, 4).Draw(t, "special") {
		day := func() Date {
			return Date{Month: rapid.SampledFrom([]time.Month{1, 5, 6, 12}).Draw(t, "month"), Day: rapid.IntRange(1, 28).Draw(t, "day")}
		}
		v := Special{From: day(), Interval: drawInterval(t)}
		if rapid.Bool().Draw(t, "range") {
			v.Through = day()
		}
		if rapid.Bool().Draw(t, "of one year") {
			v.From.Year = 2026
			if !v.Through.IsZero() {
				v.Through.Year = 2026
			}
		}
		s.Special = append(s.Special, v)
	}
	return s
}

// TestAgainstWalkingMinuteByMinute compares every answer with a walk over the minutes around it.
func TestAgainstWalkingMinuteByMinute(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.Custom(drawSchedule).Filter(func(s *Schedule) bool { return s.Validate() == nil }).Draw(t, "schedule")
		c, err := s.Compile()
		if err != nil {
			t.Fatal(err)
		}
		w := &walker{s, time.UTC}
		if c != nil {
			w.zone = c.zone
		}
		// Six weeks of May and June, in which no clock is changed.
		at := time.Date(2026, 5, 10, 0, 0, 0, 0, w.zone).Add(time.Duration(rapid.IntRange(0, 30*dayMinutes).Draw(t, "minute")) * time.Minute)
		got := c.At(at)
		if want := w.state(at); got.State != want {
			t.Fatalf("%v: %v, want %v", at, got.State, want)
		}
		if c.OpenAt(at) != (got.State == Open) {
			t.Fatalf("%v: OpenAt differs", at)
		}
		change := got.Closes
		if got.State == Closed {
			change = got.Opens
		}
		unknown := false
		for m := at; m.Before(at.AddDate(0, 0, 10)); m = m.Add(time.Minute) {
			state := w.state(m)
			if m.Before(got.Until) && state != got.State {
				t.Fatalf("%v: %v until %v, but %v at %v", at, got.State, got.Until, state, m)
			}
			unknown = unknown || state == Unknown
			switch {
			case unknown && got.State == Closed:
				if !change.IsZero() {
					t.Fatalf("%v: opens %v, but unknown at %v", at, change, m)
				}
				return
			case state == got.State:
				if !change.IsZero() && !m.Before(change) {
					t.Fatalf("%v: %v until %v, but still so at %v", at, got.State, change, m)
				}
			case got.State != Unknown:
				if !m.Equal(change) {
					t.Fatalf("%v: %v until %v, want %v", at, got.State, change, m)
				}
				return
			default:
				return
			}
		}
		if !change.IsZero() && change.Before(at.AddDate(0, 0, 10)) {
			t.Fatalf("%v: %v until %v, but it stays so", at, got.State, change)
		}
	})
}

// TestThroughTheYear follows the answers from one change to the next, clocks that are changed and all: states alternate, and
// none is left out.
func TestThroughTheYear(t *testing.T) {
	for _, zone := range []string{"Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "America/Santiago", "Asia/Beirut", "Africa/Casablanca"} {
		for _, osm := range []string{"Mo-Su 00:00-24:00; We off", "Mo-Su 22:00-02:30", "Mo-Su 02:30-03:30", "Mo-Su 00:00-00:30,23:30-24:00", "Sa,Su 09:00-17:00"} {
			c := compile(t, weekly(t, zone, osm))
			for at, end := local(t, "2026-01-05T04:00", c.zone), local(t, "2027-01-05T04:00", c.zone); at.Before(end); {
				s := c.At(at)
				next := s.Closes
				if s.State == Closed {
					next = s.Opens
				}
				if s.State == Unknown || !next.After(at) || next.Sub(at) > 8*24*time.Hour {
					t.Fatalf("%s in %s at %v: %+v", osm, zone, at, s)
				}
				if state := c.At(next).State; state == s.State {
					t.Fatalf("%s in %s: %v at %v, and as well at %v, when that was to end", osm, zone, state, at, next)
				}
				for probe := range 4 {
					if m := at.Add(next.Sub(at) * time.Duration(probe) / 4); c.At(m).State != s.State {
						t.Fatalf("%s in %s: %v at %v until %v, but not at %v", osm, zone, s.State, at, next, m)
					}
				}
				at = next
			}
		}
	}
}

func BenchmarkAt(b *testing.B) {
	for name, s := range map[string]*Schedule{
		"shop":                      weekly(b, "Europe/Paris", "Mo-Fr 09:00-12:00,14:00-18:00; Sa 10:00-16:00; PH off"),
		"round the clock":           weekly(b, "Europe/Paris", "24/7"),
		"round the clock but a day": weekly(b, "Europe/Paris", "24/7", on("--12-25", "closed")),
	} {
		b.Run(name, func(b *testing.B) {
			c := compile(b, s)
			at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			for i := 0; b.Loop(); i++ {
				c.At(at.Add(time.Duration(i%100_000) * 7 * time.Minute))
			}
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	s := weekly(b, "Europe/Paris", "Mo-Fr 09:00-12:00,14:00-18:00; Sa 10:00-16:00; PH off", on("2026-12-24", "10:00-14:00"))
	for b.Loop() {
		compile(b, s)
	}
}

func ExampleCalendar_At() {
	regular, _ := ParseOSM("Mo-Sa 10:00-19:00; PH off")
	c, _ := (&Schedule{Zone: "Europe/Paris", Country: "FR", Regular: regular}).Compile()
	s := c.At(time.Date(2026, 12, 24, 18, 30, 0, 0, time.UTC))
	fmt.Println(s.State, "until", s.Opens.In(c.zone).Format(time.DateTime))
	// Output: closed until 2026-12-26 10:00:00
}
