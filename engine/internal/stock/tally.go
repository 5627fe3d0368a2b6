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
		t.counts, t.round = make([]Count, locations+locations/4+1), 1
	}
	t.found, t.latest = t.found[:0], 0
	// Empty slots count for location 0, which is none: cheaper than to tell them apart.
	t.counts[0].round = t.round
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
	counts, round := t.counts, t.round
	for i := range r.slots {
		slot := &r.slots[i]
		// As in load, written out: this loop is most of what a question about a basket costs.
		version := slot.version.Load()
		key, onHand, held := slot.key.Load(), slot.onHand.Load(), slot.held.Load()
		location := uint32(key)
		if int(location) >= len(counts) {
			continue // it came after Begin
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
		count := &counts[location]
		if count.round != round {
			*count = Count{round: round}
			t.found = append(t.found, location)
		}
		// What is in stock where is anyone's guess, the processor's too: hence no branches.
		units, whole := min(max(onHand>>headBits-held>>headBits-kept, 0), quantity), uint32(0)
		if flags&Blocked != 0 {
			units = 0
		}
		if units == quantity {
			whole = 1
		}
		count.Units += units
		count.Lines += whole
	}
	t.latest = latest
}
