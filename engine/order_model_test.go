package engine_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"onhand/engine"
	"onhand/engine/enginetest"
)

// orderPair is an engine and the naive model of what it should do with orders. What pair does to stock and reservations goes on in
// between.
type orderPair struct {
	pair
	model *shopkeeper
	met   *reached
	made  map[engine.OrderMove]map[engine.OrderState]bool // in this check
}

// reached is what a run of the model has come to: each state, and each move from each state from which it is allowed.
type reached struct {
	mu     sync.Mutex
	states map[engine.OrderState]int
	moves  map[engine.OrderMove]map[engine.OrderState]int
	asked  int
}

func (m *reached) state(s engine.OrderState) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.states[s]++
}

func (m *reached) move(move engine.OrderMove, from engine.OrderState) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.moves[move] == nil {
		m.moves[move] = map[engine.OrderState]int{}
	}
	m.moves[move][from]++
}

// never are the moves that the table of moves allows and that nothing leads to, and why.
var never = map[engine.OrderMove]map[engine.OrderState]string{
	engine.MovePay: { // an order that waits for its payment stays placed until it is paid
		engine.Accepted: "paid", engine.Picking: "paid", engine.OrderShort: "paid", engine.InTransit: "paid", engine.Ready: "paid",
	},
}

// ofSlots are moves that this model does not make.
var ofSlots = []engine.OrderMove{engine.MoveReschedule}

// table is what was reached, and what was not but can be, or was but can't.
func (m *reached) table() (text string, missing []string) {
	var table strings.Builder
	fmt.Fprintf(&table, "%-11s", "")
	for _, s := range engine.OrderStates() {
		fmt.Fprintf(&table, "%11s", s)
	}
	fmt.Fprintf(&table, "\n%-11s", "seen")
	for _, s := range engine.OrderStates() {
		fmt.Fprintf(&table, "%11d", m.states[s])
		if m.states[s] == 0 {
			missing = append(missing, "state "+s.String())
		}
	}
	for _, move := range engine.OrderMoves() {
		if len(move.From()) == 0 || slices.Contains(ofSlots, move) {
			continue
		}
		fmt.Fprintf(&table, "\n%-11s", move)
		for _, s := range engine.OrderStates() {
			n, can := m.moves[move][s], slices.Contains(move.From(), s)
			switch {
			case !can && n > 0:
				missing = append(missing, fmt.Sprintf("%s is not allowed from %s and was made", move, s))
			case !can:
				fmt.Fprintf(&table, "%11s", "")
			case never[move][s] != "":
				fmt.Fprintf(&table, "%11s", "-")
				if n > 0 {
					missing = append(missing, fmt.Sprintf("%s from %s was made, though %s", move, s, never[move][s]))
				}
			default:
				fmt.Fprintf(&table, "%11d", n)
				if n == 0 {
					missing = append(missing, fmt.Sprintf("%s from %s", move, s))
				}
			}
		}
	}
	return table.String(), missing
}

// near is where somebody stands: next to a store.
func near(store string) engine.Near {
	return engine.Near{Position: map[string]engine.Position{
		"lyon": {Latitude: 45.76, Longitude: 4.84}, "nice": {Latitude: 43.70, Longitude: 7.27}, "depot": {Latitude: 45, Longitude: 5},
	}[store]}
}

func openOrderPair(t *testing.T, met *reached) *orderPair {
	p := &orderPair{model: newShopkeeper(enginetest.Start), met: met, made: map[engine.OrderMove]map[engine.OrderState]bool{}}
	p.db = enginetest.Open(t, engine.Options{OrderClocks: townClocks})
	p.pair.model, p.lightly = p.model.naive, true
	for _, store := range []string{"lyon", "nice", "depot"} {
		position := near(store).Position
		d := engine.LocationDetails{Position: &position, IDRequired: townDocument[store]}
		for _, s := range townSuppliers[store] {
			d.Suppliers = append(d.Suppliers, engine.Supplier{Location: s})
		}
		l := engine.Location{ID: store}
		if store == "depot" {
			l.Kind = engine.Warehouse
		}
		put(t, p.db, l, d)
		p.model.locations[store] = false
		for i, sku := range modelSKUs[:3] {
			line := engine.Line{SKU: sku, Location: store, Quantity: int64(4 + 3*i)}
			if _, err := p.db.Adjust(&engine.Adjustment{Lines: []engine.Line{line}, Reason: "receipt"}); err != nil {
				t.Fatal(err)
			}
			p.model.adjust([]engine.Line{line})
		}
	}
	return p
}

