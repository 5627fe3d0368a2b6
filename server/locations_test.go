package server_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"onhand/server"
)

// chain puts three stores along a road to the east, one locker, one warehouse and one store without a position.
func chain(t *testing.T) *rig {
	t.Helper()
	r := newRig(t, server.Options{})
	for id, body := range map[string]string{
		"near":    `{"name":"Near","position":{"latitude":48,"longitude":2.01},"services":["counter","curbside"],"time_zone":"Europe/Paris","opening_hours":[{"days":["monday"],"opens":"08:00","closes":"12:00"}],"preparation_time":600}`,
		"middle":  `{"position":{"latitude":48,"longitude":2.02},"services":["counter"],"time_zone":"Europe/Paris","opening_hours":[{"days":["monday"],"opens":"14:00","closes":"18:00"}]}`,
		"far":     `{"position":{"latitude":48,"longitude":2.03},"suppliers":[{"location":"central","lead_time":86400}]}`,
		"locker":  `{"kind":"locker","position":{"latitude":48,"longitude":2.02},"services":["locker"]}`,
		"central": `{"kind":"warehouse","name":"Central","position":{"latitude":48,"longitude":2.5}}`,
	} {
		r.put("/v1/locations/"+id, body)
	}
	return r
}

func TestLocationsFromTheNearestOn(t *testing.T) {
	r := chain(t)
	for query, want := range map[string]string{
		"near=48,2":                                     "near locker middle far central",
		"near=48,%202":                                  "near locker middle far central",
		"near=48,2&kind=store":                          "near middle far",
		"near=48,2&service=counter":                     "near middle",
		"near=48,2&service=counter,curbside":            "near",
		"near=48%2C2&service=counter%2Ccurbside":        "near", // as URLSearchParams and urlencode write it
		"near=48,2&radius_km=20037.508":                 "near locker middle far central",
		"near=48,2&radius_km=1.6":                       "near locker middle",
		"near=48,2&open_at=2026-03-02T09:00:00Z":        "near",
		"near=48,2&open_at=2026-03-02T15:00:00%2B01:00": "middle",
		"near=48,2&open_at=2026-03-03T15:00:00Z":        "",
		"near=48,2&open_at=now":                         "near", // the test's clock stands at 2026-03-02T09:00Z
		"near=-90,0&limit=1":                            "central",
		"near=48,-179.9&radius_km=1":                    "",
	} {
		if strings.Contains(query, "now") && !r.db.Now().Equal(time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)) {
			t.Fatalf("the test's clock stands at %v", r.db.Now())
		}
		items, _ := r.page("/v1/locations", "locations", "id", query)
		if got := strings.Join(items, " "); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	if all := r.pages("/v1/locations", "locations", "id", "near=48,2", 2, func() {}); strings.Join(all, " ") != "near locker middle far central" {
		t.Errorf("by pages: %q", all)
	}
	// Without a position the order is that of the listing, and filters hold.
	if all := r.pages("/v1/locations", "locations", "id", "service=counter", 1, func() {}); len(all) != 2 || !slices.Contains(all, "middle") {
		t.Errorf("all with a counter: %q", all)
	}
	if open, _ := r.page("/v1/locations", "locations", "id", "open_at=2026-03-02T14:00:00Z"); strings.Join(open, " ") != "middle" {
		t.Errorf("open: %q", open)
	}
	got := r.get("/v1/locations?near=48,2&limit=1").body
	for _, want := range []string{
		`"distance_m":744,`, `"hours":{"at":"2026-03-02T09:00:00Z","state":"open","closes_at":"2026-03-02T11:00:00Z","minutes_until_close":120}`,
		`"preparation_time":600`, `"opening_hours":[{"days":["monday"],"opens":"08:00","closes":"12:00"}]`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s lacks %s", got, want)
		}
	}
}

func TestALocationTellsItsHours(t *testing.T) {
	r := chain(t)
	for query, want := range map[string]string{
		"near?at=2026-03-02T10:59:30Z": `"state":"open","closes_at":"2026-03-02T11:00:00Z","minutes_until_close":0}`,
		"near?at=2026-03-02T11:00:00Z": `"state":"closed","opens_at":"2026-03-09T07:00:00Z"}`,
		"near?at=2026-03-23T12:00:00Z": `"state":"closed","opens_at":"2026-03-30T06:00:00Z"}`, // summer time
		"near":                         `"state":"open",`,
		"near?at=now":                  `"state":"open",`,
		"far?at=2026-03-02T11:00:00Z":  `"hours":{"at":"2026-03-02T11:00:00Z","state":"unknown"}`,
	} {
		if got := r.get("/v1/locations/" + query); got.status != http.StatusOK || !strings.Contains(got.body, want) {
			t.Errorf("%s: %s lacks %s", query, got.body, want)
		}
	}
	wantField(t, r.get("/v1/locations/near?at=noon"), "at")
}

