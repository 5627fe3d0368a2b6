package engine_test

import (
	"errors"
	"io"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"onhand/engine"
	"onhand/engine/enginetest"
	"onhand/engine/internal/clock"
	"onhand/engine/internal/record"
	"onhand/engine/internal/reservation"
)

// stored returns a disk with a database that has every kind of file: two checkpoints, three tables and a log.
func stored(t *testing.T) *vfs.MemFS {
	t.Helper()
	db := enginetest.Open(t, engine.Options{})
	l := newLedger(1, rand.New(rand.NewPCG(5, 6)))
	work := func(n int) {
		for range n {
			l.step(l.callers[0], db.Engine)
		}
	}
	for range 3 {
		work(20)
		if err := db.Checkpoint(); err != nil {
			t.Fatal(err)
		}
		work(20)
		db.Restart() // which makes a table of the log
	}
	work(20)
	db.Close()
	return db.Disk
}

// filesUnder returns the paths of all files under a directory.
func filesUnder(t *testing.T, disk vfs.FS, dir string) (all []string) {
	t.Helper()
	names, err := disk.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		name = path.Join(dir, name)
		if info, err := disk.Stat(name); err != nil {
			t.Fatal(err)
		} else if info.IsDir() {
			all = append(all, filesUnder(t, disk, name)...)
		} else {
			all = append(all, name)
		}
	}
	return all
}

func read(t testing.TB, disk vfs.FS, name string) []byte {
	t.Helper()
	file, err := disk.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(file)
	if err = errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	return data
}

// with returns a copy of a disk on which a file holds other bytes.
func with(t testing.TB, disk *vfs.MemFS, name string, data []byte) *vfs.MemFS {
	t.Helper()
	other := enginetest.Crash(disk, 100, rand.New(rand.NewPCG(0, 0)))
	file, err := other.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.Write(data)
	if err = errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	return other
}

func without(t *testing.T, disk *vfs.MemFS, name string) *vfs.MemFS {
	t.Helper()
	other := enginetest.Crash(disk, 100, rand.New(rand.NewPCG(0, 0)))
	if err := other.Remove(name); err != nil {
		t.Fatal(err)
	}
	return other
}

// check is engine.Check on a disk, where Fatal must not be called: a finding is no reason to end the process.
func check(t *testing.T, disk vfs.FS) (*engine.CheckReport, error) {
	t.Helper()
	return engine.Check(enginetest.Dir, engine.Options{
		FS: disk, Clock: clock.NewManual(enginetest.Start),
		Fatal: func(err error) { t.Errorf("a check has ended the process: %v", err) },
	})
}

// needless says why a byte of a file may be damaged, or missing, without a finding; "" = it may not.
func needless(name string, at, size int) string {
	const trailer = 11
	switch base := path.Base(name); {
	case strings.HasSuffix(base, ".log") && at >= size-trailer:
		return "what Pebble writes on closing behind the last record, to say that it is the last"
	case strings.HasPrefix(base, "OPTIONS-"):
		return "what Pebble was opened with last time; it is opened with our own options"
	case strings.HasPrefix(base, "MANIFEST-"):
		return "the manifest before, or the end of this one, which says again what the log and the tables show"
	case base == "MARK":
		return "padding, or the slot before; of the two slots one may be torn"
	}
	return ""
}

// ofAnotherFormat: what a later version has written is not damaged, and one bit can make the difference.
func ofAnotherFormat(err error) bool {
	return strings.Contains(err.Error(), "its format is") || strings.Contains(err.Error(), "checkpoint format")
}

func isDamage(err error) bool {
	return errors.Is(err, engine.ErrDamaged) || errors.Is(err, engine.ErrCheckpointDamaged) || errors.Is(err, engine.ErrBroken)
}

