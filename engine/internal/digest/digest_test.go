package digest

import (
	"testing"

	"pgregory.net/rapid"
)

// TestDigestsDoNotChange pins values that are stored in checkpoints and backups.
func TestDigestsDoNotChange(t *testing.T) {
	for _, c := range []struct {
		seed    Seed
		numbers []uint64
		want    uint64
	}{
		{Cell, nil, 0x9E3779B97F4A7C15},
		{Cell, []uint64{0}, 0xE1778CA8015B559E},
		{Cell, []uint64{1, 2, 3}, 0x780DA3EA98F6F413},
		{Reservation, []uint64{1, 2, 3}, 0xE99E33067CE6461B},
		{Record, []uint64{1<<64 - 1, 1 << 63}, 0x1275C281EF93A2BE},
	} {
		got := uint64(c.seed)
		for _, n := range c.numbers {
			got = Mix(got, n)
		}
		if got != c.want {
			t.Errorf("%#x with %v: %#016x, want %#016x", uint64(c.seed), c.numbers, got, c.want)
		}
	}
}

// TestADigestTellsFactsApart changes one number of a fact, or swaps two, or takes another kind: the digest differs.
func TestADigestTellsFactsApart(t *testing.T) {
	fact := func(seed Seed, numbers []uint64) uint64 {
		f := uint64(seed)
		for _, n := range numbers {
			f = Mix(f, n)
		}
		return f
	}
	small := rapid.OneOf(rapid.Uint64Range(0, 20), rapid.Uint64())
	rapid.Check(t, func(r *rapid.T) {
		numbers := rapid.SliceOfN(small, 1, 6).Draw(r, "numbers")
		before := fact(Cell, numbers)
		if before == fact(Reservation, numbers) || before == fact(Record, numbers) {
			r.Error("two kinds of fact have one digest")
		}
		if before == fact(Cell, append(numbers[:len(numbers):len(numbers)], 0)) {
			r.Error("a number more makes no difference")
		}
		i := rapid.IntRange(0, len(numbers)-1).Draw(r, "changed")
		changed := append([]uint64(nil), numbers...)
		changed[i] = small.Draw(r, "to")
		if changed[i] != numbers[i] && fact(Cell, changed) == before {
			r.Errorf("%v and %v have one digest", numbers, changed)
		}
		j := rapid.IntRange(0, len(numbers)-1).Draw(r, "swapped")
		swapped := append([]uint64(nil), numbers...)
		swapped[i], swapped[j] = swapped[j], swapped[i]
		if swapped[i] != numbers[i] && fact(Cell, swapped) == before {
			r.Errorf("%v and %v have one digest", numbers, swapped)
		}
	})
}

func TestEveryBitOfANumberMakesADifference(t *testing.T) {
	seen := map[uint64]bool{Mix(uint64(Cell), 0): true}
	for bit := range 64 {
		f := Mix(uint64(Cell), 1<<bit)
		if seen[f] {
			t.Errorf("bit %d: the digest is that of another number", bit)
		}
		seen[f] = true
	}
}
