package server_test

import (
	"strings"
	"testing"

	"onhand/server"
)

// The rig's clock stands at 2026-03-02T09:00Z, a Monday.
const slotted = `"time_zone":"Europe/Paris","opening_hours":[{"days":["monday","tuesday"],"opens":"10:30","closes":"13:00"}],` +
	`"pickup_slots":{"interval":60,"capacity":4,"lead":30,"days_ahead":2,"overrides":[{"weekday":"tuesday","from":"11:00","to":"12:00","capacity":7},{"date":"--03-03","from":"00:00","to":"11:00","capacity":0}]},` +
	`"compartments":[{"size":"S","count":24},{"size":"Extra-large_9","count":1}],` +
	`"order_times":{"pay_within":900,"accept_within":3600,"pick_within":7200,"collect_until":{"closing_of_open_day":3,"minutes_before":30},"remind_before":86400,"extensions_max":2}`

func TestPickupSlots(t *testing.T) {
	r := newRig(t, server.Options{})
	got := r.do("PUT", "/v1/locations/L", `{`+slotted+`}`)
	if !strings.Contains(got.body, slotted) {
		t.Fatalf("%d %s", got.status, got.body)
	}
	if kept := r.get("/v1/locations/L").body; !strings.Contains(kept, slotted) {
		t.Errorf("kept: %s", kept)
	}
	const first = `{"start":"2026-03-02T09:30:00Z","end":"2026-03-02T10:30:00Z","local_start":"2026-03-02T10:30:00+01:00","local_end":"2026-03-02T11:30:00+01:00","capacity":4,"taken":0,"free":4}`
	for query, want := range map[string]string{
		"":         `{"location":"L","slots":[` + first + `,{"start":"2026-03-02T10:30:00Z",`,
		"?limit=1": `{"location":"L","slots":[` + first + `],"next_from":"2026-03-02T10:30:00Z","as_of":"2026-03-02T09:00:00Z"}`,
		// What can't be taken any more, or not yet, has no places free.
		"?from=2026-02-24T00:00:00Z&days=1": `"capacity":7,"taken":0,"free":0}],"as_of":`,
		"?from=2026-03-10T00:00:00Z&days=2": `"capacity":7,"taken":0,"free":0}],"as_of":`,
		"?from=2026-03-03T00:00:00Z&days=1": `"slots":[{"start":"2026-03-03T10:30:00Z","end":"2026-03-03T11:30:00Z","local_start":"2026-03-03T11:30:00+01:00","local_end":"2026-03-03T12:30:00+01:00","capacity":7,"taken":0,"free":7}],"as_of":`,
		"?from=2026-03-04T00:00:00Z&days=5": `"slots":[],"as_of":`,
		"?from=now&min_sequence=1&days=1":   first,
	} {
		if got := r.get("/v1/locations/L/slots" + query); got.status != 200 || !strings.Contains(got.body, want) {
			t.Errorf("%s: %d %s\nlacks %s", query, got.status, got.body, want)
		}
	}
	if got := r.get("/v1/locations/L/compartments"); got.body != `{"location":"L","compartments":[{"size":"S","count":24,"taken":0,"free":24},{"size":"Extra-large_9","count":1,"taken":0,"free":1}],"as_of":"2026-03-02T09:00:00Z"}` {
		t.Errorf("%d %s", got.status, got.body)
	}
	r.put("/v1/locations/L", `{`+strings.Replace(slotted, `"time_zone"`, `"blocked":true,"time_zone"`, 1)+`}`)
	for _, path := range []string{"/v1/locations/L/slots", "/v1/locations/L/compartments"} {
		if got := r.get(path); strings.Contains(strings.ReplaceAll(got.body, `"free":0}`, ""), `"free"`) {
			t.Errorf("%s of a blocked location: %s", path, got.body)
		}
	}
	r.put("/v1/locations/bare", `{}`)
	if got := r.get("/v1/locations/bare/slots"); !strings.HasPrefix(got.body, `{"location":"bare","slots":[],`) {
		t.Errorf("no slots: %s", got.body)
	}
	if got := r.get("/v1/locations/bare/compartments"); !strings.HasPrefix(got.body, `{"location":"bare","compartments":[],`) {
		t.Errorf("no compartments: %s", got.body)
	}
	for _, path := range []string{"/v1/locations/nowhere/slots", "/v1/locations/nowhere/compartments"} {
		wantProblem(t, r.get(path), 404, "unknown-location")
	}
	wantField(t, r.get("/v1/locations/L/slots?from=noon"), "from")
	wantField(t, r.get("/v1/locations/L/slots?days=32"), "days")
	wantField(t, r.get("/v1/locations/L/slots?limit=0"), "limit")
}

