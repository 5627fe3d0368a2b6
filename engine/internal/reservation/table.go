// Package reservation is the table of live reservations: found by id, by reference, by location, by stock cell and by
// deadline, in about 150 bytes for a hold of one line, with nothing in it for the garbage collector to scan.
//
// # What guards what
//
// A reservation's content is guarded by the stock shards of its lines: whoever writes it holds the locks of all of
// them, and whoever holds any one of them may read it. So a line met in the list of a cell, under that cell's shard,
// can be read together with the reservation it belongs to, whatever other shards that one reaches into. Id, creation
// and the lines' SKUs and locations never change while the reservation is in the table.
//
// The id and reference indexes, with the lists that the latter leads to, and the lists by location have leaf locks of
// their own, taken for a few steps only. The counts by owner are read and written without a lock.
package reservation

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"unsafe"

	"onhand/engine/internal/chunked"
	"onhand/engine/internal/digest"
	"onhand/engine/internal/hashindex"
	"onhand/engine/internal/prefetch"
)

// ID is a reservation's 128-bit id.
type ID [16]byte

// State is where a reservation is in its life.
type State uint8

// A reservation is Held until nothing of it is held any more. It is then Committed where any unit was committed, else
// Released or Expired.
const (
	Held State = iota + 1
	Committed
	Released
	Expired
)

// Reservation is the content of one reservation.
type Reservation struct {
	ID        ID
	State     State
	Created   int64  // engine time, ns
	Deadline  int64  // engine time, ns
	First     uint64 // sequence of the change that created it
	Sequence  uint64 // sequence of its last change
	Owner     uint32 // who asked for it, 0 = nobody in particular; it never changes
	Channel   []byte
	Reference []byte
	Lines     []Line
}

// Line is a line of a reservation. Quantity = Committed + Released + what is held, or, once the reservation has ended,
// what expired.
type Line struct {
	SKU, Location                 uint32
	Quantity, Committed, Released uint32
}

// Open returns the units of the line that are neither committed nor released.
func (l *Line) Open() uint32 { return l.Quantity - l.Committed - l.Released }

// In the arena a reservation is one block: a header, its lines, and the text of channel and reference. Where it has a
// reference, its links among those that share it come first. What refers to a reservation refers to its header.
//
//	+-----------+--------------------+-----------+-----------+--- … ---+---------------------+
//	| links (8) | header (64)        | line (48) | line (48) |         | channel, reference  |
//	+-----------+--------------------+-----------+-----------+--- … ---+---------------------+
type header struct {
	id              ID
	created         int64
	deadline        int64
	first           uint64
	sequence        uint64
	lines           uint16
	channelLength   uint8
	referenceLength uint8
	units           uint32 // size of the block, links and all
	owner           uint32
}

// links are those of a reservation in the list of the live ones with its reference. They lie before the header and not
// behind the lines, so that whoever is next to it in the list finds them without reading its header.
type links struct{ next, previous uint32 }

// line carries the links of the three lists it is in: the live lines of its cell (newest first), of its location
// (newest first), and of its wheel slot. A link is a reference to a line; the head of a cell or location list is found
// through the cell or location itself.
type line struct {
	sku, location                 uint32
	quantity, committed, released uint32
	number                        uint32
	cellNext, cellPrevious        uint32
	placeNext, placePrevious      uint32
	dueNext, duePrevious          uint32
}

const (
	headerUnits = uint32(unsafe.Sizeof(header{})) / unitBytes
	lineUnits   = uint32(unsafe.Sizeof(line{})) / unitBytes
	linkUnits   = uint32(unsafe.Sizeof(links{})) / unitBytes
)

// LinesMax is the most lines a reservation can have: what fits a chunk, rounded down.
const LinesMax = 10_000

// TextMax is the longest channel or reference, in bytes.
const TextMax = 255

const stripes = 64

// Table is the table of live reservations.
type Table struct {
	arena   arena
	cells   Cells
	shardOf func(sku uint32) int
	seed    uint64

	ids        [stripes]stripe
	references [stripes]stripe // of each reference, the first in the list of those that share it
	wheels     []wheel

	placeLocks [stripes]paddedMutex
	places     chunked.List[uint32] // location → first live line there

	owners chunked.List[atomic.Int64] // owner → its live reservations
}

