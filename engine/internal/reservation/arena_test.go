package reservation

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestBlocksDoNotOverlap fills every block with its own number, through allocations and releases of several sizes.
func TestBlocksDoNotOverlap(t *testing.T) {
	sizes := rapid.SampledFrom([]uint32{1, 2, 13, 19, 1000, chunkUnits / 3, chunkUnits - 1})
	rapid.Check(t, func(r *rapid.T) {
		a := &arena{}
		blocks := map[uint32]uint32{} // reference → units
		used := int64(0)
		for range rapid.IntRange(1, 25).Draw(r, "steps") {
			if len(blocks) > 0 && rapid.Bool().Draw(r, "release") {
				ref := rapid.SampledFrom(slices.Sorted(maps.Keys(blocks))).Draw(r, "block")
				a.release(ref, blocks[ref])
				used -= int64(blocks[ref])
				delete(blocks, ref)
			} else {
				n := sizes.Draw(r, "units")
				ref := a.allocate(n)
				if ref == 0 || ref%chunkUnits+n > chunkUnits {
					r.Fatalf("%d units at %d", n, ref)
				}
				if _, twice := blocks[ref]; twice {
					r.Fatalf("block %d was given out twice", ref)
				}
				blocks[ref] = n
				used += int64(n)
				for i := range n {
					*a.word(ref + i) = uint64(ref)
				}
			}
			for ref, n := range blocks {
				for _, i := range []uint32{0, n / 2, n - 1} {
					if *a.word(ref + i) != uint64(ref) {
						r.Fatalf("word %d of block %d was overwritten", i, ref)
					}
				}
			}
			if taken, free := a.bytes(); taken-free != used*unitBytes || taken != int64(a.count)*chunkUnits*unitBytes {
				r.Fatalf("%d bytes, %d free, with %d units in use", taken, free, used)
			}
		}
	})
}

// TestWhatIsGivenBackIsTakenFirst, by a block of the same size.
func TestWhatIsGivenBackIsTakenFirst(t *testing.T) {
	a := &arena{}
	var refs []uint32
	for range 10 {
		refs = append(refs, a.allocate(13))
	}
	for _, ref := range refs {
		a.release(ref, 13)
	}
	if other := a.allocate(14); slices.Contains(refs, other) {
		t.Errorf("a block of 14 units lies at %d, where there are 13", other)
	}
	for range refs {
		if ref := a.allocate(13); !slices.Contains(refs, ref) {
			t.Errorf("new memory was taken at %d", ref)
		}
	}
	if ref := a.allocate(13); slices.Contains(refs, ref) {
		t.Errorf("block %d was given out twice", ref)
	}
}

// TestAFullArenaSaysSo, and says beforehand when it has begun its last chunk.
func TestAFullArenaSaysSo(t *testing.T) {
	a := &arena{count: chunksMax - 1, fill: chunkUnits}
	if a.full() {
		t.Error("full before the last chunk was taken")
	}
	first := a.allocate(chunkUnits / 2)
	if first == 0 || first >= 1<<31 || !a.full() {
		t.Errorf("the last chunk begins at %d, full: %v", first, a.full())
	}
	if ref := a.allocate(chunkUnits / 2); ref == 0 || ref >= 1<<31 {
		t.Errorf("there was room for another: %d", ref)
	}
	if ref := a.allocate(1); ref != 0 {
		t.Errorf("a full arena gave out %d", ref)
	}
	a.release(first, chunkUnits/2)
	if ref := a.allocate(chunkUnits / 2); ref != first {
		t.Errorf("what was given back was not taken: %d", ref)
	}
}
