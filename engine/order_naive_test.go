package engine_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"onhand/engine"
)

// shopkeeper is what the engine should do with orders, written down as plainly as it can be, on top of naive. It follows the rules
// of the field, not the engine's tables: which move is allowed when is said here a second time.
type shopkeeper struct {
	*naive
	orders    map[engine.ID]*naiveOrder
	order     []engine.ID // as they came
	transfers map[engine.ID]*naiveTransfer
}

// naiveTransfer is what of an order is on its way to a store: units by SKU.
type naiveTransfer struct {
	to    string
	skus  []string
	units map[string]int64
}

func (x *naiveTransfer) open() bool {
	for _, n := range x.units {
		if n > 0 {
			return true
		}
	}
	return false
}

// way is where units on their way to a store are.
func (s *shopkeeper) way(to string) string {
	name := engine.TransitName(to)
	s.locations[name] = true // blocked: nobody is promised them
	return name
}

type naiveOrder struct {
	id, hold engine.ID
	state    engine.OrderState
	move     engine.OrderMove
	location string
	way      engine.OrderFulfilment
	payment  engine.PaymentState
	online   bool
	onShort  engine.OnShort
	document bool // an identity document is required
	lines    []engine.OrderLine

	deadline, remind, ended time.Time
	extensions, wrongCodes  int
	codeFrom                time.Time
	code                    string // as the engine chose it
	customer                string
	erased                  bool
	holdsBefore             []engine.ID // before it was paid late
	arrived                 time.Time
	transfers               []engine.ID
	steps                   []string
}

// The town: two stores and a warehouse that supplies the first of them.
var (
	townNear = map[string][]string{ // the others, the nearest first
		"lyon": {"depot", "nice"}, "nice": {"depot", "lyon"}, "depot": {"lyon", "nice"},
	}
	townSuppliers = map[string][]string{"lyon": {"depot"}}
	townDocument  = map[string]bool{"nice": true}
)

var townClocks = engine.OrderClocks{
	PayWithin: 30 * time.Second, AcceptWithin: 60 * time.Second, PickWithin: 90 * time.Second, CollectWithin: 120 * time.Second,
	ArriveWithin: 110 * time.Second,
	RemindBefore: 20 * time.Second, ExtensionsMax: 2,
}

func newShopkeeper(now time.Time) *shopkeeper {
	s := &shopkeeper{naive: newNaive(now), orders: map[engine.ID]*naiveOrder{}, transfers: map[engine.ID]*naiveTransfer{}}
	s.ordered = map[engine.ID]bool{}
	s.expired = func(hold engine.ID) {
		for _, o := range s.orders {
			if o.hold == hold && o.ended.IsZero() {
				o.end(engine.OrderExpired, s.now)
				o.giveBack()
				o.step(engine.MoveExpire)
				delete(s.ordered, hold)
			}
		}
	}
	return s
}

// allowed says from which states a move can be asked for.
func allowed(m engine.OrderMove) []engine.OrderState {
	open := []engine.OrderState{engine.Placed, engine.Accepted, engine.Picking, engine.OrderShort}
	live := append(slices.Clone(open), engine.InTransit, engine.Ready)
	switch m {
	case engine.MoveAccept:
		return open[:1]
	case engine.MovePick:
		return []engine.OrderState{engine.Placed, engine.Accepted, engine.OrderShort}
	case engine.MoveReady:
		return open
	case engine.MoveCollect, engine.MoveArrive:
		return live[5:]
	case engine.MoveShort:
		return open[1:]
	case engine.MoveDispatch:
		return live[:5]
	case engine.MoveReceive, engine.MoveDeliver:
		return live[4:5]
	case engine.MoveCancel, engine.MoveExtend, engine.MoveReschedule:
		return live
	case engine.MovePay:
		return append(live, engine.OrderExpired, engine.Cancelled)
	case engine.MoveRefund:
		return engine.OrderStates()
	case engine.MoveReturn:
		return []engine.OrderState{engine.InTransit, engine.Collected, engine.Returned, engine.OrderExpired}
	case engine.MoveErase:
		return []engine.OrderState{engine.Collected, engine.Cancelled, engine.OrderExpired, engine.Returned}
	}
	return nil
}

func (o *naiveOrder) step(m engine.OrderMove) {
	o.move = m
	o.steps = append(o.steps, m.String()+" to "+o.state.String())
}

