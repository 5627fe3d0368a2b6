package webhook

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"slices"
	"sync"
	"time"

	"onhand/engine"
)

// Feed is the change feed; an engine.Engine is one.
type Feed interface {
	Changes(after uint64, f func(*engine.Change) error) error
	WaitChanges(ctx context.Context, after uint64) error
	Durable() uint64
	FirstRetained() (uint64, error)
	// Retain asks for the changes after a sequence to be kept.
	Retain(after uint64)
}

// Options configure webhooks. Encode is required.
type Options struct {
	Encode Encoder
	// Source is the CloudEvents source: a URI reference that names this onhand among others. Default "/onhand".
	Source string
	// Agent is the User-Agent of deliveries. Default "onhand".
	Agent string
	// AllowPrivate lets endpoints be on addresses that are not public, such as those of this machine and its network.
	AllowPrivate bool
	// Log receives what an operator should know. Default: nothing.
	Log *slog.Logger

	// post takes the place of send in tests.
	post func(ctx context.Context, to *Endpoint, id string, body []byte, now time.Time) answer
}

// saveInterval is how often what has changed is saved: what a crash has sent again is what was sent since.
const saveInterval = time.Second

// Hooks are the webhooks of one onhand. Its methods are safe for concurrent use.
type Hooks struct {
	dir  string
	feed Feed
	o    Options

	stopSaving chan struct{}
	saving     sync.WaitGroup

	// mu guards couriers, and is held while an endpoint is changed or saved. It is taken before a courier's own lock.
	mu       sync.Mutex
	couriers map[string]*courier
	closed   bool
}

// Open reads the endpoints in a directory, which there need not be yet, and begins to deliver.
func Open(dir string, feed Feed, o Options) (*Hooks, error) {
	o.Source, o.Agent = cmp.Or(o.Source, "/onhand"), cmp.Or(o.Agent, "onhand")
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	h := &Hooks{dir: dir, feed: feed, o: o, couriers: make(map[string]*courier), stopSaving: make(chan struct{})}
	all, err := load(dir)
	if err != nil {
		return nil, fmt.Errorf("webhooks: %w", err)
	}
	for _, s := range all {
		c, err := h.restore(s)
		if err != nil {
			return nil, fmt.Errorf("webhooks: endpoint %s: %w", s.Endpoint.ID, err)
		}
		h.couriers[s.Endpoint.ID] = c
	}
	h.retain()
	for _, c := range h.couriers {
		c.startUnlessDisabled()
	}
	h.saving.Go(h.saveLoop)
	return h, nil
}

func (h *Hooks) newCourier(e Endpoint, after uint64) *courier {
	return &courier{feed: h.feed, o: &h.o, endpoint: e, filter: e.filter(), read: after, outbox: newOutbox()}
}

// restore makes the courier that was saved.
func (h *Hooks) restore(s *saved) (*courier, error) {
	c := h.newCourier(s.Endpoint, s.After)
	c.status.Missed = s.Missed
	if durable := h.feed.Durable(); c.read > durable { // an older backup was restored
		c.read = durable
	}
	for _, w := range s.Waiting {
		if w.Sequence > h.feed.Durable() {
			continue
		}
		err := h.feed.Changes(w.Sequence-1, func(change *engine.Change) error {
			if w.Number < 0 || w.Number > len(change.Events) {
				return fmt.Errorf("change %d has no event of number %d", w.Sequence, w.Number)
			}
			e := newEvent(change, w.Number, h.o.Source, h.o.Encode)
			e.attempts, e.first, e.due, e.lastErr = w.Attempts, w.First, w.Due, w.Error
			c.outbox.add(e)
			return engine.ErrEnough
		})
		if errors.Is(err, engine.ErrNotRetained) {
			c.status.Missed++
			h.o.Log.Error("webhook: a change is no longer retained, and was not delivered", "endpoint", s.Endpoint.ID, "sequence", w.Sequence)
			continue
		}
		if err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c *courier) startUnlessDisabled() {
	if c.endpoint.Disabled == "" {
		c.start()
	}
}

// Put makes an endpoint, or changes one: its filters count from the next change that is read on. An endpoint without a
// secret is given one. A new one is sent what happens from now on. It returns the endpoint, with its secret, and whether it is a
// new one.
func (h *Hooks) Put(e Endpoint) (_ Endpoint, made bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return e, false, engine.ErrStopped
	}
	old := h.couriers[e.ID]
	now := time.Now().UTC()
	if old == nil {
		e.Created, e.Secret = now, cmp.Or(e.Secret, newSecret())
	} else {
		before, _ := old.snapshot()
		e.Created, e.Previous, e.PreviousEnds = before.Created, before.Previous, before.PreviousEnds
		if e.Secret = cmp.Or(e.Secret, before.Secret); e.Secret != before.Secret {
			e.Previous, e.PreviousEnds = before.Secret, now.Add(SecretOverlap)
		}
	}
	if err := e.check(); err != nil {
		return e, false, err
	}
	if old == nil && len(h.couriers) >= EndpointsMax {
		return e, false, invalid("id", e.ID, fmt.Sprintf("one of the %d endpoints there are, which is the most", EndpointsMax))
	}
	c := h.newCourier(e, h.feed.Durable())
	if old != nil {
		old.stop()
		old.mu.Lock()
		c.read, c.outbox, c.log, c.status = old.read, old.outbox.unsent(), old.log, old.status
		old.mu.Unlock()
		c.status.Failing, c.status.Error = 0, ""
		c.outbox.allDue(now)
	}
	if err := h.store(c); err != nil {
		if old != nil {
			old.outbox = old.outbox.unsent()
			old.startUnlessDisabled()
		}
		return e, false, err
	}
	h.couriers[e.ID] = c
	c.startUnlessDisabled()
	return e, old == nil, nil
}

