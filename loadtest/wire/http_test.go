package wire

import (
	"strings"
	"testing"
)

func TestFrameHTTP(t *testing.T) {
	for _, c := range []struct {
		answer string
		status int
		body   string
	}{
		{"HTTP/1.1 200 OK\r\nServer: onhand\r\nContent-Length: 5\r\n\r\nhello", 200, "hello"},
		{"HTTP/1.1 200 OK\r\nX-Content-Length: 7\r\ncontent-length:  5 \r\n\r\nhello", 200, "hello"},
		{"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", 201, ""},
		{"HTTP/1.1 204 No Content\r\n\r\n", 204, ""},
		{"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, ""},
		{"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\n\r\n", 200, "5;x=y\r\nhello\r\n0\r\n\r\n"},
		{"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nA\r\n0123456789\r\n1\r\nx\r\n0\r\nTrailer: t\r\n\r\n", 200, "A\r\n0123456789\r\n1\r\nx\r\n0\r\nTrailer: t\r\n\r\n"},
	} {
		for i := range len(c.answer) { // as it comes in, byte by byte
			if n, err := FrameHTTP([]byte(c.answer[:i])); n != 0 || err != nil {
				t.Errorf("%q is taken as %d bytes, %v", c.answer[:i], n, err)
			}
		}
		in := c.answer + "HTTP/1.1 "
		if n, err := FrameHTTP([]byte(in)); n != len(c.answer) || err != nil {
			t.Errorf("%q is taken as %d bytes, %v, want %d", in, n, err, len(c.answer))
		}
		got, err := ReadHTTP([]byte(c.answer))
		if err != nil || got.Status != c.status || string(got.Body) != c.body {
			t.Errorf("%q is read as %d %q, %v", c.answer, got.Status, got.Body, err)
		}
	}
	for _, answer := range []string{
		"-ERR what?\r\n\r\n 12345678", "HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
		"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", headMax),
	} {
		if n, err := FrameHTTP([]byte(answer)); err == nil {
			t.Errorf("%.80q is taken as %d bytes", answer, n)
		}
	}
}

func FuzzFrameHTTP(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		n, err := FrameHTTP(in)
		if n < 0 || n > len(in) || err != nil && n != 0 {
			t.Fatalf("%d of %d bytes, %v", n, len(in), err)
		}
		if n == 0 {
			return
		}
		if again, err := FrameHTTP(in[:n]); again != n || err != nil {
			t.Fatalf("%d bytes, and alone %d, %v", n, again, err)
		}
	})
}
