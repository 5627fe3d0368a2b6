package server

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"onhand/engine"
)

// route is a call of the API.
type route struct {
	method  string
	pattern string // segments in braces are variable
	scope   Scope
	lane    lane
	query   []string // parameters that are understood
	handle  func(*Server, *call) error

	segments []string
	requests *requestMetrics
}

// routes is the one table of the API, in the order of docs/openapi.yaml.
func routes() []*route {
	return []*route{
		{method: "GET", pattern: "/v1/availability/{sku}/{location}", scope: ScopeRead, query: q("min_sequence"), handle: (*Server).getAvailability},
		{method: "GET", pattern: "/v1/availability/{sku}", scope: ScopeRead, query: q("locations", "min_quantity", "near", "radius_km", "kind", "service", "open_at", "limit", "cursor", "min_sequence"), handle: (*Server).getAvailabilityEverywhere},
		{method: "POST", pattern: "/v1/availability/query", scope: ScopeRead, query: q("min_sequence"), handle: (*Server).queryAvailability},
		{method: "POST", pattern: "/v1/availability/baskets", scope: ScopeRead, query: q("min_sequence"), handle: (*Server).postBasket},

		{method: "GET", pattern: "/v1/stock/{sku}/{location}", scope: ScopeRead, query: q("min_sequence"), handle: (*Server).getStock},
		{method: "PUT", pattern: "/v1/stock/{sku}/{location}", scope: ScopeStock, lane: laneWrite, handle: (*Server).putStock},
		{method: "POST", pattern: "/v1/stock/adjustments", scope: ScopeStock, lane: laneWrite, handle: (*Server).postAdjustment},
		{method: "POST", pattern: "/v1/stock/import", scope: ScopeStock, lane: laneImport, query: q("mode", "format", "dry_run", "id"), handle: (*Server).postImport},
		{method: "GET", pattern: "/v1/stock/export", scope: ScopeRead, lane: laneStream, query: q("format", "sku", "location"), handle: (*Server).getExport},

		{method: "POST", pattern: "/v1/reservations", scope: ScopeReserve, lane: laneWrite, handle: (*Server).postReservation},
		{method: "GET", pattern: "/v1/reservations", scope: ScopeRead, query: q("location", "state", "reference", "limit", "cursor", "min_sequence"), handle: (*Server).listReservations},
		{method: "POST", pattern: "/v1/reservations/batch", scope: ScopeReserve, lane: laneWrite, handle: (*Server).postReservationBatch},
		{method: "GET", pattern: "/v1/reservations/{id}", scope: ScopeRead, query: q("min_sequence"), handle: (*Server).getReservation},
		{method: "POST", pattern: "/v1/reservations/{id}/commit", scope: ScopeReserve, lane: laneFinish, handle: (*Server).postCommit},
		{method: "POST", pattern: "/v1/reservations/{id}/release", scope: ScopeReserve, lane: laneFinish, handle: (*Server).postRelease},
		{method: "POST", pattern: "/v1/reservations/{id}/extend", scope: ScopeReserve, lane: laneFinish, handle: (*Server).postExtend},

		{method: "POST", pattern: "/v1/orders", scope: ScopeReserve, lane: laneWrite, handle: (*Server).postOrder},
		{method: "GET", pattern: "/v1/orders", scope: ScopeRead, query: q("location", "state", "reference", "limit", "cursor", "min_sequence"), handle: (*Server).listOrders},
		{method: "GET", pattern: "/v1/orders/picklist", scope: ScopeRead, query: q("location", "min_sequence"), handle: (*Server).getPickList},
		{method: "GET", pattern: "/v1/orders/counts", scope: ScopeRead, query: q("location", "min_sequence"), handle: (*Server).getOrderCounts},
		{method: "GET", pattern: "/v1/orders/{id}", scope: ScopeRead, query: q("min_sequence"), handle: (*Server).getOrder},
		{method: "GET", pattern: "/v1/orders/{id}/secrets", scope: ScopeReserve, handle: (*Server).getOrderSecrets},
		{method: "POST", pattern: "/v1/orders/{id}/accept", scope: ScopeStock, lane: laneFinish, handle: moveOrder(engine.MoveAccept, bodyOf[who])},
		{method: "POST", pattern: "/v1/orders/{id}/pick", scope: ScopeStock, lane: laneFinish, handle: moveOrder(engine.MovePick, bodyOf[who])},
		{method: "POST", pattern: "/v1/orders/{id}/ready", scope: ScopeStock, lane: laneFinish, handle: moveOrder(engine.MoveReady, bodyOf[who])},
		{method: "POST", pattern: "/v1/orders/{id}/collect", scope: ScopeStock, lane: laneFinish, handle: moveOrder(engine.MoveCollect, bodyOf[collectRequest])},
		{method: "POST", pattern: "/v1/orders/{id}/short", scope: ScopeStock, lane: laneFinish, handle: moveOrder(engine.MoveShort, bodyOf[shortRequest])},
		{method: "POST", pattern: "/v1/orders/{id}/dispatch", scope: ScopeStock, lane: laneFinish, handle: moveOrder(engine.MoveDispatch, bodyOf[linesSomewhere])},
		{method: "POST", pattern: "/v1/orders/{id}/receive", scope: ScopeStock, lane: laneFinish, handle: moveOrder(engine.MoveReceive, bodyOf[receiveOrderRequest])},
		{method: "POST", pattern: "/v1/orders/{id}/deliver", scope: ScopeStock, lane: laneFinish, handle: moveOrder(engine.MoveDeliver, bodyOf[who])},
		{method: "POST", pattern: "/v1/orders/{id}/return", scope: ScopeStock, lane: laneFinish, handle: moveOrder(engine.MoveReturn, bodyOf[returnRequest])},
		{method: "POST", pattern: "/v1/orders/{id}/cancel", scope: ScopeReserve, lane: laneFinish, handle: moveOrder(engine.MoveCancel, bodyOf[someLines])},
		{method: "POST", pattern: "/v1/orders/{id}/pay", scope: ScopeReserve, lane: laneFinish, handle: moveOrder(engine.MovePay, bodyOf[paymentRequest])},
		{method: "POST", pattern: "/v1/orders/{id}/refund", scope: ScopeReserve, lane: laneFinish, handle: moveOrder(engine.MoveRefund, bodyOf[paymentRequest])},
		{method: "POST", pattern: "/v1/orders/{id}/extend", scope: ScopeReserve, lane: laneFinish, handle: moveOrder(engine.MoveExtend, bodyOf[extendRequest])},
		{method: "POST", pattern: "/v1/orders/{id}/arrive", scope: ScopeReserve, lane: laneFinish, handle: moveOrder(engine.MoveArrive, bodyOf[arriveRequest])},
		{method: "POST", pattern: "/v1/orders/{id}/reschedule", scope: ScopeReserve, lane: laneFinish, handle: moveOrder(engine.MoveReschedule, bodyOf[rescheduleRequest])},
		{method: "POST", pattern: "/v1/orders/{id}/erase", scope: ScopeAdmin, lane: laneFinish, handle: moveOrder(engine.MoveErase, bodyOf[who])},
		{method: "POST", pattern: "/v1/transfers", scope: ScopeStock, lane: laneWrite, handle: (*Server).postTransfer},
		{method: "GET", pattern: "/v1/transfers", scope: ScopeRead, query: q("location", "direction", "state", "limit", "cursor", "min_sequence"), handle: (*Server).listTransfers},
		{method: "GET", pattern: "/v1/transfers/{id}", scope: ScopeRead, query: q("min_sequence"), handle: (*Server).getTransfer},
		{method: "POST", pattern: "/v1/transfers/{id}/dispatch", scope: ScopeStock, lane: laneWrite, handle: (*Server).postDispatch},
		{method: "POST", pattern: "/v1/transfers/{id}/receive", scope: ScopeStock, lane: laneWrite, handle: (*Server).postReceive},
		{method: "POST", pattern: "/v1/transfers/{id}/cancel", scope: ScopeStock, lane: laneWrite, handle: (*Server).postCancelTransfer},

		{method: "GET", pattern: "/v1/skus", scope: ScopeRead, query: q("limit", "cursor", "min_sequence"), handle: (*Server).listSKUs},
		{method: "GET", pattern: "/v1/skus/{sku}", scope: ScopeRead, query: q("min_sequence"), handle: (*Server).getSKU},
		{method: "PUT", pattern: "/v1/skus/{sku}", scope: ScopeStock, lane: laneWrite, handle: (*Server).putSKU},

		{method: "GET", pattern: "/v1/locations", scope: ScopeRead, query: q("near", "radius_km", "kind", "service", "open_at", "limit", "cursor", "min_sequence"), handle: (*Server).listLocations},
		{method: "GET", pattern: "/v1/locations/{id}", scope: ScopeRead, query: q("at", "min_sequence"), handle: (*Server).getLocation},
		{method: "PUT", pattern: "/v1/locations/{id}", scope: ScopeStock, lane: laneWrite, handle: (*Server).putLocation},
		{method: "DELETE", pattern: "/v1/locations/{id}", scope: ScopeStock, lane: laneWrite, handle: (*Server).deleteLocation},
		{method: "GET", pattern: "/v1/locations/{id}/slots", scope: ScopeRead, query: q("from", "days", "limit", "min_sequence"), handle: (*Server).getSlots},
		{method: "GET", pattern: "/v1/locations/{id}/compartments", scope: ScopeRead, query: q("min_sequence"), handle: (*Server).getCompartments},

		{method: "GET", pattern: "/v1/webhooks", scope: ScopeAdmin, handle: (*Server).listWebhooks},
		{method: "GET", pattern: "/v1/webhooks/{id}", scope: ScopeAdmin, handle: (*Server).getWebhook},
		{method: "PUT", pattern: "/v1/webhooks/{id}", scope: ScopeAdmin, handle: (*Server).putWebhook},
		{method: "DELETE", pattern: "/v1/webhooks/{id}", scope: ScopeAdmin, handle: (*Server).deleteWebhook},
		{method: "GET", pattern: "/v1/webhooks/{id}/deliveries", scope: ScopeAdmin, query: q("limit"), handle: (*Server).getDeliveries},
		{method: "POST", pattern: "/v1/webhooks/{id}/test", scope: ScopeAdmin, handle: (*Server).postWebhookTest},
		{method: "POST", pattern: "/v1/webhooks/{id}/redeliver", scope: ScopeAdmin, handle: (*Server).postRedeliver},

		{method: "GET", pattern: "/track/{token}", scope: scopePublic, handle: (*Server).getTrack},
		{method: "POST", pattern: "/track/{token}/arrived", scope: scopePublic, lane: laneFinish, handle: (*Server).postTrackArrived},

		{method: "GET", pattern: "/v1/changes", scope: ScopeRead, lane: laneStream, query: q("after", "limit", "wait", "snapshot"), handle: (*Server).getChanges},
		{method: "GET", pattern: "/v1/backup", scope: ScopeAdmin, lane: laneStream, handle: (*Server).getBackup},
	}
}

