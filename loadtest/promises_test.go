package loadtest_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"onhand/loadtest"
)

var expiresAt = regexp.MustCompile(`"expires_at":"([^"]+)"`)

// later puts off the deadlines that a server tells.
func later(t *testing.T, body []byte, by time.Duration) []byte {
	return expiresAt.ReplaceAllFunc(body, func(found []byte) []byte {
		at, err := time.Parse(time.RFC3339Nano, string(expiresAt.FindSubmatch(found)[1]))
		if err != nil {
			t.Error(err)
		}
		return []byte(`"expires_at":"` + at.Add(by).Format(time.RFC3339Nano) + `"`)
	})
}

// A hold that ends before its time is a broken promise, whether the server then owns up to an earlier deadline or tells the
// promised one to the last, and so is one that is released by nobody.
func TestAHoldThatEndsTooSoonIsFoundOut(t *testing.T) {
	t.Parallel()
	to := serve(t)
	const sooner = 6 * time.Second
	answer := func(w http.ResponseWriter, status int, body []byte) bool {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write(body)
		return true
	}
	reserve := func(t *testing.T, w http.ResponseWriter, r *http.Request, body []byte) bool {
		if r.Method != http.MethodPost || r.URL.Path != "/v1/reservations" {
			return false
		}
		response, err := http.Post(to+r.URL.Path, "application/json", bytes.NewReader(bytes.Replace(body, []byte(`"expires_in":7`), []byte(`"expires_in":1`), 1)))
		if err != nil {
			t.Error(err)
			return false
		}
		defer response.Body.Close()
		said, err := io.ReadAll(response.Body)
		if err != nil {
			t.Error(err)
		}
		return answer(w, response.StatusCode, later(t, said, sooner))
	}
	for name, lie := range map[string]struct {
		says   string
		meddle func(t *testing.T, w http.ResponseWriter, r *http.Request, body []byte, pass func() *httptest.ResponseRecorder) bool
	}{
		"an earlier deadline is admitted": {"before the one that was promised", func(t *testing.T, w http.ResponseWriter, r *http.Request, body []byte, _ func() *httptest.ResponseRecorder) bool {
			return reserve(t, w, r, body)
		}},
		"the deadline is told as promised": {"was said to have expired", func(t *testing.T, w http.ResponseWriter, r *http.Request, body []byte, pass func() *httptest.ResponseRecorder) bool {
			if r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/v1/reservations/") {
				rec := pass()
				return answer(w, rec.Code, later(t, rec.Body.Bytes(), sooner))
			}
			return reserve(t, w, r, body)
		}},
		"the commit has no answer": {"is expired,", func(t *testing.T, w http.ResponseWriter, r *http.Request, _ []byte, pass func() *httptest.ResponseRecorder) bool {
			if strings.HasSuffix(r.URL.Path, "/commit") {
				pass()
				conn, _, err := w.(http.Hijacker).Hijack()
				if err == nil {
					_ = conn.Close()
				}
				return true
			}
			if r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/v1/reservations/") {
				rec := pass()
				return answer(w, rec.Code, later(t, rec.Body.Bytes(), time.Hour+sooner))
			}
			if r.Method == http.MethodPost && r.URL.Path == "/v1/reservations" {
				rec := pass()
				return answer(w, rec.Code, later(t, rec.Body.Bytes(), time.Hour+sooner))
			}
			return false
		}},
		"it is released before it is to be": {"is released, and should be", func(_ *testing.T, _ http.ResponseWriter, r *http.Request, _ []byte, _ func() *httptest.ResponseRecorder) bool {
			if strings.HasSuffix(r.URL.Path, "/release") {
				response, err := http.Post(to+r.URL.Path, "application/json", nil)
				if err == nil {
					_ = response.Body.Close()
				}
			}
			return false
		}},
		"it is released by nobody": {"is released, and should be", func(_ *testing.T, _ http.ResponseWriter, r *http.Request, _ []byte, _ func() *httptest.ResponseRecorder) bool {
			if path, ok := strings.CutSuffix(r.URL.Path, "/commit"); ok {
				response, err := http.Post(to+path+"/release", "application/json", nil)
				if err == nil {
					_ = response.Body.Close()
				}
			}
			return false
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := config(between(t, to, func(w http.ResponseWriter, r *http.Request, body []byte, pass func() *httptest.ResponseRecorder) bool {
				return lie.meddle(t, w, r, body, pass)
			}), loadtest.Reserve)
			c.Rate, c.Commit, c.Release, c.Think, c.Hold, c.Keep = 100, 1, 0, 2500*time.Millisecond, 7*time.Second, true
			switch name {
			case "the commit has no answer":
				c.Hold = time.Second
			case "it is released before it is to be":
				c.Commit, c.Release = 0, 1
			}
			r := run(t, c)
			v := r.Verified
			if v.ViolationCount < 10 || !strings.Contains(strings.Join(v.Violations, "\n"), lie.says) {
				t.Errorf("%d violations: %q, want some that say %q", v.ViolationCount, v.Violations, lie.says)
			}
			if lost := name == "the commit has no answer"; (v.Unsure > 0) != lost {
				t.Errorf("%d requests are said to have had no answer", v.Unsure)
			}
		})
	}
}

// A commit that comes after the deadline is refused rightly.
func TestACommitThatComesTooLateIsNoViolation(t *testing.T) {
	t.Parallel()
	c := config(serve(t), loadtest.Reserve)
	c.Rate, c.Commit, c.Release, c.Think, c.Hold = 200, 1, 0, 2*time.Second, time.Second
	r := run(t, c)
	wantSound(t, r)
	if r.Verified.Expired < 50 {
		t.Errorf("only %d of 200 holds expired", r.Verified.Expired)
	}
}
