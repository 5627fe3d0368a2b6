package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
)

// steps is a sale that is replayed as an order, step by step.
type steps struct {
	plan
	answer     // of the last step
	code       string
	taken      int  // steps that were taken
	away       bool // units of it are held elsewhere than where it is collected
	searched   bool // what was not to be found has been missed
	hasArrived bool // its customer is at the curb
}

// answer is an order as the server tells it.
type answer struct {
	ID, State, Payment, Location, Code string
	LastMove                           string `json:"last_move"`
	Transfers                          []string
	Lines                              []struct {
		SKU                                         string
		Open, Collected, Missing, Damaged, Returned int64
	}
}

func (a *answer) ended() bool {
	return slices.Contains([]string{"collected", "cancelled", "expired", "returned"}, a.State)
}

// open returns the units of each article that the order still waits for, and kept those that the customer has.
func (a *answer) open() []quantity {
	return a.units(func(i int) int64 { return a.Lines[i].Open })
}

func (a *answer) kept() []quantity {
	return a.units(func(i int) int64 { return a.Lines[i].Collected - a.Lines[i].Returned - a.Lines[i].Damaged })
}

func (a *answer) units(of func(line int) int64) (out []quantity) {
	for i := range a.Lines {
		if n := of(i); n > 0 {
			out = append(out, quantity{SKU: a.Lines[i].SKU, Quantity: n})
		}
	}
	return out
}

// quantity is some units of an article, as moves have them.
type quantity struct {
	SKU      string `json:"sku"`
	Quantity int64  `json:"quantity"`
	Damaged  any    `json:"damaged,omitempty"` // in what comes back whether they are, in what arrives how many more are
	Lost     int64  `json:"lost,omitempty"`
}

type body map[string]any

// place places an order: on its lines or, where it has so many that it is taken with what there is, on a hold of those.
func (p *player) place(ctx context.Context, o *order) error {
	b := &basket{number: o.number, steps: &steps{plan: p.demo.chain.planOf(o)}}
	s := b.steps
	s.away = s.fulfilment == "ship_to_store"
	request := body{
		"channel": s.channel, "fulfilment": s.fulfilment, "handover": s.handover, "payment": s.payment, "on_short": s.onShort,
		"location": s.at, "reference": o.number, "by": s.channel,
	}
	if o.customer != "" {
		request["customer"] = body{"reference": o.customer}
	}
	if s.compartment != "" {
		request["compartment"] = s.compartment
	}
	if s.slot {
		start, err := p.freeSlot(ctx, s.at, o)
		if err != nil {
			return err
		}
		if start != "" {
			request["slot"] = start
		}
	}
	lines := p.lines(o, s.from, 1)
	if len(lines) > wholeLinesMax {
		granted, err := p.hold(ctx, b, body{"lines": lines, "partial": true, "expires_in": 900, "channel": s.channel, "reference": o.customer})
		if err != nil || !granted {
			return err
		}
		request["reservation"] = b.ID
	} else {
		request["lines"] = lines
	}
	var no *refused
	for try := 0; ; try++ {
		err := p.demo.client.call(ctx, "POST", path("orders"), fmt.Sprintf("order-%s-%d", o.number, try), request, &s.answer)
		if err == nil {
			break
		}
		if !errors.As(err, &no) {
			return err
		}
		if s.settleFor(no, request, p.storeOf(o)) {
			continue
		}
		if request["reservation"] != nil {
			return err // its goods are held already
		}
		p.refuse(b, no)
		return nil
	}
	if len(lines) <= wholeLinesMax {
		p.tally.Full++
	}
	s.code = s.Code
	p.tally.Orders++
	if s.unpaid {
		p.tally.NoShow++
		p.never[o.number] = true
		return nil
	}
	p.stepped[o.number] = b
	p.wait(b, o.minute+s.patience(o.number))
	return nil
}

