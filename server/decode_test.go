package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"onhand/server"
)

// bodies are the calls that take JSON, with a body that is right but asks for what there is not, or changes nothing of
// note.
var bodies = map[string]struct{ method, path, body string }{
	"query":       {"POST", "/v1/availability/query", `{"cells":[{"sku":"S","location":"L"}]}`},
	"set stock":   {"PUT", "/v1/stock/S/L", `{"on_hand":3,"safety_stock":null,"blocked":false,"reference":"r"}`},
	"adjustment":  {"POST", "/v1/stock/adjustments", `{"lines":[{"sku":"S","location":"L","quantity":1}],"reason":"count","reference":"r"}`},
	"reservation": {"POST", "/v1/reservations", `{"lines":[{"sku":"S","location":"L","quantity":1}],"expires_in":60,"partial":false,"channel":"c","reference":"r"}`},
	"batch":       {"POST", "/v1/reservations/batch", `{"reservations":[{"lines":[{"sku":"S","location":"L","quantity":1}],"expires_in":60}]}`},
	"commit":      {"POST", "/v1/reservations/" + unusedID + "/commit", `{"lines":[{"sku":"S","location":"L","quantity":1}]}`},
	"extend":      {"POST", "/v1/reservations/" + unusedID + "/extend", `{"expires_in":60}`},
	"order":       {"POST", "/v1/orders", `{"lines":[{"sku":"S","location":"L","quantity":1}],"channel":"web","customer":{"email":"e","name":"n"},"id_required":false,"reference":"r"}`},
	"accept":      {"POST", "/v1/orders/" + unusedID + "/accept", `{"by":"b","reason":"r"}`},
	"collect":     {"POST", "/v1/orders/" + unusedID + "/collect", `{"code":"c","id_checked":true,"lines":[{"sku":"S","quantity":1}]}`},
	"return":      {"POST", "/v1/orders/" + unusedID + "/return", `{"lines":[{"sku":"S","quantity":1,"damaged":true}],"location":"L"}`},
	"sku":         {"PUT", "/v1/skus/S", `{"title":"t","unit":"u","gtin":"","default_safety_stock":0,"default_hold":60}`},
	"location":    {"PUT", "/v1/locations/L", `{"name":"n","kind":"store","blocked":false}`},
}

// TestNoBodyIsReadLoosely spoils each body in every way that fits it: all of them must be refused, naming the field, and
// change nothing.
func TestNoBodyIsReadLoosely(t *testing.T) {
	r := newRig(t, server.Options{})
	r.stock("S", 5)
	for name, call := range bodies {
		for what, spoilt := range spoil(t, call.body) {
			before, digest := r.db.Digest()
			got := r.do(call.method, call.path, spoilt.body)
			if name == "batch" && got.status == 200 && strings.HasPrefix(got.body, `{"results":[{"status":400,`) {
				continue // the item is refused, not the batch
			}
			if got.status != 400 {
				t.Errorf("%s with %s: %d %s\n%s", name, what, got.status, got.body, spoilt.body)
				continue
			}
			wantProblem(t, got, 400, "invalid")
			if spoilt.field != "" && fieldOf(t, got.body, "field") != spoilt.field {
				t.Errorf("%s with %s: %s does not name %s", name, what, got.body, spoilt.field)
			}
			if after, changed := r.db.Digest(); after != before || changed != digest {
				t.Errorf("%s with %s changed something", name, what)
			}
		}
	}
}

type spoiltBody struct{ body, field string }

// spoil returns variants of a JSON object that no strict reader takes, by what is wrong with them.
func spoil(t *testing.T, body string) map[string]spoiltBody {
	t.Helper()
	out := map[string]spoiltBody{
		"something behind it":            {body + "x", ""},
		"a second value":                 {body + " {}", ""},
		"a byte order mark":              {"\ufeff" + body, ""},
		"null for the whole":             {"null ", "body"},
		"an array for the whole":         {"[" + body + "]", "body"},
		"a number for the whole":         {"7", "body"},
		"single quotes":                  {strings.ReplaceAll(body, `"`, `'`), ""},
		"a comment":                      {strings.Replace(body, "{", "{/* */", 1), ""},
		"a trailing comma":               {strings.TrimSuffix(body, "}") + ",}", ""},
		"it cut short":                   {body[:len(body)-1], ""},
		"an unknown field":               {strings.Replace(body, "{", `{"nonsense":1,`, 1), "nonsense"},
		"a name in capitals":             {strings.Replace(body, `{"`, `{"X`, 1), ""},
		"an unknown field of 100 levels": {strings.Replace(body, "{", `{"deep":`+strings.Repeat("[", 100)+strings.Repeat("]", 100)+",", 1), "deep"},
	}
	var value map[string]any
	if err := json.Unmarshal([]byte(body), &value); err != nil {
		t.Fatal(err)
	}
	spoilMembers(t, body, "", value, out)
	return out
}

