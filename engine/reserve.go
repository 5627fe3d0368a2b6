package engine

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"onhand/engine/internal/record"
	"onhand/engine/internal/reservation"
	"onhand/engine/internal/stock"
)

// ReserveRequest asks for a reservation. It is read during the call only; its strings may live in memory that is reused.
type ReserveRequest struct {
	// ID is chosen by the caller, so that a retry finds the reservation that the first attempt made; zero = the engine
	// chooses. A refused attempt does not use an id up: the next one is decided afresh.
	ID ID
	// Lines, 1 to LinesMax. The same SKU at the same location counts as one line with the sum.
	Lines []Line
	// Find, if given, has the location found: the lines name none.
	Find *FindLocation
	// ExpiresIn, ExpiresAt or HoldUntil is the deadline: HoldMin to HoldMax from now. Where none is given, the shortest
	// default of the lines' SKUs and locations counts, or else the engine's.
	ExpiresIn time.Duration
	ExpiresAt time.Time
	HoldUntil *HoldUntil
	// Partial asks for as much as there is instead of all or nothing.
	Partial bool
	// Channel and Reference are the caller's own, at most ChannelMax and ReferenceMax bytes.
	Channel, Reference string
	// Owner is who asks, at most OwnerMax bytes: the id of an API key, or whatever else there are not too many of, as none
	// is ever forgotten. It serves Options.HoldsPerOwner. A retry may have another one than the first attempt.
	Owner string
	// resources are held with the lines, all of them or nothing, Partial or not: at the location of the first line where they
	// name none and none is to be found.
	resources []resource
	// Key is the idempotency key, if any. A refusal under a key is remembered like any other answer, but for a LimitError.
	Key string

	order *PlaceOrderRequest // that is placed on what is held, in the same change
}

// Reserve holds every line of a request, or, with Partial, as much as is available, until a deadline. It returns a
// RefusedError where it can't, and a LimitError where as many reservations are live as Options allow.
func (e *Engine) Reserve(r *ReserveRequest) (Reservation, error) {
	out, basis, err := e.reserve(r, newID(e.clock.Now()), nil)
	if failed := e.settle(basis); failed != nil {
		return Reservation{}, failed
	}
	return out, err
}

// ReserveResult is the answer to one request of a batch.
type ReserveResult struct {
	Reservation Reservation
	Err         error
}

// batchAhead is how many requests of a batch are looked up before the first of them is worked on, so that their cache
// misses overlap.
const batchAhead = 32

// ReserveBatch carries out many independent requests, in order, and waits for the disk once. It appends a result for
// each to results, whose memory it reuses.
func (e *Engine) ReserveBatch(results []ReserveResult, requests []ReserveRequest) []ReserveResult {
	var last uint64
	first := len(results)
	results = slices.Grow(results, len(requests))[:first+len(requests)]
	var ids [batchAhead]ID
	for i := range requests {
		if i%batchAhead == 0 {
			e.lookAhead(requests[i:min(i+batchAhead, len(requests))], &ids)
		}
		to := &results[first+i]
		var basis uint64
		to.Reservation, basis, to.Err = e.reserve(&requests[i], ids[i%batchAhead], to.Reservation.Lines[:0])
		last = max(last, basis)
	}
	if failed := e.settle(last); failed != nil {
		for i := range results[first:] {
			results[first+i] = ReserveResult{Err: failed}
		}
	}
	return results
}

// lookAhead chooses ids for requests and asks for the memory that their first lines will need.
func (e *Engine) lookAhead(requests []ReserveRequest, ids *[batchAhead]ID) {
	now := e.clock.Now()
	var cells [batchAhead]struct{ sku, location uint32 }
	for i := range requests {
		ids[i] = newID(now)
		e.reservations.PrefetchID(ids[i])
		if lines := requests[i].Lines; len(lines) > 0 {
			cells[i].sku, _ = e.skus.Lookup(lines[0].SKU)
			cells[i].location, _ = e.locations.Lookup(lines[0].Location)
			e.stock.Prefetch(cells[i].sku, cells[i].location)
		}
	}
	for i := range requests {
		e.reservations.PrefetchLine(e.stock.Head(cells[i].sku, cells[i].location))
	}
}

