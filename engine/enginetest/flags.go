package enginetest

import (
	"flag"
	"math/rand/v2"
	"testing"
)

var (
	seed  = flag.Uint64("enginetest.seed", 0, "seed of the randomised tests; 0 = another one each time")
	scale = flag.Int("enginetest.scale", 1, "how many times as long as usual randomised tests run")
)

// Rand returns a source of randomness whose seed is told if the test fails.
func Rand(t testing.TB) *rand.Rand {
	t.Helper()
	s := *seed
	if s == 0 {
		s = rand.Uint64()
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the seed was %d: -enginetest.seed=%d", s, s)
		}
	})
	return rand.New(rand.NewPCG(s, 0))
}

// Times returns how often a randomised test should repeat what it usually does n times.
func Times(n int) int {
	if testing.Short() {
		n = max(1, n/5)
	}
	return n * *scale
}