// spoilMembers adds a variant for each member at any depth and each value that it can't have.
func spoilMembers(t *testing.T, body, path string, value map[string]any, out map[string]spoiltBody) {
	t.Helper()
	for name, member := range value {
		field := strings.TrimPrefix(path+"."+name, ".")
		text, err := json.Marshal(member)
		if err != nil {
			t.Fatal(err)
		}
		was := fmt.Sprintf("%q:%s", name, inBody(body, name, string(text)))
		replace := func(what, with string) {
			if !strings.Contains(body, was) {
				t.Fatalf("%s does not contain %s", body, was)
			}
			out[field+": "+what] = spoiltBody{strings.Replace(body, was, with, 1), field}
		}
		replace("twice", was+","+was)
		if member != nil {
			replace("null", fmt.Sprintf("%q:null", name))
		}
		var wrong map[string]string
		switch member := member.(type) {
		case float64:
			wrong = map[string]string{
				"a string": `"1"`, "a fraction": `1.5`, "an exponent": `1e0`, "a whole fraction": `1.0`, "more than 64 bits": `18446744073709551616000`,
				"an object": `{}`, "an array": `[1]`, "true": `true`,
			}
		case string:
			wrong = map[string]string{"a number": `1`, "an array": `["x"]`, "true": `true`, "a lone surrogate": `"\ud800"`, "no UTF-8": "\"\xff\"", "a raw line break": "\"a\nb\""}
		case bool:
			wrong = map[string]string{"a number": `1`, "a string": `"true"`}
		case nil:
			wrong = map[string]string{"a string": `"1"`, "true": `true`}
		case []any:
			wrong = map[string]string{"a number": `1`, "an object": `{}`, "a string": `"x"`, "empty": `[]`}
			if item, ok := member[0].(map[string]any); ok {
				spoilMembers(t, body, field+"[0]", item, out)
			}
		}
		for what, with := range wrong {
			replace(what, fmt.Sprintf("%q:%s", name, with))
		}
	}
}

// inBody returns a member's value as the body writes it: arrays of objects keep the order of their members there.
func inBody(body, name, text string) string {
	if !strings.HasPrefix(text, "[") {
		return text
	}
	_, rest, _ := strings.Cut(body, fmt.Sprintf("%q:", name))
	depth := 0
	for i, c := range rest {
		switch c {
		case '[':
			depth++
		case ']':
			if depth--; depth == 0 {
				return rest[:i+1]
			}
		}
	}
	return rest
}

