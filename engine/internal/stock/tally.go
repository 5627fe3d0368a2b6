package stock

// Tally counts, by location, how much of a basket there is. It is used again and again: what it holds of an earlier basket
// is told from the present one by its round, and never cleared.
type Tally struct {
	counts []Count
	round  uint32
	found  []uint32
	latest uint64
}

// Count is how much of a basket a location has.
type Count struct {
	Units int64 // of what was asked for
	round uint32
	Lines uint32 // with all that was asked for
}

// Begin forgets what was counted. locations is one past the largest there is.
func (t *Tally) Begin(locations uint32) {
	if t.round++; t.round == 0 || len(t.counts) < int(locations) {
		t.counts, t.round = make([]Count, locations+locations/4), 1
	}
	t.found, t.latest = t.found[:0], 0
}

// Found are the locations that have a cell of any line, in no order.
func (t *Tally) Found() []uint32 { return t.found }

// Latest is the sequence of the last change that was seen.
func (t *Tally) Latest() uint64 { return t.latest }

// Of returns how much of the basket a location has.
func (t *Tally) Of(location uint32) Count {
	if int(location) < len(t.counts) && t.counts[location].round == t.round {
		return t.counts[location]
	}
	return Count{}
}

// Add counts a line of a basket at every location. A location that is blocked counts as if it were not. It takes no lock;
// each cell is of some moment during the call.
func (t *Tally) Add(m *Map, skuID uint32, quantity int64) {
	s := m.skus.Peek(skuID)
	if s == nil {
		return
	}
	r := s.row.Load()
	if r == nil {
		return
	}
	safety, latest := s.safety.Load(), max(t.latest, s.sequence.Load()&^settling)
	for i := range r.slots {
		slot := &r.slots[i]
		// As in load, written out: this loop is most of what a question about a basket costs.
		version := slot.version.Load()
		key, onHand, held := slot.key.Load(), slot.onHand.Load(), slot.held.Load()
		location := uint32(key)
		if location == 0 || int(location) >= len(t.counts) {
			continue // nothing, or a location that came after Begin
		}
		kept := int64(int32(key >> 32))
		if Flags(version)&busy != 0 || slot.version.Load() != version {
			c := slot.load()
			version = c.Sequence<<8 | uint64(c.Flags)
			onHand, held, kept = c.OnHand<<headBits, c.Held<<headBits, c.Safety
		}
		flags := Flags(version)
		if flags&absent != 0 {
			continue
		}
		latest = max(latest, version>>8)
		if flags&OwnSafety == 0 {
			kept = safety
		}
		count := &t.counts[location]
		if count.round != t.round {
			*count = Count{round: t.round}
			t.found = append(t.found, location)
		}
		available := onHand>>headBits - held>>headBits - kept
		switch {
		case available <= 0 || flags&Blocked != 0:
		case available >= quantity:
			count.Lines++
			count.Units += quantity
		default:
			count.Units += available
		}
	}
	t.latest = latest
}
