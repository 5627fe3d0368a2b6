package server

import (
	"time"

	"onhand/engine"
)

// moveBody is the body of a request that moves an order. Each move has its own, and refuses what another's would have.
type moveBody interface {
	fill(r *engine.MoveRequest) error
}

// who is in every move's body.
type who struct {
	By     string `json:"by"`
	Reason string `json:"reason"`
}

func (w *who) fill(r *engine.MoveRequest) error {
	r.By, r.Reason = w.By, w.Reason
	return nil
}

type orderQuantity struct {
	SKU      string `json:"sku"`
	Quantity int64  `json:"quantity"`
}

// someLines are some of an order's lines; none = all there are.
type someLines struct {
	who
	Lines []orderQuantity `json:"lines"`
}

func (m *someLines) fill(r *engine.MoveRequest) error {
	if m.Lines != nil && len(m.Lines) == 0 {
		return invalidField("lines", "empty", "at least one line, or no lines at all for all of the order")
	}
	for _, l := range m.Lines {
		r.Lines = append(r.Lines, engine.OrderQuantity{SKU: l.SKU, Quantity: l.Quantity})
	}
	return m.who.fill(r)
}

type linesSomewhere struct {
	someLines
	Location *string `json:"location"`
}

func (m *linesSomewhere) fill(r *engine.MoveRequest) (err error) {
	if r.Location, err = given("location", m.Location); err != nil {
		return err
	}
	return m.someLines.fill(r)
}

type collectRequest struct {
	someLines
	Code      string `json:"code"`
	IDChecked bool   `json:"id_checked"`
}

func (m *collectRequest) fill(r *engine.MoveRequest) error {
	r.Code, r.IDChecked = m.Code, m.IDChecked
	return m.someLines.fill(r)
}

type shortRequest struct {
	linesSomewhere
	Recount bool `json:"recount"`
}

func (m *shortRequest) fill(r *engine.MoveRequest) error {
	r.Recount = m.Recount
	return m.linesSomewhere.fill(r)
}

type returnRequest struct {
	who
	Lines []struct {
		orderQuantity
		Damaged bool `json:"damaged"`
	} `json:"lines"`
	Location *string `json:"location"`
}

func (m *returnRequest) fill(r *engine.MoveRequest) (err error) {
	if r.Location, err = given("location", m.Location); err != nil {
		return err
	}
	for _, l := range m.Lines {
		r.Lines = append(r.Lines, engine.OrderQuantity{SKU: l.SKU, Quantity: l.Quantity, Damaged: l.Damaged})
	}
	return m.who.fill(r)
}

type paymentRequest struct {
	who
	PaymentReference string `json:"payment_reference"`
}

func (m *paymentRequest) fill(r *engine.MoveRequest) error {
	r.PaymentReference = m.PaymentReference
	return m.who.fill(r)
}

type extendRequest struct {
	who
	deadlineRequest
}

func (m *extendRequest) fill(r *engine.MoveRequest) (err error) {
	if r.ExpiresIn, r.ExpiresAt, err = m.deadlineRequest.read(); err != nil {
		return err
	}
	return m.who.fill(r)
}

type receiveOrderRequest struct {
	who
	Transfer *string          `json:"transfer"`
	Lines    []arrivedRequest `json:"lines"`
	Close    bool             `json:"close"`
}

func (m *receiveOrderRequest) fill(r *engine.MoveRequest) (err error) {
	if m.Transfer != nil {
		if r.Transfer, err = engine.ParseID(*m.Transfer); err != nil {
			return invalidField("transfer", quoteShort([]byte(*m.Transfer)), "the id of a transfer")
		}
	}
	if err := notEmpty(m.Lines); err != nil {
		return err
	}
	r.Arrived, r.Close = arrivedOf(m.Lines), m.Close
	return m.who.fill(r)
}

type rescheduleRequest struct {
	who
	Slot time.Time `json:"slot"`
}

func (m *rescheduleRequest) fill(r *engine.MoveRequest) error {
	if m.Slot.IsZero() {
		return invalidField("slot", "missing", slotWant)
	}
	r.Slot = m.Slot
	return m.who.fill(r)
}

type arriveRequest struct {
	who
	Bay     string `json:"bay"`
	Vehicle string `json:"vehicle"`
}

func (m *arriveRequest) fill(r *engine.MoveRequest) error {
	r.Bay, r.Vehicle = m.Bay, m.Vehicle
	return m.who.fill(r)
}

// moveOrder returns the handler of a move. A body may be left out where nothing in it is needed.
func moveOrder(move engine.OrderMove, body func() moveBody) func(*Server, *call) error {
	return func(s *Server, c *call) error {
		id, err := engine.ParseID(c.params[0])
		if err != nil {
			return err
		}
		r := engine.MoveRequest{ID: id, Move: move}
		in := body()
		if raw, err := s.body(c); err != nil {
			return err
		} else if len(raw) > 0 {
			if err := s.decode(c, in); err != nil {
				return err
			}
		}
		if err := in.fill(&r); err != nil {
			return err
		}
		if r.Key, err = c.idempotencyKey(); err != nil {
			return err
		}
		r.By = c.by(r.By)
		o, err := s.engine.MoveOrder(&r)
		if err != nil {
			return err
		}
		s.answerOrder(c, &o)
		return nil
	}
}

func bodyOf[T any, P interface {
	*T
	moveBody
}]() moveBody {
	return P(new(T))
}
