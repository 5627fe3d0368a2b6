package engine

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
)

// A queue is paged through in the order of what is due first, whatever the states asked for and however small the pages; nothing is
// missed and nothing comes twice. What is to be sent from a location stands among what is collected there; of all locations each order
// is listed where it is collected.
func TestQueuePages(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		orders := newOrders()
		type queued struct {
			location uint32
			state    OrderState
			sent     bool // to be sent from there, and collected elsewhere
			timeKey
		}
		var all []queued
		for range r.IntN(60) {
			k := queued{uint32(1 + r.IntN(3)), OrderState(1 + r.IntN(int(orderStateEnd)-1)), r.IntN(3) == 0, timeKey{int64(r.IntN(20)), newID(0)}}
			if k.at == 19 {
				k.at = noDeadline
			}
			if k.sent {
				orders.sends.at(k.location, k.state).Load(k.timeKey)
			} else {
				orders.queues.at(k.location, k.state).Load(k.timeKey)
			}
			all = append(all, k)
		}
		var states []OrderState
		for _, s := range OrderStates() {
			if r.IntN(2) == 0 {
				states = append(states, s)
			}
		}
		place := uint32(r.IntN(5)) // 0 = all of them, 4 = one that has none
		want := slices.DeleteFunc(all, func(k queued) bool {
			return place == 0 && k.sent || place != 0 && k.location != place || !slices.Contains(states, k.state)
		})
		slices.SortFunc(want, func(a, b queued) int {
			return cmp.Or(cmp.Compare(a.location, b.location), cmp.Compare(a.at, b.at), slices.Compare(a.id[:], b.id[:]))
		})
		var got []ID
		for cursor, limit := (OrderCursor{}), 1+r.IntN(10); ; {
			page, next := orders.page(place, states, cursor, limit)
			if len(page) > limit || len(page) < limit && next.more {
				t.Fatalf("a page of %d, asked for %d, more %v", len(page), limit, next.more)
			}
			got = append(got, page...)
			if cursor = next; cursor.Done() {
				break
			}
		}
		if !slices.EqualFunc(got, want, func(id ID, k queued) bool { return id == k.id }) {
			t.Fatalf("place %d, states %v: got %d orders, or another order of them, want %d", place, states, len(got), len(want))
		}
	}
}
