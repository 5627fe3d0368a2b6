package engine_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"onhand/engine"
	"onhand/engine/enginetest"
	"onhand/engine/internal/clock"
)

// moment is a disk as it was found after the power went.
type moment struct {
	disk     *vfs.MemFS
	at       string // the operation that was about to begin
	unsynced int
	ledger   view
	passed   time.Duration // on the clock
}

// crasher pulls the plug before operations on a disk, rare kinds of them as surely as frequent ones, and keeps what is
// left behind. The engine itself goes on.
type crasher struct {
	ledger *ledger
	passed func() time.Duration
	limit  int

	mu      sync.Mutex
	r       *rand.Rand
	disk    *vfs.MemFS
	taken   map[string]int // by kind of operation
	moments []moment
}

func (c *crasher) before(op errorfs.Op) error {
	if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
		return nil
	}
	// Numbers in names make no difference.
	at := fmt.Sprintf("operation %d on %s", op.Kind, strings.TrimRight(strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, op.Path), "-"))
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := c.taken[at]; len(c.moments) >= c.limit || n >= 6 || c.r.IntN(1+n*n*n) != 0 {
		return nil
	}
	c.taken[at]++
	m := moment{at: at, unsynced: []int{0, 50, 100}[c.r.IntN(3)], passed: c.passed()}
	// What is answered before the plug is pulled must be there; what is asked after it can't be.
	m.ledger.answered = c.ledger.answers()
	m.disk = enginetest.Crash(c.disk, m.unsynced, rand.New(rand.NewPCG(c.r.Uint64(), 0)))
	m.ledger.asked = c.ledger.questions()
	c.moments = append(c.moments, m)
	return nil
}

// TestNothingAcknowledgedIsLostInACrash pulls the plug at random moments while several callers, checkpoints, trims and
// backups are at work, and again while what is left is recovered. Run more of it with -enginetest.scale.
func TestNothingAcknowledgedIsLostInACrash(t *testing.T) {
	t.Parallel()
	r := enginetest.Rand(t)
	for round := range rounds(3) {
		crashWhileAtWork(t, rand.New(rand.NewPCG(r.Uint64(), 0)), round%2 == 0)
		if t.Failed() {
			return
		}
	}
}

// rounds is enginetest.Times, but for a third of it under the race detector.
func rounds(n int) int {
	if raceDetector {
		n = max(1, n/3)
	}
	return enginetest.Times(n)
}

func crashWhileAtWork(t *testing.T, r *rand.Rand, trimming bool) {
	options := engine.Options{CheckpointBytes: 1 << 16}
	if trimming {
		options.RetentionAge = 1
	}
	db := enginetest.Open(t, options)
	l := newLedger(3, r)
	elapsed := func() time.Duration { return time.Duration(db.Clock.Wall() - enginetest.Start.UnixNano()) }
	c := &crasher{ledger: l, passed: elapsed, limit: 30, r: r, disk: db.Disk, taken: map[string]int{}}
	db.BeforeDisk(c.before)
	stop := l.keepAsking(t, db.Engine)
	for n := range 6 {
		l.allow(t, 40)
		db.Clock.Advance(2 * time.Second)
		var err error
		if n%3 == 2 {
			_, err = db.Backup(io.Discard)
		} else {
			err = db.Checkpoint()
		}
		if err != nil {
			t.Error(err)
		}
	}
	stop()
	db.BeforeDisk(nil)
	if len(c.moments) < 20 {
		t.Errorf("only %d crashes", len(c.moments))
	}
	// In any order, so that none is always the one that is recovered twice.
	r.Shuffle(len(c.moments), func(i, j int) { c.moments[i], c.moments[j] = c.moments[j], c.moments[i] })
	for i, m := range c.moments {
		if i%5 == 0 {
			for _, again := range m.crashAgain(t, options, r) {
				again.verify(t, options)
			}
		}
		m.verify(t, options)
		if t.Failed() {
			return
		}
	}
}

// verify recovers a disk and holds what is there against the ledger.
func (m *moment) verify(t *testing.T, options engine.Options) {
	t.Helper()
	if m.unsynced != 50 { // what is recovered is checked in any case
		enginetest.Check(t, m.disk, options)
	}
	db := enginetest.OpenOn(t, m.disk, options)
	db.Clock.Advance(m.passed)
	m.ledger.verify(t, db)
	db.Close()
	if t.Failed() {
		t.Logf("the power went before %s, with %d %% of what was not synced kept", m.at, m.unsynced)
	}
}

// crashAgain pulls the plug while a disk is recovered.
func (m *moment) crashAgain(t *testing.T, options engine.Options, r *rand.Rand) []moment {
	t.Helper()
	disk := enginetest.Crash(m.disk, 100, r)
	c := &crasher{ledger: &ledger{}, passed: func() time.Duration { return m.passed }, limit: 2, r: r, disk: disk, taken: map[string]int{}}
	options.FS = errorfs.Wrap(disk, errorfs.InjectorFunc(c.before))
	options.Clock = clock.NewManual(enginetest.Start.Add(m.passed))
	e, err := engine.Open(enginetest.Dir, options)
	if err != nil {
		t.Errorf("open after a crash before %s: %v", m.at, err)
		return nil
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	for i := range c.moments {
		again := &c.moments[i]
		again.ledger, again.at = m.ledger, m.at+", and again before "+again.at
	}
	return c.moments
}
