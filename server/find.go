package server

import (
	"strconv"

	"onhand/engine"
)

// findRequest says, in a body, around which position and among which locations something is to be found.
type findRequest struct {
	Near     *engine.Position `json:"near"`
	RadiusKM *float64         `json:"radius_km"`
	Kind     *string          `json:"kind"`
	Services []engine.Service `json:"services"`
	OpenAt   *string          `json:"open_at"`
}

// given returns the name of a member that was given though near was not, or "".
func (f *findRequest) given() string {
	switch {
	case f.RadiusKM != nil:
		return "radius_km"
	case f.Kind != nil:
		return "kind"
	case f.Services != nil:
		return "services"
	case f.OpenAt != nil:
		return "open_at"
	}
	return ""
}

func (f *findRequest) read() (near engine.Near, filter engine.LocationFilter, err error) {
	near.Position = *f.Near
	if f.RadiusKM != nil {
		if !validRadius(*f.RadiusKM) {
			return near, filter, invalidField("radius_km", strconv.FormatFloat(*f.RadiusKM, 'g', -1, 64), radiusWant)
		}
		near.Radius = *f.RadiusKM * 1000
	}
	if f.Kind != nil {
		if filter.Kind, err = engine.ParseLocationKind(*f.Kind); err != nil {
			return near, filter, err
		}
	}
	filter.Services = f.Services
	if f.OpenAt != nil {
		filter.Open = true
		filter.At, err = instant("open_at", *f.OpenAt)
	}
	return near, filter, err
}
