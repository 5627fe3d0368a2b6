package server_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"onhand/engine"
	"onhand/server"
)

// escaped writes a name as a path segment in which nothing stands for itself but letters and digits.
func escaped(name string) string {
	var b strings.Builder
	for i := range len(name) {
		if c := name[i]; 'a' <= c && c <= 'z' || '0' <= c && c <= '9' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// roundTrip makes a cell under a name and finds it wherever names are shown.
func (r *rig) roundTrip(t testing.TB, sku, location string) {
	t.Helper()
	for _, escape := range []func(string) string{escaped, url.PathEscape} {
		path := escape(sku) + "/" + escape(location)
		if got := r.do("PUT", "/v1/stock/"+path, `{"on_hand":3}`); got.status != 200 {
			t.Fatalf("PUT of %q at %q: %d %s", sku, location, got.status, got.body)
		}
		for _, call := range []string{"/v1/availability/", "/v1/stock/"} {
			var cell struct {
				SKU, Location string
				OnHand        int `json:"on_hand"`
			}
			decodeInto(t, r.get(call+path), 200, &cell)
			if cell.SKU != sku || cell.Location != location || cell.OnHand != 3 {
				t.Fatalf("%s%s: %+v, want %q at %q", call, path, cell, sku, location)
			}
		}
	}
	line, _ := json.Marshal(map[string]any{"sku": sku, "location": location, "quantity": 1})
	if got := r.do("POST", "/v1/reservations", `{"lines":[`+string(line)+`]}`); got.status != 201 {
		t.Fatalf("a reservation of %q at %q: %d %s", sku, location, got.status, got.body)
	}
	var page struct {
		Reservations []struct {
			Lines []struct{ SKU, Location string }
		}
	}
	decodeInto(t, r.get("/v1/reservations?location="+url.QueryEscape(location)), 200, &page)
	if len(page.Reservations) == 0 || page.Reservations[0].Lines[0].SKU != sku {
		t.Fatalf("reservations at %q: %+v", location, page)
	}
	var row struct{ SKU, Location string }
	export := r.get("/v1/stock/export?format=ndjson&sku=" + url.QueryEscape(sku) + "&location=" + url.QueryEscape(location))
	if decodeInto(t, export, 200, &row); row.SKU != sku || row.Location != location {
		t.Fatalf("exported as %+v", row)
	}
}

func TestNamesOfAnyKindWorkInPaths(t *testing.T) {
	r := newRig(t, server.Options{})
	for _, name := range []string{
		"A/B", "100%", "100%25", "%2F", "a b", "a+b", "a?b#c", "a&b=c;d", "..", ".", "a//b", "/", "\\", `"quoted"`, "'", "<b>", "{sku}",
		"テレビ", "Łódź", "سماعة", "🪔", "e\u0301", "\u00e9", "query", "import", strings.Repeat("x", 64), strings.Repeat("é", 32),
	} {
		r.roundTrip(t, name, "L")
		r.roundTrip(t, "S", name)
	}
	// The two ways to write é are different names, as UTF-8 has it.
	if got := r.get("/v1/skus/" + escaped("e\u0301")); !strings.Contains(got.body, "e\u0301") {
		t.Errorf("a combining accent was changed: %s", got.body)
	}
}

func TestAnyNameComesBackAsItWentIn(t *testing.T) {
	r := newRig(t, server.Options{})
	name := rapid.StringOfN(rapid.Rune().Filter(func(r rune) bool { return r >= ' ' && (r < 0x7F || r > 0x9F) && utf8.ValidRune(r) }), 1, -1, engine.NameMax)
	rapid.Check(t, func(rt *rapid.T) {
		sku, location := name.Draw(rt, "sku"), name.Draw(rt, "location")
		r.roundTrip(t, sku, location)
	})
}

func TestNamesThatAreNoneAreRefused(t *testing.T) {
	r := newRig(t, server.Options{})
	before := r.db.Durable()
	for path, field := range map[string]string{
		"/v1/stock/%FF/L":                                  "sku",      // no UTF-8
		"/v1/stock/%C0%AF/L":                               "sku",      // an overlong slash
		"/v1/stock/S/%ED%A0%80":                            "location", // half a surrogate pair
		"/v1/stock/%00/L":                                  "sku",
		"/v1/stock/a%0Ab/L":                                "sku",
		"/v1/stock/S/" + strings.Repeat("x", 65):           "location",
		"/v1/stock/" + strings.Repeat("%C3%A9", 33) + "/L": "sku",
		"/v1/stock//L":                                     "sku",
	} {
		got := r.do("PUT", path, `{"on_hand":3}`)
		if wantProblem(t, got, 400, "invalid"); !strings.Contains(got.body, `"field":"`+field+`"`) {
			t.Errorf("%s: %s does not name %s", path, got.body, field)
		}
	}
	if after := r.db.Durable(); after != before {
		t.Error("a refused name changed something")
	}
	// What no client library would send goes over a bare socket.
	for _, target := range []string{"/v1/stock/%/L", "/v1/stock/%4/L", "/v1/stock/%zz/L", "/v1/stock/S/%G0"} {
		s := r.dial()
		s.send("GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n")
		wantProblem(t, s.answer("GET"), 400, "invalid")
	}
}
