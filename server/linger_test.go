package server

import (
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// sender is a client that never stops sending.
type sender struct {
	net.Conn
	halfClosed, closed chan struct{}
	once               sync.Once
}

func (s *sender) CloseWrite() error { close(s.halfClosed); return nil }

func (s *sender) SetReadDeadline(time.Time) error { return nil }

func (s *sender) Close() error { s.once.Do(func() { close(s.closed) }); return nil }

func (s *sender) Read(p []byte) (int, error) {
	select {
	case <-s.closed:
		return 0, net.ErrClosed
	case <-time.After(time.Millisecond):
		return len(p), nil
	}
}

func TestWhoeverNeverStopsSendingIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sender{halfClosed: make(chan struct{}), closed: make(chan struct{})}
		cs := newConnections(nil, &Options{ConnectionsMax: 1}, nil)
		c := cs.wrap(s)
		if p := cs.add(c); p != nil {
			t.Fatal(p)
		}
		leaveUnread(c, true)
		begun := time.Now()
		for range 2 {
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
		}
		open := func() int {
			cs.mu.Lock()
			defer cs.mu.Unlock()
			return len(cs.open)
		}
		<-s.halfClosed
		if open() != 1 {
			t.Error("it no longer counts while it lingers")
		}
		<-s.closed
		if took := time.Since(begun); took != lingerTimeout {
			t.Errorf("it was closed after %v, want %v", took, lingerTimeout)
		}
		synctest.Wait()
		if open() != 0 {
			t.Error("it still counts")
		}
	})
}
