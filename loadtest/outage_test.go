package loadtest_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"onhand/loadtest"
)

// dying starts a proxy before a server that goes away for good, with all its connections, at the n-th request of a load.
func dying(t *testing.T, to string, secure bool, n int64) *httptest.Server {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, Transport: &http.Transport{MaxIdleConnsPerHost: 100}}
	var asked atomic.Int64
	var s *httptest.Server
	s = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.UserAgent() == "onhand-loadtest" && asked.Add(1) >= n {
			_ = s.Listener.Close()
			s.CloseClientConnections()
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	s.Config.ErrorLog = nil
	if secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

// A server that goes away and stays away ends no load early and lets none go on for ever: all that was due is counted, and the
// report says what was measured, and that it is not verified.
func TestALoadEndsThoughTheServerIsGone(t *testing.T) {
	t.Parallel()
	to := serve(t)
	for name, change := range map[string]func(c *loadtest.Config){
		"read":               func(*loadtest.Config) {},
		"reserve":            func(c *loadtest.Config) { c.Workload = loadtest.Reserve },
		"expecting it back":  func(c *loadtest.Config) { c.Workload, c.ExpectRestart = loadtest.Reserve, true },
		"portable":           func(c *loadtest.Config) { c.To = "https" },
		"portable, reserve":  func(c *loadtest.Config) { c.To, c.Workload = "https", loadtest.Reserve },
		"portable, restarts": func(c *loadtest.Config) { c.To, c.Workload, c.ExpectRestart = "https", loadtest.Reserve, true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := config("", loadtest.Read)
			c.Timeout, c.DropAfter = 300*time.Millisecond, 200*time.Millisecond
			change(&c)
			s := dying(t, to, c.To == "https", 100)
			if c.To == "https" {
				roots := x509.NewCertPool()
				roots.AddCert(s.Certificate())
				c.TLS = &tls.Config{RootCAs: roots}
			}
			c.To = s.URL
			r, err := loadtest.Run(t.Context(), c, loadtest.Watcher{})
			if r == nil {
				t.Fatalf("there is no result: %v", err)
			}
			if err == nil || !strings.Contains(err.Error(), "clearing up") {
				t.Errorf("clearing up a server that is away: %v", err)
			}
			if v := r.Verified; !strings.Contains(v.Unverified, "could not be reached") || v.ViolationCount != 0 {
				t.Errorf("unverified %q, violations %q", v.Unverified, v.Violations)
			}
			if f := r.Total; r.Offered != 600 || f.Measured() < 600 || f.Failed == 0 || r.Dropped == 0 || c.Workload == loadtest.Read && f.Measured() != 600 {
				t.Errorf("of %d that were due %d were answered, %d refused, %d failed and %d not sent", r.Offered, f.OK, f.Refused, f.Failed, r.Dropped)
			}
			if most := time.Duration(r.Total.Latency.P90); most < c.DropAfter {
				t.Errorf("p90 is %v, and most requests were not sent for %v", most, c.DropAfter)
			}
			files, err := r.Files(nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range files {
				if says := map[string]string{"summary.txt": "NOT VERIFIED: the server could not be reached", "report.html": "Not verified: the server could not be reached", "run.json": `"unverified": "the server could not`}[f.Name]; !bytes.Contains(f.Text, []byte(says)) {
					t.Errorf("%s does not say %q", f.Name, says)
				}
				if bytes.Contains(f.Text, []byte("as they were acknowledged")) {
					t.Errorf("%s says that it was verified", f.Name)
				}
			}
		})
	}
}

// A server that takes connections and answers nothing looks as bad as it is, however short the timeout.
func TestAStallWithAShortTimeoutIsNotHealthy(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	c := config(between(t, serve(t), func(w http.ResponseWriter, r *http.Request, _ []byte, _ func() *httptest.ResponseRecorder) bool {
		if r.Method != http.MethodGet || r.UserAgent() != "onhand-loadtest" {
			return false
		}
		if n := asked.Add(1); n < 200 || n > 400 {
			return false
		}
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_, _ = io.Copy(io.Discard, conn) // until the other side gives up
			_ = conn.Close()
		}
		return true
	}), loadtest.Read)
	c.Timeout, c.DropAfter, c.Connections = 200*time.Millisecond, 10*time.Second, 300
	r := run(t, c)
	if r.Total.Failed < 100 {
		t.Fatalf("%d failed", r.Total.Failed)
	}
	if p99 := time.Duration(r.Total.Latency.P99); p99 < c.Timeout {
		t.Errorf("p99 is %v, and %d of %d requests waited for %v", p99, r.Total.Failed, r.Total.Measured(), c.Timeout)
	}
	over, err := loadtest.ParseThreshold("p99>1h")
	if err != nil {
		t.Fatal(err)
	}
	if how, failed := over.Fails(r); !failed {
		t.Errorf("with %d of %d unanswered there is no p99: %s", r.Total.Failed, r.Total.Measured(), how)
	}
	var text strings.Builder
	if err := r.WriteSummary(&text); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), "≥") || !strings.Contains(text.String(), "until they were given up") {
		t.Errorf("the summary does not tell how those count: %s", text.String())
	}
}
