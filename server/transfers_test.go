package server_test

import (
	"encoding/json"
	"strings"
	"testing"

	"onhand/server"
)

func TestTransfers(t *testing.T) {
	r := newRig(t, server.Options{})
	r.stock("S", 10)
	const lines = `"lines":[{"sku":"S","quantity":4}]`
	made := r.do("POST", "/v1/transfers", `{"from":"L","to":"N",`+lines+`,"reference":"tour 7","reason":"season","by":"ben","expected_at":"2026-03-03T12:00:00+01:00"}`)
	wantProblem(t, made, 404, "unknown-location")
	r.put("/v1/locations/N", `{}`)
	made = r.do("POST", "/v1/transfers", `{"from":"L","to":"N",`+lines+`,"reference":"tour 7","reason":"season","by":"ben","expected_at":"2026-03-03T12:00:00+01:00"}`)
	path := "/v1/transfers/" + fieldOf(t, made.body, "id")
	if made.status != 201 || made.header.Get("Location") != path || fieldOf(t, made.body, "state") != "planned" ||
		fieldOf(t, made.body, "expected_at") != "2026-03-03T11:00:00Z" || fieldOf(t, made.body, "by") != "ben" {
		t.Fatalf("planned: %d %v %s", made.status, made.header, made.body)
	}
	wantProblem(t, r.do("POST", path+"/receive", ""), 409, "transfer-state")
	if got := r.do("POST", path+"/dispatch", `{"lines":[{"sku":"S","quantity":3}]}`); got.status != 200 || fieldOf(t, got.body, "state") != "in_transit" {
		t.Fatalf("dispatched: %d %s", got.status, got.body)
	}
	wantProblem(t, r.do("POST", path+"/dispatch", `{"lines":[{"sku":"S","quantity":2}]}`), 409, "refused")
	if got := r.get("/v1/stock/S/N"); got.status != 200 || numberOf(t, got.body, "in_transit") != 3 || numberOf(t, got.body, "on_hand") != 0 {
		t.Errorf("on the way to where it never was: %d %s", got.status, got.body)
	}
	if got := r.get("/v1/availability/S"); strings.Contains(got.body, "transit:") {
		t.Errorf("what is in transit is nowhere to be had: %s", got.body)
	}
	if got := r.get("/v1/availability/S?locations=transit:N"); !strings.Contains(got.body, `"available":0,"on_hand":3`) {
		t.Errorf("asked for by name: %s", got.body)
	}
	if got := r.get("/v1/stock/export"); strings.Contains(got.body, "transit:") {
		t.Errorf("an export that can't be imported: %s", got.body)
	}
	if got := r.get("/v1/locations"); strings.Contains(got.body, "transit:") {
		t.Errorf("listed among the locations: %s", got.body)
	}
	if got := r.get("/v1/locations?kind=transit"); !strings.Contains(got.body, `"transit:N"`) {
		t.Errorf("asked for by kind: %s", got.body)
	}
	got := r.do("POST", path+"/receive", `{"lines":[{"sku":"S","quantity":4}]}`)
	if wantProblem(t, got, 409, "refused"); !strings.Contains(got.body, `"not_in_transit"`) {
		t.Errorf("more than is in transit: %s", got.body)
	}
	got = r.do("DELETE", "/v1/locations/N", "")
	if wantProblem(t, got, 409, "location-in-use"); numberOf(t, got.body, "transfers") != 1 {
		t.Errorf("in use by: %s", got.body)
	}
	if got = r.do("POST", path+"/receive", `{"lines":[{"sku":"S","quantity":1,"damaged":1}],"close":true,"reason":"wet","by":"mia"}`); got.status != 200 ||
		!strings.Contains(got.body, `"in_transit":0,"received":1,"lost":1,"damaged":1,"cancelled":0`) || fieldOf(t, got.body, "reason") != "wet" {
		t.Errorf("received: %d %s", got.status, got.body)
	}
	wantProblem(t, r.do("POST", path+"/receive", ""), 409, "transfer-state")
	if got = r.do("POST", path+"/cancel", ""); got.status != 200 || fieldOf(t, got.body, "state") != "received" {
		t.Errorf("the rest is cancelled: %d %s", got.status, got.body)
	}
	got = r.do("POST", path+"/cancel", `{}`)
	if wantProblem(t, got, 409, "transfer-state"); fieldOf(t, got.body, "state") != "received" {
		t.Errorf("cancelled twice: %s", got.body)
	}
	if again := r.get(path); again.status != 200 || fieldOf(t, again.body, "state") != "received" {
		t.Errorf("read: %d %s", again.status, again.body)
	}
	if got := r.get("/v1/stock/S/N"); numberOf(t, got.body, "in_transit") != 0 || numberOf(t, got.body, "on_hand") != 1 {
		t.Errorf("arrived: %s", got.body)
	}
	wantProblem(t, r.get("/v1/transfers/"+unusedID), 404, "unknown-transfer")
	for _, verb := range []string{"dispatch", "receive", "cancel"} {
		wantProblem(t, r.do("POST", "/v1/transfers/"+unusedID+"/"+verb, ""), 404, "unknown-transfer")
	}
}

