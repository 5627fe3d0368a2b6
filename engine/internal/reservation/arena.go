package reservation

import (
	"sync"
	"sync/atomic"
	"unsafe"
)

// arena hands out blocks of 8-byte units by 32-bit reference. Nothing in it is a Go pointer, so five million holds cost
// the garbage collector a thousand chunk pointers to look at, and a reference costs 4 bytes instead of 8.
//
// A block of n units that is given back goes on the list of free blocks of exactly n units. Sizes vary little in one
// shop's work, so the lists are reused well; they are never merged.
type arena struct {
	// mu guards the free lists and the fill level. It is a leaf: nothing else is locked under it.
	mu    sync.Mutex
	free  map[uint32]uint32 // units → first free block; the block's first word is the next
	fill  uint32            // units used of the last chunk
	count uint32            // chunks
	used  int64             // units in use
	// chunks never move, and each is published before a reference into it is.
	chunks [chunksMax]atomic.Pointer[[chunkUnits]uint64]
}

const (
	chunkUnits = 1 << 17 // 1 MiB
	// chunksMax keeps references below 2³¹ (16 GiB of holds), which leaves their top bit to the wheel.
	chunksMax = 1 << 14
	unitBytes = 8
)

// allocate returns a block of n units, or 0 where the arena is full.
func (a *arena) allocate(n uint32) uint32 {
	a.mu.Lock()
	defer a.mu.Unlock()
	if ref := a.free[n]; ref != 0 {
		if next := uint32(*a.word(ref)); next != 0 {
			a.free[n] = next
		} else {
			delete(a.free, n)
		}
		a.used += int64(n)
		return ref
	}
	if a.count == 0 || a.fill+n > chunkUnits {
		if a.count == chunksMax {
			return 0
		}
		if a.free == nil {
			a.free = make(map[uint32]uint32)
		}
		a.chunks[a.count].Store(new([chunkUnits]uint64))
		a.count++
		a.fill = 0
		if a.count == 1 {
			a.fill = 1 // reference 0 is no block
		}
	}
	ref := (a.count-1)*chunkUnits + a.fill
	a.fill += n
	a.used += int64(n)
	return ref
}

// release gives a block of n units back.
func (a *arena) release(ref, n uint32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	*a.word(ref) = uint64(a.free[n])
	a.free[n] = ref
	a.used -= int64(n)
}

func (a *arena) word(ref uint32) *uint64 {
	return &a.chunks[ref/chunkUnits].Load()[ref%chunkUnits]
}

// at returns the address of a reference. The value stored there must hold no Go pointers and must end within the block.
func (a *arena) at(ref uint32) unsafe.Pointer { return unsafe.Pointer(a.word(ref)) }

// full reports whether the last chunk has been taken.
func (a *arena) full() bool { return a.chunks[chunksMax-1].Load() != nil }

// bytes returns the memory taken from the system, and how much of it is free.
func (a *arena) bytes() (taken, free int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	taken = int64(a.count) * chunkUnits * unitBytes
	return taken, taken - a.used*unitBytes
}