func q(names ...string) []string { return names }

// router finds the route of a request.
type router struct {
	// byLength holds the routes by number of segments and by the second of them, "" where it is variable or there is none; those with
	// fewer variable segments come first.
	byLength [segmentsMax + 1]map[string][]*route
}

const segmentsMax = 4

func newRouter(all []*route) *router {
	r := &router{}
	for n := range r.byLength {
		r.byLength[n] = make(map[string][]*route)
	}
	for variable := 0; variable <= segmentsMax; variable++ {
		for _, rt := range all {
			rt.segments = strings.Split(strings.TrimPrefix(rt.pattern, "/"), "/")
			if strings.Count(rt.pattern, "{") != variable {
				continue
			}
			second := ""
			if len(rt.segments) > 1 && rt.segments[1][0] != '{' {
				second = rt.segments[1]
			}
			alike := r.byLength[len(rt.segments)]
			alike[second] = append(alike[second], rt)
		}
	}
	return r
}

// find returns the route of a method and path, with the variable segments in c.params. Where there is one of another
// method only, it returns those methods.
func (r *router) find(method string, path []byte, c *call) (*route, []string, error) {
	var segments [segmentsMax][]byte
	n := 0
	if len(path) == 0 || path[0] != '/' {
		return nil, nil, nil
	}
	for rest := path[1:]; ; n++ {
		if n == segmentsMax {
			return nil, nil, nil
		}
		i := bytes.IndexByte(rest, '/')
		if i < 0 {
			segments[n] = rest
			n++
			break
		}
		segments[n], rest = rest[:i], rest[i+1:]
	}
	var others []string
	for _, alike := range [...][]*route{r.byLength[n][string(segments[1])], r.byLength[n][""]} {
		for _, rt := range alike {
			if !rt.matches(&segments) {
				continue
			}
			if rt.method != method {
				others = append(others, rt.method)
				continue
			}
			return rt, nil, c.setParams(rt, &segments)
		}
	}
	return nil, others, nil
}

