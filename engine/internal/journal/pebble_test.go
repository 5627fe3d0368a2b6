package journal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// What was found in Pebble, and that our answers to it hold. The findings are listed in docs/architecture.md, "The
// journal".

// failure is a disk operation that fails while a journal is at work.
type failure struct {
	name  string
	fails func(errorfs.Op) bool
	err   error
}

var failures = []failure{
	{"log sync", isLogSync, errorfs.ErrInjected},
	{"log write", isLogWrite, errorfs.ErrInjected},
	{"log write on a full disk", isLogWrite, syscall.ENOSPC},
	{"mark write", func(op errorfs.Op) bool {
		return op.Kind == errorfs.OpFileWriteAt && strings.HasSuffix(op.Path, markName)
	}, errorfs.ErrInjected},
}

// failing is a journal on a disk that can be made to fail.
type failing struct {
	*Journal
	disk  *vfs.MemFS
	fail  atomic.Bool
	fatal chan error
}

func openFailing(t *testing.T, f failure) *failing {
	t.Helper()
	j := &failing{disk: newDisk(t), fatal: make(chan error, 100)}
	fs := errorfs.Wrap(j.disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if j.fail.Load() && f.fails(op) {
			return f.err
		}
		return nil
	}))
	j.Journal = open(t, fs, Options{Fatal: func(err error) { j.fatal <- err }})
	return j
}

// TestAFailedWriteIsFatalAndAcknowledgesNobody: Pebble reports success after a failed write or sync of its log if its
// logger's Fatalf returns.
func TestAFailedWriteIsFatalAndAcknowledgesNobody(t *testing.T) {
	for _, f := range failures {
		t.Run(f.name, func(t *testing.T) {
			j := openFailing(t, f)
			mustWait(t, j.Journal, j.Append([]byte("sound")))
			j.fail.Store(true)
			const waiting = 20
			waited := make(chan error, 2*waiting)
			for range waiting {
				sequence := j.Append([]byte("lost"))
				go func() { waited <- j.Wait(sequence) }()
				go func() { waited <- j.WaitBeyond(context.Background(), sequence-1) }()
			}
			for range 2 * waiting {
				if err := <-waited; !errors.Is(err, ErrStopped) {
					t.Errorf("who waited was told %v", err)
				}
			}
			if err := <-j.fatal; err == nil || !strings.Contains(err.Error(), f.err.Error()) {
				t.Errorf("Fatal was told %v, want what the disk said: %v", err, f.err)
			}
			select {
			case <-j.Failed():
			default:
				t.Error("Failed is not closed")
			}
			if j.Durable() != 1 {
				t.Errorf("durable to %d", j.Durable())
			}
			// The disk works again, but what memory holds is no longer what it holds: there is no way back.
			j.fail.Store(false)
			if err := j.Wait(j.Append([]byte("later"))); !errors.Is(err, ErrStopped) {
				t.Errorf("a later record: %v", err)
			}
			if err := j.Admit(); !errors.Is(err, ErrStopped) {
				t.Errorf("admitted: %v", err)
			}
			if err := j.Close(); !errors.Is(err, ErrStopped) {
				t.Errorf("close: %v", err)
			}
			if n := len(j.fatal); n != 0 {
				t.Errorf("Fatal was called %d times more", n)
			}
			// What was acknowledged is there; what was not may be.
			again := open(t, crash(j.disk, 0, nil), Options{})
			defer shut(t, again)
			if records, _, _ := mustContents(t, again); records[1] != "sound" {
				t.Errorf("records %v", records)
			}
		})
	}
}

// TestAFailedSyncOfTheMarkIsFatal: without the mark a lost end of the journal would go unnoticed.
func TestAFailedSyncOfTheMarkIsFatal(t *testing.T) {
	j := openFailing(t, failure{"", func(op errorfs.Op) bool {
		return op.Kind == errorfs.OpFileSync && strings.HasSuffix(op.Path, markName)
	}, errorfs.ErrInjected})
	j.fail.Store(true)
	j.Append([]byte("record"))
	if err := j.Close(); !errors.Is(err, ErrStopped) {
		t.Errorf("close: %v", err)
	}
	if err := <-j.fatal; !errors.Is(err, errorfs.ErrInjected) {
		t.Errorf("Fatal was told %v", err)
	}
}

