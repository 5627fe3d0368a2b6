// Package nearest finds the points that are nearest to a position on the Earth, nearest first.
//
// The Earth is a sphere of the mean radius, and a distance is what the haversine formula gives on it:
// 2·R·asin √(sin²(Δφ/2) + cos φ₁·cos φ₂·sin²(Δλ/2)) (R. W. Sinnott, "Virtues of the Haversine", 1984). The root is half
// the length of the chord between the two points as unit vectors, which is how it is computed here: without a pole, an
// antimeridian, or a sine per point. On the sphere a distance is up to 0.5 % off that on the ellipsoid.
package nearest

import "math"

// Radius is the mean radius of the Earth in metres, R1 of IUGG: (2a + b) / 3 for WGS 84.
const Radius = 6371008.8

// Farthest is the distance, in millimetres, that no two points exceed: half the circumference.
const Farthest = Millimetres(20_015_114_442)

// Millimetres are a distance. Whole numbers, so that two places that are equally far are so for every program.
type Millimetres int64

// Vector is a position on the unit sphere.
type Vector struct{ X, Y, Z float64 }

// VectorOf returns the vector of a position in degrees (WGS 84; latitude −90 to 90, longitude −180 to 180).
func VectorOf(latitude, longitude float64) Vector {
	sinLat, cosLat := math.Sincos(latitude * (math.Pi / 180))
	sinLon, cosLon := math.Sincos(longitude * (math.Pi / 180))
	if latitude == 90 || latitude == -90 {
		cosLat = 0 // every longitude of a pole is the same place
	}
	if longitude == 180 || longitude == -180 {
		sinLon, cosLon = 0, -1 // and so are the two names of the antimeridian
	}
	return Vector{cosLat * cosLon, cosLat * sinLon, sinLat}
}

// chord2 returns the square of the chord between two positions.
func (v *Vector) chord2(w *Vector) float64 {
	x, y, z := v.X-w.X, v.Y-w.Y, v.Z-w.Z
	return x*x + y*y + z*z
}

// Distance returns how far it is from v to w along the sphere.
func (v *Vector) Distance(w *Vector) Millimetres { return distanceOf(v.chord2(w)) }

func distanceOf(chord2 float64) Millimetres {
	half := math.Sqrt(chord2) / 2
	if half > 1 {
		half = 1
	}
	return Millimetres(2*Radius*1000*asin(half) + 0.5)
}

// asin is math.Asin for 0 ≤ x ≤ 1, and faster for small x: up to 0.01, which is 127 km, the terms that the series leaves out are
// less than a rounding.
func asin(x float64) float64 {
	if x > 0.01 {
		return math.Asin(x)
	}
	y := x * x
	return x + x*y*(1./6+y*(3./40+y*(15./336+y*(105./3456))))
}

// slack is more than the error of a chord: its ends are unit vectors with an error of some 2⁻⁵³ a coordinate.
const slack = 1e-14

// chord2Beyond returns the square of a chord that no point within d of another exceeds, rounding and all.
func chord2Beyond(d Millimetres) float64 {
	if d >= Farthest {
		return 5
	}
	chord := 2*math.Sin((float64(d)+1)/1000/Radius/2) + slack
	// Near the far side a chord hardly grows with the distance, and its rounding error is that of its square.
	return chord*chord + 1e-13
}

// chord2Short returns the square of a chord such that every shorter one is of points not farther apart than d.
func chord2Short(d Millimetres) float64 {
	chord := 2*math.Sin((float64(d)-1)/1000/Radius/2) - slack
	return max(0, chord*max(0, chord)-1e-13)
}

// Point is a place that can be found.
type Point struct {
	// Version tells the point from those that the same place had before.
	Version uint64
	ID      uint32
	// Traits are bits by which a search leaves points out, and parts of a tree in which none has them.
	Traits uint32
	Vector
}
