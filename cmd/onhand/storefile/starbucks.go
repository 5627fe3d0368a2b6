package storefile

import (
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"

	"onhand/engine"
)

// readStarbucks reads the shops of starbucks-us-locations.csv of github.com/stiles/locations. It has no hours; its time
// zones ("GMT-07:00 America/Los_Angeles") count by their names.
func readStarbucks(in io.Reader) iter.Seq[Row] {
	return func(yield func(Row) bool) {
		t, err := openTable(in, "store_number", "name", "latitude", "longitude")
		if err != nil {
			yield(Row{Err: err})
			return
		}
		for row, cells := range t.rows() {
			if row.Err == nil {
				row.Location, row.Err = starbucks(cells)
			}
			if !yield(row) {
				return
			}
		}
	}
}

func starbucks(cells map[string]string) (Location, error) {
	l := Location{ID: cells["store_number"], Name: cells["name"], Kind: engine.Store.String()}
	var err error
	if l.Position, err = positionOf(cells["latitude"], cells["longitude"]); err != nil {
		return l, err
	}
	l.Address = &engine.Address{
		Street: cells["address"], Locality: cells["city"], Region: cells["state"], PostalCode: cells["zip"], Country: cells["country"],
	}
	_, l.Zone, _ = strings.Cut(cells["timezone"], " ")
	if owner := cells["ownership_type"]; owner != "" {
		l.Attributes = map[string]string{"ownership_type": owner}
	}
	return l, nil
}

// positionOf reads a position, nil where there is none.
func positionOf(latitude, longitude string) (*engine.Position, error) {
	if latitude == "" && longitude == "" {
		return nil, nil
	}
	var p engine.Position
	var err error
	if p.Latitude, err = strconv.ParseFloat(latitude, 64); err != nil {
		return nil, fmt.Errorf("latitude is %q, want a number", latitude)
	}
	if p.Longitude, err = strconv.ParseFloat(longitude, 64); err != nil {
		return nil, fmt.Errorf("longitude is %q, want a number", longitude)
	}
	return &p, nil
}
