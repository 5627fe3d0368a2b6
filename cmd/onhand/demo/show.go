package demo

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
)

// Sight is something worth looking at on the server.
type Sight struct {
	Place               string // where a customer stands
	Latitude, Longitude float64
	Basket              []Wish

	Picking, PickingID string // where the staff have most to pick
	Ready, Tracking    string // where an order is ready, and the path of its tracking page; none = there is no such order any more
}

// Wish is a line of a basket.
type Wish struct{ SKU, Title string }

// Look finds what is worth looking at.
func (d *Demo) Look(ctx context.Context) (Sight, error) {
	sight := Sight{Place: "Times Square", Latitude: 40.758, Longitude: -73.9855}
	if err := d.findPicking(ctx, &sight); err != nil {
		return sight, err
	}
	if err := d.findReady(ctx, &sight); err != nil {
		return sight, err
	}
	return sight, d.findBasket(ctx, &sight)
}

// listed is an order of a list.
type listed struct {
	ID, State, Location, Handover, Slot string
	Lines                               []struct{}
}

// findPicking finds the location with the most lines to pick.
func (d *Demo) findPicking(ctx context.Context, sight *Sight) error {
	orders, err := d.list(ctx, "accepted,picking")
	if err != nil {
		return err
	}
	sight.PickingID = warehouses[0].id
	lines := make(map[string]int)
	for i := range orders {
		lines[orders[i].Location] += len(orders[i].Lines)
	}
	for _, location := range slices.Sorted(maps.Keys(lines)) {
		if lines[location] > lines[sight.PickingID] {
			sight.PickingID = location
		}
	}
	sight.Picking, err = d.nameOf(ctx, sight.PickingID)
	return err
}

// findReady finds an order that is ready: at the curb in a slot rather than at the curb, and there rather than anywhere.
func (d *Demo) findReady(ctx context.Context, sight *Sight) error {
	orders, err := d.list(ctx, "ready")
	if err != nil || len(orders) == 0 {
		return err
	}
	best := slices.MaxFunc(orders, func(a, b listed) int { return cmp.Compare(a.worth(), b.worth()) })
	if sight.Ready, err = d.nameOf(ctx, best.Location); err != nil {
		return err
	}
	return d.client.call(ctx, "GET", path("orders", best.ID, "secrets"), "", nil, sight)
}

// worth is how much the tracking page of an order shows.
func (l *listed) worth() (n int) {
	if l.Handover == "curbside" {
		n += 2
	}
	if l.Slot != "" {
		n++
	}
	return n
}

func (d *Demo) list(ctx context.Context, states string) ([]listed, error) {
	var page struct{ Orders []listed }
	err := d.client.call(ctx, "GET", path("orders")+"?limit=1000&state="+states, "", nil, &page)
	return page.Orders, err
}

func (d *Demo) nameOf(ctx context.Context, location string) (string, error) {
	var record struct{ Name string }
	err := d.client.call(ctx, "GET", path("locations", location), "", nil, &record)
	return record.Name, err
}

// findBasket finds a basket of popular articles that some stores near a place have all of.
func (d *Demo) findBasket(ctx context.Context, sight *Sight) error {
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
			return err
		}
		// More than one, so that somebody comes second and is sent farther.
		if len(answer.Locations) > 1 && answer.Locations[1].Complete {
			return nil
		}
	}
	return errors.New("no basket is to be had near Times Square")
}
