package webhook

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestOutbox has events added, sent, sent in vain, dropped and saved at random, and holds the outbox against what is known of
// each: a lane is sent in order, one at a time, and whatever was not taken is either behind what is settled or waiting.
func TestOutbox(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o, now, read := newOutbox(), time.Unix(1e9, 0), uint64(0)
		taken := make(map[eventKey]bool)
		lanes := make(map[eventKey]string) // of the events that there are
		numbers := make(map[uint64]int)    // how many events a change has: some none, that are wanted
		of := func(sequence uint64) (keys []eventKey) {
			for n := range numbers[sequence] {
				if key := (eventKey{sequence, n}); lanes[key] != "" {
					keys = append(keys, key)
				}
			}
			return keys
		}
		upTo := func(key eventKey) (keys []eventKey) {
			for s := uint64(1); s <= key.sequence; s++ {
				for _, k := range of(s) {
					if k.compare(key) <= 0 {
						keys = append(keys, k)
					}
				}
			}
			return keys
		}
		var sending []*event
		var dropped = make(map[*event]bool)
		t.Repeat(map[string]func(*rapid.T){
			"read": func(t *rapid.T) {
				read++
				if _, before := numbers[read]; !before {
					numbers[read] = rapid.IntRange(0, 3).Draw(t, "events")
					for n := range numbers[read] {
						if rapid.IntRange(0, 3).Draw(t, "wanted") > 0 {
							lanes[eventKey{read, n}] = fmt.Sprint(rapid.IntRange(0, 3).Draw(t, "lane"))
						}
					}
				}
				for _, key := range of(read) {
					o.add(&event{eventKey: key, lane: lanes[key]})
				}
			},
			"send": func(t *rapid.T) {
				if e, _ := o.next(now); e != nil {
					for _, key := range upTo(e.eventKey) {
						if key != e.eventKey && lanes[key] == e.lane && !taken[key] {
							t.Fatalf("%v is sent before %v of its lane", e.eventKey, key)
						}
					}
					for _, other := range sending {
						if other.lane == e.lane && !dropped[other] {
							t.Fatalf("%v is sent while %v of its lane is", e.eventKey, other.eventKey)
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
						taken[e.eventKey] = true
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
					for _, key := range of(s) {
						delete(taken, key)
					}
				}
				read = min(read, from-1)
			},
			"restart": func(t *rapid.T) {
				for _, e := range sending {
					dropped[e] = true
				}
				sending = nil
				after, waiting := o.settled(read)
				slices.SortFunc(waiting, func(a, b *event) int { return a.compare(b.eventKey) })
				fresh := newOutbox()
				for _, e := range waiting {
					fresh.add(&event{eventKey: e.eventKey, lane: e.lane, attempts: e.attempts, due: e.due})
				}
				for s := after + 1; s <= read; s++ { // the feed is read again
					for _, key := range of(s) {
						before := len(fresh.open)
						fresh.add(&event{eventKey: key, lane: lanes[key]})
						if taken[key] && len(fresh.open) > before {
							delete(taken, key) // it is sent twice, which is allowed
						}
					}
				}
				o = fresh
			},
			"": func(t *rapid.T) {
				after, waiting := o.settled(read)
				is := make(map[eventKey]bool)
				for _, e := range waiting {
					is[e.eventKey] = true
				}
				for _, key := range upTo(eventKey{read, 9}) {
					if !taken[key] && o.open[key] == nil {
						t.Fatalf("%v is lost", key)
					}
					if !taken[key] && key.sequence <= after && !is[key] {
						t.Fatalf("%v would be lost in a crash: settled to %d, waiting %v", key, after, is)
					}
				}
			},
		})
	})
}