func (rt *route) matches(segments *[segmentsMax][]byte) bool {
	for i, s := range rt.segments {
		if s[0] != '{' && s != string(segments[i]) {
			return false
		}
	}
	return true
}

// setParams decodes the variable segments.
func (c *call) setParams(rt *route, segments *[segmentsMax][]byte) error {
	at := 0
	for i, s := range rt.segments {
		if s[0] != '{' {
			continue
		}
		v, err := c.unescape(segments[i])
		if err != nil {
			return invalidField(s[1:len(s)-1], quoteShort(segments[i]), err.Error())
		}
		c.params[at] = v
		at++
	}
	return nil
}

// unescape percent-decodes a path segment, once. The result lives until c is recycled.
func (c *call) unescape(segment []byte) (string, error) {
	if bytes.IndexByte(segment, '%') < 0 {
		if !utf8.Valid(segment) {
			return "", errNotUTF8
		}
		return bytesToString(segment), nil // the request outlives the call
	}
	from := len(c.text)
	for i := 0; i < len(segment); i++ {
		b := segment[i]
		if b == '%' {
			if i+2 >= len(segment) {
				return "", errNotEscaped
			}
			high, low := unhex(segment[i+1]), unhex(segment[i+2])
			if high < 0 || low < 0 {
				return "", errNotEscaped
			}
			b = byte(high<<4 | low)
			i += 2
		}
		c.text = append(c.text, b)
	}
	decoded := c.text[from:]
	if !utf8.Valid(decoded) {
		return "", errNotUTF8
	}
	return string(decoded), nil
}

