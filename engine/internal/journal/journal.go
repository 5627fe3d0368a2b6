// Package journal makes changes durable: an append-only sequence of records in blocks, one synced write per block, on
// Pebble. Records are opaque bytes here.
//
// # How a record becomes durable
//
//	Append ──► open block ──► seal ──► one Pebble write, synced ──► mark ──► Wait returns
//	           (memory)       (one goroutine; the next block fills meanwhile)
//
// Append numbers the record and copies it into the open block; that is all that happens under the caller's locks. One
// goroutine takes the open block, seals and stores it, and lets everyone who waits for one of its records go on. The
// more callers, the larger the blocks: the cost of a sync is shared by all who came while the one before was under way.
// There is never more than one block under way: two or three cost more processor time and make smaller blocks (measured
// with 64 callers: 171,000 records a second with one, 123,000 with two, 135,000 with three).
//
// # What can go wrong
//
// When a block can't be stored the process must end, because what memory holds is no longer what the disk will hold:
// Options.Fatal is called, once, and nothing is acknowledged after that.
package journal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	iofs "io/fs"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Options configure a journal.
type Options struct {
	// FS is the file system; default vfs.Default.
	FS vfs.FS
	// Fatal is called when the journal can no longer keep its word. It should end the process.
	Fatal func(error)
	// Log receives Pebble's messages; default: none.
	Log *slog.Logger
	// ReadOnly opens the journal for reading, changing nothing.
	ReadOnly bool
	// Stored, where not nil, is told of each durable block: its records, bytes, and how long the write took.
	Stored func(records, bytes int, took time.Duration)
}

// queueBytesMax is how large the open block may be before Admit makes callers wait: at the rates measured (100 MB/s)
// that is a tenth of a second's work, so whoever waits longer would only wait in memory.
const queueBytesMax = 8 << 20

// blockBytesEnough is the size at which the open block is stored though nobody waits for it: a write this large costs
// several times its sync.
const blockBytesEnough = 1 << 20

// storeInterval is how long a record may wait for the disk that nobody waits for: an expiry, a row of an import.
const storeInterval = 10 * time.Millisecond

// markInterval is how often the high-water mark is synced.
const markInterval = time.Second

// ErrStopped is what waiting returns once the journal has failed or was closed: whether the record is durable is not
// known.
var ErrStopped = errors.New("journal has stopped")

// Journal is an open journal. Its methods are safe for concurrent use.
type Journal struct {
	db     *pebble.DB
	mark   *mark
	fatal  func(error)
	log    *slog.Logger
	stored func(records, bytes int, took time.Duration)

	// mu guards the blocks and closing. It is the last lock of the engine's order: nothing is locked under it, and it
	// is held for a copy of a record only.
	mu       sync.Mutex
	room     sync.Cond // Admit waits here
	open     *block    // being filled
	flying   *block    // being stored, or nil
	closing  bool
	broken   bool
	wanted   chan struct{} // holds a token while someone waits for the open block, or it is large
	finished chan struct{} // closed when the store loop has ended

	found    atomic.Uint64 // last sequence when the journal was opened
	durable  atomic.Uint64
	appended atomic.Uint64
	crowded  atomic.Bool // Admit has to look closer

	failOnce sync.Once
	failed   chan struct{}

	// Of the store loop only.
	spare    *block
	previous uint64 // hash of the last block
}

// Open opens or creates the journal in dir.
func Open(dir string, o Options) (*Journal, error) {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	j := &Journal{
		fatal: o.Fatal, log: o.Log, stored: o.Stored,
		failed: make(chan struct{}), finished: make(chan struct{}), wanted: make(chan struct{}, 1),
	}
	j.room.L = &j.mu
	if o.ReadOnly {
		return j, j.openReadOnly(dir, o.FS)
	}
	if err := o.FS.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	if err := ensureSpace(o.FS, dir); err != nil {
		return nil, err
	}
	if err := j.openPebble(dir, o.FS); err != nil {
		return nil, err
	}
	if err := j.start(dir, o.FS); err != nil {
		return nil, errors.Join(err, j.db.Close())
	}
	if err := ensureReserve(o.FS, dir); err != nil {
		return nil, errors.Join(fmt.Errorf("reserve file: %w", err), j.Close())
	}
	return j, nil
}

func (j *Journal) openPebble(dir string, fs vfs.FS) error {
	dir = fs.PathJoin(dir, pebbleName)
	if err := fs.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	existing, err := pebble.Peek(dir, fs)
	if err != nil {
		return faultOf(err)
	}
	j.db, err = pebble.Open(dir, j.options(fs))
	if err != nil {
		return faultOf(err)
	}
	if existing.Exists && existing.FormatMajorVersion >= pebble.FormatNewest {
		return nil
	}
	// The first write-ahead log of a new database, or of one whose making was cut short, is made before the format is
	// raised, and so in the old format, whose reader takes damage for the end of the log. Opening again makes a new one.
	if err := j.db.Close(); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	j.db, err = pebble.Open(dir, j.options(fs))
	if err != nil {
		return faultOf(err)
	}
	return nil
}

