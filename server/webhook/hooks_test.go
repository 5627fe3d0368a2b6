package webhook

import (
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"onhand/engine"
)

// encode writes what the tests look at.
func encode(dst []byte, c *engine.Change, e *engine.Event) []byte {
	dst = fmt.Appendf(dst, `{"sequence":%d`, c.Sequence)
	if e != nil {
		return fmt.Appendf(dst, `,"sku":%q,"location":%q,"available":%d}`, e.SKU, e.Location, e.Available)
	}
	if c.Reservation != nil {
		dst = fmt.Appendf(dst, `,"reservation":{"id":"%s"}`, engine.FormatID(c.Reservation.ID))
	}
	return append(dst, '}')
}

func openEngine(t *testing.T) *engine.Engine {
	t.Helper()
	e, err := engine.Open(t.TempDir(), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func openHooks(t *testing.T, dir string, feed Feed) *Hooks {
	t.Helper()
	h, err := Open(dir, feed, Options{Encode: encode, AllowPrivate: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

func put(t *testing.T, h *Hooks, e Endpoint) Endpoint {
	t.Helper()
	e, _, err := h.Put(e)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// quickly makes the pauses between attempts short.
func quickly(t *testing.T) {
	before := slices.Clone(pauses)
	for i := range pauses {
		pauses[i] = 10 * time.Millisecond
	}
	t.Cleanup(func() { copy(pauses, before) })
}

// trade makes n reservations and ends most of them, and returns the last sequence.
func trade(t *testing.T, e *engine.Engine, n int) uint64 {
	t.Helper()
	onHand := int64(1_000_000)
	if _, err := e.SetStock(&engine.SetStockRequest{SKU: "lamp", Location: "lyon", OnHand: &onHand}); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		r, err := e.Reserve(&engine.ReserveRequest{Lines: []engine.Line{{SKU: "lamp", Location: "lyon", Quantity: 1}}, ExpiresIn: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		switch i % 3 {
		case 0:
			_, err = e.Commit(&engine.FinishRequest{ID: r.ID})
		case 1:
			if _, err = e.Extend(r.ID, 2*time.Hour, time.Time{}, ""); err == nil {
				_, err = e.Release(&engine.FinishRequest{ID: r.ID})
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return e.Durable()
}

// delivered waits until so many events of an endpoint are noted as delivered.
func delivered(t *testing.T, h *Hooks, id string, n uint64) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		_, st, _ := h.Get(id)
		if st.Delivered >= n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d events are delivered, want %d", st.Delivered, n)
		}
	}
}

func TestEverythingArrivesInOrder(t *testing.T) {
	e := openEngine(t)
	h := openHooks(t, t.TempDir(), e)
	r := newReceiver(t)
	r.secrets = []Secret{put(t, h, Endpoint{ID: "shop", URL: r.URL}).Secret}
	last := trade(t, e, 300)
	r.await("all of it", all(1, last))
	delivered(t, h, "shop", last+1)
	taken := r.events()
	if len(taken) != int(last)+1 { // there are lamps again
		t.Errorf("%d events were taken, %d happened: nothing failed, so nothing is sent twice", len(taken), last+1)
	}
	r.checkOrder()
	for _, got := range taken {
		if got.Data.Sequence == 1 && (got.Source != "/onhand" || got.Type != "onhand.location.set" || got.Subject != "locations/lyon") {
			t.Errorf("the first event is %+v", got)
		}
	}
	_, st, _ := h.Get("shop")
	for deadline := time.Now().Add(time.Minute); st.After != last && time.Now().Before(deadline); _, st, _ = h.Get("shop") {
		time.Sleep(time.Millisecond)
	}
	if st.Delivered != last+1 || st.Failed != 0 || st.After != last || st.Waiting != 0 {
		t.Errorf("status %+v", st)
	}
	d, _ := h.Deliveries("shop", 10)
	if len(d) != 10 || d[0].Error != "" || d[0].Status != 200 || d[0].Attempt != 1 {
		t.Errorf("deliveries %+v", d)
	}
}

// TestASubjectsEventsArriveInOrder: what is said of a cell, a SKU and a location overtakes nothing that was said of it before, however
// long the receiver takes for each; what is said of several cells at once waits for nobody.
func TestASubjectsEventsArriveInOrder(t *testing.T) {
	quickly(t)
	e := openEngine(t)
	h := openHooks(t, t.TempDir(), e)
	r := newReceiver(t)
	r.answer = func(http.ResponseWriter, *http.Request, *received) int {
		time.Sleep(time.Duration(rand.IntN(5)) * time.Millisecond)
		return []int{200, 200, 200, 500}[rand.IntN(4)]
	}
	r.secrets = []Secret{put(t, h, Endpoint{ID: "shop", URL: r.URL}).Secret}
	for i := range 100 {
		lines := []engine.Line{
			{SKU: "lamp", Location: "lyon", Quantity: int64(i%5 - 2)}, {SKU: "tea", Location: []string{"lyon", "nice"}[i%2], Quantity: 3},
		}
		if lines[0].Quantity == 0 {
			lines = lines[1:]
		}
		if i%3 > 0 {
			lines = lines[:1]
		}
		_, err := e.Adjust(&engine.Adjustment{Lines: lines, Reason: "correction"})
		if err == nil {
			_, err = e.PutSKU(engine.SKU{ID: "lamp", Title: fmt.Sprint("Lamp ", i)}, "")
		}
		if err == nil {
			_, err = e.PutLocation(engine.Location{ID: "lyon", Kind: engine.Store, Name: fmt.Sprint("Lyon ", i)}, "")
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	several := 0
	for _, got := range r.await("all of it", all(1, e.Durable())) {
		if got.Subject == "" {
			several++
		}
	}
	if several == 0 {
		t.Error("there was no change of several cells")
	}
	r.checkOrder()
}

// TestReceiversThatFail has the receiver fail in every way there is, at random, until everything was taken all the same.
func TestReceiversThatFail(t *testing.T) {
	quickly(t)
	e := openEngine(t)
	h := openHooks(t, t.TempDir(), e)
	r := newReceiver(t)
	ways := map[string]func(w http.ResponseWriter, q *http.Request) int{
		"takes it":     func(http.ResponseWriter, *http.Request) int { return 200 },
		"500":          func(http.ResponseWriter, *http.Request) int { return 500 },
		"400":          func(http.ResponseWriter, *http.Request) int { return 400 },
		"429, at once": func(w http.ResponseWriter, _ *http.Request) int { w.Header().Set("Retry-After", "0"); return 429 },
		"a redirect": func(w http.ResponseWriter, q *http.Request) int {
			http.Redirect(w, q, "/elsewhere", http.StatusTemporaryRedirect)
			return 0
		},
		"slow":            func(http.ResponseWriter, *http.Request) int { time.Sleep(20 * time.Millisecond); return 200 },
		"a reset":         func(w http.ResponseWriter, _ *http.Request) int { cut(t, w, true); return 0 },
		"an early close":  func(w http.ResponseWriter, _ *http.Request) int { cut(t, w, false); return 0 },
		"takes it anyway": func(http.ResponseWriter, *http.Request) int { return 200 },
	}
	names := slices.Sorted(maps.Keys(ways))
	r.answer = func(w http.ResponseWriter, q *http.Request, _ *received) int {
		if q.URL.Path != "/hook" {
			t.Errorf("a redirect to %s was followed", q.URL.Path)
		}
		return ways[names[rand.IntN(len(names))]](w, q)
	}
	r.secrets = []Secret{put(t, h, Endpoint{ID: "shop", URL: r.URL + "/hook"}).Secret}
	r.await("all of it", all(1, trade(t, e, 100)))
	r.checkOrder()
	if _, st, _ := h.Get("shop"); st.Failed == 0 || st.GaveUp != 0 {
		t.Errorf("status %+v", st)
	}
}

// cut ends a connection without an answer, with a reset or without.
func cut(t *testing.T, w http.ResponseWriter, reset bool) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		t.Error(err)
		return
	}
	if reset {
		_ = conn.(*net.TCPConn).SetLinger(0)
	}
	_ = conn.Close()
}

// TestACrashLosesNoEvent takes copies of the endpoint's file while a receiver fails at random, as a crash would leave it, and
// goes on from each.
func TestACrashLosesNoEvent(t *testing.T) {
	quickly(t)
	e := openEngine(t)
	dir := t.TempDir()
	r := newReceiver(t)
	r.answer = func(http.ResponseWriter, *http.Request, *received) int {
		return []int{200, 500}[rand.IntN(2)]
	}
	h := openHooks(t, dir, e)
	r.secrets = []Secret{put(t, h, Endpoint{ID: "shop", URL: r.URL}).Secret}
	for range 5 {
		trade(t, e, 40)
		time.Sleep(time.Duration(rand.IntN(50)) * time.Millisecond)
		h.saveAll()
		time.Sleep(time.Duration(rand.IntN(50)) * time.Millisecond)
		left := t.TempDir()
		data, err := os.ReadFile(filepath.Join(dir, "shop.json"))
		if err == nil {
			err = os.WriteFile(filepath.Join(left, "shop.json"), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Close(); err != nil { // what it saves now is not used
			t.Fatal(err)
		}
		dir = left
		h = openHooks(t, dir, e)
	}
	r.await("all of it", all(1, e.Durable()))
	r.checkOrder()
}

func TestARestartGoesOnWhereItWas(t *testing.T) {
	e := openEngine(t)
	dir := t.TempDir()
	r := newReceiver(t)
	h := openHooks(t, dir, e)
	r.secrets = []Secret{put(t, h, Endpoint{ID: "shop", URL: r.URL}).Secret}
	first := trade(t, e, 10)
	r.await("the first", all(1, first))
	delivered(t, h, "shop", first+1) // and each noted: what is cut off is sent again
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	last := trade(t, e, 10) // nobody is told of these
	openHooks(t, dir, e)
	if taken := r.await("the rest", all(1, last)); len(taken) != int(last)+1 {
		t.Errorf("%d events were taken, %d happened", len(taken), last+1)
	}
}

func TestARotatedSecret(t *testing.T) {
	e := openEngine(t)
	h := openHooks(t, t.TempDir(), e)
	r := newReceiver(t)
	old := put(t, h, Endpoint{ID: "shop", URL: r.URL}).Secret
	r.secrets = []Secret{old}
	next := put(t, h, Endpoint{ID: "shop", URL: r.URL, Secret: newSecret()})
	if next.Secret == old || next.Previous != old {
		t.Fatalf("the endpoint became %+v", next)
	}
	again := put(t, h, Endpoint{ID: "shop", URL: r.URL, Secret: next.Secret, Description: "a retry"})
	if again.Previous != old || !again.PreviousEnds.Equal(next.PreviousEnds) {
		t.Fatalf("a retry made it %+v", again)
	}
	last := trade(t, e, 3)
	r.await("signed with the old one", all(1, last))
	delivered(t, h, "shop", last+1)
	r.from(nil, next.Secret)
	r.await("signed with the new one", all(1, trade(t, e, 3)))
}

func TestGoneDisables(t *testing.T) {
	e := openEngine(t)
	dir := t.TempDir()
	h := openHooks(t, dir, e)
	r := newReceiver(t)
	r.answer = func(http.ResponseWriter, *http.Request, *received) int { return http.StatusGone }
	r.secrets = []Secret{put(t, h, Endpoint{ID: "shop", URL: r.URL}).Secret}
	last := trade(t, e, 3)
	var endpoint Endpoint
	for deadline := time.Now().Add(time.Minute); endpoint.Disabled == ""; endpoint, _, _ = h.Get("shop") {
		if time.Now().After(deadline) {
			t.Fatal("it is still sent to")
		}
		time.Sleep(time.Millisecond)
	}
	h.saveAll()
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	h = openHooks(t, dir, e)
	if endpoint, _, _ = h.Get("shop"); !strings.Contains(endpoint.Disabled, "410") {
		t.Fatalf("after a restart it is disabled: %q", endpoint.Disabled)
	}
	r.from(nil, r.secrets...)
	put(t, h, Endpoint{ID: "shop", URL: r.URL}) // it is wanted again
	r.await("what was not taken", all(1, last))
}

func TestPrivateAddressesAreRefused(t *testing.T) {
	e := openEngine(t)
	h, err := Open(t.TempDir(), e, Options{Encode: encode})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = h.Close() }()
	r := newReceiver(t)
	_, port, _ := net.SplitHostPort(r.Listener.Addr().String())
	for _, url := range []string{r.URL, "http://localhost:" + port, "http://[::ffff:127.0.0.1]:" + port, "http://0.0.0.0:" + port} {
		put(t, h, Endpoint{ID: "shop", URL: url})
		if d, _ := h.Test(t.Context(), "shop"); !strings.Contains(d.Error, "not a public address") {
			t.Errorf("%s: %q", url, d.Error)
		}
	}
	if got := r.events(); len(got) > 0 {
		t.Errorf("%d events came", len(got))
	}
}

// TestTheDeadDelayNobody has one endpoint that refuses connections, one that never answers, one whose TLS never shakes hands
// and one that fails, beside one that is well.
func TestTheDeadDelayNobody(t *testing.T) {
	e := openEngine(t)
	h := openHooks(t, t.TempDir(), e)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	const refusing = "http://127.0.0.1:1" // tcpmux: nobody listens
	failing, well := newReceiver(t), newReceiver(t)
	failing.answer = func(http.ResponseWriter, *http.Request, *received) int { return 503 }
	put(t, h, Endpoint{ID: "refusing", URL: refusing})
	put(t, h, Endpoint{ID: "silent", URL: "http://" + silent.Addr().String()})
	put(t, h, Endpoint{ID: "tls", URL: "https://" + silent.Addr().String()})
	failing.secrets = []Secret{put(t, h, Endpoint{ID: "failing", URL: failing.URL}).Secret}
	well.secrets = []Secret{put(t, h, Endpoint{ID: "well", URL: well.URL}).Secret}
	well.await("all of it, though others are dead", all(1, trade(t, e, 200)))
	for _, id := range []string{"refusing", "failing", "tls"} {
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
			if _, st, _ := h.Get(id); st.Failing > 0 && st.Error != "" && st.Waiting > 0 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s is not said to fail", id)
			}
		}
	}
}

// TestAnUnknownCertificateIsNotTrusted: what says who may know of it is the certificate.
func TestAnUnknownCertificateIsNotTrusted(t *testing.T) {
	e := openEngine(t)
	h := openHooks(t, t.TempDir(), e)
	to := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was sent an event") }))
	to.Config.ErrorLog = log.New(io.Discard, "", 0)
	to.StartTLS()
	defer to.Close()
	put(t, h, Endpoint{ID: "shop", URL: to.URL})
	if d, _ := h.Test(t.Context(), "shop"); !strings.Contains(d.Error, "certificate") || d.Status != 0 {
		t.Errorf("the test was answered %+v", d)
	}
}

func TestRedeliver(t *testing.T) {
	e := openEngine(t)
	h := openHooks(t, t.TempDir(), e)
	r := newReceiver(t)
	r.secrets = []Secret{put(t, h, Endpoint{ID: "shop", URL: r.URL}).Secret}
	last := trade(t, e, 20)
	r.await("the first time", all(1, last))
	count := func(sequence uint64) (n int) {
		for _, e := range r.events() {
			if e.Data.Sequence == sequence {
				n++
			}
		}
		return n
	}
	if found, err := h.Redeliver("shop", 5); err != nil || !found {
		t.Fatal(found, err)
	}
	r.await("the second time", func([]received) bool { return count(5) == 2 && count(last) == 2 })
	if count(4) != 1 {
		t.Errorf("what came before was sent %d times", count(4))
	}
	var invalid *engine.InvalidError
	for _, from := range []uint64{0, last + 2} {
		if _, err := h.Redeliver("shop", from); !errors.As(err, &invalid) {
			t.Errorf("from %d: %v", from, err)
		}
	}
	if found, err := h.Redeliver("nobody", 1); found || err != nil {
		t.Errorf("nobody: %t, %v", found, err)
	}
}

func TestATestIsSentOnce(t *testing.T) {
	e := openEngine(t)
	h := openHooks(t, t.TempDir(), e)
	r := newReceiver(t)
	r.secrets = []Secret{put(t, h, Endpoint{ID: "shop", URL: r.URL, Disabled: "by request"}).Secret}
	if d, ok := h.Test(t.Context(), "shop"); !ok || d.Error != "" || d.Status != 200 {
		t.Fatalf("the test was answered %+v", d)
	}
	if got := r.events(); len(got) != 1 || got[0].Type != "onhand.webhook.test" {
		t.Fatalf("the receiver has %+v", got)
	}
	r.answer = func(http.ResponseWriter, *http.Request, *received) int { return 500 }
	if d, _ := h.Test(t.Context(), "shop"); d.Error == "" || d.Status != 500 {
		t.Fatalf("a failed test was answered %+v", d)
	}
}

func TestDeletedAndDisabled(t *testing.T) {
	e := openEngine(t)
	dir := t.TempDir()
	h := openHooks(t, dir, e)
	r := newReceiver(t)
	r.secrets = []Secret{put(t, h, Endpoint{ID: "shop", URL: r.URL, Disabled: "by request"}).Secret}
	first := trade(t, e, 3)
	time.Sleep(50 * time.Millisecond)
	if got := r.events(); len(got) != 0 {
		t.Fatalf("a disabled endpoint was sent %d events", len(got))
	}
	put(t, h, Endpoint{ID: "shop", URL: r.URL})
	r.await("what happened meanwhile", all(1, first))
	kinds, _ := happened(t, e, 1, everything)
	delivered(t, h, "shop", uint64(len(kinds)))
	if ok, err := h.Delete("shop"); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if ok, err := h.Delete("shop"); ok || err != nil {
		t.Fatal(ok, err)
	}
	n := len(r.events())
	trade(t, e, 3)
	time.Sleep(50 * time.Millisecond)
	if got := r.events(); len(got) != n {
		t.Fatal("a deleted endpoint is sent to")
	}
	if ids := openHooks(t, dir, e).IDs(); len(ids) != 0 {
		t.Fatalf("after a restart there is %v", ids)
	}
}

func TestBadFilesAreNamed(t *testing.T) {
	e := openEngine(t)
	for name, text := range map[string]string{
		"cut short":   `{"endpoint":{"id":"shop"`,
		"another id":  `{"endpoint":{"id":"other","url":"http://x/","secret":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}}`,
		"a wrong url": `{"endpoint":{"id":"shop","url":"x","secret":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}}`,
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "shop.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir, e, Options{Encode: encode}); err == nil || !strings.Contains(err.Error(), "shop.json") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// feedWithGap is an engine that has forgotten its first changes.
type feedWithGap struct {
	*engine.Engine
	first uint64
}

func (f feedWithGap) FirstRetained() (uint64, error) { return f.first, nil }

func (f feedWithGap) Changes(after uint64, each func(*engine.Change) error) error {
	if after+1 < f.first {
		return engine.ErrNotRetained
	}
	return f.Engine.Changes(after, each)
}

func TestWhatIsNoLongerRetainedIsSaidToBeMissed(t *testing.T) {
	e := openEngine(t)
	dir := t.TempDir()
	h := openHooks(t, dir, e)
	r := newReceiver(t)
	r.secrets = []Secret{put(t, h, Endpoint{ID: "shop", URL: r.URL, Disabled: "by request"}).Secret}
	last := trade(t, e, 10)
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	h = openHooks(t, dir, feedWithGap{e, 8})
	put(t, h, Endpoint{ID: "shop", URL: r.URL})
	r.await("what is left", all(8, last))
	if _, st, _ := h.Get("shop"); st.Missed != 7 {
		t.Errorf("%d changes are said to be missed, 7 are", st.Missed)
	}
	if _, err := h.Redeliver("shop", 7); !errors.Is(err, engine.ErrNotRetained) {
		t.Errorf("from 7: %v", err)
	}
}

// retained is what an engine was last asked to keep.
type retained struct {
	*engine.Engine
	after chan uint64
}

func (f retained) Retain(after uint64) { f.after <- after }

func TestWhatIsNotSentYetIsRetained(t *testing.T) {
	e := openEngine(t)
	f := retained{e, make(chan uint64, 1000)}
	h := openHooks(t, t.TempDir(), f)
	trade(t, e, 3)
	r := newReceiver(t)
	r.answer = func(http.ResponseWriter, *http.Request, *received) int { return 500 }
	r.secrets = []Secret{put(t, h, Endpoint{ID: "shop", URL: r.URL}).Secret}
	before := e.Durable()
	trade(t, e, 3)
	h.saveAll()
	for len(f.after) > 1 {
		<-f.after
	}
	if after := <-f.after; after != before {
		t.Errorf("the changes after %d are kept, those after %d were not taken", after, before)
	}
}
