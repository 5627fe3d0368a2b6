package engine_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"onhand/engine"
	"onhand/engine/enginetest"
)

// country opens an engine with so many stores, around five hundred towns.
func country(b *testing.B, stores int) (db *enginetest.DB, position func() engine.Position) {
	b.Helper()
	db = enginetest.Open(b, engine.Options{})
	random := rand.New(rand.NewPCG(1, 2))
	position = func() engine.Position {
		centre := rand.New(rand.NewPCG(7, uint64(random.IntN(500))))
		return engine.Position{Latitude: 43 + centre.Float64()*7 + random.NormFloat64()/8, Longitude: -3 + centre.Float64()*10 + random.NormFloat64()/8}
	}
	for i := range stores {
		p := position()
		put(b, db, engine.Location{ID: fmt.Sprint("store-", i)}, engine.LocationDetails{Position: &p})
	}
	time.Sleep(time.Second) // until the tree is built
	return db, position
}

func BenchmarkLocationsNear(b *testing.B) {
	db, position := country(b, 25_000)
	from := make([]engine.Near, 1<<14)
	for i := range from {
		from[i].Position = position()
	}
	var found []engine.FoundLocation
	for i := 0; b.Loop(); i++ {
		var err error
		if found, _, err = db.LocationsNear(found[:0], from[i%len(from)], engine.LocationFilter{}, engine.NearCursor{}, 10); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBasket(b *testing.B) {
	const stores, skus = 1565, 400
	db, position := country(b, stores)
	im, err := db.BeginImport("", engine.ImportSet, false)
	if err != nil {
		b.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for sku := range skus {
		rows := make([]engine.ImportRow, stores)
		for i := range rows {
			onHand := int64(0)
			if random.IntN(5) == 0 {
				onHand = 3
			}
			rows[i] = engine.ImportRow{SKU: fmt.Sprint("sku-", sku), Location: fmt.Sprint("store-", i), OnHand: &onHand}
		}
		for len(rows) > 0 {
			n := min(len(rows), engine.ImportChunk)
			if _, err := im.Apply(nil, rows[:n]); err != nil {
				b.Fatal(err)
			}
			rows = rows[n:]
		}
	}
	if _, err := im.Close(); err != nil {
		b.Fatal(err)
	}
	requests := make([]engine.BasketRequest, 1<<10)
	for i := range requests {
		requests[i] = engine.BasketRequest{Near: engine.Near{Position: position()}, Limit: 10}
		for range 5 {
			requests[i].Lines = append(requests[i].Lines, engine.BasketLine{SKU: fmt.Sprint("sku-", random.IntN(skus)), Quantity: 1})
		}
	}
	for i := 0; b.Loop(); i++ {
		if _, err := db.Basket(&requests[i%len(requests)]); err != nil {
			b.Fatal(err)
		}
	}
}
