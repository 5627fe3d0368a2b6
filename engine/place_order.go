package engine

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"time"

	"onhand/engine/internal/record"
	"onhand/engine/internal/stock"
)

// PlaceOrderRequest places an order on units that are held already, or holds them and places the order in one change. What it
// points at is read during the call only.
type PlaceOrderRequest struct {
	// Reservation is a live one that becomes the order's. Where it is zero, Lines are held, with Find at a location that is found.
	Reservation ID
	Lines       []Line
	Find        *FindLocation

	// Location is where the order is collected. It may be left out where its lines are all at one location.
	Location   string
	Channel    OrderChannel    // default Web
	Fulfilment OrderFulfilment // default Pickup
	Handover   Handover        // default AtCounter, or AtLocker at a locker
	Payment    PaymentTerms    // default PayInStore
	OnShort    OnShort         // default OnShortAsk
	IDRequired bool            // besides where the location requires it

	// Slot is the beginning of the pickup slot in which it is collected, and Compartment the size of the locker compartment that it is
	// put into, at where it is collected. They are held with the goods. A refusal tells the next that are free.
	Slot        time.Time
	Compartment string

	Customer, Collector Person
	Reference           string // at most ReferenceMax bytes
	Notes               string // at most NotesMax bytes
	PaymentReference    string // at most ReferenceMax bytes

	By    string // who, for the history; at most ByMax bytes
	Owner string // the id of the API key that asks, at most OwnerMax bytes
	Key   string // idempotency key, if any
}

// PaymentTerms is how an order is paid.
type PaymentTerms uint8

// The terms.
const (
	OnlinePaid    PaymentTerms = iota + 1
	OnlinePending              // the order waits for its payment before anybody picks it
	PayInStore                 // when it is collected
)

var paymentTermsNames = [...]string{OnlinePaid: "online_paid", OnlinePending: "online_pending", PayInStore: "in_store"}

// String returns the terms as the HTTP interface writes them.
func (t PaymentTerms) String() string { return nameOf(paymentTermsNames[:], t) }

// ParsePaymentTerms reads what String writes.
func ParsePaymentTerms(text string) (PaymentTerms, error) {
	return parseName[PaymentTerms]("payment", paymentTermsNames[:], text)
}

// PlaceOrder places an order. It returns a LimitError where as many are live as Options allow, a RefusedError where a line
// can't be held, and a StateError or UnknownError where the reservation is not a live one; nothing is held or placed then.
func (e *Engine) PlaceOrder(r *PlaceOrderRequest) (Order, error) {
	hold, o, err := r.check()
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
		out, err := e.orderAnswer(&c.rec, sequence)
		return out, e.offer(err, r.Slot, r.Compartment)
	}
	defer o.end(e)
	places, err := e.claimOrder(r.Customer.Reference, r.Owner)
	if err != nil {
		if failed := e.settle(e.log.Appended()); failed != nil { // it rests on all that is live
			return Order{}, failed
		}
		return Order{}, err
	}
	defer e.giveOrder(&places)
	if r.Reservation != (ID{}) {
		sequence, err = e.placeOnHold(c, r, hold.resources, &o)
	} else {
		sequence, err = e.reserveOnce(c, &hold, newID(e.clock.Now()), &o)
	}
	var out Order
	if err == nil {
		out, err = e.orderAnswer(&c.rec, sequence)
	}
	if failed := e.settle(sequence); failed != nil {
		return Order{}, failed
	}
	return out, e.offer(err, r.Slot, r.Compartment)
}

