// Package chunked holds append-only lists whose elements never move, so that one goroutine may grow a list while others
// read it without a lock.
package chunked

import (
	"sync"
	"sync/atomic"
)

// chunkBits is the number of elements in a chunk as a power of two. Small enough that an engine with a handful of
// locations stays small, large enough that the directory of a million elements has only a thousand entries.
const (
	chunkBits = 10
	chunkSize = 1 << chunkBits
)

type chunk[T any] [chunkSize]T

// List is a list of T indexed from 0. The zero List is empty and ready to use. An element's address is stable for the
// list's lifetime; what the elements hold is for the caller to guard.
type List[T any] struct {
	// grow serialises growth; readers go through the directory, which is replaced as a whole.
	grow      sync.Mutex
	directory atomic.Pointer[[]*chunk[T]]
}

// At returns the element at i, growing the list as needed.
func (l *List[T]) At(i uint32) *T {
	if p := l.Peek(i); p != nil {
		return p
	}
	l.grow.Lock()
	defer l.grow.Unlock()
	if p := l.Peek(i); p != nil {
		return p
	}
	var old []*chunk[T]
	if d := l.directory.Load(); d != nil {
		old = *d
	}
	next := make([]*chunk[T], i>>chunkBits+1)
	copy(next, old)
	for n := len(old); n < len(next); n++ {
		next[n] = new(chunk[T])
	}
	l.directory.Store(&next)
	return &next[i>>chunkBits][i&(chunkSize-1)]
}

// Peek returns the element at i, or nil where the list has not grown that far.
func (l *List[T]) Peek(i uint32) *T {
	d := l.directory.Load()
	if d == nil || int(i>>chunkBits) >= len(*d) {
		return nil
	}
	return &(*d)[i>>chunkBits][i&(chunkSize-1)]
}

// Len returns one past the largest index that Peek answers.
func (l *List[T]) Len() uint32 {
	d := l.directory.Load()
	if d == nil {
		return 0
	}
	return uint32(len(*d)) << chunkBits
}
