package enginetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"onhand/engine"
)

// script is a script under way.
type script struct {
	db    *DB
	t     *testing.T
	out   strings.Builder
	ids   map[string]engine.ID
	names map[engine.ID]string
	codes map[string]string // of orders (orders.go)
	line  string
}

// commands are what a script can say. SKU@LOCATION is a cell, and a line is a cell, a colon and a quantity, which is 1
// where it is left out.
var commands = map[string]func(*script, words){
	// Stock: stock CELL [on_hand=] [safety= (a number or inherit)] [blocked=yes|no] [low= (a number or inherit)] [clear=]
	// [if_sequence=] [reference=] [key=],
	// adjust REASON LINE … [reference=] [key=], import set|delta LINE … [id=] [dry-run]
	"stock":  (*script).stock,
	"adjust": (*script).adjust,
	"import": (*script).importRows,
	// Reservations: reserve NAME LINE … [for= | until=] [partial] [id=own] [channel=] [reference=] [key=],
	// commit | release NAME [LINE …] [key=], extend NAME for= | until= [key=]
	"reserve": (*script).reserve,
	"commit":  (*script).commit,
	"release": (*script).release,
	"extend":  (*script).extend,
	// The catalogue: sku NAME [title=] [unit=] [gtin=] [safety=] [hold=] [low=] [clear=] [key=],
	// location NAME [name=] [kind=] [blocked=yes] [key=], delete LOCATION [key=]
	"sku":      (*script).sku,
	"location": (*script).location,
	"delete":   (*script).delete,
	// Reading: show NAME, available CELL …, everywhere SKU [minimum=], list [location=] [state=] [reference=] [page=],
	// skus [page=], locations [kind=] [page=], changes [after=], snapshot
	"show":       (*script).show,
	"available":  (*script).available,
	"everywhere": (*script).everywhere,
	"list":       (*script).list,
	"skus":       (*script).skus,
	"locations":  (*script).locations,
	"changes":    (*script).changes,
	"snapshot":   (*script).snapshot,
	// Transfers (transfers.go): transfer NAME FROM TO SKU:UNITS … [dispatch] [in= (when it is expected)] [reference=] [reason=] [by=] [key=],
	// transfer NAME (reads it), dispatch NAME [SKU:UNITS …], receive NAME [SKU:UNITS:DAMAGED:LOST …] [close], cancel NAME,
	// transfers [at=] [in] [out] [state=] [page=], transit CELL …
	"transfer":  (*script).transfer,
	"dispatch":  (*script).dispatch,
	"receive":   (*script).receive,
	"cancel":    (*script).cancelTransfer,
	"transfers": (*script).transfers,
	"transit":   (*script).transit,
	// What happens to a machine: pass DURATION [unswept], jump DURATION (the wall clock is set), restart, crash (the power
	// goes), checkpoint
	"pass":       (*script).pass,
	"jump":       (*script).jump,
	"restart":    (*script).restart,
	"crash":      (*script).crash,
	"checkpoint": (*script).checkpoint,
}

func (s *script) run(line string) {
	s.line = line
	w, err := split(line)
	if err != nil || len(w.plain) == 0 {
		s.t.Fatalf("%s: %v", line, err)
	}
	command := commands[w.plain[0]]
	if command == nil {
		s.t.Fatalf("%s: there is no such command", line)
	}
	w.plain = w.plain[1:]
	command(s, w)
	for name := range w.options {
		s.t.Fatalf("%s: there is no option %s", line, name)
	}
}

// take returns an option, which may be missing.
func (w *words) take(name string) (value string, given bool) {
	value, given = w.options[name]
	delete(w.options, name)
	return value, given
}

func (w *words) text(name string) string {
	value, _ := w.take(name)
	return value
}

// word reports whether a plain word is there, and takes it out.
func (w *words) word(name string) bool {
	for i, p := range w.plain {
		if p == name {
			w.plain = append(w.plain[:i:i], w.plain[i+1:]...)
			return true
		}
	}
	return false
}

func (s *script) number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		s.t.Fatalf("%s: %v", s.line, err)
	}
	return n
}

func (s *script) duration(text string) time.Duration {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		return time.Duration(s.number(days)) * 24 * time.Hour
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		s.t.Fatalf("%s: %v", s.line, err)
	}
	return d
}

