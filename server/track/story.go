package track

import "slices"

// story returns what is told of the order's state. Where there is a story of its own for the way in which the customer gets
// the order, it goes before the one for all.
func (t *texts) story(p *Page) story { return t.stories[t.storyKey(p, p.State)] }

func (t *texts) storyKey(p *Page, s State) string {
	var ways []string
	switch {
	case s == Returned && p.partly(func(l *Line) int64 { return l.Returned }):
		ways = []string{"partly"}
	case s == Collected && p.Fulfilment == ShipHome && p.was(InTransit):
		// Collected is the moment at which units leave the books. Where the order was seen on its way before, that is
		// its arrival, else it is the carrier who collected it.
		ways = []string{"delivered"}
	case p.Fulfilment == ShipHome:
		ways = []string{string(ShipHome)}
	default:
		ways = []string{string(p.Fulfilment), string(p.Handover)}
	}
	for _, way := range ways {
		if key := string(s) + "." + way; t.stories[key] != (story{}) {
			return key
		}
	}
	return string(s)
}

// was reports whether the order came to a state.
func (p *Page) was(s State) bool {
	return slices.ContainsFunc(p.Steps, func(x Step) bool { return x.State == s })
}

// path returns the states to show, in order, and which of them is the present one: those that an order of its kind goes
// through, or, where it left that way, those that it came to, and the present one as the last.
func (p *Page) path() (path []Step, now int) {
	way := []State{Placed, Accepted, Picking, Ready, Collected}
	if p.Fulfilment == ShipToStore || p.State == InTransit || p.was(InTransit) {
		way = slices.Insert(way, 3, InTransit)
	}
	if now = slices.Index(way, p.State); now >= 0 {
		for _, s := range way {
			path = append(path, Step{State: s})
		}
		for _, s := range p.Steps {
			if i := slices.Index(way, s.State); i >= 0 && i <= now {
				path[i].At = s.At // of a state that it came to twice, the last time
			}
		}
		return path, now
	}
	for _, s := range p.Steps {
		if s.State == Short && s.State != p.State {
			continue // it was resolved
		}
		path = slices.DeleteFunc(path, func(o Step) bool { return o.State == s.State })
		path = append(path, s)
	}
	if n := len(path); n == 0 || path[n-1].State != p.State {
		path = append(path, Step{State: p.State})
	}
	return path, len(path) - 1
}
