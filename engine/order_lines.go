package engine

import (
	"strings"

	"onhand/engine/internal/record"
	"onhand/engine/internal/reservation"
)

// orderUnits are some units of an order's SKU that a move is about.
type orderUnits struct {
	sku     uint32
	units   uint32
	damaged bool
}

// asked returns the units that a move was asked for, each SKU once (twice where some of it is damaged), or, where it was asked for
// no lines, what limit says of each SKU. It refuses lines that ask for more than limit.
func (w *orderWork) asked(limit func(sku uint32) uint32) ([]orderUnits, error) {
	var out []orderUnits
	if len(w.r.Lines) == 0 {
		for i := range w.o.Lines {
			sku := w.o.Lines[i].SKU
			if units := limit(sku); units > 0 && !contains(out, sku) {
				out = append(out, orderUnits{sku: sku, units: units})
			}
		}
		return out, nil
	}
	total := make(map[uint32]uint64, len(w.r.Lines))
	var refused RefusedError
	for i := range w.r.Lines {
		in := &w.r.Lines[i]
		sku, _ := w.e.skus.Lookup(in.SKU)
		total[sku] += uint64(in.Quantity)
		if most := limit(sku); total[sku] > uint64(most) {
			refused.Lines = append(refused.Lines, Refusal{
				SKU: strings.Clone(in.SKU), Location: w.e.locations.Name(w.o.Location), Reason: NotReserved, Requested: int64(total[sku]), Held: int64(most),
			})
			continue
		}
		out = merge(out, orderUnits{sku, uint32(in.Quantity), in.Damaged})
	}
	if len(refused.Lines) > 0 {
		return nil, &refused
	}
	return out, nil
}

func contains(units []orderUnits, sku uint32) bool {
	for i := range units {
		if units[i].sku == sku {
			return true
		}
	}
	return false
}

func merge(units []orderUnits, u orderUnits) []orderUnits {
	for i := range units {
		if units[i].sku == u.sku && units[i].damaged == u.damaged {
			units[i].units += u.units
			return units
		}
	}
	return append(units, u)
}

// openAt returns how many units of a SKU are held at a location (0 = anywhere) for the order.
func (w *orderWork) openAt(sku, location uint32) (units uint32) {
	if !w.live {
		return 0
	}
	for i := range w.re.Lines {
		l := &w.re.Lines[i]
		if l.SKU == sku && (location == 0 || l.Location == location) {
			units += l.Open()
		}
	}
	return units
}

// book moves units of a SKU, line by line, from what is open (or from of it, where that is given) to another count of the order's
// lines. There are that many.
func (w *orderWork) book(u orderUnits, of func(*record.OrderLine) uint32, to func(*record.OrderLine) *uint32) {
	left := u.units
	for i := range w.o.Lines {
		if l := &w.o.Lines[i]; l.SKU == u.sku {
			n := min(left, of(l))
			*to(l) += n
			left -= n
		}
	}
	if left != 0 {
		panic("engine: an order's lines hold fewer units than its reservation")
	}
}

func openUnits(l *record.OrderLine) uint32 { return l.Open() }

func collected(l *record.OrderLine) *uint32 { return &l.Collected }
func missing(l *record.OrderLine) *uint32   { return &l.Missing }
func cancelled(l *record.OrderLine) *uint32 { return &l.Cancelled }

// take takes units of a SKU, at a location (0 = anywhere), out of what is held: to be sold, or to be free again. They are there.
func (w *orderWork) take(u orderUnits, location uint32, sold bool) {
	w.touched = true
	left := u.units
	for i := range w.re.Lines {
		l := &w.re.Lines[i]
		if l.SKU != u.sku || location != 0 && l.Location != location {
			continue
		}
		n := min(left, l.Open())
		w.e.finishLine(w.c, l, n, sold)
		left -= n
	}
	if left != 0 {
		panic("engine: an order's reservation holds fewer units than were found")
	}
}

// releaseAll gives back everything that is still held.
func (w *orderWork) releaseAll() {
	if !w.live {
		return
	}
	w.touched = true
	for i := range w.re.Lines {
		w.e.finishLine(w.c, &w.re.Lines[i], w.re.Lines[i].Open(), false)
	}
}

// open returns how many units the order still waits for.
func (w *orderWork) open() (units uint64) {
	for i := range w.o.Lines {
		units += uint64(w.o.Lines[i].Open())
	}
	return units
}

// holdMore adds a line to the reservation, or units to the line it has of that cell.
func holdMore(re *reservation.Reservation, sku, location uint32, units uint32) {
	for i := range re.Lines {
		if l := &re.Lines[i]; l.SKU == sku && l.Location == location {
			l.Quantity += units
			return
		}
	}
	re.Lines = append(re.Lines, reservation.Line{SKU: sku, Location: location, Quantity: units})
}