// TestAFailedFlushIsFatal: Pebble would try again for ever while its log grows.
func TestAFailedFlushIsFatal(t *testing.T) {
	for _, f := range []failure{
		{"write", func(op errorfs.Op) bool {
			return op.Kind == errorfs.OpFileWrite && strings.HasSuffix(op.Path, ".sst")
		}, syscall.ENOSPC},
		{"create", func(op errorfs.Op) bool {
			return op.Kind == errorfs.OpCreate && strings.HasSuffix(op.Path, ".sst")
		}, errorfs.ErrInjected},
	} {
		t.Run(f.name, func(t *testing.T) {
			j := openFailing(t, f)
			j.fail.Store(true)
			// More than a memtable holds.
			for range 20 {
				if err := j.Wait(j.Append(make([]byte, mib))); err != nil {
					break
				}
			}
			<-j.Failed()
			if err := <-j.fatal; err == nil || !strings.Contains(err.Error(), f.err.Error()) {
				t.Errorf("Fatal was told %v", err)
			}
			if err := j.Wait(j.Append([]byte("later"))); !errors.Is(err, ErrStopped) {
				t.Errorf("a later record: %v", err)
			}
			if err := j.Close(); !errors.Is(err, ErrStopped) {
				t.Errorf("close: %v", err)
			}
		})
	}
}

// TestAFailedSyncEndsTheProcess runs a process whose disk fails, with a Fatal that exits as the engine's own does. What it
// printed as acknowledged before is all that its disk needs to hold.
func TestAFailedSyncEndsTheProcess(t *testing.T) {
	if dir := os.Getenv("ONHAND_TEST_FAILING_JOURNAL"); dir != "" {
		appendUntilTheDiskFails(dir)
	}
	if testing.Short() {
		t.Skip("starts a process")
	}
	dir := t.TempDir()
	process := exec.Command(os.Args[0], "-test.run=^TestAFailedSyncEndsTheProcess$")
	process.Env = append(os.Environ(), "ONHAND_TEST_FAILING_JOURNAL="+dir)
	out, err := process.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 7 {
		t.Fatalf("the process ended with %v, not with Fatal's exit code: %s", err, out)
	}
	lines := strings.Fields(string(out))
	if len(lines) != 10 {
		t.Errorf("10 records were durable before the disk failed; acknowledged were %v", lines)
	}
	j, err := Open(filepath.Join(dir, testDir), Options{FS: roomy{vfs.Default}})
	if err != nil {
		t.Fatal(err)
	}
	defer shut(t, j)
	records, _, _ := mustContents(t, j)
	for i, line := range lines {
		if records[uint64(i)+1] != line {
			t.Errorf("acknowledged record %d is %q, want %q", i+1, records[uint64(i)+1], line)
		}
	}
}

func appendUntilTheDiskFails(dir string) {
	var broken atomic.Bool
	fs := errorfs.Wrap(roomy{vfs.Default}, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if broken.Load() && isLogSync(op) {
			return errorfs.ErrInjected
		}
		return nil
	}))
	j, err := Open(filepath.Join(dir, testDir), Options{FS: fs, Fatal: func(error) { os.Exit(7) }})
	if err != nil {
		panic(err)
	}
	for i := range 1000 {
		broken.Store(i == 10)
		record := fmt.Sprint("record-", i)
		if err := j.Wait(j.Append([]byte(record))); err == nil {
			fmt.Println(record)
		}
	}
	os.Exit(0)
}

// roomy is a disk that has room for a journal but none to spare for its reserve, whatever the machine's disk has.
type roomy struct{ vfs.FS }

func (roomy) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: 200 * mib, TotalBytes: 1 << 40}, nil
}

