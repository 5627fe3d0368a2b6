package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"onhand/engine"
	"onhand/server"
)

type serveCommand struct {
	Dir    string `arg:"" help:"Directory of the database; made if there is none." type:"path"`
	Listen string `help:"Address of the API. Beyond this machine, as 0.0.0.0:8080, only with API keys or --open." default:"127.0.0.1:8080"`
	Admin  string `help:"Address of metrics, health and profiles, never shown to the world; empty for none." default:"127.0.0.1:9090"`
	Keys   string `help:"File of API keys (see onhand key); otherwise KEYS in the database's directory." type:"path" placeholder:"FILE"`
	Open   bool   `help:"Listen beyond this machine without API keys: whoever can connect may do everything."`

	TLSCert string `name:"tls-cert" help:"Certificate of the API, PEM, with those between it and the root." type:"path" placeholder:"FILE" group:"TLS" and:"tls"`
	TLSKey  string `name:"tls-key" help:"Its private key, PEM. Both are read again when they change, or on SIGHUP." type:"path" placeholder:"FILE" group:"TLS" and:"tls"`

	DefaultHold       period   `help:"How long a reservation holds that names no deadline." default:"15m" group:"Engine"`
	WindowAge         period   `help:"How long answers are remembered for retries and ended reservations stay readable." default:"24h" group:"Engine"`
	WindowKeys        int      `help:"How many of each are kept at most." default:"10000000" group:"Engine"`
	TransferRetention period   `help:"How long transfers that have ended stay readable." default:"60d" group:"Engine"`
	RetentionAge      period   `help:"How long the change feed goes back." default:"24h" group:"Engine"`
	RetentionBytes    byteSize `help:"How much disk it may take for that." default:"8GiB" group:"Engine"`
	CheckpointBytes   byteSize `help:"How much journal is written between checkpoints, at least." default:"256MiB" group:"Engine"`

	OrderPayWithin     period `help:"How long an order waits for its online payment." default:"30m" group:"Orders"`
	OrderAcceptWithin  period `help:"How long it waits, once paid or placed, until the store accepts it." default:"4h" group:"Orders"`
	OrderPickWithin    period `help:"How long it waits, once accepted, until it is picked." default:"24h" group:"Orders"`
	OrderCollectWithin period `help:"How long it lies ready." default:"72h" group:"Orders"`
	OrderArriveWithin  period `help:"How long what is sent to a store may be on its way, besides its supplier's lead time." default:"7d" group:"Orders"`
	OrderRemindBefore  period `help:"How long before a ready order's deadline its customer is reminded." default:"12h" group:"Orders"`
	OrderExtensions    int    `help:"How often an order's deadline can be put off." default:"2" group:"Orders"`
	OrderRetention     period `help:"How long orders that have ended stay readable and can be returned." default:"60d" group:"Orders"`
	OrdersKept         int    `help:"How many of them are kept at most." default:"1000000" group:"Orders"`

	BodyBytesMax        byteSize      `help:"Largest request body, but for imports." default:"4MiB" group:"Limits"`
	HeaderBytesMax      byteSize      `help:"Largest request line and headers." default:"16KiB" group:"Limits"`
	ImportBytesMax      byteSize      `help:"Largest import, as sent." default:"4GiB" group:"Limits"`
	ImportUnpackedMax   byteSize      `help:"Largest import, after decompression." default:"32GiB" group:"Limits"`
	ConnectionsMax      int           `help:"Most connections at a time." default:"10000" group:"Limits"`
	ConnectionsPerIPMax int           `help:"Most connections of one address; 0 for no such limit." default:"0" group:"Limits"`
	ReadTimeout         time.Duration `help:"How long a request may take to arrive." default:"10s" group:"Limits"`
	WriteTimeout        time.Duration `help:"How long an answer may take to be sent; a stream, each part of it." default:"30s" group:"Limits"`
	IdleTimeout         time.Duration `help:"How long a connection is kept without a request." default:"2m" group:"Limits"`
	HoldsPerReference   int           `help:"Most live reservations with the same reference; 0 for no such limit." default:"0" group:"Limits"`
	HoldsPerKey         int           `help:"Most live reservations made with the same API key; 0 for no such limit." default:"0" group:"Limits"`
	OrdersPerCustomer   int           `help:"Most live orders of the same customer, by reference; 0 for no such limit." default:"0" group:"Limits"`
	OrdersPerKey        int           `help:"Most live orders placed with the same API key; 0 for no such limit." default:"0" group:"Limits"`
	Writes              int           `help:"Writes under way at a time." default:"4096" group:"Limits"`
	WriteQueue          int           `help:"Writes that may wait for a place." default:"8192" group:"Limits"`
	QueueTimeout        time.Duration `help:"How long they may wait." default:"1s" group:"Limits"`
	Imports             int           `help:"Imports at a time." default:"2" group:"Limits"`
	Streams             int           `help:"Exports, change feeds and backups at a time." default:"256" group:"Limits"`

	WebhookPrivate bool   `help:"Let webhook endpoints be on addresses that are not public, such as those of this network." group:"Webhooks"`
	EventSource    string `help:"CloudEvents source of events: a URI reference that names this onhand among others." default:"/onhand" group:"Webhooks"`

	CacheControl string        `help:"Cache-Control of answers about availability." default:"no-cache"`
	Origins      []string      `help:"Web origins whose scripts may call the API (CORS)." placeholder:"ORIGIN"`
	DrainDelay   time.Duration `help:"How long to answer \"not ready\" before connections are closed, for a load balancer to notice." default:"0s"`
	DrainTimeout time.Duration `help:"How long requests under way may take to finish when stopping." default:"30s"`
	LogFormat    string        `help:"text or json." enum:"text,json" default:"text"`
	LogLevel     slog.Level    `help:"debug, info, warn or error." default:"info"`

	// ready, if there is one, is told the addresses when requests are answered: with port 0 they are known only then.
	ready func(api, admin net.Addr)
}