// sometimes is true n times of a hundred.
func sometimes(t *rapid.T, n int, what string) bool { return evenly(t, 100, what) < n }

// among draws one of some values, and evenly: what rapid draws itself is one of the first, mostly.
func among[T any](t *rapid.T, all []T, what string) T { return all[evenly(t, len(all), what)] }

func evenly(t *rapid.T, n int, what string) int {
	return int(rapid.Uint64().Draw(t, what) * 0x9E3779B97F4A7C15 >> 33 % uint64(n))
}

func (p *orderPair) place(t *rapid.T) {
	r := engine.PlaceOrderRequest{
		Fulfilment: among(t, []engine.OrderFulfilment{engine.Pickup, engine.Pickup, engine.Pickup, engine.ShipHome, engine.ShipHome, engine.PickupAfter, engine.PickupAfter}, "way"),
		Payment:    among(t, []engine.PaymentTerms{engine.OnlinePaid, engine.OnlinePending, engine.PayInStore}, "payment"),
		OnShort:    among(t, []engine.OnShort{engine.OnShortAsk, engine.OnShortTransfer, engine.OnShortMove}, "on short"),
		IDRequired: sometimes(t, 20, "document"), Customer: engine.Person{Name: "Ana", Reference: among(t, []string{"", "c-1", "c-2"}, "customer")},
		Key: drawKey(t),
	}
	live := p.model.live()
	switch how := evenly(t, 10, "how"); {
	case how < 2 && len(live) > 0:
		r.Reservation = p.someID(t)
	case how < 4:
		r.Find = &engine.FindLocation{Near: near(among(t, []string{"lyon", "nice"}, "near"))}
		for range rapid.IntRange(1, 2).Draw(t, "lines") {
			r.Lines = append(r.Lines, engine.Line{SKU: among(t, modelSKUs[:3], "sku"), Quantity: rapid.Int64Range(1, 4).Draw(t, "units")})
		}
	case how < 9:
		at := among(t, []string{"lyon", "lyon", "nice", "depot"}, "at")
		for range rapid.IntRange(1, 3).Draw(t, "lines") {
			r.Lines = append(r.Lines, engine.Line{SKU: among(t, modelSKUs[:3], "sku"), Location: at, Quantity: 1 + int64(evenly(t, 4, "units"))})
			if r.Fulfilment == engine.PickupAfter || sometimes(t, 5, "another place") {
				r.Lines[len(r.Lines)-1].Location = among(t, []string{"lyon", "nice", "depot"}, "at")
			}
		}
	default:
		r.Lines = drawLines(t, false, 1, 5)
	}
	if r.Find != nil && r.Fulfilment == engine.PickupAfter && !sometimes(t, 5, "found, and sent") {
		r.Fulfilment = engine.Pickup
	}
	if r.Fulfilment == engine.PickupAfter && !sometimes(t, 5, "nowhere") {
		r.Location = among(t, []string{"lyon", "nice"}, "collected at")
	} else if r.Find == nil && sometimes(t, 10, "somewhere") || sometimes(t, 2, "somewhere") {
		r.Location = among(t, []string{"lyon", "nice", "no such place"}, "collected at")
	}
	if r.Fulfilment == engine.ShipHome && r.Payment == engine.PayInStore && !sometimes(t, 5, "home, to be paid in the store") {
		r.Payment = engine.OnlinePaid
	}
	request := fmt.Sprintf("place %+v %+v", r, r.Find)
	asked := r // the engine fills in what is left out
	made, err := p.db.PlaceOrder(&r)
	p.model.expire()
	want := ""
	switch {
	case asked.Find != nil && asked.Location != "":
		want = "invalid location"
	case asked.Fulfilment == engine.ShipHome && asked.Payment == engine.PayInStore:
		want = "invalid payment"
	case asked.Fulfilment == engine.PickupAfter && asked.Location == "":
		want = "invalid location"
	default:
		want = p.model.once(asked.Key, request, func() (string, bool) {
			answer, keep := p.model.place(&asked, &made)
			if o := p.model.orders[made.ID]; o != nil {
				p.met.state(o.state)
			}
			return answer, keep
		})
	}
	got := engineOrderText(&made)
	if err != nil {
		got = orderError(err)
	}
	if r.Find != nil && strings.HasPrefix(got, "refused") { // which lines where is for the tests of searches
		got, want = "refused", strings.Split(want, ":")[0]
	}
	same(t, request, got, want)
}

