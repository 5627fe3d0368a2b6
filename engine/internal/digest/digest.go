// Package digest sums up a set of facts in 64 bits, so that two states can be compared without comparing their parts:
// the live one and its backup, a checkpoint and the replay that follows it. A fact is mixed from its numbers; the
// digest of a set is the sum of its facts, modulo 2⁶⁴, and so does not depend on their order and can be kept up to date
// by subtracting a fact and adding the one that takes its place.
//
// It guards against error, not against malice. Its values are stored: it must not change.
package digest

import "math/bits"

// Seed begins a fact. Each kind of fact has a seed of its own, so that equal numbers of two kinds differ.
type Seed uint64

// The kinds of facts.
const (
	Cell        Seed = 0x9E3779B97F4A7C15
	Reservation Seed = 0xBF58476D1CE4E5B9
	Record      Seed = 0xD6E8FEB86659FD93
)

const multiplier = 0xA0761D6478BD642F // the first of wyhash's primes

// Mix adds a number to a fact.
func Mix(fact, number uint64) uint64 {
	hi, lo := bits.Mul64(fact^multiplier, number^0xE7037ED1A0B428DB)
	return hi ^ lo ^ fact
}
