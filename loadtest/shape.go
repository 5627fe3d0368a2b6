package loadtest

import (
	"fmt"
	"math"
	"time"
)

// Shape says how the rate goes over time.
type Shape string

// Shapes.
const (
	Constant Shape = "constant" // the rate, all the time
	Ramp     Shape = "ramp"     // from From to Rate, evenly
	Steps    Shape = "steps"    // from From to Rate in as many steps as asked for
	Spike    Shape = "spike"    // From, with Rate for the middle fifth of the time
)

// Shapes lists all.
func Shapes() []Shape { return []Shape{Constant, Ramp, Steps, Spike} }

// stretch is a time in which the rate changes evenly.
type stretch struct {
	length   float64 // s
	from, to float64 // requests/s
}

// schedule gives each arrival its time.
type schedule struct {
	stretches []stretch
}

// newSchedule lays out a shape over a length of time.
func newSchedule(shape Shape, from, rate float64, steps int, length time.Duration) (*schedule, error) {
	s := length.Seconds()
	switch shape {
	case Constant:
		return &schedule{[]stretch{{s, rate, rate}}}, nil
	case Ramp:
		return &schedule{[]stretch{{s, from, rate}}}, nil
	case Steps:
		all := &schedule{}
		for i := range steps {
			r := rate
			if steps > 1 {
				r = from + (rate-from)*float64(i)/float64(steps-1)
			}
			all.stretches = append(all.stretches, stretch{s / float64(steps), r, r})
		}
		return all, nil
	case Spike:
		return &schedule{[]stretch{{s * 2 / 5, from, from}, {s / 5, rate, rate}, {s * 2 / 5, from, from}}}, nil
	}
	return nil, fmt.Errorf("shape is %q, want one of %v", shape, Shapes())
}

// arrivals returns how many arrive in all.
func (s *schedule) arrivals() float64 {
	var n float64
	for _, p := range s.stretches {
		n += p.length * (p.from + p.to) / 2
	}
	return n
}

// rateAt returns the rate at a time, requests/s; 0 outside.
func (s *schedule) rateAt(t time.Duration) float64 {
	at := t.Seconds()
	for _, p := range s.stretches {
		if at < p.length {
			return p.from + (p.to-p.from)*at/p.length
		}
		at -= p.length
	}
	return 0
}

// at returns when the n-th arrival is due; n need not be whole. ok is false where there are fewer.
//
// In a stretch, from·t + (to−from)/(2·length)·t² have arrived after t; what is solved here is that, for t, in the form that
// does not lose its digits where from and to are nearly the same.
func (s *schedule) at(n float64) (t time.Duration, ok bool) {
	var before float64
	for _, p := range s.stretches {
		within := p.length * (p.from + p.to) / 2
		if n >= within {
			n, before = n-within, before+p.length
			continue
		}
		a := (p.to - p.from) / (2 * p.length)
		root := math.Sqrt(math.Max(p.from*p.from+4*a*n, 0))
		if p.from+root == 0 {
			return time.Duration(before * 1e9), true
		}
		return time.Duration((before + 2*n/(p.from+root)) * 1e9), true
	}
	return 0, false
}
