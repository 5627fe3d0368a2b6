package main

import (
	"runtime"
	"testing"
	"time"

	"onhand/engine"
)

// TestASpareProcessorWhileTheDiskIsBusy tells of syncs second by second.
func TestASpareProcessorWhileTheDiskIsBusy(t *testing.T) {
	runtime.SetDefaultGOMAXPROCS()
	defer runtime.SetDefaultGOMAXPROCS()
	usual := runtime.GOMAXPROCS(0)
	var p processors
	told := 0
	o := engine.Observer{Block: func(records, bytes int, took time.Duration) { told += records }}
	p.watch(&o)
	for i, second := range []struct {
		blocks int
		took   time.Duration
		spare  int
	}{
		{0, 0, 0},
		{300, time.Millisecond, 0}, // some writes
		{900, time.Millisecond, 1},
		{300, time.Millisecond, 1}, // not yet few enough
		{900, time.Millisecond, 1}, // not a second one
		{100, time.Millisecond, 0},
		{1, 500 * time.Millisecond, 1}, // a slow disk
		{0, 0, 0},
	} {
		for range second.blocks {
			o.Block(2, 100, second.took)
		}
		p.adjust(time.Second)
		if got := runtime.GOMAXPROCS(0) - usual; got != second.spare {
			t.Errorf("second %d, %d blocks of %v: %d spare processors, want %d", i, second.blocks, second.took, got, second.spare)
		}
	}
	if want := 2 * (300 + 900 + 300 + 900 + 100 + 1); told != want {
		t.Errorf("%d records were passed on, of %d", told, want)
	}
}
