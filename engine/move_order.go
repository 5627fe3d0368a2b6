package engine

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"onhand/engine/internal/record"
	"onhand/engine/internal/reservation"
	"onhand/engine/internal/stock"
)

// MoveRequest moves an order. Which fields count depends on the move.
type MoveRequest struct {
	ID   ID
	Move OrderMove
	// By is who, and Reason why, in the words of whoever asks: for the history.
	By, Reason string
	Key        string // idempotency key, if any

	// Lines are those that are collected, missing, cancelled or returned; none = all there are. MoveShort and MoveReturn need some.
	Lines []OrderQuantity

	// Code is what whoever collects says, and IDChecked that their identity document was looked at. Where the code is lost, a
	// document and a reason will do.
	Code      string
	IDChecked bool

	// Recount has the cell of what is missing blocked, to be counted, instead of the missing units taken off on hand.
	Recount bool

	// Location is where units are missing, are sent from, or were brought back to; default where the order is collected.
	Location string

	Bay, Vehicle string // of who has arrived, at most ArrivalMax bytes

	PaymentReference string // at most ReferenceMax bytes

	// ExpiresIn or ExpiresAt is the new deadline of MoveExtend; default: the clock of the order's state begins anew.
	ExpiresIn time.Duration
	ExpiresAt time.Time

	// Slot is the beginning of the slot that MoveReschedule asks for.
	Slot time.Time

	// Transfer is the one that MoveReceive receives, if more than one is under way. Arrived is what became of its units, none = all have
	// arrived; with Close, what it does not tell of is lost.
	Transfer ID
	Arrived  []TransferUnits
	Close    bool

	automatic bool // not asked for
}

// OrderQuantity is some units of an order's SKU.
type OrderQuantity struct {
	SKU      string
	Quantity int64 // 1 to LineQuantityMax
	Damaged  bool  // it comes back, but not to be sold again
}

// MoveOrder moves an order from one state to another, together with its stock, as one change. It returns an OrderStateError where
// the order is in no state for it, a RefusedError where a line does not allow it, a CodeError where the pickup code is wrong;
// nothing is moved then, but that a wrong code is counted.
func (e *Engine) MoveOrder(r *MoveRequest) (Order, error) {
	o, err := r.check()
	if err != nil {
		return Order{}, err
	}
	c := newCommand()
	defer c.recycle()
	sequence, answered, err := o.begin(e, c)
	if err != nil {
		return Order{}, err
	}
	if answered {
		return e.orderAnswer(&c.rec, sequence)
	}
	defer o.end(e)
	if err := e.admit(); err != nil {
		return Order{}, err
	}
	sequence, err = e.moveOrder(c, r, &o)
	err = e.offer(err, r.Slot, "")
	var out Order
	if err == nil {
		out, err = e.orderAnswer(&c.rec, sequence)
	}
	if failed := e.settle(sequence); failed != nil {
		return Order{}, failed
	}
	return out, err
}

func (r *MoveRequest) check() (o once, err error) {
	if r.Move == 0 || r.Move >= orderMoveEnd || orderMoves[r.Move].automatic && !r.automatic {
		return o, invalid("move", r.Move.String(), "a move that can be asked for")
	}
	texts := []struct {
		field, text string
		most        int
	}{
		{"by", r.By, ByMax}, {"reason", r.Reason, StepReasonMax}, {"code", r.Code, 32}, {"location", r.Location, NameMax},
		{"bay", r.Bay, ArrivalMax}, {"vehicle", r.Vehicle, ArrivalMax}, {"payment_reference", r.PaymentReference, ReferenceMax},
	}
	for _, t := range texts {
		if err := checkText(t.field, t.text, t.most); err != nil {
			return o, err
		}
	}
	if err := checkNotReserved("location", r.Location); err != nil && r.Move == MoveReturn {
		return o, err
	}
	if len(r.Lines) > LinesMax {
		return o, invalid("lines", fmt.Sprintf("%d lines", len(r.Lines)), fmt.Sprintf("at most %d lines", LinesMax))
	}
	if len(r.Lines) == 0 && (r.Move == MoveShort || r.Move == MoveReturn) {
		return o, invalid("lines", "0 lines", fmt.Sprintf("1 to %d lines", LinesMax))
	}
	for i := range r.Lines {
		l := &r.Lines[i]
		if !positiveQuantity(l.Quantity) {
			return o, invalid(lineField(i, "quantity"), l.Quantity, positiveQuantityWant)
		}
		if err := checkName("", l.SKU); err != nil {
			return o, checkName(lineField(i, "sku"), l.SKU)
		}
		if l.Damaged && r.Move != MoveReturn {
			return o, invalid(lineField(i, "damaged"), true, "false, as only what comes back can be damaged")
		}
	}
	if err := (&TransferMove{Lines: r.Arrived}).check(); err != nil {
		return o, err
	}
	if r.Move == MoveReschedule && (r.Slot.Year() < 1970 || r.Slot.Year() > 2200) {
		return o, invalid("slot", r.Slot.Format(time.RFC3339), "the beginning of a slot")
	}
	if r.ExpiresIn != 0 && !r.ExpiresAt.IsZero() {
		return o, invalid("expires_at", r.ExpiresAt.Format(time.RFC3339), "only one of expires_in and expires_at")
	}
	return keyed(r.Key, func(f *fingerprint) {
		f.begin("order.move")
		_, _ = f.d.Write(r.ID[:])
		f.number(int64(r.Move))
		for _, t := range texts {
			f.text(t.text)
		}
		f.number(int64(len(r.Lines)))
		for i := range r.Lines {
			f.text(r.Lines[i].SKU)
			f.number(r.Lines[i].Quantity)
			f.bool(r.Lines[i].Damaged)
		}
		f.bool(r.IDChecked)
		f.bool(r.Recount)
		f.time(r.Slot)
		_, _ = f.d.Write(r.Transfer[:])
		f.transferUnits(r.Arrived)
		f.bool(r.Close)
		f.number(int64(r.ExpiresIn))
		f.time(r.ExpiresAt)
	})
}

