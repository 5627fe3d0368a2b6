package bench

import (
	"fmt"
	"os"
	"runtime/debug"
	"time"
)

// Config says how a run is made.
type Config struct {
	Program     string // the onhand binary, which is started as a server
	Dir         string // where databases are made
	Rounds      int
	Round       time.Duration
	Connections int
}

// parts are what there is to measure, in the order in which it is.
var parts = []struct {
	name    string
	measure func(r *Report, c Config, dir string) error
}{
	{"get", (*Report).httpGet},
	{"reserve", (*Report).httpReserve},
	{"read", (*Report).reads},
	{"callers", (*Report).reserves},
	{"batches", (*Report).batches},
	{"checkpoints", (*Report).checkpoints},
	{"expiry", (*Report).expiry},
	{"near", (*Report).near},
	{"nearhttp", (*Report).httpNear},
	{"scale", (*Report).scale},
	{"peers", (*Report).peers},
}

// Parts lists the names of what can be measured.
func Parts() []string {
	names := make([]string, len(parts))
	for i := range parts {
		names[i] = parts[i].name
	}
	return names
}

// Run measures one part, in a directory of its own.
func (r *Report) Run(name string, c Config) error {
	for i := range parts {
		if parts[i].name == name {
			dir, err := os.MkdirTemp(c.Dir, "onhand-bench-")
			if err != nil {
				return err
			}
			defer os.RemoveAll(dir)
			defer debug.FreeOSMemory() // the next part is not to pay for this one
			if err := parts[i].measure(r, c, dir); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			return nil
		}
	}
	return fmt.Errorf("there is no part %q, only %v", name, Parts())
}
