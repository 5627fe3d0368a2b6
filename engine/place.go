package engine

import (
	"sync/atomic"
	"time"
	"unsafe"

	"onhand/engine/hours"
	"onhand/engine/internal/nearest"
	"onhand/engine/internal/prefetch"
	"onhand/engine/internal/record"
)

// place is a location as it is kept in memory: its record, and what is looked at again and again made ready. It is never
// changed once published.
type place struct {
	record.Location
	symbol   string // its id, as callers know it
	sequence uint64

	calendar *hours.Calendar // nil = its hours are not known
	// status is what calendar says of a time about now, found by whoever asked last.
	status atomic.Pointer[knownStatus]
	// moved is the location as it was before its point changed, for searches that began before that. Only the last movesKept
	// are kept: whoever needs an older one begins anew.
	moved atomic.Pointer[place]

	located bool
	traits  uint32
	// point is where it is, if located; its version is the sequence from which on it was there with these traits.
	point nearest.Point

	// What every search looks at ends with the version: two cache lines.

	preparation time.Duration
	defaultHold time.Duration // 0 = none of its own
	suppliers   []Supplier
	idRequired  bool
	phone       string // for customers; "" = not known

	slots        *PickupSlots  // nil = none
	compartments []Compartment // the smallest first
	orderTimes   OrderTimes
}

// movesKept is how many places a location was at before are kept for searches under way.
const movesKept = 8

type knownStatus struct {
	from time.Time
	hours.Status
}

// newPlace makes a record ready. symbol is the location's id, and before is what was known of the location until now, or nil.
//
// Details were checked when they were stored. Where this program can't read them after all, a later version's perhaps, the
// location is served with what can be read: its hours are unknown, never guessed.
func newPlace(r *record.Location, symbol string, sequence uint64, before *place) (*place, error) {
	p := &place{Location: *r, sequence: sequence, traits: kindTrait(LocationKind(r.Kind)), symbol: symbol}
	d, err := Details{r.Details}.Get()
	if err != nil {
		return p, err
	}
	p.preparation = time.Duration(d.PreparationTime) * time.Second
	p.defaultHold = time.Duration(d.DefaultHold) * time.Second
	p.suppliers, p.idRequired, p.phone = d.Suppliers, d.IDRequired, d.Phone
	p.slots, p.compartments = d.PickupSlots, d.Compartments
	if d.OrderTimes != nil {
		p.orderTimes = *d.OrderTimes
	}
	p.traits = traitsOf(LocationKind(r.Kind), d.Services)
	if d.Position != nil {
		p.located = true
		p.point = nearest.Point{
			Vector: nearest.VectorOf(d.Position.Latitude, d.Position.Longitude),
			ID:     r.ID, Traits: p.traits, Version: sequence,
		}
	}
	switch {
	case before == nil || !before.located:
	case p.located && before.point.Vector == p.point.Vector && before.traits == p.traits:
		p.point.Version = before.point.Version
		p.moved.Store(before.moved.Load())
	default:
		p.moved.Store(before)
		oldest := before
		for kept := 1; kept < movesKept && oldest != nil; kept++ {
			oldest = oldest.moved.Load()
		}
		if oldest != nil {
			oldest.moved.Store(nil)
		}
	}
	p.calendar, err = d.Schedule.Compile()
	return p, err
}

// traitsOf are the bits by which searches leave locations out without looking them up: one for each service, and one for the
// kind.
func traitsOf(kind LocationKind, services []Service) uint32 {
	return kindTrait(kind) | servicesTraits(services)
}

func kindTrait(kind LocationKind) uint32 { return 1 << (uint8(serviceEnd) + uint8(kind)) }

func servicesTraits(services []Service) (traits uint32) {
	for _, s := range services {
		traits |= 1 << s
	}
	return traits
}

// tellsServices reports whether a location says which services it has.
func (p *place) tellsServices() bool { return p.traits&(1<<serviceEnd-1) != 0 }

// has reports whether a location says that it has a service.
func (p *place) has(s Service) bool { return p.traits&(1<<s) != 0 }

// prefetch asks for what every search looks at, which is the beginning of a place: see there.
func (p *place) prefetch() {
	if p == nil {
		return
	}
	prefetch.Line(unsafe.Pointer(p))
	prefetch.Line(unsafe.Add(unsafe.Pointer(p), 64))
}

// hoursAt returns whether the location is open at an instant. What it finds for times about now is remembered until it
// changes, as nearly all questions are about now.
func (p *place) hoursAt(t, now time.Time) hours.Status {
	if p.calendar == nil {
		return hours.Status{}
	}
	if k := p.status.Load(); k != nil && !t.Before(k.from) && t.Before(k.Until) {
		return k.Status
	}
	s := p.calendar.At(t)
	if age := now.Sub(t); age > -time.Minute && age < time.Minute {
		p.status.Store(&knownStatus{t, s})
	}
	return s
}
