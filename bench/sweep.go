package bench

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"onhand/engine"
	"onhand/loadtest/plot"
)

// The part sweep measures how cost grows with size, and draws it. What should be flat is: what one
// read or one reservation costs, however many cells, holds and locations there are.
var (
	sweepCells       = []int{10_000, 100_000, 1_000_000, 5_000_000, 20_000_000}
	sweepHolds       = []int{1_000, 10_000, 100_000, 1_000_000, 5_000_000}
	sweepLocations   = []int{1, 10, 100, 500, 2_000}
	sweepConnections = []int{1, 4, 16, 64, 256, 1_024}
)

// SweepResult is what was measured at one size.
type SweepResult struct {
	ReadNS    float64 // a read of a random cell
	ReserveNS float64 // a reservation of one line, in batches of 1,000: the durable write included
	SKUNS     float64 // a read of a SKU at all its locations
	Bytes     int64   // memory of the process
	Restart   time.Duration
}

func (r *Report) sweep(c Config, dir string) error {
	read := func(s SweepResult) float64 { return s.ReadNS }
	reserve := func(s SweepResult) float64 { return s.ReserveNS }
	everywhere := func(s SweepResult) float64 { return s.SKUNS }
	megabytes := func(s SweepResult) float64 { return float64(s.Bytes) / 1e6 }
	restart := func(s SweepResult) float64 { return float64(s.Restart) / 1e6 }

	growth := func(what string, sizes []int) error {
		all, err := r.sweepSizes(c, dir, what, sizes, []figure{
			{"read", "ns", read}, {"reserve", "ns a line", reserve}, {"memory", "MB", megabytes}, {"restart", "ms", restart}})
		if err != nil {
			return err
		}
		return errors.Join(
			c.draw("sweep-"+what+"-1.svg", curve("cost by number of "+what, what, "ns", sizes, false,
				line("read of a cell", all, read), line("reservation of a line", all, reserve))),
			c.draw("sweep-"+what+"-2.svg", curve("memory and restart by number of "+what, what, "", sizes, true,
				line("memory, MB", all, megabytes), line("restart, ms", all, restart))))
	}
	if err := growth("cells", sweepCells); err != nil {
		return err
	}
	if err := growth("holds", sweepHolds); err != nil {
		return err
	}
	all, err := r.sweepSizes(c, dir, "locations", sweepLocations, []figure{
		{"read", "ns", read}, {"the SKU everywhere", "ns a location", everywhere}})
	if err != nil {
		return err
	}
	if err := c.draw("sweep-locations.svg", curve("cost by locations of a SKU", "locations", "ns", sweepLocations, true,
		line("read of a cell", all, read), line("the SKU everywhere, per location", all, everywhere))); err != nil {
		return err
	}
	return r.sweepHTTP(c, dir)
}

// figure is one of those that a SweepResult has.
type figure struct {
	name, unit string
	of         func(SweepResult) float64
}

// sweepSizes measures the sizes in turn, each in a process of its own, in as many rounds as a contest has. It returns the
// results of each size.
func (r *Report) sweepSizes(c Config, dir, what string, sizes []int, figures []figure) ([][]SweepResult, error) {
	all := make([][]SweepResult, len(sizes))
	for range c.Rounds {
		for i, n := range sizes {
			out, err := runStep(c.Program, "sweep-"+what+"="+strconv.Itoa(n), dir)
			if err != nil {
				return nil, err
			}
			step, err := readStep(out)
			if err != nil {
				return nil, err
			}
			all[i] = append(all[i], step.Sweep)
		}
	}
	for i, n := range sizes {
		var texts []string
		for _, f := range figures {
			v := middle(all[i], f.of)
			texts = append(texts, fmt.Sprintf("%s %s (%s … %s) %s", f.name, number(v.Median), number(v.Min), number(v.Max), f.unit))
		}
		r.add(Row{Name: plot.Number(float64(n)) + " " + what, Note: strings.Join(texts, ", "), Passed: true})
	}
	return all, nil
}

func middle(results []SweepResult, of func(SweepResult) float64) spread {
	var values []float64
	for _, s := range results {
		values = append(values, of(s))
	}
	return spreadOf(values)
}

// draw writes a chart, where charts are wanted.
func (c *Config) draw(name string, chart *plot.Chart) error {
	if c.Plots == "" {
		return nil
	}
	if err := os.MkdirAll(c.Plots, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(c.Plots, name), append(chart.File(), '\n'), 0o644)
}

func line(name string, all [][]SweepResult, of func(SweepResult) float64) plot.Line {
	var values []spread
	for _, results := range all {
		values = append(values, middle(results, of))
	}
	return lineOf(name, values)
}

func lineOf(name string, values []spread) plot.Line {
	l := plot.Line{Name: name, Dots: true}
	for _, v := range values {
		l.Y, l.Low, l.High = append(l.Y, v.Median), append(l.Low, v.Min), append(l.High, v.Max)
	}
	return l
}

func curve(title, x, y string, sizes []int, log bool, lines ...plot.Line) *plot.Chart {
	c := &plot.Chart{Title: title, X: plot.Axis{Label: x, Log: true}, Y: plot.Axis{Label: y, Log: log, Zero: true}}
	for i, l := range lines {
		l.Color = i
		for _, n := range sizes {
			l.X = append(l.X, float64(n))
		}
		c.Lines = append(c.Lines, l)
	}
	return c
}

