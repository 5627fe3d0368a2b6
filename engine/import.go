package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"onhand/engine/internal/digest"
	"onhand/engine/internal/record"
)

// ImportMode says what on hand in a row means.
type ImportMode uint8

const (
	// ImportSet rows say what a count found.
	ImportSet ImportMode = iota + 1
	// ImportDelta rows say how far on hand moved.
	ImportDelta
)

// ImportRow is one row of an import. What is nil stays as it is.
type ImportRow struct {
	SKU, Location string
	OnHand        *int64 // or how far it moved
	SafetyStock   *int64
	Blocked       *bool
	// Err marks a row that could not be read; it counts as a row and changes nothing.
	Err error
}

// ImportChunk is the number of rows that take effect together, as one change.
const ImportChunk = 256

// ErrImportRunning says that an import with the same id is under way.
var ErrImportRunning = errors.New("an import with this id is under way")

// Import is an import under way. It is used by one goroutine, which calls Apply with the rows in the order of the file,
// then End where it has come to the file's end, and in any case Close.
//
// With an id, an import is repeatable: its progress is on record with the rows' effects, and rows that an earlier attempt
// under the id has carried out are passed over. They must be the same rows: if they are not, nothing is done.
type Import struct {
	e       *Engine
	id      string
	mode    ImportMode
	dryRun  bool
	row     uint64 // rows seen
	hash    uint64 // of the rows seen
	earlier importProgress
	basis   uint64 // sequence before which everything of an earlier attempt is
	last    uint64 // sequence of the last change
	lines   []Line
	index   map[uint64]int
	report  ImportReport
}

// ImportReport says what became of an import's rows.
type ImportReport struct {
	Rows     uint64 // seen
	Applied  uint64
	Repeated uint64 // carried out by an earlier attempt
	Failed   uint64
	Sequence uint64 // last change, 0 where there was none
}

// ImportIDMax is the longest import id, in bytes.
const ImportIDMax = 64

// BeginImport begins an import. With dryRun every row is checked and none takes effect.
func (e *Engine) BeginImport(id string, mode ImportMode, dryRun bool) (*Import, error) {
	if err := checkText("import id", id, ImportIDMax); err != nil {
		return nil, err
	}
	if mode != ImportSet && mode != ImportDelta {
		return nil, invalid("mode", uint8(mode), "set or delta")
	}
	im := &Import{e: e, id: id, mode: mode, dryRun: dryRun, index: make(map[uint64]int, ImportChunk)}
	if id != "" {
		earlier, ok := e.imports.begin(id)
		if !ok {
			return nil, ErrImportRunning
		}
		// What the earlier attempt did may not be durable yet.
		im.earlier, im.basis = earlier, e.log.Appended()
	}
	return im, nil
}

// End says that there are no more rows. It fails where an earlier attempt under the id had more: then these are other
// rows, and nothing was done.
func (im *Import) End() error {
	if im.row < im.earlier.row {
		return fmt.Errorf("import %q: it ends after row %d, the earlier attempt came to row %d: %w", im.id, im.row, im.earlier.row, ErrKeyReused)
	}
	return nil
}

// Close waits until what was carried out is durable and returns what became of the rows. It must be called in any case.
func (im *Import) Close() (ImportReport, error) {
	if im.id != "" {
		im.e.imports.end(im.id)
	}
	im.report.Sequence = im.last
	return im.report, im.e.settle(max(im.last, im.basis))
}

// Apply carries out rows. It appends an error for each row that could not be carried out, or nil, to errs; the other
// rows take effect. It fails as a whole where the engine can't write, or where the id was used for other rows.
func (im *Import) Apply(errs []error, rows []ImportRow) ([]error, error) {
	for len(rows) > 0 {
		n := min(len(rows), ImportChunk)
		if im.row < im.earlier.row {
			n = min(n, int(im.earlier.row-im.row))
		}
		first := len(errs)
		for i := range rows[:n] {
			errs = append(errs, im.check(&rows[i]))
		}
		im.row += uint64(n)
		im.report.Rows += uint64(n)
		if err := im.chunk(errs[first:], rows[:n]); err != nil {
			return errs, err
		}
		for _, err := range errs[first:] {
			if err != nil {
				im.report.Failed++
			}
		}
		rows = rows[n:]
	}
	return errs, nil
}

// check checks a row and adds it to the hash.
func (im *Import) check(r *ImportRow) error {
	if r.Err != nil {
		im.hash = digest.Mix(im.hash, 0)
		return r.Err
	}
	var f fingerprint
	f.begin("row")
	f.number(int64(im.mode))
	f.text(r.SKU)
	f.text(r.Location)
	f.optional(r.OnHand)
	f.optional(r.SafetyStock)
	f.bool(r.Blocked != nil)
	f.bool(r.Blocked != nil && *r.Blocked)
	im.hash = digest.Mix(im.hash, f.sum())
	set := SetStockRequest{SKU: r.SKU, Location: r.Location, OnHand: r.OnHand, SafetyStock: r.SafetyStock, Blocked: r.Blocked}
	if r.empty() {
		return set.checkNames()
	}
	return set.check()
}

// empty reports whether a row leaves its cell as it is.
func (r *ImportRow) empty() bool { return r.OnHand == nil && r.SafetyStock == nil && r.Blocked == nil }

