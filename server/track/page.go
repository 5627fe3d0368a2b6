package track

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// State is where an order stands.
type State string

// The states, in the order in which an order may go through them; the last five end or interrupt its way.
const (
	Placed    State = "placed"
	Accepted  State = "accepted"
	Picking   State = "picking"
	InTransit State = "in_transit"
	Ready     State = "ready"
	Collected State = "collected"
	Cancelled State = "cancelled"
	Expired   State = "expired"
	Short     State = "short"
	Returned  State = "returned"
)

var states = []State{Placed, Accepted, Picking, InTransit, Ready, Collected, Cancelled, Expired, Short, Returned}

// Received is a step only, that of orders which are sent to where they are collected: what was sent has arrived there. The state
// of such an order is Accepted then, as it was before it was sent, and it is made ready from there.
const Received State = "received"

var steps = append(slices.Clone(states), Received)

// Payment is how it is with the money. Empty: nothing is said of it.
type Payment string

// The states of payment.
const (
	PaymentPending Payment = "pending"
	Paid           Payment = "paid"
	DueInStore     Payment = "due_in_store"
	RefundDue      Payment = "refund_due"
	Refunded       Payment = "refunded"
)

var payments = []Payment{PaymentPending, Paid, DueInStore, RefundDue, Refunded}

// Fulfilment is how the customer gets the order.
type Fulfilment string

// The fulfilments.
const (
	Pickup      Fulfilment = "pickup"
	ShipToStore Fulfilment = "ship_to_store"
	ShipHome    Fulfilment = "ship_home"
)

var fulfilments = []Fulfilment{Pickup, ShipToStore, ShipHome}

// Handover is how an order is handed over that is collected. It is empty for ShipHome only.
type Handover string

// The handovers.
const (
	Counter  Handover = "counter"
	Curbside Handover = "curbside"
	Locker   Handover = "locker"
)

var handovers = []Handover{Counter, Curbside, Locker}

// Page is everything that a customer is shown of an order. What is zero is left out.
type Page struct {
	Token     string // of the page's address
	Reference string // the number by which the customer knows the order
	Now       time.Time
	Zone      string // IANA name of the location's time zone; empty or unknown = UTC

	State      State
	Payment    Payment
	Fulfilment Fulfilment
	Handover   Handover
	Steps      []Step // the states that the order came to so far, oldest first, the present one included; and Received
	Lines      []Line
	// PartCancelled: some of what was ordered was cancelled, and is no longer in Lines.
	PartCancelled bool

	Location     Location  // where it is collected, or from where it is sent
	Hours        Hours     // of the location
	IDRequired   bool      // whoever collects has to show an identity document
	PayUntil     time.Time // when it is no longer kept, while its payment is pending
	CollectUntil time.Time // when it is no longer kept
	SlotFrom     time.Time // the pickup slot
	SlotTo       time.Time

	// Code is the pickup code and QR what its QR code contains. They are shown of orders that can be collected: Ready, and
	// Short, of which the rest may be.
	Code, QR string

	CanAnnounce bool     // the customer may say that they are there
	Arrival     *Arrival // what they said
}

// Step is a state that an order came to.
type Step struct {
	State State
	At    time.Time
}

// Line is an article of an order. Of Quantity, so many were Collected, can't be found (Short), and were Returned after they
// were collected. The others are where the order is collected, but for those that have yet to come there.
type Line struct {
	SKU, Title string // the title is shown, or else the SKU
	Unit       string // of the quantity; empty = piece
	Quantity   int64
	Collected  int64
	Short      int64
	Returned   int64

	ToSend    int64 // to where the order is collected; they are elsewhere
	InTransit int64 // on their way there
}

// Location is a place as its customers know it.
type Location struct {
	Name            string
	Address         Address
	Phone           string
	Position        *Position
	CollectionPoint string // where to go there, what to bring, in the shop's own words
}

// Address is a postal address by parts.
type Address struct{ Street, Locality, Region, PostalCode, Country string }

// Position is a place on the Earth in degrees, WGS 84.
type Position struct{ Latitude, Longitude float64 }

// OpenState is whether a location is open now.
type OpenState string

// The states of opening. The zero OpenState is unknown, too.
const (
	OpenUnknown OpenState = "unknown"
	Open        OpenState = "open"
	Closed      OpenState = "closed"
)

// Hours are a location's, as they are to be shown.
type Hours struct {
	State  OpenState
	Closes time.Time // of an open location, where it is known
	Opens  time.Time // of a closed one, where it is known
	// Week has the regular hours, a row for each weekday in the order in which they are shown; empty where none are known.
	Week []Weekday
	// Special has the days that differ, of those soon to come, in order.
	Special []SpecialDay
}