// store saves a courier.
func (h *Hooks) store(c *courier) error {
	c.mu.Lock()
	image := c.image()
	c.changed = false
	c.mu.Unlock()
	err := os.MkdirAll(h.dir, 0o700)
	if err == nil {
		err = save(h.dir, image)
	}
	if err != nil {
		c.mu.Lock()
		c.changed = true
		c.mu.Unlock()
		return fmt.Errorf("webhooks: %w", err)
	}
	return nil
}

// Delete removes an endpoint and reports whether there was one.
func (h *Hooks) Delete(id string) (bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.couriers[id]
	if c == nil {
		return false, nil
	}
	if err := remove(h.dir, id); err != nil {
		return false, fmt.Errorf("webhooks: %w", err)
	}
	c.stop()
	delete(h.couriers, id)
	return true, nil
}

func (h *Hooks) find(id string) *courier {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.couriers[id]
}

// Get returns an endpoint and how it is doing.
func (h *Hooks) Get(id string) (Endpoint, Status, bool) {
	c := h.find(id)
	if c == nil {
		return Endpoint{}, Status{}, false
	}
	e, st := c.snapshot()
	return e, st, true
}

// IDs returns the endpoints there are, in order.
func (h *Hooks) IDs() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	ids := make([]string, 0, len(h.couriers))
	for id := range h.couriers {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// Deliveries returns up to n of an endpoint's last attempts, the latest first.
func (h *Hooks) Deliveries(id string, n int) ([]Delivery, bool) {
	c := h.find(id)
	if c == nil {
		return nil, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.log.last(n), true
}

// Redeliver has everything from a sequence on sent again, and returns engine.ErrNotRetained where that is no longer kept.
func (h *Hooks) Redeliver(id string, from uint64) (bool, error) {
	c := h.find(id)
	if c == nil {
		return false, nil
	}
	first, err := h.feed.FirstRetained()
	if err != nil {
		return true, err
	}
	if last := h.feed.Durable(); from < 1 || from > last+1 {
		return true, invalid("from", fmt.Sprint(from), fmt.Sprintf("1 to %d, the next sequence", last+1))
	}
	if from < first {
		return true, engine.ErrNotRetained
	}
	c.rewind(from)
	return true, nil
}

// Test sends an endpoint an event of type onhand.webhook.test, once, whether or not it is disabled, and returns what became of it.
func (h *Hooks) Test(ctx context.Context, id string) (Delivery, bool) {
	c := h.find(id)
	if c == nil {
		return Delivery{}, false
	}
	e, _ := c.snapshot()
	now := time.Now()
	event := fmt.Sprintf("test-%d", now.UnixNano())
	body := envelope(event, h.o.Source, "onhand.webhook.test", "webhooks/"+id, now, func(dst []byte) []byte {
		return append(dst, `{"message":"This is a test. Nothing has happened."}`...)
	})
	client := newClient(h.o.AllowPrivate, 1)
	defer client.CloseIdleConnections()
	a := send(ctx, client, &e, h.o.Agent, event, body, now)
	d := Delivery{Event: event, Type: "webhook.test", Attempt: 1, At: now, Took: a.took, Status: a.status}
	if a.err != nil {
		d.Error = a.err.Error()
	}
	return d, true
}

func (h *Hooks) saveLoop() {
	ticker := time.NewTicker(saveInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			h.saveAll()
		case <-h.stopSaving:
			return
		}
	}
}

// saveAll saves what has changed.
func (h *Hooks) saveAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, c := range h.couriers {
		c.mu.Lock()
		changed, disabled := c.changed, c.endpoint.Disabled
		c.mu.Unlock()
		if !changed {
			continue
		}
		if disabled != "" {
			c.stop()
		}
		if err := h.store(c); err != nil {
			h.o.Log.Error("webhook: what was delivered can't be saved; it will be delivered again after a restart", "endpoint", id, "error", err)
		}
	}
	h.retain()
}

// retain asks for what is still to be sent to be kept.
func (h *Hooks) retain() {
	least := uint64(math.MaxUint64 - 1) // nobody waits
	for _, c := range h.couriers {
		c.mu.Lock()
		after, waiting := c.outbox.settled(c.read)
		for _, e := range waiting {
			after = min(after, e.sequence-1)
		}
		if c.endpoint.Disabled == "" {
			least = min(least, after)
		}
		c.mu.Unlock()
	}
	h.feed.Retain(least)
}

// Close ends all deliveries and saves how far they have come.
func (h *Hooks) Close() error {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return nil
	}
	h.closed = true
	h.mu.Unlock()
	close(h.stopSaving)
	h.saving.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	var err error
	for _, c := range h.couriers {
		c.stop()
		err = errors.Join(err, h.store(c))
	}
	return err
}