func TestSlotsAndTimesThatCannotBe(t *testing.T) {
	r := newRig(t, server.Options{})
	const hours = `"time_zone":"Europe/Paris","opening_hours":[{"days":["monday"],"opens":"10:30","closes":"13:00"}],`
	slots := func(body string) string { return hours + `"pickup_slots":{` + body + `}` }
	override := func(body string) string {
		return slots(`"interval":60,"capacity":4,"days_ahead":2,"overrides":[{` + body + `}]`)
	}
	many := strings.Repeat(`{"weekday":"monday","from":"00:00","to":"24:00","capacity":1},`, 201)
	sizes := ""
	for _, c := range "abcdefghijklmnopq" {
		sizes += `{"size":"` + string(c) + `","count":1},`
	}
	for body, field := range map[string]string{
		`"pickup_slots":{"interval":60,"capacity":4,"days_ahead":2}`:                                "pickup_slots",
		slots(`"interval":4,"capacity":4,"days_ahead":2`):                                           "pickup_slots.interval",
		slots(`"interval":50,"capacity":4,"days_ahead":2`):                                          "pickup_slots.interval",
		slots(`"interval":2880,"capacity":4,"days_ahead":2`):                                        "pickup_slots.interval",
		slots(`"interval":-60,"capacity":4,"days_ahead":2`):                                         "pickup_slots.interval",
		slots(`"interval":"60","capacity":4,"days_ahead":2`):                                        "pickup_slots.interval",
		slots(`"interval":60,"days_ahead":2`):                                                       "pickup_slots.capacity",
		slots(`"interval":60,"capacity":10001,"days_ahead":2`):                                      "pickup_slots.capacity",
		slots(`"interval":60,"capacity":4,"lead":-1,"days_ahead":2`):                                "pickup_slots.lead",
		slots(`"interval":60,"capacity":4,"lead":10081,"days_ahead":2`):                             "pickup_slots.lead",
		slots(`"interval":60,"capacity":4,"days_ahead":32`):                                         "pickup_slots.days_ahead",
		slots(`"interval":60,"capacity":4,"days_ahead":0`):                                          "pickup_slots.days_ahead",
		slots(`"interval":60,"capacity":4,"days_ahead":2,"every":1`):                                "",
		slots(`"interval":60,"capacity":4,"days_ahead":2,"overrides":[` + many[:len(many)-1] + `]`): "pickup_slots.overrides",
		override(`"from":"10:00","to":"11:00","capacity":1`):                                        "pickup_slots.overrides[0]",
		override(`"weekday":"monday","date":"2026-03-02","from":"10:00","to":"11:00","capacity":1`): "pickup_slots.overrides[0]",
		override(`"weekday":"public_holiday","from":"10:00","to":"11:00","capacity":1`):             "pickup_slots.overrides[0].weekday",
		override(`"weekday":"noday","from":"10:00","to":"11:00","capacity":1`):                      "pickup_slots.overrides[0].weekday",
		override(`"date":"2026-02-30","from":"10:00","to":"11:00","capacity":1`):                    "pickup_slots.overrides[0].date",
		override(`"weekday":"monday","from":"24:00","to":"24:00","capacity":1`):                     "pickup_slots.overrides[0].from",
		override(`"weekday":"monday","from":"10:00","to":"10:00","capacity":1`):                     "pickup_slots.overrides[0].to",
		override(`"weekday":"monday","from":"10:00","to":"9:00","capacity":1`):                      "pickup_slots.overrides[0].to",
		override(`"weekday":"monday","from":"10:00","to":"11:00","capacity":-1`):                    "pickup_slots.overrides[0].capacity",
		`"compartments":[{"size":"S","count":1},{"size":"","count":1}]`:                             "compartments[1].size",
		`"compartments":[{"size":"S/L","count":1}]`:                                                 "compartments[0].size",
		`"compartments":[{"size":"abcdefghijklmnopq","count":1}]`:                                   "compartments[0].size",
		`"compartments":[{"size":"S","count":1},{"size":"S","count":1}]`:                            "compartments[1].size",
		`"compartments":[{"size":"S","count":0}]`:                                                   "compartments[0].count",
		`"compartments":[{"size":"S","count":100001}]`:                                              "compartments[0].count",
		`"compartments":[` + sizes[:len(sizes)-1] + `]`:                                             "compartments",
		`"order_times":{"pay_within":-1}`:                                                           "order_times.pay_within",
		`"order_times":{"collect_within":2678401}`:                                                  "order_times.collect_within",
		`"order_times":{"collect_within":1,"collect_until":{"closing_of_open_day":1}}`:              "order_times.collect_until",
		`"order_times":{"collect_until":{"closing_of_open_day":0}}`:                                 "order_times.collect_until.closing_of_open_day",
		`"order_times":{"collect_until":{"closing_of_open_day":1,"minutes_before":1441}}`:           "order_times.collect_until.minutes_before",
		`"order_times":{"extensions_max":11}`:                                                       "order_times.extensions_max",
	} {
		got := r.do("PUT", "/v1/locations/L", `{`+body+`}`)
		if field == "" {
			wantProblem(t, got, 400, "invalid")
			continue
		}
		wantField(t, got, field)
	}
}

// What is reserved for slots and compartments is refused by name wherever stock is put or held.
func TestNamesOfSlotsAreReserved(t *testing.T) {
	r := newRig(t, server.Options{})
	r.stock("S", 1)
	for _, sku := range []string{"slot:2026-03-02T10:00Z", "compartment:S"} {
		wantField(t, r.do("PUT", "/v1/skus/"+sku, `{}`), "sku")
		wantField(t, r.do("PUT", "/v1/stock/"+sku+"/L", `{"on_hand":1}`), "sku")
		wantField(t, r.do("POST", "/v1/reservations", oneLine(sku)), "lines[0].sku")
		wantField(t, r.do("POST", "/v1/stock/adjustments", `{"reason":"sale","lines":[{"sku":"`+sku+`","location":"L","quantity":1}]}`), "lines[0].sku")
		got := r.do("POST", "/v1/stock/import?mode=set&format=ndjson", `{"sku":"`+sku+`","location":"L","on_hand":1}`)
		if !strings.Contains(got.body, "reserved for pickup slots") {
			t.Errorf("import: %d %s", got.status, got.body)
		}
	}
}
