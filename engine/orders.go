package engine

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"math"
	"sync"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"
	"github.com/puzpuzpuz/xsync/v3"
	"github.com/tidwall/btree"

	"onhand/engine/internal/record"
)

// orders is the table of orders: found by id, by the reservation they point at, by token, by reference, and in the order in which a
// store works them off. An entry is replaced in apply, under the shards of the order's SKUs.
type orders struct {
	// index is put into, and searched for tokens, under mu.
	index *orderIndex
	// byHold has the live orders whose id is not that of the reservation which they point at: those that had to take another one
	// (idFor), or were given another reservation since.
	byHold *xsync.MapOf[ID, ID]
	live   atomic.Int64
	// erasedHolds has, likewise, the orders that are erased whose id is not that of the reservation which they pointed at last. erased
	// counts all that are erased.
	erasedHolds *xsync.MapOf[ID, ID]
	erased      atomic.Int64

	// mu guards what follows. It is a leaf.
	mu         sync.Mutex
	queues     orderQueues // of where they are collected
	sends      orderQueues // of where units are held that are collected elsewhere
	references *btree.BTreeG[referenceKey]
	reminders  *btree.BTreeG[timeKey]
	ended      *btree.BTreeG[timeKey]
	customers  map[uint64]int // live orders by customer, as textHash has the reference; nil where there is no limit on them
	owners     map[uint64]int // likewise by who placed them
}

// Token is the secret part of the address of an order's tracking page.
type Token [16]byte

// String returns the token as addresses have it: 22 characters of base64url.
func (t Token) String() string { return base64.RawURLEncoding.EncodeToString(t[:]) }

