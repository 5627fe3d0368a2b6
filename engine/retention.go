package engine

import (
	"sort"

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

// retainedFrom returns the oldest sequence that the options say should be readable.
func (e *Engine) retainedFrom(first uint64) (uint64, error) {
	durable := e.log.Durable()
	if durable < first {
		return first, nil
	}
	oldest := e.clock.Now() - int64(e.options.RetentionAge)
	var failed error
	n := sort.Search(int(durable-first+1), func(i int) bool {
		b, ok, err := e.log.BlockAt(first + uint64(i))
		if err != nil || !ok {
			failed = err
			return true
		}
		return record.TimeOf(b.FirstRecord()) >= oldest
	})
	byAge := first + uint64(n)
	n = sort.Search(int(durable-first+1), func(i int) bool {
		bytes, err := e.log.Bytes(first+uint64(i), durable)
		if err != nil {
			failed = err
			return true
		}
		return bytes <= uint64(e.options.RetentionBytes)
	})
	return max(byAge, first+uint64(n)), failed
}
