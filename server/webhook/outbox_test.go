package webhook

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestOutbox has events added, sent, sent in vain, dropped and saved at random, and holds the outbox against what is known of
// each: a lane is sent in order, one at a time, and whatever was not taken is either behind what is settled or waiting.
func TestOutbox(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o, now, read := newOutbox(), time.Unix(1e9, 0), uint64(0)
		taken := make(map[uint64]bool)
		lanes := make(map[uint64]string)
		var sending []*event
		var dropped = make(map[*event]bool)
		t.Repeat(map[string]func(*rapid.T){
			"read": func(t *rapid.T) {
				read++
				if lanes[read] == "" {
					lanes[read] = fmt.Sprint(rapid.IntRange(0, 3).Draw(t, "lane"))
				}
				o.add(&event{sequence: read, lane: lanes[read]})
			},
			"send": func(t *rapid.T) {
				if e, _ := o.next(now); e != nil {
					for s := uint64(1); s < e.sequence; s++ {
						if lanes[s] == e.lane && !taken[s] {
							t.Fatalf("%d is sent before %d of its lane", e.sequence, s)
						}
					}
					for _, other := range sending {
						if other.lane == e.lane && !dropped[other] {
							t.Fatalf("%d is sent while %d of its lane is", e.sequence, other.sequence)
						}
					}
					sending = append(sending, e)
				}
			},
			"answer": func(t *rapid.T) {
				if len(sending) == 0 {
					return
				}
				i := rapid.IntRange(0, len(sending)-1).Draw(t, "which")
				e := sending[i]
				sending = append(sending[:i], sending[i+1:]...)
				e.attempts++
				if rapid.Bool().Draw(t, "taken") {
					if !dropped[e] {
						taken[e.sequence] = true
					}
					o.done(e)
				} else {
					e.due = now.Add(time.Duration(rapid.IntRange(0, 5).Draw(t, "pause")) * time.Second)
					o.again(e)
				}
			},
			"time": func(t *rapid.T) { now = now.Add(2 * time.Second) },
			"back": func(t *rapid.T) { o.allDue(now) },
			"rewind": func(t *rapid.T) {
				from := uint64(rapid.IntRange(1, int(read)+1).Draw(t, "from"))
				for _, e := range sending {
					dropped[e] = dropped[e] || e.sequence >= from
				}
				o.drop(from)
				for s := from; s <= read; s++ {
					delete(taken, s)
				}
				read = min(read, from-1)
			},
			"restart": func(t *rapid.T) {
				for _, e := range sending {
					dropped[e] = true
				}
				sending = nil
				after, waiting := o.settled(read)
				byAge := make(map[uint64]*event)
				for _, e := range waiting {
					byAge[e.sequence] = e
				}
				fresh := newOutbox()
				for s := uint64(1); s <= read; s++ {
					if e := byAge[s]; e != nil {
						fresh.add(&event{sequence: s, lane: e.lane, attempts: e.attempts, due: e.due})
					}
				}
				for s := after + 1; s <= read; s++ { // the feed is read again
					before := len(fresh.open)
					fresh.add(&event{sequence: s, lane: lanes[s]})
					if taken[s] && len(fresh.open) > before {
						delete(taken, s) // it is sent twice, which is allowed
					}
				}
				o = fresh
			},
			"": func(t *rapid.T) {
				after, waiting := o.settled(read)
				is := make(map[uint64]bool)
				for _, e := range waiting {
					is[e.sequence] = true
				}
				for s := uint64(1); s <= read; s++ {
					if !taken[s] && o.open[s] == nil {
						t.Fatalf("%d is lost", s)
					}
					if !taken[s] && s <= after && !is[s] {
						t.Fatalf("%d would be lost in a crash: settled to %d, waiting %v", s, after, is)
					}
				}
			},
		})
	})
}