// someOrder draws an order, a live one mostly.
func (p *orderPair) someOrder(t *rapid.T, live int) *naiveOrder {
	var orders []*naiveOrder
	wanted := sometimes(t, live, "live")
	for _, id := range p.model.order {
		if o := p.model.orders[id]; o.ended.IsZero() == wanted {
			orders = append(orders, o)
		}
	}
	if len(orders) == 0 {
		return nil
	}
	return among(t, orders, "order")
}

// forward makes moves that are allowed, as they should be asked for.
func (p *orderPair) forward(t *rapid.T) {
	for range 2 + evenly(t, 7, "moves") {
		p.goOn(t)
	}
}

func (p *orderPair) goOn(t *rapid.T) {
	p.model.expire()
	o := p.someOrder(t, 65)
	if o == nil {
		p.place(t)
		return
	}
	var can []engine.OrderMove
	for _, m := range engine.OrderMoves() {
		if !slices.Contains(allowed(m), o.state) || never[m][o.state] != "" || slices.Contains(ofSlots, m) {
			continue
		}
		can = append(can, m)
		if !p.made[m][o.state] {
			can = append(can, m, m, m) // what was not done yet is more likely
		}
	}
	r := engine.MoveRequest{ID: o.ID(), Move: among(t, can, "move"), By: "ana", Key: drawKey(t)}
	if o.payment == engine.PaymentPending && !sometimes(t, 20, "go on unpaid") && slices.Contains(can, engine.MovePay) {
		r.Move = engine.MovePay
	}
	if o.payment == engine.PaymentRefundDue && sometimes(t, 40, "refund it") {
		r.Move = engine.MoveRefund
	}
	p.args(t, o, &r, true)
	p.move(t, &r)
}

// ID is here so that a request for an order reads well.
func (o *naiveOrder) ID() engine.ID { return o.id }

// wild asks for any move of any order, with any arguments.
func (p *orderPair) wild(t *rapid.T) {
	o := p.someOrder(t, 60)
	if o == nil {
		o = &naiveOrder{id: engine.ID{9, 9}, lines: []engine.OrderLine{{SKU: "lamp"}}, location: "lyon"}
	}
	var can []engine.OrderMove
	for _, m := range engine.OrderMoves() {
		if !m.Automatic() && !slices.Contains(ofSlots, m) {
			can = append(can, m)
		}
	}
	r := engine.MoveRequest{ID: o.id, Move: among(t, can, "move"), Key: drawKey(t)}
	p.args(t, o, &r, false)
	p.move(t, &r)
}

