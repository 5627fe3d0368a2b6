package webhook

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

// receiver is a real HTTP server that takes events, or doesn't, and notes what it took.
type receiver struct {
	*httptest.Server
	t *testing.T

	mu      sync.Mutex // also of secrets and answer, once events are under way
	taken   []received
	secrets []Secret // any of which may have signed
	// answer, if there is one, is what to answer with; 200 takes the event.
	answer func(w http.ResponseWriter, r *http.Request, e *received) int
}

// received is an event as it came.
type received struct {
	ID      string `json:"id"`
	Version string `json:"specversion"`
	Source  string `json:"source"`
	Type    string `json:"type"`
	Subject string `json:"subject"`
	Data    struct {
		Sequence    uint64 `json:"sequence"`
		SKU         string `json:"sku"`
		Location    string `json:"location"`
		Available   int64  `json:"available"`
		Reservation struct {
			ID string `json:"id"`
		} `json:"reservation"`
	} `json:"data"`
}

func newReceiver(t *testing.T, secrets ...Secret) *receiver {
	r := &receiver{t: t, secrets: secrets}
	r.Server = httptest.NewServer(http.HandlerFunc(r.serve))
	t.Cleanup(r.Server.Close)
	return r
}

func (r *receiver) serve(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return // cut off by the sender
	}
	var e received
	if err := json.Unmarshal(body, &e); err != nil {
		r.t.Errorf("%v: %s", err, body)
	}
	seconds, err := strconv.ParseInt(q.Header.Get("webhook-timestamp"), 10, 64)
	if err != nil || time.Since(time.Unix(seconds, 0)).Abs() > time.Minute {
		r.t.Errorf("webhook-timestamp is %q", q.Header.Get("webhook-timestamp"))
	}
	r.mu.Lock()
	answer, secrets := r.answer, r.secrets
	r.mu.Unlock()
	signed := slices.ContainsFunc(secrets, func(s Secret) bool {
		return slices.Contains(splitSignatures(q.Header.Get("webhook-signature")), sign(e.ID, time.Unix(seconds, 0), body, s))
	})
	if id := q.Header.Get("webhook-id"); id != e.ID || e.Version != "1.0" || !signed || q.Method != http.MethodPost ||
		q.Header.Get("Content-Type") != "application/cloudevents+json; charset=utf-8" {
		r.t.Errorf("webhook-id %q of event %q of CloudEvents %q, signed %t, as %q", id, e.ID, e.Version, signed, q.Header.Get("Content-Type"))
	}
	status := http.StatusOK
	if answer != nil {
		status = answer(w, q, &e)
	}
	if status == 0 {
		return // it was answered, or never will be
	}
	if status == http.StatusOK {
		r.mu.Lock()
		r.taken = append(r.taken, e)
		r.mu.Unlock()
	}
	w.WriteHeader(status)
}

// from has the receiver answer otherwise, and take signatures by other secrets, from now on.
func (r *receiver) from(answer func(w http.ResponseWriter, r *http.Request, e *received) int, secrets ...Secret) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer, r.secrets = answer, secrets
}

func splitSignatures(header string) (all []string) {
	for at := 0; at < len(header); {
		end := at
		for end < len(header) && header[end] != ' ' {
			end++
		}
		all = append(all, header[at:end])
		at = end + 1
	}
	return all
}

// events returns what was taken so far.
func (r *receiver) events() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.taken)
}

// await waits until what was taken is enough.
func (r *receiver) await(what string, enough func([]received) bool) []received {
	r.t.Helper()
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if got := r.events(); enough(got) {
			return got
		} else if time.Now().After(deadline) {
			r.t.Fatalf("%s: after a minute %d events were taken", what, len(got))
		}
	}
}

// all answers true once the sequences from first to last were taken.
func all(first, last uint64) func([]received) bool {
	return func(taken []received) bool {
		seen := make(map[uint64]bool)
		for i := range taken {
			seen[taken[i].Data.Sequence] = true
		}
		for s := first; s <= last; s++ {
			if !seen[s] {
				return false
			}
		}
		return true
	}
}

// checkOrder fails where an event was taken for the first time before an earlier one of its subject was.
func (r *receiver) checkOrder() {
	r.t.Helper()
	seen := make(map[string]bool)
	last := make(map[string]eventKey)
	for _, e := range r.events() {
		if e.Subject == "" || seen[e.ID] {
			continue
		}
		seen[e.ID] = true
		key := keyOf(e.ID)
		if before := last[e.Subject]; key.compare(before) < 0 {
			r.t.Errorf("%s: %v was taken before %v", e.Subject, before, key)
		}
		last[e.Subject] = key
	}
}

// keyOf reads an event's id.
func keyOf(id string) (key eventKey) {
	parts := strings.Split(id, "-")
	key.sequence, _ = strconv.ParseUint(parts[0], 10, 64)
	if len(parts) > 2 {
		key.number, _ = strconv.Atoi(parts[2])
	}
	return key
}
