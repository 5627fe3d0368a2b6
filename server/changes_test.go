package server_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"onhand/engine"
	"onhand/server"
)

// change is what a test wants to know of an item of the feed, of a snapshot or a change.
type change struct {
	Sequence    uint64
	Type        string
	Cells       []feedCell
	Cell        *feedCell
	Reservation *feedReservation
	Location    *struct {
		ID       string
		Sequence uint64
	}
	SKU *struct {
		SKU      string
		Sequence uint64
	}
	raw string
}

type feedCell struct {
	SKU, Location, Raw string
	Sequence           uint64
}

// UnmarshalJSON keeps the cell as it was written, but for what only a change says of it.
func (c *feedCell) UnmarshalJSON(text []byte) error {
	var all map[string]any
	if err := json.Unmarshal(text, &all); err != nil {
		return err
	}
	delete(all, "delta")
	raw, err := json.Marshal(all)
	c.SKU, _ = all["sku"].(string)
	c.Location, _ = all["location"].(string)
	sequence, _ := all["sequence"].(float64)
	c.Sequence, c.Raw = uint64(sequence), string(raw)
	return err
}

type feedReservation struct {
	ID, State string
	Sequence  uint64
}

func parseChange(t testing.TB, line string) change {
	t.Helper()
	c := change{raw: line}
	if err := json.Unmarshal([]byte(line), &c); err != nil {
		t.Fatalf("the feed has %q: %v", line, err)
	}
	return c
}

// poll asks for the changes after a sequence, as lines of JSON.
func (r *rig) poll(parameters string) []change {
	r.t.Helper()
	got := r.get("/v1/changes?" + parameters)
	if got.status != http.StatusOK || got.header.Get("Content-Type") != "application/x-ndjson" {
		r.t.Fatalf("the feed answers %d %s", got.status, got.body)
	}
	var all []change
	for line := range strings.Lines(got.body) {
		all = append(all, parseChange(r.t, line))
	}
	return all
}

// events is a reader of the feed as an event stream.
type events struct {
	*socket
	id string // of the last event
}

func (r *rig) events(parameters string, headers ...string) *events {
	r.t.Helper()
	e := &events{socket: r.dial()}
	e.send("GET /v1/changes?" + parameters + " HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n" + strings.Join(headers, "") + "\r\n")
	answer, err := http.ReadResponse(e.in, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	if answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Type") != "text/event-stream" {
		body, _ := io.ReadAll(answer.Body)
		r.t.Fatalf("the feed answers %s %s", answer.Status, body)
	}
	e.in = bufio.NewReader(answer.Body)
	return e
}

var errStreamEnded = errors.New("the stream ended")

// try returns the next event (WHATWG HTML, section 9.2.6).
func (e *events) try() (change, error) {
	var name, data string
	for {
		line, err := e.in.ReadString('\n')
		if err != nil {
			return change{}, errors.Join(errStreamEnded, err)
		}
		field, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch field {
		case "id":
			e.id = value
		case "event":
			name = value
		case "data":
			data += value
		case "":
			if value != "" || data == "" {
				continue // a comment, or the end of one
			}
			c := parseChange(e.t, data)
			if c.Type != name {
				e.t.Errorf("event %s has data of type %s", name, c.Type)
			}
			return c, nil
		default:
			e.t.Fatalf("the stream has %q", line)
		}
	}
}

func (e *events) next() change {
	e.t.Helper()
	c, err := e.try()
	if err != nil {
		e.t.Fatal(err)
	}
	return c
}

func adjustBody(sku string, by int) string {
	return fmt.Sprintf(`{"lines":[{"sku":%q,"location":"L","quantity":%d}],"reason":"count"}`, sku, by)
}

func (r *rig) adjust(sku string, by int) {
	r.t.Helper()
	if got := r.do("POST", "/v1/stock/adjustments", adjustBody(sku, by)); got.status != http.StatusOK {
		r.t.Fatalf("adjust %s: %d %s", sku, got.status, got.body)
	}
}