// args draws the arguments of a move.
func (p *orderPair) args(t *rapid.T, o *naiveOrder, r *engine.MoveRequest, sound bool) {
	if sometimes(t, 30, "a reason") {
		r.Reason = "because"
	}
	takes := slices.Contains([]engine.OrderMove{engine.MoveCollect, engine.MoveShort, engine.MoveCancel, engine.MoveDispatch, engine.MoveReturn}, r.Move)
	if takes && (r.Move == engine.MoveShort || r.Move == engine.MoveReturn || sometimes(t, 40, "by line")) {
		for range rapid.IntRange(1, 2).Draw(t, "lines") {
			l := engine.OrderQuantity{SKU: among(t, o.lines, "line").SKU, Quantity: rapid.Int64Range(1, 3).Draw(t, "units")}
			if sound {
				l.Quantity = 1 + int64(evenly(t, max(1, int(o.most(l.SKU, r.Move))), "units"))
			}
			if !sound && sometimes(t, 10, "of something else") {
				l.SKU = among(t, modelSKUs, "sku")
			}
			l.Damaged = r.Move == engine.MoveReturn && sometimes(t, 30, "damaged")
			r.Lines = append(r.Lines, l)
			if sound {
				break
			}
		}
	}
	switch r.Move {
	case engine.MoveCollect:
		r.IDChecked = o.document && sound || sometimes(t, 30, "document")
		r.Code = o.code
		switch n := evenly(t, 10, "code"); {
		case n == 0:
			r.Code = ""
		case n == 1 && len(o.code) == 6:
			r.Code = strings.ToLower(o.code[:3]) + "-" + o.code[3:] + " "
		case n < 4:
			r.Code = "000000"
		}
	case engine.MoveShort, engine.MoveReturn:
		r.Recount = r.Move == engine.MoveShort && sometimes(t, 30, "recount")
		if sometimes(t, map[bool]int{true: 10, false: 30}[sound], "elsewhere") {
			r.Location = among(t, []string{"lyon", "nice", "depot", "no such place"}, "location")
		}
	case engine.MoveDispatch:
		if from := p.heldElsewhere(o); sound && len(from) > 0 && sometimes(t, 80, "from") {
			r.Location = among(t, from, "from")
		} else if sometimes(t, 30, "from anywhere") {
			r.Location = among(t, []string{"lyon", "nice", "depot", "no such place"}, "from")
		}
	case engine.MoveReceive:
		if len(o.transfers) > 0 && (sound && len(o.transfers) > 1 || sometimes(t, 30, "transfer")) {
			r.Transfer = among(t, o.transfers, "transfer")
		} else if sometimes(t, 5, "another transfer") {
			r.Transfer = engine.ID{7}
		}
		if sometimes(t, 35, "not all of it") {
			l := engine.TransferUnits{SKU: among(t, o.lines, "line").SKU}
			for _, n := range []*int64{&l.Units, &l.Damaged, &l.Lost} {
				*n = int64(evenly(t, 3, "units"))
			}
			if l.Units+l.Damaged+l.Lost > 0 {
				r.Arrived = append(r.Arrived, l)
			}
		}
		r.Close = sometimes(t, 20, "close")
	case engine.MoveExtend:
		r.ExpiresIn = time.Duration(among(t, []int{0, 0, 1, 5000, 100_000, 130_000}, "for")) * time.Millisecond
	case engine.MoveArrive:
		r.Bay, r.Vehicle = "4", "blue"
	}
}

// heldElsewhere returns where units of an order are held that can be sent.
func (p *orderPair) heldElsewhere(o *naiveOrder) (at []string) {
	if h := p.model.holds[o.hold]; h != nil {
		for _, l := range h.lines {
			if l.Held > 0 && l.Location != o.location && l.Location != engine.TransitName(o.location) {
				at = append(at, l.Location)
			}
		}
	}
	return at
}

// strays has what was on its way for orders that ended arrive, for anybody.
func (p *orderPair) strays(t *rapid.T) {
	p.sweep()
	for _, id := range p.model.order {
		o := p.model.orders[id]
		for _, id := range o.transfers {
			if x := p.model.transfers[id]; !o.ended.IsZero() && x.open() {
				if _, err := p.db.ReceiveTransfer(&engine.TransferMove{ID: id}); err != nil {
					t.Fatal(err)
				}
				for _, sku := range x.skus {
					if n := x.units[sku]; n > 0 {
						p.model.carry(sku, engine.TransitName(x.to), x.to, n)
						x.units[sku] = 0
					}
				}
			}
		}
	}
}

