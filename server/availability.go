package server

import (
	"errors"
	"strconv"

	"github.com/valyala/fasthttp"

	"onhand/engine"
)

// getAvailability answers for one SKU at one location.
func (s *Server) getAvailability(c *call) error {
	cell, err := s.engine.Availability(c.params[0], c.params[1])
	if err != nil {
		return err
	}
	if s.unchanged(c, cell.Sequence) {
		return nil
	}
	c.out = appendCellName(c.out, cell.SKU, cell.Location)
	c.out = appendAvailability(c.out, &cell)
	c.out = appendTime(c.out, "as_of", s.engine.Now())
	c.out = append(c.out, '}')
	c.json(fasthttp.StatusOK)
	return nil
}

// unchanged sets the headers by which caches keep an answer about availability, and answers 304 where the client has the
// present one. The tag is weak: answers with the same sequence differ in as_of.
func (s *Server) unchanged(c *call, sequence uint64) bool {
	var tag [24]byte
	etag := append(tag[:0], `W/"`...)
	etag = strconv.AppendUint(etag, sequence, 36)
	etag = append(etag, '"')
	h := &c.ctx.Response.Header
	h.SetBytesV(fasthttp.HeaderETag, etag)
	h.Set(fasthttp.HeaderCacheControl, s.options.CacheControl)
	for _, match := range c.ctx.Request.Header.PeekAll(fasthttp.HeaderIfNoneMatch) { // several lines are one list
		if matchesTag(match, etag) {
			c.ctx.Response.SetStatusCode(fasthttp.StatusNotModified)
			return true
		}
	}
	return false
}

// matchesTag reports whether an If-None-Match header names a tag (RFC 9110, section 13.1.2, weak comparison).
func matchesTag(header, etag []byte) bool {
	opaque := string(etag[2:])
	for len(header) > 0 {
		var item []byte
		item, header = cutItem(header)
		if string(item) == "*" {
			return true
		}
		if len(item) > 2 && (item[0] == 'W' && item[1] == '/') {
			item = item[2:]
		}
		if string(item) == opaque {
			return true
		}
	}
	return false
}

// cutItem takes the first item off a comma-separated header. Our tags have no commas in them, so a quoted one can't be
// one of ours.
func cutItem(header []byte) (item, rest []byte) {
	end := len(header)
	rest = nil
	for i, b := range header {
		if b == ',' {
			end, rest = i, header[i+1:]
			break
		}
	}
	item = header[:end]
	for len(item) > 0 && (item[0] == ' ' || item[0] == '\t') {
		item = item[1:]
	}
	for len(item) > 0 && (item[len(item)-1] == ' ' || item[len(item)-1] == '\t') {
		item = item[:len(item)-1]
	}
	return item, rest
}

// getAvailabilityEverywhere answers for one SKU at every location that stocks it, or at those asked for.
func (s *Server) getAvailabilityEverywhere(c *call) error {
	minimum, err := c.query.number("min_quantity", 0, engine.QuantityMax, 0)
	if err != nil {
		return err
	}
	limit, err := c.query.limit(pageMax)
	if err != nil {
		return err
	}
	near, err := c.query.near()
	if err != nil {
		return err
	}
	if near != nil {
		return s.getAvailabilityNear(c, *near, int64(minimum))
	}
	for _, name := range []string{"kind", "service", "open_at"} {
		if c.query.has(name) {
			return invalidField(name, "given", "near=LATITUDE,LONGITUDE beside it")
		}
	}
	after, err := c.query.number("cursor", 0, 1<<32-1, 0)
	if err != nil {
		return err
	}
	locations, err := c.query.names("locations", pageMax)
	if err != nil {
		return err
	}
	var cells []engine.Cell
	var sequence uint64
	var next uint32
	if locations != nil {
		cells, sequence, err = s.engine.AvailabilityAt(nil, c.params[0], locations, int64(minimum))
	} else {
		cells, sequence, next, err = s.engine.AvailabilityPage(nil, c.params[0], int64(minimum), uint32(after), limit)
	}
	if err != nil {
		return err
	}
	if s.unchanged(c, sequence) {
		return nil
	}
	c.out = append(c.out, `{"sku":`...)
	c.out = appendString(c.out, c.params[0])
	c.out = appendUint(c.out, "sequence", sequence)
	c.out = appendTime(c.out, "as_of", s.engine.Now())
	c.out = append(c.out, `,"locations":[`...)
	for i := range cells {
		cell := &cells[i]
		if i > 0 {
			c.out = append(c.out, ',')
		}
		c.out = append(c.out, `{"location":`...)
		c.out = appendString(c.out, cell.Location)
		c.out = appendAvailability(c.out, cell)
		c.out = append(c.out, '}')
	}
	c.out = append(c.out, ']')
	if next != 0 {
		c.out = appendText(c.out, "next_cursor", strconv.Itoa(int(next)))
	}
	c.out = append(c.out, '}')
	c.json(fasthttp.StatusOK)
	return nil
}

