package server_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"onhand/engine"
	"onhand/server"
)

// listings are the calls that answer in pages, with the member that holds a page and the one that names an item.
var listings = []struct{ path, member, name string }{
	{"/v1/skus", "skus", "sku"},
	{"/v1/locations", "locations", "id"},
	{"/v1/availability/S", "locations", "location"},
	{"/v1/reservations", "reservations", "id"},
}

// wantField fails unless an answer is a 400 that names a field.
func wantField(t *testing.T, got reply, field string) {
	t.Helper()
	if wantProblem(t, got, http.StatusBadRequest, "invalid"); fieldOf(t, got.body, "field") != field || fieldOf(t, got.body, "allowed") == "" {
		t.Errorf("%s does not name %s and what is allowed", got.body, field)
	}
}

func TestParametersAreReadStrictly(t *testing.T) {
	r := newRig(t, server.Options{})
	r.stock("S", 10)
	numbers := []string{"", "x", "-1", "+5", "1.0", "1e3", "0x10", "1_000", " 5", "5 ", "٣", "18446744073709551616", "99999999999999999999999999", "1,2", "null"}
	for _, test := range []struct {
		path, name string
		bad        []string
	}{
		{"/v1/skus", "limit", append(numbers, "0", "10001")},
		{"/v1/skus", "cursor", append(numbers, "4294967296")},
		{"/v1/locations", "limit", append(numbers, "0", "10001")},
		{"/v1/locations", "cursor", append(numbers, "4294967296")},
		{"/v1/locations", "kind", []string{"", "castle", "Store", "store,warehouse"}},
		{"/v1/availability/S", "limit", append(numbers, "0", "10001")},
		{"/v1/availability/S", "cursor", append(numbers, "4294967296")},
		{"/v1/availability/S", "min_quantity", append(numbers, "1000000000001")},
		{"/v1/availability/S", "locations", []string{""}},
		{"/v1/availability/S", "min_sequence", append(numbers, "72057594037927937")},
		{"/v1/availability/S/L", "min_sequence", numbers},
		{"/v1/stock/S/L", "min_sequence", numbers},
		{"/v1/skus/S", "min_sequence", numbers},
		{"/v1/reservations", "limit", append(numbers, "0", "10001")},
		{"/v1/reservations", "state", []string{"", "lost", "HELD", "held,released"}},
		{"/v1/reservations", "reference", []string{""}},
		{"/v1/reservations", "location", []string{""}},
		{"/v1/stock/export", "format", []string{"", "xml", "CSV"}},
		{"/v1/stock/export", "sku", []string{""}},
		{"/v1/stock/export", "location", []string{""}},
		{"/v1/changes", "after", append(numbers, "")},
		{"/v1/changes", "limit", append(numbers, "0", "1000001")},
		{"/v1/changes", "wait", append(numbers, "3600001")},
		{"/v1/changes", "snapshot", []string{"", "yes", "1", "TRUE"}},
	} {
		for _, value := range test.bad {
			got := r.get(test.path + "?" + test.name + "=" + url.QueryEscape(value))
			if got.status != http.StatusBadRequest {
				t.Errorf("%s?%s=%q: %d %.200s", test.path, test.name, value, got.status, got.body)
				continue
			}
			wantField(t, got, test.name)
		}
	}
}

