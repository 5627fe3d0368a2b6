package engine

import (
	"time"

	"onhand/engine/hours"
	"onhand/engine/internal/record"
	"onhand/engine/internal/stock"
)

// LocationKind is what a location is to its customers. The numbers are stored.
type LocationKind uint8

// The kinds of locations.
const (
	Store LocationKind = iota + 1
	Warehouse
	Locker
	PickupPoint
	// Transit is where units on their way to another location are on hand. Transfers make such locations; nobody else can.
	Transit
	locationKindEnd
)

var locationKindNames = [...]string{Store: "store", Warehouse: "warehouse", Locker: "locker", PickupPoint: "pickup_point", Transit: "transit"}

// String returns the kind as the HTTP interface writes it.
func (k LocationKind) String() string {
	if k == 0 || k >= locationKindEnd {
		return "unknown"
	}
	return locationKindNames[k]
}

// ParseLocationKind reads what String writes.
func ParseLocationKind(s string) (LocationKind, error) {
	for k := Store; k < locationKindEnd; k++ {
		if locationKindNames[k] == s {
			return k, nil
		}
	}
	return 0, invalid("kind", s, "store, warehouse, locker, pickup_point or, where locations are searched, transit")
}

// Location is a place that holds stock or hands it over.
type Location struct {
	ID      string
	Name    string       // at most TitleMax bytes
	Kind    LocationKind // default Store
	Blocked bool         // nothing there may be promised
	Details Details      // where it is, when it is open, what can be done there
	// Sequence is the last change of the record.
	Sequence uint64
}

// Check returns an InvalidError where a location is not one that PutLocation takes.
func (l *Location) Check() error {
	if err := checkName("location", l.ID); err != nil {
		return err
	}
	if err := checkText("name", l.Name, TitleMax); err != nil {
		return err
	}
	if l.Kind >= locationKindEnd {
		return invalid("kind", uint8(l.Kind), "a known kind")
	}
	if l.Kind == Transit {
		return invalid("kind", l.Kind.String(), "store, warehouse, locker or pickup_point")
	}
	return checkNotReserved("location", l.ID)
}

// PutLocation stores a location's record, all of it.
func (e *Engine) PutLocation(l Location, key string) (Location, error) {
	setDefault(&l.Kind, Store)
	if err := l.Check(); err != nil {
		return Location{}, err
	}
	o, err := keyed(key, func(f *fingerprint) {
		f.begin("location.put")
		f.text(l.ID)
		f.text(l.Name)
		f.number(int64(l.Kind))
		f.bool(l.Blocked)
		f.text(l.Details.json)
	})
	if err != nil {
		return Location{}, err
	}
	c := newCommand()
	defer c.recycle()
	sequence, answered, err := o.begin(e, c)
	if err != nil {
		return Location{}, err
	}
	if answered {
		return e.locationFrom(&c.rec.Location, sequence), nil
	}
	defer o.end(e)
	if err := e.admit(); err != nil {
		return Location{}, err
	}
	id := e.internLocation(l.ID)
	c.locks = stock.AllShards
	e.stock.Lock(&c.locks)
	c.rec.Kind, c.rec.Time, c.rec.Answer = record.LocationSet, e.clock.Now(), o.answer
	c.rec.Location = record.Location{ID: id, Name: l.Name, Kind: uint8(l.Kind), Blocked: l.Blocked, Details: l.Details.json}
	sequence = e.write(c)
	e.stock.Unlock(&c.locks)
	return e.locationFrom(&c.rec.Location, sequence), e.settle(sequence)
}

