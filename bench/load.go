package bench

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"
)

// load is a closed loop over raw connections: each sends a request, reads the answer, and sends the next. It has to be far
// cheaper than the server that it measures, as both run on the same processors; hence load_linux.go.
type load struct {
	address     string
	connections int
	// request appends the next request to dst.
	request func(dst []byte, r *rand.Rand) []byte
	// answer reads the next answer from in, which may hold more than it, and returns its length; 0 = it is not whole yet.
	answer func(in []byte) (n int, err error)
}

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

// httpAnswer reads an HTTP answer with a Content-Length and refuses one whose status is not the wanted one.
func httpAnswer(status string) func(in []byte) (int, error) {
	return func(in []byte) (int, error) {
		head := bytes.Index(in, []byte("\r\n\r\n"))
		if head < 0 {
			return 0, nil
		}
		if len(in) < 12 || string(in[9:12]) != status {
			return 0, fmt.Errorf("answered %q, want status %s", in[:min(len(in), 600)], status)
		}
		const name = "Content-Length: "
		at := bytes.Index(in[:head], []byte(name))
		if at < 0 {
			return 0, fmt.Errorf("an answer without Content-Length: %q", in[:head])
		}
		digits := in[at+len(name) : head]
		if i := bytes.IndexByte(digits, '\r'); i >= 0 {
			digits = digits[:i]
		}
		n, err := strconv.Atoi(string(digits))
		if total := head + 4 + n; err != nil || len(in) >= total {
			return head + 4 + n, err
		}
		return 0, nil
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
