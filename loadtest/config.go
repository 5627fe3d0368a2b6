package loadtest

import (
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"onhand/loadtest/wire"
)

// Config says what load to make. It is recorded in the report.
type Config struct {
	To  string `json:"to"` // address of the server: http://host:port or https://host:port
	Key string `json:"-"`  // API key
	// Metrics is the address of the server's metrics, "" for none.
	Metrics string      `json:"metrics,omitempty"`
	TLS     *tls.Config `json:"-"` // of https; nil = the system's certificates

	Workload string `json:"workload"` // one of Workloads
	Mix      string `json:"mix,omitempty"`

	Closed      bool          `json:"closed"` // each connection sends again when it is answered
	Shape       Shape         `json:"shape"`
	Rate        float64       `json:"rate"` // arrivals/s; the highest of the shape
	From        float64       `json:"from,omitempty"`
	Steps       int           `json:"steps,omitempty"`
	Poisson     bool          `json:"poisson"` // arrivals at random moments, as customers come; or else evenly spaced
	Duration    time.Duration `json:"duration_ns"`
	Warmup      time.Duration `json:"warmup_ns"` // at the beginning of Duration: sent, verified, and not counted
	Connections int           `json:"connections"`
	Pipeline    int           `json:"pipeline,omitempty"` // requests that may be under way on a connection, one behind the other; 0 = 1
	Threads     int           `json:"threads"`
	Timeout     time.Duration `json:"timeout_ns"`    // of a request
	DropAfter   time.Duration `json:"drop_after_ns"` // a request that could not be sent for so long is not sent at all

	SKUs        int     `json:"skus"`
	Locations   int     `json:"locations"`
	OnHand      int64   `json:"on_hand"` // of each cell at first
	Keys        string  `json:"keys"`    // uniform, or zipf:S with 0 < S ≤ 10
	Lines       int     `json:"lines"`   // of a reservation, an adjustment
	BasketLines int     `json:"basket_lines"`
	Commit      float64 `json:"commit"`  // share of reservations that are committed
	Release     float64 `json:"release"` // … released; all others are left to expire
	// Think is the time between a reservation and its commit or release, on average.
	Think time.Duration `json:"think_ns"`
	// Hold is how long a reservation holds.
	Hold  time.Duration `json:"hold_ns"`
	Stock int64         `json:"stock,omitempty"` // flash-sale: units there are

	File  string  `json:"file,omitempty"`  // replay: the events
	Speed float64 `json:"speed,omitempty"` // replay: how many times faster than they happened; 0 = so that they take Duration
	Cover float64 `json:"cover,omitempty"` // replay: opening stock, as a share of what each location is asked for in all

	Seed          uint64 `json:"seed"`
	ExpectRestart bool   `json:"expect_restart"` // a request without an answer is sent again until it has one, for Timeout and DropAfter together
	// Remembered is how long the server remembers reservations that have ended: its --window-age. One that ended earlier and
	// is not there is no violation.
	Remembered time.Duration `json:"remembered_ns"`
	Keep       bool          `json:"keep"` // what the run has made stays on the server
}

// Workloads.
const (
	Read      = "read"
	ReadSKU   = "read-sku"
	Near      = "near"
	Basket    = "basket"
	Reserve   = "reserve"
	Hot       = "hot"
	FlashSale = "flash-sale"
	Till      = "till"
	Mixed     = "mixed"
	Replay    = "replay"
)

// Workloads lists all, with what they do.
func Workloads() [][2]string {
	return [][2]string{
		{Read, "availability of one SKU at one location"},
		{ReadSKU, "availability of one SKU at every location"},
		{Near, "availability of one SKU near a position"},
		{Basket, "where near a position a basket can be had"},
		{Reserve, "reserve, then commit, release or let expire"},
		{Hot, "the same, all on one SKU at one location"},
		{FlashSale, "many more buyers than units; proves that exactly the stock was sold"},
		{Till, "adjustments: sales, and receipts now and then"},
		{Mixed, "shares of the others"},
		{Replay, "orders from a file, at their times"},
	}
}

// Limits of a load.
const (
	cellsMax       = 20_000_000
	rateMax        = 10_000_000
	connectionsMax = 100_000
	linesMax       = 200
	// saleBuyersMin is how many come to a flash-sale for each unit, at least. If they come at random moments their number varies
	// too, and some may not get through; should that not leave more than there are units, the sale says that it proves nothing.
	saleBuyersMin = 2
)

