package track

import (
	"fmt"
	"html/template"
	"math"
	"net/url"
	"strings"
)

// view is a page in the words of a language, for the template to lay out.
type view struct {
	*frame
	Reload, Action, Back string // relative addresses

	Reference, Location string
	Title, Text, Advice string
	Partly              string
	Tone                string // of the headline: wait, go, done, warn or off; also which icon is shown

	Until, Slot *fact
	Facts       []fact
	Code        string
	QR          *qrCode

	CanAnnounce    bool
	Arrived        string // since when
	Bay, Vehicle   string
	BayMax         int
	VehicleMax     int
	Address        []string
	Phone          string
	Tel            template.URL
	Geo            template.URL
	OSM            string
	Where, Point   string
	Hours          *hoursView
	Steps          []stepView
	Lines          []lineView
	LinesAt        string // behind headline, place or steps
	AsOf, ZoneText string
}

// frame is what all pages have.
type frame struct {
	Lang     string
	Document string // title
	Style    template.CSS
	Words    words
}

// words are the texts of a language that don't depend on the order.
type words struct {
	Code, CodeText, MapApp, OSM, Phone, Steps, Lines, Hours, Special, Refresh, Back          string
	Arrival, ArrivalText, Bay, BayHint, Vehicle, VehicleHint, Announce, Arrived, ArrivedText string
	UnknownText                                                                              string
}

// fact is something to know, under its name.
type fact struct {
	Name string
	Text string
	When *moment
}

// stepView is a step of the way, and whether it is done, now or next.
type stepView struct {
	Name, Mark, Said string
	When             *moment
}

type lineView struct {
	Name, Quantity string
	Missing        string
	Notes          []string
}

func (t *texts) words() words {
	return words{
		Code: t.code, CodeText: t.codeText, MapApp: t.mapApp, OSM: t.osm, Phone: t.phone, Steps: t.steps,
		Lines: t.lines, Hours: t.hours, Special: t.special, Refresh: t.refresh, Back: t.back,
		Arrival: t.arrival, ArrivalText: t.arrivalText, Bay: t.bay, BayHint: t.bayHint, Vehicle: t.vehicle,
		VehicleHint: t.vehicleHint, Announce: t.announce, Arrived: t.arrived, ArrivedText: t.arrivedText,
		UnknownText: t.unknownText,
	}
}

func (t *texts) frame() *frame { return &frame{Lang: t.tag, Style: style, Words: t.words()} }

func (t *texts) clockwork(p *Page) (c *clockwork, zone string) {
	c = &clockwork{texts: t, now: p.Now}
	c.in, zone = zoneOf(p.Zone)
	return c, zone
}

func (t *texts) view(p *Page) (*view, error) {
	c, zone := t.clockwork(p)
	token := url.PathEscape(p.Token)
	s := t.story(p)
	v := &view{
		frame: t.frame(), Reload: "./" + token, Action: "./" + token + "/arrived", Back: "../" + token,
		Reference: t.orderAlone, Location: p.Location.Name,
		Title: s.title, Text: s.text, Advice: s.advice, Tone: p.tone(),
		Slot: nil, CanAnnounce: p.CanAnnounce && !p.ended(), BayMax: BayMax, VehicleMax: VehicleMax,
		Address: p.Location.Address.rows(), Phone: p.Location.Phone, Tel: tel(p.Location.Phone),
		Where: t.contact,
		Hours: c.hoursView(&p.Hours), LinesAt: p.linesAt(),
		AsOf: fmt.Sprintf(t.asOf, c.absolute(p.Now.In(c.in))), ZoneText: fmt.Sprintf(t.zone, zone),
	}
	v.Document = s.title
	if v.Location != "" {
		v.Document = fmt.Sprintf(t.title, s.title, v.Location)
	}
	if p.Reference != "" {
		v.Reference = fmt.Sprintf(t.order, p.Reference)
	}
	if p.State == Ready && p.partly(func(l *Line) int64 { return l.Collected }) {
		v.Partly = t.partlyCollected
	}
	if pos := p.Location.Position; pos != nil {
		lat, lon := degrees(pos.Latitude), degrees(pos.Longitude)
		v.Geo = template.URL("geo:" + lat + "," + lon + "?q=" + lat + "," + lon)
		v.OSM = "https://www.openstreetmap.org/?mlat=" + lat + "&mlon=" + lon + "#map=17/" + lat + "/" + lon
	}
	if !p.ended() && p.Fulfilment != ShipHome { // the customer has to go there
		v.Where, v.Point = t.where, p.Location.CollectionPoint
	}
	t.addFacts(v, p, c)
	if err := t.addCode(v, p); err != nil {
		return nil, err
	}
	if a := p.Arrival; a != nil && !p.ended() {
		v.Advice = t.arrivedText
		v.Arrived, v.Bay, v.Vehicle = fmt.Sprintf(t.arrivedSince, c.near(a.At)), a.Bay, a.Vehicle
		v.Words.Announce = t.announceAgain
	}
	v.addSteps(t, p, c)
	v.addLines(t, p)
	return v, nil
}

