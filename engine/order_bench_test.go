package engine_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"onhand/engine"
)

// basketOf returns five lines at one location, as a basket of a store's customer has them.
func (c *catalogue) basketOf(r *rand.Rand) []engine.Line {
	lines := make([]engine.Line, 5)
	at := c.locations[r.IntN(len(c.locations))]
	for i := range lines {
		lines[i] = engine.Line{SKU: c.skus[r.IntN(len(c.skus))], Location: at, Quantity: 1}
	}
	return lines
}

// BenchmarkPlaceOrder places durable orders from 64 callers, and, to compare, makes bare reservations of the same lines.
func BenchmarkPlaceOrder(b *testing.B) {
	for _, lines := range []int{1, 5} {
		for _, order := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/lines=%d", map[bool]string{false: "reserve", true: "order"}[order], lines), func(b *testing.B) {
				c := newCatalogue(b, 2000, 100, 1_000_000_000)
				before := processorTime()
				defer func() { b.ReportMetric(float64((processorTime()-before).Nanoseconds())/float64(b.N), "cpu-ns/op") }()
				callers(b, 64, func(r *rand.Rand) error {
					basket := c.basketOf(r)[:lines]
					customer := fmt.Sprint("c-", r.Uint32())
					if !order {
						_, err := c.engine.Reserve(&engine.ReserveRequest{Lines: basket, ExpiresIn: 4 * time.Hour, Channel: "web", Reference: customer})
						return err
					}
					_, err := c.engine.PlaceOrder(&engine.PlaceOrderRequest{Lines: basket, Customer: engine.Person{Reference: customer, Name: "Ana"}, Reference: "A-1001"})
					return err
				})
			})
		}
	}
}

// processorTime is what the process has used of it: that does not depend on what else the machine does.
func processorTime() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// ordered returns a catalogue in which so many orders are live, at its locations in turn; where the first supplies the others, it has to
// send what is collected there.
func ordered(b *testing.B, locations, orders int, supplied bool) (*catalogue, []engine.ID) {
	b.Helper()
	c := newCatalogue(b, 50, locations, 1_000_000_000)
	ids := make([]engine.ID, orders)
	var wg sync.WaitGroup
	for caller := range 64 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(caller), 5))
			for i := caller; i < orders; i += 64 {
				request := engine.PlaceOrderRequest{
					Lines:    []engine.Line{{SKU: c.skus[r.IntN(len(c.skus))], Location: c.locations[i%locations], Quantity: 1}},
					Customer: engine.Person{Reference: fmt.Sprint("c-", i), Name: "Ana", Phone: "+33 1 23 45 67 89", Email: "ana@example.com"},
				}
				moves := []engine.OrderMove{0, engine.MoveAccept, engine.MovePick, engine.MoveReady}
				if supplied && i%locations > 0 { // the others are its own, so that there are both to merge
					request.Fulfilment, request.Location = engine.PickupAfter, c.locations[i%locations]
					request.Lines[0].Location = c.locations[0]
					moves = moves[:3] // it is not ready before it has come
				}
				o, err := c.engine.PlaceOrder(&request)
				if m := moves[r.IntN(len(moves))]; err == nil && m != 0 {
					_, err = c.engine.MoveOrder(&engine.MoveRequest{ID: o.ID, Move: m, By: "staff"})
				}
				if err != nil {
					b.Error(err)
					return
				}
				ids[i] = o.ID
			}
		})
	}
	wg.Wait()
	return c, ids
}

// BenchmarkQueue lists a page of 100 of a store's queue, among 100,000 live orders: all of them its own, or those of 1,565 stores; or of
// a supplier's, which has half of them to send. It must not take more than 5 ms at the 99th percentile.
func BenchmarkQueue(b *testing.B) {
	for _, stores := range []int{1, 1565} {
		b.Run(fmt.Sprint("stores=", stores), func(b *testing.B) {
			c, _ := ordered(b, stores, 100_000, false)
			listQueues(b, c, c.locations)
		})
	}
	b.Run("supplier", func(b *testing.B) {
		c, _ := ordered(b, 2, 100_000, true)
		listQueues(b, c, c.locations[:1])
	})
}

// listQueues lists pages: at one location the queue is worked off page by page; of many, each asks for its first.
func listQueues(b *testing.B, c *catalogue, locations []string) {
	r := rand.New(rand.NewPCG(1, 6))
	var took []time.Duration
	cursor := engine.OrderCursor{}
	b.ReportAllocs()
	for b.Loop() {
		at := locations[r.IntN(len(locations))]
		if len(locations) > 1 || cursor.Done() {
			cursor = engine.OrderCursor{}
		}
		began := time.Now()
		page, next, err := c.engine.Orders(engine.OrderFilter{Location: at}, cursor, 100)
		took = append(took, time.Since(began))
		if err != nil || len(page) == 0 && len(locations) > 1 {
			b.Fatal(len(page), err)
		}
		cursor = next
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}

// BenchmarkPickList makes the pick list of a store with 100,000 live orders, half of them to be picked, and of one of 1,565 stores that
// have as many between them.
func BenchmarkPickList(b *testing.B) {
	for _, stores := range []int{1, 1565} {
		b.Run(fmt.Sprint("stores=", stores), func(b *testing.B) {
			c, _ := ordered(b, stores, 100_000, false)
			r := rand.New(rand.NewPCG(1, 7))
			b.ReportAllocs()
			for b.Loop() {
				if lines, _, err := c.engine.PickList(c.locations[r.IntN(stores)]); err != nil || len(lines) == 0 {
					b.Fatal(lines, err)
				}
			}
		})
	}
}

// BenchmarkMoveOrder makes durable moves from 64 callers: each takes an order from placed to ready and has it collected.
func BenchmarkMoveOrder(b *testing.B) {
	c := newCatalogue(b, 2000, 100, 1_000_000_000)
	var orders sync.Map
	callers(b, 64, func(r *rand.Rand) error {
		key := r // each caller has its own
		have, _ := orders.Load(key)
		o, _ := have.(engine.Order)
		var err error
		switch o.State {
		case engine.Placed:
			o, err = c.engine.MoveOrder(&engine.MoveRequest{ID: o.ID, Move: engine.MovePick, By: "staff"})
		case engine.Picking:
			o, err = c.engine.MoveOrder(&engine.MoveRequest{ID: o.ID, Move: engine.MoveReady, By: "staff"})
		case engine.Ready:
			o, err = c.engine.MoveOrder(&engine.MoveRequest{ID: o.ID, Move: engine.MoveCollect, Code: o.Code})
		default:
			o, err = c.engine.PlaceOrder(&engine.PlaceOrderRequest{Lines: c.basketOf(r)[:1]})
		}
		orders.Store(key, o)
		return err
	})
}
