package engine

import (
	"cmp"
	"errors"
	"slices"

	"onhand/engine/internal/record"
	"onhand/engine/internal/reservation"
)

// PickLine is what the staff of a location is to fetch of a SKU.
type PickLine struct {
	SKU      string
	Title    string // if it has one
	Quantity int64
	// Send is how much of it is for orders that are collected elsewhere.
	Send int64
	// Orders are those it is for, by deadline.
	Orders []ID
}

// PickListMax is for how many orders a pick list is made: those that are due first.
const PickListMax = 10_000

// orderToPick are the states of orders whose units are to be fetched, where any are held.
var orderToPick = []OrderState{Accepted, Picking, OrderShort}

// PickList merges, by SKU, what is held at a location for orders that are accepted, being picked or short. It reports whether it has
// it all: where more than PickListMax orders have something there, those that are due last are left out.
func (e *Engine) PickList(location string) (lines []PickLine, whole bool, err error) {
	return e.pickList(location, PickListMax)
}

func (e *Engine) pickList(location string, most int) (lines []PickLine, whole bool, err error) {
	place, known := e.lookupLocation(location)
	if !known {
		return nil, false, e.unknownLocation(location)
	}
	p := pickList{e: e, c: newCommand(), basis: e.log.Appended(), place: place, left: most, index: make(map[uint32]int)}
	defer p.c.recycle()
	e.barrier() // what comes into the state from here on is newer than basis
	full := false
	for cursor, more := (OrderCursor{}), true; more && !full; more = !cursor.Done() {
		var page []timeKey
		page, cursor = e.orders.toPick(place, cursor, OrdersMax)
		for some := range slices.Chunk(page, pickAhead) {
			if full, err = p.addAll(some); err != nil {
				return nil, false, err
			}
			if full {
				break
			}
		}
	}
	slices.SortFunc(p.lines, func(a, b PickLine) int { return cmp.Compare(a.SKU, b.SKU) })
	// It rests on what is left out as well: an order that is not on it may just have been picked.
	return p.lines, !full, e.settle(e.log.Appended())
}

// pickList is a pick list that is being made.
type pickList struct {
	e     *Engine
	c     *command
	basis uint64 // sequence at which it was begun
	place uint32
	left  int            // for how many more orders there is room
	lines []PickLine     // in the order in which they were met
	index map[uint32]int // SKU → its line
}

// pickAhead is for how many orders memory is asked for before the first of them is looked at. They lie in no cache.
const pickAhead = 32

// addAll adds what some orders have to be fetched, until there is no room for one of them: then it answers true.
func (p *pickList) addAll(keys []timeKey) (full bool, err error) {
	var entries [pickAhead]*orderEntry
	for i := range keys {
		entries[i] = p.e.orders.get(keys[i].id)
	}
	n := 0
	for _, entry := range entries[:len(keys)] {
		if entry != nil && slices.Contains(orderToPick, entry.state) { // else it has moved on in between
			p.e.reservations.PrefetchID(entry.hold)
			entries[n] = entry
			n++
		}
	}
	for _, entry := range entries[:n] {
		p.e.reservations.PrefetchReservation(entry.hold)
	}
	for _, entry := range entries[:n] {
		if full, err = p.add(entry); full || err != nil {
			break
		}
	}
	return full, err
}

// add adds what an order has to be fetched, if it has anything. It answers true, and adds nothing, where there is no room for it.
func (p *pickList) add(entry *orderEntry) (full bool, err error) {
	p.c.rec.Reset()
	re := &p.c.rec.Reservation
	err = p.e.readReservation(p.c, entry.hold)
	if unknown := (*UnknownError)(nil); errors.As(err, &unknown) {
		return false, nil // it has ended in between, and is forgotten
	}
	if err != nil || re.State != reservation.Held || !slices.ContainsFunc(re.Lines, p.has) || p.again(entry, re) {
		return false, err
	}
	if p.left == 0 {
		return true, nil
	}
	p.left--
	for _, l := range re.Lines { // of each cell there is one at most
		if !p.has(l) {
			continue
		}
		to := p.lineOf(l.SKU)
		to.Quantity += int64(l.Open())
		if entry.location != p.place {
			to.Send += int64(l.Open())
		}
		to.Orders = append(to.Orders, entry.id)
	}
	return false, nil
}

// again reports whether an order is on the list already. One that is moved meanwhile, so that it is due later, is met again further
// down the queue.
func (p *pickList) again(entry *orderEntry, re *reservation.Reservation) bool {
	return entry.sequence > p.basis && slices.ContainsFunc(re.Lines, func(l reservation.Line) bool {
		at, have := p.index[l.SKU]
		return have && slices.Contains(p.lines[at].Orders, entry.id)
	})
}

// has reports whether a line of a reservation is to be fetched there.
func (p *pickList) has(l reservation.Line) bool {
	return l.Location == p.place && l.Open() > 0 && p.e.isGoods(&l)
}

// lineOf returns the line of a SKU, which is made where there is none.
func (p *pickList) lineOf(sku uint32) *PickLine {
	at, have := p.index[sku]
	if !have {
		at = len(p.lines)
		p.index[sku] = at
		p.lines = append(p.lines, PickLine{SKU: p.e.skus.Name(sku)})
		if s := p.e.settingsOf(sku); s != nil {
			p.lines[at].Title = s.Title
		}
	}
	return &p.lines[at]
}

// toPick returns the next orders of which something may be held at a location to be picked, by deadline: those that are collected
// there, and those that are collected elsewhere and hold something there.
func (t *orders) toPick(place uint32, after OrderCursor, limit int) (keys []timeKey, next OrderCursor) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if keys = t.pageAt(place, orderToPick, after, limit, t.queues, t.sends); len(keys) == limit {
		last := keys[limit-1]
		next = OrderCursor{place, last.at, last.id, true}
	}
	return keys, next
}

// heldElsewhere returns at which locations a reservation holds units, to be sent, of an order that is collected at another: nil, as a
// rule. Units on their way are at none.
func (e *Engine) heldElsewhere(re *reservation.Reservation, collected uint32) (places []uint32) {
	if re.State != reservation.Held {
		return nil
	}
	for i := range re.Lines {
		l := &re.Lines[i]
		if l.Location != collected && l.Open() > 0 && !e.isTransit(l.Location) && !slices.Contains(places, l.Location) {
			places = append(places, l.Location)
		}
	}
	return places
}

// mayHoldElsewhere reports whether units of an order can be held elsewhere than where it is collected: where they were so from the
// beginning, or the order has moved to another location since, or missing ones may be sent.
func mayHoldElsewhere(o *record.Order) bool {
	return OnShort(o.OnShort) == OnShortTransfer ||
		slices.ContainsFunc(o.Lines, func(l record.OrderLine) bool { return l.From != o.Location })
}

// restoreSends finds out which of some orders hold units elsewhere, once a checkpoint is loaded: that is in the reservations, not in
// the orders. Where the two were copied at different moments, the journal from the checkpoint's start on has what changed in between.
func (e *Engine) restoreSends(orders []ID) {
	var re reservation.Reservation
	for _, id := range orders {
		entry := e.orders.get(id)
		if ref := e.reservations.Find(entry.hold, nil); ref != 0 {
			e.reservations.Read(ref, &re)
			entry = newOrderEntry(*entry, e.heldElsewhere(&re, entry.location), entry.encoded())
			e.orders.index.put(entry)
			e.orders.enqueueSends(entry)
		}
	}
}