func TestTheLongPollAnswersWhatThereIsAndWaitsForWhatIsNot(t *testing.T) {
	r := newRig(t, server.Options{})
	r.stock("S", 1)
	r.adjust("S", 2)
	first := r.db.Durable() - 2
	got := r.poll("after=" + strconv.FormatUint(first, 10) + "&wait=300")
	if len(got) != 2 || got[0].Type != "stock.set" || got[1].Type != "stock.adjusted" || got[1].Sequence != first+2 {
		t.Fatalf("the feed has %v", got)
	}
	if got := r.poll("limit=1&after=" + strconv.FormatUint(first, 10)); len(got) != 1 || got[0].Sequence != first+1 {
		t.Errorf("with limit=1 the feed has %v", got)
	}
	last := "after=" + strconv.FormatUint(r.db.Durable(), 10)
	if got := r.poll(last + "&wait=0"); len(got) != 0 {
		t.Errorf("where nothing has happened the feed has %v", got)
	}
	waiting := r.begin("GET", "/v1/changes?wait=300&"+last, "")
	eventually(t, "the poll waits", func() bool { return r.gauge("onhand_streams_running") == 1 })
	r.adjust("S", 3)
	if body := (<-waiting).body; strings.Count(body, "\n") != 1 || !strings.Contains(body, `"delta":3`) {
		t.Errorf("the poll that waited has %q", body)
	}
}

func TestTheFeedShowsDurableChangesOnly(t *testing.T) {
	r := newRig(t, server.Options{})
	r.stock("S", 1)
	after := "after=" + strconv.FormatUint(r.db.Durable(), 10)
	stream := r.events(after)
	release := r.db.HoldSyncs()
	defer release()
	done := r.begin("POST", "/v1/stock/adjustments", adjustBody("S", 5))
	eventually(t, "the change is decided", func() bool { return r.gauge("onhand_journal_pending_records") == 1 })
	if got := r.poll(after + "&wait=0"); len(got) != 0 {
		t.Errorf("a change that could be lost is in the feed: %v", got)
	}
	seen := make(chan change, 1)
	go func() {
		if c, err := stream.try(); err == nil {
			seen <- c
		}
	}()
	select {
	case c := <-seen:
		t.Errorf("a change that could be lost is in the stream: %v", c)
	case <-time.After(50 * time.Millisecond):
	}
	release()
	<-done
	if c := <-seen; c.Type != "stock.adjusted" {
		t.Errorf("the stream has %v", c)
	}
	if got := r.poll(after + "&wait=0"); len(got) != 1 {
		t.Errorf("the durable change is not in the feed: %v", got)
	}
}

func TestTheFeedHasEverySequenceOnceUnderConcurrentWriters(t *testing.T) {
	r := newRig(t, server.Options{})
	const writers, writes = 8, 60
	const last = 1 + writers*writes // the location came first
	streams := []*events{r.events("after=0"), r.events("after=0"), r.events("after=0")}
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for range writes {
				if got, err := r.try("POST", "/v1/stock/adjustments", adjustBody("S"+strconv.Itoa(w), 1)); err != nil || got.status != http.StatusOK {
					t.Errorf("adjust: %d %s (%v)", got.status, got.body, err)
				}
			}
		})
	}
	for i, stream := range streams {
		all.Go(func() {
			for want := uint64(1); want <= last; want++ {
				c, err := stream.try()
				if err != nil || c.Sequence != want || stream.id != strconv.FormatUint(want, 10) {
					t.Errorf("stream %d has %d with id %s (%v), want %d", i, c.Sequence, stream.id, err, want)
					return
				}
			}
		})
	}
	all.Go(func() {
		for after := uint64(0); after < last; {
			got, err := r.try("GET", "/v1/changes?limit=17&after="+strconv.FormatUint(after, 10), "")
			if err != nil || got.status != http.StatusOK {
				t.Errorf("poll: %d %s (%v)", got.status, got.body, err)
				return
			}
			for line := range strings.Lines(got.body) {
				var c struct{ Sequence uint64 }
				if err := json.Unmarshal([]byte(line), &c); err != nil || c.Sequence != after+1 {
					t.Errorf("after %d comes %q (%v)", after, line, err)
					return
				}
				after = c.Sequence
			}
		}
	})
	all.Wait()
}

