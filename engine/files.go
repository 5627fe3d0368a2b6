package engine

import (
	"errors"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// writeFile makes a file that appears under its name only once it is whole and synced, and whose name is synced too.
func writeFile(fs vfs.FS, dir, name string, write func(io.Writer) error) error {
	temporary := fs.PathJoin(dir, name+temporarySuffix)
	file, err := fs.Create(temporary, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
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

// temporarySuffix marks files that were being written; what bears it at the start is left over from a crash.
const temporarySuffix = ".tmp"

func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func readFile(fs vfs.FS, name string) ([]byte, error) {
	file, err := fs.Open(name)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(file)
	return data, errors.Join(err, file.Close())
}
