package server

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"onhand/engine"
)

// problem is an RFC 9457 problem document. Its type is stable: clients act on it, people read title and detail.
type problem struct {
	status int
	kind   string // the type is urn:onhand:problem:kind
	title  string
	detail string
	// retryAfter, in seconds, is sent where it is not 0.
	retryAfter int
	// extend, where not nil, adds members of the type's own behind dst, each begun with a comma.
	extend func(dst []byte) []byte
}

func (p *problem) Error() string { return p.title + ": " + p.detail }

const problemPrefix = "urn:onhand:problem:"

func (p *problem) append(dst []byte) []byte {
	dst = append(dst, `{"type":"`+problemPrefix...)
	dst = append(dst, p.kind...)
	dst = append(dst, `","title":`...)
	dst = appendString(dst, p.title)
	dst = append(dst, `,"status":`...)
	dst = strconv.AppendInt(dst, int64(p.status), 10)
	if p.detail != "" {
		dst = append(dst, `,"detail":`...)
		dst = appendString(dst, p.detail)
	}
	if p.extend != nil {
		dst = p.extend(dst)
	}
	return append(dst, '}')
}

// problemOf is the one map from errors to answers.
func problemOf(err error) *problem {
	var (
		p        *problem
		invalid  *engine.InvalidError
		unknown  *engine.UnknownError
		refused  *engine.RefusedError
		state    *engine.StateError
		sequence *engine.SequenceError
		inUse    *engine.InUseError
		order    *engine.OrderStateError
		ordered  *engine.OrderedError
		code     *engine.CodeError
		transfer *engine.TransferStateError
		limit    *engine.LimitError
	)
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &invalid):
		return invalidField(invalid.Field, invalid.Value, invalid.Want)
	case errors.As(err, &unknown):
		return &problem{
			status: fasthttp.StatusNotFound, kind: "unknown-" + unknown.Kind, title: "There is no such " + unknown.Kind,
			detail: err.Error(),
		}
	case errors.As(err, &refused):
		return &problem{
			status: fasthttp.StatusConflict, kind: "refused", title: "Not all of it is available", detail: err.Error(),
			extend: func(dst []byte) []byte {
				if refused.Sequence != 0 {
					dst = append(dst, `,"sequence":`...)
					dst = strconv.AppendUint(dst, refused.Sequence, 10)
				}
				dst = append(dst, `,"lines":`...)
				return appendOffers(appendRefusals(dst, refused.Lines), refused)
			},
		}
	case errors.As(err, &state):
		return &problem{
			status: fasthttp.StatusConflict, kind: "wrong-state", title: "The reservation is " + state.State.String(),
			detail: err.Error(),
			extend: func(dst []byte) []byte {
				dst = append(dst, `,"id":"`...)
				dst = engine.AppendID(dst, state.ID)
				dst = append(dst, `","state":"`...)
				dst = append(dst, state.State.String()...)
				return append(dst, '"')
			},
		}
	case errors.As(err, &order):
		return orderStateProblem(order)
	case errors.As(err, &ordered):
		return &problem{
			status: fasthttp.StatusConflict, kind: "reservation-ordered", title: "The reservation belongs to an order", detail: err.Error(),
			extend: func(dst []byte) []byte {
				dst = append(engine.AppendID(append(dst, `,"id":"`...), ordered.Reservation), '"')
				return append(engine.AppendID(append(dst, `,"order":"`...), ordered.Order), '"')
			},
		}
	case errors.As(err, &code):
		return codeProblem(code)
	case errors.As(err, &transfer):
		return &problem{
			status: fasthttp.StatusConflict, kind: "transfer-state", title: "Nothing of the transfer is left for that",
			detail: err.Error(),
			extend: func(dst []byte) []byte {
				dst = appendText(dst, "id", engine.FormatID(transfer.ID))
				return appendText(dst, "state", transfer.State.String())
			},
		}
	case errors.As(err, &sequence):
		return &problem{
			status: fasthttp.StatusConflict, kind: "sequence-mismatch", title: "The cell was changed in between",
			detail: err.Error(),
			extend: func(dst []byte) []byte {
				dst = append(dst, `,"sequence":`...)
				return strconv.AppendUint(dst, sequence.Have, 10)
			},
		}
	case errors.As(err, &inUse):
		return &problem{
			status: fasthttp.StatusConflict, kind: "location-in-use", title: "The location is in use", detail: err.Error(),
			extend: func(dst []byte) []byte {
				return fmt.Appendf(dst, `,"cells":%d,"reservations":%d,"orders":%d,"transfers":%d`, inUse.Cells, inUse.Reservations, inUse.Orders, inUse.Transfers)
			},
		}
	case errors.As(err, &limit):
		return limitReached(limit)
	case errors.Is(err, engine.ErrKeyReused):
		return &problem{
			status: fasthttp.StatusUnprocessableEntity, kind: "key-reused",
			title:  "The idempotency key or id was used for another request",
			detail: err.Error(),
		}
	case errors.Is(err, engine.ErrImportRunning):
		return &problem{
			status: fasthttp.StatusConflict, kind: "import-running", title: "The import is under way",
			detail: err.Error(), retryAfter: 5,
		}
	case errors.Is(err, engine.ErrNotRetained):
		return &problem{
			status: fasthttp.StatusGone, kind: "not-retained", title: "The changes are no longer retained",
			detail: "begin with snapshot=true and go on from the sequence at its end",
		}
	case errors.Is(err, engine.ErrDiskFull):
		return &problem{
			status: fasthttp.StatusServiceUnavailable, kind: "disk-full", title: "The disk is almost full",
			detail: "nothing was changed; reads go on", retryAfter: 30,
		}
	case errors.Is(err, engine.ErrTooManyHolds):
		return &problem{
			status: fasthttp.StatusServiceUnavailable, kind: "too-many-reservations", title: "Too many live reservations",
			detail: "nothing was changed", retryAfter: 30,
		}
	case errors.Is(err, engine.ErrStopped):
		return &problem{
			status: fasthttp.StatusServiceUnavailable, kind: "stopped", title: "The engine is stopping",
			detail: "whether the request took effect is not known; a retry under the same key will tell", retryAfter: 1,
		}
	}
	return &problem{status: fasthttp.StatusInternalServerError, kind: "internal", title: "Something went wrong", detail: err.Error()}
}

