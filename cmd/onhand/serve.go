package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"onhand/engine"
	"onhand/server"
)

type serveCommand struct {
	Dir    string `arg:"" help:"Directory of the database; created if there is none." type:"path"`
	Listen string `help:"Address of the API." default:"127.0.0.1:8080"`
	Admin  string `help:"Address of metrics, health and profiles; empty for none." default:"127.0.0.1:9090"`
	Keys   string `help:"File of API keys (see onhand key); default KEYS in the database's directory." type:"path"`
	Open   bool   `help:"Listen beyond this machine without API keys: whoever can connect may do everything."`

	TLSCert string `help:"Certificate file of the API, PEM." type:"existingfile" group:"TLS" and:"tls"`
	TLSKey  string `help:"Its key file, PEM." type:"existingfile" group:"TLS" and:"tls"`

	DefaultHold     time.Duration `help:"How long a reservation holds that names no deadline." default:"15m" group:"Engine"`
	WindowAge       time.Duration `help:"How long answers are remembered for retries and ended reservations stay readable." default:"24h" group:"Engine"`
	WindowKeys      int           `help:"How many of each are kept at most." default:"10000000" group:"Engine"`
	RetentionAge    time.Duration `help:"How long the change feed goes back." default:"24h" group:"Engine"`
	RetentionBytes  int64         `help:"How much disk it may take for that." default:"8589934592" group:"Engine"`
	CheckpointBytes int64         `help:"How much journal is written between checkpoints, at least." default:"268435456" group:"Engine"`

	BodyBytesMax        int           `help:"Largest request body, but for imports." default:"4194304" group:"Limits"`
	HeaderBytesMax      int           `help:"Largest request line and headers." default:"16384" group:"Limits"`
	ImportBytesMax      int64         `help:"Largest import, as sent." default:"4294967296" group:"Limits"`
	ImportUnpackedMax   int64         `help:"Largest import, after decompression." default:"34359738368" group:"Limits"`
	ConnectionsMax      int           `help:"Most connections at a time." default:"10000" group:"Limits"`
	ConnectionsPerIPMax int           `help:"Most connections of one address; 0 for no such limit." default:"0" group:"Limits"`
	ReadTimeout         time.Duration `help:"How long a request may take to arrive." default:"10s" group:"Limits"`
	WriteTimeout        time.Duration `help:"How long an answer may take to be sent; a stream, each part of it." default:"30s" group:"Limits"`
	IdleTimeout         time.Duration `help:"How long a connection is kept without a request." default:"2m" group:"Limits"`
	Writes              int           `help:"Writes under way at a time." default:"4096" group:"Limits"`
	WriteQueue          int           `help:"Writes that may wait for a place." default:"8192" group:"Limits"`
	QueueTimeout        time.Duration `help:"How long they may wait." default:"1s" group:"Limits"`
	Imports             int           `help:"Imports at a time." default:"2" group:"Limits"`
	Streams             int           `help:"Exports, change feeds and backups at a time." default:"256" group:"Limits"`

	CacheControl string        `help:"Cache-Control of answers about availability." default:"no-cache"`
	Origins      []string      `help:"Web origins whose scripts may call the API (CORS)." placeholder:"ORIGIN"`
	DrainDelay   time.Duration `help:"How long to answer \"not ready\" before connections are closed, for a load balancer to notice." default:"0s"`
	DrainTimeout time.Duration `help:"How long requests under way may take to finish when stopping." default:"30s"`
	LogFormat    string        `help:"text or json." enum:"text,json" default:"text"`
	LogLevel     slog.Level    `help:"debug, info, warn or error." default:"info"`
}

