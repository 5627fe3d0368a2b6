// Package symbol turns the names that callers use (SKUs, location ids) into small dense integers and back, so that
// everything behind the engine's door works on integers.
package symbol

import (
	"hash/maphash"
	"sort"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/puzpuzpuz/xsync/v3"

	"onhand/engine/internal/chunked"
)

// None is the id that no name has.
const None uint32 = 0

// Table maps names to ids 1, 2, 3 …; an id is never given to another name. Lookup and Name take no lock.
type Table struct {
	ids   *xsync.MapOf[string, uint32]
	names chunked.List[entry]
	// mu serialises Intern: an id is given out, defined and published in one step.
	mu    sync.Mutex
	count atomic.Uint32
	bytes atomic.Int64
}

type entry struct {
	name string
	// at is the sequence of the first change that may use the id.
	at uint64
}

// New returns an empty table.
func New() *Table {
	seed := maphash.MakeSeed()
	hash := func(name string, tableSeed uint64) uint64 { return maphash.String(seed, name) ^ tableSeed }
	return &Table{ids: xsync.NewMapOfWithHasher[string, uint32](hash, xsync.WithGrowOnly())}
}

// Lookup returns the id of name, or false where the name was never interned. It keeps no reference to name.
func (t *Table) Lookup(name string) (uint32, bool) { return t.ids.Load(name) }

// Intern returns the id of name, giving it the next free one if it has none. define is called with a
// new id before anyone else can see it: whatever it writes therefore stands before every use of the id. It returns the
// sequence of the first change that may use the id, is called under the table's lock and must not use the table.
func (t *Table) Intern(name string, define func(id uint32, name string) (at uint64)) uint32 {
	if id, ok := t.ids.Load(name); ok {
		return id
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if id, ok := t.ids.Load(name); ok {
		return id
	}
	id := t.count.Load() + 1
	// The caller's string may live in a buffer that it will reuse.
	name = strings.Clone(name)
	t.publish(id, entry{name, define(id, name)})
	return id
}

func (t *Table) publish(id uint32, e entry) {
	*t.names.At(id) = e
	t.count.Store(id)
	t.bytes.Add(int64(len(e.name)))
	t.ids.Store(e.name, id)
}

// Restore gives name the id it had when it was defined, as of sequence at. It reports false where that would leave a
// gap or give the id or the name a second meaning, which a sound journal never asks for. Repeating a definition is
// allowed.
func (t *Table) Restore(id uint32, name string, at uint64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if have, ok := t.ids.Load(name); ok {
		return have == id
	}
	if id != t.count.Load()+1 {
		return false
	}
	t.publish(id, entry{strings.Clone(name), at})
	return true
}

// Through returns the largest id that a change up to sequence may use; it and all smaller ones are on record by then.
func (t *Table) Through(sequence uint64) uint32 {
	n := t.count.Load()
	return uint32(sort.Search(int(n), func(i int) bool { return t.names.Peek(uint32(i)+1).at > sequence }))
}

// Since returns the sequence of the first change that may use an id that was given out.
func (t *Table) Since(id uint32) uint64 { return t.names.Peek(id).at }

// Name returns the name of id, or "" where the id was never given out.
func (t *Table) Name(id uint32) string {
	if id == None || id > t.count.Load() {
		return ""
	}
	return t.names.Peek(id).name
}

// Len returns the number of names, which is also the largest id.
func (t *Table) Len() uint32 { return t.count.Load() }

// Bytes estimates the memory the table takes: the names themselves and about 100 bytes for the map entry and headers.
func (t *Table) Bytes() int64 { return t.bytes.Load() + 100*int64(t.Len()) }