// most is how many units of a SKU a move can be about.
func (o *naiveOrder) most(sku string, m engine.OrderMove) (units int64) {
	for i := range o.lines {
		if l := &o.lines[i]; l.SKU == sku && m == engine.MoveReturn {
			units += l.Collected - l.Returned - l.Damaged
		} else if l.SKU == sku {
			units += open(l)
		}
	}
	return units
}

func (p *orderPair) move(t *rapid.T, r *engine.MoveRequest) {
	still := !p.unswept
	if still && p.reminderDue() {
		p.db.Remind()
	}
	before, digest := p.db.Digest()
	from := engine.OrderState(0)
	p.model.expire()
	if o := p.model.orders[r.ID]; o != nil {
		from = o.state
	}
	made, err := p.db.MoveOrder(r)
	want := p.model.once(r.Key, fmt.Sprintf("move %+v", *r), func() (string, bool) {
		answer, keep := p.model.moveOrder(r, &made)
		if err == nil {
			p.met.state(made.State)
			p.met.move(r.Move, from)
			if p.made[r.Move] == nil {
				p.made[r.Move] = map[engine.OrderState]bool{}
			}
			p.made[r.Move][from] = true
		}
		return answer, keep
	})
	p.met.asked++
	got := engineOrderText(&made)
	if err != nil {
		got = orderError(err)
		if n, d := p.db.Digest(); still && !strings.HasPrefix(got, "wrong code") && (n != before || d != digest) {
			t.Fatalf("%s of an order was refused, and has changed something: state %016x at %d was %016x at %d", r.Move, d, n, digest, before)
		}
	}
	same(t, fmt.Sprintf("move %+v, from %s", *r, from), got, want)
	if o := p.model.orders[r.ID]; o != nil && r.Move == engine.MoveErase && err == nil && (made.Customer != engine.Person{} || made.Code != "") {
		t.Fatalf("an erased order still says %+v", made)
	}
}

func (p *orderPair) reminderDue() bool {
	for _, o := range p.model.orders {
		if !o.remind.IsZero() && !o.remind.After(p.model.now) {
			return true
		}
	}
	return false
}

// remind has time pass until a customer is to be reminded.
func (p *orderPair) remind(t *rapid.T) {
	var next time.Time
	for _, o := range p.model.orders {
		if o.remind.After(p.model.now) && (next.IsZero() || o.remind.Before(next)) {
			next = o.remind
		}
	}
	if next.IsZero() {
		return
	}
	d := next.Sub(p.model.now)
	p.db.Clock.Advance(d)
	p.model.now = next
	p.unswept = true
	p.sweep()
	p.model.expire()
	p.db.Remind()
	for _, o := range p.model.orders {
		if o.ended.IsZero() && !o.remind.IsZero() && !o.remind.After(next) {
			if got, err := p.db.Order(o.id); err != nil || got.Move != engine.MoveRemind || !got.RemindAt.IsZero() {
				t.Fatalf("a customer was to be reminded at %v: %+v, %v", o.remind, got, err)
			}
			p.met.move(engine.MoveRemind, o.state)
		}
	}
}

// pass lets time pass, as pair does, and notes the orders that expire.
func (p *orderPair) pass(t *rapid.T) {
	before := map[engine.ID]engine.OrderState{}
	for id, o := range p.model.orders {
		before[id] = o.state
	}
	p.pair.pass(t)
	for id, o := range p.model.orders {
		if o.state == engine.OrderExpired && before[id] != o.state {
			p.met.state(o.state)
			p.met.move(engine.MoveExpire, before[id])
		}
	}
}

