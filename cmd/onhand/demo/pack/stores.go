package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"

	"github.com/klauspost/compress/gzip"

	"onhand/cmd/onhand/storefile"
)

// readStores returns the stores in the order of their numbers.
func readStores(name string) ([][]string, error) {
	rows := [][]string{{"id", "format", "name", "city", "state", "latitude", "longitude", "time_zone", "opening_hours"}}
	for row := range storefile.Read("bestbuy", name) {
		if row.Err != nil {
			return nil, fmt.Errorf("%s: store %d: %w", name, row.Line, row.Err)
		}
		l := &row.Location
		week, err := json.Marshal(l.Regular)
		if err != nil {
			return nil, err
		}
		rows = append(rows, []string{
			l.ID, l.Attributes["type"], l.Name, l.Address.Locality, l.Address.Region,
			strconv.FormatFloat(l.Position.Latitude, 'f', -1, 64), strconv.FormatFloat(l.Position.Longitude, 'f', -1, 64), l.Zone, string(week),
		})
	}
	slices.SortFunc(rows[1:], func(a, b []string) int { return compareNumbers(a[0], b[0]) })
	return rows, nil
}

func compareNumbers(a, b string) int {
	x, _ := strconv.Atoi(a)
	y, _ := strconv.Atoi(b)
	return x - y
}

// readShares returns how many of a sample of receipt lines each store of a grocery chain has, the busiest first.
func readShares(name string) ([][]string, error) {
	count := make(map[string]int)
	header := true
	err := eachRow(name, func(row []string) error {
		if !header {
			count[row[1]]++
		}
		header = false
		return nil
	})
	if err != nil {
		return nil, err
	}
	rows := [][]string{{"store", "lines"}}
	for store, n := range count {
		rows = append(rows, []string{store, strconv.Itoa(n)})
	}
	slices.SortFunc(rows[1:], func(a, b []string) int {
		if d := compareNumbers(b[1], a[1]); d != 0 {
			return d
		}
		return compareNumbers(a[0], b[0])
	})
	return rows, nil
}

// eachRow calls f with each row of a gzipped CSV file, its header included.
func eachRow(name string, f func(row []string) error) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	plain, err := gzip.NewReader(file)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	rows := csv.NewReader(plain)
	all, err := rows.ReadAll()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for _, row := range all {
		if err := f(row); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}
