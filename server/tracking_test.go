package server_test

import (
	"encoding/json"
	"fmt"
	"html"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"onhand/engine"
	"onhand/server"
	"onhand/server/browsertest"
)

const (
	asPage = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
	asForm = "application/x-www-form-urlencoded"
)

// newTrackedShop returns a rig with a store that has all that a page shows of one.
func newTrackedShop(t *testing.T, o server.Options) *rig {
	t.Helper()
	r := newRig(t, o)
	r.put("/v1/locations/lyon", `{"name":"Lyon Part-Dieu","kind":"store","phone":"+33 4 00 00 00 00","collection_point":"Desk at the back",
		"address":{"street_address":"17 Rue du Docteur Bouchut","locality":"Lyon","postal_code":"69003","country":"FR"},
		"position":{"latitude":45.76,"longitude":4.85},"time_zone":"Europe/Paris","holiday_country":"FR",
		"opening_hours":[{"days":["monday","tuesday","wednesday","thursday","friday"],"opens":"10:00","closes":"19:00"},
			{"days":["saturday"],"opens":"18:00","closes":"02:00"},{"days":["public_holiday"],"closed":true}],
		"special_days":[{"from":"2026-03-05","name":"Stocktaking","opens":"14:00","closes":"18:00"},{"from":"2026-03-20","name":"Far away","closed":true}]}`)
	r.put("/v1/locations/depot", `{"kind":"warehouse"}`)
	r.put("/v1/skus/lamp", `{"title":"Brass <lamp>"}`)
	r.put("/v1/stock/lamp/lyon", `{"on_hand":100}`)
	r.put("/v1/stock/lamp/depot", `{"on_hand":100}`)
	return r
}

// orderLamps places an order of two lamps and moves it along.
func (r *rig) orderLamps(change func(*engine.PlaceOrderRequest), moves ...engine.OrderMove) engine.Order {
	r.t.Helper()
	ask := engine.PlaceOrderRequest{Lines: []engine.Line{{SKU: "lamp", Location: "lyon", Quantity: 2}}, Reference: "FR-118204"}
	if change != nil {
		change(&ask)
	}
	o, err := r.db.PlaceOrder(&ask)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, move := range moves {
		m := engine.MoveRequest{ID: o.ID, Move: move, Code: o.Code}
		switch move {
		case engine.MoveShort, engine.MoveReturn:
			m.Lines = []engine.OrderQuantity{{SKU: "lamp", Quantity: 1}}
		}
		if o, err = r.db.MoveOrder(&m); err != nil {
			r.t.Fatal(err)
		}
	}
	return o
}

func atCurbside(r *engine.PlaceOrderRequest) { r.Handover = engine.AtCurbside }

func pageOf(o *engine.Order) string { return "/track/" + o.Token.String() }

// tracked reads an order's page as JSON.
func (r *rig) tracked(o *engine.Order, language string) (v struct {
	Language, State, Title, Text, Advice, Code, QR, Reference string
	PaymentText                                               string     `json:"payment_text"`
	PayUntil                                                  *time.Time `json:"pay_until"`
	ArrivalAllowed                                            bool       `json:"arrival_allowed"`
	Arrival                                                   *struct{ Bay, Vehicle string }
	Location                                                  struct{ Name, Phone string }
	Hours                                                     struct {
		State   string
		Special []struct {
			From, Name, Opens string
			Closed            bool
		} `json:"special_days"`
		Week []struct {
			Days          []string
			Opens, Closes string
			Closed        bool
		} `json:"opening_hours"`
	}
	Steps []struct{ State, Text, Mark string }
	Lines []struct {
		Quantity, Collected, Short, Returned int64
		ToSend                               int64 `json:"to_send"`
		InTransit                            int64 `json:"in_transit"`
	}
}) {
	r.t.Helper()
	got := r.get(pageOf(o), "Accept", "application/json", "Accept-Language", language)
	if got.status != 200 || got.header.Get("Content-Type") != "application/json" {
		r.t.Fatalf("%d %s", got.status, got.body)
	}
	if err := json.Unmarshal([]byte(got.body), &v); err != nil {
		r.t.Fatal(err)
	}
	return v
}