func (o *naiveOrder) end(s engine.OrderState, now time.Time) {
	o.state, o.ended, o.deadline, o.remind = s, now, time.Time{}, time.Time{}
}

// owe: money was paid for what its customer will not have.
func (o *naiveOrder) owe() {
	if o.payment == engine.PaymentPaid || o.payment == engine.PaymentRefunded {
		o.payment = engine.PaymentRefundDue
	}
}

func (o *naiveOrder) paidInStore() {
	if o.payment == engine.PaymentDueInStore {
		o.payment = engine.PaymentPaid
	}
}

func (o *naiveOrder) giveBack() {
	o.owe()
	if o.handedOver() {
		o.paidInStore()
	}
	if o.payment == engine.PaymentPending || o.payment == engine.PaymentDueInStore {
		o.payment = engine.PaymentNone
	}
}

func (o *naiveOrder) handedOver() bool {
	return slices.ContainsFunc(o.lines, func(l engine.OrderLine) bool { return l.Collected > 0 })
}

func open(l *engine.OrderLine) int64 { return l.Quantity - l.Collected - l.Missing - l.Cancelled }

func (o *naiveOrder) open() (units int64) {
	for i := range o.lines {
		units += open(&o.lines[i])
	}
	return units
}

// skus are those of the order, each once.
func (o *naiveOrder) skus() (all []string) {
	for _, l := range o.lines {
		if !slices.Contains(all, l.SKU) {
			all = append(all, l.SKU)
		}
	}
	return all
}

// book moves units from what is open of the lines of a SKU.
func (o *naiveOrder) book(sku string, units int64, to func(l *engine.OrderLine) *int64) {
	for i := range o.lines {
		if l := &o.lines[i]; l.SKU == sku {
			n := min(units, open(l))
			*to(l) += n
			units -= n
		}
	}
}

func toCollected(l *engine.OrderLine) *int64 { return &l.Collected }
func toMissing(l *engine.OrderLine) *int64   { return &l.Missing }
func toCancelled(l *engine.OrderLine) *int64 { return &l.Cancelled }

// heldFor returns what is held of a SKU, at a location or ("") anywhere.
func (s *shopkeeper) heldFor(o *naiveOrder, sku, location string) (units int64) {
	for _, l := range s.holds[o.hold].lines {
		if l.SKU == sku && (location == "" || l.Location == location) {
			units += l.Held
		}
	}
	return units
}

// holdsAt reports whether any unit of an order is held at a location.
func (s *shopkeeper) holdsAt(o *naiveOrder, location string) bool {
	return slices.ContainsFunc(s.holds[o.hold].lines, func(l engine.ReservationLine) bool { return l.Held > 0 && l.Location == location })
}

// take takes units out of what is held: sold, or free again.
func (s *shopkeeper) take(o *naiveOrder, sku, location string, units int64, sold bool) {
	h := s.holds[o.hold]
	for i := range h.lines {
		l := &h.lines[i]
		if l.SKU != sku || location != "" && l.Location != location {
			continue
		}
		n := min(units, l.Held)
		units -= n
		l.Held -= n
		if sold {
			l.Committed += n
			s.cells[engine.CellName{SKU: l.SKU, Location: l.Location}].onHand -= n
		} else {
			l.Released += n
		}
	}
}

func (s *shopkeeper) releaseAll(o *naiveOrder) {
	for _, l := range slices.Clone(s.holds[o.hold].lines) {
		s.take(o, l.SKU, l.Location, l.Held, false)
	}
}

// holdAt adds units to a hold.
func (h *naiveHold) holdAt(sku, location string, units int64) {
	for i := range h.lines {
		if l := &h.lines[i]; l.SKU == sku && l.Location == location {
			l.Quantity += units
			l.Held += units
			return
		}
	}
	h.lines = append(h.lines, engine.ReservationLine{SKU: sku, Location: location, Quantity: units, Held: units})
}

// settle brings the hold's state into line with what it holds, and the order's deadline with it.
func (s *shopkeeper) settle(o *naiveOrder) {
	h := s.holds[o.hold]
	if h.state == engine.Held {
		h.finish(func(*engine.ReservationLine) {}, engine.Released)
	}
	if h.state != engine.Held {
		o.deadline, o.remind = time.Time{}, time.Time{}
	}
	s.ordered[o.hold] = o.ended.IsZero()
}

