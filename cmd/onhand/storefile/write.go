package storefile

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"onhand/engine"
	"onhand/engine/hours"
)

// Writer writes locations in a form. Close ends what it has written; it does not close what it writes to.
type Writer interface {
	Write(l *Location) error
	Close() error
}

// OutputFormats are the names of the formats that NewWriter takes.
var OutputFormats = []string{"ndjson", "csv", "geojson", "jsonld"}

// NewWriter returns a Writer of one of OutputFormats. now is when hours of every year begin in a form that only has dates.
func NewWriter(format string, w io.Writer, now time.Time) (Writer, error) {
	out := bufio.NewWriter(w)
	switch format {
	case "ndjson":
		return &listWriter{out: out, between: "\n", end: "\n", item: func(l *Location) (any, error) { return l, nil }}, nil
	case "csv":
		table := csv.NewWriter(out)
		table.UseCRLF = true
		return &tableWriter{table, out}, table.Write(Columns)
	case "geojson":
		_, err := out.WriteString(`{"type":"FeatureCollection","features":[` + "\n")
		return &listWriter{out: out, between: ",\n", end: "\n]}\n", item: toFeature}, err
	case "jsonld":
		_, err := out.WriteString(`{"@context":"https://schema.org","@graph":[` + "\n")
		return &listWriter{out: out, between: ",\n", end: "\n]}\n", item: func(l *Location) (any, error) { return toStore(l, now) }}, err
	}
	return nil, fmt.Errorf("format is %q, want one of %s", format, strings.Join(OutputFormats, ", "))
}

// listWriter writes JSON values with something between them.
type listWriter struct {
	out          *bufio.Writer
	between, end string
	item         func(*Location) (any, error)
	any          bool
}

func (w *listWriter) Write(l *Location) error {
	v, err := w.item(l)
	if err != nil || v == nil {
		return err
	}
	text, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		return err
	}
	if w.any {
		if _, err := w.out.WriteString(w.between); err != nil {
			return err
		}
	}
	w.any = true
	_, err = w.out.Write(text)
	return err
}

func (w *listWriter) Close() error {
	if w.any || w.end != "\n" {
		if _, err := w.out.WriteString(w.end); err != nil {
			return err
		}
	}
	return w.out.Flush()
}

type tableWriter struct {
	table *csv.Writer
	out   *bufio.Writer
}

func (w *tableWriter) Write(l *Location) error {
	cells, err := toCells(l)
	if err != nil {
		return err
	}
	return w.table.Write(cells)
}

func (w *tableWriter) Close() error {
	w.table.Flush()
	if err := w.table.Error(); err != nil {
		return err
	}
	return w.out.Flush()
}

// toFeature makes a location a GeoJSON feature; one without a position has no geometry.
func toFeature(l *Location) (any, error) {
	f := feature{Type: "Feature", ID: featureID(l.ID), Properties: *l}
	if p := l.Position; p != nil {
		f.Geometry = &geometry{"Point", []float64{p.Longitude, p.Latitude}}
		f.Properties.Position = nil
	}
	return &f, nil
}

// jsonObject is an object of JSON-LD.
type jsonObject = map[string]any

// toStore makes a location a Store of schema.org, or nil where customers have no business there. What schema.org has no word
// for is left out: days of unknown hours, and which services there are. Nor has it a rule for which of several special days
// counts, so those that are written don't overlap. Special days of every year are told for this year and the next, and those
// that go on into this one. Closed is from 00:00 to 00:00, as search engines read it.
func toStore(l *Location, now time.Time) (any, error) {
	if l.Kind == engine.Warehouse.String() {
		return nil, nil
	}
	s := jsonObject{"@type": "Store", "identifier": l.ID}
	for name, text := range map[string]string{"name": l.Name, "telephone": l.Phone, "email": l.Email, "url": l.URL} {
		if text != "" {
			s[name] = text
		}
	}
	if p := l.Position; p != nil {
		s["geo"] = jsonObject{"@type": "GeoCoordinates", "latitude": p.Latitude, "longitude": p.Longitude}
	}
	if a := l.Address; a != nil {
		address := jsonObject{"@type": "PostalAddress"}
		for name, text := range map[string]string{
			"streetAddress": a.Street, "addressLocality": a.Locality, "addressRegion": a.Region, "postalCode": a.PostalCode, "addressCountry": a.Country,
		} {
			if text != "" {
				address[name] = text
			}
		}
		s["address"] = address
	}
	var regular, special []jsonObject
	for _, r := range l.Regular {
		if spec := specification(&r.Interval); spec != nil {
			var names []string
			for _, d := range r.Days {
				names = append(names, schemaDays[d])
			}
			spec["dayOfWeek"] = names
			regular = append(regular, spec)
		}
	}
	dated, err := l.SpecialDates(now.Year(), now.Year()+1)
	if err != nil {
		return nil, fmt.Errorf("location %q: %w", l.ID, err)
	}
	for _, d := range dated {
		for i := range d.Intervals {
			if spec := specification(&d.Intervals[i]); spec != nil {
				spec["validFrom"], spec["validThrough"] = d.From.String(), d.Through.String()
				special = append(special, spec)
			}
		}
	}
	if len(regular) > 0 {
		s["openingHoursSpecification"] = regular
	}
	if len(special) > 0 {
		s["specialOpeningHoursSpecification"] = special
	}
	return s, nil
}

var schemaDays = map[hours.Day]string{
	hours.Monday: "Monday", hours.Tuesday: "Tuesday", hours.Wednesday: "Wednesday", hours.Thursday: "Thursday",
	hours.Friday: "Friday", hours.Saturday: "Saturday", hours.Sunday: "Sunday", hours.PublicHoliday: "PublicHolidays",
}

func specification(v *hours.Interval) jsonObject {
	s := jsonObject{"@type": "OpeningHoursSpecification", "opens": "00:00", "closes": "00:00"}
	switch {
	case v.Unknown:
		return nil
	case v.Opens != nil:
		s["opens"], s["closes"] = v.Opens, v.Closes
		if *v.Closes == 24*60 {
			s["closes"] = "00:00" // which is before it opens, so on the next day; few readers know 24:00
			if *v.Opens == 0 {
				s["closes"] = "23:59" // as schema.org writes round the clock
			}
		}
	}
	return s
}
