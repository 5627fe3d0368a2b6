package reservation

import (
	"encoding/binary"
	"maps"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func hold(n uint64, deadline int64) *Reservation {
	re := &Reservation{State: Held, Deadline: deadline, First: n, Sequence: n, Lines: []Line{{SKU: 4, Location: 1, Quantity: 1}}}
	binary.LittleEndian.PutUint64(re.ID[:], n)
	return re
}

// TestADeadlineIsExactToTheNanosecond at every edge of the wheel: not due one nanosecond before, due at it.
func TestADeadlineIsExactToTheNanosecond(t *testing.T) {
	const day = int64(24 * time.Hour)
	for _, origin := range []int64{start, start &^ (tick - 1), start&^(tick-1) - 1, start &^ (1<<24*tick - 1), start&^(1<<24*tick-1) - 1} {
		for _, span := range []int64{
			1, tick - 1, tick, tick + 1, 255 * tick, 256*tick - 1, 256 * tick, 256*tick + 1, 65536*tick - 1, 65536 * tick, 65536*tick + 1,
			1<<24*tick - 1, 1 << 24 * tick, 1<<24*tick + 1, int64(time.Second), int64(15 * time.Minute), day, 31*day - 1, 31 * day,
		} {
			for _, looked := range []bool{false, true} {
				table, _ := newTable()
				if looked { // the wheel has been turned to the origin
					table.Insert(hold(1, origin))
					table.Remove(table.Due(nil, 0, origin, 1)[0])
				}
				deadline := origin + span
				table.Insert(hold(2, deadline))
				if n := len(table.Due(nil, 0, deadline-1, 10)); n != 0 {
					t.Errorf("%v after %d: due a nanosecond early", time.Duration(span), origin)
				}
				if n := len(table.Due(nil, 0, deadline, 10)); n != 1 {
					t.Errorf("%v after %d: %d due at the deadline", time.Duration(span), origin, n)
				}
			}
		}
	}
}

// TestTheSweeperArrivesAtEveryDeadline goes from one NextDue to the next, as the sweeper does: it comes to each deadline
// exactly, and in few steps.
func TestTheSweeperArrivesAtEveryDeadline(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		table, _ := newTable()
		now := start + rapid.Int64Range(0, 1<<25*tick).Draw(r, "now")
		left := map[ID]int64{}
		for n := range rapid.Uint64Range(1, 20).Draw(r, "holds") {
			re := hold(n+1, now+spans().Draw(r, "span"))
			table.Insert(re)
			left[re.ID] = re.Deadline
		}
		steps, most := 0, len(left)*(levels+2)+1
		for len(left) > 0 {
			next := table.NextDue(0)
			for id, deadline := range left {
				if next > max(deadline, now) {
					r.Fatalf("the sweeper would sleep until %d, past the deadline %d of %x", next, deadline, id)
				}
			}
			now = max(now, next)
			for _, ref := range table.Due(nil, 0, now, math.MaxInt) {
				id := table.IDOf(ref)
				if left[id] > now {
					r.Fatalf("%x is due at %d, at %d", id, left[id], now)
				}
				delete(left, id)
				table.Remove(ref)
			}
			if steps++; steps > most {
				r.Fatalf("%d steps, and %d holds are left", steps, len(left))
			}
		}
		if table.Due(nil, 0, now, 1); table.NextDue(0) != math.MaxInt64 {
			r.Errorf("an empty shard has something due at %d", table.NextDue(0))
		}
	})
}

// TestACancelledHoldIsNeverDue: those before and behind it in its slot are.
func TestACancelledHoldIsNeverDue(t *testing.T) {
	for _, span := range []int64{1, 10 * tick, 300 * tick, 70_000 * tick, int64(31 * 24 * time.Hour)} {
		for cancelled := range uint64(3) {
			table, _ := newTable()
			for n := range uint64(3) {
				table.Insert(hold(n, start+span))
			}
			table.Remove(table.Find(hold(cancelled, 0).ID, nil))
			seen := map[ID]bool{}
			for _, ref := range table.Due(nil, 0, start+span, 10) {
				seen[table.IDOf(ref)] = true
			}
			if len(seen) != 2 || seen[hold(cancelled, 0).ID] {
				t.Errorf("after %v, %d cancelled: due are %v", time.Duration(span), cancelled, seen)
			}
		}
	}
}

