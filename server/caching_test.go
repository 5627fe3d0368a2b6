package server_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"onhand/engine"
	"onhand/server"
)

// tag returns the ETag of an answer that must be 200.
func (r *rig) tag(path string) string {
	r.t.Helper()
	got := r.get(path)
	if got.status != http.StatusOK || got.header.Get("ETag") == "" {
		r.t.Fatalf("%s: %d, ETag %q", path, got.status, got.header.Get("ETag"))
	}
	return got.header.Get("ETag")
}

func TestATagChangesWithTheCellAndOnlyThen(t *testing.T) {
	r := newRig(t, server.Options{})
	r.put("/v1/locations/M", `{}`)
	r.stock("S", 10)
	r.stock("other", 10)
	hold := func() string {
		return "/v1/reservations/" + fieldOf(t, r.do("POST", "/v1/reservations", oneLine("S")).body, "id")
	}
	first, second := hold(), hold()
	steps := []struct {
		what, method, path, body string
		of                       []string // the answers that it changes
	}{
		{"nothing", "GET", "/v1/stock/S/L", "", nil},
		{"another SKU", "PUT", "/v1/stock/other/L", `{"on_hand":3}`, nil},
		{"a hold of another SKU", "POST", "/v1/reservations", oneLine("other"), nil},
		{"a refusal", "POST", "/v1/reservations", `{"lines":[{"sku":"S","location":"L","quantity":99}]}`, nil},
		{"the SKU elsewhere", "PUT", "/v1/stock/S/M", `{"on_hand":3}`, []string{"/S"}},
		{"a sale", "POST", "/v1/stock/adjustments", `{"lines":[{"sku":"S","location":"L","quantity":-1}],"reason":"sale"}`, []string{"/S/L", "/S"}},
		{"a count", "PUT", "/v1/stock/S/L", `{"on_hand":8}`, []string{"/S/L", "/S"}},
		{"safety stock", "PUT", "/v1/stock/S/L", `{"safety_stock":1}`, []string{"/S/L", "/S"}},
		{"inherited safety stock", "PUT", "/v1/stock/S/L", `{"safety_stock":null}`, []string{"/S/L", "/S"}},
		{"a block", "PUT", "/v1/stock/S/L", `{"blocked":true}`, []string{"/S/L", "/S"}},
		{"its end", "PUT", "/v1/stock/S/L", `{"blocked":false}`, []string{"/S/L", "/S"}},
		{"a hold", "POST", "/v1/reservations", `{"lines":[{"sku":"S","location":"L","quantity":1}],"expires_in":5}`, []string{"/S/L", "/S"}},
		{"a longer hold", "POST", first + "/extend", `{"expires_in":3600}`, nil},
		{"a commit", "POST", first + "/commit", "", []string{"/S/L", "/S"}},
		{"a release", "POST", second + "/release", "", []string{"/S/L", "/S"}},
		{"the SKU's safety stock", "PUT", "/v1/skus/S", `{"default_safety_stock":2}`, []string{"/S/L", "/S"}},
		{"a blocked location", "PUT", "/v1/locations/L", `{"blocked":true}`, []string{"/S/L", "/S"}},
		{"an open location", "PUT", "/v1/locations/L", `{"blocked":false}`, []string{"/S/L", "/S"}},
	}
	paths := []string{"/S/L", "/S", "/S?locations=L", "/S?min_quantity=1&limit=1"}
	before := make(map[string]string)
	for _, path := range paths {
		before[path] = r.tag("/v1/availability" + path)
	}
	check := func(what string, of []string) {
		t.Helper()
		for _, path := range paths {
			base, _, filtered := strings.Cut(path, "?")
			wants := strings.Contains(strings.Join(of, " ")+" ", base+" ")
			if path == "/S?locations=L" {
				wants = strings.Contains(strings.Join(of, " "), "/S/L")
			}
			now := r.tag("/v1/availability" + path)
			if changed := now != before[path]; changed != wants {
				t.Errorf("%s: the tag of %s was %s and is %s (filtered: %v)", what, path, before[path], now, filtered)
			}
			before[path] = now
		}
	}
	for _, step := range steps {
		if got := r.do(step.method, step.path, step.body); got.status >= 400 && step.what != "a refusal" {
			t.Fatalf("%s: %d %s", step.what, got.status, got.body)
		}
		r.db.Clock.Advance(time.Millisecond) // as_of is another with each answer, and no change
		check(step.what, step.of)
	}
	r.db.Pass(6 * time.Second)
	check("a deadline", []string{"/S/L", "/S"})
}

