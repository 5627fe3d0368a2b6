package loadtest

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"onhand/loadtest/wire"
)

func pow10(x float64) float64 { return math.Pow(10, x) }

// Watcher is told how a run comes along; each of its functions may be nil.
type Watcher struct {
	Progress func(step string, done, total int64) // before and after the load
	Second   func(number int, s Second, planned float64)
}

// Run makes a load and verifies what the server made of it. A cancelled context ends the load early; what was done so far is
// verified all the same. What the server did wrong stands in the result, and so does that it could not be asked any more
// ([Verified.Unverified]). An error means that there is no result, or, beside one, that the run could not clear up.
func Run(ctx context.Context, c Config, watch Watcher) (*Result, error) {
	t, err := prepare(ctx, c, watch)
	if err != nil {
		return nil, err
	}
	r, err := t.load(ctx)
	if err != nil {
		return nil, err
	}
	return r, t.clear(context.WithoutCancel(ctx), r)
}

// test is a load test on a server that has been prepared for it.
type test struct {
	config Config
	api    *api
	shop   *shop
	plan   arrivals
	watch  Watcher
	server string
	clock  clock
	live   []*hold // reservations that still hold something after the last verification
}

func prepare(ctx context.Context, c Config, watch Watcher) (*test, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	if watch.Progress == nil {
		watch.Progress = func(string, int64, int64) {}
	}
	t := &test{config: c, api: newAPI(&c), watch: watch}
	if err := t.stock(); err != nil {
		return nil, err
	}
	if err := t.greet(ctx); err != nil {
		return nil, err
	}
	if err := t.shop.prepare(ctx, t.api, watch.Progress); err != nil {
		return nil, err
	}
	return t, t.readClock(ctx)
}

// stock decides what is in the shop, and when what is asked for.
func (t *test) stock() error {
	c := &t.config
	if c.Workload == Replay {
		e, err := readEvents(c.File, c.Locations, c.Speed, c.Duration)
		if err != nil {
			return err
		}
		if cells := len(e.skus) * c.Locations; cells > cellsMax {
			return fmt.Errorf("%d SKUs at %d locations are %d cells, want at most %d", len(e.skus), c.Locations, cells, cellsMax)
		}
		t.plan, c.SKUs, c.Warmup, c.Speed, c.Duration = e, len(e.skus), 0, e.speed, e.length()
		t.shop = newShop(e.skus, c.Locations, func(sku, location int) int64 {
			return int64(c.Cover * float64(e.demand[[2]int32{int32(sku), int32(location)}]))
		})
		return nil
	}
	plan, err := newSchedule(c.Shape, c.From, c.Rate, c.Steps, c.Duration)
	if err != nil {
		return err
	}
	t.plan = plan
	skus := make([]string, c.SKUs)
	for i := range skus {
		skus[i] = fmt.Sprintf("%06d", i)
	}
	t.shop = newShop(skus, c.Locations, func(sku, location int) int64 {
		if c.Workload == FlashSale && sku == 0 && location == 0 {
			return c.Stock
		}
		return c.OnHand
	})
	return nil
}

// greet makes sure that there is an onhand server, and that it lets us in.
func (t *test) greet(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, t.config.To+"/v1/locations?limit=1", nil)
	if err != nil {
		return err
	}
	if t.config.Key != "" {
		request.Header.Set("Authorization", "Bearer "+t.config.Key)
	}
	response, err := t.api.client.Do(request)
	if err != nil {
		return fmt.Errorf("the server can't be reached: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the server answers %s: is it an onhand server, and is the key right?", response.Status)
	}
	t.server = response.Header.Get("Server")
	return nil
}

