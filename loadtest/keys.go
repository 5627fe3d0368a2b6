package loadtest

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// newKeys returns a drawer of numbers below n. "uniform" draws each as often as the others; "zipf:S" draws the k-th in
// proportion to (1+k)^-S, so that few are drawn often, and most hardly ever.
func newKeys(distribution string, n int, r *rand.Rand) (func() int, error) {
	if distribution == "uniform" || n == 1 {
		return func() int { return r.IntN(n) }, nil
	}
	text, ok := strings.CutPrefix(distribution, "zipf:")
	s, err := strconv.ParseFloat(text, 64)
	if !ok || err != nil || !(s > 1 && s <= 10) {
		return nil, fmt.Errorf("keys is %q, want uniform, or zipf:S with S above 1 and at most 10, such as zipf:1.1", distribution)
	}
	z := rand.NewZipf(r, s, 1, uint64(n-1))
	return func() int { return int(z.Uint64()) }, nil
}
