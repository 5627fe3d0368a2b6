// Package hashindex finds 32-bit references by the hash of a key that is kept elsewhere. It holds no pointers, so the
// garbage collector has nothing to scan in it, and costs 8 bytes a slot.
package hashindex

import (
	"unsafe"

	"onhand/engine/internal/prefetch"
)

// Index is a multimap from a 32-bit hash to 32-bit references. It does not know the keys: whoever asks compares the
// key behind each reference that Find yields. The zero Index is empty and ready to use. It has no lock of its own.
//
//	slot   63           32 31            0
//	       +--------------+--------------+
//	       |     hash     |  reference   |   0 = empty; a reference is never 0
//	       +--------------+--------------+
//
// Open addressing with linear probing; an entry's home is the top bits of its hash. Removal moves later entries of the
// same run back, so there are no tombstones and a table that only churns never degrades.
type Index struct {
	slots []uint64
	used  int
	shift uint8 // home = hash >> shift
}

const minSlots = 8

// Len returns the number of entries.
func (x *Index) Len() int { return x.used }

// Bytes returns the memory the index takes.
func (x *Index) Bytes() int64 { return int64(len(x.slots)) * 8 }

// Insert adds an entry. The same pair may be inserted more than once.
func (x *Index) Insert(hash, ref uint32) {
	// Three quarters full is where linear probing still averages under three probes a hit.
	if (x.used+1)*4 > len(x.slots)*3 {
		x.resize(max(minSlots, len(x.slots)*2))
	}
	x.put(uint64(hash)<<32 | uint64(ref))
	x.used++
}

// Prefetch asks for the memory where hash belongs.
func (x *Index) Prefetch(hash uint32) {
	if len(x.slots) > 0 {
		prefetch.Line(unsafe.Pointer(&x.slots[hash>>x.shift]))
	}
}

func (x *Index) put(entry uint64) {
	mask := len(x.slots) - 1
	i := int(uint32(entry>>32) >> x.shift)
	for x.slots[i] != 0 {
		i = (i + 1) & mask
	}
	x.slots[i] = entry
}

func (x *Index) resize(n int) {
	old := x.slots
	x.slots = make([]uint64, n)
	x.shift = 32
	for m := n; m > 1; m >>= 1 {
		x.shift--
	}
	for _, entry := range old {
		if entry != 0 {
			x.put(entry)
		}
	}
}

// Find starts a search for the entries under hash.
func (x *Index) Find(hash uint32) Search {
	if len(x.slots) == 0 {
		return Search{}
	}
	return Search{index: x, hash: hash, at: int(hash >> x.shift)}
}

// Search walks the entries under one hash. Any change to the index ends it.
type Search struct {
	index *Index
	hash  uint32
	at    int
}

// Next returns the next reference under the hash, or 0 after the last.
func (s *Search) Next() uint32 {
	if s.index == nil {
		return 0
	}
	slots := s.index.slots
	for {
		entry := slots[s.at]
		if entry == 0 {
			return 0
		}
		s.at = (s.at + 1) & (len(slots) - 1)
		if uint32(entry>>32) == s.hash {
			return uint32(entry)
		}
	}
}

// slotOf returns the slot of an entry, or -1 where it is in none.
func (x *Index) slotOf(hash, ref uint32) int {
	if len(x.slots) == 0 {
		return -1
	}
	want := uint64(hash)<<32 | uint64(ref)
	i := int(hash >> x.shift)
	for x.slots[i] != want {
		if x.slots[i] == 0 {
			return -1
		}
		i = (i + 1) & (len(x.slots) - 1)
	}
	return i
}

// Replace puts a reference in the place of another, under the same hash, and reports whether that one was there.
func (x *Index) Replace(hash, old, new uint32) bool {
	i := x.slotOf(hash, old)
	if i >= 0 {
		x.slots[i] = uint64(hash)<<32 | uint64(new)
	}
	return i >= 0
}

// Remove takes one entry out and reports whether it was there.
func (x *Index) Remove(hash, ref uint32) bool {
	hole := x.slotOf(hash, ref)
	if hole < 0 {
		return false
	}
	mask := len(x.slots) - 1
	// Close the hole: any later entry of the run whose home is not cyclically within (hole, i] moves back into it.
	for i := (hole + 1) & mask; x.slots[i] != 0; i = (i + 1) & mask {
		home := int(uint32(x.slots[i]>>32) >> x.shift)
		if (i-home)&mask >= (i-hole)&mask {
			x.slots[hole] = x.slots[i]
			hole = i
		}
	}
	x.slots[hole] = 0
	x.used--
	return true
}