func (r *PlaceOrderRequest) check() (hold ReserveRequest, o once, err error) {
	setDefault(&r.Channel, Web)
	setDefault(&r.Fulfilment, Pickup)
	setDefault(&r.Payment, PayInStore)
	setDefault(&r.OnShort, OnShortAsk)
	if r.Find != nil && r.Location != "" {
		return hold, o, invalid("location", r.Location, "nothing, as the location is to be found")
	}
	if r.Fulfilment == ShipHome && (!r.Slot.IsZero() || r.Compartment != "") {
		return hold, o, invalid("fulfilment", r.Fulfilment.String(), "one by which it is collected, with a slot or compartment")
	}
	hold = ReserveRequest{resources: r.resources(), Lines: r.Lines, Find: r.Find, Channel: r.Channel.String(), Reference: r.Customer.Reference, Owner: r.Owner, order: r}
	if r.Reservation == (ID{}) {
		if _, err = hold.check(); err != nil {
			return hold, o, err
		}
	} else if len(r.Lines) > 0 || r.Find != nil {
		return hold, o, invalid("reservation", FormatID(r.Reservation), "either a reservation or lines")
	} else if err = checkResources(hold.resources, false); err != nil {
		return hold, o, err
	}
	if r.Location != "" {
		if err = cmp.Or(checkName("location", r.Location), checkNotReserved("location", r.Location)); err != nil {
			return hold, o, err
		}
	}
	if r.Fulfilment == ShipHome && r.Payment == PayInStore {
		return hold, o, invalid("payment", r.Payment.String(), "online_paid or online_pending, as the order is sent to its customer")
	}
	if r.Fulfilment == PickupAfter && r.Location == "" {
		return hold, o, invalid("location", "", "the location where the order is to be collected")
	}
	texts := r.texts()
	for _, t := range texts {
		if err = checkText(t.field, t.text, t.most); err != nil {
			return hold, o, err
		}
	}
	o, err = keyed(r.Key, func(f *fingerprint) {
		f.begin("order.place")
		_, _ = f.d.Write(r.Reservation[:])
		f.lines(r.Lines)
		if r.Find != nil {
			r.Find.describe(f)
		}
		f.text(r.Location)
		for _, n := range []int64{int64(r.Channel), int64(r.Fulfilment), int64(r.Handover), int64(r.Payment), int64(r.OnShort)} {
			f.number(n)
		}
		f.bool(r.IDRequired)
		describeResources(f, hold.resources)
		for i := range texts {
			f.text(texts[i].text)
		}
	})
	return hold, o, err
}

// boundedText is a text of a request, and the most bytes it may have.
type boundedText struct {
	field, text string
	most        int
}

// texts are those of the request, in the order in which they are part of its fingerprint.
func (r *PlaceOrderRequest) texts() [13]boundedText {
	customer, collector := &r.Customer, &r.Collector
	return [...]boundedText{
		{"reference", r.Reference, ReferenceMax},
		{"notes", r.Notes, NotesMax},
		{"payment_reference", r.PaymentReference, ReferenceMax},
		{"by", r.By, ByMax},
		{"owner", r.Owner, OwnerMax},
		{"customer.name", customer.Name, PersonTextMax},
		{"customer.phone", customer.Phone, PersonTextMax},
		{"customer.email", customer.Email, PersonTextMax},
		{"customer.reference", customer.Reference, ReferenceMax},
		{"collector.name", collector.Name, PersonTextMax},
		{"collector.phone", collector.Phone, PersonTextMax},
		{"collector.email", collector.Email, PersonTextMax},
		{"collector.reference", collector.Reference, ReferenceMax},
	}
}

// placeOnHold places an order on a live reservation, to which it adds what the order holds besides goods.
func (e *Engine) placeOnHold(c *command, r *PlaceOrderRequest, resources []resource, o *once) (basis uint64, err error) {
	if err := e.admit(); err != nil {
		return 0, err
	}
	c.lines, c.locks = c.lines[:0], stock.LockSet{}
	if len(resources) > 0 {
		at, err := e.placeOfHold(c, r)
		if err == nil {
			err = c.resolveResources(e, resources, at, false)
		}
		if err != nil {
			return 0, err
		}
	}
	ref, now, err := e.lockToAdd(c, r.Reservation)
	if err != nil {
		return 0, err
	}
	if ref == 0 {
		return 0, e.endedError(r.Reservation, &c.rec.Reservation)
	}
	defer e.stock.Unlock(&c.locks)
	re := &c.rec.Reservation
	if re.Deadline <= now {
		e.expireLocked(ref, now)
		return 0, &StateError{re.ID, Expired, e.log.Appended()}
	}
	if owner := e.orders.holding(re.ID); owner != nil {
		return re.Sequence, &OrderedError{re.ID, owner.id}
	}
	c.rec.Time, c.rec.Answer = now, o.answer
	if err := e.draftOrder(c, r, e.orders.idFor(re.ID, now), now); err != nil {
		return re.Sequence, err
	}
	if err := e.addResources(c); err != nil {
		return re.Sequence, err
	}
	c.rec.Kind, c.rec.Order, re.Deadline = record.OrderMoved, &c.order, c.order.Deadline
	return e.write(c), nil
}

// placeOfHold returns where an order on a reservation is to be collected, by name.
func (e *Engine) placeOfHold(c *command, r *PlaceOrderRequest) (string, error) {
	if r.Location != "" {
		return r.Location, nil
	}
	err := e.readReservation(c, r.Reservation)
	name := ""
	if err == nil && len(c.rec.Reservation.Lines) > 0 {
		name = e.locations.Name(c.rec.Reservation.Lines[0].Location)
	}
	c.rec.Reset()
	c.locks = stock.LockSet{}
	return name, err
}

