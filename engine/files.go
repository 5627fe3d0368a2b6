package engine

import (
	"errors"
	"io"
	iofs "io/fs"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// writeFile makes a file that appears under its name only once it is whole and synced, and whose name is synced too.
func writeFile(fs vfs.FS, dir, name string, write func(io.Writer) error) error {
	temporary := fs.PathJoin(dir, name+temporarySuffix)
	file, err := fs.Create(temporary, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	// What is written goes to the disk as it comes: one large sync at the end would keep the journal's waiting.
	file = vfs.NewSyncingFile(file, vfs.SyncingFileOptions{BytesPerSync: bytesPerSync})
	if err = write(file); err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return errors.Join(err, fs.Remove(temporary))
	}
	if err := fs.Rename(temporary, fs.PathJoin(dir, name)); err != nil {
		return err
	}
	return syncDir(fs, dir)
}

const bytesPerSync = 512 << 10

// temporarySuffix marks files that were being written; what bears it at the start is left over from a crash.
const temporarySuffix = ".tmp"

func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// makeDir makes a directory, and those above it that are missing, and syncs their names.
func makeDir(fs vfs.FS, dir string) error {
	var above []string
	for d := dir; d != fs.PathDir(d); {
		d = fs.PathDir(d)
		above = append(above, d)
		if _, err := fs.Stat(d); err == nil {
			break
		} else if !errors.Is(err, iofs.ErrNotExist) {
			return err
		}
	}
	if err := fs.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, d := range above {
		if err := syncDir(fs, d); err != nil {
			return err
		}
	}
	return nil
}

func readFile(fs vfs.FS, name string) ([]byte, error) {
	file, err := fs.Open(name)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(file)
	return data, errors.Join(err, file.Close())
}
