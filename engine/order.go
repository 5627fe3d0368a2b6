package engine

import (
	"slices"
	"time"

	"onhand/engine/internal/record"
)

// Order is what a customer has asked for: a record that points at one reservation and moves through states, each move one change
// together with what it does to stock. See order_moves.go for the states and what leads from one to another.
type Order struct {
	ID          ID
	Reservation ID // that holds its units, or held them last
	State       OrderState
	Move        OrderMove // that led here

	Location   string // where it is collected; with ShipHome, where it is sent from
	Channel    OrderChannel
	Fulfilment OrderFulfilment
	Handover   Handover
	Payment    PaymentState
	PaidOnline bool // it is paid, or to be paid, before it is collected
	OnShort    OnShort
	IDRequired bool
	Erased     bool

	Lines []OrderLine

	Placed   time.Time
	Deadline time.Time // until when its units are held; zero where nothing is held any more
	RemindAt time.Time // when its customer will be reminded of the deadline; zero = not, or it was done
	Ended    time.Time // zero = it is live

	Slot, SlotEnd time.Time // the pickup slot, if any
	Compartment   string    // the size of the locker compartment, if any

	Customer, Collector Person
	Owner               string // who placed it: the id of an API key
	Reference, Notes    string
	PaymentReference    string
	Extensions          int
	// Transfers are under way with units of it.
	Transfers    []ID
	Arrived      time.Time // when the customer said to be there
	Bay, Vehicle string

	// Code is what whoever collects has to say. It is for the customer's eyes.
	Code       string
	WrongCodes int // since the last right one
	// Token is the secret part of the address of the order's tracking page.
	Token Token

	History []OrderStep
	// Sequence is that of the order's last change.
	Sequence uint64
}

// Live reports whether the order has not ended.
func (o *Order) Live() bool { return o.Ended.IsZero() }

// Person is a customer, or who collects for one, in the shop's own words; each at most PersonTextMax bytes.
type Person struct{ Reference, Name, Phone, Email string }

// OrderLine is a line of an order: Quantity = Open + Collected + Missing + Cancelled.
type OrderLine struct {
	SKU      string
	From     string // where its units were held when the order was placed
	Quantity int64
	// Open units are still to be handed over.
	Open int64
	// Collected units are the customer's; of those, Returned came back to be sold again and Damaged came back otherwise.
	Collected, Returned, Damaged int64
	// Missing units were not found.
	Missing   int64
	Cancelled int64
}

// OrderStep is a step in an order's history.
type OrderStep struct {
	Time     time.Time
	Sequence uint64
	Move     OrderMove
	State    OrderState // after it
	By       string     // who, in the words of whoever made the request
	Reason   string
}

// Limits of an order.
const (
	PersonTextMax = 200 // bytes
	NotesMax      = 1000
	StepReasonMax = 200
	ArrivalMax    = 64 // bytes of bay or vehicle
	// OrderStepsMax is how long a history grows: the last orderStepsKept steps are for what ends an order.
	OrderStepsMax  = 256
	orderStepsKept = 16
)

// OrderState is where an order is in its life. The numbers are stored.
type OrderState uint8

// The states. Placed to Short are live; an order that is Collected, Cancelled, OrderExpired or Returned has ended, though it may
// still be returned or paid.
const (
	Placed OrderState = iota + 1
	Accepted
	Picking
	InTransit
	Ready
	OrderShort
	Collected
	Cancelled
	OrderExpired
	Returned
	orderStateEnd
)

var orderStateNames = [...]string{
	Placed: "placed", Accepted: "accepted", Picking: "picking", InTransit: "in_transit", Ready: "ready", OrderShort: "short",
	Collected: "collected", Cancelled: "cancelled", OrderExpired: "expired", Returned: "returned",
}

// String returns the state as the HTTP interface writes it.
func (s OrderState) String() string { return nameOf(orderStateNames[:], s) }

