package server

import (
	"strconv"

	"github.com/valyala/fasthttp"

	"onhand/engine"
)

type basketRequest struct {
	Lines []struct {
		SKU      string `json:"sku"`
		Quantity int64  `json:"quantity"`
	} `json:"lines"`
	findRequest
	Limit *int64 `json:"limit"`
}

// basketLimit is the standard number of locations in the answer to a basket.
const basketLimit = 10

// postBasket tells where near a position a whole basket can be had.
func (s *Server) postBasket(c *call) error {
	var in basketRequest
	if err := s.decode(c, &in); err != nil {
		return err
	}
	if in.Near == nil {
		return invalidField("near", "missing", `a position such as {"latitude": 48.8566, "longitude": 2.3522}`)
	}
	request := engine.BasketRequest{Limit: basketLimit, Lines: make([]engine.BasketLine, len(in.Lines))}
	for i := range in.Lines {
		request.Lines[i] = engine.BasketLine{SKU: in.Lines[i].SKU, Quantity: in.Lines[i].Quantity}
	}
	var err error
	if request.Near, request.Filter, err = in.findRequest.read(); err != nil {
		return err
	}
	if in.Limit != nil {
		request.Limit = int(min(max(*in.Limit, -1), 1<<30))
	}
	answer, err := s.engine.Basket(&request)
	if err != nil {
		return err
	}
	c.out = appendBasket(c.out, &answer)
	c.json(fasthttp.StatusOK)
	return nil
}

func appendBasket(dst []byte, b *engine.BasketAnswer) []byte {
	dst = strconv.AppendBool(append(dst, `{"available":`...), b.Available())
	at := momentOf(b.At)
	dst = appendText(dst, "at", at.text)
	dst = append(dst, `,"locations":[`...)
	for i := range b.Locations {
		l := &b.Locations[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"location":`...)
		dst = appendString(dst, l.ID)
		dst = appendText(dst, "name", l.Name)
		dst = appendText(dst, "kind", l.Kind.String())
		dst = appendDistance(dst, l.Distance)
		dst = appendHours(dst, &l.Hours, &at)
		dst = appendBool(dst, "complete", l.Complete)
		dst = appendMissing(appendMember(dst, "missing"), l.Missing)
		dst = append(dst, `,"options":[`...)
		for j := range l.Options {
			o := &l.Options[j]
			if j > 0 {
				dst = append(dst, ',')
			}
			dst = append(dst, `{"kind":"`...)
			dst = append(dst, o.Kind.String()...)
			dst = append(dst, '"')
			if o.From != "" {
				dst = appendText(dst, "from", o.From)
			}
			if !o.ReadyAt.IsZero() {
				dst = appendTime(dst, "ready_at", o.ReadyAt.UTC())
			}
			dst = append(dst, '}')
		}
		dst = append(dst, `]}`...)
	}
	dst = append(dst, ']')
	if b.ShipHome != nil {
		dst = append(dst, `,"ship_home":{"from":`...)
		dst = appendString(dst, b.ShipHome.ID)
		dst = append(appendText(dst, "name", b.ShipHome.Name), '}')
	}
	if !b.Available() {
		dst = appendMissing(appendMember(dst, "missing"), b.Missing)
	}
	return append(dst, '}')
}

func appendMissing(dst []byte, missing []engine.BasketMissing) []byte {
	dst = append(dst, '[')
	for i := range missing {
		m := &missing[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"sku":`...)
		dst = appendString(dst, m.SKU)
		dst = appendNumber(dst, "requested", m.Requested)
		dst = appendNumber(dst, "available", m.Available)
		dst = appendText(dst, "reason", m.Reason.String())
		dst = append(dst, '}')
	}
	return append(dst, ']')
}
