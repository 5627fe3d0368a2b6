package engine_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"onhand/engine"
	"onhand/engine/enginetest"
)

// convoy is a store, its suppliers and the orders that are sent to it, with a count of what there was at first.
type convoy struct {
	db     *enginetest.DB
	total  map[string]int64 // units that came in, less those that a count has taken off
	orders []engine.ID
	before map[engine.ID]engine.Order // as they were when they were looked at last
	seen   map[engine.OrderState]bool
	moves  naiveMoves
}

var (
	convoySKUs   = []string{"lamp", "tea"}
	convoyPlaces = []string{"lyon", "depot", "nice"} // the first is the store
)

func (m *convoy) draw(t *rapid.T, what string, choose func(*engine.Order) bool) *engine.Order {
	var some []engine.ID
	for _, id := range m.orders {
		if o := m.before[id]; choose(&o) {
			some = append(some, id)
		}
	}
	if len(some) == 0 {
		t.Skip("there is no such order")
	}
	o := m.before[rapid.SampledFrom(some).Draw(t, what)]
	return &o
}

// place orders some of each SKU, from any of the places, to be collected in the store.
func (m *convoy) place(t *rapid.T) {
	r := engine.PlaceOrderRequest{Location: "lyon", Fulfilment: engine.PickupAfter}
	r.OnShort = rapid.SampledFrom([]engine.OnShort{engine.OnShortAsk, engine.OnShortTransfer}).Draw(t, "on short")
	for n := rapid.IntRange(1, 4).Draw(t, "lines"); n > 0; n-- {
		r.Lines = append(r.Lines, engine.Line{
			SKU: rapid.SampledFrom(convoySKUs).Draw(t, "sku"), Location: rapid.SampledFrom(convoyPlaces).Draw(t, "from"), Quantity: rapid.Int64Range(1, 4).Draw(t, "units"),
		})
	}
	o, err := m.db.PlaceOrder(&r)
	if err != nil {
		if !errors.As(err, new(*engine.RefusedError)) {
			t.Fatal(err)
		}
		return
	}
	m.orders = append(m.orders, o.ID)
	m.check(t)
}

// move moves an order and holds what comes of it against what may.
func (m *convoy) move(t *rapid.T, r *engine.MoveRequest) (engine.Order, error) {
	before := m.before[r.ID]
	o, err := m.db.MoveOrder(r)
	now, failed := m.db.Order(r.ID)
	if failed != nil {
		t.Fatal(failed)
	}
	switch {
	case err == nil && !slices.Contains(r.Move.From(), before.State):
		t.Fatalf("%s, from %s: %+v", r.Move, before.State, o)
	case err == nil && (now.State != o.State || now.Sequence != o.Sequence):
		t.Fatalf("%s answers %+v, and the order is %+v", r.Move, o, now)
	case err != nil && now.Sequence != before.Sequence:
		t.Fatalf("%s was refused, %v, and the order has become %+v", r.Move, err, now)
	case err != nil && !errors.As(err, new(*engine.OrderStateError)) && !errors.As(err, new(*engine.RefusedError)) && !errors.As(err, new(*engine.InvalidError)):
		t.Fatalf("%s: %v", r.Move, err)
	}
	return o, err
}

func someUnits(t *rapid.T, o *engine.Order) (some []engine.OrderQuantity) {
	if rapid.Bool().Draw(t, "all of it") {
		return nil
	}
	for i := range o.Lines {
		if l := &o.Lines[i]; l.Open > 0 && rapid.Bool().Draw(t, "of this line") {
			some = append(some, engine.OrderQuantity{SKU: l.SKU, Quantity: rapid.Int64Range(1, l.Open).Draw(t, "units")})
		}
	}
	return some
}

func (m *convoy) dispatch(t *rapid.T) {
	o := m.draw(t, "dispatched", (*engine.Order).Live)
	r := engine.MoveRequest{ID: o.ID, Move: engine.MoveDispatch, Lines: someUnits(t, o)}
	r.Location = rapid.SampledFrom([]string{"", "depot", "nice"}).Draw(t, "from")
	if after, err := m.move(t, &r); err == nil && (after.State != engine.InTransit || len(after.Transfers) != len(o.Transfers)+1) {
		t.Fatalf("%+v", after)
	}
	m.check(t)
}

// heldFor returns the units that are held for an order, by cell.
func (m *convoy) heldFor(t *rapid.T, o *engine.Order) map[engine.CellName]int64 {
	all := make(map[engine.CellName]int64)
	if !o.Live() {
		return all
	}
	re, err := m.db.Reservation(o.Reservation)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range re.Lines {
		all[engine.CellName{SKU: l.SKU, Location: l.Location}] += l.Held
	}
	return all
}

