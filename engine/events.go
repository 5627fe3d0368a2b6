package engine

import (
	"onhand/engine/internal/record"
	"onhand/engine/internal/reservation"
)

// Event is something that a change means besides what its kind says: units of a cell ran out, stock is low, more is promised
// than there is. Its type is of the same list as the kinds of changes (EventTypes), so that whoever wants to hear of something
// need not know whether it is a change of its own or part of another.
type Event struct {
	Type ChangeKind
	// SKU and Location name the cell of a stock event, and the rest is of that cell as the change left it. An event without them is
	// about the change as a whole.
	SKU, Location           string
	Available, OnHand, Held int64
	SKUTitle, LocationName  string // as they are now; "" = not known
	// Threshold is, for stock.low, what available came to or below, and for stock.recovered what it is back at; 0 where that
	// threshold was taken away.
	Threshold int64
	// Shortage is what the change left uncovered of the cell, if anything.
	Shortage *Shortage
}

// The types of events that are no kind of change.
const (
	// StockOutEvent: there were units available, and there are none any more. StockBackEvent is the reverse.
	StockOutEvent  ChangeKind = "stock.out"
	StockBackEvent ChangeKind = "stock.back"
	// StockLowEvent: available came to the threshold of the cell or its SKU. StockRecoveredEvent: it is back at where that ends.
	StockLowEvent       ChangeKind = "stock.low"
	StockRecoveredEvent ChangeKind = "stock.recovered"
	// StockShortageEvent: more units are promised than there are, or more than before.
	StockShortageEvent ChangeKind = "stock.shortage"
)

// eventTypes are the types of events that are no kind of change.
var eventTypes = []ChangeKind{StockOutEvent, StockBackEvent, StockLowEvent, StockRecoveredEvent, StockShortageEvent}

// EventTypes returns every type of event there is: the kinds of changes, and what a change may mean besides.
func EventTypes() (all []ChangeKind) {
	for of, kind := range changeKinds {
		switch record.Kind(of) {
		case record.OrderMoved:
			all = append(all, OrderKinds()...)
		case record.TransferMoved:
			for _, t := range transferChanges {
				all = append(all, t.kind)
			}
		default:
			if kind != "" {
				all = append(all, kind)
			}
		}
	}
	return append(all, eventTypes...)
}

// stockEvents are those that a record's cells can have, in the order in which they are told.
var stockEvents = [...]struct {
	is   record.CellEvents
	kind ChangeKind
}{
	{record.CellOut, StockOutEvent},
	{record.CellBack, StockBackEvent},
	{record.CellBecameLow, StockLowEvent},
	{record.CellRecovered, StockRecoveredEvent},
}

// addStockEvents adds to c what its record says of the cells, cell by cell.
func (e *Engine) addStockEvents(c *Change, r *record.Record) {
	shortages := 0 // they come in the order of the cells
	for i := range r.Cells {
		cell := &r.Cells[i]
		var shortage *Shortage
		if shortages < len(r.Shortages) {
			if s := &r.Shortages[shortages]; s.SKU == cell.SKU && s.Location == cell.Location {
				shortage = &c.Shortages[shortages]
				shortages++
			}
		}
		if cell.Events&^record.CellLow == 0 && shortage == nil || resourceKindOf(c.Cells[i].SKU) != goods {
			continue
		}
		about := e.stockEvent(c, r, i)
		about.Shortage = shortage
		for _, of := range stockEvents {
			if cell.Events&of.is != 0 {
				about.Type, about.Threshold = of.kind, 0
				if of.is&(record.CellBecameLow|record.CellRecovered) != 0 {
					about.Threshold = cell.Threshold
				}
				c.Events = append(c.Events, about)
			}
		}
		if shortage != nil {
			about.Type, about.Threshold = StockShortageEvent, 0
			c.Events = append(c.Events, about)
		}
	}
}

// addOrderEvents adds to a move of an order what it means for the order's reservation, and for the transfer that it sends or receives.
func (e *Engine) addOrderEvents(c *Change, r *record.Record, sequence uint64) {
	if kind := reservationEvent(r, sequence); kind != "" {
		c.Events = append(c.Events, Event{Type: kind})
	}
	if r.Transfer.State != 0 {
		c.Events = append(c.Events, Event{Type: transferChange(r.Transfer.Moves)})
	}
}

// addTransferLosses adds to c what its transfer lost besides what it is told as: some of a load arrives, and some of it was lost or is
// broken. They come last, so that the events before them keep the numbers that they were posted under.
func addTransferLosses(c *Change, moves record.TransferMoves) {
	told := transferChange(moves)
	for _, m := range transferLosses {
		if moves&m.move != 0 && m.kind != told {
			c.Events = append(c.Events, Event{Type: m.kind})
		}
	}
}

var transferLosses = []transferMove{
	{record.TransferLost, TransferLostChange}, {record.TransferDamaged, TransferDamagedChange},
}

// reservationEvent returns what a record of an order says of its reservation, "" where that stays as it was.
func reservationEvent(r *record.Record, sequence uint64) ChangeKind {
	switch re := &r.Reservation; re.State {
	case reservation.Held:
		if re.First == sequence {
			return ReservationHeldChange
		}
		return ReservationExtendedChange
	case reservation.Committed:
		return ReservationCommittedChange
	case reservation.Released:
		return ReservationReleasedChange
	case reservation.Expired:
		return ReservationExpiredChange
	}
	return ""
}

// stockEvent returns what every event of a cell tells: the one at an index of a record, and of c, which was made of it.
func (e *Engine) stockEvent(c *Change, r *record.Record, at int) Event {
	cell := &c.Cells[at].Cell
	event := Event{SKU: cell.SKU, Location: cell.Location, Available: cell.Available, OnHand: cell.OnHand, Held: cell.Held}
	if s := e.settingsOf(r.Cells[at].SKU); s != nil {
		event.SKUTitle = s.Title
	}
	if p := e.locationOf(r.Cells[at].Location); p != nil {
		event.LocationName = p.Name
	}
	return event
}
