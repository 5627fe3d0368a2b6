package server

import (
	"cmp"
	"encoding/base64"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"onhand/engine"
)

type orderRequest struct {
	Reservation *string       `json:"reservation"`
	Lines       []lineRequest `json:"lines"`
	findRequest
	Location         *string       `json:"location"`
	Channel          *string       `json:"channel"`
	Fulfilment       *string       `json:"fulfilment"`
	Handover         *string       `json:"handover"`
	Payment          *string       `json:"payment"`
	OnShort          *string       `json:"on_short"`
	Slot             *time.Time    `json:"slot"`
	Compartment      string        `json:"compartment"`
	IDRequired       bool          `json:"id_required"`
	Customer         personRequest `json:"customer"`
	Collector        personRequest `json:"collector"`
	Reference        string        `json:"reference"`
	Notes            string        `json:"notes"`
	PaymentReference string        `json:"payment_reference"`
	By               string        `json:"by"`
}

type personRequest struct {
	Reference string `json:"reference"`
	Name      string `json:"name"`
	Phone     string `json:"phone"`
	Email     string `json:"email"`
}

// orderCall is the working memory of a request that places an order, kept for reuse: it is large, and there are many.
type orderCall struct {
	in  orderRequest
	out engine.PlaceOrderRequest
}

var orderCalls = sync.Pool{New: func() any { return new(orderCall) }}

func (o *orderCall) recycle() {
	*o = orderCall{out: engine.PlaceOrderRequest{Lines: o.out.Lines[:0]}} // nothing of a customer stays
	orderCalls.Put(o)
}

// read fills in the engine's request.
func (o *orderCall) read(c *call) error {
	r, out := &o.in, &o.out
	*out = engine.PlaceOrderRequest{
		Lines: appendLines(out.Lines[:0], r.Lines), Compartment: r.Compartment, IDRequired: r.IDRequired,
		Customer: engine.Person(r.Customer), Collector: engine.Person(r.Collector),
		Reference: r.Reference, Notes: r.Notes, PaymentReference: r.PaymentReference, By: c.by(r.By), Owner: c.principal,
	}
	var err error
	if out.Key, err = c.idempotencyKey(); err != nil {
		return err
	}
	if r.Slot != nil {
		if out.Slot = *r.Slot; out.Slot.IsZero() {
			return invalidField("slot", out.Slot.Format(time.RFC3339), slotWant)
		}
	}
	if out.Location, err = given("location", r.Location); err != nil {
		return err
	}
	if r.Lines != nil && len(r.Lines) == 0 {
		return invalidField("lines", "empty", "at least one line, or a reservation instead")
	}
	if r.Reservation != nil {
		if out.Reservation, err = engine.ParseID(*r.Reservation); err != nil {
			return invalidField("reservation", quoteShort([]byte(*r.Reservation)), "the id of a reservation")
		}
	}
	if r.Near != nil {
		out.Find = new(engine.FindLocation)
		if out.Find.Near, out.Find.Filter, err = r.findRequest.read(); err != nil {
			return err
		}
	} else if field := r.findRequest.given(); field != "" {
		return invalidField(field, "given", "near beside it")
	}
	return cmp.Or(
		choose(&out.Channel, r.Channel, engine.ParseOrderChannel),
		choose(&out.Fulfilment, r.Fulfilment, engine.ParseOrderFulfilment),
		choose(&out.Handover, r.Handover, engine.ParseHandover),
		choose(&out.Payment, r.Payment, engine.ParsePaymentTerms),
		choose(&out.OnShort, r.OnShort, engine.ParseOnShort),
	)
}

// choose reads a member that names one of several, if it is given.
func choose[T any](to *T, given *string, parse func(string) (T, error)) (err error) {
	if given != nil {
		*to, err = parse(*given)
	}
	return err
}

const slotWant = "the beginning of a slot, as GET /v1/locations/{id}/slots tells them"

// given returns the name of something that a request may leave out, but not leave empty.
func given(field string, name *string) (string, error) {
	if name == nil {
		return "", nil
	}
	if *name == "" {
		return "", invalidField(field, `""`, "1 to 64 bytes, or to be left out")
	}
	return *name, nil
}