func (j *Journal) openReadOnly(dir string, fs vfs.FS) error {
	options := j.options(fs)
	options.ReadOnly = true
	options.ErrorIfNotExists = true
	db, err := pebble.Open(fs.PathJoin(dir, pebbleName), options)
	if err != nil {
		return faultOf(err)
	}
	j.db = db
	file, err := fs.Open(fs.PathJoin(dir, markName))
	if errors.Is(err, iofs.ErrNotExist) {
		return errors.Join(fmt.Errorf("%w: it has no high-water mark, so it can't be told whether it is whole", ErrCorrupt), db.Close())
	}
	if err != nil {
		return errors.Join(fmt.Errorf("high-water mark: %w", err), db.Close())
	}
	value, _, err := readMark(file)
	if err = errors.Join(err, file.Close()); err != nil {
		return errors.Join(err, db.Close())
	}
	if _, err := j.checkEnd(value); err != nil {
		return errors.Join(err, db.Close())
	}
	close(j.finished)
	return nil
}

// Names in the journal's directory.
const (
	markName   = "MARK"
	pebbleName = "pebble"
)

// start compares the journal's end with the high-water mark and begins to store blocks.
func (j *Journal) start(dir string, fs vfs.FS) error {
	mark, value, err := openMark(fs, fs.PathJoin(dir, markName))
	if err != nil {
		return err
	}
	j.mark = mark
	last, err := j.checkEnd(value)
	if err != nil {
		return errors.Join(err, mark.file.Close())
	}
	j.open, j.spare = &block{}, &block{}
	j.open.reset(last + 1)
	go j.storeLoop()
	return nil
}

// checkEnd sets the journal's end from its last block, and refuses one that ends before the mark.
func (j *Journal) checkEnd(mark markValue) (last uint64, err error) {
	b, ok, err := j.blockBefore(1<<64 - 1)
	if err != nil {
		return 0, err
	}
	if ok {
		last, j.previous = b.Last(), b.Hash
	}
	if last < mark.sequence {
		return 0, fmt.Errorf("%w: it ends at sequence %d, but %d was acknowledged as durable; the end of the write-ahead log is lost. "+
			"Restore the latest backup, or, to go on without the changes from %d to %d, remove the file %s",
			ErrCorrupt, last, mark.sequence, last+1, mark.sequence, markName)
	}
	if last == mark.sequence && ok && mark.hash != b.Hash {
		return 0, fmt.Errorf("%w: its last block is not the one that was acknowledged; the mark and the journal are not of the same database", ErrCorrupt)
	}
	j.found.Store(last)
	j.durable.Store(last)
	j.appended.Store(last)
	return last, nil
}

// Append adds a record and returns its sequence. It never waits for the disk; the record is durable once Wait says so.
// Calls that must keep an order are made under a common lock.
func (j *Journal) Append(record []byte) uint64 {
	j.mu.Lock()
	b := j.open
	b.append(record, false)
	sequence := b.last()
	if len(b.data) > blockBytesEnough {
		j.want()
		if len(b.data) > queueBytesMax {
			j.crowded.Store(true)
		}
	}
	j.appended.Store(sequence)
	j.mu.Unlock()
	return sequence
}

// AppendNote adds bytes that have no sequence of their own. A note is durable with the first record after it, whose
// sequence it returns, and is read back before that record.
func (j *Journal) AppendNote(note []byte) uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.open.append(note, true)
	return j.open.last() + 1
}

