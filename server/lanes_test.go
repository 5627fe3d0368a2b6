package server_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"onhand/engine"
	"onhand/engine/enginetest"
	"onhand/server"
)

// gauge returns the value of a metric, with its labels as they are shown.
func (r *rig) gauge(name string) float64 {
	r.t.Helper()
	v, ok := r.metric(name)
	if !ok {
		r.t.Fatalf("there is no metric %s", name)
	}
	return v
}

// metric is gauge for one that may not be there yet.
func (r *rig) metric(name string) (value float64, ok bool) {
	r.t.Helper()
	for lines := bufio.NewScanner(r.scrape("text/plain").Body); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			v, err := strconv.ParseFloat(value, 64)
			if err != nil {
				r.t.Fatal(err)
			}
			return v, true
		}
	}
	return 0, false
}

// begin sends a request and returns where its answer will come.
func (r *rig) begin(method, path, body string) <-chan reply {
	done := make(chan reply, 1)
	go func() {
		got, err := r.try(method, path, body)
		if err != nil {
			r.t.Errorf("%s %s: %v", method, path, err)
		}
		done <- got
	}()
	return done
}

// reserve holds one unit and returns the reservation's id.
func (r *rig) reserve(sku string) string {
	r.t.Helper()
	var got struct{ ID string }
	decodeInto(r.t, r.do("POST", "/v1/reservations", oneLine(sku)), http.StatusCreated, &got)
	return got.ID
}

func TestCommitsGetThroughWhenReservationsFillEveryPlace(t *testing.T) {
	r := newRig(t, server.Options{Writes: 8, WriteQueue: 2, QueueTimeout: patience})
	for i := range 20 {
		r.stock("S"+strconv.Itoa(i), 5)
	}
	ids := []string{r.reserve("S0"), r.reserve("S1")}
	refusedBefore := r.gauge(`onhand_http_overloaded_total{lane="write"}`)
	release := r.db.HoldSyncs()
	defer release()
	var reservations []<-chan reply
	for i := range 9 {
		reservations = append(reservations, r.begin("POST", "/v1/reservations", oneLine("S"+strconv.Itoa(2+i))))
	}
	eventually(t, "7 reservations under way and 2 in line", func() bool {
		return r.gauge("onhand_writes_running") == 7 && r.gauge("onhand_writes_waiting") == 2
	})
	got := r.do("POST", "/v1/reservations", oneLine("S19"))
	wantProblem(t, got, http.StatusServiceUnavailable, "overloaded")
	if got.header.Get("Retry-After") == "" {
		t.Error("the refusal has no Retry-After")
	}
	if n := r.gauge(`onhand_http_overloaded_total{lane="write"}`) - refusedBefore; n != 1 {
		t.Errorf("%v refusals were counted, want 1", n)
	}
	if got := r.get("/v1/stock/S19/L"); got.status != http.StatusOK {
		t.Errorf("a read is held up: %d %s", got.status, got.body)
	}
	first := r.begin("POST", "/v1/reservations/"+ids[0]+"/commit", "")
	eventually(t, "the commit has the place kept for it", func() bool { return r.gauge("onhand_writes_running") == 8 })
	second := r.begin("POST", "/v1/reservations/"+ids[1]+"/release", "")
	eventually(t, "the release stands in line", func() bool { return r.gauge("onhand_writes_waiting") == 3 })
	release()
	for _, done := range []<-chan reply{first, second} {
		if got := <-done; got.status != http.StatusOK {
			t.Errorf("commit or release: %d %s", got.status, got.body)
		}
	}
	for _, done := range reservations {
		if got := <-done; got.status != http.StatusCreated {
			t.Errorf("a reservation that was let in: %d %s", got.status, got.body)
		}
	}
	if c := r.cell("S19"); c.Held != 0 {
		t.Error("the reservation that was turned away holds a unit")
	}
}

func TestAWriteThatWaitsTooLongIsTurnedAwayAndDoesNothing(t *testing.T) {
	r := newRig(t, server.Options{Writes: 8, WriteQueue: 2, QueueTimeout: 20 * time.Millisecond})
	for i := range 8 {
		r.stock("S"+strconv.Itoa(i), 5)
	}
	release := r.db.HoldSyncs()
	defer release()
	var done []<-chan reply
	for i := range 7 {
		done = append(done, r.begin("POST", "/v1/reservations", oneLine("S"+strconv.Itoa(i))))
	}
	eventually(t, "7 reservations under way", func() bool { return r.gauge("onhand_writes_running") == 7 })
	wantProblem(t, r.do("POST", "/v1/reservations", oneLine("S7")), http.StatusServiceUnavailable, "overloaded")
	release()
	for _, done := range done {
		if got := <-done; got.status != http.StatusCreated {
			t.Errorf("a reservation under way: %d %s", got.status, got.body)
		}
	}
	if c := r.cell("S7"); c.Held != 0 {
		t.Error("the reservation that was turned away holds a unit")
	}
	if running := r.gauge("onhand_writes_running"); running != 0 {
		t.Errorf("%v places were not given back", running)
	}
}

