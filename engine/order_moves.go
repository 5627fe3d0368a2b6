package engine

import (
	"fmt"
	"slices"
	"strings"
)

// # The states of an order, and what leads from one to another
//
//	          accept        pick                 ready               collect
//	placed ──────────► accepted ──────► picking ──────────► ready ──────────► collected ──► returned
//	   │                    │              │ ▲ short          │                  return
//	   │                    │              ▼ │ pick, ready    │
//	   │                    │            short                │
//	   │           dispatch ▼                                 │
//	   │                 in_transit ── receive ► accepted     │
//	   │                        └───── deliver ► collected    │
//	   └── from each of these: cancel ► cancelled, and, once its deadline has passed, expired ── pay ► placed, if it is all there
//
// A small shop need not take every step: an order can be picked or ready without having been accepted. What an order is allowed
// is in the table of moves below and nowhere else.

// OrderMove is what happens to an order. The numbers are stored.
type OrderMove uint8

// The moves. Those that a caller can ask for are MoveOrder's; the others happen.
const (
	MovePlace OrderMove = iota + 1
	MoveAccept
	MovePick
	MoveReady
	MoveCollect
	MoveShort
	MoveDispatch
	MoveReceive
	MoveDeliver
	MoveCancel
	MoveExpire
	MovePay
	MoveRefund
	MoveExtend
	MoveRemind
	MoveArrive
	MoveWrongCode
	MoveReturn
	MoveErase
	MoveReschedule
	MoveRefundDue // a payment came too late: the units are gone
	MoveReroute   // what was missing is held elsewhere
	orderMoveEnd
)

// moveRule says what a move is called, from which states it is allowed, and how it is decided.
type moveRule struct {
	name  string // in requests
	event string // what has happened, in the feed: order. and this
	from  []OrderState
	// decide turns the order in w into what it is to be, and adds to the record what that does to stock.
	decide func(w *orderWork) error
	// automatic moves can't be asked for.
	automatic bool
}

var (
	orderPreparing = []OrderState{Placed, Accepted, Picking, OrderShort}
	orderLive      = []OrderState{Placed, Accepted, Picking, OrderShort, InTransit, Ready}
	orderEnded     = []OrderState{Collected, Cancelled, OrderExpired, Returned}
)

// Live reports whether an order in this state has not ended.
func (s OrderState) Live() bool { return slices.Contains(orderLive, s) }

var orderMoves [orderMoveEnd]moveRule

func init() { // not a literal, as deciding leads back to the table
	orderMoves = [orderMoveEnd]moveRule{
		MovePlace:      {name: "place", event: "placed", automatic: true},
		MoveAccept:     {name: "accept", event: "accepted", from: []OrderState{Placed}, decide: (*orderWork).accept},
		MovePick:       {name: "pick", event: "picking", from: []OrderState{Placed, Accepted, OrderShort}, decide: (*orderWork).pick},
		MoveReady:      {name: "ready", event: "ready", from: orderPreparing, decide: (*orderWork).ready},
		MoveCollect:    {name: "collect", event: "collected", from: []OrderState{Ready}, decide: (*orderWork).collect},
		MoveShort:      {name: "short", event: "short", from: []OrderState{Accepted, Picking, OrderShort}, decide: (*orderWork).short},
		MoveDispatch:   {name: "dispatch", event: "dispatched", from: []OrderState{Placed, Accepted, Picking, OrderShort, InTransit}, decide: (*orderWork).dispatch},
		MoveReceive:    {name: "receive", event: "received", from: []OrderState{InTransit}, decide: (*orderWork).receive},
		MoveDeliver:    {name: "deliver", event: "delivered", from: []OrderState{InTransit}, decide: (*orderWork).deliver},
		MoveCancel:     {name: "cancel", event: "cancelled", from: orderLive, decide: (*orderWork).cancel},
		MoveExpire:     {name: "expire", event: "expired", from: orderLive, automatic: true},
		MovePay:        {name: "pay", event: "paid", from: append(slices.Clone(orderLive), OrderExpired, Cancelled), decide: (*orderWork).pay},
		MoveRefund:     {name: "refund", event: "refunded", from: append(slices.Clone(orderLive), orderEnded...), decide: (*orderWork).refund},
		MoveExtend:     {name: "extend", event: "extended", from: orderLive, decide: (*orderWork).extend},
		MoveRemind:     {name: "remind", event: "reminder", from: []OrderState{Ready}, decide: (*orderWork).remind, automatic: true},
		MoveArrive:     {name: "arrive", event: "arrived", from: []OrderState{Ready}, decide: (*orderWork).arrive},
		MoveWrongCode:  {name: "wrong_code", event: "wrong_code", automatic: true},
		MoveReturn:     {name: "return", event: "returned", from: []OrderState{Collected, Returned, InTransit, OrderExpired}, decide: (*orderWork).takeBack},
		MoveErase:      {name: "erase", event: "erased", from: orderEnded, decide: (*orderWork).erase},
		MoveReschedule: {name: "reschedule", event: "rescheduled", from: append(slices.Clone(orderPreparing), Ready, InTransit), decide: (*orderWork).reschedule},
		MoveRefundDue:  {name: "refund_due", event: "refund_due", automatic: true},
		MoveReroute:    {name: "reroute", event: "rerouted", automatic: true},
	}
}

