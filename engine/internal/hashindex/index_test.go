package hashindex

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// found returns the references under a hash, sorted.
func found(x *Index, hash uint32) (refs []uint32) {
	search := x.Find(hash)
	for ref := search.Next(); ref != 0; ref = search.Next() {
		refs = append(refs, ref)
	}
	slices.Sort(refs)
	return refs
}

func TestTheZeroIndexIsEmpty(t *testing.T) {
	var x Index
	x.Prefetch(7)
	if refs := found(&x, 7); refs != nil || x.Len() != 0 || x.Bytes() != 0 {
		t.Errorf("%v, %d entries, %d bytes", refs, x.Len(), x.Bytes())
	}
	if x.Remove(7, 1) {
		t.Error("something was removed from nothing")
	}
	if x.Replace(7, 1, 2) {
		t.Error("something was replaced in nothing")
	}
}

// TestIndexIsAMultimap compares the index with a map of slices through insertions, replacements, removals and searches. Hashes are few
// and lie close together, at both ends, so that runs collide and wrap around the table's end.
func TestIndexIsAMultimap(t *testing.T) {
	hashes := rapid.OneOf(
		rapid.Uint32Range(0, 5),
		rapid.Uint32Range(1<<32-5, 1<<32-1),
		rapid.Map(rapid.Uint32Range(0, 40), func(n uint32) uint32 { return n << 26 }),
		rapid.Uint32(),
	)
	rapid.Check(t, func(r *rapid.T) {
		var x Index
		model := map[uint32][]uint32{}
		entries := 0
		check := func(hash uint32) {
			want := slices.Sorted(slices.Values(model[hash]))
			if got := found(&x, hash); !slices.Equal(got, want) {
				r.Fatalf("under %#x there are %v, want %v", hash, got, want)
			}
		}
		r.Repeat(map[string]func(*rapid.T){
			"insert": func(r *rapid.T) {
				hash, ref := hashes.Draw(r, "hash"), rapid.Uint32Range(1, 6).Draw(r, "ref")
				x.Insert(hash, ref)
				model[hash] = append(model[hash], ref)
				entries++
			},
			"remove": func(r *rapid.T) {
				hash, ref := hashes.Draw(r, "hash"), rapid.Uint32Range(1, 6).Draw(r, "ref")
				i := slices.Index(model[hash], ref)
				if got := x.Remove(hash, ref); got != (i >= 0) {
					r.Fatalf("removing (%#x, %d): %v", hash, ref, got)
				}
				if i >= 0 {
					model[hash] = slices.Delete(model[hash], i, i+1)
					entries--
				}
			},
			"replace": func(r *rapid.T) {
				hash := hashes.Draw(r, "hash")
				old, new := rapid.Uint32Range(1, 6).Draw(r, "old"), rapid.Uint32Range(1, 6).Draw(r, "new")
				i := slices.Index(model[hash], old)
				if got := x.Replace(hash, old, new); got != (i >= 0) {
					r.Fatalf("replacing (%#x, %d): %v", hash, old, got)
				}
				if i >= 0 {
					model[hash][i] = new
				}
			},
			"find": func(r *rapid.T) {
				hash := hashes.Draw(r, "hash")
				x.Prefetch(hash)
				check(hash)
			},
			"": func(r *rapid.T) {
				if x.Len() != entries {
					r.Fatalf("%d entries, want %d", x.Len(), entries)
				}
				for hash := range model {
					check(hash)
				}
			},
		})
	})
}

// TestChurnNeitherGrowsNorClogsTheIndex: there are no tombstones, so a search after a million changes takes no more steps
// than one before.
func TestChurnNeitherGrowsNorClogsTheIndex(t *testing.T) {
	var x Index
	hash := func(n uint32) uint32 { return n * 0x9E3779B1 }
	const live = 1000
	for n := range uint32(live) {
		x.Insert(hash(n), n+1)
	}
	bytes := x.Bytes()
	for n := range uint32(200_000) {
		if !x.Remove(hash(n), n+1) {
			t.Fatalf("entry %d is gone", n)
		}
		x.Insert(hash(n+live), n+live+1)
	}
	if x.Bytes() != bytes || x.Len() != live {
		t.Errorf("%d bytes with %d entries; before it was %d with %d", x.Bytes(), x.Len(), bytes, live)
	}
	used := 0
	for _, slot := range x.slots {
		if slot != 0 {
			used++
		}
	}
	if used != live {
		t.Errorf("%d slots are in use for %d entries", used, live)
	}
}

// TestTheIndexIsAtMostThreeQuartersFull: beyond that linear probing grows long.
func TestTheIndexIsAtMostThreeQuartersFull(t *testing.T) {
	var x Index
	for n := range uint32(10_000) {
		x.Insert(n*0x9E3779B1, n+1)
		if slots := x.Bytes() / 8; int64(x.Len())*4 > slots*3 || slots > 8 && int64(x.Len())*3 < slots {
			t.Fatalf("%d entries in %d slots", x.Len(), slots)
		}
	}
}