// Help explains the promises that depend on how the server is run.
func (serveCommand) Help() string {
	return `What a client was told is on disk: the process may be killed at any time. SIGTERM or SIGINT stops it in order: /readyz on the admin port answers 503, requests under way are finished, the journal is closed, and the exit status is 0. SIGHUP has API keys and the certificate read again.`
}

// What is in a database's directory beside the database: the file of API keys, and the directory of webhook endpoints.
const (
	keysName     = "KEYS"
	webhooksName = "webhooks"
)

// Run serves until SIGINT or SIGTERM, then stops in order: not ready, drain, final sync.
func (c *serveCommand) Run(s *streams) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	defer signal.Stop(reload)
	log := c.logger(s)
	go tuneCollector(ctx)
	// What is wrong with the command line shows before minutes are spent on opening a large database.
	o, reloads, err := c.options(log)
	if err != nil {
		return err
	}
	if err := c.tryListen(o.Keys); err != nil {
		return err
	}
	metrics := server.NewMetrics(version)
	admin := server.NewAdmin(metrics)
	adminAddr, adminDone, err := c.serveAdmin(admin, log)
	if err != nil {
		return err
	}
	defer adminDone()

	began := time.Now()
	log.Info("opening the database", "dir", c.Dir)
	options := c.engineOptions()
	options.Log, options.Observe, options.Fatal = log, metrics.Observer(), fatal(s)
	var threads processors
	threads.watch(options.Observe)
	go threads.tune(ctx)
	e, err := engine.Open(c.Dir, options)
	if err != nil {
		return err
	}
	srv, err := server.New(e, metrics, o)
	if err != nil {
		return errors.Join(err, e.Close())
	}
	ln, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return errors.Join(err, srv.Shutdown(ctx), e.Close())
	}
	st := e.Stats()
	log.Info("ready", "address", ln.Addr().String(), "tls", o.TLS != nil, "took", time.Since(began).Round(time.Millisecond).String(),
		"sequence", st.Durable, "cells", st.Cells, "live_reservations", st.LiveReservations, "keys", o.Keys.Any())
	admin.Set(srv)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	if c.ready != nil {
		c.ready(ln.Addr(), adminAddr)
	}
	go watchFiles(ctx, reload, log, reloads...)
	select {
	case err = <-served:
		return errors.Join(err, srv.Shutdown(ctx), e.Close())
	case <-ctx.Done():
	}
	stop() // a second signal ends the process at once
	return c.stop(srv, e, log)
}

// engineOptions are the settings of the command line that are the engine's.
func (c *serveCommand) engineOptions() engine.Options {
	return engine.Options{
		DefaultHold: time.Duration(c.DefaultHold), WindowAge: time.Duration(c.WindowAge), WindowKeys: c.WindowKeys,
		TransferRetention: time.Duration(c.TransferRetention),
		OrderClocks:       c.orderClocks(), OrderRetention: time.Duration(c.OrderRetention), OrdersKept: c.OrdersKept,
		RetentionAge: time.Duration(c.RetentionAge), RetentionBytes: int64(c.RetentionBytes), CheckpointBytes: int64(c.CheckpointBytes),
		HoldsPerReference: c.HoldsPerReference, HoldsPerOwner: c.HoldsPerKey,
		OrdersPerCustomer: c.OrdersPerCustomer, OrdersPerOwner: c.OrdersPerKey,
	}
}

