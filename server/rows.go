package server

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"onhand/engine"
)

// rowReader reads the rows of a stock file.
type rowReader interface {
	// next fills in row and returns the line it began on, from 1. A row that can't be read has its Err set. The error is
	// io.EOF at the end, or says why reading can't go on.
	next(row *stockRow) (line int, err error)
}

// stockRow is a row and the memory that its numbers lie in.
type stockRow struct {
	engine.ImportRow
	onHand, safetyStock int64
	blocked             bool
}

func (r *stockRow) reset() { *r = stockRow{} }

// fail marks the row as one that can't be read.
func (r *stockRow) fail(field, value, want string) { r.Err = invalidField(field, value, want) }

// lineBytesMax is the longest line of a stock file.
const lineBytesMax = 64 << 10

// csvReader reads rows of comma-separated values (RFC 4180) with a header, in any order of columns. The delimiter is
// found out from the header: comma, semicolon, tab or bar.
type csvReader struct {
	in      *csv.Reader
	budget  *budgetReader
	columns []string
}

// Columns that a stock file can have. Those of an export that say nothing new are passed over.
var (
	stockColumns  = []string{"sku", "location", "on_hand", "safety_stock", "blocked"}
	passedColumns = []string{"held", "available", "sequence"}
)

func newCSVReader(in *bufio.Reader) (*csvReader, error) {
	head, err := in.Peek(4096)
	if len(head) == 0 && err != nil {
		return nil, noHeader(err)
	}
	if i := bytes.IndexByte(head, '\n'); i >= 0 {
		head = head[:i]
	}
	budget := &budgetReader{in, budgetBytes}
	r := &csvReader{in: csv.NewReader(budget), budget: budget}
	r.in.Comma = delimiterOf(head)
	r.in.FieldsPerRecord = -1 // counted here, to go on after a bad row
	r.in.ReuseRecord = true
	record, err := r.in.Read()
	if err != nil {
		return nil, noHeader(err)
	}
	for _, name := range record {
		name = strings.ToLower(strings.TrimSpace(name))
		if !slices.Contains(stockColumns, name) && !slices.Contains(passedColumns, name) {
			return nil, invalidField("header", strconv.Quote(short(name)), "columns "+strings.Join(stockColumns, ", "))
		}
		if slices.Contains(r.columns, name) {
			return nil, invalidField("header", strconv.Quote(name)+" given twice", "each column once")
		}
		r.columns = append(r.columns, name)
	}
	for _, name := range stockColumns[:2] {
		if !slices.Contains(r.columns, name) {
			return nil, invalidField("header", "without "+name, "columns sku and location, and what is to be set")
		}
	}
	return r, nil
}

func noHeader(err error) error {
	if errors.Is(err, io.EOF) {
		return invalidField("body", "empty", "a header line such as sku,location,on_hand")
	}
	var broken *csv.ParseError
	if errors.As(err, &broken) {
		return invalidField("header", err.Error(), "a line such as sku,location,on_hand")
	}
	return err
}

// delimiterOf returns which delimiter a header uses most.
func delimiterOf(head []byte) rune {
	best, most := ',', bytes.Count(head, []byte{','})
	for _, d := range ";\t|" {
		if n := bytes.Count(head, []byte(string(d))); n > most {
			best, most = d, n
		}
	}
	return best
}

func (r *csvReader) next(row *stockRow) (line int, err error) {
	row.reset()
	r.budget.left = budgetBytes
	record, err := r.in.Read()
	if broken := (*csv.ParseError)(nil); errors.As(err, &broken) {
		row.fail("row", broken.Err.Error(), "values in the form of RFC 4180")
		return broken.StartLine, nil
	}
	if err != nil {
		return 0, err
	}
	line, _ = r.in.FieldPos(0)
	if len(record) != len(r.columns) {
		row.fail("row", fmt.Sprintf("%d values", len(record)), fmt.Sprintf("%d, as in the header", len(r.columns)))
		return line, nil
	}
	for i, name := range r.columns {
		row.set(name, record[i])
	}
	return line, nil
}

// set sets a member from the text of a column. An empty text leaves the member as it is in stock.
func (r *stockRow) set(name, text string) {
	switch name {
	case "sku":
		r.SKU = text
		return
	case "location":
		r.Location = text
		return
	}
	if text = strings.TrimSpace(text); text == "" {
		return
	}
	var err error
	switch name {
	case "on_hand":
		r.onHand, err = strconv.ParseInt(text, 10, 64)
		r.OnHand = &r.onHand
	case "safety_stock":
		r.safetyStock, err = strconv.ParseInt(text, 10, 64)
		r.SafetyStock = &r.safetyStock
	case "blocked":
		switch strings.ToLower(text) {
		case "true", "1", "yes":
			r.blocked = true
		case "false", "0", "no":
		default:
			r.fail(name, strconv.Quote(short(text)), "true or false")
		}
		r.Blocked = &r.blocked
	}
	if err != nil && r.Err == nil {
		r.fail(name, strconv.Quote(short(text)), "a whole number")
	}
}