// reserve carries out a request up to the wait: whoever passes the answer on first waits for basis. It may use the memory
// of lines for the answer. id is for a reservation whose caller has chosen none.
func (e *Engine) reserve(r *ReserveRequest, id ID, lines []ReservationLine) (out Reservation, basis uint64, err error) {
	o, err := r.check()
	if err != nil {
		return Reservation{}, 0, err
	}
	c := newCommand()
	defer c.recycle()
	if o.answer.Asked() {
		sequence, answered, err := o.begin(e, c)
		if answered {
			out, err = e.reservationAnswer(&c.rec, sequence, lines)
		}
		if answered || err != nil {
			return out, sequence, err
		}
		defer o.end(e)
	}
	basis, err = e.reserveOnce(c, r, id, &o)
	if err == nil {
		out, err = e.reservationAnswer(&c.rec, basis, lines)
	}
	return out, basis, err
}

// reserveOnce carries out a request that was not answered before. Where it succeeds the record is in c.rec.
func (e *Engine) reserveOnce(c *command, r *ReserveRequest, id ID, o *once) (basis uint64, err error) {
	if err := e.admit(); err != nil {
		return 0, err
	}
	if e.reservations.Full() {
		return 0, ErrTooManyHolds
	}
	if o.answer.ByID {
		if last, err := e.checkIDFree(c, r.ID); err != nil {
			return last, err
		}
	}
	owner := e.internOwner(r.Owner)
	places, err := e.claimHold(r.Reference, owner)
	if err != nil {
		return e.log.Appended(), err // it rests on all that is live
	}
	defer e.giveHold(&places)
	c.rec.Reservation.Owner = owner
	if r.Find != nil {
		return e.reserveNearest(c, r, id, o)
	}
	if err := c.resolve(e, r.Lines); err != nil {
		return 0, err
	}
	if len(r.resources) > 0 {
		if err := c.resolveResources(e, r.resources, r.Lines[0].Location, false); err != nil {
			return 0, err
		}
	}
	for i := range c.lines {
		if c.lines[i].quantity > LineQuantityMax {
			return 0, invalid("lines", c.lines[i].quantity,
				fmt.Sprintf("at most %d units of one SKU at one location in all", LineQuantityMax))
		}
	}
	if c.locks == (stock.LockSet{}) {
		c.locks.Add(0) // every record is written under a lock, so that holding all of them means that none is under way
	}
	now, err := e.lockToReserve(c)
	if err != nil {
		return 0, err
	}
	basis, err = e.reserveLocked(c, r, id, o, now)
	e.stock.Unlock(&c.locks)
	return basis, err
}

func (e *Engine) reserveLocked(c *command, r *ReserveRequest, id ID, o *once, now int64) (basis uint64, err error) {
	deadline, err := e.deadline(r, c.lines, now)
	if err != nil {
		return 0, err
	}
	c.rec.Time, c.rec.Answer = now, o.answer
	if !e.decideReserve(c, r) {
		return e.refuse(c, o)
	}
	return e.hold(c, r, id, o, now, deadline)
}

// hold makes what was decided a reservation. The shards of its lines are locked.
func (e *Engine) hold(c *command, r *ReserveRequest, id ID, o *once, now, deadline int64) (sequence uint64, err error) {
	if o.answer.ByID {
		id = r.ID
	}
	re := &c.rec.Reservation
	re.ID = id
	c.rec.Time, c.rec.Answer, c.rec.Kind = now, o.answer, record.ReservationHeld
	re.State, re.Created, re.Deadline = reservation.Held, now, deadline
	re.Channel = append(re.Channel[:0], r.Channel...)
	re.Reference = append(re.Reference[:0], r.Reference...)
	if r.order != nil {
		// Nobody chooses the id of a reservation that is made for an order, so it is new, and the order can have it.
		if err = e.draftOrder(c, r.order, id, now); err != nil {
			return 0, err
		}
		c.rec.Kind, c.rec.Order, re.Deadline = record.OrderMoved, &c.order, c.order.Deadline
	}
	return e.write(c), nil
}

