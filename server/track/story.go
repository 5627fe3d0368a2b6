package track

import "slices"

// story returns what is told of the order's state. Where there is a story of its own for the way in which the customer gets
// the order, it goes before the one for all.
func (t *texts) story(p *Page) story {
	if p.stage() == Received {
		return t.stories[t.storyKey(p, Received)]
	}
	return t.stories[t.storyKey(p, p.State)]
}

func (t *texts) storyKey(p *Page, s State) string {
	var ways []string
	switch {
	case s == Returned && p.partly(func(l *Line) int64 { return l.Returned }):
		ways = []string{"partly"}
	case s == Collected && p.Fulfilment == ShipHome && p.was(InTransit):
		// Collected is the moment at which units leave the books. Where the order was seen on its way before, that is
		// its arrival, else it is the carrier who collected it.
		ways = []string{"delivered"}
	case s == Placed && p.unpaid():
		ways = []string{"unpaid"}
	case p.Fulfilment == ShipHome:
		ways = []string{string(ShipHome)}
	case s == Received:
		ways = []string{string(p.State)}
	case (s == Accepted || s == Picking || s == InTransit) && p.scattered():
		ways = []string{"partly"}
	case p.toBeSent():
		ways = []string{string(ShipToStore), string(p.Handover)}
	default:
		ways = []string{string(p.Handover)}
	}
	for _, way := range ways {
		if key := string(s) + "." + way; t.stories[key] != (story{}) {
			return key
		}
	}
	return string(s)
}

// toBeSent reports whether any of the order has yet to be sent to where it is collected. How it is to be got does not tell:
// what is missing of an order for pickup may come from elsewhere, and one that was to be sent may have moved to where it is.
func (p *Page) toBeSent() bool {
	_, _, toSend := p.whereabouts()
	return toSend > 0
}

// round returns the steps since the order began, or began anew: paid late, or moved to another location.
func (p *Page) round() []Step {
	for i := len(p.Steps) - 1; i > 0; i-- {
		if p.Steps[i].State == Placed {
			return p.Steps[i:]
		}
	}
	return p.Steps
}

// was reports whether the order came to a state, in this round.
func (p *Page) was(s State) bool { return came(p.round(), s) }

func came(steps []Step, s State) bool {
	return slices.ContainsFunc(steps, func(x Step) bool { return x.State == s })
}

// stage is how far the order is on its way, which for one that is sent to where it is collected its state does not tell: it is
// accepted and picked before it is sent, and after it has arrived. While more is to be sent, it has not arrived.
func (p *Page) stage() State {
	if p.State != Accepted && p.State != Picking || p.Fulfilment == ShipHome || !p.was(Received) {
		return p.State
	}
	if p.toBeSent() {
		return InTransit
	}
	return Received
}

// path returns the states to show, in order, and which of them is the present one: those that an order of its kind goes
// through, or, where it left that way, those that it came to, and the present one as the last.
func (p *Page) path() (path []Step, now int) {
	way := p.way()
	if now = slices.Index(way, p.stage()); now >= 0 {
		for _, s := range way {
			path = append(path, Step{State: s})
		}
		round := p.round()
		for n, s := range round {
			if (s.State == Accepted || s.State == Picking) && came(round[:n], Received) {
				continue // that was for making it ready where it has arrived
			}
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

// way returns the states that an order of its kind goes through.
func (p *Page) way() []State {
	way := []State{Placed, Accepted, Picking, Ready, Collected}
	sent := p.State == InTransit || p.was(InTransit)
	switch {
	case p.Fulfilment == ShipHome && sent:
		return slices.Insert(way, 4, InTransit) // once it is packed
	case p.Fulfilment != ShipHome && (sent || p.toBeSent()):
		return slices.Insert(way, 3, InTransit, Received)
	}
	return way
}
