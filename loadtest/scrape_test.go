package loadtest

import (
	"encoding/json"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// What could not be read is a gap, in the file as well, and no zero.
func TestReadingsKeepTheirGaps(t *testing.T) {
	text, err := json.Marshal(Series{Name: "memory", Values: Readings{1.5, math.NaN(), 0}})
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"name":"memory","unit":"","values":[1.5,null,0]}`; string(text) != want {
		t.Errorf("%s, want %s", text, want)
	}
	var back Series
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if v := back.Values; len(v) != 3 || v[0] != 1.5 || !math.IsNaN(v[1]) || v[2] != 0 {
		t.Errorf("%v", v)
	}
}

// Which server it was stands in the report, and so does why that is not known.
func TestTheServersVersionIsFromItsMetrics(t *testing.T) {
	for name, c := range map[string]struct {
		status        int
		body          string
		version, says string
	}{
		"a server":       {200, "onhand_build_info{go_version=\"go1\",version=\"v1.2\"} 1\n", "v1.2", ""},
		"another's":      {200, "up 1\n", "", "has no onhand_build_info"},
		"not there":      {404, "", "", "answers 404"},
		"no text of one": {200, "<html>", "", "/metrics: "},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		}))
		r := &Result{Server: "onhand", Config: Config{Workload: Read, To: "http://shop", Metrics: s.URL + "/metrics"}, Version: "v3"}
		startScraper(r.Config.Metrics).stop(r)
		s.Close()
		if r.ServerVersion != c.version || (c.says == "") != (r.NoMetrics == "") || !strings.Contains(r.NoMetrics, c.says) {
			t.Errorf("%s: the version is %q, and of metrics it says %q, want %q and %q", name, r.ServerVersion, r.NoMetrics, c.version, c.says)
		}
		var summary strings.Builder
		if err := r.WriteSummary(&summary); err != nil {
			t.Fatal(err)
		}
		page, err := r.HTML(nil)
		if err != nil {
			t.Fatal(err)
		}
		want := "onhand v1.2 at http://shop, load tester v3"
		if c.version == "" {
			want = "onhand of unknown version at http://shop, load tester v3"
		}
		for where, text := range map[string]string{"summary": summary.String(), "page": string(page)} {
			if !strings.Contains(text, want) || strings.Contains(text, "--metrics says where they are") != (c.says != "") {
				t.Errorf("%s: the %s is %s", name, where, text)
			}
		}
	}
	r := &Result{}
	startScraper("").stop(r)
	if r.NoMetrics != "" {
		t.Errorf("nobody asked for metrics, and it says %q", r.NoMetrics)
	}
}
