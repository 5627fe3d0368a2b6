package server

import (
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"onhand/engine"
)

// cataloguePage is the standard page of a listing of SKUs or locations.
const cataloguePage = 1000

func (s *Server) listSKUs(c *call) error {
	after, limit, err := cataloguePageOf(c)
	if err != nil {
		return err
	}
	page, next, err := s.engine.SKUs(after, limit)
	if err != nil {
		return err
	}
	answerPage(c, "skus", page, appendSKU, next)
	return nil
}

func (s *Server) listLocations(c *call) error {
	after, limit, err := cataloguePageOf(c)
	if err != nil {
		return err
	}
	var kind engine.LocationKind
	if text := c.query.value("kind"); text != "" {
		if kind, err = engine.ParseLocationKind(text); err != nil {
			return err
		}
	}
	page, next, err := s.engine.Locations(after, kind, limit)
	if err != nil {
		return err
	}
	answerPage(c, "locations", page, appendLocation, next)
	return nil
}

func cataloguePageOf(c *call) (after uint32, limit int, err error) {
	cursor, err := c.query.number("cursor", 0, 1<<32-1, 0)
	if err != nil {
		return 0, 0, err
	}
	limit, err = c.query.limit(cataloguePage)
	return uint32(cursor), limit, err
}

func answerPage[T any](c *call, name string, page []T, appendItem func([]byte, *T) []byte, next uint32) {
	c.out = append(c.out, '{', '"')
	c.out = append(c.out, name...)
	c.out = append(c.out, '"', ':', '[')
	for i := range page {
		if i > 0 {
			c.out = append(c.out, ',')
		}
		c.out = appendItem(c.out, &page[i])
	}
	c.out = append(c.out, ']')
	if next != 0 {
		c.out = appendText(c.out, "next_cursor", strconv.FormatUint(uint64(next), 10))
	}
	c.out = append(c.out, '}')
	c.json(fasthttp.StatusOK)
}

func (s *Server) getSKU(c *call) error {
	sku, err := s.engine.SKU(c.params[0])
	if err != nil {
		return err
	}
	c.out = appendSKU(c.out, &sku)
	c.json(fasthttp.StatusOK)
	return nil
}

type skuRequest struct {
	Title              string `json:"title"`
	Unit               string `json:"unit"`
	GTIN               string `json:"gtin"`
	DefaultSafetyStock int64  `json:"default_safety_stock"`
	DefaultHold        int64  `json:"default_hold"` // seconds; 0 = the engine's
}

func (s *Server) putSKU(c *call) error {
	var in skuRequest
	if err := s.decode(c, &in); err != nil {
		return err
	}
	var hold time.Duration
	if in.DefaultHold != 0 {
		var err error
		if hold, err = seconds("default_hold", in.DefaultHold); err != nil {
			return err
		}
	}
	key, err := c.idempotencyKey()
	if err != nil {
		return err
	}
	sku, err := s.engine.PutSKU(engine.SKU{
		ID: c.params[0], Title: in.Title, Unit: in.Unit, GTIN: in.GTIN,
		DefaultSafetyStock: in.DefaultSafetyStock, DefaultHold: hold,
	}, key)
	if err != nil {
		return err
	}
	c.out = appendSKU(c.out, &sku)
	c.json(fasthttp.StatusOK)
	return nil
}

func (s *Server) getLocation(c *call) error {
	location, err := s.engine.Location(c.params[0])
	if err != nil {
		return err
	}
	c.out = appendLocation(c.out, &location)
	c.json(fasthttp.StatusOK)
	return nil
}

type locationRequest struct {
	Name    string  `json:"name"`
	Kind    *string `json:"kind"`
	Blocked bool    `json:"blocked"`
}

func (s *Server) putLocation(c *call) error {
	var in locationRequest
	if err := s.decode(c, &in); err != nil {
		return err
	}
	l := engine.Location{ID: c.params[0], Name: in.Name, Kind: engine.Store, Blocked: in.Blocked}
	var err error
	if in.Kind != nil {
		if l.Kind, err = engine.ParseLocationKind(*in.Kind); err != nil {
			return err
		}
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
