package bench

import (
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"onhand/engine"
)

// openStock opens an engine on a new database with skus × locations cells.
func openStock(dir string, skus, locations int, onHand int64, options engine.Options) (*engine.Engine, error) {
	e, err := engine.Open(dir, options)
	if err != nil {
		return nil, err
	}
	if err := fill(e, skus, locations, onHand); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

func fill(e *engine.Engine, skus, locations int, onHand int64) error {
	im, err := e.BeginImport("", engine.ImportSet, false)
	if err != nil {
		return err
	}
	rows := make([]engine.ImportRow, 0, engine.ImportChunk)
	names := make([]string, locations)
	for i := range names {
		names[i] = locationName(i)
	}
	for sku := range skus {
		name := skuName(sku)
		for _, location := range names {
			rows = append(rows, engine.ImportRow{SKU: name, Location: location, OnHand: &onHand})
			if len(rows) == cap(rows) {
				if _, err := im.Apply(nil, rows); err != nil {
					return err
				}
				rows = rows[:0]
			}
		}
	}
	if _, err := im.Apply(nil, rows); err != nil {
		return err
	}
	_, err = im.Close()
	return err
}

// names are the names of a stock, made once.
type names struct{ skus, locations []string }

func namesOf(skus, locations int) names {
	n := names{make([]string, skus), make([]string, locations)}
	for i := range n.skus {
		n.skus[i] = skuName(i)
	}
	for i := range n.locations {
		n.locations[i] = locationName(i)
	}
	return n
}

func (n *names) line(r *rand.Rand) engine.Line {
	return engine.Line{SKU: n.skus[r.IntN(len(n.skus))], Location: n.locations[r.IntN(len(n.locations))], Quantity: 1}
}

// callers runs call from n goroutines for a while and returns how many a second there were, and how long each took.
func callers(n int, d time.Duration, call func(r *rand.Rand) (units int, err error)) (rate float64, latency []time.Duration, err error) {
	var stop atomic.Bool
	var done atomic.Int64
	var wg sync.WaitGroup
	errs := make([]error, n)
	latencies := make([][]time.Duration, n)
	begun := time.Now()
	for i := range n {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), uint64(begun.UnixNano())))
			for !stop.Load() {
				begun := time.Now()
				units, err := call(r)
				if err != nil {
					errs[i] = err
					return
				}
				latencies[i] = append(latencies[i], time.Since(begun))
				done.Add(int64(units))
			}
		})
	}
	time.Sleep(d)
	stop.Store(true)
	wg.Wait()
	rate = float64(done.Load()) / time.Since(begun).Seconds()
	for _, l := range latencies {
		latency = append(latency, l...)
	}
	return rate, latency, errors.Join(errs...)
}

// rates runs call in rounds, after one to warm up.
func rates(c Config, n int, call func(r *rand.Rand) (units int, err error)) (spread, error) {
	var values []float64
	for i := range c.Rounds + 1 {
		rate, _, err := callers(n, c.Round, call)
		if err != nil {
			return spread{}, err
		}
		if i > 0 {
			values = append(values, rate)
		}
	}
	return spreadOf(values), nil
}

