package engine_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"onhand/engine"
	"onhand/engine/enginetest"
)

// pair is an engine and the naive model of what it should do, which are told the same and must answer the same.
type pair struct {
	db    *enginetest.DB
	model *naive
	// unswept says that time has passed, so that reads may still show what is due as held.
	unswept bool
	// lightly leaves the check of the whole state to when the database is closed: it takes longer than everything else.
	lightly bool
	events  naiveEvents
}

// Few names, so that requests meet. The last of each are never reported, only asked for.
var (
	modelSKUs      = []string{"lamp", "tea", "cup", "no such sku"}
	modelLocations = []string{"lyon", "nice", "no such place"}
	modelIDs       = []engine.ID{{1}, {2}, {3}}
	modelNames     = []string{"", "", "anna", "bo"} // references and owners
	modelKeys      = []string{"", "", "k1", "k2", "k3", "k4"}
)

func drawLine(t *rapid.T, known bool, least, most int64) engine.Line {
	unknown := 1
	if known {
		unknown = 0
	}
	return engine.Line{
		SKU:      rapid.SampledFrom(modelSKUs[:len(modelSKUs)-1+unknown]).Draw(t, "sku"),
		Location: rapid.SampledFrom(modelLocations[:len(modelLocations)-1+unknown]).Draw(t, "location"),
		Quantity: rapid.Int64Range(least, most).Draw(t, "quantity"),
	}
}

func drawLines(t *rapid.T, known bool, least, most int64) []engine.Line {
	lines := make([]engine.Line, rapid.IntRange(1, 3).Draw(t, "lines"))
	for i := range lines {
		for lines[i].Quantity == 0 {
			lines[i] = drawLine(t, known, least, most)
		}
	}
	return lines
}

func drawKey(t *rapid.T) string { return rapid.SampledFrom(modelKeys).Draw(t, "key") }

// errorText tells an error as the model does.
func errorText(err error) string {
	var unknown *engine.UnknownError
	var refused *engine.RefusedError
	var state *engine.StateError
	var mismatch *engine.SequenceError
	var inUse *engine.InUseError
	var limit *engine.LimitError
	var ordered *engine.OrderedError
	switch {
	case errors.As(err, &ordered):
		return "ordered"
	case errors.As(err, &unknown):
		return "unknown " + unknown.Kind
	case errors.As(err, &state):
		return "wrong state: " + state.State.String()
	case errors.As(err, &mismatch):
		return "sequence mismatch"
	case errors.As(err, &inUse):
		return "in use"
	case errors.Is(err, engine.ErrKeyReused):
		return "key reused"
	case errors.As(err, &limit):
		return fmt.Sprintf("limit: %s, %d of %d", limit.Limit, limit.Live, limit.Max)
	case errors.As(err, &refused):
		return "refused: " + refusalText(refused.Lines)
	}
	return "unexpected: " + err.Error()
}

