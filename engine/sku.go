package engine

import (
	"fmt"
	"time"

	"onhand/engine/internal/digest"
	"onhand/engine/internal/record"
	"onhand/engine/internal/stock"
)

// SKU is a SKU's settings. A SKU that stock was reported for without settings has the zero ones.
type SKU struct {
	ID    string
	Title string // at most TitleMax bytes
	Unit  string // the base unit that quantities count, such as "piece" or "gram"; at most UnitMax bytes
	// GTIN is a GTIN-8, -12, -13 or -14 with its check digit (GS1 General Specifications, section 7.9), or "".
	GTIN string
	// DefaultSafetyStock counts for the SKU's cells that have none of their own; −SafetyStockMax to SafetyStockMax.
	DefaultSafetyStock int64
	// DefaultHold is how long a reservation with this SKU is held if it names no deadline, HoldMin to HoldMax; 0 = the
	// engine's default. Where a basket's SKUs differ, the shortest counts.
	DefaultHold time.Duration
	// AcceptWithin, PickWithin and CollectWithin are how long an order with this SKU is kept until it is accepted, until it is picked,
	// and once it is ready; HoldMin to HoldMax, where its location would keep it longer; 0 = as the location says. Of an order's SKUs
	// the shortest counts.
	AcceptWithin, PickWithin, CollectWithin time.Duration
	// LowStock is from when on its cells are low that have no threshold of their own. A new one counts from the next change
	// of each cell on.
	LowStock Threshold
	// Sequence is the last change of the settings; 0 where there was none.
	Sequence uint64
}

// TitleMax and UnitMax are the longest of these texts, in bytes.
const (
	TitleMax = 256
	UnitMax  = 16
)

// skuSettings are a SKU's settings as kept in memory; never changed once published.
type skuSettings struct {
	record.SKU
	sequence uint64
}

// PutSKU stores a SKU's settings, all of them; those not given are the zero ones.
func (e *Engine) PutSKU(s SKU, key string) (SKU, error) {
	if err := checkSKU(&s); err != nil {
		return SKU{}, err
	}
	o, err := keyed(key, func(f *fingerprint) {
		f.begin("sku.put")
		f.text(s.ID)
		f.text(s.Title)
		f.text(s.Unit)
		f.text(s.GTIN)
		f.number(s.DefaultSafetyStock)
		f.number(int64(s.DefaultHold))
		if s.LowStock != (Threshold{}) {
			s.LowStock.describe(f)
		}
		for _, step := range s.steps() {
			if step.within != 0 {
				f.text(step.text)
				f.number(int64(step.within))
			}
		}
	})
	if err != nil {
		return SKU{}, err
	}
	c := newCommand()
	defer c.recycle()
	sequence, answered, err := o.begin(e, c)
	if err != nil {
		return SKU{}, err
	}
	if answered {
		return e.skuFrom(&c.rec.SKU, sequence), nil
	}
	defer o.end(e)
	if err := e.admit(); err != nil {
		return SKU{}, err
	}
	id := e.internSKU(s.ID)
	c.locks.Add(stock.ShardOf(id))
	e.stock.Lock(&c.locks)
	c.rec.Kind, c.rec.Time, c.rec.Answer = record.SKUSet, e.clock.Now(), o.answer
	c.rec.SKU = record.SKU{
		ID: id, Title: s.Title, Unit: s.Unit, GTIN: s.GTIN,
		DefaultSafety: s.DefaultSafetyStock, DefaultHold: int64(s.DefaultHold), LowStock: record.Threshold(s.LowStock),
		AcceptWithin: int64(s.AcceptWithin), PickWithin: int64(s.PickWithin), CollectWithin: int64(s.CollectWithin),
	}
	sequence = e.write(c)
	e.stock.Unlock(&c.locks)
	return e.skuFrom(&c.rec.SKU, sequence), e.settle(sequence)
}

func checkSKU(s *SKU) error {
	if err := checkSKUName("sku", s.ID); err != nil {
		return err
	}
	if err := checkText("title", s.Title, TitleMax); err != nil {
		return err
	}
	if err := checkText("unit", s.Unit, UnitMax); err != nil {
		return err
	}
	if s.GTIN != "" && !validGTIN(s.GTIN) {
		return invalid("gtin", s.GTIN, "8, 12, 13 or 14 digits of which the last is the GS1 check digit")
	}
	if s.DefaultSafetyStock < -SafetyStockMax || s.DefaultSafetyStock > SafetyStockMax {
		return invalid("default_safety_stock", s.DefaultSafetyStock, fmt.Sprintf("%d to %d", -SafetyStockMax, SafetyStockMax))
	}
	if s.DefaultHold != 0 && (s.DefaultHold < HoldMin || s.DefaultHold > HoldMax) {
		return invalid("default_hold", s.DefaultHold, fmt.Sprintf("%v to %v, or 0", HoldMin, HoldMax))
	}
	for _, step := range s.steps() {
		if step.within != 0 && (step.within < HoldMin || step.within > HoldMax) {
			return invalid(step.field, step.within, fmt.Sprintf("%v to %v, or 0", HoldMin, HoldMax))
		}
	}
	return s.LowStock.check()
}

