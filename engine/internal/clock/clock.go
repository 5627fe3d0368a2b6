// Package clock is engine time: the one clock by which deadlines are set and kept.
//
// Engine time follows the wall clock, but never jumps with it. Between adjustments it advances with the monotonic
// clock, so setting the wall clock (by hand, by NTP, by a resumed virtual machine) neither expires holds in one stroke
// nor revives any; the difference is worked off at no more than 1/16 of real time, in either direction. It never runs
// backwards, across restarts either: it starts at the later of the wall clock and the last engine time on record.
package clock

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Source is where Clock reads time: System in production, Manual in tests.
type Source interface {
	// Monotonic returns nanoseconds since some fixed moment; it never goes back.
	Monotonic() int64
	// Read returns the wall clock, in nanoseconds since 1970-01-01 UTC, and the monotonic one, both at the same instant.
	Read() (wall, monotonic int64)
}

// slewUnit is the denominator of the rate correction and slewMax its largest numerator: 64/1024 = 1/16. Fast enough
// to work off a second in a quarter of a minute, slow enough that a 15-minute hold is never shortened by a minute.
const (
	slewUnit = 1024
	slewMax  = 64
)

// Clock is engine time. Now is safe for concurrent use and waits for nothing but a line being drawn.
type Clock struct {
	source Source
	// mu serialises Discipline.
	mu sync.Mutex
	// anchor is nil while Discipline draws the next line.
	anchor atomic.Pointer[anchor]
}

// anchor is a point on the line that engine time follows, and the line's slope.
type anchor struct {
	monotonic, engine int64
	slew              int64 // engine time gains slew/slewUnit on the monotonic clock
}

func (a *anchor) at(monotonic int64) int64 {
	d := monotonic - a.monotonic
	// The rest is slewed too: if it were not, engine time would step back at each whole unit while it is slowed down.
	return a.engine + d + d/slewUnit*a.slew + d%slewUnit*a.slew/slewUnit
}

// New returns a clock that starts at the later of the wall clock and last, the latest engine time on record.
func New(source Source, last int64) *Clock {
	c := &Clock{source: source}
	wall, monotonic := source.Read()
	c.anchor.Store(&anchor{monotonic: monotonic, engine: max(wall, last)})
	return c
}

// Now returns engine time, in nanoseconds since 1970-01-01 UTC.
func (c *Clock) Now() int64 {
	for {
		if a := c.anchor.Load(); a != nil {
			now := a.at(c.source.Monotonic())
			// A reader that was held up would answer from a line that is no longer followed, with a time that others may
			// have yet to reach. That the line still stands says that it stood when the source was read.
			if c.anchor.Load() == a {
				return now
			}
		}
		runtime.Gosched()
	}
}

// Discipline compares engine time with the wall clock and sets the rate that works the difference off. It returns the
// difference, wall minus engine. Call it a few times a second.
func (c *Clock) Discipline() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := c.anchor.Swap(nil)
	wall, monotonic := c.source.Read()
	engine := last.at(monotonic)
	offset := wall - engine
	// A difference below 1/16 of a second is worked off in about a second, a larger one at the full rate.
	slew := min(max(offset/(int64(time.Second)/slewUnit), -slewMax), slewMax)
	c.anchor.Store(&anchor{monotonic: monotonic, engine: engine, slew: slew})
	return time.Duration(offset)
}

// System is the machine's clock.
type System struct{ start time.Time }

// NewSystem returns the machine's clock.
func NewSystem() System { return System{start: time.Now()} }

// Monotonic implements Source.
func (s System) Monotonic() int64 { return int64(time.Since(s.start)) }

// Read implements Source.
func (s System) Read() (wall, monotonic int64) {
	now := time.Now()
	return now.UnixNano(), int64(now.Sub(s.start))
}

// Manual is a clock moved by hand.
type Manual struct {
	mu        sync.Mutex // held while the clocks move, so that nobody reads one before and the other after
	wall      int64
	monotonic atomic.Int64
}

// NewManual returns a clock that stands at wall.
func NewManual(wall time.Time) *Manual {
	return &Manual{wall: wall.UnixNano()}
}

// Monotonic implements Source.
func (m *Manual) Monotonic() int64 { return m.monotonic.Load() }

// Wall returns the wall clock, in nanoseconds since 1970-01-01 UTC.
func (m *Manual) Wall() int64 {
	wall, _ := m.Read()
	return wall
}

// Read implements Source.
func (m *Manual) Read() (wall, monotonic int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.wall, m.monotonic.Load()
}

// Advance lets time pass.
func (m *Manual) Advance(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wall += int64(d)
	m.monotonic.Add(int64(d))
}

// Jump sets the wall clock forward, or back, without time passing.
func (m *Manual) Jump(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wall += int64(d)
}
