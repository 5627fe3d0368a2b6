package engine

import (
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"onhand/engine/internal/chunked"
	"onhand/engine/internal/clock"
	"onhand/engine/internal/journal"
	"onhand/engine/internal/record"
	"onhand/engine/internal/reservation"
	"onhand/engine/internal/stock"
	"onhand/engine/internal/symbol"
	"onhand/engine/internal/window"
)

// Engine is an open database. Its methods are safe for concurrent use.
type Engine struct {
	options Options
	dir     string
	clock   *clock.Clock
	log     changeLog

	// The state. Everything in it is changed in apply only.
	skus         *symbol.Table
	locations    *symbol.Table
	owners       *symbol.Table
	settings     chunked.List[atomic.Pointer[skuSettings]]
	places       chunked.List[atomic.Pointer[place]]
	stock        *stock.Map
	reservations *reservation.Table
	answers      answers
	ended        history
	imports      imports
	transfers    transfers
	thresholds   thresholds
	// recordDigest is the digest of settings, location records, thresholds, live orders and open transfers.
	recordDigest atomic.Uint64
	lastDeletion atomic.Uint64 // sequence of the last location that was deleted
	lastPlace    atomic.Uint64 // sequence of the last location that was put or deleted
	retain       atomic.Uint64 // first change that somebody asked to be kept; 0 = nobody did
	nearby       nearby
	orders       *orders

	claims claims
	limits limits
	counts counts

	diskFull   atomic.Bool
	diskFree   atomic.Uint64 // bytes, at the last look
	clockDrift atomic.Int64  // wall clock minus engine time at the last look, ns
	recovery   RecoveryStats
	checkpoint checkpointState
	oldSlots   oldSlots

	stop       chan struct{}
	background sync.WaitGroup
	closeOnce  sync.Once
	closeErr   error
}

// counts are what has happened since the start.
type counts struct {
	// changes is by kind of record, and spread by sequence, so that writers on different cores count in different cache
	// lines.
	changes      [16][32]atomic.Int64
	refused      [reasonEnd]atomic.Int64
	moves        [orderMoveEnd]atomic.Int64 // of orders
	journalBytes atomic.Int64               // written since the last checkpoint began
}

func (c *counts) change(sequence uint64, kind record.Kind) {
	c.changes[sequence%uint64(len(c.changes))][kind].Add(1)
}

func (c *counts) changesOf(kind record.Kind) (n int64) {
	for i := range c.changes {
		n += c.changes[i][kind].Load()
	}
	return n
}

// Files in a database's directory.
const (
	formatName     = "FORMAT"
	formatText     = "onhand database, format 1\n"
	journalName    = "journal"
	checkpointsDir = "checkpoints"
)

// Open opens the database in dir, creating it if there is none, and brings it to the state of its last durable change.
func Open(dir string, options Options) (*Engine, error) {
	e, err := newEngine(dir, options)
	if err != nil {
		return nil, err
	}
	fs := e.options.FS
	if err := ensureFormat(fs, dir); err != nil {
		return nil, fmt.Errorf("open %s: %w", dir, err)
	}
	err = errors.Join(makeDir(fs, fs.PathJoin(dir, checkpointsDir)), makeDir(fs, fs.PathJoin(dir, journalName)))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", dir, err)
	}
	log, err := journal.Open(fs.PathJoin(dir, journalName), journal.Options{
		FS: fs, Fatal: e.options.Fatal, Log: e.options.Log, Stored: e.blockStored,
	})
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", dir, err)
	}
	e.log = log
	last, err := e.recover()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", dir, err), log.Close())
	}
	e.rebuildNearby()
	e.clock = clock.New(e.options.Clock, last)
	e.stop = make(chan struct{})
	e.watchDisk()
	e.background.Go(func() { e.sweepLoop(e.stop) })
	e.background.Go(func() { e.housekeepLoop(e.stop) })
	e.background.Go(func() { e.checkpointLoop(e.stop) })
	return e, nil
}

func (e *Engine) blockStored(records, bytes int, took time.Duration) {
	e.counts.journalBytes.Add(int64(bytes))
	if f := e.options.Observe.Block; f != nil {
		f(records, bytes, took)
	}
}