// getAvailabilityNear answers for one SKU around a position, nearest first.
func (s *Server) getAvailabilityNear(c *call, near engine.Near, minimum int64) error {
	if c.query.has("locations") {
		return invalidField("locations", "given", "either locations or near")
	}
	filter, err := c.query.filter()
	if err != nil {
		return err
	}
	after, err := c.query.nearCursor()
	if err != nil {
		return err
	}
	limit, err := c.query.limit(nearPage)
	if err != nil {
		return err
	}
	var next engine.NearCursor
	c.cells, next, err = s.engine.AvailabilityNear(c.cells, c.params[0], near, filter, minimum, after, limit)
	if err != nil {
		return err
	}
	at := s.at(filter.At)
	c.ctx.Response.Header.Set(fasthttp.HeaderCacheControl, s.options.CacheControl)
	c.out = append(c.out, `{"sku":`...)
	c.out = appendString(c.out, c.params[0])
	c.out = appendTime(c.out, "as_of", s.engine.Now())
	c.out = append(c.out, `,"locations":[`...)
	for i := range c.cells {
		cell := &c.cells[i]
		if i > 0 {
			c.out = append(c.out, ',')
		}
		c.out = append(c.out, `{"location":`...)
		c.out = appendString(c.out, cell.Location)
		c.out = appendDistance(c.out, cell.Distance)
		c.out = appendAvailability(c.out, &cell.Cell)
		c.out = appendHours(c.out, &cell.Hours, &at)
		c.out = append(c.out, '}')
	}
	c.out = append(c.out, ']')
	if next.Location != "" {
		c.out = appendNearCursor(c.out, next)
	}
	c.out = append(c.out, '}')
	c.json(fasthttp.StatusOK)
	return nil
}

// availabilityQueryMax is the most cells that one query asks for.
const availabilityQueryMax = 10_000

type availabilityQuery struct {
	Cells []struct {
		SKU      string `json:"sku"`
		Location string `json:"location"`
	} `json:"cells"`
}

// queryAvailability answers for many cells at once.
func (s *Server) queryAvailability(c *call) error {
	var in availabilityQuery
	if err := s.decode(c, &in); err != nil {
		return err
	}
	if n := len(in.Cells); n == 0 || n > availabilityQueryMax {
		return invalidField("cells", itoa(n)+" cells", "1 to "+itoa(availabilityQueryMax)+" cells")
	}
	names := make([]engine.CellName, len(in.Cells))
	for i := range in.Cells {
		names[i] = engine.CellName{SKU: in.Cells[i].SKU, Location: in.Cells[i].Location}
	}
	results, err := s.engine.Query(nil, names)
	if err != nil {
		return err
	}
	c.out = append(c.out, `{"results":[`...)
	for i := range results {
		r := &results[i]
		if i > 0 {
			c.out = append(c.out, ',')
		}
		c.out = appendCellName(c.out, names[i].SKU, names[i].Location)
		if reason := unknownReason(r.Err); reason != 0 {
			c.out = appendText(c.out, "reason", reason.String())
		}
		c.out = appendAvailability(c.out, &r.Cell)
		c.out = append(c.out, '}')
	}
	c.out = append(c.out, ']')
	c.out = appendTime(c.out, "as_of", s.engine.Now())
	c.out = append(c.out, '}')
	c.json(fasthttp.StatusOK)
	return nil
}

// unknownReason returns the reason that an UnknownError stands for, or 0.
func unknownReason(err error) engine.Reason {
	unknown := (*engine.UnknownError)(nil)
	switch {
	case !errors.As(err, &unknown):
		return 0
	case unknown.Kind == engine.KindSKU:
		return engine.UnknownSKU
	}
	return engine.UnknownLocation
}