func (r *ReserveRequest) check() (o once, err error) {
	if err := checkLines(r.Lines, positiveQuantity, positiveQuantityWant); err != nil {
		return o, err
	}
	if err := checkNoneReserved(r.Lines); err != nil {
		return o, err
	}
	for i := range r.Lines {
		if resourceKindOf(r.Lines[i].SKU) != goods {
			return o, checkGoods(lineField(i, "sku"), r.Lines[i].SKU)
		}
	}
	if err := checkResources(r.resources, r.Find != nil); err != nil {
		return o, err
	}
	if err := checkText("channel", r.Channel, ChannelMax); err != nil {
		return o, err
	}
	if err := checkText("reference", r.Reference, ReferenceMax); err != nil {
		return o, err
	}
	if err := checkText("owner", r.Owner, OwnerMax); err != nil {
		return o, err
	}
	if r.ExpiresIn != 0 && !r.ExpiresAt.IsZero() {
		return o, invalid("expires_at", r.ExpiresAt.Format(time.RFC3339), "only one of expires_in and expires_at")
	}
	if r.HoldUntil != nil {
		if r.ExpiresIn != 0 || !r.ExpiresAt.IsZero() {
			return o, invalid("hold_until", "given", "only one of expires_in, expires_at and hold_until")
		}
		if err := r.HoldUntil.check(); err != nil {
			return o, err
		}
	}
	if r.Find != nil {
		if r.Partial {
			return o, invalid("partial", true, "false, as all of it is to be found at one location")
		}
		if err := cmp.Or(r.Find.Near.check(), r.Find.Filter.check()); err != nil {
			return o, err
		}
	}
	describe := func(f *fingerprint) {
		f.begin("reserve")
		_, _ = f.d.Write(r.ID[:])
		f.lines(r.Lines)
		f.number(int64(r.ExpiresIn))
		f.time(r.ExpiresAt)
		f.bool(r.Partial)
		f.text(r.Channel)
		f.text(r.Reference)
		if r.HoldUntil != nil {
			f.text("hold until")
			f.number(int64(r.HoldUntil.OpenDay))
			f.number(int64(r.HoldUntil.Before))
		}
		if r.Find != nil {
			r.Find.describe(f)
		}
		describeResources(f, r.resources)
	}
	if o, err = keyed(r.Key, describe); err != nil {
		return o, err
	}
	if r.ID != (ID{}) {
		o.answer.ByID, o.id = true, r.ID
		if r.Key == "" {
			var f fingerprint
			describe(&f)
			o.answer.Fingerprint = f.sum()
		}
	}
	return o, nil
}

const positiveQuantityWant = "1 to 2147483647"

func positiveQuantity(q int64) bool { return q >= 1 && q <= LineQuantityMax }

// lockToReserve locks the lines' shards and reads their cells, first freeing what has expired where a line is short. It
// returns the engine time of the reading. So the next caller after a deadline gets the units, swept or not.
func (e *Engine) lockToReserve(c *command) (now int64, err error) {
	for {
		e.stock.Lock(&c.locks)
		now = e.clock.Now()
		c.ids = c.ids[:0]
		for e.viewLines(c, now) && e.freeDue(c, now) {
		}
		if len(c.ids) == 0 {
			return now, nil
		}
		// Some of what has expired reaches into shards that are not locked: end it on its own, and look again.
		ids := slices.Clone(c.ids)
		e.stock.Unlock(&c.locks)
		for _, id := range ids {
			if err := e.expire(id); err != nil {
				return 0, err
			}
		}
	}
}

// freeDue ends what is due in the shards of those lines that can't be granted, as far as the locks held allow, and puts
// the rest into c.ids. It reports whether anything was ended.
func (e *Engine) freeDue(c *command, now int64) (freed bool) {
	c.ids = c.ids[:0]
	for i := range c.lines {
		l := &c.lines[i]
		if s := stock.ShardOf(l.sku); l.short() && e.reservations.NextDue(s) <= now && e.expireShard(c, s, now) > 0 {
			freed = true
		}
	}
	return freed
}

// viewLines reads the cells of the lines. It reports whether there is a line that can't be granted while something in its
// shard may be due.
func (e *Engine) viewLines(c *command, now int64) (due bool) {
	for i := range c.lines {
		l := &c.lines[i]
		if l.resource != nil {
			e.viewResourceLocked(l, timeOf(now))
		}
		if l.sku == 0 || l.location == 0 {
			continue
		}
		if l.resource == nil {
			l.view, l.stocked = e.stock.View(l.sku, l.location)
		}
		e.reservations.PrefetchLine(e.stock.Head(l.sku, l.location))
		due = due || l.short() && e.reservations.NextDue(stock.ShardOf(l.sku)) <= now
	}
	return due
}

// short reports whether there is too little for the line, while some is held that may be due.
func (l *line) short() bool { return l.view.Held > 0 && l.view.Available() < l.quantity }

