package bench

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// process is a server under measurement.
type process struct {
	cmd     *exec.Cmd
	output  bytes.Buffer
	address string
	family  bool // its children work for it
}

// start runs a program and waits until it accepts connections at address.
func start(address, program string, args ...string) (*process, error) {
	return startCommand(address, exec.Command(program, args...), syscall.SIGKILL)
}

// startCommand does so with a command that a signal ends at once.
func startCommand(address string, cmd *exec.Cmd, end syscall.Signal) (*process, error) {
	p := &process{cmd: cmd, address: address}
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	dieWithParent(p.cmd)
	if err := begin(p.cmd, end); err != nil {
		return nil, err
	}
	for range 600 {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			return p, conn.Close()
		}
		time.Sleep(50 * time.Millisecond)
	}
	p.stop()
	return nil, fmt.Errorf("%s does not listen on %s: %s", filepath.Base(cmd.Path), address, p.output.String())
}

// stop ends the process.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		_ = p.cmd.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		_ = p.cmd.Process.Kill()
		<-done
	}
	ended(p.cmd)
}

// subdirectory makes a directory in another one.
func subdirectory(dir, name string) (string, error) {
	sub := filepath.Join(dir, name)
	return sub, os.Mkdir(sub, 0o700)
}

// freeAddress returns a loopback address that nobody listens on.
func freeAddress() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return ln.Addr().String(), ln.Close()
}