var (
	errNotEscaped = fmt.Errorf("a %% followed by two hexadecimal digits")
	errNotUTF8    = fmt.Errorf("UTF-8")
)

func unhex(b byte) int {
	switch {
	case '0' <= b && b <= '9':
		return int(b - '0')
	case 'a' <= b|0x20 && b|0x20 <= 'f':
		return int(b|0x20-'a') + 10
	}
	return -1
}

// serve answers one request. A panic ends the process: it may have come from the midst of a change, and what the memory
// holds then is not known. What was acknowledged is on disk, and a restart begins from there.
func (s *Server) serve(ctx *fasthttp.RequestCtx) {
	c := newCall(ctx)
	rt, err := s.dispatch(c)
	if err != nil {
		c.fail(err)
	}
	if c.leave != nil {
		c.leave()
	}
	if ctx.RequestBodyStream() != nil {
		leaveUnread(ctx.Conn(), !c.bodyEnded)
	}
	s.metrics.observe(rt, ctx)
	c.recycle()
}

// dispatch finds the route of a request and has it handled.
func (s *Server) dispatch(c *call) (*route, error) {
	h := &c.ctx.Request.Header
	if p := checkFraming(h); p != nil {
		c.ctx.SetConnectionClose()
		leaveUnread(c.ctx.Conn(), true)
		return nil, p
	}
	if s.draining.Load() {
		c.ctx.SetConnectionClose()
	}
	target := originForm(h.RequestURI())
	path, raw, _ := bytes.Cut(target, []byte{'?'})
	method := string(h.Method())
	if method == fasthttp.MethodHead {
		method = fasthttp.MethodGet
	}
	if len(s.options.Origins) > 0 && s.cors(c, method) {
		return nil, nil
	}
	rt, others, err := s.router.find(method, path, c)
	if rt == nil {
		return nil, s.noRoute(c, path, others)
	}
	if err != nil {
		return rt, err
	}
	if p := s.authorize(c, rt.scope); p != nil {
		return rt, p
	}
	// Mailers and social networks add parameters of their own to the addresses of pages.
	if len(raw) > 0 && rt.scope != scopePublic {
		if err := c.query.parse(raw, rt.query); err != nil {
			return rt, err
		}
		if err := s.awaitSequence(c); err != nil {
			return rt, err
		}
	}
	if rt.lane == laneFinish || rt.lane == laneWrite {
		// A place is for work, not for waiting until a slow client has sent its body.
		if _, err := s.body(c); err != nil {
			return rt, err
		}
	}
	leave, p := s.enter(rt.lane)
	if p != nil {
		return rt, p
	}
	c.leave = leave
	return rt, rt.handle(s, c)
}

// originForm takes scheme and authority off a target that has them: a client that believes to speak to a proxy sends the
// whole URI, and a server takes that (RFC 9112, section 3.2.2).
func originForm(target []byte) []byte {
	if len(target) == 0 || target[0] == '/' {
		return target
	}
	for _, scheme := range [...]string{"http://", "https://"} {
		if len(target) < len(scheme) || !equalFold(target[:len(scheme)], scheme) {
			continue
		}
		if i := bytes.IndexAny(target[len(scheme):], "/?"); i > 0 {
			return target[len(scheme)+i:]
		}
	}
	return target
}

func (s *Server) noRoute(c *call, path []byte, others []string) error {
	if len(others) == 0 {
		return &problem{
			status: fasthttp.StatusNotFound, kind: "no-such-call", title: "There is no such call",
			detail: "nothing is at " + quoteShort(path) + "; docs/openapi.yaml lists what there is",
		}
	}
	c.ctx.Response.Header.Set(fasthttp.HeaderAllow, strings.Join(others, ", "))
	return &problem{
		status: fasthttp.StatusMethodNotAllowed, kind: "method-not-allowed", title: "Not with this method",
		detail: "allowed: " + strings.Join(others, ", "),
	}
}
