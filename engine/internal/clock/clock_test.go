package clock

import (
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

var start = time.Date(2026, time.March, 2, 9, 0, 0, 0, time.UTC)

// pass lets time pass as the engine does: disciplined four times a second.
func pass(c *Clock, m *Manual, d time.Duration) {
	for step := 250 * time.Millisecond; d > 0; d -= step {
		m.Advance(min(step, d))
		c.Discipline()
	}
}

func TestEngineTimeFollowsTheWallClock(t *testing.T) {
	m := NewManual(start)
	c := New(m, 0)
	for range 100 {
		if c.Now() != m.Wall() {
			t.Fatalf("engine time is %d, the wall clock shows %d", c.Now(), m.Wall())
		}
		m.Advance(777 * time.Millisecond)
		if offset := c.Discipline(); offset != 0 {
			t.Fatalf("they are %v apart", offset)
		}
	}
}

// TestAJumpForwardDoesNotExpireHoldsEnMasse sets the wall clock a day ahead: a hold of 15 minutes still has at least 14.
func TestAJumpForwardDoesNotExpireHoldsEnMasse(t *testing.T) {
	m := NewManual(start)
	c := New(m, 0)
	deadline := c.Now() + int64(15*time.Minute)
	m.Jump(24 * time.Hour)
	before := c.Now()
	if before >= deadline {
		t.Fatal("the hold expired with the jump")
	}
	if offset := c.Discipline(); offset != 24*time.Hour {
		t.Errorf("the difference is %v", offset)
	}
	if c.Now() != before {
		t.Errorf("engine time moved by %v as it was disciplined", time.Duration(c.Now()-before))
	}
	pass(c, m, 14*time.Minute)
	if c.Now() >= deadline {
		t.Errorf("after 14 minutes the hold is %v past its deadline", time.Duration(c.Now()-deadline))
	}
	pass(c, m, time.Minute)
	if c.Now() < deadline {
		t.Error("the hold outlived its deadline")
	}
}

// TestAJumpBackRevivesNoHold sets the wall clock a day back: what had expired stays so, and time goes on.
func TestAJumpBackRevivesNoHold(t *testing.T) {
	m := NewManual(start)
	c := New(m, 0)
	pass(c, m, time.Minute)
	deadline := c.Now()
	m.Jump(-24 * time.Hour)
	last := c.Now()
	for range 1000 {
		pass(c, m, 250*time.Millisecond)
		now := c.Now()
		if now <= last || now < deadline {
			t.Fatalf("engine time went from %d to %d; the deadline was %d", last, now, deadline)
		}
		// No slower than 15/16, so no hold lasts longer than 16 minutes for 15.
		if gained := now - last; gained < int64(250*time.Millisecond)*15/16 {
			t.Fatalf("in 250 ms engine time gained %v", time.Duration(gained))
		}
		last = now
	}
}

// TestADifferenceIsWorkedOff, at no more than 1/16 of real time, and then stays away.
func TestADifferenceIsWorkedOff(t *testing.T) {
	for _, jump := range []time.Duration{time.Second, -time.Second, 20 * time.Millisecond, -20 * time.Millisecond, time.Minute} {
		m := NewManual(start)
		c := New(m, 0)
		m.Jump(jump)
		pass(c, m, 17*max(jump, -jump)+10*time.Second)
		if offset := c.Discipline().Abs(); offset > time.Millisecond {
			t.Errorf("jump of %v: still %v apart", jump, offset)
		}
		pass(c, m, time.Minute)
		if offset := c.Discipline().Abs(); offset > time.Millisecond {
			t.Errorf("jump of %v: later %v apart again", jump, offset)
		}
	}
}

// TestEngineTimeNeverRunsBackwards, whatever happens to the wall clock, across restarts too, and never departs from real
// time by more than 1/16.
func TestEngineTimeNeverRunsBackwards(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		m := NewManual(start)
		c := New(m, 0)
		last, since := c.Now(), m.Monotonic()
		for range rapid.IntRange(1, 60).Draw(r, "steps") {
			switch rapid.IntRange(0, 5).Draw(r, "what") {
			case 0:
				m.Jump(time.Duration(rapid.Int64Range(-int64(48*time.Hour), int64(48*time.Hour)).Draw(r, "jump")))
			case 1:
				c = New(m, last)
				if c.Now() != max(last, m.Wall()) {
					r.Fatalf("restarted at %d; on record was %d, the wall clock shows %d", c.Now(), last, m.Wall())
				}
				last, since = c.Now(), m.Monotonic()
			case 2:
				c.Discipline()
			default:
				m.Advance(time.Duration(rapid.Int64Range(0, int64(20*time.Second)).Draw(r, "passes")))
			}
			now, passed := c.Now(), m.Monotonic()-since
			gained := now - last
			if gained < 0 || gained < passed-passed/16-slewUnit || gained > passed+passed/16+slewUnit {
				r.Fatalf("in %v engine time gained %v", time.Duration(passed), time.Duration(gained))
			}
			last, since = now, m.Monotonic()
		}
	})
}

