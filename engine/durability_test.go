package engine_test

import (
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"testing"
	"time"

	"onhand/engine"
	"onhand/engine/enginetest"
)

// one returns a line of one unit.
func one(sku, location string) []engine.Line {
	return []engine.Line{{SKU: sku, Location: location, Quantity: 1}}
}

func setOnHand(t testing.TB, db *enginetest.DB, sku, location string, units int64) engine.StockChange {
	t.Helper()
	change, err := db.SetStock(&engine.SetStockRequest{SKU: sku, Location: location, OnHand: &units})
	if err != nil {
		t.Fatal(err)
	}
	return change
}

func reserve(t testing.TB, db *enginetest.DB, r engine.ReserveRequest) engine.Reservation {
	t.Helper()
	out, err := db.Reserve(&r)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// answer is what a call said, in a form that can be compared.
func answer(values ...any) string {
	text := ""
	for _, v := range values {
		if err, ok := v.(error); ok {
			v = fmt.Sprintf("%T %v", err, err)
		}
		text += fmt.Sprintf("%+v\n", v)
	}
	return text
}

// TestAnswersWaitForTheDisk holds up the sync that would make a change durable, and looks at the change in every way there
// is. As the power may go now, no answer may rest on it: it is the answer from before, or there is none yet.
func TestAnswersWaitForTheDisk(t *testing.T) {
	id := engine.ID{15: 7}
	held := engine.ReserveRequest{ID: id, Lines: one("lamp", "lyon"), Reference: "order-1", ExpiresIn: time.Minute}
	hold := func(db *enginetest.DB) error { _, err := db.Reserve(&held); return err }
	release := func(db *enginetest.DB) error { _, err := db.Release(&engine.FinishRequest{ID: id}); return err }
	setStock := func(sku, location string, key string) func(db *enginetest.DB) error {
		return func(db *enginetest.DB) error {
			units := int64(7)
			_, err := db.SetStock(&engine.SetStockRequest{SKU: sku, Location: location, OnHand: &units, Key: key})
			return err
		}
	}
	deleteRome := func(db *enginetest.DB) error { _, err := db.DeleteLocation("rome", ""); return err }
	putRome := func(db *enginetest.DB) error {
		_, err := db.PutLocation(engine.Location{ID: "rome", Name: "Roma", Blocked: true}, "")
		return err
	}
	putLamp := func(db *enginetest.DB) error {
		_, err := db.PutSKU(engine.SKU{ID: "lamp", Title: "Lamp", DefaultSafetyStock: 2}, "")
		return err
	}
	expire := func(db *enginetest.DB) error { db.Clock.Advance(time.Minute); return nil }
	importRow := func(db *enginetest.DB) error {
		units := int64(3)
		im, err := db.BeginImport("monday", engine.ImportDelta, false)
		if err != nil {
			return err
		}
		_, err = im.Apply(nil, []engine.ImportRow{{SKU: "lamp", Location: "lyon", OnHand: &units}})
		_, closed := im.Close()
		return errors.Join(err, closed)
	}

	availability := func(sku, location string) func(*enginetest.DB) string {
		return func(db *enginetest.DB) string { c, err := db.Availability(sku, location); return answer(c, err) }
	}
	everywhere := func(db *enginetest.DB) string {
		cells, sequence, err := db.AvailabilityEverywhere(nil, "lamp", 0)
		return answer(cells, sequence, err)
	}
	query := func(sku, location string) func(*enginetest.DB) string {
		return func(db *enginetest.DB) string {
			results, err := db.Query(nil, []engine.CellName{{SKU: sku, Location: location}})
			return answer(results[0].Cell, results[0].Err, err)
		}
	}
	cells := func(db *enginetest.DB) string {
		text := ""
		err := db.EachCell("", "", func(c *engine.Cell) error { text += answer(*c); return nil })
		return answer(text, err)
	}
	snapshot := func(db *enginetest.DB) string {
		text := ""
		_, err := db.Snapshot(engine.Snapshot{
			Location:    func(l *engine.Location) error { text += answer(*l); return nil },
			SKU:         func(s *engine.SKU) error { text += answer(*s); return nil },
			Cell:        func(c *engine.Cell) error { text += answer(*c); return nil },
			Reservation: func(r *engine.Reservation) error { text += answer(*r); return nil },
			Transfer:    func(x *engine.Transfer) error { text += answer(*x); return nil },
		})
		return answer(text, err)
	}
	location := func(db *enginetest.DB) string { l, err := db.Location("rome"); return answer(l, err) }
	locations := func(db *enginetest.DB) string {
		l, next, err := db.Locations(0, engine.LocationFilter{}, 10)
		return answer(l, next, err)
	}
	sku := func(id string) func(*enginetest.DB) string {
		return func(db *enginetest.DB) string { s, err := db.SKU(id); return answer(s, err) }
	}
	skus := func(db *enginetest.DB) string { s, next, err := db.SKUs(0, 10); return answer(s, next, err) }
	reservation := func(db *enginetest.DB) string { r, err := db.Reservation(id); return answer(r, err) }
	list := func(f engine.ReservationFilter) func(*enginetest.DB) string {
		return func(db *enginetest.DB) string {
			page, _, err := db.Reservations(f, engine.ReservationCursor{}, 10)
			return answer(page, err)
		}
	}
	changes := func(db *enginetest.DB) string {
		text := ""
		err := db.Changes(0, func(c *engine.Change) error { text += answer(c.Sequence, c.Kind); return nil })
		return answer(text, err)
	}

	transfer := func(db *enginetest.DB) error {
		_, err := db.PlanTransfer(&engine.TransferRequest{From: "lyon", To: "rome", Lines: []engine.TransferUnits{{SKU: "lamp", Units: 2}}, Dispatch: true, Key: "key-2"})
		return err
	}
	receive := func(db *enginetest.DB) error {
		page, _, err := db.Transfers(engine.TransferFilter{}, 0, 1)
		if err == nil {
			_, err = db.ReceiveTransfer(&engine.TransferMove{ID: page[0].ID})
		}
		return err
	}
	transfers := func(db *enginetest.DB) string {
		page, _, err := db.Transfers(engine.TransferFilter{}, 0, 10)
		return answer(page, err)
	}

	type deed = func(*enginetest.DB) error
	for _, c := range []struct {
		name string
		// before is done, and durable, before the change is.
		before, change deed
		// reads change nothing, so they may answer as they would have before. Other commands must not answer at all.
		reads    map[string]func(*enginetest.DB) string
		commands map[string]deed
	}{
		{name: "stock set", change: setStock("lamp", "lyon", ""), reads: map[string]func(*enginetest.DB) string{
			"availability": availability("lamp", "lyon"), "everywhere": everywhere, "query": query("lamp", "lyon"),
			"cells": cells, "snapshot": snapshot, "changes": changes,
		}, commands: map[string]deed{
			"compare and set": func(db *enginetest.DB) error {
				sequence, units := uint64(2), int64(1)
				_, err := db.SetStock(&engine.SetStockRequest{SKU: "lamp", Location: "lyon", OnHand: &units, IfSequence: &sequence})
				return err
			},
			"refusal": func(db *enginetest.DB) error {
				_, err := db.Reserve(&engine.ReserveRequest{Lines: []engine.Line{{SKU: "lamp", Location: "lyon", Quantity: 99}}})
				return err
			},
		}},
		{name: "sku made known", change: setStock("sofa", "lyon", ""), reads: map[string]func(*enginetest.DB) string{
			"availability": availability("sofa", "lyon"), "elsewhere": availability("sofa", "rome"), "query": query("sofa", "lyon"),
			"sku": sku("sofa"), "skus": skus, "cells": cells, "snapshot": snapshot,
		}},
		{name: "location made known", change: setStock("lamp", "oslo", ""), reads: map[string]func(*enginetest.DB) string{
			"availability": availability("lamp", "oslo"), "other sku": availability("bulb", "oslo"), "locations": locations,
			"query": query("bulb", "oslo"),
		}},
		{name: "location stored", change: putRome, reads: map[string]func(*enginetest.DB) string{
			"location": location, "locations": locations, "availability": availability("bulb", "rome"), "snapshot": snapshot,
			"not stocked": availability("lamp", "rome"), "query": query("lamp", "rome"),
		}},
		{name: "location deleted", change: deleteRome, reads: map[string]func(*enginetest.DB) string{
			"location": location, "locations": locations, "availability": availability("bulb", "rome"), "snapshot": snapshot,
			"query": query("bulb", "rome"), "list": list(engine.ReservationFilter{Location: "rome"}),
			"cells": func(db *enginetest.DB) string {
				return answer(db.EachCell("", "rome", func(*engine.Cell) error { return nil }))
			},
		}, commands: map[string]deed{
			"reserve": func(db *enginetest.DB) error {
				_, err := db.Reserve(&engine.ReserveRequest{Lines: one("bulb", "rome")})
				return err
			},
			"delete": deleteRome,
		}},
		{name: "sku stored", change: putLamp, reads: map[string]func(*enginetest.DB) string{
			"sku": sku("lamp"), "skus": skus, "availability": availability("lamp", "lyon"), "everywhere": everywhere, "snapshot": snapshot,
		}},
		{name: "hold", change: hold, reads: map[string]func(*enginetest.DB) string{
			"reservation": reservation, "list": list(engine.ReservationFilter{}), "availability": availability("lamp", "lyon"),
			"by reference": list(engine.ReservationFilter{Reference: "order-1"}), "snapshot": snapshot,
		}, commands: map[string]deed{
			"retry": hold,
			"other body": func(db *enginetest.DB) error {
				other := held
				other.Reference = "order-2"
				_, err := db.Reserve(&other)
				return err
			},
			"refusal": func(db *enginetest.DB) error {
				_, err := db.Reserve(&engine.ReserveRequest{Lines: []engine.Line{{SKU: "lamp", Location: "lyon", Quantity: 5}}})
				return err
			},
			"delete": func(db *enginetest.DB) error { _, err := db.DeleteLocation("lyon", ""); return err },
		}},
		{name: "release", before: hold, change: release, reads: map[string]func(*enginetest.DB) string{
			"reservation": reservation, "list": list(engine.ReservationFilter{}), "snapshot": snapshot,
			"held": list(engine.ReservationFilter{State: engine.Held}), "by reference": list(engine.ReservationFilter{Reference: "order-1"}),
		}, commands: map[string]deed{
			"commit": func(db *enginetest.DB) error { _, err := db.Commit(&engine.FinishRequest{ID: id}); return err },
			"extend": func(db *enginetest.DB) error { _, err := db.Extend(id, time.Hour, time.Time{}, ""); return err },
		}},
		{name: "expiry", before: hold, change: expire, reads: map[string]func(*enginetest.DB) string{
			"reservation": reservation, "list": list(engine.ReservationFilter{}), "snapshot": snapshot,
			"held": list(engine.ReservationFilter{State: engine.Held}),
		}, commands: map[string]deed{"commit": func(db *enginetest.DB) error {
			_, err := db.Commit(&engine.FinishRequest{ID: id})
			return err
		}}},
		{name: "keyed write", change: setStock("lamp", "lyon", "key-1"), commands: map[string]deed{
			"retry":      setStock("lamp", "lyon", "key-1"),
			"other body": setStock("lamp", "rome", "key-1"),
		}},
		{name: "transfer received", before: transfer, change: receive, reads: map[string]func(*enginetest.DB) string{
			"transfers": transfers, "snapshot": snapshot, "availability": availability("lamp", "rome"),
			"in transit": func(db *enginetest.DB) string {
				units, _, err := db.InTransit("lamp", "rome")
				return answer(units, err)
			},
		}, commands: map[string]deed{
			"delete": func(db *enginetest.DB) error { _, err := db.DeleteLocation("rome", ""); return err },
			"again":  receive,
		}},
		{name: "import", change: importRow, commands: map[string]deed{"repeated": func(db *enginetest.DB) error {
			for {
				err := importRow(db)
				if !errors.Is(err, engine.ErrImportRunning) {
					return err
				}
				runtime.Gosched()
			}
		}}},
	} {
		prepare := func(t *testing.T) *enginetest.DB {
			db := enginetest.Open(t, engine.Options{})
			setOnHand(t, db, "lamp", "lyon", 5)
			setOnHand(t, db, "bulb", "rome", 0)
			if c.before != nil {
				if err := c.before(db); err != nil {
					t.Fatal(err)
				}
			}
			return db
		}
		for name, read := range c.reads {
			t.Run(c.name+"/"+name, func(t *testing.T) {
				db := prepare(t)
				before := read(db)
				whileHeldUp(t, db, c.change, func() string { return read(db) }, func(early string) {
					// A page's cursor and the like may differ; what counts is that the change can't be seen.
					if early != before {
						t.Errorf("before the change was durable the answer was\n%s\nbefore it, it was\n%s", early, before)
					}
				})
				if after := read(db); after == before && c.name != "expiry" {
					t.Errorf("the change is not seen at all: %s", after)
				}
			})
		}
		for name, command := range c.commands {
			t.Run(c.name+"/"+name, func(t *testing.T) {
				db := prepare(t)
				whileHeldUp(t, db, c.change, func() string { return answer(command(db)) }, func(early string) {
					t.Errorf("before the change was durable the answer was\n%s", early)
				})
			})
		}
	}
}

// whileHeldUp begins a change that can't become durable, and look. What look answers before the change is durable is
// given to early.
func whileHeldUp(t *testing.T, db *enginetest.DB, change func(*enginetest.DB) error, look func() string, early func(string)) {
	t.Helper()
	release := db.HoldSyncs()
	defer release()
	last := db.Durable()
	changed := make(chan error, 1)
	go func() { changed <- change(db) }()
	for appended, _ := db.Digest(); appended == last; appended, _ = db.Digest() {
		runtime.Gosched()
	}
	looked := make(chan string, 1)
	go func() { looked <- look() }()
	for range 1000 {
		select {
		case text := <-looked:
			early(text)
			release()
			if err := <-changed; err != nil {
				t.Error(err)
			}
			return
		default:
			runtime.Gosched()
		}
	}
	release()
	if err := <-changed; err != nil {
		t.Error(err)
	}
	<-looked
}

// TestFirstOpenIsDurable pulls the plug after the very first write: not even the names of the new directories are lost.
func TestFirstOpenIsDurable(t *testing.T) {
	db := enginetest.Open(t, engine.Options{})
	setOnHand(t, db, "lamp", "lyon", 5)
	db.Crash(0, enginetest.Rand(t))
	if c, err := db.Availability("lamp", "lyon"); err != nil || c.OnHand != 5 {
		t.Errorf("after the crash: %+v, %v", c, err)
	}
}

// TestNamesAreForgottenWithTheirChange makes a SKU known by a change that is refused: nobody may see it.
func TestNamesAreForgottenWithTheirChange(t *testing.T) {
	db := enginetest.Open(t, engine.Options{})
	setOnHand(t, db, "lamp", "lyon", 5)
	sequence, units := uint64(99), int64(1)
	_, err := db.SetStock(&engine.SetStockRequest{SKU: "sofa", Location: "lyon", OnHand: &units, IfSequence: &sequence})
	if want := new(engine.SequenceError); !errors.As(err, &want) {
		t.Fatal(err)
	}
	look := func() []string {
		_, err := db.SKU("sofa")
		_, err2 := db.Availability("sofa", "lyon")
		all, _, err3 := db.SKUs(0, 10)
		return []string{answer(err), answer(err2), answer(all, err3)}
	}
	before := look()
	db.Restart()
	if after := look(); !reflect.DeepEqual(before, after) {
		t.Errorf("before the restart: %q\nafter it: %q", before, after)
	}
}
