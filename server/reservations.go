package server

import (
	"encoding/base64"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"onhand/engine"
)

type reservationRequest struct {
	ID    *string       `json:"id"`
	Lines []lineRequest `json:"lines"`
	findRequest
	deadlineRequest
	HoldUntil *holdUntilRequest `json:"hold_until"`
	Partial   bool              `json:"partial"`
	Channel   string            `json:"channel"`
	Reference string            `json:"reference"`
}

// deadlineRequest is a deadline in one of two ways.
type deadlineRequest struct {
	ExpiresIn *int64     `json:"expires_in"` // seconds
	ExpiresAt *time.Time `json:"expires_at"`
}

// read returns the deadline, in from now or at. What is not given is zero, and so must not be given as zero.
func (d *deadlineRequest) read() (in time.Duration, at time.Time, err error) {
	if d.ExpiresAt != nil {
		if at = *d.ExpiresAt; at.IsZero() {
			return 0, at, invalidField("expires_at", at.Format(time.RFC3339), "a time from now on")
		}
	}
	if d.ExpiresIn != nil {
		in, err = seconds("expires_in", *d.ExpiresIn)
	}
	return in, at, err
}

func (r *reservationRequest) engine(key string) (engine.ReserveRequest, error) {
	out := engine.ReserveRequest{
		Lines: linesOf(r.Lines), Partial: r.Partial, Channel: r.Channel, Reference: r.Reference, Key: key,
	}
	var err error
	if r.ID != nil {
		if out.ID, err = engine.ParseID(*r.ID); err != nil {
			return out, err
		}
	}
	if r.HoldUntil != nil {
		if out.HoldUntil, err = r.HoldUntil.read(); err != nil {
			return out, err
		}
	}
	if r.Near != nil {
		out.Find = new(engine.FindLocation)
		if out.Find.Near, out.Find.Filter, err = r.findRequest.read(); err != nil {
			return out, err
		}
	} else if field := r.findRequest.given(); field != "" {
		return out, invalidField(field, "given", "near beside it")
	}
	out.ExpiresIn, out.ExpiresAt, err = r.deadlineRequest.read()
	return out, err
}

// holdUntilRequest is a deadline by the opening hours of the location.
type holdUntilRequest struct {
	OpenDay       int64 `json:"closing_of_open_day"`
	MinutesBefore int64 `json:"minutes_before"`
}

func (h *holdUntilRequest) read() (*engine.HoldUntil, error) {
	if h.OpenDay < 1 || h.OpenDay > engine.OpenDayMax {
		return nil, invalidField("hold_until.closing_of_open_day", strconv.FormatInt(h.OpenDay, 10), "1 to "+itoa(engine.OpenDayMax))
	}
	if h.MinutesBefore < 0 || h.MinutesBefore > 1440 {
		return nil, invalidField("hold_until.minutes_before", strconv.FormatInt(h.MinutesBefore, 10), "0 to 1440")
	}
	return &engine.HoldUntil{OpenDay: int(h.OpenDay), Before: time.Duration(h.MinutesBefore) * time.Minute}, nil
}

// holdSecondsMax is engine.HoldMax in seconds.
const holdSecondsMax = int64(engine.HoldMax / time.Second)

// seconds turns a number of seconds into a duration that a hold can have.
func seconds(field string, n int64) (time.Duration, error) {
	if n < 1 || n > holdSecondsMax {
		return 0, invalidField(field, itoa(int(n)), "1 to 2678400 seconds")
	}
	return time.Duration(n) * time.Second, nil
}

// postReservation holds every line of a basket, or says why it can't.
func (s *Server) postReservation(c *call) error {
	var in reservationRequest
	if err := s.decode(c, &in); err != nil {
		return err
	}
	key, err := c.idempotencyKey()
	if err != nil {
		return err
	}
	request, err := in.engine(key)
	if err != nil {
		return err
	}
	request.Owner = c.principal
	r, err := s.engine.Reserve(&request)
	if err != nil {
		return err
	}
	c.out = append(c.out, "/v1/reservations/"...)
	c.out = engine.AppendID(c.out, r.ID)
	c.ctx.Response.Header.SetBytesV(fasthttp.HeaderLocation, c.out)
	c.out = appendReservation(c.out[:0], &r)
	c.json(fasthttp.StatusCreated)
	return nil
}

// batchMax is the most reservations in one request.
const batchMax = 1000

type batchRequest struct {
	Reservations []reservationRequest `json:"reservations"`
}