func TestAStreamGoesOnFromTheLastEventID(t *testing.T) {
	r := newRig(t, server.Options{})
	for range 5 {
		r.adjust("S", 1)
	}
	first := r.events("after=1")
	first.next()
	seen := first.next()
	_ = first.Close()
	again := r.events("after=1", "Last-Event-ID: "+first.id+"\r\n") // browsers repeat the URL as it was
	if c := again.next(); c.Sequence != seen.Sequence+1 {
		t.Errorf("after event %s comes %d, want %d", first.id, c.Sequence, seen.Sequence+1)
	}
	snapshot := r.events("snapshot=true")
	for snapshot.next().Type != "snapshot.end" {
	}
	_ = snapshot.Close()
	r.adjust("S", 1)
	again = r.events("snapshot=true", "Last-Event-ID: "+snapshot.id+"\r\n")
	if c := again.next(); c.Type != "stock.adjusted" || strconv.FormatUint(c.Sequence-1, 10) != snapshot.id {
		t.Errorf("after the snapshot up to %s comes %v", snapshot.id, c)
	}
}

// state is what a reader of the feed holds: items by name, each with the sequence of its last change.
type state struct {
	cells        map[string]feedCell
	reservations map[string]feedReservation
	locations    map[string]uint64
	skus         map[string]uint64
}

// install is how docs/openapi.yaml tells clients to do it: what an item already includes is left out.
func (s *state) install(c *change) {
	cells := c.Cells
	if c.Cell != nil {
		cells = append(cells, *c.Cell)
	}
	for _, cell := range cells {
		if name := cell.SKU + "@" + cell.Location; cell.Sequence > s.cells[name].Sequence || s.cells[name].Raw == "" {
			s.cells[name] = cell
		}
	}
	if re := c.Reservation; re != nil && re.Sequence > s.reservations[re.ID].Sequence {
		s.reservations[re.ID] = *re
	}
	if l := c.Location; l != nil && l.Sequence > s.locations[l.ID] {
		s.locations[l.ID] = l.Sequence
	}
	if k := c.SKU; k != nil && k.Sequence > s.skus[k.SKU] {
		s.skus[k.SKU] = k.Sequence
	}
}

func TestASnapshotWithItsTailIsTheStateThatIsRead(t *testing.T) {
	r := newRig(t, server.Options{})
	const skus = 40
	for i := range skus {
		r.stock("S"+strconv.Itoa(i), 100)
	}
	r.put("/v1/skus/S0", `{"title":"a thing"}`)
	var stop atomic.Bool
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			var ids []string
			for i := w; !stop.Load(); i += 7 {
				sku := "S" + strconv.Itoa(i%skus)
				var got reply
				var err error
				switch i % 4 {
				case 0, 1:
					got, err = r.try("POST", "/v1/reservations", oneLine(sku))
					var made struct{ ID string }
					if err == nil && got.status == http.StatusCreated {
						if err = json.Unmarshal([]byte(got.body), &made); err == nil {
							ids = append(ids, made.ID)
						}
					}
				case 2:
					got, err = r.try("POST", "/v1/stock/adjustments", adjustBody(sku, 1))
				case 3:
					if len(ids) > 1 {
						got, err = r.try("POST", "/v1/reservations/"+ids[0]+[]string{"/commit", "/release"}[i/4%2], "")
						ids = ids[1:]
					}
				}
				if err != nil || got.status >= 500 {
					t.Errorf("write: %d %s (%v)", got.status, got.body, err)
					return
				}
			}
		})
	}
	defer func() { stop.Store(true); writers.Wait() }()
	eventually(t, "writers are at work", func() bool { return r.db.Durable() > 200 })

	newState := func() *state {
		return &state{make(map[string]feedCell), make(map[string]feedReservation), make(map[string]uint64), make(map[string]uint64)}
	}
	// One reader takes lines of JSON, the other an event stream.
	byPoll, byStream := newState(), newState()
	snapshot := r.poll("snapshot=true")
	end := snapshot[len(snapshot)-1]
	if end.Type != "snapshot.end" {
		t.Fatalf("the snapshot ends with %s", end.raw)
	}
	for i := range snapshot {
		byPoll.install(&snapshot[i])
	}
	stream := r.events("snapshot=true")
	for c := stream.next(); c.Type != "snapshot.end"; c = stream.next() {
		byStream.install(&c)
	}
	from, _ := strconv.ParseUint(stream.id, 10, 64)
	eventually(t, "writers went on", func() bool { return r.db.Durable() > from+200 })
	stop.Store(true)
	writers.Wait()
	last := r.db.Durable()
	for after := end.Sequence; after < last; {
		for _, c := range r.poll("limit=100&after=" + strconv.FormatUint(after, 10)) {
			byPoll.install(&c)
			after = c.Sequence
		}
	}
	for at := from; at < last; {
		c := stream.next()
		byStream.install(&c)
		at = c.Sequence
	}

	for name, s := range map[string]*state{"poll": byPoll, "stream": byStream} {
		if len(s.cells) != skus || s.locations["L"] == 0 || s.skus["S0"] == 0 {
			t.Errorf("%s: %d cells, location %d, SKU %d", name, len(s.cells), s.locations["L"], s.skus["S0"])
		}
		for _, cell := range s.cells {
			var read feedCell
			decodeInto(t, r.get("/v1/stock/"+cell.SKU+"/"+cell.Location), http.StatusOK, &read)
			if strings.Replace(read.Raw, `"in_transit":0,`, "", 1) != cell.Raw {
				t.Errorf("%s: the feed says %s, the cell is %s", name, cell.Raw, read.Raw)
			}
		}
		held := 0
		for id, re := range s.reservations {
			var read feedReservation
			decodeInto(t, r.get("/v1/reservations/"+id), http.StatusOK, &read)
			if read != re {
				t.Errorf("%s: the feed says %v, the reservation is %v", name, re, read)
			}
			if re.State == "held" {
				held++
			}
		}
		if live := int(r.gauge("onhand_holds_live")); held != live || live == 0 {
			t.Errorf("%s: the feed has %d live reservations, there are %d", name, held, live)
		}
	}
}

