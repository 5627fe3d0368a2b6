package chunked

import (
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"
)

func TestTheZeroListIsEmpty(t *testing.T) {
	var l List[int]
	if l.Len() != 0 || l.Peek(0) != nil {
		t.Errorf("%d elements", l.Len())
	}
}

// TestElementsNeverMove grows a list in any order: addresses stay, values stay, new elements are zero.
func TestElementsNeverMove(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var l List[uint32]
		addresses := map[uint32]*uint32{}
		grown := uint32(0)
		near := rapid.OneOf(rapid.Uint32Range(0, 10), rapid.Uint32Range(chunkSize-2, chunkSize+2), rapid.Uint32Range(0, 20*chunkSize))
		for range rapid.IntRange(1, 60).Draw(r, "steps") {
			i := near.Draw(r, "index")
			if p := l.Peek(i); (p != nil) != (i < grown) {
				r.Fatalf("peek at %d of %d: %v", i, grown, p)
			}
			p := l.At(i)
			if known, ok := addresses[i]; ok && known != p {
				r.Fatalf("element %d has moved", i)
			} else if !ok && *p != 0 {
				r.Fatalf("element %d begins as %d", i, *p)
			}
			addresses[i] = p
			*p = i + 1
			grown = max(grown, (i/chunkSize+1)*chunkSize)
			if l.Len() != grown {
				r.Fatalf("length %d, want %d", l.Len(), grown)
			}
			for i, p := range addresses {
				if l.Peek(i) != p || *p != i+1 {
					r.Fatalf("element %d is %d at %p, was at %p", i, *p, l.Peek(i), p)
				}
			}
		}
	})
}

// TestManyMayGrowAndReadAtOnce: whoever asks for an element gets the same one. Meant for the race detector.
func TestManyMayGrowAndReadAtOnce(t *testing.T) {
	var l List[atomic.Int64]
	const callers, elements = 8, 5 * chunkSize
	var wg sync.WaitGroup
	for caller := range callers {
		wg.Go(func() {
			for i := range uint32(elements) {
				// Half of them from the end, so that growth meets growth.
				if caller%2 == 1 {
					i = elements - 1 - i
				}
				l.At(i).Add(1)
				if p := l.Peek(i); p == nil || p.Load() == 0 {
					t.Errorf("element %d is not there", i)
				}
			}
		})
	}
	wg.Wait()
	for i := range uint32(elements) {
		if n := l.Peek(i).Load(); n != callers {
			t.Errorf("element %d was counted %d times", i, n)
		}
	}
}
