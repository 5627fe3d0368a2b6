package engine_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"onhand/engine"
	"onhand/engine/enginetest"
	"onhand/engine/internal/clock"
)

// fault is a disk operation that fails.
type fault struct {
	name  string
	fails func(errorfs.Op) bool
	err   error
}

func on(suffix string, kinds ...errorfs.OpKind) func(errorfs.Op) bool {
	return func(op errorfs.Op) bool {
		for _, k := range kinds {
			if op.Kind == k && strings.HasSuffix(op.Path, suffix) {
				return true
			}
		}
		return false
	}
}

// faulty is an engine on a disk that can be made to fail. Its Fatal comes back, as that of a program must not.
type faulty struct {
	*engine.Engine
	disk  *vfs.MemFS
	fault atomic.Pointer[fault]
	fatal chan error
}

func openFaulty(t *testing.T, disk *vfs.MemFS) *faulty {
	t.Helper()
	f := &faulty{disk: disk, fatal: make(chan error, 100)}
	e, err := engine.Open(enginetest.Dir, f.options())
	if err != nil {
		t.Fatal(err)
	}
	f.Engine = e
	return f
}

func (f *faulty) options() engine.Options {
	return engine.Options{
		FS: errorfs.Wrap(f.disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if now := f.fault.Load(); now != nil && now.fails(op) {
				return now.err
			}
			return nil
		})),
		Clock: clock.NewManual(enginetest.Start),
		Fatal: func(err error) { f.fatal <- err },
	}
}

// TestAFailedWriteIsAcknowledgedToNobody has the disk fail while callers are at work: all of them are told that the
// engine has stopped, no read shows what they were not told, and what they were told is on the disk.
func TestAFailedWriteIsAcknowledgedToNobody(t *testing.T) {
	t.Parallel()
	r := enginetest.Rand(t)
	for _, c := range []fault{
		{"log sync", enginetest.IsJournalSync, errorfs.ErrInjected},
		{"log write", on(".log", errorfs.OpFileWrite), errorfs.ErrInjected},
		{"log write on a full disk", on(".log", errorfs.OpFileWrite), syscall.ENOSPC},
		{"mark write", on("MARK", errorfs.OpFileWriteAt), syscall.EIO},
	} {
		r := rand.New(rand.NewPCG(r.Uint64(), 0))
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := openFaulty(t, enginetest.NewDisk())
			l := newLedger(4, r)
			var callers sync.WaitGroup
			for _, caller := range l.callers {
				callers.Go(func() {
					for l.step(caller, f.Engine) {
						if l.answered() >= 100 {
							f.fault.Store(&c)
						}
					}
				})
			}
			callers.Wait()
			f.hasStopped(t, c.err)
			v := view{l.questions(), l.answers()}
			for _, unsynced := range []int{0, 50, 100} {
				disk := enginetest.Crash(f.disk, unsynced, rand.New(rand.NewPCG(r.Uint64(), 0)))
				enginetest.Check(t, disk, engine.Options{})
				v.verify(t, enginetest.OpenOn(t, disk, engine.Options{}))
			}
		})
	}
}

