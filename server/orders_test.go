package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"onhand/engine"
	"onhand/server"
)

// shopOrder is what a test wants to know of an order.
type shopOrder struct {
	ID           string `json:"id"`
	State        string `json:"state"`
	LastMove     string `json:"last_move"`
	Reservation  string `json:"reservation"`
	Location     string `json:"location"`
	Channel      string `json:"channel"`
	Fulfilment   string `json:"fulfilment"`
	Handover     string `json:"handover"`
	Payment      string `json:"payment"`
	Reference    string `json:"reference"`
	Expires      string `json:"expires_at"`
	Code         string `json:"code"`
	QR           string `json:"qr"`
	Tracking     string `json:"tracking"`
	Erased       bool   `json:"erased"`
	Wrong        int    `json:"wrong_codes"`
	PaymentNote  string `json:"payment_reference"`
	Bay, Vehicle string
	Customer     map[string]string `json:"customer"`
	Lines        []struct {
		SKU, From                                                        string
		Quantity, Open, Collected, Missing, Cancelled, Returned, Damaged int64
	} `json:"lines"`
	History []struct {
		Sequence                int64
		Move, State, By, Reason string
	} `json:"history"`
	Sequence uint64 `json:"sequence"`
	raw      string
}

// tell writes an order's state and what became of each line.
func (o *shopOrder) tell() string {
	out := o.State
	for _, l := range o.Lines {
		out += fmt.Sprintf(" %s:%d", l.SKU, l.Quantity)
		for _, n := range []struct {
			name  string
			units int64
		}{
			{"open", l.Open}, {"collected", l.Collected}, {"missing", l.Missing}, {"cancelled", l.Cancelled}, {"returned", l.Returned}, {"damaged", l.Damaged},
		} {
			if n.units != 0 {
				out += fmt.Sprintf(" %s %d", n.name, n.units)
			}
		}
	}
	return out + " " + o.Payment
}

func (r *rig) orderOf(got reply, status int) (o shopOrder) {
	r.t.Helper()
	decodeInto(r.t, got, status, &o)
	o.raw = got.body
	return o
}

// order places an order.
func (r *rig) order(body string, headers ...string) shopOrder {
	r.t.Helper()
	got := r.do("POST", "/v1/orders", body, headers...)
	o := r.orderOf(got, http.StatusCreated)
	if got.header.Get("Location") != "/v1/orders/"+o.ID || got.header.Get("Cache-Control") != "no-store" {
		r.t.Errorf("placed at %q, cached %q: %s", got.header.Get("Location"), got.header.Get("Cache-Control"), got.body)
	}
	return o
}

// move moves an order, and demands that it then reads as the answer was.
func (r *rig) move(id, verb, body string) shopOrder {
	r.t.Helper()
	got := r.do("POST", "/v1/orders/"+id+"/"+verb, body)
	o := r.orderOf(got, http.StatusOK)
	if read := r.get("/v1/orders/" + id); read.body != got.body {
		r.t.Errorf("%s answers %s\nand the order reads %s", verb, got.body, read.body)
	}
	return o
}

// moves carries out several moves without a body.
func (r *rig) moves(id string, verbs ...string) (o shopOrder) {
	r.t.Helper()
	for _, verb := range verbs {
		o = r.move(id, verb, "")
	}
	return o
}

const lampAndBulbs = `"lines":[{"sku":"lamp","location":"L","quantity":1},{"sku":"bulb","location":"L","quantity":3}]`

// newShop returns a server with 10 lamps and 20 bulbs at L.
func newShop(t testing.TB) *rig {
	r := newRig(t, server.Options{})
	r.stock("lamp", 10)
	r.stock("bulb", 20)
	return r
}

func TestAnOrderIsPlacedOnLines(t *testing.T) {
	r := newShop(t)
	o := r.order(`{` + lampAndBulbs + `,"channel":"phone","handover":"curbside","payment":"online_paid","payment_reference":"pi_1","on_short":"transfer",
		"id_required":true,"customer":{"reference":"c-7","name":"Ana","phone":"+33 6","email":"ana@example.org"},"collector":{"name":"Ben"},
		"reference":"4711","notes":"ring twice","by":"desk 2"}`)
	if o.tell() != "placed lamp:1 open 1 bulb:3 open 3 paid" || o.Location != "L" || o.Channel != "phone" || o.Handover != "curbside" ||
		o.Fulfilment != "pickup" || o.Reference != "4711" || o.PaymentNote != "pi_1" || o.Customer["email"] != "ana@example.org" ||
		o.Expires != r.db.Now().Add(4*time.Hour).Format(time.RFC3339Nano) {
		t.Errorf("placed: %s", o.raw)
	}
	if len(o.History) != 1 || o.History[0].Move != "place" || o.History[0].By != "desk 2" || uint64(o.History[0].Sequence) != o.Sequence {
		t.Errorf("history: %s", o.raw)
	}
	if len(o.Code) != 6 || o.QR != "ONHAND:"+strings.ToUpper(o.ID)+":"+o.Code || !strings.HasPrefix(o.Tracking, "/track/") {
		t.Errorf("secrets: %s", o.raw)
	}
	if c := r.cell("bulb"); c.Held != 3 || c.OnHand != 20 {
		t.Errorf("held: %+v", c)
	}
	if re := r.reservation(o.Reservation); re.State != "held" {
		t.Errorf("its reservation is %s", re.State)
	}
	// The least there is to say.
	o = r.order(`{"lines":[{"sku":"lamp","location":"L","quantity":1}]}`)
	if o.tell() != "placed lamp:1 open 1 due_in_store" || o.Channel != "web" || o.Handover != "counter" {
		t.Errorf("by default: %s", o.raw)
	}
	// All lines or none.
	got := r.do("POST", "/v1/orders", `{"lines":[{"sku":"lamp","location":"L","quantity":1},{"sku":"bulb","location":"L","quantity":99}]}`)
	wantProblem(t, got, 409, "refused")
	if lines := refusals(t, got); len(lines) != 1 || lines[0].SKU != "bulb" || lines[0].Reason != "short" {
		t.Errorf("refused: %s", got.body)
	}
	if c := r.cell("lamp"); c.Held != 2 {
		t.Errorf("a refused order holds: %+v", c)
	}
	wantProblem(t, r.do("POST", "/v1/orders", `{"lines":[{"sku":"lamp","location":"L","quantity":1}],"location":"nowhere"}`), 404, "unknown-location")
}

