package server

import (
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"onhand/engine"
)

type transferUnitsRequest struct {
	SKU      string `json:"sku"`
	Quantity int64  `json:"quantity"`
}

func unitsOf(in []transferUnitsRequest) []engine.TransferUnits {
	lines := make([]engine.TransferUnits, len(in))
	for i := range in {
		lines[i] = engine.TransferUnits{SKU: in[i].SKU, Units: in[i].Quantity}
	}
	return lines
}

type transferRequest struct {
	From       string                 `json:"from"`
	To         string                 `json:"to"`
	Lines      []transferUnitsRequest `json:"lines"`
	Reference  string                 `json:"reference"`
	Reason     string                 `json:"reason"`
	By         string                 `json:"by"`
	ExpectedAt *time.Time             `json:"expected_at"`
	Dispatch   bool                   `json:"dispatch"`
}

// postTransfer plans a transfer, or says that it has left.
func (s *Server) postTransfer(c *call) error {
	var in transferRequest
	if err := s.decode(c, &in); err != nil {
		return err
	}
	key, err := c.idempotencyKey()
	if err != nil {
		return err
	}
	r := engine.TransferRequest{
		From: in.From, To: in.To, Lines: unitsOf(in.Lines), Dispatch: in.Dispatch,
		Reference: in.Reference, Reason: in.Reason, By: in.By, Key: key,
	}
	if in.ExpectedAt != nil {
		if r.Expected = *in.ExpectedAt; r.Expected.IsZero() {
			return invalidField("expected_at", r.Expected.Format(time.RFC3339), "a time from 1970 to 2200")
		}
	}
	t, err := s.engine.PlanTransfer(&r)
	if err != nil {
		return err
	}
	c.out = append(c.out, "/v1/transfers/"...)
	c.out = engine.AppendID(c.out, t.ID)
	c.ctx.Response.Header.SetBytesV(fasthttp.HeaderLocation, c.out)
	c.out = appendTransfer(c.out[:0], &t)
	c.json(fasthttp.StatusCreated)
	return nil
}

func (s *Server) getTransfer(c *call) error {
	id, err := engine.ParseID(c.params[0])
	if err != nil {
		return err
	}
	t, err := s.engine.Transfer(id)
	if err != nil {
		return err
	}
	c.out = appendTransfer(c.out, &t)
	c.json(fasthttp.StatusOK)
	return nil
}

// transfersPage is the standard page of a listing of transfers.
const transfersPage = 100

func (s *Server) listTransfers(c *call) error {
	filter := engine.TransferFilter{Location: c.query.value("location")}
	var err error
	switch direction := c.query.value("direction"); direction {
	case "in":
		filter.Incoming = true
	case "out":
		filter.Outgoing = true
	case "":
	default:
		return invalidField("direction", quoteShort([]byte(direction)), "in or out")
	}
	if c.query.has("direction") && filter.Location == "" {
		return invalidField("direction", "given", "location beside it")
	}
	if text := c.query.value("state"); text != "" {
		if filter.State, err = engine.ParseTransferState(text); err != nil {
			return err
		}
	}
	limit, err := c.query.limit(transfersPage)
	if err != nil {
		return err
	}
	after, err := c.query.number("cursor", 0, 1<<56, 0)
	if err != nil {
		return err
	}
	page, next, err := s.engine.Transfers(filter, after, limit)
	if err != nil {
		return err
	}
	c.out = append(c.out, `{"transfers":[`...)
	for i := range page {
		if i > 0 {
			c.out = append(c.out, ',')
		}
		c.out = appendTransfer(c.out, &page[i])
	}
	c.out = append(c.out, ']')
	if next != 0 {
		c.out = appendText(c.out, "next_cursor", strconv.FormatUint(next, 10))
	}
	c.out = append(c.out, '}')
	c.json(fasthttp.StatusOK)
	return nil
}

type dispatchRequest struct {
	Lines  []transferUnitsRequest `json:"lines"`
	Reason string                 `json:"reason"`
	By     string                 `json:"by"`
}

type receiveRequest struct {
	Lines  []arrivedRequest `json:"lines"`
	Close  bool             `json:"close"`
	Reason string           `json:"reason"`
	By     string           `json:"by"`
}

// arrivedRequest is what became of units that were in transit.
type arrivedRequest struct {
	SKU      string `json:"sku"`
	Quantity int64  `json:"quantity"`
	Damaged  int64  `json:"damaged"`
	Lost     int64  `json:"lost"`
}

