package loadtest

import (
	"strings"
	"testing"
	"time"
)

func TestThresholds(t *testing.T) {
	ms := int64(time.Millisecond)
	r := &Result{
		Total: Figures{OK: 900, Refused: 80, Failed: 20, Rate: 5000, Latency: Quantiles{P50: ms, P90: 5 * ms, P99: 8 * ms, P999: 9 * ms, Max: 20 * ms, Mean: 2e6}, Service: Quantiles{P90: 4 * ms}},
		Operations: []Figures{
			{Operation: "reserve", OK: 100, Latency: Quantiles{P99: 7 * ms, Max: 8 * ms}, Service: Quantiles{P99: 6 * ms}},
			{Operation: "near", OK: 99, Latency: Quantiles{P90: ms, P99: ms}},
			{Operation: "read", OK: 990, Failed: 5, Dropped: 5, Latency: Quantiles{P90: ms, P99: ms, P999: ms}},
		},
		Offered: 1000, Late: 70, Dropped: 0,
	}
	for text, fails := range map[string]bool{
		"p90>5ms": false, "p90>=5ms": true, "p90 > 4999us": true, "p50>2ms": false, "p99.9>8ms": true, "reserve.max>1s": false, "mean>1ms": true,
		"service.p90>4.5ms": false, "service.p90>3ms": true, "reserve.p99>6.5ms": true, "reserve.service.p99>6.5ms": false,
		"errors>0": true, "errors>2%": false, "errors>1%": true, "refused>8%": false, "refused>=80": true, "reserve.refused>0": false,
		// Twenty of the thousand were not answered: from the 98th percentile on nobody knows how long they would have taken.
		"p99>1h": true, "max>1h": true, "p99<1us": false, "read.p99>1h": false, "read.p99.9>1h": true,
		// Too few to have such a percentile.
		"near.p90>1h": false, "near.p99>1h": true, "reserve.p99>1h": false, "reserve.p99.9>1h": true, "p99.99<1us": true,
		"late>70": false, "late>5%": true, "dropped>0": false, "rate<5k": false, "rate<5.1k": true, "rate<0.01M": true,
		"commit.p99>1h": true, // there was none: nothing was tested
	} {
		threshold, err := ParseThreshold(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if how, got := threshold.Fails(r); got != fails {
			t.Errorf("%s fails: %v (%s), want %v", text, got, how, fails)
		} else if got && !strings.HasPrefix(how, strings.ReplaceAll(text, " ", "")+": ") {
			t.Errorf("%s is told as %q", text, how)
		}
	}
	for _, text := range []string{"p50>1h", "max>1h", "mean>1h", "errors>0", "refused>1%", "late>1%", "dropped>0", "rate>1"} {
		threshold, err := ParseThreshold(text)
		if err != nil {
			t.Fatal(err)
		}
		if how, failed := threshold.Fails(&Result{}); !failed || !strings.Contains(how, "only 0 requests were measured") {
			t.Errorf("%s of a run in which nothing was measured: %v %q", text, failed, how)
		}
	}
	for _, text := range []string{"", "p99", "p99>", "p99>5", "p98>5ms", "p99=5ms", "buy.p99>5ms", "errors>x", "rate<5%", "reserve.late>1", "service.rate>5", "errors>NaN", "p99>5ms p50>1ms"} {
		if _, err := ParseThreshold(text); err == nil {
			t.Errorf("%q was taken", text)
		} else if !strings.Contains(err.Error(), "want such as") {
			t.Errorf("%q: the error does not say what is allowed: %v", text, err)
		}
	}
}
