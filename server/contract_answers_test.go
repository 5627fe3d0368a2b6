package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"onhand/engine"
	"onhand/server"
)

// documented is a call of the document, with something in place of its path parameters.
type documented struct {
	method, path string
	*openapi3.Operation
}

// unusedID is a reservation that no test makes.
const unusedID = "01932d6e-8c5a-7b1e-9d4f-2a6b8c0e1f35"

// unusedToken is the secret of no order's page.
const unusedToken = "AAAAAAAAAAAAAAAAAAAAAA"

// calls lists the calls of the document: of SKU S, location L and a reservation that there is not.
func calls() (all []documented) {
	for path, item := range contract().Paths.Map() {
		if item.Servers != nil {
			continue // the admin port
		}
		for method, operation := range item.Operations() {
			id := unusedID
			if strings.Contains(path, "/locations/") {
				id = "L"
			}
			fill := strings.NewReplacer("{sku}", "S", "{location}", "L", "{id}", id, "{token}", unusedToken)
			all = append(all, documented{method, fill.Replace(path), operation})
		}
	}
	slices.SortFunc(all, func(a, b documented) int { return strings.Compare(a.OperationID, b.OperationID) })
	return all
}

// public reports whether a call is for anybody: those are pages, whose addresses may carry what others have added to them.
func (d *documented) public() bool { return d.Security != nil && len(*d.Security) == 0 }

func (d *documented) answers(status int) bool { return d.Responses.Status(status) != nil }

func (d *documented) keyed() bool {
	return slices.ContainsFunc(d.Parameters, func(p *openapi3.ParameterRef) bool { return p.Value.Name == "Idempotency-Key" })
}

func TestEveryCallRefusesAnUnknownParameter(t *testing.T) {
	r := newRig(t, server.Options{})
	for _, call := range calls() {
		if call.public() {
			continue
		}
		got := r.do(call.method, call.path+"?nonsense=1", "")
		if wantProblem(t, got, 400, "invalid"); !strings.Contains(got.body, "nonsense") {
			t.Errorf("%s: %s does not name the parameter", call.OperationID, got.body)
		}
	}
}

func TestEveryCallWantsAKeyWithItsScope(t *testing.T) {
	r, keys := newKeyedRig(t)
	bearers := make(map[string]string)
	for _, scope := range []string{"read", "stock"} {
		bearers[scope], _ = keys.create(time.Time{}, scope)
	}
	for _, call := range calls() {
		if call.public() {
			continue
		}
		wantProblem(t, r.do(call.method, call.path, ""), 401, "unauthorized")
		lacking := "read"
		if strings.Contains(call.Description, "scope `read`") {
			lacking = "stock"
		}
		wantProblem(t, r.do(call.method, call.path, "", "Authorization", "Bearer "+bearers[lacking]), 403, "forbidden")
	}
}

func TestEveryBodyIsWithinTheLimit(t *testing.T) {
	const limit = 1 << 10
	r := newRig(t, server.Options{BodyBytesMax: limit, ImportBytesMax: limit})
	for _, call := range calls() {
		if !call.answers(413) {
			continue
		}
		got := r.do(call.method, call.path, strings.Repeat(" ", limit+1))
		if wantProblem(t, got, 413, "too-large"); !strings.Contains(got.body, "1024 bytes") {
			t.Errorf("%s: %s does not name the limit", call.OperationID, got.body)
		}
	}
}

func TestEveryBodyIsOfATypeThatIsUnderstood(t *testing.T) {
	r := newRig(t, server.Options{})
	for _, call := range calls() {
		if !call.answers(415) {
			continue
		}
		wantProblem(t, r.do(call.method, call.path, "{}", "Content-Encoding", "br"), 415, "encoding")
		if call.RequestBody != nil && call.OperationID != "importStock" {
			wantProblem(t, r.do(call.method, call.path, "<lines/>", "Content-Type", "text/xml"), 415, "media-type")
			wantProblem(t, r.do(call.method, call.path, "{}", "Content-Type", `application/json; charset="UTF-16"`), 415, "media-type")
		}
	}
}

