package engine_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"onhand/engine"
)

// naive is what the engine should do, written down as plainly as it can be: maps, loops, no concurrency, nothing stored.
// Answers are texts, so that they are easily compared, and easily read where they differ.
type naive struct {
	now       time.Time
	skus      map[string]engine.SKU
	locations map[string]bool // true = blocked
	cells     map[engine.CellName]*naiveCell
	holds     map[engine.ID]*naiveHold
	// answers are by key, or by the id that a caller has chosen.
	answers map[string]naiveAnswer
	imports map[string]int // rows carried out
	limits  engine.Options // those of it that are limits
	// ordered are the holds of live orders, which only these can change; expired is told of each hold that expires.
	ordered map[engine.ID]bool
	expired func(id engine.ID)
}

type naiveCell struct {
	onHand, safety     int64
	ownSafety, blocked bool
	lowStock           engine.Threshold // its own
}

type naiveHold struct {
	reference, owner string
	state            engine.State
	deadline         time.Time
	lines            []engine.ReservationLine
}

type naiveAnswer struct{ request, answer string }

func newNaive(now time.Time) *naive {
	return &naive{
		now: now, skus: map[string]engine.SKU{}, locations: map[string]bool{}, cells: map[engine.CellName]*naiveCell{},
		holds: map[engine.ID]*naiveHold{}, answers: map[string]naiveAnswer{}, imports: map[string]int{},
	}
}

// expire ends what is due.
func (n *naive) expire() {
	for id, h := range n.holds {
		if h.state == engine.Held && !h.deadline.After(n.now) {
			h.finish(func(l *engine.ReservationLine) { l.Expired += l.Held; l.Held = 0 }, engine.Expired)
			if n.expired != nil {
				n.expired(id)
			}
		}
	}
}

// finish carries out something on every line and sets the state where nothing is held any more.
func (h *naiveHold) finish(do func(*engine.ReservationLine), end engine.State) {
	held, committed := int64(0), int64(0)
	for i := range h.lines {
		do(&h.lines[i])
		held += h.lines[i].Held
		committed += h.lines[i].Committed
	}
	if held > 0 {
		return
	}
	h.state = end
	if committed > 0 {
		h.state = engine.Committed
	}
}

func (n *naive) held(name engine.CellName) (units int64) {
	for _, h := range n.holds {
		for _, l := range h.lines {
			if l.SKU == name.SKU && l.Location == name.Location {
				units += l.Held
			}
		}
	}
	return units
}

func (n *naive) safety(name engine.CellName) int64 {
	if c := n.cells[name]; c.ownSafety {
		return c.safety
	}
	return n.skus[name.SKU].DefaultSafetyStock
}

func (n *naive) available(name engine.CellName) int64 {
	c := n.cells[name]
	if c.blocked || n.locations[name.Location] {
		return 0
	}
	return max(0, c.onHand-n.held(name)-n.safety(name))
}

func (n *naive) cellText(name engine.CellName) string {
	if _, known := n.skus[name.SKU]; !known {
		return "unknown sku"
	}
	blocked, known := n.locations[name.Location]
	if !known {
		return "unknown location"
	}
	c := n.cells[name]
	if c == nil {
		return fmt.Sprintf("not stocked, location blocked %t", blocked)
	}
	return fmt.Sprintf("on hand %d, held %d, safety %d (own %t), blocked %t and %t, available %d",
		c.onHand, n.held(name), n.safety(name), c.ownSafety, c.blocked, blocked, n.available(name))
}

// cellToStock returns a cell that stock is reported for, making known what is not.
func (n *naive) cellToStock(name engine.CellName) *naiveCell {
	if _, known := n.skus[name.SKU]; !known {
		n.skus[name.SKU] = engine.SKU{ID: name.SKU}
	}
	if _, known := n.locations[name.Location]; !known {
		n.locations[name.Location] = false
	}
	if n.cells[name] == nil {
		n.cells[name] = &naiveCell{}
	}
	return n.cells[name]
}

// shortage returns how far a cell is below what is promised, backorders aside.
func (n *naive) shortage(name engine.CellName) int64 {
	if n.cells[name] == nil {
		return 0
	}
	return max(0, n.held(name)-n.cells[name].onHand+min(0, n.safety(name)))
}

// once carries out a request unless its key was used before. Under a key, what do answers is kept where it says so.
func (n *naive) once(key, request string, do func() (answer string, keep bool)) string {
	if key == "" {
		answer, _ := do()
		return answer
	}
	if had, ok := n.answers[key]; ok {
		if had.request != request {
			return "key reused"
		}
		return had.answer
	}
	answer, keep := do()
	if keep {
		n.answers[key] = naiveAnswer{request, answer}
	}
	return answer
}

