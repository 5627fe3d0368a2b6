package server

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"

	"onhand/engine"
)

// importErrorsMax is the most rows that the answer to an import names; the rest is counted.
const importErrorsMax = 1000

// postImport carries out the rows of a stock file, as they arrive. Rows that can't be carried out are reported by line;
// the others take effect.
func (s *Server) postImport(c *call) error {
	mode := engine.ImportSet
	switch text := c.query.value("mode"); text {
	case "", "set":
	case "delta":
		mode = engine.ImportDelta
	default:
		return invalidField("mode", quoteShort([]byte(text)), "set or delta")
	}
	dryRun, err := c.query.boolean("dry_run")
	if err != nil {
		return err
	}
	if int64(c.ctx.Request.Header.ContentLength()) > s.options.ImportBytesMax {
		c.ctx.SetConnectionClose()
		return tooLargeFile("as sent", s.options.ImportBytesMax)
	}
	rows, closer, err := s.importRows(c)
	if err != nil {
		c.ctx.SetConnectionClose() // the rest of the body is not read
		return s.readProblem(err)
	}
	defer closer.Close() // it has been read to its end, or no longer matters
	im, err := s.engine.BeginImport(c.query.value("id"), mode, dryRun)
	if err != nil {
		c.ctx.SetConnectionClose()
		return err
	}
	j := importJob{im: im, rows: rows}
	err = j.run()
	report, closeErr := im.Close()
	if err = errors.Join(err, closeErr); err != nil {
		// What was carried out stays carried out; a repeatable import can be sent again.
		c.ctx.SetConnectionClose()
		return j.interrupted(s.readProblem(err), &report)
	}
	c.out = j.appendReport(c.out, &report)
	c.json(fasthttp.StatusOK)
	return nil
}

// importRows returns a reader of the body's rows.
func (s *Server) importRows(c *call) (rowReader, io.Closer, error) {
	switch encoding := string(bytes.ToLower(c.ctx.Request.Header.ContentEncoding())); encoding {
	case "", "identity", "gzip", "x-gzip", "zstd": // the first bytes tell which
	default:
		return nil, nil, &problem{
			status: fasthttp.StatusUnsupportedMediaType, kind: "encoding", title: "The body is compressed in an unknown way",
			detail: "Content-Encoding is " + quoteShort([]byte(encoding)) + ", want gzip or zstd",
		}
	}
	var in io.Reader
	if stream := c.bodyStream(); stream != nil {
		in = &deadlineReader{stream, c.ctx.Conn(), s.options.ReadTimeout}
	} else {
		in = bytes.NewReader(c.ctx.Request.Body()) // not in the other case: it would read the stream into memory
	}
	in = &cappedReader{in, s.options.ImportBytesMax, tooLargeFile("as sent", s.options.ImportBytesMax)}
	plain, closer, err := unpack(in, s.options.ImportUnpackedMax)
	if err != nil {
		return nil, nil, err
	}
	format, err := importFormat(c)
	if err != nil {
		return nil, nil, errors.Join(err, closer.Close())
	}
	rows, err := newRowReader(plain, format)
	if err != nil {
		return nil, nil, errors.Join(err, closer.Close())
	}
	return rows, closer, nil
}

// importFormat returns the format that is asked for, or that Content-Type names, or "" where the first byte is to tell.
func importFormat(c *call) (string, error) {
	if text := c.query.value("format"); text != "" {
		if text != "csv" && text != "ndjson" {
			return "", invalidField("format", quoteShort([]byte(text)), "csv or ndjson")
		}
		return text, nil
	}
	media, _, _ := strings.Cut(strings.ToLower(string(c.ctx.Request.Header.ContentType())), ";")
	switch strings.TrimSpace(media) {
	case "text/csv", "text/tab-separated-values":
		return "csv", nil
	case "application/x-ndjson", "application/ndjson", "application/jsonl":
		return "ndjson", nil
	}
	return "", nil
}

// importJob is an import under way.
type importJob struct {
	im      *engine.Import
	rows    rowReader
	failed  []importFailure
	omitted int
}

type importFailure struct {
	line int
	err  error
}

func (j *importJob) run() error {
	var batch [engine.ImportChunk]stockRow
	var lines [engine.ImportChunk]int
	var errs []error
	in := make([]engine.ImportRow, 0, engine.ImportChunk)
	for {
		in = in[:0]
		var readErr error
		for len(in) < len(batch) {
			row := &batch[len(in)]
			line, err := j.rows.next(row)
			if err != nil {
				readErr = err
				break
			}
			lines[len(in)] = line
			in = append(in, row.ImportRow)
		}
		var err error
		errs, err = j.im.Apply(errs[:0], in)
		for i, rowErr := range errs {
			if rowErr == nil {
				continue
			}
			if len(j.failed) == importErrorsMax {
				j.omitted++
				continue
			}
			j.failed = append(j.failed, importFailure{lines[i], rowErr})
		}
		if err != nil {
			return err
		}
		if errors.Is(readErr, io.EOF) {
			return j.im.End()
		}
		if readErr != nil {
			return readErr
		}
	}
}

func (j *importJob) appendReport(dst []byte, r *engine.ImportReport) []byte {
	dst = append(dst, `{"rows":`...)
	dst = strconv.AppendUint(dst, r.Rows, 10)
	dst = j.appendCounts(dst, r)
	return append(dst, '}')
}

func (j *importJob) appendCounts(dst []byte, r *engine.ImportReport) []byte {
	dst = appendUint(dst, "applied", r.Applied)
	dst = appendUint(dst, "repeated", r.Repeated)
	dst = appendUint(dst, "failed", r.Failed)
	dst = appendUint(dst, "sequence", r.Sequence)
	if len(j.failed) == 0 {
		return dst
	}
	dst = append(dst, `,"errors":[`...)
	for i := range j.failed {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"line":`...)
		dst = strconv.AppendInt(dst, int64(j.failed[i].line), 10)
		dst = appendText(dst, "detail", problemOf(j.failed[i].err).detail)
		dst = append(dst, '}')
	}
	dst = append(dst, ']')
	if j.omitted > 0 {
		dst = appendNumber(dst, "errors_omitted", int64(j.omitted))
	}
	return dst
}

// readProblem returns the answer to an import whose body could not be read to its end: as the client went away, or was
// too slow, or sent what can't be unpacked.
func (s *Server) readProblem(err error) *problem {
	p := problemOf(err)
	if p.kind != "internal" {
		return p
	}
	if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
		return s.tooSlow()
	}
	return &problem{status: fasthttp.StatusBadRequest, kind: "body", title: "The body could not be read to its end", detail: err.Error()}
}

// interrupted is the answer to an import that could not be carried out to its end: why, and what became of the rows
// before it.
func (j *importJob) interrupted(p *problem, r *engine.ImportReport) error {
	before := p.extend
	out := *p
	out.extend = func(dst []byte) []byte {
		if before != nil {
			dst = before(dst)
		}
		dst = appendUint(dst, "rows", r.Rows)
		return j.appendCounts(dst, r)
	}
	return &out
}