// TestAFlippedBitIsFound flips bits all over a database. A check either finds it, or everything is there as before and
// the bit is one of those that do not matter.
func TestAFlippedBitIsFound(t *testing.T) {
	t.Parallel()
	r := enginetest.Rand(t)
	disk := stored(t)
	sound, err := check(t, disk)
	if err != nil || len(sound.Checkpoints) != 2 || sound.First != 1 {
		t.Fatalf("%+v, %v", sound, err)
	}
	kinds := map[string]int{}
	for _, name := range filesUnder(t, disk, enginetest.Dir) {
		data := read(t, disk, name)
		flips := rounds(12)
		if path.Base(name) == "MARK" {
			data = data[:4120] // both slots and what is between them
		}
		for n := 0; n < flips && len(data) > 0; n++ {
			// The ends of a file are where formats have their seams.
			at := min(n/2, len(data)-1)
			switch n % 4 {
			case 1, 3:
				at = r.IntN(len(data))
			case 2:
				at = max(0, len(data)-1-n/2)
			}
			damaged := append([]byte(nil), read(t, disk, name)...)
			damaged[at] ^= 1 << r.IntN(8)
			report, err := check(t, with(t, disk, name, damaged))
			if err != nil {
				kinds[path.Ext(name)]++
				if !isDamage(err) && needless(name, at, len(data)) == "" && !ofAnotherFormat(err) {
					t.Errorf("%s: a bit in byte %d of %d: %v, which is called trouble instead of damage", name, at, len(data), err)
				}
				continue
			}
			if needless(name, at, len(data)) == "" {
				t.Errorf("%s: a bit in byte %d of %d is not noticed", name, at, len(data))
			} else if report.First != sound.First || report.Last != sound.Last || report.Digest != sound.Digest ||
				report.Audited != sound.Audited || report.Blocks != sound.Blocks || len(report.Checkpoints) != 2 {
				t.Errorf("%s: a bit in byte %d of %d: %+v is called sound, it was %+v", name, at, len(data), report, sound)
			}
		}
	}
	for _, kind := range []string{".sst", ".log", ".ckpt", ""} {
		if kinds[kind] == 0 {
			t.Errorf("no %q was damaged", kind)
		}
	}
}

// TestAMissingOrCutFileIsFound takes away one file after another, or its end.
func TestAMissingOrCutFileIsFound(t *testing.T) {
	t.Parallel()
	disk := stored(t)
	sound, err := check(t, disk)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range filesUnder(t, disk, enginetest.Dir) {
		base := path.Base(name)
		report, err := check(t, without(t, disk, name))
		switch {
		case base == "LOCK" || strings.HasPrefix(base, "OPTIONS-"): // nothing of the database is in them
		case strings.HasPrefix(base, "MANIFEST-"): // the one before is there until Pebble finds the time
		case strings.HasSuffix(base, ".ckpt"):
			// The journal leads to the same state without it, and there is nothing that says that it was there.
			if err == nil && report.Digest != sound.Digest {
				t.Errorf("without %s: state %016x, it was %016x", name, report.Digest, sound.Digest)
			}
		case err == nil:
			t.Errorf("without %s it is called sound", name)
		case strings.HasSuffix(base, ".sst") || strings.HasSuffix(base, ".log") || base == "MARK":
			if !isDamage(err) {
				t.Errorf("without %s: %v, which is called trouble instead of damage", name, err)
			}
		}
		data := read(t, disk, name)
		for _, kept := range []int{0, len(data) / 2, len(data) - 12} {
			if kept < 0 || kept >= len(data) || needless(name, kept, len(data)) != "" {
				continue
			}
			_, err := check(t, with(t, disk, name, data[:kept]))
			if err == nil || !isDamage(err) && !ofAnotherFormat(err) {
				t.Errorf("with %d bytes of %s: %v", kept, name, err)
			}
		}
	}
}

// TestACheckpointOfAnotherStateIsFound: each file is whole, but they do not belong together.
func TestACheckpointOfAnotherStateIsFound(t *testing.T) {
	t.Parallel()
	disk := stored(t)
	dir := path.Join(enginetest.Dir, "checkpoints")
	names, err := disk.List(dir)
	if err != nil || len(names) != 2 {
		t.Fatal(names, err)
	}
	first, second := path.Join(dir, names[0]), path.Join(dir, names[1])
	if _, err := check(t, with(t, disk, first, read(t, disk, second))); !errors.Is(err, engine.ErrCheckpointDamaged) {
		t.Errorf("a checkpoint under the name of another: %v", err)
	}

	// Two databases with equally many changes, which are not the same.
	database := func(units int64) *vfs.MemFS {
		db := enginetest.Open(t, engine.Options{})
		for range 5 {
			setOnHand(t, db, "lamp", "lyon", units)
		}
		if err := db.Checkpoint(); err != nil {
			t.Fatal(err)
		}
		setOnHand(t, db, "sofa", "lyon", 1)
		db.Close()
		return db.Disk
	}
	one, other := database(1), database(2)
	name := filesUnder(t, one, dir)[0]
	if _, err := check(t, with(t, one, name, read(t, other, name))); !isDamage(err) {
		t.Errorf("a checkpoint of another database: %v", err)
	}

	// A mark of another database.
	mark := path.Join(enginetest.Dir, "journal", "MARK")
	if _, err := check(t, with(t, one, mark, read(t, other, mark))); !errors.Is(err, engine.ErrDamaged) {
		t.Errorf("a mark of another database: %v", err)
	}
}