// Cells is where the first live line of each cell is kept. Its methods are called with the cell's shard locked.
type Cells interface {
	Head(sku, location uint32) uint32
	SwapHead(sku, location, ref uint32) (old uint32)
}

// stripe is one part of an index; mu is a leaf lock that guards it, and the lists that it leads to, and with them the
// life of the blocks there: a block is freed only after it was taken out.
type stripe struct {
	mu    sync.Mutex
	index hashindex.Index
	_     [64]byte
}

type paddedMutex struct {
	sync.Mutex
	_ [56]byte
}

// New returns an empty table over a stock of the given number of shards.
func New(shards int, shardOf func(sku uint32) int, cells Cells) *Table {
	t := &Table{cells: cells, shardOf: shardOf, seed: rand.Uint64(), wheels: make([]wheel, shards)}
	for i := range t.wheels {
		t.wheels[i].next.Store(1<<63 - 1)
	}
	return t
}

func (t *Table) header(ref uint32) *header { return (*header)(t.arena.at(ref)) }
func (t *Table) line(ref uint32) *line     { return (*line)(t.arena.at(ref)) }

// links returns the links of a reservation that has a reference.
func (t *Table) links(ref uint32) *links { return (*links)(t.arena.at(ref - linkUnits)) }

// linkUnits returns how many units lie before the header.
func (h *header) linkUnits() uint32 {
	if h.referenceLength > 0 {
		return linkUnits
	}
	return 0
}

// allocate returns where a reservation with the header h is to lie, or 0 where there is no memory left for it. It sets the
// size in h; the lengths are set by the caller.
func (t *Table) allocate(h *header) (ref uint32) {
	textUnits := (uint32(h.channelLength) + uint32(h.referenceLength) + unitBytes - 1) / unitBytes
	h.units = h.linkUnits() + headerUnits + uint32(h.lines)*lineUnits + textUnits
	if ref = t.arena.allocate(h.units); ref != 0 {
		ref += h.linkUnits()
	}
	return ref
}

func (t *Table) release(ref uint32) {
	h := t.header(ref)
	t.arena.release(ref-h.linkUnits(), h.units)
}

func lineOf(ref uint32, number int) uint32 { return ref + headerUnits + uint32(number)*lineUnits }

// headerOf returns the reservation that a line belongs to.
func (t *Table) headerOf(lineRef uint32) uint32 {
	return lineRef - t.line(lineRef).number*lineUnits - headerUnits
}

// text returns the channel and reference of a reservation, in place.
func (t *Table) text(ref uint32, h *header) (channel, reference []byte) {
	n := int(h.channelLength) + int(h.referenceLength)
	if n == 0 {
		return nil, nil
	}
	b := unsafe.Slice((*byte)(t.arena.at(lineOf(ref, int(h.lines)))), n)
	return b[:h.channelLength:h.channelLength], b[h.channelLength:]
}

// hash mixes an id with a seed of this process, so that ids chosen by callers cannot be made to collide.
func (t *Table) hash(id ID) uint64 {
	hi, lo := bits.Mul64(binary.LittleEndian.Uint64(id[:])^t.seed, binary.LittleEndian.Uint64(id[8:])^0x9E3779B97F4A7C15)
	hi2, lo2 := bits.Mul64(hi^lo^t.seed, 0xD6E8FEB86659FD93)
	return hi2 ^ lo2
}

func (t *Table) referenceHash(reference []byte) uint64 {
	h := t.seed
	for len(reference) >= 8 {
		hi, lo := bits.Mul64(h^binary.LittleEndian.Uint64(reference), 0x9E3779B97F4A7C15)
		h, reference = hi^lo, reference[8:]
	}
	tail := uint64(len(reference))
	for _, c := range reference {
		tail = tail<<8 | uint64(c)
	}
	hi, lo := bits.Mul64(h^tail, 0xD6E8FEB86659FD93)
	return hi ^ lo
}