// restart starts the clock of the order's state.
func (s *shopkeeper) restart(o *naiveOrder) {
	s.until(o, s.clock(o))
}

func (s *shopkeeper) clock(o *naiveOrder) time.Time {
	switch {
	case o.state == engine.Placed && o.payment == engine.PaymentPending:
		return s.now.Add(townClocks.PayWithin)
	case o.state == engine.Placed:
		return s.now.Add(s.shortest(o, townClocks.AcceptWithin, func(sku engine.SKU) time.Duration { return sku.AcceptWithin }))
	case o.state == engine.Ready:
		return s.now.Add(s.shortest(o, townClocks.CollectWithin, func(sku engine.SKU) time.Duration { return sku.CollectWithin }))
	case o.state == engine.InTransit:
		return s.now.Add(townClocks.ArriveWithin)
	}
	return s.now.Add(s.shortest(o, townClocks.PickWithin, func(sku engine.SKU) time.Duration { return sku.PickWithin }))
}

// shortest is the time of the store, or a SKU's that is waited for if that is less.
func (s *shopkeeper) shortest(o *naiveOrder, within time.Duration, own func(engine.SKU) time.Duration) time.Duration {
	for i := range o.lines {
		if d := own(s.skus[o.lines[i].SKU]); open(&o.lines[i]) > 0 && d != 0 && d < within {
			within = d
		}
	}
	return within
}

func (s *shopkeeper) until(o *naiveOrder, deadline time.Time) {
	o.deadline, s.holds[o.hold].deadline = deadline, deadline
	o.remind = time.Time{}
	if o.state == engine.Ready {
		o.remind = deadline.Add(-townClocks.RemindBefore)
		if half := s.now.Add(deadline.Sub(s.now) / 2); half.After(o.remind) {
			o.remind = half
		}
	}
}

// place places an order. made is what the engine answered: ids and the code are its to choose.
func (s *shopkeeper) place(r *engine.PlaceOrderRequest, made *engine.Order) (answer string, keep bool) {
	hold := r.Reservation
	if hold != (engine.ID{}) {
		switch h := s.holds[hold]; {
		case h == nil:
			return "unknown reservation", false
		case h.state != engine.Held:
			return "wrong state: " + h.state.String(), false
		case s.ordered[hold]:
			return "ordered", false
		}
	} else {
		lines := r.Lines
		if r.Find != nil {
			if lines = s.found(r); lines == nil {
				return "refused", true
			}
		}
		hold = made.Reservation
		if answer := s.reserve(hold, &engine.ReserveRequest{Lines: lines, Reference: r.Customer.Reference}, 0); strings.HasPrefix(answer, "refused") {
			return answer, true
		}
	}
	o := &naiveOrder{
		id: made.ID, hold: hold, state: engine.Placed, location: r.Location, way: r.Fulfilment, onShort: r.OnShort, code: made.Code, customer: r.Customer.Reference,
		online: r.Payment != engine.PayInStore, document: r.IDRequired,
	}
	for _, l := range s.holds[hold].lines {
		if l.Held > 0 {
			o.lines = append(o.lines, engine.OrderLine{SKU: l.SKU, From: l.Location, Quantity: l.Held})
		}
	}
	refuse := func(why string) (string, bool) {
		if r.Reservation == (engine.ID{}) {
			delete(s.holds, hold)
		}
		return why, false
	}
	if o.location == "" {
		o.location = o.lines[0].From
	}
	if _, known := s.locations[o.location]; !known {
		return refuse("unknown location")
	}
	for _, l := range o.lines {
		if l.From != o.location && o.way != engine.PickupAfter {
			return refuse("invalid location")
		}
	}
	o.document = o.document || townDocument[o.location]
	o.payment = map[engine.PaymentTerms]engine.PaymentState{
		engine.OnlinePaid: engine.PaymentPaid, engine.OnlinePending: engine.PaymentPending, engine.PayInStore: engine.PaymentDueInStore,
	}[r.Payment]
	s.orders[o.id] = o
	s.order = append(s.order, o.id)
	s.ordered[hold] = true
	s.restart(o)
	o.step(engine.MovePlace)
	return s.orderText(o), true
}

