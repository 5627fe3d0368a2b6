package engine

import (
	"slices"
	"time"

	"onhand/engine/internal/record"
	"onhand/engine/internal/reservation"
	"onhand/engine/internal/stock"
)

// State is where a reservation is in its life.
type State uint8

// A reservation is Held until nothing of it is held any more. It is then Committed where any unit was committed, else
// Released or Expired.
const (
	Held      = State(reservation.Held)
	Committed = State(reservation.Committed)
	Released  = State(reservation.Released)
	Expired   = State(reservation.Expired)
)

var stateNames = [...]string{Held: "held", Committed: "committed", Released: "released", Expired: "expired"}

// String returns the state as the HTTP interface writes it.
func (s State) String() string {
	if s == 0 || int(s) >= len(stateNames) {
		return "unknown"
	}
	return stateNames[s]
}

// ParseState reads what String writes.
func ParseState(text string) (State, error) {
	for s := Held; int(s) < len(stateNames); s++ {
		if stateNames[s] == text {
			return s, nil
		}
	}
	return 0, invalid("state", text, "held, committed, released or expired")
}

// Reservation is a promise of one or more lines until a deadline.
type Reservation struct {
	ID    ID
	State State
	Lines []ReservationLine
	// Resources are what it holds besides goods.
	Resources []Resource
	Created   time.Time
	Expires   time.Time
	Channel   string
	Reference string
	// Owner is who asked for it, "" = nobody in particular.
	Owner string
	// Refused are, in the answer to a request for partial fulfilment, the lines that were not granted in full.
	Refused []Refusal
	// PassedOver are, in the answer to a request that had its location found, the nearer locations, each with a line that
	// could not be granted there; at most PassedOverMax.
	PassedOver []Refusal
	// Sequence is that of the reservation's last change.
	Sequence uint64
}

// ReservationLine is a line of a reservation: Quantity = Held + Committed + Released + Expired.
type ReservationLine struct {
	SKU, Location                                string
	Quantity, Held, Committed, Released, Expired int64
}

func (e *Engine) reservationFrom(r *reservation.Reservation) Reservation {
	return e.reservationInto(r, nil)
}

// reservationInto is reservationFrom with memory for the lines.
func (e *Engine) reservationInto(r *reservation.Reservation, lines []ReservationLine) Reservation {
	out := Reservation{
		ID: r.ID, State: State(r.State), Created: timeOf(r.Created), Expires: timeOf(r.Deadline),
		Channel: string(r.Channel), Reference: string(e.referenceOf(r)), Sequence: r.Sequence,
		Owner: e.owners.Name(r.Owner),
		Lines: slices.Grow(lines, len(r.Lines))[:len(r.Lines)],
	}
	n := 0
	for i := range r.Lines {
		l := &r.Lines[i]
		sku := e.skus.Name(l.SKU)
		if resourceKindOf(sku) != goods {
			out.Resources = append(out.Resources, e.resourceFrom(l, sku, r.State == reservation.Held))
			continue
		}
		to := &out.Lines[n]
		n++
		*to = ReservationLine{
			SKU: sku, Location: e.locations.Name(l.Location),
			Quantity: int64(l.Quantity), Committed: int64(l.Committed), Released: int64(l.Released),
		}
		if r.State == reservation.Held {
			to.Held = int64(l.Open())
		} else {
			to.Expired = int64(l.Open())
		}
	}
	out.Lines = out.Lines[:n]
	return out
}

// reservationAnswer turns a record that changed a reservation into the answer to who asked for it.
func (e *Engine) reservationAnswer(r *record.Record, sequence uint64, lines []ReservationLine) (Reservation, error) {
	if r.Kind == record.ReservationRefused {
		return Reservation{}, &RefusedError{Lines: refusalsFrom(r.Refusals), Sequence: sequence}
	}
	r.Reservation.Sequence = sequence
	out := e.reservationInto(&r.Reservation, lines)
	out.Refused, out.PassedOver = refusalsFrom(r.Refusals), refusalsFrom(r.PassedOver)
	return out, nil
}