func refusalText(lines []engine.Refusal) string {
	var parts []string
	for _, l := range lines {
		text := fmt.Sprintf("%s at %s: %v", l.SKU, l.Location, l.Reason)
		if l.Reason != engine.NotReserved {
			text += fmt.Sprintf(", %d of %d", l.Granted, l.Requested)
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, "; ")
}

func reservationText(r engine.Reservation, err error) string {
	if err != nil {
		return errorText(err)
	}
	text := holdText(r.State, r.Expires, r.Lines)
	if len(r.Refused) > 0 {
		text += " without " + refusalText(r.Refused)
	}
	return text
}

func engineCellText(c *engine.Cell) string {
	if !c.Stocked {
		return fmt.Sprintf("not stocked, location blocked %t", c.LocationBlocked)
	}
	return fmt.Sprintf("on hand %d, held %d, safety %d (own %t), blocked %t and %t, available %d",
		c.OnHand, c.Held, c.SafetyStock, c.OwnSafetyStock, c.Blocked, c.LocationBlocked, c.Available)
}

func changeText(change engine.StockChange, err error) string {
	if err != nil {
		return errorText(err)
	}
	var parts []string
	for i := range change.Cells {
		c := &change.Cells[i].Cell
		parts = append(parts, fmt.Sprintf("%s at %s: %s", c.SKU, c.Location, engineCellText(c)))
		for _, s := range change.Shortages {
			if s.SKU == c.SKU && s.Location == c.Location {
				parts = append(parts, fmt.Sprintf("short by %d", s.Units))
			}
		}
	}
	return strings.Join(parts, "; ")
}

// same fails unless engine and model have said the same.
func same(t *rapid.T, what, engine, model string) {
	if engine != model {
		t.Fatalf("%s\nengine: %s\n model: %s", what, engine, model)
	}
}

func (p *pair) reserve(t *rapid.T) {
	r := engine.ReserveRequest{
		Lines: drawLines(t, false, 1, 5), Partial: rapid.Bool().Draw(t, "partial"), Key: drawKey(t),
		Reference: rapid.SampledFrom(modelNames).Draw(t, "reference"),
	}
	seconds := rapid.SampledFrom([]int64{0, 1, 2, 5, 60}).Draw(t, "seconds")
	r.ExpiresIn = time.Duration(seconds) * time.Second
	if r.Key == "" && rapid.Bool().Draw(t, "chooses an id") {
		r.ID = rapid.SampledFrom(modelIDs).Draw(t, "id")
	}
	request := fmt.Sprintf("reserve %+v", r) // whoever asks: a retry may come from another owner
	r.Owner = rapid.SampledFrom(modelNames).Draw(t, "owner")
	got, err := p.db.Reserve(&r)
	id := got.ID
	key := r.Key
	if r.ID != (engine.ID{}) {
		id, key = r.ID, "id "+engine.FormatID(r.ID)
	}
	p.model.expire()
	want := p.model.once(key, request, func() (string, bool) {
		answer := p.model.reserve(id, &r, seconds)
		return answer, !strings.HasPrefix(answer, "limit") && (r.Key != "" || !strings.HasPrefix(answer, "refused"))
	})
	same(t, fmt.Sprintf("reserve %+v", r), reservationText(got, err), want)
}

// someID draws a reservation: one that is live, or one that ended lately, perhaps at this very instant, or any of the
// callers' own.
func (p *pair) someID(t *rapid.T) engine.ID {
	candidates := slices.Concat(p.model.live(), modelIDs[:1])
	if rapid.Bool().Draw(t, "ended") {
		candidates = slices.Clone(modelIDs)
		for id, h := range p.model.holds {
			if !h.deadline.After(p.model.now) && h.deadline.After(p.model.now.Add(-time.Second)) {
				candidates = append(candidates, id)
			}
		}
		slices.SortFunc(candidates, func(a, b engine.ID) int { return slices.Compare(a[:], b[:]) })
	}
	return rapid.SampledFrom(candidates).Draw(t, "reservation")
}

func (p *pair) finish(t *rapid.T) { p.finishThis(t, p.someID(t)) }

func (p *pair) finishThis(t *rapid.T, id engine.ID) {
	r := engine.FinishRequest{ID: id, Key: drawKey(t)}
	commit := rapid.Bool().Draw(t, "commit")
	if h := p.model.holds[r.ID]; h != nil && rapid.Bool().Draw(t, "by line") {
		for _, l := range h.lines {
			if rapid.Bool().Draw(t, "this line") {
				r.Lines = append(r.Lines, engine.Line{SKU: l.SKU, Location: l.Location, Quantity: rapid.Int64Range(0, l.Quantity).Draw(t, "quantity")})
			}
		}
	}
	do, name := p.db.Release, "release"
	if commit {
		do, name = p.db.Commit, "commit"
	}
	got, err := do(&r)
	p.model.expire()
	want := p.model.once(r.Key, fmt.Sprintf("%s %+v", name, r), func() (string, bool) { return p.model.finish(r.ID, r.Lines, commit) })
	same(t, fmt.Sprintf("%s %+v", name, r), reservationText(got, err), want)
}

func (p *pair) extend(t *rapid.T) {
	id, key := p.someID(t), drawKey(t)
	in := time.Duration(rapid.Int64Range(60, 120).Draw(t, "seconds")) * time.Second
	got, err := p.db.Extend(id, in, time.Time{}, key)
	if invalid := (*engine.InvalidError)(nil); errors.As(err, &invalid) {
		return // an earlier deadline; the model knows none
	}
	p.model.expire()
	want := p.model.once(key, fmt.Sprintf("extend %v %v", id, in), func() (string, bool) {
		return p.model.change(id, func(h *naiveHold) string { h.deadline = p.model.now.Add(in); return "" })
	})
	same(t, fmt.Sprintf("extend %v by %v", id, in), reservationText(got, err), want)
}

func (p *pair) adjust(t *rapid.T) {
	a := engine.Adjustment{Lines: drawLines(t, true, -6, 12), Reason: "count", Key: drawKey(t)}
	p.sweep()
	got, err := p.db.Adjust(&a)
	want := p.model.once(a.Key, fmt.Sprintf("adjust %+v", a), func() (string, bool) { return p.model.adjust(a.Lines), true })
	same(t, fmt.Sprintf("adjust %+v", a), changeText(got, err), want)
	p.checkAtRisk(t, got.Shortages)
}

// checkAtRisk demands that the reservations that a shortage names hold units there: enough of them, or all.
func (p *pair) checkAtRisk(t *rapid.T, shortages []engine.Shortage) {
	for _, s := range shortages {
		units := int64(0)
		for _, id := range s.AtRisk {
			r, err := p.db.Reservation(id)
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range r.Lines {
				if l.SKU == s.SKU && l.Location == s.Location {
					units += l.Quantity
				}
			}
		}
		if units < min(s.Units, p.model.held(engine.CellName{SKU: s.SKU, Location: s.Location})) {
			t.Fatalf("short by %d of %s at %s, and the reservations at risk are of %d", s.Units, s.SKU, s.Location, units)
		}
	}
}

func (p *pair) setStock(t *rapid.T) {
	l := drawLine(t, true, 0, 10)
	r := engine.SetStockRequest{SKU: l.SKU, Location: l.Location, Key: drawKey(t)}
	blocked := false
	switch rapid.IntRange(0, 6).Draw(t, "what") {
	case 0:
		r.OnHand = &l.Quantity
	case 1:
		safety := l.Quantity/2 - 2
		r.SafetyStock = &safety
	case 2:
		r.InheritSafetyStock = true
	case 3:
		blocked = rapid.IntRange(0, 2).Draw(t, "blocked") == 0
		r.Blocked = &blocked
	case 4:
		r.OnHand = &l.Quantity
		expected := uint64(0)
		if have, err := p.db.Availability(l.SKU, l.Location); err == nil && have.Stocked {
			expected = have.Sequence
		}
		if rapid.Bool().Draw(t, "outdated") {
			expected += 7
		}
		r.Key, r.IfSequence = "", &expected
	case 5:
		low := drawThreshold(t)
		r.LowStock = &low
	case 6:
		r.InheritLowStock = true
	}
	p.sweep()
	matches := true
	if r.IfSequence != nil {
		have, err := p.db.Availability(l.SKU, l.Location)
		matches = *r.IfSequence == 0 && (err != nil || !have.Stocked) || err == nil && have.Stocked && *r.IfSequence == have.Sequence
	}
	got, err := p.db.SetStock(&r)
	want := "sequence mismatch"
	if matches {
		// What it says, not what was drawn for it: two draws may come to the same request.
		given := func(v *int64) string {
			if v == nil {
				return "as it is"
			}
			return fmt.Sprint(*v)
		}
		request := fmt.Sprintf("set %s %s %s %s %v", r.SKU, r.Location, given(r.OnHand), given(r.SafetyStock), []bool{r.InheritSafetyStock, r.Blocked != nil, blocked, r.InheritLowStock})
		if r.LowStock != nil {
			request += fmt.Sprint(*r.LowStock)
		}
		want = p.model.once(r.Key, request, func() (string, bool) { return p.model.setStock(&r), true })
	}
	same(t, fmt.Sprintf("set %+v", r), changeText(got, err), want)
}

// drawThreshold returns one that stock will cross.
func drawThreshold(t *rapid.T) engine.Threshold {
	low := rapid.Int64Range(0, 6).Draw(t, "low")
	return engine.Threshold{Low: low, Clear: low + rapid.Int64Range(1, 4).Draw(t, "clear")}
}

func (p *pair) putSKU(t *rapid.T) {
	s := engine.SKU{
		ID:                 rapid.SampledFrom(modelSKUs[:3]).Draw(t, "sku"),
		DefaultSafetyStock: rapid.SampledFrom([]int64{-3, -2, 0, 0, 1}).Draw(t, "safety stock"),
		DefaultHold:        time.Duration(rapid.SampledFrom([]int{0, 3, 30}).Draw(t, "hold")) * time.Second,
	}
	if rapid.Bool().Draw(t, "low stock") {
		s.LowStock = drawThreshold(t)
	}
	for _, within := range []*time.Duration{&s.AcceptWithin, &s.PickWithin, &s.CollectWithin} {
		*within = time.Duration(rapid.SampledFrom([]int{0, 0, 40, 50, 1000}).Draw(t, "within")) * time.Second
	}
	if _, err := p.db.PutSKU(s, ""); err != nil {
		t.Fatal(err)
	}
	p.model.skus[s.ID] = s
}

func (p *pair) putLocation(t *rapid.T) {
	l := engine.Location{ID: rapid.SampledFrom(modelLocations[:2]).Draw(t, "location"), Blocked: rapid.IntRange(0, 2).Draw(t, "blocked") == 0}
	if _, err := p.db.PutLocation(l, ""); err != nil {
		t.Fatal(err)
	}
	p.model.locations[l.ID] = l.Blocked
}

func (p *pair) deleteLocation(t *rapid.T) {
	id := rapid.SampledFrom(modelLocations).Draw(t, "location")
	p.sweep()
	got := "deleted"
	if _, err := p.db.DeleteLocation(id, ""); err != nil {
		got = errorText(err)
	}
	want, _ := p.model.deleteLocation(id)
	same(t, "delete "+id, got, want)
}

// importRows sends the first rows of one of a few files, again and again.
func (p *pair) importRows(t *rapid.T) {
	id := rapid.SampledFrom([]string{"", "monday", "tuesday"}).Draw(t, "id")
	delta := id != "monday"
	rows := make([]engine.ImportRow, rapid.IntRange(1, 5).Draw(t, "rows"))
	for i := range rows {
		units := int64(3*i + len(id))
		rows[i] = engine.ImportRow{SKU: modelSKUs[i%3], Location: modelLocations[i%2], OnHand: &units}
	}
	p.sweep()
	mode := engine.ImportSet
	if delta {
		mode = engine.ImportDelta
	}
	im, err := p.db.BeginImport(id, mode, false)
	if err != nil {
		t.Fatal(err)
	}
	_, err = im.Apply(nil, rows)
	if err == nil {
		err = im.End()
	}
	report, closed := im.Close()
	if err = errors.Join(err, closed); id != "" && len(rows) < p.model.imports[id] {
		same(t, "a shorter file", errorText(err), "key reused")
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	same(t, "import "+id, fmt.Sprintf("%d applied, %d repeated", report.Applied, report.Repeated), p.model.importRows(id, rows, delta))
}

// pass lets time pass: some, or to the very instant of the next deadline, or to the one before it.
func (p *pair) pass(t *rapid.T) {
	d := time.Duration(rapid.Int64Range(1, 3000).Draw(t, "ms")) * time.Millisecond
	live := p.model.live()
	exactly := len(live) > 0 && rapid.Bool().Draw(t, "to a deadline")
	if exactly {
		d = p.model.holds[live[0]].deadline.Sub(p.model.now)
		if d > time.Millisecond && rapid.Bool().Draw(t, "but one") {
			d -= time.Millisecond
		}
	}
	p.db.Clock.Advance(d)
	p.model.now = p.model.now.Add(d)
	p.model.expire()
	p.unswept = true
	if exactly && rapid.Bool().Draw(t, "finish it at once") {
		p.finishThis(t, live[0]) // before any sweeper, mostly
	}
}

func (p *pair) sweep() {
	if p.unswept {
		p.db.Sweep()
		p.unswept = false
	}
}

func (p *pair) restart(t *rapid.T) {
	switch rapid.IntRange(0, 3).Draw(t, "how") {
	case 0:
		p.db.Restart()
	case 1:
		p.db.Crash(rapid.IntRange(0, 100).Draw(t, "unsynced"), rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "power"), 0)))
	default:
		if err := p.db.Checkpoint(); err != nil {
			t.Fatal(err)
		}
	}
	p.unswept = true
}

