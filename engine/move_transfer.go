package engine

import (
	"fmt"
	"strings"
	"time"

	"onhand/engine/internal/record"
	"onhand/engine/internal/reservation"
	"onhand/engine/internal/stock"
)

// TransferRequest plans a transfer, and dispatches all of it at once where Dispatch says so.
type TransferRequest struct {
	// From and To are two locations. Where the transfer is only planned they and the SKUs must be known; what was dispatched
	// happened, and makes them known.
	From, To string
	// Lines, 1 to LinesMax, say what of: Units, 1 to LineQuantityMax. The same SKU twice counts as its sum.
	Lines    []TransferUnits
	Dispatch bool
	// Reference, Reason and By are the caller's own, at most ReferenceMax, ReferenceMax and ByMax bytes.
	Reference, Reason, By string
	Expected              time.Time // when it should arrive; zero = not known
	Key                   string    // idempotency key, if any
}

// TransferUnits are units of a SKU of a transfer. Of those that come to an end some may have arrived damaged, or not at all,
// beside the Units that arrived as they should.
type TransferUnits struct {
	SKU                  string
	Units, Damaged, Lost int64
}

// TransferMove moves a transfer, or some of its lines.
type TransferMove struct {
	ID ID
	// Lines to dispatch or receive; none = all that can be.
	Lines []TransferUnits
	// Close, when receiving, books what is still in transit then as lost. With no lines, nothing has arrived.
	Close      bool
	Reason, By string // as in TransferRequest; Reason, if given, takes the place of what was said before
	Key        string // idempotency key, if any
}

// PlanTransfer makes a transfer. Nothing is held for it: what is dispatched one day is what is there.
func (e *Engine) PlanTransfer(r *TransferRequest) (Transfer, error) {
	if err := r.check(); err != nil {
		return Transfer{}, err
	}
	o, err := keyed(r.Key, func(f *fingerprint) {
		f.begin("transfer.plan")
		f.text(r.From)
		f.text(r.To)
		f.transferUnits(r.Lines)
		f.bool(r.Dispatch)
		f.text(r.Reference)
		f.text(r.Reason)
		f.text(r.By)
		f.time(r.Expected)
	})
	if err != nil {
		return Transfer{}, err
	}
	c := newCommand()
	defer c.recycle()
	sequence, answered, err := o.begin(e, c)
	if err != nil {
		return Transfer{}, err
	}
	if answered {
		return e.transferAnswer(&c.rec, sequence), nil
	}
	defer o.end(e)
	if err := e.admit(); err != nil {
		return Transfer{}, err
	}
	transit, err := e.lockToPlan(c, r)
	if err != nil {
		return Transfer{}, err
	}
	now := e.clock.Now()
	t := &c.rec.Transfer
	c.rec.Kind, c.rec.Time, c.rec.Answer = record.TransferMoved, now, o.answer
	t.ID, t.State, t.Moves, t.Created = newID(now), uint8(TransferPlanned), record.TransferPlanned, now
	t.Reference, t.Reason, t.By = r.Reference, r.Reason, r.By
	if !r.Expected.IsZero() {
		t.Expected = r.Expected.UnixNano()
	}
	m := cellMoves{e: e}
	if r.Dispatch {
		if err = e.decideDispatch(&m, t, transit, nil, nil, now); err == nil {
			err = m.check()
		}
		if err != nil {
			e.stock.Unlock(&c.locks)
			return Transfer{}, err
		}
	}
	return e.writeTransfer(c, &m)
}

