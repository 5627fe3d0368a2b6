package engine

import (
	"encoding/binary"
	"hash/maphash"
	"sync"
	"sync/atomic"

	"onhand/engine/internal/chunked"
	"onhand/engine/internal/hashindex"
)

// orderIndex finds the entries of orders by id and by token. Each order has a slot, whose number the indexes hold: they have no
// pointers. Orders are put and deleted by one goroutine at a time, and found by id meanwhile by any number.
type orderIndex struct {
	seed  maphash.Seed
	parts [orderParts]orderPart
	slots chunked.List[atomic.Pointer[orderEntry]]
	size  atomic.Int64

	// What follows is for those that put and delete, and find by token.
	tokens hashindex.Index
	last   uint32   // the last slot that was given out; 0 is none
	free   []uint32 // those of orders that were deleted
}

// orderParts is how many parts the index by id has: its low bits say which.
const orderParts = 64

// orderPart is guarded by its lock but for whoever puts and deletes, who may read it without.
type orderPart struct {
	mu sync.RWMutex
	hashindex.Index
}

func newOrderIndex() *orderIndex { return &orderIndex{seed: maphash.MakeSeed()} }

// of returns the part that an id is in, and its hash there.
func (x *orderIndex) of(id *ID) (part *orderPart, hash uint32) {
	h := maphash.Bytes(x.seed, id[:])
	return &x.parts[h%orderParts], uint32(h >> 32)
}

// slot returns the slot and the entry of an id, or 0.
func (x *orderIndex) slot(part *orderPart, hash uint32, id *ID) (ref uint32, e *orderEntry) {
	search := part.Find(hash)
	for ref = search.Next(); ref != 0; ref = search.Next() {
		if e = x.slots.Peek(ref).Load(); e.id == *id {
			return ref, e
		}
	}
	return 0, nil
}

// get returns an order's entry, or nil.
func (x *orderIndex) get(id ID) *orderEntry {
	part, hash := x.of(&id)
	part.mu.RLock()
	_, e := x.slot(part, hash, &id)
	part.mu.RUnlock()
	return e
}

// put adds or replaces an order's entry, and returns the one there was, or nil. An order keeps its token.
func (x *orderIndex) put(e *orderEntry) (old *orderEntry) {
	part, hash := x.of(&e.id)
	if ref, old := x.slot(part, hash, &e.id); ref != 0 {
		x.slots.Peek(ref).Store(e)
		return old
	}
	var ref uint32
	if n := len(x.free); n > 0 {
		ref, x.free = x.free[n-1], x.free[:n-1]
	} else {
		x.last++
		ref = x.last
	}
	x.slots.At(ref).Store(e)
	part.mu.Lock()
	part.Insert(hash, ref)
	part.mu.Unlock()
	x.tokens.Insert(tokenHash(e.token), ref)
	x.size.Add(1)
	return nil
}

// delete forgets an order.
func (x *orderIndex) delete(id ID) {
	part, hash := x.of(&id)
	ref, e := x.slot(part, hash, &id)
	if ref == 0 {
		return
	}
	part.mu.Lock()
	part.Remove(hash, ref)
	part.mu.Unlock()
	x.tokens.Remove(tokenHash(e.token), ref)
	x.slots.Peek(ref).Store(nil)
	x.free = append(x.free, ref)
	x.size.Add(-1)
}

// withToken returns the id of the order that has a token.
func (x *orderIndex) withToken(token Token) (ID, bool) {
	search := x.tokens.Find(tokenHash(token))
	for ref := search.Next(); ref != 0; ref = search.Next() {
		if e := x.slots.Peek(ref).Load(); e.token == token {
			return e.id, true
		}
	}
	return ID{}, false
}

// tokenHash: tokens are random.
func tokenHash(token Token) uint32 { return binary.LittleEndian.Uint32(token[:]) }

// each calls f with every entry until it answers false. Orders that are put meanwhile may be missed, and the entries are each of some
// moment during the call.
func (x *orderIndex) each(f func(e *orderEntry) bool) {
	for ref := range x.slots.Len() {
		if e := x.slots.Peek(ref).Load(); e != nil && !f(e) {
			return
		}
	}
}
