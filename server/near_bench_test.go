package server

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/valyala/fasthttp"
	"golang.org/x/sync/errgroup"

	"onhand/engine"
)

// BenchmarkNear is what the ten nearest of 25,000 locations, and the ten nearest that have a SKU, cost without the network.
func BenchmarkNear(b *testing.B) {
	s, e := benchServer(b)
	position := func(r *rand.Rand) *engine.Position {
		return &engine.Position{Latitude: 43 + 7*r.Float64(), Longitude: -3 + 10*r.Float64()}
	}
	random := rand.New(rand.NewPCG(1, 2))
	var group errgroup.Group
	group.SetLimit(512) // they share syncs
	for i := range 25_000 {
		at := position(random)
		group.Go(func() error {
			id := fmt.Sprintf("store-%07d", i)
			details, err := engine.NewDetails(engine.LocationDetails{Position: at})
			if err == nil {
				_, err = e.PutLocation(engine.Location{ID: id, Name: "Store", Details: details}, "")
			}
			if err == nil {
				_, err = e.SetStock(&engine.SetStockRequest{SKU: "lamp", Location: id, OnHand: new(int64(10))})
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
	for name, path := range map[string]string{"locations": "/v1/locations", "availability": "/v1/availability/lamp"} {
		b.Run(name, func(b *testing.B) {
			targets := make([]string, 1<<14)
			for i := range targets {
				at := position(random)
				targets[i] = fmt.Sprintf("%s?limit=10&near=%.6f,%.6f", path, at.Latitude, at.Longitude)
			}
			var ctx fasthttp.RequestCtx
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				var request fasthttp.Request
				request.Header.SetHost("127.0.0.1")
				request.SetRequestURI(targets[i%len(targets)])
				ctx.Init(&request, benchRemote, nil)
				ctx.Response.Reset()
				s.serve(&ctx)
				if ctx.Response.StatusCode() != fasthttp.StatusOK || len(ctx.Response.Body()) < 1000 {
					b.Fatalf("%d %s", ctx.Response.StatusCode(), ctx.Response.Body())
				}
			}
		})
	}
}
