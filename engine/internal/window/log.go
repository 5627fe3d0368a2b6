// Package window remembers byte entries for a limited time and number: the answers given under idempotency keys, and
// the reservations that have ended. What comes first goes first, so memory is taken and given back in whole segments
// and holds no pointers.
package window

import (
	"encoding/binary"
	"sync"
	"time"

	"onhand/engine/internal/hashindex"
)

// An entry, at an 8-byte boundary of its segment:
//
//	+--------+--------+----------------+---------------+-------- …
//	| length | hashes |  hash (4) × n  |  payload (length bytes), padding
//	| u32    | u32 n  |                |
//	+--------+--------+----------------+---------------+-------- …
//
// A reference is the entry's distance from the start of all time in 8-byte units, modulo 2³²: segment number × units
// in a segment + offset. 32 GiB can be remembered at once before references would repeat; Append evicts first.
const (
	unit        = 8
	headerBytes = 8
	// SegmentBytes is the size of a segment.
	SegmentBytes = 1 << 20
	segmentUnits = SegmentBytes / unit
	segmentsMax  = 1<<32/segmentUnits - 1
	entryMax     = SegmentBytes - unit // the first unit of a segment is left free so that no reference is 0
)

// Log is a first-in, first-out memory of entries, each found by one or more hashes. It is safe for concurrent use.
type Log struct {
	maxAge   int64 // nanoseconds
	maxCount int

	// mu guards what follows. It is a leaf: nothing else is locked under it.
	mu       sync.Mutex
	index    [indexParts]hashindex.Index // by the low bits of the hash
	segments []*segment
	first    uint64 // number of segments[0]
	count    int
}

type segment struct {
	data   []byte
	count  int
	newest int64 // time of the newest entry
	oldest int64 // time of the first entry
}

// indexParts is in how many parts the index grows: one that holds ten million entries takes a tenth of a second to double,
// while everybody waits; a part takes two milliseconds.
const indexParts = 64

func (l *Log) part(hash uint32) *hashindex.Index { return &l.index[hash%indexParts] }

// New returns a log that keeps an entry for at least maxAge, unless more than maxCount newer ones follow it.
func New(maxAge time.Duration, maxCount int) *Log {
	return &Log{maxAge: int64(maxAge), maxCount: maxCount}
}

// EntryMax is the largest payload, in bytes, that fits an entry with n hashes.
func EntryMax(n int) int { return entryMax - headerBytes - 4*n }