// TestADeletedLocationLeavesNoTagBehind: what comes after it is a new cell, and a cache must not take it for the old one.
func TestADeletedLocationLeavesNoTagBehind(t *testing.T) {
	r := newRig(t, server.Options{})
	r.put("/v1/locations/M", `{}`)
	r.stock("S", 1)
	r.put("/v1/stock/S/M", `{"on_hand":0}`)
	paths := []string{"/v1/availability/S/M", "/v1/availability/S", "/v1/availability/S?locations=L,M"}
	tags := make(map[string]map[string]bool)
	note := func(path string) {
		t.Helper()
		tag := r.tag(path)
		if tags[path][tag] {
			t.Errorf("%s: the tag %s had been used before", path, tag)
		}
		if tags[path] == nil {
			tags[path] = make(map[string]bool)
		}
		tags[path][tag] = true
	}
	for _, path := range paths {
		note(path)
	}
	if got := r.do("DELETE", "/v1/locations/M", ""); got.status != http.StatusOK {
		t.Fatalf("delete: %d %s", got.status, got.body)
	}
	note("/v1/availability/S")
	for tag := range tags["/v1/availability/S/M"] {
		wantProblem(t, r.get("/v1/availability/S/M", "If-None-Match", tag), 404, "unknown-location")
	}
	r.put("/v1/locations/M", `{}`)
	note("/v1/availability/S/M")
	note("/v1/availability/S?locations=L,M")
	r.put("/v1/stock/S/M", `{"on_hand":0}`)
	for _, path := range paths {
		note(path)
	}
}

func TestIfNoneMatchIsReadAsTheStandardHasIt(t *testing.T) {
	r := newRig(t, server.Options{})
	r.stock("S", 10)
	const path = "/v1/availability/S/L"
	weak := r.tag(path)
	strong := strings.TrimPrefix(weak, "W/")
	if weak == strong || !strings.HasPrefix(strong, `"`) || !strings.HasSuffix(strong, `"`) {
		t.Fatalf("the tag %s is no weak one, as as_of differs under the same", weak)
	}
	bare := strings.Trim(strong, `"`)
	for _, test := range []struct {
		lines     string // of the header
		unchanged bool
	}{
		{"If-None-Match: " + weak, true},
		{"if-none-match: " + strong, true}, // weak comparison
		{"If-None-Match: *", true},
		{"If-None-Match:  \t" + weak + "\t ", true},
		{`If-None-Match: "a", "b",` + weak + `,"c"`, true},
		{`If-None-Match: ` + weak + `, W/"x"`, true},
		{`If-None-Match: "x"` + " \t,\t " + weak, true},
		{`If-None-Match: ,, ` + weak + ` ,`, true},
		{`If-None-Match: "with, comma", ` + weak, true},
		{"If-None-Match: \"x\"\r\nIf-None-Match: " + weak, true}, // two lines are one list
		{"If-None-Match: " + weak + "\r\nIf-None-Match: \"x\"", true},
		{"If-None-Match:\r\nIf-None-Match: " + weak, true},
		{`If-None-Match: "x"`, false},
		{`If-None-Match: "", W/""`, false},
		{"If-None-Match:", false},
		{"If-None-Match: " + bare, false},
		{"If-None-Match: w/" + strong, false}, // W is in capitals
		{"If-None-Match: W/W/" + strong, false},
		{"If-None-Match: W/ " + strong, false},
		{"If-None-Match: " + strings.TrimSuffix(strong, `"`), false},
		{`If-None-Match: "` + strings.ToUpper(bare) + `x"`, false},
		{`If-None-Match: "*"`, false},
		{"If-None-Match: " + strings.Repeat(`"x", `, 1000), false},
		{"If-Match: " + weak, false},
	} {
		s := r.dial()
		s.send("GET " + path + " HTTP/1.1\r\nHost: x\r\n" + test.lines + "\r\n\r\n")
		got := s.answer("GET")
		if want := map[bool]int{true: 304, false: 200}[test.unchanged]; got.status != want {
			t.Errorf("%.80q: %d, want %d", test.lines, got.status, want)
		}
		s.wantOpen()
	}
}

