package stock

import (
	"testing"

	"pgregory.net/rapid"
)

func TestAvailableAndShortage(t *testing.T) {
	for _, c := range []struct {
		name                string
		cell                Cell
		available, shortage int64
	}{
		{"nothing", Cell{}, 0, 0},
		{"units on hand", Cell{OnHand: 5}, 5, 0},
		{"some held", Cell{OnHand: 5, Held: 2}, 3, 0},
		{"all held", Cell{OnHand: 5, Held: 5}, 0, 0},
		{"more held than there are", Cell{OnHand: 5, Held: 7}, 0, 2},
		{"safety stock", Cell{OnHand: 5, Safety: 2}, 3, 0},
		{"safety stock above what is there", Cell{OnHand: 5, Safety: 9}, 0, 0},
		{"safety stock is no shortage", Cell{OnHand: 5, Held: 5, Safety: 3}, 0, 0},
		{"backorder", Cell{OnHand: 5, Safety: -3}, 8, 0},
		{"backorder promised", Cell{OnHand: 5, Held: 8, Safety: -3}, 0, 0},
		{"more than backorder", Cell{OnHand: 5, Held: 9, Safety: -3}, 0, 1},
		{"negative on hand", Cell{OnHand: -4}, 0, 4},
		{"negative on hand, held", Cell{OnHand: -4, Held: 1}, 0, 5},
		{"negative on hand within backorder", Cell{OnHand: -4, Safety: -6}, 2, 0},
		{"blocked", Cell{OnHand: 5, Flags: Blocked}, 0, 0},
		{"location blocked", Cell{OnHand: 5, Flags: LocationBlocked}, 0, 0},
		{"blocked and short", Cell{OnHand: 5, Held: 6, Flags: Blocked | LocationBlocked}, 0, 1},
	} {
		if got := c.cell.Available(); got != c.available {
			t.Errorf("%s: available %d, want %d", c.name, got, c.available)
		}
		if got := c.cell.Shortage(); got != c.shortage {
			t.Errorf("%s: shortage %d, want %d", c.name, got, c.shortage)
		}
	}
}

// TestASlotKeepsItsNumbersAndItsHeadApart, though they share words.
func TestASlotKeepsItsNumbersAndItsHeadApart(t *testing.T) {
	units := rapid.OneOf(rapid.Int64Range(-2, 2), rapid.Int64Range(-1<<47, 1<<47-1), rapid.SampledFrom([]int64{-1 << 47, 1<<47 - 1}))
	safety := rapid.OneOf(rapid.Int64Range(-2, 2), rapid.Int64Range(-1<<31, 1<<31-1), rapid.SampledFrom([]int64{-1 << 31, 1<<31 - 1}))
	refs := rapid.OneOf(rapid.Uint32(), rapid.SampledFrom([]uint32{0, 1, 0xFFFF, 0x10000, 1<<32 - 1}))
	rapid.Check(t, func(r *rapid.T) {
		var s slot
		head, location := uint32(0), rapid.Uint32Range(1, 1<<32-1).Draw(r, "location")
		var c Cell
		for range 5 {
			c = Cell{
				OnHand: units.Draw(r, "on hand"), Held: units.Draw(r, "held"), Safety: safety.Draw(r, "safety"),
				Sequence: rapid.Uint64Range(0, 1<<56-1).Draw(r, "sequence"), Flags: Flags(rapid.ByteRange(0, 15).Draw(r, "flags")),
			}
			s.store(location, c)
			if s.head() != head || s.load() != c || s.location() != location {
				r.Fatalf("stored %+v: %+v, head %d, location %d; want head %d, location %d", c, s.load(), s.head(), s.location(), head, location)
			}
			head = refs.Draw(r, "head")
			s.setHead(head)
			if s.head() != head || s.load() != c || s.location() != location {
				r.Fatalf("head %d: %+v, head %d, location %d; want %+v", head, s.load(), s.head(), s.location(), c)
			}
		}
	})
}