func (r *TransferRequest) check() error {
	for _, l := range []struct{ field, name string }{{"from", r.From}, {"to", r.To}} {
		if err := checkName(l.field, l.name); err != nil {
			return err
		}
		if err := checkNotReserved(l.field, l.name); err != nil {
			return err
		}
	}
	if len(r.To) > TransferToMax {
		return invalid("to", r.To, fmt.Sprintf("at most %d bytes, as its units on their way are at %s…", TransferToMax, transitPrefix))
	}
	if r.From == r.To {
		return invalid("to", r.To, "a location other than from")
	}
	if len(r.Lines) == 0 || len(r.Lines) > LinesMax {
		return invalid("lines", fmt.Sprintf("%d lines", len(r.Lines)), fmt.Sprintf("1 to %d lines", LinesMax))
	}
	for i := range r.Lines {
		if err := checkSKUName("", r.Lines[i].SKU); err != nil {
			return checkSKUName(lineField(i, "sku"), r.Lines[i].SKU)
		}
		if q := r.Lines[i].Units; !positiveQuantity(q) {
			return invalid(lineField(i, "quantity"), q, positiveQuantityWant)
		}
	}
	if y := r.Expected.Year(); !r.Expected.IsZero() && (y < 1970 || y > 2200) {
		return invalid("expected_at", r.Expected.UTC().Format(time.RFC3339Nano), "a time from 1970 to 2200")
	}
	return checkTransferTexts(r.Reference, r.Reason, r.By)
}

func checkTransferTexts(reference, reason, by string) error {
	if err := checkText("reference", reference, ReferenceMax); err != nil {
		return err
	}
	if err := checkText("reason", reason, ReferenceMax); err != nil {
		return err
	}
	return checkText("by", by, ByMax)
}

func (f *fingerprint) transferUnits(lines []TransferUnits) {
	f.number(int64(len(lines)))
	for i := range lines {
		f.text(lines[i].SKU)
		f.number(lines[i].Units)
		f.number(lines[i].Damaged)
		f.number(lines[i].Lost)
	}
}

// lockToPlan fills in the locations and lines of a new transfer in c.rec and locks the shards of its SKUs. With Dispatch
// it makes known what is not, and returns the location of the units on their way.
func (e *Engine) lockToPlan(c *command, r *TransferRequest) (transit uint32, err error) {
	t := &c.rec.Transfer
	for {
		if t.From, t.To, err = e.endsOf(r); err != nil {
			return 0, err
		}
		t.Lines, c.locks = t.Lines[:0], stock.LockSet{}
		index := make(map[uint32]int, len(r.Lines))
		for i := range r.Lines {
			in := &r.Lines[i]
			sku, known := e.knownSKU(in.SKU)
			if !known && !r.Dispatch {
				return 0, unknown(KindSKU, in.SKU)
			}
			if !known {
				sku = e.internSKU(in.SKU)
			}
			at, again := index[sku]
			if !again {
				at = len(t.Lines)
				index[sku] = at
				t.Lines = append(t.Lines, record.TransferLine{SKU: sku})
				c.locks.Add(stock.ShardOf(sku))
			}
			if sum := int64(t.Lines[at].Quantity) + in.Units; sum > LineQuantityMax {
				return 0, invalid("lines", sum, fmt.Sprintf("at most %d units of one SKU in all", LineQuantityMax))
			}
			t.Lines[at].Quantity += uint32(in.Units)
		}
		if r.Dispatch {
			if transit, err = e.ensureTransit(t.To); err != nil {
				return 0, err
			}
		}
		e.stock.Lock(&c.locks)
		// A location can be deleted until a lock is held, and not after.
		if e.locationOf(t.From) != nil && e.locationOf(t.To) != nil && (transit == 0 || e.locationOf(transit) != nil) {
			return transit, nil
		}
		e.stock.Unlock(&c.locks)
	}
}

func (e *Engine) endsOf(r *TransferRequest) (from, to uint32, err error) {
	if r.Dispatch {
		return e.ensureLocation(r.From), e.ensureLocation(r.To), nil
	}
	from, known := e.lookupLocation(r.From)
	if !known {
		return 0, 0, e.unknownLocation(r.From)
	}
	if to, known = e.lookupLocation(r.To); !known {
		return 0, 0, e.unknownLocation(r.To)
	}
	return from, to, nil
}

