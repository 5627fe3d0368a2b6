package journal

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"
)

// inBlocks appends blocks of so many records each, to a new journal. Record n holds its sequence as text.
func inBlocks(t testing.TB, disk *vfs.MemFS, sizes ...int) *Journal {
	t.Helper()
	fs, entered, hold, release := holdSyncs(disk)
	j := open(t, fs, Options{})
	sequence := uint64(0)
	for _, size := range sizes {
		// While one block is held up the next one fills; it is one block, however slow this goroutine is.
		hold()
		j.mu.Lock()
		for range size {
			sequence++
			j.open.append(fmt.Append(nil, sequence), false)
		}
		j.appended.Store(sequence)
		j.want()
		j.mu.Unlock()
		<-entered
		release()
		mustWait(t, j, sequence)
	}
	return j
}

func TestBlocksBeginWithTheOneThatHoldsASequence(t *testing.T) {
	sizes := []int{3, 1, 4, 2}
	j := inBlocks(t, newDisk(t), sizes...)
	defer shut(t, j)
	starts := []uint64{1, 4, 5, 9}
	for from := uint64(0); from <= 12; from++ {
		var got []uint64
		if err := j.Blocks(from, func(b Block) error { got = append(got, b.First); return nil }); err != nil {
			t.Fatal(err)
		}
		want := starts
		for len(want) > 0 && (len(want) > 1 && want[1] <= from || from > 10) {
			want = want[1:]
		}
		if !slices.Equal(got, want) {
			t.Errorf("from %d: blocks %v, want %v", from, got, want)
		}
		b, ok, err := j.BlockAt(from)
		if err != nil || ok != (from >= 1 && from <= 10) || ok && (b.First != want[0] || b.Last() < from) {
			t.Errorf("block at %d: %d to %d, %v, %v", from, b.First, b.Last(), ok, err)
		}
	}
}

func TestBlocksStopsWhereItIsTold(t *testing.T) {
	j := inBlocks(t, newDisk(t), 1, 1, 1)
	defer shut(t, j)
	n := 0
	if err := j.Blocks(1, func(Block) error { n++; return ErrEnough }); err != nil || n != 1 {
		t.Errorf("enough: %v after %d", err, n)
	}
	broken := errors.New("broken")
	if err := j.Blocks(1, func(Block) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("failed: %v", err)
	}
}

// TestDamageIsFoundWhenRead makes the journal's store hold something else than was put there.
func TestDamageIsFoundWhenRead(t *testing.T) {
	set := func(at uint64, data []byte) func(*pebble.DB) error {
		return func(db *pebble.DB) error { return db.Set(key(at), data, pebble.Sync) }
	}
	for name, damage := range map[string]func(*pebble.DB) error{
		"a gap":                  func(db *pebble.DB) error { return db.Delete(key(2), pebble.Sync) },
		"a block of another one": set(2, sealed(2, 12345, entry{"2", false})),
		"a shorter block":        set(1, sealed(1, 0)),
		"a block too many":       set(2, sealed(2, 0, entry{"2", false}, entry{"3", false})),
		"under another sequence": set(2, sealed(3, 0, entry{"3", false})),
		"garbage":                set(2, []byte("garbage")),
		"nothing":                set(2, nil),
	} {
		disk := newDisk(t)
		j := inBlocks(t, disk, 1, 1, 1, 1)
		if err := damage(j.db); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, _, _, err := contents(j); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s: %v", name, err)
			}
			shut(t, j)
			j = open(t, disk, Options{})
		}
		shut(t, j)
	}
}

// TestALostOrForeignLastBlockIsRefusedAtStart: no block follows that could show it, but the mark does.
func TestALostOrForeignLastBlockIsRefusedAtStart(t *testing.T) {
	for name, damage := range map[string]func(*pebble.DB) error{
		"lost":    func(db *pebble.DB) error { return db.Delete(key(3), pebble.Sync) },
		"all":     func(db *pebble.DB) error { return db.DeleteRange(key(0), key(10), pebble.Sync) },
		"foreign": func(db *pebble.DB) error { return db.Set(key(3), sealed(3, 9, entry{"3", false}), pebble.Sync) },
		"garbage": func(db *pebble.DB) error { return db.Set(key(3), []byte("garbage"), pebble.Sync) },
	} {
		disk := newDisk(t)
		j := inBlocks(t, disk, 1, 1, 1)
		if err := damage(j.db); err != nil {
			t.Fatal(err)
		}
		shut(t, j)
		for _, readOnly := range []bool{false, true} {
			if _, err := Open(testDir, Options{FS: disk, ReadOnly: readOnly}); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s, read-only %v: %v", name, readOnly, err)
			}
		}
	}
}

