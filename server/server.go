package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"onhand/engine"
	"onhand/server/webhook"
)

// Server serves the API of one engine.
type Server struct {
	engine  *engine.Engine
	options Options
	metrics *Metrics
	router  *router
	http    *fasthttp.Server
	hooks   *webhook.Hooks // nil = there are none
	gate    *gate
	imports chan struct{}
	streams chan struct{}
	started time.Time // engine time

	draining atomic.Bool
	// context ends when the server drains: streams that would go on for ever end with it.
	context context.Context
	cancel  context.CancelFunc
	// serving counts the connections that are served, and streaming the goroutines that write streamed answers.
	serving, streaming atomic.Int64

	// mu guards what follows.
	mu        sync.Mutex
	listeners []*connections
	stopped   bool // no further listener is served
}

// New returns a server for an engine. m must be those that the engine's Observer came from.
func New(e *engine.Engine, m *Metrics, options Options) (*Server, error) {
	options, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{
		engine: e, options: options, metrics: m, started: e.Now(),
		gate:    newGate(options.Writes, options.WriteQueue, options.QueueTimeout),
		imports: make(chan struct{}, options.Imports),
		streams: make(chan struct{}, options.Streams),
	}
	s.context, s.cancel = context.WithCancel(context.Background())
	all := routes()
	if options.WebhookDir == "" {
		all = slices.DeleteFunc(all, func(rt *route) bool { return strings.HasPrefix(rt.pattern, "/v1/webhooks") })
	}
	for _, rt := range all {
		rt.requests = m.newRequestMetrics(rt.pattern, rt.method)
	}
	s.router = newRouter(all)
	s.http = &fasthttp.Server{
		Handler:                      s.serve,
		ErrorHandler:                 s.badRequest,
		Name:                         "onhand",
		Concurrency:                  math.MaxInt32, // connections.go keeps the limit, and says so as a problem
		ReadBufferSize:               options.HeaderBytesMax,
		MaxRequestBodySize:           options.BodyBytesMax,
		ReadTimeout:                  options.ReadTimeout,
		WriteTimeout:                 options.WriteTimeout,
		IdleTimeout:                  options.IdleTimeout,
		TCPKeepalive:                 true,
		StreamRequestBody:            true, // imports are read as they arrive; handlers keep the limit of the others
		DisablePreParseMultipartForm: true,
		NoDefaultContentType:         true,
		SecureErrorLogMessage:        true,
		CloseOnShutdown:              true,
		Logger:                       httpLogger{options.Log},
		ConnState:                    s.countConnection,
	}
	if err := m.registry.Register(stateCollector{s}); err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	if options.WebhookDir != "" {
		s.hooks, err = webhook.Open(options.WebhookDir, e, webhook.Options{
			Encode: s.appendEventData, Source: options.EventSource, Agent: "onhand/" + m.version, AllowPrivate: options.WebhookPrivate, Log: options.Log,
		})
	}
	return s, err
}

// Serve answers the connections that arrive at ln until Shutdown. It refuses an address that others can reach where
// there are no keys, unless Options.Open is set.
func (s *Server) Serve(ln net.Listener) error {
	if address := ln.Addr().String(); !s.options.Keys.Any() && !s.options.Open && !IsLoopback(address) && ln.Addr().Network() != "unix" {
		return fmt.Errorf("listening on %s would let everyone in: make an API key first, or say explicitly that the server is to be open", address)
	}
	bounded := newConnections(ln, &s.options, s.metrics.refusedConnection)
	s.mu.Lock()
	if s.stopped {
		s.mu.Unlock()
		return ln.Close()
	}
	s.listeners = append(s.listeners, bounded)
	s.mu.Unlock()
	return s.http.Serve(bounded)
}

