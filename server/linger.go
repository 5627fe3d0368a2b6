package server

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// lingering is how a connection ends on which a client may still be sending: with the whole answer, the end of our
// sending, and then for a while whatever comes, unread. Were it closed at once, what comes would be answered with a reset,
// and a reset takes from the client the answer that it has not read yet: an upload that is refused would look like a
// network that fails (RFC 9112, section 9.6).
type lingering struct {
	// unread says that the body of the last request that had one, or what stood in its place, was not read to its end.
	unread atomic.Bool
	once   sync.Once
}

// lingerTimeout is how long a client may go on sending after its answer. It still counts as a connection.
const lingerTimeout = 5 * time.Second

// linger closes the connection once the client has closed its side, or has had its time.
func (c *connection) linger() {
	cut := time.AfterFunc(lingerTimeout, func() { _ = c.cut() })
	defer cut.Stop()
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil && c.Conn.SetReadDeadline(time.Time{}) == nil {
		_, _ = io.Copy(io.Discard, c.Conn) // its error is the end that was waited for
	}
	_ = c.cut()
}

// asideMax is how many connections beyond the limit linger at a time. Any more are closed at once, whatever becomes of
// their answer.
const asideMax = 256

// lingerAside closes a connection that was refused with an answer, whose client is about to send its first request.
func (c *connection) lingerAside() {
	if c.in.aside.Add(1) > asideMax {
		c.in.aside.Add(-1)
		_ = c.cut()
		return
	}
	go func() {
		defer c.in.aside.Add(-1)
		c.linger()
	}()
}

// leaveUnread notes whether a client may still be sending what nobody will read.
func leaveUnread(conn net.Conn, unread bool) {
	for {
		if c, ok := conn.(*connection); ok {
			c.unread.Store(unread)
			return
		}
		outer, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return
		}
		conn = outer.NetConn()
	}
}
