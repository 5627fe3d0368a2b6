package engine

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// RecoveryStats describe how the state was found at the start.
type RecoveryStats struct {
	Checkpoint uint64        // start of the checkpoint used; 0 = none
	Records    uint64        // changes replayed after it
	Load       time.Duration // time to read the checkpoint
	Replay     time.Duration // time to replay the journal
}

// recover brings the empty state to that of the last durable change: the newest sound checkpoint, and the journal from
// its start on. It returns the latest engine time on record.
func (e *Engine) recover() (last int64, err error) {
	if err := e.removeUnfinished(); err != nil {
		return 0, err
	}
	starts, err := e.checkpointFiles()
	if err != nil {
		return 0, err
	}
	base := &checkpointImage{}
	begun := time.Now()
	for i, start := range starts {
		base, err = e.loadCheckpoint(start)
		if err == nil {
			break
		}
		if i == len(starts)-1 {
			if first, ferr := e.log.First(); ferr != nil || first != 1 {
				return 0, errors.Join(fmt.Errorf("no checkpoint can be read: %w; restore the latest backup", err), ferr)
			}
		}
		e.options.Log.Error("checkpoint can't be read; going back to the one before, or to the beginning", "start", start, "error", err)
		// What was loaded of it is in the way.
		fresh, ferr := newEngine(e.dir, e.options)
		if ferr != nil {
			return 0, ferr
		}
		e.adopt(fresh)
	}
	e.recovery.Checkpoint, e.recovery.Load = base.start, time.Since(begun)
	e.checkpoint.last = CheckpointStats{Start: base.start, End: base.end, Bytes: base.bytes}
	if base.start != 0 {
		e.checkpoint.last.Written = timeOf(base.time)
	}
	begun = time.Now()
	r := replayer{e: e, base: base, last: base.time}
	if err := r.run(); err != nil {
		return 0, err
	}
	e.recovery.Records, e.recovery.Replay = r.records, time.Since(begun)
	e.counts.journalBytes.Store(r.bytes)
	return r.last, nil
}

// adopt takes over the state of another engine.
func (e *Engine) adopt(from *Engine) {
	e.skus, e.locations, e.owners, e.stock, e.reservations = from.skus, from.locations, from.owners, from.stock, from.reservations
	e.answers, e.ended, e.orders = from.answers, from.ended, from.orders
	for id := range e.settings.Len() {
		e.settings.At(id).Store(nil)
	}
	for id := range e.places.Len() {
		e.places.At(id).Store(nil)
	}
	e.recordDigest.Store(0)
	e.lastDeletion.Store(0)
	e.lastPlace.Store(0)
	e.nearby.now.Store(nil)
	e.imports.clear()
	e.transfers.clear()
}

func (e *Engine) removeUnfinished() error {
	fs := e.options.FS
	dir := fs.PathJoin(e.dir, checkpointsDir)
	names, err := fs.List(dir)
	if err != nil {
		return fmt.Errorf("checkpoints: %w", err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, temporarySuffix) {
			if err := fs.Remove(fs.PathJoin(dir, name)); err != nil {
				return fmt.Errorf("checkpoints: %w", err)
			}
		}
	}
	return nil
}
