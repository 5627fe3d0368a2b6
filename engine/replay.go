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

// chunkEntries is how many entries the reader hands on together. A journal written by a few callers has blocks of a few
// records each.
const chunkEntries = 2048

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
	chunks := make(chan *chunk, 8)
	free := make(chan *chunk, 16)
	stop := make(chan struct{})
	var readErr error
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(chunks)
		readErr = r.read(chunks, free, stop)
	})
	in := newInstaller(r.e, r.base.end, replayWorkers(r.audit != nil), free)
	for c := range chunks {
		if err == nil {
			if err = r.install(in, c); err != nil {
				close(stop)
			}
		}
		in.release(c)
	}
	in.close()
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
func (r *replayer) read(chunks chan<- *chunk, free <-chan *chunk, stop <-chan struct{}) error {
	var out *chunk
	send := func() error {
		select {
		case chunks <- out:
			out = nil
			return nil
		case <-stop:
			return journal.ErrEnough
		}
	}
	err := r.e.log.Blocks(r.base.start+1, func(b journal.Block) error {
		if out == nil {
			select {
			case out = <-free:
				out.data, out.entries = out.data[:0], out.entries[:0]
			default:
				out = new(chunk)
			}
			out.users.Store(1)
		}
		if err := out.add(b, r.base.start); err != nil {
			return err
		}
		if len(out.entries) >= chunkEntries {
			return send()
		}
		return nil
	})
	if err == nil && out != nil && len(out.entries) > 0 {
		if err = send(); errors.Is(err, journal.ErrEnough) {
			err = nil
		}
	}
	return err
}

// add decodes a block's entries after a sequence.
func (c *chunk) add(b journal.Block, after uint64) error {
	// The block's bytes are good until this function returns; whoever installs them needs them longer. Where the copy of
	// an earlier block moves as this one is appended, its entries keep the old bytes.
	at := len(c.data)
	c.data = append(c.data, b.Data...)
	b.Data = c.data[at:]
	next := func() *decodedEntry {
		if len(c.entries) == cap(c.entries) {
			c.entries = slices.Grow(c.entries, chunkEntries)
		}
		c.entries = c.entries[:len(c.entries)+1]
		return &c.entries[len(c.entries)-1]
	}
	return b.Each(func(sequence uint64, encoded []byte) error {
		if sequence <= after {
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
}

func (r *replayer) install(in *installer, c *chunk) error {
	r.bytes += int64(len(c.data))
	for i := range c.entries {
		entry := &c.entries[i]
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
		in.add(c, entry)
		r.last = max(r.last, entry.rec.Time)
		r.records++
		if r.known(entry.sequence) {
			in.wait(c)
			if err := r.compare(entry.sequence); err != nil {
				return err
			}
		}
	}
	in.flush(c)
	return nil
}

// known reports whether the digest of the state at a sequence is known.
func (r *replayer) known(sequence uint64) bool {
	return sequence == r.base.end ||
		slices.ContainsFunc(r.marks, func(m *checkMark) bool { return m.sequence == sequence })
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
