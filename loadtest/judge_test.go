package loadtest

import (
	"strings"
	"testing"
	"time"
)

func TestARateIsBorneOnlyIfThatWasMeasured(t *testing.T) {
	good := Figures{OK: 100, Latency: Quantiles{P99: int64(time.Millisecond)}}
	for name, one := range map[string]struct {
		result Result
		why    string // "" where it was borne
	}{
		"it is":             {Result{Total: good}, ""},
		"nothing measured":  {Result{}, "only 0 were measured"},
		"too little":        {Result{Total: Figures{OK: 99}}, "only 99 were measured"},
		"not verified":      {Result{Total: good, Verified: Verified{Unverified: "it is gone"}}, "not verified: it is gone"},
		"some were dropped": {Result{Total: good, Dropped: 1}, "1 could not be sent"},
		"too slow":          {Result{Total: Figures{OK: 100, Latency: Quantiles{P99: int64(time.Minute)}}}, "p99 is 1m"},
	} {
		got := judge(&one.result, time.Second)
		if got.OK != (one.why == "") || !strings.HasPrefix(got.Why, one.why) {
			t.Errorf("%s: %+v, want %q", name, got, one.why)
		}
	}
}