// linger lets a ready or forgotten order come to its deadline.
func (p *orderPair) linger(t *rapid.T) {
	o := p.someOrder(t, 100)
	if o == nil || o.deadline.IsZero() {
		return
	}
	before := o.state
	d := o.deadline.Sub(p.model.now)
	p.db.Clock.Advance(d)
	p.model.now = o.deadline
	p.unswept = true
	p.model.expire()
	p.met.state(o.state)
	p.met.move(engine.MoveExpire, before)
	if rapid.Bool().Draw(t, "move it at once") { // before any sweeper, mostly
		p.move(t, &engine.MoveRequest{ID: o.id, Move: among(t, []engine.OrderMove{engine.MoveCancel, engine.MovePay, engine.MoveExtend}, "move")})
	}
}

func (p *orderPair) restart(t *rapid.T) {
	p.sweep()
	p.db.Remind()
	p.pair.restart(t)
}

// check compares all that can be read.
func (p *orderPair) check(t *rapid.T) {
	p.pair.check(t)
	if p.unswept {
		return
	}
	for _, sku := range modelSKUs[:3] {
		name := engine.CellName{SKU: sku, Location: "depot"}
		cell, err := p.db.Availability(sku, "depot")
		if err != nil {
			t.Fatal(err)
		}
		same(t, fmt.Sprint(name), engineCellText(&cell), p.model.cellText(name))
	}
	counts, toSend := map[string]map[engine.OrderState]int{}, map[string]int{}
	listed := map[string][]engine.ID{} // by where the staff has to do with it; at "" all
	type fetched struct{ all, sent int64 }
	pick := map[string]map[string]fetched{}
	places := []string{"lyon", "nice", "depot"}
	for _, at := range places {
		counts[at], pick[at] = map[engine.OrderState]int{}, map[string]fetched{}
	}
	for _, id := range p.model.order {
		o := p.model.orders[id]
		got, err := p.db.Order(id)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "order "+engine.FormatID(id), engineOrderText(&got), p.model.orderText(o))
		if o.ended.IsZero() && !slices.Equal(got.Transfers, o.transfers) {
			t.Fatalf("under way for it are %v, should be %v", got.Transfers, o.transfers)
		}
		if got.Erased != o.erased || got.Reservation != o.hold || got.OnShort != o.onShort || got.Fulfilment != o.way || got.IDRequired != o.document {
			t.Fatalf("order %+v\nshould be %+v", got, o)
		}
		if !got.Ended.Equal(o.ended) && (o.state != engine.OrderExpired || got.Ended.Before(o.ended)) {
			t.Fatalf("the order ended %v, should have %v", got.Ended, o.ended)
		}
		if reminded := got.RemindAt.IsZero() && !o.remind.After(p.model.now); !reminded && !got.RemindAt.Equal(o.remind) {
			t.Fatalf("the customer is reminded at %v, should be at %v", got.RemindAt, o.remind)
		}
		counts[o.location][o.state]++
		if o.ended.IsZero() {
			listed[""] = append(listed[""], id)
			listed[o.location] = append(listed[o.location], id)
			for _, at := range places {
				if at != o.location && p.model.holdsAt(o, at) {
					listed[at] = append(listed[at], id)
					counts[at][o.state]++
					toSend[at]++
				}
			}
		}
		for _, l := range p.model.holds[o.hold].lines {
			if l.Held > 0 && slices.Contains([]engine.OrderState{engine.Accepted, engine.Picking, engine.OrderShort}, o.state) {
				f := pick[l.Location][l.SKU]
				f.all += l.Held
				if l.Location != o.location {
					f.sent += l.Held
				}
				pick[l.Location][l.SKU] = f
			}
		}
	}
	for _, at := range append(places, "") {
		p.checkQueue(t, at, listed[at])
	}
	for _, at := range places {
		have, send, err := p.db.OrderCounts(at)
		if err != nil {
			t.Fatal(err)
		}
		if send != toSend[at] {
			t.Fatalf("%d orders are counted as to be sent from %s, there are %d", send, at, toSend[at])
		}
		for _, s := range engine.OrderStates() {
			if have[s] != counts[at][s] {
				t.Fatalf("%d orders are counted as %s at %s, there are %d", have[s], s, at, counts[at][s])
			}
		}
		fetch, whole, err := p.db.PickList(at)
		if err != nil || !whole || len(fetch) != len(pick[at]) {
			t.Fatalf("pick list of %s: %+v, %v; should be %v", at, fetch, err, pick[at])
		}
		for _, l := range fetch {
			due := func(a, b engine.ID) int { return p.model.orders[a].deadline.Compare(p.model.orders[b].deadline) }
			if (fetched{l.Quantity, l.Send}) != pick[at][l.SKU] || !slices.IsSortedFunc(l.Orders, due) {
				t.Fatalf("pick list of %s: %+v; should be %v", at, fetch, pick[at])
			}
		}
	}
}