// coming returns the units that are on their way for an order by the transfers that are under way.
func (m *convoy) coming(t *rapid.T, o *engine.Order) map[string]int64 {
	all := make(map[string]int64)
	if !o.Live() {
		return all
	}
	for _, id := range o.Transfers {
		x, err := m.db.Transfer(id)
		if err != nil || x.State != engine.TransferInTransit || x.Order != o.ID {
			t.Fatalf("%+v, %v", x, err)
		}
		for _, l := range x.Lines {
			all[l.SKU] += l.InTransit
		}
	}
	return all
}

// receive says what became of a transfer, for an order that waits for it or has ended meanwhile: by the order or by the transfer.
func (m *convoy) receive(t *rapid.T) {
	under := func(o *engine.Order) (ids []engine.ID) {
		for _, id := range o.Transfers {
			if x, err := m.db.Transfer(id); err != nil || x.State == engine.TransferInTransit {
				ids = append(ids, id)
			}
		}
		return ids
	}
	o := m.draw(t, "received", func(o *engine.Order) bool { return len(under(o)) > 0 })
	id := rapid.SampledFrom(under(o)).Draw(t, "transfer")
	x, err := m.db.Transfer(id)
	if err != nil {
		t.Fatal(err)
	}
	r := engine.TransferMove{ID: id, Close: rapid.IntRange(0, 3).Draw(t, "close") == 0}
	if rapid.Bool().Draw(t, "by line") {
		for _, l := range x.Lines {
			left := l.InTransit
			draw := func(what string) int64 {
				n := rapid.Int64Range(0, left).Draw(t, what)
				left -= n
				return n
			}
			u := engine.TransferUnits{SKU: l.SKU, Units: draw("arrived"), Damaged: draw("damaged"), Lost: draw("lost")}
			if u.Units+u.Damaged+u.Lost > 0 {
				r.Lines = append(r.Lines, u)
			}
		}
	}
	held, coming := m.heldFor(t, o), m.coming(t, o)
	if o.Live() && rapid.Bool().Draw(t, "by the order") {
		_, err = m.move(t, &engine.MoveRequest{ID: o.ID, Move: engine.MoveReceive, Transfer: id, Arrived: r.Lines, Close: r.Close})
	} else {
		_, err = m.db.ReceiveTransfer(&r)
	}
	if err != nil {
		t.Fatal(err)
	}
	after, err := m.db.Order(o.ID)
	if err != nil {
		t.Fatal(err)
	}
	now, err := m.db.Transfer(id)
	if err != nil {
		t.Fatal(err)
	}
	// What is held goes along as far as it arrives, and what can no longer come for it is missing.
	for i := range now.Lines {
		l, was := &now.Lines[i], &x.Lines[i]
		transit := held[engine.CellName{SKU: l.SKU, Location: engine.TransitName("lyon")}]
		arrived := min(transit, l.Received-was.Received)
		coming[l.SKU] -= was.InTransit - l.InTransit
		want := int64(0)
		if o.Live() {
			want = max(0, transit-arrived-coming[l.SKU])
		}
		if got := missingOf(&after, l.SKU) - missingOf(o, l.SKU); got != want {
			t.Fatalf("%d of %s are missing, want %d: %+v was %+v, of which %d were held and %d more are coming", got, l.SKU, want, l, was, transit, coming[l.SKU])
		}
		if at := (engine.CellName{SKU: l.SKU, Location: "lyon"}); after.Live() && m.heldFor(t, &after)[at] != held[at]+arrived {
			t.Fatalf("%d of %s are held in the store, want %d and %d", m.heldFor(t, &after)[at], l.SKU, held[at], arrived)
		}
	}
	m.check(t)
}

func missingOf(o *engine.Order, sku string) (units int64) {
	for i := range o.Lines {
		if o.Lines[i].SKU == sku {
			units += o.Lines[i].Missing
		}
	}
	return units
}

func (m *convoy) step(t *rapid.T) {
	move := rapid.SampledFrom([]engine.OrderMove{engine.MoveAccept, engine.MovePick, engine.MoveReady, engine.MoveExtend}).Draw(t, "move")
	o := m.draw(t, "moved", func(o *engine.Order) bool { return slices.Contains(move.From(), o.State) })
	_, _ = m.move(t, &engine.MoveRequest{ID: o.ID, Move: move})
	m.check(t)
}

