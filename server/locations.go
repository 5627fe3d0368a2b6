package server

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"onhand/engine"
	"onhand/engine/hours"
)

// nearPage is the standard page of what is asked for near a position.
const nearPage = 20

// near returns the position that a request asks about, or nil where it asks about none.
func (q *query) near() (*engine.Near, error) {
	p := q.find("near")
	if p == nil {
		if q.has("radius_km") {
			return nil, invalidField("radius_km", quoteShort([]byte(q.value("radius_km"))), "near=LATITUDE,LONGITUDE beside it")
		}
		return nil, nil
	}
	const want = "LATITUDE,LONGITUDE in degrees, such as 48.8566,2.3522"
	latitude, longitude, ok := strings.Cut(p.value, ",")
	var n engine.Near
	var err, err2 error
	n.Latitude, err = strconv.ParseFloat(latitude, 64)
	n.Longitude, err2 = strconv.ParseFloat(strings.TrimSpace(longitude), 64)
	if !ok || err != nil || err2 != nil {
		return nil, invalidField("near", quoteShort([]byte(p.value)), want)
	}
	if r := q.find("radius_km"); r != nil {
		km, err := strconv.ParseFloat(r.value, 64)
		if err != nil || !validRadius(km) {
			return nil, invalidField("radius_km", quoteShort([]byte(r.value)), radiusWant)
		}
		n.Radius = km * 1000
	}
	return &n, nil
}

const radiusWant = "0.001 to 20037.508 kilometres"

func validRadius(km float64) bool { return km >= 0.001 && km <= engine.RadiusMax/1000.0 }

// filter returns which locations a request asks for.
func (q *query) filter() (f engine.LocationFilter, err error) {
	if text := q.value("kind"); text != "" {
		if f.Kind, err = engine.ParseLocationKind(text); err != nil {
			return f, err
		}
	}
	services, err := q.words("service", len(engine.Services()))
	if err != nil {
		return f, err
	}
	for _, text := range services {
		s, err := engine.ParseService(text)
		if err != nil {
			return f, err
		}
		f.Services = append(f.Services, s)
	}
	if text := q.value("open_at"); text != "" {
		f.Open = true
		f.At, err = instant("open_at", text)
	}
	return f, err
}

// instant reads a time, or "now", which is the zero time.
func instant(field, text string) (time.Time, error) {
	if text == "now" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil || t.Year() < 1970 || t.Year() > 2200 {
		return t, invalidField(field, quoteShort([]byte(text)), "now, or a time as in RFC 3339, such as 2026-01-31T17:00:00Z")
	}
	return t, nil
}

// nearCursor reads what appendNearCursor wrote.
func (q *query) nearCursor() (engine.NearCursor, error) {
	p := q.find("cursor")
	if p == nil {
		return engine.NearCursor{}, nil
	}
	if text, err := base64.RawURLEncoding.DecodeString(p.value); err == nil {
		distance, location, ok := strings.Cut(string(text), " ")
		if mm, err := strconv.ParseUint(distance, 10, 40); ok && err == nil && location != "" {
			return engine.NearCursor{Distance: engine.Distance(mm), Location: location}, nil
		}
	}
	return engine.NearCursor{}, invalidField("cursor", quoteShort([]byte(p.value)), "the next_cursor of a page")
}

func appendNearCursor(dst []byte, c engine.NearCursor) []byte {
	text := append(strconv.AppendInt(nil, int64(c.Distance), 10), ' ')
	text = append(text, c.Location...)
	dst = append(appendMember(dst, "next_cursor"), '"')
	dst = base64.RawURLEncoding.AppendEncode(dst, text)
	return append(dst, '"')
}

func (s *Server) listLocations(c *call) error {
	near, err := c.query.near()
	if err != nil {
		return err
	}
	filter, err := c.query.filter()
	if err != nil {
		return err
	}
	if near != nil {
		return s.listLocationsNear(c, *near, filter)
	}
	after, limit, err := cataloguePageOf(c)
	if err != nil {
		return err
	}
	page, next, err := s.engine.Locations(after, filter, limit)
	if err != nil {
		return err
	}
	at := s.at(filter.At)
	answerPage(c, "locations", page, func(dst []byte, l *engine.FoundLocation) []byte {
		return appendFoundLocation(dst, l, &at, false)
	}, next)
	return nil
}

func (s *Server) listLocationsNear(c *call, near engine.Near, filter engine.LocationFilter) error {
	after, err := c.query.nearCursor()
	if err != nil {
		return err
	}
	limit, err := c.query.limit(nearPage)
	if err != nil {
		return err
	}
	var next engine.NearCursor
	c.locations, next, err = s.engine.LocationsNear(c.locations, near, filter, after, limit)
	if err != nil {
		return err
	}
	at := s.at(filter.At)
	c.out = append(c.out, `{"locations":[`...)
	for i := range c.locations {
		if i > 0 {
			c.out = append(c.out, ',')
		}
		c.out = appendFoundLocation(c.out, &c.locations[i], &at, true)
	}
	c.out = append(c.out, ']')
	if next.Location != "" {
		c.out = appendNearCursor(c.out, next)
	}
	c.out = append(c.out, '}')
	c.json(fasthttp.StatusOK)
	return nil
}

