package engine_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"onhand/engine"
)

// catalogue is a stock of skus × locations cells with plenty on hand.
type catalogue struct {
	engine          *engine.Engine
	skus, locations []string
}

func newCatalogue(b testing.TB, skus, locations int, onHand int64) *catalogue {
	b.Helper()
	e, err := engine.Open(b.TempDir(), engine.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := e.Close(); err != nil {
			b.Error(err)
		}
	})
	c := &catalogue{engine: e}
	for i := range skus {
		c.skus = append(c.skus, fmt.Sprintf("SKU-%07d", i))
	}
	for i := range locations {
		c.locations = append(c.locations, fmt.Sprintf("store-%04d", i))
	}
	im, err := e.BeginImport("", engine.ImportSet, false)
	if err != nil {
		b.Fatal(err)
	}
	rows := make([]engine.ImportRow, 0, engine.ImportChunk)
	flush := func() {
		if _, err := im.Apply(nil, rows); err != nil {
			b.Fatal(err)
		}
		rows = rows[:0]
	}
	for _, sku := range c.skus {
		for _, location := range c.locations {
			if rows = append(rows, engine.ImportRow{SKU: sku, Location: location, OnHand: &onHand}); len(rows) == cap(rows) {
				flush()
			}
		}
	}
	flush()
	if _, err := im.Close(); err != nil {
		b.Fatal(err)
	}
	return c
}

func (c *catalogue) randomLine(r *rand.Rand) engine.Line {
	return engine.Line{SKU: c.skus[r.IntN(len(c.skus))], Location: c.locations[r.IntN(len(c.locations))], Quantity: 1}
}

// BenchmarkAvailability reads a random cell of two million by its two names, on one core.
func BenchmarkAvailability(b *testing.B) {
	c := newCatalogue(b, 2000, 1000, 1_000_000)
	r := rand.New(rand.NewPCG(1, 2))
	const n = 1 << 16
	lines := make([]engine.Line, n)
	for i := range lines {
		lines[i] = c.randomLine(r)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		l := &lines[i&(n-1)]
		if _, err := c.engine.Availability(l.SKU, l.Location); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAvailabilityEverywhere reads a random SKU at all of its 500 locations.
func BenchmarkAvailabilityEverywhere(b *testing.B) {
	c := newCatalogue(b, 1000, 500, 1_000_000)
	r := rand.New(rand.NewPCG(1, 2))
	var cells []engine.Cell
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if cells, _, err = c.engine.AvailabilityEverywhere(cells[:0], c.skus[r.IntN(len(c.skus))], 0); err != nil || len(cells) != len(c.locations) {
			b.Fatal(len(cells), err)
		}
	}
}

// BenchmarkReserve makes durable reservations of one line from 1,024 callers: each on a SKU of its own choice, or all
// on one.
func BenchmarkReserve(b *testing.B) {
	for _, hot := range []bool{false, true} {
		b.Run(map[bool]string{false: "spread", true: "hot"}[hot], func(b *testing.B) {
			c := newCatalogue(b, 2000, 100, 1_000_000_000)
			callers(b, 1024, func(r *rand.Rand) error {
				line := c.randomLine(r)
				if hot {
					line = engine.Line{SKU: c.skus[0], Location: c.locations[0], Quantity: 1}
				}
				_, err := c.engine.Reserve(&engine.ReserveRequest{Lines: []engine.Line{line}, ExpiresIn: time.Hour})
				return err
			})
		})
	}
}

// callers runs b.N calls from n goroutines.
func callers(b *testing.B, n int, call func(*rand.Rand) error) {
	b.Helper()
	b.ReportAllocs()
	b.ResetTimer()
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 3))
			for left.Add(-1) >= 0 {
				if err := call(r); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
}

// BenchmarkReserveBatch makes durable reservations of one line in batches of 1,000, from four callers.
func BenchmarkReserveBatch(b *testing.B) {
	c := newCatalogue(b, 4000, 500, 1_000_000_000)
	const size = 1000
	b.ResetTimer()
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 4))
			requests := make([]engine.ReserveRequest, size)
			lines := make([]engine.Line, size)
			var results []engine.ReserveResult
			for left.Add(-1) >= 0 {
				for j := range requests {
					lines[j] = c.randomLine(r)
					requests[j] = engine.ReserveRequest{Lines: lines[j : j+1], ExpiresIn: time.Hour}
				}
				results = c.engine.ReserveBatch(results[:0], requests)
				for j := range results {
					if results[j].Err != nil {
						b.Error(results[j].Err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)*size/b.Elapsed().Seconds(), "lines/s")
}

// BenchmarkExpiry measures how long the sweeper takes for a reservation of one line, when b.N are due at once.
func BenchmarkExpiry(b *testing.B) {
	c := newCatalogue(b, 2000, 500, 1_000_000_000)
	random := rand.New(rand.NewPCG(1, 1))
	due := time.Now().Add(2*time.Second + time.Duration(b.N)*4*time.Microsecond)
	requests := make([]engine.ReserveRequest, 1000)
	var results []engine.ReserveResult
	for made := 0; made < b.N; made += len(requests) {
		requests = requests[:min(len(requests), b.N-made)]
		for i := range requests {
			requests[i] = engine.ReserveRequest{Lines: []engine.Line{c.randomLine(random)}, ExpiresAt: due}
		}
		results = c.engine.ReserveBatch(results[:0], requests)
		for i := range results {
			if results[i].Err != nil {
				b.Fatal(results[i].Err)
			}
		}
	}
	time.Sleep(time.Until(due))
	b.ResetTimer()
	for c.engine.Stats().LiveReservations > 0 {
		time.Sleep(time.Millisecond)
	}
}
