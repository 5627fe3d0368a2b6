package webhook

import (
	"cmp"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"onhand/engine"
)

// eventKey says which event it is of all there are: the change itself has number 0, its Events are counted from 1.
type eventKey struct {
	sequence uint64
	number   int
}

func (k eventKey) compare(other eventKey) int {
	return cmp.Or(cmp.Compare(k.sequence, other.sequence), cmp.Compare(k.number, other.number))
}

// event is a change, or something that it means, on its way to an endpoint.
type event struct {
	eventKey
	id   string
	kind engine.ChangeKind
	lane string // events of a lane are sent one after the other: its subject, as a rule
	body []byte // CloudEvents 1.0, JSON

	attempts int
	first    time.Time // the first attempt, zero where there was none
	due      time.Time // the next one
	sending  bool
	lastErr  string
}

// Encoder writes a change as JSON behind dst, or, where e is not nil, that event of it.
type Encoder func(dst []byte, c *engine.Change, e *engine.Event) []byte

// newEvent makes an event of a change. Its id is the same whenever and to whomever it is sent, and differs from that of any
// other event, also of one that had its sequence before a backup was restored.
func newEvent(c *engine.Change, number int, source string, encode Encoder) *event {
	e := &event{
		eventKey: eventKey{c.Sequence, number}, kind: c.Kind,
		id: strconv.FormatUint(c.Sequence, 10) + "-" + strconv.FormatInt(c.Time.UnixNano(), 36),
	}
	var of *engine.Event
	if number > 0 {
		of = &c.Events[number-1]
		e.kind = of.Type
		e.id += "-" + strconv.Itoa(number) // and no full stop, which is what the signature puts behind an id
	}
	subject := ""
	switch {
	case of != nil && of.SKU != "":
		// Whichever reservations the units went to: that they ran out, and that they are back, is told in this order.
		subject = "stock/" + of.SKU + "/" + of.Location
		e.lane = subject
	case c.Order != nil: // its reservation's moves are the order's own, and its lane is that of the cart that it was placed on
		id := engine.FormatID(c.Order.ID)
		subject, e.lane = "orders/"+id, id
	case c.Reservation != nil:
		id := engine.FormatID(c.Reservation.ID)
		subject, e.lane = "reservations/"+id, id
	case c.Transfer != nil:
		id := engine.FormatID(c.Transfer.ID)
		subject, e.lane = "transfers/"+id, id
	case c.Location != nil:
		subject = "locations/" + c.Location.ID
	case c.SKU != nil:
		subject = "skus/" + c.SKU.ID
	case len(c.Cells) == 1:
		subject = "stock/" + c.Cells[0].SKU + "/" + c.Cells[0].Location
	}
	if e.lane == "" {
		// What has a subject comes in its order. A stock change of several cells has none and a lane of its own: if it waited for all of
		// them, and they for it, one import that a receiver can't take would hold up the store.
		e.lane = cmp.Or(subject, e.id)
	}
	e.body = envelope(e.id, source, "onhand."+string(e.kind), subject, c.Time, func(dst []byte) []byte { return encode(dst, c, of) })
	return e
}

// envelope writes a CloudEvents 1.0 document in the structured JSON form.
func envelope(id, source, kind, subject string, at time.Time, data func(dst []byte) []byte) []byte {
	dst := make([]byte, 0, 1024)
	member := func(name, value string) {
		dst = append(dst, ',', '"')
		dst = append(dst, name...)
		dst = append(dst, '"', ':')
		dst, _ = jsontext.AppendQuote(dst, value)
	}
	dst = append(dst, `{"specversion":"1.0"`...)
	member("id", id)
	member("source", source)
	member("type", kind)
	if subject != "" {
		member("subject", subject)
	}
	member("time", at.UTC().Format(time.RFC3339Nano))
	member("datacontenttype", "application/json")
	dst = append(dst, `,"data":`...)
	return append(data(dst), '}')
}