func timeOf(ns int64) time.Time { return time.Unix(0, ns).UTC() }

// Reservation returns a reservation, live or, for as long as the window says, ended.
func (e *Engine) Reservation(id ID) (Reservation, error) {
	c := newCommand()
	defer c.recycle()
	if err := e.readReservation(c, id); err != nil {
		return Reservation{}, err
	}
	out := e.reservationFrom(&c.rec.Reservation)
	return out, e.settle(out.Sequence)
}

// readReservation reads a reservation into c.rec.Reservation. One whose deadline has passed is expired first, so that
// nobody is shown a hold that could no longer be committed.
func (e *Engine) readReservation(c *command, id ID) error {
	for {
		ref, locked := e.lockReservation(c, id)
		if !locked {
			found, err := e.ended.get(id, &c.rec.Reservation)
			if err == nil && !found {
				err = unknown(KindReservation, FormatID(id))
			}
			return err
		}
		e.reservations.Read(ref, &c.rec.Reservation)
		due := c.rec.Reservation.Deadline <= e.clock.Now()
		e.stock.Unlock(&c.locks)
		if !due {
			return nil
		}
		if err := e.expire(id); err != nil {
			return err
		}
	}
}

// lockReservation finds a live reservation and locks all its shards, or answers false and locks nothing.
func (e *Engine) lockReservation(c *command, id ID) (ref uint32, locked bool) {
	for {
		c.locks = stock.LockSet{}
		ref = e.reservations.Find(id, c.locks.Add)
		if ref == 0 {
			return 0, false
		}
		e.stock.Lock(&c.locks)
		if e.reservations.Is(ref, id) {
			return ref, true
		}
		e.stock.Unlock(&c.locks)
	}
}

// change carries out a change of a live reservation: decide is called with the reservation, as it is, in
// c.rec.Reservation and its shards locked, and turns it into what it is to be; or it returns an error, and nothing
// happens.
func (e *Engine) change(id ID, o *once, decide func(c *command, now int64) error) (Reservation, error) {
	c := newCommand()
	defer c.recycle()
	sequence, answered, err := o.begin(e, c)
	if err != nil {
		return Reservation{}, err
	}
	if answered {
		return e.reservationAnswer(&c.rec, sequence, nil)
	}
	defer o.end(e)
	if err := e.admit(); err != nil {
		return Reservation{}, err
	}
	ref, locked := e.lockReservation(c, id)
	if !locked {
		return Reservation{}, e.endedError(id, &c.rec.Reservation)
	}
	re := &c.rec.Reservation
	e.reservations.Read(ref, re)
	now := e.clock.Now()
	if re.Deadline <= now {
		e.expireLocked(ref, now)
		e.stock.Unlock(&c.locks)
		return Reservation{}, e.endedError(id, re)
	}
	before := re.Sequence
	if owner := e.orders.holding(id); owner != nil {
		e.stock.Unlock(&c.locks)
		if failed := e.settle(max(before, owner.sequence)); failed != nil {
			return Reservation{}, failed
		}
		return Reservation{}, &OrderedError{id, owner.id}
	}
	c.rec.Time, c.rec.Answer = now, o.answer
	if err := decide(c, now); err != nil {
		e.stock.Unlock(&c.locks)
		if failed := e.settle(before); failed != nil {
			return Reservation{}, failed
		}
		return Reservation{}, err
	}
	sequence = e.write(c)
	e.stock.Unlock(&c.locks)
	out, err := e.reservationAnswer(&c.rec, sequence, nil)
	if failed := e.settle(sequence); failed != nil {
		return Reservation{}, failed
	}
	return out, err
}

// endedError says what became of a reservation that is not live, or that it never was.
func (e *Engine) endedError(id ID, r *reservation.Reservation) error {
	found, err := e.ended.get(id, r)
	if err != nil {
		return err
	}
	if !found {
		return unknown(KindReservation, FormatID(id))
	}
	if err := e.settle(r.Sequence); err != nil {
		return err
	}
	return &StateError{id, State(r.State), r.Sequence}
}
