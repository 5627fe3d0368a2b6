package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"onhand/engine"
	"onhand/server"
)

type importCommand struct {
	File     string        `arg:"" help:"Stock file, plain or packed by gzip or zstd; - for standard input." type:"path"`
	Mode     string        `help:"What on_hand in a row means: what was counted (set), or how far it moved (delta)." enum:"set,delta" default:"set"`
	Format   string        `help:"csv or ndjson; otherwise the file's name or first byte tells." enum:"csv,ndjson," default:""`
	DryRun   bool          `help:"Check every row and change nothing."`
	ID       string        `help:"Id under which the import can be repeated without counting twice; otherwise one is made up." placeholder:"ID"`
	RetryFor time.Duration `help:"How long to go on trying when the connection breaks or the server is busy." default:"1m"`
	remote
	Dir   string `help:"Load into the stopped database in this directory instead of a server; made if there is none." type:"path"`
	begun bool   // rows may have taken effect
}

// Help explains the file in full.
func (importCommand) Help() string {
	return `CSV begins with a header that names its columns, in any order: sku, location, and of on_hand, safety_stock and blocked those that the file is to change. The delimiter is found out. NDJSON has the same names. What "onhand export" writes can be read.

Rows that can't be carried out are told by line, and the others take effect; then the exit status is 1.

An import that broke off is gone on with by the same command with --id and the id it printed: what has taken effect does not do so twice. Within the time of --retry-for the command does that by itself.`
}

// Run imports the file and prints what became of its rows.
func (c *importCommand) Run(s *streams) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if c.ID == "" && !c.DryRun {
		c.ID = rand.Text()
	}
	in, size, err := c.open(s)
	if err != nil {
		return err
	}
	defer in.Close()
	bar := newProgress(s.err)
	defer bar.close()
	began := time.Now()
	var result server.ImportResult
	if c.Dir != "" {
		result, err = c.load(s, &progressReader{ctx: ctx, in: in, bar: bar, step: c.step(), total: size})
	} else {
		result, err = c.send(ctx, s, bar, in, size)
	}
	took := time.Since(began)
	bar.close()
	for _, row := range result.Errors {
		fmt.Fprintf(s.err, "%s:%d: %s\n", c.File, row.Line, row.Detail)
	}
	if result.ErrorsOmitted > 0 {
		fmt.Fprintf(s.err, "%s: and %d more rows that failed\n", c.File, result.ErrorsOmitted)
	}
	if result.Rows > 0 || err == nil {
		c.print(s.out, &result, took)
	}
	if err != nil {
		if c.begun && !c.DryRun && !otherFile(err) {
			err = fmt.Errorf("the import broke off; to go on with it, repeat the command with --id %s: %w", c.ID, err)
		}
		return err
	}
	if result.Failed > 0 {
		return exitError{fmt.Errorf("%d of %d rows failed", result.Failed, result.Rows), exitFinding}
	}
	return nil
}

// step names what is done, for the progress bar.
func (c *importCommand) step() string {
	if c.DryRun {
		return "checking"
	}
	return "importing"
}

func (c *importCommand) open(s *streams) (in io.ReadCloser, size int64, err error) {
	if c.File == "-" {
		return io.NopCloser(s.in), -1, nil
	}
	file, err := os.Open(c.File)
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s is a directory", c.File)
	}
	if err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	if !info.Mode().IsRegular() {
		return file, -1, nil
	}
	return file, info.Size(), nil
}

func (c *importCommand) print(w io.Writer, r *server.ImportResult, took time.Duration) {
	verb := "applied"
	if c.DryRun {
		verb = "sound"
	}
	fmt.Fprintf(w, "%d rows: %d %s", r.Rows, r.Applied, verb)
	if r.Repeated > 0 {
		fmt.Fprintf(w, ", %d applied by an earlier attempt", r.Repeated)
	}
	fmt.Fprintf(w, ", %d failed; in %v, %.0f rows/s\n", r.Failed, took.Round(time.Millisecond), float64(r.Rows)/took.Seconds())
	if r.Sequence > 0 {
		fmt.Fprintf(w, "The stock is as imported from sequence %d on.\n", r.Sequence)
	}
}

// load imports into a stopped database.
func (c *importCommand) load(s *streams, in io.Reader) (result server.ImportResult, err error) {
	e, err := engine.Open(c.Dir, engine.Options{Log: stderrLog(s), Fatal: fatal(s)})
	if err != nil {
		return result, err
	}
	c.begun = true
	mode := engine.ImportSet
	if c.Mode == "delta" {
		mode = engine.ImportDelta
	}
	result, err = server.ImportStock(e, in, server.ImportOptions{ID: c.ID, Mode: mode, DryRun: c.DryRun, Format: c.format()})
	return result, errors.Join(err, e.Close())
}

