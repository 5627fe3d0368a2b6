package main

import (
	"os"
	"runtime"
)

// spareProcessor lets one goroutine more run at a time than there are processors. One of them is nearly always waiting for
// the disk to make a block durable, and the scheduler would keep a processor idle for it for part of that time. With two
// processors this is worth about an eighth of the reservations per second. A GOMAXPROCS of the operator's own is left
// alone.
func spareProcessor() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	}
}