// reads measures the read of a random cell of two million by its two names, from one goroutine, beside what no index can
// do without: one read of a random place in as much memory, which the next one depends on.
func (r *Report) reads(c Config, dir string) (err error) {
	const skus, locations = 2000, 1000
	e, err := openStock(dir, skus, locations, shopOnHand, engine.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	n := namesOf(skus, locations)
	var values, limits, ratios []float64
	memory := make([]uint64, skus*locations*cellBytes/8)
	for i := range memory {
		memory[i] = 0 // the kernel provides memory only once it is written to
	}
	random := rand.New(rand.NewPCG(1, 1))
	order := make([]engine.Line, 1<<16)
	for i := range order {
		order[i] = n.line(random)
	}
	for i := range c.Rounds + 1 {
		begun, count := time.Now(), 0
		for time.Since(begun) < c.Round {
			for j := range order {
				if _, err := e.Availability(order[j].SKU, order[j].Location); err != nil {
					return err
				}
			}
			count += len(order)
		}
		rate, limit := float64(count)/time.Since(begun).Seconds(), chase(memory)
		if i > 0 {
			values, limits, ratios = append(values, rate), append(limits, limit), append(ratios, rate/limit)
		}
	}
	r.note("memory: dependent reads of random places in as many bytes", spreadOf(limits), "reads/s")
	r.note("engine: read of a random cell ÷ that", spreadOf(ratios), "×")
	r.atLeast("engine: read of a random cell of 2 M by its two names, one core", spreadOf(values), 6e6, "reads/s")
	return nil
}

// cellBytes is about what a cell takes in a row of a thousand.
const cellBytes = 40

// chase returns how many reads a second can be made of memory, in which all is 0, one after the other.
func chase(memory []uint64) float64 {
	const reads = 1 << 22
	begun := time.Now()
	at := uint64(1)
	for range reads {
		at = at*6364136223846793005 + 1442695040888963407 + memory[(at>>32)*uint64(len(memory))>>32]
	}
	took := time.Since(begun)
	if at == 0 {
		return 0 // so that the reads are not left out
	}
	return reads / took.Seconds()
}

// reserves measures durable reservations of one line from 1,024 callers, on different SKUs and all on one.
func (r *Report) reserves(c Config, dir string) (err error) {
	e, err := openStock(dir, shopSKUs, shopLocations, shopOnHand, engine.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	n := namesOf(shopSKUs, shopLocations)
	reserve := func(hot bool) func(random *rand.Rand) (int, error) {
		return func(random *rand.Rand) (int, error) {
			line := n.line(random)
			if hot {
				line = engine.Line{SKU: n.skus[0], Location: n.locations[0], Quantity: 1}
			}
			_, err := e.Reserve(&engine.ReserveRequest{Lines: []engine.Line{line}, ExpiresIn: 15 * time.Minute})
			return 1, err
		}
	}
	const parallel = 1024
	var spreadRates, ratios []float64
	for i := range c.Rounds + 1 {
		different, _, err := callers(parallel, c.Round, reserve(false))
		if err != nil {
			return err
		}
		same, _, err := callers(parallel, c.Round, reserve(true))
		if err != nil {
			return err
		}
		if i > 0 {
			spreadRates, ratios = append(spreadRates, different), append(ratios, same/different)
		}
	}
	r.atLeast("engine: durable reserve of one line, 1,024 callers", spreadOf(spreadRates), 0.5e6, "a second")
	r.atLeast("engine: everyone on one SKU ÷ on different ones", spreadOf(ratios), 0.95, "×")
	return nil
}

// batches measures durable reservations in batches of 1,000: as baskets of 1,000 lines, and as 1,000 reservations of one
// line each.
func (r *Report) batches(c Config, dir string) (err error) {
	const skus, locations, size = 4000, 500, 1000
	// A checkpoint every few seconds would be measured, not the writing.
	e, err := openStock(dir, skus, locations, shopOnHand, engine.Options{CheckpointBytes: 1 << 40})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	n := namesOf(skus, locations)
	baskets, err := rates(c, 8, func(random *rand.Rand) (int, error) {
		lines := make([]engine.Line, size)
		for i := range lines {
			lines[i] = n.line(random)
		}
		_, err := e.Reserve(&engine.ReserveRequest{Lines: lines, ExpiresIn: time.Minute})
		return size, err
	})
	if err != nil {
		return err
	}
	r.atLeast("engine: durable reserve, baskets of 1,000 lines on 2 M cells", baskets, 2e6, "lines/s")
	pool := sync.Pool{New: func() any { return new([]engine.ReserveResult) }}
	singles, err := rates(c, 32, func(random *rand.Rand) (int, error) {
		requests := make([]engine.ReserveRequest, size)
		lines := make([]engine.Line, size)
		for i := range requests {
			lines[i] = n.line(random)
			requests[i] = engine.ReserveRequest{Lines: lines[i : i+1], ExpiresIn: time.Minute}
		}
		results := pool.Get().(*[]engine.ReserveResult)
		*results = e.ReserveBatch((*results)[:0], requests)
		var failed error
		for i := range *results {
			failed = errors.Join(failed, (*results)[i].Err)
		}
		pool.Put(results)
		return size, failed
	})
	if err != nil {
		return err
	}
	r.atLeast("engine: durable reserve, 1,000 reservations a batch on 2 M cells", singles, 2e6, "lines/s")
	return nil
}

// checkpoints measures the p99 of reservations while checkpoints are written one after the other, and without.
func (r *Report) checkpoints(c Config, dir string) (err error) {
	const skus, locations, parallel = 2000, 1000, 64
	e, err := openStock(dir, skus, locations, shopOnHand, engine.Options{CheckpointBytes: 1 << 40})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	n := namesOf(skus, locations)
	reserve := func(random *rand.Rand) (int, error) {
		_, err := e.Reserve(&engine.ReserveRequest{Lines: []engine.Line{n.line(random)}, ExpiresIn: 15 * time.Minute})
		return 1, err
	}
	var ratios, plain []float64
	for i := range c.Rounds + 1 {
		_, without, err := callers(parallel, c.Round, reserve)
		if err != nil {
			return err
		}
		stop, stopped := make(chan struct{}), make(chan error, 1)
		go func() {
			var err error
			for err == nil {
				select {
				case <-stop:
					stopped <- nil
					return
				default:
					err = e.Checkpoint()
				}
			}
			stopped <- err
		}()
		_, during, err := callers(parallel, c.Round, reserve)
		close(stop)
		if err := errors.Join(err, <-stopped); err != nil {
			return err
		}
		if i > 0 {
			p := quantile(without, 0.99)
			plain = append(plain, p.Seconds()*1e3)
			ratios = append(ratios, quantile(during, 0.99).Seconds()/p.Seconds())
		}
	}
	r.note("engine: reserve, 64 callers, p99", spreadOf(plain), "ms")
	r.atMost("engine: p99 of reserve during checkpoints ÷ without", spreadOf(ratios), 2, "×")
	return nil
}

// expiry measures a million reservations that all end within one second: how long after it the last unit is free, and
// what readers notice.
func (r *Report) expiry(c Config, dir string) (err error) {
	const skus, locations, holds = 2000, 500, 1_000_000
	e, err := openStock(dir, skus, locations, shopOnHand, engine.Options{CheckpointBytes: 1 << 40})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	n := namesOf(skus, locations)
	random := rand.New(rand.NewPCG(2, 2))
	read := func(random *rand.Rand) (int, error) {
		l := n.line(random)
		_, err := e.Availability(l.SKU, l.Location)
		return 1, err
	}
	var after, ratios []float64
	for range c.Rounds {
		due := time.Now().Add(20 * time.Second)
		requests := make([]engine.ReserveRequest, 1000)
		var results []engine.ReserveResult
		for made := 0; made < holds; made += len(requests) {
			for j := range requests {
				requests[j] = engine.ReserveRequest{
					Lines: []engine.Line{n.line(random)}, ExpiresAt: due.Add(time.Duration(random.Int64N(int64(time.Second)))),
				}
			}
			results = e.ReserveBatch(results[:0], requests)
			for j := range results {
				if results[j].Err != nil {
					return results[j].Err
				}
			}
		}
		_, before, err := callers(1, time.Second, read)
		if err != nil {
			return err
		}
		time.Sleep(time.Until(due))
		free := make(chan time.Duration, 1)
		go func() {
			for e.Stats().LiveReservations > 0 {
				time.Sleep(time.Millisecond)
			}
			free <- time.Since(due.Add(time.Second))
		}()
		_, during, err := callers(1, time.Second, read)
		if err != nil {
			return err
		}
		after = append(after, (<-free).Seconds())
		ratios = append(ratios, quantile(during, 0.99).Seconds()/quantile(before, 0.99).Seconds())
	}
	r.atMost("engine: 1 M holds due in one second, last unit free after it", spreadOf(after), 1, "s")
	r.atMost("engine: p99 of reads meanwhile ÷ before", spreadOf(ratios), 2, "×")
	return nil
}
