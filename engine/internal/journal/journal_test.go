package journal

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"pgregory.net/rapid"
)

// testDir is where on its disk a journal under test lies.
const testDir = "journal"

const mib = 1 << 20

// newDisk returns a disk that can crash, with room for a journal but not for its reserve: writing that out takes longer
// than most tests.
func newDisk(t testing.TB) *vfs.MemFS {
	t.Helper()
	disk := vfs.NewCrashableMem()
	setFree(disk, 200*mib)
	if err := disk.MkdirAll(testDir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syncDir(disk, ""); err != nil {
		t.Fatal(err)
	}
	return disk
}

func setFree(disk *vfs.MemFS, bytes uint64) {
	disk.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: bytes, TotalBytes: 1 << 40, UsedBytes: 1<<40 - bytes})
}

// crash returns what the disk may hold after the power went.
func crash(disk *vfs.MemFS, unsyncedPercent int, r *rand.Rand) *vfs.MemFS {
	clone := disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: unsyncedPercent, RNG: r})
	setFree(clone, 200*mib)
	return clone
}

// seeded returns random numbers that the test's log tells how to repeat.
func seeded(t testing.TB) *rand.Rand {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// open opens a journal that must not fail, and closes it when the test ends.
func open(t testing.TB, fs vfs.FS, o Options) *Journal {
	t.Helper()
	if o.Fatal == nil {
		o.Fatal = func(err error) { t.Errorf("the journal has failed: %v", err) }
	}
	o.FS = fs
	j, err := Open(testDir, o)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// shut closes a journal that has not failed.
func shut(t testing.TB, j *Journal) {
	t.Helper()
	if err := j.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
}

// mustWait waits for a record that must become durable.
func mustWait(t testing.TB, j *Journal, sequence uint64) {
	t.Helper()
	if err := j.Wait(sequence); err != nil {
		t.Fatalf("wait for %d: %v", sequence, err)
	}
}

// holdSyncs wraps a disk so that syncs of the write-ahead log wait until release is called; entered tells of each.
func holdSyncs(disk vfs.FS) (fs vfs.FS, entered <-chan struct{}, hold, release func()) {
	var gate atomic.Pointer[chan struct{}]
	syncs := make(chan struct{}, 1000)
	fs = errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if held := gate.Load(); held != nil && isLogSync(op) {
			syncs <- struct{}{}
			<-*held
		}
		return nil
	}))
	hold = func() {
		c := make(chan struct{})
		gate.Store(&c)
	}
	release = func() {
		if c := gate.Swap(nil); c != nil {
			close(*c)
		}
	}
	return fs, syncs, hold, release
}

func isLogSync(op errorfs.Op) bool {
	switch op.Kind {
	case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
		return strings.HasSuffix(op.Path, ".log")
	}
	return false
}

func isLogWrite(op errorfs.Op) bool {
	return op.Kind == errorfs.OpFileWrite && strings.HasSuffix(op.Path, ".log")
}

// contents reads a journal from the beginning: its records by sequence, and its notes by the sequence they come before.
func contents(j *Journal) (records map[uint64]string, notes map[uint64][]string, blocks int, err error) {
	records, notes = map[uint64]string{}, map[uint64][]string{}
	err = j.Blocks(0, func(b Block) error {
		blocks++
		next := b.First
		return b.Each(func(sequence uint64, entry []byte) error {
			records[sequence] = string(entry)
			next = sequence + 1
			return nil
		}, func(entry []byte) error {
			notes[next] = append(notes[next], string(entry))
			return nil
		})
	})
	return records, notes, blocks, err
}

func mustContents(t testing.TB, j *Journal) (records map[uint64]string, notes map[uint64][]string, blocks int) {
	t.Helper()
	records, notes, blocks, err := contents(j)
	if err != nil {
		t.Fatal(err)
	}
	return records, notes, blocks
}

