package loadtest

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// api calls the server before and after a run, one call at a time.
type api struct {
	base   string
	key    string
	client *http.Client
}

func newAPI(c *Config) *api {
	_, secure := c.address()
	return &api{base: strings.TrimRight(c.To, "/"), key: c.Key, client: &http.Client{
		Timeout: time.Hour, // an import of many cells; what hangs is ended by the context
		Transport: &http.Transport{
			TLSClientConfig: secure, MaxIdleConnsPerHost: 64, TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{},
		},
	}}
}

// statusError is an answer other than the one hoped for.
type statusError struct {
	call   string
	status int
	body   []byte
}

func (e *statusError) Error() string {
	var problem struct{ Title, Detail string }
	if json.Unmarshal(e.body, &problem) != nil || problem.Title == "" {
		return fmt.Sprintf("%s: HTTP status %d: %.200s", e.call, e.status, e.body)
	}
	return fmt.Sprintf("%s: %s: %s", e.call, problem.Title, problem.Detail)
}

// call sends a body, if there is one, and reads the answer into out, if there is one.
func (a *api) call(ctx context.Context, method, path, contentType string, body io.Reader, out any) error {
	request, err := http.NewRequestWithContext(ctx, method, a.base+path, body)
	if err != nil {
		return err
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	return a.do(request, out)
}

// keyed sends JSON under an idempotency key.
func (a *api) keyed(ctx context.Context, path, key string, body []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, a.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", key)
	return a.do(request, nil)
}

func (a *api) do(request *http.Request, out any) error {
	if a.key != "" {
		request.Header.Set("Authorization", "Bearer "+a.key)
	}
	response, err := a.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 64<<20))
	if err != nil {
		return err
	}
	if response.StatusCode >= 300 {
		return &statusError{request.Method + " " + request.URL.Path, response.StatusCode, text}
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(text, out)
}

// json is call with a body of JSON.
func (a *api) json(ctx context.Context, method, path string, in, out any) error {
	if in == nil {
		return a.call(ctx, method, path, "", nil, out)
	}
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	return a.call(ctx, method, path, "application/json", bytes.NewReader(body), out)
}
