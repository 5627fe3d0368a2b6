package engine

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"

	"onhand/engine/internal/record"
	"onhand/engine/internal/reservation"
	"onhand/engine/internal/snapshot"
	"onhand/engine/internal/stock"
)

// checkpointImage is what a loaded checkpoint says of itself. The zero image is the empty state.
type checkpointImage struct {
	start, end uint64
	digest     uint64 // of the state at end
	time       int64
	bytes      int64
}

func (e *Engine) loadCheckpoint(start uint64) (*checkpointImage, error) {
	fs := e.options.FS
	name := checkpointName(start)
	file, err := fs.Open(fs.PathJoin(fs.PathJoin(e.dir, checkpointsDir), name))
	if err != nil {
		return &checkpointImage{}, fmt.Errorf("%s: %w", name, err)
	}
	info, err := file.Stat()
	if err != nil {
		return &checkpointImage{}, errors.Join(fmt.Errorf("%s: %w", name, err), file.Close())
	}
	image, err := e.readCheckpoint(file)
	if err = errors.Join(err, file.Close()); err != nil {
		return &checkpointImage{}, fmt.Errorf("%s: %w", name, err)
	}
	image.bytes = info.Size()
	if image.start != start {
		return &checkpointImage{}, fmt.Errorf("%s: %w: it says it is of %d", name, snapshot.ErrCorrupt, image.start)
	}
	return image, nil
}

// readCheckpoint loads a checkpoint into the empty state.
func (e *Engine) readCheckpoint(from io.Reader) (*checkpointImage, error) {
	in, description, err := snapshot.NewReader(from)
	if err != nil {
		return nil, err
	}
	image := &checkpointImage{}
	if image.start, err = parseDescription(description); err != nil {
		return nil, err
	}
	l := newLoader(e)
	trailer, err := l.load(in)
	if err != nil {
		return nil, err
	}
	e.restoreSends(l.elsewhere)
	e.namePlaces()
	d := record.NewDecoder(trailer)
	image.end = d.Uvarint()
	image.digest = d.Uint64()
	image.time = int64(d.Uint64())
	e.lastDeletion.Store(d.Uvarint())
	if err := d.End(); err != nil {
		return nil, fmt.Errorf("%w: %w", snapshot.ErrCorrupt, err)
	}
	return image, nil
}

// parseDescription returns the start that a checkpoint's description holds.
func parseDescription(description []byte) (start uint64, err error) {
	d := record.NewDecoder(description)
	start = d.Uvarint()
	if err := d.End(); err != nil {
		return 0, fmt.Errorf("%w: %w", snapshot.ErrCorrupt, err)
	}
	return start, nil
}

// checkpointStart reads the start of a checkpoint file.
func checkpointStart(fs vfs.FS, name string) (start uint64, err error) {
	file, err := fs.Open(name)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	_, description, err := snapshot.NewReader(file)
	if err != nil {
		return 0, err
	}
	return parseDescription(description)
}

// loader reads the chunks of a checkpoint into the state. Cells and reservations, the bulk, are decoded by several
// goroutines, under the locks of the shards they fall into; everything else in order.
type loader struct {
	e      *Engine
	chunks chan snapshot.Chunk
	work   sync.WaitGroup
	mu     sync.Mutex
	err    error // the first, under mu

	elsewhere []ID // orders of which units may be held elsewhere than where they are collected
}

func newLoader(e *Engine) *loader {
	return &loader{e: e, chunks: make(chan snapshot.Chunk, 2*runtime.GOMAXPROCS(0))}
}

func (l *loader) load(in *snapshot.Reader) (trailer []byte, err error) {
	for range runtime.GOMAXPROCS(0) {
		l.work.Go(func() {
			var buffer []byte
			for c := range l.chunks {
				buffer = l.take(c, buffer)
			}
		})
	}
	for err == nil {
		var c snapshot.Chunk
		c, trailer, err = in.Next()
		if err != nil || c.Kind == snapshot.KindEnd {
			break
		}
		switch c.Kind {
		case chunkCells, chunkReservations:
			l.chunks <- c
		default:
			_ = l.take(c, nil)
		}
		err = l.failed()
	}
	close(l.chunks)
	l.work.Wait()
	return trailer, errors.Join(err, l.failed())
}

func (l *loader) failed() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// take installs one chunk, using buffer for its bytes, and returns the buffer for the next.
func (l *loader) take(c snapshot.Chunk, buffer []byte) []byte {
	data, err := c.Data(buffer)
	if err == nil {
		err = l.install(c.Kind, data)
	}
	if err != nil {
		l.mu.Lock()
		if l.err == nil {
			l.err = fmt.Errorf("%w: %w", snapshot.ErrCorrupt, err)
		}
		l.mu.Unlock()
		return buffer
	}
	return data
}

