package engine

import (
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"onhand/engine/internal/reservation"
	"onhand/engine/internal/stock"
)

// A limit is on how many things of one key may be live: reservations with one reference, or of one owner. It is there
// against those who hold everything and buy nothing, and it is exact: two requests can't both take the last place, and
// none is turned away for the sake of another that is refused in the end.
//
//	claim a place ► decide ─┬─ granted: append, apply: it is live ─┬─► give the place back
//	                        └─ refused ────────────────────────────┘
//
// What is past its deadline counts for nothing, swept or not: it is ended before anybody is refused. Where no limit is set
// nothing is claimed.

// The names of the limits.
const (
	HoldsPerReference = "holds_per_reference"
	HoldsPerOwner     = "holds_per_owner"
	OrdersPerCustomer = "orders_per_customer"
	OrdersPerOwner    = "orders_per_owner"
)

// LimitError says that there are as many live things of one key as are allowed. Nothing was changed, and nothing is
// remembered: the same request, under the same key, may be granted later.
type LimitError struct {
	Limit     string // HoldsPerReference …
	Max, Live int64
	// Wait is how long it takes until the first of them ends if nobody extends it; 0 where that is not known.
	Wait time.Duration
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("%s is %d, and %d are live", e.Limit, e.Max, e.Live)
}

// limits are those of an engine.
type limits struct {
	holdsPerReference quota[string]
	holdsPerOwner     quota[uint32]
	ordersPerCustomer quota[string] // by the customer's reference
	ordersPerOwner    quota[string]
}

func (l *limits) init(e *Engine) {
	l.holdsPerReference.init(HoldsPerReference, e.options.HoldsPerReference, func(reference string) int64 {
		return e.reservations.CountReference([]byte(reference))
	})
	l.holdsPerOwner.init(HoldsPerOwner, e.options.HoldsPerOwner, func(owner uint32) int64 {
		return e.reservations.CountOwner(owner)
	})
	l.ordersPerCustomer.init(OrdersPerCustomer, e.options.OrdersPerCustomer, func(reference string) int64 {
		return e.orders.ofCustomer(reference)
	})
	l.ordersPerOwner.init(OrdersPerOwner, e.options.OrdersPerOwner, func(owner string) int64 { return e.orders.ofOwner(owner) })
}

// refused returns how many requests each limit has refused.
func (l *limits) refused() map[string]int64 {
	return map[string]int64{
		HoldsPerReference: l.holdsPerReference.refused.Load(), HoldsPerOwner: l.holdsPerOwner.refused.Load(),
		OrdersPerCustomer: l.ordersPerCustomer.refused.Load(), OrdersPerOwner: l.ordersPerOwner.refused.Load(),
	}
}

// holdPlaces are the places that a request for a reservation has claimed: under the limit on its reference, and on its
// owner, where they are not zero.
type holdPlaces struct {
	reference string
	owner     uint32
}

// claimHold claims the places that a reservation needs, or returns a LimitError. What was claimed is given back with
// giveHold, whatever became of the request; the caller holds no lock.
//
// Every request claims in this order, so no two wait for each other.
func (e *Engine) claimHold(reference string, owner uint32) (p holdPlaces, err error) {
	if q := &e.limits.holdsPerReference; q.max > 0 && reference != "" {
		if err := q.claim(e, reference); err != nil {
			if limit, ok := err.(*LimitError); ok {
				limit.Wait = e.soonest(reference, false)
			}
			return p, err
		}
		p.reference = reference
	}
	if q := &e.limits.holdsPerOwner; q.max > 0 && owner != 0 {
		if err := q.claim(e, owner); err != nil {
			e.giveHold(&p)
			return holdPlaces{}, err
		}
		p.owner = owner
	}
	return p, nil
}

func (e *Engine) giveHold(p *holdPlaces) {
	if p.reference != "" {
		e.limits.holdsPerReference.give(p.reference)
	}
	if p.owner != 0 {
		e.limits.holdsPerOwner.give(p.owner)
	}
}

// orderPlaces are the places that an order has claimed: under the limit on its customer, and on who places it.
type orderPlaces struct{ customer, owner string }

// claimOrder is claimHold for an order. Its places are claimed before those of its reservation.
func (e *Engine) claimOrder(customer, owner string) (p orderPlaces, err error) {
	if q := &e.limits.ordersPerCustomer; q.max > 0 && customer != "" {
		if err := q.claim(e, customer); err != nil {
			if limit, ok := err.(*LimitError); ok {
				limit.Wait = e.soonest(customer, true) // what an order holds has its customer's reference
			}
			return p, err
		}
		p.customer = customer
	}
	if q := &e.limits.ordersPerOwner; q.max > 0 && owner != "" {
		if err := q.claim(e, owner); err != nil {
			e.giveOrder(&p)
			return orderPlaces{}, err
		}
		p.owner = owner
	}
	return p, nil
}

