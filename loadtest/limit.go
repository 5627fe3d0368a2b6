package loadtest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// Limit is the outcome of a search for the highest rate that a server bears.
type Limit struct {
	Bound  time.Duration `json:"p99_bound_ns"`
	Rate   float64       `json:"rate"` // the highest that was borne, 0 if none
	Trials []Trial       `json:"trials"`
}

// Trial is a rate that was tried.
type Trial struct {
	Rate float64       `json:"rate"`
	P99  time.Duration `json:"p99_ns"`
	Sent float64       `json:"answered_rate"`
	OK   bool          `json:"ok"`
	Why  string        `json:"why,omitempty"` // of one that was not borne
}

// limitPrecision is how close, relative to it, the rate that is found and the lowest one that was not borne come.
const limitPrecision = 0.05

// trialsMax bounds a search.
const trialsMax = 30

// measuredMin is how many requests a trial must have measured to have a p99. At random moments about as many come as the rate
// says, hence the double there.
func (c *Config) measuredMin() float64 {
	if c.Poisson {
		return 2 * float64(tails["p99"])
	}
	return float64(tails["p99"])
}

// measures returns how many arrivals a trial at a rate would count.
func (c *Config) measures(rate float64) float64 { return rate * (c.Duration - c.Warmup).Seconds() }

// FindLimit searches for the highest rate at which p99 stays within the bound, everything is sent and answered, and nothing is
// refused: it doubles the rate from Config.Rate until that fails, and then halves the interval. Each trial takes
// Config.Duration. The result is that of the highest rate that was borne, or of the last trial if none was.
func FindLimit(ctx context.Context, c Config, bound time.Duration, watch Watcher, trial func(Trial)) (*Result, error) {
	if err := c.CheckLimit(bound); err != nil {
		return nil, err
	}
	t, err := prepare(ctx, c, watch)
	if err != nil {
		return nil, err
	}
	limit := &Limit{Bound: bound}
	var best, last *Result
	var failed error
	good, bad := 0.0, 0.0
	for rate := c.Rate; len(limit.Trials) < trialsMax && ctx.Err() == nil && rate <= rateMax; {
		r, err := t.try(ctx, rate)
		if err != nil {
			failed = fmt.Errorf("a trial at %.0f/s: %w", rate, err)
			break
		}
		one := judge(r, bound)
		limit.Trials = append(limit.Trials, one)
		if trial != nil {
			trial(one)
		}
		if last = r; one.OK {
			good, best = rate, r
		} else {
			bad = rate
		}
		switch {
		case bad == 0:
			rate = good * 2
		case good == 0:
			rate = bad / 2
		default:
			rate = (good + bad) / 2
		}
		if !r.Verified.sound() || c.measures(rate) < c.measuredMin() || good > 0 && bad > 0 && bad-good <= limitPrecision*bad {
			break
		}
	}
	if last == nil {
		return nil, errors.Join(failed, ctx.Err())
	}
	if best == nil || !last.Verified.sound() {
		best = last
	}
	limit.Rate = good
	best.Limit = limit
	return best, errors.Join(failed, t.clear(context.WithoutCancel(ctx), best))
}

// sound reports whether the server was asked for everything, and nothing was wrong.
func (v *Verified) sound() bool { return v.ViolationCount == 0 && v.Unverified == "" }

// try makes a load at a rate, on stock that is as at first, of which nothing is held any more by an earlier trial.
func (t *test) try(ctx context.Context, rate float64) (*Result, error) {
	plan, err := newSchedule(Constant, rate, rate, 1, t.config.Duration)
	if err != nil {
		return nil, err
	}
	t.plan, t.config.Rate = plan, rate
	if err := t.releaseLive(ctx); err != nil {
		return nil, err
	}
	if err := t.shop.load(ctx, t.api, 0, len(t.shop.skus)); err != nil {
		return nil, err
	}
	return t.load(ctx)
}

// releaseLive releases what the trial before has left to expire and still holds: a ledger is that of one trial, and units that
// another one holds would be missing from it.
func (t *test) releaseLive(ctx context.Context) error {
	var done atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, h := range t.live {
		group.Go(func() error {
			err := t.api.json(ctx, http.MethodPost, "/v1/reservations/"+h.id.String()+"/release", nil, nil)
			if e := (*statusError)(nil); errors.As(err, &e) && e.status == http.StatusConflict {
				if state, _ := member(e.body, "state"); string(state) == expired.String() {
					err = nil // meanwhile
				}
			}
			t.watch.Progress("releasing what is still held", done.Add(1), int64(len(t.live)))
			return err
		})
	}
	err := group.Wait()
	t.live = nil
	return err
}

// judge says whether a rate was borne.
func judge(r *Result, bound time.Duration) Trial {
	one := Trial{Rate: r.Config.Rate, P99: time.Duration(r.Total.Latency.P99), Sent: r.Total.Rate, OK: true}
	for _, no := range []struct {
		is  bool
		why string
	}{
		{r.Interrupted, "interrupted"},
		{r.Verified.ViolationCount > 0, fmt.Sprintf("%d violations", r.Verified.ViolationCount)},
		{r.Verified.Unverified != "", "not verified: " + r.Verified.Unverified},
		{r.Total.Failed > 0, fmt.Sprintf("%d failed", r.Total.Failed)},
		{r.Dropped > 0, fmt.Sprintf("%d could not be sent", r.Dropped)},
		{r.Total.Refused > 0, fmt.Sprintf("%d refused", r.Total.Refused)},
		{r.Total.Measured() < tails["p99"], fmt.Sprintf("only %d were measured, and a p99 takes %d", r.Total.Measured(), tails["p99"])},
		{one.P99 > bound, fmt.Sprintf("p99 is %v", one.P99.Round(10*time.Microsecond))},
	} {
		if no.is {
			one.OK, one.Why = false, no.why
			break
		}
	}
	return one
}