// sums adds up the lines of the same cell, in the order in which the cells come first. Lines with an unknown name stay
// apart.
func (n *naive) sums(lines []engine.Line) (out []engine.Line) {
	for _, l := range lines {
		_, sku := n.skus[l.SKU]
		_, location := n.locations[l.Location]
		i := slices.IndexFunc(out, func(have engine.Line) bool { return have.SKU == l.SKU && have.Location == l.Location })
		if i < 0 || !sku || !location {
			out = append(out, l)
		} else {
			out[i].Quantity += l.Quantity
		}
	}
	return out
}

// limit returns the limit that another reservation with a reference, of an owner, would break.
func (n *naive) limit(reference, owner string) string {
	withReference, ofOwner := 0, 0
	for _, h := range n.holds {
		if h.state == engine.Held && reference != "" && h.reference == reference {
			withReference++
		}
		if h.state == engine.Held && owner != "" && h.owner == owner {
			ofOwner++
		}
	}
	if most := n.limits.HoldsPerReference; most > 0 && withReference >= most {
		return fmt.Sprintf("limit: holds_per_reference, %d of %d", withReference, most)
	}
	if most := n.limits.HoldsPerOwner; most > 0 && ofOwner >= most {
		return fmt.Sprintf("limit: holds_per_owner, %d of %d", ofOwner, most)
	}
	return ""
}

func (n *naive) reserve(id engine.ID, r *engine.ReserveRequest, seconds int64) string {
	if limit := n.limit(r.Reference, r.Owner); limit != "" {
		return limit
	}
	lines, partial := r.Lines, r.Partial
	var granted []engine.ReservationLine
	var refused []string
	for _, l := range n.sums(lines) {
		name := engine.CellName{SKU: l.SKU, Location: l.Location}
		reason, units := n.grant(name, l.Quantity)
		if reason != "" {
			refused = append(refused, fmt.Sprintf("%s at %s: %s, %d of %d", l.SKU, l.Location, reason, units, l.Quantity))
		}
		if units > 0 {
			granted = append(granted, engine.ReservationLine{SKU: l.SKU, Location: l.Location, Quantity: units, Held: units})
		}
	}
	if len(granted) == 0 || !partial && len(refused) > 0 {
		for i := range refused {
			refused[i] = zeroGranted(refused[i])
		}
		return "refused: " + strings.Join(refused, "; ")
	}
	hold := 15 * time.Minute
	chosen := false
	for _, l := range lines {
		if d := n.skus[l.SKU].DefaultHold; d != 0 && (!chosen || d < hold) {
			hold, chosen = d, true
		}
	}
	if seconds > 0 {
		hold = time.Duration(seconds) * time.Second
	}
	n.holds[id] = &naiveHold{r.Reference, r.Owner, engine.Held, n.now.Add(hold), granted}
	text := n.holdText(id)
	if len(refused) > 0 {
		text += " without " + strings.Join(refused, "; ")
	}
	return text
}

// zeroGranted is for a request that was refused as a whole: nothing of any line was granted.
func zeroGranted(refusal string) string {
	before, after, _ := strings.Cut(refusal, ", ")
	_, of, _ := strings.Cut(after, " of ")
	return before + ", 0 of " + of
}

// grant returns how much of a line can be held, and why not all of it.
func (n *naive) grant(name engine.CellName, quantity int64) (reason string, units int64) {
	if _, known := n.skus[name.SKU]; !known {
		return "unknown_sku", 0
	}
	blocked, known := n.locations[name.Location]
	if !known {
		return "unknown_location", 0
	}
	c := n.cells[name]
	if c == nil {
		return "not_stocked", 0
	}
	backorders := max(0, -n.safety(name))
	units = min(n.available(name), quantity)
	switch {
	case c.blocked || blocked:
		return "blocked", 0
	case units == quantity:
		return "", units
	case c.onHand+backorders < quantity:
		return "short", units
	case c.onHand+backorders-n.held(name) < quantity:
		return "held_by_others", units
	}
	return "safety_stock", units
}

func (n *naive) holdText(id engine.ID) string {
	h := n.holds[id]
	if h == nil {
		return "unknown reservation"
	}
	return holdText(h.state, h.deadline, h.lines)
}

func holdText(state engine.State, deadline time.Time, lines []engine.ReservationLine) string {
	return fmt.Sprintf("%v until %s: %v", state, deadline.Format("15:04:05.000"), lines)
}

// change carries out a change of a reservation that must be held.
func (n *naive) change(id engine.ID, do func(h *naiveHold) string) (answer string, keep bool) {
	h := n.holds[id]
	if h == nil {
		return "unknown reservation", false
	}
	if h.state != engine.Held {
		return "wrong state: " + h.state.String(), false
	}
	if n.ordered[id] {
		return "ordered", false
	}
	if no := do(h); no != "" {
		return no, false
	}
	return n.holdText(id), true
}