// moment is the instant that an answer is about, written down once for all the locations in it.
type moment struct {
	time.Time
	text string // RFC 3339
}

func momentOf(t time.Time) moment { return moment{t, t.UTC().Format(time.RFC3339Nano)} }

// at returns the instant that an answer is about.
func (s *Server) at(asked time.Time) moment {
	if asked.IsZero() {
		asked = s.engine.Now()
	}
	return momentOf(asked)
}

func (s *Server) getLocation(c *call) error {
	var at time.Time
	if text := c.query.value("at"); text != "" {
		var err error
		if at, err = instant("at", text); err != nil {
			return err
		}
	}
	location, err := s.engine.LocationAt(c.params[0], at)
	if err != nil {
		return err
	}
	when := s.at(at)
	c.out = appendFoundLocation(c.out, &location, &when, false)
	c.json(fasthttp.StatusOK)
	return nil
}

type locationRequest struct {
	Name    string  `json:"name"`
	Kind    *string `json:"kind"`
	Blocked bool    `json:"blocked"`

	engine.LocationDetails `json:",inline"`
}

// location turns a request into a location.
func (r *locationRequest) location(id string) (engine.Location, error) {
	l := engine.Location{ID: id, Name: r.Name, Kind: engine.Store, Blocked: r.Blocked}
	var err error
	if r.Kind != nil {
		if l.Kind, err = engine.ParseLocationKind(*r.Kind); err != nil {
			return l, err
		}
	}
	l.Details, err = engine.NewDetails(r.LocationDetails)
	return l, err
}

func (s *Server) putLocation(c *call) error {
	var in locationRequest
	if err := s.decode(c, &in); err != nil {
		return err
	}
	l, err := in.location(c.params[0])
	if err != nil {
		return err
	}
	key, err := c.idempotencyKey()
	if err != nil {
		return err
	}
	if l, err = s.engine.PutLocation(l, key); err != nil {
		return err
	}
	c.out = appendLocation(c.out, &l)
	c.json(fasthttp.StatusOK)
	return nil
}

func (s *Server) deleteLocation(c *call) error {
	key, err := c.idempotencyKey()
	if err != nil {
		return err
	}
	sequence, err := s.engine.DeleteLocation(c.params[0], key)
	if err != nil {
		return err
	}
	c.out = append(c.out, `{"id":`...)
	c.out = appendString(c.out, c.params[0])
	c.out = append(appendUint(c.out, "sequence", sequence), '}')
	c.json(fasthttp.StatusOK)
	return nil
}

// appendLocation writes a location's record.
func appendLocation(dst []byte, l *engine.Location) []byte {
	return append(appendLocationMembers(dst, l), '}')
}

// appendLocationMembers is appendLocation without the closing brace. A location's details are stored as they are written
// here.
func appendLocationMembers(dst []byte, l *engine.Location) []byte {
	dst = append(dst, `{"id":`...)
	dst = appendString(dst, l.ID)
	dst = appendText(dst, "name", l.Name)
	dst = appendText(dst, "kind", l.Kind.String())
	dst = appendBool(dst, "blocked", l.Blocked)
	if details := l.Details.JSON(); len(details) > 0 {
		dst = append(dst, ',')
		dst = append(dst, details[1:len(details)-1]...)
	}
	return appendUint(dst, "sequence", l.Sequence)
}

func appendFoundLocation(dst []byte, l *engine.FoundLocation, at *moment, near bool) []byte {
	dst = appendLocationMembers(dst, &l.Location)
	if near {
		dst = appendDistance(dst, l.Distance)
	}
	dst = appendHours(dst, &l.Hours, at)
	return append(dst, '}')
}

// appendDistance writes a distance in whole metres.
func appendDistance(dst []byte, d engine.Distance) []byte {
	return appendNumber(dst, "distance_m", int64(d+500)/1000)
}

// appendHours writes whether a location is open at an instant, and when that changes.
func appendHours(dst []byte, s *hours.Status, at *moment) []byte {
	dst = append(dst, `,"hours":{"at":"`...)
	dst = append(dst, at.text...)
	dst = append(dst, `","state":"`...)
	dst = append(dst, s.State.String()...)
	dst = append(dst, '"')
	if !s.Closes.IsZero() {
		dst = appendTime(dst, "closes_at", s.Closes.UTC())
		dst = appendNumber(dst, "minutes_until_close", int64(s.Closes.Sub(at.Time)/time.Minute))
	}
	if !s.Opens.IsZero() {
		dst = appendTime(dst, "opens_at", s.Opens.UTC())
	}
	return append(dst, '}')
}