// TestACheckpointThatDisagreesWithReplayIsFound has memory go wrong before a checkpoint is written. A restart notices it
// too.
func TestACheckpointThatDisagreesWithReplayIsFound(t *testing.T) {
	t.Parallel()
	f := openFaulty(t, enginetest.NewDisk())
	units := int64(5)
	if _, err := f.SetStock(&engine.SetStockRequest{SKU: "lamp", Location: "lyon", OnHand: &units}); err != nil {
		t.Fatal(err)
	}
	f.SetBehindTheJournal("lamp", "lyon", 6)
	if err := f.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := check(t, f.disk); !isDamage(err) {
		t.Errorf("check: %v", err)
	}
}

// TestABrokenRuleIsFound forges changes that the engine would never make. All of them are stored as they should be.
func TestABrokenRuleIsFound(t *testing.T) {
	t.Parallel()
	const lamp, lyon = 1, 1 // the first names there are
	held := engine.ID{15: 1}
	cell := record.Cell{SKU: lamp, Location: lyon, OnHand: 5, Held: 2}
	line := reservation.Line{SKU: lamp, Location: lyon, Quantity: 2}
	for name, c := range map[string]struct {
		forge func(r *record.Record)
		want  string
	}{
		"held units without a reservation": {func(r *record.Record) {
			r.Kind = record.StockSet
			cell.Held = 3
			r.Cells = append(r.Cells, cell)
		}, "live lines hold 2"},
		"an oversold unit": {func(r *record.Record) {
			r.Kind = record.ReservationHeld
			r.Reservation = reservation.Reservation{ID: engine.ID{15: 2}, State: reservation.Held, Created: r.Time, Deadline: r.Time + int64(time.Minute)}
			line.Quantity = 4
			r.Reservation.Lines = []reservation.Line{line}
			cell.Held = 6
			r.Cells = append(r.Cells, cell)
		}, "oversold"},
		"a unit that vanishes": {func(r *record.Record) {
			r.Kind = record.ReservationReleased
			line.Released = 2
			r.Reservation = reservation.Reservation{ID: held, State: reservation.Released, Created: r.Time, Deadline: r.Time + int64(time.Minute), Lines: []reservation.Line{line}}
			cell.Held, cell.OnHand = 0, 4
			r.Cells = append(r.Cells, cell)
		}, "it should move by 0, -2"},
		"a commit after the deadline": {func(r *record.Record) {
			r.Kind = record.ReservationCommitted
			line.Committed = 2
			r.Reservation = reservation.Reservation{ID: held, State: reservation.Committed, Created: r.Time, Deadline: r.Time + int64(time.Minute), Lines: []reservation.Line{line}}
			r.Time += int64(2 * time.Minute)
			cell.Held, cell.OnHand = 0, 3
			r.Cells = append(r.Cells, cell)
		}, "is changed by kind"},
		"a recovery that was none": {func(r *record.Record) {
			r.Kind = record.StockSet
			cell.OnHand, cell.Events, cell.WasAvailable = 6, record.CellRecovered, true
			r.Cells = append(r.Cells, cell)
		}, "goes from 3 to 4 available, which are events 00000 at 0; it says 10000 at 0"},
		"the last unit, sold in silence": {func(r *record.Record) {
			r.Kind = record.StockSet
			cell.OnHand, cell.Events = 2, record.CellLow
			r.Cells = append(r.Cells, cell)
		}, "goes from 3 to 0 available, which are events 00010 at 0; it says 00001 at 0"},
		"a setting that moves stock": {func(r *record.Record) {
			r.Kind = record.SKUSet
			r.SKU = record.SKU{ID: lamp, Title: "Lamp"}
			r.Cells = append(r.Cells, cell)
		}, "should write none"},
	} {
		t.Run(name, func(t *testing.T) {
			cell, line = record.Cell{SKU: lamp, Location: lyon, OnHand: 5, Held: 2}, reservation.Line{SKU: lamp, Location: lyon, Quantity: 2}
			f := openFaulty(t, enginetest.NewDisk())
			units := int64(5)
			if _, err := f.SetStock(&engine.SetStockRequest{SKU: "lamp", Location: "lyon", OnHand: &units}); err != nil {
				t.Fatal(err)
			}
			lines := []engine.Line{{SKU: "lamp", Location: "lyon", Quantity: 2}}
			if _, err := f.Reserve(&engine.ReserveRequest{ID: held, Lines: lines, ExpiresIn: time.Minute}); err != nil {
				t.Fatal(err)
			}
			if _, err := check(t, enginetest.Crash(f.disk, 0, nil)); err != nil {
				t.Fatalf("before: %v", err)
			}
			if err := f.Forge(c.forge); err != nil {
				t.Fatal(err)
			}
			// With a checkpoint after the forgery, there is a way to the present state that does not pass it.
			if err := f.Checkpoint(); err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := check(t, f.disk); !errors.Is(err, engine.ErrBroken) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("check: %v, want %q", err, c.want)
			}
		})
	}
}

