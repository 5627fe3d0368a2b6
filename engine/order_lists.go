package engine

import (
	"encoding/binary"
	"slices"

	"github.com/tidwall/btree"

	"onhand/engine/internal/record"
)

// OrderFilter says which orders to list. Empty fields ask for all.
type OrderFilter struct {
	Location  string       // where they are collected or sent home from, or units of them are held to be sent to where they are
	States    []OrderState // in any of these; none = all that are live
	Reference string
}

// OrderCursor is where a listing of orders goes on. The zero cursor begins one.
type OrderCursor struct {
	location uint32
	due      int64
	id       ID
	more     bool
}

// Done reports whether a cursor that Orders returned says that there is no more.
func (c *OrderCursor) Done() bool { return !c.more }

// OrdersMax is the most orders in one page.
const OrdersMax = 1000

// Orders lists up to limit orders and returns where to go on: the live by deadline, the oldest first and those without one last, those
// that have ended by when they did; where no location is asked for, location by location. What moves while the listing goes on may be
// missed or come twice. A search by reference comes in one page.
func (e *Engine) Orders(f OrderFilter, after OrderCursor, limit int) ([]Order, OrderCursor, error) {
	if limit < 1 || limit > OrdersMax {
		return nil, OrderCursor{}, invalid("limit", limit, "1 to 1000")
	}
	states := f.States
	if len(states) == 0 {
		states = orderLive
	}
	place := uint32(0)
	if f.Location != "" {
		known := false
		if place, known = e.lookupLocation(f.Location); !known {
			return nil, OrderCursor{}, e.unknownLocation(f.Location)
		}
	}
	if f.Reference != "" {
		return e.ordersWithReference(f.Reference, place, f.States)
	}
	basis := e.log.Appended()
	keys, next := e.orders.page(place, states, after, limit)
	out, err := e.readOrders(keys, func(entry *orderEntry) bool {
		return slices.Contains(states, entry.state) && (place == 0 || entry.listedAt(place))
	})
	if err != nil {
		return nil, OrderCursor{}, err
	}
	return out, next, e.settle(basis)
}

// readOrders reads orders that still are wanted. One whose deadline has passed is ended first.
func (e *Engine) readOrders(ids []ID, wanted func(*orderEntry) bool) ([]Order, error) {
	out := make([]Order, 0, len(ids))
	now := e.clock.Now()
	for _, id := range ids {
		entry := e.order(id)
		if entry != nil && entry.ended == 0 && entry.due != 0 && entry.due <= now {
			if err := e.expire(entry.hold); err != nil {
				return nil, err
			}
			entry = e.order(id)
		}
		if entry == nil || !wanted(entry) {
			continue
		}
		o, err := e.orderOf(entry)
		if err != nil {
			return nil, err
		}
		out = append(out, o)
	}
	return out, nil
}

// listedAt reports whether the staff of a location has to do with an order: it is collected there or sent home from there, or units of
// it are held there that are to be sent.
func (e *orderEntry) listedAt(place uint32) bool {
	return e.location == place || e.ended == 0 && slices.Contains(e.places(), place)
}

// page returns the next orders of a location, or of all, that are in one of some states. No order is in both queues of a location.
// Of all locations each is listed once, where it is collected.
func (t *orders) page(place uint32, states []OrderState, after OrderCursor, limit int) (ids []ID, next OrderCursor) {
	t.mu.Lock()
	defer t.mu.Unlock()
	first, last := place, place
	queues := []orderQueues{t.queues, t.sends}
	if place == 0 {
		last = uint32(len(t.queues))
		queues = queues[:1]
	}
	for at := max(first, after.location); at <= last; at++ {
		keys := t.pageAt(at, states, after, limit-len(ids), queues...)
		for _, k := range keys {
			ids = append(ids, k.id)
		}
		if len(ids) == limit {
			k := keys[len(keys)-1]
			return ids, OrderCursor{at, k.at, k.id, true}
		}
	}
	return ids, OrderCursor{}
}