// Find returns the reservation with an id, or 0, and adds the shards of its lines to shards by calling add for each. The
// answer may be out of date by the time the caller has those shards' locks: it then asks again (Is).
func (t *Table) Find(id ID, add func(shard int)) uint32 {
	h := t.hash(id)
	s := &t.ids[h>>58]
	s.mu.Lock()
	defer s.mu.Unlock()
	ref := t.search(s, uint32(h), id)
	if ref != 0 && add != nil {
		for i := range int(t.header(ref).lines) {
			add(t.shardOf(t.line(lineOf(ref, i)).sku))
		}
	}
	return ref
}

// Is reports whether the reservation with an id still is ref. With the locks of its shards held the answer stays true.
func (t *Table) Is(ref uint32, id ID) bool {
	h := t.hash(id)
	s := &t.ids[h>>58]
	s.mu.Lock()
	defer s.mu.Unlock()
	return t.search(s, uint32(h), id) == ref
}

// PrefetchID asks for the memory where an id will be indexed.
func (t *Table) PrefetchID(id ID) {
	h := t.hash(id)
	t.ids[h>>58].prefetch(uint32(h))
}

// PrefetchReference asks for the memory where a reference will be indexed.
func (t *Table) PrefetchReference(reference []byte) {
	if len(reference) > 0 {
		h := t.referenceHash(reference)
		t.references[h>>58].prefetch(uint32(h))
	}
}

// PrefetchReservation asks for the memory of the reservation with an id, if there is one.
func (t *Table) PrefetchReservation(id ID) {
	h := t.hash(id)
	s := &t.ids[h>>58]
	s.mu.Lock()
	search := s.index.Find(uint32(h))
	ref := search.Next()
	s.mu.Unlock()
	t.PrefetchLine(ref)
}

// PrefetchRemoval asks for the memory that taking a reservation out will touch: where it is indexed, its neighbours in the
// lists, and, by cell, its cells. The caller holds the lock of one of its shards.
func (t *Table) PrefetchRemoval(ref uint32, cell func(sku, location uint32)) {
	h := t.header(ref)
	t.PrefetchID(h.id)
	if _, reference := t.text(ref, h); len(reference) > 0 {
		t.prefetchReferenceRemoval(ref, reference)
	}
	for i := range int(h.lines) {
		l := t.line(lineOf(ref, i))
		cell(l.sku, l.location)
		mu := &t.placeLocks[l.location%stripes]
		mu.Lock()
		next, previous := l.placeNext, l.placePrevious
		mu.Unlock()
		t.PrefetchLine(next)
		t.PrefetchLine(previous)
	}
}

func (s *stripe) prefetch(hash uint32) {
	s.mu.Lock()
	s.index.Prefetch(hash)
	s.mu.Unlock()
}

// PrefetchLine asks for the memory of a line. The reference may be one that was read without a lock, half of it old and
// half new: its upper half is that of a reference which was given out, so it lies in memory that there is.
func (t *Table) PrefetchLine(ref uint32) {
	if ref != 0 {
		prefetch.Line(t.arena.at(ref))
	}
}

func (t *Table) search(s *stripe, hash uint32, id ID) uint32 {
	search := s.index.Find(hash)
	for ref := search.Next(); ref != 0; ref = search.Next() {
		if t.header(ref).id == id {
			return ref
		}
	}
	return 0
}

// FindReference appends the ids of the live reservations with a reference to dst, up to most of them.
func (t *Table) FindReference(dst []ID, reference []byte, most int) []ID {
	if len(reference) == 0 {
		return dst
	}
	h := t.referenceHash(reference)
	s := &t.references[h>>58]
	s.mu.Lock()
	defer s.mu.Unlock()
	for ref := t.referenceHead(s, uint32(h), reference); ref != 0 && most > 0; ref = t.links(ref).next {
		most--
		dst = append(dst, t.header(ref).id)
	}
	return dst
}