func TestAParameterIsDecodedOnceAndGivenOnce(t *testing.T) {
	r := newRig(t, server.Options{})
	r.put("/v1/locations/"+escaped("a,b"), `{}`)
	r.put("/v1/locations/"+escaped("a b"), `{}`)
	r.put("/v1/locations/"+escaped("%41"), `{}`)
	r.stock("S", 1)
	// A bare socket sends what client libraries would mend.
	ask := func(target string) reply {
		t.Helper()
		s := r.dial()
		s.send("GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n")
		return s.answer("GET")
	}
	for target, field := range map[string]string{
		"/v1/skus?limit=1&limit=1":                   "limit",
		"/v1/skus?limit=1&limit=2":                   "limit",
		"/v1/skus?limit=1&%6Cimit=2":                 "limit", // the same name in other letters
		"/v1/skus?limit=%":                           "limit",
		"/v1/skus?limit=%3":                          "limit",
		"/v1/skus?limit=%zz":                         "limit",
		"/v1/skus?limit":                             "limit",
		"/v1/skus?%zz=1":                             "query",
		"/v1/reservations?location=%FF":              "location",
		"/v1/reservations?reference=%C0%AF":          "reference",
		"/v1/availability/S?locations=L,%ED%A0%80":   "locations",
		"/v1/availability/S?locations=,":             "locations",
		"/v1/availability/S?locations=L,":            "locations",
		"/v1/availability/S?locations=,L":            "locations",
		"/v1/availability/S?locations=L,,L":          "locations",
		"/v1/availability/S?locations=L&locations=L": "locations",
	} {
		wantField(t, ask(target), field)
	}
	for _, target := range []string{"/v1/skus?Limit=1", "/v1/skus?limit=1;cursor=2", "/v1/skus?=1", "/v1/skus?limit[]=1", "/v1/skus?limit=1&x", "/v1/skus/S?limit=1"} {
		if got := ask(target); got.status != 400 {
			t.Errorf("%s: %d %s", target, got.status, got.body)
		}
	}
	if got := ask("/v1/skus?"); got.status != 200 {
		t.Errorf("no parameters after the question mark: %d %s", got.status, got.body)
	}
	if got := ask("/v1/skus?&limit=1&&"); got.status != 200 {
		t.Errorf("nothing between two ampersands: %d %s", got.status, got.body)
	}
	for query, want := range map[string][]string{
		"a%2Cb":           {"a,b"},
		"a+b,L":           {"a b", "L"},
		"a%20b":           {"a b"},
		"%2541":           {"%41"},
		"L,a%2Cb,%2541,L": {"L", "a,b", "%41", "L"}, // in the order asked for
	} {
		var got struct{ Locations []struct{ Location string } }
		decodeInto(t, ask("/v1/availability/S?locations="+query), 200, &got)
		var names []string
		for _, l := range got.Locations {
			names = append(names, l.Location)
		}
		if !slices.Equal(names, want) {
			t.Errorf("locations=%s: %q, want %q", query, names, want)
		}
	}
	wantProblem(t, ask("/v1/availability/S?locations=L,nowhere"), 404, "unknown-location")
}

// TestAReadWaitsForTheSequenceItDemands keeps a write from becoming durable: a read that demands it gets no answer before.
func TestAReadWaitsForTheSequenceItDemands(t *testing.T) {
	r := newRig(t, server.Options{})
	r.stock("S", 10)
	release := r.db.HoldSyncs()
	defer release()
	next := r.db.Durable() + 1
	answers := make(chan string, 2)
	ask := func(name, method, path, body string) {
		go func() {
			got, err := r.try(method, path, body)
			if err != nil || got.status != 200 {
				t.Errorf("%s: %d %s %v", name, got.status, got.body, err)
			}
			answers <- got.body
		}()
	}
	ask("write", "PUT", "/v1/stock/S/L", `{"on_hand":7}`)
	ask("read", "GET", fmt.Sprintf("/v1/availability/S/L?min_sequence=%d", next), "")
	select {
	case body := <-answers:
		t.Errorf("answered before it was durable: %s", body)
	case <-time.After(50 * time.Millisecond):
	}
	release()
	for range 2 {
		if body := <-answers; numberOf(t, body, "on_hand") != 7 || numberOf(t, body, "sequence") < int64(next) {
			t.Errorf("the answer is %s", body)
		}
	}
}

// page is one page of a listing.
func (r *rig) page(path, member, name, query string) (items []string, next string) {
	r.t.Helper()
	got := r.get(path + "?" + query)
	if got.status != 200 {
		r.t.Fatalf("%s?%s: %d %s", path, query, got.status, got.body)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(got.body), &members); err != nil {
		r.t.Fatal(err)
	}
	var list []map[string]any
	if err := json.Unmarshal(members[member], &list); err != nil {
		r.t.Fatalf("%s: %v", got.body, err)
	}
	for _, item := range list {
		items = append(items, item[name].(string))
	}
	if members["next_cursor"] != nil {
		if err := json.Unmarshal(members["next_cursor"], &next); err != nil || next == "" {
			r.t.Fatalf("next_cursor is %s: %v", members["next_cursor"], err)
		}
	}
	return items, next
}

