package bench

import (
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// Config says how a run is made.
type Config struct {
	Program     string // the onhand binary, which is started as a server
	Dir         string // where databases are made
	Rounds      int
	Round       time.Duration
	Connections int
	Plots       string // where charts are drawn; "" for none
}

// Check refuses what could not be measured, or would say nothing: a median of no rounds is 0, which is within any bar.
func (c *Config) Check(parts []string) error {
	for _, limit := range []struct {
		name            string
		value, low, top float64
	}{
		{"rounds", float64(c.Rounds), 1, 1000}, {"round in seconds", c.Round.Seconds(), 0.1, 3600}, {"connections", float64(c.Connections), 1, 10_000},
	} {
		if !(limit.value >= limit.low && limit.value <= limit.top) {
			return fmt.Errorf("%s is %g, want from %g to %g", limit.name, limit.value, limit.low, limit.top)
		}
	}
	for _, name := range parts {
		if !slices.Contains(Parts(true), name) {
			return fmt.Errorf("there is no part %q, only %s", name, strings.Join(Parts(true), ", "))
		}
	}
	return nil
}

// CheckSoak refuses a length that Soak can't do with.
func CheckSoak(length time.Duration) error {
	if length < soakMin {
		return fmt.Errorf("a soak of %v is too short to tell anything, want at least %v", length, soakMin)
	}
	return nil
}

// parts are what there is to measure, in the order in which it is.
var parts = []struct {
	name    string
	measure func(r *Report, c Config, dir string) error
	apart   bool // only where it is asked for
}{
	{"get", (*Report).httpGet, false},
	{"reserve", (*Report).httpReserve, false},
	{"limits", (*Report).limits, false},
	{"loader", (*Report).loader, false},
	{"read", (*Report).reads, false},
	{"callers", (*Report).reserves, false},
	{"batches", (*Report).batches, false},
	{"checkpoints", (*Report).checkpoints, false},
	{"expiry", (*Report).expiry, false},
	{"near", (*Report).near, false},
	{"nearhttp", (*Report).httpNear, false},
	{"webhooks", (*Report).webhooks, false},
	{"orders", (*Report).orders, false},
	{"scale", (*Report).scale, false},
	{"peers", (*Report).peers, true},
	{"sweep", (*Report).sweep, true},
}

// Parts lists the names of what can be measured: all, or without what is measured only where it is asked for.
func Parts(all bool) []string {
	var names []string
	for i := range parts {
		if all || !parts[i].apart {
			names = append(names, parts[i].name)
		}
	}
	return names
}

// Run measures one part, in a directory of its own.
func (r *Report) Run(name string, c Config) (err error) {
	for i := range parts {
		if parts[i].name == name {
			dir, remove, err := scratch(c.Dir, "onhand-bench-")
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, remove()) }()
			defer debug.FreeOSMemory() // the next part is not to pay for this one
			if err := parts[i].measure(r, c, dir); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			return nil
		}
	}
	return c.Check([]string{name})
}