// found returns the lines of a request at the nearest store that has them all, or nil.
func (s *shopkeeper) found(r *engine.PlaceOrderRequest) []engine.Line {
	stores := []string{"lyon", "nice"}
	if r.Find.Near == near("nice") {
		stores = []string{"nice", "lyon"}
	}
next:
	for _, store := range stores {
		var lines []engine.Line
		for _, l := range r.Lines {
			lines = append(lines, engine.Line{SKU: l.SKU, Location: store, Quantity: l.Quantity})
		}
		lines = s.sums(lines)
		for _, l := range lines {
			if reason, _ := s.grant(engine.CellName{SKU: l.SKU, Location: store}, l.Quantity); reason != "" {
				continue next
			}
		}
		return lines
	}
	return nil
}

// moveOrder moves an order. made is what the engine answered.
func (s *shopkeeper) moveOrder(r *engine.MoveRequest, made *engine.Order) (answer string, keep bool) {
	o := s.orders[r.ID]
	if o == nil {
		return "unknown order", false
	}
	if !slices.Contains(allowed(r.Move), o.state) {
		return fmt.Sprintf("order is %s", o.state), false
	}
	o.move = r.Move
	again := r.Move == engine.MoveArrive && !o.arrived.IsZero() // a second one is no step
	no, counted := s.decide(o, r, made)
	if no != "" {
		return no, counted
	}
	s.settle(o)
	if !again {
		o.step(o.move)
	}
	return s.orderText(o), true
}

// naiveUnits are units of a SKU.
type naiveUnits struct {
	sku string
	n   int64
}

// asked returns the units that a request names, by SKU, or all that limit says where it names none.
func (s *shopkeeper) asked(o *naiveOrder, r *engine.MoveRequest, limit func(sku string) int64) (units []naiveUnits, no string) {
	if len(r.Lines) == 0 {
		for _, sku := range o.skus() {
			if n := limit(sku); n > 0 {
				units = append(units, naiveUnits{sku, n})
			}
		}
		return units, ""
	}
	var refused []string
	for _, l := range r.Lines {
		i := slices.IndexFunc(units, func(u naiveUnits) bool { return u.sku == l.SKU })
		if i < 0 {
			i = len(units)
			units = append(units, naiveUnits{sku: l.SKU})
		}
		if units[i].n += l.Quantity; units[i].n > limit(l.SKU) {
			refused = append(refused, fmt.Sprintf("%s at %s: not_reserved", l.SKU, o.location))
		}
	}
	if len(refused) > 0 {
		return nil, "refused: " + strings.Join(refused, "; ")
	}
	return units, ""
}

// decide answers why not, and whether that is remembered.
func (s *shopkeeper) decide(o *naiveOrder, r *engine.MoveRequest, made *engine.Order) (no string, counted bool) {
	because := fmt.Sprintf("order is %s, and something else", o.state)
	anywhere := func(sku string) int64 { return s.heldFor(o, sku, "") }
	pending := o.payment == engine.PaymentPending
	switch r.Move {
	case engine.MoveAccept:
		if pending {
			return because, false
		}
		o.state = engine.Accepted
		s.restart(o)
	case engine.MovePick:
		if pending {
			return because, false
		}
		began := o.state == engine.Accepted
		if o.state = engine.Picking; !began {
			s.restart(o)
		}
	case engine.MoveReady:
		elsewhere := slices.ContainsFunc(s.holds[o.hold].lines, func(l engine.ReservationLine) bool { return l.Held > 0 && l.Location != o.location })
		if pending || o.way == engine.ShipHome || elsewhere {
			return because, false
		}
		o.state = engine.Ready
		s.restart(o)
	case engine.MoveCollect:
		return s.collect(o, r, because)
	case engine.MoveShort:
		return s.short(o, r), false
	case engine.MoveDispatch:
		if !pending && o.way != engine.ShipHome {
			return s.send(o, r, made, because), false
		}
		if pending || o.state == engine.InTransit {
			return because, false
		}
		units, no := s.asked(o, r, anywhere)
		if no != "" {
			return no, false
		}
		for _, u := range units {
			s.take(o, u.sku, "", u.n, true)
			o.book(u.sku, u.n, toCollected)
		}
		if o.open() == 0 {
			o.state = engine.InTransit
		}
	case engine.MoveDeliver:
		if o.way != engine.ShipHome {
			return because, false
		}
		o.end(engine.Collected, s.now)
	case engine.MoveReceive:
		return s.receive(o, r, because), false
	case engine.MoveArrive:
		if !o.arrived.IsZero() && s.now.Sub(o.arrived) < 20*time.Second {
			return because, false
		}
		o.arrived = s.now
	case engine.MoveCancel:
		if o.way == engine.ShipHome && o.state == engine.InTransit {
			return because, false
		}
		units, no := s.asked(o, r, anywhere)
		if no != "" {
			return no, false
		}
		for _, u := range units {
			s.take(o, u.sku, "", u.n, false)
			o.book(u.sku, u.n, toCancelled)
		}
		o.owe()
		if o.open() == 0 {
			s.noMoreToCome(o)
		}
	case engine.MovePay:
		return s.pay(o, made, because), false
	case engine.MoveRefund:
		if o.payment != engine.PaymentRefundDue {
			return because, false
		}
		o.payment = engine.PaymentRefunded
	case engine.MoveExtend:
		return s.more(o, r, because), false
	case engine.MoveReturn:
		return s.takeBack(o, r, because), false
	case engine.MoveErase:
		o.erased, o.customer, o.code = true, "", ""
		for _, id := range append(o.holdsBefore, o.hold) {
			s.holds[id].reference = ""
		}
	}
	return "", false
}

