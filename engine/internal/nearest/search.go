package nearest

import (
	"cmp"
	"slices"
)

// Search yields the points of a tree, and of a list beside it, from the nearest on, in batches. It is used by one goroutine
// and may be used again, which saves its memory.
//
// For a batch the tree is walked depth first, the nearer half of each node before the other, and the nearest points met so
// far are kept, as many as a batch has; a half that can't hold a nearer one than the last of these is left out. The next
// batch is several times as large and begins beyond the one before, so the walks together cost little more than the last.
type Search struct {
	tree   *Tree
	beside []Point
	from   Vector
	wanted Wanted
	less   func(a, b uint32) bool
	most   Millimetres
	// beyond is the distance up to which all points were yielded. A chord whose square is less than skipped is not longer than
	// that, and one whose square is more than skippable is.
	beyond             Millimetres
	skipped, skippable float64
	limit              float64 // the square of the longest chord that still matters
	ended              bool
	waiting            [deepest]node
	kept               closest
	batch              []Found
}

// Wanted says which points are searched for: those that have all of some traits and none of others.
type Wanted struct{ All, None uint32 }

// Has reports whether traits are those of a point that is searched for.
func (w Wanted) Has(traits uint32) bool { return traits&w.All == w.All && traits&w.None == 0 }

// deepest is more levels than a tree can have: its points are numbered by an int32. No two nodes of a level wait at a time.
const deepest = 32

// node is a node of the tree that waits for its turn.
type node struct {
	index uint
	bound float64    // the least square of a chord that a point in it can have
	off   [4]float64 // how far from lies outside the node, by axis
}

// Found is a point and how far it is.
type Found struct {
	ID       uint32
	Version  uint64
	Distance Millimetres
}

// Begin starts a search from a position, for the points of tree and of beside that are wanted, at a distance from one to
// another. expected is about how many the caller will take. less orders points at the same distance by
// their ids. Neither tree nor beside is changed.
func (s *Search) Begin(tree *Tree, beside []Point, from Vector, least, most Millimetres, wanted Wanted, expected int, less func(a, b uint32) bool) {
	s.tree, s.beside, s.from, s.wanted, s.less = tree, beside, from, wanted, less
	s.beyond, s.most, s.limit = least-1, most, chord2Beyond(most)
	s.ended, s.kept.size = false, max(expected, 0)+1 // the last one is not yielded, as others may be just as far
}

// End lets go of what was searched.
func (s *Search) End() { s.tree, s.beside, s.less = nil, nil, nil }

// growth is how much larger each batch is than the one before.
const growth = 4

// Batch returns the next points, or none at the end. They are overwritten by the next call.
func (s *Search) Batch() []Found {
	for !s.ended {
		s.collect()
		found := s.batch[:0]
		for _, c := range s.kept.sorted() {
			f := Found{Distance: distanceOf(c.chord2)}
			if c.index >= 0 {
				w := &s.tree.who[c.index]
				f.ID, f.Version = w.id, w.version
			} else {
				p := &s.beside[^c.index]
				f.ID, f.Version = p.ID, p.Version
			}
			found = append(found, f)
		}
		s.batch = found
		s.ended = len(found) < s.kept.size
		if n := len(found); !s.ended {
			// Others may be just as far as the last one, and among those the ids decide.
			for n > 0 && found[n-1].Distance == found[len(found)-1].Distance {
				n--
			}
			found = found[:n]
			s.kept.size *= growth
		}
		for len(found) > 0 && found[len(found)-1].Distance > s.most {
			found, s.ended = found[:len(found)-1], true
		}
		if len(found) > 0 {
			s.beyond = found[len(found)-1].Distance
			s.order(found)
			return found
		}
	}
	return nil
}

// order puts points that are equally far into the order of their ids; they come in the order of their chords.
func (s *Search) order(found []Found) {
	for i := 1; i < len(found); i++ {
		if found[i].Distance == found[i-1].Distance {
			slices.SortFunc(found, func(a, b Found) int {
				if c := cmp.Compare(a.Distance, b.Distance); c != 0 {
					return c
				}
				if s.less(a.ID, b.ID) {
					return -1
				}
				return 1
			})
			return
		}
	}
}

// rounding is more than the relative error of a sum of three squares.
const rounding = 1 + 1e-14

// collect keeps the closest points that are left.
func (s *Search) collect() {
	s.kept.begin(s.limit)
	s.skipped, s.skippable = 0, -1
	if s.beyond >= 0 {
		s.skipped, s.skippable = chord2Short(s.beyond), chord2Beyond(s.beyond)
	}
	for i := range s.beside {
		if p := &s.beside[i]; s.wanted.Has(p.Traits) {
			s.offer(p.chord2(&s.from), int32(^i))
		}
	}
	if s.tree != nil && len(s.tree.at) > 0 {
		s.walk()
	}
}

// walk looks at the points of the tree: it goes down to the leaf that is nearest, while the other halves on the way wait, and
// then down those, the last one first.
func (s *Search) walk() {
	t, from, all := s.tree, [4]float64{s.from.X, s.from.Y, s.from.Z}, s.wanted.All
	waiting := 0
	n := node{}
	for {
		wanted := true
		for n.index < uint(len(t.splits)) {
			split := &t.splits[n.index]
			if wanted = split.traits&all == all; !wanted {
				break
			}
			axis := split.axis & 3 // it is at most 2: the mask spares a check of the bounds
			off := from[axis] - split.at
			far := &s.waiting[waiting%deepest]
			far.off = n.off
			far.off[axis] = off
			if off <= 0 {
				far.index, n.index = 2*n.index+2, 2*n.index+1
			} else {
				far.index, n.index = 2*n.index+1, 2*n.index+2
			}
			far.bound = far.off[0]*far.off[0] + far.off[1]*far.off[1] + far.off[2]*far.off[2]
			if far.bound <= s.kept.limit*rounding {
				waiting++
			}
		}
		if wanted {
			leaf := int(n.index) - len(t.splits)
			s.scan(t.start(leaf), t.start(leaf+1))
		}
		for {
			if waiting == 0 {
				return
			}
			if waiting--; s.waiting[waiting].bound <= s.kept.limit*rounding {
				n = s.waiting[waiting]
				break
			}
		}
	}
}

// scan looks at the points of a leaf.
func (s *Search) scan(lo, hi int32) {
	t := s.tree
	if s.wanted != (Wanted{}) {
		for i := lo; i < hi; i++ {
			if s.wanted.Has(t.who[i].traits) {
				s.offer(t.at[i].chord2(&s.from), i)
			}
		}
		return
	}
	points, from, limit := t.at[lo:hi], s.from, s.kept.limit
	for i := range points {
		if c := points[i].chord2(&from); c <= limit {
			s.offer(c, lo+int32(i))
			limit = s.kept.limit
		}
	}
}

// offer keeps a point if it is among the closest that were not yielded yet.
func (s *Search) offer(chord2 float64, index int32) {
	if chord2 > s.kept.limit || chord2 < s.skipped || chord2 <= s.skippable && distanceOf(chord2) <= s.beyond {
		return
	}
	s.kept.add(chord2, index)
}
