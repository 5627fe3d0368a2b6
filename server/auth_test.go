package server_test

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"onhand/server"
)

// keyFile is a file of API keys and the server's view of it.
type keyFile struct {
	path string
	*server.Keys
	t *testing.T
}

func newKeyFile(t *testing.T) *keyFile {
	t.Helper()
	f := &keyFile{path: filepath.Join(t.TempDir(), "KEYS"), t: t}
	keys, err := server.LoadKeys(f.path)
	if err != nil {
		t.Fatal(err)
	}
	f.Keys = keys
	return f
}

func (f *keyFile) reload() {
	f.t.Helper()
	if err := f.Reload(); err != nil {
		f.t.Fatal(err)
	}
}

// create adds a key and returns what its bearer sends, and its id.
func (f *keyFile) create(expires time.Time, scopes ...string) (bearer, id string) {
	f.t.Helper()
	bearer, key, err := server.CreateKey(f.path, "test", scopes, expires)
	if err != nil {
		f.t.Fatal(err)
	}
	f.reload()
	return bearer, key.ID
}

// newKeyedRig returns a server that asks for keys, with L known and some stock of S.
func newKeyedRig(t *testing.T) (*rig, *keyFile) {
	t.Helper()
	keys := newKeyFile(t)
	r := newRig(t, server.Options{Keys: keys.Keys}) // open until the first key is made, so that it can set up L
	r.stock("S", 1000)
	return r, keys
}

