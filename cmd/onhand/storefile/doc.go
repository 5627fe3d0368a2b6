// Package storefile reads files of stores as locations: onhand's own forms, and those that others publish.
package storefile

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/ringsaturn/tzf"

	"onhand/engine"
)

// Location is a location as it is written in files and over HTTP.
type Location struct {
	ID                     string `json:"id,omitempty"`
	Name                   string `json:"name,omitempty"`
	Kind                   string `json:"kind,omitempty"`
	Blocked                bool   `json:"blocked,omitzero"`
	engine.LocationDetails `json:",inline"`
}

// Row is a location and where it stands, or why it can't be trusted.
type Row struct {
	File string // in a directory of files
	Item string // what Line counts where it isn't lines: feature, entry
	Line int    // from 1
	// Part says that the row is of a table beside that of the locations, such as one of their hours. Only one that can't be
	// trusted is yielded; the location that it was about is, too, with what is not known of it left out.
	Part     bool
	Location Location
	Err      error
}

// Where says where the row stands in the file, or directory of files, at path: stores.csv:3, or stores.geojson: feature 3.
// An array may well be one long line, so its elements go by number.
func (r *Row) Where(path string) string {
	if r.Item != "" {
		return fmt.Sprintf("%s: %s %d", path, r.Item, r.Line)
	}
	return fmt.Sprintf("%s:%d", filepath.Join(path, r.File), r.Line)
}

// reader reads the rows of a format. What ends the reading altogether is the last row's error, in line 0.
type reader func(in io.Reader) iter.Seq[Row]

var formats = map[string]reader{
	"ndjson": readNDJSON, "csv": readCSV, "geojson": readGeoJSON, "bestbuy": readBestBuy, "starbucks": readStarbucks,
}

// Formats are the names of the formats that Read takes.
func Formats() []string {
	names := []string{"fr-fuel"}
	for name := range formats {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Read yields the locations in a file, or, of format fr-fuel, in a directory of files. Each is checked; where a time zone is
// wanting for its hours, the position tells it. What ends the reading is yielded last, as a row in line 0.
func Read(format, path string) iter.Seq[Row] {
	rows := func(yield func(Row) bool) {
		if format == "fr-fuel" {
			readFuel(os.DirFS(path))(yield)
			return
		}
		file, err := os.Open(path)
		if err != nil {
			yield(Row{Err: err})
			return
		}
		defer file.Close()
		formats[format](file)(yield)
	}
	return checked(rows)
}

// checked checks the rows that a reader yields.
func checked(rows iter.Seq[Row]) iter.Seq[Row] {
	return func(yield func(Row) bool) {
		seen := make(map[string]int)
		for row := range rows {
			if row.Err == nil {
				row.Err = row.check(seen)
			}
			if !yield(row) {
				return
			}
		}
	}
}

// check completes a row and finds out whether it can be trusted.
func (r *Row) check(seen map[string]int) error {
	l := &r.Location
	if l.ID == "" {
		return errors.New("id is missing, want 1 to 64 bytes")
	}
	if err := (&engine.Location{ID: l.ID, Name: l.Name}).Check(); err != nil {
		return err
	}
	if l.ID == "." || l.ID == ".." {
		return fmt.Errorf("id is %q, which no path can name", l.ID) // PUT /v1/locations/.. is another path
	}
	if before := seen[l.ID]; before > 0 {
		return fmt.Errorf("id is %q, as in %s %d already", l.ID, cmp.Or(r.Item, "line"), before)
	}
	seen[l.ID] = r.Line
	if l.Zone == "" && l.Position != nil && len(l.Regular)+len(l.Special) > 0 {
		finder, err := zones()
		if err != nil {
			return err
		}
		l.Zone = finder.GetTimezoneName(l.Position.Longitude, l.Position.Latitude)
	}
	if l.Kind != "" {
		if _, err := engine.ParseLocationKind(l.Kind); err != nil {
			return err
		}
	}
	_, err := engine.NewDetails(l.LocationDetails)
	return err
}

// zones finds the time zone of a position, in the boundaries of timezone-boundary-builder (OpenStreetMap, ODbL). Reading
// them takes half a second, so it is done when the first is wanted.
var zones = sync.OnceValues(tzf.NewDefaultFinder)

// cut shortens a text to what an attribute takes.
func cut(text string) string {
	if len(text) <= engine.AttributeValueMax {
		return text
	}
	return strings.ToValidUTF8(text[:engine.AttributeValueMax-3], "") + "..."
}
