package loadtest

import (
	"encoding/hex"
	"strconv"
	"time"
)

// operation is a kind of request.
type operation uint8

const (
	opRead operation = iota
	opReadSKU
	opNear
	opBasket
	opReserve
	opCommit
	opRelease
	opAdjust
	operations
)

var operationNames = [operations]string{"read", "read-sku", "near", "basket", "reserve", "commit", "release", "adjust"}

func (o operation) String() string { return operationNames[o] }

// line is a quantity of a cell.
type line struct {
	sku, location int32
	quantity      int32
}

// job is a request that is due, under way, or to be sent again.
type job struct {
	op      operation
	warm    bool          // it was due during the warm-up
	retried bool          // it has been sent before, and nobody knows what became of it
	due     time.Duration // when it should be sent: what its latency counts from
	again   time.Duration // when it may be sent, where that is later: a follow-up, a retry
	sent    time.Duration
	why     string   // retried: what came instead of an answer
	doubt   doubt    // … and what that leaves open
	line    line     // of a read
	lines   []line   // of a basket
	place   position // of near, basket
	hold    *hold
	adjust  *adjustment
}

// sender writes requests.
type sender struct {
	shop    *shop
	headers []byte // those of every request, each with its end of line
	hold    int64  // s
	body    []byte
}

func newSender(c *Config, s *shop) *sender {
	address, _ := c.address()
	headers := "Host: " + address + "\r\nUser-Agent: onhand-loadtest\r\n"
	if c.Key != "" {
		headers += "Authorization: Bearer " + c.Key + "\r\n"
	}
	return &sender{shop: s, headers: []byte(headers), hold: int64(c.Hold / time.Second)}
}

// append writes the request of a job.
func (s *sender) append(dst []byte, j *job) []byte {
	switch j.op {
	case opRead:
		dst = append(dst, "GET /v1/availability/"...)
		dst = append(dst, s.shop.skus[j.line.sku].path...)
		dst = append(dst, '/')
		dst = append(dst, s.shop.locations[j.line.location].path...)
		return s.get(dst)
	case opReadSKU:
		dst = append(dst, "GET /v1/availability/"...)
		dst = append(dst, s.shop.skus[j.line.sku].path...)
		return s.get(dst)
	case opNear:
		dst = append(dst, "GET /v1/availability/"...)
		dst = append(dst, s.shop.skus[j.line.sku].path...)
		dst = append(dst, "?near="...)
		dst = strconv.AppendFloat(dst, j.place.latitude, 'f', 5, 64)
		dst = append(dst, ',')
		dst = strconv.AppendFloat(dst, j.place.longitude, 'f', 5, 64)
		dst = append(dst, "&limit=10"...)
		return s.get(dst)
	case opBasket:
		s.body = append(s.body[:0], `{"near":{"latitude":`...)
		s.body = strconv.AppendFloat(s.body, j.place.latitude, 'f', 5, 64)
		s.body = append(s.body, `,"longitude":`...)
		s.body = strconv.AppendFloat(s.body, j.place.longitude, 'f', 5, 64)
		s.body = append(s.body, `},"limit":10,"lines":`...)
		s.lines(j.lines, false)
		s.body = append(s.body, '}')
		return s.post(append(dst, "POST /v1/availability/baskets"...), "")
	case opReserve:
		s.body = append(s.body[:0], `{"id":"`...)
		s.body = j.hold.id.append(s.body)
		s.body = append(s.body, `","expires_in":`...)
		s.body = strconv.AppendInt(s.body, s.hold, 10)
		s.body = append(s.body, `,"lines":`...)
		s.lines(j.hold.lines, true)
		s.body = append(s.body, '}')
		return s.post(append(dst, "POST /v1/reservations"...), "")
	case opCommit, opRelease:
		s.body = s.body[:0]
		dst = append(dst, "POST /v1/reservations/"...)
		dst = j.hold.id.append(dst)
		dst = append(dst, '/')
		return s.post(append(dst, operationNames[j.op]...), "")
	default: // opAdjust
		s.body = append(s.body[:0], `{"reason":"`...)
		s.body = append(s.body, j.adjust.reason...)
		s.body = append(s.body, `","lines":`...)
		s.lines(j.adjust.lines, true)
		s.body = append(s.body, '}')
		return s.post(append(dst, "POST /v1/stock/adjustments"...), j.adjust.key)
	}
}

func (s *sender) get(dst []byte) []byte {
	dst = append(dst, " HTTP/1.1\r\n"...)
	dst = append(dst, s.headers...)
	return append(dst, "\r\n"...)
}

// post ends a request with s.body.
func (s *sender) post(dst []byte, key string) []byte {
	dst = append(dst, " HTTP/1.1\r\n"...)
	dst = append(dst, s.headers...)
	if key != "" {
		dst = append(dst, "Idempotency-Key: "...)
		dst = append(dst, key...)
		dst = append(dst, "\r\n"...)
	}
	if len(s.body) > 0 {
		dst = append(dst, "Content-Type: application/json\r\n"...)
	}
	dst = append(dst, "Content-Length: "...)
	dst = strconv.AppendInt(dst, int64(len(s.body)), 10)
	dst = append(dst, "\r\n\r\n"...)
	return append(dst, s.body...)
}

func (s *sender) lines(lines []line, located bool) {
	s.body = append(s.body, '[')
	for i, l := range lines {
		if i > 0 {
			s.body = append(s.body, ',')
		}
		s.body = append(s.body, `{"sku":`...)
		s.body = append(s.body, s.shop.skus[l.sku].json...)
		if located {
			s.body = append(s.body, `,"location":`...)
			s.body = append(s.body, s.shop.locations[l.location].json...)
		}
		s.body = append(s.body, `,"quantity":`...)
		s.body = strconv.AppendInt(s.body, int64(l.quantity), 10)
		s.body = append(s.body, '}')
	}
	s.body = append(s.body, ']')
}

// uuid is the id of a reservation.
type uuid [16]byte

// append writes the id in its usual form.
func (u uuid) append(dst []byte) []byte {
	var text [36]byte
	hex.Encode(text[:8], u[:4])
	hex.Encode(text[9:13], u[4:6])
	hex.Encode(text[14:18], u[6:8])
	hex.Encode(text[19:23], u[8:10])
	hex.Encode(text[24:], u[10:])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return append(dst, text[:]...)
}

func (u uuid) String() string { return string(u.append(nil)) }
