package loadtest

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// However the rate goes, n requests have come when the n-th is due, and all of them within the time.
func TestArrivalsFollowTheRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shape := rapid.SampledFrom(Shapes()).Draw(t, "shape")
		rate := rapid.Float64Range(1, 1e5).Draw(t, "rate")
		from := rapid.Float64Range(0, 1e5).Draw(t, "from")
		steps := rapid.IntRange(1, 20).Draw(t, "steps")
		length := time.Duration(rapid.Int64Range(int64(100*time.Millisecond), int64(time.Hour)).Draw(t, "length"))
		s, err := newSchedule(shape, from, rate, steps, length)
		if err != nil {
			t.Fatal(err)
		}
		all := s.arrivals()
		if _, ok := s.at(all * 1.0001); ok {
			t.Fatalf("more than the %v that should come", all)
		}
		last := time.Duration(0)
		for _, share := range []float64{0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.999} {
			n := all * share
			due, ok := s.at(n)
			if !ok || due < last || due > length+time.Millisecond {
				t.Fatalf("arrival %v of %v is due at %v, after %v of %v", n, all, due, last, length)
			}
			last = due
			if came := cameBy(s, due); math.Abs(came-n) > 1e-6*all+rateNear(s, due)*1e-8+1e-6 {
				t.Fatalf("when arrival %v is due, %v have come", n, came)
			}
		}
	})
}

// cameBy adds up the rate until a time, a little at a time where it changes.
func cameBy(s *schedule, until time.Duration) (n float64) {
	left := until.Seconds()
	for _, p := range s.stretches {
		t := math.Min(left, p.length)
		n += t * (p.from + (p.from + (p.to-p.from)*t/p.length)) / 2
		if left -= t; left <= 0 {
			break
		}
	}
	return n
}

func rateNear(s *schedule, t time.Duration) float64 {
	return math.Max(s.rateAt(t), s.rateAt(t-time.Millisecond)) + 1
}

func TestShapes(t *testing.T) {
	for _, c := range []struct {
		shape Shape
		at    map[time.Duration]float64
	}{
		{Constant, map[time.Duration]float64{0: 100, 9 * time.Second: 100}},
		{Ramp, map[time.Duration]float64{0: 10, 5 * time.Second: 55}},
		{Steps, map[time.Duration]float64{0: 10, 1900 * time.Millisecond: 10, 2100 * time.Millisecond: 32.5, 9 * time.Second: 100}},
		{Spike, map[time.Duration]float64{3 * time.Second: 10, 5 * time.Second: 100, 7 * time.Second: 10}},
	} {
		s, err := newSchedule(c.shape, 10, 100, 5, 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		for at, want := range c.at {
			if got := s.rateAt(at); math.Abs(got-want) > 1e-9 {
				t.Errorf("%s: the rate after %v is %v, want %v", c.shape, at, got, want)
			}
		}
		if got := s.rateAt(11 * time.Second); got != 0 {
			t.Errorf("%s: the rate after its end is %v", c.shape, got)
		}
	}
	if _, err := newSchedule("wave", 1, 1, 1, time.Second); err == nil {
		t.Error("a shape that there is not was taken")
	}
}