// linesAt tells where the articles come on the page: first where the headline speaks of them, else in the shorter column of
// a wide window.
func (p *Page) linesAt() string {
	switch {
	case p.State == Short || p.State == Returned || p.scattered():
		return "headline"
	case p.collectable():
		return "place"
	}
	return "steps"
}

// tone is the colour and the icon of the headline.
func (p *Page) tone() string {
	switch p.State {
	case Ready:
		if p.Fulfilment == ShipHome {
			return "wait"
		}
		return "go"
	case Collected:
		return "done"
	case Short:
		return "warn"
	case Cancelled, Expired, Returned:
		return "off"
	}
	return "wait"
}

func (t *texts) addFacts(v *view, p *Page, c *clockwork) {
	if !p.ended() && p.Fulfilment != ShipHome {
		if !p.SlotFrom.IsZero() && !p.SlotTo.IsZero() {
			m := c.moment(p.SlotFrom)
			m.Text = c.slotText(p.SlotFrom, p.SlotTo)
			v.Facts = append(v.Facts, fact{Name: t.slot, When: m})
		}
		if !p.CollectUntil.IsZero() {
			v.Facts = append(v.Facts, fact{Name: t.until, When: c.moment(p.CollectUntil)})
		}
		if p.IDRequired {
			v.Facts = append(v.Facts, fact{Name: t.identity, Text: t.identityText})
		}
	}
	if text := t.paymentText(p); text != "" {
		v.Facts = append(v.Facts, fact{Name: t.payment, Text: text})
	}
	if p.unpaid() && !p.PayUntil.IsZero() {
		v.Facts = append(v.Facts, fact{Name: t.payUntil, When: c.moment(p.PayUntil)})
	}
}

func (t *texts) addCode(v *view, p *Page) (err error) {
	if !p.collectable() {
		return nil
	}
	v.Code = p.Code
	v.QR, err = newQR(p.QR, fmt.Sprintf(t.qr, p.Code))
	return err
}

func (v *view) addSteps(t *texts, p *Page, c *clockwork) {
	path, now := p.path()
	for i, s := range path {
		step := stepView{Name: t.stories[t.storyKey(p, s.State)].step, Mark: "done", Said: t.stepDone, When: c.moment(s.At)}
		switch {
		case i == now:
			step.Mark, step.Said = "now", t.stepNow
		case i > now:
			step.Mark, step.Said = "next", t.stepNext
		}
		if i != now && step.When != nil {
			step.When.Relative = "" // once is enough
		}
		v.Steps = append(v.Steps, step)
	}
}

func (v *view) addLines(t *texts, p *Page) {
	scattered := p.scattered()
	for i := range p.Lines {
		l := &p.Lines[i]
		line := lineView{Name: l.name(), Quantity: t.quantity(l.Quantity, l.Unit)}
		if l.Short > 0 {
			line.Missing = t.short(l.Short)
		}
		if p.State != Collected || l.Collected < l.Quantity {
			line.note(t.collected, l.Collected)
		}
		line.note(t.returned, l.Returned)
		if scattered {
			line.note(t.here, l.here())
			line.note(t.inTransit, l.InTransit)
			line.note(t.toSend, l.ToSend)
		}
		v.Lines = append(v.Lines, line)
	}
}

// note adds what is to be said of some units, if there are any.
func (v *lineView) note(say func(n int64) string, n int64) {
	if n > 0 {
		v.Notes = append(v.Notes, say(n))
	}
}

func (t *texts) quantity(n int64, unit string) string {
	if unit == "" {
		unit = "piece"
	}
	if format := t.units[unit]; format != "" {
		return fmt.Sprintf(format, n)
	}
	return fmt.Sprintf("%d\u00a0%s", n, unit)
}

// rows writes an address as it is written in its country: the postal code after the locality in some, before it in most.
// The country is left out, for customers are in it.
func (a *Address) rows() (rows []string) {
	add := func(parts ...string) {
		var there []string
		for _, p := range parts {
			if p != "" {
				there = append(there, p)
			}
		}
		if len(there) > 0 {
			rows = append(rows, strings.Join(there, " "))
		}
	}
	add(a.Street)
	switch a.Country {
	case "US", "CA", "AU":
		add(a.Locality, a.Region, a.PostalCode)
	case "GB", "IE":
		add(a.Locality)
		add(a.Region)
		add(a.PostalCode)
	default:
		add(a.PostalCode, a.Locality)
		add(a.Region)
	}
	return rows
}

// tel returns the address of a telephone number by RFC 3966, which has no (0) behind a country's prefix.
func tel(phone string) template.URL {
	if strings.HasPrefix(phone, "+") {
		phone = strings.Replace(phone, "(0)", "", 1)
	}
	var digits strings.Builder
	for i, r := range phone {
		if r >= '0' && r <= '9' || r == '+' && i == 0 {
			digits.WriteRune(r)
		}
	}
	if digits.Len() < 2 {
		return ""
	}
	return template.URL("tel:" + digits.String())
}

// degrees writes a coordinate to the metre.
func degrees(v float64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.5f", math.Round(v*1e5)/1e5+0), "0"), ".")
}