// formats of a chunk of the write-ahead log, at offset 6 of it: 9 to 12 are those of the newest log format, in which
// damage can be told from the end of the log (github.com/cockroachdb/pebble/v2/record).
const (
	logChunkFormatAt  = 6
	logChunkNewestMin = 9
	logChunkNewestMax = 12
)

// newestLog returns the name and content of the newest write-ahead log.
func newestLog(t testing.TB, fs vfs.FS) (name string, data []byte) {
	t.Helper()
	names, err := fs.List(fs.PathJoin(testDir, pebbleName))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	for _, n := range names {
		if strings.HasSuffix(n, ".log") {
			name = fs.PathJoin(testDir, pebbleName, n)
		}
	}
	return name, readAll(t, fs, name)
}

func readAll(t testing.TB, fs vfs.FS, name string) []byte {
	t.Helper()
	file, err := fs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	data, err := io.ReadAll(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func mustBeNewestFormat(t testing.TB, fs vfs.FS, j *Journal) {
	t.Helper()
	if v := j.db.FormatMajorVersion(); v != pebble.FormatNewest {
		t.Errorf("the format is %v, the newest is %v", v, pebble.FormatNewest)
	}
	mustWait(t, j, j.Append([]byte("record")))
	name, data := newestLog(t, fs)
	if len(data) <= logChunkFormatAt || data[logChunkFormatAt] < logChunkNewestMin || data[logChunkFormatAt] > logChunkNewestMax {
		t.Errorf("%s begins with % x: it is not in the newest log format", name, data[:min(16, len(data))])
	}
}

// TestTheFirstLogIsInTheNewestFormat: Pebble makes the first log of a new database before it raises the format.
func TestTheFirstLogIsInTheNewestFormat(t *testing.T) {
	disk := newDisk(t)
	for range 2 {
		j := open(t, disk, Options{})
		mustBeNewestFormat(t, disk, j)
		shut(t, j)
	}
}

// TestACrashWhileAJournalIsMadeLeavesNoOldFormat pulls the plug after each disk operation of the first opening. What is
// there is opened as if nothing had happened, in the newest format. On a disk that keeps some names of a directory and
// loses older ones, Pebble may find its marker without the file that it marks, and refuse: nothing was acknowledged yet.
func TestACrashWhileAJournalIsMadeLeavesNoOldFormat(t *testing.T) {
	r := seeded(t)
	for _, unsynced := range []int{0, 50, 100} {
		disk := newDisk(t)
		var mu sync.Mutex
		var clones []*vfs.MemFS
		fs := errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
				mu.Lock()
				clones = append(clones, crash(disk, unsynced, rand.New(rand.NewPCG(r.Uint64(), 0))))
				mu.Unlock()
			}
			return nil
		}))
		shut(t, open(t, fs, Options{}))
		if len(clones) < 20 {
			t.Fatalf("only %d operations", len(clones))
		}
		for i, clone := range clones {
			j, err := Open(testDir, Options{FS: clone, Fatal: func(err error) { t.Error(err) }})
			if err != nil {
				if unsynced != 50 {
					t.Errorf("%d %% unsynced, after operation %d: %v", unsynced, i, err)
				}
				continue
			}
			mustBeNewestFormat(t, clone, j)
			shut(t, j)
			if t.Failed() {
				t.Fatalf("%d %% unsynced, after operation %d of %d", unsynced, i, len(clones))
			}
		}
	}
}

