package server_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"onhand/engine"
	"onhand/server"
)

// TestTheFeedIsAsDescribed makes every kind of change and holds each line of the feed and of the snapshot to its schema.
func TestTheFeedIsAsDescribed(t *testing.T) {
	r := newRig(t, server.Options{})
	r.stock("S", 10)
	r.put("/v1/skus/S", `{"title":"Lamp"}`)
	r.put("/v1/locations/M", `{}`)
	r.do("DELETE", "/v1/locations/M", "")
	r.do("POST", "/v1/stock/import", "sku,location,on_hand\nS,L,9\nT,L,4\n", "Content-Type", "text/csv")
	hold := func(body string, headers ...string) string {
		t.Helper()
		return fieldOf(t, r.do("POST", "/v1/reservations", body, headers...).body, "id")
	}
	r.do("POST", "/v1/reservations/"+hold(oneLine("S"))+"/commit", "")
	released := hold(`{"lines":[{"sku":"S","location":"L","quantity":99}],"partial":true,"channel":"web","reference":"r"}`)
	r.do("POST", "/v1/reservations/"+released+"/extend", `{"expires_in":7200}`)
	r.do("POST", "/v1/stock/adjustments", `{"lines":[{"sku":"S","location":"L","quantity":-3}],"reason":"sale","reference":"till"}`)
	r.do("POST", "/v1/reservations", oneLine("S"), "Idempotency-Key", "refused") // on record
	r.do("POST", "/v1/reservations/"+released+"/release", "")
	hold(`{"lines":[{"sku":"T","location":"L","quantity":1}],"expires_in":1}`)
	r.db.Clock.Advance(time.Second)
	hold(`{"lines":[{"sku":"T","location":"L","quantity":4}]}`) // ends the one that is due

	r.put("/v1/locations/N", `{}`)
	move := func(path, body string) string {
		t.Helper()
		return "/v1/transfers/" + fieldOf(t, r.do("POST", path, body).body, "id")
	}
	transfer := move("/v1/transfers", `{"from":"L","to":"N","lines":[{"sku":"S","quantity":20}],"reference":"r","by":"ben","expected_at":"2026-03-03T12:00:00Z"}`)
	move(transfer+"/dispatch", `{"lines":[{"sku":"S","quantity":9}]}`)
	move(transfer+"/receive", `{"lines":[{"sku":"S","quantity":1,"damaged":1,"lost":1}]}`)
	move(transfer+"/receive", `{"lines":[{"sku":"S","damaged":1}]}`)
	move(transfer+"/receive", `{"lines":[{"sku":"S","lost":1}]}`)
	move(transfer+"/cancel", `{"reason":"season"}`)

	r.stock("bulb", 40)
	r.stock("sofa", 2)
	r.put("/v1/locations/south", `{"kind":"store","position":{"latitude":45.7,"longitude":4.8}}`)
	r.put("/v1/locations/north", `{"kind":"store","position":{"latitude":45.8,"longitude":4.8}}`)
	r.put("/v1/stock/sofa/south", `{"on_hand":1}`)
	r.put("/v1/stock/sofa/north", `{"on_hand":1}`)
	order := r.order(`{"lines":[{"sku":"bulb","location":"L","quantity":3}],"payment":"online_pending","customer":{"name":"Ana"},"collector":{"name":"Ben"},"notes":"n","reference":"r"}`)
	for _, step := range []struct{ verb, body string }{
		{"pay", `{"payment_reference":"p"}`}, {"accept", ""}, {"pick", ""}, {"short", `{"lines":[{"sku":"bulb","quantity":1}]}`}, {"ready", ""},
		{"extend", `{"expires_in":300000}`}, {"arrive", `{"bay":"4","vehicle":"van"}`},
	} {
		r.move(order.ID, step.verb, step.body)
	}
	r.do("POST", "/v1/orders/"+order.ID+"/collect", `{"code":"000000"}`)
	r.db.Clock.Advance(75 * time.Hour) // 12 hours before its deadline is gone
	eventually(t, "the customer is reminded", func() bool { return r.gauge(`onhand_order_moves_total{move="remind"}`) == 1 })
	for _, step := range []struct{ verb, body string }{
		{"collect", `{"code":"` + order.Code + `"}`}, {"return", `{"lines":[{"sku":"bulb","quantity":1}]}`}, {"refund", ""}, {"erase", ""},
	} {
		r.move(order.ID, step.verb, step.body)
	}
	r.moves(r.order(`{"lines":[{"sku":"bulb","location":"L","quantity":1}],"fulfilment":"ship_home","payment":"online_paid"}`).ID, "dispatch", "deliver")
	late := r.orderAt("unpaid")
	r.stock("bulb", 0)
	r.db.Clock.Advance(time.Hour)
	r.move(late.ID, "pay", "")
	moved := r.order(`{"lines":[{"sku":"sofa","location":"south","quantity":1}],"on_short":"move"}`)
	r.moves(moved.ID, "accept")
	r.move(moved.ID, "short", `{"lines":[{"sku":"sofa","quantity":1}]}`)
	r.moves(r.order(`{"lines":[{"sku":"sofa","location":"L","quantity":1}]}`).ID, "cancel")
	notMade := []string{"order.received", "order.rescheduled", string(engine.SlotsRemovedChange)} // the tests of slots and of what is sent see them

	kinds := make(map[string]bool)
	lines := func(path, schema string) {
		t.Helper()
		for line := range strings.Lines(r.get(path).body) {
			var value map[string]any
			if err := json.Unmarshal([]byte(line), &value); err != nil {
				t.Fatal(err)
			}
			if err := contract().Components.Schemas[schema].Value.VisitJSON(value, openapi3.EnableJSONSchema2020()); err != nil {
				t.Errorf("%s%v", line, err)
			}
			kinds[value["type"].(string)] = true
		}
	}
	lines("/v1/changes?wait=0", "Change")
	lines("/v1/changes?snapshot=true", "SnapshotItem")
	for _, schema := range []string{"Change", "SnapshotItem"} {
		for _, kind := range contract().Components.Schemas[schema].Value.Properties["type"].Value.Enum {
			if !kinds[kind.(string)] && !slices.Contains(notMade, kind.(string)) {
				t.Errorf("there was no %s", kind)
			}
		}
	}
}