// What is put is what is read, in the listing, the feed and a snapshot too, and after a restart.
func TestDetailsAreKept(t *testing.T) {
	const details = `"position":{"latitude":-33.8688,"longitude":151.2093},"address":{"street_address":"1 George St","locality":"Sydney","region":"NSW","postal_code":"2000","country":"AU"},` +
		`"phone":"+61 2 0000 0000","email":"desk@example.com","url":"https://example.com/sydney","time_zone":"Australia/Sydney","holiday_country":"AU","holiday_region":"NSW",` +
		`"opening_hours":[{"days":["saturday","sunday"],"opens":"22:00","closes":"02:00"},{"days":["public_holiday"],"closed":true},{"days":["friday"],"unknown":true}],` +
		`"special_days":[{"from":"--12-24","through":"--01-02","name":"Summer","opens":"10:00","closes":"24:00"},{"from":"2026-04-25","closed":true}],` +
		`"services":["counter","pay_in_store"],"collection_point":"Desk “at the back”","id_required":true,"preparation_time":3600,"default_hold":7200,` +
		`"suppliers":[{"location":"fast","lead_time":60},{"location":"slow","lead_time":86400}],"attributes":{"a":"1","floor":"ground"}`
	r := newRig(t, server.Options{})
	got := r.do("PUT", "/v1/locations/sydney", `{"name":"Sydney",`+details+`}`)
	if got.status != http.StatusOK || !strings.Contains(got.body, `"blocked":false,`+details+`,"sequence":`) {
		t.Fatalf("%d %s", got.status, got.body)
	}
	for _, path := range []string{"/v1/locations/sydney", "/v1/locations", "/v1/changes?after=0", "/v1/changes?snapshot=true"} {
		if got := r.get(path); !strings.Contains(got.body, details) {
			t.Errorf("%s: %s", path, got.body)
		}
	}
	// A reservation that names no deadline holds as long as the location says.
	r.put("/v1/stock/S/sydney", `{"on_hand":5}`)
	if v := r.hold(`{"lines":[{"sku":"S","location":"sydney","quantity":1}]}`); v.ExpiresAt.Sub(v.CreatedAt) != 2*time.Hour {
		t.Errorf("held for %v", v.ExpiresAt.Sub(v.CreatedAt))
	}
	// Put again without them, it has none.
	if got := r.do("PUT", "/v1/locations/sydney", `{"name":"Sydney"}`); strings.Contains(got.body, "position") {
		t.Errorf("%s", got.body)
	}
}