// TestChangesOfBeforeThereWereEventsAreSound, though units came and went in silence; once there were any, that is a finding.
func TestChangesOfBeforeThereWereEventsAreSound(t *testing.T) {
	t.Parallel()
	f := openFaulty(t, enginetest.NewDisk())
	if _, err := f.PutLocation(engine.Location{ID: "lyon"}, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := f.PutSKU(engine.SKU{ID: "lamp"}, ""); err != nil {
		t.Fatal(err)
	}
	silently := func(onHand int64) {
		t.Helper()
		err := f.ForgeOld(func(r *record.Record) {
			r.Kind = record.StockSet
			r.Cells = append(r.Cells, record.Cell{SKU: 1, Location: 1, OnHand: onHand})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	silently(5)
	silently(0)
	if _, err := check(t, enginetest.Crash(f.disk, 0, nil)); err != nil {
		t.Errorf("before there were any: %v", err)
	}
	units := int64(3)
	if _, err := f.SetStock(&engine.SetStockRequest{SKU: "lamp", Location: "lyon", OnHand: &units}); err != nil {
		t.Fatal(err)
	}
	if _, err := check(t, enginetest.Crash(f.disk, 0, nil)); err != nil {
		t.Errorf("with the first: %v", err)
	}
	silently(0)
	if _, err := check(t, enginetest.Crash(f.disk, 0, nil)); !errors.Is(err, engine.ErrBroken) || !strings.Contains(err.Error(), "goes from 3 to 0 available") {
		t.Errorf("after it: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestWhatCannotBeCheckedIsNotCalledDamaged: the answer is to look again later, or elsewhere, and not to restore a backup.
func TestWhatCannotBeCheckedIsNotCalledDamaged(t *testing.T) {
	t.Parallel()
	if _, err := check(t, enginetest.NewDisk()); err == nil || isDamage(err) {
		t.Errorf("where there is nothing: %v", err)
	}
	db := enginetest.Open(t, engine.Options{})
	setOnHand(t, db, "lamp", "lyon", 5)
	if _, err := check(t, db.Disk); err == nil || isDamage(err) {
		t.Errorf("while an engine has it open: %v", err)
	}
	db.Close()
	denied := errorfs.Wrap(db.Disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if strings.HasSuffix(op.Path, ".log") {
			return vfs.ErrUnsupported
		}
		return nil
	}))
	if _, err := check(t, denied); err == nil || isDamage(err) {
		t.Errorf("where the log may not be read: %v", err)
	}
}

// TestDamageMetWhileServingStopsTheEngine reads an old change from a damaged table. What the engine goes on to write would
// stand on a journal that can't be replayed.
func TestDamageMetWhileServingStopsTheEngine(t *testing.T) {
	t.Parallel()
	disk := stored(t)
	var tables []string
	for _, name := range filesUnder(t, disk, enginetest.Dir) {
		if strings.HasSuffix(name, ".sst") {
			tables = append(tables, name)
		}
	}
	slices.Sort(tables)
	// Recovery looks at the oldest change, and reads those after the newest checkpoint, which are in the last table.
	data := read(t, disk, tables[1])
	data[100] ^= 1
	f := openFaulty(t, with(t, disk, tables[1], data))
	all := func() error { return f.Changes(0, func(*engine.Change) error { return nil }) }
	if err := all(); !errors.Is(err, engine.ErrDamaged) {
		t.Errorf("reading a damaged change: %v", err)
	}
	if len(f.fatal) > 0 {
		t.Errorf("nothing was written yet, and Fatal was told %v", <-f.fatal)
	}
	if _, err := f.Adjust(&engine.Adjustment{Lines: one("lamp", "lyon"), Reason: "receipt"}); err != nil {
		t.Fatal(err)
	}
	if err := all(); !errors.Is(err, engine.ErrDamaged) {
		t.Errorf("reading a damaged change: %v", err)
	}
	if err := <-f.fatal; !errors.Is(err, engine.ErrDamaged) {
		t.Errorf("Fatal was told %v", err)
	}
	if _, err := f.Adjust(&engine.Adjustment{Lines: one("lamp", "lyon"), Reason: "receipt"}); !errors.Is(err, engine.ErrStopped) {
		t.Errorf("a write after that: %v", err)
	}
	_ = f.Close()
}