func (e *Engine) giveOrder(p *orderPlaces) {
	if p.customer != "" {
		e.limits.ordersPerCustomer.give(p.customer)
	}
	if p.owner != "" {
		e.limits.ordersPerOwner.give(p.owner)
	}
}

// soonestMax is how many reservations are looked at for the first deadline among them.
const soonestMax = 64

// soonest returns how long it takes until the first of the live reservations with a reference ends, or of those that are orders', or 0
// where they are too many to look at for somebody who is being refused.
func (e *Engine) soonest(reference string, orders bool) (wait time.Duration) {
	ids := e.reservations.FindReference(nil, []byte(reference), soonestMax+1)
	if len(ids) > soonestMax {
		return 0
	}
	c := newCommand()
	defer c.recycle()
	for _, id := range ids {
		re := &c.rec.Reservation
		if orders && e.orders.holding(id) == nil {
			continue
		}
		if e.readReservation(c, id) != nil || re.State != reservation.Held {
			continue // it has just ended
		}
		if left := max(1, time.Duration(re.Deadline-e.clock.Now())); wait == 0 || left < wait {
			wait = left
		}
	}
	return wait
}

// endDue ends what is past its deadline, whatever it is, until enough answers true. It reports what enough answers in the
// end.
func (e *Engine) endDue(enough func() bool) (bool, error) {
	c := newCommand()
	defer c.recycle()
	for shard := range stock.Shards {
		for e.reservations.NextDue(shard) <= e.clock.Now() {
			if err := e.sweepShard(c, shard); err != nil {
				return false, err
			}
			if enough() {
				return true, nil
			}
		}
	}
	return enough(), nil // the sweeper may have been quicker
}

// quota bounds how many things of one key are live. A place is claimed before it is decided whether there will be another
// one, and given back once that one is counted as live, or it is clear that there will be none.
type quota[K comparable] struct {
	name    string
	max     int64 // 0 = no limit
	live    func(key K) int64
	refused atomic.Int64
	seed    maphash.Seed
	stripes [16]struct {
		// mu guards claimed. What is live is counted under it, so that nothing is missed on its way from the one to the other.
		mu      sync.Mutex
		claimed map[K]claimedPlaces
		_       [48]byte
	}
}

// claimedPlaces are the places of one key that are claimed; settled is closed when one is given back, nil until someone
// waits for that.
type claimedPlaces struct {
	n       int64
	settled chan struct{}
}

// init sets a quota up: live counts what is live of a key, without any lock but leaves.
func (q *quota[K]) init(name string, most int, live func(key K) int64) {
	q.name, q.max, q.live, q.seed = name, int64(most), live, maphash.MakeSeed()
	for i := range q.stripes {
		q.stripes[i].claimed = make(map[K]claimedPlaces)
	}
}

// claim claims a place, or returns a LimitError. give must follow where there is no error.
func (q *quota[K]) claim(e *Engine, key K) error {
	for {
		live, ok := q.take(key)
		if ok {
			return nil
		}
		ended, err := e.endDue(func() bool { return q.live(key) < q.max })
		if err != nil {
			return err
		}
		if !ended {
			q.refused.Add(1)
			return &LimitError{Limit: q.name, Max: q.max, Live: live}
		}
	}
}

// take claims a place unless as many are live as there may be. Where the last places are claimed by others it waits for
// what becomes of them: they hold them for microseconds.
func (q *quota[K]) take(key K) (live int64, ok bool) {
	s := &q.stripes[maphash.Comparable(q.seed, key)%uint64(len(q.stripes))]
	for {
		s.mu.Lock()
		live = q.live(key)
		c := s.claimed[key]
		if live >= q.max {
			s.mu.Unlock()
			return live, false
		}
		if live+c.n < q.max {
			c.n++
			s.claimed[key] = c
			s.mu.Unlock()
			return live, true
		}
		if c.settled == nil {
			c.settled = make(chan struct{})
			s.claimed[key] = c
		}
		s.mu.Unlock()
		<-c.settled
	}
}

// give gives a claimed place back.
func (q *quota[K]) give(key K) {
	s := &q.stripes[maphash.Comparable(q.seed, key)%uint64(len(q.stripes))]
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.claimed[key]
	if c.settled != nil {
		close(c.settled)
		c.settled = nil
	}
	if c.n--; c.n == 0 {
		delete(s.claimed, key)
	} else {
		s.claimed[key] = c
	}
}

// internOwner returns the integer of an owner, which it makes known if it is new; 0 is nobody.
func (e *Engine) internOwner(name string) uint32 {
	if name == "" {
		return 0
	}
	return e.owners.Intern(name, func(id uint32, name string) uint64 {
		return e.log.AppendNote(appendSymbol(nil, symbolOwner, id, name))
	})
}
