package wire

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Drive makes the target's connections and keeps them busy as the exchange says, until it has no more requests and all that
// were sent are answered or have failed. It fails only where it can't begin.
func Drive(t Target, e Exchange) error {
	if err := t.check(); err != nil {
		return err
	}
	if t.TLS != nil {
		return drivePortable(t, e)
	}
	l, err := newLoop(t, e)
	if err != nil {
		return err
	}
	defer l.close()
	spareProcessors(1)
	defer spareProcessors(-1)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// Waits end when they should, not up to 50 µs later, the default of the kernel. It is the thread's own setting.
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	return l.run()
}

// spare guards GOMAXPROCS while drives change it.
var spare sync.Mutex

// spareProcessors gives Go's scheduler a processor more for each loop: a loop has one to itself, also while it waits in the
// kernel, since it makes its system calls without telling the scheduler of them. Were it told, the runtime's monitor would
// take the processor from every wait, looking for it each 20 µs on a thread of its own; at 500 requests a second that was half
// of what the load cost. A collection of garbage does not wait for a loop: the signal that asks it to stop ends its wait.
func spareProcessors(n int) {
	spare.Lock()
	defer spare.Unlock()
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + n)
}

// loop is an epoll loop over all connections of a drive.
type loop struct {
	target      Target
	exchange    Exchange
	poll        int
	began       time.Time
	connections []connection
	free        []int // connections that have room for a request more
	busy        int   // requests under way
	dialing     int

	dialed struct { // by goroutines of their own, since it may take long
		sync.Mutex
		connections []dialedConnection
		over        bool // nobody takes them any more
	}
}

type dialedConnection struct {
	number, fd int
}

type connection struct {
	fd       int       // -1 while it is being made anew
	underway []request // in the order in which they were sent, which is that of the answers
	vacant   []int     // numbers, as the exchange has them, that have no request under way
	free     bool      // it is in loop.free
	out      []byte
	in       []byte // the beginning of an answer
}

// request is one under way.
type request struct {
	number int // of the connection, as the exchange has it
	sent   time.Duration
}

func newLoop(t Target, e Exchange) (*loop, error) {
	poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	l := &loop{target: t, exchange: e, poll: poll, connections: make([]connection, t.Connections)}
	for i := range l.connections {
		c := &l.connections[i]
		c.fd = -1
		for k := range t.Pipeline {
			c.vacant = append(c.vacant, i*t.Pipeline+k)
		}
	}
	for i := range l.connections {
		fd, err := l.dial()
		if err == nil {
			err = l.attach(i, fd)
		}
		if err != nil {
			l.close()
			return nil, err
		}
	}
	return l, nil
}

func (l *loop) close() {
	l.dialed.Lock()
	l.dialed.over = true
	for _, d := range l.dialed.connections {
		if d.fd >= 0 {
			_ = unix.Close(d.fd) // never used
		}
	}
	l.dialed.Unlock()
	for i := range l.connections {
		if fd := l.connections[i].fd; fd >= 0 {
			_ = unix.Close(fd) // all answers have been read
		}
	}
	_ = unix.Close(l.poll)
}

// dial makes a connection and takes its descriptor out of the hands of package net, whose own poller would answer for it.
func (l *loop) dial() (int, error) {
	conn, err := l.target.dial()
	if err != nil {
		return -1, err
	}
	defer conn.Close()
	file, err := conn.(*net.TCPConn).File()
	if err != nil {
		return -1, err
	}
	defer file.Close()
	fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	return fd, err
}

func (l *loop) attach(number, fd int) error {
	c := &l.connections[number]
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP, Fd: int32(number)}
	if err := unix.EpollCtl(l.poll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		return errors.Join(fmt.Errorf("epoll: %w", err), unix.Close(fd))
	}
	if c.in == nil {
		c.in = make([]byte, 0, 16<<10)
	}
	c.fd, c.in = fd, c.in[:0]
	l.release(number)
	return nil
}

func (l *loop) release(number int) {
	if c := &l.connections[number]; !c.free {
		c.free = true
		l.free = append(l.free, number)
	}
}

func (l *loop) run() error {
	l.began = time.Now()
	events := make([]unix.EpollEvent, min(len(l.connections), 1024))
	var scanned time.Duration
	for {
		now := time.Since(l.began)
		l.takeDialed()
		l.sendDue(now)
		wait, more := l.exchange.Wait(now)
		if !more && l.busy == 0 {
			return nil
		}
		if !more || len(l.free) == 0 {
			wait = waitMax // only an answer can bring work
		}
		n, err := epollWait(l.poll, events, max(min(wait, waitMax), 0))
		if err != nil && err != unix.EINTR {
			return fmt.Errorf("epoll: %w", err)
		}
		for i := range max(n, 0) {
			l.receive(int(events[i].Fd))
		}
		if now := time.Since(l.began); now-scanned >= scanInterval {
			scanned = now
			l.scan(now)
		}
	}
}

// sendDue gives free connections what is due: to each as much as it has room for, in one piece.
func (l *loop) sendDue(now time.Duration) {
	for more := true; more && len(l.free) > 0; {
		number := l.free[len(l.free)-1]
		c := &l.connections[number]
		if c.fd < 0 { // it broke while it had room
			c.free = false
			l.free = l.free[:len(l.free)-1]
			continue
		}
		c.out = c.out[:0]
		for more && len(c.vacant) > 0 {
			slot := c.vacant[len(c.vacant)-1]
			if c.out, more = l.exchange.Next(slot, now, c.out); more {
				c.vacant = c.vacant[:len(c.vacant)-1]
				c.underway = append(c.underway, request{slot, now})
				l.busy++
			}
		}
		if len(c.vacant) == 0 {
			c.free = false
			l.free = l.free[:len(l.free)-1]
		}
		if len(c.out) > 0 {
			if err := l.write(c); err != nil {
				l.fail(number, time.Since(l.began), err)
			}
		}
	}
}