// TestTrimLetsGoOfWholeBlocksBeforeASequence, and of nothing else; the last block stays, as the next one continues it.
func TestTrimLetsGoOfWholeBlocksBeforeASequence(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		disk := newDisk(t)
		sizes := rapid.SliceOfN(rapid.IntRange(1, 5), 1, 8).Draw(r, "sizes")
		j := inBlocks(t, disk, sizes...)
		var starts []uint64
		last := uint64(0)
		for _, size := range sizes {
			starts = append(starts, last+1)
			last += uint64(size)
		}
		first := uint64(1)
		for range rapid.IntRange(1, 4).Draw(r, "trims") {
			at := rapid.Uint64Range(0, last+3).Draw(r, "at")
			if err := j.Trim(at); err != nil {
				r.Fatal(err)
			}
			for _, start := range starts {
				if start <= at {
					first = max(first, start)
				}
			}
			if rapid.Bool().Draw(r, "restart") {
				shut(t, j)
				j = open(t, disk, Options{})
			}
			if got, err := j.First(); err != nil || got != first {
				r.Fatalf("trimmed at %d: the first is %d, %v; want %d of %v", at, got, err, first, starts)
			}
			records, _, _ := mustContents(t, j)
			if uint64(len(records)) != last-first+1 || records[first] != fmt.Sprint(first) || j.Durable() != last {
				r.Fatalf("trimmed at %d: records %v, durable to %d", at, records, j.Durable())
			}
			if _, ok, _ := j.BlockAt(first - 1); ok {
				r.Fatalf("record %d is still there", first-1)
			}
		}
		if sequence := j.Append([]byte("next")); sequence != last+1 {
			r.Fatalf("the next record is %d", sequence)
		}
		mustWait(t, j, last+1)
		mustContents(t, j)
		shut(t, j)
	})
}

func TestAnEmptyJournalReadsAsEmpty(t *testing.T) {
	j := open(t, newDisk(t), Options{})
	defer shut(t, j)
	if first, err := j.First(); err != nil || first != 1 {
		t.Errorf("first %d, %v", first, err)
	}
	if _, ok, err := j.BlockAt(1); ok || err != nil {
		t.Errorf("a block: %v, %v", ok, err)
	}
	if err := j.Trim(5); err != nil {
		t.Error(err)
	}
	if records, _, _ := mustContents(t, j); len(records) != 0 {
		t.Errorf("records %v", records)
	}
}

// TestReadingChangesNothing opens a journal read-only: a check or a backup must not alter what it looks at.
func TestReadingChangesNothing(t *testing.T) {
	disk := newDisk(t)
	shut(t, inBlocks(t, disk, 2, 3))
	before := files(t, disk, testDir)
	// Not even on a disk that is full.
	setFree(disk, 0)
	j := open(t, disk, Options{ReadOnly: true})
	if records, _, _ := mustContents(t, j); len(records) != 5 || j.Durable() != 5 || j.Appended() != 5 {
		t.Errorf("records %v", records)
	}
	shut(t, j)
	after := files(t, disk, testDir)
	for name, data := range before {
		if !bytes.Equal(after[name], data) {
			t.Errorf("%s was changed", name)
		}
	}
	for name := range after {
		if _, was := before[name]; !was {
			t.Errorf("%s was made", name)
		}
	}
}

func TestNothingIsOpenedReadOnlyWhereThereIsNoJournal(t *testing.T) {
	if _, err := Open(testDir, Options{FS: newDisk(t), ReadOnly: true}); err == nil {
		t.Error("an empty directory was opened")
	}
}

// files returns the files under a directory and their content.
func files(t testing.TB, fs vfs.FS, dir string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	names, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		name = fs.PathJoin(dir, name)
		info, err := fs.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if !info.IsDir() {
			all[name] = readAll(t, fs, name)
			continue
		}
		for name, data := range files(t, fs, name) {
			all[name] = data
		}
	}
	return all
}

// blocksOf returns copies of a journal's blocks, as a backup holds them.
func blocksOf(t testing.TB, j *Journal) (blocks [][]byte) {
	t.Helper()
	if err := j.Blocks(0, func(b Block) error { blocks = append(blocks, bytes.Clone(b.Data)); return nil }); err != nil {
		t.Fatal(err)
	}
	return blocks
}