// optionalNumber returns an option's number, or nil where it is not given.
func (s *script) optionalNumber(w *words, name string) *int64 {
	text, given := w.take(name)
	if !given {
		return nil
	}
	n := s.number(text)
	return &n
}

func (s *script) optionalFlag(w *words, name string) *bool {
	text, given := w.take(name)
	if !given {
		return nil
	}
	yes := text == "yes"
	return &yes
}

// deadline returns what for= and until= say; until is a time of the first day.
func (s *script) deadline(w *words) (in time.Duration, at time.Time) {
	if text, given := w.take("for"); given {
		in = s.duration(text)
	}
	if text, given := w.take("until"); given {
		of, err := time.Parse(time.TimeOnly, text)
		if err != nil {
			s.t.Fatalf("%s: %v", s.line, err)
		}
		at = Start.Truncate(24 * time.Hour).Add(of.Sub(of.Truncate(24 * time.Hour)))
	}
	return in, at
}

func cell(text string) (sku, location string) {
	sku, location, _ = strings.Cut(text, "@")
	return sku, location
}

func (s *script) lines(texts []string) []engine.Line {
	var lines []engine.Line
	for _, text := range texts {
		l := engine.Line{Quantity: 1}
		if i := strings.LastIndexByte(text, ':'); i >= 0 && !strings.HasSuffix(text[:i], "@transit") { // which has a colon in its name
			l.Quantity = s.number(text[i+1:])
			text = text[:i]
		}
		l.SKU, l.Location = cell(text)
		lines = append(lines, l)
	}
	return lines
}

func (s *script) stock(w words) {
	r := engine.SetStockRequest{
		OnHand: s.optionalNumber(&w, "on_hand"), Blocked: s.optionalFlag(&w, "blocked"),
		Reference: w.text("reference"), Key: w.text("key"),
	}
	r.SKU, r.Location = cell(w.plain[0])
	if w.options["safety"] == "inherit" {
		w.take("safety")
		r.InheritSafetyStock = true
	} else {
		r.SafetyStock = s.optionalNumber(&w, "safety")
	}
	if w.options["low"] == "inherit" {
		w.take("low")
		r.InheritLowStock = true
	} else {
		r.LowStock = s.threshold(&w)
	}
	if n := s.optionalNumber(&w, "if_sequence"); n != nil {
		want := uint64(*n)
		r.IfSequence = &want
	}
	s.stockChange(s.db.SetStock(&r))
}

// threshold reads low=UNITS clear=UNITS; without the latter it is one that the engine chooses.
func (s *script) threshold(w *words) *engine.Threshold {
	low, clear := s.optionalNumber(w, "low"), s.optionalNumber(w, "clear")
	if low == nil {
		return nil
	}
	t, err := engine.NewThreshold(low, clear)
	if err != nil { // whoever is given it is to say so
		t = engine.Threshold{Low: *low, Clear: *low}
	}
	return &t
}

func (s *script) adjust(w words) {
	s.stockChange(s.db.Adjust(&engine.Adjustment{
		Reason: w.plain[0], Lines: s.lines(w.plain[1:]), Reference: w.text("reference"), Key: w.text("key"),
	}))
}

func (s *script) importRows(w words) {
	dryRun := w.word("dry-run")
	mode := map[string]engine.ImportMode{"set": engine.ImportSet, "delta": engine.ImportDelta}[w.plain[0]]
	im, err := s.db.BeginImport(w.text("id"), mode, dryRun)
	if err != nil {
		s.fail(err)
		return
	}
	var rows []engine.ImportRow
	for _, l := range s.lines(w.plain[1:]) {
		rows = append(rows, engine.ImportRow{SKU: l.SKU, Location: l.Location, OnHand: &l.Quantity})
	}
	errs, err := im.Apply(nil, rows)
	for i := range errs {
		if errs[i] != nil {
			s.print("row %d: %v", i+1, errs[i])
		}
	}
	if err != nil {
		s.fail(err)
	}
	report, err := im.Close()
	if err != nil {
		s.fail(err)
		return
	}
	s.print("%s%d rows: %d applied, %d repeated, %d failed", numbered(report.Sequence), report.Rows, report.Applied, report.Repeated, report.Failed)
}

