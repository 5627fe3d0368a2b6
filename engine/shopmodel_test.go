package engine_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/anishathalye/porcupine"

	"onhand/engine"
)

const (
	shopCells = 3
	shopSlots = 96 // reservations that one history can make
	shopKeys  = 3
)

// asked is the input of a call.
type asked struct {
	kind    askedKind
	slot    int // which reservation, for reserve, commit, release and find
	key     int // idempotency key of a reserve, from 1; 0 = none
	units   [shopCells]int64
	cell    int // for read and adjust
	seconds int64
	since   int64 // what the clock showed before the call
}

type askedKind int

const (
	askReserve askedKind = iota
	askCommit
	askRelease
	askFind
	askRead
	askAdjust
	askAdvance
)

// said is the output of a call.
type said struct {
	ok           bool
	id           engine.ID    // of a reservation made under a key
	deadline     int64        // of a reservation made
	state        engine.State // of a reservation found, or of one that was found ended
	onHand, held int64
	available    int64
}

// shopState is the state of the model. It is compared by ==.
//
// A call reads the clock while it holds its cells' locks, and its effect can be read a little later, when the clock may show
// more: it counts as done when its effect is there, by what the clock showed then. That must be no less than what it showed
// before the call, and what it showed to those who held the same locks before.
type shopState struct {
	now    int64            // seconds
	shown  [shopCells]int64 // the least that the clock can show to the next who locks the cell
	onHand [shopCells]int64
	holds  [shopSlots]shopHold
	keys   [shopKeys + 1]keyedAnswer
}

type shopHold struct {
	state    engine.State // 0 = never made
	units    [shopCells]int64
	deadline int64
}

type keyedAnswer struct {
	given bool
	said
}

// held returns what is promised of a cell at a time, and how much more is if what is due by then counts.
func (s *shopState) held(cell int, now int64) (live, due int64) {
	for i := range s.holds {
		h := &s.holds[i]
		switch {
		case h.state != engine.Held:
		case h.deadline > now:
			live += h.units[cell]
		default:
			due += h.units[cell]
		}
	}
	return live, due
}

// least returns the least that the clock can have shown to a call that locks the cells of units.
func (s *shopState) least(in *asked, units *[shopCells]int64) int64 {
	least := in.since
	for cell := range units {
		if units[cell] > 0 {
			least = max(least, s.shown[cell])
		}
	}
	return least
}

// show notes what the clock has shown to a call that locks the cells of units.
func (s *shopState) show(now int64, units *[shopCells]int64) {
	for cell := range units {
		if units[cell] > 0 {
			s.shown[cell] = max(s.shown[cell], now)
		}
	}
}

var shopModel = porcupine.Model{
	Init: func() any { return shopState{} },
	Step: func(state, input, output any) (bool, any) {
		s, in, out := state.(shopState), input.(asked), output.(said)
		got, fits := s.step(&in, &out)
		return fits && got == out, s
	},
	DescribeOperation: func(input, output any) string {
		in, out := input.(asked), output.(said)
		names := [...]string{"reserve", "commit", "release", "find", "read", "adjust", "advance"}
		return fmt.Sprintf("%s slot %d key %d units %v cell %d for %d s: %t, %v, on hand %d, held %d",
			names[in.kind], in.slot, in.key, in.units, in.cell, in.seconds, out.ok, out.state, out.onHand, out.held)
	},
}

// step carries out a call and returns its answer. Where there is more than one right answer it returns the one given, if
// that is among them.
func (s *shopState) step(in *asked, given *said) (out said, fits bool) {
	switch in.kind {
	case askReserve:
		if k := &s.keys[in.key]; in.key > 0 && k.given {
			return k.said, true
		}
		now := s.now
		if given.ok {
			now = given.deadline - in.seconds
			if now < s.least(in, &in.units) || now > s.now {
				return out, false
			}
		}
		out.ok = true
		for cell, units := range in.units {
			live, _ := s.held(cell, now)
			out.ok = out.ok && (units == 0 || s.onHand[cell]-live >= units)
		}
		s.show(now, &in.units)
		if out.ok {
			out.deadline = now + in.seconds
			s.holds[in.slot] = shopHold{engine.Held, in.units, out.deadline}
		}
		if in.key > 0 {
			out.id = given.id // the engine's choice
			s.keys[in.key] = keyedAnswer{true, out}
		}
	case askCommit, askRelease, askFind:
		h := &s.holds[in.slot]
		out.state = h.state
		if h.state == engine.Held {
			least := s.least(in, &h.units)
			if least >= h.deadline || h.deadline <= s.now && given.state == engine.Expired {
				out.state = engine.Expired
				s.show(h.deadline, &h.units)
			} else {
				s.show(least, &h.units)
			}
		}
		if in.kind == askFind {
			out.ok = out.state != 0
			break
		}
		if out.ok = out.state == engine.Held; !out.ok {
			break
		}
		h.state = engine.Released
		if in.kind == askCommit {
			h.state = engine.Committed
			for cell, units := range h.units {
				s.onHand[cell] -= units
			}
		}
		out.state = h.state
	case askRead:
		// What is due is free for the next reservation at once; a read may show it held until it is swept.
		live, due := s.held(in.cell, s.now)
		out.held = min(max(given.held, live), live+due)
		out.onHand = s.onHand[in.cell]
		out.available, out.ok = max(0, out.onHand-out.held), true
	case askAdjust:
		s.onHand[in.cell] += in.units[in.cell]
		out.onHand, out.ok = s.onHand[in.cell], true
	case askAdvance:
		s.now += in.seconds
		out.ok = true
	}
	return out, true
}

