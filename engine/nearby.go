package engine

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"onhand/engine/hours"
	"onhand/engine/internal/nearest"
	"onhand/engine/internal/stock"
)

// Near asks for locations around a position, from the nearest on.
type Near struct {
	Position
	// Radius in metres, 0 for none. A location at exactly this distance is within it.
	Radius float64
}

// RadiusMax is the largest radius, in metres: half the circumference of the Earth and a little.
const RadiusMax = 20_037_508

// LocationFilter says which locations are asked for. The zero LocationFilter asks for all.
type LocationFilter struct {
	Kind     LocationKind // 0 = any
	Services []Service    // all of them
	// At is the instant whose opening hours are told and, with Open, asked for; zero = now.
	At   time.Time
	Open bool // only locations known to be open at At

	pickup bool // no warehouses: nobody collects there
}

// FoundLocation is a location that was asked for, and what holds of it at the instant asked about.
type FoundLocation struct {
	Location
	Hours    hours.Status
	Distance Distance // from the position asked about, if there was one
}

// Distance is how far something is, in millimetres along the sphere of the Earth's mean radius, 6371008.8 m. Whole
// numbers, so that the order of locations is the same for everyone.
type Distance = nearest.Millimetres

// nearby is the index of the locations that have a position: a tree, and those that came or moved since it was built. A
// search looks at both and passes over what is no longer true, so a change is seen at once, and nobody waits for the tree
// that is built with it.
//
// A point is added here before the place that has it is published. So a search that meets a place with a point newer than
// all that were published when it began, began before the change: to it, the location is still where it was. One that took the
// newest point it knows of instead would pass over it, as its place was not there yet, and then over the one before, as by then it
// was: that is how locations were missed.
type nearby struct {
	// mu is held while now is replaced.
	mu       sync.Mutex
	now      atomic.Pointer[nearbyState]
	building atomic.Bool
	size     atomic.Int64  // points in it, some of them twice or no longer true
	looked   atomic.Uint64 // the newest version when foldNearby last looked
	// published is the sequence of the last place that was published, or deleted. Locations are changed one at a time, so all before
	// it were as well.
	published atomic.Uint64
}

// nearbyState is never changed, but that beside may grow behind what a reader sees of it.
type nearbyState struct {
	tree   *nearest.Tree
	beside []nearest.Point
	latest uint64 // the newest version of a point
}

// rebuildFrom returns how many points beside a tree are too many while more are coming: looking at each costs a few
// nanoseconds a search. Once no more come, a few are too many (foldNearby).
func rebuildFrom(tree int) int { return 256 + tree/64 }

const foldFrom = 8

// add puts a point beside the tree. It reports whether it is time for a new one.
func (n *nearby) add(p nearest.Point) (due bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := nearbyState{}
	if old := n.now.Load(); old != nil {
		s = *old
	}
	s.beside = append(s.beside, p)
	s.latest = max(s.latest, p.Version)
	n.now.Store(&s)
	size := 0
	if s.tree != nil {
		size = s.tree.Len()
	}
	n.size.Store(int64(size + len(s.beside)))
	return len(s.beside) >= rebuildFrom(size)
}

// rebuild puts everything into a new tree.
func (e *Engine) rebuildNearby() {
	n := &e.nearby
	n.mu.Lock()
	old := n.now.Load()
	n.mu.Unlock()
	if old == nil {
		return
	}
	// Whatever comes from here on lands behind these, whether or not it is found in places as well. A location is changed
	// under all locks: with one of them in hand, each of these points is that of a place that has been published.
	taken := len(old.beside)
	var locks stock.LockSet
	locks.Add(0)
	e.stock.Lock(&locks)
	e.stock.Unlock(&locks)
	var points []nearest.Point
	for id := range e.places.Len() {
		if p := e.locationOf(id); p != nil && p.located {
			points = append(points, p.point)
		}
	}
	tree := nearest.Build(points)
	n.mu.Lock()
	defer n.mu.Unlock()
	latest := n.now.Load()
	n.now.Store(&nearbyState{tree, slices.Clone(latest.beside[taken:]), latest.latest})
}