func TestAnOrderIsPlacedOnAReservation(t *testing.T) {
	r := newShop(t)
	hold := fieldOf(t, r.do("POST", "/v1/reservations", `{`+lampAndBulbs+`,"expires_in":600}`).body, "id")
	o := r.order(`{"reservation":"` + hold + `","payment":"online_pending"}`)
	if o.Reservation != hold || o.tell() != "placed lamp:1 open 1 bulb:3 open 3 pending" ||
		o.Expires != r.db.Now().Add(30*time.Minute).Format(time.RFC3339Nano) {
		t.Errorf("placed: %s", o.raw)
	}
	if c := r.cell("bulb"); c.Held != 3 {
		t.Errorf("held twice: %+v", c)
	}
	body := `{"reservation":"` + hold + `"}`
	if got := r.do("POST", "/v1/orders", body); wantProblem(t, got, 409, "reservation-ordered") == "" || fieldOf(t, got.body, "order") != o.ID {
		t.Errorf("ordered twice: %s", got.body)
	}
	r.move(o.ID, "cancel", "")
	wantProblem(t, r.do("POST", "/v1/orders", body), 409, "wrong-state")
	wantProblem(t, r.do("POST", "/v1/orders", `{"reservation":"`+unusedID+`"}`), 404, "unknown-reservation")
	late := fieldOf(t, r.do("POST", "/v1/reservations", `{`+lampAndBulbs+`,"expires_in":60}`).body, "id")
	r.db.Clock.Advance(time.Minute)
	if got := r.do("POST", "/v1/orders", `{"reservation":"`+late+`"}`); wantProblem(t, got, 409, "wrong-state") == "" || fieldOf(t, got.body, "state") != "expired" {
		t.Errorf("on one that has expired: %s", got.body)
	}
}

func TestAnOrderFindsItsStore(t *testing.T) {
	r := newShop(t)
	for id, latitude := range map[string]string{"near": "45.76", "far": "45.9"} {
		r.put("/v1/locations/"+id, `{"kind":"store","position":{"latitude":`+latitude+`,"longitude":4.83}}`)
	}
	r.put("/v1/stock/lamp/near", `{"on_hand":1}`)
	r.put("/v1/stock/lamp/far", `{"on_hand":1}`)
	const body = `{"lines":[{"sku":"lamp","quantity":1}],"near":{"latitude":45.75,"longitude":4.83},"radius_km":50}`
	if o := r.order(body); o.Location != "near" || o.Lines[0].From != "near" {
		t.Errorf("the first: %s", o.raw)
	}
	if o := r.order(body); o.Location != "far" {
		t.Errorf("the second: %s", o.raw)
	}
	wantProblem(t, r.do("POST", "/v1/orders", body), 409, "refused")
	wantProblem(t, r.do("POST", "/v1/orders", `{"lines":[{"sku":"lamp","location":"L","quantity":1}],"radius_km":50}`), 400, "invalid")
}

func TestEachMoveOfAnOrder(t *testing.T) {
	r := newShop(t)
	r.put("/v1/locations/M", `{}`)
	t.Run("collected", func(t *testing.T) {
		o := r.order(`{` + lampAndBulbs + `,"payment":"online_pending","id_required":true}`)
		code := o.Code
		for _, step := range []struct{ verb, body, want string }{
			{"pay", `{"payment_reference":"pi_2","by":"shop"}`, "placed lamp:1 open 1 bulb:3 open 3 paid"},
			{"accept", `{"by":"mia","reason":"seen"}`, "accepted lamp:1 open 1 bulb:3 open 3 paid"},
			{"pick", ``, "picking lamp:1 open 1 bulb:3 open 3 paid"},
			{"ready", `{}`, "ready lamp:1 open 1 bulb:3 open 3 paid"},
			{"extend", `{"expires_in":600000}`, "ready lamp:1 open 1 bulb:3 open 3 paid"},
			{"arrive", `{"bay":"4","vehicle":"blue van"}`, "ready lamp:1 open 1 bulb:3 open 3 paid"},
			{"collect", `{"code":"` + strings.ToLower(code[:3]) + " " + code[3:] + `","id_checked":true,"lines":[{"sku":"bulb","quantity":2}]}`, "ready lamp:1 open 1 bulb:3 open 1 collected 2 paid"},
			{"cancel", `{"lines":[{"sku":"bulb","quantity":1}]}`, "ready lamp:1 open 1 bulb:3 collected 2 cancelled 1 refund_due"},
			{"collect", `{"id_checked":true,"reason":"lost the mail"}`, "collected lamp:1 collected 1 bulb:3 collected 2 cancelled 1 refund_due"},
			{"return", `{"lines":[{"sku":"bulb","quantity":1},{"sku":"lamp","quantity":1,"damaged":true}],"reason":"too bright","location":"M"}`, "returned lamp:1 collected 1 damaged 1 bulb:3 collected 2 cancelled 1 returned 1 refund_due"},
			{"refund", `{"payment_reference":"re_2"}`, "returned lamp:1 collected 1 damaged 1 bulb:3 collected 2 cancelled 1 returned 1 refunded"},
			{"erase", ``, "returned lamp:1 collected 1 damaged 1 bulb:3 collected 2 cancelled 1 returned 1 refunded"},
		} {
			if o = r.move(o.ID, step.verb, step.body); o.tell() != step.want {
				t.Fatalf("%s: %s, want %s\n%s", step.verb, o.tell(), step.want, o.raw)
			}
		}
		if len(o.History) != 13 || o.History[2].By != "mia" || o.History[2].Reason != "seen" || o.PaymentNote != "re_2" || !o.Erased || o.Bay != "" {
			t.Errorf("in the end: %s", o.raw)
		}
		if c := r.cell("bulb"); c.OnHand != 18 || c.Held != 0 {
			t.Errorf("bulbs: %+v", c)
		}
		if c := r.cell("lamp"); c.OnHand != 9 || c.Held != 0 {
			t.Errorf("lamps: %+v", c)
		}
		if got := r.get("/v1/stock/bulb/M"); numberOf(t, got.body, "on_hand") != 1 {
			t.Errorf("brought to M: %s", got.body)
		}
	})
	t.Run("sent home", func(t *testing.T) {
		o := r.order(`{` + lampAndBulbs + `,"fulfilment":"ship_home","payment":"online_paid"}`)
		if o = r.move(o.ID, "dispatch", `{"lines":[{"sku":"lamp","quantity":1}]}`); o.tell() != "placed lamp:1 collected 1 bulb:3 open 3 paid" {
			t.Errorf("a first parcel: %s", o.raw)
		}
		if o = r.move(o.ID, "dispatch", ""); o.State != "in_transit" {
			t.Errorf("the second: %s", o.raw)
		}
		if o = r.move(o.ID, "deliver", `{"by":"carrier"}`); o.tell() != "collected lamp:1 collected 1 bulb:3 collected 3 paid" {
			t.Errorf("delivered: %s", o.raw)
		}
	})
	t.Run("short", func(t *testing.T) {
		o := r.order(`{` + lampAndBulbs + `}`)
		before := r.cell("bulb")
		r.moves(o.ID, "accept")
		if o = r.move(o.ID, "short", `{"lines":[{"sku":"bulb","quantity":2}],"by":"mia","reason":"not on the shelf"}`); o.tell() != "short lamp:1 open 1 bulb:3 open 1 missing 2 due_in_store" {
			t.Errorf("short: %s", o.raw)
		}
		if c := r.cell("bulb"); c.OnHand != before.OnHand-2 || c.Held != before.Held-2 {
			t.Errorf("%+v became %+v", before, c)
		}
		if o = r.moves(o.ID, "pick", "ready"); o.State != "ready" {
			t.Errorf("and on: %s", o.raw)
		}
		o = r.order(`{"lines":[{"sku":"lamp","location":"L","quantity":1}]}`)
		r.moves(o.ID, "accept")
		if o = r.move(o.ID, "short", `{"lines":[{"sku":"lamp","quantity":1}],"recount":true}`); o.tell() != "cancelled lamp:1 missing 1 none" || !r.cell("lamp").Blocked {
			t.Errorf("nothing is left: %s", o.raw)
		}
		r.put("/v1/stock/lamp/L", `{"blocked":false}`)
	})
	t.Run("found elsewhere", func(t *testing.T) {
		for id, longitude := range map[string]string{"north": "4.83", "south": "4.84"} {
			r.put("/v1/locations/"+id, `{"kind":"store","position":{"latitude":45.76,"longitude":`+longitude+`}}`)
			r.put("/v1/stock/sofa/"+id, `{"on_hand":1}`)
		}
		o := r.order(`{"lines":[{"sku":"sofa","location":"north","quantity":1}],"on_short":"move"}`)
		r.moves(o.ID, "accept")
		if o = r.move(o.ID, "short", `{"lines":[{"sku":"sofa","quantity":1}]}`); o.State != "placed" || o.Location != "south" || o.LastMove != "reroute" {
			t.Errorf("moved: %s", o.raw)
		}
	})
}

