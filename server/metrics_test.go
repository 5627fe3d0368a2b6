package server_test

import (
	"bufio"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"onhand/server"
)

// scrape asks the admin port for the metrics in a format.
func (r *rig) scrape(accept string) *httptest.ResponseRecorder {
	r.t.Helper()
	admin := server.NewAdmin(r.metrics)
	admin.Set(r.Server)
	request := httptest.NewRequest("GET", "/metrics", nil)
	request.Header.Set("Accept", accept)
	out := httptest.NewRecorder()
	admin.Handler().ServeHTTP(out, request)
	if out.Code != http.StatusOK {
		r.t.Fatalf("metrics: %d %s", out.Code, out.Body)
	}
	return out
}

// families reads the metrics as Prometheus does that knows native histograms.
func (r *rig) families() map[string]*dto.MetricFamily {
	r.t.Helper()
	out := r.scrape("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited")
	decoder := expfmt.NewDecoder(out.Body, expfmt.ResponseFormat(out.Header()))
	all := make(map[string]*dto.MetricFamily)
	for {
		f := new(dto.MetricFamily)
		err := decoder.Decode(f)
		if err == io.EOF {
			return all
		}
		if err != nil {
			r.t.Fatal(err)
		}
		all[f.GetName()] = f
	}
}

// busyRig is a server that has done some of everything.
func busyRig(t *testing.T) *rig {
	t.Helper()
	r := newRig(t, server.Options{})
	r.stock("SKU-1", 2)
	id := r.reserve("SKU-1")
	r.do("POST", "/v1/reservations/"+id+"/commit", "")
	r.do("POST", "/v1/reservations", oneLine("SKU-2"))
	r.reserve("SKU-1")
	r.do("POST", "/v1/reservations", oneLine("SKU-1"))
	r.importFile("", twoRows)
	r.get("/v1/stock/export")
	r.get("/nothing")
	r.get("/v1/availability/SKU-1/L")
	if err := r.db.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestMetricsOfABusyServerAreClean(t *testing.T) {
	r := busyRig(t)
	findings, err := promlint.New(r.scrape("text/plain").Body).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range findings {
		t.Errorf("%s: %s", f.Metric, f.Text)
	}
}

func TestMetricsHaveNoLabelsThatGrowWithTheStock(t *testing.T) {
	r := busyRig(t)
	for name, f := range r.families() {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				switch l.GetName() {
				case "sku", "location", "reservation", "id", "reference", "path":
					t.Errorf("%s has a label %s", name, l.GetName())
				}
				for _, part := range []string{"SKU-1", "/L", "nothing", "a store"} {
					if strings.Contains(l.GetValue(), part) {
						t.Errorf("%s has %s=%q", name, l.GetName(), l.GetValue())
					}
				}
			}
		}
	}
}

func TestLatenciesAreNativeHistogramsWithClassicBuckets(t *testing.T) {
	r := busyRig(t)
	all := r.families()
	for _, name := range []string{"onhand_http_request_duration_seconds", "onhand_journal_sync_duration_seconds", "onhand_expiry_lag_seconds"} {
		f := all[name]
		if f == nil {
			t.Errorf("there is no %s", name)
			continue
		}
		for _, m := range f.GetMetric() {
			h := m.GetHistogram()
			if h.Schema == nil || len(h.GetPositiveSpan())+len(h.GetNegativeSpan()) == 0 && h.GetZeroThreshold() == 0 {
				t.Errorf("%s %v is no native histogram", name, m.GetLabel())
			}
			if b := h.GetBucket(); len(b) < 10 || b[0].GetUpperBound() != 50e-6 {
				t.Errorf("%s %v has classic buckets %v, want them from 50 µs", name, m.GetLabel(), b)
			}
		}
	}
}

