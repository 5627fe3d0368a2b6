package engine_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"onhand/engine"
	"onhand/engine/enginetest"
)

// A ledger is what callers know: what they asked, in what order, and what they were told. Tests of crashes and faults
// hold a database against it. Each caller asks one thing at a time, all under idempotency keys, so that asking again
// after a crash tells what became of the first attempt.

// outcome is an answer.
type outcome struct {
	text        string // the whole answer; an equal answer has an equal text
	sequence    uint64 // of the change, 0 where there was none
	err         error
	reservation *engine.Reservation
}

// deed is one thing that a caller asks.
type deed struct {
	name string
	ask  func(e *engine.Engine) outcome
	// What it does to on hand where it is carried out: sets the cell, or moves these.
	set   bool
	moves map[engine.CellName]int64
	// made says that the deed makes a reservation.
	made    bool
	outcome *outcome
}

type caller struct {
	name  string
	deeds []*deed
	acked int // deeds[:acked] are answered
	holds []engine.ID
	r     *rand.Rand
}

type ledger struct {
	mu      sync.Mutex
	callers []*caller
	allowed atomic.Int64 // how many answers there may be
}

// keepAsking has all callers ask until stop is called, but no more than is allowed: how much they would ask while a
// checkpoint is written depends on the machine, and what they asked has to be gone through afterwards.
func (l *ledger) keepAsking(t *testing.T, e *engine.Engine) (stop func()) {
	var callers sync.WaitGroup
	done := make(chan struct{})
	for _, caller := range l.callers {
		callers.Go(func() {
			for {
				select {
				case <-done:
					return
				case <-time.After(500 * time.Microsecond):
				}
				if int64(l.answered()) < l.allowed.Load() && !l.step(caller, e) {
					t.Error("the engine has stopped")
					return
				}
			}
		})
	}
	return func() {
		close(done)
		callers.Wait()
	}
}

// allow allows n more answers and waits for the first half of them.
func (l *ledger) allow(t *testing.T, n int) {
	l.allowed.Store(int64(l.answered() + n))
	for seen := l.answered(); l.answered() < seen+n/2 && !t.Failed(); {
		time.Sleep(100 * time.Microsecond)
	}
}

func newLedger(callers int, r *rand.Rand) *ledger {
	l := &ledger{}
	for i := range callers {
		l.callers = append(l.callers, &caller{name: fmt.Sprintf("c%d", i), r: rand.New(rand.NewPCG(r.Uint64(), uint64(i)))})
	}
	return l
}

// view is a ledger at some moment.
type view struct{ asked, answered [][]*deed }

// answers returns what has been answered by now.
func (l *ledger) answers() (all [][]*deed) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.callers {
		all = append(all, slices.Clone(c.deeds[:c.acked]))
	}
	return all
}

// answered returns how many answers there were.
func (l *ledger) answered() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.callers {
		n += c.acked
	}
	return n
}

// questions returns what has been asked by now.
func (l *ledger) questions() (all [][]*deed) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.callers {
		all = append(all, slices.Clone(c.deeds))
	}
	return all
}

