package wire

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// counter is an exchange that sends so many requests and sees to it that each comes to exactly one end.
type counter struct {
	t        *testing.T
	path     func(n int) string
	requests int
	sent     int
	answered map[string]int
	failed   map[string]int
	underway map[int]string
	pause    time.Duration // between the first half of the requests and the second
	half     time.Duration
}

func (c *counter) Next(connection int, now time.Duration, dst []byte) ([]byte, bool) {
	if c.sent == c.requests || c.waits(now) > 0 {
		return dst, false
	}
	if c.underway[connection] != "" {
		c.t.Errorf("connection %d has a request under way", connection)
	}
	path := c.path(c.sent)
	c.underway[connection] = path
	if c.sent++; c.sent == c.requests/2 {
		c.half = now
	}
	return fmt.Appendf(dst, "GET %s HTTP/1.1\r\nHost: test\r\n\r\n", path), true
}

func (c *counter) waits(now time.Duration) time.Duration {
	if c.pause > 0 && c.sent == c.requests/2 {
		return c.half + c.pause - now
	}
	return 0
}

func (c *counter) Wait(now time.Duration) (time.Duration, bool) {
	return max(c.waits(now), 0), c.sent < c.requests
}

func (c *counter) Frame(in []byte) (int, error) { return FrameHTTP(in) }

func (c *counter) Answered(connection int, _ time.Duration, in []byte) bool {
	answer, err := ReadHTTP(in)
	if err != nil || !bytes.Equal(bytes.TrimRight(answer.Body, "."), []byte(c.underway[connection])) {
		c.t.Errorf("the answer to %q is %q, %v", c.underway[connection], in, err)
	}
	c.answered[c.underway[connection]]++
	c.underway[connection] = ""
	return !answer.Last()
}

func (c *counter) Failed(connection int, _ time.Duration, err error) {
	if c.underway[connection] == "" {
		c.t.Errorf("connection %d had nothing under way", connection)
	}
	switch {
	case errors.Is(err, ErrTimeout):
		c.failed["timeout"]++
	case errors.Is(err, ErrClosed):
		c.failed["closed"]++
	default:
		c.failed[err.Error()]++
	}
	c.underway[connection] = ""
}

func (c *counter) ended() (n int) {
	for _, k := range c.answered {
		n += k
	}
	for _, k := range c.failed {
		n += k
	}
	return n
}

// drivers are the ways of driving that this system has.
func drivers(t *testing.T, f func(t *testing.T, drive func(Target, Exchange) error)) {
	t.Run("native", func(t *testing.T) { f(t, Drive) })
	t.Run("portable", func(t *testing.T) { f(t, drivePortable) })
}

func newCounter(t *testing.T, requests int, path func(n int) string) *counter {
	return &counter{t: t, path: path, requests: requests, answered: make(map[string]int), failed: make(map[string]int), underway: make(map[int]string)}
}

// echo answers with the path; what else it does, the path says.
func echo(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasPrefix(r.URL.Path, "/hang"):
		select {
		case <-r.Context().Done():
		case <-time.After(2 * time.Second): // a server that has more requests on a connection does not notice its end
		}
		panic(http.ErrAbortHandler) // it never answers
	case strings.HasPrefix(r.URL.Path, "/close"):
		w.Header().Set("Connection", "close")
	case strings.HasPrefix(r.URL.Path, "/reset"):
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_ = conn.(*net.TCPConn).SetLinger(0)
			_ = conn.Close()
		}
		return
	}
	body := r.URL.Path
	if strings.HasPrefix(r.URL.Path, "/large") {
		body += strings.Repeat(".", 300<<10)
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	_, _ = w.Write([]byte(body))
}

func TestEveryRequestComesToOneEnd(t *testing.T) {
	drivers(t, func(t *testing.T, drive func(Target, Exchange) error) {
		s := httptest.NewServer(http.HandlerFunc(echo))
		defer s.Close()
		kinds := []string{"/a", "/b", "/large", "/close", "/hang", "/reset"}
		c := newCounter(t, 60, func(n int) string { return fmt.Sprintf("%s/%d", kinds[n%len(kinds)], n) })
		if err := drive(Target{Address: s.Listener.Addr().String(), Connections: 7, Timeout: time.Second}, c); err != nil {
			t.Fatal(err)
		}
		// On a machine that stands still for a second, others may be too late as well.
		if timeouts, closed := c.failed["timeout"], c.failed["closed"]; c.ended() != 60 || timeouts < 10 || timeouts+closed < 20 || timeouts+closed+len(c.answered) != 60 {
			t.Errorf("of 60 requests %d came to an end; failed: %v", c.ended(), c.failed)
		}
		for path, n := range c.answered {
			if n != 1 || strings.HasPrefix(path, "/hang") || strings.HasPrefix(path, "/reset") {
				t.Errorf("%s was answered %d times", path, n)
			}
		}
	})
}

