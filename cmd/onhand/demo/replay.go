package demo

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/sync/errgroup"
)

// Tally is what came of the orders.
type Tally struct {
	Full, Partial, Refused int64            // orders held as a whole, in part, not at all
	Collected, Cancelled   int64            // of those held: fetched, given up as a whole
	NoShow, Waiting        int64            // of those held: never paid or fetched; not yet collected at the year's end
	Reduced                int64            // how often a part was given up before the rest was collected
	Orders, Sent, Short    int64            // of those held: went through the steps of an order; were sent; lacked something when picked
	Returned, Adjusted     int64            // adjustments: units brought back; units damaged, lost, counted
	Reasons                map[string]int64 // of the lines that were refused, by reason
	States                 map[string]int64 // of the orders that are waiting, by state
}

// Replay plays the year: each sale is a reservation, committed when the customer collects, released when the customer
// cancels before that, and left to expire when the customer never comes. What is brought back later, damaged or lost is an
// adjustment. Sales of the last weeks are orders that take every step (steps.go).
func (d *Demo) Replay(ctx context.Context) (Tally, error) {
	// All that concerns one customer is played by one player, in the order of its time.
	players := make([]player, connections)
	for i := range d.chain.orders {
		o := &d.chain.orders[i]
		who := o.customer
		if who == "" {
			who = o.number
		}
		p := &players[xxhash.Sum64String(who)%connections]
		p.orders = append(p.orders, o)
	}
	index := make(map[string]int, len(d.chain.articles))
	for a := range d.chain.articles {
		index[d.chain.articles[a].sku] = a
	}
	var done atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for i := range players {
		p := &players[i]
		p.demo, p.open, p.never, p.tally.Reasons = d, make(map[string]*basket), make(map[string]bool), make(map[string]int64)
		p.stepped, p.index, p.ledger = make(map[string]*basket), index, make([]units, len(d.chain.articles))
		group.Go(func() error {
			for _, o := range p.orders {
				if err := p.play(ctx, o); err != nil {
					return err
				}
				d.progress("orders of a year", done.Add(1), int64(len(d.chain.orders)))
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return Tally{}, err
	}
	total := Tally{Reasons: make(map[string]int64), States: make(map[string]int64)}
	for i := range players {
		total.add(&players[i].tally)
		total.Waiting += int64(len(players[i].queue))
		for _, b := range players[i].queue {
			if b.steps != nil {
				total.States[b.steps.State]++
			}
		}
		for a := range d.ledger {
			d.ledger[a].add(&players[i].ledger[a])
		}
	}
	return total, nil
}

func (t *Tally) add(o *Tally) {
	for _, sum := range []struct{ to, from *int64 }{
		{&t.Full, &o.Full}, {&t.Partial, &o.Partial}, {&t.Refused, &o.Refused}, {&t.Collected, &o.Collected},
		{&t.Cancelled, &o.Cancelled}, {&t.NoShow, &o.NoShow}, {&t.Reduced, &o.Reduced}, {&t.Returned, &o.Returned}, {&t.Adjusted, &o.Adjusted},
		{&t.Orders, &o.Orders}, {&t.Sent, &o.Sent}, {&t.Short, &o.Short},
	} {
		*sum.to += *sum.from
	}
	for reason, n := range o.Reasons {
		t.Reasons[reason] += n
	}
}

// player plays the orders of some customers.
type player struct {
	demo    *Demo
	orders  []*order
	open    map[string]*basket // by number; until they are collected
	stepped map[string]*basket // by number: those that take steps, and that have
	never   map[string]bool    // numbers of sales that were refused or never collected
	queue   []*basket          // those of which something is to come, soonest first
	tally   Tally
	index   map[string]int // of articles, by SKU
	ledger  []units        // what became of each article's units
}

func (p *player) unitsOf(sku string) *units { return &p.ledger[p.index[sku]] }

// basket is a sale that was granted.
type basket struct {
	reservation
	number string
	due    int    // minute at which it is collected, or takes its next step
	steps  *steps // nil where it is a reservation alone
}

type reservation struct {
	ID      string            `json:"id"`
	Lines   []reservationLine `json:"lines"`
	Refused []struct{ Reason string }
}

type reservationLine struct {
	SKU      string `json:"sku"`
	Location string `json:"location"`
	Quantity int64  `json:"quantity"`
	Held     int64  `json:"held"`
}

// line is what a request says of a line.
type line struct {
	SKU      string `json:"sku"`
	Location string `json:"location"`
	Quantity int64  `json:"quantity"`
}

func (p *player) play(ctx context.Context, o *order) error {
	for len(p.queue) > 0 && p.queue[0].due <= o.minute {
		b := p.queue[0]
		p.queue = p.queue[1:]
		var err error
		if b.steps != nil {
			err = p.step(ctx, b, b.due)
		} else {
			err = p.collect(ctx, b)
		}
		if err != nil {
			return err
		}
	}
	switch {
	case p.demo.chain.hasSteps(o):
		return p.place(ctx, o)
	case o.kind == "sale":
		return p.reserve(ctx, o)
	case o.kind == "cancel":
		return p.cancel(ctx, o)
	}
	p.tally.Adjusted++
	return p.adjust(ctx, o, o.kind, -1)
}

// wholeLinesMax is how many lines an order has at most that is wanted as a whole; larger ones are sent with what there is.
const wholeLinesMax = 5

func (p *player) reserve(ctx context.Context, o *order) error {
	minutes, collected := collectedAfter(o)
	// What is never collected expires during the replay and the ten minutes after it, so that there is something to watch;
	// what is waiting when the replay ends, in the course of the next day.
	hold := 5 + int(draw(o.number, "hold")*600)
	if collected {
		hold = 3600 + int(draw(o.number, "hold")*86_400)
	}
	b := &basket{number: o.number}
	granted, err := p.hold(ctx, b, body{
		"lines": p.lines(o, p.storeOf(o), 1), "partial": len(o.lines) > wholeLinesMax, "expires_in": hold, "channel": "web", "reference": o.number,
	})
	if err != nil || !granted {
		return err
	}
	if !collected {
		p.tally.NoShow++
		p.never[o.number] = true
		return nil
	}
	p.open[o.number] = b
	p.wait(b, o.minute+minutes)
	return nil
}

// hold holds a sale's lines, and reports whether any are to be had.
func (p *player) hold(ctx context.Context, b *basket, request body) (granted bool, err error) {
	err = p.demo.client.call(ctx, "POST", path("reservations"), "sale-"+b.number, request, &b.reservation)
	if no := (*refused)(nil); errors.As(err, &no) {
		p.refuse(b, no)
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if len(b.Refused) > 0 {
		p.tally.Partial++
		for _, l := range b.Refused {
			p.tally.Reasons[l.Reason]++
		}
	} else {
		p.tally.Full++
	}
	return true, nil
}

func (p *player) refuse(b *basket, no *refused) {
	p.tally.Refused++
	p.never[b.number] = true
	for _, l := range no.Lines {
		p.tally.Reasons[l.Reason]++
	}
}

// collect commits what is held.
func (p *player) collect(ctx context.Context, b *basket) error {
	delete(p.open, b.number)
	p.tally.Collected++
	for i := range b.Lines {
		p.unitsOf(b.Lines[i].SKU).sold += b.Lines[i].Held
	}
	return p.demo.client.call(ctx, "POST", path("reservations", b.ID, "commit"), "collect-"+b.number, nil, nil)
}

// cancel releases what is still held of a sale, and takes back what was collected already.
func (p *player) cancel(ctx context.Context, o *order) error {
	if p.never[o.original] {
		return nil
	}
	if b := p.stepped[o.original]; b != nil {
		return p.takeBack(ctx, b, o)
	}
	b := p.open[o.original]
	if b == nil {
		p.tally.Returned++
		return p.adjust(ctx, o, "return", 1)
	}
	var lines []line
	for _, l := range p.lines(o, p.storeOf(o), 1) {
		for i := range b.Lines {
			have := &b.Lines[i]
			if have.SKU == l.SKU && have.Held > 0 && l.Quantity > 0 {
				n := min(have.Held, l.Quantity)
				have.Held -= n
				lines = append(lines, line{have.SKU, have.Location, n})
				break
			}
		}
	}
	if len(lines) == 0 {
		return nil // what it takes back was not granted
	}
	if err := p.demo.client.call(ctx, "POST", path("reservations", b.ID, "release"), "cancel-"+o.number+"-"+o.original,
		body{"lines": lines}, nil); err != nil {
		return err
	}
	if slices.ContainsFunc(b.Lines, func(l reservationLine) bool { return l.Held > 0 }) {
		p.tally.Reduced++
		return nil
	}
	p.tally.Cancelled++
	delete(p.open, b.number)
	p.drop(b)
	return nil
}

func (p *player) adjust(ctx context.Context, o *order, reason string, sign int64) error {
	lines := p.lines(o, p.storeOf(o), sign)
	for _, l := range lines {
		if u := p.unitsOf(l.SKU); sign < 0 {
			u.lost -= l.Quantity
		} else {
			u.returned += l.Quantity
		}
	}
	return p.demo.client.call(ctx, "POST", path("stock", "adjustments"), reason+"-"+o.number+"-"+o.original,
		body{"lines": lines, "reason": reason, "reference": o.number}, nil)
}

// storeOf returns the id of the store of an order's customer.
func (p *player) storeOf(o *order) string { return p.demo.chain.stores[p.demo.chain.storeOf(o)].id }

// lines returns an order's lines, each article once, as a request has them.
func (p *player) lines(o *order, location string, sign int64) []line {
	sum := make(map[int]int64)
	for _, l := range o.lines {
		sum[l.article] += sign * l.quantity
	}
	lines := make([]line, 0, len(sum))
	for _, a := range slices.Sorted(maps.Keys(sum)) {
		lines = append(lines, line{p.demo.chain.articles[a].sku, location, sum[a]})
	}
	return lines
}
