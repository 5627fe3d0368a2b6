package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"onhand/loadtest"
)

type loadtestCommands struct {
	Run     loadtestCommand        `cmd:"" default:"withargs" help:"Put a load on a server. \"onhand loadtest WORKLOAD\" is the same."`
	Compare loadtestCompareCommand `cmd:"" help:"Compare the results of two runs."`
}

type loadtestCommand struct {
	Workload string `arg:"" help:"read, read-sku, near, basket, reserve, hot, flash-sale, till, mixed or replay." default:"mixed" enum:"read,read-sku,near,basket,reserve,hot,flash-sale,till,mixed,replay"`

	To      string  `help:"Address of the server." default:"http://127.0.0.1:8080" placeholder:"URL"`
	Key     string  `help:"API key with the scopes read, reserve and stock. Better given in the environment." `
	Metrics *string `help:"Address of the server's metrics, for the report; empty for none. By default those on port 9090 of the host of --to." placeholder:"URL"`

	Rate        rate           `help:"Arrivals a second: 500, 20k." default:"1k" group:"Load"`
	Duration    period         `help:"How long they come." default:"30s" group:"Load"`
	Warmup      period         `help:"Of that, how long at the beginning is not counted." default:"2s" group:"Load"`
	Shape       loadtest.Shape `help:"constant; ramp or steps from --from to --rate; spike: --from, and --rate for the middle fifth." enum:"constant,ramp,steps,spike" default:"constant" group:"Load"`
	From        rate           `help:"The rate at which a shape begins; 0 for a tenth of --rate." default:"0" group:"Load"`
	Steps       int            `help:"Number of steps." default:"10" group:"Load"`
	Arrivals    string         `help:"even: at equal distances; poisson: at random, as customers come." enum:"even,poisson" default:"even" group:"Load"`
	Closed      bool           `help:"A closed load instead: each connection sends again when it is answered. It finds out a rate; its latencies are too good." group:"Load"`
	Connections int            `help:"Connections; in an open load this is the most that can be under way." default:"256" group:"Load"`
	Pipeline    int            `help:"Requests that may be under way on each connection, sent one behind the other. Shops don't; it makes the load cheaper, to find what a server can do beside a loader on its own machine." default:"1" group:"Load"`
	Threads     int            `help:"Threads that drive them; 0 for one a processor, at most 8." default:"0" group:"Load"`
	Timeout     time.Duration  `help:"How long to wait for an answer." default:"10s" group:"Load"`
	DropAfter   time.Duration  `help:"A request that could not be sent for so long, as all connections are busy or the server is away, is not sent at all." default:"10s" group:"Load"`

	FindLimit *time.Duration `help:"Search for the highest rate with p99 within this, beginning at --rate; each trial takes --duration." placeholder:"5ms" group:"Load"`

	Mix         string        `help:"mixed: shares." default:"read=70,read-sku=5,near=5,basket=2,reserve=15,till=3" group:"Workload"`
	SKUs        int           `name:"skus" help:"SKUs that the run makes for itself." default:"1000" group:"Workload"`
	Locations   int           `help:"Locations that it makes." default:"20" group:"Workload"`
	OnHand      int64         `help:"Units in each cell at first." default:"1000000" group:"Workload"`
	Keys        string        `help:"How SKUs are drawn: uniform, or zipf:S with S from above 0 to 10; YCSB has 0.99." default:"uniform" placeholder:"uniform" group:"Workload"`
	Lines       int           `help:"Lines of a reservation or an adjustment." default:"1" group:"Workload"`
	BasketLines int           `help:"Lines of a basket that is looked for." default:"3" group:"Workload"`
	Commit      percentage    `help:"Share of reservations that are committed; by default 70%, in a flash-sale and a replay 100%." default:"-1" placeholder:"PERCENT" group:"Workload"`
	Release     percentage    `help:"Share that is released; by default 20%, or what --commit leaves of it. The others are left to expire." default:"-1" placeholder:"PERCENT" group:"Workload"`
	Think       time.Duration `help:"Time between a reservation and its commit or release, give or take half." default:"500ms" group:"Workload"`
	Hold        period        `help:"How long a reservation holds." default:"10s" group:"Workload"`
	Stock       int64         `help:"flash-sale: units there are. The buyers are --rate × --duration, and at least twice as many." default:"1000" group:"Workload"`
	File        string        `help:"replay: CSV of orders with time, reference, sku, quantity, or as UCI Online Retail names them; plain, .gz or .zst." type:"path" group:"Workload"`
	Speed       float64       `help:"replay: times as fast as it happened; 0 so that it takes --duration." default:"0" group:"Workload"`
	Cover       percentage    `help:"replay: opening stock, as a share of what each location is asked for." default:"80" placeholder:"PERCENT" group:"Workload"`
	Seed        uint64        `help:"Same seed, same requests; 0 for a new one." default:"0" group:"Workload"`

	ExpectRestart bool     `help:"The server will be restarted meanwhile: what has no answer is sent again, under its key, until it has one, for --timeout and --drop-after together." group:"Verdict"`
	FailIf        []string `help:"Exit with status 1 if this holds of the result: 'p99>5ms', 'reserve.p99.9>20ms', 'errors>0', 'refused>1%', 'rate<10k'. May be repeated." placeholder:"CONDITION" sep:"none" group:"Verdict"`
	CompareTo     string   `name:"compare" help:"Result (run.json) of an earlier run to compare with." type:"existingfile" placeholder:"FILE" group:"Verdict"`
	Remembered    period   `help:"How long the server remembers ended reservations, if not 24 hours: its --window-age." default:"24h" group:"Verdict"`
	Keep          bool     `help:"Leave the run's stock and locations on the server." group:"Verdict"`
	Out           string   `help:"Directory for the report: report.html, run.json, summary.txt, latency.hgrm." type:"path" placeholder:"DIR" group:"Verdict"`
}