// pageAt returns the next orders of one location, merged from some queues. Of their heads the first is the next, so that no more of
// them is read, while others wait for it, than the page needs.
func (t *orders) pageAt(place uint32, states []OrderState, after OrderCursor, limit int, queues ...orderQueues) []timeKey {
	runs := make([]queueRun, 0, len(states)*len(queues)) // not released: the trees have no locks that iterators would hold
	for _, all := range queues {
		for _, s := range states {
			q := all.find(place, s)
			if q == nil {
				continue
			}
			from := timeKey{}
			if after.more && after.location == place {
				from = timeKey{after.due, after.id}
			}
			r := queueRun{iter: q.Iter()}
			more := r.iter.Seek(from)
			if more && after.more && r.iter.Item() == from { // the cursor's own is the last of the page before
				more = r.iter.Next()
			}
			if more {
				r.head = r.iter.Item()
				runs = append(runs, r)
			}
		}
	}
	keys := make([]timeKey, 0, limit)
	for len(runs) > 0 && len(keys) < limit {
		first := 0
		for i := range runs[1:] {
			if runs[1+i].head.before(runs[first].head) {
				first = 1 + i
			}
		}
		r := &runs[first]
		keys = append(keys, r.head)
		if r.iter.Next() {
			r.head = r.iter.Item()
		} else {
			runs = slices.Delete(runs, first, first+1)
		}
	}
	return keys
}

// queueRun is what is left of a queue.
type queueRun struct {
	iter btree.IterG[timeKey]
	head timeKey
}

func (e *Engine) ordersWithReference(reference string, place uint32, states []OrderState) ([]Order, OrderCursor, error) {
	basis := e.log.Appended()
	var ids []ID
	hash := textHash(reference)
	e.orders.mu.Lock()
	e.orders.references.Ascend(referenceKey{hash: hash}, func(k referenceKey) bool {
		if k.hash == hash {
			ids = append(ids, k.id)
		}
		return k.hash == hash && len(ids) < OrdersMax
	})
	e.orders.mu.Unlock()
	out, err := e.readOrders(ids, func(entry *orderEntry) bool {
		return (place == 0 || entry.listedAt(place)) && (len(states) == 0 || slices.Contains(states, entry.state))
	})
	if err != nil {
		return nil, OrderCursor{}, err
	}
	out = slices.DeleteFunc(out, func(o Order) bool { return o.Reference != reference })
	return out, OrderCursor{}, e.settle(basis)
}

// AppendBinary writes the cursor behind dst.
func (c *OrderCursor) AppendBinary(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, c.location)
	dst = binary.BigEndian.AppendUint64(dst, uint64(c.due))
	return append(dst, c.id[:]...)
}

// ParseOrderCursor reads what AppendBinary wrote.
func ParseOrderCursor(b []byte) (OrderCursor, error) {
	if len(b) != 4+8+16 {
		return OrderCursor{}, invalid("cursor", "of another form", "the next_cursor of an earlier answer")
	}
	return OrderCursor{binary.BigEndian.Uint32(b), int64(binary.BigEndian.Uint64(b[4:])), ID(b[12:]), true}, nil
}

// OrderCounts returns how many orders of a location are in each state: as many as Orders lists of it. toSend of those that are live are
// collected elsewhere, and units of them are held there to be sent.
func (e *Engine) OrderCounts(location string) (counts map[OrderState]int, toSend int, err error) {
	place, known := e.lookupLocation(location)
	if !known {
		return nil, 0, e.unknownLocation(location)
	}
	basis := e.log.Appended()
	counts = make(map[OrderState]int)
	e.orders.mu.Lock()
	for s := Placed; s < orderStateEnd; s++ {
		sent := e.orders.sends.count(place, s)
		counts[s] = e.orders.queues.count(place, s) + sent
		toSend += sent
	}
	e.orders.mu.Unlock()
	return counts, toSend, e.settle(basis)
}

// eachLiveOrder calls f with every order that is live, as of some moment during the call.
func (e *Engine) eachLiveOrder(f func(*Order) error) error {
	var ids []ID
	e.orders.index.each(func(entry *orderEntry) bool {
		if entry.ended == 0 {
			ids = append(ids, entry.id)
		}
		return true
	})
	for page := range slices.Chunk(ids, OrdersMax) {
		orders, err := e.readOrders(page, func(entry *orderEntry) bool { return entry.ended == 0 })
		if err != nil {
			return err
		}
		for i := range orders {
			if err := f(&orders[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// eachOrder calls f with every order, decoded, for checks of the whole state.
func (e *Engine) eachOrder(f func(entry *orderEntry, o *record.Order) error) (err error) {
	e.orders.index.each(func(entry *orderEntry) bool {
		var o record.Order
		if err = entry.decode(&o); err == nil {
			err = f(entry, &o)
		}
		return err == nil
	})
	return err
}
