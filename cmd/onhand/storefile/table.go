package storefile

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"

	"onhand/server/lines"
)

// table reads rows of separated values (RFC 4180) under a header, which tells what separates them.
//
// A row is a line. RFC 4180 lets values in quotes hold line breaks, but none that a location takes can: so a quote that is
// left open spoils its own row, not those that follow, and every line is either a location or told.
type table struct {
	lines     *lineReader
	delimiter rune
	columns   []string

	line   bytes.Reader // what is cut into values, and its buffer
	buffer *bufio.Reader
}

// openTable reads the header, which must have at least the columns wanted, each once.
func openTable(in io.Reader, wanted ...string) (*table, error) {
	t := &table{lines: newLineReader(in), buffer: bufio.NewReader(nil)}
	header, err := t.lines.next()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("the file is empty")
	}
	if err == nil {
		t.delimiter = rune(lines.Delimiter(header))
		t.columns, err = t.split(header)
	}
	if err != nil {
		return nil, fmt.Errorf("the header: %w", err)
	}
	for i, name := range t.columns {
		if slices.Contains(t.columns[:i], name) {
			return nil, fmt.Errorf("the header has %q twice", name)
		}
	}
	for _, name := range wanted {
		if !slices.Contains(t.columns, name) {
			return nil, fmt.Errorf("the header lacks %s", name)
		}
	}
	return t, nil
}

// rows yields the rows, each with its values by the names of their columns, or with why it can't be read. What ends the
// reading before the end of the file is yielded last, in line 0.
func (t *table) rows() iter.Seq2[Row, map[string]string] {
	return func(yield func(Row, map[string]string) bool) {
		for {
			text, err := t.lines.next()
			switch {
			case errors.Is(err, io.EOF):
				return
			case err != nil && !errors.Is(err, errLongLine):
				yield(Row{Err: err}, nil)
				return
			}
			row := Row{Line: t.lines.Line, Err: err}
			var cells map[string]string
			if row.Err == nil {
				cells, row.Err = t.cells(text)
			}
			if !yield(row, cells) {
				return
			}
		}
	}
}

func (t *table) cells(text []byte) (map[string]string, error) {
	values, err := t.split(text)
	if err != nil {
		return nil, err
	}
	if len(values) != len(t.columns) {
		return nil, fmt.Errorf("%d values, want %d as in the header", len(values), len(t.columns))
	}
	cells := make(map[string]string, len(values))
	for i, name := range t.columns {
		cells[name] = values[i]
	}
	return cells, nil
}

// split cuts a line into values.
func (t *table) split(text []byte) ([]string, error) {
	t.line.Reset(text)
	t.buffer.Reset(&t.line)
	r := csv.NewReader(t.buffer)
	r.Comma, r.FieldsPerRecord = t.delimiter, -1
	values, err := r.Read()
	switch {
	case errors.Is(err, csv.ErrQuote):
		err = errors.New("a value with a quote that is left open, or inside and not doubled; a value ends on its line")
	case errors.Is(err, csv.ErrBareQuote):
		err = errors.New("a value with a quote inside that is not in quotes itself")
	}
	return values, err
}