// eventually gives other goroutines their turn until what is expected has come about. It never times out by itself: a
// slow machine takes longer, and one where it never comes about ends with the test's own deadline.
func eventually(done func() bool) {
	for !done() {
		runtime.Gosched()
		time.Sleep(100 * time.Microsecond)
	}
}

func TestRecordsComeBackAsTheyWereAppended(t *testing.T) {
	disk := newDisk(t)
	j := open(t, disk, Options{})
	if j.Durable() != 0 || j.Appended() != 0 {
		t.Errorf("a new journal is durable to %d, appended to %d", j.Durable(), j.Appended())
	}
	want := map[uint64]string{}
	for i := range 300 {
		record := strings.Repeat(string(rune('a'+i%26)), i)
		sequence := j.Append([]byte(record))
		if sequence != uint64(i)+1 {
			t.Fatalf("record %d got sequence %d", i, sequence)
		}
		want[sequence] = record
		if i%50 == 0 {
			mustWait(t, j, sequence)
		}
	}
	mustWait(t, j, 300)
	if j.Durable() != 300 || j.Appended() != 300 {
		t.Errorf("durable to %d, appended to %d", j.Durable(), j.Appended())
	}
	for range 2 {
		got, _, _ := mustContents(t, j)
		if !mapsEqual(got, want) {
			t.Errorf("read %d records, want %d, or other ones", len(got), len(want))
		}
		shut(t, j)
		j = open(t, disk, Options{})
		if j.Durable() != 300 || j.Appended() != 300 {
			t.Errorf("reopened: durable to %d, appended to %d", j.Durable(), j.Appended())
		}
	}
	if sequence := j.Append(nil); sequence != 301 {
		t.Errorf("the first record after a restart got sequence %d", sequence)
	}
	shut(t, j)
}

func mapsEqual(a, b map[uint64]string) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if w, ok := b[k]; !ok || v != w {
			return false
		}
	}
	return true
}

// TestConcurrentAppendsAreDenseAndInOrder has several callers append under locks of their own, as shards do. Every record
// gets the next sequence, those under one lock keep their order, and all that was waited for survives a power cut.
func TestConcurrentAppendsAreDenseAndInOrder(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		callers := rapid.IntRange(1, 8).Draw(r, "callers")
		each := rapid.IntRange(1, 40).Draw(r, "records each")
		size := rapid.SampledFrom([]int{0, 10, 300, 9000}).Draw(r, "bytes")
		waits := rapid.SliceOfN(rapid.Bool(), each, each).Draw(r, "waits")
		restart := rapid.Bool().Draw(r, "restart")

		disk := newDisk(t)
		first := uint64(1)
		if restart {
			j := open(t, disk, Options{})
			mustWait(t, j, j.Append([]byte("before")))
			shut(t, j)
			first = 2
		}
		j := open(t, disk, Options{})
		var mu sync.Mutex
		written := map[uint64]string{}
		var waited uint64
		var wg sync.WaitGroup
		for caller := range callers {
			wg.Go(func() {
				previous := uint64(0)
				for i := range each {
					record := binary.LittleEndian.AppendUint32(nil, uint32(caller))
					record = binary.LittleEndian.AppendUint32(record, uint32(i))
					record = append(record, bytes.Repeat([]byte{byte(i)}, size)...)
					if i%7 == 3 {
						j.AppendNote([]byte("note"))
					}
					sequence := j.Append(record)
					if sequence <= previous {
						t.Errorf("sequence %d after %d", sequence, previous)
					}
					previous = sequence
					mu.Lock()
					if _, twice := written[sequence]; twice {
						t.Errorf("sequence %d was given out twice", sequence)
					}
					written[sequence] = string(record)
					mu.Unlock()
					if waits[i] {
						if err := j.Wait(sequence); err != nil {
							t.Errorf("wait: %v", err)
						}
						mu.Lock()
						waited = max(waited, sequence)
						mu.Unlock()
					}
				}
			})
		}
		wg.Wait()
		if n := uint64(callers * each); j.Appended() != first+n-1 || uint64(len(written)) != n {
			r.Fatalf("%d appends led to sequence %d, from %d", n, j.Appended(), first)
		}
		for sequence := first; sequence <= j.Appended(); sequence++ {
			if _, ok := written[sequence]; !ok {
				r.Fatalf("sequence %d was left out", sequence)
			}
		}
		clone := crash(disk, 0, nil)
		shut(t, j)
		for i, d := range []*vfs.MemFS{clone, disk} {
			j := open(t, d, Options{})
			got, _, _ := mustContents(t, j)
			if j.Durable() < waited || i == 1 && j.Durable() != first+uint64(callers*each)-1 {
				t.Errorf("disk %d: the journal ends at %d; %d was waited for", i, j.Durable(), waited)
			}
			for sequence := first; sequence <= j.Durable(); sequence++ {
				if got[sequence] != written[sequence] {
					t.Errorf("disk %d: record %d is not the one that was appended", i, sequence)
				}
			}
			shut(t, j)
		}
		if t.Failed() {
			r.FailNow()
		}
	})
}