// by is who does something, for an order's history: who the request says, or whose key it came with.
func (c *call) by(given string) string {
	if given == "" {
		return c.principal
	}
	return given
}

// postOrder places an order, on a reservation or on lines that are held in the same step. Its answer alone has the pickup code and
// the address of the tracking page.
func (s *Server) postOrder(c *call) error {
	request := orderCalls.Get().(*orderCall)
	defer request.recycle()
	if err := s.decode(c, &request.in); err != nil {
		return err
	}
	if err := request.read(c); err != nil {
		return err
	}
	o, err := s.engine.PlaceOrder(&request.out)
	if err != nil {
		return err
	}
	c.out = append(c.out, "/v1/orders/"...)
	c.out = engine.AppendID(c.out, o.ID)
	c.ctx.Response.Header.SetBytesV(fasthttp.HeaderLocation, c.out)
	c.out = appendOrder(c.out[:0], &o, true, nil)
	c.ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store")
	c.json(fasthttp.StatusCreated)
	return nil
}

func (s *Server) getOrder(c *call) error {
	id, err := engine.ParseID(c.params[0])
	if err != nil {
		return err
	}
	o, err := s.engine.Order(id)
	if err != nil {
		return err
	}
	s.answerOrder(c, &o)
	return nil
}

func (s *Server) answerOrder(c *call, o *engine.Order) {
	c.out = appendOrder(c.out, o, false, nil)
	c.ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store")
	c.json(fasthttp.StatusOK)
}

// getOrderSecrets answers with what the customer needs to collect and to follow an order: for the shop that sends it to them, not for
// staff, who are to be told the code.
func (s *Server) getOrderSecrets(c *call) error {
	id, err := engine.ParseID(c.params[0])
	if err != nil {
		return err
	}
	o, err := s.engine.Order(id)
	if err != nil {
		return err
	}
	c.out = append(c.out, `{"id":"`...)
	c.out = append(engine.AppendID(c.out, o.ID), '"')
	c.out = append(appendOrderSecrets(c.out, &o), '}')
	c.ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store")
	c.json(fasthttp.StatusOK)
	return nil
}

// ordersPage is the standard page of a listing of orders.
const ordersPage = 100

// listOrders lists the orders of a location by state, what is due first first.
func (s *Server) listOrders(c *call) error {
	filter := engine.OrderFilter{Location: c.query.value("location"), Reference: c.query.value("reference")}
	if text := c.query.value("state"); text != "" {
		for name := range strings.SplitSeq(text, ",") {
			state, err := engine.ParseOrderState(name)
			if err != nil {
				return err
			}
			filter.States = append(filter.States, state)
		}
	}
	limit, err := c.query.limit(ordersPage)
	if err != nil {
		return err
	}
	var cursor engine.OrderCursor
	if text := c.query.value("cursor"); text != "" {
		raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
		if err == nil {
			cursor, err = engine.ParseOrderCursor(raw)
		}
		if err != nil {
			return invalidField("cursor", quoteShort([]byte(text)), "the next_cursor of an earlier answer")
		}
	}
	page, next, err := s.engine.Orders(filter, cursor, limit)
	if err != nil {
		return err
	}
	c.out = append(c.out, `{"orders":[`...)
	for i := range page {
		if i > 0 {
			c.out = append(c.out, ',')
		}
		c.out = appendOrder(c.out, &page[i], false, nil)
	}
	c.out = append(c.out, ']')
	if !next.Done() {
		c.out = appendText(c.out, "next_cursor", base64.RawURLEncoding.EncodeToString(next.AppendBinary(nil)))
	}
	c.out = append(c.out, '}')
	c.ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store")
	c.json(fasthttp.StatusOK)
	return nil
}