func (s *script) reserve(w words) {
	name := w.plain[0]
	r := engine.ReserveRequest{
		Partial: w.word("partial"), Channel: w.text("channel"), Reference: w.text("reference"), Key: w.text("key"),
	}
	r.ExpiresIn, r.ExpiresAt = s.deadline(&w)
	if w.text("id") == "own" {
		r.ID = ownID(name)
		s.names[r.ID] = name
		s.ids[name] = r.ID
	}
	r.Lines = s.lines(w.plain[1:])
	out, err := s.db.Reserve(&r)
	if err == nil {
		if s.names[out.ID] == "" {
			s.names[out.ID] = name
		}
		s.ids[name] = out.ID
	}
	s.reservation(out, err)
}

// ownID is the id that a caller chooses for a reservation of a name.
func ownID(name string) (id engine.ID) {
	copy(id[:], name)
	id[15] = 1
	return id
}

func (s *script) id(name string) engine.ID {
	if id, ok := s.ids[name]; ok {
		return id
	}
	return ownID(name)
}

func (s *script) commit(w words)  { s.finish(w, s.db.Commit) }
func (s *script) release(w words) { s.finish(w, s.db.Release) }

func (s *script) finish(w words, f func(*engine.FinishRequest) (engine.Reservation, error)) {
	r := engine.FinishRequest{ID: s.id(w.plain[0]), Lines: s.lines(w.plain[1:]), Key: w.text("key")}
	s.reservation(f(&r))
}

func (s *script) extend(w words) {
	in, at := s.deadline(&w)
	s.reservation(s.db.Extend(s.id(w.plain[0]), in, at, w.text("key")))
}

func (s *script) sku(w words) {
	sku := engine.SKU{ID: w.plain[0], Title: w.text("title"), Unit: w.text("unit"), GTIN: w.text("gtin")}
	if n := s.optionalNumber(&w, "safety"); n != nil {
		sku.DefaultSafetyStock = *n
	}
	if text, given := w.take("hold"); given {
		sku.DefaultHold = s.duration(text)
	}
	if t := s.threshold(&w); t != nil {
		sku.LowStock = *t
	}
	sku, err := s.db.PutSKU(sku, w.text("key"))
	if err != nil {
		s.fail(err)
		return
	}
	s.printSKU(&sku)
}

func (s *script) location(w words) {
	l := engine.Location{ID: w.plain[0], Name: w.text("name")}
	if kind, given := w.take("kind"); given {
		var err error
		if l.Kind, err = engine.ParseLocationKind(kind); err != nil {
			s.fail(err)
			return
		}
	}
	if blocked := s.optionalFlag(&w, "blocked"); blocked != nil {
		l.Blocked = *blocked
	}
	l, err := s.db.PutLocation(l, w.text("key"))
	if err != nil {
		s.fail(err)
		return
	}
	s.printLocation(&l)
}

func (s *script) delete(w words) {
	sequence, err := s.db.DeleteLocation(w.plain[0], w.text("key"))
	if err != nil {
		s.fail(err)
		return
	}
	s.print("%d %s is deleted", sequence, w.plain[0])
}

func (s *script) show(w words) { s.reservation(s.db.Reservation(s.id(w.plain[0]))) }

func (s *script) available(w words) {
	for _, text := range w.plain {
		sku, location := cell(text)
		c, err := s.db.Availability(sku, location)
		if err != nil {
			s.fail(err)
			continue
		}
		s.printCell(&c)
	}
}

func (s *script) everywhere(w words) {
	minimum := int64(0)
	if n := s.optionalNumber(&w, "minimum"); n != nil {
		minimum = *n
	}
	cells, sequence, err := s.db.AvailabilityEverywhere(nil, w.plain[0], minimum)
	if err != nil {
		s.fail(err)
		return
	}
	s.print("%d locations, last changed at %d", len(cells), sequence)
	for i := range cells {
		s.printCell(&cells[i])
	}
}

// pages calls f, which answers one page at a time, until it says that there is no other.
func (s *script) pages(w *words, f func(limit int) (more bool)) {
	limit := 100
	if n := s.optionalNumber(w, "page"); n != nil {
		limit = int(*n)
	}
	for f(limit) {
		s.print("next page")
	}
}

