package storefile

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"onhand/engine"
)

// readNDJSON reads a location a line, as GET /v1/locations/{id} answers without what it says of the moment.
func readNDJSON(in io.Reader) iter.Seq[Row] {
	return func(yield func(Row) bool) {
		lines := bufio.NewScanner(in)
		lines.Buffer(nil, 1<<20)
		n := 0
		for lines.Scan() {
			n++
			text := bytes.TrimSpace(bytes.TrimPrefix(lines.Bytes(), []byte("\ufeff")))
			if len(text) == 0 {
				continue
			}
			row := Row{Line: n}
			row.Err = json.Unmarshal(text, &row.Location, json.RejectUnknownMembers(true))
			if !yield(row) {
				return
			}
		}
		if err := lines.Err(); err != nil {
			yield(Row{Err: fmt.Errorf("line %d: %w", n+1, err)})
		}
	}
}

// feature is a GeoJSON feature (RFC 7946) whose properties are those of a location.
type feature struct {
	Type       string    `json:"type"`
	ID         any       `json:"id,omitzero"`
	Geometry   *geometry `json:"geometry"`
	Properties Location  `json:"properties"`
}

type geometry struct {
	Type        string    `json:"type"`
	Coordinates []float64 `json:"coordinates"`
}

// readGeoJSON reads a FeatureCollection of points, feature by feature. The line of a row is its place in the collection.
func readGeoJSON(in io.Reader) iter.Seq[Row] {
	return func(yield func(Row) bool) {
		d := jsontext.NewDecoder(in)
		fail := func(err error) { yield(Row{Err: fmt.Errorf("a FeatureCollection as in RFC 7946 is wanted: %w", err)}) }
		if token, err := d.ReadToken(); err != nil || token.Kind() != '{' {
			fail(errors.Join(err, errors.New("the file does not begin with an object")))
			return
		}
		for {
			token, err := d.ReadToken()
			if err != nil {
				fail(err)
				return
			}
			if token.Kind() == '}' {
				return
			}
			if token.String() != "features" {
				if err := d.SkipValue(); err != nil {
					fail(err)
					return
				}
				continue
			}
			if token, err := d.ReadToken(); err != nil || token.Kind() != '[' {
				fail(errors.Join(err, errors.New("features is no array")))
				return
			}
			for n := 1; d.PeekKind() != ']'; n++ {
				text, err := d.ReadValue()
				if err != nil {
					fail(err)
					return
				}
				row := Row{Line: n}
				row.Location, row.Err = fromFeature(text)
				if !yield(row) {
					return
				}
			}
			if _, err := d.ReadToken(); err != nil {
				fail(err)
				return
			}
		}
	}
}

func fromFeature(text []byte) (Location, error) {
	var f feature
	if err := json.Unmarshal(text, &f); err != nil {
		return Location{}, err
	}
	if f.Type != "Feature" {
		return Location{}, fmt.Errorf("type is %q, want Feature", f.Type)
	}
	l := f.Properties
	if l.ID == "" && f.ID != nil {
		l.ID = fmt.Sprint(f.ID)
	}
	if g := f.Geometry; g != nil {
		if g.Type != "Point" || len(g.Coordinates) < 2 {
			return l, fmt.Errorf("geometry is a %s of %d coordinates, want a Point", g.Type, len(g.Coordinates))
		}
		l.Position = &engine.Position{Longitude: g.Coordinates[0], Latitude: g.Coordinates[1]}
	}
	return l, nil
}
