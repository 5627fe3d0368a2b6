package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"
	"golang.org/x/sync/errgroup"

	"onhand/cmd/onhand/storefile"
)

type importLocationsCommand struct {
	File   string `arg:"" help:"File of locations; of format fr-fuel, a directory of files." type:"path"`
	Format string `help:"ndjson, csv, geojson, bestbuy, starbucks or fr-fuel; otherwise the file's name tells." enum:"ndjson,csv,geojson,bestbuy,starbucks,fr-fuel," default:""`
	DryRun bool   `help:"Check every row and change nothing."`
	remote
}

// Help explains the formats.
func (importLocationsCommand) Help() string {
	return `Each row is stored as a whole: what a row leaves out, the location no longer has. Rows that can't be trusted are told by line, or by number where the file is an array, and the others are stored; then the exit status is 1. Sending a file again does no harm.

ndjson: a location a line, with the members of PUT /v1/locations/{id} and id; opening_hours may be in OpenStreetMap syntax, as a string. csv: the columns id, name, kind, blocked, latitude, longitude, street_address, locality, region, postal_code, country, phone, email, url, time_zone, holiday_country, holiday_region, opening_hours (OpenStreetMap syntax, or JSON), special_days (JSON), services (separated by blanks), collection_point, id_required, preparation_time, default_hold, suppliers, pickup_slots, compartments, order_times and attributes (JSON), any of them but id left out. geojson: a FeatureCollection of points with the members as properties, opening_hours as in ndjson.

bestbuy: stores.json of BestBuyAPIs/open-data-set. starbucks: the US list of stiles/locations. fr-fuel: a directory with the tables of "Prix des carburants en France".

Where hours come without a time zone, the position tells it (boundaries: timezone-boundary-builder, © OpenStreetMap contributors, ODbL).`
}

// importConnections is how many locations are sent at a time.
const importConnections = 32

// Run stores the locations and prints what became of them.
func (c *importLocationsCommand) Run(s *streams) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if c.Format == "" {
		switch strings.ToLower(filepath.Ext(c.File)) {
		case ".ndjson", ".jsonl":
			c.Format = "ndjson"
		case ".csv":
			c.Format = "csv"
		case ".geojson":
			c.Format = "geojson"
		default:
			return exitError{fmt.Errorf("the name of %s does not tell its format; give --format: %s", c.File, strings.Join(storefile.Formats(), ", ")), exitUsage}
		}
	}
	bar := newProgress(s.err)
	defer bar.close()
	job := locationsJob{command: c, bar: bar}
	began := time.Now()
	err := job.run(ctx)
	bar.close()
	slices.SortStableFunc(job.failed, func(a, b storefile.Row) int { return cmp.Or(strings.Compare(a.File, b.File), a.Line-b.Line) })
	for _, row := range job.failed {
		fmt.Fprintf(s.err, "%s: %v\n", row.Where(c.File), row.Err)
	}
	verb := "stored"
	if c.DryRun {
		verb = "sound"
	}
	if job.rows > 0 || err == nil {
		fmt.Fprintf(s.out, "%d locations: %d %s, %d failed%s; in %v\n", job.rows, job.stored, verb, job.rows-job.stored, job.told(), time.Since(began).Round(time.Millisecond))
	}
	if err != nil {
		return err
	}
	if len(job.failed) > 0 {
		return exitError{fmt.Errorf("%d of %d locations failed%s", job.rows-job.stored, job.rows, job.told()), exitFinding}
	}
	return nil
}

// locationsJob is an import of locations under way.
type locationsJob struct {
	command *importLocationsCommand
	bar     *progress

	mu           sync.Mutex
	rows, stored int // of locations
	parts        int // rows about locations that can't be trusted; these are stored without what such a row says
	failed       []storefile.Row
}

// told says how many rows about locations failed, where any did.
func (j *locationsJob) told() string {
	if j.parts == 0 {
		return ""
	}
	return fmt.Sprintf(", and %d rows about locations", j.parts)
}