// OrderStates lists every state.
func OrderStates() []OrderState { return all(orderStateEnd) }

// ParseOrderState reads what String writes.
func ParseOrderState(text string) (OrderState, error) {
	return parseName[OrderState]("state", orderStateNames[:], text)
}

// OrderChannel is how an order came in. The numbers are stored.
type OrderChannel uint8

// The channels. Phone is call & collect.
const (
	Web OrderChannel = iota + 1
	Phone
	InStore
	Marketplace
	Social
)

var orderChannelNames = [...]string{Web: "web", Phone: "phone", InStore: "store", Marketplace: "marketplace", Social: "social"}

// String returns the channel as the HTTP interface writes it.
func (c OrderChannel) String() string { return nameOf(orderChannelNames[:], c) }

// ParseOrderChannel reads what String writes.
func ParseOrderChannel(text string) (OrderChannel, error) {
	return parseName[OrderChannel]("channel", orderChannelNames[:], text)
}

// OrderFulfilment is how an order gets to its customer. The numbers are stored.
type OrderFulfilment uint8

// The ways.
const (
	Pickup      OrderFulfilment = iota + 1 // collected where it is held
	PickupAfter                            // ship_to_store: held elsewhere, sent to where it is collected
	ShipHome                               // sent to the customer
)

var orderFulfilmentNames = [...]string{Pickup: "pickup", PickupAfter: "ship_to_store", ShipHome: "ship_home"}

// String returns the way as the HTTP interface writes it.
func (f OrderFulfilment) String() string { return nameOf(orderFulfilmentNames[:], f) }

// ParseOrderFulfilment reads what String writes.
func ParseOrderFulfilment(text string) (OrderFulfilment, error) {
	return parseName[OrderFulfilment]("fulfilment", orderFulfilmentNames[:], text)
}

// Handover is where in a location an order is handed over. The numbers are stored.
type Handover uint8

// The places.
const (
	AtCounter Handover = iota + 1
	AtCurbside
	AtLocker
)

var handoverNames = [...]string{AtCounter: "counter", AtCurbside: "curbside", AtLocker: "locker"}

// String returns the place as the HTTP interface writes it.
func (h Handover) String() string { return nameOf(handoverNames[:], h) }

// ParseHandover reads what String writes.
func ParseHandover(text string) (Handover, error) {
	return parseName[Handover]("handover", handoverNames[:], text)
}

// PaymentState is how far the payment of an order has come. The numbers are stored.
type PaymentState uint8

// The states of a payment. An order that ends before it was paid has nothing due; one that ends after it has a refund due.
const (
	PaymentPending    PaymentState = iota + 1 // online, not confirmed yet
	PaymentPaid                               //
	PaymentDueInStore                         // when it is collected
	PaymentRefundDue
	PaymentRefunded
	PaymentNone // nothing was paid and nothing is due
)

var paymentNames = [...]string{
	PaymentPending: "pending", PaymentPaid: "paid", PaymentDueInStore: "due_in_store", PaymentRefundDue: "refund_due",
	PaymentRefunded: "refunded", PaymentNone: "none",
}

// String returns the state as the HTTP interface writes it.
func (p PaymentState) String() string { return nameOf(paymentNames[:], p) }

// OnShort is what is to become of units that are not found when an order is picked. The numbers are stored.
type OnShort uint8

// The ways on.
const (
	// OnShortAsk leaves the order short: it says what is missing, and somebody decides.
	OnShortAsk OnShort = iota + 1
	// OnShortTransfer holds the missing units where they are and has them sent.
	OnShortTransfer
	// OnShortMove has the customer collect all of it at the nearest location that has all of it.
	OnShortMove
)

var onShortNames = [...]string{OnShortAsk: "ask", OnShortTransfer: "transfer", OnShortMove: "move"}

// String returns the way as the HTTP interface writes it.
func (s OnShort) String() string { return nameOf(onShortNames[:], s) }

