// Package lines reads files line by line, of which one may be too long without spoiling those behind it.
package lines

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// Reader reads the lines of In.
type Reader struct {
	In   *bufio.Reader
	Max  int // bytes of a line, with its end
	Line int // number of the last line that was read, from 1
	text []byte
}

// Next returns the next line that is not blank, without its end, valid until the following one; io.EOF after the last. Of one that
// is too long it passes over the whole, and says so. Where reading fails, the line so far is not returned: it could end anywhere.
func (r *Reader) Next() (text []byte, tooLong bool, err error) {
	for {
		text, tooLong, err = r.read()
		if err != nil && (!errors.Is(err, io.EOF) || len(text) == 0 && !tooLong) {
			return nil, false, err
		}
		r.Line++
		text = bytes.TrimSuffix(bytes.TrimSuffix(text, []byte{'\n'}), []byte{'\r'})
		if tooLong || len(bytes.TrimSpace(text)) > 0 {
			return text, tooLong, nil
		}
	}
}

func (r *Reader) read() (text []byte, tooLong bool, err error) {
	r.text = r.text[:0]
	for {
		part, err := r.In.ReadSlice('\n')
		if !tooLong {
			r.text = append(r.text, part...)
		}
		if tooLong = tooLong || len(r.text) > r.Max; tooLong {
			r.text = r.text[:0]
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return r.text, tooLong, err
		}
	}
}

// SkipMark passes over a byte order mark, which spreadsheets put before a file.
func SkipMark(in *bufio.Reader) {
	if mark, _ := in.Peek(3); string(mark) == "\ufeff" {
		_, _ = in.Discard(3)
	}
}

// Delimiter returns which delimiter the header of a table uses most: a comma, a semicolon as spreadsheets write where the comma is
// in numbers, a tab or a bar.
func Delimiter(header []byte) byte {
	best, most := byte(','), bytes.Count(header, []byte{','})
	for _, d := range []byte(";\t|") {
		if n := bytes.Count(header, []byte{d}); n > most {
			best, most = d, n
		}
	}
	return best
}