func (m *convoy) collect(t *rapid.T) {
	o := m.draw(t, "collected", func(o *engine.Order) bool { return o.State == engine.Ready })
	_, _ = m.move(t, &engine.MoveRequest{ID: o.ID, Move: engine.MoveCollect, Code: o.Code, Lines: someUnits(t, o)})
	m.check(t)
}

func (m *convoy) cancel(t *rapid.T) {
	o := m.draw(t, "cancelled", (*engine.Order).Live)
	_, _ = m.move(t, &engine.MoveRequest{ID: o.ID, Move: engine.MoveCancel, Lines: someUnits(t, o)})
	m.check(t)
}

// short: staff can't find some of what lies in the store, or at a supplier.
func (m *convoy) short(t *rapid.T) {
	o := m.draw(t, "short", func(o *engine.Order) bool { return slices.Contains(engine.MoveShort.From(), o.State) })
	some := someUnits(t, o)
	if len(some) == 0 {
		t.Skip("there are no such units")
	}
	at := rapid.SampledFrom(convoyPlaces).Draw(t, "at")
	if _, err := m.move(t, &engine.MoveRequest{ID: o.ID, Move: engine.MoveShort, Lines: some, Location: at}); err == nil {
		for _, l := range some {
			m.total[l.SKU] -= l.Quantity
		}
	}
	m.check(t)
}

func (m *convoy) pass(t *rapid.T) {
	m.db.Clock.Advance(rapid.SampledFrom([]time.Duration{time.Minute, time.Hour, 5 * time.Hour, 2 * 24 * time.Hour, 9 * 24 * time.Hour}).Draw(t, "time"))
	m.check(t)
}

func (m *convoy) restart(t *rapid.T) {
	if rapid.Bool().Draw(t, "with a checkpoint") {
		if err := m.db.Checkpoint(); err != nil {
			t.Fatal(err)
		}
	}
	m.db.Sweep()
	m.db.Restart()
	m.check(t)
}

// check holds what must be in any state: no unit is made or lost, none is promised twice or sold on its way, and each order waits for
// what is held for it.
func (m *convoy) check(t *rapid.T) {
	sold, held, gone := make(map[string]int64), make(map[engine.CellName]int64), make(map[string]int64)
	for _, id := range m.orders {
		o, err := m.db.Order(id)
		if err != nil {
			t.Fatal(err)
		}
		open := make(map[string]int64)
		for _, l := range o.Lines {
			if expired := o.State == engine.OrderExpired; !expired && l.Quantity != l.Open+l.Collected+l.Missing+l.Cancelled {
				t.Fatalf("%s: %+v", o.State, l)
			}
			sold[l.SKU] += l.Collected
			open[l.SKU] += l.Open
		}
		for at, units := range m.heldFor(t, &o) {
			held[at] += units
			open[at.SKU] -= units
		}
		coming := m.coming(t, &o)
		for _, sku := range convoySKUs {
			transit := m.heldFor(t, &o)[engine.CellName{SKU: sku, Location: engine.TransitName("lyon")}]
			if open[sku] != 0 || transit > coming[sku] {
				t.Fatalf("%s waits for %d of %s more than are held; %d are held on their way, %d are coming", o.State, open[sku], sku, transit, coming[sku])
			}
		}
		if o.Live() && (o.State == engine.InTransit) != (len(o.Transfers) > 0) {
			t.Fatalf("it is %s, with %d transfers under way", o.State, len(o.Transfers))
		}
		if was, known := m.before[id]; known && !was.Live() && (o.State != was.State || o.Sequence != was.Sequence) {
			t.Fatalf("it had ended as %+v, and is %+v", was, o)
		}
		m.before[id], m.seen[o.State] = o, true
	}
	m.moves.check(t, m.db)
	for after := uint64(0); ; {
		page, next, err := m.db.Transfers(engine.TransferFilter{}, after, 100)
		if err != nil {
			t.Fatal(err)
		}
		for i := range page {
			for _, l := range page[i].Lines {
				gone[l.SKU] += l.Lost + l.Damaged
			}
		}
		if after = next; next == 0 {
			break
		}
	}
	for _, sku := range convoySKUs {
		left := int64(0)
		for _, location := range append(slices.Clone(convoyPlaces), engine.TransitName("lyon")) {
			c, err := m.db.Availability(sku, location)
			if unknown := (*engine.UnknownError)(nil); errors.As(err, &unknown) {
				continue // nothing ever was on its way
			}
			if err != nil {
				t.Fatal(err)
			}
			if c.Held != held[engine.CellName{SKU: sku, Location: location}] || c.Held > c.OnHand || strings.HasPrefix(location, "transit:") && c.Available != 0 {
				t.Fatalf("%d are held for orders of %+v", held[engine.CellName{SKU: sku, Location: location}], c)
			}
			left += c.OnHand
		}
		if left+sold[sku]+gone[sku] != m.total[sku] {
			t.Fatalf("%d of %s are there, %d were sold and %d lost, of %d", left, sku, sold[sku], gone[sku], m.total[sku])
		}
	}
}

