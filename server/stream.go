package server

import (
	"bufio"
	"io"
	"net"
	"time"
)

// stream answers with a body that write makes piece by piece, in a goroutine of its own, for as long as it takes. The
// request's place in its lane is given back when write returns. An error that comes up on the way can no longer be told
// to the client but by cutting the body short: the connection is closed without the last chunk, which every HTTP client
// notices.
func (s *Server) stream(c *call, write func(w *streamWriter) error) {
	w := &streamWriter{conn: c.ctx.Conn(), timeout: s.options.WriteTimeout, server: s}
	leave := c.leave
	c.leave = nil
	s.background.Add(1)
	c.ctx.SetBodyStreamWriter(func(out *bufio.Writer) {
		defer s.background.Done()
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

// Write implements io.Writer, sending whole buffers as they fill up.
func (w *streamWriter) Write(p []byte) (int, error) {
	if w.Available() < len(p) {
		if err := w.Flush(); err != nil {
			return 0, err
		}
		if err := w.conn.SetWriteDeadline(time.Now().Add(w.timeout)); err != nil {
			return 0, err
		}
	}
	return w.Writer.Write(p)
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