func TestNotesComeBeforeTheRecordTheyWereWrittenFor(t *testing.T) {
	disk := newDisk(t)
	j := open(t, disk, Options{})
	if at := j.AppendNote([]byte("one")); at != 1 {
		t.Errorf("the note is for sequence %d, want 1", at)
	}
	if at := j.AppendNote([]byte("another")); at != 1 {
		t.Errorf("the second note is for sequence %d, want 1", at)
	}
	j.Append([]byte("first"))
	if at := j.AppendNote([]byte("in between")); at != 2 {
		t.Errorf("the third note is for sequence %d, want 2", at)
	}
	mustWait(t, j, j.Append([]byte("second")))
	shut(t, j)
	j = open(t, disk, Options{})
	defer shut(t, j)
	records, notes, _ := mustContents(t, j)
	if !mapsEqual(records, map[uint64]string{1: "first", 2: "second"}) {
		t.Errorf("records %v", records)
	}
	if !slices.Equal(notes[1], []string{"one", "another"}) || !slices.Equal(notes[2], []string{"in between"}) || len(notes) != 2 {
		t.Errorf("notes %v", notes)
	}
}

// TestNotesStayWithTheirRecordAcrossBlocks appends notes while the block before is under way, so that they begin a block.
func TestNotesStayWithTheirRecordAcrossBlocks(t *testing.T) {
	fs, entered, hold, release := holdSyncs(newDisk(t))
	j := open(t, fs, Options{})
	hold()
	first := j.Append([]byte("first"))
	go func() { _ = j.Wait(first) }()
	<-entered
	if at := j.AppendNote([]byte("early")); at != 2 {
		t.Errorf("the note is for sequence %d, want 2", at)
	}
	release()
	mustWait(t, j, first)
	mustWait(t, j, j.Append([]byte("second")))
	_, notes, blocks := mustContents(t, j)
	if blocks != 2 || !slices.Equal(notes[2], []string{"early"}) {
		t.Errorf("%d blocks, notes %v", blocks, notes)
	}
	shut(t, j)
}

func TestANoteWithoutARecordIsForgotten(t *testing.T) {
	disk := newDisk(t)
	j := open(t, disk, Options{})
	mustWait(t, j, j.Append([]byte("record")))
	j.AppendNote([]byte("for a record that never came"))
	shut(t, j)
	j = open(t, disk, Options{})
	defer shut(t, j)
	records, notes, _ := mustContents(t, j)
	if len(records) != 1 || len(notes) != 0 || j.Durable() != 1 {
		t.Errorf("records %v, notes %v, durable to %d", records, notes, j.Durable())
	}
}

