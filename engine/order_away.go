package engine

import (
	"errors"
	"slices"
)

// Away is how many of an order line's open units are not where the order is collected.
type Away struct {
	ToSend    int64 // held at another location, to be sent
	InTransit int64 // on their way
}

// OrderAway returns, line by line, what of an order is not yet where it is collected; nil where all of it is, or none is held.
// Which cells hold an order's units is its reservation's to say, by SKU: where several lines are of one SKU, what is away is
// counted to the line that was held there from the beginning, else to one that was held elsewhere, else to any.
func (e *Engine) OrderAway(o *Order) ([]Away, error) {
	if !o.Live() || o.Fulfilment == ShipHome || !o.mayBeAway() {
		return nil, nil
	}
	re, err := e.Reservation(o.Reservation)
	if err != nil {
		if unknown := (*UnknownError)(nil); errors.As(err, &unknown) {
			return nil, nil // it has ended since the order was read
		}
		return nil, err
	}
	var away []Away
	for _, belongs := range []func(line *OrderLine, location string) bool{
		func(line *OrderLine, location string) bool { return line.From == location },
		func(line *OrderLine, _ string) bool { return line.From != o.Location },
		func(*OrderLine, string) bool { return true }, // what was missing is held elsewhere
	} {
		for i := range re.Lines {
			l := &re.Lines[i]
			if l.Held == 0 || l.Location == o.Location {
				continue
			}
			if away == nil {
				away = make([]Away, len(o.Lines))
			}
			for j := range o.Lines {
				line, a := &o.Lines[j], &away[j]
				if line.SKU != l.SKU || !belongs(line, l.Location) {
					continue
				}
				n := min(l.Held, line.Open-a.ToSend-a.InTransit)
				if l.Location == TransitName(o.Location) {
					a.InTransit += n
				} else {
					a.ToSend += n
				}
				l.Held -= n // of this copy: it is counted
			}
		}
	}
	return away, nil
}

// mayBeAway is mayHoldElsewhere of an order as the interface has it.
func (o *Order) mayBeAway() bool {
	return o.OnShort == OnShortTransfer || slices.ContainsFunc(o.Lines, func(l OrderLine) bool { return l.From != o.Location })
}