// TestAFlippedBitInTheNewestLogLosesNothingSilently flips bits all over the newest log of a journal whose process was
// killed. Pebble takes some of them for the end of the log and drops what comes after. Every start must either be refused,
// or hold all that was acknowledged.
func TestAFlippedBitInTheNewestLogLosesNothingSilently(t *testing.T) {
	// Batches above about 7 KB are where Pebble drops them; the log's own blocks are 32 KiB.
	for _, size := range []int{100, 12 << 10} {
		t.Run(fmt.Sprint(size, " bytes a block"), func(t *testing.T) {
			r := seeded(t)
			disk := newDisk(t)
			j := open(t, disk, Options{})
			want := map[uint64]string{}
			for range 8 {
				record := make([]byte, size)
				for i := range record {
					record[i] = byte(r.Uint32())
				}
				sequence := j.Append(record)
				mustWait(t, j, sequence)
				want[sequence] = string(record)
			}
			// Killed: the operating system has everything that was written, the mark too.
			killed := crash(disk, 100, r)
			shut(t, j)

			name, data := newestLog(t, killed)
			end := len(data)
			for end > 0 && data[end-1] == 0 {
				end-- // what was only allocated
			}
			if end < 8*size {
				t.Fatalf("the newest log has %d bytes of %d", end, 8*size)
			}
			// In the first header, anywhere, and where the headers of further chunks begin.
			var bits []int
			for bit := 0; bit < 20*8; bit += 3 {
				bits = append(bits, bit)
			}
			for range 30 {
				bits = append(bits, r.IntN(end*8))
			}
			for at := 32 << 10; at < end; at += 32 << 10 {
				for bit := at * 8; bit < (at+11)*8 && bit < end*8; bit += 5 {
					bits = append(bits, bit)
				}
			}
			refused, dropped := 0, 0
			for _, bit := range bits {
				damaged := crash(killed, 100, r)
				content, err := damaged.UnsafeGetFileDataBuffer(name)
				if err != nil {
					t.Fatal(err)
				}
				content[bit/8] ^= 1 << (bit % 8)
				j, err := Open(testDir, Options{FS: damaged})
				if err != nil {
					refused++
					if errors.Is(err, ErrCorrupt) {
						dropped++
					}
					continue
				}
				records, _, _, err := contents(j)
				if err == nil && !mapsEqual(records, want) {
					t.Errorf("bit %d of byte %d: the journal has %d of %d records, and opens", bit%8, bit/8, len(records), len(want))
				}
				shut(t, j)
			}
			t.Logf("%d flips, %d starts refused, %d of them because Pebble had dropped the end", len(bits), refused, dropped)
			if dropped == 0 {
				t.Error("Pebble dropped nothing: this test does not show that we would notice")
			}
		})
	}
}

// TestAJournalThatEndsBeforeTheMarkIsRefused cuts off the log where Pebble sees nothing wrong: between two blocks.
func TestAJournalThatEndsBeforeTheMarkIsRefused(t *testing.T) {
	disk := newDisk(t)
	j := open(t, disk, Options{})
	mustWait(t, j, j.Append([]byte("kept")))
	before := crash(disk, 100, seeded(t))
	mustWait(t, j, j.Append([]byte("lost")))
	mark := readAll(t, disk, testDir+"/"+markName)
	shut(t, j)

	overwrite(t, before, testDir+"/"+markName, mark)
	for _, readOnly := range []bool{false, true} {
		_, err := Open(testDir, Options{FS: before, ReadOnly: readOnly})
		if !errors.Is(err, ErrCorrupt) {
			t.Errorf("read-only %v: %v", readOnly, err)
			continue
		}
		// The operator is told what is lost and what can be done.
		for _, say := range []string{"sequence 1", "2 was acknowledged", "backup", "from 2 to 2", markName} {
			if !strings.Contains(err.Error(), say) {
				t.Errorf("%q does not say %q", err, say)
			}
		}
	}
	// As the message says, the operator may decide to go on without.
	if err := before.Remove(testDir + "/" + markName); err != nil {
		t.Fatal(err)
	}
	j = open(t, before, Options{})
	defer shut(t, j)
	if records, _, _ := mustContents(t, j); j.Durable() != 1 || records[1] != "kept" {
		t.Errorf("records %v", records)
	}
}

// TestAMarkOfAnotherDatabaseIsRefused puts the mark of one journal beside another that ends with the same sequence.
func TestAMarkOfAnotherDatabaseIsRefused(t *testing.T) {
	var disks [2]*vfs.MemFS
	for i := range disks {
		disks[i] = newDisk(t)
		j := open(t, disks[i], Options{})
		mustWait(t, j, j.Append(fmt.Append(nil, "of database ", i)))
		shut(t, j)
	}
	overwrite(t, disks[0], testDir+"/"+markName, readAll(t, disks[1], testDir+"/"+markName))
	if _, err := Open(testDir, Options{FS: disks[0]}); !errors.Is(err, ErrCorrupt) {
		t.Errorf("got %v", err)
	}
}