func TestAScopeOpensItsCallsAndNoOthers(t *testing.T) {
	r, keys := newKeyedRig(t)
	bearers := make(map[string]string)
	for _, scope := range []string{"read", "reserve", "stock", "admin"} {
		bearers[scope], _ = keys.create(time.Time{}, scope)
	}
	both, _ := keys.create(time.Time{}, "read", "reserve")
	for _, call := range []struct{ scope, method, path, body string }{
		{"read", "GET", "/v1/availability/S/L", ""},
		{"read", "GET", "/v1/availability/S", ""},
		{"read", "POST", "/v1/availability/query", `{"cells":[{"sku":"S","location":"L"}]}`},
		{"read", "GET", "/v1/stock/S/L", ""},
		{"read", "GET", "/v1/stock/export", ""},
		{"read", "GET", "/v1/reservations", ""},
		{"read", "GET", "/v1/skus", ""},
		{"read", "GET", "/v1/locations", ""},
		{"read", "GET", "/v1/changes?after=0&wait=0", ""},
		{"reserve", "POST", "/v1/reservations", oneLine("S")},
		{"reserve", "POST", "/v1/reservations/batch", `{"reservations":[` + oneLine("S") + `]}`},
		{"reserve", "POST", "/v1/reservations/01932d6e-8c5a-7b1e-9d4f-2a6b8c0e1f35/commit", ""},
		{"reserve", "POST", "/v1/reservations/01932d6e-8c5a-7b1e-9d4f-2a6b8c0e1f35/release", ""},
		{"reserve", "POST", "/v1/reservations/01932d6e-8c5a-7b1e-9d4f-2a6b8c0e1f35/extend", `{"expires_in":60}`},
		{"reserve", "POST", "/v1/orders", oneLine("S")},
		{"read", "GET", "/v1/orders", ""},
		{"read", "GET", "/v1/orders/picklist?location=L", ""},
		{"read", "GET", "/v1/orders/counts?location=L", ""},
		{"read", "GET", "/v1/orders/" + unusedID, ""},
		{"reserve", "GET", "/v1/orders/" + unusedID + "/secrets", ""},
		{"reserve", "POST", "/v1/orders/" + unusedID + "/cancel", ""},
		{"reserve", "POST", "/v1/orders/" + unusedID + "/pay", ""},
		{"reserve", "POST", "/v1/orders/" + unusedID + "/refund", ""},
		{"reserve", "POST", "/v1/orders/" + unusedID + "/extend", ""},
		{"reserve", "POST", "/v1/orders/" + unusedID + "/arrive", ""},
		{"stock", "POST", "/v1/orders/" + unusedID + "/accept", ""},
		{"stock", "POST", "/v1/orders/" + unusedID + "/pick", ""},
		{"stock", "POST", "/v1/orders/" + unusedID + "/ready", ""},
		{"stock", "POST", "/v1/orders/" + unusedID + "/collect", `{"code":"x"}`},
		{"stock", "POST", "/v1/orders/" + unusedID + "/short", `{"lines":[{"sku":"S","quantity":1}]}`},
		{"stock", "POST", "/v1/orders/" + unusedID + "/dispatch", ""},
		{"stock", "POST", "/v1/orders/" + unusedID + "/receive", ""},
		{"stock", "POST", "/v1/orders/" + unusedID + "/deliver", ""},
		{"stock", "POST", "/v1/orders/" + unusedID + "/return", `{"lines":[{"sku":"S","quantity":1}]}`},
		{"admin", "POST", "/v1/orders/" + unusedID + "/erase", ""},
		{"stock", "PUT", "/v1/stock/S/L", `{"safety_stock":0}`},
		{"stock", "POST", "/v1/stock/adjustments", adjustByOne},
		{"stock", "POST", "/v1/stock/import", "sku,location,on_hand\nT,L,1\n"},
		{"stock", "PUT", "/v1/skus/T", `{"title":"a thing"}`},
		{"stock", "PUT", "/v1/locations/M", `{}`},
		{"stock", "DELETE", "/v1/locations/M", ""},
		{"admin", "GET", "/v1/backup", ""},
	} {
		got := r.do(call.method, call.path, call.body)
		wantProblem(t, got, http.StatusUnauthorized, "unauthorized")
		for scope, bearer := range bearers {
			got := r.do(call.method, call.path, call.body, "Authorization", "Bearer "+bearer)
			if scope == call.scope || scope == "admin" {
				if got.status == http.StatusUnauthorized || got.status == http.StatusForbidden {
					t.Errorf("scope %s: %s %s: %d %s", scope, call.method, call.path, got.status, got.body)
				}
				continue
			}
			if detail := wantProblem(t, got, http.StatusForbidden, "forbidden"); !strings.Contains(detail, "scope "+call.scope) {
				t.Errorf("%s %s: the detail %q does not name the scope that is lacking", call.method, call.path, detail)
			}
		}
		got = r.do(call.method, call.path, call.body, "Authorization", "Bearer "+both)
		if allowed := call.scope == "read" || call.scope == "reserve"; allowed == (got.status == http.StatusForbidden) {
			t.Errorf("scopes read and reserve: %s %s: %d %s", call.method, call.path, got.status, got.body)
		}
	}
}

func TestAWrongKeyIsNotLetIn(t *testing.T) {
	r, keys := newKeyedRig(t)
	good, id := keys.create(time.Time{}, "admin")
	expired, _ := keys.create(time.Now().Add(-time.Second), "admin")
	future, _ := keys.create(time.Now().Add(time.Hour), "admin")
	secret := strings.TrimPrefix(good, "ohk_"+id+"_")
	for name, header := range map[string]string{
		"nothing":                "",
		"the scheme alone":       "Bearer",
		"the scheme and a blank": "Bearer ",
		"another scheme":         "Basic " + good,
		"no scheme":              good,
		"no prefix":              "Bearer " + id + "_" + secret,
		"no secret":              "Bearer ohk_" + id,
		"an empty secret":        "Bearer ohk_" + id + "_",
		"a shorter secret":       "Bearer " + good[:len(good)-1],
		"a longer secret":        "Bearer " + good + "A",
		"another secret":         "Bearer ohk_" + id + "_" + strings.Repeat("A", len(secret)),
		"another id":             "Bearer ohk_000000000000_" + secret,
		"an expired key":         "Bearer " + expired,
		"the hash":               "Bearer ohk_" + id + "_" + storedKeys(t, keys.path)[0].Hash,
	} {
		var headers []string
		if header != "" {
			headers = []string{"Authorization", header}
		}
		got := r.get("/v1/locations/L", headers...)
		wantProblem(t, got, http.StatusUnauthorized, "unauthorized")
		if challenge := got.header.Get("WWW-Authenticate"); challenge != "Bearer" {
			t.Errorf("%s: WWW-Authenticate is %q", name, challenge)
		}
		if strings.Contains(got.body, secret) {
			t.Errorf("%s: the answer repeats the secret", name)
		}
	}
	for _, header := range []string{"Bearer " + good, "bearer " + good, "BEARER " + good, "Bearer " + future} {
		if got := r.get("/v1/locations/L", "Authorization", header); got.status != http.StatusOK {
			t.Errorf("%.10s…: %d %s", header, got.status, got.body)
		}
	}
}

