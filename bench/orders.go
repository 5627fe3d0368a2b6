package bench

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"onhand/engine"
)

// orders measures what it costs to place an order, beside a reservation of the same lines, and what the staff of a store waits for
// where many orders are live.
func (r *Report) orders(c Config, dir string) error {
	if err := r.httpOrders(c, dir); err != nil {
		return err
	}
	for _, stores := range []int{1, 1565} {
		sub, err := subdirectory(dir, strconv.Itoa(stores))
		if err != nil {
			return err
		}
		if err := r.queues(c, sub, stores); err != nil {
			return err
		}
	}
	return nil
}

// httpOrders has orders and reservations placed on a server each, so that neither pays for what the other leaves behind. On a server,
// contenders take turns.
func (r *Report) httpOrders(c Config, dir string) error {
	shops := make(map[string]*process)
	for _, name := range []string{"orders", "reservations"} {
		sub, err := subdirectory(dir, name)
		if err != nil {
			return err
		}
		if shops[name], err = startShop(c.Program, sub); err != nil {
			return err
		}
		defer shops[name].stop()
	}
	one := func(name, shop string, request func([]byte, *rand.Rand) []byte) *contender {
		p := shops[shop]
		return &contender{name: name, process: p, load: load{address: p.address, connections: c.Connections, request: request, answer: httpAnswer(201)}}
	}
	hold1, order1 := one("reserve", "reservations", reserveRequest(oneCell)), one("order", "orders", orderRequest(oneCell, false))
	hold3, order3 := one("reserve, 3 lines", "reservations", reserveRequest(threeCells)), one("order, 3 lines", "orders", orderRequest(threeCells, false))
	whole := one("order with its customer", "orders", orderRequest(threeCells, true))
	if err := contest(c.Rounds, c.Round, hold1, order1, hold3, order3, whole); err != nil {
		return err
	}
	const bar = 1.5
	for _, pair := range []struct {
		lines       string
		order, hold *contender
	}{{"one line", order1, hold1}, {"3 lines", order3, hold3}} {
		r.note("place an order, durable, "+pair.lines, own(pair.order, (*result).rate), "requests/s")
		r.note("reserve, durable, "+pair.lines, own(pair.hold, (*result).rate), "requests/s")
		r.atMost("reserve ÷ place an order, requests/s, "+pair.lines, ratio(pair.hold, pair.order, (*result).rate), bar, "×")
		r.note("place an order, server processor time, "+pair.lines, own(pair.order, (*result).cpuPerMillion), "s per million")
		r.note("reserve, server processor time, "+pair.lines, own(pair.hold, (*result).cpuPerMillion), "s per million")
		r.atMost("place an order ÷ reserve, processor time, "+pair.lines, ratio(pair.order, pair.hold, (*result).cpuPerMillion), bar, "×")
	}
	r.note("the same 3 lines with a customer ÷ reserve, requests/s", ratio(hold3, whole, (*result).rate), "×")
	r.note("the same 3 lines with a customer ÷ reserve, processor time", ratio(whole, hold3, (*result).cpuPerMillion), "×")
	return nil
}

// orderRequest returns a maker of orders of the cells that draw yields: of these alone, or with what a web shop sends besides.
func orderRequest(draw drawer, customer bool) func(dst []byte, r *rand.Rand) []byte {
	return func(dst []byte, r *rand.Rand) []byte {
		body := append(make([]byte, 0, 512), `{"lines":[`...) // stays on the stack: the maker is shared by threads
		for i, c := range draw(r) {
			if i > 0 {
				body = append(body, ',')
			}
			body = appendSKU(append(body, `{"sku":"`...), c.sku)
			body = appendLocation(append(body, `","location":"`...), c.location)
			body = append(body, `","quantity":1}`...)
		}
		body = append(body, ']')
		if customer {
			number := r.IntN(1_000_000_000)
			body = append(body, `,"payment":"online_paid","payment_reference":"pay-`...)
			body = appendPadded(body, number, 100_000_000)
			body = append(body, `","reference":"A-`...)
			body = appendPadded(body, number, 100_000_000)
			body = append(body, `","customer":{"reference":"C-`...)
			body = appendPadded(body, number%10_000_000, 1_000_000)
			body = append(body, `","name":"Martina Example","phone":"+49 30 1234567","email":"martina@example.org"}`...)
		}
		body = append(body, '}')
		dst = append(dst, "POST /v1/orders HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: "...)
		dst = strconv.AppendInt(dst, int64(len(body)), 10)
		return append(append(dst, "\r\n\r\n"...), body...)
	}
}

const (
	// liveOrders are those that there are at any time while queues are listed.
	liveOrders = 100_000
	queueSKUs  = 400
	queuePage  = 100
	// movers move orders, each the next as soon as the last is on the disk.
	movers = 4
)