func TestBadDetailsAreRefusedByName(t *testing.T) {
	r := newRig(t, server.Options{})
	for body, field := range map[string]string{
		`{"position":{"latitude":90.1,"longitude":0}}`:           "position.latitude",
		`{"position":{"latitude":0,"longitude":-181}}`:           "position.longitude",
		`{"position":{"latitude":"0","longitude":0}}`:            "position.latitude",
		`{"position":{"latitude":0,"longitude":0,"altitude":0}}`: "position.altitude",
		`{"position":{}}`:                                             "position",
		`{"position":{"latitude":3}}`:                                 "position",
		`{"position":null}`:                                           "position",
		`{"address":{"country":"France"}}`:                            "address.country",
		`{"address":{"country":"XX"}}`:                                "address.country",
		`{"address":{"locality":"` + strings.Repeat("x", 201) + `"}}`: "address.locality",
		`{"phone":"call me"}`:                                         "phone",
		`{"email":"desk"}`:                                            "email",
		`{"email":"Desk <desk@example.com>"}`:                         "email",
		`{"url":"javascript:alert(1)"}`:                               "url",
		`{"time_zone":"Europe/Lutetia"}`:                              "time_zone",
		`{"holiday_country":"CH"}`:                                    "holiday_country",
		`{"time_zone":"Europe/Paris","opening_hours":[{"days":["funday"],"closed":true}]}`:                   "opening_hours[0].days[0]",
		`{"time_zone":"Europe/Paris","opening_hours":[{"days":["monday"],"opens":"9:00","closes":"10:00"}]}`: "opening_hours[0].opens",
		`{"time_zone":"Europe/Paris","opening_hours":[{"days":["monday"],"opens":"09:00"}]}`:                 "opening_hours[0].closes",
		`{"time_zone":"Europe/Paris","opening_hours":[{"days":["monday"],"open":"09:00"}]}`:                  "opening_hours[0].open",
		`{"time_zone":"Europe/Paris","special_days":[{"from":"24.12.2026","closed":true}]}`:                  "special_days[0].from",
		`{"services":["counter","teleport"]}`:                                                                "services[1]",
		`{"services":["counter","counter"]}`:                                                                 "services[1]",
		`{"collection_point":"` + strings.Repeat("x", 501) + `"}`:                                            "collection_point",
		`{"id_required":"yes"}`:                         "id_required",
		`{"preparation_time":-1}`:                       "preparation_time",
		`{"default_hold":2678401}`:                      "default_hold",
		`{"suppliers":[{"location":"","lead_time":1}]}`: "suppliers[0].location",
		`{"suppliers":[{"location":"a","lead_time":1},{"location":"a","lead_time":2}]}`: "suppliers[1].location",
		`{"suppliers":[{"location":"a","lead_time":-1}]}`:                               "suppliers[0].lead_time",
		`{"attributes":{"a":1}}`:                                  "attributes.a",
		`{"attributes":{"":"1"}}`:                                 "attributes",
		`{"attributes":{"a":"` + strings.Repeat("x", 501) + `"}}`: "attributes.a",
	} {
		wantField(t, r.do("PUT", "/v1/locations/bad", body), field)
	}
	if got := r.get("/v1/locations/bad"); got.status != http.StatusNotFound {
		t.Errorf("something was put: %s", got.body)
	}
}

func TestBadQuestionsAboutAPositionAreRefusedByName(t *testing.T) {
	r := chain(t)
	r.stock("S", 1)
	for query, field := range map[string]string{
		"near=48":                     "near",
		"near=48;2":                   "near",
		"near=x,2":                    "near",
		"near=91,2":                   "near.latitude",
		"near=48,NaN":                 "near.longitude",
		"near=48,2&radius_km=0":       "radius_km",
		"near=48,2&radius_km=-1":      "radius_km",
		"near=48,2&radius_km=NaN":     "radius_km",
		"near=48,2&radius_km=20037.6": "radius_km",
		"radius_km=1":                 "radius_km",
		"near=48,2&kind=castle":       "kind",
		"near=48,2&service=counter,x": "service",
		"near=48,2&service=counter,":  "service",
		"near=48,2&service=%2C":       "service",
		"near=48,2&service=counter" + strings.Repeat("%2Ccounter", 7): "service",
		"near=48,2&open_at=tomorrow":                                  "open_at",
		"near=48,2&cursor=17":                                         "cursor",
		"near=48,2&cursor=!":                                          "cursor",
		"near=48,2&limit=0":                                           "limit",
	} {
		for _, path := range []string{"/v1/locations?", "/v1/availability/S?"} {
			wantField(t, r.get(path+query), field)
		}
	}
	wantField(t, r.get("/v1/availability/S?near=48,2&locations=L"), "locations")
	wantField(t, r.get("/v1/availability/S?open_at=now"), "open_at")
}

func TestAvailabilityFromTheNearestOn(t *testing.T) {
	r := chain(t)
	for id, units := range map[string]int{"near": 1, "middle": 5, "far": 9, "central": 50, "L": 3} {
		r.put("/v1/stock/S/"+id, fmt.Sprintf(`{"on_hand":%d}`, units))
	}
	for query, want := range map[string]string{
		"near=48,2":                              "near middle far central",
		"near=48,2&min_quantity=5":               "middle far central",
		"near=48,2&min_quantity=5&kind=store":    "middle far",
		"near=48,2&open_at=2026-03-02T14:00:00Z": "middle",
	} {
		if all := r.pages("/v1/availability/S", "locations", "location", query, 1, func() {}); strings.Join(all, " ") != want {
			t.Errorf("%s: %q, want %q", query, all, want)
		}
	}
	got := r.get("/v1/availability/S?near=48,2&limit=1").body
	if want := `{"location":"near","distance_m":744,"available":1,`; !strings.Contains(got, want) {
		t.Errorf("%s lacks %s", got, want)
	}
	wantProblem(t, r.get("/v1/availability/nix?near=48,2"), http.StatusNotFound, "unknown-sku")
}