// foldNearby builds a new tree where points lie beside the old one and none has come since it was last called. It is
// called from time to time.
func (e *Engine) foldNearby() {
	s := e.nearby.now.Load()
	if s == nil || len(s.beside) < foldFrom {
		return
	}
	if e.nearby.looked.Swap(s.latest) == s.latest && e.nearby.building.CompareAndSwap(false, true) {
		defer e.nearby.building.Store(false)
		e.rebuildNearby()
	}
}

// indexPlace makes a location known to searches that is about to be published. before is what it was until now, or nil.
func (e *Engine) indexPlace(p, before *place) {
	if !p.located || before != nil && before.located && before.point == p.point {
		return
	}
	// During recovery the tree is built once, at its end: see Open.
	if due := e.nearby.add(p.point); due && e.stop != nil && e.nearby.building.CompareAndSwap(false, true) {
		e.background.Go(func() {
			defer e.nearby.building.Store(false)
			e.rebuildNearby()
		})
	}
}

// locationSearch yields locations from the nearest on.
type locationSearch struct {
	nearest.Search
	engine  *Engine
	open    bool
	at, now time.Time
	status  hours.Status // of the location that was yielded last
	latest  uint64
	last    uint32
	outrun  bool // a location was moved so often meanwhile that it is not known any more where it was at the beginning
	found   []nearest.Found
	ahead   [lookAhead]*place // of the first of found
	fetched int               // how many of ahead are there still
	less    func(a, b uint32) bool
}

var locationSearches = sync.Pool{New: func() any {
	s := new(locationSearch)
	s.less = func(a, b uint32) bool { return s.engine.locations.Name(a) < s.engine.locations.Name(b) }
	return s
}}

// searchTries is how often a search is begun at most. One is begun twice only where a location was moved more than movesKept
// times while it went on, which takes microseconds.
const searchTries = 50

// nearSearch is what is asked of eachNear.
type nearSearch struct {
	near     *Near
	filter   *LocationFilter
	expected int      // about how many will be visited
	least    Distance // no nearer ones
}

// eachNear calls visit with the locations asked for, from the nearest on, until it answers false. Before each try it calls
// begin, which forgets what an earlier one has found.
func (e *Engine) eachNear(q nearSearch, begin func(), visit func(p *place, status *hours.Status, distance Distance) bool) {
	s := locationSearches.Get().(*locationSearch)
	defer func() {
		s.End()
		s.engine, s.found, s.ahead = nil, nil, [lookAhead]*place{}
		locationSearches.Put(s)
	}()
	s.engine, s.open, s.now = e, q.filter.Open, e.Now()
	s.at = q.filter.At
	if s.at.IsZero() {
		s.at = s.now
	}
	from, wanted := nearest.VectorOf(q.near.Latitude, q.near.Longitude), q.filter.traits()
	for try := 1; ; try++ {
		begin()
		state := e.nearby.now.Load()
		if state == nil {
			return
		}
		// In this order: a tree that has a point, and not the one before, was built when that was published.
		s.outrun, s.last, s.latest = false, 0, min(state.latest, e.nearby.published.Load())
		s.Begin(state.tree, state.beside, from, q.least, q.near.within(), wanted, q.expected, s.less)
		s.found, s.fetched = nil, 0
		again := false
		for more := true; more && !again; {
			p, distance := s.next()
			more = p != nil && visit(p, &s.status, distance)
			again = s.outrun && try < searchTries
		}
		if !again {
			return
		}
	}
}

// next returns the next location and how far it is, nil at the end, and sets status.
func (s *locationSearch) next() (*place, Distance) {
	for {
		if s.fetched == 0 && !s.fetch() {
			return nil, 0
		}
		found, p := s.found[0], s.ahead[lookAhead-s.fetched]
		s.found, s.fetched = s.found[1:], s.fetched-1
		for p != nil && p.located && p.point.Version > s.latest {
			if p = p.moved.Load(); p == nil {
				s.outrun = true
			}
		}
		if p == nil || p.point.Version != found.Version {
			continue // the location was elsewhere when the search began, or had other traits
		}
		// While a tree was built a point may have got into it and stayed beside it too.
		if found.ID == s.last {
			continue
		}
		s.last = found.ID
		if p.calendar == nil {
			s.status = hours.Status{}
		} else {
			s.status = p.hoursAt(s.at, s.now)
		}
		if s.open && s.status.State != hours.Open {
			continue
		}
		return p, found.Distance
	}
}

