package server

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"onhand/engine"
)

const (
	// changesPage is the standard number of changes in one answer of the long poll, and changesMax the most.
	changesPage = 10_000
	changesMax  = 1_000_000
	// changesWait is how long the long poll waits for a first change, in seconds, and changesWaitMax the most.
	changesWait    = 30
	changesWaitMax = 300
	// feedBufferBytes is how much of the feed is read ahead of a reader: what a slow one can cost.
	feedBufferBytes = 256 << 10
	// heartbeat is how often an event stream without events says that it is alive.
	heartbeat = 15 * time.Second
	// feedRest is how long a reader that has caught up waits for more to come together before the next look.
	feedRest = 5 * time.Millisecond
)

// getChanges answers with the changes after a sequence: as lines of JSON, until there are no more or limit is reached,
// waiting for a first one; or as an event stream that goes on. With snapshot=true it begins with the present state.
func (s *Server) getChanges(c *call) error {
	f, err := s.feedOf(c)
	if err != nil {
		return err
	}
	h := &c.ctx.Response.Header
	h.Set(fasthttp.HeaderCacheControl, "no-store")
	if f.events {
		h.SetContentType("text/event-stream")
	} else {
		h.SetContentType("application/x-ndjson")
	}
	c.ctx.Response.ImmediateHeaderFlush = true // the first change may be long in coming
	s.stream(c, f.write)
	return nil
}

// feed is one reader of the change feed.
type feed struct {
	s        *Server
	events   bool // as text/event-stream
	snapshot bool
	after    uint64
	limit    int
	wait     time.Duration

	out  *streamWriter
	text []byte
}

func (s *Server) feedOf(c *call) (*feed, error) {
	f := &feed{s: s}
	f.events = acceptsEvents(c.ctx.Request.Header.Peek(fasthttp.HeaderAccept))
	var err error
	if f.snapshot, err = c.query.boolean("snapshot"); err != nil {
		return nil, err
	}
	if f.after, err = c.query.number("after", 0, 1<<56, 0); err != nil {
		return nil, err
	}
	if last := c.ctx.Request.Header.Peek("Last-Event-ID"); len(last) > 0 && f.events {
		if f.after, err = strconv.ParseUint(string(last), 10, 56); err != nil {
			return nil, invalidField("Last-Event-ID", quoteShort(last), "the id of an event")
		}
		f.snapshot = false // it has been sent
	}
	if f.snapshot && c.query.has("after") {
		return nil, invalidField("after", c.query.value("after"), "nothing with snapshot=true, which begins with the present state")
	}
	limit, err := c.query.number("limit", 1, changesMax, changesPage)
	if err != nil {
		return nil, err
	}
	wait, err := c.query.number("wait", 0, changesWaitMax, changesWait)
	if err != nil {
		return nil, err
	}
	f.limit, f.wait = int(limit), time.Duration(wait)*time.Second
	if f.snapshot {
		return f, nil
	}
	return f, s.checkRetained(f.after)
}

// checkRetained refuses a sequence that the feed can't go on from, before the answer has begun.
func (s *Server) checkRetained(after uint64) error {
	first, err := s.engine.FirstRetained()
	if err != nil {
		return err
	}
	if after+1 < first {
		return engine.ErrNotRetained
	}
	if last := s.engine.Durable(); after > last {
		return invalidField("after", strconv.FormatUint(after, 10), "at most the last sequence, "+strconv.FormatUint(last, 10))
	}
	return nil
}

func acceptsEvents(accept []byte) bool { return bytes.Contains(accept, []byte("text/event-stream")) }

func (f *feed) write(w *streamWriter) error {
	f.out = w
	if f.snapshot {
		if err := f.writeSnapshot(); err != nil || !f.events {
			return err
		}
	}
	if f.events {
		return f.follow()
	}
	ctx, cancel := context.WithTimeout(f.s.context, f.wait)
	defer cancel()
	if err := f.await(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // nothing has happened
		}
		return err
	}
	for left := f.limit; left > 0; {
		n, err := f.batch(left)
		if err != nil || n == 0 {
			return err
		}
		left -= n
	}
	return nil
}

// hangupInterval is how often a reader that has nothing to read is looked at, whether it is still there.
const hangupInterval = 500 * time.Millisecond

var errHungUp = errors.New("the reader has hung up")