// DeleteLocation removes a location and its cells. It is refused while any of its cells has units on hand or held, a slot or
// compartment there is held, or an order or a transfer is under way there.
func (e *Engine) DeleteLocation(id, key string) (sequence uint64, err error) {
	if err := checkName("location", id); err != nil {
		return 0, err
	}
	o, err := keyed(key, func(f *fingerprint) {
		f.begin("location.delete")
		f.text(id)
	})
	if err != nil {
		return 0, err
	}
	c := newCommand()
	defer c.recycle()
	sequence, answered, err := o.begin(e, c)
	if err != nil || answered {
		return sequence, err
	}
	defer o.end(e)
	if err := e.admit(); err != nil {
		return 0, err
	}
	n, known := e.lookupLocation(id)
	if !known {
		return 0, e.unknownLocation(id)
	}
	c.locks = stock.AllShards
	e.stock.Lock(&c.locks)
	if have := e.locationOf(n); have == nil {
		e.stock.Unlock(&c.locks)
		return 0, e.unknownLocation(id)
	}
	inUse := InUseError{Location: e.locations.Name(n)}
	for sku := range e.stock.SKUs() {
		if cell, ok := e.stock.Raw(sku, n); ok && (cell.Held != 0 || cell.OnHand != 0 && resourceKindOf(e.skus.Name(sku)) == goods) {
			inUse.Cells++
		}
	}
	inUse.Reservations = len(e.reservations.Place(nil, n, 1<<64-1, false, 1<<20))
	inUse.Orders = e.orders.at(n)
	inUse.Transfers = e.transfers.openAt(n)
	if inUse.Cells > 0 || inUse.Reservations > 0 || inUse.Orders > 0 || inUse.Transfers > 0 {
		basis := e.log.Appended()
		e.stock.Unlock(&c.locks)
		if err := e.settle(basis); err != nil {
			return 0, err
		}
		return 0, &inUse
	}
	c.rec.Kind, c.rec.Time, c.rec.Answer = record.LocationDeleted, e.clock.Now(), o.answer
	c.rec.Location = record.Location{ID: n}
	sequence = e.write(c)
	e.stock.Unlock(&c.locks)
	return sequence, e.settle(sequence)
}

// Location returns a location's record.
func (e *Engine) Location(id string) (Location, error) {
	found, err := e.LocationAt(id, time.Time{})
	return found.Location, err
}

// LocationAt returns a location's record, and whether it is open at an instant (zero = now).
func (e *Engine) LocationAt(id string, at time.Time) (FoundLocation, error) {
	n, _ := e.locations.Lookup(id)
	p := e.locationOf(n)
	if p == nil {
		return FoundLocation{}, e.unknownLocation(id)
	}
	return e.foundLocation(p, at), e.settle(p.sequence)
}

// LocationContact returns what customers call a location, and the phone by which they reach it, each "" where it is not known. It
// reads no details, so that it can be asked for each of many orders.
func (e *Engine) LocationContact(id string) (name, phone string, err error) {
	n, _ := e.locations.Lookup(id)
	p := e.locationOf(n)
	if p == nil {
		return "", "", e.unknownLocation(id)
	}
	return p.Name, p.phone, e.settle(p.sequence)
}

func (e *Engine) foundLocation(p *place, at time.Time) FoundLocation {
	now := e.Now()
	if at.IsZero() {
		at = now
	}
	return FoundLocation{Location: p.location(), Hours: p.hoursAt(at, now)}
}

// Locations returns up to limit locations after a cursor (0 to begin) in the order in which they were first seen, and the
// cursor to go on with, 0 at the end.
func (e *Engine) Locations(after uint32, filter LocationFilter, limit int) ([]FoundLocation, uint32, error) {
	if err := filter.check(); err != nil {
		return nil, 0, err
	}
	var out []FoundLocation
	for id := after; id < e.locations.Len(); { // after may be any number: one past it may be 0
		id++
		p := e.locationOf(id)
		if p == nil || !filter.matches(p) {
			continue
		}
		found := e.foundLocation(p, filter.At)
		if filter.Open && found.Hours.State != hours.Open {
			continue
		}
		if len(out) == limit {
			return out, id - 1, e.settle(e.log.Appended())
		}
		out = append(out, found)
	}
	return out, 0, e.settle(e.log.Appended())
}

// locationOf returns a location's record, or nil where there is none, or none any more.
func (e *Engine) locationOf(id uint32) *place {
	if p := e.places.Peek(id); p != nil {
		return p.Load()
	}
	return nil
}

func (e *Engine) locationFrom(r *record.Location, sequence uint64) Location {
	return locationFrom(r, e.locations.Name(r.ID), sequence)
}

