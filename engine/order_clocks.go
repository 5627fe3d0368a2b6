package engine

import (
	"fmt"
	"time"

	"onhand/engine/internal/record"
)

// An order has one hold and several clocks, of which one runs at a time: until it is paid, until it is accepted, until it is
// picked, until it is collected. Each is a deadline of its reservation, set by the move that starts it; so what is not done in
// time is free for others at that instant, like anything that was held.

// OrderClocks are the clocks of orders where a location or a SKU has none of its own. Zero fields have the defaults.
type OrderClocks struct {
	PayWithin     time.Duration // online, from the order on; default 30 minutes
	AcceptWithin  time.Duration // from the payment, or the order, on; default 4 hours
	PickWithin    time.Duration // from when it was accepted on; default 24 hours
	CollectWithin time.Duration // from when it was ready on; default 72 hours
	// ArriveWithin is added to a supplier's lead time for what is sent to a store; default 7 days.
	ArriveWithin time.Duration
	// RemindBefore is how long before the end of the last clock its customer is reminded; default 12 hours, and half of the time there
	// is where that is less.
	RemindBefore time.Duration
	// ExtensionsMax is how often an order's clock can be set anew; default 2, -1 = never.
	ExtensionsMax int
	// CollectUntil, where a location has it, takes the place of CollectWithin.
	CollectUntil *HoldUntil
}

func (t *OrderClocks) setDefaults() error {
	setDefault(&t.PayWithin, 30*time.Minute)
	setDefault(&t.AcceptWithin, 4*time.Hour)
	setDefault(&t.PickWithin, 24*time.Hour)
	setDefault(&t.CollectWithin, 72*time.Hour)
	setDefault(&t.ArriveWithin, 7*24*time.Hour)
	setDefault(&t.RemindBefore, 12*time.Hour)
	setDefault(&t.ExtensionsMax, 2)
	for _, c := range []struct {
		name string
		d    time.Duration
	}{
		{"PayWithin", t.PayWithin}, {"AcceptWithin", t.AcceptWithin}, {"PickWithin", t.PickWithin},
		{"CollectWithin", t.CollectWithin}, {"ArriveWithin", t.ArriveWithin}, {"RemindBefore", t.RemindBefore},
	} {
		if c.d < HoldMin || c.d > HoldMax {
			return invalid("OrderClocks."+c.name, c.d, fmt.Sprintf("%v to %v", HoldMin, HoldMax))
		}
	}
	if t.ExtensionsMax < -1 || t.ExtensionsMax > extensionsLimit {
		return invalid("OrderClocks.ExtensionsMax", t.ExtensionsMax, fmt.Sprintf("1 to %d, or -1 for none", extensionsLimit))
	}
	return nil
}

// extensionsLimit is the most extensions that can be allowed.
const extensionsLimit = 10

// timesAt returns the clocks of a location.
func (e *Engine) timesAt(p *place) OrderClocks {
	clocks := e.options.OrderClocks
	if p == nil {
		return clocks
	}
	own := &p.orderTimes
	for _, c := range []struct {
		clock   *time.Duration
		seconds int64
	}{
		{&clocks.PayWithin, own.PayWithin}, {&clocks.AcceptWithin, own.AcceptWithin}, {&clocks.PickWithin, own.PickWithin},
		{&clocks.CollectWithin, own.CollectWithin}, {&clocks.RemindBefore, own.RemindBefore},
	} {
		if c.seconds != 0 {
			*c.clock = time.Duration(c.seconds) * time.Second
		}
	}
	if u := own.CollectUntil; u != nil {
		clocks.CollectUntil = &HoldUntil{OpenDay: int(u.OpenDay), Before: time.Duration(u.MinutesBefore) * time.Minute}
	}
	if own.ExtensionsMax != 0 {
		clocks.ExtensionsMax = int(own.ExtensionsMax)
	}
	return clocks
}

// clockOf returns the deadline of the clock that runs for an order in its present state, from now on.
func (e *Engine) clockOf(o *record.Order, p *place, now int64) (int64, error) {
	times := e.timesAt(p)
	var within time.Duration
	switch OrderState(o.State) {
	case Placed:
		if PaymentState(o.Payment) == PaymentPending {
			return bounded(now+int64(times.PayWithin), now), nil
		}
		within = e.shortest(o, times.AcceptWithin, func(s *skuSettings) int64 { return s.AcceptWithin })
	case InTransit:
		within = times.ArriveWithin + e.leadTime(o, p)
	case Ready:
		return e.collectClock(o, p, &times, now)
	default:
		within = e.shortest(o, times.PickWithin, func(s *skuSettings) int64 { return s.PickWithin })
	}
	// What was ordered for a slot is kept until it is over.
	return bounded(max(now+int64(within), o.SlotEnd), now), nil
}

func (e *Engine) collectClock(o *record.Order, p *place, times *OrderClocks, now int64) (int64, error) {
	collect := func(s *skuSettings) int64 { return s.CollectWithin }
	deadline := now + int64(times.CollectWithin)
	if u := times.CollectUntil; u != nil && p != nil && p.calendar != nil {
		at, err := p.calendar.DeadlineOfOpenDay(timeOf(now), u.OpenDay, u.Before)
		if err == nil { // else its hours don't tell so far ahead
			deadline = at.UnixNano()
		}
	}
	deadline = now + int64(e.shortest(o, time.Duration(deadline-now), collect))
	return bounded(max(deadline, o.SlotEnd), now), nil
}

// shortest is how long an order is kept where its location says within, and each SKU of which it waits for units may have a time of its
// own (0 = none).
func (e *Engine) shortest(o *record.Order, within time.Duration, own func(*skuSettings) int64) time.Duration {
	for i := range o.Lines {
		if s := e.settingsOf(o.Lines[i].SKU); s != nil && own(s) != 0 && o.Lines[i].Open() > 0 {
			within = min(within, time.Duration(own(s)))
		}
	}
	return within
}

// bounded is a deadline that a reservation can have.
func bounded(deadline, now int64) int64 {
	return min(max(deadline, now+int64(HoldMin)), now+int64(HoldMax))
}

// leadTime is the longest that the suppliers which the order is held at need to send to where it is collected.
func (e *Engine) leadTime(o *record.Order, p *place) time.Duration {
	if p == nil {
		return 0
	}
	longest := int64(0)
	for _, s := range p.suppliers {
		for i := range o.Lines {
			if s.LeadTime > longest && e.locations.Name(o.Lines[i].From) == s.Location {
				longest = s.LeadTime
			}
		}
	}
	return time.Duration(longest) * time.Second
}

// reminder returns when a customer is to be reminded of a deadline that was set now.
func (e *Engine) reminder(p *place, deadline, now int64) int64 {
	before := int64(e.timesAt(p).RemindBefore)
	return max(deadline-before, now+(deadline-now)/2)
}

// remindDue has the customers reminded whose reminder is due.
func (e *Engine) remindDue() {
	const atOnce = 256
	for {
		ids := e.orders.dueReminders(e.clock.Now(), atOnce)
		for _, id := range ids {
			if _, err := e.MoveOrder(&MoveRequest{ID: id, Move: MoveRemind, automatic: true}); err != nil {
				if !isOrderState(err) {
					return // the engine is stopping, or the disk is full: later
				}
			}
		}
		if len(ids) < atOnce {
			return
		}
	}
}
