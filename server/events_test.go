package server_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"onhand/server"
)

// fields returns some members of a JSON object as JSON, "" where there is none.
func fields(t *testing.T, body string, names ...string) string {
	t.Helper()
	var all map[string]json.RawMessage
	if err := json.Unmarshal([]byte(body), &all); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	var out []string
	for _, name := range names {
		out = append(out, string(all[name]))
	}
	return strings.Join(out, " ")
}

func TestLowStockThresholds(t *testing.T) {
	r := newRig(t, server.Options{})
	r.put("/v1/skus/S", `{"title":"Lamp","low_stock":5}`)
	if got := fields(t, r.get("/v1/skus/S").body, "low_stock", "low_stock_clear"); got != "5 6" {
		t.Errorf("the SKU's threshold is %s", got)
	}
	r.stock("S", 9)
	cell := func(want string) {
		t.Helper()
		if got := fields(t, r.get("/v1/stock/S/L").body, "available", "low", "low_stock", "low_stock_clear", "own_low_stock"); got != want {
			t.Errorf("the cell has %s, want %s", got, want)
		}
	}
	cell("9  5 6 false")
	set := func(body, want string) {
		t.Helper()
		got := r.do("PUT", "/v1/stock/S/L", body)
		if got.status != 200 || fields(t, got.body, "low", "low_stock", "low_stock_clear") != want {
			t.Errorf("%s is answered %d %s, want %s", body, got.status, got.body, want)
		}
	}
	set(`{"low_stock":9,"low_stock_clear":20}`, "true 9 20")
	cell("9 true 9 20 true")
	set(`{"on_hand":19}`, "true  ")
	set(`{"low_stock":null}`, " null ")
	cell("19  5 6 false")
	set(`{"low_stock":10}`, " 10 12")
	set(`{"low_stock":0,"low_stock_clear":null}`, " 0 1")
	r.put("/v1/skus/S", `{"title":"Lamp"}`)
	set(`{"low_stock":null,"low_stock_clear":null}`, " null ")
	cell("19    ")
	for body, field := range map[string]string{
		`{"low_stock":-1}`: "low_stock", `{"low_stock":500000000001}`: "low_stock", `{"low_stock":5,"low_stock_clear":5}`: "low_stock_clear",
		`{"low_stock_clear":5}`: "low_stock_clear", `{"low_stock":5,"low_stock_clear":1000000000001}`: "low_stock_clear",
	} {
		for _, path := range []string{"/v1/stock/S/L", "/v1/skus/S"} {
			got := r.do("PUT", path, body)
			wantProblem(t, got, 400, "invalid")
			if fieldOf(t, got.body, "field") != field {
				t.Errorf("%s %s: %s", path, body, got.body)
			}
		}
	}
	for _, body := range []string{`{"low_stock_clear":null}`, `{"low_stock":null,"low_stock_clear":5}`, `{"low_stock":1.5}`} {
		wantProblem(t, r.do("PUT", "/v1/stock/S/L", body), 400, "invalid")
	}
}

