package demo

import (
	"cmp"
	"context"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"onhand/engine"
	"onhand/server"
)

// A sixth of the customers shop at the stores around Times Square for the last weeks of the year.
func TestReplayConservesEveryUnit(t *testing.T) {
	dir := t.TempDir()
	url, stop := serve(t, dir)
	d, err := New(url, func(string, int64, int64) {})
	if err != nil {
		t.Fatal(err)
	}
	shrink(t, d.chain)
	if err := d.Fill(t.Context()); err != nil {
		t.Fatal(err)
	}
	tally, err := d.Replay(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Conserved(t.Context()); err != nil {
		t.Error(err)
	}
	if held, told := tally.Full+tally.Partial, tally.Collected+tally.Cancelled+tally.NoShow+tally.Waiting; held != told {
		t.Errorf("%d sales were held, and it is told of %d what came of them: %+v", held, told, tally)
	}
	if tally.Orders < 100 || tally.Orders >= tally.Full+tally.Partial || tally.Sent == 0 || tally.Short == 0 || tally.Returned == 0 {
		t.Errorf("a way that orders can go was not gone: %+v", tally)
	}
	for _, state := range []string{"placed", "accepted", "in_transit", "ready", "collected", "returned"} {
		if orders, err := d.list(t.Context(), state); err != nil || len(orders) == 0 {
			t.Errorf("%d orders are %s, %v", len(orders), state, err)
		}
	}
	sight, err := d.Look(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if sight.Picking == "" || sight.Ready == "" {
		t.Errorf("there is too little to see: %+v", sight)
	}
	if page := get(t, url+sight.Tracking); !strings.Contains(page, "<html") || !strings.Contains(page, "ready") {
		t.Errorf("the tracking page of a ready order is %s", page)
	}
	stop()
	if _, err := engine.Check(dir, engine.Options{}); err != nil {
		t.Error(err)
	}
}

// A unit that is gone without a sale is found.
func TestALostUnitIsMissed(t *testing.T) {
	url, _ := serve(t, t.TempDir())
	d, err := New(url, func(string, int64, int64) {})
	if err != nil {
		t.Fatal(err)
	}
	shrink(t, d.chain)
	d.chain.stores, d.chain.orders = d.chain.stores[:2], d.chain.orders[:2]
	if err := d.Fill(t.Context()); err != nil {
		t.Fatal(err)
	}
	if units, err := d.Conserved(t.Context()); err != nil || units.Opening == 0 || units.OnHand != units.Opening {
		t.Fatalf("%+v, %v", units, err)
	}
	sku := d.chain.articles[7].sku
	if err := d.client.call(t.Context(), "POST", path("stock", "adjustments"), "", body{
		"reason": "loss", "lines": []line{{SKU: sku, Location: warehouses[0].id, Quantity: -1}},
	}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Conserved(t.Context()); err == nil || !strings.Contains(err.Error(), sku) {
		t.Fatalf("a lost unit of %s is not missed: %v", sku, err)
	}
}

// shrink leaves a dozen stores and some of the orders of 24 days.
func shrink(t *testing.T, c *chain) {
	t.Helper()
	shares, err := readShares()
	if err != nil {
		t.Fatal(err)
	}
	distance := func(s *store) float64 { return math.Hypot(s.latitude-40.758, s.longitude+73.9855) }
	slices.SortFunc(c.stores, func(a, b store) int { return cmp.Compare(distance(&a), distance(&b)) })
	c.stores = c.stores[:12]
	from := c.orders[len(c.orders)-1].minute - 24*day
	c.orders = slices.DeleteFunc(c.orders, func(o order) bool {
		return o.minute < from || xxhash.Sum64String(cmp.Or(o.customer, o.number))%6 != 0
	})
	c.spread(shares)
}

// serve serves a database until stop is called.
func serve(t *testing.T, dir string) (url string, stop func()) {
	t.Helper()
	e, err := engine.Open(dir, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.New(e, server.NewMetrics("demo"), server.Options{WebhookDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	stop = sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := errors.Join(s.Shutdown(ctx), <-served, e.Close()); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return "http://" + ln.Addr().String(), stop
}

func get(t *testing.T, url string) string {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, response.Status, err)
	}
	return string(text)
}
