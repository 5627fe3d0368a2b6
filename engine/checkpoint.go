package engine

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"onhand/engine/internal/record"
	"onhand/engine/internal/reservation"
	"onhand/engine/internal/snapshot"
	"onhand/engine/internal/stock"
	"onhand/engine/internal/window"
)

// # Checkpoints
//
// A checkpoint is the state, written to a file while writers go on. It is no picture of one moment: each part of it is
// copied at some moment between two sequences, start and end. As records hold absolute values, installing all records
// after start over it, in order, leads to the state of any later sequence: a part that was copied late is set back and
// comes forward again.
//
//	start ──────── copying ──────── end ──────── now
//	  └ the checkpoint holds every     └ its digest, taken under all locks, is that of
//	    change up to here, and some      the state here: replay must arrive at it
//	    of those up to end
//
// The file gets its name only once everything up to end is durable in the journal; otherwise a crash could leave a
// checkpoint with changes that the journal lost. Two checkpoints are kept, and the journal from the start of the older.
//
// Cells are copied without any lock, live reservations under their shard's, a few at a time.

// Kinds of chunks in a checkpoint file. The numbers are stored.
const (
	chunkCells byte = iota + 1
	chunkReservations
	chunkSettings
	chunkLocations
	chunkEnded
	chunkAnswers
	chunkImports
	chunkSymbols
	chunkOrders
	chunkTransfers
	chunkThresholds
)

// checkpointState is what the checkpoint loop and whoever asks about it share.
type checkpointState struct {
	// mu makes one checkpoint, backup or trim wait for another. It is taken before any other lock.
	mu sync.Mutex
	// last is the newest checkpoint, under stats.
	stats sync.Mutex
	last  CheckpointStats
}

// CheckpointStats describe the newest checkpoint.
type CheckpointStats struct {
	Start, End uint64 // sequences
	Bytes      int64
	Written    time.Time // engine time; zero where there is none
	Took       time.Duration
}

// checkpointInterval is how often it is looked whether a checkpoint is due, and checkpointRetry how long after one that
// failed.
const (
	checkpointInterval = time.Second
	checkpointRetry    = 30 * time.Second
)

// checkpointRecords is the number of changes after which a checkpoint is due however small they are, so that replaying
// them never takes more than a few seconds.
const checkpointRecords = 8_000_000

func (e *Engine) checkpointLoop(stop <-chan struct{}) {
	ticker := time.NewTicker(checkpointInterval)
	defer ticker.Stop()
	var notBefore time.Time
	for {
		select {
		case <-ticker.C:
		case <-stop:
			return
		}
		if !e.checkpointDue() || time.Now().Before(notBefore) {
			continue
		}
		if err := e.Checkpoint(); err != nil {
			e.options.Log.Error("checkpoint failed; the journal is kept until one succeeds", "error", err, "next_attempt", checkpointRetry.String())
			notBefore = time.Now().Add(checkpointRetry)
		}
	}
}

func (e *Engine) checkpointDue() bool {
	last := e.CheckpointStats()
	if e.counts.journalBytes.Load() >= max(e.options.CheckpointBytes, last.Bytes/2) {
		return true
	}
	return e.log.Durable()-last.Start >= checkpointRecords
}

// CheckpointStats describes the newest checkpoint.
func (e *Engine) CheckpointStats() CheckpointStats {
	e.checkpoint.stats.Lock()
	defer e.checkpoint.stats.Unlock()
	return e.checkpoint.last
}

// Checkpoint writes the state to a new checkpoint and lets go of what is no longer needed: older checkpoints but one,
// and the journal before that one as far as retention allows. It does nothing where nothing has changed.
func (e *Engine) Checkpoint() error {
	e.checkpoint.mu.Lock()
	defer e.checkpoint.mu.Unlock()
	if _, err := e.checkpointLocked(); err != nil {
		return err
	}
	if err := e.removeOldCheckpoints(); err != nil {
		return err
	}
	return e.trimLocked()
}

// checkpointLocked writes a checkpoint, unless the newest is of this very state, and returns the newest. The caller
// holds checkpoint.mu.
func (e *Engine) checkpointLocked() (CheckpointStats, error) {
	if last := e.CheckpointStats(); !last.Written.IsZero() && last.End == e.log.Appended() {
		return last, nil
	}
	begun := time.Now()
	covered := e.counts.journalBytes.Swap(0)
	w := checkpointWriter{e: e, start: e.log.Appended()}
	e.barrier() // from here on, memory holds every change up to start
	fs := e.options.FS
	dir := fs.PathJoin(e.dir, checkpointsDir)
	err := writeFile(fs, dir, checkpointName(w.start), w.write)
	if err != nil {
		e.counts.journalBytes.Add(covered) // it is due as before
		return CheckpointStats{}, fmt.Errorf("checkpoint: %w", err)
	}
	st := CheckpointStats{Start: w.start, End: w.end, Bytes: w.bytes, Written: e.Now(), Took: time.Since(begun)}
	e.checkpoint.stats.Lock()
	e.checkpoint.last = st
	e.checkpoint.stats.Unlock()
	if f := e.options.Observe.Checkpoint; f != nil {
		f(st.Bytes, st.Took)
	}
	e.options.Log.Info("checkpoint written", "start", st.Start, "end", st.End, "bytes", st.Bytes, "took", st.Took.String())
	return st, nil
}

