package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"onhand/bench"
)

type benchCommand struct {
	Rounds      int           `help:"Measured rounds of each contest." default:"5"`
	Round       time.Duration `help:"Length of a round." default:"3s"`
	Connections int           `help:"Connections of the HTTP measurements." default:"64"`
	Dir         string        `help:"Where databases are made; default: the system's temporary directory." type:"path"`
	Only        []string      `help:"Measure only these: get, reserve, limits, loader, read, callers, batches, checkpoints, expiry, near, nearhttp, webhooks, orders, scale; and peers (Redis, PostgreSQL) and sweep, which are measured only where asked for."`
	Soak        *period       `help:"Instead of all that, put a load on a server for so long, at least 3m, and see that memory, disk and latency stay level." placeholder:"10m"`
	Plots       string        `help:"Directory for the charts of sweep, as SVG." type:"path" placeholder:"DIR"`
}

// Run measures and prints a table of ratios and figures beside their bars.
func (c *benchCommand) Run(s *streams) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	config := bench.Config{Program: program, Dir: c.Dir, Rounds: c.Rounds, Round: c.Round, Connections: c.Connections, Plots: c.Plots}
	if err := c.check(&config); err != nil {
		return exitError{fmt.Errorf("bench: %w", err), exitUsage}
	}
	defer clearIfInterrupted(program)()
	r := bench.NewReport(s.out)
	if c.Soak != nil {
		if err := r.Soak(config, time.Duration(*c.Soak)); err != nil {
			return fmt.Errorf("bench: %w", err)
		}
		return c.verdict(r)
	}
	if len(c.Only) == 0 {
		c.Only = bench.Parts(false)
	}
	for _, part := range c.Only {
		if err := r.Run(part, config); err != nil {
			return fmt.Errorf("bench: %w", err)
		}
	}
	return c.verdict(r)
}

// check looks at everything before the first part is measured: the last one is a quarter of an hour later.
func (c *benchCommand) check(config *bench.Config) error {
	if c.Soak == nil {
		return config.Check(c.Only)
	}
	if len(c.Only) > 0 {
		return errors.New("a soak is measured by itself, want --soak or --only")
	}
	return bench.CheckSoak(time.Duration(*c.Soak))
}

func (c *benchCommand) verdict(r *bench.Report) error {
	if n := r.Missed(); n > 0 {
		return exitError{fmt.Errorf("%d bars were missed", n), exitFinding}
	}
	return nil
}

// clearIfInterrupted has what bench has made go when the process is told to end, until stop is called. A second ^C ends it at
// once, whatever lies where.
//
// The process becomes benchClearCommand for that. An engine that is measured in it would go on writing while its files are
// removed, and where a write fails it ends the process, as it should.
func clearIfInterrupted(program string) (stop func()) {
	signals, stopped := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		select {
		case <-signals:
		case <-stopped:
			return
		}
		signal.Reset(syscall.SIGINT, syscall.SIGTERM)
		dirs := bench.Interrupt()
		err := syscall.Exec(program, append([]string{os.Args[0], "bench-clear"}, dirs...), os.Environ())
		fmt.Fprintf(os.Stderr, "onhand: bench: %v\n", errors.Join(err, bench.Remove(dirs)))
		os.Exit(exitFailed)
	}()
	return func() {
		signal.Stop(signals)
		close(stopped)
	}
}

// benchClearCommand is what an interrupted benchCommand becomes.
type benchClearCommand struct {
	Dirs []string `arg:"" optional:""`
}

// Run removes the directories.
func (c *benchClearCommand) Run(*streams) error {
	if err := bench.Remove(c.Dirs); err != nil {
		return fmt.Errorf("bench: interrupted; what is left: %w", err)
	}
	return errors.New("bench: interrupted; the databases that it made are removed")
}

// benchBareCommand is the bare server of a contest, run by benchCommand.
type benchBareCommand struct {
	Address string `arg:""`
	Status  int    `arg:""`
	Headers string `arg:"" help:"name=value, separated by |"`
	Body    string `arg:""`
}

// Run serves until the process is ended.
func (c *benchBareCommand) Run(*streams) error {
	var headers [][2]string
	for _, h := range strings.Split(c.Headers, "|") {
		name, value, ok := strings.Cut(h, "=")
		if !ok {
			return errors.New("a header is name=value")
		}
		headers = append(headers, [2]string{name, value})
	}
	return bench.ServeBare(c.Address, c.Status, "application/json", headers, []byte(c.Body))
}

// benchStepCommand is one step of a measurement that needs a process of its own, run by benchCommand.
type benchStepCommand struct {
	Name string `arg:""`
	Dir  string `arg:""`
}

// Run measures and prints the result.
func (c *benchStepCommand) Run(s *streams) error { return bench.RunStep(c.Name, c.Dir, s.out) }