// TestUnitsOnTheirWayToAStore sends orders to a store from several places, in parts, some lost or damaged, with orders that are
// cancelled or expire meanwhile, and with restarts.
func TestUnitsOnTheirWayToAStore(t *testing.T) {
	t.Parallel()
	seen := make(map[engine.OrderState]bool)
	check := func(rt *rapid.T) {
		kept := 3 * 365 * 24 * time.Hour // longer than all the time that passes: what is forgotten can't be counted
		m := &convoy{db: enginetest.Open(t, engine.Options{OrderRetention: kept, TransferRetention: kept}), total: make(map[string]int64), before: make(map[engine.ID]engine.Order), seen: seen}
		defer m.db.Close()
		for i, at := range convoyPlaces {
			d := engine.LocationDetails{Position: &engine.Position{Longitude: float64(i) * 0.1}}
			if at == "lyon" {
				d.Suppliers = []engine.Supplier{{Location: "depot", LeadTime: 86400}}
			}
			put(t, m.db, engine.Location{ID: at}, d)
			for _, sku := range convoySKUs {
				setOnHand(t, m.db, sku, at, 15)
				m.total[sku] += 15
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"place": m.place, "place another": m.place, "dispatch": m.dispatch, "dispatch more": m.dispatch, "receive": m.receive, "receive more": m.receive,
			"step": m.step, "step on": m.step, "step further": m.step, "collect": m.collect, "collect it": m.collect, "cancel": m.cancel, "short": m.short, "pass": m.pass, "restart": m.restart,
		})
		if err := m.db.CheckInvariants(); err != nil {
			rt.Fatal(err)
		}
	}
	// Mostly one round is enough; what it has not come to by chance, some other round does.
	missing := []engine.OrderState{engine.Placed}
	for round := 0; round < 100 && len(missing) > 0 && !t.Failed(); round++ {
		rapid.Check(t, check)
		missing = slices.DeleteFunc(engine.OrderStates(), func(s engine.OrderState) bool { return s == engine.Returned || seen[s] })
	}
	if len(missing) > 0 && !t.Failed() {
		t.Errorf("no order was ever %v", missing)
	}
}

// shipment is an order of two SKUs from two suppliers, whose parts are on their way to the store.
func shipment(t *testing.T) (s *counter, o engine.Order) {
	t.Helper()
	s = openCounter(t)
	o = s.order(engine.PlaceOrderRequest{
		Lines: []engine.Line{
			{SKU: "lamp", Location: "depot", Quantity: 4}, {SKU: "lamp", Location: "nice", Quantity: 2}, {SKU: "bulb", Location: "depot", Quantity: 3},
		},
		Location: "lyon", Fulfilment: engine.PickupAfter,
	})
	return s, o
}

func from(location string) func(*engine.MoveRequest) {
	return func(r *engine.MoveRequest) { r.Location = location }
}

// What has arrived of one transfer says nothing of what is on its way by another.
func TestPartsOfAnOrderArriveOneByOne(t *testing.T) {
	s, o := shipment(t)
	transit := engine.TransitName("lyon")
	s.move(&o, engine.MoveDispatch, from("nice"))
	s.move(&o, engine.MoveDispatch, from("depot"))
	s.stock("lamp", transit, 6, 6)
	s.refused(&o, engine.MoveReceive) // which of the two?
	s.move(&o, engine.MoveReceive, func(r *engine.MoveRequest) { r.Transfer = o.Transfers[0] })
	if o.State != engine.InTransit || missingOf(&o, "lamp") != 0 || len(o.Transfers) != 1 {
		t.Fatalf("%+v", o)
	}
	s.stock("lamp", transit, 4, 4)
	s.stock("lamp", "lyon", 7, 2)
	s.move(&o, engine.MoveReceive, func(r *engine.MoveRequest) {
		r.Arrived = []engine.TransferUnits{{SKU: "lamp", Units: 1, Damaged: 1}, {SKU: "bulb", Units: 3}}
	})
	if o.State != engine.InTransit || missingOf(&o, "lamp") != 1 {
		t.Fatalf("%+v", o)
	}
	s.move(&o, engine.MoveReceive)
	if o.State != engine.OrderShort || missingOf(&o, "lamp") != 1 { // it is still short of what was damaged before
		t.Fatalf("%+v", o)
	}
	s.stock("lamp", transit, 0, 0)
	s.stock("lamp", "lyon", 10, 5)
	s.move(&o, engine.MoveReady)
	s.move(&o, engine.MoveCollect, withCode(o.Code))
	s.stock("lamp", "lyon", 5, 0)
}