func TestAPaymentThatComesLate(t *testing.T) {
	r := newRig(t, server.Options{})
	r.stock("lamp", 1)
	const body = `{"lines":[{"sku":"lamp","location":"L","quantity":1}],"payment":"online_pending"}`
	o := r.order(body)
	r.db.Clock.Advance(30 * time.Minute)
	if read := r.orderOf(r.get("/v1/orders/"+o.ID), 200); read.tell() != "expired lamp:1 none" {
		t.Errorf("at its deadline: %s", read.raw)
	}
	// The lamp is still there.
	if o = r.move(o.ID, "pay", `{}`); o.tell() != "placed lamp:1 open 1 paid" || o.LastMove != "pay" {
		t.Errorf("paid late: %s", o.raw)
	}
	if o = r.move(o.ID, "cancel", ""); o.tell() != "cancelled lamp:1 cancelled 1 refund_due" {
		t.Errorf("cancelled: %s", o.raw)
	}
	// And now it is not.
	o = r.order(body)
	r.db.Clock.Advance(30 * time.Minute)
	r.do("POST", "/v1/reservations", oneLine("lamp"))
	if o = r.move(o.ID, "pay", `{"payment_reference":"pi_9"}`); o.tell() != "expired lamp:1 refund_due" || o.LastMove != "refund_due" {
		t.Errorf("paid too late: %s", o.raw)
	}
}

// orderAt brings a new order to a state.
func (r *rig) orderAt(state string) shopOrder {
	r.t.Helper()
	switch state {
	case "in_transit":
		o := r.order(`{"lines":[{"sku":"bulb","location":"L","quantity":1}],"fulfilment":"ship_home","payment":"online_paid"}`)
		r.move(o.ID, "dispatch", "")
		return o
	case "unpaid":
		return r.order(`{"lines":[{"sku":"bulb","location":"L","quantity":1}],"payment":"online_pending"}`)
	}
	o := r.order(`{"lines":[{"sku":"bulb","location":"L","quantity":1}]}`)
	steps := map[string][]string{"accepted": {"accept"}, "picking": {"pick"}, "ready": {"ready"}, "collected": {"ready"}, "cancelled": {"cancel"}}
	r.moves(o.ID, steps[state]...)
	if state == "collected" {
		r.move(o.ID, "collect", `{"code":"`+o.Code+`"}`)
	}
	return o
}

func TestAnOrderRefusesWhatItsStateDoesNotAllow(t *testing.T) {
	r := newShop(t)
	r.stock("bulb", 100)
	const line = `{"lines":[{"sku":"bulb","quantity":1}]}`
	for _, c := range []struct{ state, verb, body, why string }{
		{"accepted", "accept", "", ""},
		{"unpaid", "accept", "", "payment is pending"},
		{"unpaid", "pick", "", "payment is pending"},
		{"unpaid", "ready", "", "payment is pending"},
		{"ready", "pick", "", ""},
		{"ready", "ready", "", ""},
		{"placed", "collect", `{"code":"AAAAAA"}`, ""},
		{"placed", "short", line, ""},
		{"placed", "dispatch", "", "where it is collected"},
		{"ready", "dispatch", "", ""},
		{"placed", "receive", "", ""},
		{"in_transit", "receive", "", "on its way there"},
		{"ready", "deliver", "", ""},
		{"placed", "return", line, ""},
		{"collected", "cancel", "", ""},
		{"in_transit", "cancel", "", "can be returned"},
		{"placed", "pay", "", "paid when it is collected"},
		{"collected", "pay", "", ""},
		{"placed", "refund", "", "due_in_store"},
		{"cancelled", "extend", "", ""},
		{"placed", "arrive", "", ""},
		{"placed", "erase", "", ""},
	} {
		o := r.orderAt(c.state)
		before, digest := r.db.Digest()
		got := r.do("POST", "/v1/orders/"+o.ID+"/"+c.verb, c.body)
		wantProblem(t, got, 409, "order-state")
		var p struct {
			ID, State, Move, Why string
			From                 []string
		}
		if err := json.Unmarshal([]byte(got.body), &p); err != nil || p.ID != o.ID || p.State != strings.Replace(c.state, "unpaid", "placed", 1) || p.Move != c.verb ||
			len(p.From) == 0 || !strings.Contains(p.Why, c.why) || (p.Why == "") != (c.why == "") || (p.Why != "") != slices.Contains(p.From, p.State) {
			t.Errorf("%s of an order that is %s: %s", c.verb, c.state, got.body)
		}
		if after, changed := r.db.Digest(); after != before || changed != digest {
			t.Errorf("%s of an order that is %s changed something", c.verb, c.state)
		}
	}
	o := r.orderAt("placed")
	for _, seconds := range []string{"20000", "30000"} {
		r.move(o.ID, "extend", `{"expires_in":`+seconds+`}`)
	}
	if got := r.do("POST", "/v1/orders/"+o.ID+"/extend", ""); !strings.Contains(wantProblem(t, got, 409, "order-state"), "extended 2 times") {
		t.Errorf("extended too often: %s", got.body)
	}
	guarded := r.order(`{"lines":[{"sku":"bulb","location":"L","quantity":1}],"id_required":true}`)
	r.move(guarded.ID, "ready", "")
	if got := r.do("POST", "/v1/orders/"+guarded.ID+"/collect", `{"code":"`+guarded.Code+`"}`); !strings.Contains(wantProblem(t, got, 409, "order-state"), "id_checked") {
		t.Errorf("without a document: %s", got.body)
	}
}

