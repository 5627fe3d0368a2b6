package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"onhand/server"
)

func TestAnIdempotencyKeyIsReadStrictly(t *testing.T) {
	r := newRig(t, server.Options{})
	r.stock("S", 1000)
	body := oneLine("S")
	// A bare socket sends headers as they stand.
	ask := func(header string) reply {
		t.Helper()
		s := r.dial()
		s.send("POST /v1/reservations HTTP/1.1\r\nHost: x\r\n" + header + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body))
		return s.answer("POST")
	}
	long := strings.Repeat("k", 200)
	for what, same := range map[string][]string{
		"bare and in quotes": {"Idempotency-Key: order-1\r\n", "Idempotency-Key: \"order-1\"\r\n", "idempotency-key:order-1\r\n", "Idempotency-Key: \t order-1  \r\n"},
		"the longest":        {"Idempotency-Key: " + long + "\r\n", "Idempotency-Key: \"" + long + "\"\r\n"},
		"blanks within":      {"Idempotency-Key: order 1\r\n", "Idempotency-Key: \"order 1\"\r\n"},
		"any script":         {"Idempotency-Key: Bestellung Łódź 🪔\r\n", "Idempotency-Key: Bestellung Łódź 🪔\r\n"},
	} {
		first := ask(same[0])
		if first.status != http.StatusCreated {
			t.Fatalf("%s: %d %s", what, first.status, first.body)
		}
		for _, header := range same[1:] {
			if got := ask(header); got.status != first.status || got.body != first.body {
				t.Errorf("%s: %.60q is not taken for the key of %.60q", what, header, same[0])
			}
		}
	}
	ids := make(map[string]string)
	for _, header := range []string{"", "", "Idempotency-Key: order-2\r\n", "Idempotency-Key: ORDER-2\r\n", "Idempotency-Key: order-2;\r\n", "Idempotency-Key: \"order-2\r\n"} {
		got := ask(header)
		if got.status != http.StatusCreated {
			t.Fatalf("%q: %d %s", header, got.status, got.body)
		}
		id := fieldOf(t, got.body, "id")
		if other, taken := ids[id]; taken {
			t.Errorf("%q and %q are taken for the same key", header, other)
		}
		ids[id] = header
	}
	before := r.db.Durable()
	for _, header := range []string{
		"Idempotency-Key: \r\n", // a client that has lost its key must not go on without
		"Idempotency-Key: \"\"\r\n",
		"Idempotency-Key: " + long + "k\r\n",
		"Idempotency-Key: \xff\r\n",
		"Idempotency-Key: a\tb\r\n",
		"Idempotency-Key: a\u0085b\r\n",
		"Idempotency-Key: one\r\nIdempotency-Key: two\r\n",
		"Idempotency-Key: one\r\nIdempotency-Key: one\r\n",
	} {
		got := ask(header)
		if got.status != http.StatusBadRequest {
			t.Errorf("%.60q: %d %s", header, got.status, got.body)
			continue
		}
		wantField(t, got, "Idempotency-Key")
	}
	if after := r.db.Durable(); after != before {
		t.Error("a request with a key that is none changed something")
	}
}

// TestABadKeyDoesNotTellWhoAsks: with API keys, a key is set apart by who asks; that is nobody's business outside.
func TestABadKeyDoesNotTellWhoAsks(t *testing.T) {
	r, keys := newKeyedRig(t)
	bearer, id := keys.create(time.Time{}, "reserve")
	got := r.do("POST", "/v1/reservations", oneLine("S"), "Authorization", "Bearer "+bearer, "Idempotency-Key", "a\xffb")
	if wantField(t, got, "Idempotency-Key"); strings.Contains(got.body, id) {
		t.Errorf("the answer shows the id of the API key: %s", got.body)
	}
}

// TestARetryWaitsForTheFirstAttempt has retries arrive while the first attempt waits for the disk: all get its answer, and
// another request under the key is told so.
func TestARetryWaitsForTheFirstAttempt(t *testing.T) {
	r := newRig(t, server.Options{})
	r.stock("S", 10)
	release := r.db.HoldSyncs()
	defer release()
	ask := func(body string) <-chan reply {
		done := make(chan reply, 1)
		go func() {
			got, err := r.try("POST", "/v1/reservations", body, "Idempotency-Key", "one")
			if err != nil {
				t.Error(err)
			}
			done <- got
		}()
		return done
	}
	first := ask(oneLine("S"))
	eventually(t, "the first attempt holds its unit", func() bool {
		sequence, _ := r.db.Digest()
		return sequence > r.db.Durable()
	})
	retries := []<-chan reply{ask(oneLine("S")), ask(oneLine("S")), ask(oneLine("S"))}
	other := ask(`{` + lines("S@L:2") + `}`)
	select {
	case got := <-first:
		t.Errorf("answered before it was durable: %d %s", got.status, got.body)
	case got := <-retries[0]:
		t.Errorf("a retry was answered before it was durable: %d %s", got.status, got.body)
	case got := <-other:
		t.Errorf("another request was answered before it was durable: %d %s", got.status, got.body)
	case <-time.After(50 * time.Millisecond):
	}
	release()
	answer := <-first
	if answer.status != http.StatusCreated {
		t.Fatalf("%d %s", answer.status, answer.body)
	}
	for _, retry := range retries {
		if got := <-retry; got.status != answer.status || got.body != answer.body || got.header.Get("Location") != answer.header.Get("Location") {
			t.Errorf("a retry got %d %s, the first attempt %s", got.status, got.body, answer.body)
		}
	}
	wantProblem(t, <-other, http.StatusUnprocessableEntity, "key-reused")
	if c := r.cell("S"); c.Held != 1 {
		t.Errorf("%d units are held, want 1", c.Held)
	}
}

