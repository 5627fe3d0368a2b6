package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"
)

// Target is where a drive connects to, and how.
type Target struct {
	Address     string        // host:port
	TLS         *tls.Config   // nil: without
	Connections int           // at least 1
	Timeout     time.Duration // how long to wait for an answer, or for a connection to be made; at least 1 ms
	// Pipeline is how many requests may be under way on a connection, one sent behind the other; 0 = 1. More need Linux, and no
	// TLS. To the exchange each connection is then as many.
	Pipeline int
	// Greet, where there is one, talks to the server on each new connection before its first request.
	Greet func(net.Conn) error
}

// Exchange is the other half of a drive. Its methods, but for Frame, are called by one goroutine. Times are those since the
// drive began.
type Exchange interface {
	// Next appends the next request to dst, for a connection that is free; ok is false while none is due.
	Next(connection int, now time.Duration, dst []byte) (request []byte, ok bool)
	// Wait returns how long to wait at most before Next is asked again, if no answer arrives first; more is false when there
	// will be no further request, whatever is answered. It is asked at least each waitMax, also while there is no connection
	// to ask Next for: it is here that an exchange gives up what it can't send, without which a drive would not outlive the
	// server's end.
	Wait(now time.Duration) (wait time.Duration, more bool)
	// Frame returns the length of the answer at the beginning of in, or 0 while it is not whole. It may be called by any
	// goroutine.
	Frame(in []byte) (int, error)
	// Answered is told the answer to the request under way on a connection. It may not keep the answer. It returns whether
	// the connection can be used again; one that the server is about to close is made anew.
	Answered(connection int, now time.Duration, answer []byte) (again bool)
	// Failed is told that there will be no answer to the request under way on a connection: whether it took effect is not
	// known. The connection is made anew.
	Failed(connection int, now time.Duration, err error)
}

// Errors of a request under way.
var (
	ErrTimeout = errors.New("timeout")
	ErrClosed  = errors.New("connection closed by the server")
)

// redialPause is the time between attempts to make a connection anew.
const redialPause = 50 * time.Millisecond

// scanInterval is how often requests under way are looked at for those that have waited too long.
const scanInterval = 50 * time.Millisecond

// waitMax bounds a wait for answers, so that a stop asked for is noticed, and what can't be sent is given up.
const waitMax = 20 * time.Millisecond

// dial makes a connection.
func (t *Target) dial() (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), max(t.Timeout, time.Millisecond))
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", t.Address)
	if err != nil {
		return nil, err
	}
	if t.TLS != nil {
		secure := tls.Client(conn, t.TLS)
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		conn = secure
	}
	if t.Greet != nil {
		if err := t.Greet(conn); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return conn, nil
}

// PipelineMax bounds [Target.Pipeline]: what is sent in one piece must fit into a socket's buffers.
const PipelineMax = 64

// check refuses what makes no sense, and fills in what was left out.
func (t *Target) check() error {
	if t.Pipeline == 0 {
		t.Pipeline = 1
	}
	if t.Pipeline < 1 || t.Pipeline > PipelineMax {
		return fmt.Errorf("pipeline is %d, want from 1 to %d", t.Pipeline, PipelineMax)
	}
	if t.Connections < 1 {
		return fmt.Errorf("connections is %d, want at least 1", t.Connections)
	}
	return nil
}