func TestA304IsAHeaderAndNothingElse(t *testing.T) {
	r := newRig(t, server.Options{CacheControl: "max-age=1", Origins: []string{"https://shop.example"}})
	r.stock("S", 10)
	for _, path := range []string{"/v1/availability/S/L", "/v1/availability/S"} {
		full := r.get(path, "Origin", "https://shop.example")
		s := r.dial()
		s.send("GET " + path + " HTTP/1.1\r\nHost: x\r\nOrigin: https://shop.example\r\nIf-None-Match: " + full.header.Get("ETag") + "\r\n\r\n")
		got := s.answer("GET")
		if got.status != 304 || got.body != "" {
			t.Fatalf("%s: %d %q", path, got.status, got.body)
		}
		// What a 200 would have had and a cache updates its copy by (RFC 9110, section 15.4.5).
		for _, name := range []string{"ETag", "Cache-Control", "Vary", "Access-Control-Allow-Origin"} {
			if got.header.Get(name) != full.header.Get(name) || got.header.Get(name) == "" {
				t.Errorf("%s: %s is %q, with 200 it is %q", path, name, got.header.Get(name), full.header.Get(name))
			}
		}
		if got.header.Get("Date") == "" {
			t.Errorf("%s: no Date", path)
		}
		for _, name := range []string{"Content-Type", "Content-Length", "Transfer-Encoding"} {
			if got.header.Get(name) != "" {
				t.Errorf("%s: %s is %q, but there is no content", path, name, got.header.Get(name))
			}
		}
		s.wantOpen() // nothing of a body stands between this answer and the next
	}
}

func TestCachesAreToldHowLongAndOnlyOfAvailability(t *testing.T) {
	for _, test := range []struct{ option, want string }{
		{"", "no-cache"}, {"private, max-age=3", "private, max-age=3"}, {"no-store", "no-store"},
	} {
		r := newRig(t, server.Options{CacheControl: test.option})
		r.stock("S", 10)
		for _, path := range []string{"/v1/availability/S/L", "/v1/availability/S", "/v1/availability/S?locations=L"} {
			got := r.get(path)
			if got.status != 200 || got.header.Get("Cache-Control") != test.want {
				t.Errorf("%s: %d, Cache-Control %q, want %q", path, got.status, got.header.Get("Cache-Control"), test.want)
			}
		}
		// What is not there may be there the next moment, and what decides about stock is not read from caches.
		for _, path := range []string{"/v1/availability/none/L", "/v1/availability/S/none", "/v1/availability/none", "/v1/stock/S/L", "/v1/reservations", "/v1/skus/S"} {
			got := r.get(path)
			if got.header.Get("ETag") != "" || got.header.Get("Cache-Control") == test.option && test.option != "" {
				t.Errorf("%s: %d, ETag %q, Cache-Control %q", path, got.status, got.header.Get("ETag"), got.header.Get("Cache-Control"))
			}
		}
	}
}

