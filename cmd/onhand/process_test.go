package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets the test binary be the program: run under the name onhand, it is the real command line in a process of
// its own. The other names are what scripts need beside it.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"onhand":      func() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) },
		"http":        httpCommand,
		"certificate": certificateCommand,
		"served-name": servedNameCommand,
		"damage":      damageCommand,
		"stock-file":  stockFileCommand,
	})
}

// program returns a path under which the test binary is the program.
func program(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "onhand")
	if err := os.Symlink(self, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// process is a server in a process of its own.
type process struct {
	command *exec.Cmd
	address string // of the API
	admin   string
	done    chan struct{} // closed once all output was read and the process has ended
	err     error         // how it ended
	asked   bool          // to end

	mu  sync.Mutex
	log strings.Builder
}

var (
	readyLine = regexp.MustCompile(`msg=ready address=(\S+)`)
	adminLine = regexp.MustCompile(`msg="admin port" address=(\S+)`)
)

// startProcess starts a server on free ports and returns once it is ready.
func startProcess(program, dir string, env []string, args ...string) (*process, error) {
	all := append([]string{"serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"}, args...)
	p := &process{command: exec.Command(program, all...), done: make(chan struct{})}
	p.command.Dir, p.command.Env = dir, env
	out, err := p.command.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	ready := make(chan struct{})
	go p.read(out, ready)
	select {
	case <-ready:
		return p, nil
	case <-p.done:
		return nil, fmt.Errorf("the server ended before it was ready: %w\n%s", p.err, p.output())
	case <-time.After(time.Minute):
		p.kill()
		return nil, fmt.Errorf("the server was not ready within a minute\n%s", p.output())
	}
}

func (p *process) read(out io.Reader, ready chan struct{}) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		line := lines.Text()
		p.mu.Lock()
		p.log.WriteString(line + "\n")
		p.mu.Unlock()
		if m := adminLine.FindStringSubmatch(line); m != nil {
			p.admin = m[1]
		}
		if m := readyLine.FindStringSubmatch(line); m != nil {
			p.address = m[1]
			close(ready)
		}
	}
	p.err = p.command.Wait()
	close(p.done)
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// kill ends the process as a power cut would, for all it can do about it.
func (p *process) kill() {
	_ = p.command.Process.Kill() // it may have ended by itself
	<-p.done
}

// terminate asks the process to end. It asks once only: a second signal would end the process at once.
func (p *process) terminate() error {
	if p.asked {
		return nil
	}
	p.asked = true
	return p.command.Process.Signal(syscall.SIGTERM)
}

// stop asks the process to end and returns how it did.
func (p *process) stop() error {
	if err := p.terminate(); err != nil {
		return err
	}
	select {
	case <-p.done:
		return p.err
	case <-time.After(time.Minute):
		p.kill()
		return fmt.Errorf("the server did not stop within a minute\n%s", p.output())
	}
}