func given(blocks [][]byte) func(yield func([]byte) error) error {
	return func(yield func([]byte) error) error {
		for _, b := range blocks {
			if err := yield(b); err != nil {
				return err
			}
		}
		return nil
	}
}

// TestAnImportedJournalIsTheSameAndSurvivesAPowerCut, though its blocks are not synced one by one.
func TestAnImportedJournalIsTheSameAndSurvivesAPowerCut(t *testing.T) {
	source := open(t, newDisk(t), Options{})
	// More than a memtable, so that Pebble's log is changed on the way.
	for i := range 20 {
		mustWait(t, source, source.Append(bytes.Repeat([]byte{byte(i)}, mib)))
	}
	blocks := blocksOf(t, source)
	shut(t, source)
	disk := newDisk(t)
	if err := Import(testDir, Options{FS: disk}, given(blocks)); err != nil {
		t.Fatal(err)
	}
	j := open(t, crash(disk, 0, nil), Options{})
	if got := blocksOf(t, j); !slices.EqualFunc(got, blocks, bytes.Equal) {
		t.Errorf("%d blocks, want %d, or other ones", len(got), len(blocks))
	}
	if sequence := j.Append([]byte("next")); sequence != 21 {
		t.Errorf("the next record is %d", sequence)
	}
	mustWait(t, j, 21)
	mustContents(t, j)
	shut(t, j)
}

// TestATrimmedJournalCanBeImported: its first block continues one that is gone.
func TestATrimmedJournalCanBeImported(t *testing.T) {
	source := inBlocks(t, newDisk(t), 2, 2, 2)
	if err := source.Trim(3); err != nil {
		t.Fatal(err)
	}
	blocks := blocksOf(t, source)
	shut(t, source)
	disk := newDisk(t)
	if err := Import(testDir, Options{FS: disk}, given(blocks)); err != nil {
		t.Fatal(err)
	}
	j := open(t, disk, Options{})
	defer shut(t, j)
	if first, err := j.First(); err != nil || first != 3 || j.Durable() != 6 {
		t.Errorf("from %d to %d, %v", first, j.Durable(), err)
	}
}

func TestImportRefusesWhatIsNoJournal(t *testing.T) {
	source := inBlocks(t, newDisk(t), 1, 1, 1)
	sound := blocksOf(t, source)
	shut(t, source)
	flipped := bytes.Clone(sound[1])
	flipped[len(flipped)-1] ^= 1
	for name, blocks := range map[string][][]byte{
		"a gap":           {sound[0], sound[2]},
		"twice":           {sound[0], sound[0]},
		"backwards":       {sound[1], sound[0]},
		"a foreign block": {sound[0], sealed(2, 1, entry{"2", false})},
		"a flipped bit":   {sound[0], flipped},
		"garbage":         {[]byte("garbage")},
	} {
		if err := Import(testDir, Options{FS: newDisk(t)}, given(blocks)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	broken := errors.New("broken")
	err := Import(testDir, Options{FS: newDisk(t)}, func(func([]byte) error) error { return broken })
	if !errors.Is(err, broken) {
		t.Errorf("a source that fails: %v", err)
	}
}

func TestImportRefusesAJournalThatHasRecords(t *testing.T) {
	disk := newDisk(t)
	j := inBlocks(t, disk, 1)
	blocks := blocksOf(t, j)
	shut(t, j)
	if err := Import(testDir, Options{FS: disk}, given(blocks)); err == nil || !strings.Contains(err.Error(), "already has records") {
		t.Errorf("got %v", err)
	}
}

func TestBytesTellsWhatSequencesTakeOnDisk(t *testing.T) {
	j := open(t, newDisk(t), Options{})
	defer shut(t, j)
	for range 10 {
		mustWait(t, j, j.Append(bytes.Repeat([]byte("0123456789"), 100_000)))
	}
	if err := j.db.Flush(); err != nil {
		t.Fatal(err)
	}
	all, err := j.Bytes(1, 10)
	if err != nil || all < 10_000_000 || all > 12_000_000 {
		t.Errorf("10 MB take %d bytes, %v", all, err)
	}
	half, err := j.Bytes(1, 5)
	if err != nil || half < all/3 || half > all*2/3 {
		t.Errorf("half of them %d of %d, %v", half, all, err)
	}
}