// ParseToken reads what String writes.
func ParseToken(text string) (t Token, ok bool) {
	if len(text) != base64.RawURLEncoding.EncodedLen(len(t)) {
		return t, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	return Token(append(b, make([]byte, len(t))...)[:len(t)]), err == nil
}

// noDeadline is where a live order without a deadline stands in its queues: behind all that have one.
const noDeadline = math.MaxInt64

// placeQueues are the orders of a location in each state, by deadline, those that have none last; by when they ended, where they have.
type placeQueues [orderStateEnd]*btree.BTreeG[timeKey]

// orderQueues are those of all locations.
type orderQueues []*placeQueues

// at returns the queue of a location and a state, to be changed.
func (q *orderQueues) at(location uint32, state OrderState) *btree.BTreeG[timeKey] {
	if missing := int(location) - len(*q) + 1; missing > 0 {
		*q = append(*q, make(orderQueues, missing)...)
	}
	if (*q)[location] == nil {
		(*q)[location] = new(placeQueues)
	}
	tree := &(*q)[location][state]
	if *tree == nil {
		*tree = newTimeTree()
	}
	return *tree
}

// find returns the queue of a location and a state, or nil where no order ever was in it.
func (q orderQueues) find(location uint32, state OrderState) *btree.BTreeG[timeKey] {
	if int(location) >= len(q) || q[location] == nil {
		return nil
	}
	return q[location][state]
}

// count returns how many orders of a location are in a state.
func (q orderQueues) count(location uint32, state OrderState) int {
	if tree := q.find(location, state); tree != nil {
		return tree.Len()
	}
	return 0
}

type referenceKey struct {
	hash uint64
	id   ID
}

type timeKey struct {
	at int64
	id ID
}

func newOrders() *orders {
	return &orders{
		index: newOrderIndex(), byHold: xsync.NewMapOf[ID, ID](), erasedHolds: xsync.NewMapOf[ID, ID](),
		references: btree.NewBTreeGOptions(func(a, b referenceKey) bool {
			return cmp.Or(cmp.Compare(a.hash, b.hash), bytes.Compare(a.id[:], b.id[:])) < 0
		}, unlocked),
		reminders: newTimeTree(), ended: newTimeTree(),
		owners: make(map[uint64]int),
	}
}

var unlocked = btree.Options{NoLocks: true}

func newTimeTree() *btree.BTreeG[timeKey] {
	return btree.NewBTreeGOptions(timeKey.before, unlocked)
}

func (k timeKey) before(o timeKey) bool {
	return k.at < o.at || k.at == o.at && bytes.Compare(k.id[:], o.id[:]) < 0
}

// get returns an order's entry, or nil.
func (t *orders) get(id ID) *orderEntry { return t.index.get(id) }

// holding returns the live order that points at a reservation, or nil.
func (t *orders) holding(reservation ID) *orderEntry {
	if t.live.Load() == 0 {
		return nil
	}
	if e := t.get(reservation); e != nil && e.ended == 0 && e.hold == reservation {
		return e
	}
	id, ok := t.byHold.Load(reservation)
	if !ok {
		return nil
	}
	return t.get(id)
}

// idFor returns the id of an order that is placed on a live reservation: the reservation's own, so that either leads to the other, unless
// an order has it already that was placed when the reservation's id, chosen by a caller, was that of another one.
func (t *orders) idFor(reservation ID, now int64) ID {
	if t.get(reservation) != nil {
		return newID(now)
	}
	return reservation
}

// withToken returns the id of the order whose tracking page has a token.
func (t *orders) withToken(token Token) (ID, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.index.withToken(token)
}

// order returns an order's entry, or nil where there is none, or none any more: one that is past its time is forgotten, swept or not.
func (e *Engine) order(id ID) *orderEntry {
	entry := e.orders.get(id)
	if entry != nil && entry.ended != 0 && entry.ended < e.clock.Now()-int64(e.options.OrderRetention) {
		return nil
	}
	return entry
}

func textHash(text string) uint64 {
	if text == "" {
		return 0
	}
	return xxhash.Sum64String(text) | 1
}

// put replaces an order, and returns by how much that moves the digest. elsewhere is where units of it are held besides where it is
// collected.
func (t *orders) put(r *record.Order, elsewhere []uint32) (digest uint64) {
	var scratch [512]byte
	encoded := record.AppendOrder(scratch[:0], r)
	head := orderEntry{
		id: r.ID, hold: r.Reservation, token: r.Token, state: OrderState(r.State), erased: r.Flags&record.Erased != 0,
		location: r.Location, due: r.Deadline, remindAt: r.RemindAt, ended: r.Ended, sequence: r.Sequence,
		reference: textHash(r.Reference), customer: textHash(r.Customer.Reference), owner: textHash(r.Owner),
	}
	if r.Deadline == 0 {
		head.customer, head.owner = 0, 0 // it holds nothing, as a parcel that was sent: no limit is for it
	}
	if head.ended != 0 {
		head.due = head.ended
	} else {
		head.digestFact = textFact(encoded, head.sequence, factOrder)
	}
	e := newOrderEntry(head, elsewhere, encoded)
	t.mu.Lock()
	defer t.mu.Unlock()
	// Who finds the reservation live, or looks for its order, finds this one from here on.
	old := t.index.put(e)
	known := old != nil
	if known {
		t.dequeue(old)
		digest -= old.digestFact
	}
	t.enqueue(e)
	wasLive, isLive := known && old.ended == 0, e.ended == 0
	switch {
	case isLive && !wasLive:
		t.live.Add(1)
	case wasLive && !isLive:
		t.live.Add(-1)
	}
	switch wasErased := known && old.erased; {
	case e.erased && !wasErased:
		if e.hold != e.id {
			t.erasedHolds.Store(e.hold, e.id)
		}
		t.erased.Add(1)
	case wasErased && !e.erased: // a checkpoint is ahead of the record
		t.erasedHolds.Delete(old.hold)
		t.erased.Add(-1)
	}
	if isLive && e.hold != e.id {
		t.byHold.Store(e.hold, e.id)
	}
	if wasLive && old.hold != e.id && (!isLive || old.hold != e.hold) {
		t.byHold.Delete(old.hold)
	}
	return digest + e.digestFact
}

// enqueue puts an entry into everything that is in order of something.
func (t *orders) enqueue(e *orderEntry) {
	t.queues.at(e.location, e.state).Load(e.inQueue()) // which is Set, at the end first: most are due after all others
	if e.reference != 0 {
		t.references.Set(referenceKey{e.reference, e.id})
	}
	if e.ended != 0 {
		t.ended.Set(timeKey{e.ended, e.id})
		return
	}
	t.enqueueSends(e)
	if e.remindAt != 0 {
		t.reminders.Set(timeKey{e.remindAt, e.id})
	}
	if e.customer != 0 && t.customers != nil {
		t.customers[e.customer]++
	}
	if e.owner != 0 {
		t.owners[e.owner]++
	}
}

func (t *orders) dequeue(e *orderEntry) {
	t.queues.at(e.location, e.state).Delete(e.inQueue())
	if e.reference != 0 {
		t.references.Delete(referenceKey{e.reference, e.id})
	}
	if e.ended != 0 {
		t.ended.Delete(timeKey{e.ended, e.id})
		return
	}
	for _, at := range e.places() {
		t.sends.at(at, e.state).Delete(e.inQueue())
	}
	if e.remindAt != 0 {
		t.reminders.Delete(timeKey{e.remindAt, e.id})
	}
	if e.customer != 0 && t.customers != nil {
		decrement(t.customers, e.customer)
	}
	if e.owner != 0 {
		decrement(t.owners, e.owner)
	}
}

func (t *orders) enqueueSends(e *orderEntry) {
	for _, at := range e.places() {
		t.sends.at(at, e.state).Load(e.inQueue())
	}
}

func decrement[K comparable](counts map[K]int, k K) {
	if counts[k]--; counts[k] == 0 {
		delete(counts, k)
	}
}

// at reports whether a location has live orders.
func (t *orders) at(location uint32) (live int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for s := Placed; s < orderStateEnd; s++ {
		if s.Live() {
			live += t.queues.count(location, s)
		}
	}
	return live
}

// ofCustomer returns how many live orders there are of a customer, by reference, where there is a limit on them, and ofOwner how many
// somebody has placed.
func (t *orders) ofCustomer(reference string) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return int64(t.customers[textHash(reference)])
}