// A transfer whose order can't take it, as its history is full, is refused; once the order has ended, it arrives for anybody.
func TestATransferForAnOrderWithAFullHistory(t *testing.T) {
	s := openPickup(t, 1, 1)
	setOnHand(t, s.DB, "lamp", "depot", 9)
	o := s.order(engine.PlaceOrderRequest{
		Lines: one("lamp", "depot"), Location: "lyon", Fulfilment: engine.PickupAfter, Slot: inHours(30), Compartment: "S",
	})
	s.move(&o, engine.MoveDispatch)
	for hour := 0; ; hour++ {
		r := engine.MoveRequest{ID: o.ID, Move: engine.MoveReschedule, Slot: inHours(31 + hour%2)}
		if moved, err := s.MoveOrder(&r); err == nil {
			o = moved
			continue
		} else if !errors.As(err, new(*engine.OrderStateError)) {
			t.Fatal(err)
		}
		break
	}
	id := o.Transfers[0]
	if _, err := s.ReceiveTransfer(&engine.TransferMove{ID: id}); !errors.As(err, new(*engine.OrderStateError)) {
		t.Fatal(err)
	}
	s.move(&o, engine.MoveCancel)
	s.taken("")
	if x, err := s.ReceiveTransfer(&engine.TransferMove{ID: id}); err != nil || x.State != engine.TransferReceived {
		t.Fatalf("%+v, %v", x, err)
	}
	s.available("lamp", "lyon", 1)
}

func TestPowerGoesWhileAnOrderTravels(t *testing.T) {
	s, o := shipment(t)
	tell := func(db *enginetest.DB) string {
		t.Helper()
		now, err := db.Order(o.ID)
		if err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprintf("%s, %d steps, %+v;", now.State, len(now.History), now.Lines)
		re, err := db.Reservation(o.Reservation)
		if err != nil {
			t.Fatal(err)
		}
		text += fmt.Sprintf(" held %+v;", re.Lines)
		page, _, err := db.Transfers(engine.TransferFilter{}, 0, 9)
		if err != nil {
			t.Fatal(err)
		}
		for i := range page {
			text += fmt.Sprintf(" %s %+v;", page[i].State, page[i].Lines)
		}
		for _, at := range []string{"lyon", "depot", "nice", engine.TransitName("lyon")} {
			for _, sku := range []string{"lamp", "bulb"} {
				if c, err := db.Availability(sku, at); err == nil && c.Stocked {
					text += fmt.Sprintf(" %s at %s: %d, %d held;", sku, at, c.OnHand, c.Held)
				}
			}
		}
		return text
	}
	arrived := func(r *engine.MoveRequest) {
		r.Transfer = o.Transfers[0]
		r.Arrived = []engine.TransferUnits{{SKU: "lamp", Units: 2, Lost: 1}, {SKU: "bulb", Units: 1}}
	}
	wholly(t, s.DB, tell, func() { s.move(&o, engine.MoveDispatch, from("depot")) })
	wholly(t, s.DB, tell, func() { s.move(&o, engine.MoveDispatch, from("nice")) })
	wholly(t, s.DB, tell, func() { s.move(&o, engine.MoveReceive, arrived) })
	wholly(t, s.DB, tell, func() {
		if _, err := s.ReceiveTransfer(&engine.TransferMove{ID: o.Transfers[0], Close: true}); err != nil {
			t.Fatal(err)
		}
	})
	var err error
	if o, err = s.Order(o.ID); err != nil {
		t.Fatal(err)
	}
	wholly(t, s.DB, tell, func() { s.move(&o, engine.MoveReceive) })
	wholly(t, s.DB, tell, func() { s.move(&o, engine.MoveReady) })
	wholly(t, s.DB, tell, func() { s.move(&o, engine.MoveCollect, withCode(o.Code)) })
	s.stock("lamp", "lyon", 5, 0)
	s.stock("lamp", "depot", 46, 0)
}
