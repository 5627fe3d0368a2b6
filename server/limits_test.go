package server_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"onhand/engine"
	"onhand/server"
)

// lampFor asks for a piece of S with a reference.
func lampFor(reference string) string {
	return fmt.Sprintf(`{"lines":[{"sku":"S","location":"L","quantity":1}],"reference":%q,"expires_in":90}`, reference)
}

func wantLimit(t *testing.T, body, limit string, most, live int64) {
	t.Helper()
	if fieldOf(t, body, "limit") != limit || numberOf(t, body, "max") != most || numberOf(t, body, "live") != live {
		t.Errorf("%s, want limit %s, max %d, live %d", body, limit, most, live)
	}
}

func TestALimitOnReferences(t *testing.T) {
	r := newRigOn(t, engine.Options{HoldsPerReference: 2}, server.Options{})
	r.stock("S", 1000)
	id := ""
	for range 2 {
		got := r.do("POST", "/v1/reservations", lampFor("anna"))
		if got.status != 201 {
			t.Fatalf("%d %s", got.status, got.body)
		}
		id = fieldOf(t, got.body, "id")
	}
	r.db.Clock.Advance(500 * time.Millisecond)
	sequence := r.db.Durable()
	for range 2 {
		got := r.do("POST", "/v1/reservations", lampFor("anna"), "Idempotency-Key", "third")
		wantProblem(t, got, 429, "limit-reached")
		wantLimit(t, got.body, "holds_per_reference", 2, 2)
		if after := got.header.Get("Retry-After"); after != "90" { // rounded up: a retry should not come too early
			t.Errorf("Retry-After is %q, want 90", after)
		}
	}
	if r.db.Durable() != sequence {
		t.Error("a limit has changed something")
	}
	batch := r.do("POST", "/v1/reservations/batch", `{"reservations":[`+lampFor("anna")+`,`+lampFor("bo")+`]}`)
	if batch.status != 200 || !strings.HasPrefix(batch.body, `{"results":[{"status":429,"problem":{"type":"urn:onhand:problem:limit-reached"`) ||
		!strings.Contains(batch.body, `{"status":201,`) {
		t.Errorf("the batch was answered %d %s", batch.status, batch.body)
	}
	if got := r.do("POST", "/v1/reservations/"+id+"/release", ""); got.status != 200 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	if got := r.do("POST", "/v1/reservations", lampFor("anna"), "Idempotency-Key", "third"); got.status != 201 {
		t.Errorf("under the same key, with a place free: %d %s", got.status, got.body)
	}
	if n := r.gauge(`onhand_limit_refusals_total{limit="holds_per_reference"}`); n != 3 {
		t.Errorf("%v refusals are counted, want 3", n)
	}
}

// TestALimitOnKeys: what one key holds is no matter of another's, and nobody is shown whose a reservation is.
func TestALimitOnKeys(t *testing.T) {
	keys := newKeyFile(t)
	r := newRigOn(t, engine.Options{HoldsPerOwner: 2}, server.Options{Keys: keys.Keys})
	r.stock("S", 1000)
	greedy, greedyID := keys.create(time.Time{}, "reserve", "read")
	other, _ := keys.create(time.Time{}, "reserve")
	reserve := func(bearer string) reply {
		return r.do("POST", "/v1/reservations", oneLine("S"), "Authorization", "Bearer "+bearer)
	}
	for range 2 {
		if got := reserve(greedy); got.status != 201 || strings.Contains(got.body, greedyID) {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
	got := reserve(greedy)
	wantProblem(t, got, 429, "limit-reached")
	wantLimit(t, got.body, "holds_per_key", 2, 2)
	if after := got.header.Get("Retry-After"); after != "" {
		t.Errorf("Retry-After is %q, though nobody knows", after)
	}
	batch := r.do("POST", "/v1/reservations/batch", `{"reservations":[`+oneLine("S")+`]}`, "Authorization", "Bearer "+greedy)
	if !strings.Contains(batch.body, `"limit":"holds_per_key"`) {
		t.Errorf("the batch was answered %s", batch.body)
	}
	if got := reserve(other); got.status != 201 {
		t.Errorf("another key: %d %s", got.status, got.body)
	}
	for _, path := range []string{"/v1/reservations?state=held", "/v1/changes?after=0&wait=0"} {
		if got := r.do("GET", path, "", "Authorization", "Bearer "+greedy); got.status != 200 || strings.Contains(got.body, greedyID) {
			t.Errorf("%s: %d %s shows whose a reservation is", path, got.status, got.body)
		}
	}
}

func TestALimitOnOrders(t *testing.T) {
	r := newRigOn(t, engine.Options{OrdersPerCustomer: 1}, server.Options{})
	r.stock("S", 1000)
	order := `{"lines":[{"sku":"S","location":"L","quantity":1}],"customer":{"reference":"anna"}}`
	if got := r.do("POST", "/v1/orders", order); got.status != 201 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	got := r.do("POST", "/v1/orders", order)
	wantProblem(t, got, 429, "limit-reached")
	wantLimit(t, got.body, "orders_per_customer", 1, 1)
	if after := got.header.Get("Retry-After"); after != "14400" {
		t.Errorf("Retry-After is %q, want 14400, when it is to be accepted", after)
	}
}
