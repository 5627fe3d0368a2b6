package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"onhand/engine"
)

// The part scale measures memory and restart at the size of a large chain: 20 million cells and 5 million live reservations of
// one line. Each step runs in a process of its own, so that its memory is its own.
const (
	scaleSKUs, scaleLocations = 10_000, 2000
	scaleHolds                = 5_000_000
	tailRecords               = 4_000_000
)

// StepResult is what a step of scale has measured.
type StepResult struct {
	Bytes   int64         // memory taken by what the step added
	Took    time.Duration // by what the step is about
	Records uint64
	Sweep   SweepResult
}

// runStep runs a step in a process of its own and returns what it wrote.
func runStep(program, name, dir string) ([]byte, error) {
	cmd := exec.Command(program, "bench-step", name, dir)
	cmd.Stderr = os.Stderr
	out, err := output(cmd, syscall.SIGKILL)
	if err != nil {
		err = fmt.Errorf("%s: %w", name, err)
	}
	return out, err
}

func readStep(out []byte) (s StepResult, err error) { return s, json.Unmarshal(out, &s) }

func (r *Report) scale(c Config, dir string) error {
	var cell, hold, restart, copied, replay []float64
	for range c.Rounds {
		results, err := scaleOnce(c.Program, dir)
		if err != nil {
			return err
		}
		cells, holds, took := float64(results["cells"].Bytes), float64(results["holds"].Bytes), results["restart"].Took.Seconds()
		cell, hold = append(cell, cells/(scaleSKUs*scaleLocations)), append(hold, holds/scaleHolds)
		restart, copied = append(restart, took), append(copied, took*copySpeed()/(cells+holds))
		replay = append(replay, float64(results["replay"].Records)/results["replay"].Took.Seconds())
	}
	r.atMost("memory, all in, 20 M cells", spreadOf(cell), 48, "bytes a cell")
	r.atMost("memory, 5 M live reservations of one line", spreadOf(hold), 200, "bytes each")
	r.atMost("restart, 20 M cells and 5 M live reservations", spreadOf(restart), 10, "s to ready")
	r.note("restart ÷ copying as many bytes of memory", spreadOf(copied), "×")
	r.atLeast("restart, replay of the journal's tail", spreadOf(replay), 2e6, "records/s")
	return nil
}

// scaleOnce carries out the steps, each on what the last one left.
func scaleOnce(program, parent string) (results map[string]StepResult, err error) {
	dir, err := os.MkdirTemp(parent, "scale-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	results = make(map[string]StepResult)
	for _, name := range []string{"cells", "holds", "restart", "tail", "replay"} {
		out, err := runStep(program, name, dir)
		if err != nil {
			return nil, err
		}
		if results[name], err = readStep(out); err != nil {
			return nil, err
		}
	}
	return results, nil
}

// RunStep runs one step of a measurement, in a directory or against the address of a server, and writes its result to out.
func RunStep(name, dir string, out io.Writer) error {
	steps := map[string]func(string) (StepResult, error){
		"cells": stepCells, "holds": stepHolds, "restart": stepRestart, "tail": stepTail, "replay": stepReplay, "client": stepClient,
	}
	step, ok := steps[name]
	if what, sweep := strings.CutPrefix(name, "sweep-"); sweep {
		step, ok = func(dir string) (StepResult, error) { return stepSweep(what, dir) }, true
	}
	if !ok {
		return fmt.Errorf("there is no step %q", name)
	}
	debug.SetGCPercent(10) // as onhand serve does with a heap of this size
	result, err := step(dir)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(result)
}

// memory returns the memory that the process holds once the collector has given back what it can.
func memory() (int64, error) {
	debug.FreeOSMemory()
	return resident(os.Getpid())
}

func stepCells(dir string) (s StepResult, err error) {
	e, err := openStock(filepath.Join(dir, "scale"), scaleSKUs, scaleLocations, 1000, engine.Options{})
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	s.Bytes, err = memory() // all in: what the program itself takes counts too
	return s, err
}

func stepHolds(dir string) (s StepResult, err error) {
	e, err := engine.Open(filepath.Join(dir, "scale"), engine.Options{})
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	before, err := memory()
	if err != nil {
		return s, err
	}
	if err := holdLines(e, scaleSKUs, scaleLocations, scaleHolds); err != nil {
		return s, err
	}
	after, err := memory()
	s.Bytes = after - before
	return s, errors.Join(err, e.Checkpoint())
}

// holdLines makes reservations of one line for two days, with a reference as an order system gives one.
func holdLines(e *engine.Engine, skus, locations, count int) error {
	n := namesOf(skus, locations)
	random := rand.New(rand.NewPCG(3, 3))
	requests := make([]engine.ReserveRequest, 1000)
	var results []engine.ReserveResult
	for made := 0; made < count; made += len(requests) {
		for i := range requests {
			requests[i] = engine.ReserveRequest{
				Lines: []engine.Line{n.line(random)}, ExpiresIn: 48 * time.Hour, Reference: fmt.Sprintf("order-%07d", made+i),
			}
		}
		results = e.ReserveBatch(results[:0], requests)
		for i := range results {
			if results[i].Err != nil {
				return results[i].Err
			}
		}
	}
	return nil
}

func stepRestart(dir string) (s StepResult, err error) {
	begun := time.Now()
	e, err := engine.Open(filepath.Join(dir, "scale"), engine.Options{})
	if err != nil {
		return s, err
	}
	s.Took = time.Since(begun)
	if live := e.Stats().LiveReservations; live != scaleHolds {
		err = fmt.Errorf("%d live reservations came back, %d were made", live, scaleHolds)
	}
	return s, errors.Join(err, e.Close())
}

// stepTail leaves a journal of reservations behind that no checkpoint covers.
func stepTail(dir string) (s StepResult, err error) {
	const skus, locations = 4000, 500
	e, err := openStock(filepath.Join(dir, "tail"), skus, locations, 1_000_000, engine.Options{CheckpointBytes: 1 << 40})
	if err != nil {
		return s, err
	}
	if err := errors.Join(e.Checkpoint(), holdLines(e, skus, locations, tailRecords)); err != nil {
		return s, errors.Join(err, e.Close())
	}
	return s, e.Close()
}

func stepReplay(dir string) (s StepResult, err error) {
	e, err := engine.Open(filepath.Join(dir, "tail"), engine.Options{CheckpointBytes: 1 << 40})
	if err != nil {
		return s, err
	}
	st := e.Stats()
	s.Took, s.Records = st.Recovery.Replay, st.Recovery.Records
	return s, e.Close()
}