func (s *shopkeeper) collect(o *naiveOrder, r *engine.MoveRequest, because string) (no string, counted bool) {
	given := strings.ToUpper(strings.NewReplacer(" ", "", "-", "").Replace(r.Code))
	switch {
	case o.document && !r.IDChecked:
		return because, false
	case r.Code == "" && !(r.IDChecked && r.Reason != ""):
		return "invalid code", false
	case r.Code == "":
	case s.now.Before(o.codeFrom):
		return o.wrongText(), false
	case given != o.code:
		o.wrongCodes++
		if n := o.wrongCodes - 3; n >= 0 {
			o.codeFrom = s.now.Add(min(30*time.Second<<n, time.Hour))
		}
		return o.wrongText(), true
	}
	units, no := s.asked(o, r, func(sku string) int64 { return s.heldFor(o, sku, o.location) })
	if no != "" {
		return no, false
	}
	o.wrongCodes, o.codeFrom = 0, time.Time{}
	for _, u := range units {
		s.take(o, u.sku, o.location, u.n, true)
		o.book(u.sku, u.n, toCollected)
	}
	if o.open() == 0 {
		o.end(engine.Collected, s.now)
		o.paidInStore()
	}
	return "", false
}

func (o *naiveOrder) wrongText() string { return wrongText(o.wrongCodes, o.codeFrom) }

func wrongText(n int, from time.Time) string {
	text := fmt.Sprintf("wrong code, the %d.", n)
	if !from.IsZero() {
		text += " and none before " + from.Format("15:04:05.000")
	}
	return text
}

// send sends what is held elsewhere to where it is collected; it stays held on its way.
func (s *shopkeeper) send(o *naiveOrder, r *engine.MoveRequest, made *engine.Order, because string) (no string) {
	var from []string
	way := engine.TransitName(o.location)
	for _, l := range s.holds[o.hold].lines {
		if l.Held > 0 && l.Location != o.location && l.Location != way && !slices.Contains(from, l.Location) {
			from = append(from, l.Location)
		}
	}
	switch {
	case len(from) == 0:
		return because
	case r.Location != "" && !slices.Contains(from, r.Location), r.Location == "" && len(from) > 1:
		return "invalid location"
	case r.Location != "":
		from = []string{r.Location}
	}
	units, no := s.asked(o, r, func(sku string) int64 { return s.heldFor(o, sku, from[0]) })
	if no != "" {
		return no
	}
	if len(made.Transfers) == 0 {
		return "sent"
	}
	x := &naiveTransfer{o.location, nil, map[string]int64{}}
	for _, u := range units {
		x.skus = append(x.skus, u.sku)
		s.carry(u.sku, from[0], s.way(o.location), u.n)
		s.take(o, u.sku, from[0], u.n, false)
		s.holds[o.hold].holdAt(u.sku, way, u.n)
		x.units[u.sku] = u.n
	}
	id := made.Transfers[len(made.Transfers)-1]
	s.transfers[id] = x
	o.transfers = append(o.transfers, id)
	o.state = engine.InTransit
	s.restart(o)
	return ""
}