// TestEventsOfChanges are in the feed, as described, and posted with all that an alert needs.
func TestEventsOfChanges(t *testing.T) {
	r := newRig(t, server.Options{})
	r.put("/v1/locations/L", `{"name":"Lyon"}`)
	r.put("/v1/skus/S", `{"title":"Lamp","low_stock":4,"low_stock_clear":8}`)
	to := newHookReceiver(t)
	if made := r.do("PUT", "/v1/webhooks/manager", `{"url":"`+to.URL+`","events":["stock.low","stock.out","stock.back","stock.recovered","stock.shortage"],"locations":["L"]}`); made.status != 201 {
		t.Fatal(made.body)
	}
	r.stock("S", 9)
	held := fieldOf(t, r.do("POST", "/v1/reservations", `{"lines":[{"sku":"S","location":"L","quantity":6}]}`).body, "id")
	sold := r.do("POST", "/v1/stock/adjustments", `{"lines":[{"sku":"S","location":"L","quantity":-5}],"reason":"sale"}`)
	r.do("POST", "/v1/reservations/"+held+"/release", "")
	r.do("POST", "/v1/stock/adjustments", `{"lines":[{"sku":"S","location":"L","quantity":4}],"reason":"receipt"}`)

	var events []string
	for line := range strings.Lines(r.get("/v1/changes?wait=0").body) {
		var value map[string]any
		if err := json.Unmarshal([]byte(line), &value); err != nil {
			t.Fatal(err)
		}
		if err := contract().Components.Schemas["Change"].Value.VisitJSON(value, openapi3.EnableJSONSchema2020()); err != nil {
			t.Errorf("%s%v", line, err)
		}
		if value["events"] != nil {
			events = append(events, fields(t, line, "type")+" "+fields(t, line, "events"))
		}
	}
	want := []string{
		`"stock.set" [{"type":"stock.back","sku":"S","location":"L","available":9}]`,
		`"reservation.held" [{"type":"stock.low","sku":"S","location":"L","available":3,"threshold":4}]`,
		`"stock.adjusted" [{"type":"stock.out","sku":"S","location":"L","available":0},{"type":"stock.shortage","sku":"S","location":"L","available":0,"short_by":2}]`,
		`"reservation.released" [{"type":"stock.back","sku":"S","location":"L","available":4}]`,
		`"stock.adjusted" [{"type":"stock.recovered","sku":"S","location":"L","available":8,"threshold":8}]`,
	}
	if got := strings.Join(events, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("the feed has\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
	data := func(kind string) string {
		t.Helper()
		return fields(t, fields(t, to.await(t, kind), "data"), "type", "cause", "sku", "title", "location", "location_name", "available", "on_hand", "held", "threshold", "short_by", "reservations")
	}
	const lamp = ` "S" "Lamp" "L" "Lyon" `
	for kind, want := range map[string]string{
		"stock.low":       `"reservation.held"` + lamp + `3 9 6 4  `,
		"stock.out":       `"stock.adjusted"` + lamp + `0 4 6  2 ["` + held + `"]`,
		"stock.shortage":  `"stock.adjusted"` + lamp + `0 4 6  2 ["` + held + `"]`,
		"stock.recovered": `"stock.adjusted"` + lamp + `8 8 0 8  `,
	} {
		if got := data(kind); got != `"`+kind+`" `+want {
			t.Errorf("%s is told as %s, want %s", kind, got, want)
		}
	}
	if got := fields(t, fields(t, to.await(t, "stock.shortage"), "data"), "sequence"); got != fields(t, sold.body, "sequence") {
		t.Errorf("its sequence is %s, that of the sale %s", got, fields(t, sold.body, "sequence"))
	}
	if subject := fields(t, to.await(t, "stock.low"), "subject"); subject != `"stock/S/L"` {
		t.Errorf("its subject is %s", subject)
	}
}

// fits holds JSON against a schema of the document.
func fits(t *testing.T, schema, text string) {
	t.Helper()
	var value map[string]any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	if err := contract().Components.Schemas[schema].Value.VisitJSON(value, openapi3.EnableJSONSchema2020()); err != nil {
		t.Errorf("%s\n%v", text, err)
	}
}

// told waits for a last event and returns the events that came of one type, the first first.
func (r *hookReceiver) told(t *testing.T, last, kind string) (bodies []string) {
	t.Helper()
	r.await(t, last)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, body := range r.bodies {
		if strings.Contains(body, `"type":"onhand.`+kind+`"`) {
			bodies = append(bodies, body)
		}
	}
	return bodies
}

// TestEveryLossIsTold to who asks for losses only: whether or not units arrived with it, for an order or not, once.
func TestEveryLossIsTold(t *testing.T) {
	const lamps = `{"from":"L","to":"M","lines":[{"sku":"lamp","quantity":6},{"sku":"bulb","quantity":2}],"dispatch":true}`
	plain := func(t *testing.T, r *rig) string {
		return "/v1/transfers/" + fieldOf(t, r.do("POST", "/v1/transfers", lamps).body, "id") + "/receive"
	}
	ordered := func(_ *testing.T, r *rig) string {
		o := r.order(`{"lines":[{"sku":"lamp","location":"L","quantity":6},{"sku":"bulb","location":"L","quantity":2}],"location":"M","fulfilment":"ship_to_store",
			"reference":"4711","customer":{"name":"Ana"}}`)
		r.moves(o.ID, "accept", "dispatch")
		return "/v1/orders/" + o.ID + "/receive"
	}
	for name, test := range map[string]struct {
		sent             func(*testing.T, *rig) string
		receive          string
		lostBy, brokenBy string // the types of the changes, "" = it was the change itself
		order            bool
	}{
		"some arrive":        {plain, `{"lines":[{"sku":"lamp","quantity":1,"lost":2,"damaged":1}],"reason":"wet"}`, `"transfer.received"`, `"transfer.received"`, false},
		"none arrives":       {plain, `{"lines":[{"sku":"lamp","lost":2,"damaged":1}],"reason":"wet"}`, "", `"transfer.lost"`, false},
		"some, of an order":  {ordered, `{"lines":[{"sku":"lamp","quantity":1,"lost":2,"damaged":1}],"reason":"wet"}`, `"order.received"`, `"order.received"`, true},
		"none, of the order": {ordered, `{"lines":[{"sku":"lamp","lost":2,"damaged":1}],"reason":"wet"}`, `"order.received"`, `"order.received"`, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newShop(t)
			r.put("/v1/locations/L", `{"name":"Depot"}`)
			r.put("/v1/locations/M", `{}`)
			r.put("/v1/skus/lamp", `{"title":"Desk lamp"}`)
			to := newHookReceiver(t)
			if got := r.do("PUT", "/v1/webhooks/claims", `{"url":"`+to.URL+`","events":["transfer.lost","transfer.damaged","sku.set"],"locations":[]}`); got.status != 201 {
				t.Fatal(got.body)
			}
			path := test.sent(t, r)
			if got := r.do("POST", path, test.receive); got.status != 200 {
				t.Fatal(got.body)
			}
			sequence := r.db.Durable()
			r.put("/v1/skus/bulb", `{"title":"Bulb"}`)
			to.await(t, "transfer.lost")
			to.await(t, "transfer.damaged")
			for kind, want := range map[string]struct{ cause, lines string }{
				"transfer.lost": {test.lostBy, `[{"sku":"lamp","title":"Desk lamp","lost":2}]`}, "transfer.damaged": {test.brokenBy, `[{"sku":"lamp","title":"Desk lamp","damaged":1}]`},
			} {
				all := to.told(t, "sku.set", kind)
				if len(all) != 1 {
					t.Fatalf("%d times %s: %q", len(all), kind, all)
				}
				data := fields(t, all[0], "data")
				fits(t, "LossEvent", data)
				if got := fields(t, data, "type", "cause", "from_name", "to_name", "lines"); got != `"`+kind+`" `+want.cause+` "Depot"  `+want.lines {
					t.Errorf("%s is told as %s", kind, got)
				}
				transfer := fields(t, data, "transfer")
				if got := fields(t, transfer, "reason"); got != `"wet"` {
					t.Errorf("its reason is %s", got)
				}
				if numberOf(t, data, "sequence") != int64(sequence) || numberOf(t, transfer, "sequence") != int64(sequence) {
					t.Errorf("at %d there came %s", sequence, data)
				}
				if order := fields(t, transfer, "order"); (order != "") != test.order || test.order && !strings.Contains(path, strings.Trim(order, `"`)) {
					t.Errorf("it is said to be for the order %q", order)
				}
			}
		})
	}
}

// TestAnOrdersEventsSayWhereAndWhat by name, and have no secrets; the feed and the order itself have neither.
func TestAnOrdersEventsSayWhereAndWhat(t *testing.T) {
	r := newShop(t)
	r.put("/v1/skus/lamp", `{"title":"Desk \"lamp\""}`)
	to := newHookReceiver(t)
	if got := r.do("PUT", "/v1/webhooks/shop", `{"url":"`+to.URL+`","events":["order.*"]}`); got.status != 201 {
		t.Fatal(got.body)
	}
	o := r.order(`{` + lampAndBulbs + `,"customer":{"name":"Ana","email":"ana@example.org"}}`)
	placed := fields(t, fields(t, to.await(t, "order.placed"), "data"), "order")
	if got := fields(t, placed, "location", "location_name", "location_phone"); got != `"L" "a store" ` {
		t.Errorf("of a place without a phone it says %s", got)
	}
	r.put("/v1/locations/L", `{"name":"Lyon Part-Dieu","phone":"+33 4 00 00 00 00"}`)
	r.moves(o.ID, "accept", "ready")
	body := to.await(t, "order.ready")
	data := fields(t, body, "data")
	fits(t, "Change", data)
	order := fields(t, data, "order")
	if got := fields(t, order, "location", "location_name", "location_phone"); got != `"L" "Lyon Part-Dieu" "+33 4 00 00 00 00"` {
		t.Errorf("it is ready at %s", got)
	}
	if lines := fields(t, order, "lines"); !strings.Contains(lines, `{"sku":"lamp","title":"Desk \"lamp\"","from":`) || !strings.Contains(lines, `{"sku":"bulb","from":`) {
		t.Errorf("its lines are %s", lines)
	}
	secrets := r.get("/v1/orders/" + o.ID + "/secrets").body
	for _, name := range []string{"code", "qr", "tracking"} {
		secret := strings.TrimPrefix(fieldOf(t, secrets, name), "/track/")
		for _, kind := range []string{"order.placed", "order.accepted", "order.ready"} {
			if event := to.await(t, kind); secret == "" || strings.Contains(event, secret) {
				t.Errorf("%s tells the %s: %s", kind, name, event)
			}
		}
	}
	for _, path := range []string{"/v1/orders/" + o.ID, "/v1/orders?location=L", "/v1/changes?wait=0&after=" + fields(t, placed, "sequence")} {
		for _, name := range []string{`"location_name"`, `"location_phone"`, `"title"`} {
			if got := r.get(path); strings.Contains(got.body, name) {
				t.Errorf("%s has %s: %s", path, name, got.body)
			}
		}
	}
}