// pages reads a listing to its end, page by page, and calls between after each.
func (r *rig) pages(path, member, name, query string, limit int, between func()) (all []string) {
	r.t.Helper()
	cursor := ""
	for range 1000 {
		q := fmt.Sprintf("limit=%d&%s", limit, query)
		if cursor != "" {
			q += "&cursor=" + url.QueryEscape(cursor)
		}
		items, next := r.page(path, member, name, strings.TrimSuffix(q, "&"))
		if len(items) > limit {
			r.t.Fatalf("%s: a page of %d, the limit is %d", path, len(items), limit)
		}
		all = append(all, items...)
		if next == "" {
			return all
		}
		cursor = next
		between()
	}
	r.t.Fatalf("%s?%s: no end after 1000 pages", path, query)
	return nil
}

// populated returns a server with a dozen of everything that is listed, and a way to add one more of each.
func populated(t *testing.T) (r *rig, add func()) {
	t.Helper()
	r = newRig(t, server.Options{})
	n := 0
	add = func() {
		t.Helper()
		n++
		place := fmt.Sprintf("M%d", n)
		r.put("/v1/locations/"+place, `{"kind":"`+[]string{"store", "warehouse"}[n%2]+`"}`)
		r.put("/v1/stock/S/"+place, `{"on_hand":5}`)
		r.put("/v1/skus/"+fmt.Sprintf("K%d", n), `{}`)
		line := fmt.Sprintf(`{"lines":[{"sku":"S","location":%q,"quantity":1}]}`, place)
		for _, verb := range []string{"", "commit", "release"} {
			id := fieldOf(t, r.do("POST", "/v1/reservations", line).body, "id")
			if verb != "" {
				r.do("POST", "/v1/reservations/"+id+"/"+verb, "")
			}
		}
	}
	for range 12 {
		add()
	}
	return r, add
}

func TestPagesShowEverythingOnce(t *testing.T) {
	r, add := populated(t)
	for _, listing := range listings {
		whole, next := r.page(listing.path, listing.member, listing.name, "limit=10000")
		if next != "" || len(whole) < 12 {
			t.Fatalf("%s: %d items, next_cursor %q", listing.path, len(whole), next)
		}
		for _, limit := range []int{1, 2, 3, len(whole) - 1, len(whole), len(whole) + 1} {
			if got := r.pages(listing.path, listing.member, listing.name, "", limit, func() {}); !slices.Equal(got, whole) {
				t.Errorf("%s by %d: %q\nas a whole: %q", listing.path, limit, got, whole)
			}
		}
	}
	for _, listing := range listings {
		whole, _ := r.page(listing.path, listing.member, listing.name, "limit=10000")
		got := r.pages(listing.path, listing.member, listing.name, "", 5, add)
		seen := make(map[string]int)
		for _, item := range got {
			if seen[item]++; seen[item] > 1 {
				t.Errorf("%s: %s was listed twice while others were added", listing.path, item)
			}
		}
		for _, item := range whole {
			if seen[item] == 0 {
				t.Errorf("%s: %s was lost while others were added", listing.path, item)
			}
		}
	}
}

func TestListingsAreFiltered(t *testing.T) {
	r, _ := populated(t)
	for _, test := range []struct {
		listing int
		query   string
		want    int
	}{
		{1, "kind=warehouse", 6}, {1, "kind=store", 7}, {1, "kind=locker", 0},
		{2, "min_quantity=3", 12}, {2, "min_quantity=4", 0}, {2, "min_quantity=0", 12},
		{3, "state=held", 12}, {3, "state=committed", 12}, {3, "state=released", 12}, {3, "state=expired", 0},
		{3, "location=M3", 3}, {3, "location=M3&state=held", 1}, {3, "location=M3&state=committed", 1}, {3, "location=L", 0},
		{3, "reference=nobody", 0},
	} {
		l := listings[test.listing]
		for _, limit := range []int{1, 7, 100} {
			got := r.pages(l.path, l.member, l.name, test.query, limit, func() {})
			if len(got) != test.want || len(slices.Compact(slices.Sorted(slices.Values(got)))) != test.want {
				t.Errorf("%s?%s by %d: %d items, want %d", l.path, test.query, limit, len(got), test.want)
			}
		}
	}
	for _, l := range listings[:3] {
		for _, cursor := range []string{"1000", "4294967294", "4294967295"} {
			if items, _ := r.page(l.path, l.member, l.name, "cursor="+cursor); len(items) != 0 {
				t.Errorf("%s: behind %s, which is beyond the end, there is %q", l.path, cursor, items)
			}
		}
	}
}

