package loadtest

import (
	"strings"
	"testing"
	"time"
)

// The title says all that makes a load another one: how it arrives and what it asks for, where that matters.
func TestTitles(t *testing.T) {
	base := Config{Workload: Read, Shape: Constant, Rate: 1000, Duration: time.Minute, Connections: 8, Keys: "uniform"}
	for want, change := range map[string]func(*Config){
		"read: open load, 1000/s, constant, 1m0s, 8 connections":                                      func(*Config) {},
		"read: open load, 1000/s, constant, Poisson arrivals, SKUs by zipf:0.99, 1m0s, 8 connections": func(c *Config) { c.Poisson, c.Keys = true, "zipf:0.99" },
		"read: open load, ramp from 0 to 1000/s, Poisson arrivals, 1m0s, 8 connections":               func(c *Config) { c.Poisson, c.Shape = true, Ramp },
		"read: closed load, SKUs by zipf:1.1, 1m0s, 8 connections, pipelined 2 deep":                  func(c *Config) { c.Closed, c.Keys, c.Pipeline = true, "zipf:1.1", 2 },
		"hot: open load, 1000/s, constant, 1m0s, 8 connections":                                       func(c *Config) { c.Workload, c.Keys = Hot, "zipf:1.1" },
		"flash-sale of 5 units: open load, 1000/s, constant, Poisson arrivals, 1m0s, 8 connections":   func(c *Config) { c.Workload, c.Stock, c.Keys, c.Poisson = FlashSale, 5, "zipf:1.1", true },
	} {
		c := base
		change(&c)
		if got := (&Result{Config: c}).Title(); got != want {
			t.Errorf("the title is %q, want %q", got, want)
		}
	}
	var summary strings.Builder
	base.Keys = "zipf:0.99"
	if err := (&Result{Config: base}).WriteSummary(&summary); err != nil || !strings.Contains(summary.String(), "SKUs by zipf:0.99") {
		t.Errorf("the summary is %q, %v", summary.String(), err)
	}
}