// send imports into a running server, again and again while that may help: the id keeps rows from counting twice.
func (c *importCommand) send(ctx context.Context, s *streams, bar *progress, file io.ReadCloser, size int64) (result server.ImportResult, err error) {
	if err := c.knock(ctx); err != nil {
		return result, err
	}
	if size < 0 {
		if file, err = awaitFirst(ctx, file); err != nil {
			return result, err
		}
	}
	c.begun = true
	deadline := time.Now().Add(c.RetryFor)
	for pause := time.Second; ; pause = min(2*pause, 10*time.Second) {
		in := &progressReader{ctx: ctx, in: file, bar: bar, step: c.step(), total: size}
		result, err = c.attempt(ctx, in, size)
		seeker, again := file.(io.Seeker)
		if err == nil || !passing(err) || !again || size < 0 || ctx.Err() != nil {
			return result, err
		}
		if in.done > 0 {
			deadline = time.Now().Add(c.RetryFor)
		}
		if time.Now().Add(pause).After(deadline) {
			return result, err
		}
		bar.close()
		fmt.Fprintf(s.err, "%v; trying again in %v\n", err, pause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return result, ctx.Err()
		}
		if _, err := seeker.Seek(0, io.SeekStart); err != nil {
			return result, err
		}
	}
}

// awaitFirst waits until there is something to read, as from a pipe whose writer is still at work. Were the request begun
// before, the server would take the silence for a client that is gone.
func awaitFirst(ctx context.Context, file io.ReadCloser) (io.ReadCloser, error) {
	in := bufio.NewReader(file)
	arrived := make(chan struct{})
	go func() {
		defer close(arrived)
		_, _ = in.Peek(1) // an error comes again when it is read
	}()
	select {
	case <-arrived:
		return struct {
			io.Reader
			io.Closer
		}{in, file}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// otherFile reports whether the server knows the import's id from another file: then repeating won't help.
func otherFile(err error) bool {
	no := (*answerError)(nil)
	return errors.As(err, &no) && strings.HasSuffix(no.problem.Type, ":key-reused")
}

// knock imports nothing, to be told before a large file is under way that it will not be taken.
func (c *importCommand) knock(ctx context.Context) error {
	header := strings.NewReader("sku,location\n")
	request, err := c.request(ctx, "POST", "/v1/stock/import", url.Values{"dry_run": {"true"}, "format": {"csv"}}, header)
	if err != nil {
		return err
	}
	response, err := c.do(request)
	if no := (*answerError)(nil); errors.As(err, &no) && passing(err) {
		return nil // the real request waits until the server has time
	}
	if err != nil {
		return err
	}
	return response.Body.Close()
}

func (c *importCommand) attempt(ctx context.Context, in io.Reader, size int64) (result server.ImportResult, err error) {
	query := url.Values{"mode": {c.Mode}, "dry_run": {strconv.FormatBool(c.DryRun)}}
	if format := c.format(); format != "" {
		query.Set("format", format)
	}
	if c.ID != "" {
		query.Set("id", c.ID)
	}
	request, err := c.request(ctx, "POST", "/v1/stock/import", query, io.NopCloser(in))
	if err != nil {
		return result, err
	}
	request.ContentLength = size
	if size == 0 {
		request.Body = http.NoBody
	}
	response, err := c.do(request)
	if no := (*answerError)(nil); errors.As(err, &no) {
		_ = json.Unmarshal(no.body, &result) // a refusal on the way says what became of the rows before it
		return result, err
	}
	if err != nil {
		return result, err
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&result); err != nil {
		return result, fmt.Errorf("the server's answer: %w", err)
	}
	return result, nil
}

// format returns the format that is asked for or that the file's name tells, or "".
func (c *importCommand) format() string {
	if c.Format != "" {
		return c.Format
	}
	_, plain := packing(c.File)
	switch strings.ToLower(filepath.Ext(plain)) {
	case ".csv", ".tsv":
		return "csv"
	case ".ndjson", ".jsonl":
		return "ndjson"
	}
	return ""
}

// packing returns how a file is packed by its name, as HTTP calls it, and the name without that.
func packing(name string) (encoding, plain string) {
	ext := filepath.Ext(name)
	switch strings.ToLower(ext) {
	case ".gz":
		encoding = "gzip"
	case ".zst", ".zstd":
		encoding = "zstd"
	default:
		return "", name
	}
	return encoding, strings.TrimSuffix(name, ext)
}

// progressReader tells how much of a file has been read, and ends when the command is interrupted.
type progressReader struct {
	ctx   context.Context
	in    io.Reader
	bar   *progress
	step  string
	done  int64
	total int64
}

func (r *progressReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := r.in.Read(p)
	r.done += int64(n)
	r.bar.bytes(r.step, r.done, r.total)
	return n, err
}
