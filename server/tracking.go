package server

import (
	"bytes"
	"net/url"
	"time"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"onhand/engine"
	"onhand/engine/hours"
	"onhand/server/track"
)

// getTrack answers with the page on which a customer follows an order, or with the same as JSON. Whoever has its address may read it,
// and nobody else: the token in it is as good as a key.
func (s *Server) getTrack(c *call) error {
	o, found, err := s.trackedOrder(c)
	if err != nil {
		return err
	}
	if !found {
		return s.answerUntracked(c)
	}
	page, err := s.trackPage(&o)
	if err != nil {
		return err
	}
	return c.answerTracked(page, track.Render)
}

// answerTracked answers with a page, or with the same as JSON.
func (c *call) answerTracked(page *track.Page, render func([]byte, *track.Page, string) ([]byte, error)) (err error) {
	if c.wantsJSON() {
		if c.out, err = track.AppendJSON(c.out, page, c.language()); err != nil {
			return err
		}
		c.trackHeaders(false)
		c.json(fasthttp.StatusOK)
		return nil
	}
	if c.out, err = render(c.out, page, c.language()); err != nil {
		return err
	}
	c.html(fasthttp.StatusOK)
	return nil
}

// postTrackArrived takes what the page's form sends: the customer is there. Pages of orders that are not handed over at the curbside
// have no such form, and nobody at a counter waits for who is called to the kerb: those are refused, in every state.
func (s *Server) postTrackArrived(c *call) error {
	body, err := s.body(c)
	if err != nil {
		return err
	}
	if media, _, _ := bytes.Cut(c.ctx.Request.Header.ContentType(), []byte{';'}); len(body) > 0 && !isForm(media) {
		return &problem{
			status: fasthttp.StatusUnsupportedMediaType, kind: "media-type", title: "The body is no form",
			detail: "Content-Type is " + quoteShort(media) + ", want application/x-www-form-urlencoded",
		}
	}
	o, found, err := s.trackedOrder(c)
	if err != nil {
		return err
	}
	if !found {
		return s.answerUntracked(c)
	}
	if !trackedToKerb(&o) {
		c.trackHeaders(false)
		return &engine.OrderStateError{
			ID: o.ID, State: o.State, Move: engine.MoveArrive, Sequence: o.Sequence,
			Why: "it is not handed over at the curbside, so its page does not ask who is there",
		}
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return invalidField("body", quoteShort(body), "a form with the fields bay and vehicle")
	}
	arrival := track.NewArrival(form.Get("bay"), form.Get("vehicle"), s.engine.Now())
	moved, err := s.engine.MoveOrder(&engine.MoveRequest{
		ID: o.ID, Move: engine.MoveArrive, Bay: arrivalText(arrival.Bay), Vehicle: arrivalText(arrival.Vehicle), By: "customer",
	})
	if err != nil && problemOf(err).status == fasthttp.StatusConflict {
		moved, err = s.engine.Order(o.ID) // it is no longer ready: the page says what it is
	}
	if err != nil {
		return err
	}
	page, err := s.trackPage(&moved)
	if err != nil {
		return err
	}
	render := track.Render
	if moved.State == engine.Ready {
		render = track.RenderArrived
	}
	return c.answerTracked(page, render)
}

// trackedToKerb reports whether an order is brought out to its customer, who says on the page where they are.
func trackedToKerb(o *engine.Order) bool {
	return o.Handover == engine.AtCurbside && o.Fulfilment != engine.ShipHome
}

func isForm(media []byte) bool {
	return len(media) == 0 || string(bytes.ToLower(bytes.TrimSpace(media))) == "application/x-www-form-urlencoded"
}

// arrivalText cuts what a customer typed to the bytes that the engine takes, of which some characters need several.
func arrivalText(text string) string {
	if len(text) <= engine.ArrivalMax {
		return text
	}
	end := engine.ArrivalMax
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end]
}