// postReservationBatch carries out many independent reservations, each with a result of its own.
func (s *Server) postReservationBatch(c *call) error {
	var in batchRequest
	if err := s.decode(c, &in); err != nil {
		return err
	}
	if n := len(in.Reservations); n == 0 || n > batchMax {
		return invalidField("reservations", itoa(n)+" reservations", "1 to "+itoa(batchMax))
	}
	key, err := c.idempotencyKey()
	if err != nil {
		return err
	}
	requests := make([]engine.ReserveRequest, 0, len(in.Reservations))
	problems := make(map[int]error)
	for i := range in.Reservations {
		itemKey := key
		if key != "" {
			itemKey += "#" + itoa(i)
		}
		request, err := in.Reservations[i].engine(itemKey)
		if err != nil {
			problems[i] = err
			continue
		}
		request.Owner = c.principal
		requests = append(requests, request)
	}
	results := s.engine.ReserveBatch(nil, requests)
	c.out = append(c.out, `{"results":[`...)
	for i := range in.Reservations {
		if i > 0 {
			c.out = append(c.out, ',')
		}
		var result engine.ReserveResult
		if err, broken := problems[i]; broken {
			result.Err = err
		} else {
			result, results = results[0], results[1:]
		}
		c.out = appendBatchResult(c.out, &result)
	}
	c.out = append(c.out, `]}`...)
	c.json(fasthttp.StatusOK)
	return nil
}

func appendBatchResult(dst []byte, r *engine.ReserveResult) []byte {
	if r.Err != nil {
		p := problemOf(r.Err)
		dst = append(dst, `{"status":`...)
		dst = append(dst, itoa(p.status)...)
		dst = p.append(appendMember(dst, "problem"))
		return append(dst, '}')
	}
	dst = append(dst, `{"status":201,"reservation":`...)
	dst = appendReservation(dst, &r.Reservation)
	return append(dst, '}')
}

func (s *Server) answerReservation(c *call, r *engine.Reservation) {
	c.out = appendReservation(c.out, r)
	c.json(fasthttp.StatusOK)
}

// getReservation answers with a reservation, live or ended.
func (s *Server) getReservation(c *call) error {
	id, err := engine.ParseID(c.params[0])
	if err != nil {
		return err
	}
	r, err := s.engine.Reservation(id)
	if err != nil {
		return err
	}
	s.answerReservation(c, &r)
	return nil
}

type finishRequest struct {
	Lines []lineRequest `json:"lines"`
}

func (s *Server) postCommit(c *call) error  { return s.finish(c, s.engine.Commit) }
func (s *Server) postRelease(c *call) error { return s.finish(c, s.engine.Release) }

// finish commits or releases a reservation or some of its lines. It takes an empty body for all of it.
func (s *Server) finish(c *call, do func(*engine.FinishRequest) (engine.Reservation, error)) error {
	id, err := engine.ParseID(c.params[0])
	if err != nil {
		return err
	}
	var in finishRequest
	if body, err := s.body(c); err != nil {
		return err
	} else if len(body) > 0 {
		if err := s.decode(c, &in); err != nil {
			return err
		}
		if in.Lines != nil && len(in.Lines) == 0 {
			return invalidField("lines", "empty", "at least one line, or no lines at all for the whole reservation")
		}
	}
	key, err := c.idempotencyKey()
	if err != nil {
		return err
	}
	r, err := do(&engine.FinishRequest{ID: id, Lines: linesOf(in.Lines), Key: key})
	if err != nil {
		return err
	}
	s.answerReservation(c, &r)
	return nil
}

// postExtend moves a reservation's deadline to a later time.
func (s *Server) postExtend(c *call) error {
	id, err := engine.ParseID(c.params[0])
	if err != nil {
		return err
	}
	var deadline deadlineRequest
	if err := s.decode(c, &deadline); err != nil {
		return err
	}
	in, at, err := deadline.read()
	if err != nil {
		return err
	}
	key, err := c.idempotencyKey()
	if err != nil {
		return err
	}
	r, err := s.engine.Extend(id, in, at, key)
	if err != nil {
		return err
	}
	s.answerReservation(c, &r)
	return nil
}

// reservationsPage is the standard page of a listing of reservations.
const reservationsPage = 100

// listReservations lists reservations by location, state and reference.
func (s *Server) listReservations(c *call) error {
	filter := engine.ReservationFilter{Location: c.query.value("location"), Reference: c.query.value("reference")}
	var err error
	if text := c.query.value("state"); text != "" {
		if filter.State, err = engine.ParseState(text); err != nil {
			return err
		}
	}
	limit, err := c.query.limit(reservationsPage)
	if err != nil {
		return err
	}
	var cursor engine.ReservationCursor
	if text := c.query.value("cursor"); text != "" {
		raw, err := base64.RawURLEncoding.DecodeString(text)
		if err == nil {
			cursor, err = engine.ParseReservationCursor(raw)
		}
		if err != nil || encodeCursor(&cursor) != text {
			return invalidField("cursor", quoteShort([]byte(text)), "the next_cursor of an earlier answer")
		}
	}
	page, next, err := s.engine.Reservations(filter, cursor, limit)
	if err != nil {
		return err
	}
	c.out = append(c.out, `{"reservations":[`...)
	for i := range page {
		if i > 0 {
			c.out = append(c.out, ',')
		}
		c.out = appendReservation(c.out, &page[i])
	}
	c.out = append(c.out, ']')
	if !next.Done() {
		c.out = appendText(c.out, "next_cursor", encodeCursor(&next))
	}
	c.out = append(c.out, '}')
	c.json(fasthttp.StatusOK)
	return nil
}

func encodeCursor(c *engine.ReservationCursor) string {
	return base64.RawURLEncoding.EncodeToString(c.AppendBinary(nil))
}
