package bench

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"slices"
	"sync"
	"time"

	"onhand/loadtest/wire"
)

// load is a closed loop over raw connections: each sends a request, reads the answer, and sends the next. It has to be far
// cheaper than the server that it measures, as both run on the same processors; hence package wire.
type load struct {
	address     string
	connections int
	// request appends the next request to dst.
	request func(dst []byte, r *rand.Rand) []byte
	// answer reads the next answer from in, which may hold more than it, and returns its length; 0 = it is not whole yet.
	answer func(in []byte) (n int, err error)
	// greet, where there is one, talks to the server on each new connection.
	greet func(net.Conn) error
}

// run loads a server for a while: as many threads as there are processors share the connections.
func (l *load) run(p *process, seed uint64, d time.Duration) (*result, error) {
	threads := min(runtime.NumCPU(), l.connections)
	loops, errs := make([]*loop, threads), make([]error, threads)
	var wg sync.WaitGroup
	before, err := p.cpu()
	if err != nil {
		return nil, err
	}
	begun := time.Now()
	for i := range loops {
		mine := (i+1)*l.connections/threads - i*l.connections/threads
		loops[i] = &loop{load: l, random: rand.New(rand.NewPCG(seed, uint64(i))), length: d, sent: make([]time.Duration, mine),
			latency: make([]time.Duration, 0, 1<<20)}
		wg.Go(func() {
			errs[i] = wire.Drive(wire.Target{Address: l.address, Connections: mine, Timeout: 30 * time.Second, Greet: l.greet}, loops[i])
		})
	}
	wg.Wait()
	r := &result{took: time.Since(begun)}
	for i, one := range loops {
		r.latency = append(r.latency, one.latency...)
		errs[i] = errors.Join(errs[i], one.failed)
	}
	r.requests = len(r.latency)
	after, err := p.cpu()
	r.cpu = after - before
	if err = errors.Join(append(errs, err)...); err == nil && r.requests == 0 {
		err = errors.New("no request was answered")
	}
	return r, err
}

// loop is the part of a load that one thread drives: an exchange of wire.
type loop struct {
	*load
	random  *rand.Rand
	length  time.Duration
	sent    []time.Duration // by connection
	latency []time.Duration
	failed  error
}

func (l *loop) Next(connection int, now time.Duration, dst []byte) ([]byte, bool) {
	if now >= l.length || l.failed != nil {
		return dst, false
	}
	l.sent[connection] = now
	return l.request(dst, l.random), true
}

func (l *loop) Wait(now time.Duration) (time.Duration, bool) {
	return 0, now < l.length && l.failed == nil
}

func (l *loop) Frame(in []byte) (int, error) { return l.answer(in) }

func (l *loop) Answered(connection int, now time.Duration, _ []byte) bool {
	l.latency = append(l.latency, now-l.sent[connection])
	return true
}

func (l *loop) Failed(_ int, _ time.Duration, err error) { l.failed = err }

// result is what a round of load has measured.
type result struct {
	requests int
	took     time.Duration
	cpu      time.Duration // of the server
	latency  []time.Duration
}

func (r *result) rate() float64          { return float64(r.requests) / r.took.Seconds() }
func (r *result) cpuPerMillion() float64 { return r.cpu.Seconds() / float64(r.requests) * 1e6 }

// quantile returns a latency, sorting on first use.
func quantile(latency []time.Duration, q float64) time.Duration {
	if len(latency) == 0 {
		return 0
	}
	slices.Sort(latency)
	return latency[min(int(q*float64(len(latency))), len(latency)-1)]
}

// httpAnswer reads an HTTP answer and refuses one whose status is not the wanted one.
func httpAnswer(status int) func(in []byte) (int, error) {
	return func(in []byte) (int, error) {
		n, err := wire.FrameHTTP(in)
		if n == 0 || err != nil {
			return 0, err
		}
		if answer, err := wire.ReadHTTP(in[:n]); err != nil || answer.Status != status {
			return 0, fmt.Errorf("answered %q, want status %d", in[:min(n, 600)], status)
		}
		return n, nil
	}
}

// contest measures contenders in turn, round by round, so that each round sees the same machine.
type contender struct {
	name    string
	process *process
	load    load
	rounds  []*result
}

func contest(rounds int, d time.Duration, contenders ...*contender) error {
	for i := range rounds + 1 {
		for _, c := range contenders {
			r, err := c.load.run(c.process, uint64(i), d)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			if i > 0 { // the first round warms up
				c.rounds = append(c.rounds, r)
			}
		}
	}
	return nil
}

// ratio returns the median over the rounds of a figure of one contender divided by that of another.
func ratio(a, b *contender, figure func(*result) float64) spread {
	values := make([]float64, len(a.rounds))
	for i := range values {
		values[i] = figure(a.rounds[i]) / figure(b.rounds[i])
	}
	return spreadOf(values)
}

// own returns a contender's figure.
func own(c *contender, figure func(*result) float64) spread {
	values := make([]float64, len(c.rounds))
	for i := range values {
		values[i] = figure(c.rounds[i])
	}
	return spreadOf(values)
}

// spread is the median of several measurements, with the extremes.
type spread struct{ Median, Min, Max float64 }

func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{}
	}
	slices.Sort(values)
	return spread{values[len(values)/2], values[0], values[len(values)-1]}
}
