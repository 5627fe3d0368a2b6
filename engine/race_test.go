//go:build race

package engine_test

// The race detector makes checks and checkpoints of the many empty slots ten times as slow, and needs fewer rounds to find
// what it looks for.
const raceDetector = true