// await waits for a change to write. It returns ctx's error where that ends first, and fails where the reader hangs up:
// its place is for others.
func (f *feed) await(ctx context.Context) error {
	for {
		look, cancel := context.WithTimeout(ctx, hangupInterval)
		err := f.s.engine.WaitChanges(look, f.after)
		cancel()
		if err == nil || ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		if hungUp(f.out.conn) {
			return errHungUp
		}
	}
}

// follow writes events until the reader goes away or the server stops.
func (f *feed) follow() error {
	for {
		ctx, cancel := context.WithTimeout(f.s.context, heartbeat)
		err := f.await(ctx)
		cancel()
		switch {
		case f.s.context.Err() != nil:
			return nil
		case errors.Is(err, context.DeadlineExceeded):
			if _, err := f.out.WriteString(": alive\n\n"); err != nil {
				return err
			}
			if err := f.out.Flush(); err != nil {
				return err
			}
			continue
		case err != nil:
			return err
		}
		n, err := f.batch(changesMax)
		if err != nil {
			return err
		}
		if n < feedRestBelow {
			// A reader that is woken for every block would cost as much as the writers; let a few come together.
			time.Sleep(feedRest)
		}
	}
}

// feedRestBelow is the batch size below which a following reader rests.
const feedRestBelow = 1000

// batch writes some of the next changes and returns how many. They are first read into memory, up to feedBufferBytes,
// and then written: while a slow reader is waited for, nothing of the journal is held.
func (f *feed) batch(most int) (n int, err error) {
	f.text = f.text[:0]
	err = f.s.engine.Changes(f.after, func(change *engine.Change) error {
		if f.events {
			f.text = append(f.text, "id: "...)
			f.text = strconv.AppendUint(f.text, change.Sequence, 10)
			f.text = append(f.text, "\nevent: "...)
			f.text = append(f.text, change.Kind...)
			f.text = append(f.text, "\ndata: "...)
			f.text = appendChange(f.text, change, nil)
			f.text = append(f.text, "\n\n"...)
		} else {
			f.text = append(appendChange(f.text, change, nil), '\n')
		}
		f.after = change.Sequence
		n++
		if n == most || len(f.text) >= feedBufferBytes {
			return engine.ErrEnough
		}
		return nil
	})
	if err != nil {
		return n, err
	}
	if _, err := f.out.Write(f.text); err != nil {
		return n, err
	}
	return n, f.out.Flush()
}

// writeSnapshot writes the present state, each item as a line or event of its own, and at the end the sequence after
// which the changes carry it on.
func (f *feed) writeSnapshot() error {
	item := func(kind string, value func(dst []byte) []byte) error {
		f.text = f.text[:0]
		if f.events {
			f.text = append(f.text, "event: snapshot."+kind+"\ndata: "...)
		}
		f.text = append(f.text, `{"type":"snapshot.`+kind+`","`+kind+`":`...)
		f.text = append(value(f.text), '}', '\n')
		if f.events {
			f.text = append(f.text, '\n')
		}
		_, err := f.out.Write(f.text)
		return err
	}
	sequence, err := f.s.engine.Snapshot(engine.Snapshot{
		Location: func(l *engine.Location) error {
			return item("location", func(dst []byte) []byte { return appendLocation(dst, l) })
		},
		SKU: func(s *engine.SKU) error {
			return item("sku", func(dst []byte) []byte { return appendSKU(dst, s) })
		},
		Cell: func(cell *engine.Cell) error {
			return item("cell", func(dst []byte) []byte { return append(appendStock(dst, cell), '}') })
		},
		Reservation: func(r *engine.Reservation) error {
			return item("reservation", func(dst []byte) []byte { return appendReservation(dst, r) })
		},
		Transfer: func(t *engine.Transfer) error {
			return item("transfer", func(dst []byte) []byte { return appendTransfer(dst, t) })
		},
		Order: func(o *engine.Order) error {
			return item("order", func(dst []byte) []byte { return appendOrder(dst, o, false, nil) })
		},
	})
	if err != nil {
		return err
	}
	f.after = sequence
	f.text = f.text[:0]
	if f.events {
		f.text = append(f.text, "id: "...)
		f.text = strconv.AppendUint(f.text, sequence, 10)
		f.text = append(f.text, "\nevent: snapshot.end\ndata: "...)
	}
	f.text = append(f.text, `{"type":"snapshot.end","sequence":`...)
	f.text = strconv.AppendUint(f.text, sequence, 10)
	f.text = append(f.text, '}', '\n')
	if f.events {
		f.text = append(f.text, '\n')
	}
	if _, err := f.out.Write(f.text); err != nil {
		return err
	}
	return f.out.Flush()
}