func (j *locationsJob) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(importConnections)
	var broken error
	for row := range storefile.Read(j.command.Format, j.command.File) {
		if ctx.Err() != nil {
			break
		}
		if row.Line == 0 {
			broken = fmt.Errorf("%s: %w", j.command.File, row.Err)
			break
		}
		if row.Err != nil || j.command.DryRun {
			j.done(row)
			continue
		}
		group.Go(func() error {
			err := j.command.put(ctx, &row.Location)
			if no := (*answerError)(nil); errors.As(err, &no) && no.status == http.StatusBadRequest {
				row.Err, err = errors.New(no.problem.Detail), nil
			}
			if err == nil {
				j.done(row)
			}
			return err
		})
	}
	return errors.Join(broken, group.Wait())
}

func (j *locationsJob) done(row storefile.Row) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if row.Err != nil {
		j.failed = append(j.failed, row)
	} else {
		j.stored++
	}
	if row.Part {
		j.parts++
	} else {
		j.rows++
	}
	j.bar.steps("locations", int64(j.rows), -1)
}

// put stores a location, trying again for a while where the server is busy.
func (c *importLocationsCommand) put(ctx context.Context, l *storefile.Location) error {
	id := l.ID
	body := *l
	body.ID = "" // it is in the path
	text, err := json.Marshal(&body)
	if err != nil {
		return err
	}
	for try := 1; ; try++ {
		request, err := c.request(ctx, "PUT", "/v1/locations/"+url.PathEscape(id), nil, bytes.NewReader(text))
		if err != nil {
			return err
		}
		request.Header.Set("Content-Type", "application/json")
		response, err := c.do(request)
		if err == nil {
			return errors.Join(discard(response.Body), response.Body.Close())
		}
		if try == 10 || !passing(err) {
			return err
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// discard reads a body to its end, so that its connection can be used again.
func discard(body io.Reader) error {
	_, err := io.Copy(io.Discard, body)
	return err
}

type exportLocationsCommand struct {
	Output string `short:"o" help:"File to write; its name tells the format (.ndjson, .csv, .geojson, .jsonld). Otherwise standard output." type:"path" placeholder:"FILE"`
	Format string `help:"ndjson, csv, geojson or jsonld; otherwise as the file's name tells, or ndjson." enum:"ndjson,csv,geojson,jsonld," default:""`
	remote
}

// Help explains the formats.
func (exportLocationsCommand) Help() string {
	return `ndjson, csv and geojson are what "onhand import locations" reads. jsonld has the Stores of schema.org with their opening hours, for web pages and search engines; warehouses are not in it.`
}

// Run writes all locations.
func (c *exportLocationsCommand) Run(s *streams) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if c.Format == "" {
		c.Format = "ndjson"
		if format := strings.TrimPrefix(strings.ToLower(filepath.Ext(c.Output)), "."); slices.Contains(storefile.OutputFormats, format) {
			c.Format = format
		}
	}
	if c.Output == "" || c.Output == "-" {
		return c.write(ctx, s.out)
	}
	return writeWhole(c.Output, func(file *os.File) error { return c.write(ctx, file) }, nil)
}

func (c *exportLocationsCommand) write(ctx context.Context, to io.Writer) error {
	w, err := storefile.NewWriter(c.Format, to, time.Now())
	if err != nil {
		return err
	}
	for cursor := ""; ; {
		page, err := c.page(ctx, cursor)
		if err != nil {
			return err
		}
		for i := range page.Locations {
			if err := w.Write(&page.Locations[i]); err != nil {
				return err
			}
		}
		if cursor = page.Next; cursor == "" {
			return w.Close()
		}
	}
}

type locationsPage struct {
	Locations []storefile.Location `json:"locations"`
	Next      string               `json:"next_cursor"`
}

func (c *exportLocationsCommand) page(ctx context.Context, cursor string) (page locationsPage, err error) {
	query := url.Values{"limit": {strconv.Itoa(1000)}}
	if cursor != "" {
		query.Set("cursor", cursor)
	}
	request, err := c.request(ctx, "GET", "/v1/locations", query, nil)
	if err != nil {
		return page, err
	}
	response, err := c.do(request)
	if err != nil {
		return page, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return page, err
	}
	return page, json.Unmarshal(text, &page)
}
