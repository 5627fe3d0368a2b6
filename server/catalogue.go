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
	DefaultHold        int64  `json:"default_hold"`  // seconds; 0 = the engine's
	AcceptWithin       int64  `json:"accept_within"` // seconds; 0 = as the location says, likewise the next two
	PickWithin         int64  `json:"pick_within"`
	CollectWithin      int64  `json:"collect_within"`
	LowStock           *int64 `json:"low_stock"`
	LowStockClear      *int64 `json:"low_stock_clear"`
}

func (s *Server) putSKU(c *call) error {
	var in skuRequest
	if err := s.decode(c, &in); err != nil {
		return err
	}
	sku := engine.SKU{ID: c.params[0], Title: in.Title, Unit: in.Unit, GTIN: in.GTIN, DefaultSafetyStock: in.DefaultSafetyStock}
	for _, time := range []struct {
		field string
		given int64
		to    *time.Duration
	}{
		{"default_hold", in.DefaultHold, &sku.DefaultHold},
		{"accept_within", in.AcceptWithin, &sku.AcceptWithin},
		{"pick_within", in.PickWithin, &sku.PickWithin},
		{"collect_within", in.CollectWithin, &sku.CollectWithin},
	} {
		if time.given == 0 {
			continue
		}
		var err error
		if *time.to, err = seconds(time.field, time.given); err != nil {
			return err
		}
	}
	var err error
	if sku.LowStock, err = engine.NewThreshold(in.LowStock, in.LowStockClear); err != nil {
		return err
	}
	key, err := c.idempotencyKey()
	if err != nil {
		return err
	}
	if sku, err = s.engine.PutSKU(sku, key); err != nil {
		return err
	}
	c.out = appendSKU(c.out, &sku)
	c.json(fasthttp.StatusOK)
	return nil
}