// Append remembers payload, to be found under each of hashes, as of time at (nanoseconds, engine time). It panics where
// payload is larger than EntryMax: callers have limits far below it.
func (l *Log) Append(at int64, payload []byte, hashes ...uint32) {
	size := (headerBytes + 4*len(hashes) + len(payload) + unit - 1) / unit * unit
	if size > entryMax {
		panic("window: entry too large")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.evict(at)
	var s *segment
	if n := len(l.segments); n > 0 {
		s = l.segments[n-1]
	}
	if s == nil || len(s.data)+size > SegmentBytes {
		s = &segment{data: make([]byte, unit, SegmentBytes), oldest: at}
		l.segments = append(l.segments, s)
	}
	ref := l.ref(len(l.segments)-1, len(s.data))
	s.data = binary.LittleEndian.AppendUint32(s.data, uint32(len(payload)))
	s.data = binary.LittleEndian.AppendUint32(s.data, uint32(len(hashes)))
	for _, h := range hashes {
		s.data = binary.LittleEndian.AppendUint32(s.data, h)
		l.part(h).Insert(h, ref)
	}
	s.data = append(s.data, payload...)
	for len(s.data)%unit != 0 {
		s.data = append(s.data, 0)
	}
	s.count++
	s.newest = max(s.newest, at)
	l.count++
}

func (l *Log) ref(segment, offset int) uint32 {
	return uint32((l.first+uint64(segment))*segmentUnits + uint64(offset/unit))
}

// entry returns the hashes and payload behind ref.
func (l *Log) entry(ref uint32) (hashes, payload []byte) {
	number := (ref/segmentUnits - uint32(l.first)) % (1 << 32 / segmentUnits)
	s := l.segments[number]
	hashes, payload, _ = s.entry(int(ref%segmentUnits) * unit)
	return hashes, payload
}

// entry decodes the entry at offset and returns the offset of the next.
func (s *segment) entry(offset int) (hashes, payload []byte, next int) {
	length := int(binary.LittleEndian.Uint32(s.data[offset:]))
	n := int(binary.LittleEndian.Uint32(s.data[offset+4:]))
	at := offset + headerBytes
	hashes = s.data[at : at+4*n]
	at += 4 * n
	payload = s.data[at : at+length]
	return hashes, payload, (at + length + unit - 1) / unit * unit
}

// evict drops whole segments while every entry in the oldest one is past its time, or while what would remain without
// it still is as many entries as are promised.
func (l *Log) evict(now int64) {
	for len(l.segments) > 1 {
		s := l.segments[0]
		tooOld := s.newest < now-l.maxAge
		tooMany := l.count-s.count >= l.maxCount
		if !tooOld && !tooMany && len(l.segments) < segmentsMax {
			return
		}
		for offset := unit; offset < len(s.data); {
			ref := l.ref(0, offset)
			hashes, _, next := s.entry(offset)
			for ; len(hashes) > 0; hashes = hashes[4:] {
				h := binary.LittleEndian.Uint32(hashes)
				l.part(h).Remove(h, ref)
			}
			offset = next
		}
		l.count -= s.count
		l.segments[0] = nil
		l.segments = l.segments[1:]
		l.first++
	}
}

// Evict drops what is past its time as of now.
func (l *Log) Evict(now int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.evict(now)
}

// Find appends to dst the first payload under hash for which match answers true. match must neither keep its argument
// nor use the log.
func (l *Log) Find(dst []byte, hash uint32, match func(payload []byte) bool) ([]byte, bool) {
	found := false
	l.Each(hash, func(payload []byte) bool {
		if match(payload) {
			dst, found = append(dst, payload...), true
		}
		return !found
	})
	return dst, found
}

// Each calls f with the payloads under hash until it answers false. f must not use the log.
func (l *Log) Each(hash uint32, f func(payload []byte) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	search := l.part(hash).Find(hash)
	for ref := search.Next(); ref != 0; ref = search.Next() {
		if _, payload := l.entry(ref); !f(payload) {
			return
		}
	}
}

// Prefetch asks for the memory where an entry under hash will be indexed.
func (l *Log) Prefetch(hash uint32) {
	l.mu.Lock()
	l.part(hash).Prefetch(hash)
	l.mu.Unlock()
}

// Position is a place in the log; it stays valid while entries come and go.
type Position struct {
	Segment uint64
	Offset  int
}

// Walk calls f with each payload from position from on, oldest first, until f answers false or the end is reached. It
// returns the position after the last payload that f accepted. f is called without any lock; payloads are immutable and
// may be kept.
func (l *Log) Walk(from Position, f func(payload []byte) bool) Position {
	for {
		l.mu.Lock()
		if from.Segment < l.first {
			from = Position{Segment: l.first}
		}
		if from.Segment-l.first >= uint64(len(l.segments)) {
			l.mu.Unlock()
			return from
		}
		i := int(from.Segment - l.first)
		// A segment's bytes are appended to but never moved or changed, so what is there now can be read unlocked.
		s := segment{data: l.segments[i].data}
		last := i == len(l.segments)-1
		l.mu.Unlock()
		// The position may come from outside, or from before a restart: go on at the first entry there or behind.
		offset := unit
		for offset < min(from.Offset, len(s.data)) {
			_, _, offset = s.entry(offset)
		}
		for offset < len(s.data) {
			_, payload, next := s.entry(offset)
			if !f(payload) {
				return Position{from.Segment, offset}
			}
			offset = next
		}
		if last {
			return Position{from.Segment, offset}
		}
		from = Position{Segment: from.Segment + 1}
	}
}

// Stats describes what the log holds.
type Stats struct {
	Count  int
	Bytes  int64
	Oldest int64 // time of the oldest entry, 0 where there is none
}

// Stats returns the present figures.
func (l *Log) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	st := Stats{Count: l.count, Bytes: int64(len(l.segments)) * SegmentBytes}
	for i := range l.index {
		st.Bytes += l.index[i].Bytes()
	}
	if len(l.segments) > 0 {
		st.Oldest = l.segments[0].oldest
	}
	return st
}