// shares are how much of the load is of each workload.
type shares []share

type share struct {
	workload string
	upTo     float64 // the sum of the shares up to this one, of all
}

func (s shares) draw(r *rand.Rand) string {
	if len(s) == 1 {
		return s[0].workload
	}
	x := r.Float64()
	for _, one := range s {
		if x < one.upTo {
			return one.workload
		}
	}
	return s[len(s)-1].workload
}

// readMix reads shares such as "read=70,reserve=30".
func readMix(mix string) (shares, error) {
	var all shares
	var sum float64
	for part := range strings.SplitSeq(mix, ",") {
		name, text, _ := strings.Cut(strings.TrimSpace(part), "=")
		weight, err := strconv.ParseFloat(text, 64)
		single := slices.Contains([]string{Read, ReadSKU, Near, Basket, Reserve, Hot, Till}, name)
		if err != nil || !(weight > 0 && weight <= 1e9) || !single {
			return nil, fmt.Errorf("mix has %q, want shares such as read=70,reserve=25,till=5 of read, read-sku, near, basket, reserve, hot, till", part)
		}
		sum += weight
		all = append(all, share{name, sum})
	}
	for i := range all {
		all[i].upTo /= sum
	}
	return all, nil
}

// Check refuses what makes no sense, and fills in what was left out.
func (c *Config) Check() error {
	base, err := url.Parse(c.To)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" || strings.Trim(base.Path, "/") != "" {
		return fmt.Errorf("the address is %q, want one such as http://127.0.0.1:8080", c.To)
	}
	if c.Threads == 0 {
		c.Threads = min(runtime.NumCPU(), 8)
	}
	c.Threads = min(c.Threads, c.Connections)
	c.follow()
	if c.Remembered == 0 {
		c.Remembered = 24 * time.Hour
	}
	if c.Pipeline == 0 {
		c.Pipeline = 1
	}
	if c.From == 0 {
		c.From = c.Rate / 10
	}
	for _, limit := range []struct {
		name            string
		value, low, top float64
	}{
		{"rate", c.Rate, 0.001, rateMax}, {"from", c.From, 0, rateMax}, {"steps", float64(c.Steps), 1, 1000},
		{"duration in seconds", c.Duration.Seconds(), 0.1, 30 * 86400}, {"warmup in seconds", c.Warmup.Seconds(), 0, c.Duration.Seconds()},
		{"connections", float64(c.Connections), 1, connectionsMax}, {"pipeline", float64(c.Pipeline), 1, wire.PipelineMax}, {"threads", float64(c.Threads), 1, 256},
		{"timeout in seconds", c.Timeout.Seconds(), 0.001, 600}, {"drop-after in seconds", c.DropAfter.Seconds(), 0.001, 600},
		{"SKUs", float64(c.SKUs), 1, cellsMax}, {"locations", float64(c.Locations), 1, cellsMax / float64(max(c.SKUs, 1))},
		{"on-hand", float64(c.OnHand), 0, 1e15}, {"lines", float64(c.Lines), 1, min(linesMax, float64(c.SKUs))},
		{"basket-lines", float64(c.BasketLines), 1, min(linesMax, float64(c.SKUs))}, {"commit", c.Commit, 0, 1}, {"release", c.Release, 0, 1},
		{"commit and release together", c.Commit + c.Release, 0, 1 + 1e-9}, {"think in seconds", c.Think.Seconds(), 0, 86400},
		{"hold in seconds", c.Hold.Seconds(), 1, 31 * 86400}, {"stock", float64(c.Stock), 0, 1e9}, {"remembered in seconds", c.Remembered.Seconds(), 1, 1e9}, {"speed", c.Speed, 0, 1e9}, {"cover", c.Cover, 0, 1000},
	} {
		if !(limit.value >= limit.low && limit.value <= limit.top) {
			return fmt.Errorf("%s is %g, want from %g to %g", limit.name, limit.value, limit.low, limit.top)
		}
	}
	if c.Pipeline > 1 && base.Scheme == "https" {
		return fmt.Errorf("pipeline is %d, want 1 with https", c.Pipeline)
	}
	if _, err := newKeys(c.Keys, c.SKUs, rand.New(rand.NewPCG(0, 0))); err != nil {
		return err
	}
	plan, err := newSchedule(c.Shape, c.From, c.Rate, c.Steps, c.Duration)
	if err != nil {
		return err
	}
	if c.Closed && (c.Shape != Constant || c.Poisson) {
		return fmt.Errorf("a closed load sends when it is answered: it has no shape, and no arrivals, want constant and even")
	}
	switch c.Workload {
	case FlashSale:
		if c.Closed {
			return fmt.Errorf("a flash-sale has a number of buyers, rate × duration: it can't be a closed load")
		}
		if buyers := plan.arrivals(); buyers < saleBuyersMin*float64(c.Stock) {
			return fmt.Errorf("a flash-sale needs many more buyers than units, twice as many at least: %.0f come (rate × duration) for a stock of %d", buyers, c.Stock)
		}
		if last := time.Duration(1.5 * float64(c.Think)); last >= c.Hold {
			return fmt.Errorf("a flash-sale sells what is held until it is committed: hold is %v, want more than the %v that a commit comes after its reservation at most (1.5 × think)", c.Hold, last)
		}
	case Replay:
		if c.Closed {
			return fmt.Errorf("a replay has its own times: it can't be a closed load")
		}
		if c.Shape != Constant || c.Poisson {
			return fmt.Errorf("a replay has its own times: it has no shape, and no arrivals but those, want constant and even")
		}
		if c.File == "" {
			return fmt.Errorf("a replay needs a file of events")
		}
	default:
		_, err = c.shares()
	}
	return err
}

