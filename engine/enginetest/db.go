// Package enginetest is what the engine's tests stand on: an engine on a clock that is moved by hand and a disk that can
// crash, which is checked from end to end whenever a test closes it, and a runner for scripts in plain text (script.go).
package enginetest

import (
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"onhand/engine"
	"onhand/engine/internal/clock"
)

// Dir is where on its disk a DB lies.
const Dir = "db"

// Start is what every clock shows at first: a Monday, nine o'clock.
var Start = time.Date(2026, time.March, 2, 9, 0, 0, 0, time.UTC)

// DB is an engine under test. Its methods are for one goroutine; the engine's own are for any.
type DB struct {
	*engine.Engine
	Clock *clock.Manual
	Disk  *vfs.MemFS

	t       testing.TB
	options engine.Options
	before  atomic.Pointer[func(errorfs.Op) error]
	failed  atomic.Bool
	closed  bool
}

// Open opens a new database. It is closed, and checked, when the test ends. Clock and FS are the DB's own.
func Open(t testing.TB, options engine.Options) *DB {
	t.Helper()
	return OpenOn(t, NewDisk(), options)
}

// OpenOn is Open with a disk that may hold a database already.
func OpenOn(t testing.TB, disk *vfs.MemFS, options engine.Options) *DB {
	t.Helper()
	db := &DB{Clock: clock.NewManual(Start), t: t, options: options}
	db.open(disk)
	t.Cleanup(db.Close)
	return db
}

// NewDisk returns an empty disk that can crash. It has room for a database but not for the journal's reserve, which would
// cost every test the time to write 64 MiB.
func NewDisk() *vfs.MemFS { return withRoom(vfs.NewCrashableMem()) }

func withRoom(disk *vfs.MemFS) *vfs.MemFS {
	const mib = 1 << 20
	disk.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 200 * mib, TotalBytes: 1024 * mib, UsedBytes: 824 * mib})
	return disk
}

// Crash returns what a disk may hold after the power went: all that was synced, and of the rest each block with a
// probability of unsynced percent.
func Crash(disk *vfs.MemFS, unsynced int, r *rand.Rand) *vfs.MemFS {
	return withRoom(disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: unsynced, RNG: r}))
}

func (db *DB) open(disk *vfs.MemFS) {
	db.t.Helper()
	o := db.optionsOn(disk)
	if o.Fatal == nil {
		o.Fatal = func(err error) {
			db.failed.Store(true)
			db.t.Errorf("the engine has stopped: %v", err)
		}
	}
	e, err := engine.Open(Dir, o)
	if err != nil {
		db.t.Fatalf("open: %v", err)
	}
	db.Disk, db.Engine, db.closed = disk, e, false
}

func (db *DB) optionsOn(disk *vfs.MemFS) engine.Options {
	o := db.options
	o.Clock = db.Clock
	o.FS = errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if before := db.before.Load(); before != nil {
			return (*before)(op)
		}
		return nil
	}))
	return o
}

// BeforeDisk has f called before everything that the engine does to its disk, by whichever goroutine does it. The
// operation fails where f does. Nil ends that.
func (db *DB) BeforeDisk(f func(errorfs.Op) error) {
	if f == nil {
		db.before.Store(nil)
		return
	}
	db.before.Store(&f)
}

// HoldSyncs keeps the journal from becoming durable until release is called.
func (db *DB) HoldSyncs() (release func()) {
	held := make(chan struct{})
	db.BeforeDisk(func(op errorfs.Op) error {
		if IsJournalSync(op) {
			<-held
		}
		return nil
	})
	return sync.OnceFunc(func() {
		db.BeforeDisk(nil)
		close(held)
	})
}

// IsJournalSync reports whether an operation makes a block of the journal durable.
func IsJournalSync(op errorfs.Op) bool {
	switch op.Kind {
	case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
		return strings.HasSuffix(op.Path, ".log")
	}
	return false
}

// Close closes the engine and checks what it leaves behind. It does nothing where that is done already.
func (db *DB) Close() {
	db.t.Helper()
	if db.closed {
		return
	}
	db.closed = true
	sequence, digest := db.Digest()
	if err := db.Engine.Close(); err != nil && !db.failed.Load() {
		db.t.Errorf("close: %v", err)
	}
	if db.failed.Load() {
		return
	}
	report := Check(db.t, db.Disk, db.options)
	if report != nil && (report.Last != sequence || report.Digest != digest) {
		db.t.Errorf("the database ends at %d in state %016x; before it was closed that was %d, %016x",
			report.Last, report.Digest, sequence, digest)
	}
}

// Check checks the database on a disk, which no engine has open, and fails the test on every finding.
func Check(t testing.TB, disk vfs.FS, options engine.Options) *engine.CheckReport {
	t.Helper()
	options.FS = disk
	if options.Clock == nil {
		options.Clock = clock.NewManual(Start)
	}
	report, err := engine.Check(Dir, options)
	if err != nil {
		t.Errorf("check: %v", err)
	}
	return report
}

// Restart closes the engine, checks it, and opens it again; its state must be the same.
func (db *DB) Restart() {
	db.t.Helper()
	sequence, digest := db.Digest()
	db.Close()
	db.open(db.Disk)
	if s, d := db.Digest(); s != sequence || d != digest {
		db.t.Fatalf("after a restart the state is %016x at %d; it was %016x at %d", d, s, digest, sequence)
	}
}

// Crash goes on with what the disk may hold if the power goes now (see the function Crash), once that was checked.
func (db *DB) Crash(unsynced int, r *rand.Rand) {
	db.t.Helper()
	disk := Crash(db.Disk, unsynced, r)
	db.abandon()
	Check(db.t, disk, db.options)
	db.open(disk)
}

// abandon closes an engine whose database is of no further interest.
func (db *DB) abandon() {
	db.closed = true
	_ = db.Engine.Close()
}

// Settle waits until everything that the engine did is durable, what nobody waits for included.
func (db *DB) Settle() {
	db.t.Helper()
	sequence, _ := db.Digest()
	if reached, err := db.WaitSequence(sequence, time.Minute); err != nil || !reached {
		db.t.Fatalf("change %d is not durable: %v", sequence, err)
	}
}

// Sweep ends every reservation whose deadline has passed, as the engine's sweeper does in its own time.
func (db *DB) Sweep() {
	db.t.Helper()
	// Whoever reads a reservation that is due ends it first.
	for cursor := (engine.ReservationCursor{}); !cursor.Done(); {
		var err error
		if _, cursor, err = db.Reservations(engine.ReservationFilter{State: engine.Held}, cursor, 1000); err != nil {
			db.t.Fatalf("sweep: %v", err)
		}
	}
	db.Settle()
}

// Pass lets time pass, and the sweeper catch up with it.
func (db *DB) Pass(d time.Duration) {
	db.t.Helper()
	db.Clock.Advance(d)
	db.Sweep()
}