func TestMetricsMoveWithWhatHappens(t *testing.T) {
	r := newRig(t, server.Options{})
	series := []string{
		`onhand_http_requests_total{call="/v1/reservations",code="201",method="POST"}`,
		`onhand_http_requests_total{call="/v1/reservations",code="409",method="POST"}`,
		`onhand_http_requests_total{call="none",code="404",method="other"}`,
		`onhand_http_request_duration_seconds_count{call="/v1/reservations",method="POST"}`,
		`onhand_reservations_total{outcome="held"}`,
		`onhand_reservations_total{outcome="committed"}`,
		`onhand_refused_lines_total{reason="short"}`,
		`onhand_changes_total{kind="stock.set"}`,
		`onhand_sequence_durable`, `onhand_holds_live`, `onhand_skus`, `onhand_cells`,
	}
	values := func() []float64 {
		all := make([]float64, len(series))
		for lines := bufio.NewScanner(r.scrape("text/plain").Body); lines.Scan(); {
			for i, name := range series {
				if strings.HasPrefix(lines.Text(), name+" ") {
					all[i] = r.gauge(name)
				}
			}
		}
		return all
	}
	before := values()
	r.stock("S", 3)
	id := r.reserve("S")
	r.reserve("S")
	r.do("POST", "/v1/reservations/"+id+"/commit", "")
	if got := r.do("POST", "/v1/reservations", `{"lines":[{"sku":"S","location":"L","quantity":5}]}`); got.status != http.StatusConflict {
		t.Fatalf("%d %s", got.status, got.body)
	}
	r.get("/nothing")
	after := values()
	for i, want := range []float64{2, 1, 1, 3, 2, 1, 1, 1, 4, 1, 1, 1} {
		if moved := after[i] - before[i]; moved != want {
			t.Errorf("%s moved by %v, want %v", series[i], moved, want)
		}
	}
	blocks := r.families()["onhand_journal_block_records"].GetMetric()[0].GetHistogram()
	if math.Abs(blocks.GetSampleSum()-r.gauge("onhand_sequence_durable")) > 0 || blocks.GetSampleCount() == 0 {
		t.Errorf("blocks held %v records in all, want %v", blocks.GetSampleSum(), r.gauge("onhand_sequence_durable"))
	}
}

func TestTheAdminPortIsThereBeforeTheServer(t *testing.T) {
	metrics := server.NewMetrics("1.2.3")
	admin := server.NewAdmin(metrics)
	get := func(path string) *httptest.ResponseRecorder {
		out := httptest.NewRecorder()
		admin.Handler().ServeHTTP(out, httptest.NewRequest("GET", path, nil))
		return out
	}
	if got := get("/livez"); got.Code != http.StatusOK {
		t.Errorf("while the journal is replayed /livez answers %d", got.Code)
	}
	if got := get("/readyz"); got.Code != http.StatusServiceUnavailable {
		t.Errorf("while the journal is replayed /readyz answers %d", got.Code)
	}
	if got := get("/metrics"); got.Code != http.StatusOK || !strings.Contains(got.Body.String(), `version="1.2.3"`) {
		t.Errorf("/metrics answers %d %s", got.Code, got.Body)
	}
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/goroutine?debug=1", "/debug/pprof/cmdline", "/debug/pprof/heap"} {
		if got := get(path); got.Code != http.StatusOK || got.Body.Len() == 0 {
			t.Errorf("%s answers %d", path, got.Code)
		}
	}
	for _, path := range []string{"/", "/v1/locations", "/v1/stock/export"} {
		if got := get(path); got.Code != http.StatusNotFound {
			t.Errorf("the admin port answers %s with %d", path, got.Code)
		}
	}
	r := newRig(t, server.Options{})
	admin.Set(r.Server)
	if got := get("/readyz"); got.Code != http.StatusOK {
		t.Errorf("once the server is there /readyz answers %d", got.Code)
	}
	r.Drain()
	if got := get("/readyz"); got.Code != http.StatusServiceUnavailable {
		t.Errorf("while it drains /readyz answers %d", got.Code)
	}
	if got := get("/livez"); got.Code != http.StatusOK {
		t.Errorf("while it drains /livez answers %d", got.Code)
	}
	for _, path := range []string{"/metrics", "/livez", "/readyz", "/debug/pprof/"} {
		wantProblem(t, r.get(path), http.StatusNotFound, "no-such-call")
	}
}
