package engine_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"onhand/engine"
	"onhand/engine/enginetest"
	"onhand/engine/internal/record"
	"onhand/engine/internal/reservation"
)

// forgery is an order of two lamps at lyon, where there are five, in some state, and a change of it that no rule allows.
type forgery struct {
	before []engine.OrderMove
	forge  func(r *record.Record)
	want   string
}

// TestCheckFindsWhatAnOrderMayNotDo forges moves of an order. Each rule of the audit finds one.
func TestCheckFindsWhatAnOrderMayNotDo(t *testing.T) {
	const lamp, lyon, nice = 1, 1, 2
	cell := func(onHand, held, delta int64) record.Cell {
		return record.Cell{SKU: lamp, Location: lyon, OnHand: onHand, Held: held, Delta: delta}
	}
	to := func(r *record.Record, m engine.OrderMove, s engine.OrderState) {
		r.Order.Move, r.Order.State = uint8(m), uint8(s)
		r.Order.History = append(r.Order.History, record.OrderStep{Time: r.Time, Move: uint8(m), State: uint8(s)})
	}
	without := func(r *record.Record) { r.Reservation = reservation.Reservation{} }
	for name, c := range map[string]forgery{
		"no order": {nil, func(r *record.Record) { r.Order = nil; without(r) }, "without one"},
		"an order placed twice": {nil, func(r *record.Record) {
			without(r)
			to(r, engine.MovePlace, engine.Placed)
		}, "is moved by place"},
		"an order that was never placed": {nil, func(r *record.Record) {
			without(r)
			r.Order.ID[0]++
			to(r, engine.MoveAccept, engine.Accepted)
		}, "is moved by accept"},
		"an order that begins ready": {nil, func(r *record.Record) {
			r.Order.ID[0]++
			to(r, engine.MovePlace, engine.Ready)
		}, "begins ready"},
		"a move from the wrong state": {[]engine.OrderMove{engine.MoveReady}, func(r *record.Record) {
			without(r)
			to(r, engine.MoveAccept, engine.Accepted)
		}, "ready, is moved by accept"},
		"a history that shrinks": {nil, func(r *record.Record) {
			without(r)
			to(r, engine.MoveAccept, engine.Accepted)
			r.Order.History = nil
		}, "goes from 1 to 0 steps"},
		"an end without a time": {nil, func(r *record.Record) {
			without(r)
			to(r, engine.MoveCancel, engine.Cancelled)
		}, "is cancelled and ended at 0"},
		"another token": {nil, func(r *record.Record) {
			without(r)
			to(r, engine.MoveAccept, engine.Accepted)
			r.Order.Token[3]++
		}, "changes what never changes"},
		"a line more": {nil, func(r *record.Record) {
			without(r)
			to(r, engine.MoveAccept, engine.Accepted)
			r.Order.Lines = append(r.Order.Lines, record.OrderLine{SKU: lamp, From: lyon, Quantity: 1})
		}, "goes from 1 to 2 lines"},
		"a line that asks for more": {nil, func(r *record.Record) {
			without(r)
			to(r, engine.MoveAccept, engine.Accepted)
			r.Order.Lines[0].Quantity++
		}, "becomes"},
		"more back than was sold": {nil, func(r *record.Record) {
			without(r)
			to(r, engine.MoveAccept, engine.Accepted)
			r.Order.Lines[0].Damaged = 1
		}, "becomes"},
		"on hand that grows": {nil, func(r *record.Record) {
			without(r)
			to(r, engine.MoveAccept, engine.Accepted)
			r.Cells = append(r.Cells, cell(6, 2, 1))
		}, "changes on hand of \"lamp\" by 1"},
		"units that leave without being sold": {[]engine.OrderMove{engine.MovePick}, func(r *record.Record) {
			to(r, engine.MoveShort, engine.OrderShort)
			r.Reservation.Lines[0].Released, r.Order.Lines[0].Missing = 1, 1
			r.Cells = append(r.Cells, cell(3, 1, -2))
		}, "changes on hand of \"lamp\" by -2"},
		"sold and not collected": {[]engine.OrderMove{engine.MoveReady}, func(r *record.Record) {
			to(r, engine.MoveCollect, engine.Ready)
			r.Reservation.Lines[0].Committed, r.Order.Lines[0].Cancelled = 1, 1
			r.Cells = append(r.Cells, cell(4, 1, -1))
		}, "is sold 1 units more than are collected"},
		"collected and not sold": {[]engine.OrderMove{engine.MoveReady}, func(r *record.Record) {
			to(r, engine.MoveCollect, engine.Ready)
			r.Reservation.Lines[0].Released, r.Order.Lines[0].Collected = 1, 1
			r.Cells = append(r.Cells, cell(5, 1, 0))
		}, "is sold -1 units more than are collected"},
		"a return that makes units": {[]engine.OrderMove{engine.MoveReady, engine.MoveCollect}, func(r *record.Record) {
			to(r, engine.MoveReturn, engine.Returned)
			r.Order.Lines[0].Returned = 1
			r.Cells = append(r.Cells, cell(5, 0, 2))
		}, "grows by 1 units more than are returned"},
		"a return that brings nothing": {[]engine.OrderMove{engine.MoveReady, engine.MoveCollect}, func(r *record.Record) {
			to(r, engine.MoveReturn, engine.Returned)
			r.Order.Lines[0].Returned = 1
		}, "grows by -1 units more than are returned"},
		"a move after the deadline": {nil, func(r *record.Record) {
			to(r, engine.MoveExtend, engine.Placed)
			r.Time = r.Reservation.Deadline
			r.Reservation.Deadline += int64(time.Hour)
			r.Order.Deadline = r.Reservation.Deadline
		}, "is changed at"},
		"a hold for too long": {nil, func(r *record.Record) {
			to(r, engine.MoveExtend, engine.Placed)
			r.Reservation.Deadline = r.Time + int64(engine.HoldMax) + 1
			r.Order.Deadline = r.Reservation.Deadline
		}, "is held for"},
		"a reservation that loses a line": {nil, func(r *record.Record) {
			to(r, engine.MoveExtend, engine.Placed)
			r.Reservation.Lines = nil
		}, "goes from 1 to 0 lines"},
		"a reservation whose line is another": {nil, func(r *record.Record) {
			to(r, engine.MoveExtend, engine.Placed)
			r.Reservation.Lines[0].Location = nice
		}, "becomes"},
		"a reservation that ends with units held": {nil, func(r *record.Record) {
			to(r, engine.MoveExtend, engine.Placed)
			r.Reservation.State = reservation.Released
		}, "is released and holds 2 units"},
		"another reservation": {nil, func(r *record.Record) {
			without(r)
			to(r, engine.MoveAccept, engine.Accepted)
			r.Order.Reservation[0]++
		}, "its reservation 0"},
		"a reservation that is not its own": {nil, func(r *record.Record) {
			to(r, engine.MoveAccept, engine.Accepted)
			r.Order.Reservation[0]++
		}, "points at reservation"},
		"another deadline": {nil, func(r *record.Record) {
			without(r)
			to(r, engine.MoveAccept, engine.Accepted)
			r.Order.Deadline++
		}, "is due"},
		"units that are not held": {nil, func(r *record.Record) {
			to(r, engine.MoveCancel, engine.Placed)
			r.Reservation.Lines[0].Released = 1
			r.Cells = append(r.Cells, cell(5, 1, 0))
		}, "waits for 1 units more of \"lamp\" than are held for it"},
		"units held that do not count": {nil, func(r *record.Record) {
			to(r, engine.MoveCancel, engine.Placed)
			r.Reservation.Lines[0].Released, r.Order.Lines[0].Cancelled = 1, 1
			r.Cells = append(r.Cells, cell(5, 2, 0))
		}, "it should move by 0, -1"},
		"a cell that is left out": {nil, func(r *record.Record) {
			to(r, engine.MoveCancel, engine.Placed)
			r.Reservation.Lines[0].Released, r.Order.Lines[0].Cancelled = 1, 1
		}, "does not write that cell"},
		"oversold": {nil, func(r *record.Record) {
			to(r, engine.MovePlace, engine.Placed)
			r.Order.ID[0]++
			r.Reservation.ID[0]++
			r.Order.Reservation = r.Reservation.ID
			r.Order.Lines[0].Quantity, r.Reservation.Lines[0].Quantity = 4, 4
			r.Cells = append(r.Cells, cell(5, 6, 0))
		}, "is oversold"},
		"a commit behind its back": {nil, func(r *record.Record) {
			r.Kind, r.Order = record.ReservationCommitted, nil
			r.Reservation.State, r.Reservation.Lines[0].Committed = reservation.Committed, 2
			r.Cells = append(r.Cells, cell(3, 0, -2))
		}, "without its order"},
		"an expiry without its order": {nil, func(r *record.Record) {
			r.Kind, r.Order, r.Time = record.ReservationExpired, nil, r.Reservation.Deadline
			r.Reservation.State = reservation.Expired
			r.Cells = append(r.Cells, cell(5, 0, 0))
		}, "without its order"},
		"an expiry that leaves its order": {nil, func(r *record.Record) {
			r.Kind, r.Time = record.ReservationExpired, r.Reservation.Deadline
			r.Reservation.State = reservation.Expired
			r.Cells = append(r.Cells, cell(5, 0, 0))
		}, "and its reservation has expired"},
		"two orders of one reservation": {nil, func(r *record.Record) {
			without(r)
			r.Order.ID[0]++
			r.Order.Token[0]++
			to(r, engine.MovePlace, engine.Placed)
		}, "is not found by its reservation"},
	} {
		t.Run(name, func(t *testing.T) {
			f := openFaulty(t, enginetest.NewDisk())
			units := int64(5)
			if _, err := f.SetStock(&engine.SetStockRequest{SKU: "lamp", Location: "lyon", OnHand: &units}); err != nil {
				t.Fatal(err)
			}
			if _, err := f.PutLocation(engine.Location{ID: "nice"}, ""); err != nil {
				t.Fatal(err)
			}
			o, err := f.PlaceOrder(&engine.PlaceOrderRequest{Lines: []engine.Line{{SKU: "lamp", Location: "lyon", Quantity: 2}}})
			for _, m := range c.before {
				if err == nil {
					o, err = f.MoveOrder(&engine.MoveRequest{ID: o.ID, Move: m, Code: o.Code})
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := check(t, enginetest.Crash(f.disk, 0, nil)); err != nil {
				t.Fatalf("before: %v", err)
			}
			if err := f.Forge(func(r *record.Record) {
				r.Kind, r.Order = record.OrderMoved, f.OrderRecord(o.ID)
				if o.Live() {
					r.Reservation = f.HeldRecord(o.Reservation)
				}
				c.forge(r)
			}); err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := check(t, f.disk); !errors.Is(err, engine.ErrBroken) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("check: %v, want %q", err, c.want)
			}
		})
	}
}
