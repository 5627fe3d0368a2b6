package track

import (
	"fmt"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// AppendJSON appends what the page shows as a JSON object, with its texts in a language, of those that Language returns:
//
//	{"language": "en", "at": …, "reference": …,
//	 "state": "ready", "title": …, "text": …, "advice": …,          state, and what the page says of it
//	 "payment": "pending", "payment_text": …, "pay_until": …, "fulfilment": "pickup", "handover": "counter",
//	 "collect_until": …, "slot": {"from": …, "to": …}, "id_required": true,
//	 "code": …, "qr": …,                                            the latter is what the QR code contains
//	 "arrival_allowed": true, "arrival": {"at": …, "bay": …, "vehicle": …},
//	 "location": {"name": …, "address": {…}, "phone": …, "position": {…}, "collection_point": …, "time_zone": …},
//	 "hours": {"state": "open", "closes_at": …, "text": …, "opening_hours": […], "special_days": […]},
//	 "steps": [{"state": "placed", "text": …, "mark": "done", "at": …}, …],
//	 "lines": [{"sku": …, "title": …, "unit": …, "quantity": 2, "collected": 0, "short": 0, "returned": 0,
//	            "to_send": 0, "in_transit": 0}, …]}
//
// Members are in this order, and left out where the page has nothing to show, but for language, at, state, title, text,
// fulfilment, id_required, arrival_allowed, location, hours, steps, lines and a line's numbers. A step's mark is done, now
// or next. Times are RFC 3339 in UTC. Hours have the form that they have in the API's locations: by the location's clock.
// The token, which the caller has, is not repeated.
func AppendJSON(dst []byte, p *Page, lang string) ([]byte, error) {
	if err := p.check(); err != nil {
		return dst, err
	}
	t := textsOf(lang)
	v, err := t.view(p)
	if err != nil {
		return dst, err
	}
	dst = append(dst, `{"language":`...)
	dst = appendString(dst, t.tag)
	dst = appendTime(dst, "at", p.Now)
	dst = appendText(dst, "reference", p.Reference)
	dst = appendText(dst, "state", string(p.State))
	dst = appendText(dst, "title", v.Title)
	dst = appendText(dst, "text", joined(v.Partly, v.Text))
	dst = appendText(dst, "advice", v.Advice)
	dst = appendText(dst, "payment", string(p.Payment))
	dst = appendText(dst, "payment_text", t.paymentText(p))
	if p.unpaid() {
		dst = appendTime(dst, "pay_until", p.PayUntil)
	}
	dst = appendText(dst, "fulfilment", string(p.Fulfilment))
	dst = appendText(dst, "handover", string(p.Handover))
	if !p.ended() {
		dst = appendTime(dst, "collect_until", p.CollectUntil)
		if !p.SlotFrom.IsZero() && !p.SlotTo.IsZero() {
			dst = append(appendName(dst, "slot"), '{')
			dst = appendTime(dst, "from", p.SlotFrom)
			dst = append(appendTime(dst, "to", p.SlotTo), '}')
		}
	}
	dst = strconv.AppendBool(appendName(dst, "id_required"), p.IDRequired)
	dst = appendText(dst, "code", v.Code)
	if v.QR != nil {
		dst = appendText(dst, "qr", p.QR)
	}
	dst = strconv.AppendBool(appendName(dst, "arrival_allowed"), v.CanAnnounce)
	if a := p.Arrival; a != nil && v.Arrived != "" {
		dst = append(appendName(dst, "arrival"), '{')
		dst = appendTime(dst, "at", a.At)
		dst = appendText(dst, "bay", a.Bay)
		dst = append(appendText(dst, "vehicle", a.Vehicle), '}')
	}
	dst = appendLocation(appendName(dst, "location"), p)
	dst = appendHours(appendName(dst, "hours"), &p.Hours, v.Hours.Text)
	dst = append(appendName(dst, "steps"), '[')
	path, _ := p.path()
	for i, s := range path {
		dst = appendText(appendObject(dst), "state", string(s.State))
		dst = appendText(dst, "text", v.Steps[i].Name)
		dst = appendText(dst, "mark", v.Steps[i].Mark)
		dst = append(appendTime(dst, "at", s.At), '}')
	}
	dst = append(dst, ']')
	dst = append(appendName(dst, "lines"), '[')
	for i := range p.Lines {
		l := &p.Lines[i]
		dst = appendText(appendObject(dst), "sku", l.SKU)
		dst = appendText(dst, "title", l.Title)
		dst = appendText(dst, "unit", l.Unit)
		dst = appendNumber(dst, "quantity", l.Quantity)
		dst = appendNumber(dst, "collected", l.Collected)
		dst = appendNumber(dst, "short", l.Short)
		dst = appendNumber(dst, "returned", l.Returned)
		dst = appendNumber(dst, "to_send", l.ToSend)
		dst = append(appendNumber(dst, "in_transit", l.InTransit), '}')
	}
	return append(dst, `]}`...), nil
}

func appendLocation(dst []byte, p *Page) []byte {
	l := &p.Location
	dst = append(dst, '{')
	dst = appendText(dst, "name", l.Name)
	if a := &l.Address; *a != (Address{}) {
		dst = append(appendName(dst, "address"), '{')
		dst = appendText(dst, "street_address", a.Street)
		dst = appendText(dst, "locality", a.Locality)
		dst = appendText(dst, "region", a.Region)
		dst = appendText(dst, "postal_code", a.PostalCode)
		dst = append(appendText(dst, "country", a.Country), '}')
	}
	dst = appendText(dst, "phone", l.Phone)
	if pos := l.Position; pos != nil {
		dst = append(appendName(dst, "position"), '{')
		dst = strconv.AppendFloat(appendName(dst, "latitude"), pos.Latitude, 'f', -1, 64)
		dst = append(strconv.AppendFloat(appendName(dst, "longitude"), pos.Longitude, 'f', -1, 64), '}')
	}
	dst = appendText(dst, "collection_point", l.CollectionPoint)
	_, zone := zoneOf(p.Zone)
	return append(appendText(dst, "time_zone", zone), '}')
}

func appendHours(dst []byte, h *Hours, text string) []byte {
	state := h.State
	if state == "" {
		state = OpenUnknown
	}
	dst = appendText(append(dst, '{'), "state", string(state))
	dst = appendTime(dst, "closes_at", h.Closes)
	dst = appendTime(dst, "opens_at", h.Opens)
	dst = appendText(dst, "text", text)
	if len(h.Week) > 0 {
		dst = append(appendName(dst, "opening_hours"), '[')
		for _, group := range grouped(h.Week) {
			dst = appendDayHours(dst, &group[0].DayHours, func(dst []byte) []byte {
				dst = append(appendName(dst, "days"), '[')
				for i, d := range group {
					if i > 0 {
						dst = append(dst, ',')
					}
					dst = appendString(dst, weekdays[d.Day])
				}
				return append(dst, ']')
			})
		}
		dst = append(dst, ']')
	}
	if len(h.Special) > 0 {
		dst = append(appendName(dst, "special_days"), '[')
		for i := range h.Special {
			s := &h.Special[i]
			dst = appendDayHours(dst, &s.DayHours, func(dst []byte) []byte {
				return appendText(appendText(dst, "from", s.Date.Format(time.DateOnly)), "name", s.Name)
			})
		}
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

var weekdays = [...]string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}

// appendDayHours writes an object for each opening of a day, or the one that says that there is none.
func appendDayHours(dst []byte, d *DayHours, which func([]byte) []byte) []byte {
	if d.Unknown || len(d.Spans) == 0 {
		name := "closed"
		if d.Unknown {
			name = "unknown"
		}
		return append(strconv.AppendBool(appendName(which(appendObject(dst)), name), true), '}')
	}
	for _, s := range d.Spans {
		dst = appendText(which(appendObject(dst)), "opens", fmt.Sprintf("%02d:%02d", s.Opens/60, s.Opens%60))
		dst = append(appendText(dst, "closes", fmt.Sprintf("%02d:%02d", s.Closes/60, s.Closes%60)), '}')
	}
	return dst
}

// appendObject begins an object, in a list that may have some already.
func appendObject(dst []byte) []byte {
	if dst[len(dst)-1] != '[' {
		dst = append(dst, ',')
	}
	return append(dst, '{')
}

// appendName begins a member.
func appendName(dst []byte, name string) []byte {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	dst = append(dst, '"')
	dst = append(dst, name...)
	return append(dst, '"', ':')
}

func appendText(dst []byte, name, text string) []byte {
	if text == "" {
		return dst
	}
	return appendString(appendName(dst, name), text)
}

func appendTime(dst []byte, name string, t time.Time) []byte {
	if t.IsZero() {
		return dst
	}
	return append(t.UTC().AppendFormat(append(appendName(dst, name), '"'), time.RFC3339Nano), '"')
}

func appendNumber(dst []byte, name string, n int64) []byte {
	return strconv.AppendInt(appendName(dst, name), n, 10)
}

func appendString(dst []byte, text string) []byte {
	dst, _ = jsontext.AppendQuote(dst, text) // it fails on invalid UTF-8 only, having written the replacement
	return dst
}

func joined(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + " " + b
}
