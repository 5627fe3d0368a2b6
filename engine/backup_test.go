package engine_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"path"
	"runtime"
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

func restore(disk vfs.FS, archive []byte) (*engine.BackupManifest, *engine.CheckReport, error) {
	return engine.Restore(enginetest.Dir, bytes.NewReader(archive), engine.Options{FS: disk, Clock: clock.NewManual(enginetest.Start)})
}

// backedUp returns a backup of a database with a bit of everything, and the digest of its state.
func backedUp(t testing.TB) (archive []byte, digest uint64) {
	t.Helper()
	db := enginetest.Open(t, engine.Options{})
	l := newLedger(1, rand.New(rand.NewPCG(8, 9)))
	for n := range 20 {
		l.step(l.callers[0], db.Engine)
		if n == 20 {
			if err := db.Checkpoint(); err != nil {
				t.Fatal(err)
			}
		}
	}
	var to bytes.Buffer
	if _, err := db.Backup(&to); err != nil {
		t.Fatal(err)
	}
	_, digest = db.Digest()
	db.Close()
	return to.Bytes(), digest
}

// TestABackupIsTakenWhileWritersGoOn restores backups that were taken while callers were at work: what was answered
// before a backup began is in it, and what was asked only after it had ended is not.
func TestABackupIsTakenWhileWritersGoOn(t *testing.T) {
	t.Parallel()
	db := enginetest.Open(t, engine.Options{})
	l := newLedger(3, enginetest.Rand(t))
	stop := l.keepAsking(t, db.Engine)
	type taken struct {
		archive  bytes.Buffer
		manifest *engine.BackupManifest
		ledger   view
	}
	var backups [3]taken
	for i := range backups {
		b := &backups[i]
		l.allow(t, 60)
		b.ledger.answered = l.answers()
		var err error
		if b.manifest, err = db.Backup(&b.archive); err != nil {
			t.Error(err)
		}
		b.ledger.asked = l.questions()
	}
	stop()
	for i := range backups {
		b := &backups[i]
		disk := enginetest.NewDisk()
		m, report, err := restore(disk, b.archive.Bytes())
		if err != nil {
			t.Errorf("backup %d: %v", i, err)
			continue
		}
		if *m != *b.manifest || report.Last < m.Sequence {
			t.Errorf("backup %d was %+v and is restored as %+v, up to %d", i, b.manifest, m, report.Last)
		}
		b.ledger.verify(t, enginetest.OpenOn(t, disk, engine.Options{}))
	}

	var archive bytes.Buffer
	m, err := db.Backup(&archive)
	if err != nil {
		t.Fatal(err)
	}
	disk := enginetest.NewDisk()
	if _, _, err := restore(disk, archive.Bytes()); err != nil {
		t.Fatal(err)
	}
	// The power may go once the restore has answered.
	restored := enginetest.OpenOn(t, enginetest.Crash(disk, 0, nil), engine.Options{})
	sequence, digest := db.Digest()
	if s, d := restored.Digest(); s != sequence || d != digest || m.Sequence != sequence {
		t.Errorf("the backup of %d, state %016x, is restored as %d, %016x", sequence, digest, s, d)
	}
}

// TestABackupWaitsForWhatItIsOf has a change come in, and not become durable yet, between the checkpoint and the rest of a
// backup. The manifest speaks of the state with that change, so the journal in the archive must have it.
func TestABackupWaitsForWhatItIsOf(t *testing.T) {
	t.Parallel()
	db := enginetest.Open(t, engine.Options{})
	setOnHand(t, db, "lamp", "lyon", 5)
	held := make(chan struct{})
	release := sync.OnceFunc(func() { close(held) })
	defer release()
	changed := make(chan error, 1)
	var once sync.Once
	db.BeforeDisk(func(op errorfs.Op) error {
		if enginetest.IsJournalSync(op) {
			<-held
		}
		// Old checkpoints are looked for once the new one is there.
		if op.Kind == errorfs.OpList && strings.HasSuffix(op.Path, "checkpoints") {
			once.Do(func() {
				before, _ := db.Digest()
				go func() {
					_, err := db.Adjust(&engine.Adjustment{Lines: one("lamp", "lyon"), Reason: "receipt"})
					changed <- err
				}()
				for now := before; now == before; now, _ = db.Digest() {
					runtime.Gosched()
				}
				time.AfterFunc(50*time.Millisecond, release)
			})
		}
		return nil
	})
	var archive bytes.Buffer
	m, err := db.Backup(&archive)
	release()
	if err := errors.Join(err, <-changed); err != nil {
		t.Fatal(err)
	}
	db.BeforeDisk(nil)
	if sequence, _ := db.Digest(); m.Sequence != sequence {
		t.Fatalf("the backup is of %d, the change made %d", m.Sequence, sequence)
	}
	if _, report, err := restore(enginetest.NewDisk(), archive.Bytes()); err != nil || report.Last < m.Sequence {
		t.Errorf("%+v, %v", report, err)
	}
}

