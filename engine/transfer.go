package engine

import (
	"fmt"
	"strings"
	"time"

	"onhand/engine/internal/record"
	"onhand/engine/internal/stock"
)

// A transfer moves units from one location to another. Units on their way are on hand at a location of their own, which is
// blocked, so that nobody is promised them:
//
//	planned ──dispatch──► in transit ──receive──► received      what was dispatched has arrived, was lost or damaged,
//	   │                      │                                 and nothing is left to be dispatched
//	   └──────cancel──────────┴─ what was never dispatched ──► cancelled, where nothing was
//
//	            dispatch            receive
//	(sku, from) ───────► (sku, transit:to) ───────► (sku, to)
//	                             └── lost, damaged: gone

// TransferState is where a transfer is in its life. The numbers are stored.
type TransferState uint8

// The states of a transfer. One that is planned or in transit is open.
const (
	TransferPlanned TransferState = iota + 1
	TransferInTransit
	TransferReceived
	TransferCancelled
	transferStateEnd
)

var transferStateNames = [...]string{
	TransferPlanned: "planned", TransferInTransit: "in_transit", TransferReceived: "received", TransferCancelled: "cancelled",
}

// String returns the state as the HTTP interface writes it.
func (s TransferState) String() string {
	if s == 0 || s >= transferStateEnd {
		return "unknown"
	}
	return transferStateNames[s]
}

// ParseTransferState reads what String writes.
func ParseTransferState(text string) (TransferState, error) {
	for s := TransferPlanned; s < transferStateEnd; s++ {
		if transferStateNames[s] == text {
			return s, nil
		}
	}
	return 0, invalid("state", text, "planned, in_transit, received or cancelled")
}

func (s TransferState) open() bool { return s == TransferPlanned || s == TransferInTransit }

// Transfer is units that are moved from one location to another.
type Transfer struct {
	ID       ID
	State    TransferState
	From, To string
	Lines    []TransferLine
	// Reference, Reason and By are the caller's own. Reason and By are those of the last move that gave one.
	Reference, Reason, By string
	// Order is the order that the transfer is for, zero where it is for none.
	Order ID
	// Dispatched is when the first unit left, Ended when the transfer ended, Expected when it should arrive: zero where there
	// is no such time.
	Created, Dispatched, Ended, Expected time.Time
	// Shortages are, in the answer to a move, the cells whose units no longer cover what is promised of them because of it.
	Shortages []Shortage
	// Sequence is that of the transfer's last change.
	Sequence uint64
}

// TransferLine is a SKU of a transfer. Quantity units were asked for; of those, so many were dispatched or cancelled; and of
// those dispatched, so many were received, lost or damaged. The rest is in transit.
type TransferLine struct {
	SKU                                                                 string
	Quantity, Dispatched, InTransit, Received, Lost, Damaged, Cancelled int64
}

// transitPrefix begins the names of the locations where units on their way are on hand.
const transitPrefix = "transit:"

// TransitName returns the location where units on their way to a location are on hand.
func TransitName(to string) string { return transitPrefix + to }

// TransferToMax is the longest name of a location that units can be transferred to, in bytes.
const TransferToMax = NameMax - len(transitPrefix)

// checkNotReserved refuses the names of transit locations where a request would change what is there: that is for
// transfers.
func checkNotReserved(field, location string) error {
	if strings.HasPrefix(location, transitPrefix) {
		return invalid(field, location, "a location whose id does not begin with "+transitPrefix+", which is for units on their way")
	}
	return nil
}

// checkNoneReserved is checkNotReserved for the locations of lines.
func checkNoneReserved(lines []Line) error {
	for i := range lines {
		if strings.HasPrefix(lines[i].Location, transitPrefix) {
			return checkNotReserved(lineField(i, "location"), lines[i].Location)
		}
	}
	return nil
}

// transitOf returns the location of units on their way to a location, or false where none ever were.
func (e *Engine) transitOf(to uint32) (uint32, bool) {
	id, ok := e.lookupLocation(TransitName(e.locations.Name(to)))
	return id, ok && e.isTransit(id)
}

func (e *Engine) isTransit(location uint32) bool {
	p := e.locationOf(location)
	return p != nil && LocationKind(p.Kind) == Transit
}

// ensureTransit is ensureLocation for the location of units on their way to a location. Where a database of before there were
// transfers has a location of that name, it is refused: what is there could be promised.
func (e *Engine) ensureTransit(to uint32) (uint32, error) {
	name := TransitName(e.locations.Name(to))
	id := e.ensureLocationOf(name, Transit)
	if p := e.locationOf(id); p != nil && LocationKind(p.Kind) != Transit {
		return 0, invalid("to", e.locations.Name(to), fmt.Sprintf("a location for which there is no location %q of another kind", name))
	}
	return id, nil
}

// InTransit returns how many units of a SKU are on their way to a location, and the sequence since when.
func (e *Engine) InTransit(sku, location string) (units int64, sequence uint64, err error) {
	s, ok := e.knownSKU(sku)
	if !ok {
		return 0, 0, unknown(KindSKU, sku)
	}
	l, ok := e.lookupLocation(location)
	if !ok {
		return 0, 0, e.unknownLocation(location)
	}
	transit, ok := e.transitOf(l)
	if !ok {
		return 0, 0, nil
	}
	view, stocked := e.stock.View(s, transit)
	if !stocked {
		return 0, 0, nil
	}
	return view.OnHand, view.Sequence, e.settle(view.Sequence)
}

