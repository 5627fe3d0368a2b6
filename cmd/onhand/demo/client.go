package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// client calls the API.
type client struct {
	http http.Client
	base string
}

func newClient(base string, connections int) *client {
	return &client{base: base, http: http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: connections, DisableCompression: true,
	}}}
}

// refused is an answer that says no for a reason of stock or state.
type refused struct {
	Title  string
	Detail string
	Lines  []struct{ Reason string }
	// What is to be had instead of a slot or a compartment that is taken.
	NextSlots          []slot   `json:"next_slots"`
	LargerCompartments []string `json:"larger_compartments"`
}

// slot is a pickup slot.
type slot struct {
	Start string `json:"start"`
	Free  int64  `json:"free"`
}

func (r *refused) Error() string { return r.Title + ": " + r.Detail }

// call sends a request with a JSON body and reads the answer into out. A 409 becomes a *refused.
func (c *client) call(ctx context.Context, method, path, key string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return err
	}
	if in != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		request.Header.Set("Idempotency-Key", key)
	}
	return c.send(request, out)
}

func (c *client) send(request *http.Request, out any) error {
	response, err := c.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	switch {
	case response.StatusCode == http.StatusConflict:
		no := &refused{}
		if err := json.Unmarshal(text, no); err != nil {
			return err
		}
		return no
	case response.StatusCode >= 300:
		return fmt.Errorf("%s %s: %s: %s", request.Method, request.URL.Path, response.Status, text)
	case out == nil:
		return nil
	}
	return json.Unmarshal(text, out)
}

// path joins segments, each escaped.
func path(segments ...string) string {
	out := "/v1"
	for _, s := range segments {
		out += "/" + url.PathEscape(s)
	}
	return out
}