func TestAnOrderRefusesMoreThanItHas(t *testing.T) {
	r := newShop(t)
	const two, other = `"lines":[{"sku":"bulb","quantity":2}]`, `"lines":[{"sku":"lamp","quantity":1}]`
	for _, c := range []struct{ state, verb, extra string }{
		{"ready", "collect", `"code":"CODE",`}, {"accepted", "short", ""}, {"placed", "cancel", ""}, {"collected", "return", ""},
	} {
		for _, lines := range []string{two, other} {
			o := r.orderAt(c.state)
			got := r.do("POST", "/v1/orders/"+o.ID+"/"+c.verb, `{`+strings.Replace(c.extra, "CODE", o.Code, 1)+lines+`}`)
			wantProblem(t, got, 409, "refused")
			if lines := refusals(t, got); len(lines) != 1 || lines[0].Reason != "not_reserved" {
				t.Errorf("%s: %s", c.verb, got.body)
			}
		}
	}
	o := r.order(`{"lines":[{"sku":"bulb","location":"L","quantity":1}],"fulfilment":"ship_home","payment":"online_paid"}`)
	wantProblem(t, r.do("POST", "/v1/orders/"+o.ID+"/dispatch", `{`+two+`}`), 409, "refused")
	back := r.orderAt("collected")
	wantProblem(t, r.do("POST", "/v1/orders/"+back.ID+"/return", `{"lines":[{"sku":"bulb","quantity":1}],"location":"nowhere"}`), 404, "unknown-location")
}

func TestUnknownOrders(t *testing.T) {
	r := newShop(t)
	wantProblem(t, r.get("/v1/orders/"+unusedID), 404, "unknown-order")
	wantProblem(t, r.get("/v1/orders/"+unusedID+"/secrets"), 404, "unknown-order")
	for _, path := range []string{"", "/picklist", "/counts"} {
		wantProblem(t, r.get("/v1/orders"+path+"?location=nowhere"), 404, "unknown-location")
	}
	for _, verb := range orderVerbs() {
		body := ""
		if verb == "short" || verb == "return" {
			body = `{"lines":[{"sku":"bulb","quantity":1}]}`
		}
		if verb == "reschedule" {
			body = `{"slot":"2026-03-02T10:00:00Z"}`
		}
		wantProblem(t, r.do("POST", "/v1/orders/"+unusedID+"/"+verb, body), 404, "unknown-order")
		wantProblem(t, r.do("POST", "/v1/orders/4711/"+verb, body), 400, "invalid")
	}
}

// orderVerbs are the moves that calls ask for, as the document lists them.
func orderVerbs() (verbs []string) {
	for path := range contract().Paths.Map() {
		if verb, ok := strings.CutPrefix(path, "/v1/orders/{id}/"); ok && verb != "secrets" {
			verbs = append(verbs, verb)
		}
	}
	slices.Sort(verbs)
	return verbs
}

func TestWrongPickupCodesAreCountedAndSlowedDown(t *testing.T) {
	r := newShop(t)
	o := r.orderAt("ready")
	wrong := "AAAAAA"
	if o.Code == wrong {
		wrong = "BBBBBB"
	}
	path := "/v1/orders/" + o.ID + "/collect"
	try := func(code string) reply { return r.do("POST", path, `{"code":"`+code+`"}`) }
	for n := 1; n <= 2; n++ {
		if got := try(wrong); wantProblem(t, got, 403, "wrong-code") == "" || numberOf(t, got.body, "wrong_codes") != int64(n) || fieldOf(t, got.body, "id") != o.ID {
			t.Errorf("wrong code %d: %s", n, got.body)
		}
	}
	got := try(wrong)
	if wantProblem(t, got, 429, "wrong-code"); got.header.Get("Retry-After") != "30" || fieldOf(t, got.body, "retry_at") != r.db.Now().Add(30*time.Second).Format(time.RFC3339Nano) {
		t.Errorf("the third: %v %s", got.header, got.body)
	}
	before := r.db.Durable()
	if got := try(o.Code); got.status != 429 || r.db.Durable() != before { // not even the right one
		t.Errorf("too soon: %d %s", got.status, got.body)
	}
	if read := r.orderOf(r.get("/v1/orders/"+o.ID), 200); read.Wrong != 3 || read.State != "ready" {
		t.Errorf("counted: %s", read.raw)
	}
	r.db.Clock.Advance(30 * time.Second)
	if got := try(wrong); got.status != 429 || got.header.Get("Retry-After") != "60" {
		t.Errorf("the fourth: %d %v", got.status, got.header)
	}
	r.db.Clock.Advance(time.Minute)
	if got := r.orderOf(try(o.Code), 200); got.State != "collected" || got.Wrong != 0 {
		t.Errorf("the right one: %s", got.raw)
	}
	// A wrong code is on record under its key.
	o = r.orderAt("ready")
	first := r.do("POST", "/v1/orders/"+o.ID+"/collect", `{"code":"`+wrong+`"}`, "Idempotency-Key", "try 1")
	if wrong == o.Code {
		t.Skip("one in a billion")
	}
	again := r.do("POST", "/v1/orders/"+o.ID+"/collect", `{"code":"`+wrong+`"}`, "Idempotency-Key", "try 1")
	if wantProblem(t, again, 403, "wrong-code"); again.body != first.body || numberOf(t, again.body, "wrong_codes") != 1 {
		t.Errorf("a retry got %s, the first attempt %s", again.body, first.body)
	}
}

