package record

import (
	"encoding/binary"

	"onhand/engine/internal/reservation"
)

// Order is an order, whole, as a change left it. What the numbers of states, moves and choices mean is the engine's to say; they
// are stored and never given another meaning.
type Order struct {
	ID          reservation.ID
	Reservation reservation.ID // that holds its units, or held them last
	Token       [16]byte       // by which its customer follows it
	State       uint8
	Move        uint8  // that led here
	First       uint64 // sequence of the change that placed it; 0 in that change's own record
	Sequence    uint64 // sequence of its last change; likewise

	Placed   int64 // engine time, ns, as all times here
	Deadline int64 // until when its units are held; 0 = nothing is held any more
	RemindAt int64 // when its customer is to be reminded of the deadline; 0 = not, or it was done
	Ended    int64 // 0 = it is live
	Arrived  int64 // when its customer said to be there; 0 = not
	CodeFrom int64 // no pickup code is looked at before
	Slot     int64 // start of the pickup slot; 0 = none
	SlotEnd  int64

	Location   uint32 // where it is collected, or sent from
	Channel    uint8
	Payment    uint8
	Fulfilment uint8
	Handover   uint8
	OnShort    uint8
	Flags      OrderFlags
	Extensions uint8
	WrongCodes uint8

	Code        string
	Compartment string
	Owner       string // who placed it: the id of an API key
	Reference   string
	Notes       string
	PaymentNote string // the payment's own reference
	Bay         string
	Vehicle     string
	Customer    Person
	Collector   Person // who may collect it besides

	Transfers []reservation.ID // that are under way with units of it
	Lines     []OrderLine
	History   []OrderStep
}

// OrderFlags say more about an order.
type OrderFlags uint8

const (
	// Erased orders have lost what was personal in them.
	Erased OrderFlags = 1 << iota
	// PaidOnline orders are paid, or to be paid, before they are collected.
	PaidOnline
	// IDRequired orders are handed over to who shows an identity document only.
	IDRequired
	orderFlagsEnd
)

// Person is a customer, or who collects for one, in the shop's own words.
type Person struct{ Reference, Name, Phone, Email string }

// OrderLine is a line of an order. What of Quantity is in none of the other numbers is still to be handed over.
type OrderLine struct {
	SKU  uint32
	From uint32 // where its units were held when the order was placed
	// Quantity = open + Collected + Missing + Cancelled; Returned + Damaged ≤ Collected.
	Quantity, Collected, Missing, Cancelled, Returned, Damaged uint32
}

// Open returns the units that are still to be handed over.
func (l *OrderLine) Open() uint32 { return l.Quantity - l.Collected - l.Missing - l.Cancelled }

// OrderStep is a step in an order's history.
type OrderStep struct {
	Time       int64
	Sequence   uint64 // 0 in the step's own record
	Move       uint8
	State      uint8 // after it
	By, Reason string
}

// Limits on what an encoded order may claim.
const (
	orderLinesMax   = linesMax
	orderHistoryMax = 1 << 12
)

const orderVersion = 1

