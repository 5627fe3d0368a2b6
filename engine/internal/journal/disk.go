package journal

import (
	"errors"
	"fmt"
	iofs "io/fs"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Pebble needs room to start: it flushes what its write-ahead log holds, and retries for ever when that fails. So the
// space is looked at before Pebble is opened, and a reserve file keeps some back: when the disk has filled up, removing
// the reserve gives the start-up the room it needs, and with it the chance to trim.
const (
	reserveName = "RESERVE"
	// reserveBytes covers the flush of the memtables and a few compactions.
	reserveBytes = 64 << 20
	// SpaceMin is the free space below which a journal is not opened and no further writes should be taken.
	SpaceMin = 128 << 20
)

// ErrDiskFull says that there is too little free space to go on safely.
var ErrDiskFull = errors.New("disk is almost full")

// ensureSpace refuses a directory whose disk is too full to work on, giving up the reserve file if that helps.
func ensureSpace(fs vfs.FS, dir string) error {
	free, err := FreeBytes(fs, dir)
	if err != nil || free >= SpaceMin {
		return err
	}
	if err := fs.Remove(fs.PathJoin(dir, reserveName)); err == nil {
		if free, err = FreeBytes(fs, dir); err != nil || free >= SpaceMin {
			return err
		}
	}
	return fmt.Errorf("%w: %d MiB are free under %s, at least %d are needed; make room on that disk and start again",
		ErrDiskFull, free>>20, dir, SpaceMin>>20)
}

// ensureReserve sets the reserve file up again where there is ample room for it.
func ensureReserve(fs vfs.FS, dir string) error {
	name := fs.PathJoin(dir, reserveName)
	if info, err := fs.Stat(name); err == nil && info.Size() == reserveBytes {
		return nil
	} else if err != nil && !errors.Is(err, iofs.ErrNotExist) {
		return err
	}
	if free, err := FreeBytes(fs, dir); err != nil || free < 2*SpaceMin {
		return err
	}
	file, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	// Written out rather than allocated, so that file systems which compress or leave holes keep the blocks too.
	chunk := make([]byte, 1<<20)
	for i := range chunk {
		chunk[i] = byte(i*i>>3 ^ i)
	}
	for written := 0; written < reserveBytes && err == nil; written += len(chunk) {
		_, err = file.Write(chunk)
	}
	return errors.Join(err, file.Sync(), file.Close())
}

// FreeBytes returns the space an unprivileged process can use. A file system that can't tell counts as roomy.
func FreeBytes(fs vfs.FS, dir string) (uint64, error) {
	usage, err := fs.GetDiskUsage(dir)
	if errors.Is(err, vfs.ErrUnsupported) {
		return 1 << 62, nil
	}
	if err != nil {
		return 0, fmt.Errorf("free space of %s: %w", dir, err)
	}
	if usage == (vfs.DiskUsage{}) {
		return 1 << 62, nil // an in-memory file system
	}
	return usage.AvailBytes, nil
}