// TestAKeyIsForOneRequest repeats each write under its key, which gets the same answer, and sends another write under it,
// which is refused.
func TestAKeyIsForOneRequest(t *testing.T) {
	r := newRig(t, server.Options{})
	r.stock("S", 1000)
	hold := func() string {
		return fieldOf(t, r.do("POST", "/v1/reservations", oneLine("S")).body, "id")
	}
	a, b := hold(), hold()
	bodies := map[string][2][2]string{ // path and body, twice
		"setStock":       {{"/v1/stock/S/L", `{"on_hand":5000}`}, {"/v1/stock/S/L", `{"on_hand":6}`}},
		"adjustStock":    {{"/v1/stock/adjustments", `{"lines":[{"sku":"S","location":"L","quantity":-1}],"reason":"sale"}`}, {"/v1/stock/adjustments", `{"lines":[{"sku":"S","location":"L","quantity":-2}],"reason":"sale"}`}},
		"reserve":        {{"/v1/reservations", oneLine("S")}, {"/v1/reservations", `{"lines":[{"sku":"S","location":"L","quantity":7}]}`}},
		"extend":         {{"/v1/reservations/" + a + "/extend", `{"expires_in":3600}`}, {"/v1/reservations/" + a + "/extend", `{"expires_in":3601}`}},
		"commit":         {{"/v1/reservations/" + a + "/commit", ""}, {"/v1/reservations/" + b + "/commit", ""}},
		"release":        {{"/v1/reservations/" + b + "/release", ""}, {"/v1/reservations/" + a + "/release", ""}},
		"putSKU":         {{"/v1/skus/S", `{"title":"one"}`}, {"/v1/skus/S", `{"title":"two"}`}},
		"putLocation":    {{"/v1/locations/M", `{"name":"one"}`}, {"/v1/locations/M", `{"name":"two"}`}},
		"deleteLocation": {{"/v1/locations/M", ""}, {"/v1/locations/L", ""}},
	}
	plan := func() string {
		return "/v1/transfers/" + fieldOf(t, r.do("POST", "/v1/transfers", `{"from":"L","to":"N","lines":[{"sku":"S","quantity":9}],"dispatch":true}`).body, "id")
	}
	x, y := plan(), plan()
	planned := "/v1/transfers/" + fieldOf(t, r.do("POST", "/v1/transfers", `{"from":"L","to":"N","lines":[{"sku":"S","quantity":9}]}`).body, "id")
	bodies["planTransfer"] = [2][2]string{{"/v1/transfers", `{"from":"L","to":"N","lines":[{"sku":"S","quantity":1}]}`}, {"/v1/transfers", `{"from":"L","to":"N","lines":[{"sku":"S","quantity":2}]}`}}
	bodies["dispatchTransfer"] = [2][2]string{{planned + "/dispatch", `{"lines":[{"sku":"S","quantity":1}]}`}, {planned + "/dispatch", ""}}
	bodies["receiveTransfer"] = [2][2]string{{x + "/receive", `{"lines":[{"sku":"S","lost":1}]}`}, {y + "/receive", `{"lines":[{"sku":"S","damaged":1}]}`}}
	bodies["cancelTransfer"] = [2][2]string{{planned + "/cancel", ""}, {planned + "/cancel", `{"reason":"other"}`}}
	order := []string{"planTransfer", "dispatchTransfer", "receiveTransfer", "cancelTransfer", "setStock", "adjustStock", "reserve", "extend", "commit", "release", "putSKU", "putLocation", "deleteLocation"}
	bodies["placeOrder"] = [2][2]string{{"/v1/orders", oneLine("S")}, {"/v1/orders", `{"lines":[{"sku":"S","location":"L","quantity":2}]}`}}
	order = append(order, "placeOrder")
	for _, m := range []struct{ call, verb, state, first, other string }{
		{"acceptOrder", "accept", "placed", "", `{"by":"other"}`}, {"pickOrder", "pick", "accepted", "", `{"by":"other"}`},
		{"readyOrder", "ready", "placed", "", `{"by":"other"}`}, {"collectOrder", "collect", "ready", `{"id_checked":true,"reason":"lost"}`, `{"id_checked":true,"reason":"other"}`},
		{"shortOrder", "short", "accepted", `{"lines":[{"sku":"bulb","quantity":1}],"recount":false}`, `{"lines":[{"sku":"bulb","quantity":1}],"recount":true}`},
		{"deliverOrder", "deliver", "in_transit", "", `{"by":"other"}`},
		{"returnOrder", "return", "collected", `{"lines":[{"sku":"bulb","quantity":1}]}`, `{"lines":[{"sku":"bulb","quantity":1,"damaged":true}]}`},
		{"cancelOrder", "cancel", "placed", "", `{"lines":[{"sku":"bulb","quantity":1}]}`},
		{"payOrder", "pay", "unpaid", "", `{"payment_reference":"other"}`},
		{"extendOrder", "extend", "ready", `{"expires_in":888888}`, `{"expires_in":999999}`}, {"arriveOrder", "arrive", "ready", `{"bay":"4"}`, `{"bay":"5"}`},
		{"eraseOrder", "erase", "cancelled", "", `{"by":"other"}`},
	} {
		if m.state == "placed" && m.verb == "accept" {
			r.stock("bulb", 100)
		}
		path := "/v1/orders/" + r.orderAt(m.state).ID + "/" + m.verb
		bodies[m.call], order = [2][2]string{{path, m.first}, {path, m.other}}, append(order, m.call)
	}
	parcel := r.order(`{"lines":[{"sku":"bulb","location":"L","quantity":2}],"fulfilment":"ship_home","payment":"online_paid"}`).ID
	bodies["dispatchOrder"] = [2][2]string{{"/v1/orders/" + parcel + "/dispatch", `{"lines":[{"sku":"bulb","quantity":1}]}`}, {"/v1/orders/" + parcel + "/dispatch", ""}}
	owed := r.order(`{"lines":[{"sku":"bulb","location":"L","quantity":2}],"payment":"online_paid"}`).ID
	r.moves(owed, "cancel")
	bodies["refundOrder"] = [2][2]string{{"/v1/orders/" + owed + "/refund", ""}, {"/v1/orders/" + owed + "/refund", `{"by":"other"}`}}
	sent := r.order(`{"lines":[{"sku":"bulb","location":"L","quantity":2}],"location":"N","fulfilment":"ship_to_store"}`).ID
	r.moves(sent, "dispatch")
	bodies["receiveOrder"] = [2][2]string{{"/v1/orders/" + sent + "/receive", `{"lines":[{"sku":"bulb","quantity":1}]}`}, {"/v1/orders/" + sent + "/receive", ""}}
	r.do("PUT", "/v1/locations/P", `{"time_zone":"UTC","opening_hours":[{"days":["monday"],"opens":"00:00","closes":"24:00"}],`+
		`"pickup_slots":{"interval":60,"capacity":5,"days_ahead":7}}`)
	r.do("PUT", "/v1/stock/bulb/P", `{"on_hand":9}`)
	slotted := r.order(`{"lines":[{"sku":"bulb","location":"P","quantity":2}],"slot":"2026-03-02T12:00:00Z"}`).ID
	bodies["rescheduleOrder"] = [2][2]string{
		{"/v1/orders/" + slotted + "/reschedule", `{"slot":"2026-03-02T13:00:00Z"}`}, {"/v1/orders/" + slotted + "/reschedule", `{"slot":"2026-03-02T14:00:00Z"}`},
	}
	order = append(order, "dispatchOrder", "refundOrder", "receiveOrder", "rescheduleOrder")
	for _, call := range calls() {
		// A batch has a key for each item.
		if call.keyed() && call.OperationID != "reserveBatch" && !slices.Contains(order, call.OperationID) {
			t.Errorf("%s takes a key and is not tried", call.OperationID)
		}
	}
	for _, name := range order {
		i := slices.IndexFunc(calls(), func(d documented) bool { return d.OperationID == name })
		method, key := calls()[i].method, "key of "+name
		first := r.do(method, bodies[name][0][0], bodies[name][0][1], "Idempotency-Key", key)
		if first.status >= 300 {
			t.Fatalf("%s: %d %s", name, first.status, first.body)
		}
		before := r.db.Durable()
		if again := r.do(method, bodies[name][0][0], bodies[name][0][1], "Idempotency-Key", key); again.status != first.status || again.body != first.body {
			t.Errorf("%s: the retry got %d %s\nthe first %d %s", name, again.status, again.body, first.status, first.body)
		}
		wantProblem(t, r.do(method, bodies[name][1][0], bodies[name][1][1], "Idempotency-Key", key), 422, "key-reused")
		if after := r.db.Durable(); after != before {
			t.Errorf("%s: a retry, or another write under its key, changed something", name)
		}
	}
}

