package engine

import (
	"encoding/binary"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"
)

// TestAnOrderIndexIsAMap compares the index with a map. Ids and tokens are few, and many tokens begin alike.
func TestAnOrderIndexIsAMap(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		x, want := newOrderIndex(), map[ID]*orderEntry{}
		ids := rapid.Custom(func(r *rapid.T) ID { return ID{15: rapid.ByteRange(0, 200).Draw(r, "id")} })
		token := func(id ID) Token { return Token{0: id[15] % 3, 9: id[15]} }
		r.Repeat(map[string]func(*rapid.T){
			"put": func(r *rapid.T) {
				places := rapid.SliceOfN(rapid.Uint32(), 0, 3).Draw(r, "places")
				encoded := rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(r, "encoded")
				id := ids.Draw(r, "order")
				e := newOrderEntry(orderEntry{id: id, token: token(id), due: 7, digestFact: 9}, places, encoded)
				if !slices.Equal(e.places(), places) || !slices.Equal(e.encoded(), encoded) || e.due != 7 || e.digestFact != 9 {
					r.Fatalf("%v and %v became %v and %v", places, encoded, e.places(), e.encoded())
				}
				if old := x.put(e); old != want[id] {
					r.Fatalf("order %v was %p, want %p", id, old, want[id])
				}
				want[id] = e
			},
			"delete": func(r *rapid.T) {
				id := ids.Draw(r, "order")
				x.delete(id)
				delete(want, id)
			},
			"": func(r *rapid.T) {
				for i := range byte(255) {
					id := ID{15: i}
					if got := x.get(id); got != want[id] {
						r.Fatalf("order %v is %p, want %p", id, got, want[id])
					}
					if got, ok := x.withToken(token(id)); ok != (want[id] != nil) || ok && got != id {
						r.Fatalf("the token of %v leads to %v, %v", id, got, ok)
					}
				}
				got := map[ID]*orderEntry{}
				x.each(func(e *orderEntry) bool { got[e.id] = e; return true })
				if !maps.Equal(got, want) || x.size.Load() != int64(len(want)) {
					r.Fatalf("there are %d orders, %d are counted, want %d", len(got), x.size.Load(), len(want))
				}
			},
		})
	})
}

// TestOrdersAreFoundWhileOthersCome: an order that is there is found at any time, also while it is replaced, others come and go, and the
// index grows.
func TestOrdersAreFoundWhileOthersCome(t *testing.T) {
	x := newOrderIndex()
	id := func(n uint64) (id ID) { binary.BigEndian.PutUint64(id[8:], n); return id }
	const stay = 100
	for n := range uint64(stay) {
		x.put(newOrderEntry(orderEntry{id: id(n)}, nil, nil))
	}
	var done atomic.Bool
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for n := uint64(0); !done.Load(); n++ {
				if e := x.get(id(n % stay)); e == nil || e.id != id(n%stay) {
					t.Errorf("order %d was not found", n%stay)
					return
				}
				if e := x.get(id(stay + n%5000)); e != nil && e.id != id(stay+n%5000) {
					t.Errorf("another order was found than %d", stay+n%5000)
					return
				}
			}
		})
	}
	for n := range uint64(10_000) {
		x.put(newOrderEntry(orderEntry{id: id(stay + n%10_000)}, nil, nil))
		x.put(newOrderEntry(orderEntry{id: id(n % stay)}, nil, []byte("moved")))
		x.delete(id(stay + n*7%10_000))
	}
	done.Store(true)
	wg.Wait()
}