func (s *script) list(w words) {
	filter := engine.ReservationFilter{Location: w.text("location"), Reference: w.text("reference")}
	if state, given := w.take("state"); given {
		var err error
		if filter.State, err = engine.ParseState(state); err != nil {
			s.fail(err)
			return
		}
	}
	cursor := engine.ReservationCursor{}
	s.pages(&w, func(limit int) bool {
		var page []engine.Reservation
		var err error
		page, cursor, err = s.db.Reservations(filter, cursor, limit)
		if err != nil {
			s.fail(err)
			return false
		}
		for i := range page {
			s.printReservation(&page[i])
		}
		return !cursor.Done()
	})
}

func (s *script) skus(w words) {
	after := uint32(0)
	s.pages(&w, func(limit int) bool {
		page, next, err := s.db.SKUs(after, limit)
		if err != nil {
			s.fail(err)
			return false
		}
		for i := range page {
			s.printSKU(&page[i])
		}
		after = next
		return next != 0
	})
}

func (s *script) locations(w words) {
	var kind engine.LocationKind
	if text, given := w.take("kind"); given {
		kind, _ = engine.ParseLocationKind(text)
	}
	after := uint32(0)
	s.pages(&w, func(limit int) bool {
		page, next, err := s.db.Locations(after, engine.LocationFilter{Kind: kind}, limit)
		if err != nil {
			s.fail(err)
			return false
		}
		for i := range page {
			s.printLocation(&page[i].Location)
		}
		after = next
		return next != 0
	})
}

func (s *script) changes(w words) {
	after := uint64(0)
	if n := s.optionalNumber(&w, "after"); n != nil {
		after = uint64(*n)
	}
	if err := s.db.Changes(after, func(c *engine.Change) error {
		s.printChange(c)
		return nil
	}); err != nil {
		s.fail(err)
	}
}

func (s *script) snapshot(words) {
	sequence, err := s.db.Snapshot(engine.Snapshot{
		Location:    func(l *engine.Location) error { s.printLocation(l); return nil },
		SKU:         func(k *engine.SKU) error { s.printSKU(k); return nil },
		Cell:        func(c *engine.Cell) error { s.printCell(c); return nil },
		Reservation: func(r *engine.Reservation) error { s.printReservation(r); return nil },
		Transfer:    func(t *engine.Transfer) error { s.printTransfer(t); return nil },
	})
	if err != nil {
		s.fail(err)
		return
	}
	s.print("all changes up to %d are in this", sequence)
}

func (s *script) pass(w words) {
	if w.word("unswept") {
		s.db.Clock.Advance(s.duration(w.plain[0]))
	} else {
		s.db.Pass(s.duration(w.plain[0]))
	}
}

func (s *script) jump(w words) { s.db.Clock.Jump(s.duration(w.plain[0])) }

func (s *script) restart(words) { s.db.Restart() }

func (s *script) crash(words) { s.db.Crash(0, rand.New(rand.NewPCG(0, 0))) }

func (s *script) checkpoint(words) {
	if err := s.db.Checkpoint(); err != nil {
		s.fail(err)
	}
}

// stockChange prints the answer to a write to stock.
func (s *script) stockChange(change engine.StockChange, err error) {
	if err != nil {
		s.fail(err)
		return
	}
	for i := range change.Cells {
		s.printCell(&change.Cells[i].Cell)
	}
	s.printShortages(change.Shortages)
}

func (s *script) reservation(r engine.Reservation, err error) {
	if err != nil {
		s.fail(err)
		return
	}
	s.printReservation(&r)
}

// fail prints an error, and of a refusal every line.
func (s *script) fail(err error) {
	var refused *engine.RefusedError
	var state *engine.StateError
	var transfer *engine.TransferStateError
	switch {
	case errors.As(err, &transfer):
		s.print("refused: %s is %s", s.nameOf(transfer.ID), transfer.State)
	case errors.As(err, &refused):
		s.print("%srefused", numbered(refused.Sequence))
		s.printRefusals(refused.Lines)
	case errors.As(err, &state):
		s.print("refused: %s is %s since %d", s.nameOf(state.ID), state.State, state.Sequence)
	default:
		s.print("error: %s", s.withNames(err.Error()))
	}
}

// withNames puts the script's names in the place of ids.
func (s *script) withNames(text string) string {
	for id, name := range s.names {
		text = strings.ReplaceAll(text, engine.FormatID(id), name)
	}
	return text
}

func numbered(sequence uint64) string {
	if sequence == 0 {
		return ""
	}
	return fmt.Sprintf("%d ", sequence)
}