func TestChangesThatAreNoLongerKeptAreGone(t *testing.T) {
	r := newRigOn(t, engine.Options{RetentionAge: time.Minute}, server.Options{})
	r.stock("S", 1)
	for range 3 {
		for range 20 {
			r.adjust("S", 1)
		}
		r.db.Clock.Advance(2 * time.Minute)
		if err := r.db.Checkpoint(); err != nil {
			t.Fatal(err)
		}
	}
	r.adjust("S", 1)
	first, err := r.db.FirstRetained()
	if err != nil || first < 3 {
		t.Fatalf("the first change kept is %d (%v)", first, err)
	}
	for _, after := range []uint64{0, 1, first - 2} {
		path := "/v1/changes?wait=0&after=" + strconv.FormatUint(after, 10)
		wantProblem(t, r.get(path), http.StatusGone, "not-retained")
		wantProblem(t, r.get(path, "Accept", "text/event-stream"), http.StatusGone, "not-retained")
	}
	got := r.get("/v1/changes", "Accept", "text/event-stream", "Last-Event-ID", "1")
	wantProblem(t, got, http.StatusGone, "not-retained")
	r.do("PUT", "/v1/webhooks/late", `{"url":"http://127.0.0.1:1/","disabled":true}`)
	wantProblem(t, r.do("POST", "/v1/webhooks/late/redeliver", `{"from":1}`), http.StatusGone, "not-retained")
	// From the first that is kept on there is no gap, and a snapshot always helps.
	for i, c := range r.poll("wait=0&after=" + strconv.FormatUint(first-1, 10)) {
		if c.Sequence != first+uint64(i) {
			t.Fatalf("at %d comes %d", first+uint64(i), c.Sequence)
		}
	}
	snapshot := r.poll("snapshot=true")
	if end := snapshot[len(snapshot)-1]; end.Sequence < first || len(r.poll("wait=0&after="+strconv.FormatUint(end.Sequence, 10))) != 0 {
		t.Errorf("the snapshot ends with %s", end.raw)
	}
}

func TestTheFeedRefusesWhatItCanNotDo(t *testing.T) {
	r := newRig(t, server.Options{})
	for _, parameters := range []string{
		"after=-1", "after=x", "after=1.0", "after=99999", "after=18446744073709551616", "limit=0", "limit=1000001", "wait=301",
		"wait=-1", "snapshot=yes", "snapshot=true&after=0", "after=0&after=0", "since=0",
	} {
		wantProblem(t, r.get("/v1/changes?"+parameters), http.StatusBadRequest, "invalid")
	}
	for _, id := range []string{"x", "-1", "99999", "18446744073709551616"} {
		got := r.get("/v1/changes", "Accept", "text/event-stream", "Last-Event-ID", id)
		wantProblem(t, got, http.StatusBadRequest, "invalid")
	}
}

