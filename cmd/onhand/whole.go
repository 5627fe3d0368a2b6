package main

import (
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
)

// writeWhole writes a file that appears under its name only once it is whole, verified and on the disk. verify, where not
// nil, is given the name under which it lies until then.
func writeWhole(name string, write func(*os.File) error, verify func(temporary string) error) (err error) {
	temporary := filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+".part-"+rand.Text())
	file, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(temporary))
		}
	}()
	err = write(file)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if verify != nil {
		if err := verify(temporary); err != nil {
			return err
		}
	}
	if err := os.Rename(temporary, name); err != nil {
		return err
	}
	return syncDir(filepath.Dir(name))
}

// syncDir makes a renaming in dir last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
