package nearest

import (
	"cmp"
	"slices"
)

// closest keeps those of many points that have the shortest chords.
type closest struct {
	size  int     // how many are kept at most
	limit float64 // the square of the longest chord that may still get in
	// Up to insertSize points are kept in the order of their chords; more in a heap with the longest chord on top, once there are size.
	points []candidate
}

type candidate struct {
	chord2 float64
	index  int32 // of the tree; of the list beside it, its complement
}

// insertSize is up to how many points it is faster to move those behind a new one than to keep a heap.
const insertSize = 32

// begin forgets all points. Chords whose square is more than limit don't get in.
func (c *closest) begin(limit float64) { c.points, c.limit = c.points[:0], limit }

// add keeps a point whose chord is within limit.
func (c *closest) add(chord2 float64, index int32) {
	p := candidate{chord2, index}
	switch {
	case c.size <= insertSize:
		if len(c.points) < c.size {
			c.points = append(c.points, p)
		}
		points := c.points
		i := len(points) - 1
		for ; i > 0 && points[i-1].chord2 > chord2; i-- {
			points[i] = points[i-1]
		}
		points[i] = p
		if len(points) == c.size {
			c.limit = points[len(points)-1].chord2
		}
	case len(c.points) < c.size:
		if c.points = append(c.points, p); len(c.points) == c.size {
			for i := c.size/2 - 1; i >= 0; i-- {
				c.sift(i)
			}
			c.limit = c.points[0].chord2
		}
	default:
		c.points[0] = p
		c.sift(0)
		c.limit = c.points[0].chord2
	}
}

// sift moves the point at i down to where no longer chord is below it.
func (c *closest) sift(i int) {
	p := c.points[i]
	for {
		child := 2*i + 1
		if child >= len(c.points) {
			break
		}
		if right := child + 1; right < len(c.points) && c.points[right].chord2 > c.points[child].chord2 {
			child = right
		}
		if p.chord2 >= c.points[child].chord2 {
			break
		}
		c.points[i] = c.points[child]
		i = child
	}
	c.points[i] = p
}

// sorted returns the points kept, the shortest chord first, until the next begin.
func (c *closest) sorted() []candidate {
	if c.size > insertSize {
		slices.SortFunc(c.points, func(a, b candidate) int { return cmp.Compare(a.chord2, b.chord2) })
	}
	return c.points
}