func TestThePageOfEachState(t *testing.T) {
	r := newTrackedShop(t, server.Options{})
	expired := r.orderLamps(func(r *engine.PlaceOrderRequest) { r.Payment = engine.OnlinePending })
	r.db.Clock.Advance(31 * time.Minute)
	sent := func(r *engine.PlaceOrderRequest) {
		r.Lines[0].Location, r.Location, r.Fulfilment = "depot", "lyon", engine.PickupAfter
	}
	orders := map[string]engine.Order{
		"placed": r.orderLamps(nil), "accepted": r.orderLamps(nil, engine.MoveAccept), "picking": r.orderLamps(nil, engine.MovePick),
		"in_transit": r.orderLamps(sent, engine.MoveDispatch), "ready": r.orderLamps(nil, engine.MoveReady),
		"short":     r.orderLamps(nil, engine.MovePick, engine.MoveShort),
		"collected": r.orderLamps(nil, engine.MoveReady, engine.MoveCollect), "cancelled": r.orderLamps(nil, engine.MoveCancel),
		"expired": expired, "returned": r.orderLamps(nil, engine.MoveReady, engine.MoveCollect, engine.MoveReturn),
	}
	if len(orders) != len(engine.OrderStates()) {
		t.Errorf("%d states are looked at, of %d", len(orders), len(engine.OrderStates()))
	}
	titles := make(map[string]bool)
	for state, o := range orders {
		for language, accept := range map[string]string{"en": "en-GB,en;q=0.9,fr;q=0.1", "fr": "fr-CA, en;q=0.5"} {
			v := r.tracked(&o, accept)
			if v.State != state || v.Language != language || v.Title == "" || v.Reference != "FR-118204" || v.Location.Name != "Lyon Part-Dieu" {
				t.Errorf("%s in %s: %+v", state, language, v)
			}
			if titles[v.Title] {
				t.Errorf("%q is said twice", v.Title)
			}
			titles[v.Title] = true
			got := r.get(pageOf(&o), "Accept", asPage, "Accept-Language", accept)
			text := html.UnescapeString(got.body)
			for _, want := range []string{`<html lang="` + language + `">`, v.Title, v.Text, v.Advice, "FR-118204", "Brass <lamp>", "Lyon Part-Dieu"} {
				if got.status != 200 || !strings.Contains(text, want) {
					t.Errorf("%s in %s does not say %q", state, language, want)
				}
			}
			if strings.Contains(got.body, "<lamp>") || strings.Contains(got.body, "<script") {
				t.Errorf("%s in %s has markup of others, or a script", state, language)
			}
			ready := state == "ready"
			for _, secret := range []string{o.Code, v.QR} {
				if (v.Code == o.Code) != ready || (v.QR != "") != ready || secret != "" && secret == o.Code && strings.Contains(got.body, secret) != ready {
					t.Errorf("%s in %s: the code is shown: %t", state, language, !ready)
				}
			}
			if strings.Contains(got.body, `<title id="qr">`) != ready {
				t.Errorf("%s in %s: the QR code is shown: %t", state, language, !ready)
			}
		}
	}
	// What has arrived is accepted again, and not to be sent again.
	for move, o := range map[string]engine.Order{
		"receive": r.orderLamps(sent, engine.MoveAccept, engine.MoveDispatch, engine.MoveReceive),
		"pick":    r.orderLamps(sent, engine.MoveAccept, engine.MoveDispatch, engine.MoveReceive, engine.MovePick),
	} {
		for _, language := range []string{"en", "fr"} {
			v := r.tracked(&o, language)
			if titles[v.Title] || strings.Contains(v.Text, "sent to") || strings.Contains(v.Text, "envoyée") {
				t.Errorf("%s: %q, %q", move, v.Title, v.Text)
			}
			titles[v.Title] = true
			if got := fmt.Sprint(v.Steps[3:6]); !strings.HasPrefix(got, "[{in_transit ") || !strings.Contains(got, " done} {received ") || !strings.Contains(got, " now} {ready ") {
				t.Errorf("%s: %+v", move, v.Steps)
			}
			if text := html.UnescapeString(r.get(pageOf(&o), "Accept", asPage, "Accept-Language", language).body); !strings.Contains(text, v.Title) || !strings.Contains(text, v.Text) {
				t.Errorf("%s does not say %q", move, v.Title)
			}
		}
	}
	ready := orders["ready"]
	if en, fr := r.tracked(&ready, "en").Title, r.tracked(&ready, "fr").Title; en != "Your order is ready" || !strings.Contains(fr, "prête") {
		t.Errorf("%q, %q", en, fr)
	}
	short := orders["short"]
	if l := r.tracked(&short, "en").Lines; len(l) != 1 || l[0].Quantity != 2 || l[0].Short != 1 {
		t.Errorf("%+v", l)
	}
	cancelled := orders["cancelled"]
	if l := r.tracked(&cancelled, "en").Lines; len(l) != 1 || l[0].Quantity != 2 {
		t.Errorf("%+v", l)
	}
}

