package engine_test

import (
	"fmt"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"onhand/engine"
	"onhand/engine/enginetest"
)

// naiveEvents follows the change feed and predicts from numbers alone what events each change has: which of its cells ran
// out, are back, became low or recovered.
type naiveEvents struct {
	after   uint64
	cells   map[engine.CellName]*eventCell
	skus    map[string]engine.SKU
	blocked map[string]bool // locations
}

// eventCell is what the feed has said of a cell.
type eventCell struct {
	engine.Cell
	lowStock engine.Threshold // its own
	low      bool
}

// available is what there is of a cell at this moment of the feed, with all that was said of its SKU and location since.
func (n *naiveEvents) available(name engine.CellName) int64 {
	c := n.cells[name]
	if c == nil || c.Blocked || n.blocked[name.Location] {
		return 0
	}
	safety := n.skus[name.SKU].DefaultSafetyStock
	if c.OwnSafetyStock {
		safety = c.SafetyStock
	}
	return max(0, c.OnHand-c.Held-safety)
}

func (n *naiveEvents) threshold(name engine.CellName) engine.Threshold {
	if c := n.cells[name]; c != nil && c.lowStock.Clear > 0 {
		return c.lowStock
	}
	return n.skus[name.SKU].LowStock
}

// naiveMoves follows the transfers of the change feed and predicts from their lines alone what is told of each.
type naiveMoves struct {
	after uint64
	lines map[engine.ID][]engine.TransferLine
}

// follow takes the next change of a transfer and returns what should be told of it: what matters most, and any loss besides.
func (n *naiveMoves) follow(c *engine.Change) (want []engine.ChangeKind) {
	if n.lines == nil {
		n.lines = map[engine.ID][]engine.TransferLine{}
	}
	before, known := n.lines[c.Transfer.ID]
	n.lines[c.Transfer.ID] = c.Transfer.Lines
	var by engine.TransferLine // units of all lines together
	for i, l := range c.Transfer.Lines {
		var b engine.TransferLine
		if known {
			b = before[i]
		}
		by.Received, by.Lost, by.Damaged = by.Received+l.Received-b.Received, by.Lost+l.Lost-b.Lost, by.Damaged+l.Damaged-b.Damaged
		by.Dispatched, by.Cancelled = by.Dispatched+l.Dispatched-b.Dispatched, by.Cancelled+l.Cancelled-b.Cancelled
	}
	switch {
	case by.Received > 0:
		want = append(want, engine.TransferReceivedChange)
	case by.Lost+by.Damaged > 0:
	case by.Dispatched > 0:
		want = append(want, engine.TransferDispatchedChange)
	case by.Cancelled > 0:
		want = append(want, engine.TransferCancelledChange)
	default:
		want = append(want, engine.TransferPlannedChange)
	}
	if by.Lost > 0 {
		want = append(want, engine.TransferLostChange)
	}
	if by.Damaged > 0 {
		want = append(want, engine.TransferDamagedChange)
	}
	return want
}

// check holds what is told of every transfer since the last look against what the naive model says.
func (n *naiveMoves) check(t *rapid.T, db *enginetest.DB) {
	err := db.Changes(n.after, func(c *engine.Change) error {
		var got, want []engine.ChangeKind
		if n.after = c.Sequence; c.Transfer != nil {
			want = n.follow(c)
		}
		if c.Transfer != nil && c.Order == nil {
			got = append(got, c.Kind) // else the order goes first
		}
		for i := range c.Events {
			if strings.HasPrefix(string(c.Events[i].Type), "transfer.") {
				got = append(got, c.Events[i].Type)
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("change %d, %s, of %+v\ntells of %q\n the model %q", c.Sequence, c.Kind, c.Transfer, got, want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// follow takes the next change and returns the events that it should have.
func (n *naiveEvents) follow(c *engine.Change) (want []string) {
	if n.cells == nil {
		n.cells, n.skus, n.blocked = map[engine.CellName]*eventCell{}, map[string]engine.SKU{}, map[string]bool{}
	}
	n.after = c.Sequence
	switch {
	case c.SKU != nil:
		n.skus[c.SKU.ID] = *c.SKU
	case c.Kind == engine.LocationSetChange:
		n.blocked[c.Location.ID] = c.Location.Blocked
	case c.Kind == engine.LocationDeletedChange:
		delete(n.blocked, c.Location.ID)
		for name := range n.cells {
			if name.Location == c.Location.ID {
				delete(n.cells, name)
			}
		}
	}
	for i := range c.Cells {
		want = append(want, n.cell(&c.Cells[i])...)
		for _, s := range c.Shortages {
			if s.SKU == c.Cells[i].SKU && s.Location == c.Cells[i].Location {
				want = append(want, fmt.Sprintf("stock.shortage of %s at %s", s.SKU, s.Location))
			}
		}
	}
	return want
}

func (n *naiveEvents) cell(c *engine.CellChange) (want []string) {
	name := engine.CellName{SKU: c.SKU, Location: c.Location}
	before := n.available(name)
	if n.cells[name] == nil {
		n.cells[name] = &eventCell{}
	}
	have := n.cells[name]
	have.Cell = c.Cell
	if c.LowStock != nil {
		have.lowStock = *c.LowStock
	}
	if n.blocked[name.Location] {
		return nil
	}
	after, t := n.available(name), n.threshold(name)
	if before > 0 && after == 0 {
		want = append(want, fmt.Sprintf("stock.out of %s at %s", name.SKU, name.Location))
	}
	if before == 0 && after > 0 {
		want = append(want, fmt.Sprintf("stock.back of %s at %s", name.SKU, name.Location))
	}
	switch {
	case !have.low && t.Clear > 0 && after <= t.Low:
		have.low = true
		want = append(want, fmt.Sprintf("stock.low of %s at %s, threshold %d", name.SKU, name.Location, t.Low))
	case have.low && after >= t.Clear:
		have.low = false
		want = append(want, fmt.Sprintf("stock.recovered of %s at %s, threshold %d", name.SKU, name.Location, t.Clear))
	}
	return want
}

func eventText(e *engine.Event) string {
	text := fmt.Sprintf("%s of %s at %s", e.Type, e.SKU, e.Location)
	if e.Type == engine.StockLowEvent || e.Type == engine.StockRecoveredEvent {
		text += fmt.Sprintf(", threshold %d", e.Threshold)
	}
	return text
}

// checkEvents compares the events of every change since the last look, and which cells are low now, with what the naive
// model says, whatever restarts there were between.
func (p *pair) checkEvents(t *rapid.T) {
	err := p.db.Changes(p.events.after, func(c *engine.Change) error {
		want := p.events.follow(c)
		var got []string
		for i := range c.Events {
			if c.Events[i].SKU != "" { // else it tells of a reservation or an order
				got = append(got, eventText(&c.Events[i]))
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("change %d, %s, of %+v\nhas events %q\n  the model %q", c.Sequence, c.Kind, c.Cells, got, want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range p.events.cells {
		have, err := p.db.Stock(name.SKU, name.Location)
		if err != nil {
			t.Fatal(err)
		}
		threshold, own := p.model.skus[name.SKU].LowStock, false
		if c := p.model.cells[name]; c.lowStock.Clear > 0 {
			threshold, own = c.lowStock, true
		}
		if have.Low != want.low || have.LowStock != threshold || have.OwnLowStock != own {
			t.Fatalf("%v is low %t, its threshold %v (its own %t); the model has %t, %v (%t)",
				name, have.Low, have.LowStock, have.OwnLowStock, want.low, threshold, own)
		}
	}
}