// carry moves units on hand.
func (s *shopkeeper) carry(sku, from, to string, n int64) {
	s.cells[engine.CellName{SKU: sku, Location: from}].onHand -= n
	s.cellToStock(engine.CellName{SKU: sku, Location: to}).onHand += n
}

// receive: what was sent has arrived, or was lost or damaged.
func (s *shopkeeper) receive(o *naiveOrder, r *engine.MoveRequest, because string) (no string) {
	id := r.Transfer
	switch {
	case id != engine.ID{} && !slices.Contains(o.transfers, id):
		return "invalid transfer"
	case id != engine.ID{}:
	case len(o.transfers) == 0:
		return because
	case len(o.transfers) > 1:
		return "invalid transfer"
	default:
		id = o.transfers[0]
	}
	x := s.transfers[id]
	came, lost, no := x.outcome(r)
	if no != "" {
		return no
	}
	way := s.way(o.location)
	short := false
	for _, sku := range x.skus {
		if x.units[sku] == 0 {
			continue
		}
		x.units[sku] -= came[sku] + lost[sku]
		s.carry(sku, way, o.location, came[sku])
		s.cells[engine.CellName{SKU: sku, Location: way}].onHand -= lost[sku]
		held := s.heldFor(o, sku, way)
		if moved := min(held, came[sku]); moved > 0 {
			s.take(o, sku, way, moved, false)
			s.holds[o.hold].holdAt(sku, o.location, moved)
			held -= moved
		}
		// What is held on its way is no more than what is.
		still := int64(0)
		for _, other := range o.transfers {
			still += s.transfers[other].units[sku]
		}
		if gone := held - still; gone > 0 {
			s.take(o, sku, way, gone, false)
			o.book(sku, gone, toMissing)
			short = true
		}
	}
	if !x.open() {
		o.transfers = slices.DeleteFunc(o.transfers, func(other engine.ID) bool { return other == id })
	}
	if short {
		o.owe()
	}
	switch {
	case o.open() == 0:
		s.noMoreToCome(o)
		return ""
	case len(o.transfers) > 0:
		return ""
	case slices.ContainsFunc(o.lines, func(l engine.OrderLine) bool { return l.Missing > 0 }):
		o.state = engine.OrderShort
	default:
		o.state = engine.Accepted
	}
	s.restart(o)
	return ""
}

// outcome is what became of a transfer's units: those that a request tells of, or all; where it closes the transfer, the rest is
// lost. Damaged units are as gone as lost ones.
func (x *naiveTransfer) outcome(r *engine.MoveRequest) (came, lost map[string]int64, no string) {
	came, lost = map[string]int64{}, map[string]int64{}
	var refused []string
	for _, l := range r.Arrived {
		if asked := l.Units + l.Damaged + l.Lost; asked > x.units[l.SKU]-came[l.SKU]-lost[l.SKU] {
			refused = append(refused, fmt.Sprintf("%s at %s: %v, 0 of %d", l.SKU, engine.TransitName(x.to), engine.NotInTransit, asked))
			continue
		}
		came[l.SKU] += l.Units
		lost[l.SKU] += l.Damaged + l.Lost
	}
	if len(refused) > 0 {
		return nil, nil, "refused: " + strings.Join(refused, "; ")
	}
	for sku, n := range x.units {
		if len(r.Arrived) == 0 && !r.Close {
			came[sku] = n
		} else if r.Close {
			lost[sku] = n - came[sku]
		}
	}
	return came, lost, ""
}

// noMoreToCome is for an order of which nothing is to be handed over any more.
func (s *shopkeeper) noMoreToCome(o *naiveOrder) {
	switch {
	case !o.handedOver():
		o.end(engine.Cancelled, s.now)
		o.giveBack()
	case o.way == engine.ShipHome:
		o.state = engine.InTransit
	default:
		o.end(engine.Collected, s.now)
		o.paidInStore()
	}
}