// orderClocks are the clocks of orders whose location has none of its own.
func (c *serveCommand) orderClocks() engine.OrderClocks {
	clocks := engine.OrderClocks{
		PayWithin: time.Duration(c.OrderPayWithin), AcceptWithin: time.Duration(c.OrderAcceptWithin), PickWithin: time.Duration(c.OrderPickWithin),
		CollectWithin: time.Duration(c.OrderCollectWithin), ArriveWithin: time.Duration(c.OrderArriveWithin),
		RemindBefore: time.Duration(c.OrderRemindBefore), ExtensionsMax: c.OrderExtensions,
	}
	if c.OrderExtensions == 0 {
		clocks.ExtensionsMax = -1 // 0 would be the default
	}
	return clocks
}

// tryListen finds out whether the API can be served at its address.
func (c *serveCommand) tryListen(keys *server.Keys) error {
	ln, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return err
	}
	address := ln.Addr().String()
	if err := ln.Close(); err != nil {
		return err
	}
	if !keys.Any() && !c.Open && !server.IsLoopback(address) {
		return exitError{fmt.Errorf("%s can be reached from other machines, and there are no API keys in %s: "+
			"make one with \"onhand key new NAME --scope admin --dir %s\", or let everyone in with --open", c.Listen, c.keysPath(), c.Dir), exitUsage}
	}
	return nil
}

func (c *serveCommand) keysPath() string {
	if c.Keys != "" {
		return c.Keys
	}
	return filepath.Join(c.Dir, keysName)
}

func (c *serveCommand) stop(srv *server.Server, e *engine.Engine, log *slog.Logger) error {
	log.Info("stopping")
	srv.Drain()
	time.Sleep(c.DrainDelay)
	ctx, cancel := context.WithTimeout(context.Background(), c.DrainTimeout)
	defer cancel()
	err := srv.Shutdown(ctx)
	if errors.Is(err, server.ErrBusy) {
		return err // the engine is in use; whatever was acknowledged is on disk all the same
	}
	if err != nil {
		log.Warn("requests were still under way, and were cut off", "error", err)
	}
	if err := e.Close(); err != nil {
		return err
	}
	log.Info("stopped")
	return nil
}

// options returns the server's options, and what is to be called when files may have changed.
func (c *serveCommand) options(log *slog.Logger) (o server.Options, reloads []func() error, err error) {
	keys, err := server.LoadKeys(c.keysPath())
	if err != nil {
		return o, nil, err
	}
	reloads = append(reloads, keys.Reload)
	o = server.Options{
		Keys: keys, Open: c.Open, BodyBytesMax: int(c.BodyBytesMax), HeaderBytesMax: int(c.HeaderBytesMax),
		ImportBytesMax: int64(c.ImportBytesMax), ImportUnpackedMax: int64(c.ImportUnpackedMax),
		ConnectionsMax: c.ConnectionsMax, ConnectionsPerIPMax: c.ConnectionsPerIPMax,
		ReadTimeout: c.ReadTimeout, WriteTimeout: c.WriteTimeout, IdleTimeout: c.IdleTimeout,
		Writes: c.Writes, WriteQueue: c.WriteQueue, QueueTimeout: c.QueueTimeout, Imports: c.Imports, Streams: c.Streams,
		CacheControl: c.CacheControl, Origins: c.Origins, Log: log,
		WebhookDir: filepath.Join(c.Dir, webhooksName), WebhookPrivate: c.WebhookPrivate, EventSource: c.EventSource,
	}
	if c.TLSCert == "" {
		return o, reloads, nil
	}
	cert, err := loadCertificate(c.TLSCert, c.TLSKey)
	if err != nil {
		return o, nil, err
	}
	o.TLS = cert.config()
	return o, append(reloads, func() error {
		changed, err := cert.reload()
		if changed {
			log.Info("TLS certificate read again", "file", c.TLSCert)
		}
		return err
	}), nil
}

func (c *serveCommand) logger(s *streams) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.LogLevel}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(s.err, options))
	}
	return slog.New(slog.NewTextHandler(s.err, options))
}

// serveAdmin serves the admin port from before the database is open, so that a long start can be watched.
func (c *serveCommand) serveAdmin(admin *server.Admin, log *slog.Logger) (address net.Addr, stop func(), err error) {
	if c.Admin == "" {
		return nil, func() {}, nil
	}
	ln, err := net.Listen("tcp", c.Admin)
	if err != nil {
		return nil, nil, fmt.Errorf("admin port: %w", err)
	}
	srv := &http.Server{Handler: admin.Handler(), ReadHeaderTimeout: c.ReadTimeout, IdleTimeout: c.IdleTimeout}
	go func() {
		if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			log.Error("admin port", "error", err)
		}
	}()
	log.Info("admin port", "address", ln.Addr().String())
	return ln.Addr(), func() { _ = srv.Close() }, nil
}
