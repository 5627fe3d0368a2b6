package hours

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// naiveSlots lists the slots of a day by the clock on the wall, from what the walker knows of hours: nothing of clocks that are
// changed, so it is asked about weeks without such a change. Times are minutes since the day's midnight.
func (w *walker) naiveSlots(day time.Time, length int) (slots []int) {
	lastEnd := 0
	for _, o := range w.openings(day.AddDate(0, 0, -1)) {
		for at := o.from; at+length <= o.to; at += length {
			lastEnd = at + length - dayMinutes
		}
	}
	for _, o := range w.openings(day) {
		for at := o.from; at+length <= o.to; at += length {
			if at >= lastEnd {
				slots = append(slots, at)
			}
		}
	}
	return slots
}

// openings marks the open minutes of a day's own intervals, up to the end of the next day, and reads the openings off.
func (w *walker) openings(day time.Time) (all []span) {
	var open [2*dayMinutes + 1]bool
	intervals, _ := w.intervals(day)
	for _, v := range intervals {
		if v.Opens == nil {
			continue
		}
		to := int(*v.Closes)
		if to <= int(*v.Opens) {
			to += dayMinutes
		}
		for m := int(*v.Opens); m < to; m++ {
			open[m] = true
		}
	}
	for m, is := range open {
		switch {
		case is && (m == 0 || !open[m-1]):
			all = append(all, span{from: m})
		case !is && m > 0 && open[m-1]:
			all[len(all)-1].to = m
		}
	}
	return all
}

// TestSlotsAgainstCountingThem draws schedules with special days and compares two weeks of slots with those that are counted
// on the wall.
func TestSlotsAgainstCountingThem(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.Custom(drawSchedule).Filter(func(s *Schedule) bool { return s.Validate() == nil }).Draw(t, "schedule")
		c, err := s.Compile()
		if err != nil {
			t.Fatal(err)
		}
		if c == nil {
			if c.SlotAt(time.Now(), time.Hour) || len(slices.Collect(c.Slots(time.Now(), time.Now().AddDate(0, 0, 9), time.Hour))) > 0 {
				t.Fatal("there are slots, and no hours")
			}
			return
		}
		length := rapid.SampledFrom([]int{5, 15, 60, 90, 480, 720, 1440}).Draw(t, "length")
		w := &walker{s, c.zone}
		first := time.Date(2026, 5, 10, 0, 0, 0, 0, c.zone).AddDate(0, 0, rapid.IntRange(0, 30).Draw(t, "day"))
		var want []time.Time
		for day := first.AddDate(0, 0, -1); day.Before(first.AddDate(0, 0, 14)); day = day.AddDate(0, 0, 1) {
			for _, minute := range w.naiveSlots(day, length) {
				want = append(want, day.Add(time.Duration(minute)*time.Minute))
			}
		}
		from := first.Add(time.Duration(rapid.IntRange(0, 3*dayMinutes).Draw(t, "from")) * time.Minute)
		until := from.Add(time.Duration(rapid.IntRange(0, 9*dayMinutes).Draw(t, "minutes")) * time.Minute)
		var expected []time.Time
		begins := make(map[int64]bool)
		for _, at := range want {
			begins[at.Unix()] = true
			if !at.Before(from) && at.Before(until) {
				expected = append(expected, at)
			}
		}
		got := slices.Collect(c.Slots(from, until, time.Duration(length)*time.Minute))
		if !slices.EqualFunc(got, expected, time.Time.Equal) {
			t.Fatalf("from %v to %v: %v, want %v", from, until, got, expected)
		}
		for m := from; m.Before(until); m = m.Add(time.Minute) {
			if is := c.SlotAt(m, time.Duration(length)*time.Minute); is != begins[m.Unix()] {
				t.Fatalf("a slot begins at %v: %v, want %v", m, is, !is)
			}
		}
	})
}

// TestSlotsThroughTheYear goes through years in which clocks are changed: slots come in order, none overlaps the next, the
// location is open through each, each opening begins with one that is not too short for it, and what is listed is what is
// there.
func TestSlotsThroughTheYear(t *testing.T) {
	for _, zone := range []string{"Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "America/Santiago", "Asia/Beirut", "Africa/Casablanca"} {
		for _, osm := range []string{"24/7", "Mo-Su 22:00-06:00", "Mo-Su 01:00-05:00,09:30-18:00", "We 01:00-04:00,18:00-24:00; Mo-Tu,Th-Su 20:00-03:00"} {
			c := compile(t, weekly(t, zone, osm))
			for _, length := range []time.Duration{30 * time.Minute, time.Hour, 4 * time.Hour} {
				from := time.Date(2025, 12, 31, 0, 0, 0, 0, c.zone)
				until := from.AddDate(1, 0, 2)
				var end time.Time
				n := 0
				begins := make(map[int64]bool)
				for at := range c.Slots(from, until, length) {
					if at.Before(end) {
						t.Fatalf("%s %s: a slot begins at %v, and the one before ends at %v", zone, osm, at, end)
					}
					for m := at; m.Before(at.Add(length)); m = m.Add(15 * time.Minute) {
						if !c.OpenAt(m) {
							t.Fatalf("%s %s: the slot of %v is not open at %v", zone, osm, at, m)
						}
					}
					end, begins[at.Unix()] = at.Add(length), true
					n++
				}
				if n < 360 {
					t.Fatalf("%s %s: only %d slots of %v in a year", zone, osm, n, length)
				}
				for m := from; m.Before(until); m = m.Add(15 * time.Minute) {
					if c.SlotAt(m, length) != begins[m.Unix()] {
						t.Fatalf("%s %s: a slot of %v begins at %v: listed %v", zone, osm, length, m, begins[m.Unix()])
					}
				}
			}
		}
	}
}

// On the day that has an hour less, there is a slot less, and the next opening begins with one as every day.
func TestSlotsOfDaysWithAnHourMoreOrLess(t *testing.T) {
	c := compile(t, weekly(t, "Europe/Paris", "Mo-Su 00:00-24:00"))
	night := compile(t, weekly(t, "Europe/Paris", "Mo-Su 00:30-06:00"))
	for _, v := range []struct {
		day          string
		whole, night int
		last         string // slot of the night, on the wall
	}{
		{"2026-03-28", 24, 5, "04:30"}, {"2026-03-29", 23, 4, "04:30"}, {"2026-10-25", 25, 6, "04:30"},
	} {
		day := local(t, v.day+"T00:00", c.zone)
		if all := slices.Collect(c.Slots(day, day.AddDate(0, 0, 1), time.Hour)); len(all) != v.whole {
			t.Errorf("%s: %d slots, want %d", v.day, len(all), v.whole)
		}
		all := slices.Collect(night.Slots(day, day.AddDate(0, 0, 1), time.Hour))
		if len(all) != v.night || night.Local(all[0]).Format("15:04") != "00:30" || night.Local(all[len(all)-1]).Format("15:04") != v.last {
			t.Errorf("%s: %v", v.day, all)
		}
	}
}
