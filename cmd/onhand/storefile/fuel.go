package storefile

import (
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"onhand/engine"
	"onhand/engine/hours"
)

// readFuel reads a day of "Prix des carburants en France" (data.gouv.fr) as tables: stations.csv, jour_and_horaires.csv,
// services_text.csv and fermetures.csv.
//
// A day is closed where ferme is 1. It is unknown where no hours are given, or where it closes at the minute it opens.
// 23.59 is midnight. A closure makes special days, one without an end until 2200. A station that lies outside mainland France
// and Corsica can't be trusted, as all of them are there.
func readFuel(dir string) iter.Seq[Row] {
	return func(yield func(Row) bool) {
		week, err := grouped(dir, "jour_and_horaires.csv", "station_id", "id", "ouverture", "fermeture", "ferme")
		if err != nil {
			yield(Row{Err: err})
			return
		}
		services, err := grouped(dir, "services_text.csv", "station_id", "service")
		if err != nil {
			yield(Row{Err: err})
			return
		}
		closures, err := grouped(dir, "fermetures.csv", "station_id", "debut", "fin")
		if err != nil {
			yield(Row{Err: err})
			return
		}
		file, err := os.Open(filepath.Join(dir, "stations.csv"))
		if err != nil {
			yield(Row{Err: err})
			return
		}
		defer file.Close()
		stations, err := openTable(file, "id", "latitude", "longitude", "cp", "adresse", "ville")
		if err != nil {
			yield(Row{Err: fmt.Errorf("stations.csv: %w", err)})
			return
		}
		for row, cells := range stations.rows() {
			row.File = "stations.csv"
			if id := cells["id"]; row.Err == nil {
				row.Location, row.Err = fuelStation(cells, week[id], services[id], closures[id])
			}
			if !yield(row) {
				return
			}
		}
	}
}

// grouped reads a table and returns its rows by one of their columns.
func grouped(dir, name, by string, columns ...string) (map[string][]map[string]string, error) {
	file, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	t, err := openTable(file, append(columns, by)...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	out := make(map[string][]map[string]string)
	for row, cells := range t.rows() {
		if row.Err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, row.Line, row.Err)
		}
		out[cells[by]] = append(out[cells[by]], cells)
	}
	return out, nil
}

func fuelStation(cells map[string]string, week, services, closures []map[string]string) (Location, error) {
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
	for _, w := range week {
		day, err := strconv.Atoi(w["id"])
		if err != nil || day < 1 || day > 7 {
			return l, fmt.Errorf("a day is %q, want 1 to 7", w["id"])
		}
		l.Regular = append(l.Regular, hours.Regular{Days: []hours.Day{hours.Day(day - 1)}, Interval: fuelInterval(w)})
	}
	for _, c := range closures {
		s := hours.Special{Name: "fermeture", Interval: hours.Interval{Closed: true}, Through: hours.Date{Year: 2200, Month: 12, Day: 31}}
		if err := s.From.UnmarshalText([]byte(day(c["debut"]))); err != nil {
			return l, err
		}
		if c["fin"] != "" {
			if err := s.Through.UnmarshalText([]byte(day(c["fin"]))); err != nil {
				return l, err
			}
		}
		l.Special = append(l.Special, s)
	}
	var offers []string
	for _, s := range services {
		offers = append(offers, s["service"])
	}
	if len(offers) > 0 {
		l.Attributes = map[string]string{"services": cut(strings.Join(offers, "; "))}
	}
	return l, nil
}

// day returns the date of a time such as 2022-10-06T00:00:00.
func day(at string) string {
	date, _, _ := strings.Cut(at, "T")
	return date
}

func fuelInterval(w map[string]string) hours.Interval {
	if w["ferme"] == "1" {
		return hours.Interval{Closed: true}
	}
	var opens, closes hours.Minute
	err := opens.UnmarshalText([]byte(strings.Replace(w["ouverture"], ".", ":", 1)))
	err2 := closes.UnmarshalText([]byte(strings.Replace(w["fermeture"], ".", ":", 1)))
	if closes == 23*60+59 {
		closes++
	}
	if err != nil || err2 != nil || opens == closes {
		return hours.Interval{Unknown: true}
	}
	return hours.Interval{Opens: &opens, Closes: &closes}
}