func TestBasketOverHTTP(t *testing.T) {
	r := chain(t)
	for cell, units := range map[string]int{"S/near": 2, "T/near": 1, "S/middle": 5, "T/middle": 5, "S/far": 1, "S/central": 50, "T/central": 50} {
		r.put("/v1/stock/"+cell, fmt.Sprintf(`{"on_hand":%d}`, units))
	}
	ask := func(body string) string {
		t.Helper()
		got := r.do("POST", "/v1/availability/baskets", body)
		if got.status != http.StatusOK {
			t.Fatalf("%s: %d %s", body, got.status, got.body)
		}
		return got.body
	}
	got := ask(`{"lines":[{"sku":"S","quantity":1},{"sku":"T","quantity":1},{"sku":"S","quantity":1}],"near":{"latitude":48,"longitude":2}}`)
	for _, want := range []string{
		`{"available":true,"at":"2026-03-02T09:00:00Z","locations":[{"location":"near","name":"Near","kind":"store","distance_m":744,`,
		`"complete":true,"missing":[],"options":[{"kind":"pickup_now","ready_at":"2026-03-02T09:10:00Z"}]},{"location":"middle"`,
		`"options":[{"kind":"pickup_later","ready_at":"2026-03-02T13:00:00Z"}]},{"location":"far"`,
		`"complete":false,"missing":[{"sku":"S","requested":2,"available":1,"reason":"short"},{"sku":"T","requested":1,"available":0,"reason":"not_stocked"}],"options":[{"kind":"ship_to_store","from":"central"}]}]`,
		`"ship_home":{"from":"central","name":"Central"}`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s lacks %s", got, want)
		}
	}
	got = ask(`{"lines":[{"sku":"S","quantity":900}],"near":{"latitude":48,"longitude":2},"radius_km":1,"limit":1,"services":["counter"],"open_at":"now","kind":"store"}`)
	if far := ask(`{"lines":[{"sku":"S","quantity":1}],"near":{"latitude":48,"longitude":2},"radius_km":20037.508}`); !strings.HasPrefix(far, `{"available":true,`) {
		t.Errorf("within the largest radius: %s", far)
	}
	if want := `{"available":false,`; !strings.HasPrefix(got, want) || !strings.HasSuffix(got, `"missing":[{"sku":"S","requested":900,"available":2,"reason":"short"}]}`) {
		t.Errorf("%s", got)
	}
	const near = `"near":{"latitude":48,"longitude":2}`
	for body, field := range map[string]string{
		`{"lines":[{"sku":"S","quantity":1}]}`:                                      "near",
		`{"lines":[],` + near + `}`:                                                 "lines",
		`{"lines":[{"sku":"","quantity":1}],` + near + `}`:                          "lines[0].sku",
		`{"lines":[{"sku":"S","quantity":0}],` + near + `}`:                         "lines[0].quantity",
		`{"lines":[{"sku":"S","location":"L","quantity":1}],` + near + `}`:          "lines[0].location",
		`{"lines":[{"sku":"S","quantity":1}],"near":{"latitude":91,"longitude":2}}`: "near.latitude",
		`{"lines":[{"sku":"S","quantity":1}],` + near + `,"limit":101}`:             "limit",
		`{"lines":[{"sku":"S","quantity":1}],` + near + `,"limit":-1}`:              "limit",
		`{"lines":[{"sku":"S","quantity":1}],` + near + `,"radius_km":0}`:           "radius_km",
		`{"lines":[{"sku":"S","quantity":1}],` + near + `,"radius_km":20037.6}`:     "radius_km",
		`{"lines":[{"sku":"S","quantity":1}],` + near + `,"open_at":"soon"}`:        "open_at",
		`{"lines":[{"sku":"S","quantity":1}],` + near + `,"services":["x"]}`:        "services[0]",
	} {
		wantField(t, r.do("POST", "/v1/availability/baskets", body), field)
	}
}