func (n *naive) finish(id engine.ID, lines []engine.Line, commit bool) (answer string, keep bool) {
	return n.change(id, func(h *naiveHold) string {
		take := make(map[engine.CellName]int64)
		var refused []string
		for _, l := range lines {
			name := engine.CellName{SKU: l.SKU, Location: l.Location}
			open := int64(0)
			for _, have := range h.lines {
				if have.SKU == l.SKU && have.Location == l.Location {
					open = have.Held - take[name]
				}
			}
			quantity := l.Quantity
			if quantity == 0 {
				quantity = open
			}
			if quantity > open || quantity == 0 {
				refused = append(refused, fmt.Sprintf("%s at %s: not_reserved", l.SKU, l.Location))
				continue
			}
			take[name] += quantity
		}
		if len(refused) > 0 {
			return "refused: " + strings.Join(refused, "; ")
		}
		end := engine.Released
		h.finish(func(l *engine.ReservationLine) {
			name := engine.CellName{SKU: l.SKU, Location: l.Location}
			units := take[name]
			if len(lines) == 0 {
				units = l.Held
			}
			l.Held -= units
			if commit {
				l.Committed += units
				n.cells[name].onHand -= units
			} else {
				l.Released += units
			}
		}, end)
		return ""
	})
}

// stockText tells cells, and which of them became short.
func (n *naive) stockText(names []engine.CellName, before map[engine.CellName]int64) string {
	var parts []string
	for _, name := range names {
		parts = append(parts, fmt.Sprintf("%s at %s: %s", name.SKU, name.Location, n.cellText(name)))
		if short := n.shortage(name); short > before[name] {
			parts = append(parts, fmt.Sprintf("short by %d", short))
		}
	}
	return strings.Join(parts, "; ")
}

func (n *naive) adjust(lines []engine.Line) string {
	before := make(map[engine.CellName]int64)
	var names []engine.CellName
	for _, l := range lines {
		n.cellToStock(engine.CellName{SKU: l.SKU, Location: l.Location})
	}
	for _, l := range n.sums(lines) {
		name := engine.CellName{SKU: l.SKU, Location: l.Location}
		before[name] = n.shortage(name)
		n.cells[name].onHand += l.Quantity
		names = append(names, name)
	}
	return n.stockText(names, before)
}

func (n *naive) setStock(r *engine.SetStockRequest) string {
	name := engine.CellName{SKU: r.SKU, Location: r.Location}
	before := map[engine.CellName]int64{name: n.shortage(name)}
	c := n.cellToStock(name)
	if r.OnHand != nil {
		c.onHand = *r.OnHand
	}
	if r.SafetyStock != nil {
		c.safety, c.ownSafety = *r.SafetyStock, true
	}
	if r.InheritSafetyStock {
		c.ownSafety = false
	}
	if r.Blocked != nil {
		c.blocked = *r.Blocked
	}
	if r.LowStock != nil {
		c.lowStock = *r.LowStock
	}
	if r.InheritLowStock {
		c.lowStock = engine.Threshold{}
	}
	return n.stockText([]engine.CellName{name}, before)
}

// importRows carries out the rows after those that an earlier attempt has carried out.
func (n *naive) importRows(id string, rows []engine.ImportRow, delta bool) string {
	repeated := 0
	if id != "" {
		repeated = n.imports[id]
	}
	for _, r := range rows[min(repeated, len(rows)):] {
		c := n.cellToStock(engine.CellName{SKU: r.SKU, Location: r.Location})
		if delta {
			c.onHand += *r.OnHand
		} else {
			c.onHand = *r.OnHand
		}
	}
	if id != "" {
		n.imports[id] = max(repeated, len(rows))
	}
	return fmt.Sprintf("%d applied, %d repeated", len(rows)-repeated, repeated)
}

func (n *naive) deleteLocation(id string) (answer string, keep bool) {
	if _, known := n.locations[id]; !known {
		return "unknown location", false
	}
	for name, c := range n.cells {
		if name.Location == id && (c.onHand != 0 || n.held(name) != 0) {
			return "in use", false
		}
	}
	delete(n.locations, id)
	maps.DeleteFunc(n.cells, func(name engine.CellName, _ *naiveCell) bool { return name.Location == id })
	return "deleted", true
}

// live returns the ids of what is held, the nearest deadline first.
func (n *naive) live() []engine.ID {
	var ids []engine.ID
	for id, h := range n.holds {
		if h.state == engine.Held {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b engine.ID) int {
		return cmp.Or(n.holds[a].deadline.Compare(n.holds[b].deadline), slices.Compare(a[:], b[:]))
	})
	return ids
}
