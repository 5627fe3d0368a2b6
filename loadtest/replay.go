package loadtest

import (
	"cmp"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
)

// events are what happened in a shop, read from a CSV file with a header, packed with gzip or zstd or not. Columns, in any
// order and case, under our name or that of the UCI Online Retail data:
//
//	time, InvoiceDate        2010-12-01 08:26:00, RFC 3339, or seconds since 1970
//	reference, InvoiceNo     lines with the same one, next to each other in time, are one order
//	sku, StockCode
//	quantity, Quantity       a whole number
//	location                 may be left out: then each customer, or each order, goes to one of the run's locations
//	customer, CustomerID     may be left out
//
// An order with a positive quantity is a reservation, which is committed after a while, unless Config.Commit has it otherwise;
// lines with a negative one are booked as an adjustment: as a return of goods where the reference begins with C, as a loss
// where not. A line of which this can't be made is skipped and told of; a file that is mostly such lines is refused, as it is
// hardly what it is taken for.
type events struct {
	list      []event
	skus      []string
	locations int
	demand    map[[2]int32]int64 // what each location is asked for of each SKU, in all
	speed     float64            // how many times faster than it happened
	Replayed
}

// Replayed says how much of a file could be replayed.
type Replayed struct {
	Lines   int64 `json:"lines"` // behind the header
	Skipped int64 `json:"skipped"`
	// Why tells of the first that were skipped.
	Why []string `json:"why,omitempty"`
}

// skippedMax is how many of the lines that were skipped are told of one by one.
const skippedMax = 5

func (r *Replayed) skip(line int, err error) {
	if r.Skipped++; r.Skipped <= skippedMax {
		r.Why = append(r.Why, fmt.Sprintf("line %d: %v", line, err))
	}
}

// check refuses a file of which more than half could not be read.
func (r *Replayed) check() error {
	if r.Skipped*2 <= r.Lines {
		return nil
	}
	return fmt.Errorf("%d of its %d lines can't be read: %s", r.Skipped, r.Lines, strings.Join(r.Why, "; "))
}

// event is an order, a return or a loss.
type event struct {
	at     time.Duration // since the first
	reason string        // "" of an order
	lines  []line
}

func (e *events) at(n float64) (time.Duration, bool) {
	if int(n) >= len(e.list) {
		return 0, false
	}
	return time.Duration(float64(e.list[int(n)].at) / e.speed), true
}

// length returns how long the replay takes.
func (e *events) length() time.Duration {
	if len(e.list) == 0 {
		return 0
	}
	t, _ := e.at(float64(len(e.list) - 1))
	return t
}

// columns are the names that a column may have.
var columns = map[string][]string{
	"time":      {"time", "invoicedate", "timestamp"},
	"reference": {"reference", "invoiceno", "invoice", "order"},
	"sku":       {"sku", "stockcode"},
	"quantity":  {"quantity"},
	"location":  {"location", "store"},
	"customer":  {"customer", "customerid", "customer id"},
}

// readEvents reads a file and lays it out over at most so many locations. speed 0 makes it take the given length.
func readEvents(name string, locations int, speed float64, length time.Duration) (_ *events, err error) {
	in, err := openPacked(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	e := &events{locations: locations, demand: make(map[[2]int32]int64)}
	if err := e.read(in); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Base(name), err)
	}
	if err := e.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Base(name), err)
	}
	if len(e.list) == 0 {
		return nil, fmt.Errorf("%s: there are no events in it", filepath.Base(name))
	}
	span := e.list[len(e.list)-1].at
	if e.speed = speed; speed == 0 {
		e.speed = math.Max(float64(span)/float64(length), 1e-9)
	}
	return e, nil
}

// unpacked is a file that is read through a decompressor.
type unpacked struct {
	io.Reader
	close func() error
}

func (u unpacked) Close() error { return u.close() }

func openPacked(name string) (io.ReadCloser, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	switch filepath.Ext(name) {
	case ".gz":
		r, err := gzip.NewReader(file)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", name, err), file.Close())
		}
		return unpacked{r, file.Close}, nil
	case ".zst":
		r, err := zstd.NewReader(file)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", name, err), file.Close())
		}
		return unpacked{r, func() error { r.Close(); return file.Close() }}, nil
	}
	return file, nil
}