// write sends whole requests. They are far smaller than a socket's buffer, so the wait for room is for the odd large one only.
func (l *loop) write(c *connection) error {
	for out := c.out; len(out) > 0; {
		n, err := rawWrite(c.fd, out)
		switch {
		case err == unix.EAGAIN:
			ready := []unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLOUT}}
			if n, err := unix.Poll(ready, int(l.target.Timeout/time.Millisecond)); n == 0 && err == nil {
				return ErrTimeout
			}
		case err == unix.EINTR:
		case err != nil:
			return networkError(err)
		default:
			out = out[n:]
		}
	}
	return nil
}

// receive reads what there is on a connection, and hands on the answers that are whole.
func (l *loop) receive(number int) {
	c := &l.connections[number]
	if c.fd < 0 {
		return
	}
	for {
		if len(c.in) == cap(c.in) {
			c.in = append(c.in, 0)[:len(c.in)]
		}
		n, err := rawRead(c.fd, c.in[len(c.in):cap(c.in)])
		if err == unix.EINTR {
			continue
		}
		if err == unix.EAGAIN {
			return
		}
		now := time.Since(l.began)
		if err != nil || n == 0 {
			if err = networkError(err); n == 0 && err == nil {
				err = ErrClosed
			}
			l.fail(number, now, err)
			return
		}
		full := len(c.in)+n == cap(c.in)
		c.in = c.in[:len(c.in)+n]
		if again, err := l.answers(c, now); err != nil || !again {
			l.fail(number, now, err)
			return
		}
		if len(c.vacant) > 0 {
			l.release(number)
		}
		if !full {
			return
		}
	}
}

// answers hands on the answers at the beginning of c.in, and takes them away. It returns whether the connection can be used
// again.
func (l *loop) answers(c *connection, now time.Duration) (again bool, err error) {
	rest := c.in
	for len(rest) > 0 {
		length := 0
		if len(c.underway) > 0 {
			if length, err = l.exchange.Frame(rest); err != nil {
				return false, err
			}
		}
		if len(c.underway) == 0 || length > 0 && length < len(rest) && len(c.underway) == 1 {
			return false, fmt.Errorf("the server sent more than an answer: %.200q", rest)
		}
		if length == 0 {
			break
		}
		slot := c.underway[0].number
		c.underway = append(c.underway[:0], c.underway[1:]...)
		c.vacant = append(c.vacant, slot)
		l.busy--
		if !l.exchange.Answered(slot, now, rest[:length]) {
			return false, nil
		}
		rest = rest[length:]
	}
	c.in = append(c.in[:0], rest...)
	return true, nil
}

// fail gives a connection up and has it made anew.
func (l *loop) fail(number int, now time.Duration, err error) {
	c := &l.connections[number]
	if c.fd >= 0 {
		_ = unix.Close(c.fd) // it has failed already
		c.fd = -1
		l.dialing++
		go l.redial(number, 0)
	}
	if err == nil {
		err = ErrClosed // of what stood behind the last answer
	}
	lost := c.underway
	c.underway = c.underway[:0]
	l.busy -= len(lost)
	for _, r := range lost {
		c.vacant = append(c.vacant, r.number)
		l.exchange.Failed(r.number, now, err)
	}
}

func (l *loop) redial(number int, pause time.Duration) {
	time.Sleep(pause)
	fd, err := l.dial()
	if err != nil {
		fd = -1
	}
	l.dialed.Lock()
	defer l.dialed.Unlock()
	if l.dialed.over {
		if fd >= 0 {
			_ = unix.Close(fd) // never used
		}
		return
	}
	l.dialed.connections = append(l.dialed.connections, dialedConnection{number, fd})
}

// takeDialed takes up connections that were made anew.
func (l *loop) takeDialed() {
	if l.dialing == 0 {
		return
	}
	l.dialed.Lock()
	made := l.dialed.connections
	l.dialed.connections = nil
	l.dialed.Unlock()
	for _, d := range made {
		if d.fd < 0 || l.attach(d.number, d.fd) != nil {
			go l.redial(d.number, redialPause)
			continue
		}
		l.dialing--
	}
}

// scan fails requests that have waited too long for their answer.
func (l *loop) scan(now time.Duration) {
	for i := range l.connections {
		if c := &l.connections[i]; len(c.underway) > 0 && now-c.underway[0].sent > l.target.Timeout {
			l.fail(i, now, ErrTimeout)
		}
	}
}

// rawWrite is write of a descriptor that does not wait.
func rawWrite(fd int, p []byte) (int, error) {
	n, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	if errno != 0 {
		return -1, errno
	}
	return int(n), nil
}

// rawRead is read of a descriptor that does not wait.
func rawRead(fd int, p []byte) (int, error) {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	if errno != 0 {
		return -1, errno
	}
	return int(n), nil
}

// epollWait is epoll_wait with a timeout in nanoseconds: at 10,000 requests a second a millisecond is far too coarse.
// Before Linux 5.11 there is only that.
func epollWait(poll int, events []unix.EpollEvent, timeout time.Duration) (int, error) {
	limit := unix.NsecToTimespec(int64(timeout))
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT2, uintptr(poll), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)),
		uintptr(unsafe.Pointer(&limit)), 0, 0)
	switch errno {
	case 0:
		return int(n), nil
	case unix.ENOSYS:
		return unix.EpollWait(poll, events, int(timeout/time.Millisecond))
	}
	return 0, errno
}

func networkError(err error) error {
	switch err {
	case unix.ECONNRESET, unix.EPIPE:
		return ErrClosed
	}
	return err
}
