package server

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"

	"onhand/engine"
)

// ImportOptions say how a stock file is to be read.
type ImportOptions struct {
	// ID makes the import repeatable; see engine.Import.
	ID     string
	Mode   engine.ImportMode
	DryRun bool
	// Format is csv or ndjson, or empty where the first byte is to tell.
	Format string
}

// ImportResult says what became of a stock file's rows. Its JSON is the answer to POST /v1/stock/import.
type ImportResult struct {
	Rows          uint64        `json:"rows"`
	Applied       uint64        `json:"applied"`
	Repeated      uint64        `json:"repeated"` // carried out by an earlier attempt
	Failed        uint64        `json:"failed"`
	Sequence      uint64        `json:"sequence"` // of the last change, 0 where there was none
	Errors        []ImportError `json:"errors,omitempty"`
	ErrorsOmitted int           `json:"errors_omitted,omitempty"`
}

// ImportError is a row that was not carried out.
type ImportError struct {
	Line   int    `json:"line"`
	Detail string `json:"detail"`
}

// ImportStock carries out the rows of a stock file without a server, and takes what POST /v1/stock/import takes. Where it
// fails, the result says what was carried out before.
func ImportStock(e *engine.Engine, in io.Reader, o ImportOptions) (result ImportResult, err error) {
	plain, closer, err := unpack(in, math.MaxInt64)
	if err != nil {
		return result, err
	}
	defer closer.Close() // it has been read to its end, or no longer matters
	rows, err := newRowReader(plain, o.Format)
	if err != nil {
		return result, err
	}
	im, err := e.BeginImport(o.ID, o.Mode, o.DryRun)
	if err != nil {
		return result, err
	}
	j := importJob{im: im, rows: rows}
	err = j.run()
	report, closeErr := im.Close()
	result = ImportResult{
		Rows: report.Rows, Applied: report.Applied, Repeated: report.Repeated, Failed: report.Failed, Sequence: report.Sequence,
		ErrorsOmitted: j.omitted,
	}
	for _, f := range j.failed {
		result.Errors = append(result.Errors, ImportError{f.line, problemOf(f.err).detail})
	}
	return result, errors.Join(err, closeErr)
}

// newRowReader returns a reader of rows in a format; where it is empty, the first byte tells which.
func newRowReader(in *bufio.Reader, format string) (rowReader, error) {
	if format == "" {
		format = "csv"
		if first, err := in.Peek(1); err == nil && first[0] == '{' {
			format = "ndjson"
		}
	}
	if format == "ndjson" {
		return &jsonReader{textOf(in)}, nil
	}
	return newCSVReader(in)
}

// ExportStock writes every cell, or those of a SKU or a location, without a server, as GET /v1/stock/export does.
// Format is csv or ndjson, encoding gzip, zstd, or empty for none.
func ExportStock(e *engine.Engine, w io.Writer, format, encoding, sku, location string) error {
	packed, err := pack(w, encoding)
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	if err := writeExport(packed, e, format, sku, location); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	return packed.Close()
}