// TestWaitReturnsOnlyOnceTheRecordIsDurable holds up the sync: nobody who waits goes on before it is through.
func TestWaitReturnsOnlyOnceTheRecordIsDurable(t *testing.T) {
	disk := newDisk(t)
	fs, entered, hold, release := holdSyncs(disk)
	j := open(t, fs, Options{})
	hold()
	sequence := j.Append([]byte("record"))
	waited := make(chan error, 2)
	go func() { waited <- j.Wait(sequence) }()
	go func() { waited <- j.WaitBeyond(context.Background(), sequence-1) }()
	<-entered
	for range 1000 {
		runtime.Gosched()
	}
	select {
	case <-waited:
		t.Error("someone went on before the sync was through")
	default:
	}
	if j.Durable() != 0 {
		t.Errorf("durable to %d before the sync was through", j.Durable())
	}
	if _, ok, _ := j.BlockAt(sequence); ok {
		t.Error("the block can be read before it is durable")
	}
	if records, _, _ := mustContents(t, j); len(records) != 0 {
		t.Errorf("records %v can be read before they are durable", records)
	}
	release()
	for range 2 {
		if err := <-waited; err != nil {
			t.Error(err)
		}
	}
	if j.Durable() != sequence {
		t.Errorf("durable to %d", j.Durable())
	}
	if err := j.Wait(0); err != nil {
		t.Errorf("waiting for what was there before: %v", err)
	}
	shut(t, j)
}

// TestWaitDoesNotMissTheMoment: between a caller's look at what is durable and its waiting, its record may become durable.
// It must not wait for the next block then, which may never come.
func TestWaitDoesNotMissTheMoment(t *testing.T) {
	j := open(t, newDisk(t), Options{})
	sequence := j.Append([]byte("record"))
	mustWait(t, j, sequence)
	select {
	case <-j.done(sequence):
	default:
		t.Error("waiting for a durable record would last until the next one")
	}
	shut(t, j)
}

func TestWaitBeyondEndsWithItsContext(t *testing.T) {
	j := open(t, newDisk(t), Options{})
	ctx, cancel := context.WithCancel(context.Background())
	waited := make(chan error)
	go func() { waited <- j.WaitBeyond(ctx, j.Durable()) }()
	cancel()
	if err := <-waited; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	shut(t, j)
}

func TestWaitBeyondSeesARecordNobodyWaitsFor(t *testing.T) {
	j := open(t, newDisk(t), Options{})
	waited := make(chan error)
	go func() { waited <- j.WaitBeyond(context.Background(), 0) }()
	j.Append([]byte("an expiry"))
	if err := <-waited; err != nil {
		t.Error(err)
	}
	shut(t, j)
}

func TestWhatNobodyWaitsForIsStoredAllTheSame(t *testing.T) {
	j := open(t, newDisk(t), Options{})
	j.Append([]byte("an expiry"))
	eventually(func() bool { return j.Durable() == 1 })
	shut(t, j)
}

func TestCloseStoresWhatWasAppended(t *testing.T) {
	disk := newDisk(t)
	j := open(t, disk, Options{})
	for i := range 100 {
		j.Append(fmt.Append(nil, i))
	}
	shut(t, j)
	j = open(t, crash(disk, 0, nil), Options{})
	defer shut(t, j)
	if records, _, _ := mustContents(t, j); len(records) != 100 || records[100] != "99" {
		t.Errorf("%d records", len(records))
	}
}

func TestCloseLetsGoWhoWaits(t *testing.T) {
	j := open(t, newDisk(t), Options{})
	waited := make(chan error)
	go func() { waited <- j.WaitBeyond(context.Background(), 0) }()
	shut(t, j)
	if err := <-waited; !errors.Is(err, ErrStopped) {
		t.Errorf("got %v", err)
	}
	if err := j.Admit(); !errors.Is(err, ErrStopped) {
		t.Errorf("a closed journal admits: %v", err)
	}
}

