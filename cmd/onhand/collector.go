package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// Nearly all memory of the engine is in large blocks without pointers, which cost the garbage collector nothing to keep.
// So it can run when the heap has grown by a tenth, and the process stays near the size of what it holds; but not at
// every turn while the heap is small.
const (
	collectorGrowth   = 10 // percent of what is live
	collectorHeadroom = 64 << 20
	collectorInterval = 5 * time.Second
)

// tuneCollector keeps GOGC such that the heap grows by collectorGrowth, and collectorHeadroom at least, between two
// collections. It leaves a GOGC of the operator's own alone.
func tuneCollector(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	ticker := time.NewTicker(collectorInterval)
	defer ticker.Stop()
	for {
		metrics.Read(sample)
		live := max(int64(sample[0].Value.Uint64()), 1<<20)
		debug.SetGCPercent(int(max(collectorGrowth, collectorHeadroom*100/live)))
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}
