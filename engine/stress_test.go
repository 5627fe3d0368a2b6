package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"onhand/engine"
	"onhand/engine/enginetest"
)

// TestEverythingAtOnce has many callers use every call of the engine at the same time, for the race detector, and then
// holds the units against what the callers were told. The database is checked from end to end when it is closed.
func TestEverythingAtOnce(t *testing.T) {
	const skus, locations, stock = 6, 3, 1000
	db := enginetest.Open(t, engine.Options{CheckpointBytes: 64 << 10})
	sku := func(r *rand.Rand) string { return fmt.Sprint("sku-", r.IntN(skus)) }
	location := func(r *rand.Rand) string { return fmt.Sprint("store-", r.IntN(locations)) }
	for s := range skus {
		for l := range locations {
			setOnHand(t, db, fmt.Sprint("sku-", s), fmt.Sprint("store-", l), stock)
		}
	}
	var added, committed atomic.Int64 // units
	var ids [256]atomic.Pointer[engine.ID]
	someID := func(r *rand.Rand) engine.ID {
		if id := ids[r.IntN(len(ids))].Load(); id != nil {
			return *id
		}
		return engine.ID{1}
	}
	lines := func(r *rand.Rand) []engine.Line {
		all := make([]engine.Line, 1+r.IntN(3))
		for i := range all {
			all[i] = engine.Line{SKU: sku(r), Location: location(r), Quantity: 1 + r.Int64N(20)}
		}
		return all
	}
	reserve := func(r *rand.Rand) error {
		got, err := db.Reserve(&engine.ReserveRequest{
			Lines: lines(r), ExpiresIn: time.Duration(1+r.IntN(5)) * time.Second, Partial: r.IntN(2) == 0, Key: fmt.Sprint("k", r.IntN(500)), Reference: "r",
		})
		if err == nil {
			ids[r.IntN(len(ids))].Store(&got.ID)
		}
		return err
	}
	commit := func(r *rand.Rand) error {
		got, err := db.Commit(&engine.FinishRequest{ID: someID(r)})
		if err == nil {
			for _, l := range got.Lines {
				committed.Add(l.Committed)
			}
		}
		return err
	}
	adjust := func(r *rand.Rand) error {
		units := r.Int64N(20) - 5
		if units == 0 {
			return nil
		}
		_, err := db.Adjust(&engine.Adjustment{Lines: []engine.Line{{SKU: sku(r), Location: location(r), Quantity: units}}, Reason: "count"})
		if err == nil {
			added.Add(units)
		}
		return err
	}
	calls := []func(r *rand.Rand) error{
		reserve, reserve, reserve, commit, commit, adjust,
		func(r *rand.Rand) error {
			results := db.ReserveBatch(nil, []engine.ReserveRequest{{Lines: lines(r), ExpiresIn: time.Second}, {Lines: lines(r), ExpiresIn: time.Second}})
			return errors.Join(results[0].Err, results[1].Err)
		},
		func(r *rand.Rand) error { _, err := db.Release(&engine.FinishRequest{ID: someID(r)}); return err },
		func(r *rand.Rand) error { _, err := db.Extend(someID(r), 20*time.Second, time.Time{}, ""); return err },
		func(r *rand.Rand) error { db.Clock.Advance(100 * time.Millisecond); return nil },
		func(r *rand.Rand) error { _, err := db.Availability(sku(r), location(r)); return err },
		func(r *rand.Rand) error { _, _, err := db.AvailabilityEverywhere(nil, sku(r), 1); return err },
		func(r *rand.Rand) error {
			_, err := db.Query(nil, []engine.CellName{{SKU: sku(r), Location: location(r)}, {SKU: "none", Location: "none"}})
			return err
		},
		func(r *rand.Rand) error { _, err := db.Reservation(someID(r)); return err },
		func(r *rand.Rand) error {
			_, _, err := db.Reservations(engine.ReservationFilter{Location: location(r)}, engine.ReservationCursor{}, 20)
			return err
		},
		func(r *rand.Rand) error {
			_, err := db.PutSKU(engine.SKU{ID: sku(r), DefaultSafetyStock: r.Int64N(9) - 4}, "")
			return err
		},
		func(r *rand.Rand) error {
			_, err := db.PutLocation(engine.Location{ID: location(r), Blocked: r.IntN(4) == 0}, "")
			return err
		},
		func(r *rand.Rand) error {
			id := fmt.Sprint("popup-", r.IntN(3))
			_, err := db.PutLocation(engine.Location{ID: id}, "")
			if r.IntN(2) == 0 {
				_, err = db.DeleteLocation(id, "")
			}
			return err
		},
		func(r *rand.Rand) error {
			blocked := r.IntN(4) == 0
			_, err := db.SetStock(&engine.SetStockRequest{SKU: sku(r), Location: location(r), Blocked: &blocked})
			return err
		},
		func(r *rand.Rand) error {
			im, err := db.BeginImport(fmt.Sprint("file-", r.IntN(50)), engine.ImportDelta, false)
			if err != nil {
				return err
			}
			units := int64(3)
			_, err = im.Apply(nil, []engine.ImportRow{{SKU: sku(r), Location: location(r), OnHand: &units}})
			report, closed := im.Close()
			added.Add(units * int64(report.Applied))
			return errors.Join(err, closed)
		},
		func(r *rand.Rand) error { return db.EachCell("", location(r), func(*engine.Cell) error { return nil }) },
		func(r *rand.Rand) error { db.Stats(); db.Digest(); return nil },
	}
	// What takes long is done by one caller each, all the while.
	background := []func() error{
		db.Checkpoint,
		func() error { _, err := db.Backup(io.Discard); return err },
		func() error {
			_, err := db.Snapshot(engine.Snapshot{
				Location: func(*engine.Location) error { return nil }, SKU: func(*engine.SKU) error { return nil },
				Cell: func(*engine.Cell) error { return nil }, Reservation: func(*engine.Reservation) error { return nil },
			})
			return err
		},
	}
	expected := func(err error) bool {
		var unknown *engine.UnknownError
		var refused *engine.RefusedError
		var state *engine.StateError
		var inUse *engine.InUseError
		var invalid *engine.InvalidError
		return err == nil || errors.As(err, &unknown) || errors.As(err, &refused) || errors.As(err, &state) || errors.As(err, &inUse) ||
			errors.As(err, &invalid) || errors.Is(err, engine.ErrKeyReused) || errors.Is(err, engine.ErrImportRunning)
	}
	seeds := enginetest.Rand(t)
	done, stop := context.WithCancel(context.Background())
	var busy, beside sync.WaitGroup
	for _, call := range background {
		beside.Go(func() {
			for done.Err() == nil {
				if err := call(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	beside.Go(func() {
		for after := uint64(0); done.Err() == nil; {
			if err := db.WaitChanges(done, after); err != nil {
				continue // done
			}
			err := db.Changes(after, func(c *engine.Change) error {
				if c.Sequence != after+1 {
					return fmt.Errorf("change %d comes after %d", c.Sequence, after)
				}
				after = c.Sequence
				return nil
			})
			if err != nil {
				t.Error(err)
				return
			}
		}
	})
	for range 8 {
		r := rand.New(rand.NewPCG(seeds.Uint64(), 0))
		busy.Go(func() {
			for range enginetest.Times(400) {
				if err := calls[r.IntN(len(calls))](r); !expected(err) {
					t.Error(err)
				}
			}
		})
	}
	busy.Wait()
	stop()
	beside.Wait()

	db.Clock.Advance(engine.HoldMax)
	db.Sweep()
	onHand, held := int64(0), int64(0)
	if err := db.EachCell("", "", func(c *engine.Cell) error { onHand += c.OnHand; held += c.Held; return nil }); err != nil {
		t.Fatal(err)
	}
	if want := skus*locations*stock + added.Load() - committed.Load(); onHand != want || held != 0 {
		t.Errorf("%d units on hand and %d held after all deadlines, want %d and 0", onHand, held, want)
	}
}