func TestWhatIsUnknownIsNotFound(t *testing.T) {
	r := newRig(t, server.Options{})
	r.stock("S", 1)
	r.put("/v1/locations/M", `{}`)
	for path, kind := range map[string]string{
		"/v1/availability/nothing/L": "unknown-sku", "/v1/availability/S/nowhere": "unknown-location",
		"/v1/availability/nothing": "unknown-sku", "/v1/stock/S/M": "unknown-stock", "/v1/stock/nothing/L": "unknown-sku",
		"/v1/skus/nothing": "unknown-sku", "/v1/locations/nowhere": "unknown-location",
		"/v1/reservations/" + unusedID: "unknown-reservation", "/v1/reservations?location=nowhere": "unknown-location",
		"/v1/stock/export?sku=nothing": "unknown-sku", "/v1/nothing": "no-such-call",
	} {
		wantProblem(t, r.get(path), 404, kind)
	}
	for _, verb := range []string{"commit", "release"} {
		wantProblem(t, r.do("POST", "/v1/reservations/"+unusedID+"/"+verb, ""), 404, "unknown-reservation")
	}
	wantProblem(t, r.do("POST", "/v1/reservations/"+unusedID+"/extend", `{"expires_in":60}`), 404, "unknown-reservation")
	wantProblem(t, r.do("DELETE", "/v1/locations/nowhere", ""), 404, "unknown-location")
	if got := r.get("/v1/availability/S/M"); got.status != 200 || !strings.Contains(got.body, `"stocked":false`) {
		t.Errorf("not stocked there: %d %s", got.status, got.body)
	}
}