// decideReserve decides each line from what was read and fills in c.rec: cells and lines to be held, and refusals. It
// answers false where nothing is to be held.
func (e *Engine) decideReserve(c *command, r *ReserveRequest) bool {
	any, lacking := false, false
	for i := range c.lines {
		l := &c.lines[i]
		if l.reason == 0 {
			l.reason = l.against()
		}
		l.granted = 0
		switch {
		case l.reason == 0:
			l.granted = l.quantity
		case r.Partial && l.stocked && l.resource == nil:
			l.granted = min(l.view.Available(), l.quantity)
		}
		if l.reason != 0 {
			var location string
			if l.resource == nil {
				location = strings.Clone(r.Lines[l.request].Location)
			} else {
				location = strings.Clone(cmp.Or(e.locations.Name(l.location), l.resource.location, r.Lines[0].Location))
				lacking = true
			}
			refusal := l.refusal(r, location)
			refusal.Granted = l.granted
			c.rec.Refusals = append(c.rec.Refusals, refusal)
		}
		any = any || l.granted > 0 && l.resource == nil
	}
	if !any || lacking || !r.Partial && len(c.rec.Refusals) > 0 {
		for i := range c.rec.Refusals {
			c.rec.Refusals[i].Granted = 0
		}
		return false
	}
	for i := range c.lines {
		l := &c.lines[i]
		if l.granted == 0 {
			continue
		}
		c.addCell(l.sku, l.location, &l.view, l.view.OnHand, l.view.Held+l.granted, 0)
		c.rec.Reservation.Lines = append(c.rec.Reservation.Lines,
			reservation.Line{SKU: l.sku, Location: l.location, Quantity: uint32(l.granted)})
	}
	return true
}

// refuse answers with the refusals in c.rec, putting them on record where the request has a key.
func (e *Engine) refuse(c *command, o *once) (basis uint64, err error) {
	refused := &RefusedError{Lines: refusalsFrom(c.rec.Refusals)}
	for i := range refused.Lines {
		e.counts.refused[refused.Lines[i].Reason].Add(1)
	}
	for i := range c.lines {
		basis = max(basis, c.lines[i].view.Sequence)
		if c.lines[i].reason == UnknownLocation {
			basis = max(basis, e.lastDeletion.Load())
		}
	}
	if o.answer.Key != [16]byte{} {
		c.rec.Kind = record.ReservationRefused
		c.rec.Answer.ByID = false
		refused.Sequence = e.write(c)
		basis = refused.Sequence
	}
	return basis, refused
}

// checkIDFree returns a StateError, and the sequence it rests on, where an id is that of a reservation, live or ended. As
// the id is claimed, one that is free stays so.
func (e *Engine) checkIDFree(c *command, id ID) (last uint64, err error) {
	err = e.readReservation(c, id)
	state, last := State(c.rec.Reservation.State), c.rec.Reservation.Sequence
	c.rec.Reset()
	c.locks = stock.LockSet{}
	if unknown := (*UnknownError)(nil); errors.As(err, &unknown) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return last, &StateError{id, state, last}
}

// deadline returns the deadline that a request asks for, in engine time.
func (e *Engine) deadline(r *ReserveRequest, lines []line, now int64) (int64, error) {
	if r.order != nil {
		return now, nil // that is the order's to say
	}
	if !r.ExpiresAt.IsZero() || r.ExpiresIn != 0 {
		return deadlineAt(r.ExpiresIn, r.ExpiresAt, now)
	}
	if r.HoldUntil != nil {
		return e.closingDeadline(r.HoldUntil, lines, now)
	}
	hold := time.Duration(0)
	shortest := func(d time.Duration) {
		if d != 0 && (hold == 0 || d < hold) {
			hold = d
		}
	}
	for i := range lines {
		if s := e.settingsOf(lines[i].sku); s != nil {
			shortest(time.Duration(s.DefaultHold))
		}
		if p := e.locationOf(lines[i].location); p != nil {
			shortest(p.defaultHold)
		}
	}
	return now + int64(cmp.Or(hold, e.options.DefaultHold)), nil
}

// deadlineAt returns the deadline now+in, or at, whichever is given.
func deadlineAt(in time.Duration, at time.Time, now int64) (int64, error) {
	if at.IsZero() {
		if in < HoldMin || in > HoldMax {
			return 0, invalid("expires_in", in, fmt.Sprintf("%v to %v", HoldMin, HoldMax))
		}
		return now + int64(in), nil
	}
	deadline := at.UnixNano()
	if left := time.Duration(deadline - now); at.Year() > 2200 || at.Year() < 1970 || left < HoldMin || left > HoldMax {
		return 0, invalid("expires_at", at.UTC().Format(time.RFC3339Nano),
			fmt.Sprintf("%v to %v from now, which is %s", HoldMin, HoldMax, timeOf(now).Format(time.RFC3339Nano)))
	}
	return deadline, nil
}