func TestTheReservationOfAnOrderIsLeftAlone(t *testing.T) {
	r := newShop(t)
	o := r.orderAt("placed")
	path := "/v1/reservations/" + o.Reservation
	for verb, body := range map[string]string{"commit": "", "release": "", "extend": `{"expires_in":99}`} {
		got := r.do("POST", path+"/"+verb, body)
		if wantProblem(t, got, 409, "reservation-ordered"); fieldOf(t, got.body, "order") != o.ID || fieldOf(t, got.body, "id") != o.Reservation {
			t.Errorf("%s: %s", verb, got.body)
		}
	}
	got := r.do("DELETE", "/v1/locations/L", "")
	if wantProblem(t, got, 409, "location-in-use"); numberOf(t, got.body, "orders") != 1 {
		t.Errorf("in use by: %s", got.body)
	}
	r.move(o.ID, "cancel", "")
	if got := r.do("POST", path+"/commit", ""); wantProblem(t, got, 409, "wrong-state") == "" || fieldOf(t, got.body, "state") != "released" {
		t.Errorf("after the order: %s", got.body)
	}
}

func TestOrdersAreReadStrictly(t *testing.T) {
	r := newShop(t)
	o := r.orderAt("ready")
	done := r.orderAt("collected")
	before := r.db.Durable()
	for _, body := range []string{
		`{}`, `{"lines":[]}`, `{"lines":[{"sku":"bulb","location":"L","quantity":0}]}`, `{"lines":null}`,
		`{"lines":[{"sku":"bulb","quantity":1}]}`, `{"reservation":"` + unusedID + `","lines":[{"sku":"bulb","location":"L","quantity":1}]}`,
		`{"reservation":"` + unusedID + `","lines":[]}`, `{"reservation":"4711"}`, `{"reservation":"` + unusedID + `","near":{"latitude":1,"longitude":1}}`,
	} {
		wantProblem(t, r.do("POST", "/v1/orders", body), 400, "invalid")
	}
	for member, field := range map[string]string{
		`"channel":"fax"`: "channel", `"fulfilment":"drone"`: "fulfilment", `"handover":"roof"`: "handover", `"payment":"cheque"`: "payment",
		`"on_short":"weep"`: "on_short", `"location":""`: "location", `"customer":{"age":4}`: "customer.age", `"customer":null`: "customer",
		`"collector":{"name":"` + strings.Repeat("x", 201) + `"}`: "collector.name", `"notes":"` + strings.Repeat("x", 1001) + `"`: "notes",
		`"reference":"a\u0000b"`: "reference", `"fulfilment":"ship_home"`: "payment", `"fulfilment":"ship_to_store"`: "location", `"state":"ready"`: "state",
		`"id_required":"yes"`: "id_required", `"payment":"online_paid","payment":"in_store"`: "payment",
	} {
		got := r.do("POST", "/v1/orders", `{"lines":[{"sku":"bulb","location":"L","quantity":1}],`+member+`}`)
		if wantProblem(t, got, 400, "invalid"); fieldOf(t, got.body, "field") != field {
			t.Errorf("%s: %s", member, got.body)
		}
	}
	for _, c := range []struct{ verb, body string }{
		{"accept", `{"lines":[{"sku":"bulb","quantity":1}]}`}, {"pick", `{"code":"x"}`}, {"ready", `null`}, {"ready", `[]`}, {"collect", `{}`},
		{"collect", `{"code":"` + strings.Repeat("x", 33) + `"}`}, {"collect", `{"code":"x","lines":[]}`}, {"collect", `{"id_checked":true}`},
		{"collect", `{"code":"x","lines":[{"sku":"bulb","quantity":0}]}`}, {"short", ``}, {"short", `{}`}, {"short", `{"lines":[]}`},
		{"short", `{"lines":[{"sku":"bulb","quantity":1}],"location":""}`}, {"cancel", `{"lines":[]}`}, {"cancel", `{"lines":[{"sku":"bulb"}]}`},
		{"extend", `{"expires_in":60,"expires_at":"2026-03-09T09:00:00Z"}`}, {"extend", `{"expires_in":0}`}, {"extend", `{"expires_in":1}`},
		{"arrive", `{"bay":"` + strings.Repeat("x", 65) + `"}`}, {"arrive", `{"bay":4}`}, {"dispatch", `{"lines":[]}`}, {"receive", `{"location":"L"}`},
		{"deliver", `{"lines":[]}`}, {"refund", `{"amount":1}`}, {"pay", `{"payment_reference":"` + strings.Repeat("x", 129) + `"}`},
		{"accept", `{"by":"` + strings.Repeat("x", 65) + `"}`}, {"accept", `{"reason":"` + strings.Repeat("x", 201) + `"}`}, {"erase", `{"code":""}`},
	} {
		wantProblem(t, r.do("POST", "/v1/orders/"+o.ID+"/"+c.verb, c.body), 400, "invalid")
	}
	for _, body := range []string{``, `{}`, `{"lines":[]}`, `{"lines":[{"sku":"bulb","quantity":1,"location":"L"}]}`, `{"lines":[{"sku":"bulb","quantity":1}],"location":""}`} {
		wantProblem(t, r.do("POST", "/v1/orders/"+done.ID+"/return", body), 400, "invalid")
	}
	for _, query := range []string{"state=lost", "state=placed,", "limit=0", "limit=1001", "cursor=x", "cursor=AAAA", "owner=x"} {
		wantProblem(t, r.get("/v1/orders?"+query), 400, "invalid")
	}
	for _, path := range []string{"/v1/orders/picklist", "/v1/orders/counts", "/v1/orders/counts?location="} {
		wantProblem(t, r.get(path), 400, "invalid")
	}
	if after := r.db.Durable(); after != before {
		t.Error("something was changed")
	}
}