// Requests that are sent one behind the other get their own answers, and come to one end each, also where one of them takes the
// connection with it.
func TestPipelinedRequestsComeToOneEnd(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(echo))
	defer s.Close()
	for name, kinds := range map[string][]string{
		"all are answered":        {"/a", "/large", "/b"},
		"connections break":       {"/a", "/a", "/b", "/reset", "/large", "/b", "/close"},
		"answers don't come":      {"/a", "/b", "/a", "/a", "/hang"},
		"one behind each closing": {"/close"},
	} {
		c := newCounter(t, 300, func(n int) string { return fmt.Sprintf("%s/%d", kinds[n%len(kinds)], n) })
		target := Target{Address: s.Listener.Addr().String(), Connections: 3, Pipeline: 5, Timeout: 20 * time.Second}
		if name == "answers don't come" {
			target.Timeout = 150 * time.Millisecond
		}
		if err := Drive(target, c); errors.Is(err, errNoPipeline) {
			t.Skip(err)
		} else if err != nil {
			t.Fatal(err)
		}
		if c.ended() != 300 {
			t.Errorf("%s: of 300 requests %d came to an end; failed: %v", name, c.ended(), c.failed)
		}
		if name == "all are answered" && len(c.answered) != 300 {
			t.Errorf("%s: %d were answered, failed %v", name, len(c.answered), c.failed)
		}
		if len(c.answered) == 0 {
			t.Errorf("%s: none was answered", name)
		}
		for path, n := range c.answered {
			if n != 1 {
				t.Errorf("%s: %s was answered %d times", name, path, n)
			}
		}
	}
}

// What is under way at a time is what was asked for, and it is sent in one piece where it is due at once.
func TestAPipelineIsAsDeepAsAskedFor(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	first := make(chan int, 1)
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		in := make([]byte, 64<<10)
		for round := 0; ; round++ {
			n, err := conn.Read(in)
			if err != nil {
				return
			}
			asked := bytes.Count(in[:n], []byte("\r\n\r\n"))
			if round == 0 {
				first <- asked
			}
			var out []byte
			for _, request := range bytes.SplitAfter(in[:n], []byte("\r\n\r\n")) {
				if words := bytes.Fields(request); len(words) > 1 {
					out = fmt.Appendf(out, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(words[1]), words[1])
				}
			}
			half := len(out) / 2 // in the midst of an answer
			_, _ = conn.Write(out[:half])
			time.Sleep(time.Millisecond)
			_, _ = conn.Write(out[half:])
		}
	}()
	c := newCounter(t, 35, func(n int) string { return fmt.Sprintf("/a/%d", n) })
	if err := Drive(Target{Address: ln.Addr().String(), Connections: 1, Pipeline: 7, Timeout: 5 * time.Second}, c); errors.Is(err, errNoPipeline) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	if n := <-first; n != 7 || len(c.answered) != 35 {
		t.Errorf("%d requests came first, want 7; %d of 35 were answered, failed %v", n, len(c.answered), c.failed)
	}
	for _, depth := range []int{-1, PipelineMax + 1} {
		if err := Drive(Target{Address: ln.Addr().String(), Connections: 1, Pipeline: depth, Timeout: time.Second}, c); err == nil {
			t.Errorf("a pipeline of %d was taken", depth)
		}
	}
}

// A connection that the server closes while nothing is under way costs no request.
func TestAnIdleConnectionThatBreaksIsMadeAnew(t *testing.T) {
	drivers(t, func(t *testing.T, drive func(Target, Exchange) error) {
		var open atomic.Int64
		s := httptest.NewUnstartedServer(http.HandlerFunc(echo))
		s.Config.IdleTimeout = 300 * time.Millisecond
		s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				open.Add(1)
			}
		}
		s.Start()
		defer s.Close()
		c := newCounter(t, 20, func(n int) string { return fmt.Sprintf("/a/%d", n) })
		c.pause = 1500 * time.Millisecond
		if err := drive(Target{Address: s.Listener.Addr().String(), Connections: 1, Timeout: 5 * time.Second}, c); err != nil {
			t.Fatal(err)
		}
		// The portable driver does not look at idle connections, and may lose each request that finds it broken: one, and more on a
		// machine that stands still.
		if c.ended() != 20 || len(c.answered) < 15 || open.Load() < 2 {
			t.Errorf("%d were answered, failed %v, over %d connections", len(c.answered), c.failed, open.Load())
		}
	})
}