// TestAWalkOverTheWheelMissesNothingThatStays gives the lock up between slots, as a checkpoint does: time passes, holds
// come, go and are extended. Those that are there all along, untouched, are met.
func TestAWalkOverTheWheelMissesNothingThatStays(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		table, _ := newTable()
		now, next := start, uint64(1)
		staying, others := map[ID]bool{}, map[ID]bool{}
		insert := func(into map[ID]bool) {
			re := hold(next, now+spans().Draw(r, "span"))
			next++
			table.Insert(re)
			into[re.ID] = true
		}
		for range rapid.IntRange(1, 15).Draw(r, "staying") {
			insert(staying)
		}
		met := map[ID]bool{}
		slot, at := 0, SlotPosition{}
		for slot < WheelSlots {
			for calls := rapid.SampledFrom([]int{1, 2, 100, 300, 700}).Draw(r, "calls"); calls > 0 && slot < WheelSlots; calls-- {
				if !table.Slot(0, slot, &at, 2, func(ref uint32) { met[table.IDOf(ref)] = true }) {
					slot, at = slot+1, SlotPosition{}
				} else if rapid.Bool().Draw(r, "give up in the middle") {
					break
				}
			}
			switch rapid.IntRange(0, 4).Draw(r, "meanwhile") {
			case 0:
				insert(others)
			case 1:
				for _, id := range sorted(others)[:min(1, len(others))] {
					table.Remove(table.Find(id, nil))
					delete(others, id)
				}
			case 2:
				for _, id := range sorted(others)[:min(1, len(others))] {
					re := hold(binary.LittleEndian.Uint64(id[:]), now+spans().Draw(r, "span"))
					table.Update(table.Find(id, nil), re)
				}
			default:
				now += spans().Draw(r, "passes")
				table.Due(nil, 0, now, math.MaxInt)
			}
		}
		for id := range staying {
			if !met[id] {
				r.Errorf("%x was there all along and was not met", id)
			}
		}
	})
}

// TestTheFirstTurnOfTheWheelHidesNothingFromAWalk: until the first deadline of a shard has come its wheel has not turned at
// all, and then every slot's holds are looked at. A walk that is in the middle of those a week away goes on with them.
func TestTheFirstTurnOfTheWheelHidesNothingFromAWalk(t *testing.T) {
	for lines := 1; lines < 12; lines++ {
		table, _ := newTable()
		const week = 7 * 24 * int64(time.Hour)
		for n := range uint64(10) {
			table.Insert(hold(n, start+week+int64(n)))
		}
		table.Insert(hold(99, start+int64(time.Second)))
		met := map[ID]bool{}
		turned := false
		for slot := range WheelSlots {
			var at SlotPosition
			for table.Slot(0, slot, &at, lines, func(ref uint32) { met[table.IDOf(ref)] = true }) {
				if !turned {
					if n := len(table.Due(nil, 0, start+int64(time.Second), 100)); n != 1 {
						t.Fatalf("%d are due", n)
					}
					turned = true
				}
			}
		}
		for n := range uint64(10) {
			if !met[hold(n, 0).ID] {
				t.Errorf("%d lines at a time: hold %d was there all along and was not met", lines, n)
			}
		}
	}
}

func sorted(set map[ID]bool) []ID {
	ids := slices.Collect(maps.Keys(set))
	sortIDs(ids)
	return ids
}

// TestALevelHoldsItsSpan: what the comment on wheel says of its levels.
func TestALevelHoldsItsSpan(t *testing.T) {
	w := &wheel{cursor: 1 << 32}
	for _, c := range []struct {
		ticks int64
		level int
	}{{0, 0}, {255, 0}, {256, 1}, {1<<16 - 1, 1}, {1 << 16, 2}, {1<<24 - 1, 2}, {1 << 24, 3}, {1<<32 - 1, 3}} {
		slot := w.slotOf(w.cursor + c.ticks)
		if slot/slotsPerLevel != c.level {
			t.Errorf("%d ticks away lies in level %d, want %d", c.ticks, slot/slotsPerLevel, c.level)
		}
	}
	if slot := w.slotOf(w.cursor - 1); slot != due {
		t.Errorf("a tick ago lies in slot %d", slot)
	}
}