// Shutdown stops taking connections, lets the requests under way finish, and returns when they have. When ctx ends
// first, the connections still open are cut off and ctx's error is returned. Either way nothing uses the engine any more,
// unless the error is ErrBusy. The engine is still open then. Ready answers false from the beginning.
func (s *Server) Shutdown(ctx context.Context) error {
	s.draining.Store(true)
	s.cancel()
	s.mu.Lock()
	s.stopped = true
	for _, l := range s.listeners {
		_ = l.Close() // fasthttp closes those that it knows; a Serve that has just begun it does not know yet
	}
	s.mu.Unlock()
	err := errors.Join(s.http.ShutdownWithContext(ctx), s.awaitIdle(ctx))
	if s.hooks != nil {
		err = errors.Join(err, s.hooks.Close())
	}
	if ctx.Err() == nil {
		return err
	}
	s.mu.Lock()
	for _, l := range s.listeners {
		if closeErr := l.closeAll(); closeErr != nil {
			s.options.Log.Debug("connections were cut off", "error", closeErr)
		}
	}
	s.mu.Unlock()
	cut, cancel := context.WithTimeout(context.Background(), cutTimeout)
	defer cancel()
	if s.awaitIdle(cut) != nil {
		return errors.Join(err, ErrBusy)
	}
	return err
}

// ErrBusy says that requests are still being carried out, though their connections are gone.
var ErrBusy = errors.New("requests are still being carried out")

// cutTimeout is how long a request may go on once its connection was cut off: it waits for the disk at most.
const cutTimeout = 10 * time.Second

func (s *Server) countConnection(_ net.Conn, state fasthttp.ConnState) {
	switch state {
	case fasthttp.StateNew:
		s.serving.Add(1)
	case fasthttp.StateClosed, fasthttp.StateHijacked:
		s.serving.Add(-1)
	}
}

// awaitIdle waits until no connection is served and no stream is written.
func (s *Server) awaitIdle(ctx context.Context) error {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for s.streaming.Load() > 0 || s.serving.Load() > 0 {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Ready reports whether the server takes requests.
func (s *Server) Ready() bool {
	select {
	case <-s.engine.Failed():
		return false
	default:
		return !s.draining.Load()
	}
}

// Drain makes Ready answer false and closes connections after their next answer, while requests are still taken: for as
// long as a load balancer needs to notice.
func (s *Server) Drain() { s.draining.Store(true) }

func (s *Server) leaveImport() { <-s.imports }
func (s *Server) leaveStream() { <-s.streams }

// badRequest answers what fasthttp could not make sense of.
func (s *Server) badRequest(ctx *fasthttp.RequestCtx, err error) {
	c := newCall(ctx)
	defer c.recycle()
	p := &problem{status: fasthttp.StatusBadRequest, kind: "framing", title: "The request is not HTTP as we know it", detail: err.Error()}
	var small *fasthttp.ErrSmallBuffer
	var timeout net.Error
	var notTLS tls.RecordHeaderError
	switch {
	case errors.As(err, &notTLS) && notTLS.Conn != nil:
		// What fasthttp sends would never leave the TLS connection; the client that speaks plainly is told so plainly.
		answerBare(notTLS.Conn, &problem{
			status: fasthttp.StatusBadRequest, kind: "framing", title: "This port speaks TLS", detail: "use https",
		})
	case errors.As(err, &small):
		p = &problem{
			status: fasthttp.StatusRequestHeaderFieldsTooLarge, kind: "too-large", title: "The headers are too large",
			detail: fmt.Sprintf("at most %d bytes are taken", s.options.HeaderBytesMax),
		}
	case errors.As(err, &timeout) && timeout.Timeout():
		p = s.tooSlow()
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		p = problemOf(s.tooLarge(c))
	}
	c.fail(p)
	ctx.SetConnectionClose()
	leaveUnread(ctx.Conn(), true)
	s.metrics.observe(nil, ctx)
}

// httpLogger hands fasthttp's messages on. They are about single connections.
type httpLogger struct{ log *slog.Logger }

func (l httpLogger) Printf(format string, args ...any) {
	l.log.Debug("http", "message", fmt.Sprintf(format, args...))
}