func (s *Server) trackedOrder(c *call) (o engine.Order, found bool, err error) {
	token, ok := engine.ParseToken(c.params[0])
	if !ok {
		return o, false, nil
	}
	o, err = s.engine.OrderByToken(token)
	if err != nil && problemOf(err).status == fasthttp.StatusNotFound {
		return o, false, nil
	}
	return o, err == nil, err
}

func (s *Server) answerUntracked(c *call) (err error) {
	if c.wantsJSON() {
		c.trackHeaders(false)
		return &problem{
			status: fasthttp.StatusNotFound, kind: "unknown-order", title: "There is no such order", detail: "no order has this address",
		}
	}
	if c.out, err = track.RenderUnknown(c.out, c.language()); err != nil {
		return err
	}
	c.html(fasthttp.StatusNotFound)
	return nil
}

func (c *call) wantsJSON() bool {
	accept := c.ctx.Request.Header.Peek(fasthttp.HeaderAccept)
	return bytes.Contains(accept, []byte("application/json")) && !bytes.Contains(accept, []byte("text/html"))
}

func (c *call) language() string {
	return track.Language(string(c.ctx.Request.Header.Peek(fasthttp.HeaderAcceptLanguage)))
}

// html answers with c.out.
func (c *call) html(status int) {
	c.trackHeaders(true)
	c.ctx.Response.SetStatusCode(status)
	c.ctx.Response.SetBody(c.out)
}

// trackHeaders sets the headers of every tracking page; those that are about HTML only where it is one.
func (c *call) trackHeaders(html bool) {
	h := &c.ctx.Response.Header
	for _, f := range track.Headers {
		if html || f.Name != fasthttp.HeaderContentType && f.Name != fasthttp.HeaderContentSecurityPolicy {
			h.Set(f.Name, f.Value)
		}
	}
}

// trackPage is an order as its customer is shown it.
func (s *Server) trackPage(o *engine.Order) (*track.Page, error) {
	p := &track.Page{
		Token: o.Token.String(), Reference: o.Reference, Now: s.engine.Now(),
		State: track.State(o.State.String()), Fulfilment: track.Fulfilment(o.Fulfilment.String()), IDRequired: o.IDRequired,
		SlotFrom: o.Slot, SlotTo: o.SlotEnd,
	}
	if o.Payment != engine.PaymentNone {
		p.Payment = track.Payment(o.Payment.String())
	}
	if o.Fulfilment != engine.ShipHome {
		p.Handover = track.Handover(o.Handover.String())
	}
	if o.Payment == engine.PaymentPending {
		p.PayUntil = o.Deadline
	}
	if o.State == engine.Ready {
		p.CollectUntil, p.Code, p.QR = o.Deadline, o.Code, string(appendQR(nil, o))
		p.CanAnnounce = trackedToKerb(o) && o.Arrived.IsZero()
	}
	if !o.Arrived.IsZero() && trackedToKerb(o) { // elsewhere nobody is on the way to the customer
		p.Arrival = &track.Arrival{At: o.Arrived, Bay: o.Bay, Vehicle: o.Vehicle}
	}
	p.Steps = trackSteps(o.History)
	away, err := s.engine.OrderAway(o)
	if err != nil {
		return nil, err
	}
	for i := range o.Lines {
		l := &o.Lines[i]
		line := track.Line{SKU: l.SKU, Quantity: l.Quantity - l.Cancelled, Collected: l.Collected, Short: l.Missing, Returned: l.Returned + l.Damaged}
		if settings, err := s.engine.SKU(l.SKU); err == nil {
			line.Title, line.Unit = settings.Title, settings.Unit
		}
		p.PartCancelled = p.PartCancelled || l.Cancelled > 0
		if away != nil {
			line.ToSend, line.InTransit = away[i].ToSend, away[i].InTransit
		}
		if o.State == engine.Cancelled {
			line.Quantity = l.Quantity
		}
		if line.Quantity > 0 {
			p.Lines = append(p.Lines, line)
		}
	}
	return p, s.addTrackLocation(p, o)
}

