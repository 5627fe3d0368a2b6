package engine_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"onhand/engine"
	"onhand/engine/enginetest"
)

// tours is an engine and what a naive bookkeeper thinks of its transfers: units on hand by cell, and each transfer's lines.
type tours struct {
	db        *enginetest.DB
	onHand    map[engine.CellName]int64
	held      map[engine.CellName]int64
	transfers map[engine.ID]*engine.Transfer
	order     []engine.ID             // in which they were made
	travels   map[engine.ID]engine.ID // transfer → reservation whose units travel along
	reserved  map[engine.ID]map[engine.CellName]int64
	moves     naiveMoves
}

var (
	tourSKUs   = []string{"lamp", "tea", "cup"}
	tourPlaces = []string{"depot", "lyon", "nice"}
)

func (m *tours) move(sku, location string, units int64) {
	m.onHand[engine.CellName{SKU: sku, Location: location}] += units
}

func (m *tours) hold(re engine.ID, sku, location string, units int64) {
	name := engine.CellName{SKU: sku, Location: location}
	m.held[name] += units
	m.reserved[re][name] += units
}

// travel moves what is held of up to so many units from one location to another, "" = nowhere.
func (m *tours) travel(re engine.ID, sku, from, to string, units int64) {
	units = min(units, m.reserved[re][engine.CellName{SKU: sku, Location: from}])
	if m.hold(re, sku, from, -units); to != "" {
		m.hold(re, sku, to, units)
	}
}

func (m *tours) settle(x *engine.Transfer) {
	open, dispatched := false, false
	for _, l := range x.Lines {
		open = open || l.Quantity > l.Dispatched+l.Cancelled || l.InTransit > 0
		dispatched = dispatched || l.Dispatched > 0
	}
	x.State = map[[2]bool]engine.TransferState{
		{true, true}: engine.TransferInTransit, {true, false}: engine.TransferPlanned,
		{false, true}: engine.TransferReceived, {false, false}: engine.TransferCancelled,
	}[[2]bool{open, dispatched}]
}

func (m *tours) count(t *rapid.T) {
	l := drawTour(t)
	if _, err := m.db.SetStock(&engine.SetStockRequest{SKU: l.SKU, Location: l.Location, OnHand: &l.Quantity}); err != nil {
		t.Fatal(err)
	}
	m.onHand[engine.CellName{SKU: l.SKU, Location: l.Location}] = l.Quantity
}

func drawTour(t *rapid.T) engine.Line {
	return engine.Line{
		SKU: rapid.SampledFrom(tourSKUs).Draw(t, "sku"), Location: rapid.SampledFrom(tourPlaces).Draw(t, "location"),
		Quantity: rapid.Int64Range(1, 9).Draw(t, "units"),
	}
}