func TestHeadersOfPages(t *testing.T) {
	r := newTrackedShop(t, server.Options{})
	o := r.orderLamps(nil, engine.MoveReady)
	for path, status := range map[string]int{
		pageOf(&o): 200, pageOf(&o) + "?utm_source=mail&utm_source=x&%zz": 200, "/track/" + unusedToken: 404, "/track/short": 404, "/track/%21": 404,
	} {
		for _, accept := range []string{"", asPage, "*/*", "application/json, text/html"} {
			got := r.get(path, "Accept", accept)
			h := got.header
			if got.status != status || h.Get("Content-Type") != "text/html; charset=utf-8" || !strings.Contains(h.Get("Content-Security-Policy"), "default-src 'none'") {
				t.Errorf("%s: %d %v", path, got.status, h)
			}
			for name, want := range map[string]string{
				"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex, nofollow", "X-Content-Type-Options": "nosniff",
			} {
				if h.Get(name) != want {
					t.Errorf("%s: %s is %q, want %q", path, name, h.Get(name), want)
				}
			}
			if !strings.Contains(h.Get("Vary"), "Accept-Language") || got.body == "" {
				t.Errorf("%s: Vary is %q", path, h.Get("Vary"))
			}
			head := r.do("HEAD", path, "", "Accept", accept)
			if head.status != status || head.body != "" || head.header.Get("Content-Length") != fmt.Sprint(len(got.body)) {
				t.Errorf("HEAD %s: %d %v, GET has %d bytes", path, head.status, head.header, len(got.body))
			}
		}
		got := r.get(path, "Accept", "application/json")
		if h := got.header; got.status != status || h.Get("Cache-Control") != "no-store" || h.Get("Referrer-Policy") != "no-referrer" || h.Get("X-Robots-Tag") == "" {
			t.Errorf("%s as JSON: %d %v", path, got.status, h)
		}
		if status == 404 {
			wantProblem(t, got, 404, "unknown-order")
		}
	}
	if got := r.get("/track/"+unusedToken, "Accept-Language", "fr"); !strings.Contains(got.body, `<html lang="fr">`) || strings.Contains(got.body, "Lyon") {
		t.Errorf("unknown: %s", got.body)
	}
	wantProblem(t, r.get("/track/%FF"), 400, "invalid")
	wantProblem(t, r.do("POST", "/track/%FF/arrived", ""), 400, "invalid")
	wantProblem(t, r.do("DELETE", pageOf(&o), ""), 405, "method-not-allowed")
}

