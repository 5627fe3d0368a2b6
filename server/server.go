package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"onhand/engine"
)

// Server serves the API of one engine.
type Server struct {
	engine  *engine.Engine
	options Options
	metrics *Metrics
	router  *router
	http    *fasthttp.Server
	gate    *gate
	imports chan struct{}
	streams chan struct{}
	started time.Time // engine time

	draining atomic.Bool
	// context ends when the server drains: streams that would go on for ever end with it.
	context context.Context
	cancel  context.CancelFunc
	// background counts the goroutines that write streamed answers.
	background sync.WaitGroup
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
	for _, rt := range all {
		rt.requests = m.newRequestMetrics(rt.pattern, rt.method)
	}
	s.router = newRouter(all)
	s.http = &fasthttp.Server{
		Handler:                      s.serve,
		ErrorHandler:                 s.badRequest,
		Name:                         "onhand",
		Concurrency:                  options.ConnectionsMax,
		MaxConnsPerIP:                options.ConnectionsPerIPMax,
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
	}
	if err := m.registry.Register(stateCollector{s}); err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	return s, nil
}

// Serve answers the connections that arrive at ln until Shutdown. It refuses an address that others can reach where
// there are no keys, unless Options.Open is set.
func (s *Server) Serve(ln net.Listener) error {
	if address := ln.Addr().String(); !s.options.Keys.Any() && !s.options.Open && !IsLoopback(address) && ln.Addr().Network() != "unix" {
		return fmt.Errorf("listening on %s would let everyone in: make an API key first, or say explicitly that the server is to be open", address)
	}
	if s.options.TLS != nil {
		s.http.TLSConfig = s.options.TLS
		return s.http.ServeTLS(ln, "", "")
	}
	return s.http.Serve(ln)
}

// Shutdown stops taking connections, lets the requests under way finish, and returns when they have, or with ctx's error.
// The engine is still open then. Ready answers false from the beginning.
func (s *Server) Shutdown(ctx context.Context) error {
	s.draining.Store(true)
	s.cancel()
	err := s.http.ShutdownWithContext(ctx)
	done := make(chan struct{})
	go func() {
		s.background.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		err = errors.Join(err, ctx.Err())
	}
	return err
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
	switch {
	case errors.As(err, &small):
		p = &problem{
			status: fasthttp.StatusRequestHeaderFieldsTooLarge, kind: "too-large", title: "The headers are too large",
			detail: fmt.Sprintf("at most %d bytes are taken", s.options.HeaderBytesMax),
		}
	case errors.As(err, &timeout) && timeout.Timeout():
		p = &problem{
			status: fasthttp.StatusRequestTimeout, kind: "timeout", title: "The request took too long to arrive",
			detail: fmt.Sprintf("it has %v to arrive", s.options.ReadTimeout),
		}
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		p = problemOf(s.tooLarge(c))
	}
	c.fail(p)
	ctx.SetConnectionClose()
	s.metrics.observe(nil, ctx)
}

// httpLogger hands fasthttp's messages on. They are about single connections.
type httpLogger struct{ log *slog.Logger }

func (l httpLogger) Printf(format string, args ...any) {
	l.log.Debug("http", "message", fmt.Sprintf(format, args...))
}