// appendOffers writes what could be had instead of a slot or compartment that is taken.
func appendOffers(dst []byte, refused *engine.RefusedError) []byte {
	if len(refused.NextSlots) > 0 {
		dst = append(appendMember(dst, "next_slots"), '[')
		for i := range refused.NextSlots {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendSlot(dst, &refused.NextSlots[i])
		}
		dst = append(dst, ']')
	}
	if len(refused.LargerCompartments) > 0 {
		dst = append(appendMember(dst, "larger_compartments"), '[')
		for i, size := range refused.LargerCompartments {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendString(dst, size)
		}
		dst = append(dst, ']')
	}
	return dst
}

func orderStateProblem(order *engine.OrderStateError) *problem {
	return &problem{
		status: fasthttp.StatusConflict, kind: "order-state", title: "The order is " + order.State.String(), detail: order.Error(),
		extend: func(dst []byte) []byte {
			dst = append(engine.AppendID(append(dst, `,"id":"`...), order.ID), '"')
			dst = appendText(dst, "state", order.State.String())
			dst = appendText(dst, "move", order.Move.String())
			dst = append(dst, `,"from":[`...)
			for i, s := range order.Move.From() {
				if i > 0 {
					dst = append(dst, ',')
				}
				dst = appendString(dst, s.String())
			}
			dst = append(dst, ']')
			if order.Why != "" {
				dst = appendText(dst, "why", order.Why)
			}
			return dst
		},
	}
}

// codeProblem is the answer to a wrong pickup code: 403, and 429 while no code is looked at.
func codeProblem(code *engine.CodeError) *problem {
	p := &problem{
		status: fasthttp.StatusForbidden, kind: "wrong-code", title: "That is not the pickup code", detail: code.Error(),
		extend: func(dst []byte) []byte {
			dst = append(engine.AppendID(append(dst, `,"id":"`...), code.ID), '"')
			dst = appendNumber(dst, "wrong_codes", int64(code.Wrong))
			if !code.RetryAt.IsZero() {
				dst = appendTime(dst, "retry_at", code.RetryAt)
			}
			return dst
		},
	}
	if !code.RetryAt.IsZero() {
		p.status, p.retryAfter = fasthttp.StatusTooManyRequests, max(1, int(code.Wait.Seconds()+0.999))
	}
	return p
}

// limitReached is a 429 that names the limit, and says how long to wait where that is known.
func limitReached(limit *engine.LimitError) *problem {
	name := limitName(limit.Limit)
	return &problem{
		status: fasthttp.StatusTooManyRequests, kind: "limit-reached", title: "So many are live already",
		detail:     fmt.Sprintf("%s is %d, and %d are live; nothing was changed", name, limit.Max, limit.Live),
		retryAfter: int((limit.Wait + time.Second - 1) / time.Second),
		extend: func(dst []byte) []byte {
			return fmt.Appendf(dst, `,"limit":%q,"max":%d,"live":%d`, name, limit.Max, limit.Live)
		},
	}
}

// limitName returns a limit's name as the HTTP interface writes it: what the engine calls an owner is an API key here.
func limitName(limit string) string { return strings.Replace(limit, "_per_owner", "_per_key", 1) }

// invalidField is a 400 that names the field, what it held, and what is allowed.
func invalidField(field, value, want string) *problem {
	return &problem{
		status: fasthttp.StatusBadRequest, kind: "invalid", title: "The request is not valid",
		detail: fmt.Sprintf("%s is %s, want %s", field, value, want),
		extend: func(dst []byte) []byte {
			dst = append(dst, `,"field":`...)
			dst = appendString(dst, field)
			dst = append(dst, `,"value":`...)
			dst = appendString(dst, value)
			dst = append(dst, `,"allowed":`...)
			return appendString(dst, want)
		},
	}
}

func appendRefusals(dst []byte, lines []engine.Refusal) []byte {
	dst = append(dst, '[')
	for i := range lines {
		l := &lines[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"sku":`...)
		dst = appendString(dst, l.SKU)
		dst = append(dst, `,"location":`...)
		dst = appendString(dst, l.Location)
		dst = append(dst, `,"reason":"`...)
		dst = append(dst, l.Reason.String()...)
		dst = append(dst, '"')
		dst = appendNumber(dst, "requested", l.Requested)
		dst = appendNumber(dst, "granted", l.Granted)
		dst = appendNumber(dst, "short_by", l.ShortBy())
		dst = appendNumber(dst, "on_hand", l.OnHand)
		dst = appendNumber(dst, "held", l.Held)
		dst = appendNumber(dst, "safety_stock", l.SafetyStock)
		dst = append(dst, '}')
	}
	return append(dst, ']')
}