// orderWork is a move under way: the order as it is, which the move turns into what it is to be. All shards that it may touch are
// locked.
type orderWork struct {
	e     *Engine
	c     *command
	r     *MoveRequest
	o     *record.Order
	place *place // where it is collected, or sent from; nil where the location is gone
	now   int64

	// re is the reservation in the record: the order's own where live, else an empty one that a move may make.
	re      *reservation.Reservation
	live    bool
	touched bool // it is part of the change

	reason  string // for the history, where the move itself has one
	unnoted bool   // it leaves no step in the history
}

// moveOrder carries out a move that was not answered before. What it returns rests on basis.
func (e *Engine) moveOrder(c *command, r *MoveRequest, o *once) (basis uint64, err error) {
	for {
		entry := e.order(r.ID)
		if entry == nil {
			return 0, unknown(KindOrder, FormatID(r.ID))
		}
		order := new(record.Order)
		if err := entry.decode(order); err != nil {
			return 0, err
		}
		c.locks = stock.LockSet{}
		if err := e.prepareMove(c, r, order); err != nil {
			return 0, err
		}
		ref, current := e.lockForOrder(c, entry, order)
		if !current {
			e.stock.Unlock(&c.locks)
			continue
		}
		w := orderWork{e: e, c: c, r: r, o: order, place: e.locationOf(order.Location), now: e.clock.Now(), re: &c.rec.Reservation, live: ref != 0}
		if w.live {
			e.reservations.Read(ref, w.re)
			if w.re.Deadline <= w.now {
				e.expireLocked(ref, w.now)
				e.stock.Unlock(&c.locks)
				continue // with the order as that has left it
			}
		}
		c.rec.Time, c.rec.Answer = w.now, o.answer
		basis, err = w.decide(entry.sequence)
		e.stock.Unlock(&c.locks)
		if errors.Is(err, errTransitGone) {
			// Making it known takes all shards.
			if _, err := e.ensureTransit(order.Location); err != nil {
				return basis, err
			}
			c.rec.Reset()
			continue
		}
		return basis, err
	}
}

// decide decides the move and writes it. before is the sequence of the order as it is.
func (w *orderWork) decide(before uint64) (basis uint64, err error) {
	rule := &orderMoves[w.r.Move]
	if err := w.allowed(rule); err != nil {
		return before, err
	}
	w.o.Move = uint8(w.r.Move)
	w.c.rec.Kind, w.c.rec.Order = record.OrderMoved, w.o
	if err := rule.decide(w); err != nil {
		if code := (*CodeError)(nil); !errors.As(err, &code) || OrderMove(w.o.Move) != MoveWrongCode {
			return max(before, w.viewed()), err
		}
	}
	if m := OrderMove(w.o.Move); m != MoveWrongCode && m != MoveRemind && !w.unnoted {
		w.o.History = append(w.o.History, record.OrderStep{
			Time: w.now, Move: w.o.Move, State: w.o.State, By: w.r.By, Reason: cmp.Or(w.reason, w.r.Reason),
		})
	}
	w.finish()
	return w.e.write(w.c), nil
}

// viewed is the sequence of the newest cell that a refusal rests on.
func (w *orderWork) viewed() (last uint64) {
	for i := range w.c.lines {
		last = max(last, w.c.lines[i].view.Sequence)
	}
	return last
}

func (w *orderWork) allowed(rule *moveRule) error {
	state := OrderState(w.o.State)
	for _, from := range rule.from {
		if from == state {
			return w.roomInHistory(rule)
		}
	}
	return w.refuse("")
}

