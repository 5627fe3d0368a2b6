package engine

import (
	"cmp"
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/puzpuzpuz/xsync/v3"

	"onhand/engine/internal/record"
)

// transfers is the table of transfers: the open ones, and those that have ended and are not forgotten yet.
//
// A transfer's content is guarded by the shards of its SKUs, which never change: whoever moves it holds them all. Readers
// take its entry as it is, without a lock.
type transfers struct {
	byID *xsync.MapOf[ID, *transferSlot]
	// mu guards the lists; it is a leaf.
	mu     sync.Mutex
	all    transferLists
	places map[uint32]*placeTransfers
	// ended has those that have ended in the order in which they did.
	ended []*transferSlot
}

// transferSlot is the place of a transfer in the table. All but the entry never changes.
type transferSlot struct {
	id       ID
	from, to uint32
	first    uint64 // sequence of the change that made it, by which lists are ordered
	entry    atomic.Pointer[transferEntry]
	gone     bool // being forgotten; under mu
}

// transferEntry is a transfer as a change left it; it is never changed.
type transferEntry struct {
	state    TransferState
	endedAt  int64
	sequence uint64
	encoded  []byte // record.AppendTransfer
}

func (t *transferEntry) decode(to *record.Transfer) error {
	d := record.NewDecoder(t.encoded)
	d.Transfer(to)
	return d.End()
}

// fact is what an open transfer adds to the state's digest. One that has ended is kept for a while only, and so is no part
// of it.
func (t *transferEntry) fact() uint64 {
	if t == nil || !t.state.open() {
		return 0
	}
	return textFact(t.encoded, t.sequence, 't')
}

// transferList is ordered by the sequence that made each. New ones come last, but for a replay, so that keeping it is cheap.
type transferList []*transferSlot

func (l *transferList) find(first uint64) (int, bool) {
	return slices.BinarySearchFunc(*l, first, func(s *transferSlot, first uint64) int { return cmp.Compare(s.first, first) })
}

func (l *transferList) insert(s *transferSlot) {
	if i, have := l.find(s.first); !have {
		*l = slices.Insert(*l, i, s)
	}
}

func (l *transferList) remove(s *transferSlot) {
	if i, have := l.find(s.first); have {
		*l = slices.Delete(*l, i, i+1)
	}
}

// transferLists are a list each for those that are open and those that have ended.
type transferLists struct{ open, ended transferList }

func (l *transferLists) move(s *transferSlot, open bool) {
	to, from := &l.ended, &l.open
	if open {
		to, from = from, to
	}
	from.remove(s)
	to.insert(s)
}

func (l *transferLists) forget() {
	gone := func(s *transferSlot) bool { return s.gone }
	l.ended = slices.DeleteFunc(l.ended, gone)
}

// placeTransfers are those that go to a location, and those that come from it.
type placeTransfers struct{ in, out transferLists }

func (t *transfers) clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.byID = xsync.NewMapOf[ID, *transferSlot]()
	t.all, t.ended, t.places = transferLists{}, nil, make(map[uint32]*placeTransfers)
}

// get returns a transfer as its last change left it, or nil.
func (t *transfers) get(id ID) *transferEntry {
	if s, ok := t.byID.Load(id); ok {
		return s.entry.Load()
	}
	return nil
}

func (t *transfers) place(location uint32) *placeTransfers {
	p := t.places[location]
	if p == nil {
		p = &placeTransfers{}
		t.places[location] = p
	}
	return p
}

// put makes an entry the present one of a transfer and returns what it takes the place of, or nil. The caller holds the
// transfer's shards, or is the only one at work.
func (t *transfers) put(r *record.Transfer, entry *transferEntry) (before *transferEntry) {
	s, known := t.byID.Load(r.ID)
	if !known {
		s = &transferSlot{id: r.ID, from: r.From, to: r.To, first: r.First}
	}
	before = s.entry.Swap(entry)
	open := entry.state.open()
	if before == nil || before.state.open() != open {
		t.mu.Lock()
		t.all.move(s, open)
		t.place(s.from).out.move(s, open)
		t.place(s.to).in.move(s, open)
		switch {
		case !open:
			t.ended = insertEnded(t.ended, s, entry.endedAt)
		case before != nil: // only a replay goes back
			t.ended = slices.DeleteFunc(t.ended, func(other *transferSlot) bool { return other == s })
		}
		t.mu.Unlock()
	}
	if !known {
		t.byID.Store(r.ID, s)
	}
	return before
}

