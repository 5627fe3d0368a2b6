package nearest

import "math"

// leafPoints is the most points in a leaf. A leaf of 8 is five cache lines, read in order.
const leafPoints = 8

// Tree is a k-d tree over unit vectors, never changed once built, so any number of goroutines may search it.
//
// It is complete: the children of node i are 2i+1 and 2i+2, and each half of a node's points belongs to one of them, so
// that neither ranges nor links are stored.
type Tree struct {
	points []Point
	splits []split
	depth  int // levels of splits above the leaves
}

// split divides the points of a node: those of the first half have a coordinate of at most at, the others of at least.
type split struct {
	at   float64
	axis uint8
}

// Build returns the tree of points, which it keeps and puts in another order.
func Build(points []Point) *Tree {
	t := &Tree{points: points}
	for n := len(points); n > leafPoints; n = (n + 1) / 2 {
		t.depth++
	}
	t.splits = make([]split, 1<<t.depth-1)
	t.build(0, 0, len(points))
	return t
}

// Len returns the number of points.
func (t *Tree) Len() int { return len(t.points) }

// Bytes returns the memory in use.
func (t *Tree) Bytes() int64 { return int64(cap(t.points))*40 + int64(len(t.splits))*16 }

func (t *Tree) build(node, lo, hi int) {
	if node >= len(t.splits) {
		return
	}
	part := t.points[lo:hi]
	axis := widest(part)
	mid := (hi - lo) / 2
	partition(part, mid, axis)
	t.splits[node] = split{part[mid].coordinate(axis), axis}
	t.build(2*node+1, lo, lo+mid)
	t.build(2*node+2, lo+mid, hi)
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
