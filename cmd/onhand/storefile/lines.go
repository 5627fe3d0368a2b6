package storefile

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"onhand/engine"
	"onhand/server/lines"
)

// lineBytesMax is the longest line of a file: what a location may have as JSON, and room for the quotes and escapes of the
// form that it is written in.
const lineBytesMax = 4 * engine.DetailsMax

// errLongLine is of one line; the next can be read.
var errLongLine = fmt.Errorf("the line is longer than %d bytes", lineBytesMax)

// lineReader reads lines.
type lineReader struct{ lines.Reader }

func newLineReader(in io.Reader) *lineReader {
	return &lineReader{lines.Reader{In: unmarked(in), Max: lineBytesMax}}
}

// next returns the next line that is not blank; io.EOF after the last, errLongLine for one that is too long.
func (r *lineReader) next() ([]byte, error) {
	switch text, tooLong, err := r.Next(); {
	case tooLong:
		return nil, errLongLine
	case err != nil && !errors.Is(err, io.EOF):
		return nil, fmt.Errorf("line %d: %w", r.Line+1, err)
	default:
		return text, err
	}
}

// unmarked passes over a byte order mark.
func unmarked(in io.Reader) *bufio.Reader {
	out := bufio.NewReader(in)
	lines.SkipMark(out)
	return out
}
