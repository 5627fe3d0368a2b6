package server

import (
	"io"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/valyala/fasthttp"

	"onhand/engine"
)

// getExport answers with every cell, or those of a SKU or a location, in a form that an import takes: safety_stock is
// there where it is the cell's own.
func (s *Server) getExport(c *call) error {
	format := c.query.value("format")
	switch format {
	case "":
		format = "csv"
	case "csv", "ndjson":
	default:
		return invalidField("format", quoteShort([]byte(format)), "csv or ndjson")
	}
	sku, location := c.query.value("sku"), c.query.value("location")
	// What is unknown is told before the answer has begun.
	if sku != "" {
		if _, err := s.engine.SKU(sku); err != nil {
			return err
		}
	}
	if location != "" {
		if _, err := s.engine.Location(location); err != nil {
			return err
		}
	}
	h := &c.ctx.Response.Header
	h.Set(fasthttp.HeaderCacheControl, "no-store")
	h.Add(fasthttp.HeaderVary, fasthttp.HeaderAcceptEncoding)
	h.SetContentType(map[string]string{"csv": "text/csv; charset=utf-8", "ndjson": "application/x-ndjson"}[format])
	encoding := exportEncoding(c.ctx.Request.Header.Peek(fasthttp.HeaderAcceptEncoding))
	if encoding != "" {
		h.SetContentEncoding(encoding)
	}
	s.stream(c, func(w *streamWriter) error {
		packed, err := pack(w, encoding)
		if err != nil {
			return err
		}
		if err := writeExport(packed, s.engine, format, sku, location); err != nil {
			return err
		}
		return packed.Close()
	})
	return nil
}

// exportEncoding chooses how an export is compressed (RFC 9110, section 12.5.3).
func exportEncoding(accept []byte) string {
	for _, encoding := range []string{"zstd", "gzip"} {
		for item := range strings.SplitSeq(string(accept), ",") {
			name, parameters, _ := strings.Cut(item, ";")
			if strings.EqualFold(strings.TrimSpace(name), encoding) && !weighsNothing(parameters) {
				return encoding
			}
		}
	}
	return ""
}

// weighsNothing reports whether the parameters of an accepted encoding say q=0: not that one.
func weighsNothing(parameters string) bool {
	weight, ok := strings.CutPrefix(strings.ToLower(strings.ReplaceAll(parameters, " ", "")), "q=")
	return ok && strings.HasPrefix(weight, "0") && strings.Trim(weight, "0.") == ""
}

func pack(w io.Writer, encoding string) (io.WriteCloser, error) {
	switch encoding {
	case "zstd":
		return zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	case "gzip":
		return gzip.NewWriterLevel(w, gzip.BestSpeed)
	}
	return unpacked{w}, nil
}

type unpacked struct{ io.Writer }

func (unpacked) Close() error { return nil }

func writeExport(w io.Writer, e *engine.Engine, format, sku, location string) error {
	const flushBytes = 32 << 10
	appendRow := appendCSVRow
	var out []byte
	if format == "ndjson" {
		appendRow = appendJSONRow
	} else {
		out = append(out, "sku,location,on_hand,safety_stock,blocked,held,available,sequence\r\n"...)
	}
	err := e.EachCell(sku, location, func(cell *engine.Cell) error {
		out = appendRow(out, cell)
		if len(out) < flushBytes {
			return nil
		}
		_, err := w.Write(out)
		out = out[:0]
		return err
	})
	if err != nil {
		return err
	}
	_, err = w.Write(out)
	return err
}

func appendCSVRow(dst []byte, c *engine.Cell) []byte {
	dst = appendCSV(dst, c.SKU)
	dst = append(dst, ',')
	dst = appendCSV(dst, c.Location)
	dst = append(dst, ',')
	dst = strconv.AppendInt(dst, c.OnHand, 10)
	dst = append(dst, ',')
	if c.OwnSafetyStock {
		dst = strconv.AppendInt(dst, c.SafetyStock, 10)
	}
	dst = append(dst, ',')
	dst = strconv.AppendBool(dst, c.Blocked)
	dst = append(dst, ',')
	dst = strconv.AppendInt(dst, c.Held, 10)
	dst = append(dst, ',')
	dst = strconv.AppendInt(dst, c.Available, 10)
	dst = append(dst, ',')
	dst = strconv.AppendUint(dst, c.Sequence, 10)
	return append(dst, '\r', '\n')
}

// appendCSV writes a value, in quotes where RFC 4180 asks for them or a reader could take blanks for padding.
func appendCSV(dst []byte, s string) []byte {
	if !strings.ContainsAny(s, ",;\t|\"\r\n") && s == strings.TrimSpace(s) {
		return append(dst, s...)
	}
	dst = append(dst, '"')
	dst = append(dst, strings.ReplaceAll(s, `"`, `""`)...)
	return append(dst, '"')
}

func appendJSONRow(dst []byte, c *engine.Cell) []byte {
	dst = appendCellName(dst, c.SKU, c.Location)
	dst = appendNumber(dst, "on_hand", c.OnHand)
	if c.OwnSafetyStock {
		dst = appendNumber(dst, "safety_stock", c.SafetyStock)
	}
	dst = appendBool(dst, "blocked", c.Blocked)
	dst = appendNumber(dst, "held", c.Held)
	dst = appendNumber(dst, "available", c.Available)
	dst = appendUint(dst, "sequence", c.Sequence)
	return append(dst, '}', '\n')
}
