package webhook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"onhand/engine"
)

// What takes days is tested in a bubble, in which time passes as soon as everybody waits for it.

// listFeed is a feed of n changes, each of a reservation of its own.
type listFeed uint64

func (n listFeed) Changes(after uint64, f func(*engine.Change) error) error {
	for s := after + 1; s <= uint64(n); s++ {
		c := engine.Change{Sequence: s, Kind: engine.ReservationHeldChange, Reservation: &engine.Reservation{ID: engine.ID{byte(s), 1}}}
		if err := f(&c); err != nil {
			if errors.Is(err, engine.ErrEnough) {
				return nil
			}
			return err
		}
	}
	return nil
}

func (n listFeed) WaitChanges(ctx context.Context, after uint64) error {
	if after < uint64(n) {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

func (n listFeed) Durable() uint64              { return uint64(n) }
func (listFeed) FirstRetained() (uint64, error) { return 1, nil }
func (listFeed) Retain(uint64)                  {}

// attempts is a receiver that notes when it was sent what.
type attempts struct {
	mu     sync.Mutex
	at     map[string][]time.Time // by id of the event
	answer func(id string, n int) answer
}

func (a *attempts) post(_ context.Context, _ *Endpoint, id string, _ []byte, now time.Time) answer {
	a.mu.Lock()
	defer a.mu.Unlock()
	id, _, _ = strings.Cut(id, "-")
	a.at[id] = append(a.at[id], now)
	return a.answer(id, len(a.at[id]))
}

func (a *attempts) courier(feed Feed) *courier {
	a.at = make(map[string][]time.Time)
	h := &Hooks{feed: feed, o: Options{Encode: encode, Source: "/onhand", Log: slog.New(slog.DiscardHandler), post: a.post}}
	c := h.newCourier(Endpoint{ID: "shop", URL: "http://shop.example/", Secret: newSecret()}, 0)
	c.start()
	return c
}

var failed = answer{status: 500, err: errors.New("answered 500")}

// TestThreeDays has one event refused for ever while all others are taken: it is sent again at longer and longer intervals,
// given up after 72 hours, and holds up nothing.
func TestThreeDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &attempts{answer: func(id string, _ int) answer {
			if id == "3" {
				return failed
			}
			return answer{status: 200}
		}}
		c := r.courier(listFeed(10))
		defer c.stop()
		time.Sleep(time.Second)
		if _, st := c.snapshot(); st.Delivered != 9 || st.Waiting != 1 || st.After != 10 {
			t.Fatalf("after a second: %+v", st)
		}
		time.Sleep(200 * time.Hour)
		e, st := c.snapshot()
		if st.GaveUp != 1 || st.Waiting != 0 || e.Disabled != "" && st.Succeeded.IsZero() {
			t.Fatalf("after 200 hours: %+v", st)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		at := r.at["3"]
		if total := at[len(at)-1].Sub(at[0]); total < RetryFor || total > RetryFor+13*time.Hour+12*time.Minute || len(at) < 12 || len(at) > 20 {
			t.Fatalf("%d attempts in %v", len(at), total)
		}
		for i := 2; i < len(at); i++ {
			if before, pause := at[i-1].Sub(at[i-2]), at[i].Sub(at[i-1]); pause < before*8/10 {
				t.Fatalf("the pause after %v is %v", before, pause)
			}
		}
	})
}

// TestADeadEndpointIsProbed has nothing taken for a day: the endpoint is sent one event at a time, about every minute, and all
// of them as soon as it is back.
func TestADeadEndpointIsProbed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead := true
		r := &attempts{answer: func(string, int) answer {
			if dead {
				return failed
			}
			return answer{status: 200}
		}}
		const events = 200
		c := r.courier(listFeed(events))
		defer c.stop()
		time.Sleep(24 * time.Hour)
		r.mu.Lock()
		sent := 0
		for _, at := range r.at {
			sent += len(at)
		}
		dead = false
		r.mu.Unlock()
		if sent < 100 || sent > connections+24*60+failingAfter {
			t.Fatalf("in a day it was sent %d times, at most one a minute are due", sent)
		}
		time.Sleep(2 * time.Minute)
		if _, st := c.snapshot(); st.Delivered != events || st.Waiting != 0 || st.Failing != 0 {
			t.Fatalf("two minutes after it is back: %+v", st)
		}
	})
}

