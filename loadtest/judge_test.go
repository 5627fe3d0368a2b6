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

// A sale proves something where all is sold and more would have been bought. It accuses the server only of what it can't have
// done rightly.
func TestWhatASaleProves(t *testing.T) {
	for name, one := range map[string]struct {
		sold     int64
		live     int
		verified Verified // what is counted before
		unproven string
		violated string
	}{
		"sold out":                       {10, 0, Verified{Reservations: 10, Refused: 5}, "", ""},
		"sold out, with some that waned": {10, 0, Verified{Reservations: 13, Expired: 3, Refused: 5}, "", ""},
		"too few buyers":                 {8, 0, Verified{Reservations: 8}, "2 were not sold: 8 buyers came", ""},
		"just enough buyers":             {10, 0, Verified{Reservations: 10}, "nobody had to be refused", ""},
		"holds expired":                  {7, 0, Verified{Reservations: 10, Expired: 3, Refused: 5}, "3 were not sold", ""},
		"some is held still":             {7, 3, Verified{Reservations: 10, Held: 3, Refused: 5}, "3 hold it still", ""},
		"refused for nothing":            {7, 0, Verified{Reservations: 7, Refused: 5}, "", "only 7 were sold"},
		"sold twice":                     {11, 0, Verified{Reservations: 11, Refused: 5}, "", "11 units were sold"},
	} {
		v := one.verified
		test := &test{config: Config{Stock: 10}}
		test.checkSale(one.sold, make([]*hold, one.live), &v)
		violations := strings.Join(v.Violations, "\n")
		if !strings.Contains(v.Unproven, one.unproven) || (v.Unproven == "") != (one.unproven == "") {
			t.Errorf("%s: unproven is %q, want %q", name, v.Unproven, one.unproven)
		}
		if !strings.Contains(violations, one.violated) || (violations == "") != (one.violated == "") {
			t.Errorf("%s: violations are %q, want %q", name, violations, one.violated)
		}
	}
}