// stepSweep measures one size: "cells=N", "holds=N" or "locations=N".
func stepSweep(what, dir string) (s StepResult, err error) {
	kind, text, _ := strings.Cut(what, "=")
	n, err := strconv.Atoi(text)
	if err != nil {
		return s, err
	}
	skus, locations, holds := 2000, 500, 0
	switch kind {
	case "cells":
		skus, locations = max(n/500, 1), min(500, n)
	case "holds":
		holds = n
	case "locations":
		skus, locations = 1000, n
	default:
		return s, fmt.Errorf("there is no sweep of %q", kind)
	}
	name, err := os.MkdirTemp(dir, "sweep-")
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(name)) }()
	e, err := openStock(name, skus, locations, shopOnHand, engine.Options{CheckpointBytes: 1 << 40})
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	if holds > 0 {
		if err := holdLines(e, skus, locations, holds); err != nil {
			return s, err
		}
	}
	names, random := namesOf(skus, locations), rand.New(rand.NewPCG(5, 5))
	if s.Sweep, err = sweepOf(e, &names, random); err != nil {
		return s, err
	}
	if s.Sweep.Bytes, err = memory(); err != nil {
		return s, err
	}
	if kind == "locations" {
		return s, nil
	}
	if err := errors.Join(e.Checkpoint(), e.Close()); err != nil {
		return s, err
	}
	begun := time.Now()
	e, err = engine.Open(name, engine.Options{CheckpointBytes: 1 << 40})
	s.Sweep.Restart = time.Since(begun)
	return s, err
}

// sweepOf measures the calls on an engine.
func sweepOf(e *engine.Engine, names *names, random *rand.Rand) (s SweepResult, err error) {
	order := make([]engine.Line, 1<<16)
	for i := range order {
		order[i] = names.line(random)
	}
	begun, reads := time.Now(), 0
	for time.Since(begun) < time.Second {
		for i := range order {
			if _, err := e.Availability(order[i].SKU, order[i].Location); err != nil {
				return s, err
			}
		}
		reads += len(order)
	}
	s.ReadNS = float64(time.Since(begun)) / float64(reads)

	var cells []engine.Cell
	begun, reads = time.Now(), 0
	for i := 0; time.Since(begun) < 200*time.Millisecond; i++ {
		if cells, _, err = e.AvailabilityEverywhere(cells[:0], order[i%len(order)].SKU, 0); err != nil {
			return s, err
		}
		reads += len(cells)
	}
	s.SKUNS = float64(time.Since(begun)) / float64(reads)

	requests := make([]engine.ReserveRequest, 1000)
	var results []engine.ReserveResult
	begun, made := time.Now(), 0
	for time.Since(begun) < time.Second {
		for i := range requests {
			at := (made + i) % len(order)
			requests[i] = engine.ReserveRequest{Lines: order[at : at+1], ExpiresIn: time.Hour}
		}
		results = e.ReserveBatch(results[:0], requests)
		for i := range results {
			if results[i].Err != nil {
				return s, results[i].Err
			}
		}
		made += len(requests)
	}
	s.ReserveNS = float64(time.Since(begun)) / float64(made)
	return s, nil
}

// sweepHTTP measures reads and reservations over more and more connections.
func (r *Report) sweepHTTP(c Config, dir string) error {
	shop, err := startShop(c.Program, dir)
	if err != nil {
		return err
	}
	defer shop.stop()
	rates, waits := make([][]spread, 2), make([][]spread, 2)
	loads := []load{
		{address: shop.address, request: getRequest, answer: httpAnswer(200)},
		{address: shop.address, request: reserveRequest(oneCell), answer: httpAnswer(201)},
	}
	for _, n := range sweepConnections {
		contenders := make([]*contender, len(loads))
		for i, l := range loads {
			l.connections = n
			contenders[i] = &contender{name: "onhand", process: shop, load: l}
		}
		if err := contest(c.Rounds, c.Round, contenders...); err != nil {
			return err
		}
		text := ""
		for i, one := range contenders {
			rate := own(one, (*result).rate)
			p99 := own(one, func(x *result) float64 { return float64(quantile(x.latency, 0.99)) / 1e6 })
			rates[i], waits[i] = append(rates[i], rate), append(waits[i], p99)
			text += fmt.Sprintf("%s %s/s (%s … %s), p99 %s ms  ", []string{"read", "reserve"}[i], number(rate.Median), number(rate.Min), number(rate.Max), number(p99.Median))
		}
		r.add(Row{Name: strconv.Itoa(n) + " connections", Note: strings.TrimSpace(text), Passed: true})
	}
	return errors.Join(
		c.draw("sweep-connections-1.svg", curve("requests by connections", "connections", "1/s", sweepConnections, false,
			lineOf("read", rates[0]), lineOf("durable reservation", rates[1]))),
		c.draw("sweep-connections-2.svg", curve("p99 by connections, each always busy", "connections", "ms", sweepConnections, true,
			lineOf("read", waits[0]), lineOf("durable reservation", waits[1]))))
}