// Help explains what the figures mean.
func (loadtestCommand) Help() string {
	return `An open load: requests are due at fixed times, whether or not the server keeps up, and a latency counts from the time a request was due. The run makes SKUs and locations of its own, keeps a ledger of what it was promised, and ends by holding the server's stock and reservations against it.

Exit status 1: a threshold was crossed, a flash sale proved nothing, or the server's state is not what it acknowledged; 3: it could not be verified, as the server was gone. ^C ends the load early and verifies what was done.

    onhand loadtest --rate 5k --duration 1m --out report

    onhand loadtest reserve --find-limit 5ms --duration 5s

    onhand loadtest flash-sale --stock 1000 --rate 10k --duration 10s

    onhand loadtest replay --file online_retail.csv.gz --duration 1m`
}

// Run makes the load and tells of it.
func (c *loadtestCommand) Run(s *streams) error {
	var thresholds []loadtest.Threshold
	for _, text := range c.FailIf {
		t, err := loadtest.ParseThreshold(text)
		if err != nil {
			return exitError{err, exitUsage}
		}
		thresholds = append(thresholds, t)
	}
	var earlier *loadtest.Result
	if c.CompareTo != "" {
		var err error
		if earlier, err = loadtest.ReadResult(c.CompareTo); err != nil {
			return exitError{err, exitUsage}
		}
	}
	config := c.config()
	if err := config.Check(); err != nil {
		return exitError{fmt.Errorf("loadtest: %w", err), exitUsage}
	}
	if c.FindLimit != nil {
		if err := config.CheckLimit(*c.FindLimit); err != nil {
			return exitError{fmt.Errorf("loadtest: %w", err), exitUsage}
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second ^C ends the program at once
	show := newLoadView(s.err, c)
	var r *loadtest.Result
	var err error
	if c.FindLimit != nil {
		r, err = loadtest.FindLimit(ctx, config, *c.FindLimit, show.watcher(), show.trial)
	} else {
		r, err = loadtest.Run(ctx, config, show.watcher())
	}
	show.close()
	if r == nil {
		return fmt.Errorf("loadtest: %w", err)
	}
	r.Version, r.Command = version, commandWords()
	for _, t := range thresholds {
		if how, failed := t.Fails(r); failed {
			r.Failed = append(r.Failed, how)
		}
	}
	err = errors.Join(err, r.WriteSummary(s.out))
	if earlier != nil {
		err = errors.Join(err, loadtest.WriteComparison(s.out, earlier, r))
	}
	if c.Out != "" {
		err = errors.Join(err, c.write(r, earlier, s))
	}
	switch {
	case r.Verified.Unverified != "" && r.Verified.ViolationCount == 0:
		return errors.Join(fmt.Errorf("loadtest: not verified: %s", r.Verified.Unverified), err)
	case err != nil:
		return fmt.Errorf("loadtest: %w", err)
	case r.Verified.ViolationCount > 0:
		return exitError{fmt.Errorf("loadtest: the server's state is not what it acknowledged, in %d places", r.Verified.ViolationCount), exitFinding}
	case r.Verified.Unproven != "":
		return exitError{fmt.Errorf("loadtest: it is not proven that exactly the stock is sold: %s", r.Verified.Unproven), exitFinding}
	case len(r.Failed) > 0:
		return exitError{fmt.Errorf("loadtest: %s", strings.Join(r.Failed, "; ")), exitFinding}
	}
	return nil
}

func (c *loadtestCommand) config() loadtest.Config {
	seed := c.Seed
	if seed == 0 {
		seed = 1 + rand.Uint64N(1<<53-1) // any reader of JSON keeps it whole
	}
	return loadtest.Config{
		To: strings.TrimRight(c.To, "/"), Key: c.Key, Metrics: c.metrics(), Workload: c.Workload, Mix: c.mix(),
		Closed: c.Closed, Shape: c.Shape, Rate: float64(c.Rate), From: float64(c.From), Steps: c.Steps, Poisson: c.Arrivals == "poisson",
		Duration: time.Duration(c.Duration), Warmup: c.warmup(), Connections: c.Connections, Pipeline: c.Pipeline, Threads: c.Threads, Timeout: c.Timeout, DropAfter: c.DropAfter,
		SKUs: c.SKUs, Locations: c.Locations, OnHand: c.OnHand, Keys: c.Keys, Lines: c.Lines, BasketLines: c.BasketLines,
		Commit: float64(c.Commit), Release: float64(c.Release), Think: c.Think, Hold: time.Duration(c.Hold), Stock: c.Stock,
		File: c.File, Speed: c.Speed, Cover: float64(c.Cover), Seed: seed, ExpectRestart: c.ExpectRestart, Keep: c.Keep, Remembered: time.Duration(c.Remembered),
	}
}

// metrics returns where the server's metrics are: where serve has them by default, unless said otherwise.
func (c *loadtestCommand) metrics() string {
	if c.Metrics != nil {
		return *c.Metrics
	}
	to, err := url.Parse(c.To)
	if err != nil || to.Hostname() == "" {
		return "" // Check refuses it
	}
	return "http://" + net.JoinHostPort(to.Hostname(), "9090") + "/metrics"
}

func (c *loadtestCommand) mix() string {
	if c.Workload == loadtest.Mixed {
		return c.Mix
	}
	return ""
}

// warmup is none where every request counts.
func (c *loadtestCommand) warmup() time.Duration {
	if c.Workload == loadtest.FlashSale || c.Workload == loadtest.Replay {
		return 0
	}
	return min(time.Duration(c.Warmup), time.Duration(c.Duration)/2)
}

// commandWords returns the command line, without the secret that may be in it.
func commandWords() []string {
	words := append([]string{"onhand"}, os.Args[1:]...)
	for i, w := range words {
		if strings.HasPrefix(w, "--key=") {
			words[i] = "--key=…"
		} else if i > 0 && words[i-1] == "--key" {
			words[i] = "…"
		}
	}
	return words
}

// write writes the report.
func (c *loadtestCommand) write(r, earlier *loadtest.Result, s *streams) error {
	if err := os.MkdirAll(c.Out, 0o755); err != nil {
		return err
	}
	files, err := r.Files(earlier)
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(c.Out, f.Name), f.Text, 0o644); err != nil {
			return err
		}
	}
	fmt.Fprintf(s.out, "The report is %s.\n", filepath.Join(c.Out, "report.html"))
	return nil
}