func (l *loader) install(kind byte, data []byte) error {
	d := record.NewDecoder(data)
	switch kind {
	case chunkCells:
		for d.More() {
			l.row(d)
		}
	case chunkReservations:
		l.reservations(d)
	case chunkSettings:
		for d.More() {
			sequence, s := d.Uvarint(), d.SKU()
			if d.Err() == nil {
				l.e.applySKU(sequence, &s)
			}
		}
	case chunkLocations:
		for d.More() {
			sequence, r := d.Uvarint(), d.Location()
			if d.Err() == nil {
				l.e.applyLocation(sequence, &r)
			}
		}
	case chunkEnded:
		var r reservation.Reservation
		return eachEntry(d, func(entry []byte) error { return l.e.ended.restore(entry, &r) })
	case chunkAnswers:
		var r record.Record
		return eachEntry(d, func(entry []byte) error { return l.e.answers.restore(entry, &r) })
	case chunkOrders:
		return eachEntry(d, l.order)
	case chunkImports:
		return eachEntry(d, l.e.imports.restore)
	case chunkThresholds:
		for d.More() {
			if t := d.CellThreshold(); d.Err() == nil {
				l.threshold(&t)
			}
		}
	case chunkSymbols:
		return eachEntry(d, func(entry []byte) error { return l.e.applySymbol(entry, 0) })
	case chunkTransfers:
		var t record.Transfer
		for d.More() {
			sequence := d.Uvarint()
			if d.Transfer(&t); d.Err() == nil {
				l.e.applyTransfer(sequence, &t)
			}
		}
	default:
		return fmt.Errorf("a chunk of kind %d", kind)
	}
	return d.End()
}

func eachEntry(d *record.Decoder, f func(entry []byte) error) error {
	for d.More() {
		entry := d.Bytes()
		if err := d.Err(); err != nil {
			return err
		}
		if err := f(entry); err != nil {
			return err
		}
	}
	return d.End()
}

func (l *loader) order(encoded []byte) error {
	id, elsewhere, err := l.e.restoreOrder(encoded)
	if elsewhere {
		l.elsewhere = append(l.elsewhere, id)
	}
	return err
}

func (l *loader) row(d *record.Decoder) {
	sku, n := d.Uint32(), d.Uvarint()
	var locks stock.LockSet
	locks.Add(stock.ShardOf(sku))
	l.e.stock.Lock(&locks)
	defer l.e.stock.Unlock(&locks)
	for i := range n {
		location := d.Uint32()
		c := stock.Cell{Flags: stock.Flags(d.Byte()), OnHand: d.Varint(), Held: d.Varint()}
		if c.Flags&stock.OwnSafety != 0 {
			c.Safety = d.Varint()
		}
		c.Sequence = d.Uvarint()
		if d.Err() != nil {
			return
		}
		if i == 0 {
			l.e.stock.Presize(sku, int(n))
		}
		l.e.stock.Put(sku, location, c)
	}
}

func (l *loader) threshold(t *record.CellThreshold) {
	var locks stock.LockSet
	locks.Add(stock.ShardOf(t.SKU))
	l.e.stock.Lock(&locks)
	defer l.e.stock.Unlock(&locks)
	l.e.applyThreshold(t)
}

// loadAhead is how many reservations are decoded before the first of them is inserted: each touches half a dozen places
// that are in no cache, and the memory of all is asked for first.
const loadAhead = 32

func (l *loader) reservations(d *record.Decoder) {
	var batch [loadAhead]reservation.Reservation
	for d.More() {
		n := 0
		for n < len(batch) && d.More() {
			if d.Reservation(&batch[n]); d.Err() != nil {
				break
			}
			n++
		}
		for i := range batch[:n] {
			l.e.prefetchNames(nil, &batch[i])
		}
		for i := range batch[:n] {
			l.e.prefetchLines(&batch[i])
		}
		for i := range batch[:n] {
			l.reservation(&batch[i])
		}
	}
}

func (l *loader) reservation(r *reservation.Reservation) {
	var locks stock.LockSet
	for i := range r.Lines {
		locks.Add(stock.ShardOf(r.Lines[i].SKU))
	}
	l.e.stock.Lock(&locks)
	defer l.e.stock.Unlock(&locks)
	if l.e.reservations.Find(r.ID, nil) != 0 {
		return // it was met twice on the walk through the wheel
	}
	if !l.e.reservations.Load(r) {
		panic("engine: no memory left for reservations")
	}
}