const checkpointPrefix, checkpointSuffix = "checkpoint-", ".ckpt"

func checkpointName(start uint64) string {
	return fmt.Sprintf("%s%020d%s", checkpointPrefix, start, checkpointSuffix)
}

// checkpointFiles returns the starts of the checkpoints in a database, newest first.
func (e *Engine) checkpointFiles() ([]uint64, error) {
	fs := e.options.FS
	names, err := fs.List(fs.PathJoin(e.dir, checkpointsDir))
	if err != nil {
		return nil, fmt.Errorf("checkpoints: %w", err)
	}
	var starts []uint64
	for _, name := range names {
		number, ok := strings.CutPrefix(name, checkpointPrefix)
		number, whole := strings.CutSuffix(number, checkpointSuffix)
		if start, err := strconv.ParseUint(number, 10, 64); ok && whole && err == nil {
			starts = append(starts, start)
		}
	}
	slices.Sort(starts)
	slices.Reverse(starts)
	return starts, nil
}

const checkpointsKept = 2

// removeOldCheckpoints removes all checkpoints but the newest ones, and what a crash left of unfinished ones.
func (e *Engine) removeOldCheckpoints() error {
	starts, err := e.checkpointFiles()
	if err != nil {
		return err
	}
	fs := e.options.FS
	dir := fs.PathJoin(e.dir, checkpointsDir)
	old := starts[min(len(starts), checkpointsKept):]
	for _, start := range old {
		if err := fs.Remove(fs.PathJoin(dir, checkpointName(start))); err != nil {
			return fmt.Errorf("checkpoints: %w", err)
		}
	}
	if len(old) == 0 {
		return nil
	}
	// The journal that they need is trimmed next: they must not come back without it.
	if err := syncDir(fs, dir); err != nil {
		return fmt.Errorf("checkpoints: %w", err)
	}
	return nil
}

// checkpointWriter writes one checkpoint.
type checkpointWriter struct {
	e          *Engine
	start, end uint64
	bytes      int64
	out        *snapshot.Writer
	chunk      []byte
	kind       byte
	err        error
	resumed    time.Time // when it last began to work after a rest
}

// workAtOnce is for how long a checkpoint is written before it rests for as long, so that it takes at most half a
// processor from those who wait for an answer, and never for long at a time.
const workAtOnce = 200 * time.Microsecond

// rest is called without any lock.
func (w *checkpointWriter) rest() {
	if worked := time.Since(w.resumed); worked >= workAtOnce {
		time.Sleep(min(worked, 10*workAtOnce))
		w.resumed = time.Now()
	}
}

// begin makes room for about need more bytes of a kind in the chunk, writing out what is in the way.
func (w *checkpointWriter) begin(kind byte, need int) {
	if w.kind != kind || len(w.chunk)+need > snapshot.ChunkBytes {
		w.flush()
		w.kind = kind
	}
}

func (w *checkpointWriter) flush() {
	if len(w.chunk) > 0 && w.err == nil {
		w.err = w.out.Write(w.kind, w.chunk)
	}
	w.chunk = w.chunk[:0]
	w.rest()
}

func (w *checkpointWriter) write(to io.Writer) error {
	e := w.e
	w.resumed = time.Now()
	description := binary.AppendUvarint(nil, w.start)
	var err error
	if w.out, err = snapshot.NewWriter(to, description); err != nil {
		return err
	}
	w.cells()
	w.liveReservations()
	w.settings()
	w.locations()
	w.thresholds()
	w.window(chunkEnded, e.ended.log)
	w.window(chunkAnswers, e.answers.log)
	w.orders()
	for _, entry := range e.imports.entries() {
		w.begin(chunkImports, len(entry)+4)
		w.chunk = appendBytes(w.chunk, entry)
	}
	w.transfers()

	e.stock.Lock(&stock.AllShards)
	digest := e.digestLocked()
	w.end = e.log.Appended()
	now, lastDeletion := e.clock.Now(), e.lastDeletion.Load()
	e.stock.Unlock(&stock.AllShards)
	// Names come last: those that what was copied above may use are on record by end.
	for id := range e.skus.Through(w.end) {
		w.symbol(symbolSKU, id+1, e.skus.Name(id+1))
	}
	for id := range e.locations.Through(w.end) {
		w.symbol(symbolLocation, id+1, e.locations.Name(id+1))
	}
	for id := range e.owners.Through(w.end) {
		w.symbol(symbolOwner, id+1, e.owners.Name(id+1))
	}
	w.flush()
	if w.err != nil {
		return w.err
	}
	trailer := binary.AppendUvarint(nil, w.end)
	trailer = binary.LittleEndian.AppendUint64(trailer, digest)
	trailer = binary.LittleEndian.AppendUint64(trailer, uint64(now))
	trailer = binary.AppendUvarint(trailer, lastDeletion)
	if err := w.out.Close(trailer); err != nil {
		return err
	}
	w.bytes = w.out.Bytes()
	return e.settle(w.end)
}

