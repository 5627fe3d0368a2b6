package engine_test

import (
	"errors"
	"strings"
	"testing"

	"onhand/engine"
	"onhand/engine/enginetest"
	"onhand/engine/internal/record"
	"onhand/engine/internal/reservation"
)

// TestCheckFindsWhatATransferMayNotDo forges moves of a transfer of 5 lamps, of which 3 are in transit.
func TestCheckFindsWhatATransferMayNotDo(t *testing.T) {
	const lamp, depot, lyon, transit = 1, 1, 2, 3
	held := engine.ID{15: 1}
	cell := func(location uint32, onHand int64) record.Cell {
		return record.Cell{SKU: lamp, Location: location, OnHand: onHand}
	}
	for name, c := range map[string]struct {
		forge func(r *record.Record)
		want  string
	}{
		"a unit that arrives twice": {func(r *record.Record) {
			r.Transfer.Moves, r.Transfer.Lines[0].Received = record.TransferReceived, 1
			r.Cells = append(r.Cells, cell(transit, 2), cell(lyon, 2))
		}, "it should move by 1, 0"},
		"a unit that never leaves transit": {func(r *record.Record) {
			r.Transfer.Moves, r.Transfer.Lines[0].Lost = record.TransferLost, 1
		}, "does not write that cell"},
		"more than was dispatched": {func(r *record.Record) {
			r.Transfer.Moves, r.Transfer.Lines[0].Received = record.TransferReceived, 4
			r.Cells = append(r.Cells, cell(transit, -1), cell(lyon, 4))
		}, "becomes"},
		"a unit that comes back": {func(r *record.Record) {
			r.Transfer.Moves, r.Transfer.Lines[0].Dispatched = record.TransferDispatched, 2
			r.Cells = append(r.Cells, cell(transit, 2), cell(depot, 8))
		}, "becomes"},
		"another destination": {func(r *record.Record) {
			r.Transfer.Moves, r.Transfer.To = record.TransferReceived, depot
		}, "becomes"},
		"an end too early": {func(r *record.Record) {
			r.Transfer.Moves, r.Transfer.Lines[0].Received = record.TransferReceived, 3
			r.Transfer.State, r.Transfer.Ended = uint8(engine.TransferReceived), r.Time
			r.Cells = append(r.Cells, cell(transit, 0), cell(lyon, 3))
		}, "should be in_transit"},
		"a move of another name": {func(r *record.Record) {
			r.Transfer.Moves, r.Transfer.Lines[0].Lost = record.TransferDamaged, 1
			r.Cells = append(r.Cells, cell(transit, 2))
		}, "is said to be moved by"},
		"a hold that grows on the way": {func(r *record.Record) {
			r.Transfer.Moves, r.Transfer.Lines[0].Dispatched = record.TransferDispatched, 4
			left := cell(depot, 6)
			left.Held = 1
			way := cell(transit, 4)
			way.Held = 2
			r.Cells = append(r.Cells, left, way)
			r.Reservation = reservation.Reservation{
				ID: held, State: reservation.Held, Created: r.Time, Deadline: r.Time + int64(engine.HoldMax), First: 6,
				Lines: []reservation.Line{{SKU: lamp, Location: depot, Quantity: 2, Released: 1}, {SKU: lamp, Location: transit, Quantity: 2}},
			}
		}, "holds +1"},
		"stock in transit that no transfer has": {func(r *record.Record) {
			r.Kind, r.Transfer = record.StockSet, record.Transfer{}
			r.Cells = append(r.Cells, cell(transit, 9))
		}, "transfers have 3 under way"},
		"a location that something is on its way to": {func(r *record.Record) {
			r.Kind, r.Transfer = record.LocationDeleted, record.Transfer{}
			r.Location = record.Location{ID: lyon}
		}, "transfers are open"},
	} {
		t.Run(name, func(t *testing.T) {
			f := openFaulty(t, enginetest.NewDisk())
			units := int64(10)
			if _, err := f.SetStock(&engine.SetStockRequest{SKU: "lamp", Location: "depot", OnHand: &units}); err != nil {
				t.Fatal(err)
			}
			if _, err := f.PutLocation(engine.Location{ID: "lyon"}, ""); err != nil {
				t.Fatal(err)
			}
			x, err := f.PlanTransfer(&engine.TransferRequest{From: "depot", To: "lyon", Lines: []engine.TransferUnits{{SKU: "lamp", Units: 5}}})
			if err == nil {
				_, err = f.DispatchTransfer(&engine.TransferMove{ID: x.ID, Lines: []engine.TransferUnits{{SKU: "lamp", Units: 3}}})
			}
			if err == nil {
				_, err = f.Reserve(&engine.ReserveRequest{ID: held, Lines: []engine.Line{{SKU: "lamp", Location: "depot", Quantity: 2}}, ExpiresIn: engine.HoldMax})
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := check(t, enginetest.Crash(f.disk, 0, nil)); err != nil {
				t.Fatalf("before: %v", err)
			}
			if err := f.Forge(func(r *record.Record) {
				r.Kind, r.Transfer = record.TransferMoved, f.TransferRecord(x.ID)
				c.forge(r)
			}); err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := check(t, f.disk); !errors.Is(err, engine.ErrBroken) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("check: %v, want %q", err, c.want)
			}
		})
	}
}
