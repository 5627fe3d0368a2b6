package demo

import (
	"context"
	"errors"
	"net/url"
)

// Sight is something worth looking at on the server.
type Sight struct {
	Popular, Title string // the article ordered most often
	LastSKU        string // an article of which one unit is left,
	LastLocation   string // and where
	Sequence       uint64 // of the latest change
}

// Look finds it.
func (d *Demo) Look(ctx context.Context) (Sight, error) {
	var sight Sight
	// A write tells the latest sequence; this one stores what is stored already.
	s := d.chain.stores[0]
	if err := d.client.call(ctx, "PUT", path("locations", s.id), "", map[string]any{"name": s.name, "kind": "store"}, &sight); err != nil {
		return sight, err
	}
	for i, a := range d.chain.mostOrdered() {
		sku := d.chain.articles[a]
		var answer struct {
			Locations []struct {
				Location  string
				Available int64
			}
		}
		if err := d.client.call(ctx, "GET", path("availability", sku.sku)+"?"+url.Values{"min_quantity": {"1"}, "limit": {"1000"}}.Encode(), "", nil, &answer); err != nil {
			return sight, err
		}
		if i == 0 {
			sight.Popular, sight.Title = sku.sku, sku.title
		}
		for _, l := range answer.Locations {
			if l.Available == 1 {
				sight.LastSKU, sight.LastLocation = sku.sku, l.Location
				return sight, nil
			}
		}
	}
	return sight, errors.New("nowhere is there a last unit")
}