// importCells makes a feed of many bytes in few changes.
func (r *rig) importCells(n int) {
	r.t.Helper()
	var rows bytes.Buffer
	rows.WriteString("sku,location,on_hand\n")
	for i := range n {
		fmt.Fprintf(&rows, "%s-%06d,L,1\n", strings.Repeat("x", 50), i)
	}
	if got := r.do("POST", "/v1/stock/import", rows.String()); got.status != http.StatusOK {
		r.t.Fatalf("import: %d %s", got.status, got.body)
	}
}

func TestAReaderThatStopsReadingHarmsNobodyAndIsCutOff(t *testing.T) {
	r := newRig(t, server.Options{WriteTimeout: 5 * time.Second})
	r.importCells(50_000) // 15 MB of feed, more than the sockets' buffers take
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	const stalled = 12
	for i := range stalled {
		conn, err := net.Dial("tcp", r.address)
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
			t.Fatal(err)
		}
		accept := ""
		if i%2 == 0 {
			accept = "Accept: text/event-stream\r\n"
		}
		parameters := []string{"after=0&limit=1000000", "snapshot=true"}[i/2%2]
		newSocket(t, conn).send("GET /v1/changes?" + parameters + " HTTP/1.1\r\nHost: x\r\n" + accept + "\r\n")
	}
	eventually(t, "they are being served", func() bool {
		served, _ := r.metric(`onhand_http_requests_total{call="/v1/changes",code="200",method="GET"}`)
		return served == stalled
	})
	r.adjust("S", 1) // a writer is not held up
	if got := r.poll("wait=0&after=" + strconv.FormatUint(r.db.Durable()-1, 10)); len(got) != 1 {
		t.Errorf("another reader has %v", got)
	}
	// Each costs its read-ahead and what lies between it and its socket.
	if grown := heap() - before; grown > stalled*(1<<20)+(8<<20) {
		t.Errorf("%d readers that stopped reading take %d bytes", stalled, grown)
	}
	eventually(t, "they are cut off", func() bool { return r.gauge("onhand_streams_running") == 0 })
}

func TestAReaderThatGoesAwayGivesItsPlaceBack(t *testing.T) {
	r := newRig(t, server.Options{})
	after := strconv.FormatUint(r.db.Durable(), 10)
	var readers []*socket
	for range 10 {
		readers = append(readers, r.events("after="+after).socket)
		waiting := r.dial()
		waiting.send("GET /v1/changes?wait=300&after=" + after + " HTTP/1.1\r\nHost: x\r\n\r\n")
		readers = append(readers, waiting)
	}
	eventually(t, "20 readers wait", func() bool { return r.gauge("onhand_streams_running") == 20 })
	for _, reader := range readers {
		_ = reader.Close()
	}
	eventually(t, "their places are free", func() bool { return r.gauge("onhand_streams_running") == 0 })
	stacks := make([]byte, 4<<20)
	eventually(t, "their goroutines are gone", func() bool {
		return !bytes.Contains(stacks[:runtime.Stack(stacks, true)], []byte("server.(*feed)"))
	})
}

func TestAStreamBeginsBeforeItsFirstChange(t *testing.T) {
	r := newRig(t, server.Options{})
	after := strconv.FormatUint(r.db.Durable(), 10)
	for _, accept := range []string{"text/event-stream", "application/x-ndjson"} {
		s := r.dial()
		s.send("GET /v1/changes?wait=300&after=" + after + " HTTP/1.1\r\nHost: x\r\nAccept: " + accept + "\r\n\r\n")
		if _, err := http.ReadResponse(s.in, nil); err != nil {
			t.Fatal(err)
		}
		if s.in.Buffered() > 0 {
			t.Errorf("%s: the headers came no sooner than the first sign of life", accept)
		}
	}
}

func TestAReaderOverTLSThatGoesAwayGivesItsPlaceBack(t *testing.T) {
	r, trust := newTLSRig(t, server.Options{})
	s := r.dialTLS(trust)
	s.send("GET /v1/changes?after=" + strconv.FormatUint(r.db.Durable(), 10) + " HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n")
	eventually(t, "the reader waits", func() bool { return r.gauge("onhand_streams_running") == 1 })
	_ = s.Close()
	eventually(t, "its place is free", func() bool { return r.gauge("onhand_streams_running") == 0 })
}