// patience is how long after its time a request is sent again where a restart is expected. A server that is away for longer
// costs arrivals in any case, as they are dropped after DropAfter.
func (c *Config) patience() time.Duration { return c.Timeout + c.DropAfter }

// CheckLimit refuses a search for a limit that could not be made.
func (c *Config) CheckLimit(bound time.Duration) error {
	if bound <= 0 {
		return fmt.Errorf("find-limit is %v, want more than 0", bound)
	}
	if c.Workload == FlashSale || c.Workload == Replay || c.Closed || c.Shape != Constant {
		return fmt.Errorf("a search for the limit needs an open load at a constant rate, and not the workloads %s and %s", FlashSale, Replay)
	}
	if n := c.measures(c.Rate); n < c.measuredMin() {
		return fmt.Errorf("a search for the limit has to measure a p99 in each trial: that takes %.0f requests, and %.0f would come (rate × duration without the warm-up); begin at a higher rate, or take longer", c.measuredMin(), n)
	}
	return nil
}

// follow fills in what becomes of reservations where that was not said. The orders of a replay were orders, and who got a unit
// in a sale pays for it: all of them are committed, but for those that are to be released.
func (c *Config) follow() {
	if c.Commit < 0 {
		c.Commit = 0.7
		if c.Workload == FlashSale || c.Workload == Replay {
			c.Commit = 1
		}
		if c.Release > 0 {
			c.Commit = min(c.Commit, max(1-c.Release, 0))
		}
	}
	if c.Release < 0 {
		c.Release = min(0.2, max(1-c.Commit, 0))
	}
}

// drawsKeys reports whether the workload draws SKUs: the others have one, or those of their file.
func (c *Config) drawsKeys() bool {
	return c.Workload != FlashSale && c.Workload != Hot && c.Workload != Replay
}

func (c *Config) shares() (shares, error) {
	switch c.Workload {
	case Mixed:
		return readMix(c.Mix)
	case FlashSale, Replay:
		return nil, nil
	}
	return readMix(c.Workload + "=1")
}

// address returns what to connect to, and the certificates to go by, if any.
func (c *Config) address() (string, *tls.Config) {
	base, _ := url.Parse(c.To) // checked
	port := base.Port()
	if base.Scheme == "http" {
		if port == "" {
			port = "80"
		}
		return net.JoinHostPort(base.Hostname(), port), nil
	}
	if port == "" {
		port = "443"
	}
	secure := &tls.Config{}
	if c.TLS != nil {
		secure = c.TLS.Clone()
	}
	secure.ServerName = base.Hostname()
	return net.JoinHostPort(base.Hostname(), port), secure
}
