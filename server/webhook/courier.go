package webhook

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"onhand/engine"
)

const (
	// connections is how many events an endpoint is sent at a time.
	connections = 32
	// A receiver that is fast is sent steadyConnections at a time, so that what comes together does not wake everybody at once. What
	// has waited for patience is sent on as many more as there are.
	steadyConnections = 2
	patience          = 2 * time.Millisecond
	// openMax is how many events an endpoint may have open before the feed is read on.
	openMax = 4096
	// readMax is how many changes are read at a time.
	readMax = 1024
	// readRest is how long a reader that has caught up waits for more to come together.
	readRest = 5 * time.Millisecond
	// failingAfter is how many attempts in vain, one after the other, make an endpoint a failing one: it is sent one event at a
	// time, probeMax apart at most, until it takes one.
	failingAfter = 5
	probeMax     = time.Minute
)

// courier takes the events of one endpoint there.
type courier struct {
	feed   Feed
	o      *Options
	post   func(ctx context.Context, to *Endpoint, id string, body []byte, now time.Time) answer
	client *http.Client // that post uses

	cancel context.CancelFunc
	ended  sync.WaitGroup
	work   chan *event
	wake   chan struct{} // the outbox has changed
	room   chan struct{} // the outbox has shrunk

	mu       sync.Mutex
	endpoint Endpoint
	filter   *filter
	read     uint64 // the feed was read up to here
	rewound  int    // how often read was set back
	// interrupt ends the wait for a change after read.
	interrupt context.CancelFunc
	outbox    *outbox
	log       deliveryLog
	status    Status
	rest      time.Time // nothing is sent before, unless an event is taken meanwhile
	asked     time.Time // nothing is sent before: the receiver has asked for it
	changed   bool      // since it was saved
}

// Status is how an endpoint is doing.
type Status struct {
	// After is the sequence up to which every event was taken, given up, or is being sent again.
	After uint64
	// Behind is how many changes have happened since.
	Behind uint64
	// Waiting is how many events were sent in vain so far and will be sent again, with those behind them.
	Waiting int
	// Delivered, Failed and GaveUp count attempts and events since the start.
	Delivered, Failed, GaveUp uint64
	// Missed counts changes that were no longer retained when they were to be sent.
	Missed uint64
	// Failing is how many attempts failed since the last that succeeded, and Error the last of them.
	Failing int
	Error   string
	// Succeeded is when an attempt last did; zero = never.
	Succeeded time.Time
	// failed is when the first of the attempts that failed since was made.
	failed time.Time
}

// start sets a courier to work.
func (c *courier) start() {
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	c.work, c.wake, c.room = make(chan *event), make(chan struct{}, 1), make(chan struct{}, 1)
	c.client = newClient(c.o.AllowPrivate, connections)
	if c.post = c.o.post; c.post == nil {
		c.post = func(ctx context.Context, to *Endpoint, id string, body []byte, now time.Time) answer {
			return send(ctx, c.client, to, c.o.Agent, id, body, now)
		}
	}
	c.ended.Go(func() { c.readFeed(ctx) })
	c.ended.Go(func() { c.dispatch(ctx) })
	for range connections {
		c.ended.Go(func() { c.sendAll(ctx) })
	}
}

// stop ends the work. Attempts under way are cut off: their events are sent again by the next courier.
func (c *courier) stop() {
	if c.cancel == nil {
		return
	}
	c.cancel()
	c.ended.Wait()
	c.client.CloseIdleConnections()
	c.cancel = nil
}

// readFeed puts what the endpoint wants of the change feed into the outbox.
func (c *courier) readFeed(ctx context.Context) {
	for ctx.Err() == nil {
		c.mu.Lock()
		after, rewound, filter, free := c.read, c.rewound, c.filter, openMax-len(c.outbox.open)
		c.mu.Unlock()
		if free <= 0 {
			select {
			case <-c.room:
			case <-ctx.Done():
			}
			continue
		}
		if err := c.await(ctx, after, rewound); err != nil {
			if ctx.Err() == nil && errors.Is(err, context.Canceled) {
				continue // read was set back
			}
			return // the engine is stopping, or this courier is
		}
		read, events, n := after, []*event(nil), 0
		err := c.feed.Changes(after, func(change *engine.Change) error {
			read, n = change.Sequence, n+1
			for number := range 1 + len(change.Events) {
				if filter.wants(change, number) {
					events = append(events, newEvent(change, number, c.o.Source, c.o.Encode))
				}
			}
			if n >= readMax || len(events) >= free {
				return engine.ErrEnough
			}
			return nil
		})
		if errors.Is(err, engine.ErrNotRetained) {
			c.skip(after)
			continue
		}
		if err != nil {
			c.o.Log.Error("webhook: the change feed can't be read", "endpoint", c.endpoint.ID, "error", err)
			return
		}
		c.mu.Lock()
		if c.rewound == rewound {
			c.read, c.changed = read, true
			now := time.Now()
			for _, e := range events {
				e.due = now
				c.outbox.add(e)
			}
		}
		c.mu.Unlock()
		signal(c.wake)
		if n < readMax {
			select {
			case <-time.After(readRest):
			case <-ctx.Done():
			}
		}
	}
}

// await waits for a change after a sequence, unless read was set back since it was looked at, or is meanwhile.
func (c *courier) await(ctx context.Context, after uint64, rewound int) error {
	wait, cancel := context.WithCancel(ctx)
	defer cancel()
	c.mu.Lock()
	c.interrupt = cancel
	if c.rewound != rewound {
		cancel()
	}
	c.mu.Unlock()
	return c.feed.WaitChanges(wait, after)
}