// plan makes a transfer: planned, dispatched at once, or with a reservation whose units will travel along.
func (m *tours) plan(t *rapid.T) {
	i := rapid.IntRange(0, 5).Draw(t, "route")
	r := engine.TransferRequest{From: tourPlaces[i%3], To: tourPlaces[(i+1+i/3)%3], Dispatch: rapid.Bool().Draw(t, "dispatch")}
	for n := rapid.IntRange(1, 3).Draw(t, "lines"); n > 0; n-- {
		l := drawTour(t)
		r.Lines = append(r.Lines, engine.TransferUnits{SKU: l.SKU, Units: l.Quantity})
	}
	var re engine.ID
	if !r.Dispatch && rapid.Bool().Draw(t, "travels") {
		hold := engine.ReserveRequest{ExpiresIn: engine.HoldMax, Partial: true}
		for _, l := range r.Lines {
			hold.Lines = append(hold.Lines, engine.Line{SKU: l.SKU, Location: r.From, Quantity: l.Units})
		}
		if _, err := m.db.Adjust(&engine.Adjustment{Lines: hold.Lines, Reason: "receipt"}); err != nil {
			t.Fatal(err)
		}
		for _, l := range hold.Lines {
			m.move(l.SKU, l.Location, l.Quantity)
		}
		if made, err := m.db.Reserve(&hold); err == nil { // it may be short of some, or of all
			re = made.ID
			m.reserved[re] = make(map[engine.CellName]int64)
			for _, l := range made.Lines {
				m.hold(re, l.SKU, l.Location, l.Held)
			}
		}
	}
	got, err := m.db.PlanTransfer(&r)
	if unknown := (*engine.UnknownError)(nil); errors.As(err, &unknown) && !r.Dispatch {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	x := &engine.Transfer{ID: got.ID, From: r.From, To: r.To}
	for _, l := range r.Lines {
		at := slices.IndexFunc(x.Lines, func(have engine.TransferLine) bool { return have.SKU == l.SKU })
		if at < 0 {
			at, x.Lines = len(x.Lines), append(x.Lines, engine.TransferLine{SKU: l.SKU})
		}
		x.Lines[at].Quantity += l.Units
	}
	if r.Dispatch {
		for i := range x.Lines {
			m.dispatched(x, &x.Lines[i], x.Lines[i].Quantity)
		}
	}
	m.settle(x)
	m.transfers[x.ID] = x
	m.order = append(m.order, x.ID)
	if re != (engine.ID{}) {
		m.travels[x.ID] = re
	}
	m.same(t, got, nil, x)
}

func (m *tours) dispatched(x *engine.Transfer, l *engine.TransferLine, units int64) {
	l.Dispatched, l.InTransit = l.Dispatched+units, l.InTransit+units
	m.move(l.SKU, x.From, -units)
	m.move(l.SKU, engine.TransitName(x.To), units)
	if re, ok := m.travels[x.ID]; ok {
		m.travel(re, l.SKU, x.From, engine.TransitName(x.To), units)
	}
}

// do moves a transfer: some of its lines or all, as much as can be or more.
func (m *tours) do(t *rapid.T) {
	if len(m.order) == 0 {
		return
	}
	x := m.transfers[rapid.SampledFrom(m.order).Draw(t, "transfer")]
	what := rapid.IntRange(0, 5).Draw(t, "what")
	r := engine.TransferMove{ID: x.ID}
	left := func(l *engine.TransferLine) int64 { return l.Quantity - l.Dispatched - l.Cancelled }
	if what == 0 {
		got, err := m.db.CancelTransfer(&r)
		m.decide(t, x, left, nil, got, err, func() {
			for i := range x.Lines {
				x.Lines[i].Cancelled += left(&x.Lines[i])
			}
		})
		return
	}
	dispatch := what < 3
	if !dispatch {
		left = func(l *engine.TransferLine) int64 { return l.InTransit }
		r.Close = rapid.IntRange(0, 3).Draw(t, "close") == 0
	}
	if rapid.Bool().Draw(t, "by line") {
		for i := range x.Lines {
			units := func(label string) int64 {
				return rapid.Int64Range(0, max(0, left(&x.Lines[i])*2/3+rapid.Int64Range(0, 1).Draw(t, "more"))).Draw(t, label)
			}
			l := engine.TransferUnits{SKU: x.Lines[i].SKU, Units: units("units")}
			if !dispatch {
				l.Damaged, l.Lost = units("damaged"), units("lost")/2
			}
			if l.Units+l.Damaged+l.Lost > 0 {
				r.Lines = append(r.Lines, l)
			}
		}
	}
	re, travels := m.travels[x.ID]
	var got engine.Transfer
	var err error
	switch {
	case travels:
		got, err = m.db.MoveWith(&r, re, dispatch)
	case dispatch:
		got, err = m.db.DispatchTransfer(&r)
	default:
		got, err = m.db.ReceiveTransfer(&r)
	}
	m.decide(t, x, left, r.Lines, got, err, func() {
		for i := range x.Lines {
			l := &x.Lines[i]
			u := engine.TransferUnits{Units: left(l)}
			if len(r.Lines) > 0 || r.Close {
				u = engine.TransferUnits{}
			}
			for _, given := range r.Lines {
				if given.SKU == l.SKU {
					u = given
				}
			}
			if dispatch {
				m.dispatched(x, l, u.Units)
				continue
			}
			if r.Close {
				u.Lost = l.InTransit - u.Units - u.Damaged
			}
			transit := engine.TransitName(x.To)
			l.Received, l.Damaged, l.Lost = l.Received+u.Units, l.Damaged+u.Damaged, l.Lost+u.Lost
			l.InTransit -= u.Units + u.Damaged + u.Lost
			m.move(l.SKU, transit, -u.Units-u.Damaged-u.Lost)
			m.move(l.SKU, x.To, u.Units)
			if travels {
				m.travel(re, l.SKU, transit, x.To, u.Units)
				if held := m.reserved[re][engine.CellName{SKU: l.SKU, Location: transit}]; held > l.InTransit {
					m.travel(re, l.SKU, transit, "", held-l.InTransit)
				}
			}
		}
	})
}

// decide holds an answer against what is left of a transfer, and where it is granted does the same.
func (m *tours) decide(t *rapid.T, x *engine.Transfer, left func(*engine.TransferLine) int64, lines []engine.TransferUnits, got engine.Transfer, err error, do func()) {
	any, refused := false, false
	for i := range x.Lines {
		any = any || left(&x.Lines[i]) > 0
		for _, l := range lines {
			refused = refused || l.SKU == x.Lines[i].SKU && l.Units+l.Damaged+l.Lost > left(&x.Lines[i])
		}
	}
	state, no := (*engine.TransferStateError)(nil), (*engine.RefusedError)(nil)
	switch {
	case !any:
		if !errors.As(err, &state) || state.State != x.State {
			t.Fatalf("nothing is left of %+v, and the answer is %+v, %v", x, got, err)
		}
	case refused:
		if !errors.As(err, &no) {
			t.Fatalf("%+v of %+v: %+v, %v", lines, x, got, err)
		}
	default:
		do()
		m.settle(x)
		m.same(t, got, err, x)
	}
}

func (m *tours) same(t *rapid.T, got engine.Transfer, err error, want *engine.Transfer) {
	if err != nil || got.State != want.State || got.From != want.From || got.To != want.To || !slices.Equal(got.Lines, want.Lines) {
		t.Fatalf("the transfer is %+v, %v\nit should be %+v", got, err, want)
	}
}

func (m *tours) restart(t *rapid.T) {
	switch rapid.IntRange(0, 3).Draw(t, "how") {
	case 0:
		m.db.Restart()
	case 1:
		m.db.Crash(rapid.IntRange(0, 100).Draw(t, "unsynced"), rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "power"), 0)))
	default:
		if err := m.db.Checkpoint(); err != nil {
			t.Fatal(err)
		}
	}
}

