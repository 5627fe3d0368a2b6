package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// remote is the server that a command calls.
type remote struct {
	To  string `help:"Address of the server." default:"http://127.0.0.1:8080" placeholder:"URL"`
	Key string `help:"API key. Better given in the environment: others on this machine can read command lines."`
}

// client has no time limit over all: files may be large. What hangs is ended by keep-alive probes, or by the user.
var client = &http.Client{Transport: &http.Transport{
	Proxy:               http.ProxyFromEnvironment,
	DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
	TLSHandshakeTimeout: 10 * time.Second,
	DisableCompression:  true, // exports are kept as they come
}}

// request prepares a call of the API.
func (r *remote) request(ctx context.Context, method, path string, query url.Values, body io.Reader) (*http.Request, error) {
	base, err := url.Parse(r.To)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, exitError{fmt.Errorf("--to is %q, want an address such as http://127.0.0.1:8080", r.To), exitUsage}
	}
	target := base.JoinPath(path)
	target.RawQuery = query.Encode()
	request, err := http.NewRequestWithContext(ctx, method, target.String(), body)
	if err != nil {
		return nil, err
	}
	request.Header.Set("User-Agent", "onhand/"+version)
	if r.Key != "" {
		request.Header.Set("Authorization", "Bearer "+r.Key)
	}
	return request, nil
}

// do sends a request. An answer that is not a success becomes an *answerError.
func (r *remote) do(request *http.Request) (*http.Response, error) {
	response, err := client.Do(request)
	if failed := (*url.Error)(nil); errors.As(err, &failed) {
		return nil, fmt.Errorf("%s: %w", r.To, failed.Err)
	}
	if err != nil {
		return nil, err
	}
	if response.StatusCode < 300 {
		return response, nil
	}
	defer response.Body.Close()
	no := &answerError{status: response.StatusCode}
	if after, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil {
		no.retryAfter = time.Duration(after) * time.Second
	}
	no.body, err = io.ReadAll(io.LimitReader(response.Body, 16<<20))
	if err != nil {
		return nil, err
	}
	if json.Unmarshal(no.body, &no.problem) != nil || no.problem.Title == "" {
		no.problem.Title = "it is no onhand server: HTTP status " + response.Status
	}
	return nil, no
}

// answerError is an answer that says no.
type answerError struct {
	status     int
	retryAfter time.Duration
	body       []byte
	problem    struct{ Type, Title, Detail string }
}

func (e *answerError) Error() string {
	text := "the server answers: " + e.problem.Title
	if e.problem.Detail != "" {
		text += ": " + e.problem.Detail
	}
	return text
}

// passing reports whether the same request may succeed a little later: the server was busy, or is being restarted.
func passing(err error) bool {
	if no := (*answerError)(nil); errors.As(err, &no) {
		switch no.status {
		case http.StatusServiceUnavailable, http.StatusTooManyRequests, http.StatusRequestTimeout:
			return true
		}
		return strings.HasSuffix(no.problem.Type, ":import-running")
	}
	var network *net.OpError
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &network)
}
