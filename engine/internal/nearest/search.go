package nearest

import "slices"

// Search yields the points of a tree, and of a list beside it, from the nearest on. It is used by one goroutine and may
// be used again, which saves the memory of its heaps.
//
// Nodes wait in one heap, by the least chord that a point in them can have, and points in another, by their chord. The
// point on top is the next one as soon as no node can hold a nearer one.
type Search struct {
	tree   *Tree
	from   Vector
	traits func(traits uint32) bool // nil = all
	// limit is the square of the longest chord that still matters, and within the distance that decides.
	limit  float64
	within Millimetres

	nodes  heap[node]
	points heap[*Point]
	// equal are the points at the distance that is being yielded, in the order of less, and next the first of them that
	// was not.
	equal []Found
	next  int
	less  func(a, b uint32) bool
}

type node struct {
	index, lo, hi int32
	dx, dy, dz    float64 // how far from lies outside the node, by axis
}

// Found is a point and how far it is.
type Found struct {
	*Point
	Distance Millimetres
}

// Begin starts a search from a position, for the points of tree and of beside that are within a distance and have the
// traits wanted (nil = any). less orders points at the same distance by their ids. Neither tree nor beside is changed.
func (s *Search) Begin(tree *Tree, beside []Point, from Vector, within Millimetres, traits func(uint32) bool, less func(a, b uint32) bool) {
	*s = Search{
		tree: tree, from: from, traits: traits, less: less, within: within, limit: chord2Beyond(within),
		nodes: s.nodes[:0], points: s.points[:0], equal: s.equal[:0],
	}
	if tree != nil && len(tree.points) > 0 {
		s.nodes.push(0, node{hi: int32(len(tree.points))})
	}
	s.scan(beside)
}

// End lets go of what was searched.
func (s *Search) End() {
	clear(s.points[:cap(s.points)])
	clear(s.equal[:cap(s.equal)])
	*s = Search{nodes: s.nodes[:0], points: s.points[:0], equal: s.equal[:0]}
}

// Next returns the next point, or false at the end.
func (s *Search) Next() (Found, bool) {
	if s.next == len(s.equal) && !s.gather() {
		return Found{}, false
	}
	s.next++
	return s.equal[s.next-1], true
}

// gather puts all points at the least distance left into equal, in order.
func (s *Search) gather() bool {
	s.equal, s.next = s.equal[:0], 0
	if !s.settle() {
		return false
	}
	distance := distanceOf(s.points[0].key)
	if distance > s.within {
		// Whatever is left is as far or farther.
		s.points, s.nodes = s.points[:0], s.nodes[:0]
		return false
	}
	for s.settle() && distanceOf(s.points[0].key) == distance {
		s.equal = append(s.equal, Found{s.points.pop(), distance})
	}
	if len(s.equal) > 1 {
		slices.SortFunc(s.equal, func(a, b Found) int {
			if s.less(a.ID, b.ID) {
				return -1
			}
			return 1
		})
	}
	return true
}

// rounding is more than the relative error of a sum of three squares.
const rounding = 1 + 1e-14

// settle opens nodes until none can hold a nearer point than the one on top. It answers false where no point is left.
func (s *Search) settle() bool {
	for len(s.nodes) > 0 && (len(s.points) == 0 || s.nodes[0].key <= s.points[0].key*rounding) {
		s.open(s.nodes.pop())
	}
	return len(s.points) > 0
}

// open goes down to the leaf of a node that is nearest and takes its points; the other halves on the way wait their turn.
func (s *Search) open(n node) {
	t := s.tree
	for int(n.index) < len(t.splits) {
		split := &t.splits[n.index]
		mid := n.lo + (n.hi-n.lo)/2
		low := node{2*n.index + 1, n.lo, mid, n.dx, n.dy, n.dz}
		high := node{2*n.index + 2, mid, n.hi, n.dx, n.dy, n.dz}
		off := s.from.coordinate(split.axis) - split.at
		far := &low
		if off <= 0 {
			n, far = low, &high
		} else {
			n = high
		}
		switch split.axis {
		case 0:
			far.dx = off
		case 1:
			far.dy = off
		default:
			far.dz = off
		}
		if bound := far.dx*far.dx + far.dy*far.dy + far.dz*far.dz; bound <= s.limit {
			s.nodes.push(bound, *far)
		}
	}
	s.scan(t.points[n.lo:n.hi])
}

func (s *Search) scan(points []Point) {
	for i := range points {
		p := &points[i]
		if c := p.chord2(&s.from); c <= s.limit && (s.traits == nil || s.traits(p.Traits)) {
			s.points.push(c, p)
		}
	}
}

// heap is a binary heap with the least key on top. container/heap would call through an interface for every comparison,
// which is most of what a search does.
type heap[T any] []entry[T]

type entry[T any] struct {
	key   float64 // the square of a chord
	value T
}

func (h *heap[T]) push(key float64, value T) {
	*h = append(*h, entry[T]{})
	s := *h
	i := len(s) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if s[parent].key <= key {
			break
		}
		s[i] = s[parent]
		i = parent
	}
	s[i] = entry[T]{key, value}
}

func (h *heap[T]) pop() T {
	s := *h
	top, last := s[0].value, s[len(s)-1]
	s = s[:len(s)-1]
	*h = s
	if len(s) == 0 {
		return top
	}
	i := 0
	for {
		child := 2*i + 1
		if child >= len(s) {
			break
		}
		if right := child + 1; right < len(s) && s[right].key < s[child].key {
			child = right
		}
		if last.key <= s[child].key {
			break
		}
		s[i] = s[child]
		i = child
	}
	s[i] = last
	return top
}
