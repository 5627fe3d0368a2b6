package loadtest_test

import (
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"onhand/loadtest"
	"onhand/server/browsertest"
)

// The page can be read on a telephone: nothing is wider than it but what scrolls, the letters of a chart are hardly smaller than those around it,
// and none lies on another or outside.
func TestThePageInABrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("a browser takes its time")
	}
	b := browsertest.Open(t)
	r := &loadtest.Result{Server: "onhand", Version: "v1", Config: loadtest.Config{Workload: loadtest.Mixed, To: "http://127.0.0.1:8080", Shape: loadtest.Constant, Duration: time.Minute},
		Limit: &loadtest.Limit{Bound: 5 * time.Millisecond}}
	for k := range 61 { // as of a million requests
		r.Total.Latency.Curve = append(r.Total.Latency.Curve, loadtest.Point{Percentile: 100 * (1 - math.Pow(10, -float64(k)/10)), NS: int64(1e5 * (k + 1))})
	}
	r.Total.Service = r.Total.Latency
	for i := range int64(60) {
		r.Seconds = append(r.Seconds, loadtest.Second{Offered: 10_000, Answered: 12_345, Refused: i, Failed: i % 7, Late: 100 * i, P50: 1e5, P99: 1e6 * (i + 1), Max: 1e9})
		r.Limit.Trials = append(r.Limit.Trials, loadtest.Trial{Rate: float64(100 * (i + 1)), P99: time.Duration(i) * time.Millisecond, OK: i < 5})
	}
	r.ServerMetrics = []loadtest.Series{{Name: "memory", Unit: "MB", Values: []float64{1234, 1300, 1250}}}
	page, err := r.HTML(r)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write(page)
	}))
	defer s.Close()
	for _, width := range []int{320, 360, 768, 1280} {
		t.Run(fmt.Sprint(width, "px"), func(t *testing.T) {
			b.T = t
			b.Navigate(s.URL, width, 740)
			var seen struct {
				Wide     int
				Smallest float64
				Largest  float64
				Charts   int
				Overlaps []string
			}
			b.Ask(`(() => {
				const overlaps = [], sizes = [];
				const charts = [...document.querySelectorAll("svg.chart")];
				for (const c of charts) {
					const frame = c.getBoundingClientRect();
					const texts = [...c.querySelectorAll("text")].map((t) => ({t: t.textContent, r: t.getBoundingClientRect()}));
					const scale = frame.width / c.viewBox.baseVal.width;
					sizes.push(13 * scale);
					if (!texts.some((t) => t.r.width > 0)) overlaps.push("the browser has no letters");
					texts.forEach((a, i) => {
						if (a.r.left < frame.left - 1 || a.r.right > frame.right + 1 || a.r.bottom > frame.bottom + 1) overlaps.push(a.t + " is outside");
						for (const b of texts.slice(i + 1)) {
							if (a.r.left < b.r.right && b.r.left < a.r.right && a.r.top + 5 < b.r.bottom && b.r.top + 5 < a.r.bottom) overlaps.push(a.t + " lies on " + b.t);
						}
					});
				}
				return {Wide: document.documentElement.scrollWidth, Smallest: Math.min(...sizes), Largest: Math.max(...sizes), Charts: charts.length, Overlaps: overlaps};
			})()`, &seen)
			if seen.Wide > width || seen.Charts < 5 || len(seen.Overlaps) > 0 {
				t.Errorf("it is %d px wide, with %d charts; in these %q", seen.Wide, seen.Charts, seen.Overlaps)
			}
			if least := 10.5; seen.Smallest < least || width >= 360 && seen.Smallest < 11.5 || seen.Largest > 18 {
				t.Errorf("letters are %.1f to %.1f px high", seen.Smallest, seen.Largest)
			}
		})
	}
}
