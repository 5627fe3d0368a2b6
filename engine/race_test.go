//go:build race

package engine_test

import "flag"

// The race detector makes checks and checkpoints of the many empty slots ten times as slow, and needs fewer rounds to find
// what it looks for.
const raceDetector = true

// So do histories drawn at random: without it a hundred are drawn, as rapid has it, with it fewer, unless -rapid.checks says how many.
func init() {
	if err := flag.Set("rapid.checks", "12"); err != nil {
		panic(err)
	}
}