// roomInHistory keeps a history from growing without end; what brings an order to its end is always allowed.
func (w *orderWork) roomInHistory(rule *moveRule) error {
	most := OrderStepsMax - orderStepsKept
	switch w.r.Move {
	case MoveRemind:
		return nil // it is no step
	case MoveCancel, MoveCollect, MoveDeliver, MoveErase, MoveRefund:
		if len(w.r.Lines) == 0 { // of some lines there can be many
			most = OrderStepsMax
		}
	}
	if len(w.o.History) < most {
		return nil
	}
	return w.refuse(fmt.Sprintf("its history has %d steps, and no room for more", len(w.o.History)))
}

// refuse returns the error of a move that the order's state does not allow.
func (w *orderWork) refuse(why string) error {
	return &OrderStateError{ID: w.o.ID, State: OrderState(w.o.State), Move: w.r.Move, Why: why, Sequence: w.o.Sequence}
}

// finish brings the reservation's state into line with its lines, and the order's deadline with the reservation's; a reservation
// that the move has not touched is left out of the record.
func (w *orderWork) finish() {
	if !w.touched {
		*w.re = reservation.Reservation{Lines: w.re.Lines[:0], Channel: w.re.Channel[:0], Reference: w.re.Reference[:0]}
		return
	}
	open, committed := false, false
	for i := range w.re.Lines {
		open = open || w.re.Lines[i].Open() > 0
		committed = committed || w.re.Lines[i].Committed > 0
	}
	switch {
	case open:
		w.re.State = reservation.Held
		w.o.Deadline = w.re.Deadline
	case committed:
		w.re.State = reservation.Committed
		w.o.Deadline = 0
	default:
		w.re.State = reservation.Released
		w.o.Deadline = 0
	}
	if w.o.Deadline == 0 || w.o.Ended != 0 {
		w.o.Deadline, w.o.RemindAt = 0, 0
	}
}

// restart starts the clock of the state that the order has come to.
func (w *orderWork) restart() error {
	deadline, err := w.e.clockOf(w.o, w.place, w.now)
	if err != nil {
		return err
	}
	w.setDeadline(deadline)
	return nil
}

func (w *orderWork) setDeadline(deadline int64) {
	w.re.Deadline, w.touched = deadline, true
	if w.o.RemindAt = 0; OrderState(w.o.State) == Ready {
		w.o.RemindAt = w.e.reminder(w.place, deadline, w.now)
	}
}

// end ends the order in a state.
func (w *orderWork) end(state OrderState) {
	w.o.State, w.o.Ended = uint8(state), w.now
	w.o.RemindAt = 0
}

// giveBack settles the payment of an order that ends without all of its goods.
func giveBack(o *record.Order) {
	owe(o)
	if anyCollected(o) {
		paidInStore(o)
	}
	switch PaymentState(o.Payment) {
	case PaymentPending, PaymentDueInStore:
		o.Payment = uint8(PaymentNone)
	}
}

// owe has a refund due where units were paid for that the customer will not have, or has brought back. What was refunded before
// was for others.
func owe(o *record.Order) {
	switch PaymentState(o.Payment) {
	case PaymentPaid, PaymentRefunded:
		o.Payment = uint8(PaymentRefundDue)
	}
}

// paidInStore says that what was to be paid in the store was paid there, with what was collected.
func paidInStore(o *record.Order) {
	if PaymentState(o.Payment) == PaymentDueInStore {
		o.Payment = uint8(PaymentPaid)
	}
}

// expireOrder is what becomes of an order whose reservation expires.
func expireOrder(o *record.Order, now int64) {
	o.State, o.Move, o.Ended, o.Deadline, o.RemindAt = uint8(OrderExpired), uint8(MoveExpire), now, 0, 0
	giveBack(o)
	o.History = append(o.History, record.OrderStep{Time: now, Move: uint8(MoveExpire), State: uint8(OrderExpired)})
}

// isOrderState reports whether an error says that an order was in another state, or gone: somebody else has moved it.
func isOrderState(err error) bool {
	var state *OrderStateError
	var gone *UnknownError
	return errors.As(err, &state) || errors.As(err, &gone)
}

// Order returns an order.
func (e *Engine) Order(id ID) (Order, error) {
	for {
		entry := e.order(id)
		if entry == nil {
			return Order{}, unknown(KindOrder, FormatID(id))
		}
		// Nobody is shown an order whose deadline has passed.
		if entry.ended == 0 && entry.due != 0 && entry.due <= e.clock.Now() {
			if err := e.expire(entry.hold); err != nil {
				return Order{}, err
			}
			continue
		}
		return e.orderOf(entry)
	}
}

// orderOf returns an entry's order, once it is durable.
func (e *Engine) orderOf(entry *orderEntry) (Order, error) {
	var o record.Order
	if err := entry.decode(&o); err != nil {
		return Order{}, err
	}
	return e.orderFrom(&o), e.settle(entry.sequence)
}

// OrderByToken returns the order of a tracking page.
func (e *Engine) OrderByToken(t Token) (Order, error) {
	id, ok := e.orders.withToken(t)
	if !ok {
		return Order{}, unknown(KindOrder, "of this address")
	}
	return e.Order(id)
}
