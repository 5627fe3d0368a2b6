package journal

import (
	"bytes"
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"
)

func mustOpenMark(t testing.TB, fs vfs.FS) (*mark, markValue) {
	t.Helper()
	m, v, err := openMark(fs, testDir+"/"+markName)
	if err != nil {
		t.Fatal(err)
	}
	return m, v
}

func mustMark(t testing.TB, m *mark, v markValue) {
	t.Helper()
	if err := m.write(v); err != nil {
		t.Fatal(err)
	}
}

func closeMark(t testing.TB, m *mark) {
	t.Helper()
	if err := m.file.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestMarkFormat pins the stored bytes of a slot.
func TestMarkFormat(t *testing.T) {
	disk := newDisk(t)
	m, _ := mustOpenMark(t, disk)
	mustMark(t, m, markValue{0x0102030405060708, 0x1112131415161718})
	closeMark(t, m)
	data := readAll(t, disk, testDir+"/"+markName)
	if len(data) != 2*markStride {
		t.Errorf("the file has %d bytes", len(data))
	}
	slot := golden(t, "mark.hex", data[:markSlotBytes])
	v, turn, err := readMark(bytes.NewReader(slot))
	if err != nil || v != (markValue{0x0102030405060708, 0x1112131415161718}) || turn != 1 {
		t.Errorf("%x, next slot %d, %v", v, turn, err)
	}
}

func TestTheMarkIsTheLastValueWritten(t *testing.T) {
	disk := newDisk(t)
	if m, v := mustOpenMark(t, disk); v != (markValue{}) {
		t.Errorf("a new mark is %v", v)
	} else {
		closeMark(t, m)
	}
	last := markValue{}
	for sequence := uint64(1); sequence < 20; sequence += 3 {
		m, v := mustOpenMark(t, disk)
		if v != last {
			t.Errorf("the mark is %v, last written was %v", v, last)
		}
		// An even and an odd number of writes, so that each slot is the last one in turn.
		for range sequence % 2 {
			mustMark(t, m, markValue{sequence, sequence * 7})
		}
		last = markValue{sequence + 1, sequence * 9}
		mustMark(t, m, last)
		closeMark(t, m)
	}
}

// TestATornMarkIsTheOneBefore tears the write of a slot after every byte: what is read is the value from before or, where
// the write came through, the new one.
func TestATornMarkIsTheOneBefore(t *testing.T) {
	for writes := 1; writes <= 4; writes++ {
		disk := newDisk(t)
		m, _ := mustOpenMark(t, disk)
		for i := range writes {
			mustMark(t, m, markValue{uint64(100 + i), uint64(i)})
		}
		before := readAll(t, disk, testDir+"/"+markName)
		old := markValue{uint64(100 + writes - 1), uint64(writes - 1)}
		at := int(m.turn) * markStride
		next := markValue{1000, 77}
		mustMark(t, m, next)
		closeMark(t, m)
		after := readAll(t, disk, testDir+"/"+markName)
		for n := range markSlotBytes + 1 {
			torn := bytes.Clone(before)
			copy(torn[at:], after[at:at+n])
			v, turn, err := readMark(bytes.NewReader(torn))
			want := old
			if n == markSlotBytes || bytes.Equal(torn, after) {
				want = next
			}
			if err != nil || v != want {
				t.Fatalf("%d writes, torn after %d bytes: %v, %v; want %v", writes, n, v, err, want)
			}
			// The sound slot is not the one that is written next.
			if sound := v == old; sound && turn*markStride != int64(at) {
				t.Errorf("%d writes, torn after %d bytes: the only sound slot is written next", writes, n)
			}
		}
	}
}

// TestADamagedMarkIsNotBelieved flips every bit of a slot: the other one counts. With both damaged nothing can be told of
// the journal's end, and the start is refused.
func TestADamagedMarkIsNotBelieved(t *testing.T) {
	disk := newDisk(t)
	m, _ := mustOpenMark(t, disk)
	mustMark(t, m, markValue{5, 55})
	mustMark(t, m, markValue{6, 66})
	closeMark(t, m)
	sound := readAll(t, disk, testDir+"/"+markName)
	for bit := range markSlotBytes * 8 {
		damaged := bytes.Clone(sound)
		damaged[bit/8] ^= 1 << (bit % 8)
		if v, turn, err := readMark(bytes.NewReader(damaged)); err != nil || v.sequence != 6 || turn != 0 {
			t.Errorf("older slot, bit %d: %v, next %d, %v", bit, v, turn, err)
		}
		damaged[markStride+bit/8] ^= 1 << (bit % 8)
		if v, _, err := readMark(bytes.NewReader(damaged)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("both slots, bit %d: %v, %v", bit, v, err)
		}
		damaged[bit/8] ^= 1 << (bit % 8)
		if v, turn, err := readMark(bytes.NewReader(damaged)); err != nil || v.sequence != 5 || turn != 1 {
			t.Errorf("newer slot, bit %d: %v, next %d, %v", bit, v, turn, err)
		}
	}
}

func TestAJournalWithADamagedMarkIsRefused(t *testing.T) {
	disk := newDisk(t)
	j := open(t, disk, Options{})
	mustWait(t, j, j.Append([]byte("one")))
	mustWait(t, j, j.Append([]byte("two")))
	shut(t, j)
	mark := readAll(t, disk, testDir+"/"+markName)
	mark[9] ^= 1
	mark[markStride+9] ^= 1
	overwrite(t, disk, testDir+"/"+markName, mark)
	for _, readOnly := range []bool{false, true} {
		if _, err := Open(testDir, Options{FS: disk, ReadOnly: readOnly}); !errors.Is(err, ErrCorrupt) {
			t.Errorf("read-only %v: %v", readOnly, err)
		}
	}
}

// TestTheMarkAfterAPowerCutIsOneThatWasWritten: never older than the last sync, never ahead of the last write.
func TestTheMarkAfterAPowerCutIsOneThatWasWritten(t *testing.T) {
	r := seeded(t)
	rapid.Check(t, func(rt *rapid.T) {
		disk := newDisk(t)
		m, _ := mustOpenMark(t, disk)
		synced, last := uint64(0), uint64(0)
		for range rapid.IntRange(0, 12).Draw(rt, "writes") {
			last++
			mustMark(t, m, markValue{last, last * 31})
			if rapid.Bool().Draw(rt, "sync") {
				if err := m.file.Sync(); err != nil {
					t.Fatal(err)
				}
				synced = last
			}
		}
		clone := crash(disk, rapid.SampledFrom([]int{0, 50, 100}).Draw(rt, "unsynced"), r)
		closeMark(t, m)
		// A mark that was never synced may have no file at all; opening makes it.
		m, v := mustOpenMark(t, clone)
		if v.sequence < synced || v.sequence > last || v.hash != v.sequence*31 {
			rt.Errorf("after the power cut %v, synced %d, written %d", v, synced, last)
		}
		closeMark(t, m)
	})
}

// TestTheMarkIsExactAfterAKill: what the process wrote, the operating system has.
func TestTheMarkIsExactAfterAKill(t *testing.T) {
	disk := newDisk(t)
	j := open(t, disk, Options{})
	for range 5 {
		mustWait(t, j, j.Append([]byte("record")))
		killed := crash(disk, 100, seeded(t))
		m, v := mustOpenMark(t, killed)
		if v.sequence != j.Durable() {
			t.Errorf("the mark is at %d, acknowledged was %d", v.sequence, j.Durable())
		}
		closeMark(t, m)
	}
	shut(t, j)
}

// TestTheMarkIsSyncedWhenTheJournalCloses, so that a clean shutdown is proof against a power cut that follows it.
func TestTheMarkIsSyncedWhenTheJournalCloses(t *testing.T) {
	disk := newDisk(t)
	j := open(t, disk, Options{})
	mustWait(t, j, j.Append([]byte("record")))
	shut(t, j)
	m, v := mustOpenMark(t, crash(disk, 0, nil))
	if v.sequence != 1 {
		t.Errorf("the mark is at %d", v.sequence)
	}
	closeMark(t, m)
}
