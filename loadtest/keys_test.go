package loadtest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// Key k is drawn in proportion to (1+k)^-s: those at the head one by one, and the tail in all.
func TestZipfKeys(t *testing.T) {
	const draws = 300_000
	for _, s := range []float64{0.2, 0.5, 0.99, 1, 1.0000001, 1.1, 1.5, 3} {
		for _, n := range []int{1, 2, 100, 100_000} {
			draw, err := newKeys(fmt.Sprint("zipf:", s), n, rand.New(rand.NewPCG(1, 2)))
			if err != nil {
				t.Fatal(err)
			}
			counts := make([]int, n)
			for range draws {
				counts[draw()]++
			}
			var all float64
			for k := range n {
				all += math.Pow(float64(1+k), -s)
			}
			see := func(from, to int) {
				var want float64
				got := 0
				for k := from; k < to; k++ {
					want += math.Pow(float64(1+k), -s) / all
					got += counts[k]
				}
				// Five standard deviations of a count, and one draw for where hardly any is expected.
				if off := math.Abs(float64(got) - want*draws); off > 5*math.Sqrt(want*(1-want)*draws)+1 {
					t.Errorf("zipf:%v of %d keys: %d of %d draws were of keys %d to %d, want %.0f", s, n, got, draws, from, to-1, want*draws)
				}
			}
			for k := range min(n, 10) {
				see(k, k+1)
			}
			for from := 10; from < n; from *= 10 {
				see(from, min(from*10, n))
			}
			see(n-1, n)
		}
	}
}

func TestKeysThatThereAreNot(t *testing.T) {
	for _, wrong := range []string{"", "zipf", "zipf:0", "zipf:-1", "zipf:x", "zipf:NaN", "zipf:11", "normal"} {
		for _, n := range []int{1, 10} {
			if _, err := newKeys(wrong, n, nil); err == nil {
				t.Errorf("keys %q of %d were taken", wrong, n)
			}
		}
	}
}

// What it costs to draw a key: it is part of what the loader takes for a request.
func BenchmarkKeys(b *testing.B) {
	for _, distribution := range []string{uniform, "zipf:0.99", "zipf:1.1"} {
		b.Run(distribution, func(b *testing.B) {
			draw, err := newKeys(distribution, 1_000_000, rand.New(rand.NewPCG(1, 2)))
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				draw()
			}
		})
	}
}
