package bench

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"onhand/loadtest"
)

// Soak puts a mixed load on a server for a long time, while checkpoints are written, holds expire and the server is stopped
// or killed and started again, over and over. Memory, disk and latency have to stay level, and what the server acknowledged has
// to be there in the end.
func (r *Report) Soak(c Config, length time.Duration) (err error) {
	if err := CheckSoak(length); err != nil {
		return err
	}
	dir, remove, err := scratch(c.Dir, "onhand-soak-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	address, err := freeAddress()
	if err != nil {
		return err
	}
	s := &soak{program: c.Program, dir: filepath.Join(dir, "db"), address: address, remembered: max(length/12, time.Minute)}
	if err := s.start(); err != nil {
		return err
	}
	defer func() { s.server.stop() }()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	restarts := make(chan error, 1)
	go func() { restarts <- s.restart(ctx, length/12) }()
	result, err := loadtest.Run(ctx, loadtest.Config{
		To: "http://" + address, Workload: loadtest.Mixed, Mix: "read=50,read-sku=3,near=3,basket=2,reserve=35,till=7", Shape: loadtest.Constant,
		Rate: 1500, Steps: 1, Poisson: true, Duration: length, Connections: 64, Timeout: 10 * time.Second, DropAfter: 10 * time.Second,
		SKUs: 2000, Locations: 20, OnHand: 1_000_000, Keys: "zipf:1.1", Lines: 2, BasketLines: 3, Commit: 0.6, Release: 0.2,
		Think: 500 * time.Millisecond, Hold: min(length/12, time.Minute), ExpectRestart: true, Remembered: s.remembered, Seed: 1,
	}, loadtest.Watcher{Second: func(_ int, second loadtest.Second, _ float64) { s.sample(second) }})
	stop()
	if err := errors.Join(err, <-restarts); err != nil {
		return err
	}
	if why := result.Verified.Unverified; why != "" {
		return errors.New("not verified: " + why)
	}
	s.report(r, result)
	return nil
}

// soakMin is the shortest soak: what a server remembers, a minute at least, is to be forgotten before its last third.
const soakMin = 3 * time.Minute

type soak struct {
	program, dir, address string
	remembered            time.Duration
	restarted             int

	mu      sync.Mutex
	server  *process
	samples []soakSample
}

// soakSample is what is seen after each second.
type soakSample struct {
	memory, disk, p99 float64
}

// start starts the server with everything that is bounded set so low that it is full soon.
func (s *soak) start() error {
	p, err := start(s.address, s.program, "serve", s.dir, "--listen", s.address, "--admin", "", "--log-level", "error",
		"--checkpoint-bytes", "4MiB", "--retention-bytes", "16MiB", "--retention-age", s.remembered.String(), "--window-age", s.remembered.String())
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.server = p
	return nil
}

// restart ends the server now and then, in turn as an operator would and as a power cut would.
func (s *soak) restart(ctx context.Context, every time.Duration) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(every):
		}
		if s.restarted++; s.restarted%2 == 0 {
			_ = s.server.cmd.Process.Signal(syscall.SIGKILL) // stop waits for its end
		}
		s.server.stop()
		if err := s.start(); err != nil {
			return fmt.Errorf("restart %d: %w", s.restarted, err)
		}
	}
}

func (s *soak) sample(second loadtest.Second) {
	s.mu.Lock()
	pid := s.server.cmd.Process.Pid
	s.mu.Unlock()
	memory, err := resident(pid)
	if err != nil {
		return // it is being restarted
	}
	one := soakSample{memory: float64(memory), p99: float64(second.P99) / 1e6}
	_ = filepath.WalkDir(s.dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil { // files come and go
				one.disk += float64(info.Size())
			}
		}
		return nil
	})
	s.samples = append(s.samples, one)
}

// report compares the last third with the one before it. The first third fills what is bounded.
func (s *soak) report(r *Report, result *loadtest.Result) {
	third := len(s.samples) / 3
	part := func(i int, value func(soakSample) float64) []float64 {
		var values []float64
		for _, one := range s.samples[i*third : (i+1)*third] {
			values = append(values, value(one))
		}
		slices.Sort(values)
		return values
	}
	for _, what := range []struct {
		name, unit string
		value      func(soakSample) float64
		at         float64 // quantile
		bar        float64
	}{
		{"memory, highest", "MB", func(s soakSample) float64 { return s.memory / 1e6 }, 1, 1.2},
		{"disk, highest", "MB", func(s soakSample) float64 { return s.disk / 1e6 }, 1, 1.2},
		{"p99 of a second, median", "ms", func(s soakSample) float64 { return s.p99 }, 0.5, 1.5},
	} {
		pick := func(values []float64) float64 { return values[min(int(what.at*float64(len(values))), len(values)-1)] }
		middle, last := pick(part(1, what.value)), pick(part(2, what.value))
		r.note("soak: "+what.name, spread{last, middle, last}, what.unit)
		r.atMost("soak: "+what.name+", last third ÷ second third", spread{last / middle, last / middle, last / middle}, what.bar, "×")
	}
	one := func(n int64) spread { return spread{float64(n), float64(n), float64(n)} }
	r.note("soak: restarts", one(int64(s.restarted)), "")
	r.note("soak: reservations, all verified", one(result.Verified.Reservations), "")
	r.atMost("soak: requests that failed", one(result.Total.Failed+result.Dropped), 0, "")
	r.atMost("soak: violations", one(result.Verified.ViolationCount), 0, "")
	for _, v := range result.Verified.Violations {
		fmt.Fprintln(r.out, "  "+v)
	}
}