// load makes the load once, and verifies it.
func (t *test) load(ctx context.Context) (*Result, error) {
	c := &t.config
	address, secure := c.address()
	var stop atomic.Bool
	seconds := make(chan *second, 64*c.Threads)
	workers := make([]*worker, c.Threads)
	for i := range workers {
		w, err := newWorker(c, t.shop, t.plan, i, &stop, seconds)
		if err != nil {
			return nil, err
		}
		workers[i] = w
	}
	r := &Result{Started: time.Now().UTC(), Environment: environment(), Server: t.server, Config: *c}
	if e, ok := t.plan.(*events); ok {
		r.Replayed = &e.Replayed
	}
	scraped := startScraper(c.Metrics)
	counted := make(chan []Second)
	go func() { counted <- t.count(seconds) }()
	ended := context.AfterFunc(ctx, func() { stop.Store(true) })
	before := processorTime()
	began := time.Now()
	errs := make([]error, c.Threads)
	var wg sync.WaitGroup
	for i, w := range workers {
		share := c.Connections / c.Threads
		if i < c.Connections%c.Threads {
			share++
		}
		wg.Go(func() {
			errs[i] = wire.Drive(wire.Target{Address: address, TLS: secure, Connections: share, Timeout: c.Timeout, Pipeline: c.Pipeline}, w)
			w.recorder.close()
			if errs[i] != nil {
				stop.Store(true)
			}
		})
	}
	wg.Wait()
	took := time.Since(began)
	r.LoaderCPU = processorTime() - before
	r.Interrupted = !ended()
	close(seconds)
	r.Seconds = <-counted
	scraped.stop(r)
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	r.Took = max(took-c.Warmup, 0)
	recorders := make([]*recorder, len(workers))
	ledgers := make([]*ledger, len(workers))
	for i, w := range workers {
		recorders[i], ledgers[i] = w.recorder, w.ledger
	}
	r.sum(recorders, took)
	var answered int64
	for _, s := range r.Seconds {
		answered += s.Answered
	}
	if answered > 0 {
		r.LoaderPerMio = r.LoaderCPU.Seconds() / float64(answered) * 1e6
	}
	v, err := t.verify(context.WithoutCancel(ctx), ledgers)
	if err != nil {
		v.Unverified = err.Error()
	}
	r.Verified = v
	return r, nil
}

// count merges the seconds of all workers, and tells of each that is complete.
func (t *test) count(seconds <-chan *second) []Second {
	var merged []*second
	var reports []int
	told := 0
	result := func(s *second) Second {
		q := quantilesOf(s.latency)
		return Second{0, s.answered, s.refused, s.failed, s.late, s.dropped, q.P50, q.P99, q.Max}
	}
	for s := range seconds {
		for len(merged) <= s.number {
			merged = append(merged, &second{number: len(merged), latency: newHistogram(secondsDigits)})
			reports = append(reports, 0)
		}
		m := merged[s.number]
		m.answered, m.refused, m.failed = m.answered+s.answered, m.refused+s.refused, m.failed+s.failed
		m.late, m.dropped = m.late+s.late, m.dropped+s.dropped
		m.latency.Merge(s.latency)
		reports[s.number]++
		for told < len(merged) && reports[told] == t.config.Threads {
			if t.watch.Second != nil {
				var planned float64
				if p, ok := t.plan.(*schedule); ok && !t.config.Closed {
					planned = p.rateAt(time.Duration(told) * time.Second)
				}
				t.watch.Second(told, result(merged[told]), planned)
			}
			told++
		}
	}
	all := make([]Second, len(merged))
	for i, m := range merged {
		all[i] = result(m)
	}
	return all
}

// clear takes what the run has made off the server again.
func (t *test) clear(ctx context.Context, r *Result) error {
	if t.config.Keep {
		return nil
	}
	if r.Verified.Unverified != "" { // a server that does not answer is not waited for once more
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, t.answerWait())
		defer cancel()
	}
	kept, err := t.shop.remove(ctx, t.api, t.watch.Progress)
	r.Verified.Left = kept
	if err != nil {
		return fmt.Errorf("clearing up (what is left has names that begin with %s): %w", strconv.Quote(t.shop.prefix), err)
	}
	return nil
}