// skip goes on behind changes that are no longer kept, and says so.
func (c *courier) skip(after uint64) {
	first, err := c.feed.FirstRetained()
	if err != nil || first <= after+1 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read, c.changed = first-1, true
	c.status.Missed += first - 1 - after
	c.o.Log.Error("webhook: changes are no longer retained, and were not delivered",
		"endpoint", c.endpoint.ID, "from", after+1, "to", first-1)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// dispatch hands events to the senders as they are due.
func (c *courier) dispatch(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		e, wait := c.next(time.Now())
		if e != nil {
			select {
			case c.work <- e:
				continue
			case <-ctx.Done():
				return
			}
		}
		timer.Reset(wait)
		select {
		case <-c.wake:
		case <-timer.C:
		case <-ctx.Done():
			return
		}
	}
}

// next takes an event that is to be sent now, or returns how long to wait.
func (c *courier) next(now time.Time) (*event, time.Duration) {
	const idle = time.Hour // whatever happens wakes the dispatcher
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.endpoint.Disabled != "" || c.status.Failing >= failingAfter && c.outbox.sending > 0 {
		return nil, idle
	}
	if rest := later(c.rest, c.asked); now.Before(rest) {
		return nil, rest.Sub(now)
	}
	ready := now
	if c.outbox.sending >= steadyConnections {
		ready = now.Add(-patience)
	}
	e, due := c.outbox.next(ready)
	if due = due.Add(now.Sub(ready)); e == nil && c.status.Failing >= failingAfter && c.outbox.failing() {
		e = c.outbox.soonest() // to see whether it is back
	}
	switch {
	case e != nil:
		return e, 0
	case len(c.outbox.turn) == 0:
		return nil, idle
	}
	return nil, due.Sub(now)
}

func (c *courier) sendAll(ctx context.Context) {
	for {
		select {
		case e := <-c.work:
			c.mu.Lock()
			to := c.endpoint
			c.mu.Unlock()
			now := time.Now()
			a := c.post(ctx, &to, e.id, e.body, now)
			if ctx.Err() != nil {
				return // cut off: it counts as not sent
			}
			c.note(e, &a, now)
			signal(c.wake)
			signal(c.room)
		case <-ctx.Done():
			return
		}
	}
}

// note writes down what became of an attempt that was made at a time.
func (c *courier) note(e *event, a *answer, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changed = true
	e.attempts++
	if e.first.IsZero() {
		e.first = at
	}
	d := Delivery{Event: e.id, Sequence: e.sequence, Type: e.kind, Attempt: e.attempts, At: at, Took: a.took, Status: a.status}
	defer func() { c.log.add(d) }()
	if a.ok() {
		c.outbox.done(e)
		c.status.Delivered++
		if c.status.Failing >= failingAfter {
			c.outbox.allDue(at) // it is back
		}
		c.status.Failing, c.status.Error, c.status.Succeeded, c.rest = 0, "", at, time.Time{}
		return
	}
	d.Error = a.err.Error()
	c.status.Failed++
	if c.status.Failing++; c.status.Failing == 1 {
		c.status.failed = at
	}
	c.status.Error, e.lastErr = d.Error, d.Error
	if c.status.Failing >= failingAfter {
		c.rest = later(c.rest, at.Add(min(pause(c.status.Failing-failingAfter+1, 0), probeMax)))
	}
	if a.retryAfter > 0 {
		c.asked = later(c.asked, at.Add(min(a.retryAfter, pauseMax)))
	}
	switch {
	case a.gone:
		c.disable("the receiver answered 410 Gone")
	case at.Sub(c.status.failed) >= RetryFor && c.outbox.failing():
		c.disable("nothing was taken for 72 hours; the last attempt: " + d.Error)
	case at.Sub(e.first) >= RetryFor:
		d.GaveUp = true
		c.status.GaveUp++
		c.outbox.done(e)
		c.o.Log.Error("webhook: gave up an event after 72 hours", "endpoint", c.endpoint.ID, "sequence", e.sequence, "error", d.Error)
		return
	}
	e.due = at.Add(pause(e.attempts, a.retryAfter))
	d.Next = e.due
	c.outbox.again(e)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (c *courier) disable(why string) {
	if c.endpoint.Disabled == "" {
		c.endpoint.Disabled = why
		c.o.Log.Error("webhook: endpoint disabled", "endpoint", c.endpoint.ID, "reason", why)
	}
}

// rewind has everything from a sequence on sent again.
func (c *courier) rewind(from uint64) {
	c.mu.Lock()
	c.outbox.drop(from)
	c.read, c.changed = min(c.read, from-1), true
	c.rewound++
	if c.interrupt != nil {
		c.interrupt()
	}
	c.mu.Unlock()
	signal(c.room)
	signal(c.wake)
}

// snapshot returns the endpoint and how it is doing.
func (c *courier) snapshot() (Endpoint, Status) {
	c.mu.Lock()
	defer c.mu.Unlock()
	st := c.status
	var waiting []*event
	st.After, waiting = c.outbox.settled(c.read)
	st.Waiting = len(waiting)
	if durable := c.feed.Durable(); durable > st.After {
		st.Behind = durable - st.After
	}
	return c.endpoint, st
}