// getPickList answers with what the staff of a location is to fetch, by SKU.
func (s *Server) getPickList(c *call) error {
	location, err := c.location()
	if err != nil {
		return err
	}
	lines, whole, err := s.engine.PickList(location)
	if err != nil {
		return err
	}
	c.out = appendString(append(c.out, `{"location":`...), location)
	c.out = append(c.out, `,"lines":[`...)
	for i := range lines {
		l := &lines[i]
		if i > 0 {
			c.out = append(c.out, ',')
		}
		c.out = appendString(append(c.out, `{"sku":`...), l.SKU)
		if l.Title != "" {
			c.out = appendText(c.out, "title", l.Title)
		}
		c.out = appendNumber(c.out, "quantity", l.Quantity)
		c.out = appendNumber(c.out, "to_send", l.Send)
		c.out = append(c.out, `,"orders":[`...)
		for j, id := range l.Orders {
			if j > 0 {
				c.out = append(c.out, ',')
			}
			c.out = append(engine.AppendID(append(c.out, '"'), id), '"')
		}
		c.out = append(c.out, `]}`...)
	}
	c.out = append(appendBool(append(c.out, ']'), "whole", whole), '}')
	c.json(fasthttp.StatusOK)
	return nil
}

// getOrderCounts answers with how many orders of a location are in each state, and how many of them it has to send to another.
func (s *Server) getOrderCounts(c *call) error {
	location, err := c.location()
	if err != nil {
		return err
	}
	counts, toSend, err := s.engine.OrderCounts(location)
	if err != nil {
		return err
	}
	c.out = appendString(append(c.out, `{"location":`...), location)
	for _, state := range engine.OrderStates() {
		c.out = appendNumber(c.out, state.String(), int64(counts[state]))
	}
	c.out = append(appendNumber(c.out, "to_send", int64(toSend)), '}')
	c.json(fasthttp.StatusOK)
	return nil
}

// location returns the parameter of that name, which a list for staff needs.
func (c *call) location() (string, error) {
	location := c.query.value("location")
	if location == "" {
		return "", invalidField("location", `""`, "a location")
	}
	return location, nil
}

// orderNames are what people call what an order is about, "" where that is not known: for events, whose receiver is to write to the
// customer without asking further.
type orderNames struct {
	location, phone string
	titles          []string // of the lines
}

// appendOrder writes an order: with its secrets for its customer only, with names for an event, nil = without.
func appendOrder(dst []byte, o *engine.Order, secrets bool, names *orderNames) []byte {
	dst = append(dst, `{"id":"`...)
	dst = engine.AppendID(dst, o.ID)
	dst = append(dst, `","state":"`...)
	dst = append(dst, o.State.String()...)
	dst = append(dst, `","last_move":"`...)
	dst = append(dst, o.Move.String()...)
	dst = append(dst, `","reservation":"`...)
	dst = append(engine.AppendID(dst, o.Reservation), '"')
	dst = appendText(dst, "location", o.Location)
	if names != nil {
		dst = appendKnown(dst, "location_name", names.location)
		dst = appendKnown(dst, "location_phone", names.phone)
	}
	dst = appendText(dst, "channel", o.Channel.String())
	dst = appendText(dst, "fulfilment", o.Fulfilment.String())
	dst = appendText(dst, "handover", o.Handover.String())
	dst = appendText(dst, "payment", o.Payment.String())
	dst = appendBool(dst, "paid_online", o.PaidOnline)
	if o.PaymentReference != "" {
		dst = appendText(dst, "payment_reference", o.PaymentReference)
	}
	dst = appendText(dst, "on_short", o.OnShort.String())
	dst = appendBool(dst, "id_required", o.IDRequired)
	if !o.Slot.IsZero() {
		dst = appendTime(dst, "slot", o.Slot)
		dst = appendTime(dst, "slot_end", o.SlotEnd)
	}
	if o.Compartment != "" {
		dst = appendText(dst, "compartment", o.Compartment)
	}
	if len(o.Transfers) > 0 {
		dst = append(dst, `,"transfers":[`...)
		for i, id := range o.Transfers {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(engine.AppendID(append(dst, '"'), id), '"')
		}
		dst = append(dst, ']')
	}
	dst = append(dst, `,"lines":[`...)
	for i := range o.Lines {
		if i > 0 {
			dst = append(dst, ',')
		}
		title := ""
		if names != nil {
			title = names.titles[i]
		}
		dst = appendOrderLine(dst, &o.Lines[i], title)
	}
	dst = append(dst, ']')
	dst = appendTime(dst, "placed_at", o.Placed)
	for _, t := range []struct {
		name string
		at   time.Time
	}{{"expires_at", o.Deadline}, {"remind_at", o.RemindAt}, {"ended_at", o.Ended}, {"arrived_at", o.Arrived}} {
		if !t.at.IsZero() {
			dst = appendTime(dst, t.name, t.at)
		}
	}
	for _, t := range []struct{ name, text string }{
		{"bay", o.Bay}, {"vehicle", o.Vehicle}, {"reference", o.Reference}, {"notes", o.Notes},
	} {
		if t.text != "" {
			dst = appendText(dst, t.name, t.text)
		}
	}
	dst = appendPerson(dst, "customer", &o.Customer)
	dst = appendPerson(dst, "collector", &o.Collector)
	if o.Extensions > 0 {
		dst = appendNumber(dst, "extensions", int64(o.Extensions))
	}
	if o.WrongCodes > 0 {
		dst = appendNumber(dst, "wrong_codes", int64(o.WrongCodes))
	}
	if o.Erased {
		dst = appendBool(dst, "erased", true)
	}
	if secrets {
		dst = appendOrderSecrets(dst, o)
	}
	dst = append(dst, `,"history":[`...)
	for i := range o.History {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendOrderStep(dst, &o.History[i])
	}
	dst = append(dst, ']')
	return append(appendUint(dst, "sequence", o.Sequence), '}')
}