// CountReference returns how many live reservations have a reference.
func (t *Table) CountReference(reference []byte) (n int64) {
	h := t.referenceHash(reference)
	s := &t.references[h>>58]
	s.mu.Lock()
	defer s.mu.Unlock()
	for ref := t.referenceHead(s, uint32(h), reference); ref != 0; ref = t.links(ref).next {
		n++
	}
	return n
}

// CountOwner returns how many live reservations an owner has.
func (t *Table) CountOwner(owner uint32) int64 {
	if p := t.owners.Peek(owner); p != nil {
		return p.Load()
	}
	return 0
}

// Insert adds a reservation, whose id must not be in the table. It answers false where there is no memory left for it.
// The caller holds the locks of its shards.
func (t *Table) Insert(r *Reservation) bool { return t.insert(r, t.placeInsert) }

// Load is Insert in any order: SortLists must follow before the table is used.
func (t *Table) Load(r *Reservation) bool {
	return t.insert(r, func(ref uint32, _ uint64) { t.placeInsert(ref, 1<<64-1) })
}

func (t *Table) insert(r *Reservation, placeInsert func(ref uint32, first uint64)) bool {
	h := header{
		id: r.ID, created: r.Created, deadline: r.Deadline, first: r.First, sequence: r.Sequence,
		lines: uint16(len(r.Lines)), channelLength: uint8(len(r.Channel)), referenceLength: uint8(len(r.Reference)),
		owner: r.Owner,
	}
	ref := t.allocate(&h)
	if ref == 0 {
		return false
	}
	*t.header(ref) = h
	channel, reference := t.text(ref, &h)
	copy(channel, r.Channel)
	copy(reference, r.Reference)
	for i := range r.Lines {
		l := &r.Lines[i]
		lineRef := lineOf(ref, i)
		*t.line(lineRef) = line{
			sku: l.SKU, location: l.Location,
			quantity: l.Quantity, committed: l.Committed, released: l.Released, number: uint32(i),
		}
		t.cellInsert(lineRef)
		t.wheelInsert(&t.wheels[t.shardOf(l.SKU)], lineRef, r.Deadline)
	}
	for i := range r.Lines {
		placeInsert(lineOf(ref, i), r.First)
	}
	if len(r.Reference) > 0 {
		t.referenceInsert(ref, r.Reference)
	}
	if r.Owner != 0 {
		t.owners.At(r.Owner).Add(1)
	}
	*t.digestOf(ref) += t.fact(ref)
	hash := t.hash(r.ID)
	s := &t.ids[hash>>58]
	s.mu.Lock()
	s.index.Insert(uint32(hash), ref)
	s.mu.Unlock()
	return true
}

// Remove takes a reservation out. The caller holds the locks of its shards.
func (t *Table) Remove(ref uint32) {
	h := t.header(ref)
	*t.digestOf(ref) -= t.fact(ref)
	hash := t.hash(h.id)
	s := &t.ids[hash>>58]
	s.mu.Lock()
	s.index.Remove(uint32(hash), ref)
	s.mu.Unlock()
	if _, reference := t.text(ref, h); len(reference) > 0 {
		t.referenceRemove(ref, reference)
	}
	if h.owner != 0 {
		t.owners.At(h.owner).Add(-1)
	}
	n := int(h.lines)
	for i := range n {
		lineRef := lineOf(ref, i)
		t.cellRemove(lineRef)
		t.wheelRemove(&t.wheels[t.shardOf(t.line(lineRef).sku)], lineRef)
		t.placeRemove(lineRef)
	}
	t.release(ref)
}

// Update writes the deadline, sequence and lines of r, which is the same reservation further on in its life: it has the lines it
// had, in other quantities perhaps, and others behind them perhaps. It answers false, and does nothing, where there is no memory
// for more lines. The caller holds the locks of its shards, those of its new lines among them.
func (t *Table) Update(ref uint32, r *Reservation) bool {
	if len(r.Lines) > int(t.header(ref).lines) {
		if ref = t.grow(ref, r); ref == 0 {
			return false
		}
	}
	h := t.header(ref)
	*t.digestOf(ref) -= t.fact(ref)
	h.sequence = r.Sequence
	moved := h.deadline != r.Deadline
	h.deadline = r.Deadline
	for i := range r.Lines {
		lineRef := lineOf(ref, i)
		l := t.line(lineRef)
		l.quantity, l.committed, l.released = r.Lines[i].Quantity, r.Lines[i].Committed, r.Lines[i].Released
		if moved {
			w := &t.wheels[t.shardOf(l.sku)]
			t.wheelRemove(w, lineRef)
			t.wheelInsert(w, lineRef, r.Deadline)
		}
	}
	*t.digestOf(ref) += t.fact(ref)
	return true
}