type loadtestCompareCommand struct {
	Before string `arg:"" help:"run.json of a run." type:"existingfile"`
	After  string `arg:"" help:"That of another." type:"existingfile"`
}

// Run prints both beside each other.
func (c *loadtestCompareCommand) Run(s *streams) error {
	before, err := loadtest.ReadResult(c.Before)
	if err != nil {
		return err
	}
	after, err := loadtest.ReadResult(c.After)
	if err != nil {
		return err
	}
	return loadtest.WriteComparison(s.out, before, after)
}

// rate is a number a second: 500, 20k, 1.5M.
type rate float64

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *rate) UnmarshalText(text []byte) error {
	number, scale := string(text), 1.0
	for _, unit := range []struct {
		name  string
		scale float64
	}{{"k", 1e3}, {"K", 1e3}, {"M", 1e6}} {
		if rest, ok := strings.CutSuffix(number, unit.name); ok {
			number, scale = rest, unit.scale
			break
		}
	}
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || !(v >= 0) {
		return fmt.Errorf("rate is %q, want a number such as 500, 20k or 1.5M", text)
	}
	*r = rate(v * scale)
	return nil
}

// percentage is a share: 70 or 70%; -1 stands for what is usual.
type percentage float64

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *percentage) UnmarshalText(text []byte) error {
	v, err := strconv.ParseFloat(strings.TrimSuffix(string(text), "%"), 64)
	if err != nil || !(v >= 0) && v != -1 {
		return fmt.Errorf("percentage is %q, want a number such as 70 or 70%%", text)
	}
	if *p = percentage(v / 100); v == -1 {
		*p = -1
	}
	return nil
}