// DispatchTransfer says that units have left: they are on hand no longer where they were, and are in transit. It is always
// accepted, also where fewer are on hand or others are promised them: that is a shortage. It returns a RefusedError where more
// of a line is dispatched than was planned, and a TransferStateError where nothing is left to be.
func (e *Engine) DispatchTransfer(r *TransferMove) (Transfer, error) {
	if r.Close {
		return Transfer{}, invalid("close", true, "nothing, when dispatching")
	}
	return e.moveTransfer(r, "transfer.dispatch", func(m *cellMoves, t *record.Transfer, now int64) error {
		transit, ok := e.transitOf(t.To)
		if !ok {
			return errTransitGone
		}
		return e.decideDispatch(m, t, transit, r.Lines, nil, now)
	})
}

// ReceiveTransfer says what became of units in transit: they have arrived, or were lost or damaged on the way. It returns a
// RefusedError where that is more of a line than is in transit, and a TransferStateError where nothing is.
func (e *Engine) ReceiveTransfer(r *TransferMove) (Transfer, error) {
	return e.moveTransfer(r, receiveOperation, func(m *cellMoves, t *record.Transfer, now int64) error {
		return e.decideReceive(m, t, r.Lines, r.Close, nil, nil, now)
	})
}

const receiveOperation = "transfer.receive"

// CancelTransfer says that what was not dispatched will not be. What is in transit goes on. It returns a TransferStateError
// where everything was dispatched.
func (e *Engine) CancelTransfer(r *TransferMove) (Transfer, error) {
	if r.Close || len(r.Lines) > 0 {
		return Transfer{}, invalid("lines", "given", "nothing, as all that was not dispatched is cancelled")
	}
	return e.moveTransfer(r, "transfer.cancel", func(_ *cellMoves, t *record.Transfer, now int64) error {
		return e.decideCancelTransfer(t, now)
	})
}

func (r *TransferMove) check() error {
	if len(r.Lines) > LinesMax {
		return invalid("lines", fmt.Sprintf("%d lines", len(r.Lines)), fmt.Sprintf("at most %d lines", LinesMax))
	}
	for i := range r.Lines {
		l := &r.Lines[i]
		if err := checkName("", l.SKU); err != nil {
			return checkName(lineField(i, "sku"), l.SKU)
		}
		for _, q := range []struct {
			field string
			units int64
		}{{"quantity", l.Units}, {"damaged", l.Damaged}, {"lost", l.Lost}} {
			if q.units < 0 || q.units > LineQuantityMax {
				return invalid(lineField(i, q.field), q.units, "0 to 2147483647")
			}
		}
		if l.Units+l.Damaged+l.Lost == 0 {
			return invalid(lineField(i, "quantity"), 0, "at least one unit")
		}
	}
	return checkTransferTexts("", r.Reason, r.By)
}

// errTransitGone says that the location of units on their way was deleted between two looks; it is made anew.
var errTransitGone = fmt.Errorf("the transit location is gone")