// TestWrongHistoriesAreRefused makes sure that the model can say no.
func TestWrongHistoriesAreRefused(t *testing.T) {
	type line struct {
		from, to int64
		in       asked
		out      said
	}
	fill := line{0, 1, asked{kind: askAdjust, units: at(0, 1)}, said{ok: true, onHand: 1}}
	reserve := func(from, to int64, slot int, out said) line {
		return line{from, to, asked{kind: askReserve, slot: slot, units: at(0, 1), seconds: 10}, out}
	}
	held := said{ok: true, deadline: 10}
	advance := line{4, 5, asked{kind: askAdvance, seconds: 10}, said{ok: true}}
	for name, test := range map[string]struct {
		right, wrong []line
	}{
		"the last unit sold twice": {
			right: []line{fill, reserve(2, 9, 1, held), reserve(3, 8, 2, said{})},
			wrong: []line{fill, reserve(2, 9, 1, held), reserve(3, 8, 2, held)},
		},
		"refused although it was there": {
			right: []line{fill, reserve(2, 3, 1, said{}), reserve(2, 9, 2, held)},
			wrong: []line{fill, reserve(2, 3, 1, said{}), reserve(4, 9, 2, held)},
		},
		"a read that is stale": {
			right: []line{fill, reserve(2, 4, 1, held), {3, 5, asked{kind: askRead}, said{ok: true, onHand: 1, available: 1}}},
			wrong: []line{fill, reserve(2, 4, 1, held), {5, 6, asked{kind: askRead}, said{ok: true, onHand: 1, available: 1}}},
		},
		"a write that is lost": {
			right: []line{fill, {5, 6, asked{kind: askFind, slot: 1}, said{}}, {2, math.MaxInt64, reserve(0, 0, 1, held).in, held}},
			wrong: []line{fill, {5, 6, asked{kind: askFind, slot: 1}, said{}}, {2, 3, reserve(0, 0, 1, held).in, held}},
		},
		"half a basket": {
			right: []line{
				fill, {2, 5, asked{kind: askReserve, slot: 1, units: [shopCells]int64{1, 1}, seconds: 10}, said{}},
				{6, 7, asked{kind: askRead}, said{ok: true, onHand: 1, available: 1}},
			},
			wrong: []line{
				fill, {2, 5, asked{kind: askReserve, slot: 1, units: [shopCells]int64{1, 1}, seconds: 10}, said{}},
				{6, 7, asked{kind: askRead}, said{ok: true, onHand: 1, held: 1}},
			},
		},
		"free before the deadline": {
			right: []line{fill, reserve(2, 3, 1, held), advance, {6, 7, asked{kind: askReserve, slot: 2, units: at(0, 1), seconds: 10, since: 10}, said{ok: true, deadline: 20}}},
			wrong: []line{fill, reserve(2, 3, 1, said{ok: true, deadline: 10}), {6, 7, asked{kind: askReserve, slot: 2, units: at(0, 1), seconds: 10}, said{ok: true, deadline: 10}}},
		},
		"committed after the deadline": {
			right: []line{fill, reserve(2, 3, 1, held), advance, {6, 7, asked{kind: askCommit, slot: 1, since: 10}, said{state: engine.Expired}}},
			wrong: []line{fill, reserve(2, 3, 1, held), advance, {6, 7, asked{kind: askCommit, slot: 1, since: 10}, said{ok: true, state: engine.Committed}}},
		},
		"two answers under one key": {
			right: []line{
				fill, {2, 5, asked{kind: askReserve, slot: 1, key: 1, units: at(0, 1), seconds: 10}, said{ok: true, deadline: 10, id: engine.ID{1}}},
				{3, 6, asked{kind: askReserve, slot: 1, key: 1, units: at(0, 1), seconds: 10}, said{ok: true, deadline: 10, id: engine.ID{1}}},
			},
			wrong: []line{
				fill, {2, 5, asked{kind: askReserve, slot: 1, key: 1, units: at(0, 1), seconds: 10}, said{ok: true, deadline: 10, id: engine.ID{1}}},
				{3, 6, asked{kind: askReserve, slot: 1, key: 1, units: at(0, 1), seconds: 10}, said{ok: true, deadline: 10, id: engine.ID{2}}},
			},
		},
	} {
		linearizable := func(lines []line) bool {
			var history []porcupine.Operation
			for i, l := range lines {
				history = append(history, porcupine.Operation{ClientId: i, Input: l.in, Call: l.from, Output: l.out, Return: l.to})
			}
			return porcupine.CheckOperations(shopModel, history)
		}
		if !linearizable(test.right) {
			t.Errorf("%s: the right history is refused", name)
		}
		if linearizable(test.wrong) {
			t.Errorf("%s: the wrong history is accepted", name)
		}
	}
}
