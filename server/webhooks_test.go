package server_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"onhand/server"
)

// hookReceiver is a receiver that notes what it is sent.
type hookReceiver struct {
	*httptest.Server
	mu     sync.Mutex
	bodies []string
}

func newHookReceiver(t *testing.T) *hookReceiver {
	r := &hookReceiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		if err != nil {
			t.Error(err)
		}
		r.mu.Lock()
		r.bodies = append(r.bodies, string(body))
		r.mu.Unlock()
	}))
	t.Cleanup(r.Close)
	return r
}

// await waits for an event of a type.
func (r *hookReceiver) await(t *testing.T, kind string) string {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		r.mu.Lock()
		for _, body := range r.bodies {
			if strings.Contains(body, `"type":"onhand.`+kind+`"`) {
				r.mu.Unlock()
				return body
			}
		}
		r.mu.Unlock()
	}
	t.Fatalf("no %s came", kind)
	return ""
}

func TestWebhooks(t *testing.T) {
	r := newRig(t, server.Options{EventSource: "https://stock.example"})
	r.stock("S", 10)
	to := newHookReceiver(t)
	made := r.do("PUT", "/v1/webhooks/shop", `{"url":"`+to.URL+`","events":["reservation.*"],"locations":["L"],"description":"the shop"}`)
	if made.status != 201 || !strings.HasPrefix(fieldOf(t, made.body, "secret"), "whsec_") {
		t.Fatalf("made: %d %s", made.status, made.body)
	}
	held := r.do("POST", "/v1/reservations", oneLine("S"))
	var event struct {
		ID      string `json:"id"`
		Source  string `json:"source"`
		Subject string `json:"subject"`
		Data    json.RawMessage
	}
	if err := json.Unmarshal([]byte(to.await(t, "reservation.held")), &event); err != nil {
		t.Fatal(err)
	}
	id := fieldOf(t, held.body, "id")
	if event.Source != "https://stock.example" || event.Subject != "reservations/"+id {
		t.Errorf("the event is %+v", event)
	}
	line := strings.TrimSpace(r.get(fmt.Sprintf("/v1/changes?wait=0&after=%d", numberOf(t, held.body, "sequence")-1)).body)
	if string(event.Data) != line {
		t.Errorf("its data is\n%s\nthe feed has\n%s", event.Data, line)
	}

	eventually(t, "it is noted as delivered", func() bool { return strings.Contains(r.get("/v1/webhooks/shop/deliveries").body, event.ID) })
	got := r.get("/v1/webhooks/shop")
	if strings.Contains(got.body, "whsec_") || fieldOf(t, got.body, "description") != "the shop" {
		t.Errorf("the endpoint: %s", got.body)
	}
	if list := r.get("/v1/webhooks"); !strings.Contains(list.body, `"id":"shop"`) || strings.Contains(list.body, "whsec_") {
		t.Errorf("the list: %s", list.body)
	}
	again := r.do("PUT", "/v1/webhooks/shop", `{"url":"`+to.URL+`"}`)
	if again.status != 200 || fieldOf(t, again.body, "secret") != fieldOf(t, made.body, "secret") {
		t.Errorf("replaced: %d %s", again.status, again.body)
	}
	rotated := r.do("PUT", "/v1/webhooks/shop", `{"url":"`+to.URL+`","secret":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw","disabled":true}`)
	if fieldOf(t, rotated.body, "previous_secret_ends") == "" || !memberOf[bool](t, rotated.body, "disabled") {
		t.Errorf("rotated: %s", rotated.body)
	}
	if test := r.do("POST", "/v1/webhooks/shop/test", ""); fieldOf(t, test.body, "outcome") != "delivered" || numberOf(t, test.body, "status") != 200 {
		t.Errorf("the test: %s", test.body)
	}
	to.await(t, "webhook.test")
	attempts := r.get("/v1/webhooks/shop/deliveries?limit=5")
	if !strings.Contains(attempts.body, `"outcome":"delivered"`) || !strings.Contains(attempts.body, event.ID) {
		t.Errorf("the attempts: %s", attempts.body)
	}
	if back := r.do("POST", "/v1/webhooks/shop/redeliver", `{"from":1}`); back.status != 200 {
		t.Errorf("redeliver: %d %s", back.status, back.body)
	}
	r.do("PUT", "/v1/webhooks/shop", `{"url":"`+to.URL+`"}`)
	to.await(t, "stock.set") // from before it was there
	if gone := r.do("DELETE", "/v1/webhooks/shop", ""); gone.status != 200 {
		t.Errorf("delete: %d %s", gone.status, gone.body)
	}
	for method, path := range map[string]string{"GET": "", "DELETE": "", "POST": "/test"} {
		wantProblem(t, r.do(method, "/v1/webhooks/shop"+path, ""), 404, "unknown-webhook")
	}
	wantProblem(t, r.get("/v1/webhooks/shop/deliveries"), 404, "unknown-webhook")
	wantProblem(t, r.do("POST", "/v1/webhooks/shop/redeliver", `{"from":1}`), 404, "unknown-webhook")
}

func TestBadWebhooks(t *testing.T) {
	r := newRig(t, server.Options{})
	for body, field := range map[string]string{
		`{}`: "url", `{"url":"shop.example"}`: "url", `{"url":"https://me:hunter2@shop.example"}`: "url",
		`{"url":"https://x.example","events":["order.lost"]}`: "events", `{"url":"https://x.example","locations":[""]}`: "locations",
		`{"url":"https://x.example","secret":"short"}`: "secret", `{"url":"https://x.example","enabled":true}`: "enabled",
		`{"url":null}`: "url",
	} {
		got := r.do("PUT", "/v1/webhooks/shop", body)
		wantProblem(t, got, 400, "invalid")
		if fieldOf(t, got.body, "field") != field || strings.Contains(got.body, "hunter2") {
			t.Errorf("%s: %s", body, got.body)
		}
	}
	wantProblem(t, r.do("PUT", "/v1/webhooks/Shop", `{"url":"https://x.example"}`), 400, "invalid")
	wantProblem(t, r.do("PUT", "/v1/webhooks/..%2FKEYS", `{"url":"https://x.example"}`), 400, "invalid")
	if list := r.get("/v1/webhooks"); list.body != `{"webhooks":[]}` {
		t.Errorf("after all that there is %s", list.body)
	}
	r.do("PUT", "/v1/webhooks/shop", `{"url":"https://x.example","disabled":true}`)
	wantProblem(t, r.do("POST", "/v1/webhooks/shop/redeliver", `{"from":1000}`), 400, "invalid")
	wantProblem(t, r.get("/v1/webhooks/shop/deliveries?limit=0"), 400, "invalid")
}