func TestHEADIsGETWithoutTheBody(t *testing.T) {
	r := newRig(t, server.Options{})
	r.stock("S", 10)
	id := fieldOf(t, r.do("POST", "/v1/reservations", oneLine("S")).body, "id")
	for _, path := range []string{
		"/v1/availability/S/L", "/v1/availability/S", "/v1/stock/S/L", "/v1/reservations/" + id, "/v1/reservations", "/v1/skus",
		"/v1/skus/S", "/v1/locations", "/v1/locations/L", "/v1/availability/none/L", "/v1/nothing", "/v1/locations/L?nonsense=1",
		"/v1/stock/export", "/v1/changes?after=0&wait=0",
	} {
		full := r.get(path)
		s := r.dial()
		s.send("HEAD " + path + " HTTP/1.1\r\nHost: x\r\n\r\n")
		got := s.answer("HEAD")
		if got.status != full.status || got.body != "" {
			t.Errorf("HEAD %s: %d %q, GET: %d", path, got.status, got.body, full.status)
		}
		for _, name := range []string{"Content-Type", "ETag", "Cache-Control"} {
			if got.header.Get(name) != full.header.Get(name) {
				t.Errorf("HEAD %s: %s is %q, with GET %q", path, name, got.header.Get(name), full.header.Get(name))
			}
		}
		s.wantOpen()
	}
	got := r.do("HEAD", "/v1/availability/S/L", "", "If-None-Match", r.tag("/v1/availability/S/L"))
	if got.status != 304 {
		t.Errorf("HEAD of what is unchanged: %d", got.status)
	}
	if got := r.do("HEAD", "/v1/stock/adjustments", ""); got.status != 405 || got.header.Get("Allow") != "POST" {
		t.Errorf("HEAD of what can't be read: %d, Allow %q", got.status, got.header.Get("Allow"))
	}
}

// TestATagIsNeverNewerThanItsAnswer reads a SKU everywhere while adjustments change all of its cells at a time. An answer
// may be older than what came meanwhile, but its tag must then be as old: a cache that asks with a newer one would be told
// that what it has still holds.
func TestATagIsNeverNewerThanItsAnswer(t *testing.T) {
	const places, adjustments = 400, 300
	r := newRig(t, server.Options{})
	all := engine.Adjustment{Reason: "receipt"}
	var named []string
	for i := range places {
		name := fmt.Sprintf("L%d", i)
		if _, err := r.db.PutLocation(engine.Location{ID: name, Kind: engine.Store}, ""); err != nil {
			t.Fatal(err)
		}
		named = append(named, name)
		all.Lines = append(all.Lines, engine.Line{SKU: "S", Location: name, Quantity: 1})
	}
	if _, err := r.db.Adjust(&all); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range adjustments {
			if _, err := r.db.Adjust(&all); err != nil {
				t.Errorf("adjust: %v", err)
				return
			}
		}
	}()
	paths := []string{"/v1/availability/S", "/v1/availability/S?locations=" + strings.Join(named, ",")}
	for i := 0; ; i++ {
		select {
		case <-done:
			return
		default:
		}
		answer, err := http.Get("http://" + r.address + paths[i%2])
		if err != nil {
			t.Fatal(err)
		}
		got, err := readReply(answer)
		if err != nil {
			t.Fatal(err)
		}
		var shown struct {
			Sequence  uint64
			Locations []struct{ Sequence uint64 }
		}
		decodeInto(t, got, http.StatusOK, &shown)
		if want := `W/"` + strconv.FormatUint(shown.Sequence, 36) + `"`; got.header.Get("ETag") != want {
			t.Fatalf("the tag of sequence %d is %s, want %s", shown.Sequence, got.header.Get("ETag"), want)
		}
		for j := range shown.Locations {
			if cell := shown.Locations[j].Sequence; cell < shown.Sequence {
				<-done
				t.Fatalf("an answer with the tag of %d shows a cell as it was at %d", shown.Sequence, cell)
			}
		}
		if len(shown.Locations) != places {
			t.Fatalf("%d locations, want %d", len(shown.Locations), places)
		}
	}
}
