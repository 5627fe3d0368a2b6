package webhook

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"onhand/engine"
)

// scarce sells and receives a handful of units of two SKUs at two locations, so that most changes mean something besides.
func scarce(t *testing.T, e *engine.Engine, n int) {
	t.Helper()
	for i := range n {
		lines := []engine.Line{
			{SKU: "lamp", Location: []string{"lyon", "nice"}[i%2], Quantity: int64(i%3 + 1)},
			{SKU: "tea", Location: "lyon", Quantity: int64(i%4 + 1)},
		}
		if _, err := e.Adjust(&engine.Adjustment{Lines: lines, Reason: "receipt"}); err != nil {
			t.Fatal(err)
		}
		r, err := e.Reserve(&engine.ReserveRequest{Lines: lines, ExpiresIn: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		if _, err = e.Release(&engine.FinishRequest{ID: r.ID}); err == nil {
			for j := range lines {
				lines[j].Quantity = -lines[j].Quantity
			}
			_, err = e.Adjust(&engine.Adjustment{Lines: lines, Reason: "sale"})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func lowTea(t *testing.T, e *engine.Engine) {
	t.Helper()
	if _, err := e.PutSKU(engine.SKU{ID: "tea", LowStock: engine.Threshold{Low: 1, Clear: 3}}, ""); err != nil {
		t.Fatal(err)
	}
}

// happened returns all events there were from a sequence on, by id, and the ids of each lane in their order: those of a reservation, and
// what was told of a cell.
func happened(t *testing.T, e *engine.Engine, from uint64, want func(kind engine.ChangeKind, location string) bool) (kinds map[string]engine.ChangeKind, inOrder map[string][]string) {
	t.Helper()
	kinds, inOrder = make(map[string]engine.ChangeKind), make(map[string][]string)
	err := e.Changes(from-1, func(c *engine.Change) error {
		id := fmt.Sprintf("%d-%s", c.Sequence, base36(c.Time.UnixNano()))
		if want(c.Kind, "") {
			kinds[id] = c.Kind
			if c.Reservation != nil {
				lane := engine.FormatID(c.Reservation.ID)
				inOrder[lane] = append(inOrder[lane], id)
			}
		}
		for i := range c.Events {
			of, id := &c.Events[i], fmt.Sprintf("%s-%d", id, i+1)
			if want(of.Type, of.Location) {
				kinds[id] = of.Type
				lane := of.SKU + " at " + of.Location
				inOrder[lane] = append(inOrder[lane], id)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return kinds, inOrder
}

func base36(n int64) (text string) {
	const digits = "0123456789abcdefghijklmnopqrstuvwxyz"
	for ; n > 0; n /= 36 {
		text = string(digits[n%36]) + text
	}
	return text
}

// awaitExactly waits until every event was taken, fails where there are others, and checks the order in which those of a lane came
// first.
func (r *receiver) awaitExactly(kinds map[string]engine.ChangeKind, inOrder map[string][]string) {
	r.t.Helper()
	taken := r.await(fmt.Sprintf("%d events", len(kinds)), func(taken []received) bool {
		seen := make(map[string]bool)
		for i := range taken {
			seen[taken[i].ID] = true
		}
		return len(seen) >= len(kinds)
	})
	at := make(map[string]int)
	for i := range taken {
		e := &taken[i]
		if kind, ok := kinds[e.ID]; !ok || e.Type != "onhand."+string(kind) {
			r.t.Errorf("event %s of type %s should be %q", e.ID, e.Type, kind)
		}
		if _, before := at[e.ID]; !before {
			at[e.ID] = i
		}
		if strings.Count(e.ID, "-") > 1 && e.Subject != "stock/"+e.Data.SKU+"/"+e.Data.Location {
			r.t.Errorf("event %s is of %q, its data of %s at %s", e.ID, e.Subject, e.Data.SKU, e.Data.Location)
		}
	}
	for lane, ids := range inOrder {
		for i := 1; i < len(ids); i++ {
			if at[ids[i]] < at[ids[i-1]] {
				r.t.Errorf("%s: %s came before %s", lane, ids[i], ids[i-1])
			}
		}
	}
}

func everything(engine.ChangeKind, string) bool { return true }

// TestEachEventOfAChangeIsDelivered to those who want it, on its own, and again as the same.
func TestEachEventOfAChangeIsDelivered(t *testing.T) {
	e := openEngine(t)
	lowTea(t, e)
	first := e.Durable() + 1
	h := openHooks(t, t.TempDir(), e)
	endpoints := map[string]Endpoint{
		"all":      {},
		"stock":    {Events: []string{"stock.low", "stock.recovered", "stock.out", "stock.back"}},
		"lyon":     {Events: []string{"stock.out"}, Locations: []string{"lyon"}},
		"low-nice": {Events: []string{"stock.low"}, Locations: []string{"nice"}},
	}
	wants := map[string]func(kind engine.ChangeKind, location string) bool{
		"all": everything,
		"stock": func(kind engine.ChangeKind, _ string) bool {
			return slices.Contains(endpoints["stock"].Events, string(kind))
		},
		"lyon":     func(kind engine.ChangeKind, location string) bool { return kind == "stock.out" && location == "lyon" },
		"low-nice": func(engine.ChangeKind, string) bool { return false }, // there is no tea in Nice
	}
	receivers := make(map[string]*receiver)
	for id, endpoint := range endpoints {
		r := newReceiver(t)
		endpoint.ID, endpoint.URL = id, r.URL
		r.secrets = []Secret{put(t, h, endpoint).Secret}
		receivers[id] = r
	}
	scarce(t, e, 20)
	for id, r := range receivers {
		kinds, inOrder := happened(t, e, first, wants[id])
		if len(kinds) < 20 && id != "low-nice" {
			t.Fatalf("%s: only %d events happened", id, len(kinds))
		}
		r.awaitExactly(kinds, inOrder)
	}
	// Again, from the middle of it: the same events under the same ids.
	from := (first + e.Durable()) / 2
	for id, r := range receivers {
		before := len(r.events())
		if _, err := h.Redeliver(id, from); err != nil {
			t.Fatal(err)
		}
		again, _ := happened(t, e, from, wants[id])
		taken := r.await("redelivery to "+id, func(taken []received) bool { return len(taken) >= before+len(again) })
		for _, got := range taken[before:] {
			if again[got.ID] == "" {
				t.Errorf("%s: %s was sent again", id, got.ID)
			}
			delete(again, got.ID)
		}
		if len(again) > 0 {
			t.Errorf("%s: %v were not sent again", id, again)
		}
	}
}

// TestACrashLosesNoEventOfAChange goes on from copies of the endpoint's file, as a crash would leave it, while some events of a change
// were taken and others not.
func TestACrashLosesNoEventOfAChange(t *testing.T) {
	quickly(t)
	e := openEngine(t)
	lowTea(t, e)
	first := e.Durable() + 1
	dir := t.TempDir()
	r := newReceiver(t)
	r.answer = func(http.ResponseWriter, *http.Request, *received) int { return []int{200, 500}[rand.IntN(2)] }
	h := openHooks(t, dir, e)
	r.secrets = []Secret{put(t, h, Endpoint{ID: "shop", URL: r.URL}).Secret}
	numbers := 0 // of events after the first of a change that were waiting when it crashed
	// As many crashes as it takes, on a slow machine.
	for n := 0; n < 6 || numbers == 0 && n < 60; n++ {
		scarce(t, e, 10)
		time.Sleep(time.Duration(rand.IntN(30)) * time.Millisecond)
		h.saveAll()
		data, err := os.ReadFile(filepath.Join(dir, "shop.json"))
		if err != nil {
			t.Fatal(err)
		}
		numbers += strings.Count(string(data), `"number"`)
		left := t.TempDir()
		if err := os.WriteFile(filepath.Join(left, "shop.json"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(rand.IntN(30)) * time.Millisecond)
		if err := h.Close(); err != nil { // what it saves now is not used
			t.Fatal(err)
		}
		dir = left
		h = openHooks(t, dir, e)
	}
	if numbers == 0 {
		t.Error("no event but the first of a change was ever waiting")
	}
	r.awaitExactly(happened(t, e, first, everything))
}

// TestAFileOfBefore events had numbers is read as it was meant.
func TestAFileOfBefore(t *testing.T) {
	e := openEngine(t)
	scarce(t, e, 3)
	r := newReceiver(t)
	secret := newSecret()
	r.secrets = []Secret{secret}
	dir := t.TempDir()
	text := fmt.Sprintf(`{"endpoint":{"id":"shop","url":%q,"secret":%q},"after":%d,"waiting":[{"sequence":3,"attempts":2}],"missed":0}`, r.URL, secret, e.Durable())
	if err := os.WriteFile(filepath.Join(dir, "shop.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	h := openHooks(t, dir, e)
	got := r.await("the one that waited", func(taken []received) bool { return len(taken) > 0 })
	if got[0].Data.Sequence != 3 || strings.Count(got[0].ID, "-") > 1 {
		t.Errorf("it was sent %+v", got[0])
	}
	delivered(t, h, "shop", 1)
	if d, _ := h.Deliveries("shop", 1); len(d) != 1 || d[0].Attempt != 3 {
		t.Errorf("the log has %+v", d)
	}
}

// TestAFileOfBeforeHadOtherLanes: where there was none for each cell, it may have an event waiting whose forerunner was being sent when it was saved: that is
// not taken for sent.
func TestAFileOfBeforeHadOtherLanes(t *testing.T) {
	e := openEngine(t)
	for range 5 {
		if _, err := e.Adjust(&engine.Adjustment{Lines: []engine.Line{{SKU: "lamp", Location: "lyon", Quantity: 1}}, Reason: "receipt"}); err != nil {
			t.Fatal(err)
		}
	}
	last := e.Durable()
	r := newReceiver(t)
	secret := newSecret()
	r.secrets = []Secret{secret}
	dir := t.TempDir()
	text := fmt.Sprintf(`{"endpoint":{"id":"shop","url":%q,"secret":%q,"events":["stock.adjusted"]},"after":%d,"waiting":[{"sequence":%d,"attempts":2},{"sequence":%d,"attempts":2}],"missed":0}`,
		r.URL, secret, last-3, last-4, last-1)
	if err := os.WriteFile(filepath.Join(dir, "shop.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	openHooks(t, dir, e)
	var got []uint64
	r.await("all that was not taken", func(taken []received) bool { return len(taken) == 4 })
	for _, event := range r.events() {
		got = append(got, event.Data.Sequence)
	}
	if want := []uint64{last - 4, last - 2, last - 1, last}; !slices.Equal(got, want) {
		t.Errorf("it was sent %v, want %v", got, want)
	}
}
