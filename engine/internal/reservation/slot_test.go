package reservation

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// noCells is a stock without cells: every line is the only one of its cell.
type noCells struct{}

func (noCells) Head(_, _ uint32) uint32        { return 0 }
func (noCells) SwapHead(_, _, _ uint32) uint32 { return 0 }

func slotID(n int) (id ID) {
	binary.BigEndian.PutUint64(id[:], uint64(n)+1)
	return id
}

// A checkpoint walks through the slots a few lines at a time, while reservations come, go and are extended, and while time
// moves them to lower levels. It must meet every one that does not change; those that do are in the journal.
func TestSlotWalkMissesNothingThatStays(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		const shards, stay = 2, 120
		table := New(shards, func(sku uint32) int { return int(sku % shards) }, noCells{})
		// Few deadlines, so that a slot holds many; times of several levels of the wheel.
		deadline := func(atLeast int64) int64 {
			d := []int64{5e6, 300e6, 3e9, 4e9, 400e9, 100_000e9}[r.IntN(6)]
			return max(d, atLeast)
		}
		next := 0
		add := func() Reservation {
			re := Reservation{ID: slotID(next), State: Held, Deadline: deadline(0)}
			for range 1 + r.IntN(3) {
				re.Lines = append(re.Lines, Line{SKU: uint32(r.IntN(10)), Location: uint32(1 + r.IntN(5)), Quantity: 1})
			}
			next++
			if !table.Insert(&re) {
				t.Fatal("no room")
			}
			return re
		}
		staying := make([]Reservation, stay)
		for i := range staying {
			staying[i] = add()
		}
		var others []Reservation
		churn := func() {
			switch r.IntN(4) {
			case 0:
				others = append(others, add())
			case 1:
				if n := len(others); n > 0 {
					i := r.IntN(n)
					table.Remove(table.Find(others[i].ID, nil))
					others[i] = others[n-1]
					others = others[:n-1]
				}
			case 2:
				if n := len(others); n > 0 {
					re := &others[r.IntN(n)]
					re.Deadline = deadline(re.Deadline)
					table.Update(table.Find(re.ID, nil), re)
				}
			}
		}
		met := make(map[ID]bool)
		var now int64
		for shard := range shards {
			for slot := range WheelSlots {
				var at SlotPosition
				for more := true; more; {
					more = table.Slot(shard, slot, &at, 1+r.IntN(4), func(ref uint32) { met[table.IDOf(ref)] = true })
					churn()
					if r.IntN(50) == 0 {
						now += r.Int64N(1e9) // lines move down the levels, and into the list of those that are due
						table.Due(nil, shard, now, 0)
					}
				}
			}
		}
		for i := range staying {
			if !met[staying[i].ID] {
				t.Fatalf("seed %d: reservation %d, due at %d, was not met", seed, i, staying[i].Deadline)
			}
		}
	}
}
