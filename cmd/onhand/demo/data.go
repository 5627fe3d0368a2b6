package demo

import (
	"bytes"
	_ "embed"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// The files are made by the command in pack.
var (
	//go:embed data/stores.csv.zst
	storesFile []byte
	//go:embed data/shares.csv.zst
	sharesFile []byte
	//go:embed data/articles.csv.zst
	articlesFile []byte
	//go:embed data/orders.csv.zst
	ordersFile []byte
)

type store struct {
	id, name string
	large    bool // carries every article
	hours    bool // it has opening hours
	slots    bool // it has pickup slots
	supplier *site
	record   map[string]any

	latitude, longitude float64
}

// services reports whether a store says what one can do there.
func (s *store) services() bool { return s.record["services"] != nil }

type article struct{ sku, title string }

// order is one entry of the year: a sale, a cancellation or an adjustment.
type order struct {
	kind     string // "sale", "cancel", or the reason of an adjustment
	number   string
	customer string // "" where it was not noted down
	original string // of a cancellation: the number of the sale, where known
	minute   int    // since the first
	lines    []orderLine
}

type orderLine struct {
	article  int // index
	quantity int64
}

func readStores() ([]store, error) {
	rows, err := rowsOf(storesFile)
	if err != nil {
		return nil, err
	}
	stores := make([]store, len(rows))
	for i, r := range rows {
		name := fmt.Sprintf("%s, %s %s", r[2], r[3], r[4])
		stores[i] = store{id: r[0], large: r[1] == "BigBox", hours: r[8] != "null" && r[8] != "[]", name: name, record: map[string]any{
			"name": name, "kind": "store", "address": map[string]any{"locality": r[3], "region": r[4], "country": "US"},
			"position":  map[string]any{"latitude": json.RawMessage(r[5]), "longitude": json.RawMessage(r[6])},
			"time_zone": r[7], "opening_hours": json.RawMessage(r[8]),
		}}
		var err, err2 error
		stores[i].latitude, err = strconv.ParseFloat(r[5], 64)
		stores[i].longitude, err2 = strconv.ParseFloat(r[6], 64)
		if err := errors.Join(err, err2); err != nil {
			return nil, fmt.Errorf("store %s: %w", r[0], err)
		}
		equip(&stores[i])
	}
	return stores, nil
}

// readShares returns how busy stores are, in any unit.
func readShares() ([]int, error) {
	rows, err := rowsOf(sharesFile)
	if err != nil {
		return nil, err
	}
	shares := make([]int, len(rows))
	for i, r := range rows {
		if shares[i], err = strconv.Atoi(r[1]); err != nil {
			return nil, err
		}
	}
	return shares, nil
}

func readArticles() ([]article, error) {
	rows, err := rowsOf(articlesFile)
	if err != nil {
		return nil, err
	}
	articles := make([]article, len(rows))
	for i, r := range rows {
		articles[i] = article{sku: r[0], title: r[1]}
	}
	return articles, nil
}

func readOrders() ([]order, error) {
	rows, err := rowsOf(ordersFile)
	if err != nil {
		return nil, err
	}
	orders := make([]order, len(rows))
	for i, r := range rows {
		o := order{kind: r[0], number: r[1], customer: r[2], original: r[3]}
		if o.minute, err = strconv.Atoi(r[4]); err != nil {
			return nil, err
		}
		for line := range strings.FieldsSeq(r[5]) {
			article, quantity, _ := strings.Cut(line, ":")
			var l orderLine
			var err, err2 error
			l.article, err = strconv.Atoi(article)
			l.quantity, err2 = strconv.ParseInt(quantity, 10, 64)
			if err := errors.Join(err, err2); err != nil {
				return nil, fmt.Errorf("order %s: line %q: %w", o.number, line, err)
			}
			o.lines = append(o.lines, l)
		}
		orders[i] = o
	}
	return orders, nil
}

// rowsOf returns the rows of a packed CSV file, without its header.
func rowsOf(packed []byte) ([][]string, error) {
	decoder, err := zstd.NewReader(nil)
	if err != nil {
		return nil, err
	}
	defer decoder.Close()
	text, err := decoder.DecodeAll(packed, nil)
	if err != nil {
		return nil, err
	}
	rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil {
		return nil, err
	}
	return rows[1:], nil
}