func (t *orders) ofOwner(owner string) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return int64(t.owners[textHash(owner)])
}

// dueReminders returns up to max live orders whose customers are to be reminded by now.
func (t *orders) dueReminders(now int64, max int) (ids []ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reminders.Scan(func(k timeKey) bool {
		if k.at > now || len(ids) == max {
			return false
		}
		ids = append(ids, k.id)
		return true
	})
	return ids
}

// forgetAtOnce is how many orders are looked at before others may use the table.
const forgetAtOnce = 1000

// forgetOrders forgets orders as long ago as the options say.
func (e *Engine) forgetOrders(now int64) {
	readable := max(e.options.WindowAge, e.options.RetentionAge) // what others have on record of them
	e.orders.forget(now-int64(e.options.OrderRetention), now-int64(readable), e.options.OrdersKept)
}

// forget drops orders that ended before a time, and the oldest of those that are more than keep; but none that is erased unless it
// ended before another time. Until then what was personal in it may be on record elsewhere, and not to tell that takes its entry.
func (t *orders) forget(before, erasedBefore int64, keep int) {
	for from, more := (timeKey{}), true; more; {
		from, more = t.forgetSome(from, before, erasedBefore, keep)
	}
}

// forgetSome looks at forgetAtOnce orders, and returns where to go on if there may be more.
func (t *orders) forgetSome(from timeKey, before, erasedBefore int64, keep int) (next timeKey, more bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var gone []*orderEntry
	looked := 0
	t.ended.Ascend(from, func(k timeKey) bool {
		if k.at >= before && t.ended.Len()-len(gone) <= keep {
			return false
		}
		if looked == forgetAtOnce {
			next, more = k, true
			return false
		}
		looked++
		if e := t.get(k.id); !e.erased || k.at < erasedBefore {
			gone = append(gone, e)
		}
		return true
	})
	for _, e := range gone {
		t.dequeue(e)
		t.index.delete(e.id)
		if e.erased {
			t.erasedHolds.Delete(e.hold)
			t.erased.Add(-1)
		}
	}
	return next, more
}

// applyOrder brings an order to where a record left it.
func (e *Engine) applyOrder(sequence uint64, r *record.Record) {
	o := r.Order
	completeOrder(o, sequence)
	var elsewhere []uint32
	if r.Reservation.State != 0 {
		elsewhere = e.heldElsewhere(&r.Reservation, o.Location)
	} else if before := e.orders.get(o.ID); before != nil {
		elsewhere = before.places()
	}
	e.recordDigest.Add(e.orders.put(o, elsewhere))
}

// restoreOrder puts an order back as it was read from a checkpoint. It reports whether units of it may be held elsewhere than where it
// is collected: which they are, if any, is known only once the reservations are back as well (restoreSends).
func (e *Engine) restoreOrder(encoded []byte) (id ID, elsewhere bool, err error) {
	var o record.Order
	d := record.NewDecoder(encoded)
	d.Order(&o)
	if err := d.End(); err != nil {
		return ID{}, false, err
	}
	e.recordDigest.Add(e.orders.put(&o, nil))
	return o.ID, o.Ended == 0 && mayHoldElsewhere(&o), nil
}

// expiredOrder is what a live order becomes whose reservation expires now.
func (e *Engine) expiredOrder(entry *orderEntry, now int64) *record.Order {
	o := new(record.Order)
	if err := entry.decode(o); err != nil {
		panic("engine: an order that was kept can't be read: " + err.Error())
	}
	expireOrder(o, now)
	return o
}