func (s *shopkeeper) short(o *naiveOrder, r *engine.MoveRequest) (no string) {
	at := o.location
	if r.Location != "" {
		if at = r.Location; at == "no such place" {
			return "unknown location"
		}
	}
	units, no := s.asked(o, r, func(sku string) int64 { return s.heldFor(o, sku, at) })
	if no != "" {
		return no
	}
	gone := map[string]int64{} // what is held and known not to be there
	for _, u := range units {
		cell := engine.CellName{SKU: u.sku, Location: at}
		gone[u.sku] = max(0, s.held(cell)-s.cells[cell].onHand)
	}
	notThere := func(sku string, n int64) {
		c := s.cells[engine.CellName{SKU: sku, Location: at}]
		if r.Recount {
			c.blocked = true
		} else {
			c.onHand -= max(0, n-gone[sku])
		}
	}
	if o.onShort == engine.OnShortMove && at == o.location && !o.handedOver() {
		if to := s.elsewhereWithAll(o); to != "" {
			need := map[string]int64{}
			for _, sku := range o.skus() {
				need[sku] = s.heldFor(o, sku, "")
			}
			s.releaseAll(o)
			for _, u := range units {
				notThere(u.sku, u.n)
			}
			for _, sku := range o.skus() {
				if need[sku] > 0 {
					s.holds[o.hold].holdAt(sku, to, need[sku])
				}
			}
			o.location, o.state, o.move = to, engine.Placed, engine.MoveReroute
			s.restart(o)
			return ""
		}
	}
	lost := false
	for _, u := range units {
		sku, n := u.sku, u.n
		to := ""
		if o.onShort == engine.OnShortTransfer {
			to = s.elsewhere(o, sku, at, n)
		}
		s.take(o, sku, at, n, false)
		notThere(sku, n)
		if to != "" {
			s.holds[o.hold].holdAt(sku, to, n)
		} else {
			o.book(sku, n, toMissing)
			lost = true
		}
	}
	if lost {
		o.owe()
	}
	switch {
	case o.open() == 0:
		s.noMoreToCome(o)
		return ""
	case lost:
		o.state = engine.OrderShort
	default:
		o.move = engine.MoveReroute
	}
	s.restart(o)
	return ""
}

// elsewhere returns where units of a SKU are instead: a supplier first, then the nearest.
func (s *shopkeeper) elsewhere(o *naiveOrder, sku, but string, units int64) string {
	for _, at := range append(slices.Clone(townSuppliers[o.location]), townNear[o.location]...) {
		name := engine.CellName{SKU: sku, Location: at}
		if at != but && s.cells[name] != nil && s.available(name) >= units {
			return at
		}
	}
	return ""
}

func (s *shopkeeper) elsewhereWithAll(o *naiveOrder) string {
next:
	for _, at := range townNear[o.location] {
		if at == "depot" {
			continue // nobody collects there
		}
		for _, sku := range o.skus() {
			name := engine.CellName{SKU: sku, Location: at}
			need := s.heldFor(o, sku, "") - s.heldFor(o, sku, at)
			if need > 0 && (s.cells[name] == nil || s.available(name) < need) {
				continue next
			}
		}
		return at
	}
	return ""
}

func (s *shopkeeper) pay(o *naiveOrder, made *engine.Order, because string) (no string) {
	switch {
	case !o.online, o.payment != engine.PaymentPending && o.payment != engine.PaymentNone:
		return because
	case o.state == engine.Cancelled:
		o.payment, o.move = engine.PaymentRefundDue, engine.MoveRefundDue
		return ""
	case o.state == engine.OrderExpired:
		if o.erased { // nobody could be told
			o.payment, o.move = engine.PaymentRefundDue, engine.MoveRefundDue
			return ""
		}
		var again naiveHold
		for i := range o.lines {
			if l := &o.lines[i]; open(l) > 0 {
				again.holdAt(l.SKU, l.From, open(l))
			}
		}
		for _, l := range again.lines {
			if reason, _ := s.grant(engine.CellName{SKU: l.SKU, Location: l.Location}, l.Held); reason != "" {
				o.payment, o.move = engine.PaymentRefundDue, engine.MoveRefundDue
				return ""
			}
		}
		again.state, again.reference = engine.Held, o.customer
		o.holdsBefore = append(o.holdsBefore, o.hold)
		o.hold, o.state, o.ended = made.Reservation, engine.Placed, time.Time{}
		s.holds[o.hold] = &again
	}
	o.payment = engine.PaymentPaid
	s.restart(o)
	return ""
}

