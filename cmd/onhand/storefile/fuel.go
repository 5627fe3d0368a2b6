package storefile

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"strconv"
	"strings"

	"onhand/engine"
	"onhand/engine/hours"
)

// readFuel reads a day of "Prix des carburants en France" (data.gouv.fr) as tables: stations.csv, jour_and_horaires.csv,
// services_text.csv and fermetures.csv.
//
// A day is closed where ferme is 1. It is unknown where no hours are given, where it closes at the minute it opens, and where
// its row can't be trusted or there is none, though there are for other days. 23.59 is midnight. A closure makes special
// days, one without an end until 2200; where one can't be trusted, nobody knows when the station is open. A station that
// lies outside mainland France and Corsica can't be trusted, as all of them are there.
func readFuel(dir fs.FS) iter.Seq[Row] {
	return func(yield func(Row) bool) {
		about := make(map[string]*fuelFacts)
		for _, part := range fuelParts {
			for row, cells := range fuelRows(dir, part.file, append(part.columns, "station_id")...) {
				row.Part = true
				if row.Err == nil {
					row.Err = part.note(about, cells)
				}
				if row.Err != nil && !yield(row) || row.Line == 0 {
					return
				}
			}
		}
		for row, cells := range fuelRows(dir, "stations.csv", "id", "latitude", "longitude", "cp", "adresse", "ville") {
			if row.Err == nil {
				row.Location, row.Err = fuelStation(cells, about[cells["id"]])
			}
			if !yield(row) {
				return
			}
		}
	}
}

// fuelPart is a table beside that of the stations.
type fuelPart struct {
	file    string
	columns []string // and station_id
	// take takes a row's facts. Where it returns why the row can't be trusted, what is unknown for that is noted.
	take func(f *fuelFacts, cells map[string]string) error
}

var fuelParts = []fuelPart{
	{"jour_and_horaires.csv", []string{"id", "ouverture", "fermeture", "ferme"}, (*fuelFacts).takeDay},
	{"services_text.csv", []string{"service"}, (*fuelFacts).takeService},
	{"fermetures.csv", []string{"debut", "fin"}, (*fuelFacts).takeClosure},
}

// note adds what a row says to what is known about its station.
func (p *fuelPart) note(about map[string]*fuelFacts, cells map[string]string) error {
	id := cells["station_id"]
	if id == "" {
		return errors.New("station_id is missing")
	}
	f := about[id]
	if f == nil {
		f = new(fuelFacts)
		about[id] = f
	}
	return p.take(f, cells)
}

// fuelRows yields the rows of a table.
func fuelRows(dir fs.FS, name string, wanted ...string) iter.Seq2[Row, map[string]string] {
	return func(yield func(Row, map[string]string) bool) {
		file, err := dir.Open(name)
		if err != nil {
			yield(Row{Err: err}, nil)
			return
		}
		defer file.Close()
		t, err := openTable(file, wanted...)
		if err != nil {
			yield(Row{Err: fmt.Errorf("%s: %w", name, err)}, nil)
			return
		}
		for row, cells := range t.rows() {
			if row.File = name; row.Line == 0 {
				row.Err = fmt.Errorf("%s: %w", name, row.Err)
			}
			if !yield(row, cells) {
				return
			}
		}
	}
}

// fuelFacts are what the other tables say of a station.
type fuelFacts struct {
	week           [7]fuelDay // from Monday on
	anyDay         bool       // there is a row of some day
	closures       []hours.Special
	closureUnknown bool // there is another, which may be on any day
	services       []string
}

// fuelDay is what is said of a weekday. It is unknown where nothing is.
type fuelDay struct {
	intervals []hours.Interval
	unknown   bool // whatever the intervals are
}

func (f *fuelFacts) takeDay(cells map[string]string) error {
	f.anyDay = true
	n, err := strconv.Atoi(cells["id"])
	if err != nil || n < 1 || n > 7 {
		return fmt.Errorf("a day is %q, want 1 to 7", cells["id"]) // its day has no row then, and is unknown
	}
	day := &f.week[n-1]
	interval, err := fuelInterval(cells)
	if err == nil && len(day.intervals) > 0 && (interval.Opens == nil || day.intervals[0].Opens == nil) {
		err = errors.New("the day has a row already, and is not open twice")
	}
	if err != nil {
		day.unknown = true
		return fmt.Errorf("%w; the day is taken as unknown", err)
	}
	day.intervals = append(day.intervals, interval)
	return nil
}

func (f *fuelFacts) takeService(cells map[string]string) error {
	f.services = append(f.services, cells["service"])
	return nil
}