func TestTheFormSaysThatTheCustomerIsThere(t *testing.T) {
	r := newTrackedShop(t, server.Options{Origins: []string{"https://shop.example"}})
	o := r.orderLamps(atCurbside, engine.MoveReady)
	path := pageOf(&o)
	if got := r.get(path); !strings.Contains(got.body, `<form method="post"`) || !r.tracked(&o, "en").ArrivalAllowed {
		t.Fatalf("there is no form: %s", got.body)
	}
	// As browsers send it from a page that withholds its address.
	send := func(form string) reply {
		t.Helper()
		got := r.do("POST", path+"/arrived", form, "Content-Type", asForm, "Origin", "null", "Accept", asPage)
		if got.status != 200 || got.header.Get("Cache-Control") != "no-store" || got.header.Get("Content-Type") != "text/html; charset=utf-8" {
			t.Fatalf("%d %v %s", got.status, got.header, got.body)
		}
		return got
	}
	long := strings.Repeat("é", 60)
	if got := send("bay=4&vehicle=Blue+%3CClio%3E+" + long); !strings.Contains(got.body, "Blue &lt;Clio&gt;") {
		t.Errorf("%s", got.body)
	}
	now, err := r.db.Order(o.ID)
	if err != nil || now.Bay != "4" || !strings.HasPrefix(now.Vehicle, "Blue <Clio> é") || len(now.Vehicle) > engine.ArrivalMax || now.Arrived.IsZero() {
		t.Fatalf("%+v, %v", now, err)
	}
	if last := now.History[len(now.History)-1]; last.Move != engine.MoveArrive || last.By != "customer" {
		t.Errorf("%+v", last)
	}
	before := r.db.Durable()
	r.db.Clock.Advance(19 * time.Second)
	if got := send("bay=5"); !strings.Contains(got.body, "Blue &lt;Clio&gt;") || strings.Contains(got.body, "<dd>5</dd>") {
		t.Errorf("%s", got.body)
	}
	if after := r.db.Durable(); after != before {
		t.Error("an arrival that was just announced is written again")
	}
	r.db.Clock.Advance(2 * time.Second)
	send("bay=6")
	if v := r.tracked(&o, "en"); v.Arrival == nil || v.Arrival.Bay != "6" || v.Arrival.Vehicle != "" {
		t.Errorf("%+v", v.Arrival)
	}
	if now, err = r.db.Order(o.ID); err != nil || now.History[len(now.History)-1].Move != engine.MoveArrive || len(now.History) != 3 {
		t.Errorf("%+v, %v", now.History, err)
	}
	got := r.do("POST", path+"/arrived", "", "Accept", "application/json")
	if got.status != 200 || !strings.HasPrefix(got.body, `{"language":"en"`) {
		t.Errorf("%d %s", got.status, got.body)
	}

	// Whatever has become of it, the page says what.
	if _, err := r.db.MoveOrder(&engine.MoveRequest{ID: o.ID, Move: engine.MoveCollect, Code: o.Code}); err != nil {
		t.Fatal(err)
	}
	if got := send("bay=7"); !strings.Contains(got.body, "Your order has been collected") || strings.Contains(got.body, o.Code) {
		t.Errorf("%s", got.body)
	}
	if got := r.do("POST", "/track/"+unusedToken+"/arrived", "bay=1", "Content-Type", asForm); got.status != 404 || !strings.Contains(got.body, "<html") {
		t.Errorf("%d %s", got.status, got.body)
	}
	wantProblem(t, r.do("POST", path+"/arrived", "bay=%zz", "Content-Type", asForm), 400, "invalid")
	wantProblem(t, r.do("POST", path+"/arrived", `--x`, "Content-Type", "multipart/form-data; boundary=x"), 415, "media-type")
}