func TestTransfersAreListed(t *testing.T) {
	r := newRig(t, server.Options{})
	for _, to := range []string{"A", "B", "A", "C"} {
		from := "C"
		if to == "C" {
			from = "A"
		}
		if got := r.do("POST", "/v1/transfers", `{"from":"`+from+`","to":"`+to+`","lines":[{"sku":"S","quantity":1}],"dispatch":true}`); got.status != 201 ||
			!strings.Contains(got.body, `"shortages":[{"sku":"S"`) {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
	type page struct {
		Transfers []struct {
			To string `json:"to"`
		} `json:"transfers"`
		Next string `json:"next_cursor"`
	}
	list := func(query string) (to string) {
		t.Helper()
		for cursor := "0"; cursor != ""; {
			got := r.get("/v1/transfers?limit=1&cursor=" + cursor + query)
			var p page
			if err := json.Unmarshal([]byte(got.body), &p); err != nil || got.status != 200 {
				t.Fatalf("%s: %d %s %v", query, got.status, got.body, err)
			}
			for _, x := range p.Transfers {
				to += x.To
			}
			cursor = p.Next
		}
		return to
	}
	for query, want := range map[string]string{
		"": "ABAC", "&location=A": "AAC", "&location=A&direction=in": "AA", "&location=A&direction=out": "C",
		"&state=in_transit": "ABAC", "&state=planned": "", "&state=received&location=B": "",
	} {
		if have := list(query); have != want {
			t.Errorf("%s: %s, want %s", query, have, want)
		}
	}
	for _, query := range []string{"direction=up&location=A", "direction=in", "state=lost", "limit=0", "cursor=x"} {
		wantProblem(t, r.get("/v1/transfers?"+query), 400, "invalid")
	}
	wantProblem(t, r.get("/v1/transfers?location=nowhere"), 404, "unknown-location")
	for _, body := range []string{
		`{"from":"A","to":"A","lines":[{"sku":"S","quantity":1}]}`, `{"from":"A","to":"transit:B","lines":[{"sku":"S","quantity":1}]}`,
		`{"from":"A","to":"B","lines":[]}`, `{"from":"A","to":"B","lines":[{"sku":"S","quantity":0}]}`,
		`{"from":"A","to":"B","lines":[{"sku":"S","quantity":1}],"expected_at":"0001-01-01T00:00:00Z"}`, `{"from":"A"}`,
	} {
		wantProblem(t, r.do("POST", "/v1/transfers", body), 400, "invalid")
	}
	id := fieldOf(t, r.do("POST", "/v1/transfers", `{"from":"A","to":"B","lines":[{"sku":"S","quantity":1}]}`).body, "id")
	for verb, body := range map[string]string{
		"dispatch": `{"lines":[]}`, "receive": `{"lines":[{"sku":"S"}]}`, "cancel": `{"lines":[{"sku":"S","quantity":1}]}`,
	} {
		wantProblem(t, r.do("POST", "/v1/transfers/"+id+"/"+verb, body), 400, "invalid")
	}
}
