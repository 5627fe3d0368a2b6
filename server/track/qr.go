package track

import (
	"fmt"
	"strconv"

	"rsc.io/qr"
)

// quiet is the border of white modules that ISO/IEC 18004 asks for.
const quiet = 4

// qrCode is a QR code as SVG: Side is how many modules it is wide, border included, and Path the dark ones.
type qrCode struct {
	Side  int
	Path  string
	Title string
}

// qrMax is how much a code may contain, so that its modules stay large enough for a scanner on a phone held to it.
const qrMax = 200 // bytes

// newQR encodes a text with medium error correction: a fifth more modules than with the lowest, and it is read through a
// scratched display.
func newQR(content, title string) (*qrCode, error) {
	if content == "" {
		return nil, nil
	}
	if len(content) > qrMax {
		return nil, fmt.Errorf("track: the QR code has %d bytes, want at most %d", len(content), qrMax)
	}
	code, err := qr.Encode(content, qr.M)
	if err != nil {
		return nil, fmt.Errorf("track: QR code: %w", err)
	}
	var path []byte
	for y := range code.Size {
		for x := 0; x < code.Size; x++ {
			from := x
			for x < code.Size && code.Black(x, y) {
				x++
			}
			if n := int64(x - from); n > 0 { // a run of modules is a rectangle
				path = strconv.AppendInt(append(path, 'M'), int64(from+quiet), 10)
				path = strconv.AppendInt(append(path, ' '), int64(y+quiet), 10)
				path = strconv.AppendInt(append(path, 'h'), n, 10)
				path = strconv.AppendInt(append(path, "v1h"...), -n, 10)
				path = append(path, 'z')
			}
		}
	}
	return &qrCode{Side: code.Size + 2*quiet, Path: string(path), Title: title}, nil
}
