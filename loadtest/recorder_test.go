package loadtest

import (
	"math"
	"testing"
	"time"
)

// A rate is that of the time in which requests were due: neither the warm-up nor what is answered behind the last request
// makes it another one.
func TestARateIsThatOfTheTimeInWhichRequestsWereDue(t *testing.T) {
	c := Config{Warmup: time.Second, Duration: 3 * time.Second}
	seconds := make(chan *second, 100)
	r := newRecorder(0, &c, seconds)
	// Ten a second, each answered 50 ms later but those of the last second, which are answered after two.
	var answers []*job
	for i := range 30 {
		j := &job{op: opRead, due: time.Duration(i) * 100 * time.Millisecond}
		j.warm = j.due < c.Warmup
		r.due(j)
		answers = append(answers, j)
	}
	for _, j := range answers {
		after := 50 * time.Millisecond
		if j.due >= 2*time.Second {
			after = 2 * time.Second
		}
		r.answered(j, j.due+after, false)
	}
	result := &Result{Config: c, Seconds: make([]Second, 5)}
	result.sum([]*recorder{r}, 5*time.Second)
	if result.Total.OK != 20 || result.Offered != 20 || result.Total.Rate != 5 {
		t.Errorf("%d of %d, %v a second; want 20 of 20, and 10 in two seconds", result.Total.OK, result.Offered, result.Total.Rate)
	}
	for i, want := range []int64{10, 10, 10, 0, 0} {
		if got := result.Seconds[i].Offered; got != want {
			t.Errorf("%d were due in second %d, want %d", got, i, want)
		}
	}
	// One that was stopped in the midst of it has the rate of the time that it had.
	short := &Result{Config: c}
	short.sum([]*recorder{r}, 2*time.Second)
	if math.Abs(short.Total.Rate-10) > 1e-9 {
		t.Errorf("%v a second, want 10", short.Total.Rate)
	}
}
