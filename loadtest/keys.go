package loadtest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
)

// uniform draws each key as often as the others.
const uniform = "uniform"

// newKeys returns a drawer of numbers below n. "uniform" draws each as often as the others; "zipf:S" draws the k-th in
// proportion to (1+k)^-S, so that few are drawn often, and most hardly ever.
func newKeys(distribution string, n int, r *rand.Rand) (func() int, error) {
	if distribution == uniform {
		return func() int { return r.IntN(n) }, nil
	}
	text, ok := strings.CutPrefix(distribution, "zipf:")
	s, err := strconv.ParseFloat(text, 64)
	if !ok || err != nil || !(s > 0 && s <= 10) {
		return nil, fmt.Errorf("keys is %q, want uniform, or zipf:S with S above 0 and at most 10, such as zipf:0.99", distribution)
	}
	z := newZipf(n, s)
	return func() int { return z.draw(r) - 1 }, nil
}

// zipf draws k of 1 … n in proportion to k^-s, for any s above 0, by rejection-inversion: W. Hörmann and G. Derflinger,
// "Rejection-Inversion to Generate Variates from Monotone Discrete Distributions", ACM Transactions on Modeling and Computer
// Simulation 6 (3), 1996. The distribution's continuous counterpart is inverted, and few draws are rejected; there is no table
// of n entries, which every thread would have. rand.Zipf is the same method for s above 1 only, where n may be infinite;
// YCSB's usual value is 0.99.
type zipf struct {
	n, s float64
	// first and last are the integral at the ends: less 1, the share of k = 1, before 1.5; and at n + 0.5.
	first, last float64
	// near is how close behind a draw its whole number must be to be taken without a further look.
	near float64
}

func newZipf(n int, s float64) *zipf {
	z := &zipf{n: float64(n), s: s}
	z.first, z.last = z.integral(1.5)-1, z.integral(z.n+0.5)
	z.near = 2 - z.inverse(z.integral(2.5)-z.density(2))
	return z
}

func (z *zipf) draw(r *rand.Rand) int {
	for {
		u := z.last + r.Float64()*(z.first-z.last)
		x := z.inverse(u)
		k := math.Min(math.Max(math.Floor(x+0.5), 1), z.n) // rounding may lead a little beyond
		if k-x <= z.near || u >= z.integral(k+0.5)-z.density(k) {
			return int(k)
		}
	}
}

// density is x^-s.
func (z *zipf) density(x float64) float64 { return math.Exp(-z.s * math.Log(x)) }

// integral is that of density from 1: (x^(1-s) - 1) / (1-s), and log x for s = 1, in a form that keeps its digits near it.
func (z *zipf) integral(x float64) float64 {
	log := math.Log(x)
	if t := (1 - z.s) * log; t != 0 {
		return math.Expm1(t) / t * log
	}
	return log
}

// inverse is that of integral.
func (z *zipf) inverse(y float64) float64 {
	t := math.Max(y*(1-z.s), -1) // less only by rounding
	if t != 0 {
		return math.Exp(math.Log1p(t) / t * y)
	}
	return math.Exp(y)
}
