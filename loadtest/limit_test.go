package loadtest_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"onhand/loadtest"
)

// What one trial still holds, since it holds for long, is not held against the server in the next.
func TestHoldsOfOneTrialAreNotThoseOfTheNext(t *testing.T) {
	t.Parallel()
	c := config(serve(t), loadtest.Reserve)
	c.Rate, c.Commit, c.Release, c.Hold = 150, 0, 0, 10*time.Minute
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var trials int
	r, err := loadtest.FindLimit(ctx, c, time.Hour, loadtest.Watcher{}, func(loadtest.Trial) {
		if trials++; trials == 3 {
			cancel()
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if v := r.Verified; trials != 3 || v.ViolationCount != 0 || v.Held == 0 {
		t.Errorf("after %d trials: %d holds live, violations %q", trials, v.Held, v.Violations)
	}
	for _, one := range r.Limit.Trials {
		if !one.OK {
			t.Errorf("%.0f/s: %s", one.Rate, one.Why)
		}
	}
}

// A trial that measures next to nothing proves nothing: the search does not begin with one.
func TestASearchMeasuresAP99InEachTrial(t *testing.T) {
	c := config("http://127.0.0.1:1", loadtest.Read)
	for rate, poisson := range map[float64]bool{2: false, 99: false, 199: true} {
		c.Rate, c.Poisson = rate, poisson
		if _, err := loadtest.FindLimit(t.Context(), c, time.Second, loadtest.Watcher{}, nil); err == nil || !strings.Contains(err.Error(), "has to measure a p99") {
			t.Errorf("at %v/s: %v", rate, err)
		}
	}
}