// TestADamagedBackupIsRefused flips bits and cuts ends off. What is refused leaves nothing that could be taken for a
// database; where the damage is in what fills the archive up, the very same state is restored.
func TestADamagedBackupIsRefused(t *testing.T) {
	t.Parallel()
	r := enginetest.Rand(t)
	archive, digest := backedUp(t)
	try := func(what string, at int, damaged []byte) {
		t.Helper()
		disk := enginetest.NewDisk()
		_, report, err := restore(disk, damaged)
		if err != nil {
			isNoDatabase(t, disk)
		} else if report.Digest != digest {
			t.Errorf("%s at byte %d of %d is not noticed", what, at, len(archive))
		}
	}
	for range rounds(60) {
		at := r.IntN(len(archive))
		damaged := bytes.Clone(archive)
		damaged[at] ^= 1 << r.IntN(8)
		try("a flipped bit", at, damaged)
	}
	for range rounds(20) {
		at := r.IntN(len(archive))
		try("a cut", at, archive[:at])
	}

	// In the parts that hold data no byte is without a meaning.
	for _, name := range []string{"checkpoint", "journal-000000"} {
		at := 0
		for !bytes.HasPrefix(archive[at:], append([]byte(name), 0)) {
			at += 512
		}
		for n := range 20 {
			damaged := bytes.Clone(archive)
			damaged[at+512+n] ^= 1 << r.IntN(8)
			disk := enginetest.NewDisk()
			if _, _, err := restore(disk, damaged); err == nil {
				t.Errorf("a flipped bit in byte %d of %s is not noticed", n, name)
			}
			isNoDatabase(t, disk)
		}
	}
}

// isNoDatabase looks at what a failed restore has left: it must not open, and not be overwritten either.
func isNoDatabase(t testing.TB, disk vfs.FS) {
	t.Helper()
	e, err := engine.Open(enginetest.Dir, engine.Options{FS: disk, Clock: clock.NewManual(enginetest.Start)})
	if err == nil {
		t.Errorf("what a failed restore left opens as a database")
		_ = e.Close()
	} else if !strings.Contains(err.Error(), "restore") {
		t.Errorf("what a failed restore left does not say so: %v", err)
	}
}

// TestAManifestOfAnotherBackupIsRefused: every part is whole, but they do not belong together.
func TestAManifestOfAnotherBackupIsRefused(t *testing.T) {
	t.Parallel()
	archive, _ := backedUp(t)
	for _, c := range []struct{ from, to string }{
		{`"digest": "`, `"digest": "0`}, {`"sequence": `, `"sequence": 1`}, {`"sequence": `, `"sequence":-`},
		{`"checkpoint_start": `, `"checkpoint_start": 1`}, {`"format": 1`, `"format": 2`}, {`"created"`, `"cheated"`},
	} {
		at := bytes.LastIndex(archive, []byte(c.from))
		if at < 0 {
			t.Fatal(c.from)
		}
		// The line's length stays, so that the archive is as good as before.
		line := archive[at : at+bytes.IndexByte(archive[at:], '\n')]
		text := strings.Replace(string(line), c.from, c.to, 1)
		if n := len(text) - len(line); n > 0 {
			end := strings.TrimRight(text, "\",")
			text = end[:len(end)-n] + text[len(end):]
		}
		damaged := bytes.Clone(archive)
		copy(damaged[at:], text)
		disk := enginetest.NewDisk()
		if _, _, err := restore(disk, damaged); err == nil {
			t.Errorf("%s became %s and is restored", line, text)
		}
		isNoDatabase(t, disk)
	}
}

// TestARestoreTouchesNoOtherFiles: a database in use, above all, is not written over.
func TestARestoreTouchesNoOtherFiles(t *testing.T) {
	t.Parallel()
	archive, _ := backedUp(t)
	db := enginetest.Open(t, engine.Options{})
	setOnHand(t, db, "lamp", "lyon", 5)
	if _, _, err := restore(db.Disk, archive); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("restore over a database: %v", err)
	}
	db.Restart()
	if c, err := db.Availability("lamp", "lyon"); err != nil || c.OnHand != 5 {
		t.Errorf("after that it has %+v, %v", c, err)
	}
}