// skuStep is a SKU's own time for a step of orders.
type skuStep struct {
	field, text string // text is what it is in a fingerprint
	within      time.Duration
}

func (s *SKU) steps() [3]skuStep {
	return [...]skuStep{
		{"collect_within", "collect within", s.CollectWithin}, {"accept_within", "accept within", s.AcceptWithin}, {"pick_within", "pick within", s.PickWithin},
	}
}

// validGTIN reports whether s is a GTIN with the right check digit: from the right, digits weigh 1, 3, 1, 3 …, and the
// sum is a multiple of ten.
func validGTIN(s string) bool {
	switch len(s) {
	case 8, 12, 13, 14:
	default:
		return false
	}
	sum, weight := 0, 1
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
		sum += int(s[i]-'0') * weight
		weight = 4 - weight
	}
	return sum%10 == 0
}

// SKU returns a SKU's settings.
func (e *Engine) SKU(id string) (SKU, error) {
	n, ok := e.knownSKU(id)
	if !ok {
		return SKU{}, unknown(KindSKU, id)
	}
	s := e.settingsOf(n)
	if s == nil {
		return SKU{ID: e.skus.Name(n)}, nil
	}
	return e.skuFrom(&s.SKU, s.sequence), e.settle(s.sequence)
}

// SKUs returns up to limit SKUs after a cursor (0 to begin), in the order in which they were first seen, and the cursor
// to go on with, 0 at the end. Resources, which are no articles, are left out.
func (e *Engine) SKUs(after uint32, limit int) ([]SKU, uint32, error) {
	var out []SKU
	var latest uint64
	for id := after; id < e.skus.Through(e.log.Durable()); { // after may be any number: one past it may be 0
		id++
		s := SKU{ID: e.skus.Name(id)}
		if resourceKindOf(s.ID) != goods {
			continue
		}
		if len(out) == limit {
			return out, id - 1, e.settle(latest)
		}
		if have := e.settingsOf(id); have != nil {
			s = e.skuFrom(&have.SKU, have.sequence)
			latest = max(latest, have.sequence)
		}
		out = append(out, s)
	}
	return out, 0, e.settle(latest)
}

// knownSKU returns the integer of a SKU that is on record. One that is just being made known, by a change that may yet be
// refused or lost, is not there for readers.
func (e *Engine) knownSKU(name string) (uint32, bool) {
	id, ok := e.skus.Lookup(name)
	return id, ok && e.skus.Since(id) <= e.log.Durable()
}

func (e *Engine) settingsOf(id uint32) *skuSettings {
	if p := e.settings.Peek(id); p != nil {
		return p.Load()
	}
	return nil
}

func (e *Engine) skuFrom(r *record.SKU, sequence uint64) SKU {
	return SKU{
		ID: e.skus.Name(r.ID), Title: r.Title, Unit: r.Unit, GTIN: r.GTIN,
		DefaultSafetyStock: r.DefaultSafety, DefaultHold: time.Duration(r.DefaultHold),
		AcceptWithin: time.Duration(r.AcceptWithin), PickWithin: time.Duration(r.PickWithin),
		CollectWithin: time.Duration(r.CollectWithin), LowStock: Threshold(r.LowStock), Sequence: sequence,
	}
}

// internSKU returns the integer of a SKU, which it makes known if it is new.
func (e *Engine) internSKU(name string) uint32 {
	return e.skus.Intern(name, func(id uint32, name string) uint64 {
		return e.log.AppendNote(appendSymbol(nil, symbolSKU, id, name))
	})
}

func (e *Engine) applySKU(sequence uint64, r *record.SKU) {
	p := e.settings.At(r.ID)
	if old := p.Load(); old != nil {
		e.recordDigest.Add(-skuFact(old))
	}
	s := &skuSettings{*r, sequence}
	e.recordDigest.Add(skuFact(s))
	p.Store(s)
	e.stock.SetDefault(r.ID, r.DefaultSafety, sequence)
	if r.LowStock != (record.Threshold{}) {
		e.thresholds.used.Store(true)
	}
}

// skuFact is what a SKU's settings add to the state's digest.
func skuFact(s *skuSettings) uint64 {
	return textFact(record.AppendSKU(nil, &s.SKU), s.sequence, symbolSKU)
}

// textFact is what a record of text adds to the state's digest.
func textFact(encoded []byte, sequence uint64, kind byte) uint64 {
	f := digest.Mix(uint64(digest.Record), sequence<<8|uint64(kind))
	for ; len(encoded) > 0; encoded = encoded[min(8, len(encoded)):] {
		var word uint64
		for i := range min(8, len(encoded)) {
			word |= uint64(encoded[i]) << (8 * i)
		}
		f = digest.Mix(f, word)
	}
	return f
}
