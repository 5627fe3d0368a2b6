package server

import (
	"github.com/valyala/fasthttp"

	"onhand/engine"
)

// getStock answers with all there is to know of a cell, also where units of it are only on their way.
func (s *Server) getStock(c *call) error {
	cell, err := s.engine.Stock(c.params[0], c.params[1])
	if err != nil {
		return err
	}
	inTransit, _, err := s.engine.InTransit(c.params[0], c.params[1])
	if err != nil {
		return err
	}
	if !cell.Stocked && inTransit == 0 {
		return &engine.UnknownError{Kind: engine.KindStock, Name: cell.SKU + " at " + cell.Location}
	}
	c.out = appendThreshold(appendStock(c.out, &cell.Cell), cell.LowStock)
	if cell.LowStock != (engine.Threshold{}) {
		c.out = appendBool(c.out, "own_low_stock", cell.OwnLowStock)
	}
	c.out = append(appendNumber(c.out, "in_transit", inTransit), '}')
	c.json(fasthttp.StatusOK)
	return nil
}

type stockRequest struct {
	OnHand      *int64          `json:"on_hand"`
	SafetyStock optional[int64] `json:"safety_stock"`
	Blocked     *bool           `json:"blocked"`
	IfSequence  *uint64         `json:"if_sequence"`
	Reference   string          `json:"reference"`
	// LowStock and LowStockClear are the cell's own threshold; null takes it away.
	LowStock      optional[int64] `json:"low_stock"`
	LowStockClear optional[int64] `json:"low_stock_clear"`
}

// ownThreshold returns the cell's own threshold that is asked for, if any, and whether it is to be taken away.
func (in *stockRequest) ownThreshold() (t *engine.Threshold, inherit bool, err error) {
	threshold, err := engine.NewThreshold(in.LowStock.Value, in.LowStockClear.Value)
	switch {
	case err != nil || in.LowStock.Value != nil:
		return &threshold, false, err
	case in.LowStockClear.Given && !in.LowStock.Given:
		return nil, false, invalidField("low_stock_clear", "null", "nothing without low_stock")
	}
	return nil, in.LowStock.Given, nil
}

// putStock sets some of a cell's numbers.
func (s *Server) putStock(c *call) error {
	var in stockRequest
	if err := s.decode(c, &in, "/safety_stock", "/low_stock", "/low_stock_clear"); err != nil {
		return err
	}
	lowStock, inheritLowStock, err := in.ownThreshold()
	if err != nil {
		return err
	}
	key, err := c.idempotencyKey()
	if err != nil {
		return err
	}
	change, err := s.engine.SetStock(&engine.SetStockRequest{
		SKU: c.params[0], Location: c.params[1], OnHand: in.OnHand,
		SafetyStock: in.SafetyStock.Value, InheritSafetyStock: in.SafetyStock.Given && in.SafetyStock.Value == nil,
		Blocked: in.Blocked, IfSequence: in.IfSequence, Reference: in.Reference, Key: key,
		LowStock: lowStock, InheritLowStock: inheritLowStock,
	})
	if err != nil {
		return err
	}
	c.out = appendOwnThreshold(appendStock(c.out, &change.Cells[0].Cell), &change.Cells[0])
	if len(change.Shortages) > 0 {
		c.out = appendShortages(appendMember(c.out, "shortages"), change.Shortages)
	}
	c.out = append(c.out, '}')
	c.json(fasthttp.StatusOK)
	return nil
}

type lineRequest struct {
	SKU      string `json:"sku"`
	Location string `json:"location"`
	Quantity int64  `json:"quantity"`
}

func linesOf(in []lineRequest) []engine.Line {
	return appendLines(make([]engine.Line, 0, len(in)), in)
}

func appendLines(lines []engine.Line, in []lineRequest) []engine.Line {
	for i := range in {
		lines = append(lines, engine.Line(in[i]))
	}
	return lines
}

type adjustmentRequest struct {
	Lines     []lineRequest `json:"lines"`
	Reason    string        `json:"reason"`
	Reference string        `json:"reference"`
}

// postAdjustment moves on hand by signed quantities.
func (s *Server) postAdjustment(c *call) error {
	var in adjustmentRequest
	if err := s.decode(c, &in); err != nil {
		return err
	}
	key, err := c.idempotencyKey()
	if err != nil {
		return err
	}
	change, err := s.engine.Adjust(&engine.Adjustment{
		Lines: linesOf(in.Lines), Reason: in.Reason, Reference: in.Reference, Key: key,
	})
	if err != nil {
		return err
	}
	c.out = appendStockChange(c.out, &change)
	c.json(fasthttp.StatusOK)
	return nil
}
