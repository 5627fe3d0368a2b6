package webhook

import (
	"container/heap"
	"time"
)

// outbox holds the events that an endpoint has not taken yet. Events of a lane leave it in order: only the first of a lane is
// ever sent. Its methods are called under the courier's lock.
type outbox struct {
	open  map[eventKey]*event
	lanes map[string][]*event
	// turn holds the first event of each lane that is not being sent, soonest first.
	turn turns
	// sending is how many are.
	sending int
}

func newOutbox() *outbox {
	return &outbox{open: make(map[eventKey]*event), lanes: make(map[string][]*event)}
}

// add appends an event to its lane. Events of a lane are added in the order of their keys; one before another of its lane
// was added before, and taken since or not.
func (o *outbox) add(e *event) {
	if lane := o.lanes[e.lane]; len(lane) > 0 && lane[len(lane)-1].compare(e.eventKey) >= 0 {
		return
	}
	o.open[e.eventKey] = e
	lane := append(o.lanes[e.lane], e)
	o.lanes[e.lane] = lane
	if len(lane) == 1 {
		heap.Push(&o.turn, e)
	}
}

// next takes the event that is due first, where one is due by now; otherwise it returns when one will be, or the zero time where
// there is none.
func (o *outbox) next(now time.Time) (*event, time.Time) {
	if len(o.turn) == 0 {
		return nil, time.Time{}
	}
	if first := o.turn[0]; first.due.After(now) {
		return nil, first.due
	}
	e := heap.Pop(&o.turn).(*event)
	e.sending = true
	o.sending++
	return e, time.Time{}
}

// soonest takes the event that is due first, though it may not be due yet.
func (o *outbox) soonest() *event {
	if len(o.turn) == 0 {
		return nil
	}
	e, _ := o.next(o.turn[0].due)
	return e
}

// failing reports whether events of more than one lane were sent in vain: then it is not one of them that is at fault.
func (o *outbox) failing() bool {
	n := 0
	for _, lane := range o.lanes {
		if lane[0].attempts > 0 {
			n++
		}
	}
	return n > 1
}

// again puts an event back that was sent in vain.
func (o *outbox) again(e *event) {
	o.sending--
	e.sending = false
	if o.open[e.eventKey] == e {
		heap.Push(&o.turn, e)
	}
}

// done removes an event that was sent.
func (o *outbox) done(e *event) {
	o.sending--
	if o.open[e.eventKey] != e {
		return // it was dropped meanwhile
	}
	delete(o.open, e.eventKey)
	lane := o.lanes[e.lane][1:]
	if len(lane) == 0 {
		delete(o.lanes, e.lane)
		return
	}
	o.lanes[e.lane] = lane
	heap.Push(&o.turn, lane[0])
}

// allDue makes everything due at once.
func (o *outbox) allDue(now time.Time) {
	for _, e := range o.turn {
		if e.due.After(now) {
			e.due = now
		}
	}
	heap.Init(&o.turn)
}

// drop removes all events from a sequence on. What is being sent comes back to done or again.
func (o *outbox) drop(from uint64) {
	kept := newOutbox()
	kept.sending = o.sending
	for _, lane := range o.lanes {
		for _, e := range lane {
			if e.sequence >= from {
				continue
			}
			kept.open[e.eventKey] = e
			kept.lanes[e.lane] = append(kept.lanes[e.lane], e)
		}
	}
	for _, lane := range kept.lanes {
		if !lane[0].sending {
			kept.turn = append(kept.turn, lane[0])
		}
	}
	heap.Init(&kept.turn)
	*o = *kept
}

// unsent returns the same events, none of which is being sent: those who were sending them are gone.
func (o *outbox) unsent() *outbox {
	for _, e := range o.open {
		e.sending = false
	}
	o.drop(1 << 63)
	o.sending = 0
	return o
}

// settled returns the sequence up to which every event was taken or is one of waiting, given that the feed was read up to
// read. waiting are those that were sent in vain, and those behind them in their lanes.
func (o *outbox) settled(read uint64) (after uint64, waiting []*event) {
	after = read
	for _, lane := range o.lanes {
		for _, e := range lane {
			if lane[0].attempts > 0 {
				waiting = append(waiting, e)
			} else {
				after = min(after, e.sequence-1)
			}
		}
	}
	return after, waiting
}

// turns is a heap of events by when they are due, then by age.
type turns []*event

func (t turns) Len() int { return len(t) }
func (t turns) Less(i, j int) bool {
	if !t[i].due.Equal(t[j].due) {
		return t[i].due.Before(t[j].due)
	}
	return t[i].compare(t[j].eventKey) < 0
}
func (t turns) Swap(i, j int) { t[i], t[j] = t[j], t[i] }
func (t *turns) Push(x any)   { *t = append(*t, x.(*event)) }
func (t *turns) Pop() any {
	old := *t
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*t = old[:len(old)-1]
	return last
}