// chunk carries out the rows without an error and sets the errors of those that can't be.
func (im *Import) chunk(errs []error, rows []ImportRow) error {
	if im.row <= im.earlier.row {
		// An earlier attempt has carried these out.
		if im.row == im.earlier.row && im.hash != im.earlier.hash {
			return fmt.Errorf("import %q: row %d and those before it are not those of the earlier attempt: %w", im.id, im.row, ErrKeyReused)
		}
		im.countAs(errs, &im.report.Repeated)
		return nil
	}
	if im.dryRun {
		im.countAs(errs, &im.report.Applied)
		return nil
	}
	im.lines = im.lines[:0]
	for i := range rows {
		if errs[i] == nil && !rows[i].empty() {
			im.lines = append(im.lines, Line{SKU: rows[i].SKU, Location: rows[i].Location})
		}
	}
	if len(im.lines) == 0 {
		im.countAs(errs, &im.report.Applied)
		return nil
	}
	e := im.e
	if err := e.admit(); err != nil {
		return err
	}
	c := newCommand()
	defer c.recycle()
	e.lockToChange(c, im.lines)
	defer e.stock.Unlock(&c.locks)
	c.rec.Kind, c.rec.Time = record.StockImported, e.clock.Now()
	im.decide(c, errs, rows)
	c.rec.Import = record.Import{ID: im.id, Row: im.row, Hash: im.hash}
	e.findShortages(c)
	im.last = e.write(c)
	im.countAs(errs, &im.report.Applied)
	return nil
}

func (im *Import) countAs(errs []error, count *uint64) {
	for _, err := range errs {
		if err == nil {
			*count++
		}
	}
}

// decide turns the rows into the cells of c.rec. A cell that comes twice is changed twice.
func (im *Import) decide(c *command, errs []error, rows []ImportRow) {
	clear(im.index)
	for i := range c.lines {
		l := &c.lines[i]
		view, _ := im.e.stock.View(l.sku, l.location)
		im.index[uint64(l.sku)<<32|uint64(l.location)] = i
		c.addCell(l.sku, l.location, &view, view.OnHand, view.Held, 0)
	}
	for i := range rows {
		r := &rows[i]
		if errs[i] != nil || r.empty() {
			continue
		}
		sku, _ := im.e.skus.Lookup(r.SKU)
		location, _ := im.e.locations.Lookup(r.Location)
		cell := &c.rec.Cells[im.index[uint64(sku)<<32|uint64(location)]]
		if r.OnHand != nil {
			onHand := *r.OnHand
			if im.mode == ImportDelta {
				onHand += cell.OnHand
				if onHand < -QuantityMax || onHand > QuantityMax {
					errs[i] = invalid("on_hand", *r.OnHand, fmt.Sprintf("a change that leaves %d within ±%d", cell.OnHand, int64(QuantityMax)))
					continue
				}
				cell.Delta += *r.OnHand
			}
			cell.OnHand = onHand
		}
		if r.SafetyStock != nil {
			cell.Safety, cell.Flags = *r.SafetyStock, cell.Flags|record.OwnSafety
		}
		if r.Blocked != nil {
			cell.Flags &^= record.Blocked
			if *r.Blocked {
				cell.Flags |= record.Blocked
			}
		}
	}
}

// imports is how far repeatable imports have come.
type imports struct {
	maxAge time.Duration
	// mu is a leaf: nothing else is locked under it.
	mu      sync.Mutex
	byID    map[string]importProgress
	running map[string]bool
}

type importProgress struct {
	row, hash uint64
	time      int64 // of the last change, engine time
}

// begin marks an import as running and returns how far it has come; ok is false where it is running already.
func (is *imports) begin(id string) (importProgress, bool) {
	is.mu.Lock()
	defer is.mu.Unlock()
	if is.running[id] {
		return importProgress{}, false
	}
	if is.running == nil {
		is.running = make(map[string]bool)
	}
	is.running[id] = true
	return is.byID[id], true
}

func (is *imports) end(id string) {
	is.mu.Lock()
	defer is.mu.Unlock()
	delete(is.running, id)
}

// note records progress. What is older than what is known changes nothing; an id that was forgotten, as its time was up,
// begins anew, also where that is replayed.
func (is *imports) note(r record.Import, at int64) {
	if r.ID == "" {
		return
	}
	is.mu.Lock()
	defer is.mu.Unlock()
	if is.byID == nil {
		is.byID = make(map[string]importProgress)
	}
	if known := is.byID[r.ID]; r.Row >= known.row || is.old(known, at) {
		is.byID[r.ID] = importProgress{r.Row, r.Hash, at}
	}
}

func (is *imports) old(p importProgress, now int64) bool { return p.time < now-int64(is.maxAge) }

func (is *imports) evict(now int64) {
	is.mu.Lock()
	defer is.mu.Unlock()
	for id, p := range is.byID {
		if is.old(p, now) && !is.running[id] {
			delete(is.byID, id)
		}
	}
}

func (is *imports) clear() {
	is.mu.Lock()
	defer is.mu.Unlock()
	clear(is.byID)
}

// entries returns an entry for each import: text id, uvarint row, u64 hash, u64 time.
func (is *imports) entries() (all [][]byte) {
	is.mu.Lock()
	defer is.mu.Unlock()
	for id, p := range is.byID {
		entry := appendBytes(nil, []byte(id))
		entry = binary.AppendUvarint(entry, p.row)
		entry = binary.LittleEndian.AppendUint64(entry, p.hash)
		all = append(all, binary.LittleEndian.AppendUint64(entry, uint64(p.time)))
	}
	return all
}

func (is *imports) restore(entry []byte) error {
	d := record.NewDecoder(entry)
	r := record.Import{ID: d.Text(), Row: d.Uvarint(), Hash: d.Uint64()}
	at := int64(d.Uint64())
	if err := d.End(); err != nil {
		return err
	}
	is.note(r, at)
	return nil
}