func (m *tours) check(t *rapid.T) {
	for name, units := range m.onHand {
		c, err := m.db.Availability(name.SKU, name.Location)
		if err != nil && units == 0 {
			continue
		}
		if err != nil || c.OnHand != units || c.Held != m.held[name] {
			t.Fatalf("%s at %s: %+v, %v; there should be %d, %d held", name.SKU, name.Location, c, err, units, m.held[name])
		}
		if name.Location[:2] == "tr" && c.Available != 0 {
			t.Fatalf("%d of %s at %s can be had, which are on their way", c.Available, name.SKU, name.Location)
		}
	}
	// Each is listed once, in the order in which they were made, and so by either end.
	for _, f := range []engine.TransferFilter{{}, {Location: "lyon"}, {Location: "nice", Incoming: true}, {Location: "depot", Outgoing: true, State: engine.TransferInTransit}} {
		var want, have []engine.ID
		for _, id := range m.order {
			x := m.transfers[id]
			if (f.Location == "" || x.From == f.Location && !f.Incoming || x.To == f.Location && !f.Outgoing) && (f.State == 0 || f.State == x.State) {
				want = append(want, id)
			}
		}
		for after, more := uint64(0), true; more; {
			page, next, err := m.db.Transfers(f, after, 2)
			if unknown := (*engine.UnknownError)(nil); err != nil && !(errors.As(err, &unknown) && len(want) == 0) {
				t.Fatal(err)
			}
			for i := range page {
				m.same(t, page[i], nil, m.transfers[page[i].ID])
				have = append(have, page[i].ID)
			}
			after, more = next, next != 0
		}
		if !slices.Equal(have, want) {
			t.Fatalf("%+v: %v are listed, there are %v", f, have, want)
		}
	}
	for id, x := range m.transfers {
		got, err := m.db.Transfer(id)
		m.same(t, got, err, x)
	}
	m.moves.check(t, m.db)
}

// TestTransfersConserveUnits has transfers go to and fro, some with units that are held, with restarts and crashes between; each
// change, and the state at the end, is audited when the database is closed.
func TestTransfersConserveUnits(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &tours{
			db: enginetest.Open(t, engine.Options{}), onHand: map[engine.CellName]int64{}, held: map[engine.CellName]int64{},
			transfers: map[engine.ID]*engine.Transfer{}, travels: map[engine.ID]engine.ID{}, reserved: map[engine.ID]map[engine.CellName]int64{},
		}
		defer m.db.Close()
		rt.Repeat(map[string]func(*rapid.T){
			"count": m.count, "plan": m.plan, "plan more": m.plan, "move": m.do, "move more": m.do, "move again": m.do,
			"restart": m.restart, "": m.check,
		})
	})
}

