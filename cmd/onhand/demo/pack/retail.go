package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// retail is a year of a wholesaler's invoices.
type retail struct {
	articles []article
	index    map[string]int // of an article's code
	orders   []*order
	byNumber map[string]*order
	start    time.Time
}

type article struct{ code, title string }

// order is an invoice, a cancellation or an adjustment.
type order struct {
	kind     string // "sale", "cancel", or an adjustment's reason
	number   string
	customer string
	original string // of a cancellation: the invoice that it takes back, where that can be told
	minute   int    // since the first
	lines    []orderLine
}

type orderLine struct{ article, quantity int }

// notArticles are codes that stand for postage, fees and corrections of an account.
var notArticles = []string{"POST", "DOT", "M", "m", "C2", "D", "S", "B", "BANK CHARGES", "AMAZONFEE", "CRUK"}

func readRetail(name string) (*retail, error) {
	r := &retail{index: make(map[string]int), byNumber: make(map[string]*order)}
	header := true
	err := eachRow(name, func(row []string) error {
		if header {
			header = false
			return nil
		}
		return r.add(row)
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(r.orders, func(a, b *order) int { return a.minute - b.minute })
	r.matchCancellations()
	return r, nil
}

// add takes in a row: invoice, code, description, quantity, time, unit price, customer, country.
func (r *retail) add(row []string) error {
	code := row[1]
	if slices.Contains(notArticles, code) {
		return nil
	}
	quantity, err := strconv.Atoi(row[3])
	if err != nil || quantity == 0 {
		return err
	}
	at, err := time.Parse(time.DateTime, row[4])
	if err != nil {
		return err
	}
	if r.start.IsZero() {
		r.start = at
	}
	price, err := strconv.ParseFloat(row[5], 64)
	if err != nil {
		return err
	}
	sold := price > 0
	n, known := r.index[code]
	if !known {
		n = len(r.articles)
		r.index[code] = n
		r.articles = append(r.articles, article{code: code})
	}
	// What has no price describes what happened to the goods: "damages", "check".
	if title := strings.Join(strings.Fields(row[2]), " "); title != "" && sold {
		r.articles[n].title = title
	}
	kind, number := "sale", row[0]
	switch {
	case strings.HasPrefix(number, "C"):
		kind, quantity = "cancel", -quantity
	case !sold && quantity < 0:
		kind, quantity = reasonOf(row[2]), -quantity
	case !sold:
		return nil // goods found again, or given away: no order
	}
	o := r.byNumber[number]
	if o == nil {
		o = &order{kind: kind, number: number, customer: strings.TrimSuffix(row[6], ".0"), minute: int(at.Sub(r.start).Minutes())}
		r.byNumber[number] = o
		r.orders = append(r.orders, o)
	}
	o.lines = append(o.lines, orderLine{n, quantity})
	return nil
}

// reasonOf returns the reason of an adjustment from what was noted down.
func reasonOf(note string) string {
	note = strings.ToLower(note)
	for _, known := range []struct{ word, reason string }{
		{"damage", "damage"}, {"broken", "damage"}, {"crush", "damage"}, {"smash", "damage"}, {"wet", "damage"},
		{"rust", "damage"}, {"mould", "damage"}, {"faulty", "damage"}, {"thrown", "damage"}, {"unsale", "damage"},
		{"lost", "loss"}, {"missing", "loss"}, {"check", "count"}, {"count", "count"},
	} {
		if strings.Contains(note, known.word) {
			return known.reason
		}
	}
	return "correction"
}

// matchCancellations finds the invoice that each cancellation takes back: the customer's latest one before it with the
// article. A cancellation of several invoices becomes one of each.
func (r *retail) matchCancellations() {
	type bought struct {
		customer string
		article  int
	}
	latest := make(map[bought]string)
	var all []*order
	for _, o := range r.orders {
		if o.kind != "cancel" {
			if o.kind == "sale" && o.customer != "" {
				for _, l := range o.lines {
					latest[bought{o.customer, l.article}] = o.number
				}
			}
			all = append(all, o)
			continue
		}
		parts := make(map[string]*order)
		for _, l := range o.lines {
			original := latest[bought{o.customer, l.article}]
			part := parts[original]
			if part == nil {
				part = &order{kind: "cancel", number: o.number, customer: o.customer, original: original, minute: o.minute}
				parts[original] = part
				all = append(all, part)
			}
			part.lines = append(part.lines, l)
		}
	}
	r.orders = all
}

func (r *retail) articleRows() [][]string {
	rows := [][]string{{"code", "title"}}
	for _, a := range r.articles {
		rows = append(rows, []string{a.code, a.title})
	}
	return rows
}

// orderRows returns the orders; a row's lines are written as article:quantity, the article as its row in articles.csv
// counted from 0.
func (r *retail) orderRows() [][]string {
	rows := [][]string{{"kind", "number", "customer", "original", "minute", "lines"}}
	for _, o := range r.orders {
		lines := make([]string, len(o.lines))
		for i, l := range o.lines {
			lines[i] = fmt.Sprintf("%d:%d", l.article, l.quantity)
		}
		rows = append(rows, []string{o.kind, o.number, o.customer, o.original, strconv.Itoa(o.minute), strings.Join(lines, " ")})
	}
	return rows
}
