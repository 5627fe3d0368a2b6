package bench

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// run loads a server for a while: as many threads as there are processors share the connections, and each drives its own
// from the kernel's list of those that have an answer. Goroutines would cost the processors a quarter more.
func (l *load) run(p *process, seed uint64, d time.Duration) (*result, error) {
	connections := make([]connection, l.connections)
	for i := range connections {
		c := &connections[i]
		if err := c.dial(l.address); err != nil {
			return nil, err
		}
		defer c.close()
		c.random = rand.New(rand.NewPCG(seed, uint64(i)))
	}
	before, err := p.cpu()
	if err != nil {
		return nil, err
	}
	threads := min(runtime.NumCPU(), l.connections)
	latencies, errs := make([][]time.Duration, threads), make([]error, threads)
	var wg sync.WaitGroup
	begun := time.Now()
	for i := range threads {
		mine := connections[i*l.connections/threads : (i+1)*l.connections/threads]
		wg.Go(func() { latencies[i], errs[i] = l.drive(mine, begun, d) })
	}
	wg.Wait()
	r := &result{took: time.Since(begun), latency: slices.Concat(latencies...)}
	r.requests = len(r.latency)
	after, err := p.cpu()
	r.cpu = after - before
	if err = errors.Join(append(errs, err)...); err == nil && r.requests == 0 {
		err = errors.New("no request was answered")
	}
	return r, err
}

// drive keeps a request under way on each connection until d has passed since begun, and then waits for the last answers.
func (l *load) drive(connections []connection, begun time.Time, d time.Duration) (latency []time.Duration, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	defer func() { err = errors.Join(err, unix.Close(poll)) }()
	for i := range connections {
		c := &connections[i]
		if err := unix.EpollCtl(poll, unix.EPOLL_CTL_ADD, c.fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}); err != nil {
			return nil, fmt.Errorf("epoll: %w", err)
		}
		if err := c.send(l); err != nil {
			return nil, err
		}
	}
	latency = make([]time.Duration, 0, 1<<20)
	events := make([]unix.EpollEvent, len(connections))
	for busy := len(connections); busy > 0; {
		n, err := unix.EpollWait(poll, events, -1)
		if err != nil && err != unix.EINTR {
			return nil, fmt.Errorf("epoll: %w", err)
		}
		for _, event := range events[:max(n, 0)] {
			c := &connections[event.Fd]
			whole, err := c.receive(l)
			if err != nil {
				return nil, err
			}
			if !whole {
				continue
			}
			now := time.Now()
			latency = append(latency, now.Sub(c.sent))
			if now.Sub(begun) >= d {
				busy--
			} else if err := c.send(l); err != nil {
				return nil, err
			}
		}
	}
	return latency, nil
}

// connection is one of a load's, with at most one request under way.
type connection struct {
	fd     int
	random *rand.Rand
	out    []byte
	in     []byte
	sent   time.Time
}

func (c *connection) dial(address string) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if c.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	if err = unix.Connect(c.fd, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}); err == nil {
		err = unix.SetsockoptInt(c.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("connect to %s: %w", address, err), unix.Close(c.fd))
	}
	c.in = make([]byte, 0, 64<<10)
	return nil
}

func (c *connection) close() { _ = unix.Close(c.fd) } // all answers have been read

func (c *connection) send(l *load) error {
	c.out = l.request(c.out[:0], c.random)
	c.in = c.in[:0]
	c.sent = time.Now()
	n, err := unix.Write(c.fd, c.out)
	if err == nil && n < len(c.out) {
		err = fmt.Errorf("%d of %d bytes were sent", n, len(c.out))
	}
	return err
}

// receive reads what is there, and says whether that makes the answer whole.
func (c *connection) receive(l *load) (bool, error) {
	n, err := unix.Read(c.fd, c.in[len(c.in):cap(c.in)])
	if err == nil && n == 0 {
		err = errors.New("the server closed the connection, or its answer is too long")
	}
	if err != nil {
		return false, err
	}
	c.in = c.in[:len(c.in)+n]
	n, err = l.answer(c.in)
	return n > 0, err
}
