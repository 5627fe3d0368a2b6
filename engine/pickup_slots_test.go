package engine_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"onhand/engine"
	"onhand/engine/enginetest"
	"onhand/engine/hours"
)

// wantCapacity is the capacity of the slot that begins at a time by the clock on the wall, told in plain words.
func wantCapacity(s *engine.PickupSlots, local time.Time) int64 {
	at := local.Format("15:04")
	text := func(m hours.Minute) string { b, _ := m.MarshalText(); return string(b) }
	for _, means := range []func(o *engine.SlotOverride) bool{
		func(o *engine.SlotOverride) bool { return o.Date.String() == local.Format("2006-01-02") },
		func(o *engine.SlotOverride) bool { return o.Date.String() == local.Format("--01-02") },
		func(o *engine.SlotOverride) bool {
			days := map[hours.Day]string{hours.Monday: "Mon", hours.Saturday: "Sat", hours.Sunday: "Sun"}
			return o.Weekday != nil && days[*o.Weekday] == local.Format("Mon")
		},
	} {
		for i := len(s.Overrides) - 1; i >= 0; i-- {
			if o := &s.Overrides[i]; means(o) && text(o.From) <= at && at < text(o.To) {
				return o.Capacity
			}
		}
	}
	return s.Capacity
}

// TestOverridesAgainstPlainWords draws overrides and lists the slots of days on which clocks are changed, a holiday among them.
func TestOverridesAgainstPlainWords(t *testing.T) {
	db := enginetest.Open(t, engine.Options{})
	paris, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(rt *rapid.T) {
		s := engine.PickupSlots{Interval: 30, Capacity: 3, DaysAhead: 31}
		schedule := daily("Europe/Paris", 0, 24*60)
		schedule.Special = []hours.Special{
			{From: hours.Date{Year: 2026, Month: 3, Day: 30}, Interval: hours.Interval{Closed: true}},
			{From: hours.Date{Month: 3, Day: 31}, Interval: hours.Interval{Opens: minutes(9 * 60), Closes: minutes(11 * 60)}},
		}
		for range rapid.IntRange(0, 6).Draw(rt, "overrides") {
			o := engine.SlotOverride{
				From:     hours.Minute(rapid.SampledFrom([]int{0, 90, 120, 150, 540, 541, 720}).Draw(rt, "from")),
				Capacity: rapid.Int64Range(0, 9).Draw(rt, "capacity"),
			}
			o.To = o.From + hours.Minute(rapid.SampledFrom([]int{1, 30, 60, 720}).Draw(rt, "minutes"))
			switch day := rapid.SampledFrom([]hours.Day{hours.Monday, hours.Saturday, hours.Sunday}).Draw(rt, "weekday"); rapid.IntRange(0, 2).Draw(rt, "kind") {
			case 0:
				o.Weekday = &day
			case 1:
				o.Date = hours.Date{Month: 3, Day: rapid.IntRange(28, 31).Draw(rt, "day")}
			case 2:
				o.Date = hours.Date{Year: rapid.IntRange(2025, 2026).Draw(rt, "year"), Month: 3, Day: rapid.IntRange(28, 31).Draw(rt, "day")}
			}
			s.Overrides = append(s.Overrides, o)
		}
		put(t, db, engine.Location{ID: "paris"}, engine.LocationDetails{Schedule: schedule, PickupSlots: &s})
		from := time.Date(2026, 3, 28, 0, 0, 0, 0, paris)
		var want []time.Time
		var capacities []int64
		for at := from; at.Before(from.AddDate(0, 0, 4)); at = at.Add(30 * time.Minute) {
			open := at.Day() < 30 || at.Day() == 31 && at.Hour() >= 9 && at.Hour() < 11
			if c := wantCapacity(&s, at); open && c > 0 {
				want, capacities = append(want, at), append(capacities, c)
			}
		}
		var got []engine.Slot
		for next := from; !next.IsZero() && next.Before(from.AddDate(0, 0, 4)); { // by pages
			if got, next, err = db.Slots(got, "paris", next, 4, 50); err != nil {
				rt.Fatal(err)
			}
		}
		// A page ends four days after its own beginning.
		got = slices.DeleteFunc(got, func(s engine.Slot) bool { return !s.Start.Before(from.AddDate(0, 0, 4)) })
		for i, slot := range got {
			if i >= len(want) || !slot.Start.Equal(want[i]) || slot.Capacity != capacities[i] || slot.End.Sub(slot.Start) != 30*time.Minute {
				rt.Fatalf("slot %d is %+v, want %v of %v", i, slot, want[i:min(i+1, len(want))], capacities[i:min(i+1, len(want))])
			}
		}
		if len(got) != len(want) {
			rt.Fatalf("%d slots, want %d", len(got), len(want))
		}
	})
}

func TestTheNextFreeSlotsAndLargerCompartments(t *testing.T) {
	db := enginetest.Open(t, engine.Options{})
	withSlots(t, db, "lyon", 1, engine.Compartment{Size: "S", Count: 1}, engine.Compartment{Size: "M", Count: 1}, engine.Compartment{Size: "L", Count: 1})
	setOnHand(t, db, "tea", "lyon", 9)
	if _, err := db.Reserve(forTea("lyon").WithSlot("", inHours(2))); err != nil {
		t.Fatal(err)
	}
	starts := func(after time.Time, n int) (all []time.Time) {
		for _, s := range db.NextSlots("lyon", after, n) {
			if s.Free != 1 {
				t.Errorf("%+v is not free", s)
			}
			all = append(all, s.Start.UTC())
		}
		return all
	}
	// The first can't be taken any more, the third is full.
	if got := starts(time.Time{}, 3); !slices.Equal(got, []time.Time{inHours(1), inHours(3), inHours(4)}) {
		t.Errorf("%v", got)
	}
	if got := starts(inHours(3).Add(time.Minute), 1); !slices.Equal(got, []time.Time{inHours(4)}) {
		t.Errorf("%v", got)
	}
	// As far ahead as they can be taken, and no further: today's ten, two whole days, and on the fourth the first two.
	if got := starts(time.Time{}, 1000); len(got) != 9+12+12+2 || !got[len(got)-1].Equal(inHours(72)) {
		t.Errorf("%d slots, the last at %v", len(got), got[len(got)-1])
	}
	for size, want := range map[string][]string{"S": {"S", "M", "L"}, "M": {"M", "L"}, "L": {"L"}, "XL": nil} {
		if got := db.CompartmentsFrom("lyon", size); !slices.Equal(got, want) {
			t.Errorf("from %s on: %q, want %q", size, got, want)
		}
	}
	if db.NextSlots("lyon", time.Time{}, 0) != nil {
		t.Error("none are some")
	}
}

// Slots are asked for by everybody who looks at a store's page: a listing costs nothing for each slot but its place in the
// answer.
func TestAListOfSlotsAllocatesLittle(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	db := enginetest.Open(t, engine.Options{})
	withSlots(t, db, "lyon", 1)
	room := make([]engine.Slot, 0, 100)
	perCall := testing.AllocsPerRun(100, func() {
		slots, _, err := db.Slots(room, "lyon", time.Time{}, 0, 100)
		if err != nil || len(slots) != 37 {
			t.Fatal(len(slots), err)
		}
	})
	if perCall > 10 {
		t.Errorf("%v allocations for 37 slots", perCall)
	}
}