// TestAdmitWaitsWhileTheOpenBlockIsFull fills the open block while one is under way, up to its limit and beyond.
func TestAdmitWaitsWhileTheOpenBlockIsFull(t *testing.T) {
	fs, entered, hold, release := holdSyncs(newDisk(t))
	j := open(t, fs, Options{})
	hold()
	first := j.Append([]byte("under way"))
	go func() { _ = j.Wait(first) }()
	<-entered

	// An entry takes its bytes and 4 more for a length of this size: this fills the block to its limit exactly.
	j.Append(make([]byte, queueBytesMax-blockHeaderBytes-4))
	if n := len(j.open.data); n != queueBytesMax {
		t.Fatalf("the open block takes %d bytes", n)
	}
	if err := j.Admit(); err != nil {
		t.Errorf("at its limit: %v", err)
	}
	last := j.Append(nil)
	admitted := make(chan error, 1)
	go func() { admitted <- j.Admit() }()
	for range 1000 {
		runtime.Gosched()
	}
	select {
	case err := <-admitted:
		t.Errorf("beyond its limit: admitted with %v", err)
	default:
	}
	release()
	if err := <-admitted; err != nil {
		t.Errorf("once there was room: %v", err)
	}
	mustWait(t, j, last)
	if err := j.Admit(); err != nil {
		t.Error(err)
	}
	shut(t, j)
}

func TestCloseLetsGoWhoWaitsToBeAdmitted(t *testing.T) {
	fs, entered, hold, release := holdSyncs(newDisk(t))
	j := open(t, fs, Options{})
	hold()
	first := j.Append([]byte("under way"))
	go func() { _ = j.Wait(first) }()
	<-entered
	j.Append(make([]byte, queueBytesMax+1))
	admitted := make(chan error, 1)
	go func() { admitted <- j.Admit() }()
	closed := make(chan error)
	go func() { closed <- j.Close() }()
	if err := <-admitted; !errors.Is(err, ErrStopped) {
		t.Errorf("got %v", err)
	}
	release()
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

func TestStoredIsToldOfEveryBlock(t *testing.T) {
	var mu sync.Mutex
	var records, bytes, blocks int
	disk := newDisk(t)
	j := open(t, disk, Options{Stored: func(r, b int, took time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		records, bytes, blocks = records+r, bytes+b, blocks+1
		if took < 0 {
			t.Errorf("a block took %v", took)
		}
	}})
	for i := range 50 {
		sequence := j.Append(make([]byte, 100))
		if i%10 == 0 {
			mustWait(t, j, sequence)
		}
	}
	shut(t, j)
	j = open(t, disk, Options{})
	defer shut(t, j)
	stored, total := 0, 0
	if err := j.Blocks(0, func(b Block) error { stored++; total += len(b.Data); return nil }); err != nil {
		t.Fatal(err)
	}
	if records != 50 || blocks != stored || bytes != total {
		t.Errorf("told of %d records, %d bytes in %d blocks; there are 50, %d in %d", records, bytes, blocks, total, stored)
	}
}

// TestALargeBlockDoesNotHoldItsMemory appends far more than usual at once; the memory is given back.
func TestALargeBlockDoesNotHoldItsMemory(t *testing.T) {
	j := open(t, newDisk(t), Options{})
	mustWait(t, j, j.Append(make([]byte, 2*queueBytesMax)))
	for range 4 {
		mustWait(t, j, j.Append([]byte("small")))
	}
	j.mu.Lock()
	if n := cap(j.open.data); n > queueBytesMax {
		t.Errorf("the open block still has room for %d bytes", n)
	}
	j.mu.Unlock()
	if j.MemoryBytes() == 0 || j.DiskBytes() == 0 {
		t.Errorf("the journal takes %d bytes of memory, %d of disk", j.MemoryBytes(), j.DiskBytes())
	}
	shut(t, j)
}
