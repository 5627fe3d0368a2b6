package server

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// lane is what a route's requests queue for.
type lane uint8

const (
	// laneFree: reads; they hold nothing and wait for nobody.
	laneFree lane = iota
	// laneFinish: commits, releases and extensions. They go before new reservations, as they end work under way.
	laneFinish
	// laneWrite: all other writes.
	laneWrite
	// laneImport and laneStream: long requests, in a small number each.
	laneImport
	laneStream
)

// gate lets a bounded number of writes run at a time and a bounded number of each lane wait, those of laneFinish first.
type gate struct {
	places  int64 // writes at a time
	kept    int64 // of those, places that only laneFinish may take
	queue   int   // how many may wait, by lane: a flood of reservations must not turn commits away
	timeout time.Duration

	running atomic.Int64
	waiting atomic.Int64

	// mu guards the queues. Whoever gives a place back hands it to the first in line.
	mu     sync.Mutex
	queues [2][]*waiter // laneFinish, laneWrite
}

type waiter struct{ admitted chan struct{} }

func newGate(places, queue int, timeout time.Duration) *gate {
	return &gate{places: int64(places), kept: int64(places) / 8, queue: queue, timeout: timeout}
}

func (g *gate) limit(l lane) int64 {
	if l == laneFinish {
		return g.places
	}
	return g.places - g.kept
}

// enter takes a place, waiting for one if need be. It answers false where the queue is full or the wait too long.
func (g *gate) enter(l lane) bool {
	if g.waiting.Load() == 0 {
		if g.running.Add(1) <= g.limit(l) {
			return true
		}
		g.leave()
	}
	w := &waiter{admitted: make(chan struct{})}
	g.mu.Lock()
	q := &g.queues[l-laneFinish]
	g.waiting.Add(1)
	*q = append(*q, w)
	g.admit() // there may be a place: one became free just now, or those who wait may not have it
	if len(*q) > g.queue {
		(*q)[len(*q)-1] = nil
		*q = (*q)[:len(*q)-1] // ourselves: nobody came since
		g.waiting.Add(-1)
		g.mu.Unlock()
		return false
	}
	g.mu.Unlock()
	timer := time.NewTimer(g.timeout)
	defer timer.Stop()
	select {
	case <-w.admitted:
		return true
	case <-timer.C:
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, have := range *q {
		if have == w {
			*q = append((*q)[:i], (*q)[i+1:]...)
			g.waiting.Add(-1)
			return false
		}
	}
	return true // admitted at the last moment
}

// leave gives a place back.
func (g *gate) leave() {
	g.running.Add(-1)
	if g.waiting.Load() > 0 {
		g.mu.Lock()
		g.admit()
		g.mu.Unlock()
	}
}

// admit lets in whoever is first in line, as far as there are places. The caller holds mu.
func (g *gate) admit() {
	for i := range g.queues {
		q := &g.queues[i]
		for len(*q) > 0 {
			if g.running.Add(1) > g.limit(laneFinish+lane(i)) {
				g.running.Add(-1)
				break
			}
			close((*q)[0].admitted)
			(*q)[0] = nil
			*q = (*q)[1:]
			g.waiting.Add(-1)
		}
	}
}

// enter takes a place in a route's lane and returns how to give it back, or a problem.
func (s *Server) enter(l lane) (leave func(), p *problem) {
	switch l {
	case laneFinish, laneWrite:
		if s.gate.enter(l) {
			return s.gate.leave, nil
		}
	case laneImport:
		if take(s.imports) {
			return s.leaveImport, nil
		}
	case laneStream:
		if take(s.streams) {
			return s.leaveStream, nil
		}
	case laneFree:
		return nothing, nil
	}
	s.metrics.overloaded(l)
	return nil, &problem{
		status: fasthttp.StatusServiceUnavailable, kind: "overloaded", title: "The server has more to do than it should",
		detail: "nothing was done; try again", retryAfter: 1,
	}
}

func nothing() {}

// take takes a place in a bounded set, or answers false where there is none.
func take(places chan struct{}) bool {
	select {
	case places <- struct{}{}:
		return true
	default:
		return false
	}
}