// settleFor changes a request that was refused for its slot or its compartment to the next slot or a larger compartment, or to
// collecting it at the counter of a store. It reports whether it was refused for that.
func (s *steps) settleFor(no *refused, request body, store string) bool {
	if len(no.Lines) == 0 {
		return false
	}
	switch why := no.Lines[0].Reason; {
	case request["slot"] != nil && (why == "slot_full" || why == "no_such_slot"):
		delete(request, "slot")
		if len(no.NextSlots) > 0 {
			request["slot"] = no.NextSlots[0].Start
		}
	case request["compartment"] != nil && why == "locker_full":
		if len(no.LargerCompartments) > 0 {
			request["compartment"] = no.LargerCompartments[0]
			break
		}
		delete(request, "compartment")
		request["location"], request["handover"], s.handover = store, "counter", "counter"
	default:
		return false
	}
	return true
}

// freeSlot draws one of the next slots at a store that has room.
func (p *player) freeSlot(ctx context.Context, location string, o *order) (string, error) {
	var answer struct{ Slots []slot }
	if err := p.demo.client.call(ctx, "GET", path("locations", location, "slots")+"?limit=24", "", nil, &answer); err != nil {
		return "", err
	}
	free := slices.DeleteFunc(answer.Slots, func(s slot) bool { return s.Free < 1 })
	if len(free) == 0 {
		return "", nil
	}
	return free[int(draw(o.number, "which slot")*float64(len(free)))].Start, nil
}

// patience is how many minutes pass until the next step.
func (s *steps) patience(number string) int {
	between := func(from, to int) int { return from + int(draw(number, s.State, "wait")*float64(to-from)) }
	switch s.State {
	case "placed":
		return between(5, 90)
	case "accepted":
		return between(20, 300)
	case "picking":
		return between(10, 90)
	case "in_transit":
		return between(day, supplierDays*day)
	case "ready":
		if !s.fetched {
			return math.MaxInt32 // its deadline comes first
		}
		if s.hasArrived {
			return 4
		}
		return between(30, 2*day)
	}
	return 10
}

// next returns the next step and what its request says.
func (s *steps) next(number string) (move string, b body) {
	switch s.State {
	case "placed":
		if s.Payment == "pending" {
			return "pay", body{"payment_reference": "pay-" + number, "by": "payments"}
		}
		return "accept", body{"by": "store"}
	case "accepted":
		if s.away {
			return "dispatch", body{"by": "warehouse"}
		}
		return "pick", body{"by": "store"}
	case "picking":
		switch {
		case s.away || s.fulfilment == "ship_home":
			return "dispatch", body{"by": "store"}
		case s.short && !s.searched:
			missing := s.open()[0]
			missing.Quantity = 1 + int64(draw(number, "missing")*float64(missing.Quantity))
			return "short", body{
				"lines": []quantity{missing}, "recount": draw(number, "recount") < 0.2, "by": "store", "reason": "not on its shelf",
			}
		}
		return "ready", body{"by": "store"}
	case "in_transit":
		if s.fulfilment == "ship_home" {
			return "deliver", body{"by": "carrier"}
		}
		return "receive", s.arrival(number)
	case "short":
		return "ready", body{"by": "store", "reason": "the customer takes the rest"}
	}
	if s.handover == "curbside" && !s.hasArrived {
		where, vehicle := bay(number)
		return "arrive", body{"bay": where, "vehicle": vehicle, "by": "customer"}
	}
	return "collect", body{"code": s.code, "by": s.handover}
}

// arrival is what of a parcel arrives: all of it, or all but a unit.
func (s *steps) arrival(number string) body {
	b := body{"by": "store"}
	lines := s.open()
	if !s.hurt || s.fulfilment != "ship_to_store" || lines[0].Quantity < 2 {
		return b
	}
	lines[0].Quantity--
	if draw(number, "lost") < 0.5 {
		lines[0].Lost = 1
	} else {
		lines[0].Damaged = 1
	}
	b["lines"] = lines
	return b
}