// check compares all that can be read.
func (p *pair) check(t *rapid.T) {
	if p.unswept && rapid.Bool().Draw(t, "look later") {
		return
	}
	p.sweep()
	p.checkEvents(t)
	for _, sku := range modelSKUs {
		for _, location := range modelLocations {
			name := engine.CellName{SKU: sku, Location: location}
			cell, err := p.db.Availability(sku, location)
			got := engineCellText(&cell)
			if err != nil {
				got = errorText(err)
			}
			same(t, fmt.Sprint(name), got, p.model.cellText(name))
		}
	}
	if !p.lightly {
		if err := p.db.CheckInvariants(); err != nil {
			t.Fatal(err)
		}
	}
	for id, h := range p.model.holds {
		r, err := p.db.Reservation(id)
		same(t, "reference and owner of "+engine.FormatID(id), r.Reference+", "+r.Owner, h.reference+", "+h.owner)
		same(t, "reservation "+engine.FormatID(id), reservationText(r, err), p.model.holdText(id))
	}
	var listed []engine.ID
	for cursor := (engine.ReservationCursor{}); !cursor.Done(); {
		var page []engine.Reservation
		var err error
		if page, cursor, err = p.db.Reservations(engine.ReservationFilter{State: engine.Held}, cursor, 2); err != nil {
			t.Fatal(err)
		}
		for _, r := range page {
			listed = append(listed, r.ID)
		}
	}
	live := p.model.live()
	byID := func(a, b engine.ID) int { return slices.Compare(a[:], b[:]) }
	slices.SortFunc(listed, byID)
	slices.SortFunc(live, byID)
	if !slices.Equal(listed, live) {
		t.Fatalf("the engine lists %v as held, the model %v", listed, live)
	}
}

