package server

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// lineUp starts one entry of a lane and waits until it is in or stands in line.
func lineUp(g *gate, l lane, result chan<- bool) {
	go func() { result <- g.enter(l) }()
	synctest.Wait()
}

func fill(t *testing.T, g *gate, l lane, n int) {
	t.Helper()
	for range n {
		if !g.enter(l) {
			t.Fatal("a free place was refused")
		}
	}
}

func TestGateGivesFreedPlacesToCommitsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(8, 10, time.Minute)
		fill(t, g, laneWrite, 7)
		fill(t, g, laneFinish, 1)
		writes, finishes := make(chan bool, 2), make(chan bool, 2)
		lineUp(g, laneWrite, writes)
		lineUp(g, laneWrite, writes)
		lineUp(g, laneFinish, finishes)
		lineUp(g, laneFinish, finishes)
		for range 2 {
			g.leave()
			synctest.Wait()
		}
		if len(finishes) != 2 || len(writes) != 0 {
			t.Fatalf("after 2 places became free, %d commits and %d reservations are in", len(finishes), len(writes))
		}
		g.leave()
		synctest.Wait()
		if len(writes) != 0 {
			t.Error("a reservation took the place that is kept for commits")
		}
		g.leave()
		synctest.Wait()
		if len(writes) != 1 {
			t.Errorf("%d reservations are in, want 1", len(writes))
		}
		g.leave()
		synctest.Wait()
		if len(writes) != 2 || !<-writes || !<-writes || !<-finishes || !<-finishes {
			t.Error("someone who waited was sent away")
		}
		for range 7 {
			g.leave()
		}
		if g.running.Load() != 0 || g.waiting.Load() != 0 {
			t.Errorf("in the end %d are in and %d wait", g.running.Load(), g.waiting.Load())
		}
	})
}

func TestGateKeepsPlacesForCommitsWhileReservationsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(8, 3, time.Minute)
		fill(t, g, laneWrite, 7)
		writes := make(chan bool, 4)
		for range 3 {
			lineUp(g, laneWrite, writes)
		}
		if g.enter(laneWrite) {
			t.Error("a reservation got in past those that wait")
		}
		if !g.enter(laneFinish) {
			t.Error("a commit was sent away because reservations wait")
		}
		finishes := make(chan bool, 4)
		for range 3 {
			lineUp(g, laneFinish, finishes)
		}
		if g.enter(laneFinish) {
			t.Error("more commits wait than may")
		}
		for range 14 {
			g.leave()
			synctest.Wait()
		}
		if len(writes) != 3 || len(finishes) != 3 || g.running.Load() != 0 {
			t.Errorf("%d reservations and %d commits got in, %d are still in", len(writes), len(finishes), g.running.Load())
		}
	})
}

func TestGateSendsAwayWhoeverWaitsTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(8, 10, time.Second)
		fill(t, g, laneFinish, 8)
		results := make(chan bool, 2)
		lineUp(g, laneWrite, results)
		lineUp(g, laneFinish, results)
		time.Sleep(time.Second)
		synctest.Wait()
		if len(results) != 2 || <-results || <-results {
			t.Error("those who waited a second are not sent away")
		}
		if g.waiting.Load() != 0 || len(g.queues[0]) != 0 || len(g.queues[1]) != 0 {
			t.Error("those sent away still stand in line")
		}
		g.leave()
		if !g.enter(laneFinish) {
			t.Error("the place that became free is lost")
		}
	})
}

func TestGateLetsNoMoreInThanThereArePlaces(t *testing.T) {
	const places, callers, rounds = 16, 64, 300
	g := newGate(places, callers, time.Minute)
	var mu sync.Mutex
	in, most, mostWrites, writes := 0, 0, 0, 0
	var all sync.WaitGroup
	for i := range callers {
		l := laneWrite
		if i%4 == 0 {
			l = laneFinish
		}
		all.Go(func() {
			for range rounds {
				if !g.enter(l) {
					t.Error("a caller was sent away though all may wait")
					return
				}
				mu.Lock()
				in++
				most = max(most, in)
				if l == laneWrite {
					writes++
					mostWrites = max(mostWrites, writes)
				}
				mu.Unlock()
				mu.Lock()
				in--
				if l == laneWrite {
					writes--
				}
				mu.Unlock()
				g.leave()
			}
		})
	}
	all.Wait() // it ends only if no wake-up is lost
	if most > places || mostWrites > places-places/8 {
		t.Errorf("up to %d were in at a time, %d of them reservations; there are %d places, %d for commits only", most, mostWrites, places, places/8)
	}
	if g.running.Load() != 0 || g.waiting.Load() != 0 {
		t.Errorf("in the end %d are in and %d wait", g.running.Load(), g.waiting.Load())
	}
}
