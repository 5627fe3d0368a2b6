package engine_test

import (
	"testing"
	"time"

	"onhand/engine"
	"onhand/engine/enginetest"
)

// TestWhatSomebodyAskedForIsRetained has changes grow old: they are let go of at RetentionAge, unless somebody asked for
// them, and then at RetainMax.
func TestWhatSomebodyAskedForIsRetained(t *testing.T) {
	db := enginetest.Open(t, engine.Options{RetentionAge: time.Minute})
	defer db.Close()
	age := func(by time.Duration) (first uint64) {
		t.Helper()
		for range 3 { // the journal is trimmed behind the older of two checkpoints
			for range 5 {
				if _, err := db.Adjust(&engine.Adjustment{Lines: []engine.Line{{SKU: "lamp", Location: "lyon", Quantity: 1}}, Reason: "receipt"}); err != nil {
					t.Fatal(err)
				}
			}
			db.Clock.Advance(by)
			if err := db.Checkpoint(); err != nil {
				t.Fatal(err)
			}
		}
		first, err := db.FirstRetained()
		if err != nil {
			t.Fatal(err)
		}
		return first
	}
	db.Retain(0)
	if first := age(time.Hour); first != 1 {
		t.Fatalf("all was asked for, and the first change kept is %d", first)
	}
	db.Retain(7)
	if first := age(time.Hour); first == 1 || first > 8 {
		t.Fatalf("what comes after 7 was asked for, and the first change kept is %d", first)
	}
	if first := age(40 * time.Hour); first <= 8 {
		t.Fatalf("after five days the first change kept is %d", first)
	}
	db.Retain(1<<64 - 2)
	last := db.Durable()
	if first := age(time.Hour); first <= last-5 {
		t.Fatalf("nothing is asked for, and the first change kept is %d of %d", first, last)
	}
}