// checkFeed installs the change feed from its beginning, which must lead to the present cells.
func (p *pair) checkFeed(t *rapid.T) {
	p.sweep()
	p.checkEvents(t)
	cells := make(map[engine.CellName]engine.Cell)
	last := uint64(0)
	err := p.db.Changes(0, func(c *engine.Change) error {
		if c.Sequence != last+1 {
			return fmt.Errorf("change %d comes after %d", c.Sequence, last)
		}
		last = c.Sequence
		for _, cell := range c.Cells {
			cells[engine.CellName{SKU: cell.SKU, Location: cell.Location}] = cell.Cell
		}
		if c.Kind == engine.LocationDeletedChange {
			for name := range cells {
				if name.Location == c.Location.ID {
					delete(cells, name)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if last != p.db.Durable() {
		t.Fatalf("the feed ends at %d, the last change is %d", last, p.db.Durable())
	}
	units := make(map[engine.CellName][2]int64)
	want := make(map[engine.CellName][2]int64)
	for name, c := range cells {
		units[name] = [2]int64{c.OnHand, c.Held}
	}
	for name, c := range p.model.cells {
		want[name] = [2]int64{c.onHand, p.model.held(name)}
	}
	if !reflect.DeepEqual(units, want) {
		t.Fatalf("the feed leads to %v, the model has %v", units, want)
	}
}

// TestTheEngineDoesWhatTheModelDoes tells both the same, thousands of things in all, with restarts and crashes between.
func TestTheEngineDoesWhatTheModelDoes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		limits := engine.Options{
			HoldsPerReference: rapid.SampledFrom([]int{0, 1, 2}).Draw(rt, "holds per reference"),
			HoldsPerOwner:     rapid.SampledFrom([]int{0, 1, 3}).Draw(rt, "holds per owner"),
		}
		p := &pair{db: enginetest.Open(t, limits), model: newNaive(enginetest.Start)}
		p.model.limits = limits
		defer p.db.Close()
		often := func(action func(*rapid.T), names ...string) map[string]func(*rapid.T) {
			all := make(map[string]func(*rapid.T))
			for _, name := range names {
				all[name] = action
			}
			return all
		}
		actions := often(p.reserve, "reserve", "reserve more", "reserve again")
		for _, more := range []map[string]func(*rapid.T){
			often(p.finish, "finish", "finish more"), often(p.extend, "extend"), often(p.adjust, "adjust", "adjust more"),
			often(p.setStock, "set stock"), often(p.putSKU, "put sku"), often(p.putLocation, "put location"),
			often(p.deleteLocation, "delete location"), often(p.importRows, "import"), often(p.pass, "pass", "pass more"),
			often(p.restart, "restart"), often(p.check, ""),
		} {
			for name, action := range more {
				actions[name] = action
			}
		}
		rt.Repeat(actions)
		p.checkFeed(rt)
	})
}
