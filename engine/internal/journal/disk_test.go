package journal

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// filling is a disk on which the reserve file takes its space, as on a real one.
type filling struct {
	vfs.FS
	// free is what would be free without the reserve.
	free uint64
}

func (f filling) GetDiskUsage(string) (vfs.DiskUsage, error) {
	free := f.free
	if info, err := f.Stat(testDir + "/" + reserveName); err == nil {
		free -= min(free, uint64(info.Size()))
	}
	return vfs.DiskUsage{AvailBytes: free, TotalBytes: 1 << 40, UsedBytes: 1<<40 - free}, nil
}

func hasReserve(t testing.TB, fs vfs.FS) bool {
	t.Helper()
	info, err := fs.Stat(testDir + "/" + reserveName)
	if err != nil {
		return false
	}
	if info.Size() != reserveBytes {
		t.Errorf("the reserve has %d bytes", info.Size())
	}
	return true
}

// TestAFullDiskIsRefusedBeforePebbleIsOpened: Pebble would retry its flush for ever.
func TestAFullDiskIsRefusedBeforePebbleIsOpened(t *testing.T) {
	disk := newDisk(t)
	shut(t, open(t, disk, Options{}))
	var mu sync.Mutex
	var touched []string
	fs := errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if strings.Contains(op.Path, pebbleName) {
			mu.Lock()
			touched = append(touched, op.Path)
			mu.Unlock()
		}
		return nil
	}))
	setFree(disk, SpaceMin-1)
	_, err := Open(testDir, Options{FS: fs})
	if !errors.Is(err, ErrDiskFull) || !strings.Contains(err.Error(), "make room") {
		t.Errorf("got %v", err)
	}
	if len(touched) != 0 {
		t.Errorf("Pebble's files were touched: %v", touched)
	}
	setFree(disk, SpaceMin)
	shut(t, open(t, fs, Options{}))
	if len(touched) == 0 {
		t.Error("the test does not see who touches Pebble's files")
	}
}

func TestTheReserveIsMadeWhereThereIsAmpleRoom(t *testing.T) {
	disk := newDisk(t)
	for _, c := range []struct {
		free uint64
		want bool
	}{{2*SpaceMin - 1, false}, {2 * SpaceMin, true}} {
		shut(t, open(t, filling{disk, c.free}, Options{}))
		if have := hasReserve(t, disk); have != c.want {
			t.Errorf("with %d bytes free: a reserve is there: %v", c.free, have)
		}
	}
}

// TestTheReserveIsGivenUpForAStartThatNeedsIt fills the disk up behind the journal's back.
func TestTheReserveIsGivenUpForAStartThatNeedsIt(t *testing.T) {
	disk := newDisk(t)
	j := open(t, filling{disk, 1 << 30}, Options{})
	mustWait(t, j, j.Append([]byte("record")))
	shut(t, j)
	if !hasReserve(t, disk) {
		t.Fatal("there is no reserve")
	}
	// With the reserve there is too little room, without it just enough.
	j = open(t, filling{disk, SpaceMin}, Options{})
	if records, _, _ := mustContents(t, j); records[1] != "record" {
		t.Errorf("records %v", records)
	}
	mustWait(t, j, j.Append([]byte("another")))
	shut(t, j)
	if hasReserve(t, disk) {
		t.Error("the reserve is still there")
	}
	// Even without the reserve there is too little: it has been given up, and the start is refused.
	if _, err := Open(testDir, Options{FS: filling{disk, SpaceMin - 1}}); !errors.Is(err, ErrDiskFull) {
		t.Errorf("got %v", err)
	}
	// Room was made: the reserve is back.
	shut(t, open(t, filling{disk, 1 << 30}, Options{}))
	if !hasReserve(t, disk) {
		t.Error("the reserve did not come back")
	}
}

// TestTheReserveIsLeftAloneWhereThereIsRoom: it is for emergencies.
func TestTheReserveIsLeftAloneWhereThereIsRoom(t *testing.T) {
	disk := newDisk(t)
	shut(t, open(t, filling{disk, 1 << 30}, Options{}))
	shut(t, open(t, filling{disk, SpaceMin + reserveBytes}, Options{}))
	if !hasReserve(t, disk) {
		t.Error("the reserve was given up without need")
	}
}

func TestAReserveThatWasCutShortIsMadeAnew(t *testing.T) {
	disk := newDisk(t)
	overwrite(t, disk, testDir+"/"+reserveName, make([]byte, 1000))
	shut(t, open(t, filling{disk, 1 << 30}, Options{}))
	if !hasReserve(t, disk) {
		t.Error("there is no reserve")
	}
}

func TestADiskThatCannotTellItsSpaceCountsAsRoomy(t *testing.T) {
	for name, fs := range map[string]vfs.FS{
		"unsupported": vfs.NewMem(),
		"all zero":    blank{vfs.NewMem()},
	} {
		if free, err := FreeBytes(fs, ""); err != nil || free < 1<<40 {
			t.Errorf("%s: %d bytes, %v", name, free, err)
		}
	}
	failing := errorfs.Wrap(newDisk(t), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpGetDiskUsage {
			return errorfs.ErrInjected
		}
		return nil
	}))
	if _, err := Open(testDir, Options{FS: failing}); !errors.Is(err, errorfs.ErrInjected) {
		t.Errorf("a disk that fails to tell: %v", err)
	}
}

type blank struct{ vfs.FS }

func (blank) GetDiskUsage(string) (vfs.DiskUsage, error) { return vfs.DiskUsage{}, nil }