func TestANonsenseCursorIsRefused(t *testing.T) {
	r, _ := populated(t)
	encode := func(b ...byte) string { return base64.RawURLEncoding.EncodeToString(b) }
	for what, cursor := range map[string]string{
		"nothing":                 "",
		"no base64":               "!!!!",
		"a number":                "17",
		"padding":                 "AA==",
		"a line break":            "AAAA\nAAA",
		"one byte":                encode(0),
		"too few numbers":         encode(0, 1, 1, 1),
		"something behind it":     encode(0, 1, 1, 0, 0, 0),
		"an unknown phase":        encode(3, 1, 1, 0, 0),
		"a place of 33 bits":      encode(0, 0x80, 0x80, 0x80, 0x80, 0x10, 1, 0, 0),
		"a number beyond 64 bits": encode(0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0, 0),
		"half a number":           encode(0, 1, 1, 0, 0x80),
		"a number too long":       encode(0, 0x81, 0x00, 1, 0, 0),
		"loose bits at its end":   strings.TrimSuffix(encode(0, 1, 1, 0, 0), "A") + "B",
		"a place between entries": encode(1, 1, 1, 0, 9),
		"a place behind the end":  encode(1, 1, 1, 0, 0x88, 0x80, 0x40),
		"a very long one":         strings.Repeat("A", 4000),
	} {
		got := r.get("/v1/reservations?cursor=" + url.QueryEscape(cursor))
		if got.status != http.StatusBadRequest {
			t.Errorf("%s: %d %.200s", what, got.status, got.body)
			continue
		}
		wantField(t, got, "cursor")
	}
}

// FuzzReservationCursor asks with any cursor. Whoever makes one up may get any page, but never more than asked for, the
// same item twice, or a server that fails over it.
func FuzzReservationCursor(f *testing.F) {
	r := newRig(f, server.Options{})
	r.stock("S", 1000)
	for i := range 20 {
		got := r.do("POST", "/v1/reservations", oneLine("S"))
		if got.status != http.StatusCreated {
			f.Fatal(got.body)
		}
		var made struct{ ID string }
		if err := json.Unmarshal([]byte(got.body), &made); err != nil {
			f.Fatal(err)
		}
		if i%2 == 0 {
			r.do("POST", "/v1/reservations/"+made.ID+"/release", "")
		}
	}
	for cursor := ""; ; {
		path := "/v1/reservations?limit=3"
		if cursor != "" {
			path += "&cursor=" + cursor
		}
		var page struct {
			Next string `json:"next_cursor"`
		}
		decodeInto(f, r.get(path), 200, &page)
		if cursor = page.Next; cursor == "" {
			break
		}
		raw, err := base64.RawURLEncoding.DecodeString(cursor)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	for offset := range 64 {
		f.Add([]byte{1, 1, 1, 0, byte(offset)})
	}
	f.Add([]byte{0, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0})
	f.Add([]byte{1, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0})
	f.Fuzz(func(t *testing.T, raw []byte) {
		r.client.Transport.(*held).t = t
		if len(raw) > 4000 {
			return
		}
		cursor, err := engine.ParseReservationCursor(raw)
		if err == nil {
			again, err := engine.ParseReservationCursor(cursor.AppendBinary(nil))
			if err != nil || again != cursor {
				t.Fatalf("%x is %+v, which is written as %x", raw, cursor, cursor.AppendBinary(nil))
			}
		}
		got, tryErr := r.try("GET", "/v1/reservations?limit=7&cursor="+base64.RawURLEncoding.EncodeToString(raw), "")
		if tryErr != nil {
			t.Fatal(tryErr)
		}
		asWeWrite := err == nil && bytes.Equal(cursor.AppendBinary(nil), raw)
		if asWeWrite != (got.status == 200) || got.status != 200 && got.status != 400 {
			t.Fatalf("%x: %d %s", raw, got.status, got.body)
		}
		if got.status == 400 {
			return
		}
		var page struct{ Reservations []struct{ ID string } }
		decodeInto(t, got, 200, &page)
		seen := make(map[string]bool)
		for _, item := range page.Reservations {
			if seen[item.ID] {
				t.Fatalf("%x: %s twice", raw, item.ID)
			}
			seen[item.ID] = true
		}
		if len(seen) > 7 {
			t.Fatalf("%x: %d items", raw, len(seen))
		}
	})
}
