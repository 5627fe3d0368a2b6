package engine_test

import (
	"math/rand/v2"
	"testing"

	"golang.org/x/sync/errgroup"

	"onhand/engine"
)

// BenchmarkPlaceOrder is BenchmarkReserve with an order placed on each reservation, in the same change.
func BenchmarkPlaceOrder(b *testing.B) {
	c := newCatalogue(b, 2000, 100, 1_000_000_000)
	callers(b, 1024, func(r *rand.Rand) error {
		_, err := c.engine.PlaceOrder(&engine.PlaceOrderRequest{Lines: []engine.Line{c.randomLine(r)}})
		return err
	})
}

// BenchmarkOrders lists the first hundred of 20,000 live orders of a store, in four states.
func BenchmarkOrders(b *testing.B) {
	c := newCatalogue(b, 100, 1, 1_000_000_000)
	var group errgroup.Group
	group.SetLimit(512)
	for i := range 20_000 {
		line := engine.Line{SKU: c.skus[i%100], Location: c.locations[0], Quantity: 1}
		group.Go(func() error {
			o, err := c.engine.PlaceOrder(&engine.PlaceOrderRequest{Lines: []engine.Line{line}})
			for _, move := range []engine.OrderMove{engine.MoveAccept, engine.MovePick, engine.MoveReady}[:i%4] {
				if err == nil {
					_, err = c.engine.MoveOrder(&engine.MoveRequest{ID: o.ID, Move: move})
				}
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		page, _, err := c.engine.Orders(engine.OrderFilter{Location: c.locations[0]}, engine.OrderCursor{}, 100)
		if err != nil || len(page) != 100 {
			b.Fatal(len(page), err)
		}
	}
}