func TestAReservationThatHasEndedIsLeftAlone(t *testing.T) {
	r := newRig(t, server.Options{})
	r.stock("S", 10)
	id := fieldOf(t, r.do("POST", "/v1/reservations", `{"id":"`+unusedID+`","lines":[{"sku":"S","location":"L","quantity":2}]}`).body, "id")
	path := "/v1/reservations/" + id
	if got := r.do("POST", path+"/extend", `{"expires_in":7200}`); got.status != 200 ||
		fieldOf(t, got.body, "expires_at") != r.db.Now().Add(2*time.Hour).Format(time.RFC3339Nano) {
		t.Fatalf("extend: %d %s", got.status, got.body)
	}
	for _, verb := range []string{"commit", "release"} {
		got := r.do("POST", path+"/"+verb, `{"lines":[{"sku":"S","location":"L","quantity":3}]}`)
		if wantProblem(t, got, 409, "refused"); !strings.Contains(got.body, `"not_reserved"`) {
			t.Errorf("%s of more than is held: %s", verb, got.body)
		}
	}
	if got := r.do("POST", path+"/commit", ""); got.status != 200 || fieldOf(t, got.body, "state") != "committed" {
		t.Fatalf("commit: %d %s", got.status, got.body)
	}
	before := r.db.Durable()
	for verb, body := range map[string]string{"commit": "", "release": "", "extend": `{"expires_in":60}`} {
		got := r.do("POST", path+"/"+verb, body)
		if wantProblem(t, got, 409, "wrong-state"); fieldOf(t, got.body, "state") != "committed" {
			t.Errorf("%s of a committed reservation: %s", verb, got.body)
		}
	}
	// The id is taken: the same request is a retry, another one is not.
	wantProblem(t, r.do("POST", "/v1/reservations", `{"id":"`+id+`","lines":[{"sku":"S","location":"L","quantity":1}]}`), 422, "key-reused")
	if after := r.db.Durable(); after != before {
		t.Error("a refused call changed something")
	}
}