// ParseOnShort reads what String writes.
func ParseOnShort(text string) (OnShort, error) {
	return parseName[OnShort]("on_short", onShortNames[:], text)
}

// orderFrom is a record's order as the interface has it. What was erased since is left out.
func (e *Engine) orderFrom(r *record.Order) Order {
	o := Order{
		ID: r.ID, Reservation: r.Reservation, State: OrderState(r.State), Move: OrderMove(r.Move),
		Location: e.locations.Name(r.Location), Channel: OrderChannel(r.Channel), Fulfilment: OrderFulfilment(r.Fulfilment),
		Handover: Handover(r.Handover), Payment: PaymentState(r.Payment), PaidOnline: r.Flags&record.PaidOnline != 0,
		OnShort: OnShort(r.OnShort), IDRequired: r.Flags&record.IDRequired != 0, Erased: r.Flags&record.Erased != 0,
		Placed: timeOf(r.Placed), Deadline: instant(r.Deadline), RemindAt: instant(r.RemindAt), Ended: instant(r.Ended),
		Slot: instant(r.Slot), SlotEnd: instant(r.SlotEnd), Compartment: r.Compartment,
		Customer: Person(r.Customer), Collector: Person(r.Collector), Owner: r.Owner, Reference: r.Reference, Notes: r.Notes,
		PaymentReference: r.PaymentNote, Extensions: int(r.Extensions), Arrived: instant(r.Arrived), Bay: r.Bay, Vehicle: r.Vehicle,
		Transfers: slices.Clone(r.Transfers), Code: r.Code, WrongCodes: int(r.WrongCodes), Token: r.Token, Sequence: r.Sequence,
		Lines: make([]OrderLine, len(r.Lines)), History: make([]OrderStep, len(r.History)),
	}
	for i := range r.Lines {
		l := &r.Lines[i]
		o.Lines[i] = OrderLine{
			SKU: e.skus.Name(l.SKU), From: e.locations.Name(l.From), Quantity: int64(l.Quantity), Open: int64(l.Open()),
			Collected: int64(l.Collected), Returned: int64(l.Returned), Damaged: int64(l.Damaged),
			Missing: int64(l.Missing), Cancelled: int64(l.Cancelled),
		}
	}
	if o.Ended != (time.Time{}) {
		for i := range o.Lines {
			o.Lines[i].Open = 0
		}
	}
	for i := range r.History {
		s := &r.History[i]
		o.History[i] = OrderStep{timeOf(s.Time), s.Sequence, OrderMove(s.Move), OrderState(s.State), s.By, s.Reason}
	}
	// What was erased since, or forgotten with the order, is told nobody.
	if now := e.order(r.ID); now == nil || now.erased {
		o.erase()
	}
	return o
}

// erase takes out what is personal.
func (o *Order) erase() {
	o.Erased = true
	o.Customer, o.Collector = Person{}, Person{}
	o.Notes, o.Bay, o.Vehicle, o.Code = "", "", "", ""
}

// instant is timeOf for times that may be missing.
func instant(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return timeOf(ns)
}

func nameOf[T ~uint8](names []string, v T) string {
	if v == 0 || int(v) >= len(names) {
		return "unknown"
	}
	return names[v]
}

func parseName[T ~uint8](field string, names []string, text string) (T, error) {
	if i := slices.Index(names, text); i > 0 {
		return T(i), nil
	}
	return 0, invalid(field, text, listOf(names[1:]))
}

// listOf writes names as a, b or c.
func listOf(names []string) string {
	out := names[0]
	for i, n := range names[1:] {
		if i == len(names)-2 {
			out += " or " + n
		} else {
			out += ", " + n
		}
	}
	return out
}

func all[T ~uint8](end T) []T {
	out := make([]T, 0, end-1)
	for v := T(1); v < end; v++ {
		out = append(out, v)
	}
	return out
}