// trackSteps returns the states that an order came to. Where all that was sent has arrived the order is accepted, as it was before
// it was sent, or short: its customer is told of the arrival.
func trackSteps(history []engine.OrderStep) (steps []track.Step) {
	last := func() (state track.State) {
		if n := len(steps); n > 0 {
			state = steps[n-1].State
		}
		return state
	}
	add := func(state track.State, at time.Time) {
		if last() != state {
			steps = append(steps, track.Step{State: state, At: at})
		}
	}
	for i := range history {
		step := &history[i]
		if step.Move == engine.MoveReceive && (step.State == engine.Accepted || step.State == engine.OrderShort) {
			add(track.Received, step.Time)
		}
		if step.State != engine.Accepted || last() != track.Received {
			add(track.State(step.State.String()), step.Time)
		}
	}
	return steps
}

// addTrackLocation adds what customers need to know of the location. One that was deleted since has its id only.
func (s *Server) addTrackLocation(p *track.Page, o *engine.Order) error {
	p.Location.Name = o.Location
	found, err := s.engine.LocationAt(o.Location, time.Time{})
	if err != nil {
		if problemOf(err).status == fasthttp.StatusNotFound {
			return nil
		}
		return err
	}
	if found.Name != "" {
		p.Location.Name = found.Name
	}
	d, err := found.Details.Get()
	if err != nil {
		return nil // a later version's: its page does without
	}
	p.Zone = d.Zone
	p.Location.Phone, p.Location.CollectionPoint = d.Phone, d.CollectionPoint
	if a := d.Address; a != nil {
		p.Location.Address = track.Address(*a)
	}
	if d.Position != nil {
		p.Location.Position = &track.Position{Latitude: d.Position.Latitude, Longitude: d.Position.Longitude}
	}
	p.Hours.State = track.OpenState(found.Hours.State.String())
	p.Hours.Closes, p.Hours.Opens = found.Hours.Closes, found.Hours.Opens
	calendar, err := d.Schedule.Compile()
	if err != nil || calendar == nil {
		return nil
	}
	addTrackHours(&p.Hours, calendar, &d.Schedule, calendar.Local(p.Now))
	return nil
}

// specialDaysAhead is how many days ahead a page tells of those whose hours are not the regular ones.
const specialDaysAhead = 14

func addTrackHours(to *track.Hours, calendar *hours.Calendar, schedule *hours.Schedule, now time.Time) {
	for d := hours.Monday; d <= hours.Sunday; d++ {
		to.Week = append(to.Week, track.Weekday{Day: time.Weekday((d + 1) % 7), DayHours: trackHours(calendar.Weekday(d))})
	}
	for ahead := range specialDaysAhead {
		day := now.AddDate(0, 0, ahead)
		var date hours.Date
		date.Year, date.Month, date.Day = day.Date()
		regular, on := calendar.Weekday(hours.Day((day.Weekday()+6)%7)), calendar.On(date)
		if !on.Equal(&regular) {
			to.Special = append(to.Special, track.SpecialDay{Date: day, Name: nameOfDay(schedule, date), DayHours: trackHours(on)})
		}
	}
}

func trackHours(d hours.DayHours) (out track.DayHours) {
	out.Unknown = d.Unknown
	for _, s := range d.Spans {
		closes := s.To
		if closes > 1440 {
			closes -= 1440
		}
		out.Spans = append(out.Spans, track.Span{Opens: s.From, Closes: closes})
	}
	return out
}

// nameOfDay returns what the shop calls a special day, "" where it has no name for it.
func nameOfDay(schedule *hours.Schedule, date hours.Date) string {
	at := time.Date(date.Year, date.Month, date.Day, 0, 0, 0, 0, time.UTC)
	for i := range schedule.Special {
		sp := &schedule.Special[i]
		for _, r := range sp.Dates(date.Year, date.Year) {
			first := time.Date(r[0].Year, r[0].Month, r[0].Day, 0, 0, 0, 0, time.UTC)
			last := time.Date(r[1].Year, r[1].Month, r[1].Day, 0, 0, 0, 0, time.UTC)
			if sp.Name != "" && !at.Before(first) && !at.After(last) {
				return sp.Name
			}
		}
	}
	return ""
}
