package webhook

import (
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"onhand/engine"
)

// event is a change on its way to an endpoint.
type event struct {
	sequence uint64
	id       string
	kind     engine.ChangeKind
	lane     string
	body     []byte // CloudEvents 1.0, JSON

	attempts int
	first    time.Time // the first attempt, zero where there was none
	due      time.Time // the next one
	sending  bool
	lastErr  string
}

// Encoder writes a change as JSON behind dst.
type Encoder func(dst []byte, c *engine.Change) []byte

// newEvent makes an event of a change. Its id is the same whenever and to whomever it is sent, and differs from that of any
// other change, also of one that had its sequence before a backup was restored.
func newEvent(c *engine.Change, source string, encode Encoder) *event {
	e := &event{sequence: c.Sequence, id: strconv.FormatUint(c.Sequence, 10) + "-" + strconv.FormatInt(c.Time.UnixNano(), 36), kind: c.Kind}
	subject := ""
	switch {
	case c.Order != nil: // its reservation's moves are the order's own
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
		e.lane = e.id // what is absolute, and has a sequence, can come in any order
	}
	e.body = envelope(e.id, source, "onhand."+string(c.Kind), subject, c.Time, func(dst []byte) []byte { return encode(dst, c) })
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
