package loadtest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"onhand/engine"
	"onhand/loadtest"
	"onhand/server"
)

// serve starts a server and returns its address.
func serve(t *testing.T) string {
	t.Helper()
	metrics := server.NewMetrics("test")
	e, err := engine.Open(t.TempDir(), engine.Options{Observe: metrics.Observer()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	s, err := server.New(e, metrics, server.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return "http://" + ln.Addr().String()
}

// config is a small load.
func config(to, workload string) loadtest.Config {
	return loadtest.Config{
		To: to, Workload: workload, Shape: loadtest.Constant, Rate: 600, Steps: 1, Duration: time.Second, Connections: 16, Threads: 2,
		Timeout: 10 * time.Second, DropAfter: 10 * time.Second, SKUs: 20, Locations: 3, OnHand: 1000, Keys: "uniform", Lines: 2, BasketLines: 3,
		Commit: 0.6, Release: 0.2, Think: 50 * time.Millisecond, Hold: time.Second, Stock: 50, Seed: 1, Cover: 0.8,
	}
}

func run(t *testing.T, c loadtest.Config) *loadtest.Result {
	t.Helper()
	r, err := loadtest.Run(t.Context(), c, loadtest.Watcher{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func wantSound(t *testing.T, r *loadtest.Result) {
	t.Helper()
	if r.Verified.ViolationCount != 0 || r.Total.Failed != 0 || r.Dropped != 0 {
		t.Errorf("%d violations %q, %d failed %v, %d dropped", r.Verified.ViolationCount, r.Verified.Violations, r.Total.Failed, r.Total.Errors, r.Dropped)
	}
}

func TestEveryWorkload(t *testing.T) {
	t.Parallel()
	to := serve(t)
	for _, w := range loadtest.Workloads() {
		workload := w[0]
		if workload == loadtest.Replay {
			continue // has a test of its own
		}
		t.Run(workload, func(t *testing.T) {
			c := config(to, workload)
			if workload == loadtest.Mixed {
				c.Mix, c.Keys, c.Poisson = "read=1,read-sku=1,near=1,basket=1,reserve=1,hot=1,till=1", "zipf:1.2", true
			}
			if workload == loadtest.FlashSale {
				c.Commit, c.Release, c.Hold = 1, 0, time.Minute // nothing is left to expire
			}
			r := run(t, c)
			wantSound(t, r)
			v := r.Verified
			if v.Left != 0 {
				t.Errorf("%d locations are left", v.Left)
			}
			if !c.Poisson && r.Offered != 600 {
				t.Errorf("%d requests were due, want 600", r.Offered)
			}
			switch workload {
			case loadtest.Reserve, loadtest.Hot:
				if v.Reservations != 600 || v.Committed < 100 || v.Released < 50 || v.Expired < 50 || v.Committed+v.Released+v.Expired != 600 {
					t.Errorf("of 600 reservations %d were granted: %+v", v.Reservations, v)
				}
			case loadtest.FlashSale:
				if v.UnitsSold != 50 || v.Refused != 550 {
					t.Errorf("%d of 50 units were sold, and %d of 600 buyers refused", v.UnitsSold, v.Refused)
				}
			case loadtest.Mixed:
				if len(r.Operations) < 8 {
					t.Errorf("only %d operations were made", len(r.Operations))
				}
			}
		})
	}
	left, err := http.Get(to + "/v1/locations")
	if err != nil {
		t.Fatal(err)
	}
	defer left.Body.Close()
	if body, err := io.ReadAll(left.Body); err != nil || bytes.Contains(body, []byte("lt-")) {
		t.Errorf("locations are left: %s, %v", body, err)
	}
}

// Requests sent one behind the other take effect like any others.
func TestAPipelinedLoadIsVerified(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("pipelining needs Linux")
	}
	t.Parallel()
	c := config(serve(t), loadtest.Mixed)
	c.Mix, c.Connections, c.Pipeline, c.Rate = "read=3,near=1,reserve=2,hot=1,till=1", 4, 8, 400
	c.DropAfter = time.Minute // a write waits for the one before it on its connection, and that for the disk
	r := run(t, c)
	wantSound(t, r)
	if r.Offered != 400 || !strings.Contains(r.Title(), "pipelined 8 deep") {
		t.Errorf("%d were due, %s", r.Offered, r.Title())
	}
	for name, change := range map[string]func(c *loadtest.Config){
		"too deep": func(c *loadtest.Config) { c.Pipeline = 65 },
		"no depth": func(c *loadtest.Config) { c.Pipeline = -1 },
		"TLS":      func(c *loadtest.Config) { c.To = "https://127.0.0.1:1" },
	} {
		bad := c
		change(&bad)
		if err := bad.Check(); err == nil || !strings.Contains(err.Error(), "pipeline") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAClosedLoadSaysSo(t *testing.T) {
	t.Parallel()
	c := config(serve(t), loadtest.Read)
	c.Closed, c.Duration = true, 300*time.Millisecond
	r := run(t, c)
	wantSound(t, r)
	var text strings.Builder
	if err := r.WriteSummary(&text); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), "Closed load") || r.Total.OK == 0 {
		t.Errorf("%d requests: %s", r.Total.OK, text.String())
	}
}

func TestAReplay(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "orders.csv")
	text := "time,reference,sku,quantity\n"
	for i := range 200 {
		text += fmt.Sprintf("%d,o%d,a,1\n%d,o%d,b,2\n", 1700000000+i*60, i, 1700000000+i*60, i)
	}
	text += "1700012000,C1,a,-3\n"
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c := config(serve(t), loadtest.Replay)
	c.File, c.Duration, c.Locations, c.Commit, c.Release = name, time.Second, 2, 1, 0
	r := run(t, c)
	wantSound(t, r)
	if v := r.Verified; v.Reservations < 150 || v.Refused == 0 || v.Reservations+v.Refused != 200 {
		t.Errorf("with stock for 80 %% of 200 orders, %d were granted and %d refused", v.Reservations, v.Refused)
	}
}

// between starts a proxy before a server, which may do as it likes with a request: it returns true where it has answered.
func between(t *testing.T, to string, meddle func(w http.ResponseWriter, r *http.Request, body []byte, pass func() *httptest.ResponseRecorder) bool) string {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, Transport: &http.Transport{MaxIdleConnsPerHost: 100}}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		pass := func() *httptest.ResponseRecorder {
			rec := httptest.NewRecorder()
			proxy.ServeHTTP(rec, r.Clone(r.Context()))
			return rec
		}
		if !meddle(w, r, body, pass) {
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// A server that does not do what it says is found out, whatever it lies about.
func TestALieIsFoundOut(t *testing.T) {
	t.Parallel()
	to := serve(t)
	say := func(w http.ResponseWriter, status int, body string) bool {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
		return true
	}
	for name, lie := range map[string]struct {
		workload, says string
		meddle         func(w http.ResponseWriter, r *http.Request, body []byte, pass func() *httptest.ResponseRecorder) bool
	}{
		"a reservation that is not there": {loadtest.Reserve, "is not there", func(w http.ResponseWriter, r *http.Request, body []byte, _ func() *httptest.ResponseRecorder) bool {
			var in struct{ ID string }
			return r.URL.Path == "/v1/reservations" && json.Unmarshal(body, &in) == nil &&
				say(w, 201, fmt.Sprintf(`{"id":%q,"state":"held","expires_at":%q}`, in.ID, time.Now().Add(time.Hour).UTC().Format(time.RFC3339Nano)))
		}},
		"a commit that was not made": {loadtest.Reserve, "should be committed", func(w http.ResponseWriter, r *http.Request, _ []byte, _ func() *httptest.ResponseRecorder) bool {
			return strings.HasSuffix(r.URL.Path, "/commit") && say(w, 200, `{"state":"committed"}`)
		}},
		"a commit of half": {loadtest.Reserve, "on hand is", func(w http.ResponseWriter, r *http.Request, _ []byte, pass func() *httptest.ResponseRecorder) bool {
			if !strings.HasSuffix(r.URL.Path, "/commit") {
				return false
			}
			rec := pass()
			// A unit more leaves than was committed.
			var reservation struct {
				Lines []struct{ SKU, Location string }
			}
			if json.Unmarshal(rec.Body.Bytes(), &reservation) != nil || len(reservation.Lines) == 0 {
				return say(w, rec.Code, rec.Body.String())
			}
			l := reservation.Lines[0]
			stolen, err := http.Post(to+"/v1/stock/adjustments", "application/json", strings.NewReader(
				fmt.Sprintf(`{"reason":"loss","lines":[{"sku":%q,"location":%q,"quantity":-1}]}`, l.SKU, l.Location)))
			if err == nil {
				_ = stolen.Body.Close()
			}
			return say(w, rec.Code, rec.Body.String())
		}},
		"a sale that was not booked": {loadtest.Till, "on hand is", func(w http.ResponseWriter, r *http.Request, _ []byte, _ func() *httptest.ResponseRecorder) bool {
			return r.URL.Path == "/v1/stock/adjustments" && say(w, 200, `{}`)
		}},
		"a sale booked twice": {loadtest.Till, "on hand is", func(_ http.ResponseWriter, r *http.Request, body []byte, _ func() *httptest.ResponseRecorder) bool {
			if r.URL.Path == "/v1/stock/adjustments" {
				again, err := http.Post(to+r.URL.Path, "application/json", bytes.NewReader(body)) // without its key
				if err == nil {
					_ = again.Body.Close()
				}
			}
			return false
		}},
		"a refusal that took effect": {loadtest.Reserve, "should be refused", func(w http.ResponseWriter, r *http.Request, _ []byte, pass func() *httptest.ResponseRecorder) bool {
			if r.URL.Path != "/v1/reservations" {
				return false
			}
			pass()
			return say(w, 409, `{"type":"urn:onhand:problem:refused","status":409}`)
		}},
		"the last unit refused": {loadtest.FlashSale, "buyers were refused", func(w http.ResponseWriter, r *http.Request, _ []byte, _ func() *httptest.ResponseRecorder) bool {
			return r.URL.Path == "/v1/reservations" && sold.Add(1) > 40 && say(w, 409, `{"type":"urn:onhand:problem:refused","status":409}`)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := config(between(t, to, lie.meddle), lie.workload)
			c.Keep, c.Hold = true, 2*time.Second
			if lie.workload == loadtest.FlashSale {
				c.Commit, c.Release = 1, 0
			}
			r := run(t, c)
			if r.Verified.ViolationCount == 0 || !strings.Contains(strings.Join(r.Verified.Violations, "\n"), lie.says) {
				t.Errorf("%d violations: %q, want one that says %q", r.Verified.ViolationCount, r.Verified.Violations, lie.says)
			}
		})
	}
}

var sold atomic.Int64

// Answers that get lost are no violation: the run finds out what became of the requests.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	to := serve(t)
	for _, expected := range []bool{false, true} {
		t.Run(fmt.Sprintf("retried=%v", expected), func(t *testing.T) {
			var n atomic.Int64
			c := config(between(t, to, func(w http.ResponseWriter, r *http.Request, _ []byte, pass func() *httptest.ResponseRecorder) bool {
				if r.Method != http.MethodPost || r.URL.Path == "/v1/stock/import" || r.URL.Path == "/v1/availability/query" || n.Add(1)%10 != 0 {
					return false
				}
				if n.Load()%20 == 0 { // half of them take effect
					pass()
				}
				conn, _, err := w.(http.Hijacker).Hijack()
				if err == nil {
					_ = conn.Close()
				}
				return true
			}), loadtest.Mixed)
			c.Mix, c.ExpectRestart = "reserve=50,till=50", expected
			r := run(t, c)
			if r.Verified.ViolationCount != 0 {
				t.Errorf("violations: %q", r.Verified.Violations)
			}
			var retried int64
			for _, f := range r.Operations {
				retried += f.Retried
			}
			if expected && (r.Total.Failed != 0 || retried < 20) || !expected && (r.Total.Failed < 20 || r.Verified.Unsure < 20) {
				t.Errorf("%d failed, %d were sent again, %d unsure", r.Total.Failed, retried, r.Verified.Unsure)
			}
		})
	}
}

// While a server stalls, requests go on being due, and each is charged with its wait. A loader that waits for answers would
// see one slow request a connection.
func TestAStallIsChargedToAllThatWereDue(t *testing.T) {
	const stall = 500 * time.Millisecond
	var begun atomic.Int64 // of the stall, Unix ns
	slow := func(_ http.ResponseWriter, r *http.Request, _ []byte, _ func() *httptest.ResponseRecorder) bool {
		if r.Method != http.MethodGet || !strings.HasPrefix(r.URL.Path, "/v1/availability/") {
			return false
		}
		now := time.Now()
		if begun.CompareAndSwap(0, now.Add(300*time.Millisecond).UnixNano()) {
			return false
		}
		if since := now.Sub(time.Unix(0, begun.Load())); since > 0 && since < stall {
			time.Sleep(stall - since)
		}
		return false
	}
	c := config(between(t, serve(t), slow), loadtest.Read)
	c.Connections, c.Threads = 2, 1
	r := run(t, c)
	wantSound(t, r)
	// 600 a second: in the first half of the stall 150 are due that wait for 250 ms or more, a quarter of all.
	if p90 := r.Total.Latency.P90; p90 < int64(200*time.Millisecond) {
		t.Errorf("p90 of 600 requests, of which 300 were due in a stall of %v, is %v", stall, time.Duration(p90))
	}
	if r.Late < 100 {
		t.Errorf("%d were sent late, want at least 100", r.Late)
	}
	if n := r.Seconds[0].Offered; n != 600 {
		t.Errorf("%d were due in the first second, want 600, whenever they could be sent", n)
	}
}

func TestWhatCanNotBeSentIsDropped(t *testing.T) {
	slow := func(_ http.ResponseWriter, r *http.Request, _ []byte, _ func() *httptest.ResponseRecorder) bool {
		if r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/v1/availability/") {
			time.Sleep(50 * time.Millisecond)
		}
		return false
	}
	c := config(between(t, serve(t), slow), loadtest.Read)
	c.Connections, c.Threads, c.DropAfter = 1, 1, 100*time.Millisecond
	r := run(t, c)
	if r.Dropped < 300 || r.Total.OK < 1 || r.Total.OK+r.Dropped != 600 {
		t.Errorf("of 600 that one connection with 20 a second can't bear, %d were answered and %d dropped", r.Total.OK, r.Dropped)
	}
	if r.Verified.ViolationCount != 0 {
		t.Errorf("violations: %q", r.Verified.Violations)
	}
}

func TestFindLimit(t *testing.T) {
	slow := func(_ http.ResponseWriter, r *http.Request, _ []byte, _ func() *httptest.ResponseRecorder) bool {
		if r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/v1/availability/") {
			time.Sleep(10 * time.Millisecond) // on 4 connections: no more than 400 a second
		}
		return false
	}
	c := config(between(t, serve(t), slow), loadtest.Read)
	c.Connections, c.Threads, c.Rate, c.Duration = 4, 1, 100, time.Second
	var trials int
	r, err := loadtest.FindLimit(t.Context(), c, 150*time.Millisecond, loadtest.Watcher{}, func(loadtest.Trial) { trials++ })
	if err != nil {
		t.Fatal(err)
	}
	if r.Limit == nil || r.Limit.Rate < 1 || r.Limit.Rate > 480 || trials != len(r.Limit.Trials) || trials < 3 {
		t.Errorf("the limit is %+v after %d trials, want at most some 400/s", r.Limit, trials)
	}
	c.Shape = loadtest.Ramp
	if _, err := loadtest.FindLimit(t.Context(), c, time.Second, loadtest.Watcher{}, nil); err == nil {
		t.Error("a search along a ramp was begun")
	}
}

func TestAnInterruptedRunIsVerified(t *testing.T) {
	t.Parallel()
	c := config(serve(t), loadtest.Reserve)
	c.Duration, c.Think = time.Hour, time.Minute
	ctx, cancel := context.WithCancel(t.Context())
	r, err := loadtest.Run(ctx, c, loadtest.Watcher{Second: func(number int, _ loadtest.Second, _ float64) {
		if number == 0 {
			cancel()
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	wantSound(t, r)
	if !r.Interrupted || r.Verified.Reservations == 0 {
		t.Errorf("interrupted %v after %v, %d reservations", r.Interrupted, r.Took, r.Verified.Reservations)
	}
}

func TestConfigRefusesNonsense(t *testing.T) {
	for name, change := range map[string]func(*loadtest.Config){
		"the address is":       func(c *loadtest.Config) { c.To = "localhost:8080" },
		"rate is":              func(c *loadtest.Config) { c.Rate = 0 },
		"connections is":       func(c *loadtest.Config) { c.Connections = 0 },
		"commit and release":   func(c *loadtest.Config) { c.Commit, c.Release = 0.9, 0.2 },
		"keys is":              func(c *loadtest.Config) { c.Keys = "normal" },
		"shape is":             func(c *loadtest.Config) { c.Shape = "wave" },
		"lines is":             func(c *loadtest.Config) { c.Lines = 21 },
		"locations is":         func(c *loadtest.Config) { c.Locations = 100_000_000 },
		"mix has":              func(c *loadtest.Config) { c.Workload, c.Mix = loadtest.Mixed, "read=1,replay=2" },
		"many more buyers":     func(c *loadtest.Config) { c.Workload, c.Stock = loadtest.FlashSale, 1000 },
		"sells what is held":   func(c *loadtest.Config) { c.Workload, c.Think = loadtest.FlashSale, 3*time.Second },
		"needs a file":         func(c *loadtest.Config) { c.Workload = loadtest.Replay },
		"the server can't be":  func(c *loadtest.Config) { c.To = "http://127.0.0.1:1" },
		"its own times":        func(c *loadtest.Config) { c.Workload, c.Closed = loadtest.Replay, true },
		"it has no shape":      func(c *loadtest.Config) { c.Closed, c.Shape = true, loadtest.Spike },
		"no arrivals, want":    func(c *loadtest.Config) { c.Closed, c.Poisson = true, true },
		"no arrivals but":      func(c *loadtest.Config) { c.Workload, c.File, c.Poisson = loadtest.Replay, "x", true },
		"hold in seconds is 0": func(c *loadtest.Config) { c.Hold = 0 },
	} {
		c := config("http://127.0.0.1:1", loadtest.Reserve)
		change(&c)
		if _, err := loadtest.Run(t.Context(), c, loadtest.Watcher{}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("the error is %v, want it to say %q", err, name)
		}
	}
}

// What is written can be read again, and the page needs nothing but itself.
func TestFiles(t *testing.T) {
	t.Parallel()
	r := run(t, config(serve(t), loadtest.Reserve))
	r.Failed = []string{"p99>1us: it is <b>2ms</b>"}
	files, err := r.Files(r)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(dir, f.Name), f.Text, 0o600); err != nil {
			t.Fatal(err)
		}
		switch f.Name {
		case "report.html":
			page := string(f.Text)
			for _, foreign := range []string{"<script", "src=", "href=", "url(", "@import", "<b>2ms"} {
				if strings.Contains(page, foreign) {
					t.Errorf("the page has %q in it", foreign)
				}
			}
			for _, wanted := range []string{"<svg", "prefers-color-scheme:dark", "viewport", "latency by percentile", "Before and after"} {
				if !strings.Contains(page, wanted) {
					t.Errorf("the page has no %q in it", wanted)
				}
			}
		case "latency.hgrm":
			if !strings.Contains(string(f.Text), "1/(1-Percentile)") {
				t.Errorf("latency.hgrm is %.200s", f.Text)
			}
		}
	}
	again, err := loadtest.ReadResult(filepath.Join(dir, "run.json"))
	if err != nil {
		t.Fatal(err)
	}
	if again.Total.OK != r.Total.OK || again.Total.Latency.P99 != r.Total.Latency.P99 || again.Config.Seed != r.Config.Seed {
		t.Errorf("read again it is %+v, was %+v", again.Total, r.Total)
	}
	again.Config.Rate = 1
	var text strings.Builder
	if err := loadtest.WriteComparison(&text, again, r); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), "not alike: rate was 1, then 600") || !strings.Contains(text.String(), "+0.0%") {
		t.Errorf("the comparison is %s", text.String())
	}
	if _, err := loadtest.ReadResult(filepath.Join(dir, "summary.txt")); err == nil {
		t.Error("a text was taken for a result")
	}
}
