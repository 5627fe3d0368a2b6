package server

import (
	"context"
	"net"
	"os"
	"testing"

	"onhand/engine"
)

// benchRemote is where the requests of benchmarks come from.
var benchRemote = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}

// benchServer returns a server on a disk that takes no time, where there is /dev/shm.
func benchServer(b *testing.B) (*Server, *engine.Engine) {
	b.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "onhand-bench-")
	if err != nil {
		dir = b.TempDir()
	} else {
		b.Cleanup(func() { _ = os.RemoveAll(dir) }) // what is left goes with the machine
	}
	e, err := engine.Open(dir, engine.Options{})
	if err != nil {
		b.Fatal(err)
	}
	s, err := New(e, NewMetrics("bench"), Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			b.Error(err)
		}
		if err := e.Close(); err != nil {
			b.Error(err)
		}
	})
	return s, e
}