func (e *events) read(in io.Reader) error {
	rows := csv.NewReader(in)
	header, err := rows.Read()
	if err != nil {
		return fmt.Errorf("no header line: %w", err)
	}
	rows.ReuseRecord = true // of the lines; the header is kept
	column := make(map[string]int)
	for field, names := range columns {
		column[field] = slices.IndexFunc(header, func(h string) bool {
			return slices.Contains(names, strings.ToLower(strings.TrimSpace(strings.TrimPrefix(h, "\ufeff"))))
		})
	}
	for _, needed := range []string{"time", "reference", "sku", "quantity"} {
		if column[needed] < 0 {
			return fmt.Errorf("there is no column %s: the header is %q", strings.Join(columns[needed], " or "), header)
		}
	}
	get := func(row []string, field string) string {
		if column[field] < 0 {
			return ""
		}
		return row[column[field]]
	}
	type key struct {
		reference, location string
		reason              string
	}
	number, skus, locations := make(map[key]int), make(map[string]int32), make(map[string]int32)
	var times []time.Time
	for {
		row, err := rows.Read()
		if err == io.EOF {
			break
		}
		if err != nil && !errors.Is(err, csv.ErrFieldCount) {
			return err // behind a quote that is not closed there are no lines to go on with
		}
		e.Lines++
		lineNumber, _ := rows.FieldPos(0)
		if err != nil {
			e.skip(lineNumber, fmt.Errorf("it has %d fields, the header %d", len(row), len(header)))
			continue
		}
		at, code, quantity, err := readLine(get(row, "time"), get(row, "sku"), get(row, "quantity"))
		if err != nil {
			e.skip(lineNumber, err)
			continue
		}
		k := key{reference: get(row, "reference"), location: get(row, "location")}
		if quantity < 0 {
			if k.reason = "loss"; strings.HasPrefix(k.reference, "C") {
				k.reason, quantity = "return", -quantity
			}
		}
		sku, known := skus[code]
		if !known {
			sku = int32(len(e.skus))
			skus[code] = sku
			e.skus = append(e.skus, code)
		}
		n, known := number[k]
		if !known {
			n = len(e.list)
			number[k] = n
			e.list = append(e.list, event{reason: k.reason})
			times = append(times, at)
		}
		who := cmp.Or(get(row, "customer"), k.reference)
		e.add(&e.list[n], line{sku, e.place(locations, k.location, who), int32(quantity)})
	}
	return e.order(times)
}

// place says where an order goes.
func (e *events) place(known map[string]int32, location, customer string) int32 {
	if location == "" {
		h := fnv.New32a()
		_, _ = h.Write([]byte(customer)) // never fails
		return int32(h.Sum32() % uint32(e.locations))
	}
	n, ok := known[location]
	if !ok {
		n = int32(len(known) % e.locations)
		known[location] = n
	}
	return n
}

// add adds a line, or to the line of the same SKU.
func (e *events) add(ev *event, l line) {
	if ev.reason == "" {
		e.demand[[2]int32{l.sku, l.location}] += int64(l.quantity)
	}
	for i := range ev.lines {
		if one := &ev.lines[i]; one.sku == l.sku && one.location == l.location {
			one.quantity += l.quantity
			return
		}
	}
	ev.lines = append(ev.lines, l)
}

// order sorts the events by time and counts it from the first.
func (e *events) order(times []time.Time) error {
	if len(e.list) == 0 {
		return nil
	}
	first := slices.MinFunc(times, time.Time.Compare)
	for i := range e.list {
		e.list[i].at = times[i].Sub(first)
	}
	slices.SortStableFunc(e.list, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	return nil
}

// readLine reads what every line has to have, but for the reference, which is what it is.
func readLine(moment, sku, quantity string) (at time.Time, code string, n int64, err error) {
	if at, err = readTime(moment); err != nil {
		return at, "", 0, err
	}
	if n, err = strconv.ParseInt(strings.TrimSpace(quantity), 10, 32); err != nil || n == 0 || n > quantityMax || n < -quantityMax {
		return at, "", 0, fmt.Errorf("the quantity is %q, want a whole number from 1 to %d, or from -%d to -1", quantity, quantityMax, quantityMax)
	}
	if code = strings.TrimSpace(sku); code == "" || len(code) > 40 {
		return at, "", 0, fmt.Errorf("the SKU is %q, want 1 to 40 bytes", code)
	}
	return at, code, n, nil
}

// quantityMax is the most units that a line may ask for.
const quantityMax = 1_000_000

func readTime(text string) (time.Time, error) {
	for _, layout := range []string{time.DateTime, time.RFC3339Nano, "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	if s, err := strconv.ParseFloat(text, 64); err == nil && s >= 0 && s < 1e11 {
		return time.Unix(0, int64(s*1e9)), nil
	}
	return time.Time{}, fmt.Errorf("the time is %q, want 2010-12-01 08:26:00, RFC 3339 or seconds since 1970", text)
}

// replay makes an event's request.
func (w *worker) replay(j *job, ev event) {
	if ev.reason != "" {
		j.op, j.adjust = opAdjust, w.newAdjustment(ev.reason, ev.lines)
		return
	}
	j.op, j.hold = opReserve, w.newHold(ev.lines)
}