// step has a caller ask one more thing. It reports whether there was an answer: an engine that has stopped gives none.
func (l *ledger) step(c *caller, e *engine.Engine) bool {
	d := c.next()
	l.mu.Lock()
	c.deeds = append(c.deeds, d)
	l.mu.Unlock()
	out := d.ask(e)
	if stopped(out.err) {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	d.outcome = &out
	c.acked++
	if d.made && out.reservation != nil {
		c.holds = append(c.holds, out.reservation.ID)
	}
	return true
}

func stopped(err error) bool {
	return errors.Is(err, engine.ErrStopped) || errors.Is(err, engine.ErrDiskFull)
}

var (
	ledgerSKUs   = []string{"lamp", "sofa", "bulb", "rug"}
	ledgerStores = []string{"lyon", "rome"}
)

// depot is where imports go: their rows are apart from everything else.
const depot = "depot"

func (c *caller) cell() engine.CellName {
	return engine.CellName{SKU: ledgerSKUs[c.r.IntN(len(ledgerSKUs))], Location: ledgerStores[c.r.IntN(len(ledgerStores))]}
}

func (c *caller) next() *deed {
	key := fmt.Sprintf("%s-%d", c.name, len(c.deeds))
	switch n := c.r.IntN(100); {
	case n < 30 || len(c.deeds) == 0:
		return c.adjust(key)
	case n < 36:
		return c.count(key)
	case n < 68 || len(c.holds) == 0:
		return c.reserve(key)
	case n < 97:
		return c.finish(key)
	default:
		return c.importFile(key)
	}
}

func (c *caller) adjust(key string) *deed {
	a := engine.Adjustment{Reason: "receipt", Reference: key, Key: key}
	d := &deed{name: "adjust " + key, moves: map[engine.CellName]int64{}}
	for range 1 + c.r.IntN(3) {
		cell, units := c.cell(), int64(1+c.r.IntN(9))
		if c.r.IntN(4) == 0 {
			units = -units
		}
		a.Lines = append(a.Lines, engine.Line{SKU: cell.SKU, Location: cell.Location, Quantity: units})
		d.moves[cell] += units
	}
	d.ask = func(e *engine.Engine) outcome {
		out, err := e.Adjust(&a)
		return outcome{text: answer(out, err), sequence: out.Sequence, err: err}
	}
	return d
}

func (c *caller) count(key string) *deed {
	cell, units := c.cell(), int64(c.r.IntN(40))
	r := engine.SetStockRequest{SKU: cell.SKU, Location: cell.Location, OnHand: &units, Reference: key, Key: key}
	return &deed{name: "count " + key, set: true, moves: map[engine.CellName]int64{cell: units}, ask: func(e *engine.Engine) outcome {
		out, err := e.SetStock(&r)
		return outcome{text: answer(out, err), sequence: out.Sequence, err: err}
	}}
}

func ofReservation(r engine.Reservation, err error) outcome {
	out := outcome{text: answer(r, err), sequence: r.Sequence, err: err}
	if err == nil {
		out.reservation = &r
	}
	if refused := new(engine.RefusedError); errors.As(err, &refused) {
		out.text, out.sequence = answer(*refused), refused.Sequence
	}
	return out
}

func (c *caller) reserve(key string) *deed {
	r := engine.ReserveRequest{Reference: key, Key: key, Owner: []string{"", c.name, "everyone"}[c.r.IntN(3)], Partial: c.r.IntN(4) == 0, ExpiresIn: time.Duration(1+c.r.IntN(60)) * time.Second}
	if c.r.IntN(2) == 0 {
		for i := range r.ID {
			r.ID[i] = byte(c.r.Uint32())
		}
	}
	for range 1 + c.r.IntN(3) {
		cell := c.cell()
		r.Lines = append(r.Lines, engine.Line{SKU: cell.SKU, Location: cell.Location, Quantity: int64(1 + c.r.IntN(4))})
	}
	return &deed{name: "reserve " + key, made: true, ask: func(e *engine.Engine) outcome { return ofReservation(e.Reserve(&r)) }}
}

func (c *caller) finish(key string) *deed {
	id := c.holds[len(c.holds)-1-c.r.IntN(min(len(c.holds), 4))]
	r := engine.FinishRequest{ID: id, Key: key}
	switch c.r.IntN(4) {
	case 0:
		return &deed{name: "release " + key, ask: func(e *engine.Engine) outcome { return ofReservation(e.Release(&r)) }}
	case 1:
		return &deed{name: "extend " + key, ask: func(e *engine.Engine) outcome {
			return ofReservation(e.Extend(id, 90*time.Second, time.Time{}, key))
		}}
	default:
		return &deed{name: "commit " + key, ask: func(e *engine.Engine) outcome { return ofReservation(e.Commit(&r)) }}
	}
}

// importFile imports goods received, in two attempts under one id: the first is broken off somewhere.
func (c *caller) importFile(key string) *deed {
	d := &deed{name: "import " + key, moves: map[engine.CellName]int64{}}
	rows := make([]engine.ImportRow, engine.ImportChunk+c.r.IntN(2*engine.ImportChunk))
	units := make([]int64, len(rows))
	for i := range rows {
		units[i] = int64(1 + c.r.IntN(3))
		rows[i] = engine.ImportRow{SKU: fmt.Sprintf("sku-%d", c.r.IntN(20)), Location: depot, OnHand: &units[i]}
		d.moves[engine.CellName{SKU: rows[i].SKU, Location: depot}] += units[i]
	}
	some := c.r.IntN(len(rows))
	attempt := func(e *engine.Engine, rows []engine.ImportRow, whole bool) (engine.ImportReport, error) {
		im, err := e.BeginImport(key, engine.ImportDelta, false)
		if err != nil {
			return engine.ImportReport{}, err
		}
		_, err = im.Apply(nil, rows)
		if err == nil && whole {
			err = im.End()
		}
		report, closed := im.Close()
		return report, errors.Join(err, closed)
	}
	d.ask = func(e *engine.Engine) outcome {
		// After a crash the first attempt may have fewer rows than the one before had carried out: it is all the same.
		if _, err := attempt(e, rows[:some], false); err != nil && !errors.Is(err, engine.ErrKeyReused) {
			return outcome{err: err}
		}
		report, err := attempt(e, rows, true)
		if err == nil && report.Applied+report.Repeated != uint64(len(rows)) {
			err = fmt.Errorf("%d rows applied, %d repeated, of %d", report.Applied, report.Repeated, len(rows))
		}
		return outcome{text: answer(err), err: err}
	}
	return d
}

// cells returns what on hand and held must be, by what the callers were told, and the reservations as they were told
// last. Deadlines that have passed by now count.
func (v *lastWord) cells(now time.Time) (onHand, held map[engine.CellName]int64) {
	onHand, held = map[engine.CellName]int64{}, map[engine.CellName]int64{}
	// In the order of their sequences; imports, which have several, share no cell with the others.
	slices.SortStableFunc(v.deeds, func(a, b lastAnswer) int { return int(a.sequence) - int(b.sequence) })
	v.reservations = map[engine.ID]engine.Reservation{}
	for _, d := range v.deeds {
		if d.err != nil {
			continue
		}
		for cell, units := range d.moves {
			if d.set {
				onHand[cell] = 0
			}
			onHand[cell] += units
		}
		if re := d.reservation; re != nil {
			before := v.reservations[re.ID]
			for i, line := range re.Lines {
				sold := line.Committed
				if i < len(before.Lines) {
					sold -= before.Lines[i].Committed
				}
				onHand[engine.CellName{SKU: line.SKU, Location: line.Location}] -= sold
			}
			v.reservations[re.ID] = *re
		}
	}
	for id, re := range v.reservations {
		if re.State == engine.Held && !re.Expires.After(now) {
			re.State = engine.Expired
			v.reservations[id] = re
		}
		if re.State != engine.Held {
			continue
		}
		for _, line := range re.Lines {
			held[engine.CellName{SKU: line.SKU, Location: line.Location}] += line.Held
		}
	}
	return onHand, held
}

// lastWord is what callers were told in the end.
type lastWord struct {
	deeds        []lastAnswer
	reservations map[engine.ID]engine.Reservation
}

type lastAnswer struct {
	*deed
	outcome
}

// verify holds an engine against a ledger: what was answered is there, what is there was asked, and all that was asked
// can be asked again and has then happened once.
func (v *view) verify(t testing.TB, db *enginetest.DB) {
	t.Helper()
	v.onlyWhatWasAsked(t, db)
	all := lastWord{}
	for i, deeds := range v.asked {
		for n, d := range deeds {
			again := d.ask(db.Engine)
			if n < len(v.answered[i]) && again.text != d.outcome.text {
				t.Errorf("%s was answered\n%s\nand is now answered\n%s", d.name, d.outcome.text, again.text)
			}
			all.deeds = append(all.deeds, lastAnswer{d, again})
		}
	}
	db.Sweep()
	if err := db.CheckInvariants(); err != nil {
		t.Error(err)
	}
	onHand, held := all.cells(db.Now())
	err := db.EachCell("", "", func(c *engine.Cell) error {
		name := engine.CellName{SKU: c.SKU, Location: c.Location}
		if c.OnHand != onHand[name] || c.Held != held[name] {
			t.Errorf("%+v has %d on hand, %d held; by what callers were told it has %d, %d", name, c.OnHand, c.Held, onHand[name], held[name])
		}
		delete(onHand, name)
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	for name, units := range onHand {
		if units != 0 {
			t.Errorf("there is no cell %+v, which should have %d on hand", name, units)
		}
	}
	for id, want := range all.reservations {
		if have, err := db.Reservation(id); err != nil || have.State != want.State {
			t.Errorf("reservation %s is %s, %v; its caller was told that it is %s", engine.FormatID(id), have.State, err, want.State)
		}
	}
}

// onlyWhatWasAsked looks through the change feed for changes that nobody asked for, or that are there twice.
func (v *view) onlyWhatWasAsked(t testing.TB, db *enginetest.DB) {
	t.Helper()
	asked, seen := map[string]bool{}, map[string]uint64{}
	last := uint64(0)
	for i, deeds := range v.asked {
		for n, d := range deeds {
			asked[d.name] = true
			if n < len(v.answered[i]) {
				last = max(last, d.outcome.sequence)
			}
		}
	}
	if db.Durable() < last {
		t.Errorf("change %d was acknowledged, the last one there is is %d", last, db.Durable())
	}
	first, err := db.FirstRetained()
	if err != nil {
		t.Fatal(err)
	}
	next := first
	err = db.Changes(first-1, func(c *engine.Change) error {
		if c.Sequence != next {
			t.Errorf("change %d comes where %d should", c.Sequence, next)
		}
		next = c.Sequence + 1
		name := ""
		switch c.Kind {
		case engine.StockAdjustedChange:
			name = "adjust " + c.Reference
		case engine.StockSetChange:
			name = "count " + c.Reference
		case engine.ReservationHeldChange:
			name = "reserve " + c.Reservation.Reference
		default:
			return nil
		}
		if !asked[name] {
			t.Errorf("change %d (%s) was never asked for", c.Sequence, name)
		}
		if before, twice := seen[name]; twice {
			t.Errorf("%s happened twice, as change %d and %d", name, before, c.Sequence)
		}
		seen[name] = c.Sequence
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
