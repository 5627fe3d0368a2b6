package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"onhand/engine"
	"onhand/server"
)

type exportCommand struct {
	Output   string `short:"o" help:"File to write; its name tells format and packing (.csv, .ndjson; .gz, .zst). Otherwise standard output." type:"path" placeholder:"FILE"`
	Format   string `help:"csv or ndjson; otherwise as the file's name tells, or csv." enum:"csv,ndjson," default:""`
	SKU      string `help:"Only this SKU."`
	Location string `help:"Only this location."`
	remote
	Dir string `help:"Read the stopped database in this directory instead of a server." type:"path"`
}

// Help explains the file in full.
func (exportCommand) Help() string {
	return `Writes sku, location, on_hand, safety_stock (where it is the cell's own), blocked, held, available and sequence of every cell. The file appears under its name once it is whole. "onhand import" reads it.`
}

// Run writes the stock to the file or to standard output.
func (c *exportCommand) Run(s *streams) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	encoding, plain := packing(c.Output)
	if c.Format == "" {
		c.Format = "csv"
		switch strings.ToLower(filepath.Ext(plain)) {
		case ".ndjson", ".jsonl":
			c.Format = "ndjson"
		}
	}
	write := func(w io.Writer) error { return c.fetch(ctx, w, encoding) }
	if c.Dir != "" {
		write = func(w io.Writer) error { return c.read(s, w, encoding) }
	}
	if c.Output == "" || c.Output == "-" {
		return write(s.out)
	}
	bar := newProgress(s.err)
	defer bar.close()
	return writeWhole(c.Output, func(file *os.File) error {
		return write(&progressWriter{ctx: ctx, out: file, bar: bar, step: "exporting"})
	}, nil)
}

// fetch asks a server. What it sends is kept as it comes, packed or not.
func (c *exportCommand) fetch(ctx context.Context, w io.Writer, encoding string) error {
	query := url.Values{"format": {c.Format}}
	if c.SKU != "" {
		query.Set("sku", c.SKU)
	}
	if c.Location != "" {
		query.Set("location", c.Location)
	}
	request, err := c.request(ctx, "GET", "/v1/stock/export", query, nil)
	if err != nil {
		return err
	}
	if encoding == "" {
		encoding = "identity"
	}
	request.Header.Set("Accept-Encoding", encoding)
	response, err := c.do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if got := response.Header.Get("Content-Encoding"); got != encoding && (got != "" || encoding != "identity") {
		return fmt.Errorf("the export is packed as %q instead of %q: something between here and the server changes it", got, encoding)
	}
	_, err = io.Copy(w, response.Body)
	if err != nil {
		return fmt.Errorf("the export broke off: %w", err)
	}
	return nil
}

// read opens a stopped database.
func (c *exportCommand) read(s *streams, w io.Writer, encoding string) error {
	if err := mustBeDatabase(c.Dir); err != nil {
		return err
	}
	e, err := engine.Open(c.Dir, engine.Options{Log: stderrLog(s), Fatal: fatal(s)})
	if err != nil {
		return err
	}
	err = server.ExportStock(e, w, c.Format, encoding, c.SKU, c.Location)
	return errors.Join(err, e.Close())
}

// mustBeDatabase refuses a directory that opening would make into a new, empty database.
func mustBeDatabase(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, "FORMAT")); err != nil {
		return fmt.Errorf("%s is no database: %w", dir, err)
	}
	return nil
}

// progressWriter tells how much has been written, and ends when the command is interrupted.
type progressWriter struct {
	ctx  context.Context
	out  io.Writer
	bar  *progress
	step string
	done int64
}

func (w *progressWriter) Write(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := w.out.Write(p)
	w.done += int64(n)
	w.bar.bytes(w.step, w.done, -1)
	return n, err
}