// step takes the next step of an order.
func (p *player) step(ctx context.Context, b *basket, minute int) error {
	s := b.steps
	move, request := s.next(b.number)
	if err := p.move(ctx, b, move, request); err != nil {
		return err
	}
	switch move {
	case "short":
		s.searched = true
		p.tally.Short++
		s.away = s.State == "picking" && s.LastMove == "reroute"
		if request["recount"] == false {
			p.lose(request["lines"].([]quantity))
		}
	case "receive":
		s.away = false
		if lines, some := request["lines"].([]quantity); some {
			p.lose([]quantity{{SKU: lines[0].SKU, Quantity: 1}})
		}
	case "dispatch":
		p.tally.Sent++
	case "arrive":
		s.hasArrived = true
	}
	switch {
	case !s.ended():
		p.wait(b, minute+s.patience(b.number))
	case s.State == "collected":
		p.tally.Collected++
	case s.State == "cancelled": // nothing of it was found
		p.tally.Cancelled++
	default: // paid too late, when its units were gone
		p.tally.NoShow++
	}
	return p.refund(ctx, b)
}

// move asks for a step, and books what was sold or has come back by it.
func (p *player) move(ctx context.Context, b *basket, move string, request body) error {
	s, before := b.steps, b.steps.answer
	var after answer
	s.taken++
	key := fmt.Sprintf("order-%s-%s-%d", b.number, move, s.taken)
	if err := p.demo.client.call(ctx, "POST", path("orders", s.ID, move), key, request, &after); err != nil {
		return fmt.Errorf("order %s, %s: %w", b.number, s.State, err)
	}
	s.answer = after
	for i := range after.Lines {
		l, was := &after.Lines[i], &before.Lines[i]
		u := p.unitsOf(l.SKU)
		u.sold += l.Collected - was.Collected
		u.returned += l.Returned - was.Returned
	}
	return nil
}

// lose books units that are gone.
func (p *player) lose(lines []quantity) {
	for _, l := range lines {
		p.unitsOf(l.SKU).lost += l.Quantity
	}
}

// refund pays back what is due to a customer.
func (p *player) refund(ctx context.Context, b *basket) error {
	if b.steps.Payment != "refund_due" {
		return nil
	}
	return p.move(ctx, b, "refund", body{"payment_reference": "refund-" + b.number, "by": "payments"})
}

// takeBack cancels what is open of an order, or returns what its customer has.
func (p *player) takeBack(ctx context.Context, b *basket, o *order) error {
	s := b.steps
	move, of := "cancel", s.open
	sent := s.fulfilment == "ship_home" && s.State == "in_transit"
	if sent || s.State == "collected" || s.State == "returned" {
		move, of = "return", s.kept
	}
	lines := p.within(o, of())
	if len(lines) == 0 {
		return nil // it has ended, or does not have that
	}
	underway := s.Transfers
	if move == "return" && draw(o.number, o.original, "damaged") < 0.1 {
		lines[0].Damaged = true
	}
	if err := p.move(ctx, b, move, body{"lines": lines, "by": "customer", "reason": "not wanted"}); err != nil {
		return err
	}
	switch {
	case move == "return":
		p.tally.Returned++
		if sent { // its carrier never hands it over
			p.tally.Collected++
			p.drop(b)
		}
	case s.State == "cancelled":
		p.tally.Cancelled++
		p.drop(b)
		for _, id := range underway { // what was on its way arrives, and is for sale there
			if err := p.demo.client.call(ctx, "POST", path("transfers", id, "receive"), "", nil, nil); err != nil {
				return err
			}
		}
	case s.State == "collected":
		p.tally.Collected++
		p.drop(b)
	default:
		p.tally.Reduced++
	}
	return p.refund(ctx, b)
}

// within returns the lines of a cancellation, each with no more units than there are.
func (p *player) within(o *order, have []quantity) (lines []quantity) {
	for _, l := range p.lines(o, "", 1) {
		i := slices.IndexFunc(have, func(q quantity) bool { return q.SKU == l.SKU })
		if i >= 0 {
			lines = append(lines, quantity{SKU: l.SKU, Quantity: min(l.Quantity, have[i].Quantity)})
		}
	}
	return lines
}

// wait puts a basket into the queue.
func (p *player) wait(b *basket, due int) {
	b.due = due
	i, _ := slices.BinarySearchFunc(p.queue, due, func(b *basket, due int) int { return cmp.Compare(b.due, due) })
	p.queue = slices.Insert(p.queue, i, b)
}

// drop takes a basket out of the queue.
func (p *player) drop(b *basket) {
	p.queue = slices.DeleteFunc(p.queue, func(q *basket) bool { return q == b })
}
