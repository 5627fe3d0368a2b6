package hours

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// specialDays reads special days such as "--12-24/--01-02 10-18": from, perhaps through, and whole hours, "off" or "unknown".
func specialDays(texts ...string) (out []Special) {
	for _, text := range texts {
		dates, hours, _ := strings.Cut(text, " ")
		from, through, both := strings.Cut(dates, "/")
		s := Special{From: date(from)}
		if both {
			s.Through = date(through)
		}
		switch hours {
		case "off":
			s.Closed = true
		case "unknown":
			s.Unknown = true
		default:
			var opens, closes int
			fmt.Sscanf(hours, "%d-%d", &opens, &closes)
			s.Interval = interval(opens*60, closes*60)
		}
		out = append(out, s)
	}
	return out
}

func tellDated(all []DatedHours) string {
	var parts []string
	for _, d := range all {
		text := d.From.String()
		if d.Through != d.From {
			text += "/" + d.Through.String()
		}
		for _, v := range d.Intervals {
			switch {
			case v.Closed:
				text += " off"
			case v.Unknown:
				text += " unknown"
			default:
				text += fmt.Sprintf(" %d-%d", *v.Opens/60, *v.Closes/60)
			}
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, "; ")
}

func TestSpecialDatesDontOverlap(t *testing.T) {
	for _, c := range []struct {
		said []string
		want string
	}{
		{nil, ""},
		{[]string{"--12-24 10-18", "2026-12-24 6-12", "2026-12-20/2026-12-30 8-23"},
			"2026-12-20/2026-12-23 8-23; 2026-12-24 6-12; 2026-12-25/2026-12-30 8-23; 2027-12-24 10-18"},
		// Over the year's end, where others begin in years that are not told otherwise.
		{[]string{"--12-24/--01-02 off", "--12-31 9-12", "--01-01 unknown"},
			"2025-12-24/2025-12-30 off; 2025-12-31 9-12; 2026-01-01 unknown; 2026-01-02 off; 2026-12-24/2026-12-30 off; 2026-12-31 9-12; " +
				"2027-01-01 unknown; 2027-01-02 off; 2027-12-24/2027-12-30 off; 2027-12-31 9-12; 2028-01-01 unknown; 2028-01-02 off"},
		// What ends where another begins, and several of one day.
		{[]string{"2026-05-01/2026-05-03 9-12", "2026-05-04/2026-05-05 9-12", "2026-05-01/2026-05-03 14-18"},
			"2026-05-01/2026-05-03 9-12 14-18; 2026-05-04/2026-05-05 9-12"},
		// The later of two that are as long.
		{[]string{"2026-05-01/2026-05-03 off", "2026-05-02/2026-05-04 9-12"}, "2026-05-01 off; 2026-05-02/2026-05-04 9-12"},
		{[]string{"2020-01-01/2200-12-31 off", "--12-24 9-12"}, "2020-01-01/2200-12-31 off"},
		{[]string{"2028-12-01/2028-12-23 off", "--12-24 9-12", "2030-01-01 off"},
			"2026-12-24 9-12; 2027-12-24 9-12; 2028-12-01/2028-12-23 off; 2030-01-01 off"},
	} {
		s := weekly(t, "Europe/Paris", "Mo-Su 09:00-18:00", specialDays(c.said...)...)
		got, err := s.SpecialDates(2026, 2027)
		if err != nil || tellDated(got) != c.want {
			t.Errorf("%q: %v\n got %s\nwant %s", c.said, err, tellDated(got), c.want)
		}
	}
	if got, err := (&Schedule{Regular: []Regular{{}}}).SpecialDates(2026, 2027); err == nil {
		t.Errorf("of a schedule that can't be: %v", got)
	}
}

// Whatever was said, each day has the hours that the calendar has for it, and is told once.
func TestSpecialDatesAreTheCalendars(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	first, last := date("2026-01-01").number(), date("2027-12-31").number()
	for range 300 {
		s := weekly(t, "Europe/Paris", "Mo-Su 09:00-18:00")
		for i := range 1 + r.IntN(8) {
			from := dateAt(first - 40 + r.IntN(last-first+80))
			through := dateAt(from.number() + r.IntN(1+r.IntN(60)))
			if r.IntN(2) == 0 {
				from.Year, through.Year = 0, 0
			}
			s.Special = append(s.Special, Special{From: from, Through: through, Interval: interval(i*60, 1000+i)})
		}
		told, err := s.SpecialDates(2026, 2027)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		c := compile(t, s)
		next := 0
		for n := first; n <= last; n++ {
			for next < len(told) && told[next].Through.number() < n {
				next++
			}
			want := c.Weekday(weekday(n))
			if next < len(told) && told[next].From.number() <= n {
				var d day
				for i := range told[next].Intervals {
					d.add(&told[next].Intervals[i])
				}
				d.merge()
				want = d.hours()
			}
			if got := c.On(dateAt(n)); !got.Equal(&want) {
				t.Fatalf("seed %d: %v is told as %v, and is %v, of %+v: %s", seed, dateAt(n), want, got, s.Special, tellDated(told))
			}
		}
		for i := 1; i < len(told); i++ {
			if told[i].From.number() <= told[i-1].Through.number() {
				t.Fatalf("seed %d: %s", seed, tellDated(told))
			}
		}
	}
}