// Only pages of orders that are brought to the curbside ask who is there. Of others nobody can say so by the page's address.
func TestOnlyAtTheCurbsideThePageTakesThatTheCustomerIsThere(t *testing.T) {
	r := newTrackedShop(t, server.Options{})
	home := func(r *engine.PlaceOrderRequest) { r.Fulfilment, r.Payment = engine.ShipHome, engine.OnlinePaid }
	for name, o := range map[string]engine.Order{
		"ready": r.orderLamps(nil, engine.MoveReady), "placed": r.orderLamps(nil), "collected": r.orderLamps(nil, engine.MoveReady, engine.MoveCollect),
		"sent home": r.orderLamps(home, engine.MoveDispatch),
	} {
		if v := r.tracked(&o, "en"); v.ArrivalAllowed {
			t.Errorf("%s: the page has a form", name)
		}
		for _, accept := range []string{asPage, "application/json"} {
			got := r.do("POST", pageOf(&o)+"/arrived", "bay=4", "Content-Type", asForm, "Accept", accept)
			if !strings.Contains(wantProblem(t, got, 409, "order-state"), "curbside") || got.header.Get("Cache-Control") != "no-store" || got.header.Get("Referrer-Policy") != "no-referrer" {
				t.Errorf("%s: %v %s", name, got.header, got.body)
			}
		}
		if now, err := r.db.Order(o.ID); err != nil || !now.Arrived.IsZero() || now.Sequence != o.Sequence {
			t.Errorf("%s: %+v, %v", name, now, err)
		}
	}
	// The shop itself may say so; the page then keeps nobody waiting in a car.
	o := r.orderLamps(nil, engine.MoveReady, engine.MoveArrive)
	if v := r.tracked(&o, "en"); v.Arrival != nil || strings.Contains(v.Advice, "vehicle") {
		t.Errorf("%+v, %q", v.Arrival, v.Advice)
	}
	// At the curbside, one that is not ready yet is answered with its page.
	early := r.orderLamps(atCurbside)
	if got := r.do("POST", pageOf(&early)+"/arrived", "bay=4", "Content-Type", asForm, "Accept", asPage); got.status != 200 || !strings.Contains(got.body, "We have your order") {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestAFormThatIsTooLarge(t *testing.T) {
	r := newTrackedShop(t, server.Options{BodyBytesMax: 4 << 10})
	o := r.orderLamps(atCurbside, engine.MoveReady)
	wantProblem(t, r.do("POST", pageOf(&o)+"/arrived", "vehicle="+strings.Repeat("x", 4<<10), "Content-Type", asForm), 413, "too-large")
	if now, err := r.db.Order(o.ID); err != nil || !now.Arrived.IsZero() {
		t.Errorf("%+v, %v", now, err)
	}
	if got := r.do("POST", pageOf(&o)+"/arrived", "vehicle="+strings.Repeat("x", 4000), "Content-Type", asForm); got.status != 200 {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestHoursOnThePage(t *testing.T) {
	r := newTrackedShop(t, server.Options{})
	r.db.Clock.Advance(time.Hour) // eleven o'clock in Paris
	o := r.orderLamps(nil)
	h := r.tracked(&o, "en").Hours
	if h.State != "open" || len(h.Special) != 1 || h.Special[0].From != "2026-03-05" || h.Special[0].Name != "Stocktaking" || h.Special[0].Opens != "14:00" {
		t.Errorf("%+v", h)
	}
	if len(h.Week) != 3 || len(h.Week[0].Days) != 5 || h.Week[0].Opens != "10:00" || h.Week[1].Closes != "02:00" || !h.Week[2].Closed {
		t.Errorf("%+v", h.Week)
	}
	if body := html.UnescapeString(r.get(pageOf(&o)).body); !strings.Contains(body, "Stocktaking") || strings.Contains(body, "Far away") {
		t.Errorf("special days: %s", body)
	}
	r.db.Clock.Advance(32 * 24 * time.Hour) // it is April the 3rd, three days before Easter Monday
	o = r.orderLamps(nil)
	if h := r.tracked(&o, "en").Hours; len(h.Special) != 1 || h.Special[0].From != "2026-04-06" || !h.Special[0].Closed {
		t.Errorf("public holidays: %+v", h.Special)
	}
}

func TestThePageOfAnOrderWhoseLocationIsGone(t *testing.T) {
	r := newTrackedShop(t, server.Options{})
	r.put("/v1/stock/lamp/popup", `{"on_hand":2}`)
	o := r.orderLamps(func(r *engine.PlaceOrderRequest) { r.Lines[0].Location = "popup" }, engine.MoveReady, engine.MoveCollect)
	if got := r.do("DELETE", "/v1/locations/popup", ""); got.status >= 300 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	if v := r.tracked(&o, "en"); v.State != "collected" || v.Location.Name != "popup" || v.Hours.State != "unknown" {
		t.Errorf("%+v", v)
	}
	if got := r.get(pageOf(&o), "Accept", asPage); got.status != 200 || !strings.Contains(got.body, "popup") {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestPagesNeedNoKeyAndTheirAddressIsWrittenNowhere(t *testing.T) {
	var log lockedBuffer
	keys := newKeyFile(t)
	r := newTrackedShop(t, server.Options{Keys: keys.Keys, Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	keys.create(time.Time{}, "read")
	o := r.orderLamps(atCurbside, engine.MoveReady)
	wantProblem(t, r.get("/v1/skus"), 401, "unauthorized")
	for _, authorization := range []string{"", "Bearer nonsense"} {
		if got := r.get(pageOf(&o), "Authorization", authorization); got.status != 200 || !strings.Contains(got.body, o.Code) {
			t.Errorf("%d %s", got.status, got.body)
		}
	}
	if got := r.do("POST", pageOf(&o)+"/arrived", "bay=4", "Content-Type", asForm); got.status != 200 {
		t.Errorf("%d %s", got.status, got.body)
	}
	r.get(pageOf(&o) + "/nothing")
	r.do("PUT", pageOf(&o), "")
	s := r.dial() // what is no HTTP is logged
	s.send("GET " + pageOf(&o) + " HTTP/1.1\r\nbroken\r\n\r\n")
	if answer, err := http.ReadResponse(s.in, nil); err == nil {
		answer.Body.Close()
	}
	metrics := r.scrape("text/plain")
	r.stop()
	for where, text := range map[string]string{"log": log.String(), "metrics": fmt.Sprint(metrics.Body)} {
		for _, secret := range []string{o.Token.String(), o.Code} {
			if strings.Contains(text, secret) {
				t.Errorf("the %s has %s: %s", where, secret, text)
			}
		}
	}
	if !strings.Contains(fmt.Sprint(metrics.Body), `/track/{token}`) {
		t.Error("pages are not counted")
	}
}

// TestTheCustomerInABrowser reads the page of an order that is ready at the curbside and says "I'm here", in a browser that runs no
// script, on a phone and on a desk.
func TestTheCustomerInABrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("a browser takes its time")
	}
	r := newTrackedShop(t, server.Options{})
	b := browsertest.Open(t)
	for _, window := range []struct{ width, height int }{{360, 740}, {1280, 800}} {
		t.Run(fmt.Sprint(window.width), func(t *testing.T) {
			b.T = t
			o := r.orderLamps(atCurbside, engine.MoveReady)
			look := func() (text string) {
				t.Helper()
				var seen struct {
					Text string
					Wide int
				}
				b.Ask(`({Text: document.body.innerText, Wide: document.documentElement.scrollWidth})`, &seen)
				if seen.Wide > window.width {
					t.Errorf("it is %d px wide, in a window of %d px", seen.Wide, window.width)
				}
				return seen.Text
			}
			b.Navigate("http://"+r.address+pageOf(&o), window.width, window.height)
			for _, want := range []string{"Your order is ready", o.Code, "Brass <lamp>", "Lyon Part-Dieu", "17 Rue du Docteur Bouchut"} {
				if text := look(); !strings.Contains(text, want) {
					t.Errorf("it does not say %q: %q", want, text)
				}
			}
			b.Follow(`document.querySelector("#bay").value = "4"; document.querySelector("#vehicle").value = "Blue <Clio>"; document.querySelector("form button").click()`)
			if text := look(); !strings.Contains(text, "Blue <Clio>") {
				t.Errorf("it does not say what was sent: %q", text)
			}
			now, err := r.db.Order(o.ID)
			if err != nil || now.Bay != "4" || now.Vehicle != "Blue <Clio>" {
				t.Errorf("%+v, %v", now, err)
			}
			b.Follow(`document.querySelector("a[href^='../']").click()`) // back to the page
			if text := look(); !strings.Contains(text, o.Code) || !strings.Contains(text, "Blue <Clio>") {
				t.Errorf("it reads %q", text)
			}
		})
	}
	b.T = t
}
