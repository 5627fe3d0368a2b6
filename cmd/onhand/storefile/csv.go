package storefile

import (
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"

	"onhand/engine"
)

// Columns are those of a CSV file of locations, in the order in which they are written. opening_hours is in the syntax of
// OpenStreetMap, or a JSON array as over HTTP; what else has parts is JSON; services are separated by blanks. An import puts
// whole locations, so a member without a column would be lost by an export and an import.
var Columns = []string{
	"id", "name", "kind", "blocked", "latitude", "longitude", "street_address", "locality", "region", "postal_code", "country",
	"phone", "email", "url", "time_zone", "holiday_country", "holiday_region", "opening_hours", "special_days", "services",
	"collection_point", "id_required", "preparation_time", "default_hold", "suppliers", "pickup_slots", "compartments", "order_times",
	"attributes",
}

func readCSV(in io.Reader) iter.Seq[Row] {
	return func(yield func(Row) bool) {
		t, err := openTable(in, "id")
		if err != nil {
			yield(Row{Err: err})
			return
		}
		for _, name := range t.columns {
			if !slices.Contains(Columns, name) {
				yield(Row{Err: fmt.Errorf("there is no column %q; allowed: %s", name, strings.Join(Columns, ", "))})
				return
			}
		}
		for row, cells := range t.rows() {
			if row.Err == nil {
				row.Location, row.Err = fromCells(cells)
			}
			if !yield(row) {
				return
			}
		}
	}
}

func fromCells(cells map[string]string) (Location, error) {
	l := Location{ID: cells["id"], Name: cells["name"], Kind: cells["kind"]}
	l.Phone, l.Email, l.URL, l.CollectionPoint = cells["phone"], cells["email"], cells["url"], cells["collection_point"]
	l.Zone, l.Country, l.Region = cells["time_zone"], cells["holiday_country"], cells["holiday_region"]
	a := engine.Address{
		Street: cells["street_address"], Locality: cells["locality"], Region: cells["region"], PostalCode: cells["postal_code"], Country: cells["country"],
	}
	if a != (engine.Address{}) {
		l.Address = &a
	}
	var err error
	if l.Position, err = positionOf(cells["latitude"], cells["longitude"]); err != nil {
		return l, err
	}
	for name, to := range map[string]*bool{"blocked": &l.Blocked, "id_required": &l.IDRequired} {
		if text := cells[name]; text != "" {
			if *to, err = strconv.ParseBool(text); err != nil {
				return l, fmt.Errorf("%s is %q, want true or false", name, text)
			}
		}
	}
	for name, to := range map[string]*int64{"preparation_time": &l.PreparationTime, "default_hold": &l.DefaultHold} {
		if text := cells[name]; text != "" {
			if *to, err = strconv.ParseInt(text, 10, 64); err != nil {
				return l, fmt.Errorf("%s is %q, want whole seconds", name, text)
			}
		}
	}
	for text := range strings.FieldsSeq(cells["services"]) {
		s, err := engine.ParseService(text)
		if err != nil {
			return l, err
		}
		l.Services = append(l.Services, s)
	}
	for name, to := range map[string]any{
		"special_days": &l.Special, "suppliers": &l.Suppliers, "pickup_slots": &l.PickupSlots, "compartments": &l.Compartments,
		"order_times": &l.OrderTimes, "attributes": &l.Attributes,
	} {
		if text := cells[name]; text != "" {
			if err := json.Unmarshal([]byte(text), to, json.RejectUnknownMembers(true)); err != nil {
				return l, fmt.Errorf("%s: %w", name, tellJSON(err))
			}
		}
	}
	if text := cells["opening_hours"]; strings.HasPrefix(strings.TrimSpace(text), "[") {
		if err := json.Unmarshal([]byte(text), &l.Regular, json.RejectUnknownMembers(true)); err != nil {
			return l, fmt.Errorf("opening_hours: %w", tellJSON(err))
		}
	} else if l.Regular, err = weekOf(text); err != nil {
		return l, err
	}
	return l, nil
}

// toCells is the other way. Hours are written as JSON.
func toCells(l *Location) ([]string, error) {
	cells := map[string]string{
		"id": l.ID, "name": l.Name, "kind": l.Kind, "blocked": strconv.FormatBool(l.Blocked), "phone": l.Phone, "email": l.Email,
		"url": l.URL, "time_zone": l.Zone, "holiday_country": l.Country, "holiday_region": l.Region,
		"collection_point": l.CollectionPoint, "id_required": strconv.FormatBool(l.IDRequired),
		"preparation_time": strconv.FormatInt(l.PreparationTime, 10), "default_hold": strconv.FormatInt(l.DefaultHold, 10),
	}
	if p := l.Position; p != nil {
		cells["latitude"] = strconv.FormatFloat(p.Latitude, 'f', -1, 64)
		cells["longitude"] = strconv.FormatFloat(p.Longitude, 'f', -1, 64)
	}
	if a := l.Address; a != nil {
		cells["street_address"], cells["locality"], cells["region"] = a.Street, a.Locality, a.Region
		cells["postal_code"], cells["country"] = a.PostalCode, a.Country
	}
	var services []string
	for _, s := range l.Services {
		services = append(services, s.String())
	}
	cells["services"] = strings.Join(services, " ")
	for name, part := range map[string]struct {
		v     any
		given bool
	}{
		"opening_hours": {l.Regular, len(l.Regular) > 0}, "special_days": {l.Special, len(l.Special) > 0},
		"suppliers": {l.Suppliers, len(l.Suppliers) > 0}, "pickup_slots": {l.PickupSlots, l.PickupSlots != nil},
		"compartments": {l.Compartments, len(l.Compartments) > 0}, "order_times": {l.OrderTimes, l.OrderTimes != nil},
		"attributes": {l.Attributes, len(l.Attributes) > 0},
	} {
		if part.given {
			text, err := json.Marshal(part.v, json.Deterministic(true))
			if err != nil {
				return nil, err
			}
			cells[name] = string(text)
		}
	}
	out := make([]string, len(Columns))
	for i, name := range Columns {
		out[i] = cells[name]
	}
	return out, nil
}
