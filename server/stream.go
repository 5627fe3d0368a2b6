package server

import (
	"bufio"
	"errors"
	"io"
	"net"
	"time"
)

// stream answers with a body that write makes piece by piece, in a goroutine of its own, for as long as it takes. The
// request's place in its lane is given back when write returns. An error that comes up on the way can no longer be told
// to the client but by cutting the body short: the connection is closed without the last chunk, which every HTTP client
// notices.
//
// A HEAD request is answered without a body, so without beginning to make one.
func (s *Server) stream(c *call, write func(w *streamWriter) error) {
	if c.ctx.IsHead() {
		return
	}
	w := &streamWriter{conn: c.ctx.Conn(), timeout: s.options.WriteTimeout, server: s}
	leave := c.leave
	c.leave = nil
	s.streaming.Add(1)
	c.ctx.SetBodyStreamWriter(func(out *bufio.Writer) {
		defer s.streaming.Add(-1)
		defer leave()
		w.Writer = out
		err := write(w)
		if err == nil {
			err = w.Flush()
		}
		if err != nil {
			s.options.Log.Debug("stream ended early", "error", err)
			_ = w.conn.Close()
		}
	})
}

// streamWriter writes a streamed body. Each part has the write timeout to itself.
type streamWriter struct {
	*bufio.Writer
	conn    net.Conn
	timeout time.Duration
	server  *Server
}

// Flush sends what was written.
func (w *streamWriter) Flush() error {
	if err := w.conn.SetWriteDeadline(time.Now().Add(w.timeout)); err != nil {
		return err
	}
	return w.Writer.Flush()
}

// partBytes is the most that is written at a time. A few parts lie between a stream and its connection, so it also bounds
// what a slow reader costs.
const partBytes = 32 << 10

// Write implements io.Writer, sending whole buffers as they fill up.
func (w *streamWriter) Write(p []byte) (n int, err error) {
	for len(p) > partBytes && err == nil {
		var part int
		part, err = w.write(p[:partBytes])
		n += part
		p = p[partBytes:]
	}
	if err != nil {
		return n, err
	}
	part, err := w.write(p)
	return n + part, err
}

func (w *streamWriter) write(p []byte) (int, error) {
	if w.Available() < len(p) {
		if err := w.Flush(); err != nil {
			return 0, err
		}
	}
	return w.Writer.Write(p)
}

// bodyReader reads a request's body as it arrives. Reading fails where the client stops before the end that its headers
// or chunks promised: what has arrived could be half a number.
type bodyReader struct {
	stream io.Reader
	left   int64       // bytes to come, or -1 where the body ends itself (chunked)
	ended  func() bool // whether the client has stopped sending
	call   *call
}

// bodyStream returns a reader of the body, or nil where the body has arrived whole.
func (c *call) bodyStream() io.Reader {
	stream := c.ctx.RequestBodyStream()
	if stream == nil {
		return nil
	}
	r := &bodyReader{stream: stream, left: int64(max(c.ctx.Request.Header.ContentLength(), -1)), call: c}
	if conn, ok := c.ctx.Conn().(interface{ endSeen() bool }); ok {
		r.ended = conn.endSeen
	}
	return r
}

// Read implements io.Reader. fasthttp takes a connection that ends for a body that does. One that ends between two chunks
// is told by the connection: nobody would have read on to its end had the last chunk been there.
func (r *bodyReader) Read(p []byte) (int, error) {
	n, err := r.stream.Read(p)
	if r.left >= 0 {
		r.left -= int64(n)
	}
	if errors.Is(err, io.EOF) {
		r.call.bodyEnded = true
		if r.left > 0 || r.left < 0 && r.ended != nil && r.ended() {
			err = io.ErrUnexpectedEOF
		}
	}
	return n, err
}

// deadlineReader reads a request's body with the read timeout for each part instead of for the whole.
type deadlineReader struct {
	io.Reader
	conn    net.Conn
	timeout time.Duration
}

func (r *deadlineReader) Read(p []byte) (int, error) {
	if err := r.conn.SetReadDeadline(time.Now().Add(r.timeout)); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}