func overwrite(t testing.TB, fs vfs.FS, name string, data []byte) {
	t.Helper()
	file, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	if err == nil {
		_, err = file.Write(data)
		err = errors.Join(err, file.Sync(), file.Close(), syncDir(fs, testDir))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestWhatIsAcknowledgedSurvivesAPowerCut cuts the power at random moments of concurrent work: Pebble's unsynced writes
// would be gone, and so none may have been acknowledged.
func TestWhatIsAcknowledgedSurvivesAPowerCut(t *testing.T) {
	r := seeded(t)
	for round := range 6 {
		disk := newDisk(t)
		j := open(t, disk, Options{})
		var mu sync.Mutex
		acknowledged, appended := map[uint64]string{}, map[uint64]string{}
		stop := make(chan struct{})
		var wg sync.WaitGroup
		for caller := range 6 {
			wg.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					default:
					}
					record := fmt.Sprintf("%d/%d/%s", caller, i, strings.Repeat("x", i%2000))
					mu.Lock()
					sequence := j.Append([]byte(record))
					appended[sequence] = record
					mu.Unlock()
					if err := j.Wait(sequence); err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					acknowledged[sequence] = record
					mu.Unlock()
				}
			})
		}
		unsynced := []int{0, 0, 0, 20, 50, 90}[round]
		for range 4 {
			target := j.Durable() + 1 + r.Uint64N(200)
			eventually(func() bool { return j.Durable() >= target })
			mu.Lock()
			ledger := map[uint64]string{}
			for sequence, record := range acknowledged {
				ledger[sequence] = record
			}
			mu.Unlock()
			clone := crash(disk, unsynced, r)
			again := open(t, clone, Options{})
			got, _, _ := mustContents(t, again)
			for sequence, record := range ledger {
				if got[sequence] != record {
					t.Errorf("%d %% unsynced: acknowledged record %d is lost; the journal ends at %d", unsynced, sequence, again.Durable())
				}
			}
			mu.Lock()
			for sequence, record := range got {
				if appended[sequence] != record {
					t.Errorf("record %d was never appended as %q", sequence, record)
				}
			}
			mu.Unlock()
			if uint64(len(got)) != again.Durable() {
				t.Errorf("the journal ends at %d with %d records", again.Durable(), len(got))
			}
			shut(t, again)
		}
		close(stop)
		wg.Wait()
		shut(t, j)
		if t.Failed() {
			return
		}
	}
}

// TestOneBlockIsUnderWayAtATime holds up a sync and has many callers wait: their records share the next block, and no
// second sync begins.
func TestOneBlockIsUnderWayAtATime(t *testing.T) {
	var mu sync.Mutex
	var blocks []int
	fs, entered, hold, release := holdSyncs(newDisk(t))
	j := open(t, fs, Options{Stored: func(records, _ int, _ time.Duration) {
		mu.Lock()
		blocks = append(blocks, records)
		mu.Unlock()
	}})
	hold()
	first := j.Append([]byte("first"))
	waited := make(chan error, 1001)
	go func() { waited <- j.Wait(first) }()
	<-entered
	for range 1000 {
		sequence := j.Append([]byte("record"))
		go func() { waited <- j.Wait(sequence) }()
	}
	// Far longer than storeInterval: the loop has every chance to begin another.
	time.Sleep(5 * storeInterval)
	if n := len(entered); n != 0 {
		t.Errorf("%d more syncs began while one was under way", n)
	}
	release()
	for range 1001 {
		if err := <-waited; err != nil {
			t.Error(err)
		}
	}
	shut(t, j)
	if !slices.Equal(blocks, []int{1, 1000}) {
		t.Errorf("the blocks have %v records, want 1 and 1000", blocks)
	}
}