// TestAnEmptyDatabaseCanBeBackedUp: it is the first backup of many an installation.
func TestAnEmptyDatabaseCanBeBackedUp(t *testing.T) {
	t.Parallel()
	db := enginetest.Open(t, engine.Options{})
	var archive bytes.Buffer
	m, err := db.Backup(&archive)
	if err != nil || m.Sequence != 0 {
		t.Fatalf("%+v, %v", m, err)
	}
	disk := enginetest.NewDisk()
	if _, _, err := restore(disk, archive.Bytes()); err != nil {
		t.Fatal(err)
	}
	restored := enginetest.OpenOn(t, disk, engine.Options{})
	have, want := setOnHand(t, restored, "lamp", "lyon", 5), setOnHand(t, db, "lamp", "lyon", 5)
	if answer(have) != answer(want) {
		t.Errorf("the first change is %+v, it would have been %+v", have, want)
	}
	restored.Restart()
}

// TestFrequentBackupsLeaveNoOldCheckpoints: each makes a checkpoint, where something has changed.
func TestFrequentBackupsLeaveNoOldCheckpoints(t *testing.T) {
	t.Parallel()
	db := enginetest.Open(t, engine.Options{})
	dir := path.Join(enginetest.Dir, "checkpoints")
	for n := range 4 {
		setOnHand(t, db, "lamp", "lyon", int64(n))
		for range 2 {
			if _, err := db.Backup(new(bytes.Buffer)); err != nil {
				t.Fatal(err)
			}
		}
		if names, err := db.Disk.List(dir); err != nil || len(names) != min(n+1, 2) {
			t.Errorf("after change %d: %v, %v", n+1, names, err)
		}
	}
}

// TestARestoreThatIsCutShortLeavesNoDatabase has the power go, or the disk fail, at one moment of a restore after another.
func TestARestoreThatIsCutShortLeavesNoDatabase(t *testing.T) {
	t.Parallel()
	archive, digest := backedUp(t)
	r := enginetest.Rand(t)
	look := func(disk *vfs.MemFS, when string) {
		t.Helper()
		e, err := engine.Open(enginetest.Dir, engine.Options{FS: disk, Clock: clock.NewManual(enginetest.Start)})
		if err != nil {
			return
		}
		// It may be complete, or there is nothing there yet: not even a directory.
		sequence, d := e.Digest()
		if d != digest && sequence != 0 {
			t.Errorf("%s: it opens with state %016x at %d, the backup is of %016x", when, d, sequence, digest)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
	for n := int64(0); ; n += 1 + r.Int64N(6) {
		disk := enginetest.NewDisk()
		var operations atomic.Int64
		var crashed, failed atomic.Pointer[vfs.MemFS]
		fs := errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if endsPebble(op) || operations.Add(1) != n+1 {
				return nil
			}
			crashed.Store(enginetest.Crash(disk, 50, rand.New(rand.NewPCG(uint64(n), 0))))
			failed.Store(disk)
			return syscall.EIO
		}))
		done := make(chan error, 1)
		fatal := make(chan error, 100)
		go func() {
			_, _, err := engine.Restore(enginetest.Dir, bytes.NewReader(archive), engine.Options{FS: fs, Fatal: func(err error) { fatal <- err }})
			done <- err
		}()
		var err error
		select {
		case err = <-done:
		case err = <-fatal:
		}
		if crashed.Load() == nil {
			if err != nil {
				t.Error(err)
			}
			return
		}
		look(crashed.Load(), "after a crash")
		if err != nil {
			look(enginetest.Crash(disk, 0, nil), "after a failure")
		} else if names := filesUnder(t, disk, enginetest.Dir); len(names) == 0 {
			t.Error("it was restored, and there is nothing")
		}
	}
}

// FuzzRestore: no archive makes a restore panic, and one that is accepted is a database.
func FuzzRestore(f *testing.F) {
	archive, _ := backedUp(f)
	f.Add([]byte{})
	f.Add(archive)
	f.Add(archive[:len(archive)/2])
	f.Add(archive[512:])
	f.Fuzz(func(t *testing.T, archive []byte) {
		disk := enginetest.NewDisk()
		m, report, err := restore(disk, archive)
		if err != nil {
			isNoDatabase(t, disk)
			return
		}
		e, err := engine.Open(enginetest.Dir, engine.Options{FS: disk, Clock: clock.NewManual(enginetest.Start)})
		if err != nil {
			t.Fatalf("%+v was restored and does not open: %v", m, err)
		}
		if sequence, digest := e.Digest(); sequence < m.Sequence || digest != report.Digest {
			t.Errorf("%+v was restored and opens at %d with state %016x", m, sequence, digest)
		}
		if err := e.Close(); err != nil && !errors.Is(err, engine.ErrStopped) {
			t.Error(err)
		}
	})
}