func appendOrderLine(dst []byte, l *engine.OrderLine, title string) []byte {
	dst = appendString(append(dst, `{"sku":`...), l.SKU)
	dst = appendKnown(dst, "title", title)
	dst = appendText(dst, "from", l.From)
	dst = appendNumber(dst, "quantity", l.Quantity)
	dst = appendNumber(dst, "open", l.Open)
	dst = appendNumber(dst, "collected", l.Collected)
	for _, n := range []struct {
		name  string
		units int64
	}{{"missing", l.Missing}, {"cancelled", l.Cancelled}, {"returned", l.Returned}, {"damaged", l.Damaged}} {
		if n.units != 0 {
			dst = appendNumber(dst, n.name, n.units)
		}
	}
	return append(dst, '}')
}

func appendOrderStep(dst []byte, s *engine.OrderStep) []byte {
	dst = append(dst, `{"sequence":`...)
	dst = strconv.AppendUint(dst, s.Sequence, 10)
	dst = appendTime(dst, "time", s.Time)
	dst = appendText(dst, "move", s.Move.String())
	dst = appendText(dst, "state", s.State.String())
	if s.By != "" {
		dst = appendText(dst, "by", s.By)
	}
	if s.Reason != "" {
		dst = appendText(dst, "reason", s.Reason)
	}
	return append(dst, '}')
}

func appendPerson(dst []byte, name string, p *engine.Person) []byte {
	if *p == (engine.Person{}) {
		return dst
	}
	dst = append(appendMember(dst, name), '{')
	first := true
	for _, t := range []struct{ name, text string }{{"reference", p.Reference}, {"name", p.Name}, {"phone", p.Phone}, {"email", p.Email}} {
		if t.text == "" {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(append(append(dst, '"'), t.name...), `":`...)
		dst = appendString(dst, t.text)
	}
	return append(dst, '}')
}

// appendOrderSecrets writes what only the customer should have: the pickup code, what its QR code holds, and the path of the tracking
// page.
func appendOrderSecrets(dst []byte, o *engine.Order) []byte {
	if o.Erased {
		return dst
	}
	dst = appendText(dst, "code", o.Code)
	dst = append(appendQR(append(appendMember(dst, "qr"), '"'), o), '"')
	dst = append(append(appendMember(dst, "tracking"), '"'), trackPrefix...)
	return append(base64.RawURLEncoding.AppendEncode(dst, o.Token[:]), '"')
}

// trackPrefix begins the path of a tracking page.
const trackPrefix = "/track/"

// appendQR writes what the QR code of an order holds, for the scanner of whoever hands it over: the order and its code. In upper case,
// as QR codes hold those characters in fewer bits. None of it needs to be escaped in JSON.
func appendQR(dst []byte, o *engine.Order) []byte {
	dst = append(dst, "ONHAND:"...)
	from := len(dst)
	dst = engine.AppendID(dst, o.ID)
	for i, b := range dst[from:] {
		if 'a' <= b && b <= 'f' {
			dst[from+i] = b - 'a' + 'A'
		}
	}
	return append(append(dst, ':'), o.Code...)
}
