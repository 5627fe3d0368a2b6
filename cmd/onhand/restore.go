package main

import (
	"errors"
	"io"

	"onhand/engine"
)

type restoreCommand struct {
	File string `arg:"" help:"Backup to read; - for standard input." type:"path"`
	Dir  string `arg:"" help:"Directory of the new database; must not exist, or be empty." type:"path"`
}

// Help explains what is verified.
func (restoreCommand) Help() string {
	return `The database is checked from end to end, as "onhand check" does, and the hash of its state is compared with that of the server when the backup was taken. If anything is wrong, the exit status is 1 and the directory can't be opened as a database.`
}

// Run restores the backup and prints which state it holds.
func (c *restoreCommand) Run(s *streams) error {
	bar := newProgress(s.err)
	defer bar.close()
	m, report, err := restoreFile(s, bar, "restoring", c.File, c.Dir)
	bar.close()
	if unsound(err) || errors.Is(err, io.ErrUnexpectedEOF) { // the latter where it is cut short
		return exitError{err, exitFinding}
	}
	if err != nil {
		return err
	}
	printBackup(s.out, c.Dir, m, report)
	return nil
}

// unsound reports whether an error is about what is stored, and not about reaching it.
func unsound(err error) bool {
	return errors.Is(err, engine.ErrDamaged) || errors.Is(err, engine.ErrCheckpointDamaged) || errors.Is(err, engine.ErrBroken)
}
