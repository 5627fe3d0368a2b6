package engine

import (
	"fmt"
	"strings"
)

// Compartment is a size of a location's locker compartments and how many there are of it.
type Compartment struct {
	Size  string `json:"size"`  // 1 to CompartmentSizeMax of a-z, A-Z, 0-9, _ and -
	Count int64  `json:"count"` // 1 to CompartmentCountMax
}

// Limits of compartments.
const (
	CompartmentsMax     = 16 // sizes of one location
	CompartmentSizeMax  = 16 // bytes
	CompartmentCountMax = 100000
)

func checkCompartments(all []Compartment) error {
	if n := len(all); n > CompartmentsMax {
		return invalid("compartments", fmt.Sprintf("%d sizes", n), fmt.Sprintf("at most %d", CompartmentsMax))
	}
	for i := range all {
		c := &all[i]
		field := fmt.Sprintf("compartments[%d]", i)
		if !validSize(c.Size) {
			return invalid(field+".size", c.Size, fmt.Sprintf("1 to %d of a-z, A-Z, 0-9, _ and -", CompartmentSizeMax))
		}
		for j := range all[:i] {
			if all[j].Size == c.Size {
				return invalid(field+".size", c.Size, "each size once")
			}
		}
		if c.Count < 1 || c.Count > CompartmentCountMax {
			return invalid(field+".count", c.Count, fmt.Sprintf("1 to %d", CompartmentCountMax))
		}
	}
	return nil
}

func validSize(size string) bool {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
	return len(size) >= 1 && len(size) <= CompartmentSizeMax && strings.Trim(size, allowed) == ""
}

// compartmentCount returns how many compartments of a size a location has.
func (p *place) compartmentCount(size string) int64 {
	for i := range p.compartments {
		if p.compartments[i].Size == size {
			return p.compartments[i].Count
		}
	}
	return 0
}

// compartmentsFrom returns a size and those that are larger, in that order; none where the location has no such size.
func (e *Engine) compartmentsFrom(p *place, size string) (sizes []string) {
	for i := range p.compartments {
		if len(sizes) > 0 || p.compartments[i].Size == size {
			sizes = append(sizes, p.compartments[i].Size)
		}
	}
	return sizes
}

// CompartmentUse is how many of a location's compartments of a size are taken.
type CompartmentUse struct {
	Compartment
	Taken int64
	Free  int64 // how many more can be taken now
}

// Compartments returns a location's compartments, the smallest first, as of some moment during the call.
func (e *Engine) Compartments(location string) ([]CompartmentUse, error) {
	n, _ := e.locations.Lookup(location)
	p := e.locationOf(n)
	if p == nil {
		return nil, e.unknownLocation(location)
	}
	basis := p.sequence
	uses := make([]CompartmentUse, len(p.compartments))
	for i, c := range p.compartments {
		sku, _ := e.skus.Lookup(compartmentPrefix + c.Size)
		view, _ := e.stock.View(sku, p.ID)
		basis = max(basis, view.Sequence)
		uses[i] = CompartmentUse{Compartment: c, Taken: view.Held}
		if !p.Blocked {
			uses[i].Free = max(0, c.Count-view.Held)
		}
	}
	return uses, e.settle(basis)
}
