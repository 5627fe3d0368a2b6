package hours

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// covers reports whether a minute since the midnight of a day lies in one of its spans.
func (d *DayHours) covers(minute int) bool {
	for _, s := range d.Spans {
		if s.From <= minute && minute < s.To {
			return true
		}
	}
	return false
}

// TestTheHoursOfDaysAgainstEachOfTheirMinutes compares the hours of dates with whether it is open at each of their minutes, in weeks
// in which no clock is changed, and those of weekdays with dates of a schedule that has no other days.
func TestTheHoursOfDaysAgainstEachOfTheirMinutes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.Custom(drawSchedule).Filter(func(s *Schedule) bool { return s.Validate() == nil }).Draw(t, "schedule")
		if rapid.Bool().Draw(t, "of public holidays") { // May has some in France
			s.Country, s.Regular = "FR", append(s.Regular, Regular{Days: []Day{PublicHoliday}, Interval: drawInterval(t)})
		}
		c, err := s.Compile()
		if err != nil {
			t.Fatal(err)
		}
		if c == nil {
			if d := c.On(Date{2026, 5, 10}); !d.Unknown || len(d.Spans) > 0 || !c.Weekday(Monday).Unknown {
				t.Fatalf("nothing is said of hours, and they are %+v", d)
			}
			return
		}
		plain := *s
		plain.Special, plain.Country, plain.Region, plain.Regular = nil, "", "", nil
		for _, r := range s.Regular {
			days := []Day{}
			for _, d := range r.Days {
				if d != PublicHoliday {
					days = append(days, d)
				}
			}
			if r.Days = days; len(days) > 0 {
				plain.Regular = append(plain.Regular, r)
			}
		}
		regular, err := plain.Compile()
		if err != nil {
			t.Fatal(err)
		}
		midnight := time.Date(2026, 5, 10, 0, 0, 0, 0, c.zone).AddDate(0, 0, rapid.IntRange(0, 30).Draw(t, "day"))
		before := c.On(dateOf(midnight.AddDate(0, 0, -1)))
		for range 4 {
			today := c.On(dateOf(midnight))
			for minute := range dayMinutes {
				at := midnight.Add(time.Duration(minute) * time.Minute)
				open := today.covers(minute) || before.covers(minute+dayMinutes)
				if got := c.OpenAt(at); got != open {
					t.Fatalf("open at %v: %t; the hours are %+v, and the day before %+v", at, got, today, before)
				}
				if got := c.At(at).State == Unknown; got != (!open && today.Unknown) {
					t.Fatalf("unknown at %v: %t; the hours are %+v", at, got, today)
				}
			}
			for i, span := range today.Spans {
				if span.From < 0 || span.From >= dayMinutes || span.To <= span.From || span.To > 2*dayMinutes || i > 0 && span.From <= today.Spans[i-1].To {
					t.Fatalf("%+v is not in order", today.Spans)
				}
			}
			day := Day((midnight.Weekday() + 6) % 7)
			if week := c.Weekday(day); len(plain.Regular) > 0 {
				if want := regular.On(dateOf(midnight)); !week.Equal(&want) {
					t.Fatalf("regular hours of day %d are %+v, want %+v", day, week, want)
				}
			} else if len(s.Regular) == 0 && (!week.Unknown || len(week.Spans) > 0) {
				t.Fatalf("there are no regular hours, and those of day %d are %+v", day, week)
			}
			midnight, before = midnight.AddDate(0, 0, 1), today
		}
		if c.Weekday(PublicHoliday+1).Unknown != true {
			t.Fatal("a day that there is not has hours")
		}
	})
}

func dateOf(t time.Time) (d Date) {
	d.Year, d.Month, d.Day = t.Date()
	return d
}

// What is handed out is the caller's own.
func TestHoursOfADayAreACopy(t *testing.T) {
	c := compile(t, weekly(t, "Europe/Paris", "Mo-Fr 09:00-12:00,14:00-18:00; Sa 20:00-02:00"))
	d := c.Weekday(Monday)
	if len(d.Spans) != 2 || d.Spans[1] != (Span{14 * 60, 18 * 60}) {
		t.Fatalf("%+v", d)
	}
	d.Spans[0].From = 0
	if again := c.Weekday(Monday); again.Spans[0].From != 9*60 || again.Equal(&d) {
		t.Fatalf("%+v", again)
	}
	if d := c.Weekday(Saturday); len(d.Spans) != 1 || d.Spans[0] != (Span{20 * 60, 26 * 60}) {
		t.Fatalf("%+v", d)
	}
	if d := c.Weekday(Sunday); d.Unknown || len(d.Spans) != 0 {
		t.Fatalf("%+v", d)
	}
}
