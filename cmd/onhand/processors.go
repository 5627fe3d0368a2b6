package main

import (
	"context"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"onhand/engine"
)

// processors keeps GOMAXPROCS at the number of processors, and at one more while the journal waits for the disk most of the
// time. One goroutine is then nearly always in a sync, and the scheduler would keep a processor idle for it for a part of
// that time. Where nothing is written a spare one only makes the kernel switch between threads.
type processors struct {
	synced atomic.Int64 // ns that syncs took since the last look
	spare  bool
}

// The shares of the time spent in syncs from which on there is a spare processor, and below which there is none. Where it
// begins to pay lies between them; they are apart, as a change stops all goroutines for a moment.
// docs/decisions/0009-a-spare-processor.md has the measurements.
const (
	spareFrom      = 0.4
	spareUntil     = 0.2
	spareLookEvery = 100 * time.Millisecond
)

// watch has p told of each sync that o is told of.
func (p *processors) watch(o *engine.Observer) {
	block := o.Block
	o.Block = func(records, bytes int, took time.Duration) {
		p.synced.Add(int64(took))
		block(records, bytes, took)
	}
}

// tune adjusts GOMAXPROCS until ctx ends. It leaves one of the operator's own alone.
func (p *processors) tune(ctx context.Context) {
	if os.Getenv("GOMAXPROCS") != "" {
		return
	}
	ticker := time.NewTicker(spareLookEvery)
	defer ticker.Stop()
	for last := time.Now(); ; {
		select {
		case now := <-ticker.C:
			p.adjust(now.Sub(last))
			last = now
		case <-ctx.Done():
			return
		}
	}
}

// adjust decides by what was told within the time since it was last called.
func (p *processors) adjust(since time.Duration) {
	share := float64(p.synced.Swap(0)) / float64(since)
	switch {
	case !p.spare && share >= spareFrom:
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
		p.spare = true
	case p.spare && share < spareUntil:
		runtime.SetDefaultGOMAXPROCS() // which follows the container's limit
		p.spare = false
	}
}