// queues measures, in process, what the staff of a store asks for while orders are moved: a page of its queue, the pick list, the counts.
func (r *Report) queues(c Config, dir string, stores int) (err error) {
	e, err := openStock(dir, queueSKUs, stores, shopOnHand, engine.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	s := &store{engine: e, names: namesOf(queueSKUs, stores)}
	orders, err := s.fill(liveOrders)
	if err != nil {
		return err
	}

	var stop atomic.Bool
	var moves atomic.Int64
	var wg sync.WaitGroup
	errs := make([]error, movers)
	begun := time.Now()
	for i := range movers {
		mine := orders[len(orders)*i/movers : len(orders)*(i+1)/movers]
		random := rand.New(rand.NewPCG(11, uint64(i)))
		wg.Go(func() {
			for !stop.Load() && errs[i] == nil {
				errs[i] = s.advance(&mine[random.IntN(len(mine))], random)
				moves.Add(1)
			}
		})
	}
	where := "100,000 orders at one store"
	if stores > 1 {
		where = fmt.Sprintf("100,000 orders at %d stores", stores)
	}
	random := rand.New(rand.NewPCG(12, 13))
	location := func() string { return s.names.locations[random.IntN(stores)] }
	at, cursor := location(), engine.OrderCursor{}
	err = r.waits(c, where+": a page of 100", 5, func() error {
		page, next, err := e.Orders(engine.OrderFilter{Location: at}, cursor, queuePage)
		if err == nil && len(page) == 0 && cursor.Done() { // the first page
			err = fmt.Errorf("no order at %s", at)
		}
		if cursor = next; cursor.Done() { // from one page to the next, and at the end to another store
			at, cursor = location(), engine.OrderCursor{}
		}
		return err
	})
	if err == nil {
		err = r.waits(c, where+": the pick list", 0, func() error {
			_, _, err := e.PickList(location())
			return err
		})
	}
	if err == nil {
		err = r.waits(c, where+": the counts", 0, func() error {
			_, _, err := e.OrderCounts(location())
			return err
		})
	}
	took := time.Since(begun).Seconds()
	stop.Store(true)
	wg.Wait()
	if err := errors.Join(append(errs, err)...); err != nil {
		return err
	}
	r.note(where+": moves meanwhile", spreadOf([]float64{float64(moves.Load()) / took}), "a second")
	return nil
}

// waits makes calls in rounds, after one to warm up, and reports how long one waits in milliseconds: the median, and the 99th
// percentile, which has a bar where one is given.
func (r *Report) waits(c Config, name string, bar float64, call func() error) error {
	var medians, tails []float64
	for round := range c.Rounds + 1 {
		var latency []time.Duration
		for begun := time.Now(); time.Since(begun) < c.Round/2; {
			sent := time.Now()
			if err := call(); err != nil {
				return err
			}
			latency = append(latency, time.Since(sent))
		}
		if round > 0 {
			medians = append(medians, quantile(latency, 0.5).Seconds()*1e3)
			tails = append(tails, quantile(latency, 0.99).Seconds()*1e3)
		}
	}
	r.note(name+", p50", spreadOf(medians), "ms")
	if bar > 0 {
		r.atMost(name+", p99", spreadOf(tails), bar, "ms")
	} else {
		r.note(name+", p99", spreadOf(tails), "ms")
	}
	return nil
}

// store is stock from which orders are placed.
type store struct {
	engine *engine.Engine
	names  names
}

// liveOrder is an order that somebody works off.
type liveOrder struct {
	id    engine.ID
	code  string
	state engine.OrderState
}

// fill places n orders and works each off up to some state, as many to each.
func (s *store) fill(n int) ([]liveOrder, error) {
	orders := make([]liveOrder, n)
	const parallel = 512 // they share syncs
	var group errgroup.Group
	for worker := range parallel {
		group.Go(func() error {
			random := rand.New(rand.NewPCG(14, uint64(worker)))
			for i := worker; i < n; i += parallel {
				if err := s.place(&orders[i], random); err != nil {
					return err
				}
				for range random.IntN(4) {
					if err := s.advance(&orders[i], random); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}
	return orders, group.Wait()
}

// place places an order of one to three SKUs.
func (s *store) place(o *liveOrder, random *rand.Rand) error {
	lines := make([]engine.Line, 1+random.IntN(3))
	at := s.names.locations[random.IntN(len(s.names.locations))]
	for i := range lines {
		lines[i] = engine.Line{SKU: s.names.skus[random.IntN(queueSKUs)], Location: at, Quantity: 1}
	}
	number := random.IntN(1_000_000_000)
	placed, err := s.engine.PlaceOrder(&engine.PlaceOrderRequest{
		Lines: lines, Payment: engine.OnlinePaid, Reference: "A-" + strconv.Itoa(number),
		Customer: engine.Person{Reference: "C-" + strconv.Itoa(number%10_000_000), Name: "Martina Example", Email: "martina@example.org"},
	})
	*o = liveOrder{placed.ID, placed.Code, placed.State}
	return err
}

// advance takes an order a step further. The last step hands it over; another is placed instead of it.
func (s *store) advance(o *liveOrder, random *rand.Rand) error {
	move := engine.MoveRequest{ID: o.id, By: "bench"}
	switch o.state {
	case engine.Placed:
		move.Move = engine.MoveAccept
	case engine.Accepted:
		move.Move = engine.MovePick
	case engine.Picking:
		move.Move = engine.MoveReady
	default:
		move.Move, move.Code = engine.MoveCollect, o.code
	}
	moved, err := s.engine.MoveOrder(&move)
	if err != nil {
		return err
	}
	if o.state = moved.State; o.state.Live() {
		return nil
	}
	return s.place(o, random)
}