// TestLimitsAreNamed sends what is of the right type and out of range.
func TestLimitsAreNamed(t *testing.T) {
	r := newRig(t, server.Options{})
	r.stock("S", 5)
	line := func(quantity string) string {
		return `{"lines":[{"sku":"S","location":"L","quantity":` + quantity + `}]`
	}
	many := func(n int, item string) string {
		return "[" + strings.TrimSuffix(strings.Repeat(item+",", n), ",") + "]"
	}
	oneOf := `{"sku":"S","location":"L","quantity":1}`
	for _, test := range []struct{ call, body, field, allowed string }{
		{"set stock", `{"on_hand":1000000000001}`, "on_hand", "1000000000000"},
		{"set stock", `{"on_hand":-1000000000001}`, "on_hand", "1000000000000"},
		{"set stock", `{"safety_stock":2000000001}`, "safety_stock", "2000000000"},
		{"set stock", `{"on_hand":1,"reference":"` + strings.Repeat("x", 129) + `"}`, "reference", "128"},
		{"set stock", `{"on_hand":1,"if_sequence":-1}`, "if_sequence", "0 or more"},
		{"set stock", `{}`, "", ""},
		{"adjustment", line("0") + `,"reason":"sale"}`, "lines[0].quantity", "not 0"},
		{"adjustment", line("1") + `,"reason":"whim"}`, "reason", "sale"},
		{"adjustment", line("1") + `}`, "reason", "sale"},
		{"adjustment", `{"lines":` + many(2001, oneOf) + `,"reason":"sale"}`, "lines", "2000"},
		{"reservation", line("0") + `}`, "lines[0].quantity", "1 to 2147483647"},
		{"reservation", line("-1") + `}`, "lines[0].quantity", "1 to 2147483647"},
		{"reservation", line("2147483648") + `}`, "lines[0].quantity", "1 to 2147483647"},
		{"reservation", `{"lines":[{"sku":"S","location":"L"}]}`, "lines[0].quantity", "1 to 2147483647"},
		{"reservation", `{"lines":[{"location":"L","quantity":1}]}`, "lines[0].sku", "64"},
		{"reservation", `{"lines":[{"sku":"` + strings.Repeat("x", 65) + `","location":"L","quantity":1}]}`, "lines[0].sku", "64"},
		{"reservation", `{"lines":` + many(2001, oneOf) + `}`, "lines", "2000"},
		{"reservation", `{}`, "lines", "2000"},
		{"reservation", line("1") + `,"expires_in":0}`, "expires_in", "2678400"},
		{"reservation", line("1") + `,"expires_in":2678401}`, "expires_in", "2678400"},
		{"reservation", line("1") + `,"expires_at":"2020-01-01T00:00:00Z"}`, "expires_at", "from now"},
		{"reservation", line("1") + `,"expires_at":"tomorrow"}`, "expires_at", "RFC 3339"},
		{"reservation", line("1") + `,"expires_in":60,"expires_at":"2030-01-01T00:00:00Z"}`, "expires_at", "only one"},
		{"reservation", line("1") + `,"id":"7"}`, "id", "UUID"},
		// What stands for nothing in some language must not be taken for what was left out.
		{"reservation", line("1") + `,"id":""}`, "id", "UUID"},
		{"reservation", line("1") + `,"id":"00000000-0000-0000-0000-000000000000"}`, "id", "UUID"},
		{"reservation", line("1") + `,"expires_at":"0001-01-01T00:00:00Z"}`, "expires_at", "from now"},
		{"reservation", line("1") + `,"expires_at":""}`, "expires_at", "RFC 3339"},
		{"reservation", line("1") + `,"expires_in":60,"expires_at":"0001-01-01T00:00:00Z"}`, "expires_at", "from now"},
		{"extend", `{"expires_in":60,"expires_at":"0001-01-01T00:00:00Z"}`, "expires_at", "from now"},
		{"extend", `{"expires_in":60,"expires_at":"2030-01-01T00:00:00Z"}`, "expires_in", "exactly one"},
		{"extend", `{"expires_at":"0001-01-01T00:00:00Z"}`, "expires_at", "from now"},
		{"location", `{"kind":""}`, "kind", "warehouse"},
		{"adjustment", line("1") + `,"reason":""}`, "reason", "sale"},
		{"set stock", `{"on_hand":1,"if_sequence":18446744073709551616}`, "if_sequence", "0 or more"},
		{"set stock", `{"on_hand":9223372036854775808}`, "on_hand", "64 bits"},
		{"set stock", `{"on_hand":-9223372036854775809}`, "on_hand", "64 bits"},
		{"adjustment", line("9223372036854775807") + `,"reason":"sale"}`, "lines[0].quantity", "1000000000000"},
		{"query", `{"cells":[{"sku":"S","location":"L"},{"sku":"S"}]}`, "cells[1].location", "64"},
		{"query", `{"cells":[{"sku":"S","location":"L"},{"sku":"a\u0000","location":"L"}]}`, "cells[1].sku", "control"},
		{"commit", `{"lines":[{"sku":"S","location":"L","quantity":1},{"sku":"S","location":"` + strings.Repeat("x", 65) + `"}]}`, "lines[1].location", "64"},
		{"reservation", line("1") + `,"channel":"` + strings.Repeat("x", 33) + `"}`, "channel", "32"},
		{"batch", `{"reservations":` + many(1001, line("1")+"}") + `}`, "reservations", "1000"},
		{"extend", `{}`, "expires_in", "exactly one"},
		{"sku", `{"gtin":"4006381333932"}`, "gtin", ""},
		{"sku", `{"gtin":"123"}`, "gtin", ""},
		{"sku", `{"default_hold":2678401}`, "default_hold", "2678400"},
		{"sku", `{"title":"` + strings.Repeat("x", 257) + `"}`, "title", "256"},
		{"location", `{"kind":"castle"}`, "kind", "warehouse"},
		{"location", `{"name":"a\u0007b"}`, "name", ""},
		{"query", `{"cells":` + many(10_001, `{"sku":"S","location":"L"}`) + `}`, "cells", "10000"},
	} {
		call := bodies[test.call]
		got := r.do(call.method, call.path, test.body)
		if got.status != 400 {
			t.Errorf("%s %.100s: %d %s", test.call, test.body, got.status, got.body)
			continue
		}
		wantProblem(t, got, 400, "invalid")
		if test.field != "" && (fieldOf(t, got.body, "field") != test.field || !strings.Contains(fieldOf(t, got.body, "allowed"), test.allowed)) {
			t.Errorf("%s %.100s: %s, want %s and %q", test.call, test.body, got.body, test.field, test.allowed)
		}
	}
}