// digestOf returns where a reservation counts towards the digest: with the shard of its first line.
func (t *Table) digestOf(ref uint32) *uint64 {
	return &t.wheels[t.shardOf(t.line(lineOf(ref, 0)).sku)].digest
}

// fact is what a reservation adds to the digest.
func (t *Table) fact(ref uint32) uint64 {
	h := t.header(ref)
	f := digest.Mix(uint64(digest.Reservation), binary.LittleEndian.Uint64(h.id[:]))
	f = digest.Mix(f, binary.LittleEndian.Uint64(h.id[8:]))
	f = digest.Mix(f, uint64(h.deadline))
	f = digest.Mix(f, h.first<<32^h.sequence)
	if h.owner != 0 { // those of before there were owners keep the digest that is on record
		f = digest.Mix(f, uint64(h.owner))
	}
	for i := range int(h.lines) {
		l := t.line(lineOf(ref, i))
		f = digest.Mix(f, uint64(l.sku)<<32|uint64(l.location))
		f = digest.Mix(f, uint64(l.quantity)<<32|uint64(l.committed)<<16^uint64(l.released))
	}
	return f
}

// Digest returns the digest of all live reservations. The caller holds all shards.
func (t *Table) Digest() uint64 {
	sum := uint64(0)
	for i := range t.wheels {
		sum += t.wheels[i].digest
	}
	return sum
}

// Read copies a reservation into r, reusing r's memory. The caller holds the lock of one of its shards.
func (t *Table) Read(ref uint32, r *Reservation) {
	h := t.header(ref)
	r.ID, r.State = h.id, Held
	r.Created, r.Deadline, r.First, r.Sequence, r.Owner = h.created, h.deadline, h.first, h.sequence, h.owner
	channel, reference := t.text(ref, h)
	r.Channel = append(r.Channel[:0], channel...)
	r.Reference = append(r.Reference[:0], reference...)
	r.Lines = r.Lines[:0]
	for i := range int(h.lines) {
		l := t.line(lineOf(ref, i))
		r.Lines = append(r.Lines, Line{l.sku, l.location, l.quantity, l.committed, l.released})
	}
}

// ShardsOf calls add with the shard of each line. The caller holds the lock of one of them.
func (t *Table) ShardsOf(ref uint32, add func(shard int)) {
	for i := range int(t.header(ref).lines) {
		add(t.shardOf(t.line(lineOf(ref, i)).sku))
	}
}

// IDOf returns a reservation's id. The caller holds the lock of one of its shards.
func (t *Table) IDOf(ref uint32) ID { return t.header(ref).id }

// Full reports whether there may soon be no memory left to insert into. There still is room for what was already
// decided: a whole chunk of it.
func (t *Table) Full() bool { return t.arena.full() }

// Stats describes the table.
type Stats struct {
	Live int64
	// Bytes taken from the system, and of those, the part that no live reservation uses.
	Bytes, FreeBytes int64
}

// Stats returns the present figures.
func (t *Table) Stats() Stats {
	var st Stats
	st.Bytes, st.FreeBytes = t.arena.bytes()
	for i := range stripes {
		st.Live += t.ids[i].count(&st.Bytes)
		t.references[i].count(&st.Bytes)
	}
	st.Bytes += int64(len(t.wheels))*int64(unsafe.Sizeof(wheel{})) + int64(t.places.Len())*4
	return st
}

func (s *stripe) count(bytes *int64) (entries int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*bytes += s.index.Bytes()
	return int64(s.index.Len())
}