// draftOrder makes c.order an order, with an id, of the reservation in c.rec, as it will be held, with its deadline. The shards of its
// lines are locked.
func (e *Engine) draftOrder(c *command, r *PlaceOrderRequest, id ID, now int64) error {
	re, o := &c.rec.Reservation, &c.order
	var random [len(o.Token) + pickupCodeLength]byte
	_, _ = rand.Read(random[:]) // it never fails
	*o = record.Order{
		ID: id, Reservation: re.ID, Token: [len(o.Token)]byte(random[pickupCodeLength:]),
		State: uint8(Placed), Move: uint8(MovePlace), Placed: now,
		Channel: uint8(r.Channel), Fulfilment: uint8(r.Fulfilment), OnShort: uint8(r.OnShort),
		Code: pickupCode([pickupCodeLength]byte(random[:])), Owner: r.Owner, Reference: r.Reference, Notes: r.Notes,
		PaymentNote: r.PaymentReference, Customer: record.Person(r.Customer), Collector: record.Person(r.Collector),
		Lines: o.Lines[:0], History: o.History[:0],
	}
	switch r.Payment {
	case OnlinePaid:
		o.Payment = uint8(PaymentPaid)
	case OnlinePending:
		o.Payment = uint8(PaymentPending)
	default:
		o.Payment = uint8(PaymentDueInStore)
	}
	if r.Payment != PayInStore {
		o.Flags |= record.PaidOnline
	}
	for i := range re.Lines {
		l := &re.Lines[i]
		if l.Open() > 0 && e.isGoods(l) {
			o.Lines = append(o.Lines, record.OrderLine{SKU: l.SKU, From: l.Location, Quantity: l.Open()})
		}
	}
	p, err := e.placeOfOrder(r, o)
	if err != nil {
		return err
	}
	o.Location = p.ID
	r.noteResources(o, p)
	o.Handover = uint8(r.handoverAt(p))
	if r.IDRequired || p.idRequired {
		o.Flags |= record.IDRequired
	}
	if need := r.lacking(p); need.any() {
		return invalid(need.field, need.value, fmt.Sprintf("what location %q offers: it has no service %s", p.symbol, need.service))
	}
	if r.needsCompartment(p) {
		return invalid("compartment", "", fmt.Sprintf("a size of the compartments of %q, into one of which the order is put", p.symbol))
	}
	if o.Deadline, err = e.clockOf(o, p, now); err != nil {
		return err
	}
	o.History = append(o.History, record.OrderStep{Time: now, Move: uint8(MovePlace), State: uint8(Placed), By: r.By})
	return nil
}

// placeOfOrder returns where an order is collected, or sent from.
func (e *Engine) placeOfOrder(r *PlaceOrderRequest, o *record.Order) (*place, error) {
	at := o.Lines[0].From
	if r.Location != "" {
		known := false
		if at, known = e.lookupLocation(r.Location); !known {
			return nil, e.unknownLocation(r.Location)
		}
	}
	p := e.locationOf(at)
	if p == nil {
		return nil, e.unknownLocation(e.locations.Name(at))
	}
	if r.Fulfilment != PickupAfter {
		for i := range o.Lines {
			if o.Lines[i].From != at {
				return nil, invalid("location", e.locations.Name(at),
					fmt.Sprintf("that of every line, as one is at %q; with fulfilment ship_to_store it is sent", e.locations.Name(o.Lines[i].From)))
			}
		}
	}
	return p, nil
}

// handoverAt returns how the order is handed over if it is collected at a location.
func (r *PlaceOrderRequest) handoverAt(p *place) Handover {
	switch {
	case r.Handover != 0:
		return r.Handover
	case LocationKind(p.Kind) == Locker:
		return AtLocker
	}
	return AtCounter
}

// lacking returns a service that the order needs and a location does not have that says which it has, or none.
func (r *PlaceOrderRequest) lacking(p *place) neededService {
	if r.Fulfilment == ShipHome {
		return neededService{}
	}
	return p.lacking(neededServices(r.handoverAt(p), r.Channel, r.Payment))
}

// lacking returns a service of those needed that a location does not have that says which it has, or none.
func (p *place) lacking(needed [maxNeeded]neededService) neededService {
	if !p.tellsServices() {
		return neededService{}
	}
	for _, n := range needed {
		if n.any() && !p.has(n.service) {
			return n
		}
	}
	return neededService{}
}

// needsCompartment reports whether a location would put the order into one of its compartments, and the request names no size.
func (r *PlaceOrderRequest) needsCompartment(p *place) bool {
	return r.Fulfilment != ShipHome && r.Compartment == "" && len(p.compartments) > 0 && r.handoverAt(p) == AtLocker
}