func TestAFieldIsNamedByItsWholePath(t *testing.T) {
	r := newRig(t, server.Options{})
	lines := func(third string) string {
		const fine = `{"sku":"S","location":"L","quantity":1},`
		return `"lines":[` + fine + fine + fine + third + `]`
	}
	for _, test := range []struct{ call, body, field, value string }{
		{"reservation", `{` + lines(`{"sku":"S","location":"L","quantity":1.5}`) + `}`, "lines[3].quantity", "1.5"},
		{"reservation", `{` + lines(`{"sku":"S","location":"L","quantity":1e2}`) + `}`, "lines[3].quantity", "1e2"},
		{"reservation", `{` + lines(`{"sku":"S","location":"L","quantity":-0.0}`) + `}`, "lines[3].quantity", "-0.0"},
		{"reservation", `{` + lines(`{"sku":"S","location":"L","quantity":"2"}`) + `}`, "lines[3].quantity", "string"},
		{"reservation", `{` + lines(`{"sku":"S","location":"L","quantity":1,"color":2}`) + `}`, "lines[3].color", "unknown"},
		{"reservation", `{` + lines(`{"sku":"S","sku":"T","location":"L","quantity":1}`) + `}`, "lines[3].sku", "twice"},
		{"reservation", `{` + lines(`{"sku":"S","\u0073ku":"T","location":"L","quantity":1}`) + `}`, "lines[3].sku", "twice"},
		{"reservation", `{` + lines(`{"SKU":"S","location":"L","quantity":1}`) + `}`, "lines[3].SKU", "unknown"},
		{"reservation", `{` + lines(`{"sku":["S"],"location":"L","quantity":1}`) + `}`, "lines[3].sku", "array"},
		{"reservation", `{` + lines(`7`) + `}`, "lines[3]", "number"},
		{"reservation", `{` + lines(`null`) + `}`, "lines[3]", "null"},
		{"reservation", `{` + lines(`[]`) + `}`, "lines[3]", "array"},
		{"batch", `{"reservations":[{` + lines(`{"sku":"S","location":"L","quantity":true}`) + `}]}`, "reservations[0].lines[3].quantity", "true"},
		{"batch", `{"reservations":[{},{"nonsense":{}}]}`, "reservations[1].nonsense", "unknown"},
	} {
		call := bodies[test.call]
		got := r.do(call.method, call.path, test.body)
		wantField(t, got, test.field)
		if value := fieldOf(t, got.body, "value"); !strings.Contains(value, test.value) {
			t.Errorf("%s: the value is told as %q, want %q", test.body, value, test.value)
		}
	}
}

