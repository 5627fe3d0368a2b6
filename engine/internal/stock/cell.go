package stock

import (
	"runtime"
	"sync/atomic"
)

// Flags say what a cell is besides its numbers.
type Flags uint8

const (
	// Blocked units may not be promised.
	Blocked Flags = 1 << iota
	// OwnSafety cells have a safety stock of their own; the others follow their SKU's default.
	OwnSafety
	// LocationBlocked is not stored in the cell: View adds it where the cell's location is blocked.
	LocationBlocked
	// absent cells were removed with their location; their slot is free for the same location to use again. A view of a cell
	// that there is not is absent too: nothing is available of it, whatever its SKU's default allows.
	absent
	// busy cells are being written; readers try again.
	busy
	// Low cells came to their threshold and have not recovered since.
	Low
)

// Cell is the stock of one SKU at one location.
type Cell struct {
	OnHand, Held int64
	// Safety is the cell's own safety stock (0 without OwnSafety), or, in a view, the one in force.
	Safety int64
	// Sequence is the last change of the cell; in a view, of the cell, its SKU's default or its location.
	Sequence uint64
	Flags    Flags
}

// Available returns how many units may be promised, for a cell as a view shows it.
func (c *Cell) Available() int64 {
	if c.Flags&(Blocked|LocationBlocked|absent) != 0 {
		return 0
	}
	return max(0, c.OnHand-c.Held-c.Safety)
}

// Shortage returns how many of the held units are covered neither by units on hand nor by the backorder allowance that
// a negative safety stock grants, for a cell as a view shows it.
func (c *Cell) Shortage() int64 { return max(0, c.Held-c.OnHand+min(0, c.Safety)) }

// slot is a cell as it lies in memory: 32 bytes, so two share a cache line and none straddles one.
//
//	word 0   on hand (i48)       | lower half of the head (u16)
//	word 1   held (i48)          | upper half of the head (u16)
//	word 2   safety stock (i32)  | location (u32)                 location 0 = the slot was never used
//	word 3   sequence (56 bits)  | flags (8 bits)
//
// The head is the first of the cell's live reservation lines. It lies here because a reservation that found its cell has
// then found its head too: in an array beside the slots it cost every reservation another cache miss.
//
// A slot is written under its shard's lock and read without one: the writer sets busy in word 3, writes the rest, and
// then stores word 3 with the new sequence; a reader that finds the same word 3, not busy, before and after has read one
// moment's values. A location, once in a slot, stays in it for the life of the row. The head is for those with the lock.
type slot struct {
	onHand  atomic.Int64
	held    atomic.Int64
	key     atomic.Uint64
	version atomic.Uint64
}

const (
	slotBytes = 32
	headBits  = 16
	headMask  = 1<<headBits - 1
)

func (s *slot) location() uint32 { return uint32(s.key.Load()) }

// load reads the slot's values as of one moment.
func (s *slot) load() Cell {
	for spins := 0; ; spins++ {
		v := s.version.Load()
		if Flags(v)&busy == 0 {
			c := Cell{
				OnHand:   s.onHand.Load() >> headBits,
				Held:     s.held.Load() >> headBits,
				Safety:   int64(int32(s.key.Load() >> 32)),
				Sequence: v >> 8,
				Flags:    Flags(v),
			}
			if s.version.Load() == v {
				return c
			}
		}
		// The writer needs some twenty nanoseconds, unless the operating system has stopped it in the middle.
		if spins > 64 {
			runtime.Gosched()
		}
	}
}

// store writes the slot's values. The caller holds the shard's lock.
func (s *slot) store(location uint32, c Cell) {
	s.version.Store(s.version.Load() | uint64(busy))
	set(&s.onHand, c.OnHand<<headBits|s.onHand.Load()&headMask)
	set(&s.held, c.Held<<headBits|s.held.Load()&headMask)
	if key := uint64(uint32(int32(c.Safety)))<<32 | uint64(location); s.key.Load() != key {
		s.key.Store(key)
	}
	s.version.Store(c.Sequence<<8 | uint64(c.Flags))
}

// head and setHead read and write the head. The caller holds the shard's lock.
func (s *slot) head() uint32 {
	return uint32(s.onHand.Load()&headMask) | uint32(s.held.Load()&headMask)<<headBits
}

func (s *slot) setHead(ref uint32) {
	set(&s.onHand, s.onHand.Load()&^headMask|int64(ref&headMask))
	set(&s.held, s.held.Load()&^headMask|int64(ref>>headBits))
}

// set stores v if it is new: an atomic store costs twenty times a load, and most changes leave most words alone.
func set(word *atomic.Int64, v int64) {
	if word.Load() != v {
		word.Store(v)
	}
}