func TestTLS(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(echo))
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	c := newCounter(t, 50, func(n int) string { return fmt.Sprintf("/large/%d", n) })
	if err := Drive(Target{Address: s.Listener.Addr().String(), TLS: &tls.Config{RootCAs: roots, ServerName: "example.com"}, Connections: 3, Timeout: 5 * time.Second}, c); err != nil {
		t.Fatal(err)
	}
	if len(c.answered) != 50 {
		t.Errorf("%d of 50 were answered; failed: %v", len(c.answered), c.failed)
	}
	if err := Drive(Target{Address: s.Listener.Addr().String(), TLS: &tls.Config{}, Connections: 1, Timeout: time.Second}, c); err == nil {
		t.Error("a certificate that nobody vouches for was taken")
	}
}

// While the server is away the drive goes on trying, and finds it when it is back.
func TestAServerThatComesBackIsFound(t *testing.T) {
	drivers(t, func(t *testing.T, drive func(Target, Exchange) error) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := ln.Addr().String()
		first := &http.Server{Handler: http.HandlerFunc(echo)}
		go func() { _ = first.Serve(ln) }()
		second := &http.Server{Handler: http.HandlerFunc(echo)}
		defer func() { _ = second.Close() }()
		c := newCounter(t, 40, func(n int) string { return fmt.Sprintf("/a/%d", n) })
		c.pause = 400 * time.Millisecond
		go func() {
			time.Sleep(100 * time.Millisecond)
			_ = first.Close()
			time.Sleep(100 * time.Millisecond)
			ln, err := net.Listen("tcp", address)
			for tries := 0; err != nil && tries < 100; tries++ { // somebody else may have been given the port for a while
				time.Sleep(10 * time.Millisecond)
				ln, err = net.Listen("tcp", address)
			}
			if err != nil {
				t.Error(err)
				return
			}
			_ = second.Serve(ln)
		}()
		if err := drive(Target{Address: address, Connections: 2, Timeout: 5 * time.Second}, c); err != nil {
			t.Fatal(err)
		}
		if c.ended() != 40 || len(c.answered) < 36 {
			t.Errorf("%d were answered, failed %v", len(c.answered), c.failed)
		}
	})
}

// patient is an exchange that has requests as long as its time is not over, whether or not anybody takes them.
type patient struct {
	counter
	limit time.Duration
	waits int
}

func (p *patient) Wait(now time.Duration) (time.Duration, bool) {
	p.waits++
	return 0, now < p.limit
}

// A server that goes away for good does not keep a drive from asking the exchange whether it is still to wait, and from ending when
// it is not.
func TestAServerThatStaysAwayHoldsNobodyUp(t *testing.T) {
	drivers(t, func(t *testing.T, drive func(Target, Exchange) error) {
		var s *httptest.Server
		s = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/last" {
				_ = s.Listener.Close()
				s.CloseClientConnections()
				return
			}
			echo(w, r)
		}))
		s.Start()
		defer s.Close()
		p := &patient{counter: *newCounter(t, 1_000_000, func(n int) string {
			if n == 20 {
				return "/last"
			}
			return fmt.Sprintf("/a/%d", n)
		}), limit: 500 * time.Millisecond}
		if err := drive(Target{Address: s.Listener.Addr().String(), Connections: 3, Timeout: 5 * time.Second}, p); err != nil {
			t.Fatal(err)
		}
		if p.ended() != p.sent || p.waits < 3 {
			t.Errorf("%d of %d requests that were sent came to an end, and it was asked %d times whether to wait", p.ended(), p.sent, p.waits)
		}
	})
}

func TestNobodyListens(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := ln.Addr().String()
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	drivers(t, func(t *testing.T, drive func(Target, Exchange) error) {
		if err := drive(Target{Address: address, Connections: 2, Timeout: time.Second}, newCounter(t, 1, func(int) string { return "/" })); err == nil {
			t.Error("there is no error")
		}
	})
}