func (s *shopkeeper) more(o *naiveOrder, r *engine.MoveRequest, because string) (no string) {
	if s.holds[o.hold].state != engine.Held || o.extensions >= townClocks.ExtensionsMax {
		return because
	}
	deadline := s.now.Add(r.ExpiresIn)
	if r.ExpiresIn == 0 {
		if deadline = s.clock(o); deadline.Before(o.deadline) {
			deadline = o.deadline
		}
	} else if r.ExpiresIn < engine.HoldMin {
		return "invalid expires_in"
	} else if deadline.Before(o.deadline) {
		return "invalid expires_at"
	}
	if deadline.Equal(o.deadline) {
		return because
	}
	o.extensions++
	s.until(o, deadline)
	return ""
}

func (s *shopkeeper) takeBack(o *naiveOrder, r *engine.MoveRequest, because string) (no string) {
	if o.state == engine.InTransit && o.way != engine.ShipHome {
		return because
	}
	at := o.location
	if r.Location != "" {
		if at = r.Location; at == "no such place" {
			return "unknown location"
		}
	}
	kept := func(l *engine.OrderLine) int64 { return l.Collected - l.Returned - l.Damaged }
	_, no = s.asked(o, r, func(sku string) (units int64) {
		for i := range o.lines {
			if o.lines[i].SKU == sku {
				units += kept(&o.lines[i])
			}
		}
		return units
	})
	if no != "" {
		return no
	}
	sound, damaged := map[string]int64{}, map[string]int64{}
	for _, l := range r.Lines {
		if l.Damaged {
			damaged[l.SKU] += l.Quantity
		} else {
			sound[l.SKU] += l.Quantity
		}
	}
	// Which of several lines of a SKU the units come off depends on the order in which they are named.
	done := map[string]bool{}
	for _, r := range r.Lines {
		of := sound
		if r.Damaged {
			of = damaged
		}
		if key := fmt.Sprint(r.SKU, r.Damaged); done[key] {
			continue
		} else {
			done[key] = true
		}
		left := of[r.SKU]
		for i := range o.lines {
			if l := &o.lines[i]; l.SKU == r.SKU {
				n := min(left, kept(l))
				left -= n
				if r.Damaged {
					l.Damaged += n
				} else {
					l.Returned += n
				}
			}
		}
		if !r.Damaged {
			s.cellToStock(engine.CellName{SKU: r.SKU, Location: at}).onHand += of[r.SKU]
		}
	}
	o.end(engine.Returned, s.now)
	o.owe()
	return ""
}

func (s *shopkeeper) orderText(o *naiveOrder) string {
	lines := slices.Clone(o.lines)
	for i := range lines {
		lines[i].Open = 0
		if o.ended.IsZero() {
			lines[i].Open = open(&lines[i])
		}
	}
	return orderWords(o.state, o.payment, o.location, lines, o.deadline, o.ended, o.extensions, o.wrongCodes, o.steps)
}

func orderWords(state engine.OrderState, payment engine.PaymentState, location string, lines []engine.OrderLine, deadline, ended time.Time, extensions, wrong int, steps []string) string {
	until := "until " + deadline.Format("15:04:05.000")
	if deadline.IsZero() {
		until = "without a deadline"
	}
	if !ended.IsZero() {
		until = "ended" // when it expired depends on who noticed
	}
	return fmt.Sprintf("%s, %s, at %s, %s, %d extensions, %d wrong codes: %v; %s", state, payment, location, until, extensions, wrong, lines, strings.Join(steps, ", "))
}

func engineOrderText(o *engine.Order) string {
	var steps []string
	for _, s := range o.History {
		steps = append(steps, s.Move.String()+" to "+s.State.String())
	}
	return orderWords(o.State, o.Payment, o.Location, o.Lines, o.Deadline, o.Ended, o.Extensions, o.WrongCodes, steps)
}

// orderError tells an error as the model does.
func orderError(err error) string {
	var state *engine.OrderStateError
	var code *engine.CodeError
	var invalid *engine.InvalidError
	switch {
	case errors.As(err, &state) && state.Why == "":
		return fmt.Sprintf("order is %s", state.State)
	case errors.As(err, &state):
		return fmt.Sprintf("order is %s, and something else", state.State)
	case errors.As(err, &code):
		return wrongText(code.Wrong, code.RetryAt)
	case errors.As(err, &invalid):
		return "invalid " + invalid.Field
	}
	return errorText(err)
}
