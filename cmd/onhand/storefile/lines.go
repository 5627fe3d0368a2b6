package storefile

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"onhand/engine"
)

// lineBytesMax is the longest line of a file: what a location may have as JSON, and room for the quotes and escapes of the
// form that it is written in.
const lineBytesMax = 4 * engine.DetailsMax

// errLongLine is of one line; the next can be read.
var errLongLine = fmt.Errorf("the line is longer than %d bytes", lineBytesMax)

// lineReader reads lines.
type lineReader struct {
	in     *bufio.Reader
	number int // of the last line read, from 1
	text   []byte
}

func newLineReader(in io.Reader) *lineReader { return &lineReader{in: unmarked(in)} }

// next returns the next line that is not blank, without its end; io.EOF after the last, errLongLine for one that is too
// long. Where reading fails, the line so far is not returned: it could end anywhere.
func (r *lineReader) next() ([]byte, error) {
	for {
		tooLong, err := r.read()
		if errors.Is(err, io.EOF) && len(r.text) == 0 && !tooLong {
			return nil, io.EOF
		}
		r.number++
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("line %d: %w", r.number, err)
		}
		if tooLong {
			return nil, errLongLine
		}
		text := bytes.TrimSuffix(bytes.TrimSuffix(r.text, []byte{'\n'}), []byte{'\r'})
		if len(bytes.TrimSpace(text)) > 0 {
			return text, nil
		}
	}
}

// read takes a line into r.text, or nothing of one that is too long.
func (r *lineReader) read() (tooLong bool, err error) {
	r.text = r.text[:0]
	for {
		part, err := r.in.ReadSlice('\n')
		if tooLong = tooLong || len(r.text)+len(part) > lineBytesMax; tooLong {
			r.text = r.text[:0]
		} else {
			r.text = append(r.text, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return tooLong, err
		}
	}
}

// unmarked passes over a byte order mark, which spreadsheets put before a file.
func unmarked(in io.Reader) *bufio.Reader {
	out := bufio.NewReader(in)
	if mark, _ := out.Peek(3); string(mark) == "\ufeff" {
		_, _ = out.Discard(3)
	}
	return out
}