// jsonReader reads rows of newline-delimited JSON objects. Empty lines are passed over.
type jsonReader struct {
	in   *bufio.Reader
	line int
	long []byte
}

type jsonRow struct {
	SKU         string `json:"sku"`
	Location    string `json:"location"`
	OnHand      *int64 `json:"on_hand"`
	SafetyStock *int64 `json:"safety_stock"`
	Blocked     *bool  `json:"blocked"`
	// Members of an export that say nothing new.
	Held      int64  `json:"held"`
	Available int64  `json:"available"`
	Sequence  uint64 `json:"sequence"`
}

func (r *jsonReader) next(row *stockRow) (line int, err error) {
	for {
		row.reset()
		text, tooLong, err := r.readLine()
		if len(text) == 0 && !tooLong && err != nil {
			return r.line, err
		}
		r.line++
		if tooLong {
			row.fail("row", fmt.Sprintf("longer than %d bytes", lineBytesMax), "a shorter line")
			return r.line, nil
		}
		if text = bytes.TrimSpace(text); len(text) == 0 {
			continue
		}
		var in jsonRow
		if err := json.Unmarshal(text, &in, json.RejectUnknownMembers(true)); err != nil {
			row.Err = decodeProblem(err)
			return r.line, nil
		}
		row.SKU, row.Location = in.SKU, in.Location
		row.OnHand, row.SafetyStock, row.Blocked = in.OnHand, in.SafetyStock, in.Blocked
		return r.line, nil
	}
}

// readLine returns the next line. Of one that is too long it returns nothing, and passes over the rest.
func (r *jsonReader) readLine() (text []byte, tooLong bool, err error) {
	r.long = r.long[:0]
	for {
		part, err := r.in.ReadSlice('\n')
		if !tooLong {
			r.long = append(r.long, part...)
		}
		if tooLong = tooLong || len(r.long) > lineBytesMax; tooLong {
			r.long = r.long[:0]
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return r.long, tooLong, err
		}
	}
}

// unpack returns a reader of what was compressed, as its first bytes say, with a byte order mark passed over. It fails
// where there are more than most bytes, however few they were before.
func unpack(in io.Reader, most int64) (*bufio.Reader, io.Closer, error) {
	packed := bufio.NewReaderSize(in, 64<<10)
	head, err := packed.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, err
	}
	var plain io.Reader = packed
	var closer io.Closer = io.NopCloser(nil)
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(packed)
		if err != nil {
			return nil, nil, invalidField("body", err.Error(), "gzip, zstd, or plain text")
		}
		plain, closer = z, z
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(packed, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20))
		if err != nil {
			return nil, nil, invalidField("body", err.Error(), "gzip, zstd, or plain text")
		}
		plain, closer = z, z.IOReadCloser()
	}
	out := bufio.NewReaderSize(&cappedReader{plain, most}, 64<<10)
	if mark, _ := out.Peek(3); string(mark) == "\xef\xbb\xbf" {
		_, _ = out.Discard(3)
	}
	return out, closer, nil
}

// budgetReader fails once more than left bytes were read: a quote that is never closed must not be followed through
// gigabytes.
type budgetReader struct {
	io.Reader
	left int
}

// budgetBytes is what may be read for one row: the row, and what the CSV reader reads ahead.
const budgetBytes = lineBytesMax + 4096

func (r *budgetReader) Read(p []byte) (int, error) {
	if r.left <= 0 {
		return 0, invalidField("row", fmt.Sprintf("longer than %d bytes", lineBytesMax), "shorter rows; is a quote left open?")
	}
	n, err := r.Reader.Read(p[:min(len(p), r.left)])
	r.left -= n
	return n, err
}

// cappedReader fails once more than left bytes were read.
type cappedReader struct {
	io.Reader
	left int64
}

func (r *cappedReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if r.left -= int64(n); r.left < 0 {
		return 0, errUnpackedTooLarge
	}
	return n, err
}

var errUnpackedTooLarge = &problem{
	status: 413, kind: "too-large", title: "The file is too large", detail: "after decompression it is larger than the server takes",
}