func TestNothingTakenForThreeDaysDisables(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &attempts{answer: func(string, int) answer { return failed }}
		c := r.courier(listFeed(3))
		defer c.stop()
		time.Sleep(71 * time.Hour)
		if e, _ := c.snapshot(); e.Disabled != "" {
			t.Fatalf("after 71 hours it is disabled: %s", e.Disabled)
		}
		time.Sleep(20 * time.Hour)
		if e, st := c.snapshot(); !strings.Contains(e.Disabled, "72 hours") || st.GaveUp != 0 {
			t.Fatalf("after 91 hours it is %q, %+v", e.Disabled, st)
		}
	})
}

// TestRetryAfterIsHonoured has the receiver ask for an hour's rest.
func TestRetryAfterIsHonoured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := answer{status: 429, err: fmt.Errorf("answered 429"), retryAfter: time.Hour}
		r := &attempts{answer: func(_ string, n int) answer {
			if n == 1 {
				return asked
			}
			return answer{status: 200}
		}}
		c := r.courier(listFeed(1))
		defer c.stop()
		time.Sleep(2 * time.Hour)
		r.mu.Lock()
		defer r.mu.Unlock()
		if at := r.at["1"]; len(at) != 2 || at[1].Sub(at[0]) < time.Hour || at[1].Sub(at[0]) > time.Hour+time.Second {
			t.Fatalf("sent at %v", at)
		}
	})
}

// TestRetryAfterIsForTheWholeEndpoint: what was on its way when the receiver asked for rest, and was taken, does not end the rest.
func TestRetryAfterIsForTheWholeEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const events = 200
		begun := time.Now()
		var soon, late atomic.Int64
		h := &Hooks{feed: listFeed(events), o: Options{Encode: encode, Source: "/onhand", Log: slog.New(slog.DiscardHandler)}}
		h.o.post = func(_ context.Context, _ *Endpoint, id string, _ []byte, now time.Time) answer {
			if now.Sub(begun) >= time.Hour {
				late.Add(1)
				return answer{status: 200}
			}
			soon.Add(1)
			if strings.HasPrefix(id, "1-") {
				return answer{status: 429, err: errors.New("answered 429"), retryAfter: time.Hour}
			}
			time.Sleep(time.Second)
			return answer{status: 200}
		}
		c := h.newCourier(Endpoint{ID: "shop", URL: "http://shop.example/", Secret: newSecret()}, 0)
		c.start()
		defer c.stop()
		time.Sleep(2 * time.Hour)
		if soon.Load() > connections || soon.Load()+late.Load() != events+1 {
			t.Errorf("%d were sent before the hour was over, %d after", soon.Load(), late.Load())
		}
	})
}

// TestAPoisonHoldsUpItsReservationOnly has every first event of a reservation refused for an hour.
func TestAPoisonHoldsUpItsReservationOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		var order []string
		r := &attempts{}
		r.answer = func(id string, n int) answer {
			if id == "1" && time.Since(begun) < time.Hour {
				return failed
			}
			order = append(order, id)
			return answer{status: 200}
		}
		c := r.courier(lanes{"a", "a", "b", "a", "b"})
		defer c.stop()
		time.Sleep(time.Second)
		r.mu.Lock()
		if !slices.Equal(order, []string{"3", "5"}) {
			t.Errorf("after a second %v were taken", order)
		}
		r.mu.Unlock()
		time.Sleep(4 * time.Hour)
		r.mu.Lock()
		defer r.mu.Unlock()
		if !slices.Equal(order, []string{"3", "5", "1", "2", "4"}) {
			t.Errorf("%v were taken", order)
		}
	})
}

// lanes is a feed of changes of the reservations it names.
type lanes []string

func (l lanes) Changes(after uint64, f func(*engine.Change) error) error {
	for s := after + 1; s <= uint64(len(l)); s++ {
		c := engine.Change{Sequence: s, Kind: engine.ReservationExtendedChange, Reservation: &engine.Reservation{ID: engine.ID{l[s-1][0]}}}
		if err := f(&c); err != nil {
			return nil // it is enough
		}
	}
	return nil
}

func (l lanes) WaitChanges(ctx context.Context, after uint64) error {
	return listFeed(len(l)).WaitChanges(ctx, after)
}
func (l lanes) Durable() uint64              { return uint64(len(l)) }
func (lanes) FirstRetained() (uint64, error) { return 1, nil }
func (lanes) Retain(uint64)                  {}