// checkQueue compares what is listed of a location, or of all, with what should be.
func (p *orderPair) checkQueue(t *rapid.T, at string, want []engine.ID) {
	var have []engine.ID
	var before engine.Order
	for cursor, more := (engine.OrderCursor{}), true; more; more = !cursor.Done() {
		page, next, err := p.db.Orders(engine.OrderFilter{Location: at}, cursor, 3)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page {
			if len(have) > 0 && dueBefore(o.Deadline, before.Deadline) && (at != "" || o.Location == before.Location) {
				t.Fatalf("at %q an order due %v is listed behind one due %v", at, o.Deadline, before.Deadline)
			}
			have, before = append(have, o.ID), o
		}
		cursor = next
	}
	byID := func(a, b engine.ID) int { return slices.Compare(a[:], b[:]) }
	slices.SortFunc(have, byID)
	slices.SortFunc(want, byID)
	if !slices.Equal(have, want) {
		t.Fatalf("at %q the orders %x are listed, should be %x", at, have, want)
	}
}

// dueBefore reports whether somebody waits for one order sooner than for another: for one without a deadline nobody does.
func dueBefore(a, b time.Time) bool {
	return !a.IsZero() && (b.IsZero() || a.Before(b))
}

// TestOrdersAgreeWithTheModel tells an engine and the model of orders the same, in any order: orders placed in every way, moves
// with sound and with wrong arguments, stock and reservations that change in between, deadlines, restarts, crashes and checkpoints.
// After each step they must say the same, so no path loses or doubles a unit; and a run has to come to every state, and to make
// every move from every state from which it is allowed.
func TestOrdersAgreeWithTheModel(t *testing.T) {
	t.Parallel()
	met := &reached{states: map[engine.OrderState]int{}, moves: map[engine.OrderMove]map[engine.OrderState]int{}}
	check := func(rt *rapid.T) {
		p := openOrderPair(t, met)
		defer p.db.Close()
		actions := map[string]func(*rapid.T){"": p.check}
		for name, a := range map[string]struct {
			often int
			do    func(*rapid.T)
		}{
			"place": {5, p.place}, "forward": {24, p.forward}, "wild": {6, p.wild}, "pass": {1, p.pass}, "linger": {2, p.linger},
			"remind": {1, p.remind}, "restart": {1, p.restart}, "reserve": {2, p.reserve}, "finish": {2, p.finish}, "extend": {1, p.extend},
			"adjust": {2, p.adjust}, "set stock": {1, p.setStock}, "put sku": {1, p.putSKU}, "strays": {1, p.strays},
		} {
			for n := range a.often {
				actions[fmt.Sprint(name, " ", n)] = a.do
			}
		}
		rt.Repeat(actions)
		p.checkFeed(rt)
	}
	// Mostly one round is enough; what it has not come to by chance, some other round does.
	table, missing := "", []string{""}
	for round := 0; round < 60 && len(missing) > 0 && !t.Failed(); round++ {
		rapid.Check(t, check)
		if table, missing = met.table(); raceDetector {
			missing = nil // too slow to come everywhere
		}
	}
	t.Logf("%d requests; moves made, from each state (- = nothing leads to it):\n%s", met.asked, table)
	if len(missing) > 0 && !t.Failed() {
		t.Errorf("not once: %s", strings.Join(missing, ", "))
	}
}
