package server_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"onhand/engine"
	"onhand/engine/enginetest"
	"onhand/server"
)

// brokenClock is a clock that panics in a handler once it is told to.
type brokenClock struct {
	began time.Time
	armed atomic.Bool
}

func (c *brokenClock) Read() (wall, monotonic int64) {
	now := time.Now()
	return now.UnixNano(), int64(now.Sub(c.began))
}

func (c *brokenClock) Monotonic() int64 {
	if c.armed.Load() {
		stack := make([]byte, 8<<10)
		if bytes.Contains(stack[:runtime.Stack(stack, false)], []byte("getAvailability")) {
			panic("the clock is broken")
		}
	}
	return int64(time.Since(c.began))
}

// panicDir names the database of the process that TestAPanicEndsTheProcess starts.
const panicDir = "ONHAND_TEST_PANIC_DIR"

// serveUntilPanic is that process. It writes its address, and breaks its clock when it is sent a line.
func serveUntilPanic(dir string) error {
	clock := &brokenClock{began: time.Now()}
	metrics := server.NewMetrics("test")
	e, err := engine.Open(dir, engine.Options{Clock: clock, Observe: metrics.Observer()})
	if err != nil {
		return err
	}
	srv, err := server.New(e, metrics, server.Options{})
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(ln.Addr())
	go func() {
		_, err := bufio.NewReader(os.Stdin).ReadString('\n')
		if err != nil {
			os.Exit(3) // the test has gone away
		}
		clock.armed.Store(true)
		fmt.Println("armed")
	}()
	return srv.Serve(ln)
}

// A panic may come from the midst of a change. Going on with what the memory then holds could oversell.
func TestAPanicEndsTheProcessAndLosesNothingAcknowledged(t *testing.T) {
	if dir := os.Getenv(panicDir); dir != "" {
		t.Fatal(serveUntilPanic(dir))
	}
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	process := exec.Command(self, "-test.run=^"+t.Name()+"$")
	process.Env = append(os.Environ(), panicDir+"="+dir)
	var stderr strings.Builder
	process.Stderr = &stderr
	in, err := process.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatalf("the process has no address: %s", stderr.String())
	}
	r := &rig{address: lines.Text(), t: t, client: &http.Client{Transport: &http.Transport{}}}
	r.put("/v1/locations/L", `{}`)
	r.stock("S", 7)
	if _, err := fmt.Fprintln(in); err != nil {
		t.Fatal(err)
	}
	if !lines.Scan() || lines.Text() != "armed" {
		t.Fatalf("the process says %q", lines.Text())
	}
	if got, err := r.try("GET", "/v1/availability/S/L", ""); err == nil {
		t.Errorf("the request in which it panics is answered with %d %s", got.status, got.body)
	}
	for lines.Scan() {
		// What else it writes is of no interest, but must not keep it from ending.
	}
	var exit *exec.ExitError
	if err := process.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 2 {
		t.Errorf("the process ended with %v", err)
	}
	if text := stderr.String(); !strings.Contains(text, "panic: the clock is broken") || !strings.Contains(text, "getAvailability") {
		t.Errorf("the process left no trace of what happened: %s", text)
	}
	e, err := engine.Open(dir, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := e.Availability("S", "L"); err != nil || got.OnHand != 7 {
		t.Errorf("after the restart S is %+v (%v)", got, err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}

func TestAnEngineThatHasFailedIsNeitherLiveNorReadyAndAcknowledgesNothing(t *testing.T) {
	var broken atomic.Bool
	disk := errorfs.Wrap(enginetest.NewDisk(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if broken.Load() && enginetest.IsJournalSync(op) {
			return errors.New("the disk is broken")
		}
		return nil
	}))
	metrics := server.NewMetrics("test")
	// In a program Fatal ends the process. Here it returns, and the engine is left behind as it is.
	e, err := engine.Open("db", engine.Options{FS: disk, Observe: metrics.Observer(), Fatal: func(error) {}})
	if err != nil {
		t.Fatal(err)
	}
	srv, err := server.New(e, metrics, server.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() { _ = srv.Serve(ln) }()
	r := &rig{Server: srv, metrics: metrics, address: ln.Addr().String(), t: t, client: &http.Client{Transport: &http.Transport{}}}
	r.put("/v1/locations/L", `{}`)
	r.stock("S", 7)
	admin := server.NewAdmin(metrics)
	admin.Set(srv)
	status := func(path string) int {
		out := httptest.NewRecorder()
		admin.Handler().ServeHTTP(out, httptest.NewRequest("GET", path, nil))
		return out.Code
	}
	if status("/livez") != http.StatusOK || status("/readyz") != http.StatusOK {
		t.Error("it is not live and ready to begin with")
	}
	broken.Store(true)
	for range 3 {
		wantProblem(t, r.do("POST", "/v1/stock/adjustments", adjustByOne), http.StatusServiceUnavailable, "stopped")
	}
	if status("/livez") != http.StatusServiceUnavailable || status("/readyz") != http.StatusServiceUnavailable || r.gauge("onhand_ready") != 0 {
		t.Error("it says that it is live or ready after the disk has failed")
	}
}
