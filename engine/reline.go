package engine

import (
	"fmt"
	"slices"

	"onhand/engine/internal/reservation"
)

// cellMoves gathers by how far a change moves cells, as a record may hold a cell only once. Whoever uses it holds the cells'
// shards until the record is written.
type cellMoves struct {
	e     *Engine
	cells []cellMove
	index map[cellID]int // of cells, where there are more than mergeSmall
}

type cellMove struct {
	cellID
	movement
}

// move moves a cell's units on hand and held by so many.
func (m *cellMoves) move(sku, location uint32, onHand, held int64) {
	at := cellID{sku, location}
	i := -1
	if m.index != nil {
		if have, ok := m.index[at]; ok {
			i = have
		}
	} else {
		i = slices.IndexFunc(m.cells, func(c cellMove) bool { return c.cellID == at })
	}
	if i < 0 {
		i = len(m.cells)
		m.cells = append(m.cells, cellMove{cellID: at})
		if m.index != nil {
			m.index[at] = i
		} else if len(m.cells) > mergeSmall {
			m.index = make(map[cellID]int, 4*len(m.cells))
			for j := range m.cells {
				m.index[m.cells[j].cellID] = j
			}
		}
	}
	m.cells[i].onHand += onHand
	m.cells[i].held += held
}

// check refuses what would leave more on hand than can be.
func (m *cellMoves) check() error {
	for i := range m.cells {
		c := &m.cells[i]
		view, _ := m.e.stock.View(c.sku, c.location)
		if after := view.OnHand + c.onHand; after < -QuantityMax || after > QuantityMax {
			return invalid("lines", c.onHand, fmt.Sprintf("a change that leaves on_hand of %q at %q, now %d, within ±%d",
				m.e.skus.Name(c.sku), m.e.locations.Name(c.location), view.OnHand, int64(QuantityMax)))
		}
	}
	return nil
}

// emit adds the cells, as they are to be, to the record.
func (m *cellMoves) emit(c *command) {
	for i := range m.cells {
		move := &m.cells[i]
		if move.movement == (movement{}) {
			continue
		}
		view, _ := m.e.stock.View(move.sku, move.location)
		c.addCell(move.sku, move.location, &view, view.OnHand+move.onHand, view.Held+move.held, move.onHand)
	}
}

// moveHeld moves units that a live reservation holds from one location to another, as far as it holds so many, and returns how
// many that were: the line there is released by as many, and one here holds as many more. The reservation keeps its lines
// where they are; new ones come behind them.
func (e *Engine) moveHeld(re *reservation.Reservation, sku, from, to uint32, units uint32) (moved uint32) {
	at := slices.IndexFunc(re.Lines, func(l reservation.Line) bool { return l.SKU == sku && l.Location == to })
	if at < 0 && len(re.Lines) >= reservation.LinesMax {
		return 0
	}
	if at >= 0 {
		units = min(units, 1<<32-1-re.Lines[at].Quantity)
	}
	if moved = e.releaseHeld(re, sku, from, units); moved == 0 {
		return 0
	}
	if at >= 0 {
		re.Lines[at].Quantity += moved
	} else {
		re.Lines = append(re.Lines, reservation.Line{SKU: sku, Location: to, Quantity: moved})
	}
	return moved
}

// releaseHeld releases units that a live reservation holds at a location, as far as it holds so many, and returns how many
// that were.
func (e *Engine) releaseHeld(re *reservation.Reservation, sku, location, units uint32) (released uint32) {
	for i := range re.Lines {
		if l := &re.Lines[i]; l.SKU == sku && l.Location == location {
			n := min(l.Open(), units-released)
			l.Released += n
			released += n
		}
	}
	return released
}

// heldAt returns how many units of a SKU a live reservation holds at a location.
func heldAt(re *reservation.Reservation, sku, location uint32) (units uint32) {
	for i := range re.Lines {
		if l := &re.Lines[i]; l.SKU == sku && l.Location == location {
			units += l.Open()
		}
	}
	return units
}

// moveHeld and releaseHeld are the engine's, with what they do to cells.
func (m *cellMoves) moveHeld(re *reservation.Reservation, sku, from, to, units uint32) {
	moved := int64(m.e.moveHeld(re, sku, from, to, units))
	m.move(sku, from, 0, -moved)
	m.move(sku, to, 0, moved)
}

func (m *cellMoves) releaseHeld(re *reservation.Reservation, sku, location, units uint32) {
	m.move(sku, location, 0, -int64(m.e.releaseHeld(re, sku, location, units)))
}