// moveTransfer carries out a move: decide is called with the transfer as it is and the shards of its SKUs locked, and turns it
// into what it is to be, saying what moves; or it returns an error, and nothing happens.
func (e *Engine) moveTransfer(r *TransferMove, operation string, decide func(m *cellMoves, t *record.Transfer, now int64) error) (Transfer, error) {
	if err := r.check(); err != nil {
		return Transfer{}, err
	}
	o, err := keyed(r.Key, func(f *fingerprint) {
		f.begin(operation)
		_, _ = f.d.Write(r.ID[:])
		f.transferUnits(r.Lines)
		f.bool(r.Close)
		f.text(r.Reason)
		f.text(r.By)
	})
	if err != nil {
		return Transfer{}, err
	}
	c := newCommand()
	defer c.recycle()
	sequence, answered, err := o.begin(e, c)
	if err != nil {
		return Transfer{}, err
	}
	if answered {
		return e.transferAnswer(&c.rec, sequence), nil
	}
	defer o.end(e)
	if err := e.admit(); err != nil {
		return Transfer{}, err
	}
	for {
		before, found, err := e.lockTransfer(c, r.ID)
		if err != nil {
			return Transfer{}, err
		}
		if !found {
			return Transfer{}, unknown(KindTransfer, FormatID(r.ID))
		}
		t := &c.rec.Transfer
		now := e.clock.Now()
		m := cellMoves{e: e}
		if order := e.orders.get(t.Order); order != nil && order.ended == 0 && operation == receiveOperation {
			// What it brings is held for a live order, which moves with it.
			e.stock.Unlock(&c.locks)
			c.rec.Reset()
			sequence, err := e.moveOrder(c, &MoveRequest{
				ID: order.id, Move: MoveReceive, Transfer: r.ID, Arrived: r.Lines, Close: r.Close, Reason: r.Reason, By: r.By,
			}, &o)
			if entry := e.orders.get(order.id); isOrderState(err) && (entry == nil || entry.ended != 0) {
				c.rec.Reset()
				continue // it has ended in between
			}
			if failed := e.settle(sequence); failed != nil {
				return Transfer{}, failed
			}
			if err != nil {
				return Transfer{}, err
			}
			return e.transferAnswer(&c.rec, sequence), nil
		}
		t.Moves = 0
		err = decide(&m, t, now)
		if err == nil {
			err = m.check()
		}
		if err != nil {
			to := t.To
			e.stock.Unlock(&c.locks)
			if err == errTransitGone {
				// Making it known takes all shards.
				if _, err := e.ensureTransit(to); err != nil {
					return Transfer{}, err
				}
				continue
			}
			if failed := e.settle(before); failed != nil {
				return Transfer{}, failed
			}
			return Transfer{}, err
		}
		c.rec.Kind, c.rec.Time, c.rec.Answer = record.TransferMoved, now, o.answer
		if r.Reason != "" {
			t.Reason = r.Reason
		}
		if r.By != "" {
			t.By = r.By
		}
		return e.writeTransfer(c, &m)
	}
}

// writeTransfer makes c.rec, and what m moves, the next change, lets go of the locks and waits until it is durable.
func (e *Engine) writeTransfer(c *command, m *cellMoves) (Transfer, error) {
	m.emit(c)
	e.findShortages(c)
	sequence := e.write(c)
	e.stock.Unlock(&c.locks)
	return e.transferAnswer(&c.rec, sequence), e.settle(sequence)
}

func (e *Engine) transferAnswer(r *record.Record, sequence uint64) Transfer {
	out := e.transferFrom(&r.Transfer, sequence)
	out.Shortages = e.shortages(r.Shortages)
	return out
}

// The deciding functions below are called with the shards of the transfer's SKUs locked, and of re's if there is one: a live
// reservation whose units travel along. They change t and re, and say in m which cells move; where they return an error they
// have changed nothing.

// decideDispatch sends units on their way: those of lines, or all that is left to be dispatched. What re holds of them where
// they come from, it holds on their way.
func (e *Engine) decideDispatch(m *cellMoves, t *record.Transfer, transit uint32, lines []TransferUnits, re *reservation.Reservation, now int64) error {
	taken, err := e.takeFromTransfer(t, lines, (*record.TransferLine).ToDispatch, NotPlanned, e.locations.Name(t.From))
	if err != nil {
		return err
	}
	for i := range taken {
		units := taken[i].units
		if units == 0 {
			continue
		}
		l := &t.Lines[i]
		l.Dispatched += units
		m.move(l.SKU, t.From, -int64(units), 0)
		m.move(l.SKU, transit, int64(units), 0)
		if re != nil {
			m.moveHeld(re, l.SKU, t.From, transit, units)
		}
	}
	t.Moves |= record.TransferDispatched
	if t.Dispatched == 0 {
		t.Dispatched = now
	}
	settleTransfer(t, now)
	return nil
}

