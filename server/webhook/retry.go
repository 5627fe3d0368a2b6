package webhook

import (
	"math/rand/v2"
	"time"
)

// RetryFor is how long an event is sent again, from its first attempt.
const RetryFor = 72 * time.Hour

// pauses are those between attempts, the last of which repeats.
var pauses = []time.Duration{
	5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 12 * time.Hour,
}

// pauseMax is the longest that a receiver can ask for.
const pauseMax = 24 * time.Hour

// pause returns how long to wait after so many attempts in vain, a tenth more or less, and no less than the receiver asked for.
func pause(attempts int, asked time.Duration) time.Duration {
	d := pauses[min(max(attempts, 1), len(pauses))-1]
	d += time.Duration((rand.Float64()*0.2 - 0.1) * float64(d))
	return max(d, min(asked, pauseMax))
}