// A client that sends its body slowly must not keep a place from those who have sent theirs.
func TestASlowBodyTakesNoPlaceOfAWrite(t *testing.T) {
	r := newRig(t, server.Options{Writes: 8, WriteQueue: 1, QueueTimeout: 20 * time.Millisecond})
	r.stock("S", 5)
	for range 10 {
		s := r.dial()
		s.send("POST /v1/reservations HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"lin\r\n")
	}
	eventually(t, "10 slow connections", func() bool { return r.gauge("onhand_http_connections") >= 11 })
	for range 20 {
		if got := r.do("POST", "/v1/stock/adjustments", adjustByOne); got.status != http.StatusOK {
			t.Fatalf("a write beside slow ones: %d %s", got.status, got.body)
		}
	}
}

// beginImport opens an import and leaves it under way.
func (r *rig) beginImport(rows string) *socket {
	r.t.Helper()
	before := r.gauge("onhand_imports_running")
	s := r.dial()
	s.send(fmt.Sprintf("POST /v1/stock/import HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(rows), rows))
	eventually(r.t, "the import is under way", func() bool { return r.gauge("onhand_imports_running") == before+1 })
	return s
}

func TestImportsHaveALaneOfTheirOwn(t *testing.T) {
	r := newRig(t, server.Options{Imports: 1, Writes: 8, WriteQueue: 1, QueueTimeout: 20 * time.Millisecond})
	for i := range 7 {
		r.stock("S"+strconv.Itoa(i), 5)
	}
	running := r.beginImport("sku,location,on_hand\nI,L,1\n")
	got := r.do("POST", "/v1/stock/import", "sku,location,on_hand\nJ,L,1\n")
	wantProblem(t, got, http.StatusServiceUnavailable, "overloaded")
	if got.header.Get("Retry-After") == "" {
		t.Error("the refusal has no Retry-After")
	}
	if got := r.do("POST", "/v1/reservations", oneLine("S0")); got.status != http.StatusCreated {
		t.Errorf("a reservation beside an import: %d %s", got.status, got.body)
	}
	running.send("0\r\n\r\n")
	if got := running.answer("POST"); got.status != http.StatusOK {
		t.Errorf("the import: %d %s", got.status, got.body)
	}
	// The other way round: reservations that fill every place don't hold up an import.
	release := r.db.HoldSyncs()
	defer release()
	var done []<-chan reply
	for i := range 7 {
		done = append(done, r.begin("POST", "/v1/reservations", oneLine("S"+strconv.Itoa(i))))
	}
	eventually(t, "7 reservations under way", func() bool { return r.gauge("onhand_writes_running") == 7 })
	if got := r.do("POST", "/v1/stock/import?dry_run=true", "sku,location,on_hand\nJ,L,1\n"); got.status != http.StatusOK {
		t.Errorf("an import beside a flood of reservations: %d %s", got.status, got.body)
	}
	release()
	for _, done := range done {
		<-done
	}
}

func TestStreamsHaveALimitAndGiveTheirPlaceBack(t *testing.T) {
	r := newRig(t, server.Options{Streams: 1})
	events := r.dial()
	events.send("GET /v1/changes?after=0 HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n")
	if _, err := events.in.ReadString('{'); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/v1/changes?after=0&wait=0", "/v1/stock/export", "/v1/backup"} {
		got := r.get(path)
		wantProblem(t, got, http.StatusServiceUnavailable, "overloaded")
		if got.header.Get("Retry-After") == "" {
			t.Errorf("%s: the refusal has no Retry-After", path)
		}
	}
	_ = events.Close()
	eventually(t, "the place is free again", func() bool { return r.get("/v1/stock/export").status == http.StatusOK })
}

func TestAStopLetsRequestsUnderWayFinishAndLosesNothing(t *testing.T) {
	r := newRig(t, server.Options{})
	r.stock("S", 5)
	admin := server.NewAdmin(r.metrics)
	admin.Set(r.Server)
	readiness := func() int {
		out := httptest.NewRecorder()
		admin.Handler().ServeHTTP(out, httptest.NewRequest("GET", "/readyz", nil))
		return out.Code
	}
	if readiness() != http.StatusOK {
		t.Fatal("the server is not ready to begin with")
	}
	events := r.dial()
	events.send("GET /v1/changes?after=0 HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n")
	poll := r.begin("GET", "/v1/changes?wait=300&after="+strconv.FormatUint(r.db.Durable(), 10), "")
	eventually(t, "both read the feed", func() bool { return r.gauge("onhand_streams_running") == 2 })
	running := r.beginImport("sku,location,on_hand\nI,L,7\n")
	release := r.db.HoldSyncs()
	defer release()
	reservation := r.begin("POST", "/v1/reservations", oneLine("S"))
	eventually(t, "the reservation is under way", func() bool { return r.gauge("onhand_writes_running") == 1 })

	kept := r.dial()
	kept.wantOpen()
	r.Drain()
	if readiness() != http.StatusServiceUnavailable {
		t.Error("a draining server says it is ready")
	}
	kept.send(getLocation + "\r\n")
	if got := kept.answer("GET"); got.status != http.StatusOK || !got.close {
		t.Errorf("while draining, a request is answered with %d, closes %v", got.status, got.close)
	}
	stopped := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		stopped <- r.Shutdown(ctx)
	}()
	eventually(t, "new connections are refused", func() bool {
		request, err := http.NewRequest("GET", "http://"+r.address+"/v1/locations/L", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Close = true
		answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
		if err == nil {
			_ = answer.Body.Close()
		}
		return err != nil
	})
	select {
	case err := <-stopped:
		t.Fatalf("the server has stopped (%v) with a reservation under way", err)
	default:
	}
	release()
	if got := <-reservation; got.status != http.StatusCreated {
		t.Errorf("the reservation under way: %d %s", got.status, got.body)
	}
	running.send("7\r\nK,L,9\r\n\r\n0\r\n\r\n")
	if got := running.answer("POST"); got.status != http.StatusOK {
		t.Errorf("the import under way: %d %s", got.status, got.body)
	}
	if got := <-poll; got.status != http.StatusOK {
		t.Errorf("the long poll: %d %s", got.status, got.body)
	}
	if err := <-stopped; err != nil {
		t.Errorf("shutdown: %v", err)
	}
	r.stopped = true
	r.db.Restart()
	for sku, want := range map[string]engine.Cell{"S": {OnHand: 5, Held: 1}, "I": {OnHand: 7}, "K": {OnHand: 9}} {
		got, err := r.db.Availability(sku, "L")
		if err != nil || got.OnHand != want.OnHand || got.Held != want.Held {
			t.Errorf("after the restart %s has %d on hand, %d held (%v), want %d, %d", sku, got.OnHand, got.Held, err, want.OnHand, want.Held)
		}
	}
}

func TestAStopUnderLoadLosesNothingAcknowledged(t *testing.T) {
	r := newRig(t, server.Options{})
	r.stock("S", 0)
	var acknowledged, sent atomic.Int64
	var writers sync.WaitGroup
	for range 8 {
		writers.Go(func() {
			for {
				sent.Add(1)
				got, err := r.try("POST", "/v1/stock/adjustments", adjustByOne)
				if err != nil {
					return // the connection was closed: whether it was done is not known
				}
				if got.status == http.StatusOK {
					acknowledged.Add(1)
				}
			}
		})
	}
	eventually(t, "200 adjustments", func() bool { return acknowledged.Load() >= 200 })
	r.stop()
	writers.Wait()
	r.db.Restart()
	got, err := r.db.Availability("S", "L")
	if err != nil || got.OnHand < acknowledged.Load() || got.OnHand > sent.Load() {
		t.Errorf("after the restart %d units are on hand (%v); %d were acknowledged, %d sent", got.OnHand, err, acknowledged.Load(), sent.Load())
	}
}

// Whoever stops the server closes the engine next, so nothing may use it after Shutdown, in time or not.
func TestAStopThatTakesTooLongCutsOffWhatIsUnderWay(t *testing.T) {
	r := newRig(t, server.Options{ReadTimeout: patience})
	running := r.beginImport("sku,location,on_hand\nI,L,7\n")
	silent := r.dial()
	silent.wantOpen()
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	err := r.Shutdown(ctx)
	if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, server.ErrBusy) {
		t.Errorf("shutdown: %v, want the deadline's error", err)
	}
	r.stopped = true
	if n := r.gauge("onhand_imports_running"); n != 0 {
		t.Errorf("%v imports are under way after the stop", n)
	}
	silent.wantClosed()
	if _, err := http.ReadResponse(running.in, nil); err == nil {
		t.Error("the import that was cut off has an answer")
	}
	r.db.Restart() // and nothing is amiss in what it leaves
}

// TestAStopMayComeBeforeTheServerServes, or just as it begins: it does not begin to serve then.
func TestAStopMayComeBeforeTheServerServes(t *testing.T) {
	db := enginetest.Open(t, engine.Options{})
	for i := range 200 {
		s, err := server.New(db.Engine, server.NewMetrics("test"), server.Options{})
		if err != nil {
			t.Fatal(err)
		}
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan error, 1)
		stop := func() {
			if err := s.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if i%4 == 0 {
			stop()
		}
		go func() { served <- s.Serve(ln) }()
		for range i % 50 * 20 {
			runtime.Gosched()
		}
		stop()
		select {
		case err := <-served:
			if err != nil {
				t.Errorf("serve: %v", err)
			}
		case <-time.After(patience):
			t.Fatal("it serves though it was stopped")
		}
	}
}