type neededService struct {
	service      Service // 0 = none, as no order needs in_store
	field, value string
}

// any reports whether it is one, and not none.
func (n neededService) any() bool { return n.service != 0 }

// maxNeeded is how many services an order needs at most.
const maxNeeded = 3

// neededServices are those that an order needs where it is collected.
func neededServices(h Handover, channel OrderChannel, payment PaymentTerms) (needed [maxNeeded]neededService) {
	switch h {
	case AtCurbside:
		needed[0] = neededService{ServiceCurbside, "handover", h.String()}
	case AtLocker:
		needed[0] = neededService{ServiceLocker, "handover", h.String()}
	}
	if channel == Phone {
		needed[1] = neededService{ServiceCallAndCollect, "channel", channel.String()}
	}
	if payment == PayInStore {
		needed[2] = neededService{ServicePayInStore, "payment", payment.String()}
	} else {
		needed[2] = neededService{ServicePayOnline, "payment", payment.String()}
	}
	return needed
}

// neededOf are the services that an order needs which was placed.
func neededOf(o *record.Order) [maxNeeded]neededService {
	terms := PayInStore
	if o.Flags&record.PaidOnline != 0 {
		terms = OnlinePaid
	}
	return neededServices(Handover(o.Handover), OrderChannel(o.Channel), terms)
}

// handsOver reports whether a location that an order was not placed at can hand it over in a way. What is put into lockers goes only to
// where there are some, none of them with compartments, as of these one would have to be chosen.
func (p *place) handsOver(h Handover) bool {
	if h != AtLocker {
		return true
	}
	return len(p.compartments) == 0 && (LocationKind(p.Kind) == Locker || p.has(ServiceLocker))
}

// Pickup codes are short enough to be read out, and one of a billion; whoever tries them is slowed down (CodeError).
const (
	pickupCodeLength   = 6
	pickupCodeAlphabet = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ" // nothing that looks like something else; 32 of them, so that each byte is fair
)

// pickupCode makes a code of random bytes.
func pickupCode(random [pickupCodeLength]byte) string {
	for i := range random {
		random[i] = pickupCodeAlphabet[random[i]%byte(len(pickupCodeAlphabet))]
	}
	return string(random[:])
}

// orderAnswer turns a record that moved an order into the answer to who asked for it.
func (e *Engine) orderAnswer(r *record.Record, sequence uint64) (Order, error) {
	if r.Kind == record.ReservationRefused {
		return Order{}, &RefusedError{Lines: refusalsFrom(r.Refusals), Sequence: sequence}
	}
	o := r.Order
	completeOrder(o, sequence)
	out := e.orderFrom(o)
	if out.Move == MoveWrongCode {
		return Order{}, &CodeError{ID: out.ID, Wrong: out.WrongCodes, RetryAt: instant(o.CodeFrom), Wait: waitFor(o.CodeFrom, r.Time), Sequence: sequence}
	}
	return out, nil
}

// completeOrder fills in what a record that is being made can't know: its own sequence.
func completeOrder(o *record.Order, sequence uint64) {
	if o.First == 0 {
		o.First = sequence
	}
	o.Sequence = sequence
	if n := len(o.History); n > 0 && o.History[n-1].Sequence == 0 {
		o.History[n-1].Sequence = sequence
	}
}

// CodeError says that a pickup code was not the right one, or that none is looked at for a while because of those before it.
type CodeError struct {
	ID       ID
	Wrong    int       // in a row
	RetryAt  time.Time // no code is looked at before; zero = now is fine
	Wait     time.Duration
	Sequence uint64
}

func (e *CodeError) Error() string {
	if e.RetryAt.IsZero() {
		return fmt.Sprintf("that is not the pickup code of order %s", FormatID(e.ID))
	}
	return fmt.Sprintf("that is not the pickup code of order %s, after %d wrong ones: the next is looked at from %s on",
		FormatID(e.ID), e.Wrong, e.RetryAt.Format(time.RFC3339))
}

func waitFor(at, now int64) time.Duration { return time.Duration(max(0, at-now)) }

// lockForOrder locks what an order's move may touch: what is in c.locks, and the shards of its SKUs and of its reservation.
func (e *Engine) lockForOrder(c *command, entry *orderEntry, o *record.Order) (ref uint32, current bool) {
	for i := range o.Lines {
		c.locks.Add(stock.ShardOf(o.Lines[i].SKU))
	}
	if entry.ended == 0 {
		ref = e.reservations.Find(entry.hold, c.locks.Add)
	}
	e.stock.Lock(&c.locks)
	current = e.orders.get(entry.id) == entry && (entry.ended != 0 || e.reservations.Find(entry.hold, nil) == ref)
	return ref, current
}