func TestFindAndHoldOverHTTP(t *testing.T) {
	r := chain(t)
	for cell, units := range map[string]int{"S/near": 1, "S/middle": 5, "S/far": 9, "S/central": 50} {
		r.put("/v1/stock/"+cell, fmt.Sprintf(`{"on_hand":%d}`, units))
	}
	const near = `"near":{"latitude":48,"longitude":2}`
	body := `{"lines":[{"sku":"S","quantity":2}],` + near + `,"hold_until":{"closing_of_open_day":2,"minutes_before":30}}`
	first := r.do("POST", "/v1/reservations", body, "Idempotency-Key", "k")
	// Two Mondays: the clock goes forward after the second.
	for _, want := range []string{`"location":"middle"`, `"expires_at":"2026-03-09T16:30:00Z"`, `"passed_over":[{"sku":"S","location":"near","reason":"short"`} {
		if first.status != http.StatusCreated || !strings.Contains(first.body, want) {
			t.Errorf("%s lacks %s", first.body, want)
		}
	}
	if again := r.do("POST", "/v1/reservations", body, "Idempotency-Key", "k"); again.body != first.body {
		t.Errorf("the retry got %s, the first %s", again.body, first.body)
	}
	wantProblem(t, r.do("POST", "/v1/reservations", strings.Replace(body, "30", "31", 1), "Idempotency-Key", "k"), http.StatusUnprocessableEntity, "key-reused")
	// Where the hours don't tell, another location is taken, or none.
	body = strings.Replace(body, `"quantity":2`, `"quantity":4`, 1)
	got := r.do("POST", "/v1/reservations", body)
	wantProblem(t, got, http.StatusConflict, "refused")
	if !strings.Contains(got.body, `"location":"far","reason":"hours_unknown"`) {
		t.Errorf("%s", got.body)
	}
	// So it is where the open day is too far ahead: six Mondays.
	r.put("/v1/locations/everyday", `{"position":{"latitude":48,"longitude":2.04},"time_zone":"Europe/Paris","opening_hours":[{"days":["monday","tuesday","wednesday","thursday","friday","saturday","sunday"],"opens":"08:00","closes":"18:00"}]}`)
	r.put("/v1/stock/S/everyday", `{"on_hand":5}`)
	got = r.do("POST", "/v1/reservations", `{"lines":[{"sku":"S","quantity":1}],`+near+`,"hold_until":{"closing_of_open_day":6}}`)
	if got.status != http.StatusCreated || !strings.Contains(got.body, `"location":"everyday","quantity":1`) || !strings.Contains(got.body, `"location":"near","reason":"hours_unknown"`) ||
		!strings.Contains(got.body, `"expires_at":"2026-03-07T17:00:00Z"`) {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := r.do("POST", "/v1/reservations", `{"lines":[{"sku":"S","quantity":1}],`+near+`,"radius_km":0.1,"kind":"store","services":["counter"],"open_at":"now"}`); !strings.Contains(got.body, `"no_location"`) {
		t.Errorf("%s", got.body)
	}
	for body, field := range map[string]string{
		`{"lines":[{"sku":"S","location":"far","quantity":1}],` + near + `}`:                                                                         "lines[0].location",
		`{"lines":[{"sku":"S","quantity":1}]}`:                                                                                                       "lines[0].location",
		`{"lines":[{"sku":"S","quantity":1}],"near":{"latitude":48,"longitude":181}}`:                                                                "near.longitude",
		`{"lines":[{"sku":"S","quantity":1}],` + near + `,"partial":true}`:                                                                           "partial",
		`{"lines":[{"sku":"S","location":"far","quantity":1}],"radius_km":5}`:                                                                        "radius_km",
		`{"lines":[{"sku":"S","location":"far","quantity":1}],"hold_until":{"closing_of_open_day":1}}`:                                               "hold_until",
		`{"lines":[{"sku":"S","location":"near","quantity":1}],"hold_until":{"closing_of_open_day":0}}`:                                              "hold_until.closing_of_open_day",
		`{"lines":[{"sku":"S","location":"near","quantity":1}],"hold_until":{"closing_of_open_day":1,"minutes_before":1441}}`:                        "hold_until.minutes_before",
		`{"lines":[{"sku":"S","location":"near","quantity":1}],"hold_until":{"closing_of_open_day":1},"expires_in":5}`:                               "hold_until",
		`{"lines":[{"sku":"S","location":"near","quantity":1},{"sku":"S","location":"middle","quantity":1}],"hold_until":{"closing_of_open_day":1}}`: "hold_until",
		`{"lines":[{"sku":"S","location":"near","quantity":1}],"hold_until":{"closing_of_open_day":6}}`:                                              "hold_until", // six Mondays are beyond 31 days
	} {
		wantField(t, r.do("POST", "/v1/reservations", body), field)
	}
	if got := r.get("/v1/reservations?location=" + url.QueryEscape("far")); !strings.Contains(got.body, `"reservations":[]`) {
		t.Errorf("something was held: %s", got.body)
	}
}
