package server

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/valyala/fasthttp"

	"onhand/engine"
	"onhand/server/lines"
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
//
// A row is a line. RFC 4180 lets values in quotes hold line breaks, but no value of a stock file can: so a quote that is
// left open spoils its own row, not those that follow.
type csvReader struct {
	in      lines.Reader
	comma   byte
	columns []string
	values  []string
}

// Columns that a stock file can have. Those of an export that say nothing new are passed over.
var (
	stockColumns  = []string{"sku", "location", "on_hand", "safety_stock", "blocked"}
	passedColumns = []string{"held", "available", "sequence"}
)

func newCSVReader(in *bufio.Reader) (*csvReader, error) {
	r := &csvReader{in: textOf(in)}
	head, tooLong, err := r.in.Next()
	switch {
	case errors.Is(err, io.EOF):
		return nil, invalidField("body", "empty", "a header line such as sku,location,on_hand")
	case err != nil:
		return nil, err
	case tooLong:
		return nil, invalidField("header", "longer than "+itoa(lineBytesMax)+" bytes", "a line such as sku,location,on_hand")
	}
	r.comma = lines.Delimiter(head)
	if err := r.split(string(head)); err != nil {
		return nil, invalidField("header", err.Error(), "a line such as sku,location,on_hand")
	}
	for _, name := range r.values {
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

func (r *csvReader) next(row *stockRow) (line int, err error) {
	row.reset()
	text, tooLong, err := r.in.Next()
	line = r.in.Line
	switch {
	case err != nil:
		return line, err
	case tooLong:
		row.fail("row", "longer than "+itoa(lineBytesMax)+" bytes", "a shorter line")
		return line, nil
	}
	if err := r.split(string(text)); err != nil {
		row.fail("row", err.Error(), "values in the form of RFC 4180, without line breaks")
		return line, nil
	}
	if len(r.values) != len(r.columns) {
		row.fail("row", fmt.Sprintf("%d values", len(r.values)), fmt.Sprintf("%d, as in the header", len(r.columns)))
		return line, nil
	}
	for i, name := range r.columns {
		row.set(name, r.values[i])
	}
	return line, nil
}

var (
	errQuoteOpen   = errors.New("a value with a quote that is left open")
	errQuoteInside = errors.New("a value with a quote inside that is not doubled")
)

// split cuts a line into r.values.
func (r *csvReader) split(line string) error {
	r.values = r.values[:0]
	for more := true; more; {
		var value string
		if strings.HasPrefix(line, `"`) {
			var ok bool
			if value, line, ok = cutQuoted(line[1:]); !ok {
				return errQuoteOpen
			}
			if more = line != ""; more && line[0] != r.comma {
				return errQuoteInside
			}
			if more {
				line = line[1:]
			}
		} else {
			at := strings.IndexByte(line, r.comma)
			if more = at >= 0; more {
				value, line = line[:at], line[at+1:]
			} else {
				value = line
			}
			if strings.IndexByte(value, '"') >= 0 {
				return errQuoteInside
			}
		}
		r.values = append(r.values, value)
	}
	return nil
}

// cutQuoted returns the value whose opening quote came just before s, and what follows its closing one.
func cutQuoted(s string) (value, rest string, ok bool) {
	doubled := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] != '"':
		case i+1 < len(s) && s[i+1] == '"':
			doubled = true
			i++
		case doubled:
			return strings.ReplaceAll(s[:i], `""`, `"`), s[i+1:], true
		default:
			return s[:i], s[i+1:], true
		}
	}
	return "", "", false
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

// jsonReader reads rows of newline-delimited JSON objects.
type jsonReader struct{ in lines.Reader }

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
	row.reset()
	text, tooLong, err := r.in.Next()
	line = r.in.Line
	switch {
	case err != nil:
		return line, err
	case tooLong:
		row.fail("row", "longer than "+itoa(lineBytesMax)+" bytes", "a shorter line")
		return line, nil
	}
	var in jsonRow
	if err := json.Unmarshal(text, &in, json.RejectUnknownMembers(true)); err != nil {
		row.Err = decodeProblem(err)
		return line, nil
	}
	row.SKU, row.Location = in.SKU, in.Location
	row.OnHand, row.SafetyStock, row.Blocked = in.OnHand, in.SafetyStock, in.Blocked
	return line, nil
}

func textOf(in *bufio.Reader) lines.Reader { return lines.Reader{In: in, Max: lineBytesMax} }

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
	out := bufio.NewReaderSize(&cappedReader{plain, most, tooLargeFile("after decompression", most)}, 64<<10)
	lines.SkipMark(out)
	return out, closer, nil
}

// cappedReader fails once more than left bytes were read.
type cappedReader struct {
	io.Reader
	left int64
	err  error
}

func (r *cappedReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if r.left -= int64(n); r.left < 0 {
		return 0, r.err
	}
	return n, err
}

// tooLargeFile is the answer to a stock file of more bytes than the server takes, as sent or after decompression.
func tooLargeFile(what string, most int64) *problem {
	return &problem{
		status: fasthttp.StatusRequestEntityTooLarge, kind: "too-large", title: "The file is too large",
		detail: fmt.Sprintf("at most %d bytes are taken %s", most, what),
	}
}
