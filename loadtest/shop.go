package loadtest

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// shop is what a run puts on the server for itself: SKUs and locations whose names nobody else uses, so that what becomes
// of their stock can be told to the unit, whatever else the server does.
type shop struct {
	prefix    string
	skus      []name
	locations []name
	places    []position
	onHand    []int64 // of each cell at first
}

type position struct{ latitude, longitude float64 }

// name is written in the ways that requests need it.
type name struct {
	text string
	json []byte // with quotes
	path string // percent-encoded
}

func newName(text string) name {
	quoted, _ := json.Marshal(text) // a string always can be
	return name{text, quoted, url.PathEscape(text)}
}

// cell numbers the cell of a SKU at a location.
func (s *shop) cell(sku, location int) int { return sku*len(s.locations) + location }

// newShop names the SKUs and locations of a run and gives every location a place: in a square around Paris, four hundred
// kilometres wide, so that "near" has something to choose from.
func newShop(skus []string, locations int, onHand func(sku, location int) int64) *shop {
	random := make([]byte, 5)
	_, _ = rand.Read(random) // never fails
	s := &shop{prefix: "lt-" + strings.ToLower(base32.StdEncoding.EncodeToString(random)) + "-"}
	for _, sku := range skus {
		s.skus = append(s.skus, newName(s.prefix+sku))
	}
	for i := range locations {
		s.locations = append(s.locations, newName(fmt.Sprintf("%s%04d", s.prefix, i)))
		// The golden ratio and its square spread points evenly however many there are.
		_, x := fraction(float64(i) * 0.7548776662466927)
		_, y := fraction(float64(i) * 0.5698402909980532)
		s.places = append(s.places, position{48.85 - 1.8 + 3.6*x, 2.35 - 2.7 + 5.4*y})
	}
	s.onHand = make([]int64, len(skus)*locations)
	for i := range skus {
		for j := range locations {
			s.onHand[s.cell(i, j)] = onHand(i, j)
		}
	}
	return s
}

func fraction(x float64) (whole, part float64) {
	whole = float64(int64(x))
	return whole, x - whole
}

// parallel is how many calls are made at a time before and after a run.
const parallel = 16

// prepare makes the locations and loads the stock.
func (s *shop) prepare(ctx context.Context, a *api, progress func(step string, done, total int64)) error {
	var done atomic.Int64
	group, ctx2 := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i, l := range s.locations {
		group.Go(func() error {
			err := a.json(ctx2, http.MethodPut, "/v1/locations/"+l.path, map[string]any{
				"name": "Load test " + strconv.Itoa(i), "kind": "store",
				"position": map[string]float64{"latitude": s.places[i].latitude, "longitude": s.places[i].longitude},
			}, nil)
			progress("locations", done.Add(1), int64(len(s.locations)))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	const rowsPerImport = 200_000
	skusPerImport := max(rowsPerImport/len(s.locations), 1)
	for first := 0; first < len(s.skus); first += skusPerImport {
		last := min(first+skusPerImport, len(s.skus))
		progress("opening stock", int64(first*len(s.locations)), int64(len(s.onHand)))
		if err := s.load(ctx, a, first, last); err != nil {
			return err
		}
	}
	progress("opening stock", int64(len(s.onHand)), int64(len(s.onHand)))
	return nil
}

// load imports the stock of some SKUs.
func (s *shop) load(ctx context.Context, a *api, first, last int) error {
	in, out := io.Pipe()
	go func() {
		w := bufio.NewWriter(out)
		for i := first; i < last; i++ {
			for j := range s.locations {
				fmt.Fprintf(w, "{\"sku\":%s,\"location\":%s,\"on_hand\":%d}\n", s.skus[i].json, s.locations[j].json, s.onHand[s.cell(i, j)])
			}
		}
		out.CloseWithError(w.Flush())
	}()
	var report struct {
		Failed int64
		Errors json.RawMessage
	}
	err := a.call(ctx, http.MethodPost, "/v1/stock/import", "application/x-ndjson", in, &report)
	_ = in.Close() // so that the writer ends, whatever was read
	if err == nil && report.Failed > 0 {
		err = fmt.Errorf("the import of the opening stock: %d rows were refused: %.300s", report.Failed, report.Errors)
	}
	return err
}

// remove takes everything away again that can be: locations with their cells, once these are empty. Those with live
// reservations stay, and so do the names of the SKUs. It returns how many locations stay.
func (s *shop) remove(ctx context.Context, a *api, progress func(step string, done, total int64)) (kept int, err error) {
	for i := range s.onHand {
		s.onHand[i] = 0
	}
	if err := s.load(ctx, a, 0, len(s.skus)); err != nil {
		return len(s.locations), err
	}
	var done, inUse atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, l := range s.locations {
		group.Go(func() error {
			err := a.json(ctx, http.MethodDelete, "/v1/locations/"+l.path, nil, nil)
			if e := (*statusError)(nil); errors.As(err, &e) && e.status == http.StatusConflict {
				inUse.Add(1)
				err = nil
			}
			progress("clearing up", done.Add(1), int64(len(s.locations)))
			return err
		})
	}
	err = group.Wait()
	return int(inUse.Load()), err
}
