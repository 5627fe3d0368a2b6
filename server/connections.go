package server

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// connections is a listener that bounds how many connections are open, in all and by address, and knows them, so that a
// stop can end those that don't end by themselves.
type connections struct {
	net.Listener
	max, perIP int
	tls        *tls.Config // nil = none
	idle       time.Duration
	request    time.Duration // how long a request may take to arrive
	refused    func()
	closing    sync.Once
	aside      atomic.Int64 // connections that linger without being counted in open

	// mu guards what follows. It is a leaf, taken once when a connection opens and once when it closes.
	mu   sync.Mutex
	open map[*connection]struct{}
	byIP map[netip.Addr]int
}

// connection is an accepted connection that is counted until it is closed.
type connection struct {
	net.Conn
	in    *connections
	ip    netip.Addr
	first firstByte
	readEnd
	lingering
	reading, writing deadline
}

// firstByte is how far a connection without TLS is from its first request. It is used by whoever reads.
type firstByte uint8

const (
	notAwaited firstByte = iota // it has come, or the TLS handshake is in its place
	fresh                       // nobody has asked for it
	awaited
)

// secureConnection is TLS on top of one.
type secureConnection struct {
	*tls.Conn
	readEnd
}

// readEnd remembers whether the other side has ended its sending. It is used by whoever reads.
type readEnd struct{ seen bool }

func (e *readEnd) note(n int, err error) (int, error) {
	e.seen = e.seen || errors.Is(err, io.EOF)
	return n, err
}

func (e *readEnd) endSeen() bool { return e.seen }

// SetReadDeadline implements net.Conn. fasthttp gives a new connection the time of a request for its first byte, and says
// 408 after it. But a client may well open connections before it needs them: such a one is kept as one that has had its
// first request is, and closed without a word.
func (c *connection) SetReadDeadline(t time.Time) error {
	if c.first == fresh {
		c.first = awaited
		t = time.Now().Add(c.in.idle)
	}
	return c.reading.set(t)
}

// SetWriteDeadline implements net.Conn.
func (c *connection) SetWriteDeadline(t time.Time) error { return c.writing.set(t) }

// SetDeadline implements net.Conn.
func (c *connection) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

func (c *connection) Read(p []byte) (n int, err error) {
	for {
		n, err = c.Conn.Read(p)
		if err == nil || n > 0 || !c.reading.early(err) {
			break
		}
	}
	if c.first == awaited {
		if n > 0 {
			c.first = notAwaited
			err = errors.Join(err, c.reading.set(time.Now().Add(c.in.request)))
		} else if errors.Is(err, os.ErrDeadlineExceeded) {
			err = io.EOF
		}
	}
	return c.note(n, err)
}

func (c *connection) Write(p []byte) (n int, err error) {
	for {
		var part int
		part, err = c.Conn.Write(p[n:])
		if n += part; err == nil || !c.writing.early(err) {
			return n, err
		}
	}
}

func (c *secureConnection) Read(p []byte) (int, error) { return c.note(c.Conn.Read(p)) }

func newConnections(ln net.Listener, o *Options, refused func()) *connections {
	return &connections{
		Listener: ln, max: o.ConnectionsMax, perIP: o.ConnectionsPerIPMax, tls: o.TLS, idle: o.IdleTimeout, request: o.ReadTimeout, refused: refused,
		open: make(map[*connection]struct{}), byIP: make(map[netip.Addr]int),
	}
}

// Accept implements net.Listener. Connections beyond a limit are told so and closed.
func (cs *connections) Accept() (net.Conn, error) {
	for {
		accepted, err := cs.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := cs.wrap(accepted)
		if tcp, ok := accepted.RemoteAddr().(*net.TCPAddr); ok {
			c.ip = tcp.AddrPort().Addr().Unmap()
		}
		p := cs.add(c)
		switch {
		case p == nil && cs.tls == nil:
			c.first = fresh
			return c, nil
		case p == nil:
			return &secureConnection{Conn: tls.Server(c, cs.tls)}, nil
		}
		cs.refused()
		if cs.tls == nil { // with TLS nothing can be said before the handshake, which would have to be waited for
			answerBare(accepted, p)
			c.lingerAside()
			continue
		}
		_ = accepted.Close()
	}
}

func (cs *connections) wrap(conn net.Conn) *connection {
	c := &connection{Conn: conn, in: cs}
	c.reading.give, c.writing.give = conn.SetReadDeadline, conn.SetWriteDeadline
	return c
}

func (cs *connections) add(c *connection) *problem {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	switch {
	case len(cs.open) >= cs.max:
		return &problem{
			status: fasthttp.StatusServiceUnavailable, kind: "overloaded", title: "Too many connections",
			detail: fmt.Sprintf("at most %d are kept open", cs.max), retryAfter: 1,
		}
	case cs.perIP > 0 && cs.byIP[c.ip] >= cs.perIP:
		return &problem{
			status: fasthttp.StatusTooManyRequests, kind: "overloaded", title: "Too many connections from one address",
			detail: fmt.Sprintf("at most %d are kept open", cs.perIP), retryAfter: 1,
		}
	}
	cs.open[c] = struct{}{}
	cs.byIP[c.ip]++
	return nil
}

// Close implements net.Conn. It may be called more than once.
func (c *connection) Close() error {
	if c.unread.Load() {
		c.once.Do(func() { go c.linger() })
		return nil
	}
	return c.cut()
}

// cut closes the connection at once.
func (c *connection) cut() error {
	c.in.remove(c)
	return c.Conn.Close()
}

func (cs *connections) remove(c *connection) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if _, open := cs.open[c]; !open {
		return
	}
	delete(cs.open, c)
	if cs.byIP[c.ip]--; cs.byIP[c.ip] == 0 {
		delete(cs.byIP, c.ip)
	}
}

// NetConn returns the connection below, as tls.Conn does.
func (c *connection) NetConn() net.Conn { return c.Conn }

// Close implements net.Listener. It may be called more than once.
func (cs *connections) Close() (err error) {
	cs.closing.Do(func() { err = cs.Listener.Close() })
	return err
}

// closeAll closes every connection, whatever is under way on it.
func (cs *connections) closeAll() error {
	cs.mu.Lock()
	all := make([]*connection, 0, len(cs.open))
	for c := range cs.open {
		all = append(all, c)
	}
	cs.mu.Unlock()
	var errs []error
	for _, c := range all {
		errs = append(errs, c.cut())
	}
	return errors.Join(errs...)
}

// bareTimeout is how long a bare answer may take. It fits into the socket's buffer, so it takes no time at all.
const bareTimeout = time.Second

// answerBare writes a problem to a connection that no request has been read from.
func answerBare(conn net.Conn, p *problem) {
	body := p.append(nil)
	var out strings.Builder
	fmt.Fprintf(&out, "HTTP/1.1 %d %s\r\nServer: onhand\r\nConnection: close\r\n", p.status, fasthttp.StatusMessage(p.status))
	fmt.Fprintf(&out, "Content-Type: %s\r\nContent-Length: %d\r\n", contentProblem, len(body))
	if p.retryAfter > 0 {
		fmt.Fprintf(&out, "%s: %d\r\n", fasthttp.HeaderRetryAfter, p.retryAfter)
	}
	out.WriteString("\r\n")
	out.Write(body)
	_ = conn.SetWriteDeadline(time.Now().Add(bareTimeout))
	_, _ = conn.Write([]byte(out.String())) // whoever does not take it is cut off either way
}