// transferFrom returns a transfer as callers see it, as its change with a sequence left it.
func (e *Engine) transferFrom(t *record.Transfer, sequence uint64) Transfer {
	out := Transfer{
		ID: t.ID, State: TransferState(t.State), From: e.locations.Name(t.From), To: e.locations.Name(t.To),
		Lines: make([]TransferLine, len(t.Lines)), Reference: t.Reference, Reason: t.Reason, By: t.By, Order: t.Order,
		Created: timeOf(t.Created), Sequence: sequence,
	}
	for _, at := range []struct {
		to *time.Time
		ns int64
	}{{&out.Dispatched, t.Dispatched}, {&out.Ended, t.Ended}, {&out.Expected, t.Expected}} {
		if at.ns != 0 {
			*at.to = timeOf(at.ns)
		}
	}
	for i := range t.Lines {
		l := &t.Lines[i]
		out.Lines[i] = TransferLine{
			SKU: e.skus.Name(l.SKU), Quantity: int64(l.Quantity), Dispatched: int64(l.Dispatched), InTransit: int64(l.InTransit()),
			Received: int64(l.Received), Lost: int64(l.Lost), Damaged: int64(l.Damaged), Cancelled: int64(l.Cancelled),
		}
	}
	return out
}

// transferChange returns what kind of change one of a transfer is: where it did several things, what matters most to who
// waits for the units. What was lost besides is told by addTransferLosses.
func transferChange(moves record.TransferMoves) ChangeKind {
	for _, m := range transferChanges {
		if moves&m.move != 0 {
			return m.kind
		}
	}
	return TransferPlannedChange
}

// transferMove is a move of a transfer, as a record and as the feed have it.
type transferMove struct {
	move record.TransferMoves
	kind ChangeKind
}

var transferChanges = []transferMove{
	{record.TransferReceived, TransferReceivedChange}, {record.TransferLost, TransferLostChange},
	{record.TransferDamaged, TransferDamagedChange}, {record.TransferDispatched, TransferDispatchedChange},
	{record.TransferCancelled, TransferCancelledChange}, {record.TransferPlanned, TransferPlannedChange},
}

// Transfer returns a transfer, open or, for as long as Options.TransferRetention says, ended.
func (e *Engine) Transfer(id ID) (Transfer, error) {
	entry := e.transfers.get(id)
	if entry == nil {
		return Transfer{}, unknown(KindTransfer, FormatID(id))
	}
	out, err := e.transferOf(entry)
	if failed := e.settle(entry.sequence); failed != nil {
		return Transfer{}, failed
	}
	return out, err
}

func (e *Engine) transferOf(entry *transferEntry) (Transfer, error) {
	var t record.Transfer
	if err := entry.decode(&t); err != nil {
		return Transfer{}, err
	}
	return e.transferFrom(&t, entry.sequence), nil
}

// TransferFilter says which transfers to list. Empty fields ask for all.
type TransferFilter struct {
	Location string // from or to there, as Direction says
	// Incoming and Outgoing limit those of Location to the ones that go there, or come from there; neither = both.
	Incoming, Outgoing bool
	State              TransferState
}

// Transfers lists up to limit transfers after a cursor (0 to begin), oldest first, and returns where to go on, 0 at the end.
// A page may be short, or empty, before the end.
func (e *Engine) Transfers(f TransferFilter, after uint64, limit int) (page []Transfer, next uint64, err error) {
	place := uint32(0)
	if f.Location != "" {
		var ok bool
		if place, ok = e.lookupLocation(f.Location); !ok {
			return nil, 0, e.unknownLocation(f.Location)
		}
	}
	in, out := f.Incoming || !f.Outgoing, f.Outgoing || !f.Incoming
	chunk := limit + 1
	if f.State != 0 {
		chunk = max(chunk, 1000)
	}
	for scanned := 0; ; {
		slots := e.transfers.list(place, in, out, f.State, after, chunk)
		for _, slot := range slots {
			entry := slot.entry.Load()
			if f.State != 0 && entry.state != f.State {
				after = slot.first
				continue
			}
			if len(page) == limit {
				return page, after, e.settle(e.log.Appended())
			}
			t, err := e.transferOf(entry)
			if err != nil {
				return nil, 0, err
			}
			page, after = append(page, t), slot.first
		}
		if len(slots) < chunk {
			return page, 0, e.settle(e.log.Appended())
		}
		if scanned += chunk; scanned >= scanMax {
			return page, after, e.settle(e.log.Appended())
		}
	}
}

// lockTransfer locks the shards of a transfer's SKUs and reads it into c.rec.Transfer. It answers false, and locks nothing,
// where there is none.
func (e *Engine) lockTransfer(c *command, id ID) (sequence uint64, ok bool, err error) {
	entry := e.transfers.get(id)
	if entry == nil {
		return 0, false, nil
	}
	t := &c.rec.Transfer
	if err := entry.decode(t); err != nil {
		return 0, false, err
	}
	c.locks = stock.LockSet{}
	for i := range t.Lines { // its SKUs never change
		c.locks.Add(stock.ShardOf(t.Lines[i].SKU))
	}
	e.stock.Lock(&c.locks)
	if entry = e.transfers.get(id); entry == nil { // forgotten in between
		e.stock.Unlock(&c.locks)
		return 0, false, nil
	}
	if err := entry.decode(t); err != nil {
		e.stock.Unlock(&c.locks)
		return 0, false, err
	}
	return entry.sequence, true, nil
}
