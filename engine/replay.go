package engine

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"onhand/engine/internal/journal"
	"onhand/engine/internal/record"
)

// replayer installs the journal over a loaded checkpoint.
type replayer struct {
	e       *Engine
	base    *checkpointImage
	last    int64 // latest engine time seen
	records uint64
	bytes   int64
	// audit, where not nil, is shown each record before it is installed.
	audit func(sequence uint64, r *record.Record) error
	// marks are further sequences at which the digest must be a known one.
	marks []*checkMark
}

// decodedBlock is a block on its way from the goroutine that reads and decodes to the one that installs.
type decodedBlock struct {
	data    []byte
	entries []decodedEntry
}

type decodedEntry struct {
	sequence uint64 // 0 = a note
	encoded  []byte
	rec      record.Record
}

func (r *replayer) run() error {
	first, err := r.e.log.First()
	if err != nil {
		return err
	}
	if durable := r.e.log.Durable(); r.base.start > durable || first > r.base.start+1 {
		return fmt.Errorf("%w: it has the changes from %d to %d, but the checkpoint needs those after %d; restore the latest backup",
			journal.ErrCorrupt, first, durable, r.base.start)
	}
	if err := r.compare(r.base.start); err != nil {
		return err
	}
	blocks := make(chan *decodedBlock, 8)
	free := make(chan *decodedBlock, 8)
	stop := make(chan struct{})
	var readErr error
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(blocks)
		readErr = r.read(blocks, free, stop)
	})
	for b := range blocks {
		if err == nil {
			if err = r.install(b); err != nil {
				close(stop)
			}
		}
		select {
		case free <- b:
		default:
		}
	}
	reading.Wait()
	if err = errors.Join(err, readErr); err != nil {
		return err
	}
	if reached := max(r.base.start, r.e.log.Durable()); reached < r.base.end {
		return fmt.Errorf("%w: it ends at %d, but the checkpoint has changes up to %d; restore the latest backup",
			journal.ErrCorrupt, reached, r.base.end)
	}
	return nil
}

// read decodes the blocks after the checkpoint's start.
func (r *replayer) read(blocks chan<- *decodedBlock, free <-chan *decodedBlock, stop <-chan struct{}) error {
	return r.e.log.Blocks(r.base.start+1, func(b journal.Block) error {
		var out *decodedBlock
		select {
		case out = <-free:
		default:
			out = new(decodedBlock)
		}
		// The block's bytes are good until this function returns; whoever installs them needs them longer.
		out.data = append(out.data[:0], b.Data...)
		b.Data = out.data
		out.entries = out.entries[:0]
		next := func() *decodedEntry {
			if len(out.entries) < cap(out.entries) {
				out.entries = out.entries[:len(out.entries)+1]
			} else {
				out.entries = append(slices.Grow(out.entries, 64), decodedEntry{})
			}
			return &out.entries[len(out.entries)-1]
		}
		err := b.Each(func(sequence uint64, encoded []byte) error {
			if sequence <= r.base.start {
				return nil
			}
			entry := next()
			entry.sequence, entry.encoded = sequence, encoded
			if err := record.Decode(encoded, &entry.rec); err != nil {
				return fmt.Errorf("change %d: %w", sequence, err)
			}
			return nil
		}, func(note []byte) error {
			entry := next()
			entry.sequence, entry.encoded = 0, note
			return nil
		})
		if err != nil {
			return err
		}
		select {
		case blocks <- out:
			return nil
		case <-stop:
			return journal.ErrEnough
		}
	})
}

func (r *replayer) install(b *decodedBlock) error {
	r.bytes += int64(len(b.data))
	for i := range b.entries {
		entry := &b.entries[i]
		if entry.sequence == 0 {
			// A definition counts from the next record on.
			if err := r.e.applySymbol(entry.encoded, r.base.start+r.records+1); err != nil {
				return err
			}
			continue
		}
		if r.audit != nil {
			if err := r.audit(entry.sequence, &entry.rec); err != nil {
				return err
			}
		}
		m := replay
		if entry.sequence <= r.base.end {
			m = overlap
		}
		r.e.apply(entry.sequence, &entry.rec, entry.encoded, m)
		r.last = max(r.last, entry.rec.Time)
		r.records++
		if err := r.compare(entry.sequence); err != nil {
			return err
		}
	}
	return nil
}

// compare checks the state against the digests that are known of it.
func (r *replayer) compare(sequence uint64) error {
	if sequence == r.base.end && sequence != 0 {
		if err := r.expect(sequence, r.base.digest, "the checkpoint"); err != nil {
			return err
		}
		// Up to here reservations came in any order: those in the checkpoint, and between them those that it missed.
		r.e.reservations.SortLists()
	}
	for _, m := range r.marks {
		if m.sequence == sequence && sequence >= r.base.end {
			if err := r.expect(sequence, m.digest, "the backup"); err != nil {
				return err
			}
			m.reached = true
		}
	}
	return nil
}

func (r *replayer) expect(sequence, digest uint64, who string) error {
	if have := r.e.digestLocked(); have != digest {
		return fmt.Errorf("%w: replaying it up to %d leads to state %016x, %s says %016x; restore the latest backup",
			journal.ErrCorrupt, sequence, have, who, digest)
	}
	return nil
}