// Run serves until SIGINT or SIGTERM, then stops in order: not ready, drain, final sync.
func (c *serveCommand) Run(s *streams) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	log := c.logger(s)
	go tuneCollector(ctx)
	if c.Keys == "" {
		c.Keys = filepath.Join(c.Dir, "KEYS")
	}
	keys, err := server.LoadKeys(c.Keys)
	if err != nil {
		return err
	}
	metrics := server.NewMetrics(version)
	admin := server.NewAdmin(metrics)
	adminDone, err := c.serveAdmin(admin, log)
	if err != nil {
		return err
	}
	defer adminDone()

	began := time.Now()
	log.Info("opening the database", "dir", c.Dir)
	e, err := engine.Open(c.Dir, engine.Options{
		DefaultHold: c.DefaultHold, WindowAge: c.WindowAge, WindowKeys: c.WindowKeys,
		RetentionAge: c.RetentionAge, RetentionBytes: c.RetentionBytes, CheckpointBytes: c.CheckpointBytes,
		Log: log, Observe: metrics.Observer(),
	})
	if err != nil {
		return err
	}
	srv, err := server.New(e, metrics, c.options(keys, log))
	if err != nil {
		return errors.Join(err, e.Close())
	}
	ln, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return errors.Join(err, e.Close())
	}
	st := e.Stats()
	log.Info("ready", "address", ln.Addr().String(), "took", time.Since(began).Round(time.Millisecond).String(),
		"sequence", st.Durable, "cells", st.Cells, "live_reservations", st.LiveReservations, "keys", keys.Any())
	admin.Set(srv)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	go watchKeys(ctx, keys, log)
	select {
	case err = <-served:
		return errors.Join(err, e.Close())
	case <-ctx.Done():
	}
	stop() // a second signal ends the process at once
	return c.stop(srv, e, log)
}

func (c *serveCommand) stop(srv *server.Server, e *engine.Engine, log *slog.Logger) error {
	log.Info("stopping")
	srv.Drain()
	time.Sleep(c.DrainDelay)
	ctx, cancel := context.WithTimeout(context.Background(), c.DrainTimeout)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		log.Warn("requests were still under way", "error", err)
	}
	if err := e.Close(); err != nil {
		return err
	}
	log.Info("stopped")
	return nil
}

func (c *serveCommand) options(keys *server.Keys, log *slog.Logger) server.Options {
	o := server.Options{
		Keys: keys, Open: c.Open, BodyBytesMax: c.BodyBytesMax, HeaderBytesMax: c.HeaderBytesMax,
		ImportBytesMax: c.ImportBytesMax, ImportUnpackedMax: c.ImportUnpackedMax,
		ConnectionsMax: c.ConnectionsMax, ConnectionsPerIPMax: c.ConnectionsPerIPMax,
		ReadTimeout: c.ReadTimeout, WriteTimeout: c.WriteTimeout, IdleTimeout: c.IdleTimeout,
		Writes: c.Writes, WriteQueue: c.WriteQueue, QueueTimeout: c.QueueTimeout, Imports: c.Imports, Streams: c.Streams,
		CacheControl: c.CacheControl, Origins: c.Origins, Version: version, Log: log,
	}
	return o
}

func (c *serveCommand) logger(s *streams) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.LogLevel}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(s.err, options))
	}
	return slog.New(slog.NewTextHandler(s.err, options))
}

// serveAdmin serves the admin port from before the database is open, so that a long start can be watched.
func (c *serveCommand) serveAdmin(admin *server.Admin, log *slog.Logger) (stop func(), err error) {
	if c.Admin == "" {
		return func() {}, nil
	}
	ln, err := net.Listen("tcp", c.Admin)
	if err != nil {
		return nil, fmt.Errorf("admin port: %w", err)
	}
	srv := &http.Server{Handler: admin.Handler(), ReadHeaderTimeout: c.ReadTimeout, IdleTimeout: c.IdleTimeout}
	go func() {
		if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			log.Error("admin port", "error", err)
		}
	}()
	log.Info("admin port", "address", ln.Addr().String())
	return func() { _ = srv.Close() }, nil
}

// keysInterval is how often the file of API keys is looked at.
const keysInterval = 2 * time.Second

func watchKeys(ctx context.Context, keys *server.Keys, log *slog.Logger) {
	ticker := time.NewTicker(keysInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if err := keys.Reload(); err != nil {
				log.Error("API keys could not be read; the former ones stay in force", "error", err)
			}
		case <-ctx.Done():
			return
		}
	}
}
