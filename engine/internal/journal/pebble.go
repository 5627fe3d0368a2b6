package journal

import (
	"errors"
	"fmt"
	iofs "io/fs"
	"log/slog"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// options are Pebble's, as the journal needs them: keys only ever ascend, values are written once, read in order, and
// deleted from the front. Whatever we rely on is set here even where it is the default today.
func (j *Journal) options(fs vfs.FS) *pebble.Options {
	o := &pebble.Options{
		FS:     fs,
		Logger: logger{j},
		// The default is the oldest format there is.
		FormatMajorVersion: pebble.FormatNewest,
		// The journal is read in long sweeps; a cache would only keep what nobody asks for twice.
		CacheSize: 4 << 20,
		// A memtable of 16 MiB is flushed a few times a second at the highest rates; larger ones are memory that the
		// stock could use, smaller ones many small files.
		MemTableSize:                16 << 20,
		MemTableStopWritesThreshold: 6,
		// Flushed tables don't overlap, so compaction moves them down without rewriting; let them be large and few.
		L0CompactionThreshold:      8,
		L0StopWritesThreshold:      256,
		LBaseMaxBytes:              1 << 30,
		MaxOpenFiles:               512,
		CompactionConcurrencyRange: func() (int, int) { return 1, 1 },
		EventListener: &pebble.EventListener{
			// A failed flush or compaction is retried for ever, while the write-ahead log grows. It means that the
			// disk is full or failing, so the process stops as it does for a failed sync.
			BackgroundError: func(err error) { j.fail(fmt.Errorf("journal: background work: %w", err)) },
			DataCorruption:  j.damaged,
		},
	}
	for i := range o.TargetFileSizes {
		o.TargetFileSizes[i] = 64 << 20
	}
	for i := range o.Levels {
		o.Levels[i].BlockSize = 64 << 10
		// Records are packed numbers and random ids; compressing them costs a tenth of a core per 50 MB/s written and
		// saves a quarter of the space.
		o.Levels[i].Compression = func() *sstable.CompressionProfile { return sstable.NoCompression }
	}
	return o
}

// damaged is called when a table turns out to be damaged. While the journal is only read, by a check or a recovery, that
// is for the reader to report, who is given the error too; Pebble's own answer would be to end the process.
func (j *Journal) damaged(info pebble.DataCorruptionInfo) {
	err := fmt.Errorf("%w: %s: %w; restore the latest backup", ErrCorrupt, info.Path, info.Details)
	j.log.Error("journal is damaged", slog.String("file", info.Path), slog.String("error", err.Error()))
	if j.appended.Load() > j.found.Load() {
		j.fail(err)
	}
}

// faultOf tells damage from other trouble, such as a lock or a missing permission, in what Pebble says. Tables that are
// missing or cut it does not call corruption, but they are no less lost.
func faultOf(err error) error {
	if pebble.IsCorruptionError(err) || errors.Is(err, iofs.ErrNotExist) || strings.Contains(err.Error(), "object size mismatch") {
		return fmt.Errorf("%w: %w; restore the latest backup", ErrCorrupt, err)
	}
	return fmt.Errorf("journal: %w", err)
}

// logger hands Pebble's messages on. Pebble calls Fatalf when its log can't be written or synced, and reports success
// to the writer if Fatalf returns; so ours never does.
type logger struct{ j *Journal }

func (l logger) Infof(format string, args ...any) {
	l.j.log.Debug("pebble", slog.String("message", fmt.Sprintf(format, args...)))
}

func (l logger) Errorf(format string, args ...any) {
	l.j.log.Error("pebble", slog.String("message", fmt.Sprintf(format, args...)))
}

func (l logger) Fatalf(format string, args ...any) {
	l.j.fail(fmt.Errorf("journal: "+format, args...))
	select {} // Options.Fatal came back, as it does in tests: keep this goroutine from acknowledging anything
}
