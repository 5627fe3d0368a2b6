package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"net"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"onhand/cmd/onhand/demo"
)

type demoCommand struct {
	Dir    string `arg:"" optional:"" help:"Directory of the demo's database." type:"path" default:".demo"`
	Listen string `help:"Address of the API." default:"127.0.0.1:8080"`
	Admin  string `help:"Address of metrics, health and profiles." default:"127.0.0.1:9090"`
	Fresh  bool   `help:"Begin anew, though there is a demo in the directory already."`
	Exit   bool   `help:"Stop after the replay instead of serving on."`
}

// demoDone marks a directory in which the demo has been replayed to the end.
const demoDone = "DEMO"

// Help explains the demo in full.
func (demoCommand) Help() string {
	return "Makes a database with a chain of 1,565 real stores and the articles and orders of a real year, and serves it. " +
		"The orders of the last weeks take every step, from the click to the bag."
}

// Run serves a database as the serve command does, fills it over HTTP, and serves on until it is stopped.
func (c *demoCommand) Run(s *streams) error {
	marker := filepath.Join(c.Dir, demoDone)
	if err := c.prepare(marker); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	served, ready := make(chan int, 1), make(chan struct{})
	go func() {
		var server cli
		server.Serve.ready = func(api, admin net.Addr) {
			c.Listen = api.String()
			if admin != nil {
				c.Admin = admin.String()
			}
			close(ready)
		}
		served <- server.run([]string{"serve", c.Dir, "--listen", c.Listen, "--admin", c.Admin, "--log-level", "warn"}, s)
		stop()
	}()
	var err error
	select {
	case <-ready:
		err = c.play(ctx, s, marker)
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil && ctx.Err() == nil || c.Exit {
		stopServing()
	}
	status := <-served
	if status != exitOK {
		return exitError{errors.New("the demo's server has stopped"), status}
	}
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// prepare makes room for the demo. What is in the directory is only ever removed where an earlier demo wrote it.
func (c *demoCommand) prepare(marker string) error {
	entries, err := os.ReadDir(c.Dir)
	if errors.Is(err, iofs.ErrNotExist) || err == nil && len(entries) == 0 {
		if err := os.MkdirAll(c.Dir, 0o755); err != nil {
			return err
		}
		return os.WriteFile(marker, nil, 0o644)
	}
	if err != nil {
		return err
	}
	state, err := os.ReadFile(marker)
	if errors.Is(err, iofs.ErrNotExist) {
		return fmt.Errorf("%s holds something else than a demo; name another directory", c.Dir)
	}
	if err != nil {
		return err
	}
	if len(state) > 0 && !c.Fresh {
		return nil
	}
	// A replay that was cut off is not gone on with: it would find the stock that its first part left.
	if err := os.RemoveAll(c.Dir); err != nil {
		return err
	}
	return c.prepare(marker)
}

// play fills the database, unless that has been done, and prints what to look at.
func (c *demoCommand) play(ctx context.Context, s *streams, marker string) error {
	bar := newProgress(s.err)
	defer bar.close()
	d, err := demo.New("http://"+c.Listen, bar.steps)
	if err != nil {
		return err
	}
	state, err := os.ReadFile(marker)
	if err != nil {
		return err
	}
	if len(state) == 0 {
		if err := d.Fill(ctx); err != nil {
			return err
		}
		tally, err := d.Replay(ctx)
		if err != nil {
			return err
		}
		units, err := d.Conserved(ctx)
		if err != nil {
			return err
		}
		bar.close()
		var text strings.Builder
		printTally(&text, &tally, &units)
		state = []byte(text.String())
		if err := os.WriteFile(marker, state, 0o644); err != nil {
			return err
		}
	}
	sight, err := d.Look(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s", state)
	c.printSight(s.out, &sight)
	return nil
}

func printTally(w io.Writer, t *demo.Tally, u *demo.Units) {
	fmt.Fprintf(w, "\nA year of orders: %d held in full, %d in part, %d refused.\n", t.Full, t.Partial, t.Refused)
	fmt.Fprintf(w, "Of those held %d were collected, %d cancelled, %d never paid or fetched, and %d are waiting to be collected.\n",
		t.Collected, t.Cancelled, t.NoShow, t.Waiting)
	fmt.Fprintf(w, "%d times a part was given up before the rest was collected.\n", t.Reduced)
	fmt.Fprintf(w, "%d of the last three weeks went the way of an order, step by step: %d were sent, %d lacked something when they were picked.\n",
		t.Orders, t.Sent, t.Short)
	fmt.Fprintf(w, "Of those that are waiting %d are placed, %d accepted, %d being picked, %d in transit, %d short and %d ready.\n",
		t.States["placed"], t.States["accepted"], t.States["picking"], t.States["in_transit"], t.States["short"], t.States["ready"])
	fmt.Fprintf(w, "%d returns and %d corrections of stock were booked.\n", t.Returned, t.Adjusted)
	var reasons []string
	for reason, n := range t.Reasons {
		reasons = append(reasons, fmt.Sprintf("%s %d", reason, n))
	}
	slices.Sort(reasons)
	fmt.Fprintf(w, "Lines refused, by reason: %s.\n", strings.Join(reasons, ", "))
	fmt.Fprintf(w, "Units: %d at first, less %d sold, %d back from customers, less %d damaged or lost; the server has %d on hand and %d in transit,\n"+
		"no more and no less of any article.\n", u.Opening, u.Sold, u.Returned, u.Lost, u.OnHand, u.InTransit)
}

func (c *demoCommand) printSight(w io.Writer, s *demo.Sight) {
	at := "http://" + c.Listen
	fmt.Fprintf(w, "\nThe server is at %s.", at)
	if c.Admin != "" {
		fmt.Fprintf(w, " Its metrics are at http://%s/metrics.", c.Admin)
	}
	var lines []string
	for _, l := range s.Basket {
		lines = append(lines, fmt.Sprintf(`{"sku":"%s","quantity":1}`, l.SKU))
	}
	basket := fmt.Sprintf(`"near":{"latitude":%v,"longitude":%v},"lines":[%s]`, s.Latitude, s.Longitude, strings.Join(lines, ","))
	fmt.Fprintf(w, ` Three things to try:

Hold three things at the store nearest to %s that has them all (%s, %s, %s),
until half an hour before it closes on its second open day. Run it twice, and the second is sent farther, and told why:
  curl -s %s/v1/reservations -d '{%s,"hold_until":{"closing_of_open_day":2,"minutes_before":30}}'

Order them in the same way, to be paid when they are collected. It prints the code to collect with, and where on this server the
tracking page is:
  curl -s %s/v1/orders -d '{%s,"payment":"in_store"}' | grep -oE '"(code|tracking)":"[^"]*"'

What the staff of %s have to fetch from the shelves now, and for which orders:
  curl -s '%s/v1/orders/picklist?location=%s'
`, s.Place, s.Basket[0].Title, s.Basket[1].Title, s.Basket[2].Title, at, basket, at, basket, s.Picking, at, url.QueryEscape(s.PickingID))
	if s.Tracking != "" {
		fmt.Fprintf(w, "\nAnd what a customer sees whose order is ready at %s, in a browser:\n  %s%s\n", s.Ready, at, s.Tracking)
	}
	fmt.Fprint(w, "\n^C stops the server; the same command starts it again with what it has.\n")
}

// stopServing asks the server in this process to stop, in order.
func stopServing() {
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		_ = self.Signal(syscall.SIGTERM)
	}
}