// TestTransfersWhileCheckpointsAreWritten has several callers move the same transfers while checkpoints are written, so that these
// hold some of the changes and not others. Nobody receives a unit twice.
func TestTransfersWhileCheckpointsAreWritten(t *testing.T) {
	db := enginetest.Open(t, engine.Options{})
	const skus, each = 8, 1000
	for s := range skus {
		setOnHand(t, db, fmt.Sprint("s", s), "depot", each)
	}
	stop := make(chan struct{})
	var writing, callers sync.WaitGroup
	writing.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				if err := db.Checkpoint(); err != nil {
					t.Error(err)
				}
			}
		}
	})
	seed := enginetest.Rand(t)
	for range 4 {
		r := rand.New(rand.NewPCG(seed.Uint64(), 0))
		callers.Go(func() {
			for range enginetest.Times(60) {
				request := engine.TransferRequest{From: "depot", To: []string{"lyon", "nice"}[r.IntN(2)], Dispatch: true}
				if r.IntN(2) == 0 {
					request.From, request.To = request.To, request.From
				}
				for s := range skus {
					if r.IntN(3) == 0 || s == 0 {
						request.Lines = append(request.Lines, engine.TransferUnits{SKU: fmt.Sprint("s", s), Units: 1 + r.Int64N(9)})
					}
				}
				made, err := db.PlanTransfer(&request)
				if err != nil {
					t.Error(err)
					return
				}
				// Two receive all of it at once: one of them does.
				var granted [2]error
				var both sync.WaitGroup
				for i := range granted {
					both.Go(func() { _, granted[i] = db.ReceiveTransfer(&engine.TransferMove{ID: made.ID}) })
				}
				both.Wait()
				if state := (*engine.TransferStateError)(nil); (granted[0] == nil) == (granted[1] == nil) || !errors.As(errors.Join(granted[:]...), &state) {
					t.Errorf("received twice at once: %v", granted)
				}
			}
		})
	}
	callers.Wait()
	close(stop)
	writing.Wait()
	for s := range skus {
		units := int64(0)
		if err := db.EachCell(fmt.Sprint("s", s), "", func(c *engine.Cell) error { units += c.OnHand; return nil }); err != nil {
			t.Fatal(err)
		}
		if units != each {
			t.Errorf("there were %d of s%d, and there are %d", each, s, units)
		}
	}
	db.Restart()
}

// TestTransfersAreForgotten some time after they have ended, and not before, nor where they are open.
func TestTransfersAreForgotten(t *testing.T) {
	db := enginetest.Open(t, engine.Options{TransferRetention: time.Hour})
	plan := func(to string, dispatch bool) engine.ID {
		t.Helper()
		x, err := db.PlanTransfer(&engine.TransferRequest{From: "depot", To: to, Lines: []engine.TransferUnits{{SKU: "lamp", Units: 1}}, Dispatch: dispatch})
		if err != nil {
			t.Fatal(err)
		}
		return x.ID
	}
	open, first, second := plan("lyon", true), plan("lyon", true), plan("nice", true)
	receive := func(id engine.ID) {
		t.Helper()
		if _, err := db.ReceiveTransfer(&engine.TransferMove{ID: id}); err != nil {
			t.Fatal(err)
		}
	}
	receive(second)
	db.Clock.Advance(40 * time.Minute)
	receive(first)
	if err := db.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	db.Restart()
	known := func() (n int) {
		page, _, err := db.Transfers(engine.TransferFilter{}, 0, 10)
		if err != nil {
			t.Fatal(err)
		}
		return len(page)
	}
	for _, step := range []struct {
		pass time.Duration
		want int
	}{{0, 3}, {21 * time.Minute, 2}, {30 * time.Minute, 2}, {time.Hour, 1}, {1000 * time.Hour, 1}} {
		db.Clock.Advance(step.pass)
		db.ForgetTransfers()
		if n := known(); n != step.want {
			t.Errorf("after another %v there are %d transfers, want %d", step.pass, n, step.want)
		}
	}
	if _, err := db.Transfer(open); err != nil {
		t.Errorf("the open one: %v", err)
	}
	if _, err := db.Transfer(first); err == nil {
		t.Error("one that was forgotten is still read")
	}
}

// TestNoTransferMovesAResource: a pickup slot and a locker compartment are SKUs to the stock map, but nothing that can be sent.
func TestNoTransferMovesAResource(t *testing.T) {
	db := enginetest.Open(t, engine.Options{})
	for _, sku := range []string{"slot:2026-03-02T10:00Z", "compartment:S"} {
		for _, dispatch := range []bool{false, true} {
			_, err := db.PlanTransfer(&engine.TransferRequest{From: "depot", To: "lyon", Lines: []engine.TransferUnits{{SKU: sku, Units: 1}}, Dispatch: dispatch})
			var invalid *engine.InvalidError
			if !errors.As(err, &invalid) || invalid.Field != "lines[0].sku" {
				t.Fatalf("%s, dispatch %v: %v", sku, dispatch, err)
			}
		}
	}
}