func TestOrdersAreListedByDeadline(t *testing.T) {
	r := newShop(t)
	r.put("/v1/stock/lamp/M", `{"on_hand":9}`)
	name := make(map[string]string)
	place := func(as, body string) string {
		o := r.order(`{` + body + `,"reference":"ref ` + as[:1] + `"}`)
		name[o.ID] = as
		return o.ID
	}
	const atL, atM = `"lines":[{"sku":"lamp","location":"L","quantity":1}]`, `"lines":[{"sku":"lamp","location":"M","quantity":1}]`
	accepted := place("accepted", atL) // 24 hours
	place("first", atL)
	r.db.Clock.Advance(time.Second)
	place("second", atL)
	place("elsewhere", atM)
	unpaid := place("unpaid", atL+`,"payment":"online_pending"`) // half an hour
	gone := place("gone", atL)
	r.moves(accepted, "accept")
	r.moves(gone, "cancel")
	list := func(query string, limit int) string {
		t.Helper()
		var names []string
		for cursor := ""; ; {
			path := "/v1/orders?limit=" + strconv.Itoa(limit) + query
			if cursor != "" {
				path += "&cursor=" + cursor
			}
			got := r.get(path)
			var page struct {
				Orders []shopOrder `json:"orders"`
				Next   string      `json:"next_cursor"`
			}
			decodeInto(t, got, 200, &page)
			for _, o := range page.Orders {
				names = append(names, name[o.ID])
			}
			if cursor = page.Next; cursor == "" {
				return strings.Join(names, " ")
			}
		}
	}
	for query, want := range map[string]string{
		"&location=L":                            "unpaid first second accepted",
		"&location=L&state=placed":               "unpaid first second",
		"&location=L&state=placed,accepted":      "unpaid first second accepted",
		"&location=L&state=accepted,cancelled":   "gone accepted",
		"&location=L&state=accepted%2Ccancelled": "gone accepted",
		"&location=M":                            "elsewhere",
		"":                                       "unpaid first second accepted elsewhere",
		"&state=ready":                           "",
		"&location=M&state=cancelled":            "",
	} {
		for _, limit := range []int{1, 2, 100} {
			if have := list(query, limit); have != want {
				t.Errorf("%s in pages of %d: %s, want %s", query, limit, have, want)
			}
		}
	}
	if have := list("&reference=ref%20g", 100); have != "gone" {
		t.Errorf("by reference: %s", have)
	}
	if have := list("&reference=ref%20u&state=accepted", 100); have != "" {
		t.Errorf("by reference and state: %s", have)
	}
	counts := func() string {
		return strings.TrimPrefix(r.get("/v1/orders/counts?location=L").body, `{"location":"L",`)
	}
	if have := counts(); have != `"placed":3,"accepted":1,"picking":0,"in_transit":0,"ready":0,"short":0,"collected":0,"cancelled":1,"expired":0,"returned":0,"to_send":0}` {
		t.Errorf("counts: %s", have)
	}
	// Nobody is shown an order as live whose deadline has passed.
	r.db.Clock.Advance(30 * time.Minute)
	if have := list("&location=L", 100); have != "first second accepted" {
		t.Errorf("after a deadline: %s", have)
	}
	if got := r.orderOf(r.get("/v1/orders/"+unpaid), 200); got.State != "expired" {
		t.Errorf("unpaid is %s", got.State)
	}
}

// TestASupplierIsShownWhatItHasToSend: as it would see it that asks for its location.
func TestASupplierIsShownWhatItHasToSend(t *testing.T) {
	r := newShop(t)
	r.put("/v1/stock/lamp/M", `{"on_hand":9}`)
	o := r.order(`{"lines":[{"sku":"lamp","location":"M","quantity":1}],"location":"L","fulfilment":"ship_to_store"}`)
	shown := func(at, ids, counts string) {
		t.Helper()
		var page struct {
			Orders []shopOrder `json:"orders"`
		}
		decodeInto(t, r.get("/v1/orders?location="+at), 200, &page)
		have := ""
		for _, o := range page.Orders {
			have += o.ID
		}
		if have != ids {
			t.Errorf("at %s: orders %q, want %q", at, have, ids)
		}
		const ended = `"ready":0,"short":0,"collected":0,"cancelled":0,"expired":0,"returned":0,`
		if got := r.get("/v1/orders/counts?location=" + at).body; got != `{"location":"`+at+`",`+strings.Replace(counts, "…", ended, 1)+`}` {
			t.Errorf("counts: %s", got)
		}
	}
	shown("M", o.ID, `"placed":1,"accepted":0,"picking":0,"in_transit":0,…"to_send":1`)
	shown("L", o.ID, `"placed":1,"accepted":0,"picking":0,"in_transit":0,…"to_send":0`)
	r.moves(o.ID, "dispatch")
	shown("M", "", `"placed":0,"accepted":0,"picking":0,"in_transit":0,…"to_send":0`)
	shown("L", o.ID, `"placed":0,"accepted":0,"picking":0,"in_transit":1,…"to_send":0`)
}

func TestThePickList(t *testing.T) {
	r := newShop(t)
	r.put("/v1/skus/bulb", `{"title":"Bulb, E27"}`)
	type list struct {
		Lines []struct {
			SKU, Title string
			Quantity   int64
			ToSend     int64 `json:"to_send"`
			Orders     []string
		}
		Whole bool
	}
	read := func() (l list) {
		t.Helper()
		decodeInto(t, r.get("/v1/orders/picklist?location=L"), 200, &l)
		return l
	}
	if l := read(); len(l.Lines) != 0 || !l.Whole {
		t.Errorf("nothing to pick: %+v", l)
	}
	later := r.order(`{` + lampAndBulbs + `}`)
	sooner := r.order(`{"lines":[{"sku":"bulb","location":"L","quantity":2}]}`)
	r.order(`{"lines":[{"sku":"bulb","location":"L","quantity":9}]}`) // not accepted
	r.moves(sooner.ID, "accept")
	r.db.Clock.Advance(time.Second)
	r.moves(later.ID, "accept", "pick")
	l := read()
	if len(l.Lines) != 2 || l.Lines[0].SKU != "bulb" || l.Lines[0].Title != "Bulb, E27" || l.Lines[0].Quantity != 5 || l.Lines[0].ToSend != 0 ||
		!slices.Equal(l.Lines[0].Orders, []string{sooner.ID, later.ID}) || l.Lines[1].SKU != "lamp" || l.Lines[1].Quantity != 1 {
		t.Errorf("%+v", l)
	}
	r.moves(later.ID, "ready")
	if l := read(); len(l.Lines) != 1 || l.Lines[0].Quantity != 2 {
		t.Errorf("what is ready is picked: %+v", l)
	}
}

