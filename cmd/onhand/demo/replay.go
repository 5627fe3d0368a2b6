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
	NoShow, Waiting        int64            // of those held: left to expire; not yet collected at the year's end
	Reduced                int64            // how often a part was given up before the rest was collected
	Returned, Adjusted     int64            // adjustments: units brought back; units damaged, lost, counted
	Reasons                map[string]int64 // of the lines that were refused, by reason
}

// Replay plays the year: each sale is a reservation, committed when the customer collects, released when the customer
// cancels before that, and left to expire when the customer never comes. What is brought back later, damaged or lost is an
// adjustment.
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
	var done atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for i := range players {
		p := &players[i]
		p.demo, p.open, p.never, p.tally.Reasons = d, make(map[string]*basket), make(map[string]bool), make(map[string]int64)
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
	total := Tally{Reasons: make(map[string]int64)}
	for i := range players {
		total.add(&players[i].tally)
		total.Waiting += int64(len(players[i].queue))
	}
	return total, nil
}

func (t *Tally) add(o *Tally) {
	for _, sum := range []struct{ to, from *int64 }{
		{&t.Full, &o.Full}, {&t.Partial, &o.Partial}, {&t.Refused, &o.Refused}, {&t.Collected, &o.Collected},
		{&t.Cancelled, &o.Cancelled}, {&t.NoShow, &o.NoShow}, {&t.Reduced, &o.Reduced}, {&t.Returned, &o.Returned}, {&t.Adjusted, &o.Adjusted},
	} {
		*sum.to += *sum.from
	}
	for reason, n := range o.Reasons {
		t.Reasons[reason] += n
	}
}

// player plays the orders of some customers.
type player struct {
	demo   *Demo
	orders []*order
	open   map[string]*basket // by number; until they are collected
	never  map[string]bool    // numbers of sales that were refused or never collected
	queue  []*basket          // those that will be collected, soonest first
	tally  Tally
}

// basket is a sale that was granted.
type basket struct {
	reservation
	number string
	due    int // minute at which it is collected
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
		if err := p.collect(ctx); err != nil {
			return err
		}
	}
	switch o.kind {
	case "sale":
		return p.reserve(ctx, o)
	case "cancel":
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
	b := &basket{number: o.number, due: o.minute + minutes}
	err := p.demo.client.call(ctx, "POST", path("reservations"), "sale-"+o.number, map[string]any{
		"lines": p.lines(o, 1), "partial": len(o.lines) > wholeLinesMax, "expires_in": hold, "channel": "web", "reference": o.number,
	}, &b.reservation)
	if no := (*refused)(nil); errors.As(err, &no) {
		p.tally.Refused++
		p.never[o.number] = true
		for _, l := range no.Lines {
			p.tally.Reasons[l.Reason]++
		}
		return nil
	}
	if err != nil {
		return err
	}
	if len(b.Refused) > 0 {
		p.tally.Partial++
		for _, l := range b.Refused {
			p.tally.Reasons[l.Reason]++
		}
	} else {
		p.tally.Full++
	}
	if !collected {
		p.tally.NoShow++
		p.never[o.number] = true
		return nil
	}
	p.open[o.number] = b
	i, _ := slices.BinarySearchFunc(p.queue, b.due, func(b *basket, due int) int { return b.due - due })
	p.queue = slices.Insert(p.queue, i, b)
	return nil
}

// collect commits what is due first.
func (p *player) collect(ctx context.Context) error {
	b := p.queue[0]
	p.queue = p.queue[1:]
	delete(p.open, b.number)
	p.tally.Collected++
	return p.demo.client.call(ctx, "POST", path("reservations", b.ID, "commit"), "collect-"+b.number, nil, nil)
}

// cancel releases what is still held of a sale, and takes back what was collected already.
func (p *player) cancel(ctx context.Context, o *order) error {
	if p.never[o.original] {
		return nil
	}
	b := p.open[o.original]
	if b == nil {
		p.tally.Returned++
		return p.adjust(ctx, o, "return", 1)
	}
	var lines []line
	for _, l := range p.lines(o, 1) {
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
		map[string]any{"lines": lines}, nil); err != nil {
		return err
	}
	if slices.ContainsFunc(b.Lines, func(l reservationLine) bool { return l.Held > 0 }) {
		p.tally.Reduced++
		return nil
	}
	p.tally.Cancelled++
	delete(p.open, b.number)
	p.queue = slices.DeleteFunc(p.queue, func(q *basket) bool { return q == b })
	return nil
}

func (p *player) adjust(ctx context.Context, o *order, reason string, sign int64) error {
	return p.demo.client.call(ctx, "POST", path("stock", "adjustments"), reason+"-"+o.number+"-"+o.original,
		map[string]any{"lines": p.lines(o, sign), "reason": reason, "reference": o.number}, nil)
}

// lines returns an order's lines, each article once, as a request has them.
func (p *player) lines(o *order, sign int64) []line {
	c := p.demo.chain
	sum := make(map[int]int64)
	for _, l := range o.lines {
		sum[l.article] += sign * l.quantity
	}
	lines := make([]line, 0, len(sum))
	for _, a := range slices.Sorted(maps.Keys(sum)) {
		lines = append(lines, line{c.articles[a].sku, c.stores[c.storeOf(o)].id, sum[a]})
	}
	return lines
}
