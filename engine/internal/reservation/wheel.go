package reservation

import (
	"math"
	"sync/atomic"
)

// wheel orders the live lines of one shard by deadline: a hierarchical timing wheel (Varghese and Lauck, 1987) whose
// slots are doubly linked lists through the lines themselves, so that setting and cancelling a deadline costs a few
// writes and no memory beyond 8 bytes a line.
//
//	level 0   256 slots of 2²² ns (4.2 ms)   the next 1.07 s
//	level 1   256 slots of 1.07 s            the next 4.6 min
//	level 2   256 slots of 4.6 min           the next 19.5 h
//	level 3   256 slots of 19.5 h            the next 208 days; holds end within 31
//	due       one list                       deadlines before the cursor's tick
//
// A line's level is that of the highest byte in which its deadline, in ticks, differs from the cursor. When the cursor
// enters a slot above level 0 its lines move down. Deadlines are exact all the same: a slot only groups lines, and who
// asks for the due ones compares each deadline in the cursor's own slot to the nanosecond.
//
// The shard's lock guards everything but next.
type wheel struct {
	cursor int64 // tick; every line in a slot has a tick ≥ cursor, every line in due a tick < cursor
	heads  [levels*slotsPerLevel + 1]uint32
	digest uint64 // of the reservations whose first line is in the shard
	// next is no later than any deadline in the wheel; the sweeper reads it without the lock to leave idle shards alone.
	next atomic.Int64
}

const (
	tickBits      = 22
	levelBits     = 8
	slotsPerLevel = 1 << levelBits
	levels        = 4
	due           = levels * slotsPerLevel // index of the due list
	// slotLink marks a line's back link as "head of this slot" instead of a line.
	slotLink = 1 << 31
)

func (w *wheel) slotOf(tick int64) int {
	if tick < w.cursor {
		return due
	}
	level := 0
	for difference := uint64(tick^w.cursor) >> levelBits; difference != 0 && level < levels-1; difference >>= levelBits {
		level++
	}
	return level*slotsPerLevel + int(tick>>(level*levelBits))&(slotsPerLevel-1)
}

func (t *Table) wheelInsert(w *wheel, ref uint32, deadline int64) {
	slot := w.slotOf(deadline >> tickBits)
	l := t.line(ref)
	l.dueNext, l.duePrevious = w.heads[slot], slotLink|uint32(slot)
	if l.dueNext != 0 {
		t.line(l.dueNext).duePrevious = ref
	}
	w.heads[slot] = ref
	if deadline < w.next.Load() {
		w.next.Store(deadline)
	}
}

func (t *Table) wheelRemove(w *wheel, ref uint32) {
	l := t.line(ref)
	if l.dueNext != 0 {
		t.line(l.dueNext).duePrevious = l.duePrevious
	}
	if l.duePrevious&slotLink != 0 {
		w.heads[l.duePrevious&^slotLink] = l.dueNext
	} else {
		t.line(l.duePrevious).dueNext = l.dueNext
	}
}

// advance moves the cursor to tick and every line that this passes or reaches to where it now belongs.
func (t *Table) advance(w *wheel, tick int64) {
	if tick <= w.cursor {
		return
	}
	from := w.cursor
	w.cursor = tick
	for level := levels - 1; level >= 0; level-- {
		// At level 0 the slots left behind empty into due; above, the slots passed or entered empty downwards.
		first, last := from>>(level*levelBits)+1, tick>>(level*levelBits)
		if level == 0 {
			first, last = from, tick-1
		}
		if last-first >= slotsPerLevel {
			first = last - slotsPerLevel + 1
		}
		for ; first <= last; first++ {
			slot := level*slotsPerLevel + int(first)&(slotsPerLevel-1)
			for ref := w.heads[slot]; ref != 0; {
				next := t.line(ref).dueNext
				// A line that belongs where it is keeps its place: a walk that is in the middle of the slot (Slot) would
				// miss those that are moved to its head. The first turn of a new wheel, which begins at 0, comes upon many.
				if deadline := t.header(t.headerOf(ref)).deadline; w.slotOf(deadline>>tickBits) != slot {
					t.wheelRemove(w, ref)
					t.wheelInsert(w, ref, deadline)
				}
				ref = next
			}
		}
	}
}

// Due appends to dst the reservations of a shard that have a deadline at or before now, up to max of them, each once
// per line it has in the shard. They stay where they are until they are removed. The caller holds the shard's lock.
func (t *Table) Due(dst []uint32, shard int, now int64, max int) []uint32 {
	w := &t.wheels[shard]
	if w.next.Load() > now {
		return dst
	}
	t.advance(w, now>>tickBits)
	for _, slot := range [...]int{due, int(w.cursor) & (slotsPerLevel - 1)} {
		for ref := w.heads[slot]; ref != 0 && len(dst) < max; ref = t.line(ref).dueNext {
			if h := t.headerOf(ref); t.header(h).deadline <= now {
				dst = append(dst, h)
			}
		}
	}
	if len(dst) == 0 {
		w.next.Store(t.earliest(w))
	}
	return dst
}

// NextDue returns a time before which no deadline of the shard falls. It takes no lock.
func (t *Table) NextDue(shard int) int64 { return t.wheels[shard].next.Load() }

// earliest returns the start of the first slot that has lines, or the cursor's first exact deadline.
func (t *Table) earliest(w *wheel) int64 {
	if w.heads[due] != 0 {
		return 0
	}
	first := int64(math.MaxInt64)
	for level := range levels {
		position := w.cursor >> (level * levelBits)
		for i := range int64(slotsPerLevel) {
			slot := level*slotsPerLevel + int(position+i)&(slotsPerLevel-1)
			if w.heads[slot] == 0 {
				continue
			}
			start := (position + i) << (level * levelBits) << tickBits
			if level == 0 {
				start = math.MaxInt64
				for ref := w.heads[slot]; ref != 0; ref = t.line(ref).dueNext {
					start = min(start, t.header(t.headerOf(ref)).deadline)
				}
			}
			first = min(first, start)
			break
		}
	}
	return first
}