// decideReceive says what became of units in transit: those of lines, or all. With closed, what no line tells of is lost.
// What re holds of them on their way, it holds where they arrive, as far as enough do; alsoComing are the units of each SKU that are on
// their way for it besides, by other transfers.
func (e *Engine) decideReceive(m *cellMoves, t *record.Transfer, lines []TransferUnits, closed bool, re *reservation.Reservation, alsoComing map[uint32]uint32, now int64) error {
	transit, _ := e.transitOf(t.To)
	taken, err := e.takeFromTransfer(t, lines, (*record.TransferLine).InTransit, NotInTransit, TransitName(e.locations.Name(t.To)))
	if err != nil {
		return err
	}
	for i := range taken {
		l, k := &t.Lines[i], &taken[i]
		if closed {
			if len(lines) == 0 {
				k.units = 0
			}
			k.lost = l.InTransit() - k.units - k.damaged
		}
		if k.units > 0 {
			t.Moves |= record.TransferReceived
		}
		if k.lost > 0 {
			t.Moves |= record.TransferLost
		}
		if k.damaged > 0 {
			t.Moves |= record.TransferDamaged
		}
		l.Received, l.Lost, l.Damaged = l.Received+k.units, l.Lost+k.lost, l.Damaged+k.damaged
		m.move(l.SKU, transit, -int64(k.units)-int64(k.lost)-int64(k.damaged), 0)
		m.move(l.SKU, t.To, int64(k.units), 0)
		if re != nil {
			m.moveHeld(re, l.SKU, transit, t.To, k.units)
			// What else of it is on its way for the same order stays held.
			if held, coming := heldAt(re, l.SKU, transit), l.InTransit()+alsoComing[l.SKU]; held > coming {
				m.releaseHeld(re, l.SKU, transit, held-coming)
			}
		}
	}
	settleTransfer(t, now)
	return nil
}

// decideCancelTransfer says that what was not dispatched will not be.
func (e *Engine) decideCancelTransfer(t *record.Transfer, now int64) error {
	if _, err := e.takeFromTransfer(t, nil, (*record.TransferLine).ToDispatch, NotPlanned, ""); err != nil {
		return err
	}
	for i := range t.Lines {
		t.Lines[i].Cancelled += t.Lines[i].ToDispatch()
	}
	t.Moves |= record.TransferCancelled
	settleTransfer(t, now)
	return nil
}

// settleTransfer sets the state that the lines of a transfer lead to.
func settleTransfer(t *record.Transfer, now int64) {
	open, dispatched := false, false
	for i := range t.Lines {
		l := &t.Lines[i]
		open = open || l.ToDispatch() > 0 || l.InTransit() > 0
		dispatched = dispatched || l.Dispatched > 0
	}
	state := TransferCancelled
	switch {
	case open && dispatched:
		state = TransferInTransit
	case open:
		state = TransferPlanned
	case dispatched:
		state = TransferReceived
	}
	if t.State = uint8(state); !open {
		t.Ended = now
	}
}

// takenUnits are units of a line that a move is about.
type takenUnits struct{ units, lost, damaged uint32 }

// takeFromTransfer returns what a move takes of each line of a transfer: what lines say, or all that left says can be. It
// returns a TransferStateError where none can be at all, and a RefusedError where a line says more.
func (e *Engine) takeFromTransfer(t *record.Transfer, lines []TransferUnits, left func(*record.TransferLine) uint32, reason Reason, at string) ([]takenUnits, error) {
	taken := make([]takenUnits, len(t.Lines))
	any := false
	for i := range t.Lines {
		n := left(&t.Lines[i])
		any = any || n > 0
		if len(lines) == 0 {
			taken[i].units = n
		}
	}
	if !any {
		return nil, &TransferStateError{t.ID, TransferState(t.State)}
	}
	index := make(map[uint32]int, len(lines))
	for j := range t.Lines {
		if len(lines) > 0 {
			index[t.Lines[j].SKU] = j
		}
	}
	var refused RefusedError
	for i := range lines {
		in := &lines[i]
		sku, _ := e.skus.Lookup(in.SKU)
		j, planned := index[sku]
		var open int64
		if planned {
			open = int64(left(&t.Lines[j])) - int64(taken[j].units) - int64(taken[j].lost) - int64(taken[j].damaged)
		}
		if asked := in.Units + in.Damaged + in.Lost; asked > open {
			refused.Lines = append(refused.Lines, Refusal{
				SKU: strings.Clone(in.SKU), Location: at, Reason: reason, Requested: asked, Held: open,
			})
			continue
		}
		taken[j].units += uint32(in.Units)
		taken[j].lost += uint32(in.Lost)
		taken[j].damaged += uint32(in.Damaged)
	}
	if len(refused.Lines) > 0 {
		return nil, &refused
	}
	return taken, nil
}