// TestTheFirstAnswerStands asks again when the world has moved on: a key names an attempt, and the attempt had an answer.
func TestTheFirstAnswerStands(t *testing.T) {
	r := newRig(t, server.Options{})
	r.stock("S", 2)
	send := func(key, path, body string) reply { return r.do("POST", path, body, "Idempotency-Key", key) }
	granted := send("granted", "/v1/reservations", `{`+lines("S@L:2")+`}`)
	id := fieldOf(t, granted.body, "id")
	refused := send("refused", "/v1/reservations", oneLine("S"))
	if l := refusals(t, refused); l[0].Reason != "held_by_others" {
		t.Fatalf("refused with %+v", l)
	}
	if numberOf(t, refused.body, "sequence") != int64(r.db.Durable()) {
		t.Errorf("a refusal under a key is on record, but %s does not tell where", refused.body)
	}
	committed := send("sold", "/v1/reservations/"+id+"/commit", `{`+lines("S@L:1")+`}`)
	r.act(id, "release", "")
	r.stock("S", 100)
	before := r.db.Durable()
	for _, retry := range []struct {
		was             reply
		key, path, body string
	}{
		{granted, "granted", "/v1/reservations", `{` + lines("S@L:2") + `}`},
		{refused, "refused", "/v1/reservations", oneLine("S")},
		{committed, "sold", "/v1/reservations/" + id + "/commit", `{` + lines("S@L:1") + `}`},
	} {
		if got := send(retry.key, retry.path, retry.body); got.status != retry.was.status || got.body != retry.was.body {
			t.Errorf("%s: %d %s, at first %d %s", retry.key, got.status, got.body, retry.was.status, retry.was.body)
		}
		// It is the request that counts, not how it was written.
		spaced := strings.NewReplacer(":", " : ", ",", " ,\n").Replace(retry.body)
		if got := send(retry.key, retry.path, spaced); got.status != retry.was.status || got.body != retry.was.body {
			t.Errorf("%s, written in another way: %d %s", retry.key, got.status, got.body)
		}
		wantProblem(t, send(retry.key, retry.path, `{`+lines("S@L:7")+`}`), http.StatusUnprocessableEntity, "key-reused")
	}
	if after := r.db.Durable(); after != before {
		t.Error("retries changed something")
	}
	// What was not understood, found or allowed is not remembered: it is looked at afresh.
	wantProblem(t, send("afresh", "/v1/reservations", `{`+lines("S@L:0")+`}`), 400, "invalid")
	wantProblem(t, send("afresh", "/v1/reservations/"+unusedID+"/commit", ""), 404, "unknown-reservation")
	wantProblem(t, send("afresh", "/v1/reservations/"+id+"/commit", ""), 409, "wrong-state")
	if got := send("afresh", "/v1/reservations", oneLine("S")); got.status != http.StatusCreated {
		t.Errorf("after three that came to nothing: %d %s", got.status, got.body)
	}
}

func TestABatchIsRetriedItemByItem(t *testing.T) {
	r := newRig(t, server.Options{})
	r.stock("S", 3)
	batch := func(items ...string) string { return `{"reservations":[` + strings.Join(items, ",") + `]}` }
	type result struct {
		Status      int
		Reservation *reservation
		Problem     *struct{ Type string }
	}
	send := func(body string) (tells, ids []string) {
		t.Helper()
		var got struct{ Results []result }
		decodeInto(t, r.do("POST", "/v1/reservations/batch", body, "Idempotency-Key", "batch"), http.StatusOK, &got)
		for _, item := range got.Results {
			text, id := fmt.Sprint(item.Status), ""
			switch {
			case item.Reservation != nil:
				text, id = text+" "+item.Reservation.tell(), item.Reservation.ID
			case item.Problem != nil:
				text += " " + strings.TrimPrefix(item.Problem.Type, "urn:onhand:problem:")
			}
			tells, ids = append(tells, text), append(ids, id)
		}
		return tells, ids
	}
	two, three, wrong := `{`+lines("S@L:2")+`}`, `{`+lines("S@L:3")+`}`, `{`+lines("S@L:0")+`}`
	tells, ids := send(batch(two, three, wrong, oneLine("S")))
	want := []string{"201 held S@L 2=2+0+0+0", "409 refused", "400 invalid", "201 held S@L 1=1+0+0+0"}
	if fmt.Sprint(tells) != fmt.Sprint(want) {
		t.Fatalf("the batch: %q, want %q", tells, want)
	}
	r.stock("S", 100)
	if again, same := send(batch(two, three, wrong, oneLine("S"))); fmt.Sprint(again) != fmt.Sprint(want) || fmt.Sprint(same) != fmt.Sprint(ids) {
		t.Errorf("the same batch again: %q %q, want %q %q", again, same, want, ids)
	}
	// The third was never carried out and is looked at afresh; the first is another request now.
	mended, same := send(batch(three, three, two, oneLine("S")))
	if fmt.Sprint(mended) != fmt.Sprint([]string{"422 key-reused", "409 refused", want[0], want[3]}) || same[3] != ids[3] {
		t.Errorf("the batch with its third item mended: %q", mended)
	}
	if c := r.cell("S"); c.Held != 5 {
		t.Errorf("%d units are held, want 5", c.Held)
	}
}
