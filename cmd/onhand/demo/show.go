package demo

import (
	"context"
	"errors"
)

// Sight is something worth looking at on the server.
type Sight struct {
	Place               string // where a customer stands
	Latitude, Longitude float64
	Basket              []Wish
	Sequence            uint64 // of the latest change
}

// Wish is a line of a basket.
type Wish struct{ SKU, Title string }

// Look finds a basket of popular articles that some store near Times Square has all of.
func (d *Demo) Look(ctx context.Context) (Sight, error) {
	sight := Sight{Place: "Times Square", Latitude: 40.758, Longitude: -73.9855}
	// A write tells the latest sequence; this one stores what is stored already.
	s := d.chain.stores[0]
	if err := d.client.call(ctx, "PUT", path("locations", s.id), "", s.record, &sight); err != nil {
		return sight, err
	}
	popular := d.chain.mostOrdered()
	for i := 0; i+3 <= len(popular); i++ {
		sight.Basket = sight.Basket[:0]
		var lines []map[string]any
		for _, a := range popular[i : i+3] {
			sku := d.chain.articles[a]
			sight.Basket = append(sight.Basket, Wish{sku.sku, sku.title})
			lines = append(lines, map[string]any{"sku": sku.sku, "quantity": 1})
		}
		var answer struct {
			Locations []struct {
				Complete bool
				Distance int64 `json:"distance_m"`
			}
		}
		if err := d.client.call(ctx, "POST", path("availability", "baskets"), "", map[string]any{
			"near": map[string]any{"latitude": sight.Latitude, "longitude": sight.Longitude}, "radius_km": 50, "lines": lines, "limit": 3,
		}, &answer); err != nil {
			return sight, err
		}
		// More than one, so that somebody comes second and is sent farther.
		if len(answer.Locations) > 1 && answer.Locations[1].Complete {
			return sight, nil
		}
	}
	return sight, errors.New("no basket is to be had near Times Square")
}
