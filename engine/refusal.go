package engine

import (
	"onhand/engine/internal/record"
	"onhand/engine/internal/stock"
)

// Reason is why a line was refused. The numbers are stored.
type Reason uint8

// The reasons, in the order in which they are looked for.
const (
	// UnknownSKU: no such SKU was ever seen.
	UnknownSKU Reason = iota + 1
	// UnknownLocation: no such location.
	UnknownLocation
	// NotStocked: the SKU was never stocked at that location.
	NotStocked
	// Blocked: the cell or its location may promise nothing.
	Blocked
	// Short: there are too few units on hand, whoever holds them.
	Short
	// HeldByOthers: there would be enough if other reservations did not hold them.
	HeldByOthers
	// SafetyStock: there would be enough if none were kept back as safety stock.
	SafetyStock
	// NotReserved: the reservation has no such line, or not that many units of it left to commit or release.
	NotReserved
	// NoLocation: no location is where and as it was asked for.
	NoLocation
	// HoursUnknown: the location's opening hours do not tell until when to hold.
	HoursUnknown
	// NotTogether: a basket's lines can each be had somewhere, but not all at one location.
	NotTogether
	// NotPlanned: the transfer has not that many units of the line left to dispatch.
	NotPlanned
	// NotInTransit: not that many units of the transfer's line are in transit.
	NotInTransit
	// SlotFull: the pickup slot has taken all the orders that it takes.
	SlotFull
	// NoSuchSlot: the location has no pickup slot that begins then, or it is too late or too early to take it.
	NoSuchSlot
	// LockerFull: all compartments of the size are taken.
	LockerFull
	// NoSuchCompartment: the location has no compartments of the size.
	NoSuchCompartment
	reasonEnd
)

var reasonNames = [...]string{
	UnknownSKU: "unknown_sku", UnknownLocation: "unknown_location", NotStocked: "not_stocked", Blocked: "blocked",
	Short: "short", HeldByOthers: "held_by_others", SafetyStock: "safety_stock", NotReserved: "not_reserved",
	NoLocation: "no_location", HoursUnknown: "hours_unknown", NotTogether: "not_together",
	NotPlanned: "not_planned", NotInTransit: "not_in_transit",
	SlotFull: "slot_full", NoSuchSlot: "no_such_slot", LockerFull: "locker_full", NoSuchCompartment: "no_such_compartment",
}

// Reasons lists every reason.
func Reasons() []Reason {
	all := make([]Reason, 0, reasonEnd-1)
	for r := UnknownSKU; r < reasonEnd; r++ {
		all = append(all, r)
	}
	return all
}

// String returns the reason as the HTTP interface writes it.
func (r Reason) String() string {
	if r == 0 || r >= reasonEnd {
		return "unknown"
	}
	return reasonNames[r]
}

// Refusal is why a line was not granted, or not wholly.
type Refusal struct {
	SKU, Location string
	Reason        Reason
	Requested     int64
	Granted       int64 // with partial fulfilment
	// OnHand, Held and SafetyStock are the cell's at the moment of the decision, 0 where there is no cell. With NotReserved,
	// NotPlanned and NotInTransit, Held is what is left of the reservation's, or the transfer's, line.
	OnHand, Held, SafetyStock int64
}

// ShortBy returns how many of the units asked for are missing: with that many more, the line would have been granted. It
// is all of them where the units that there are may not be promised.
func (r *Refusal) ShortBy() int64 {
	switch r.Reason {
	case Short, HeldByOthers, SafetyStock, SlotFull, LockerFull:
		return r.Requested - max(0, r.OnHand-r.Held-r.SafetyStock)
	case NotReserved, NotPlanned, NotInTransit:
		return r.Requested - r.Held
	}
	return r.Requested
}

// reasonAgainst returns why a cell can't promise quantity units, or 0 where it can. stocked says whether there is a
// cell at all.
func reasonAgainst(c *stock.Cell, stocked bool, quantity int64) Reason {
	switch {
	case !stocked:
		return NotStocked
	case c.Flags&(stock.Blocked|stock.LocationBlocked) != 0:
		return Blocked
	case c.Available() >= quantity:
		return 0
	case c.OnHand-min(c.Safety, 0) < quantity: // a negative safety stock adds to what may be promised
		return Short
	case c.OnHand-c.Held-min(c.Safety, 0) >= quantity:
		return SafetyStock
	default:
		return HeldByOthers
	}
}

func refusalsFrom(stored []record.Refusal) []Refusal {
	if len(stored) == 0 {
		return nil
	}
	out := make([]Refusal, len(stored))
	for i := range stored {
		s := &stored[i]
		out[i] = Refusal{
			SKU: s.SKU, Location: s.Location, Reason: Reason(s.Reason), Requested: s.Requested, Granted: s.Granted,
			OnHand: s.OnHand, Held: s.Held, SafetyStock: s.Safety,
		}
	}
	return out
}