// location is the location as callers see it.
func (p *place) location() Location { return locationFrom(&p.Location, p.symbol, p.sequence) }

func locationFrom(r *record.Location, id string, sequence uint64) Location {
	return Location{
		ID: id, Name: r.Name, Kind: LocationKind(r.Kind), Blocked: r.Blocked, Details: Details{r.Details}, Sequence: sequence,
	}
}

// lookupLocation returns the integer of a location that exists.
func (e *Engine) lookupLocation(name string) (uint32, bool) {
	id, ok := e.locations.Lookup(name)
	if !ok || e.locationOf(id) == nil {
		return 0, false
	}
	return id, true
}

// unknownLocation returns an UnknownError, as soon as it is durable that there is no such location: it may have been
// deleted a moment ago.
func (e *Engine) unknownLocation(name string) error {
	if err := e.settle(e.lastDeletion.Load()); err != nil {
		return err
	}
	return unknown(KindLocation, name)
}

func (e *Engine) internLocation(name string) uint32 {
	return e.locations.Intern(name, func(id uint32, name string) uint64 {
		return e.log.AppendNote(appendSymbol(nil, symbolLocation, id, name))
	})
}

// ensureLocation returns the integer of a location, registering it as a store if there is none: a till in a new shop
// must not be turned away because the catalogue is behind.
func (e *Engine) ensureLocation(name string) uint32 { return e.ensureLocationOf(name, Store) }

func (e *Engine) ensureLocationOf(name string, kind LocationKind) uint32 {
	if id, ok := e.lookupLocation(name); ok {
		return id
	}
	id := e.internLocation(name)
	c := newCommand()
	defer c.recycle()
	c.locks = stock.AllShards
	e.stock.Lock(&c.locks)
	defer e.stock.Unlock(&c.locks)
	if e.locationOf(id) == nil {
		c.rec.Kind, c.rec.Time = record.LocationSet, e.clock.Now()
		c.rec.Location = record.Location{ID: id, Kind: uint8(kind), Blocked: kind == Transit}
		e.write(c)
	}
	return id
}

func (e *Engine) applyLocation(sequence uint64, r *record.Location) {
	at := e.places.At(r.ID)
	before := at.Load()
	if before != nil {
		e.recordDigest.Add(-locationFact(before))
	}
	p, err := newPlace(r, e.locations.Name(r.ID), sequence, before)
	if err != nil {
		e.options.Log.Error("details of a location can't be read: its hours are unknown", "location", e.locations.Name(r.ID), "error", err)
	}
	e.recordDigest.Add(locationFact(p))
	e.lastPlace.Store(max(sequence, e.lastPlace.Load()))
	e.indexPlace(p, before)
	at.Store(p)
	e.nearby.published.Store(max(sequence, e.nearby.published.Load()))
	e.stock.SetLocation(r.ID, r.Blocked, sequence)
}

// namePlaces gives places their ids, once a checkpoint is loaded: it has locations before symbols.
func (e *Engine) namePlaces() {
	for id := range e.places.Len() {
		if p := e.locationOf(id); p != nil {
			p.symbol = e.locations.Name(id) // nobody else has seen it yet
		}
	}
}

func (e *Engine) applyLocationDeleted(sequence uint64, id uint32) {
	// Stored first, so that whoever misses the location or one of its cells knows what to wait for. While the part of the
	// journal that a checkpoint overlaps is replayed, a later deletion may be known already.
	e.lastDeletion.Store(max(sequence, e.lastDeletion.Load()))
	e.lastPlace.Store(max(sequence, e.lastPlace.Load()))
	p := e.places.At(id)
	if old := p.Load(); old != nil {
		e.recordDigest.Add(-locationFact(old))
	}
	p.Store(nil)
	e.nearby.published.Store(max(sequence, e.nearby.published.Load()))
	e.stock.RemoveLocation(id, sequence)
	e.dropThresholds(id)
	e.stock.SetLocation(id, false, sequence)
}

// locationFact is what a location's record adds to the state's digest.
func locationFact(l *place) uint64 {
	return textFact(record.AppendLocation(nil, &l.Location), l.sequence, symbolLocation)
}