func TestWhoeverPlacedAnOrderCanReadIt(t *testing.T) {
	r := newShop(t)
	o := r.orderAt("placed")
	at := strconv.FormatUint(o.Sequence, 10)
	for _, path := range []string{"/v1/orders/" + o.ID + "?", "/v1/orders?location=L&", "/v1/orders/counts?location=L&", "/v1/orders/picklist?location=L&"} {
		if got := r.get(path + "min_sequence=" + at); got.status != 200 {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
}

func TestARetriedOrderIsTheFirst(t *testing.T) {
	r := newShop(t)
	const body = `{` + lampAndBulbs + `,"customer":{"name":"Ana"}}`
	first := r.order(body, "Idempotency-Key", "basket 1")
	again := r.order(body, "Idempotency-Key", "basket 1")
	if again.raw != first.raw {
		t.Errorf("the retry got %s\nthe first %s", again.raw, first.raw)
	}
	r.moves(first.ID, "cancel", "erase")
	if late := r.order(body, "Idempotency-Key", "basket 1"); late.Code != "" || late.Tracking != "" || late.Customer != nil || late.ID != first.ID || late.State != "placed" {
		t.Errorf("a retry after the order was erased: %s", late.raw)
	}
	refused := r.do("POST", "/v1/orders", `{"lines":[{"sku":"lamp","location":"L","quantity":99}]}`, "Idempotency-Key", "basket 2")
	wantProblem(t, refused, 409, "refused")
	r.stock("lamp", 500)
	if again := r.do("POST", "/v1/orders", `{"lines":[{"sku":"lamp","location":"L","quantity":99}]}`, "Idempotency-Key", "basket 2"); again.body != refused.body {
		t.Errorf("a refusal is an answer too: %d %s", again.status, again.body)
	}
}

// lockedBuffer takes what several goroutines log.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// TestTheSecretsOfAnOrderAreToldToItsShopOnly looks for pickup code and tracking token in everything that a server emits.
func TestTheSecretsOfAnOrderAreToldToItsShopOnly(t *testing.T) {
	var logged lockedBuffer
	log := slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	r := newRigOn(t, engine.Options{Log: log}, server.Options{Log: log})
	r.stock("bulb", 20)
	to := newHookReceiver(t)
	r.do("PUT", "/v1/webhooks/shop", `{"url":"`+to.URL+`"}`)

	o := r.order(`{"lines":[{"sku":"bulb","location":"L","quantity":2}],"customer":{"reference":"c-1","name":"Ana Secret"},"reference":"4711","payment":"online_paid"}`)
	code, token := o.Code, strings.TrimPrefix(o.Tracking, "/track/")
	if len(code) != 6 || len(token) != 22 {
		t.Fatalf("placed: %s", o.raw)
	}
	secrets := r.get("/v1/orders/" + o.ID + "/secrets")
	if secrets.status != 200 || secrets.body != `{"id":"`+o.ID+`","code":"`+code+`","qr":"`+o.QR+`","tracking":"`+o.Tracking+`"}` ||
		secrets.header.Get("Cache-Control") != "no-store" {
		t.Errorf("secrets: %d %s", secrets.status, secrets.body)
	}
	emitted := make(map[string]string)
	note := func(what string, got reply) reply {
		emitted[what] = got.body + fmt.Sprint(got.header)
		return got
	}
	read := func(when string) {
		for _, path := range []string{
			"/v1/orders/" + o.ID, "/v1/orders", "/v1/orders?location=L&state=placed,ready,collected", "/v1/orders?reference=4711", "/v1/orders/picklist?location=L",
			"/v1/orders/counts?location=L", "/v1/reservations", "/v1/reservations/" + o.Reservation, "/v1/changes?wait=0", "/v1/changes?snapshot=true",
			"/v1/stock/export", "/v1/stock/bulb/L", "/v1/webhooks/shop/deliveries",
		} {
			note(when+path, r.get(path))
		}
	}
	read("placed ")
	for _, step := range []struct{ verb, body string }{
		{"accept", ""}, {"ready", ""}, {"collect", `{"code":"000000"}`}, {"collect", `{"code":"` + code + `","lines":[{"sku":"bulb","quantity":1}]}`},
		{"arrive", `{"bay":"4"}`}, {"collect", `{"code":"` + code + `","lines":[{"sku":"bulb","quantity":5}]}`}, {"collect", `{"code":"` + code + `","nonsense":1}`},
		{"collect", `{"code":"` + code + `"}`},
	} {
		note(step.verb+" "+step.body, r.do("POST", "/v1/orders/"+o.ID+"/"+step.verb, step.body))
	}
	read("collected ")
	emitted["metrics"] = r.scrape("text/plain").Body.String()
	to.await(t, "order.collected")
	to.mu.Lock()
	emitted["webhooks"] = strings.Join(to.bodies, "\n")
	to.mu.Unlock()
	emitted["log"] = logged.String()
	for what, text := range emitted {
		for _, secret := range []string{code, token, o.QR} {
			if strings.Contains(text, secret) {
				t.Errorf("%s tells a secret: %s", what, text)
			}
		}
		if strings.Contains(what, "log") && strings.Contains(text, "Ana Secret") {
			t.Errorf("the log names a customer: %s", text)
		}
	}
	if !strings.Contains(emitted["webhooks"], "Ana Secret") || !strings.Contains(emitted["webhooks"], `"subject":"orders/`+o.ID+`"`) {
		t.Errorf("webhooks have nothing of the order: %s", emitted["webhooks"])
	}

	// What was erased is gone at once, also from what happened before.
	r.move(o.ID, "erase", "")
	if got := r.get("/v1/orders/" + o.ID + "/secrets"); got.body != `{"id":"`+o.ID+`"}` {
		t.Errorf("secrets of an erased order: %s", got.body)
	}
	for _, path := range []string{
		"/v1/orders/" + o.ID, "/v1/orders?reference=4711", "/v1/changes?wait=0", "/v1/changes?snapshot=true",
		"/v1/reservations", "/v1/reservations/" + o.Reservation, "/v1/reservations?reference=c-1",
	} {
		if got := r.get(path); strings.Contains(got.body, "Ana Secret") || strings.Contains(got.body, "c-1") {
			t.Errorf("%s after it was erased: %s", path, got.body)
		}
	}
	if got := r.get("/v1/reservations?reference=c-1"); got.body != `{"reservations":[]}` {
		t.Errorf("the reservation of an erased order is found by its customer: %s", got.body)
	}
	if !strings.Contains(r.get("/v1/orders/"+o.ID).body, `"erased":true`) {
		t.Error("it does not say that it was erased")
	}
}

func TestWhatIsPersonalIsForgottenWithItsOrder(t *testing.T) {
	r := newRigOn(t, engine.Options{OrderRetention: time.Hour}, server.Options{})
	r.stock("bulb", 20)
	o := r.order(`{"lines":[{"sku":"bulb","location":"L","quantity":2}],"customer":{"name":"Ana Secret"}}`, "Idempotency-Key", "basket")
	r.moves(o.ID, "cancel")
	if !strings.Contains(r.get("/v1/changes?wait=0").body, "Ana Secret") {
		t.Error("the feed does not name the customer of an order that is kept")
	}
	r.db.Clock.Advance(time.Hour + time.Second)
	eventually(t, "the order is forgotten", func() bool { return r.get("/v1/orders/"+o.ID).status == 404 })
	if got := r.get("/v1/changes?wait=0"); strings.Contains(got.body, "Ana Secret") || !strings.Contains(got.body, o.ID) {
		t.Errorf("the feed: %s", got.body)
	}
}

func TestOrderEventsReachTheirStores(t *testing.T) {
	r := newShop(t)
	r.put("/v1/stock/bulb/M", `{"on_hand":9}`)
	atL, atM := newHookReceiver(t), newHookReceiver(t)
	for id, to := range map[string]*hookReceiver{"L": atL, "M": atM} {
		if got := r.do("PUT", "/v1/webhooks/"+strings.ToLower(id), `{"url":"`+to.URL+`","events":["order.*"],"locations":["`+id+`"]}`); got.status != 201 {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
	o := r.order(`{"lines":[{"sku":"bulb","location":"L","quantity":1}]}`)
	r.moves(o.ID, "ready", "arrive") // which touches no cell
	other := r.order(`{"lines":[{"sku":"bulb","location":"M","quantity":1}]}`)
	r.moves(other.ID, "cancel")
	body := atL.await(t, "order.arrived")
	if !strings.Contains(body, `"subject":"orders/`+o.ID+`"`) {
		t.Errorf("arrived: %s", body)
	}
	atM.await(t, "order.cancelled")
	for to, stranger := range map[*hookReceiver]string{atL: other.ID, atM: o.ID} {
		to.mu.Lock()
		for _, body := range to.bodies {
			if strings.Contains(body, stranger) {
				t.Errorf("sent to the wrong store: %s", body)
			}
		}
		to.mu.Unlock()
	}
	wantProblem(t, r.do("PUT", "/v1/webhooks/x", `{"url":"https://shop.example/","events":["order.lost"]}`), 400, "invalid")
}

// TestASnapshotWithItsTailHasTheOrders begins with a snapshot and installs what follows, as clients are told to.
func TestASnapshotWithItsTailHasTheOrders(t *testing.T) {
	r := newShop(t)
	ended := r.orderAt("collected")
	var ids []string
	for _, state := range []string{"placed", "accepted", "ready", "unpaid", "ready"} {
		ids = append(ids, r.orderAt(state).ID)
	}
	type item struct {
		Type     string
		Sequence uint64
		Order    *shopOrder
	}
	have := make(map[string]shopOrder)
	var end uint64
	install := func(body string) {
		for line := range strings.Lines(body) {
			var i item
			if err := json.Unmarshal([]byte(line), &i); err != nil {
				t.Fatal(err)
			}
			if i.Type == "snapshot.end" {
				end = i.Sequence
			}
			if i.Order != nil && i.Order.Sequence > have[i.Order.ID].Sequence {
				have[i.Order.ID] = *i.Order
			}
		}
	}
	install(r.get("/v1/changes?snapshot=true").body)
	if _, there := have[ended.ID]; there || len(have) != len(ids) {
		t.Errorf("the snapshot has %d orders, want the %d live ones", len(have), len(ids))
	}
	r.moves(ids[0], "accept", "pick")
	r.moves(ids[1], "cancel")
	r.move(ids[2], "collect", `{"id_checked":true,"reason":"lost"}`)
	r.db.Clock.Advance(30 * time.Minute) // ids[3] was not paid
	r.get("/v1/orders/" + ids[3])
	ids = append(ids, r.orderAt("placed").ID)
	r.move(ended.ID, "return", `{"lines":[{"sku":"bulb","quantity":1}]}`)
	install(r.get("/v1/changes?wait=0&after=" + strconv.FormatUint(end, 10)).body)
	for _, id := range append(ids, ended.ID) {
		read := r.orderOf(r.get("/v1/orders/"+id), 200)
		if o := have[id]; o.Sequence != read.Sequence || o.tell() != read.tell() || len(o.History) != len(read.History) {
			t.Errorf("the feed says %s at %d, the order is %s at %d", o.tell(), o.Sequence, read.tell(), read.Sequence)
		}
	}
}

func TestOrdersAreCounted(t *testing.T) {
	r := newShop(t)
	r.orderAt("ready")
	r.orderAt("collected")
	r.orderAt("cancelled")
	for metric, want := range map[string]float64{
		`onhand_orders_live`: 1, `onhand_orders_kept`: 3,
		`onhand_order_moves_total{move="place"}`: 3, `onhand_order_moves_total{move="ready"}`: 2, `onhand_order_moves_total{move="collect"}`: 1,
		`onhand_order_moves_total{move="cancel"}`: 1, `onhand_order_moves_total{move="expire"}`: 0,
	} {
		if have := r.gauge(metric); have != want {
			t.Errorf("%s is %v, want %v", metric, have, want)
		}
	}
}

func TestAFullSlotIsRefusedAndTheNextAreOffered(t *testing.T) {
	r := newShop(t)
	r.do("PUT", "/v1/locations/P", `{"kind":"locker","time_zone":"UTC","opening_hours":[{"days":["monday"],"opens":"00:00","closes":"24:00"}],`+
		`"pickup_slots":{"interval":60,"capacity":1,"days_ahead":7},"compartments":[{"size":"S","count":1},{"size":"L","count":1}]}`)
	r.do("PUT", "/v1/stock/bulb/P", `{"on_hand":9}`)
	const line = `"lines":[{"sku":"bulb","location":"P","quantity":1}]`
	first := r.order(`{` + line + `,"slot":"2026-03-02T12:00:00Z","compartment":"S"}`)
	got := r.do("POST", "/v1/orders", `{`+line+`,"slot":"2026-03-02T12:00:00Z","compartment":"S"}`)
	wantProblem(t, got, 409, "refused")
	for _, want := range []string{`"reason":"slot_full"`, `"reason":"locker_full"`, `"next_slots":[{"start":"2026-03-02T13:00:00Z"`, `"larger_compartments":["L"]`} {
		if !strings.Contains(got.body, want) {
			t.Errorf("%s does not say %s", got.body, want)
		}
	}
	other := r.order(`{` + line + `,"slot":"2026-03-02T13:00:00Z","compartment":"L"}`)
	wantProblem(t, r.do("POST", "/v1/orders/"+other.ID+"/reschedule", `{"slot":"2026-03-02T12:00:00Z"}`), 409, "refused")
	wantProblem(t, r.do("POST", "/v1/orders/"+other.ID+"/reschedule", `{"slot":"2026-03-02T13:00:00Z"}`), 409, "order-state")
	r.move(first.ID, "cancel", "")
	r.move(other.ID, "reschedule", `{"slot":"2026-03-02T12:00:00Z"}`)
}