func TestABodyIsJSONByItsType(t *testing.T) {
	r := newRig(t, server.Options{})
	r.stock("S", 5)
	for media, fine := range map[string]bool{
		"": true, "application/json": true, "application/json; charset=utf-8": true, "Application/JSON": true, "text/json": true,
		" application/json ;charset=utf-8": true, "application/x-www-form-urlencoded": true, // as curl -d sends it
		"text/plain": false, "application/jsonx": false, "application/json-patch+json": false, "application/xml": false,
		"multipart/form-data; boundary=x": false, "application": false, "*/*": false, "application/x-ndjson": false,
	} {
		for name, call := range bodies {
			s := r.dial()
			s.send(fmt.Sprintf("%s %s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", call.method, call.path, media, len(call.body), call.body))
			got := s.answer(call.method)
			if (got.status == 415) == fine {
				t.Errorf("%s as %q: %d %s", name, media, got.status, got.body)
			}
			if !fine {
				if detail := wantProblem(t, got, 415, "media-type"); !strings.Contains(detail, "application/json") {
					t.Errorf("%s as %q: %s does not say what is wanted", name, media, detail)
				}
			}
		}
	}
	for name, call := range bodies {
		if slices.Contains([]string{"commit", "accept", "collect", "return"}, name) {
			continue // a body may be left out, or what is in it is looked at by the engine
		}
		for _, body := range []string{"", " ", "\r\n\t"} {
			wantField(t, r.do(call.method, call.path, body), "body")
		}
	}
}

// TestABadBodyGetsAShortAnswer sends what is far too long or too deep: it is refused by name, and not sent back.
func TestABadBodyGetsAShortAnswer(t *testing.T) {
	r := newRig(t, server.Options{})
	const n = 1 << 20
	long, before := strings.Repeat("x", n), r.db.Durable()
	for what, value := range map[string]string{
		"a string": `"` + long + `"`, "a number": strings.Repeat("7", n), "a fraction": "0." + strings.Repeat("7", n),
		"arrays": strings.Repeat("[", n) + strings.Repeat("]", n), "objects": strings.Repeat(`{"a":`, n/8) + "1" + strings.Repeat("}", n/8),
		"open arrays": strings.Repeat("[", n), "escapes": `"` + strings.Repeat(`\u00e9`, n/8) + `"`, "an object of one name": `{"` + long + `":1}`,
	} {
		for name, call := range bodies {
			for _, body := range []string{
				value, `{"lines":` + value + `}`, `{"lines":[{"sku":` + value + `}]}`, `{"reference":` + value + `}`, `{"on_hand":` + value + `}`,
				`{"title":` + value + `}`, `{"name":` + value + `}`, `{"expires_in":` + value + `}`, `{"` + long + `":` + value[:1] + `}`,
			} {
				got, err := r.tryPlain(call.method, call.path, body)
				if err != nil {
					t.Fatal(err)
				}
				if got.status != 400 || len(got.body) > 1000 {
					t.Errorf("%s with %s of %.20s…: %d, %d bytes: %.300s", name, what, body, got.status, len(got.body), got.body)
				}
			}
		}
	}
	if after := r.db.Durable(); after != before {
		t.Error("a body that is refused changed something")
	}
}

// tryPlain is try without the contract, which has no patience with a megabyte of brackets.
func (r *rig) tryPlain(method, path, body string) (reply, error) {
	request, err := http.NewRequest(method, "http://"+r.address+path, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	answer, err := r.client.Transport.(*held).next.RoundTrip(request)
	if err != nil {
		return reply{}, err
	}
	return readReply(answer)
}

// FuzzBodies sends any bytes to each call that takes JSON: whatever they are, the answer is one that the document
// describes, and the server lives on.
func FuzzBodies(f *testing.F) {
	for name, call := range bodies {
		f.Add(name, call.body)
	}
	f.Add("reservation", `{"lines":[{"sku":"\u0000","location":"L","quantity":-0}],"expires_at":"0000-01-01T00:00:00Z"}`)
	f.Add("set stock", `{"on_hand":-0,"safety_stock":9223372036854775807}`)
	r := newRig(f, server.Options{BodyBytesMax: 1 << 16})
	r.stock("S", 5)
	f.Fuzz(func(t *testing.T, name, body string) {
		call, ok := bodies[name]
		if !ok || body == "" {
			return
		}
		r.client.Transport.(*held).t = t // who holds it to the contract now
		got, err := r.try(call.method, call.path, body)
		if err != nil {
			t.Fatal(err)
		}
		if got.status >= 500 {
			t.Fatalf("%s: %d %s", body, got.status, got.body)
		}
		if got.status < 400 && !json.Valid([]byte(body)) {
			t.Fatalf("%q was taken", body)
		}
	})
}