// insertEnded puts a transfer where its end says: last, but for what is read from a checkpoint.
func insertEnded(list []*transferSlot, s *transferSlot, at int64) []*transferSlot {
	i := len(list)
	for i > 0 && list[i-1].entry.Load().endedAt > at {
		i--
	}
	return slices.Insert(list, i, s)
}

// list returns up to limit transfers made after a sequence, in that order: all, or those that go to a place (in), come from
// it (out), or either. State, if not 0, may leave out some that are in another.
func (t *transfers) list(place uint32, in, out bool, state TransferState, after uint64, limit int) []*transferSlot {
	t.mu.Lock()
	defer t.mu.Unlock()
	var lists []transferList
	add := func(l *transferLists) {
		if state == 0 || state.open() {
			lists = append(lists, l.open)
		}
		if state == 0 || !state.open() {
			lists = append(lists, l.ended)
		}
	}
	if place == 0 {
		add(&t.all)
	} else if p := t.places[place]; p != nil {
		if in {
			add(&p.in)
		}
		if out {
			add(&p.out)
		}
	}
	for i := range lists {
		at, _ := lists[i].find(after + 1)
		lists[i] = lists[i][at:]
	}
	var found []*transferSlot
	for len(found) < limit {
		next := -1
		for i, l := range lists {
			if len(l) > 0 && (next < 0 || l[0].first < lists[next][0].first) {
				next = i
			}
		}
		if next < 0 {
			break
		}
		found = append(found, lists[next][0])
		lists[next] = lists[next][1:]
	}
	return found
}

// openAt returns how many open transfers go to or come from a location.
func (t *transfers) openAt(location uint32) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.places[location]
	if p == nil {
		return 0
	}
	return len(p.in.open) + len(p.out.open)
}

// snapshot returns all there are, those that are open first, or those only.
func (t *transfers) snapshot(openOnly bool) []*transferSlot {
	t.mu.Lock()
	defer t.mu.Unlock()
	if openOnly {
		return slices.Clone(t.all.open)
	}
	return slices.Concat(t.all.open, t.ended)
}

// forget lets go of transfers that ended before a time.
func (t *transfers) forget(before int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for n < len(t.ended) && t.ended[n].entry.Load().endedAt < before {
		n++
	}
	if n == 0 {
		return
	}
	touched := make(map[*transferLists]bool)
	for _, s := range t.ended[:n] {
		s.gone = true
		touched[&t.place(s.from).out], touched[&t.place(s.to).in] = true, true
		t.byID.Delete(s.id)
	}
	t.all.forget()
	for l := range touched {
		l.forget()
	}
	t.ended = slices.Clone(t.ended[n:])
}

// applyTransfer brings a transfer to where a record left it.
func (e *Engine) applyTransfer(sequence uint64, t *record.Transfer) {
	if t.First == 0 {
		t.First = sequence
	}
	entry := &transferEntry{
		state: TransferState(t.State), endedAt: t.Ended, sequence: sequence, encoded: record.AppendTransfer(nil, t),
	}
	before := e.transfers.put(t, entry)
	e.recordDigest.Add(entry.fact() - before.fact())
}

// In a checkpoint a transfer is the uvarint sequence of its last change and the transfer (record.AppendTransfer).
func (w *checkpointWriter) transfers() {
	for _, s := range w.e.transfers.snapshot(false) {
		entry := s.entry.Load()
		w.begin(chunkTransfers, len(entry.encoded)+10)
		w.chunk = binary.AppendUvarint(w.chunk, entry.sequence)
		w.chunk = append(w.chunk, entry.encoded...)
	}
}
