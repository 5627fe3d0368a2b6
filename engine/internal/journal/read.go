package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// First returns the sequence of the first record still retained, or one past the last where there is none.
func (j *Journal) First() (uint64, error) {
	iter, err := j.db.NewIter(nil)
	if err != nil {
		return 0, faultOf(err)
	}
	first := j.durable.Load() + 1
	if iter.First() {
		first = binary.BigEndian.Uint64(iter.Key())
	}
	if err := iter.Close(); err != nil {
		return 0, faultOf(err)
	}
	return first, nil
}

// Blocks calls f with the block that holds sequence from, or the first retained one after it, and all durable blocks
// after that, in order, until f fails or answers errStop. A block's bytes are good until f returns. A missing or damaged
// block is an error.
func (j *Journal) Blocks(from uint64, f func(Block) error) error {
	durable := j.durable.Load()
	iter, err := j.db.NewIter(nil)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	err = j.walk(iter, from, durable, f)
	if errors.Is(err, ErrEnough) {
		err = nil
	}
	return errors.Join(err, iter.Close())
}

// ErrEnough ends Blocks without an error.
var ErrEnough = errors.New("enough")

func (j *Journal) walk(iter *pebble.Iterator, from, durable uint64, f func(Block) error) error {
	var previous Block
	valid := iter.SeekLT(key(from + 1))
	if !valid {
		valid = iter.First()
	}
	for ; valid; valid = iter.Next() {
		value, err := iter.ValueAndErr()
		if err != nil {
			return fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		b, err := ParseBlock(value)
		if err != nil {
			return err
		}
		if b.First != binary.BigEndian.Uint64(iter.Key()) {
			return fmt.Errorf("%w: block %d is stored as %d", ErrCorrupt, b.First, binary.BigEndian.Uint64(iter.Key()))
		}
		if b.Last() > durable {
			break // visible in Pebble, but not yet synced
		}
		if previous.Count > 0 {
			if b.First != previous.Last()+1 {
				return fmt.Errorf("%w: block %d is followed by %d", ErrCorrupt, previous.First, b.First)
			}
			if b.Previous != previous.Hash {
				return fmt.Errorf("%w: block %d does not continue block %d", ErrCorrupt, b.First, previous.First)
			}
		}
		if b.Last() >= from {
			if err := f(b); err != nil {
				return err
			}
		}
		previous = b
		previous.Data = nil
	}
	if err := iter.Error(); err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return nil
}

// blockBefore returns the last block that begins at or before sequence. Its bytes are a copy.
func (j *Journal) blockBefore(sequence uint64) (Block, bool, error) {
	iter, err := j.db.NewIter(nil)
	if err != nil {
		return Block{}, false, fmt.Errorf("journal: %w", err)
	}
	found := false
	if sequence == 1<<64-1 {
		found = iter.Last()
	} else {
		found = iter.SeekLT(key(sequence + 1))
	}
	var value []byte
	if found {
		v, verr := iter.ValueAndErr()
		err = verr
		value = slices.Clone(v)
	} else {
		err = iter.Error()
	}
	if err = errors.Join(err, iter.Close()); err != nil {
		return Block{}, false, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if !found {
		return Block{}, false, nil
	}
	b, err := ParseBlock(value)
	return b, err == nil, err
}

// BlockAt returns the block that holds a sequence, or false where it is no longer, or not yet, there.
func (j *Journal) BlockAt(sequence uint64) (Block, bool, error) {
	b, ok, err := j.blockBefore(sequence)
	if !ok || sequence > b.Last() || b.Last() > j.durable.Load() {
		return Block{}, false, err
	}
	return b, true, err
}

// Bytes estimates the disk space of the blocks with the sequences from first to last.
func (j *Journal) Bytes(first, last uint64) (uint64, error) {
	n, err := j.db.EstimateDiskUsage(key(first), key(last+1))
	if err != nil {
		return 0, fmt.Errorf("journal: %w", err)
	}
	return n, nil
}

// Trim lets go of the blocks that end before sequence. A trim that was under way when the process died may be undone.
func (j *Journal) Trim(sequence uint64) error {
	b, ok, err := j.blockBefore(sequence)
	if err != nil || !ok {
		return err
	}
	if err := j.db.DeleteRange(key(0), key(b.First), pebble.NoSync); err != nil {
		return fmt.Errorf("journal: trim: %w", err)
	}
	return nil
}

// DiskBytes returns the disk space the journal takes now.
func (j *Journal) DiskBytes() uint64 { return j.db.Metrics().DiskSpaceUsage() }

// MemoryBytes returns the memory the journal takes now: Pebble's memtables and cache, and the two blocks.
func (j *Journal) MemoryBytes() uint64 {
	m := j.db.Metrics()
	j.mu.Lock()
	defer j.mu.Unlock()
	bytes := m.MemTable.Size + uint64(m.BlockCache.Size)
	if j.open != nil {
		bytes += uint64(cap(j.open.data))
	}
	return bytes
}

// Import stores blocks, as Blocks yields them, into an empty journal; it is how a backup is restored. Call it before
// anything is appended. It ends with everything synced.
func Import(dir string, o Options, blocks func(yield func(data []byte) error) error) error {
	j, err := Open(dir, o)
	if err != nil {
		return err
	}
	last, hash := j.durable.Load(), uint64(0)
	if last != 0 {
		return errors.Join(fmt.Errorf("journal: %s already has records up to %d", dir, last), j.Close())
	}
	err = blocks(func(data []byte) error {
		b, err := ParseBlock(data)
		if err != nil {
			return err
		}
		if last != 0 && (b.First != last+1 || b.Previous != hash) {
			return fmt.Errorf("%w: block %d does not continue block %d", ErrCorrupt, b.First, last)
		}
		last, hash = b.Last(), b.Hash
		return j.db.Set(key(b.First), data, pebble.NoSync)
	})
	if err == nil && last != 0 {
		// One synced write makes all writes before it durable.
		err = j.db.LogData([]byte("restored"), pebble.Sync)
	}
	if err == nil && last != 0 {
		err = j.mark.write(markValue{last, hash})
	}
	if err == nil {
		err = j.mark.file.Sync()
	}
	return errors.Join(err, j.Close())
}

func key(sequence uint64) []byte {
	return binary.BigEndian.AppendUint64(nil, sequence)
}