// Admit waits while the open block is too full to take more. Call it before taking the locks under which Append is
// called.
func (j *Journal) Admit() error {
	if !j.crowded.Load() {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for len(j.open.data) > queueBytesMax && !j.closing {
		j.room.Wait()
	}
	if j.closing {
		return ErrStopped
	}
	j.crowded.Store(false)
	return nil
}

// Wait returns once the record with a sequence that Append has given out is durable.
func (j *Journal) Wait(sequence uint64) error {
	for j.durable.Load() < sequence {
		done := j.done(sequence)
		if done == nil {
			return ErrStopped
		}
		<-done
	}
	return nil
}

// done returns the channel that closes when the block with a sequence is durable, or when the journal has failed; nil
// once it has.
func (j *Journal) done(sequence uint64) <-chan struct{} {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.broken {
		return nil
	}
	// It may have become durable since the caller looked. The open block is the wrong one to wait for then: on a quiet
	// day nothing is ever appended to it.
	if sequence <= j.durable.Load() {
		return past
	}
	if j.flying != nil && sequence <= j.flying.last() {
		return j.flying.done
	}
	j.want()
	return j.open.done
}

// WaitBeyond waits until a record after sequence is durable, or ctx is done.
func (j *Journal) WaitBeyond(ctx context.Context, sequence uint64) error {
	for j.durable.Load() <= sequence {
		done := j.done(sequence + 1)
		if done == nil {
			return ErrStopped
		}
		select {
		case <-done:
		case <-j.finished:
			return ErrStopped
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// past is closed: what it stands for has happened.
var past = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// Durable returns the last durable sequence.
func (j *Journal) Durable() uint64 { return j.durable.Load() }

// Appended returns the last sequence given out.
func (j *Journal) Appended() uint64 { return j.appended.Load() }

// Failed is closed once the journal can no longer keep its word.
func (j *Journal) Failed() <-chan struct{} { return j.failed }

func (j *Journal) fail(err error) {
	j.failOnce.Do(func() {
		close(j.failed)
		j.mu.Lock()
		j.closing = true // no one is admitted any more
		j.crowded.Store(true)
		j.broken = true // and no one is told that anything is durable
		j.room.Broadcast()
		if j.flying != nil {
			close(j.flying.done)
		}
		if j.open != nil {
			close(j.open.done)
		}
		j.mu.Unlock()
		if j.fatal != nil {
			j.fatal(err)
		}
	})
}

// storeLoop stores the open block again and again: as soon as someone waits for it, and else after storeInterval.
func (j *Journal) storeLoop() {
	defer close(j.finished)
	ticker := time.NewTicker(storeInterval)
	defer ticker.Stop()
	lastSync := time.Now()
	unsynced := false // the mark has been written since it was synced
	for {
		wanted := false
		select {
		case <-j.wanted:
			wanted = true
		case <-ticker.C:
		}
		if wanted {
			// Let those run who are about to append: the block grows by them, at no cost where there are none.
			runtime.Gosched()
		}
		b, closing := j.take()
		if b != nil {
			if err := j.store(b); err != nil {
				j.fail(err)
				return
			}
			unsynced = true
		}
		if unsynced && (closing || time.Since(lastSync) >= markInterval) {
			if err := j.mark.file.Sync(); err != nil {
				j.fail(fmt.Errorf("high-water mark: %w", err))
				return
			}
			unsynced, lastSync = false, time.Now()
		}
		if b == nil && closing {
			return
		}
	}
}

// take makes the open block the one that is being stored, and opens the next. It returns nil where there is nothing to
// store.
func (j *Journal) take() (b *block, closing bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.open.count == 0 {
		return nil, j.closing
	}
	b = j.open
	j.open, j.spare = j.spare, nil
	j.open.reset(b.last() + 1)
	j.flying = b
	j.room.Broadcast()
	return b, j.closing
}

// store makes a block durable and lets go on who waits for it.
func (j *Journal) store(b *block) error {
	start := time.Now()
	hash := b.seal(j.previous)
	var key [8]byte
	binary.BigEndian.PutUint64(key[:], b.first)
	if err := j.db.Set(key[:], b.data, pebble.Sync); err != nil {
		return fmt.Errorf("journal: block %d could not be stored: %w", b.first, err)
	}
	took := time.Since(start)
	j.previous = hash
	if err := j.mark.write(markValue{b.last(), hash}); err != nil {
		return err
	}
	records, bytes := int(b.count), len(b.data)
	if !j.release(b) {
		return ErrStopped
	}
	if cap(b.data) > queueBytesMax {
		b.data = nil // one large import must not hold its memory for ever
	}
	j.spare = b
	if j.stored != nil {
		j.stored(records, bytes, took)
	}
	return nil
}

// release lets go on who waits for a block that is durable now, unless the journal has failed meanwhile: Pebble reports
// success after a failed sync.
func (j *Journal) release(b *block) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.broken {
		return false
	}
	j.durable.Store(b.last())
	close(b.done)
	j.flying = nil
	return true
}

// want has the open block stored soon.
func (j *Journal) want() {
	select {
	case j.wanted <- struct{}{}:
	default: // it will be
	}
}

// Close stores what was appended, syncs the mark and closes the journal. Nothing may be appended any more.
func (j *Journal) Close() error {
	if j.mark == nil { // read-only
		return j.db.Close()
	}
	j.mu.Lock()
	j.closing = true
	j.crowded.Store(true)
	j.want()
	j.room.Broadcast()
	j.mu.Unlock()
	select {
	case <-j.finished:
	case <-j.failed: // the store loop may be stuck in Pebble for good, if Fatal came back
	}
	select {
	case <-j.failed:
		return ErrStopped // and Pebble with it
	default:
	}
	return errors.Join(j.mark.file.Close(), j.db.Close())
}
