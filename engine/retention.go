package engine

import (
	"sort"
	"time"

	"onhand/engine/internal/record"
)

// The journal is kept for two reasons: recovery needs what comes after the older checkpoint, and the change feed can be
// resumed from whatever is there. What neither needs any more is trimmed.

// trim lets go of the journal that nothing needs.
func (e *Engine) trim() error {
	e.checkpoint.mu.Lock()
	defer e.checkpoint.mu.Unlock()
	return e.trimLocked()
}

func (e *Engine) trimLocked() error {
	starts, err := e.checkpointFiles()
	if err != nil || len(starts) < checkpointsKept {
		return err // with one checkpoint only, the journal from the beginning is the other way to recover
	}
	first, err := e.log.First()
	if err != nil {
		return err
	}
	keep, err := e.retainedFrom(first)
	if err != nil {
		return err
	}
	if keep = min(keep, starts[checkpointsKept-1]+1); keep > first {
		return e.log.Trim(keep)
	}
	return nil
}

// RetainMax is for how long Retain keeps changes at most.
const RetainMax = 96 * time.Hour

// Retain asks for the changes after a sequence to be kept beyond RetentionAge, for somebody who has not read them yet: until they
// are RetainMax old, or take more disk than RetentionBytes. Each call replaces the last.
func (e *Engine) Retain(after uint64) { e.retain.Store(after + 1) }

// retainedFrom returns the oldest sequence that should be readable, by the options and by who asked for more.
func (e *Engine) retainedFrom(first uint64) (uint64, error) {
	durable := e.log.Durable()
	if durable < first {
		return first, nil
	}
	var failed error
	// oldest returns the first sequence for which enough answers true; it does from some sequence on.
	oldest := func(enough func(sequence uint64) (bool, error)) uint64 {
		n := sort.Search(int(durable-first+1), func(i int) bool {
			yes, err := enough(first + uint64(i))
			if err != nil {
				failed = err
			}
			return yes || err != nil
		})
		return first + uint64(n)
	}
	youngerThan := func(age time.Duration) uint64 {
		at := e.clock.Now() - int64(age)
		return oldest(func(sequence uint64) (bool, error) {
			b, ok, err := e.log.BlockAt(sequence)
			return !ok || record.TimeOf(b.FirstRecord()) >= at, err
		})
	}
	byAge := youngerThan(e.options.RetentionAge)
	if asked := e.retain.Load(); asked > 0 && asked < byAge {
		byAge = min(byAge, max(asked, youngerThan(RetainMax)))
	}
	bySize := oldest(func(sequence uint64) (bool, error) {
		bytes, err := e.log.Bytes(sequence, durable)
		return bytes <= uint64(e.options.RetentionBytes), err
	})
	return max(byAge, bySize), failed
}
