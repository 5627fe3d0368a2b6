package loadtest

import (
	"strings"
	"testing"
	"time"
)

func TestThresholds(t *testing.T) {
	ms := int64(time.Millisecond)
	r := &Result{
		Total:      Figures{OK: 90, Refused: 8, Failed: 2, Rate: 5000, Latency: Quantiles{P50: ms, P99: 5 * ms, P999: 9 * ms, Max: 20 * ms, Mean: 2e6}, Service: Quantiles{P99: 4 * ms}},
		Operations: []Figures{{Operation: "reserve", OK: 10, Latency: Quantiles{P99: 7 * ms}, Service: Quantiles{P99: 6 * ms}}},
		Offered:    100, Late: 7, Dropped: 0,
	}
	for text, fails := range map[string]bool{
		"p99>5ms": false, "p99>=5ms": true, "p99 > 4999us": true, "p50>2ms": false, "p99.9>8ms": true, "max>1s": false, "mean>1ms": true,
		"service.p99>4.5ms": false, "service.p99>3ms": true, "reserve.p99>6.5ms": true, "reserve.service.p99>6.5ms": false,
		"errors>0": true, "errors>2%": false, "errors>1%": true, "refused>8%": false, "refused>=8": true, "reserve.refused>0": false,
		"late>7": false, "late>5%": true, "dropped>0": false, "rate<5k": false, "rate<5.1k": true, "rate<0.01M": true,
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
	for _, text := range []string{"", "p99", "p99>", "p99>5", "p98>5ms", "p99=5ms", "buy.p99>5ms", "errors>x", "rate<5%", "reserve.late>1", "service.rate>5", "errors>NaN", "p99>5ms p50>1ms"} {
		if _, err := ParseThreshold(text); err == nil {
			t.Errorf("%q was taken", text)
		} else if !strings.Contains(err.Error(), "want such as") {
			t.Errorf("%q: the error does not say what is allowed: %v", text, err)
		}
	}
}