// newEngine returns an engine with an empty state and no journal.
func newEngine(dir string, options Options) (*Engine, error) {
	options, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	e := &Engine{options: options, dir: dir, skus: symbol.New(), locations: symbol.New(), owners: symbol.New(), stock: new(stock.Map)}
	e.reservations = reservation.New(stock.Shards, stock.ShardOf, e.stock)
	e.answers.log = window.New(options.WindowAge, options.WindowKeys)
	e.ended.log = window.New(options.WindowAge, options.WindowKeys)
	e.imports.maxAge = options.WindowAge
	e.orders = newOrders()
	if options.OrdersPerCustomer > 0 {
		e.orders.customers = make(map[uint64]int)
	}
	e.transfers.clear()
	e.limits.init(e)
	return e, nil
}

// ensureFormat makes a new directory a database, and refuses one of another format, or that is none.
func ensureFormat(fs vfs.FS, dir string) error {
	text, err := readFile(fs, fs.PathJoin(dir, formatName))
	switch {
	case err == nil && string(text) != formatText:
		return fmt.Errorf("its format is %q, this program's is %q", text, formatText)
	case err == nil || !errors.Is(err, iofs.ErrNotExist):
		return err
	}
	// The format is written before the journal is begun, except by Restore.
	if _, err := fs.Stat(fs.PathJoin(dir, journalName)); err == nil {
		return fmt.Errorf("it has a journal and no file %s, as a restore that failed leaves it; restore into an empty directory", formatName)
	}
	if err := makeDir(fs, dir); err != nil {
		return err
	}
	return writeFormat(fs, dir)
}

func writeFormat(fs vfs.FS, dir string) error {
	return writeFile(fs, dir, formatName, func(w io.Writer) error {
		_, err := io.WriteString(w, formatText)
		return err
	})
}

// housekeepLoop does what is to be done from time to time.
func (e *Engine) housekeepLoop(stop <-chan struct{}) {
	const interval = 250 * time.Millisecond
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for n := 1; ; n++ {
		select {
		case <-ticker.C:
		case <-stop:
			return
		}
		e.watchClock()
		e.foldNearby()
		e.remindDue()
		if n%8 == 0 {
			e.watchDisk()
		}
		if n%240 == 0 {
			now := e.clock.Now()
			e.answers.log.Evict(now)
			e.ended.log.Evict(now)
			e.imports.evict(now)
			e.forgetOrders(now)
			e.transfers.forget(now - int64(e.options.TransferRetention))
			if err := e.removeOldSlots(); err != nil {
				return // the journal has failed, and said so
			}
			if err := e.trim(); err != nil {
				e.options.Log.Error("journal could not be trimmed", "error", err)
			}
		}
	}
}

// clockDriftWarn is from what difference on an operator should look at the machine's clock.
const clockDriftWarn = time.Minute

func (e *Engine) watchClock() {
	drift := e.clock.Discipline()
	before := time.Duration(e.clockDrift.Swap(int64(drift)))
	if drift.Abs() >= clockDriftWarn && before.Abs() < clockDriftWarn {
		e.options.Log.Warn("the wall clock was set, or the machine was paused: engine time follows slowly",
			"wall_minus_engine", drift.String())
	}
}

func (e *Engine) watchDisk() {
	free, err := journal.FreeBytes(e.options.FS, e.dir)
	if err != nil {
		e.options.Log.Error("free disk space is not known", "error", err)
		return
	}
	e.diskFree.Store(free)
	full := free < journal.SpaceMin
	if full != e.diskFull.Swap(full) {
		if full {
			e.options.Log.Error("disk is almost full: writes are refused until there is room", "free_bytes", free, "needed_bytes", int64(journal.SpaceMin))
		} else {
			e.options.Log.Info("disk has room again: writes are taken", "free_bytes", free)
		}
	}
}

// Failed is closed when the engine can no longer keep its promises. It acknowledges nothing from then on.
func (e *Engine) Failed() <-chan struct{} { return e.log.Failed() }

// Close stores everything that was acknowledged or is under way and closes the database. No other method may be called
// after it, or be under way.
func (e *Engine) Close() error {
	e.closeOnce.Do(func() {
		close(e.stop)
		e.background.Wait()
		e.closeErr = e.log.Close()
	})
	return e.closeErr
}

// Digest returns a 64-bit digest of the state (cells, live reservations, thresholds, SKU settings, locations, live orders, open
// transfers) and the sequence it
// belongs to. Equal digests at equal sequences mean equal states.
func (e *Engine) Digest() (sequence, digest uint64) {
	e.stock.Lock(&stock.AllShards)
	defer e.stock.Unlock(&stock.AllShards)
	return e.log.Appended(), e.digestLocked()
}

func (e *Engine) digestLocked() uint64 {
	return e.stock.Digest() + e.reservations.Digest() + e.recordDigest.Load()
}