func TestCompareAndSet(t *testing.T) {
	r := newRig(t, server.Options{})
	r.stock("S", 10)
	have := numberOf(t, r.get("/v1/stock/S/L").body, "sequence")
	r.put("/v1/stock/S/L", fmt.Sprintf(`{"on_hand":11,"if_sequence":%d}`, have))
	got := r.do("PUT", "/v1/stock/S/L", fmt.Sprintf(`{"on_hand":12,"if_sequence":%d}`, have))
	wantProblem(t, got, 409, "sequence-mismatch")
	if now := numberOf(t, got.body, "sequence"); now != numberOf(t, r.get("/v1/stock/S/L").body, "sequence") {
		t.Errorf("%s does not tell the present sequence", got.body)
	}
	wantProblem(t, r.do("PUT", "/v1/stock/S/L", `{"on_hand":12,"if_sequence":0}`), 409, "sequence-mismatch")
	r.put("/v1/stock/new/L", `{"on_hand":1,"if_sequence":0}`)
	if on := numberOf(t, r.get("/v1/stock/S/L").body, "on_hand"); on != 11 {
		t.Errorf("on hand is %d, want 11", on)
	}
}

func TestALocationInUseStays(t *testing.T) {
	r := newRig(t, server.Options{})
	r.stock("S", 10)
	r.do("POST", "/v1/reservations", oneLine("S"))
	got := r.do("DELETE", "/v1/locations/L", "")
	wantProblem(t, got, 409, "location-in-use")
	if numberOf(t, got.body, "cells") != 1 || numberOf(t, got.body, "reservations") != 1 {
		t.Errorf("in use by: %s", got.body)
	}
	if got := r.get("/v1/locations/L"); got.status != 200 {
		t.Errorf("the location is gone: %d", got.status)
	}
}

func TestCachesAreToldWhatStillHolds(t *testing.T) {
	r := newRig(t, server.Options{CacheControl: "max-age=2"})
	r.stock("S", 10)
	r.put("/v1/skus/S", `{"title":"Lamp","gtin":"4006381333931","default_hold":60}`)
	if got := r.get("/v1/skus/S"); fieldOf(t, got.body, "gtin") != "4006381333931" {
		t.Errorf("sku: %s", got.body)
	}
	for _, path := range []string{"/v1/availability/S/L", "/v1/availability/S"} {
		first := r.get(path)
		tag := first.header.Get("ETag")
		for _, match := range []string{tag, "*", `"other", ` + tag, strings.TrimPrefix(tag, "W/")} {
			got := r.get(path, "If-None-Match", match)
			if got.status != http.StatusNotModified || got.body != "" || got.header.Get("ETag") != tag || got.header.Get("Cache-Control") != "max-age=2" {
				t.Errorf("%s with If-None-Match %s: %d %q %v", path, match, got.status, got.body, got.header)
			}
		}
		if got := r.get(path, "If-None-Match", `"other"`); got.status != 200 || got.header.Get("ETag") != tag {
			t.Errorf("%s with another tag: %d %v", path, got.status, got.header)
		}
		r.do("POST", "/v1/reservations", oneLine("S"))
		if got := r.get(path, "If-None-Match", tag); got.status != 200 || got.header.Get("ETag") == tag {
			t.Errorf("%s after a change: %d %v", path, got.status, got.header)
		}
	}
	r.db.Clock.Advance(engine.HoldMax)
}

// fieldOf and numberOf return a member of a JSON object.
func fieldOf(t *testing.T, body, name string) string {
	t.Helper()
	return memberOf[string](t, body, name)
}

func numberOf(t *testing.T, body, name string) int64 {
	t.Helper()
	return memberOf[int64](t, body, name)
}

func memberOf[T any](t *testing.T, body, name string) T {
	t.Helper()
	var members map[string]json.RawMessage
	var value T
	if err := json.Unmarshal([]byte(body), &members); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	if err := json.Unmarshal(members[name], &value); err != nil {
		t.Fatalf("%s has no such %s: %v", body, name, err)
	}
	return value
}