// Weekday is the hours of a day of the week.
type Weekday struct {
	Day time.Weekday
	DayHours
}

// SpecialDay is the hours of a date.
type SpecialDay struct {
	Date time.Time // of which year, month and day count, as they are in its own time zone
	Name string    // such as Christmas Eve, in the shop's own words
	DayHours
}

// DayHours are the hours of a day. Without spans it is closed, unless it is unknown.
type DayHours struct {
	Spans   []Span
	Unknown bool
}

// Span is an opening, in minutes since midnight, 0 to 1440. One that closes at or before it opens ends on the next day.
type Span struct{ Opens, Closes int }

// Limits of what a customer says on arrival.
const (
	BayMax     = 20 // characters
	VehicleMax = 60 // characters
)

// Arrival is what a customer said on arrival.
type Arrival struct {
	At           time.Time
	Bay, Vehicle string
}

// NewArrival makes an arrival of what a customer typed into the form. It refuses nothing, since somebody is waiting in a car:
// control characters become spaces, outer spaces go, and what is beyond the limits, which the form enforces, is cut off.
func NewArrival(bay, vehicle string, at time.Time) Arrival {
	return Arrival{At: at, Bay: typed(bay, BayMax), Vehicle: typed(vehicle, VehicleMax)}
}

func typed(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r < ' ' || r >= 0x7f && r < 0xa0:
			return ' '
		case r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069: // they turn the text around them about
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, "\ufffd"))
	runes := []rune(strings.Join(strings.Fields(text), " "))
	return strings.TrimSpace(string(runes[:min(len(runes), most)]))
}

// check tells a handler's mistake from a page.
func (p *Page) check() error {
	if err := oneOf("state", p.State, states); err != nil {
		return err
	}
	for _, s := range p.Steps {
		if err := oneOf("step", s.State, steps); err != nil {
			return err
		}
	}
	if p.Payment != "" {
		if err := oneOf("payment", p.Payment, payments); err != nil {
			return err
		}
	}
	if err := oneOf("fulfilment", p.Fulfilment, fulfilments); err != nil {
		return err
	}
	if p.Handover != "" || p.Fulfilment != ShipHome {
		if err := oneOf("handover", p.Handover, handovers); err != nil {
			return err
		}
	}
	if p.Hours.State != "" {
		if err := oneOf("hours", p.Hours.State, []OpenState{OpenUnknown, Open, Closed}); err != nil {
			return err
		}
	}
	for _, d := range p.Hours.Week {
		if d.Day < time.Sunday || d.Day > time.Saturday {
			return fmt.Errorf("track: weekday is %d, want 0 to 6", d.Day)
		}
	}
	return nil
}

func oneOf[T ~string](field string, value T, allowed []T) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return fmt.Errorf("track: %s is %q, want one of %q", field, value, allowed)
}

// ended reports whether nothing is kept for the customer any more.
func (p *Page) ended() bool {
	switch p.State {
	case Collected, Cancelled, Expired, Returned:
		return true
	}
	return false
}

// unpaid reports whether it waits for its payment.
func (p *Page) unpaid() bool { return p.Payment == PaymentPending && !p.ended() }

// collectable reports whether there is something to collect with the code.
func (p *Page) collectable() bool { return (p.State == Ready || p.State == Short) && p.Code != "" }

// partly reports whether some of what was ordered, but not all of it, is so.
func (p *Page) partly(of func(*Line) int64) bool {
	some, all := false, true
	for i := range p.Lines {
		n := of(&p.Lines[i])
		some, all = some || n > 0, all && n >= p.Lines[i].Quantity
	}
	return some && !all
}

// whereabouts counts the units that are still to be collected by where they are: where the order is collected, on their way
// there, or still to be sent.
func (p *Page) whereabouts() (here, inTransit, toSend int64) {
	for i := range p.Lines {
		l := &p.Lines[i]
		here += l.here()
		inTransit += l.InTransit
		toSend += l.ToSend
	}
	return here, inTransit, toSend
}

// scattered reports whether what is still to be collected is not all at the same point of its way.
func (p *Page) scattered() bool {
	here, inTransit, toSend := p.whereabouts()
	return !p.ended() && max(here, inTransit, toSend) < here+inTransit+toSend
}

// here returns how many units are still to be collected, and where that is.
func (l *Line) here() int64 { return max(0, l.Quantity-l.Collected-l.Short-l.InTransit-l.ToSend) }

func (l *Line) name() string {
	if l.Title != "" {
		return l.Title
	}
	return l.SKU
}