// Rows: uvarint SKU, uvarint number of cells, then for each: uvarint location, flags, varint on hand, varint held,
// varint safety stock with OwnSafety, uvarint sequence.
func (w *checkpointWriter) cells() {
	type at struct {
		location uint32
		cell     stock.Cell
	}
	const cellBytesMax = 5 + 1 + 10 + 10 + 5 + 9
	const cellsInChunk = snapshot.ChunkBytes / cellBytesMax
	var row []at
	for sku := range w.e.stock.SKUs() {
		row = row[:0]
		w.e.stock.ScanRaw(sku, func(location uint32, c stock.Cell) bool {
			row = append(row, at{location, c})
			return true
		})
		w.rest()
		for part := range slices.Chunk(row, cellsInChunk) {
			w.begin(chunkCells, len(part)*16+16)
			w.chunk = binary.AppendUvarint(w.chunk, uint64(sku))
			w.chunk = binary.AppendUvarint(w.chunk, uint64(len(part)))
			for i := range part {
				c := &part[i].cell
				w.chunk = binary.AppendUvarint(w.chunk, uint64(part[i].location))
				w.chunk = append(w.chunk, byte(c.Flags))
				w.chunk = binary.AppendVarint(w.chunk, c.OnHand)
				w.chunk = binary.AppendVarint(w.chunk, c.Held)
				if c.Flags&stock.OwnSafety != 0 {
					w.chunk = binary.AppendVarint(w.chunk, c.Safety)
				}
				w.chunk = binary.AppendUvarint(w.chunk, c.Sequence)
			}
		}
	}
}

// linesAtOnce is how many lines are copied while a shard is locked: some 20 µs. A slot can hold any number of them, such as
// all that a sale's first hour has reserved.
const linesAtOnce = 64

func (w *checkpointWriter) liveReservations() {
	var r reservation.Reservation
	var encoded []byte
	var ends []int
	for shard := range stock.Shards {
		var locks stock.LockSet
		locks.Add(shard)
		for slot := range reservation.WheelSlots {
			var at reservation.SlotPosition
			for more := true; more; {
				encoded, ends = encoded[:0], ends[:0]
				w.e.stock.Lock(&locks)
				more = w.e.reservations.Slot(shard, slot, &at, linesAtOnce, func(ref uint32) {
					w.e.reservations.Read(ref, &r)
					encoded = record.AppendReservation(encoded, &r)
					ends = append(ends, len(encoded))
				})
				w.e.stock.Unlock(&locks)
				w.rest()
				from := 0
				for _, to := range ends {
					w.begin(chunkReservations, to-from)
					w.chunk = append(w.chunk, encoded[from:to]...)
					from = to
				}
			}
		}
	}
}

func (w *checkpointWriter) settings() {
	for id := range w.e.settings.Len() {
		if s := w.e.settingsOf(id); s != nil {
			w.begin(chunkSettings, 512)
			w.chunk = binary.AppendUvarint(w.chunk, s.sequence)
			w.chunk = record.AppendSKU(w.chunk, &s.SKU)
		}
	}
}

func (w *checkpointWriter) locations() {
	for id := range w.e.places.Len() {
		if l := w.e.locationOf(id); l != nil {
			w.begin(chunkLocations, 512)
			w.chunk = binary.AppendUvarint(w.chunk, l.sequence)
			w.chunk = record.AppendLocation(w.chunk, &l.Location)
		}
	}
}

func (w *checkpointWriter) thresholds() {
	for shard := range stock.Shards {
		var locks stock.LockSet
		locks.Add(shard)
		w.e.stock.Lock(&locks)
		all := w.e.thresholdsOf(shard)
		w.e.stock.Unlock(&locks)
		for i := range all {
			w.begin(chunkThresholds, 32)
			w.chunk = record.AppendCellThreshold(w.chunk, &all[i])
		}
	}
}

// window copies a window's entries.
func (w *checkpointWriter) window(kind byte, log *window.Log) {
	log.Walk(window.Position{}, func(entry []byte) bool {
		w.begin(kind, len(entry)+4)
		w.chunk = appendBytes(w.chunk, entry)
		return w.err == nil
	})
}

// orders copies every order, live and ended, as it is kept.
func (w *checkpointWriter) orders() {
	w.e.orders.index.each(func(o *orderEntry) bool {
		w.begin(chunkOrders, len(o.encoded())+4)
		w.chunk = appendBytes(w.chunk, o.encoded())
		return w.err == nil
	})
}

func (w *checkpointWriter) symbol(kind byte, id uint32, name string) {
	w.begin(chunkSymbols, len(name)+16)
	w.chunk = appendBytes(w.chunk, appendSymbol(nil, kind, id, name))
}

func appendBytes(dst, b []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(b)))
	return append(dst, b...)
}
