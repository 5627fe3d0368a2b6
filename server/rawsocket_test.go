package server_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"onhand/engine"
	"onhand/engine/enginetest"
	"onhand/server"
)

// patience is how long a test waits for what must happen. It is only ever waited out by a test that fails.
const patience = 30 * time.Second

// rig is a server on loopback over an engine on a disk in memory, with a clock that stands still.
type rig struct {
	*server.Server
	db      *enginetest.DB
	metrics *server.Metrics
	address string
	t       testing.TB
	client  *http.Client
	stopped bool
}

func newRig(t testing.TB, o server.Options) *rig {
	t.Helper()
	return newRigOn(t, engine.Options{}, o)
}

func newRigOn(t testing.TB, eo engine.Options, o server.Options) *rig {
	t.Helper()
	r := &rig{t: t, metrics: server.NewMetrics("test"), client: &http.Client{Transport: &held{t, &http.Transport{}}}}
	if eo.Observe = r.metrics.Observer(); o.WebhookDir == "" {
		o.WebhookDir, o.WebhookPrivate = t.TempDir(), true
	}
	r.db = enginetest.Open(t, eo)
	srv, err := server.New(r.db.Engine, r.metrics, o)
	if err != nil {
		t.Fatal(err)
	}
	r.Server = srv
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.address = ln.Addr().String()
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	t.Cleanup(func() {
		r.stop()
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	r.put("/v1/locations/L", `{"name":"a store"}`)
	return r
}

// stop shuts the server down; idle connections of the rig's own client don't hold it up.
func (r *rig) stop() {
	r.t.Helper()
	if r.stopped {
		return
	}
	r.stopped = true
	r.client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := r.Shutdown(ctx); err != nil {
		r.t.Errorf("shutdown: %v", err)
	}
}

// reply is an answer, read to its end.
type reply struct {
	status int
	header http.Header
	body   string
	close  bool // the server said that it closes the connection
}

func readReply(answer *http.Response) (reply, error) {
	body, err := io.ReadAll(answer.Body)
	if err = errors.Join(err, answer.Body.Close()); err != nil {
		return reply{}, err
	}
	return reply{answer.StatusCode, answer.Header, string(body), answer.Close}, nil
}

// try sends a request on a connection of the rig's client. headers are name, value, name, value …
func (r *rig) try(method, path, body string, headers ...string) (reply, error) {
	request, err := http.NewRequest(method, "http://"+r.address+path, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	answer, err := r.client.Do(request)
	if err != nil {
		return reply{}, err
	}
	return readReply(answer)
}

func (r *rig) do(method, path, body string, headers ...string) reply {
	r.t.Helper()
	got, err := r.try(method, path, body, headers...)
	if err != nil {
		r.t.Fatalf("%s %s: %v", method, path, err)
	}
	return got
}

func (r *rig) get(path string, headers ...string) reply {
	r.t.Helper()
	return r.do("GET", path, "", headers...)
}

// put sets up what a test needs.
func (r *rig) put(path, body string) {
	r.t.Helper()
	if got := r.do("PUT", path, body); got.status != http.StatusOK {
		r.t.Fatalf("PUT %s: %d %s", path, got.status, got.body)
	}
}

// stock sets what is on hand of a SKU at L.
func (r *rig) stock(sku string, onHand int) {
	r.t.Helper()
	r.put("/v1/stock/"+sku+"/L", fmt.Sprintf(`{"on_hand":%d}`, onHand))
}

func oneLine(sku string) string {
	return `{"lines":[{"sku":"` + sku + `","location":"L","quantity":1}]}`
}

// cell is what a test wants to know of a cell.
type cell struct {
	OnHand    int64  `json:"on_hand"`
	Held      int64  `json:"held"`
	Available int64  `json:"available"`
	Safety    int64  `json:"safety_stock"`
	Blocked   bool   `json:"blocked"`
	Sequence  uint64 `json:"sequence"`
}

func (r *rig) cell(sku string) cell {
	r.t.Helper()
	var c cell
	got := r.get("/v1/stock/" + sku + "/L")
	decodeInto(r.t, got, http.StatusOK, &c)
	return c
}

// decodeInto reads a JSON answer that must have a status.
func decodeInto(t testing.TB, got reply, status int, v any) {
	t.Helper()
	if got.status != status {
		t.Fatalf("the answer is %d %s, want %d", got.status, got.body, status)
	}
	if err := json.Unmarshal([]byte(got.body), v); err != nil {
		t.Fatalf("the answer %q: %v", got.body, err)
	}
}

// wantProblem fails unless the answer is a problem document of a kind, and returns its detail.
func wantProblem(t testing.TB, got reply, status int, kind string) string {
	t.Helper()
	var p struct {
		Type, Title, Detail string
		Status              int
	}
	if media := got.header.Get("Content-Type"); media != "application/problem+json" {
		t.Fatalf("the answer is %d %s %q, want a problem document", got.status, media, got.body)
	}
	if err := json.Unmarshal([]byte(got.body), &p); err != nil {
		t.Fatalf("the answer %q: %v", got.body, err)
	}
	if got.status != status || p.Status != status || p.Type != "urn:onhand:problem:"+kind || p.Title == "" {
		t.Fatalf("the answer is %d %s, want %d and %s", got.status, got.body, status, kind)
	}
	return p.Detail
}

// socket is a connection that bytes are written to as they stand.
type socket struct {
	net.Conn
	in *bufio.Reader
	t  testing.TB
}

func (r *rig) dial() *socket {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.address)
	if err != nil {
		r.t.Fatal(err)
	}
	return newSocket(r.t, conn)
}

func newSocket(t testing.TB, conn net.Conn) *socket {
	t.Helper()
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &socket{conn, bufio.NewReader(conn), t}
}

// send writes bytes. The server may have closed the connection before it has all of them; what it answered tells.
func (s *socket) send(text string) { _, _ = io.WriteString(s.Conn, text) }

// answer reads the next answer.
func (s *socket) answer(method string) reply {
	s.t.Helper()
	answer, err := http.ReadResponse(s.in, &http.Request{Method: method})
	if err != nil {
		s.t.Fatalf("read the answer: %v", err)
	}
	got, err := readReply(answer)
	if err != nil {
		s.t.Fatalf("read the answer: %v", err)
	}
	return got
}

// wantClosed fails unless the server has closed the connection and sent nothing more.
func (s *socket) wantClosed() {
	s.t.Helper()
	rest, err := io.ReadAll(s.in)
	if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
		s.t.Fatal("the connection was left open")
	}
	if len(bytes.TrimSpace(rest)) > 0 {
		s.t.Fatalf("the server went on with %q", rest)
	}
}

// wantOpen fails unless the connection serves another request.
func (s *socket) wantOpen() {
	s.t.Helper()
	s.send("GET /v1/locations/L HTTP/1.1\r\nHost: x\r\n\r\n")
	if got := s.answer("GET"); got.status != http.StatusOK {
		s.t.Fatalf("the next answer is %d %s", got.status, got.body)
	}
}

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: still not after %v", what, patience)
		}
	}
}