func arrivedOf(in []arrivedRequest) []engine.TransferUnits {
	lines := make([]engine.TransferUnits, len(in))
	for i := range in {
		l := &in[i]
		lines[i] = engine.TransferUnits{SKU: l.SKU, Units: l.Quantity, Damaged: l.Damaged, Lost: l.Lost}
	}
	return lines
}

type cancelRequest struct {
	Reason string `json:"reason"`
	By     string `json:"by"`
}

// postDispatch says that units of a transfer have left: those of lines, or all.
func (s *Server) postDispatch(c *call) error {
	var in dispatchRequest
	return s.moveTransfer(c, &in, s.engine.DispatchTransfer, func(r *engine.TransferMove) error {
		r.Lines, r.Reason, r.By = unitsOf(in.Lines), in.Reason, in.By
		return notEmpty(in.Lines)
	})
}

// postReceive says what became of units in transit.
func (s *Server) postReceive(c *call) error {
	var in receiveRequest
	return s.moveTransfer(c, &in, s.engine.ReceiveTransfer, func(r *engine.TransferMove) error {
		r.Lines = arrivedOf(in.Lines)
		r.Close, r.Reason, r.By = in.Close, in.Reason, in.By
		return notEmpty(in.Lines)
	})
}

// postCancelTransfer says that what was not dispatched will not be.
func (s *Server) postCancelTransfer(c *call) error {
	var in cancelRequest
	return s.moveTransfer(c, &in, s.engine.CancelTransfer, func(r *engine.TransferMove) error {
		r.Reason, r.By = in.Reason, in.By
		return nil
	})
}

// notEmpty refuses an empty list where no list means all: a caller that has lost its lines did not mean that.
func notEmpty[T any](lines []T) error {
	if lines != nil && len(lines) == 0 {
		return invalidField("lines", "empty", "at least one line, or no lines at all for the whole transfer")
	}
	return nil
}

// moveTransfer moves a transfer. It takes an empty body for all of it.
func (s *Server) moveTransfer(c *call, in any, do func(*engine.TransferMove) (engine.Transfer, error), read func(*engine.TransferMove) error) error {
	id, err := engine.ParseID(c.params[0])
	if err != nil {
		return err
	}
	if body, err := s.body(c); err != nil {
		return err
	} else if len(body) > 0 {
		if err := s.decode(c, in); err != nil {
			return err
		}
	}
	r := engine.TransferMove{ID: id}
	if err := read(&r); err != nil {
		return err
	}
	if r.Key, err = c.idempotencyKey(); err != nil {
		return err
	}
	t, err := do(&r)
	if err != nil {
		return err
	}
	c.out = appendTransfer(c.out, &t)
	c.json(fasthttp.StatusOK)
	return nil
}

func appendTransfer(dst []byte, t *engine.Transfer) []byte {
	dst = append(dst, `{"id":"`...)
	dst = engine.AppendID(dst, t.ID)
	dst = append(dst, `","state":"`...)
	dst = append(dst, t.State.String()...)
	dst = append(dst, '"')
	dst = appendText(dst, "from", t.From)
	dst = appendText(dst, "to", t.To)
	dst = append(dst, `,"lines":[`...)
	for i := range t.Lines {
		l := &t.Lines[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"sku":`...)
		dst = appendString(dst, l.SKU)
		dst = appendNumber(dst, "quantity", l.Quantity)
		dst = appendNumber(dst, "dispatched", l.Dispatched)
		dst = appendNumber(dst, "in_transit", l.InTransit)
		dst = appendNumber(dst, "received", l.Received)
		dst = appendNumber(dst, "lost", l.Lost)
		dst = appendNumber(dst, "damaged", l.Damaged)
		dst = appendNumber(dst, "cancelled", l.Cancelled)
		dst = append(dst, '}')
	}
	dst = append(dst, ']')
	for _, part := range []struct{ name, text string }{{"reference", t.Reference}, {"reason", t.Reason}, {"by", t.By}} {
		if part.text != "" {
			dst = appendText(dst, part.name, part.text)
		}
	}
	if t.Order != (engine.ID{}) {
		dst = appendText(dst, "order", engine.FormatID(t.Order))
	}
	dst = appendTime(dst, "created_at", t.Created)
	for _, part := range []struct {
		name string
		at   time.Time
	}{{"dispatched_at", t.Dispatched}, {"expected_at", t.Expected}, {"ended_at", t.Ended}} {
		if !part.at.IsZero() {
			dst = appendTime(dst, part.name, part.at)
		}
	}
	if len(t.Shortages) > 0 {
		dst = appendShortages(appendMember(dst, "shortages"), t.Shortages)
	}
	dst = appendUint(dst, "sequence", t.Sequence)
	return append(dst, '}')
}
