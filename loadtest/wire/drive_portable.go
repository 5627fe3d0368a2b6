package wire

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

var errNoPipeline = errors.New("more than one request under way on a connection needs Linux, and no TLS")

// drivePortable is Drive with a goroutine for each connection.
func drivePortable(t Target, e Exchange) error {
	if t.Pipeline > 1 {
		return fmt.Errorf("pipeline is %d, want 1: %w", t.Pipeline, errNoPipeline)
	}
	p := &portable{target: t, exchange: e, events: make(chan event, t.Connections)}
	for range t.Connections {
		conn, err := t.dial()
		if err != nil {
			p.close()
			return err
		}
		c := &channel{number: len(p.channels), requests: make(chan []byte, 1), conn: conn}
		p.channels = append(p.channels, c)
		p.free = append(p.free, c.number)
	}
	p.began = time.Now()
	for _, c := range p.channels {
		go p.serve(c)
	}
	p.run()
	p.close()
	return nil
}

type portable struct {
	target   Target
	exchange Exchange
	began    time.Time
	channels []*channel
	free     []int
	busy     int
	events   chan event // from the goroutines of the connections to the one that calls the exchange
}

// channel is a connection with its goroutine, which owns everything in it but requests and out.
type channel struct {
	number   int
	requests chan []byte // nil: the connection can't be used again
	out      []byte      // written by the caller of the exchange, while no request is under way
	conn     net.Conn
	in       []byte
}

// event is the end of a request, or, with again, that a connection is there again after it had failed.
type event struct {
	number int
	answer []byte
	at     time.Duration
	err    error
	again  bool
}

// close ends the goroutines of the connections, each of which is waiting for a request.
func (p *portable) close() {
	for _, c := range p.channels {
		close(c.requests)
	}
}

func (p *portable) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		now := time.Since(p.began)
		for len(p.free) > 0 {
			number := p.free[len(p.free)-1]
			c := p.channels[number]
			out, ok := p.exchange.Next(number, now, c.out[:0])
			if c.out = out; !ok {
				break
			}
			p.free = p.free[:len(p.free)-1]
			p.busy++
			c.requests <- out
		}
		wait, more := p.exchange.Wait(now)
		if !more && p.busy == 0 {
			return
		}
		if !more || len(p.free) == 0 {
			wait = waitMax
		}
		timer.Reset(max(min(wait, waitMax), 0))
		select {
		case ev := <-p.events:
			p.take(ev)
		case <-timer.C:
		}
	}
}

func (p *portable) take(ev event) {
	if ev.again {
		p.free = append(p.free, ev.number)
		return
	}
	p.busy--
	if ev.err != nil {
		p.exchange.Failed(ev.number, ev.at, ev.err)
		return // it is free again when it has been made anew
	}
	if p.exchange.Answered(ev.number, ev.at, ev.answer) {
		p.free = append(p.free, ev.number)
		return
	}
	p.channels[ev.number].requests <- nil
}

// serve carries out the requests of one connection until there are no more.
func (p *portable) serve(c *channel) {
	for request := range c.requests {
		if request != nil {
			answer, err := p.exchangeOne(c, request)
			p.events <- event{number: c.number, answer: answer, err: err, at: time.Since(p.began)}
			if err == nil {
				continue
			}
		}
		_ = c.conn.Close() // it has failed already
		for {
			conn, err := p.target.dial()
			if err == nil {
				c.conn = conn
				break
			}
			select {
			case <-c.requests: // closed: nothing is sent to a connection that is not free
				return
			case <-time.After(redialPause):
			}
		}
		p.events <- event{number: c.number, again: true}
	}
	_ = c.conn.Close() // all answers have been read
}

func (p *portable) exchangeOne(c *channel, request []byte) ([]byte, error) {
	if err := c.conn.SetDeadline(time.Now().Add(p.target.Timeout)); err != nil {
		return nil, err
	}
	if _, err := c.conn.Write(request); err != nil {
		return nil, portableError(err)
	}
	c.in = c.in[:0]
	for {
		if len(c.in) == cap(c.in) {
			c.in = append(c.in, make([]byte, 16<<10)...)[:len(c.in)]
		}
		n, err := c.conn.Read(c.in[len(c.in):cap(c.in)])
		c.in = c.in[:len(c.in)+n]
		if n > 0 {
			length, err := p.exchange.Frame(c.in)
			if err == nil && length > 0 && length < len(c.in) {
				err = fmt.Errorf("the server sent more than an answer: %.200q", c.in)
			}
			if err != nil || length > 0 {
				return c.in, err
			}
		}
		if err != nil {
			return nil, portableError(err)
		}
	}
}

func portableError(err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return ErrTimeout
	case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return ErrClosed
	}
	return err
}
