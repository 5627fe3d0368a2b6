package webhook

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

const (
	// sendTimeout is how long a receiver has to take an event, from the name lookup to the end of its answer.
	sendTimeout = 15 * time.Second
	// answerBytesMax is how much of an answer is read, so that the connection can be used again.
	answerBytesMax = 64 << 10
)

// answer is what became of an attempt.
type answer struct {
	status     int // 0 = there was no answer
	err        error
	retryAfter time.Duration
	gone       bool // the receiver wants no more
	took       time.Duration
}

func (a *answer) ok() bool { return a.err == nil }

func newClient(allowPrivate bool, connections int) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                  nil, // it would resolve names where they can't be looked at
			DialContext:            newDialer(allowPrivate).DialContext,
			MaxConnsPerHost:        connections,
			MaxIdleConnsPerHost:    connections,
			IdleConnTimeout:        time.Minute,
			TLSHandshakeTimeout:    5 * time.Second,
			DisableCompression:     true,
			MaxResponseHeaderBytes: 16 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// send makes one attempt to hand a body over.
func send(ctx context.Context, client *http.Client, to *Endpoint, agent, id string, body []byte, now time.Time) (a answer) {
	begun := time.Now()
	defer func() { a.took = time.Since(begun) }()
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, to.URL, bytes.NewReader(body))
	if err != nil {
		return answer{err: err}
	}
	request.Header.Set("Content-Type", "application/cloudevents+json; charset=utf-8")
	request.Header.Set("User-Agent", agent)
	request.Header.Set(headerID, id)
	request.Header.Set(headerTimestamp, strconv.FormatInt(now.Unix(), 10))
	request.Header.Set(headerSignature, sign(id, now, body, to.secrets(now)...))
	response, err := client.Do(request)
	if err != nil {
		return answer{err: err}
	}
	_, _ = io.CopyN(io.Discard, response.Body, answerBytesMax)
	_ = response.Body.Close()
	a.status = response.StatusCode
	switch {
	case a.status >= 200 && a.status < 300:
	case a.status >= 300 && a.status < 400:
		a.err = fmt.Errorf("answered %d: redirects are not followed", a.status)
	case a.status == http.StatusGone:
		a.gone, a.err = true, fmt.Errorf("answered 410: it wants no more")
	default:
		a.err = fmt.Errorf("answered %d", a.status)
		a.retryAfter = retryAfterOf(response.Header.Get("Retry-After"), now)
	}
	return a
}

// retryAfterOf reads a Retry-After header (RFC 9110, 10.2.3): seconds, or a date.
func retryAfterOf(text string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}
