package server_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"onhand/server"
)

var noExpiry time.Time

const shop = "https://shop.example"

func preflight(r *rig, origin string) reply {
	return r.do("OPTIONS", "/v1/reservations", "", "Origin", origin, "Access-Control-Request-Method", "POST",
		"Access-Control-Request-Headers", "content-type, idempotency-key")
}

func TestScriptsOfOtherOriginsAreNotLetInUnlessConfigured(t *testing.T) {
	r := newRig(t, server.Options{})
	wantProblem(t, preflight(r, shop), http.StatusMethodNotAllowed, "method-not-allowed")
	for name := range r.get("/v1/locations/L", "Origin", shop).header {
		if strings.HasPrefix(name, "Access-Control-") {
			t.Errorf("there is a header %s", name)
		}
	}
}

func TestScriptsOfConfiguredOriginsAreLetIn(t *testing.T) {
	r := newRig(t, server.Options{Origins: []string{shop}})
	got := preflight(r, shop)
	if got.status != http.StatusNoContent || got.header.Get("Access-Control-Allow-Origin") != shop ||
		!strings.Contains(got.header.Get("Access-Control-Allow-Methods"), "POST") ||
		!strings.Contains(strings.ToLower(got.header.Get("Access-Control-Allow-Headers")), "idempotency-key") {
		t.Errorf("the preflight is answered with %d %v", got.status, got.header)
	}
	for _, path := range []string{"/v1/locations/L", "/v1/locations/nowhere", "/nothing", "/v1/stock/export"} {
		got := r.get(path, "Origin", shop)
		if got.header.Get("Access-Control-Allow-Origin") != shop || !slices.Contains(varies(got), "origin") {
			t.Errorf("%s: %v", path, got.header)
		}
	}
	if export := r.get("/v1/stock/export", "Origin", shop, "Accept-Encoding", "identity"); !slices.Contains(varies(export), "accept-encoding") {
		t.Errorf("an export varies by %v", varies(export))
	}
	for _, origin := range []string{"https://evil.example", "http://shop.example", "https://shop.example.evil.example", "null"} {
		if got := r.get("/v1/locations/L", "Origin", origin); got.header.Get("Access-Control-Allow-Origin") != "" || !slices.Contains(varies(got), "origin") {
			t.Errorf("%s: %v", origin, got.header)
		}
		if got := preflight(r, origin); got.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("the preflight of %s is answered with %v", origin, got.header)
		}
	}
}

func varies(got reply) (names []string) {
	for _, value := range got.header.Values("Vary") {
		for name := range strings.SplitSeq(value, ",") {
			names = append(names, strings.ToLower(strings.TrimSpace(name)))
		}
	}
	return names
}

// A preflight request carries no key, as browsers don't send one with it.
func TestAPreflightNeedsNoKey(t *testing.T) {
	keys := newKeyFile(t)
	r := newRig(t, server.Options{Keys: keys.Keys, Origins: []string{"*"}})
	keys.create(noExpiry, "read")
	if got := preflight(r, shop); got.status != http.StatusNoContent || got.header.Get("Access-Control-Allow-Origin") != shop {
		t.Errorf("the preflight is answered with %d %v", got.status, got.header)
	}
	got := r.get("/v1/locations/L", "Origin", shop)
	wantProblem(t, got, http.StatusUnauthorized, "unauthorized")
	if got.header.Get("Access-Control-Allow-Origin") != shop {
		t.Error("the script can't read why it was refused")
	}
}