func (f *fuelFacts) takeClosure(cells map[string]string) error {
	closure, err := fuelClosure(cells["debut"], cells["fin"])
	if err != nil {
		f.closureUnknown = true
		return fmt.Errorf("%w; the hours of the station are taken as unknown", err)
	}
	f.closures = append(f.closures, closure)
	return nil
}

// regular returns the hours of the week, none where they are unknown on all days.
func (f *fuelFacts) regular() (week []hours.Regular) {
	if !f.anyDay || f.closureUnknown {
		return nil
	}
	for n := range f.week {
		day := &f.week[n]
		intervals := day.intervals
		if day.unknown || len(intervals) == 0 {
			intervals = []hours.Interval{{Unknown: true}}
		}
		for _, v := range intervals {
			week = append(week, hours.Regular{Days: []hours.Day{hours.Day(n)}, Interval: v})
		}
	}
	return week
}

// fuelStation reads a station, facts nil where the other tables have none of it.
func fuelStation(cells map[string]string, facts *fuelFacts) (Location, error) {
	l := Location{ID: cells["id"], Name: strings.TrimSpace(cells["adresse"] + ", " + cells["ville"]), Kind: engine.Store.String()}
	var err error
	if l.Position, err = positionOf(cells["latitude"], cells["longitude"]); err != nil {
		return l, err
	}
	if p := l.Position; p != nil && (p.Latitude < 41.3 || p.Latitude > 51.2 || p.Longitude < -5.2 || p.Longitude > 9.7) {
		return l, fmt.Errorf("the position %v, %v is not in mainland France or Corsica", p.Latitude, p.Longitude)
	}
	l.Address = &engine.Address{Street: cells["adresse"], Locality: cells["ville"], PostalCode: cells["cp"], Country: "FR"}
	l.Zone, l.Country = "Europe/Paris", "FR"
	if facts == nil {
		return l, nil
	}
	l.Regular, l.Special = facts.regular(), facts.closures
	if len(facts.services) > 0 {
		l.Attributes = map[string]string{"services": cut(strings.Join(facts.services, "; "))}
	}
	return l, nil
}

// fuelClosure reads a closure from and, if it has an end, through the dates of times such as 2022-10-06T00:00:00.
func fuelClosure(begin, end string) (hours.Special, error) {
	s := hours.Special{Name: "fermeture", Interval: hours.Interval{Closed: true}, Through: hours.Date{Year: 2200, Month: 12, Day: 31}}
	var err error
	if s.From, err = fuelDate("debut", begin); err != nil {
		return s, err
	}
	if end == "" {
		return s, nil
	}
	if s.Through, err = fuelDate("fin", end); err == nil && s.Through.String() < s.From.String() {
		err = fmt.Errorf("fin is %q, which is before debut, %q", end, begin)
	}
	return s, err
}

func fuelDate(column, at string) (hours.Date, error) {
	var d hours.Date
	date, _, _ := strings.Cut(at, "T")
	if err := d.UnmarshalText([]byte(date)); err != nil || d.Year == 0 {
		return d, fmt.Errorf("%s is %q, want a time such as 2022-10-06T00:00:00", column, at)
	}
	return d, nil
}

func fuelInterval(cells map[string]string) (hours.Interval, error) {
	switch closed := cells["ferme"]; closed {
	case "1":
		return hours.Interval{Closed: true}, nil
	case "", "0":
	default:
		return hours.Interval{}, fmt.Errorf("ferme is %q, want 1 or nothing", closed)
	}
	from, to := cells["ouverture"], cells["fermeture"]
	if from == "" && to == "" || from == to && fuelMinute(from) >= 0 {
		return hours.Interval{Unknown: true}, nil
	}
	opens, closes := fuelMinute(from), fuelMinute(to)
	if opens < 0 || opens == 24*60 {
		return hours.Interval{}, fmt.Errorf("ouverture is %q, want a time from 00.00 to 23.59", from)
	}
	if closes < 0 {
		return hours.Interval{}, fmt.Errorf("fermeture is %q, want a time from 00.00 to 24.00", to)
	}
	if closes == 23*60+59 {
		closes++
	}
	return hours.Interval{Opens: &opens, Closes: &closes}, nil
}

// fuelMinute reads a time such as 06.30; -1 is none.
func fuelMinute(text string) hours.Minute {
	var m hours.Minute
	if m.UnmarshalText([]byte(strings.Replace(text, ".", ":", 1))) != nil {
		return -1
	}
	return m
}