// String returns the move as requests name it.
func (m OrderMove) String() string {
	if m == 0 || m >= orderMoveEnd {
		return "unknown"
	}
	return orderMoves[m].name
}

// Event returns what a move is as a change: order. and what has happened.
func (m OrderMove) Event() ChangeKind {
	if m == 0 || m >= orderMoveEnd {
		return "order.unknown"
	}
	return ChangeKind("order." + orderMoves[m].event)
}

// OrderKinds lists what orders are as changes: a kind for each move.
func OrderKinds() []ChangeKind {
	kinds := make([]ChangeKind, 0, orderMoveEnd)
	for m := MovePlace; m < orderMoveEnd; m++ {
		kinds = append(kinds, m.Event())
	}
	return kinds
}

// From lists the states from which a move is allowed.
func (m OrderMove) From() []OrderState { return slices.Clone(orderMoves[m].from) }

// Automatic reports whether a move happens by itself or as part of another, and can't be asked for.
func (m OrderMove) Automatic() bool { return orderMoves[m].automatic }

// OrderMoves lists every move.
func OrderMoves() []OrderMove { return all(orderMoveEnd) }

// ParseOrderMove reads the name of a move that can be asked for.
func ParseOrderMove(text string) (OrderMove, error) {
	var names []string
	for m := MovePlace; m < orderMoveEnd; m++ {
		if orderMoves[m].automatic {
			continue
		}
		if orderMoves[m].name == text {
			return m, nil
		}
		names = append(names, orderMoves[m].name)
	}
	return 0, invalid("move", text, listOf(names))
}

// OrderStateError says that an order is in a state that does not allow a move.
type OrderStateError struct {
	ID    ID
	State OrderState
	Move  OrderMove
	// Why, where it is not the state alone.
	Why      string
	Sequence uint64 // of the order's last change
}

func (e *OrderStateError) Error() string {
	if e.Why != "" {
		return fmt.Sprintf("order %s is %s and can't be moved by %q: %s", FormatID(e.ID), e.State, e.Move, e.Why)
	}
	var from []string
	for _, s := range orderMoves[e.Move].from {
		from = append(from, s.String())
	}
	return fmt.Sprintf("order %s is %s; %q is for orders that are %s", FormatID(e.ID), e.State, e.Move, strings.Join(from, ", "))
}

// OrderedError says that a reservation belongs to an order, by whose moves alone it can be changed.
type OrderedError struct{ Reservation, Order ID }

func (e *OrderedError) Error() string {
	return fmt.Sprintf("reservation %s is that of order %s", FormatID(e.Reservation), FormatID(e.Order))
}
