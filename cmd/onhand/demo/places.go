package demo

import (
	"fmt"
	"math"
)

// site is a location that no public file tells of: a warehouse that sends to the stores, or the locker.
type site struct {
	id, name, kind, locality, region, zone string
	latitude, longitude                    float64
}

var warehouses = []site{
	{"warehouse-east", "Warehouse East, Columbus OH", "warehouse", "Columbus", "OH", "America/New_York", 39.9612, -82.9988},
	{"warehouse-middle", "Warehouse Middle, Memphis TN", "warehouse", "Memphis", "TN", "America/Chicago", 35.1495, -90.0490},
	{"warehouse-west", "Warehouse West, Reno NV", "warehouse", "Reno", "NV", "America/Los_Angeles", 39.5296, -119.8138},
}

var locker = site{"locker-union-station", "Locker, Union Station, Chicago IL", "locker", "Chicago", "IL", "America/Chicago", 41.8787, -87.6403}

const (
	day          = 24 * 60 // minutes
	supplierDays = 2       // from a warehouse to a store
)

func (s *site) record() map[string]any {
	return map[string]any{
		"name": s.name, "kind": s.kind, "address": map[string]any{"locality": s.locality, "region": s.region, "country": "US"},
		"position": map[string]any{"latitude": s.latitude, "longitude": s.longitude}, "time_zone": s.zone,
	}
}

func lockerRecord() map[string]any {
	r := locker.record()
	r["opening_hours"] = []map[string]any{{
		"days":  []string{"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"},
		"opens": "00:00", "closes": "24:00",
	}}
	r["services"] = []string{"locker", "pay_online"}
	r["collection_point"] = "In the great hall, beside track 19. Type in the code, and a door opens."
	r["compartments"] = []map[string]any{{"size": "S", "count": 12}, {"size": "M", "count": 6}, {"size": "L", "count": 4}}
	r["suppliers"] = suppliedBy(nearestWarehouse(locker.latitude, locker.longitude))
	r["order_times"] = map[string]any{"collect_within": 48 * 3600, "remind_before": 6 * 3600}
	return r
}

// equip adds to a store's record what its customers can do there: each has a warehouse that supplies it and some minutes in which
// orders are to be paid, at large ones one can order by phone and collect at the curb, and half of those have pickup slots.
func equip(s *store) {
	s.supplier = nearestWarehouse(s.latitude, s.longitude)
	s.record["suppliers"] = suppliedBy(s.supplier)
	// Some end while the orders are replayed, and some in the ten minutes after that, so that there is something to watch.
	times := map[string]any{"pay_within": 5 + int(draw(s.id, "pay within")*600)}
	s.record["order_times"] = times
	if !s.large || !s.hours {
		return
	}
	times["collect_until"] = map[string]any{"closing_of_open_day": 4, "minutes_before": 30}
	s.record["services"] = []string{"in_store", "counter", "curbside", "call_and_collect", "pay_online", "pay_in_store"}
	s.record["collection_point"] = "The desk behind the tills, or bays 1 to 6 beside the entrance. Bring the code."
	if s.slots = draw(s.id, "slots") < 0.5; s.slots {
		s.record["pickup_slots"] = map[string]any{"interval": 60, "capacity": 4, "lead": 30, "days_ahead": 3}
	}
}

func suppliedBy(w *site) []map[string]any {
	return []map[string]any{{"location": w.id, "lead_time": supplierDays * 86_400}}
}

func nearestWarehouse(latitude, longitude float64) *site {
	nearest, least := &warehouses[0], math.Inf(1)
	for i := range warehouses {
		w := &warehouses[i]
		x := (longitude - w.longitude) * math.Cos((latitude+w.latitude)/2*math.Pi/180)
		if d := math.Hypot(x, latitude-w.latitude); d < least {
			nearest, least = w, d
		}
	}
	return nearest
}

// kept returns what a warehouse has of an article before the first order.
func (c *chain) kept(w *site, a int) int64 {
	return 200 + int64(draw(w.id, c.articles[a].sku, "stock")*1800)
}

// places returns the records of all locations, those first that others name.
func (c *chain) places() (ids []string, records []map[string]any) {
	for i := range warehouses {
		ids, records = append(ids, warehouses[i].id), append(records, warehouses[i].record())
	}
	ids, records = append(ids, locker.id), append(records, lockerRecord())
	for i := range c.stores {
		ids, records = append(ids, c.stores[i].id), append(records, c.stores[i].record)
	}
	return ids, records
}

// compartmentFor returns the size of locker compartment that an order needs.
func compartmentFor(o *order) string {
	switch units := sumUnits(o); {
	case units <= 12:
		return "S"
	case units <= 60:
		return "M"
	}
	return "L"
}

func sumUnits(o *order) (units int64) {
	for _, l := range o.lines {
		units += l.quantity
	}
	return units
}

// bay is where a customer at the curb says to be.
func bay(number string) (bay, vehicle string) {
	colours := []string{"blue", "red", "grey", "white", "green"}
	return fmt.Sprintf("bay %d", 1+int(draw(number, "bay")*6)), colours[int(draw(number, "car")*float64(len(colours)))] + " car"
}