// TestNoNanosecondRunsBackwards follows engine time nanosecond by nanosecond while it is slowed down, and while it is sped up.
func TestNoNanosecondRunsBackwards(t *testing.T) {
	for _, jump := range []time.Duration{-time.Hour, time.Hour, -time.Millisecond, 7 * time.Millisecond} {
		m := NewManual(start)
		c := New(m, 0)
		m.Jump(jump)
		c.Discipline()
		last := c.Now()
		for range 4 * slewUnit {
			m.Advance(1)
			now := c.Now()
			if now < last || now > last+2 {
				t.Fatalf("after a jump of %v engine time gained %d ns in one", jump, now-last)
			}
			last = now
		}
	}
}

// TestARestartBeforeTheTimeOnRecordWaitsForTheWallClock: engine time goes on from the record, a little slower.
func TestARestartBeforeTheTimeOnRecordWaitsForTheWallClock(t *testing.T) {
	m := NewManual(start)
	last := start.Add(10 * time.Second).UnixNano()
	c := New(m, last)
	if c.Now() != last {
		t.Errorf("engine time is %d, on record is %d", c.Now(), last)
	}
	pass(c, m, 3*time.Minute)
	if offset := c.Discipline().Abs(); offset > time.Millisecond {
		t.Errorf("still %v apart", offset)
	}
}

// interrupting is a source on which something happens each time that someone is about to read it.
type interrupting struct {
	*Manual
	before func()
}

func (i *interrupting) Monotonic() int64 {
	if f := i.before; f != nil {
		i.before = nil
		f()
	}
	return i.Manual.Monotonic()
}

// TestAReaderThatIsHeldUpSeesNoLaterTime: a reader that has seen how time runs, and is stopped while that is changed, must
// not answer with a time that others have yet to reach.
func TestAReaderThatIsHeldUpSeesNoLaterTime(t *testing.T) {
	source := &interrupting{Manual: NewManual(start)}
	c := New(source, 0)
	source.Jump(time.Hour)
	c.Discipline() // engine time runs fast now
	source.before = func() {
		source.Jump(-2 * time.Hour)
		c.Discipline() // and slowly from here on
		source.Advance(time.Second)
	}
	heldUp := c.Now()
	if now := c.Now(); now < heldUp {
		t.Errorf("engine time ran back by %v", time.Duration(heldUp-now))
	}
}

// TestTimeRunsForwardForEveryone reads the clock in many goroutines while the wall clock is thrown about.
func TestTimeRunsForwardForEveryone(t *testing.T) {
	m := NewManual(start)
	c := New(m, 0)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	var mu sync.Mutex
	seen := int64(0)
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				mu.Lock()
				floor := seen
				mu.Unlock()
				now := c.Now()
				if now < floor {
					t.Errorf("engine time is %v behind what another has seen", time.Duration(floor-now))
					return
				}
				mu.Lock()
				seen = max(seen, now)
				mu.Unlock()
			}
		})
	}
	for i := range 3000 {
		m.Advance(time.Millisecond)
		if i%3 == 0 {
			m.Jump(time.Duration(1-i%2*2) * time.Hour)
		}
		c.Discipline()
	}
	close(stop)
	wg.Wait()
}

// TestTimeThatPassesWhileItIsReadIsNoDifference: the wall clock and the monotonic one are compared as of one instant.
func TestTimeThatPassesWhileItIsReadIsNoDifference(t *testing.T) {
	m := NewManual(start)
	c := New(m, 0)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				m.Advance(time.Millisecond)
			}
		}
	}()
	for range 2000 {
		if offset := c.Discipline(); offset != 0 {
			t.Errorf("they are %v apart", offset)
			break
		}
	}
	close(stop)
	<-stopped
}

// TestTheSystemClockIsTheMachines, in a bubble where the machine's clock is known.
func TestTheSystemClockIsTheMachines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSystem()
		c := New(s, math.MinInt64)
		wall, monotonic := s.Read()
		if wall != time.Now().UnixNano() || c.Now() != wall {
			t.Errorf("the wall clock shows %d, engine time is %d, want %d", wall, c.Now(), time.Now().UnixNano())
		}
		time.Sleep(90 * time.Second)
		later, passed := s.Read()
		if d := later - wall; d != int64(90*time.Second) {
			t.Errorf("the wall clock moved by %v", time.Duration(d))
		}
		if d := passed - monotonic; d != s.Monotonic()-monotonic || d != int64(90*time.Second) {
			t.Errorf("the monotonic clock moved by %v", time.Duration(d))
		}
		if offset := c.Discipline(); offset != 0 || c.Now() != later {
			t.Errorf("engine time is %v off", offset)
		}
	})
}
