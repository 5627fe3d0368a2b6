package server

import (
	"fmt"
	"net/http"
	"net/http/pprof"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Admin serves what operators and their tools ask: metrics, whether the process lives and is ready, and profiles. It is
// there before the engine is open, so that a restart can be watched.
type Admin struct {
	metrics *Metrics
	server  atomic.Pointer[Server]
}

// NewAdmin returns an admin handler; the process is not ready until Set.
func NewAdmin(m *Metrics) *Admin { return &Admin{metrics: m} }

// Set says which server the process has become.
func (a *Admin) Set(s *Server) { a.server.Store(s) }

// Handler returns the handler of the admin port.
func (a *Admin) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.metrics.registry, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	mux.HandleFunc("GET /livez", a.live)
	mux.HandleFunc("GET /readyz", a.ready)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}

// live answers 200 unless the engine has failed: then only a restart helps.
func (a *Admin) live(w http.ResponseWriter, _ *http.Request) {
	if s := a.server.Load(); s != nil {
		select {
		case <-s.engine.Failed():
			http.Error(w, "failed", http.StatusServiceUnavailable)
			return
		default:
		}
	}
	fmt.Fprintln(w, "ok")
}

// ready answers 200 while requests are taken: not while the journal is replayed, and not while draining.
func (a *Admin) ready(w http.ResponseWriter, _ *http.Request) {
	switch s := a.server.Load(); {
	case s == nil:
		http.Error(w, "starting", http.StatusServiceUnavailable)
	case !s.Ready():
		http.Error(w, "stopping", http.StatusServiceUnavailable)
	default:
		fmt.Fprintln(w, "ok")
	}
}
