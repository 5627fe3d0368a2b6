package server_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// Every request that a test of this package sends through a rig's client is held to docs/openapi.yaml: the answer has to be
// one that the document describes, and a request that the document forbids must not have been carried out. At the end,
// every status that the document promises must have been seen.

// contract is the document.
var contract = sync.OnceValue(func() *openapi3.T {
	doc, err := openapi3.NewLoader().LoadFromFile("../docs/openapi.yaml")
	if err == nil {
		err = doc.Validate(context.Background())
	}
	if err != nil {
		panic(err)
	}
	return doc
})

// seen are the answers that went by, as "operation status".
var seen sync.Map

func TestMain(m *testing.M) {
	code := m.Run()
	if whole := flag.Lookup("test.run").Value.String() == "" && flag.Lookup("test.fuzz").Value.String() == "" &&
		flag.Lookup("test.list").Value.String() == ""; code == 0 && whole {
		if unseen := unseenAnswers(); len(unseen) > 0 {
			fmt.Printf("docs/openapi.yaml describes answers that no test has seen:\n\t%s\n", strings.Join(unseen, "\n\t"))
			code = 1
		}
	}
	os.Exit(code)
}

// sharedStatuses are given by what all calls go through, whichever is called: lanes_test.go, framing_test.go and
// failure_test.go see them.
var sharedStatuses = []string{"408", "503"}

func unseenAnswers() (unseen []string) {
	for _, item := range contract().Paths.Map() {
		if item.Servers != nil {
			continue // the admin port, which a rig has not
		}
		for _, operation := range item.Operations() {
			for status := range operation.Responses.Map() {
				if _, ok := seen.Load(operation.OperationID + " " + status); !ok && !slices.Contains(sharedStatuses, status) {
					unseen = append(unseen, operation.OperationID+" "+status)
				}
			}
		}
	}
	slices.Sort(unseen)
	return unseen
}

// held is a transport that holds what passes through it to the contract.
type held struct {
	t    testing.TB
	next http.RoundTripper
}

func (h *held) CloseIdleConnections() { h.next.(*http.Transport).CloseIdleConnections() }

func (h *held) RoundTrip(request *http.Request) (*http.Response, error) {
	var sent []byte
	if request.Body != nil && request.GetBody != nil { // a body that streams is not looked at
		body, err := request.GetBody()
		if err == nil {
			sent, err = io.ReadAll(body)
		}
		if err != nil {
			return nil, err
		}
	}
	answer, err := h.next.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	if err := h.check(request, sent, answer); err != nil {
		h.t.Errorf("%s %s: %d breaks docs/openapi.yaml: %v", request.Method, request.URL, answer.StatusCode, err)
	}
	return answer, nil
}

// check reports what of an exchange breaks the contract.
func (h *held) check(request *http.Request, sent []byte, answer *http.Response) error {
	route, params := routeOf(request)
	if route == nil {
		if answer.StatusCode < 400 && request.Method != http.MethodOptions {
			return errors.New("there is no such call")
		}
		return nil
	}
	seen.Store(fmt.Sprintf("%s %d", route.Operation.OperationID, answer.StatusCode), true)
	asked := &openapi3filter.RequestValidationInput{
		Request: asDocumented(request, sent), PathParams: params, Route: route,
		Options: &openapi3filter.Options{
			AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true, SkipSettingDefaults: true,
			ExcludeRequestBody:  isStream(request.Header.Get("Content-Type")) || route.Operation.OperationID == "importStock",
			ExcludeResponseBody: request.Method == http.MethodHead || isStream(answer.Header.Get("Content-Type")),
		},
	}
	forbidden := openapi3filter.ValidateRequest(context.Background(), asked)
	// A batch is a request for each of its items, and has an answer for each.
	if forbidden != nil && answer.StatusCode < 400 && route.Operation.OperationID != "reserveBatch" {
		return fmt.Errorf("the request is forbidden: %w", forbidden)
	}
	replied := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: asked, Status: answer.StatusCode, Header: answer.Header, Options: asked.Options,
	}
	if !asked.Options.ExcludeResponseBody {
		body, err := io.ReadAll(answer.Body)
		if err = errors.Join(err, answer.Body.Close()); err != nil {
			return err
		}
		answer.Body = io.NopCloser(bytes.NewReader(body))
		replied.SetBodyBytes(body)
	}
	if err := openapi3filter.ValidateResponse(context.Background(), replied); err != nil {
		return err
	}
	return checkHeaders(route.Operation, answer)
}

// checkHeaders demands a described type, and on errors nothing but problems.
func checkHeaders(operation *openapi3.Operation, answer *http.Response) error {
	response := operation.Responses.Status(answer.StatusCode)
	media, _, err := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	switch {
	case len(response.Value.Content) == 0:
		return nil
	case err != nil:
		return fmt.Errorf("Content-Type: %w", err)
	case response.Value.Content.Get(media) == nil:
		return fmt.Errorf("Content-Type is %q", media)
	case media == "text/html" && strings.HasPrefix(operation.Tags[0], "track"): // pages are for people
		return nil
	case answer.StatusCode >= 400 && media != "application/problem+json":
		return fmt.Errorf("an error of type %q", media)
	}
	return nil
}

// isStream reports whether a body is one that is not to be read whole, or that schemas say nothing of.
func isStream(media string) bool {
	media, _, _ = strings.Cut(media, ";")
	return slices.Contains([]string{"text/event-stream", "application/x-ndjson", "text/csv", "application/x-tar"}, media)
}

// asDocumented returns a copy of a request with its body. The server takes a body without a type, and what curl -d sends,
// for JSON; the document describes JSON only.
func asDocumented(request *http.Request, body []byte) *http.Request {
	out := request.Clone(context.Background())
	out.Body = io.NopCloser(bytes.NewReader(body))
	if media := out.Header.Get("Content-Type"); len(body) > 0 && !strings.HasPrefix(request.URL.Path, "/track/") && (media == "" || media == "application/x-www-form-urlencoded") {
		out.Header.Set("Content-Type", "application/json")
	}
	if len(body) == 0 {
		out.Body = http.NoBody
	}
	return out
}

// routeOf finds the operation that a request is for, and its path parameters, each decoded once.
func routeOf(request *http.Request) (*routers.Route, map[string]string) {
	method := request.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	segments := strings.Split(request.URL.EscapedPath(), "/")
	var best *routers.Route
	var bestParams map[string]string
	for path, item := range contract().Paths.Map() {
		params, ok := matchPath(strings.Split(path, "/"), segments)
		operation := item.GetOperation(method)
		if ok && operation != nil && item.Servers == nil && (best == nil || len(params) < len(bestParams)) {
			best, bestParams = &routers.Route{Spec: contract(), Path: path, PathItem: item, Method: method, Operation: operation}, params
		}
	}
	return best, bestParams
}

func matchPath(pattern, segments []string) (map[string]string, bool) {
	if len(pattern) != len(segments) {
		return nil, false
	}
	params := make(map[string]string)
	for i, want := range pattern {
		if !strings.HasPrefix(want, "{") {
			if want != segments[i] {
				return nil, false
			}
			continue
		}
		value, err := url.PathUnescape(segments[i])
		if err != nil {
			return nil, false
		}
		params[strings.Trim(want, "{}")] = value
	}
	return params, true
}