// lookAhead is how many locations are looked up together. Among a million each is several places in memory that are in no
// cache; those of one location are waited for while those of the others are.
const lookAhead = 16

// fetch looks up the next locations. It answers false at the end.
func (s *locationSearch) fetch() bool {
	if len(s.found) == 0 {
		if s.found = s.Batch(); len(s.found) == 0 {
			return false
		}
	}
	n := min(lookAhead, len(s.found))
	ahead := s.ahead[lookAhead-n:]
	for i := range ahead {
		ahead[i] = s.engine.locationOf(s.found[i].ID)
	}
	for _, p := range ahead {
		p.prefetch()
	}
	s.fetched = n
	return true
}

func (n *Near) within() Distance {
	if n.Radius == 0 {
		return nearest.Farthest
	}
	return Distance(min(n.Radius, RadiusMax)*1000 + 0.5)
}

func (n *Near) check() error {
	if err := n.Position.check("near"); err != nil {
		return err
	}
	if !(n.Radius >= 0 && n.Radius <= RadiusMax) {
		return invalid("radius_km", n.Radius/1000, "0.001 to 20037.508 kilometres")
	}
	return nil
}

func (f *LocationFilter) check() error {
	if f.Kind >= locationKindEnd {
		return invalid("kind", uint8(f.Kind), "a known kind")
	}
	for _, s := range f.Services {
		if s >= serviceEnd {
			return invalid("service", uint8(s), ServiceNames)
		}
	}
	return nil
}

// traits returns what locations have to have, but for their hours.
func (f *LocationFilter) traits() nearest.Wanted {
	w := nearest.Wanted{All: servicesTraits(f.Services)}
	if f.Kind != 0 {
		w.All |= kindTrait(f.Kind)
	}
	if f.pickup {
		w.None |= kindTrait(Warehouse)
	}
	return w
}

// matches reports whether a location is asked for, but for its hours.
func (f *LocationFilter) matches(p *place) bool {
	return !(f.Kind == 0 && LocationKind(p.Kind) == Transit) && f.traits().Has(p.traits)
}

// NearCursor is how far a listing of the nearest has come: everything up to a location at a distance. The zero NearCursor
// begins.
type NearCursor struct {
	Distance Distance
	Location string
}

func (c *NearCursor) before(d Distance, name string) bool {
	return c.Location == "" || cmp.Or(cmp.Compare(d, c.Distance), strings.Compare(name, c.Location)) > 0
}

// LocationsNear appends to dst up to limit locations from the nearest on, those at the same distance in the order of their
// ids, and returns the cursor to go on with, zero at the end. Locations without a position are nowhere near.
func (e *Engine) LocationsNear(dst []FoundLocation, near Near, filter LocationFilter, after NearCursor, limit int) (found []FoundLocation, next NearCursor, err error) {
	if err := cmp.Or(near.check(), filter.check()); err != nil {
		return dst, NearCursor{}, err
	}
	basis := e.lastPlace.Load()
	given := len(dst)
	found = slices.Grow(dst, min(limit, 100))
	e.eachNear(nearSearch{&near, &filter, limit + 1, after.Distance}, func() { found, next = found[:given], NearCursor{} }, func(p *place, status *hours.Status, distance Distance) bool {
		basis = max(basis, p.sequence)
		if !after.before(distance, p.symbol) {
			return true
		}
		if len(found)-given == limit {
			last := &found[len(found)-1]
			next = NearCursor{last.Distance, last.ID}
			return false
		}
		found = append(found, FoundLocation{p.location(), *status, distance})
		return true
	})
	return found, next, e.settle(basis)
}
