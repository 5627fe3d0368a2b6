package loadtest

import (
	"context"
	"fmt"
	"time"
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

// FindLimit searches for the highest rate at which p99 stays within the bound, everything is sent and answered, and nothing is
// refused: it doubles the rate from Config.Rate until that fails, and then halves the interval. Each trial takes
// Config.Duration. The result is that of the highest rate that was borne, or of the last trial if none was.
func FindLimit(ctx context.Context, c Config, bound time.Duration, watch Watcher, trial func(Trial)) (*Result, error) {
	if c.Workload == FlashSale || c.Workload == Replay || c.Closed || c.Shape != Constant {
		return nil, fmt.Errorf("a search for the limit needs an open load at a constant rate, and not the workload %s", c.Workload)
	}
	t, err := prepare(ctx, c, watch)
	if err != nil {
		return nil, err
	}
	limit := &Limit{Bound: bound}
	var best, last *Result
	good, bad := 0.0, 0.0
	for rate := c.Rate; len(limit.Trials) < trialsMax && ctx.Err() == nil && rate <= rateMax; {
		r, err := t.try(ctx, rate)
		if err != nil {
			return nil, err
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
		if r.Verified.ViolationCount > 0 || rate < 1 || good > 0 && bad > 0 && bad-good <= limitPrecision*bad {
			break
		}
	}
	if best == nil || last.Verified.ViolationCount > 0 {
		best = last
	}
	limit.Rate = good
	best.Limit = limit
	return best, t.clear(context.WithoutCancel(ctx), best)
}

// try makes a load at a rate, on stock that is as at first.
func (t *test) try(ctx context.Context, rate float64) (*Result, error) {
	plan, err := newSchedule(Constant, rate, rate, 1, t.config.Duration)
	if err != nil {
		return nil, err
	}
	t.plan, t.config.Rate = plan, rate
	if err := t.shop.load(ctx, t.api, 0, len(t.shop.skus)); err != nil {
		return nil, err
	}
	return t.load(ctx)
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
		{r.Total.Failed > 0, fmt.Sprintf("%d failed", r.Total.Failed)},
		{r.Dropped > 0, fmt.Sprintf("%d could not be sent", r.Dropped)},
		{r.Total.Refused > 0, fmt.Sprintf("%d refused", r.Total.Refused)},
		{one.P99 > bound, fmt.Sprintf("p99 is %v", one.P99.Round(10*time.Microsecond))},
	} {
		if no.is {
			one.OK, one.Why = false, no.why
			break
		}
	}
	return one
}
