package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"onhand/engine"
)

type backupCommand struct {
	File   string `arg:"" help:"File to write the backup to, a tar archive." type:"path"`
	Verify bool   `help:"Restore the backup beside the file, compare the hash of the state, and remove it again. Needs the disk space and the memory of the database." default:"true" negatable:""`
	remote
}

// Help explains what a backup is.
func (backupCommand) Help() string {
	return `The server goes on working meanwhile. The file appears under its name once it is whole, on the disk, and verified. With API keys the server asks for one of scope admin.`
}

// Run fetches a backup.
func (c *backupCommand) Run(s *streams) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	bar := newProgress(s.err)
	defer bar.close()
	write := func(file *os.File) error {
		return c.fetch(ctx, &progressWriter{ctx: ctx, out: file, bar: bar, step: "backing up"})
	}
	verify := func(string) error { return nil }
	if c.Verify {
		verify = func(temporary string) error { return c.verify(s, bar, temporary) }
	}
	if err := writeWhole(c.File, write, verify); err != nil {
		return err
	}
	bar.close()
	if !c.Verify {
		fmt.Fprintf(s.out, "%s is written, and not verified\n", c.File)
	}
	return nil
}

func (c *backupCommand) fetch(ctx context.Context, w io.Writer) error {
	request, err := c.request(ctx, "GET", "/v1/backup", nil, nil)
	if err != nil {
		return err
	}
	response, err := c.do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err = io.Copy(w, response.Body); err != nil {
		return fmt.Errorf("the backup broke off: %w", err)
	}
	return nil
}

// verify restores the backup beside it.
func (c *backupCommand) verify(s *streams, bar *progress, temporary string) (err error) {
	dir, err := os.MkdirTemp(filepath.Dir(temporary), "."+filepath.Base(c.File)+".verify-*")
	if err != nil {
		return err
	}
	defer func() {
		if removeErr := os.RemoveAll(dir); err == nil {
			err = removeErr
		}
	}()
	m, report, err := restoreFile(s, bar, "verifying", temporary, dir)
	if err != nil {
		return fmt.Errorf("the backup is not sound and was removed: %w", err)
	}
	bar.close()
	printBackup(s.out, c.File, m, report)
	return nil
}

// restoreFile makes a database in dir from a backup.
func restoreFile(s *streams, bar *progress, step, name, dir string) (*engine.BackupManifest, *engine.CheckReport, error) {
	in, size := s.in, int64(-1)
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, nil, err
		}
		defer file.Close()
		info, err := file.Stat()
		if err != nil {
			return nil, nil, err
		}
		in, size = file, info.Size()
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	r := &progressReader{ctx: ctx, in: in, bar: bar, step: step, total: size}
	return engine.Restore(dir, r, engine.Options{Log: stderrLog(s), Fatal: fatal(s)})
}

func printBackup(w io.Writer, what string, m *engine.BackupManifest, r *engine.CheckReport) {
	fmt.Fprintf(w, "%s is sound: sequence %d of %s, %d cells, %d live reservations, state %s\n",
		what, m.Sequence, m.Created.UTC().Format("2006-01-02 15:04:05Z"), r.Cells, r.Live, m.Digest)
}