// hasStopped looks at an engine that can no longer keep its promises.
func (f *faulty) hasStopped(t *testing.T, cause error) {
	t.Helper()
	select {
	case <-f.Failed():
	case <-time.After(time.Minute):
		t.Fatal("Failed is not closed")
	}
	if err := <-f.fatal; err == nil || !strings.Contains(err.Error(), cause.Error()) {
		t.Errorf("Fatal was told %v, want what the disk said: %v", err, cause)
	}
	// That the disk works again changes nothing.
	f.fault.Store(nil)
	appended, _ := f.Digest()
	units := int64(1)
	_, adjusted := f.Adjust(&engine.Adjustment{Lines: []engine.Line{{SKU: "lamp", Location: "lyon", Quantity: 1}}, Reason: "receipt"})
	_, set := f.SetStock(&engine.SetStockRequest{SKU: "lamp", Location: "lyon", OnHand: &units})
	_, reserved := f.Reserve(&engine.ReserveRequest{Lines: one("lamp", "lyon")})
	_, located := f.PutLocation(engine.Location{ID: "oslo", Name: "Oslo"}, "")
	for _, err := range []error{adjusted, set, reserved, located} {
		if !errors.Is(err, engine.ErrStopped) {
			t.Errorf("a write after it has stopped: %v", err)
		}
	}
	if after, _ := f.Digest(); after != appended {
		t.Errorf("changes %d to %d were made after it had stopped", appended+1, after)
	}
	for _, sku := range ledgerSKUs {
		for _, location := range ledgerStores {
			if c, err := f.Availability(sku, location); err == nil && c.Sequence > f.Durable() {
				t.Errorf("%+v is shown, and changes up to %d are durable", c, f.Durable())
			} else if err != nil && !errors.Is(err, engine.ErrStopped) {
				t.Errorf("%s at %s: %v", sku, location, err)
			}
		}
	}
	err := f.Changes(0, func(c *engine.Change) error {
		if c.Sequence > f.Durable() {
			t.Errorf("the feed has change %d, durable is %d", c.Sequence, f.Durable())
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if err := f.Checkpoint(); err == nil && appended > f.Durable() {
		t.Error("it wrote a checkpoint of what is not durable")
	}
	if err := f.Close(); !errors.Is(err, engine.ErrStopped) {
		t.Errorf("close: %v", err)
	}
	if n := len(f.fatal); n != 0 {
		t.Errorf("Fatal was called %d times more: %v", n, <-f.fatal)
	}
}

// TestAFailedCheckpointStopsNothing: the journal is kept, callers are served, and the next checkpoint is a good one.
func TestAFailedCheckpointStopsNothing(t *testing.T) {
	t.Parallel()
	for _, c := range []fault{
		{"create", on(".ckpt.tmp", errorfs.OpCreate), errorfs.ErrInjected},
		{"write", on(".ckpt.tmp", errorfs.OpFileWrite), syscall.ENOSPC},
		{"sync", on(".ckpt.tmp", errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo), syscall.EIO},
		{"rename", on(".ckpt.tmp", errorfs.OpRename), errorfs.ErrInjected},
		{"directory sync", on("checkpoints", errorfs.OpFileSync), errorfs.ErrInjected},
		{"removal of an old one", on(".ckpt", errorfs.OpRemove), errorfs.ErrInjected},
		{"listing", on("checkpoints", errorfs.OpList), errorfs.ErrInjected},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := openFaulty(t, enginetest.NewDisk())
			l := newLedger(1, rand.New(rand.NewPCG(1, 2)))
			work := func() {
				for range 10 {
					if !l.step(l.callers[0], f.Engine) {
						t.Fatal("the engine has stopped")
					}
				}
			}
			work()
			before := 1
			if strings.HasPrefix(c.name, "removal") {
				before = 2
			}
			for range before {
				if err := f.Checkpoint(); err != nil {
					t.Fatal(err)
				}
				work()
			}
			f.fault.Store(&c)
			if err := f.Checkpoint(); !errors.Is(err, c.err) {
				t.Errorf("checkpoint: %v, want %v", err, c.err)
			}
			work()
			// The power may go now as at any time.
			v := view{l.questions(), l.answers()}
			disk := enginetest.Crash(f.disk, 0, nil)
			enginetest.Check(t, disk, engine.Options{})
			v.verify(t, enginetest.OpenOn(t, disk, engine.Options{}))

			f.fault.Store(nil)
			if err := f.Checkpoint(); err != nil {
				t.Errorf("the next checkpoint: %v", err)
			}
			last, _ := f.Digest()
			if have := f.CheckpointStats(); have.End != last {
				t.Errorf("the next checkpoint is of %+v, the state is of %d", have, last)
			}
			if err := f.Close(); err != nil || len(f.fatal) > 0 {
				t.Errorf("close: %v, %d fatal", err, len(f.fatal))
			}
			db := enginetest.OpenOn(t, f.disk, engine.Options{})
			if names, err := f.disk.List(enginetest.Dir + "/checkpoints"); err != nil || len(names) != 2 {
				t.Errorf("checkpoints after a restart: %v, %v", names, err)
			}
			v.verify(t, db)
		})
	}
}

// TestAFailedBackupStopsNothing: whoever asked for it is told, and can ask again.
func TestAFailedBackupStopsNothing(t *testing.T) {
	t.Parallel()
	for _, c := range []fault{
		{"no checkpoint can be written", on(".ckpt.tmp", errorfs.OpFileWrite), syscall.ENOSPC},
		{"the checkpoint can't be opened", on(".ckpt", errorfs.OpOpen), errorfs.ErrInjected},
		{"the checkpoint can't be read", on(".ckpt", errorfs.OpFileRead), errorfs.ErrInjected},
		{"where it goes is full", nil, syscall.ENOSPC},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := openFaulty(t, enginetest.NewDisk())
			l := newLedger(1, rand.New(rand.NewPCG(1, 2)))
			for range 20 {
				l.step(l.callers[0], f.Engine)
			}
			var to io.Writer = io.Discard
			if c.fails == nil {
				to = &full{room: 300, err: c.err}
			} else {
				f.fault.Store(&c)
			}
			if _, err := f.Backup(to); !errors.Is(err, c.err) {
				t.Errorf("backup: %v, want %v", err, c.err)
			}
			if !l.step(l.callers[0], f.Engine) || len(f.fatal) > 0 {
				t.Error("the engine has stopped")
			}
			f.fault.Store(nil)
			var archive bytes.Buffer
			if _, err := f.Backup(&archive); err != nil {
				t.Errorf("the next backup: %v", err)
			}
			disk := enginetest.NewDisk()
			if _, _, err := engine.Restore(enginetest.Dir, &archive, engine.Options{FS: disk}); err != nil {
				t.Error(err)
			}
			v := view{l.questions(), l.answers()}
			v.verify(t, enginetest.OpenOn(t, disk, engine.Options{}))
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// full is where a backup goes that has too little room.
type full struct {
	room int
	err  error
}

func (w *full) Write(p []byte) (int, error) {
	if w.room -= len(p); w.room < 0 {
		return 0, w.err
	}
	return len(p), nil
}

// endsPebble reports whether Pebble panics when an operation fails, and so ends the process, as it should: it no longer
// knows which of its files count.
func endsPebble(op errorfs.Op) bool {
	return op.Kind == errorfs.OpFileSync && strings.HasSuffix(op.Path, "/pebble")
}

// TestAFaultOnOpeningLosesNothing has one disk operation after another fail while a database is opened. It may not open,
// but it must say so, and once the disk is in order everything is there.
func TestAFaultOnOpeningLosesNothing(t *testing.T) {
	t.Parallel()
	f := openFaulty(t, enginetest.NewDisk())
	l := newLedger(1, rand.New(rand.NewPCG(3, 4)))
	for n := range 60 {
		l.step(l.callers[0], f.Engine)
		if n == 40 {
			if err := f.Checkpoint(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	v := view{l.questions(), l.answers()}
	r := enginetest.Rand(t)
	opened, refused := 0, 0
	for n := int64(0); opened == 0; n += 1 + r.Int64N(8) {
		g := &faulty{disk: enginetest.Crash(f.disk, 0, nil), fatal: make(chan error, 100)}
		var operations atomic.Int64
		failed := make(chan errorfs.Op, 1)
		g.fault.Store(&fault{"", func(op errorfs.Op) bool {
			if endsPebble(op) || operations.Add(1) != n+1 {
				return false
			}
			failed <- op
			return true
		}, syscall.EIO})
		done := make(chan error, 1)
		go func() {
			e, err := engine.Open(enginetest.Dir, g.options())
			if err == nil {
				err = e.Close()
			}
			done <- err
		}()
		select {
		case err := <-done:
			if err != nil {
				refused++
			}
		case <-g.fatal:
			refused++
		}
		select {
		case op := <-failed:
			t.Logf("operation %d on %s failed", op.Kind, op.Path)
		default:
			opened++ // there were not that many operations
		}
		disk := enginetest.Crash(g.disk, 0, nil)
		db := enginetest.OpenOn(t, disk, engine.Options{})
		v.verify(t, db)
		db.Close()
		if t.Failed() {
			return
		}
	}
	if refused == 0 {
		t.Error("whatever failed, it opened")
	}
}

// TestAnAlmostFullDiskRefusesWrites: what was promised is kept and can be read; nothing more is promised until there is
// room.
func TestAnAlmostFullDiskRefusesWrites(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	db := enginetest.Open(t, engine.Options{})
	setOnHand(t, db, "lamp", "lyon", 5)
	id := engine.ID{15: 1}
	held := reserve(t, db, engine.ReserveRequest{ID: id, Lines: one("lamp", "lyon"), Key: "k", ExpiresIn: time.Minute})
	before, digest := db.Digest()

	db.Disk.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 100 * mib, TotalBytes: 1024 * mib, UsedBytes: 924 * mib})
	db.WatchDisk()
	units := int64(9)
	writes := map[string]func() error{
		"set": func() error {
			_, err := db.SetStock(&engine.SetStockRequest{SKU: "lamp", Location: "lyon", OnHand: &units})
			return err
		},
		"reserve": func() error { _, err := db.Reserve(&engine.ReserveRequest{Lines: one("lamp", "lyon")}); return err },
		"adjust": func() error {
			_, err := db.Adjust(&engine.Adjustment{Lines: one("lamp", "lyon"), Reason: "receipt", Key: "a"})
			return err
		},
		"commit":   func() error { _, err := db.Commit(&engine.FinishRequest{ID: id}); return err },
		"release":  func() error { _, err := db.Release(&engine.FinishRequest{ID: id}); return err },
		"extend":   func() error { _, err := db.Extend(id, time.Hour, time.Time{}, ""); return err },
		"sku":      func() error { _, err := db.PutSKU(engine.SKU{ID: "rug"}, ""); return err },
		"location": func() error { _, err := db.PutLocation(engine.Location{ID: "rome", Name: "Roma"}, ""); return err },
		"import": func() error {
			im, err := db.BeginImport("i", engine.ImportSet, false)
			if err != nil {
				return err
			}
			_, err = im.Apply(nil, []engine.ImportRow{{SKU: "lamp", Location: "lyon", OnHand: &units}})
			_, closed := im.Close()
			return errors.Join(err, closed)
		},
	}
	for name, write := range writes {
		if err := write(); !errors.Is(err, engine.ErrDiskFull) {
			t.Errorf("%s on a full disk: %v", name, err)
		}
	}
	if s, d := db.Digest(); s != before || d != digest {
		t.Errorf("refused writes have changed the state: it is at %d, was at %d", s, before)
	}
	if c, err := db.Availability("lamp", "lyon"); err != nil || c.Available != 4 {
		t.Errorf("read on a full disk: %+v, %v", c, err)
	}
	again, err := db.Reserve(&engine.ReserveRequest{ID: id, Lines: one("lamp", "lyon"), Key: "k", ExpiresIn: time.Minute})
	if answer(again, err) != answer(held, nil) {
		t.Errorf("the retry of a request that was carried out: %+v, %v", again, err)
	}

	db.Disk.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 200 * mib, TotalBytes: 1024 * mib, UsedBytes: 824 * mib})
	db.WatchDisk()
	for _, name := range []string{"adjust", "commit", "import", "sku", "location"} {
		if err := writes[name](); err != nil {
			t.Errorf("%s once there is room: %v", name, err)
		}
	}
}

// TestAFullDiskIsRefusedOnOpening: the database is left as it is, and opens once there is room.
func TestAFullDiskIsRefusedOnOpening(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	db := enginetest.Open(t, engine.Options{})
	setOnHand(t, db, "lamp", "lyon", 5)
	db.Close()
	db.Disk.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 100 * mib, TotalBytes: 1024 * mib, UsedBytes: 924 * mib})
	_, err := engine.Open(enginetest.Dir, engine.Options{FS: db.Disk})
	if !errors.Is(err, engine.ErrDiskFull) || !strings.Contains(err.Error(), "make room") {
		t.Errorf("open on a full disk: %v", err)
	}
	// A check writes nothing.
	enginetest.Check(t, db.Disk, engine.Options{})
	again := enginetest.OpenOn(t, enginetest.Crash(db.Disk, 0, nil), engine.Options{})
	if c, err := again.Availability("lamp", "lyon"); err != nil || c.OnHand != 5 {
		t.Errorf("%+v, %v", c, err)
	}
}
