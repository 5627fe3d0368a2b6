package nearest

import "math"

// leafPoints is the most points in a leaf. A leaf of 16 is six cache lines, read in order.
const leafPoints = 16

// Tree is a k-d tree over unit vectors, never changed once built, so any number of goroutines may search it.
//
// It is complete: the children of node i are 2i+1 and 2i+2, and each half of a node's points belongs to one of them, so
// that neither ranges nor links are stored.
type Tree struct {
	at     []Vector
	who    []identity // of each of at
	splits []split
	depth  int // levels of splits above the leaves
}

// identity is what is known of a point besides where it is. It lies apart, as most points that a search looks at are too far.
type identity struct {
	id, traits uint32
	version    uint64
}

// split divides the points of a node: those of the first half have a coordinate of at most at, the others of at least.
type split struct {
	at     float64
	traits uint32 // that any of the points has
	axis   uint8
}

// Build returns the tree of points, which it puts in another order.
func Build(points []Point) *Tree {
	t := &Tree{at: make([]Vector, len(points)), who: make([]identity, len(points))}
	for (len(points)-1)>>t.depth >= leafPoints {
		t.depth++
	}
	t.splits = make([]split, 1<<t.depth-1)
	t.build(points, 0, 1<<t.depth, 0)
	for i := range points {
		p := &points[i]
		t.at[i], t.who[i] = p.Vector, identity{p.ID, p.Traits, p.Version}
	}
	return t
}

// Len returns the number of points.
func (t *Tree) Len() int { return len(t.at) }

// start returns the number of the first point of a leaf: all leaves have the same number of points, or one more.
func (t *Tree) start(leaf int) int32 { return int32(leaf * len(t.at) >> t.depth) }

// build puts the points of a node, the leaves from lo to hi, in order and returns the traits that any of them has.
func (t *Tree) build(points []Point, lo, hi, node int) (traits uint32) {
	if node >= len(t.splits) {
		for i := range points {
			traits |= points[i].Traits
		}
		return traits
	}
	axis := widest(points)
	middle := (lo + hi) / 2
	first := int(t.start(middle) - t.start(lo))
	partition(points, first, axis)
	s := &t.splits[node]
	s.at, s.axis = points[first].coordinate(axis), axis
	s.traits = t.build(points[:first], lo, middle, 2*node+1) | t.build(points[first:], middle, hi, 2*node+2)
	return s.traits
}

func (v *Vector) coordinate(axis uint8) float64 {
	switch axis {
	case 0:
		return v.X
	case 1:
		return v.Y
	}
	return v.Z
}

// widest returns the axis along which the points lie farthest apart.
func widest(points []Point) uint8 {
	low, high := [3]float64{2, 2, 2}, [3]float64{-2, -2, -2}
	for i := range points {
		for axis, v := range [3]float64{points[i].X, points[i].Y, points[i].Z} {
			low[axis], high[axis] = math.Min(low[axis], v), math.Max(high[axis], v)
		}
	}
	best := uint8(0)
	for axis := uint8(1); axis < 3; axis++ {
		if high[axis]-low[axis] > high[best]-low[best] {
			best = axis
		}
	}
	return best
}

// partition puts the point that belongs at index k there, none greater before it and none less behind it (C. A. R. Hoare,
// "Algorithm 65: Find", 1961). Equal points are spread over both sides, so many of them cost no more.
func partition(points []Point, k int, axis uint8) {
	lo, hi := 0, len(points)-1
	for lo < hi {
		// The median of three keeps points that are sorted already from taking quadratic time.
		mid := lo + (hi-lo)/2
		a, b, c := points[lo].coordinate(axis), points[mid].coordinate(axis), points[hi].coordinate(axis)
		pivot := max(min(a, b), min(max(a, b), c))
		i, j := lo, hi
		for i <= j {
			for points[i].coordinate(axis) < pivot {
				i++
			}
			for points[j].coordinate(axis) > pivot {
				j--
			}
			if i <= j {
				points[i], points[j] = points[j], points[i]
				i++
				j--
			}
		}
		switch {
		case k <= j:
			hi = j
		case k >= i:
			lo = i
		default:
			return
		}
	}
}
