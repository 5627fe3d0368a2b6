package storefile

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"onhand/engine"
	"onhand/engine/hours"
)

// readNDJSON reads a location a line, as GET /v1/locations/{id} answers without what it says of the moment. opening_hours may
// be in the syntax of OpenStreetMap.
func readNDJSON(in io.Reader) iter.Seq[Row] {
	return func(yield func(Row) bool) {
		rows := newLineReader(in)
		for {
			text, err := rows.next()
			switch {
			case errors.Is(err, io.EOF):
				return
			case err != nil && !errors.Is(err, errLongLine):
				yield(Row{Err: err})
				return
			}
			row := Row{Line: rows.Line, Err: err}
			if row.Err == nil {
				text = bytes.TrimPrefix(text, []byte("\ufeff")) // files put together have one at each seam
				row.Err = tellJSON(json.Unmarshal(text, &row.Location, json.RejectUnknownMembers(true), lenient))
			}
			if !yield(row) {
				return
			}
		}
	}
}

// lenient takes opening_hours that are a string as well, which is how OpenStreetMap has them.
var lenient = json.WithUnmarshalers(json.UnmarshalFromFunc(func(d *jsontext.Decoder, week *[]hours.Regular) error {
	if d.PeekKind() != '"' {
		return errors.ErrUnsupported // an array, as everywhere else
	}
	token, err := d.ReadToken()
	if err == nil {
		*week, err = weekOf(token.String())
	}
	return err
}))

// weekOf reads hours in OpenStreetMap's syntax; a blank text says nothing.
func weekOf(text string) ([]hours.Regular, error) {
	if text = strings.TrimSpace(text); text == "" {
		return nil, nil
	}
	return hours.ParseOSM(text)
}

// feature is a GeoJSON feature (RFC 7946) whose properties are those of a location.
type feature struct {
	Type       string    `json:"type"`
	ID         featureID `json:"id,omitzero"`
	Geometry   *geometry `json:"geometry"`
	Properties Location  `json:"properties"`
}

// featureID is a string, or a number as it is written.
type featureID string

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (id *featureID) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	token, err := d.ReadToken()
	if err == nil && token.Kind() != '"' && token.Kind() != '0' && token.Kind() != 'n' {
		return errors.New("an id is a string or a number")
	}
	if err == nil && token.Kind() != 'n' {
		*id = featureID(token.String())
	}
	return err
}

type geometry struct {
	Type        string    `json:"type"`
	Coordinates []float64 `json:"coordinates"`
}

// readGeoJSON reads a FeatureCollection of points, feature by feature.
func readGeoJSON(in io.Reader) iter.Seq[Row] {
	return func(yield func(Row) bool) {
		d := newArrayDecoder(in)
		fail := func(err error) { yield(Row{Err: fmt.Errorf("a FeatureCollection as in RFC 7946 is wanted: %w", err)}) }
		if token, err := d.ReadToken(); err != nil || token.Kind() != '{' {
			fail(errors.Join(err, errors.New("the file does not begin with an object")))
			return
		}
		found, n := false, 0
		for {
			token, err := d.ReadToken()
			if err != nil {
				fail(err)
				return
			}
			if token.Kind() == '}' {
				break
			}
			if token.String() != "features" {
				if err := d.SkipValue(); err != nil {
					fail(err)
					return
				}
				continue
			}
			found = true
			for text, err := range elements(d) {
				if err != nil {
					fail(fmt.Errorf("features: %w", err))
					return
				}
				n++
				row := Row{Item: "feature", Line: n}
				row.Location, row.Err = fromFeature(text)
				if !yield(row) {
					return
				}
			}
		}
		if !found {
			fail(errors.New("there is no features"))
			return
		}
		if err := ended(d); err != nil {
			fail(err)
		}
	}
}

// newArrayDecoder reads a file that is an array or has one. A name given twice, or bytes that are no UTF-8, don't stop it:
// whoever takes an element by itself refuses them there, so that they spoil only that.
func newArrayDecoder(in io.Reader) *jsontext.Decoder {
	return jsontext.NewDecoder(unmarked(in), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}

// elements yields the elements of the array that comes next, each valid until the following one; or, last, why it can't be
// read to its end.
func elements(d *jsontext.Decoder) iter.Seq2[jsontext.Value, error] {
	return func(yield func(jsontext.Value, error) bool) {
		token, err := d.ReadToken()
		if err == nil && token.Kind() != '[' {
			err = errors.New("it is no array")
		}
		for err == nil && d.PeekKind() != ']' {
			var text jsontext.Value
			if text, err = d.ReadValue(); err == nil && !yield(text, nil) {
				return
			}
		}
		if err == nil {
			_, err = d.ReadToken()
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

// ended reports what follows the end: a second array would be lost without a word.
func ended(d *jsontext.Decoder) error {
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return errors.Join(errors.New("there is more after its end"), err)
	}
	return nil
}

func fromFeature(text []byte) (Location, error) {
	var f feature
	if err := json.Unmarshal(text, &f, lenient); err != nil {
		return Location{}, tellJSON(err)
	}
	if f.Type != "Feature" {
		return Location{}, fmt.Errorf("type is %q, want Feature", f.Type)
	}
	l := f.Properties
	if l.ID == "" {
		l.ID = string(f.ID)
	}
	if g := f.Geometry; g != nil {
		if g.Type != "Point" || len(g.Coordinates) < 2 {
			return l, fmt.Errorf("geometry is a %s of %d coordinates, want a Point", g.Type, len(g.Coordinates))
		}
		l.Position = &engine.Position{Longitude: g.Coordinates[0], Latitude: g.Coordinates[1]}
	}
	return l, nil
}

// tellJSON says what is wrong with a row's JSON in the words of its writer.
func tellJSON(err error) error {
	semantic := (*json.SemanticError)(nil)
	if !errors.As(err, &semantic) {
		return err
	}
	where := cmp.Or(string(semantic.JSONPointer), "it")
	switch {
	case errors.Is(err, json.ErrUnknownName):
		return fmt.Errorf("there is no member %s", where)
	case errors.As(semantic.Err, new(*engine.InvalidError)), errors.As(semantic.Err, new(*hours.Error)):
		return fmt.Errorf("in %s: %w", where, semantic.Err)
	}
	if semantic.Err != nil && semantic.JSONKind == '0' {
		return fmt.Errorf("%s is %s, which it can't be: %w", where, semantic.JSONValue, semantic.Err) // too large, or a fraction
	}
	kinds := map[jsontext.Kind]string{'{': "an object", '[': "an array", '"': "a string", '0': "a number", 't': "true", 'f': "false", 'n': "null"}
	if kind, ok := kinds[semantic.JSONKind]; ok && semantic.Err == nil && semantic.GoType != nil {
		return fmt.Errorf("%s is %s, which it can't be", where, kind)
	}
	return err
}
