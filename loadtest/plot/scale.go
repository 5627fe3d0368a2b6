package plot

import (
	"fmt"
	"math"
	"strings"
)

// scale places values along an axis.
type scale struct {
	low, high float64 // values at the ends
	from, to  float64 // where these are drawn
	log       bool
	ticks     []Tick
}

func (s *scale) has(v float64) bool {
	return !math.IsNaN(v) && !math.IsInf(v, 0) && (!s.log || v > 1e-12 && v < 1e18)
}

func (s *scale) at(v float64) float64 {
	low, high := s.low, s.high
	if s.log {
		low, high, v = math.Log10(low), math.Log10(high), math.Log10(v)
	}
	return s.from + (s.to-s.from)*(v-low)/(high-low)
}

// scale fits an axis around its values.
func (c *Chart) scale(a *Axis, values func(*Line) []float64) *scale {
	s := &scale{low: math.Inf(1), high: math.Inf(-1), log: a.Log}
	for i := range c.Lines {
		for _, v := range values(&c.Lines[i]) {
			if s.has(v) {
				s.low, s.high = math.Min(s.low, v), math.Max(s.high, v)
			}
		}
	}
	if s.low > s.high { // nothing to draw
		s.low, s.high = 1, 10
	}
	for _, t := range a.Ticks {
		s.low, s.high = math.Min(s.low, t.Value), math.Max(s.high, t.Value)
	}
	if a.Zero && !a.Log {
		s.low = math.Min(s.low, 0)
	}
	if s.low == s.high {
		if s.log {
			s.low, s.high = s.low/2, s.high*2
		} else {
			s.high += math.Max(math.Abs(s.high), 1)
		}
	}
	switch {
	case a.Ticks != nil:
		s.ticks = a.Ticks
	case a.Log:
		s.logTicks()
	default:
		s.evenTicks(a == &c.Y)
	}
	return s
}

// evenTicks marks about five round values. A scale that may grow ends at such a value.
func (s *scale) evenTicks(grow bool) {
	step := math.Pow(10, math.Floor(math.Log10((s.high-s.low)/5)))
	for _, by := range []float64{2, 2.5, 2} { // 1, 2, 5, 10
		if (s.high-s.low)/step > 6 {
			step *= by
		}
	}
	first := math.Ceil(s.low/step - 1e-9)
	if grow {
		first = math.Floor(s.low/step + 1e-9)
		s.low = first * step
		s.high = math.Ceil(s.high/step-1e-9) * step
	}
	for i := first; i*step <= s.high+step*1e-9; i++ {
		v := i*step + 0 // −0 is 0
		s.ticks = append(s.ticks, Tick{v, Number(v)})
	}
}

// logTicks marks powers of ten, and 2 and 5 times these where there are few; where there are many, only every so many.
func (s *scale) logTicks() {
	s.low = roundDown(s.low)
	s.high = roundUp(s.high)
	decades := math.Log10(s.high / s.low)
	every := max(math.Ceil(decades/8), 1)
	for e := math.Floor(math.Log10(s.low) + 1e-9); e <= math.Log10(s.high)+1e-9; e += every {
		for _, m := range []float64{1, 2, 5} {
			v := m * math.Pow(10, e)
			if m > 1 && decades > 2.5 || v < s.low*(1-1e-9) || v > s.high*(1+1e-9) {
				continue
			}
			s.ticks = append(s.ticks, Tick{v, Number(v)})
		}
	}
}

// roundDown and roundUp return the next 1, 2 or 5 times a power of ten.
func roundDown(v float64) float64 {
	base := math.Pow(10, math.Floor(math.Log10(v)+1e-9))
	for _, m := range []float64{5, 2} {
		if v >= m*base*(1-1e-9) {
			return m * base
		}
	}
	return base
}

func roundUp(v float64) float64 {
	base := math.Pow(10, math.Floor(math.Log10(v)+1e-9))
	for _, m := range []float64{1, 2, 5} {
		if v <= m*base*(1+1e-9) {
			return m * base
		}
	}
	return 10 * base
}

// Number writes a number as briefly as three digits that count allow, thousands as k and millions as M.
func Number(v float64) string {
	unit := ""
	switch a := math.Abs(v); {
	case a >= 999.5e6:
		v, unit = v/1e9, "G"
	case a >= 999.5e3:
		v, unit = v/1e6, "M"
	case a >= 9999.5:
		v, unit = v/1e3, "k"
	}
	text := fmt.Sprintf("%.3g", v)
	if math.Abs(v) >= 1000 {
		text = fmt.Sprintf("%.0f", v)
	}
	if strings.Contains(text, "e") {
		return fmt.Sprintf("%.1e", v)
	}
	return text + unit
}