func storedKeys(t *testing.T, path string) []server.Key {
	t.Helper()
	keys, err := server.ListKeys(path)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestTheKeyFileHoldsNoSecretAndIsForItsOwnerOnly(t *testing.T) {
	keys := newKeyFile(t)
	bearer, id := keys.create(time.Time{}, "read")
	text, err := os.ReadFile(keys.path)
	if err != nil {
		t.Fatal(err)
	}
	secret := strings.TrimPrefix(bearer, "ohk_"+id+"_")
	if secret == bearer || len(secret) < 43 {
		t.Fatalf("the secret is %q, want 256 bits", secret)
	}
	if strings.Contains(string(text), secret) {
		t.Error("the secret is in the file")
	}
	info, err := os.Stat(keys.path)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o600 {
		t.Errorf("the file's mode is %o, want 600", mode)
	}
	left, err := filepath.Glob(keys.path + ".*")
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
}

func TestKeysComeAndGoWhileServing(t *testing.T) {
	r, keys := newKeyedRig(t)
	status := func(bearer string) int {
		return r.get("/v1/locations/L", "Authorization", "Bearer "+bearer).status
	}
	first, firstID := keys.create(time.Time{}, "read")
	second, secondID := keys.create(time.Time{}, "read")
	if status(first) != http.StatusOK || status(second) != http.StatusOK {
		t.Fatal("new keys are not let in")
	}
	if err := server.RevokeKey(keys.path, firstID); err != nil {
		t.Fatal(err)
	}
	keys.reload()
	if status(first) != http.StatusUnauthorized || status(second) != http.StatusOK {
		t.Error("revoking one key is not what happened")
	}
	// With a file that makes no sense the keys known before stay.
	good, err := os.ReadFile(keys.path)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"no JSON":          "[{",
		"an unknown scope": `[{"id":"a","scopes":["everything"],"hash":"` + strings.Repeat("00", 32) + `"}]`,
		"a short hash":     `[{"id":"a","scopes":["read"],"hash":"00"}]`,
		"a long hash":      `[{"id":"a","scopes":["read"],"hash":"` + strings.Repeat("00", 40) + `"}]`,
		"no hash":          `[{"id":"a","scopes":["read"]}]`,
		"no hexadecimal":   `[{"id":"a","scopes":["read"],"hash":"` + strings.Repeat("zz", 32) + `"}]`,
	} {
		if err := os.WriteFile(keys.path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := keys.Reload(); err == nil || !strings.Contains(err.Error(), keys.path) {
			t.Errorf("%s: the error is %v, want one that names the file", name, err)
		}
		if status(second) != http.StatusOK {
			t.Errorf("%s: the key known before is not let in any more", name)
		}
	}
	if err := os.WriteFile(keys.path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	keys.reload()
	// With the last key gone nobody is let in. A server without keys lets everybody in, and this must not become one.
	if err := server.RevokeKey(keys.path, secondID); err != nil {
		t.Fatal(err)
	}
	keys.reload()
	if status(second) != http.StatusUnauthorized || r.get("/v1/locations/L").status != http.StatusUnauthorized {
		t.Error("with the last key revoked the server is open")
	}
	if err := os.Remove(keys.path); err != nil {
		t.Fatal(err)
	}
	keys.reload()
	if r.get("/v1/locations/L").status != http.StatusUnauthorized {
		t.Error("with the file of keys removed the server is open")
	}
}

// Two systems may use the same idempotency keys; neither must be given the other's answer.
func TestIdempotencyKeysBelongToWhoSendsThem(t *testing.T) {
	r, keys := newKeyedRig(t)
	till, _ := keys.create(time.Time{}, "reserve")
	shop, _ := keys.create(time.Time{}, "reserve")
	id := func(bearer string) string {
		var got struct{ ID string }
		decodeInto(t, r.do("POST", "/v1/reservations", oneLine("S"), "Authorization", "Bearer "+bearer, "Idempotency-Key", "order-1"), http.StatusCreated, &got)
		return got.ID
	}
	first := id(till)
	if again := id(till); again != first {
		t.Errorf("a retry made reservation %s beside %s", again, first)
	}
	if other := id(shop); other == first {
		t.Error("one system was given another's reservation")
	}
}

func TestAServerWithoutKeysListensOnLoopbackOnly(t *testing.T) {
	e := newRig(t, server.Options{}).db.Engine
	outside := func(o server.Options) error {
		t.Helper()
		srv, err := server.New(e, server.NewMetrics("test"), o)
		if err != nil {
			t.Fatal(err)
		}
		ln, err := net.Listen("tcp", "0.0.0.0:0")
		if err != nil {
			t.Fatal(err)
		}
		_ = ln.Close() // so that Serve returns in any case
		return srv.Serve(ln)
	}
	if err := outside(server.Options{}); err == nil || !strings.Contains(err.Error(), "API key") {
		t.Errorf("without keys: %v, want a refusal that says what to do", err)
	}
	empty := newKeyFile(t)
	if err := outside(server.Options{Keys: empty.Keys}); err == nil {
		t.Error("with an empty file of keys it listens beyond loopback")
	}
	if err := outside(server.Options{Open: true}); err != nil {
		t.Errorf("told to be open: %v", err)
	}
	empty.create(time.Time{}, "read")
	if err := outside(server.Options{Keys: empty.Keys}); err != nil {
		t.Errorf("with a key: %v", err)
	}
	for address, want := range map[string]bool{
		"127.0.0.1:80": true, "127.8.8.8:80": true, "[::1]:80": true, "localhost:80": true,
		"0.0.0.0:80": false, "[::]:80": false, ":80": false, "192.168.0.1:80": false, "example.com:80": false, "127.0.0.1": false,
	} {
		if server.IsLoopback(address) != want {
			t.Errorf("IsLoopback(%s) is %v", address, !want)
		}
	}
}

func TestKeysAreMadeWithinTheirRules(t *testing.T) {
	path := filepath.Join(t.TempDir(), "KEYS")
	for _, bad := range []struct {
		name   string
		scopes []string
	}{{"", []string{"read"}}, {strings.Repeat("n", 65), []string{"read"}}, {"n", []string{"write"}}} {
		if _, _, err := server.CreateKey(path, bad.name, bad.scopes, time.Time{}); err == nil {
			t.Errorf("a key named %q with scopes %v was made", bad.name, bad.scopes)
		}
	}
	if err := server.RevokeKey(path, "0"); err == nil {
		t.Error("a key of a file that is not there was revoked")
	}
	_, key, err := server.CreateKey(path, "shop", []string{"read", "reserve"}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.RevokeKey(path, "0"); err == nil {
		t.Error("a key that is not there was revoked")
	}
	want, _ := json.Marshal([]server.Key{key})
	if got, _ := json.Marshal(storedKeys(t, path)); string(got) != string(want) {
		t.Errorf("the file holds %s, want %s", got, want)
	}
}