// AppendOrder encodes an order behind dst: a version, the ids, then numbers and texts in the order in which Order has them.
func AppendOrder(dst []byte, o *Order) []byte {
	dst = append(dst, orderVersion)
	dst = append(dst, o.ID[:]...)
	dst = append(dst, o.Reservation[:]...)
	dst = append(dst, o.Token[:]...)
	dst = append(dst, o.State, o.Move)
	dst = binary.AppendUvarint(dst, o.First)
	dst = binary.AppendUvarint(dst, o.Sequence)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(o.Placed))
	for _, t := range [...]int64{o.Deadline, o.RemindAt, o.Ended, o.Arrived, o.CodeFrom, o.Slot, o.SlotEnd} {
		dst = appendAfter(dst, t, o.Placed)
	}
	dst = binary.AppendUvarint(dst, uint64(o.Location))
	dst = append(dst, o.Channel, o.Payment, o.Fulfilment, o.Handover, o.OnShort, byte(o.Flags), o.Extensions, o.WrongCodes)
	for _, s := range [...]string{o.Code, o.Compartment, o.Owner, o.Reference, o.Notes, o.PaymentNote, o.Bay, o.Vehicle} {
		dst = appendString(dst, s)
	}
	for _, p := range [...]*Person{&o.Customer, &o.Collector} {
		for _, s := range [...]string{p.Reference, p.Name, p.Phone, p.Email} {
			dst = appendString(dst, s)
		}
	}
	dst = binary.AppendUvarint(dst, uint64(len(o.Transfers)))
	for i := range o.Transfers {
		dst = append(dst, o.Transfers[i][:]...)
	}
	dst = binary.AppendUvarint(dst, uint64(len(o.Lines)))
	for i := range o.Lines {
		l := &o.Lines[i]
		for _, n := range [...]uint32{l.SKU, l.From, l.Quantity, l.Collected, l.Missing, l.Cancelled, l.Returned, l.Damaged} {
			dst = binary.AppendUvarint(dst, uint64(n))
		}
	}
	dst = binary.AppendUvarint(dst, uint64(len(o.History)))
	for i := range o.History {
		s := &o.History[i]
		dst = appendAfter(dst, s.Time, o.Placed)
		dst = binary.AppendUvarint(dst, s.Sequence)
		dst = append(dst, s.Move, s.State)
		dst = appendString(dst, s.By)
		dst = appendString(dst, s.Reason)
	}
	return dst
}

// appendAfter writes a time that may be 0, else as what it is after another, so that times near it are short.
func appendAfter(dst []byte, t, base int64) []byte {
	if t == 0 {
		return append(dst, 0)
	}
	return binary.AppendVarint(append(dst, 1), t-base)
}

func (d *Decoder) after(base int64) int64 {
	switch d.Byte() {
	case 0:
		return 0
	case 1:
		return base + d.Varint()
	}
	d.fail("unknown form of a time")
	return 0
}

// Order reads what AppendOrder wrote.
func (d *Decoder) Order(o *Order) {
	*o = Order{}
	if v := d.Byte(); v != orderVersion {
		d.fail("unknown version of an order")
		return
	}
	copy(o.ID[:], d.take(16))
	copy(o.Reservation[:], d.take(16))
	copy(o.Token[:], d.take(16))
	o.State, o.Move = d.Byte(), d.Byte()
	if o.State == 0 {
		d.fail("an order without a state")
	}
	o.First, o.Sequence = d.Uvarint(), d.Uvarint()
	o.Placed = int64(d.Uint64())
	for _, t := range [...]*int64{&o.Deadline, &o.RemindAt, &o.Ended, &o.Arrived, &o.CodeFrom, &o.Slot, &o.SlotEnd} {
		*t = d.after(o.Placed)
	}
	o.Location = d.Uint32()
	for _, b := range [...]*uint8{&o.Channel, &o.Payment, &o.Fulfilment, &o.Handover, &o.OnShort, (*uint8)(&o.Flags), &o.Extensions, &o.WrongCodes} {
		*b = d.Byte()
	}
	if o.Flags >= orderFlagsEnd {
		d.fail("unknown flags of an order")
	}
	for _, s := range [...]*string{&o.Code, &o.Compartment, &o.Owner, &o.Reference, &o.Notes, &o.PaymentNote, &o.Bay, &o.Vehicle} {
		*s = d.text()
	}
	for _, p := range [...]*Person{&o.Customer, &o.Collector} {
		for _, s := range [...]*string{&p.Reference, &p.Name, &p.Phone, &p.Email} {
			*s = d.text()
		}
	}
	for range d.count(orderLinesMax) {
		o.Transfers = append(o.Transfers, reservation.ID(d.take(16)))
	}
	for range d.count(orderLinesMax) {
		var l OrderLine
		for _, n := range [...]*uint32{&l.SKU, &l.From, &l.Quantity, &l.Collected, &l.Missing, &l.Cancelled, &l.Returned, &l.Damaged} {
			*n = d.Uint32()
		}
		o.Lines = append(o.Lines, l)
	}
	for range d.count(orderHistoryMax) {
		s := OrderStep{Time: d.after(o.Placed), Sequence: d.Uvarint(), Move: d.Byte(), State: d.Byte()}
		s.By, s.Reason = d.text(), d.text()
		o.History = append(o.History, s)
	}
}
