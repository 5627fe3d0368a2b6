package server

import (
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/valyala/fasthttp"

	"onhand/engine"
)

// Metrics are what a server and its engine tell Prometheus. There are no labels whose values grow with the stock: no
// SKU, no location, no reservation.
type Metrics struct {
	registry *prometheus.Registry

	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	overload *prometheus.CounterVec
	unrouted *requestMetrics

	version      string
	blockRecords prometheus.Histogram
	blockBytes   prometheus.Histogram
	blockSeconds prometheus.Histogram
	expiryLag    prometheus.Histogram
	checkpoint   prometheus.Histogram
}

// latencyBuckets are the classic buckets of latencies, for those who don't take native histograms.
var latencyBuckets = []float64{
	50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3, 500e-3, 1, 2.5, 5, 10,
}

func latency(name, help string) prometheus.HistogramOpts {
	return prometheus.HistogramOpts{
		Name: name, Help: help, Buckets: latencyBuckets,
		// 1.1: neighbouring buckets are a tenth apart, so a quantile is at most so far off.
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 160, NativeHistogramMinResetDuration: time.Hour,
	}
}

// NewMetrics returns metrics that a server can be made with. version is the program's.
func NewMetrics(version string) *Metrics {
	m := &Metrics{version: version, registry: prometheus.NewRegistry()}
	m.requests = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "onhand_http_requests_total", Help: "Requests answered, by call, method and status code.",
	}, []string{"call", "method", "code"})
	m.seconds = prometheus.NewHistogramVec(latency("onhand_http_request_duration_seconds",
		"Time from a request's arrival to its answer, by call and method; of streams, to their beginning."), []string{"call", "method"})
	m.overload = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "onhand_http_overloaded_total", Help: "Requests turned away because their lane was full.",
	}, []string{"lane"})
	m.blockRecords = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "onhand_journal_block_records", Help: "Records that one sync made durable.",
		Buckets: prometheus.ExponentialBuckets(1, 4, 10),
	})
	m.blockBytes = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "onhand_journal_block_bytes", Help: "Bytes that one sync made durable.",
		Buckets: prometheus.ExponentialBuckets(64, 4, 10),
	})
	m.blockSeconds = prometheus.NewHistogram(latency("onhand_journal_sync_duration_seconds",
		"Time to write a block of the journal and make it durable."))
	m.expiryLag = prometheus.NewHistogram(latency("onhand_expiry_lag_seconds",
		"Time from a reservation's deadline until its units were shown free."))
	m.checkpoint = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "onhand_checkpoint_duration_seconds", Help: "Time to write a checkpoint.",
		Buckets: []float64{0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 300},
	})
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "onhand_build_info", Help: "Always 1; the labels say which program this is.",
		ConstLabels: prometheus.Labels{"version": version, "go_version": runtime.Version()},
	})
	build.Set(1)
	m.registry.MustRegister(m.requests, m.seconds, m.overload, m.blockRecords, m.blockBytes, m.blockSeconds, m.expiryLag,
		m.checkpoint, build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.unrouted = m.newRequestMetrics("none", "other")
	for _, name := range laneNames {
		m.overload.WithLabelValues(name)
	}
	m.overload.WithLabelValues(connectionLane)
	return m
}

// Observer returns what tells an engine's measurements to m.
func (m *Metrics) Observer() *engine.Observer {
	return &engine.Observer{
		Block: func(records, bytes int, took time.Duration) {
			m.blockRecords.Observe(float64(records))
			m.blockBytes.Observe(float64(bytes))
			m.blockSeconds.Observe(took.Seconds())
		},
		Expired:    func(lag time.Duration) { m.expiryLag.Observe(lag.Seconds()) },
		Checkpoint: func(_ int64, took time.Duration) { m.checkpoint.Observe(took.Seconds()) },
	}
}

var laneNames = map[lane]string{laneFinish: "finish", laneWrite: "write", laneImport: "import", laneStream: "stream"}

// connectionLane is the lane of connections that are turned away before they send a request.
const connectionLane = "connection"

func (m *Metrics) refusedConnection() { m.overload.WithLabelValues(connectionLane).Inc() }

func (m *Metrics) overloaded(l lane) { m.overload.WithLabelValues(laneNames[l]).Inc() }

// requestMetrics are those of one route, looked up once.
type requestMetrics struct {
	m            *Metrics
	call, method string
	seconds      prometheus.Observer
	codes        [600]atomic.Pointer[prometheus.Counter]
}

func (m *Metrics) newRequestMetrics(call, method string) *requestMetrics {
	return &requestMetrics{m: m, call: call, method: method, seconds: m.seconds.WithLabelValues(call, method)}
}

// observe counts a request that was answered. ctx.Time is the moment its last byte had arrived.
func (m *Metrics) observe(rt *route, ctx *fasthttp.RequestCtx) {
	r := m.unrouted
	if rt != nil {
		r = rt.requests
	}
	r.seconds.Observe(time.Since(ctx.Time()).Seconds())
	code := ctx.Response.StatusCode()
	if code >= len(r.codes) {
		code = fasthttp.StatusInternalServerError
	}
	counter := r.codes[code].Load()
	if counter == nil {
		c := m.requests.WithLabelValues(r.call, r.method, strconv.Itoa(code))
		counter = &c
		r.codes[code].Store(counter)
	}
	(*counter).Inc()
}

// stateCollector tells the figures that an engine and a server keep of themselves.
type stateCollector struct{ s *Server }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var (
	descDurable        = desc("onhand_sequence_durable", "Sequence of the last durable change.")
	descRetained       = desc("onhand_sequence_retained", "Oldest sequence that the change feed can still begin with; one past the last where there is none.")
	descPending        = desc("onhand_journal_pending_records", "Changes that were decided and are not durable yet.")
	descJournalBytes   = desc("onhand_journal_disk_bytes", "Disk space of the journal.")
	descChanges        = desc("onhand_changes_total", "Changes made since the start, by kind.", "kind")
	descReservations   = desc("onhand_reservations_total", "What became of reservations since the start, by outcome. Refusals are counted by line, in onhand_refused_lines_total.", "outcome")
	descRefused        = desc("onhand_refused_lines_total", "Lines of reservations that were refused since the start, by reason.", "reason")
	descLimited        = desc("onhand_limit_refusals_total", "Reservations refused since the start because as many were live as a limit allows, by limit.", "limit")
	descHolds          = desc("onhand_holds_live", "Live reservations.")
	descSKUs           = desc("onhand_skus", "SKUs known.")
	descLocations      = desc("onhand_locations", "Locations known, deleted ones included.")
	descCells          = desc("onhand_cells", "Cells: SKUs stocked at locations.")
	descMemory         = desc("onhand_memory_bytes", "Memory, by part.", "part")
	descWindow         = desc("onhand_window_entries", "Answers remembered for retries, and ended reservations kept readable.", "window")
	descWindowReach    = desc("onhand_window_reach_seconds", "How far back the oldest of them goes.", "window")
	descCheckpointTime = desc("onhand_checkpoint_age_seconds", "Time since the last checkpoint; the age of the engine where there is none.")
	descCheckpointSize = desc("onhand_checkpoint_bytes", "Size of the last checkpoint.")
	descSinceCheck     = desc("onhand_checkpoint_behind_records", "Changes since the last checkpoint began: what a restart would replay.")
	descRecovery       = desc("onhand_recovery_duration_seconds", "Time that the last start took, by phase.", "phase")
	descRecovered      = desc("onhand_recovery_records", "Changes that the last start replayed.")
	descClock          = desc("onhand_clock_offset_seconds", "Wall clock minus engine time.")
	descDiskFull       = desc("onhand_disk_full", "1 while writes are refused because the disk is almost full.")
	descDiskFree       = desc("onhand_disk_free_bytes", "Free space of the database's disk.")
	descReady          = desc("onhand_ready", "1 while the server takes requests.")
	descRunning        = desc("onhand_writes_running", "Writes under way.")
	descWaiting        = desc("onhand_writes_waiting", "Writes that wait for a place.")
	descImports        = desc("onhand_imports_running", "Imports under way.")
	descStreams        = desc("onhand_streams_running", "Exports, change feeds and backups under way.")
	descHookAttempts   = desc("onhand_webhook_attempts_total", "Attempts to deliver an event since the start, by endpoint and outcome.", "endpoint", "outcome")
	descHookLost       = desc("onhand_webhook_lost_total", "Events given up after 72 hours, and changes no longer retained when they were to be sent, by endpoint. Anything but 0 is a loss.", "endpoint")
	descHookWaiting    = desc("onhand_webhook_waiting", "Events sent in vain that will be sent again, with those behind them, by endpoint.", "endpoint")
	descHookBehind     = desc("onhand_webhook_behind_records", "Changes that an endpoint has not come to yet.", "endpoint")
	descHookDisabled   = desc("onhand_webhook_disabled", "1 where nothing is sent to an endpoint.", "endpoint")
	descOrderMoves     = desc("onhand_order_moves_total", "Moves of orders since the start, by move.", "move")
	descOrdersLive     = desc("onhand_orders_live", "Orders that have not ended.")
	descOrdersKept     = desc("onhand_orders_kept", "Orders that can be read, live or ended.")
	descConnections    = desc("onhand_http_connections", "Open connections.")
)

func (c stateCollector) Describe(ch chan<- *prometheus.Desc) {
	prometheus.DescribeByCollect(c, ch)
}

var outcomes = map[string]engine.ChangeKind{
	"held": engine.ReservationHeldChange, "committed": engine.ReservationCommittedChange,
	"released": engine.ReservationReleasedChange, "extended": engine.ReservationExtendedChange,
	"expired": engine.ReservationExpiredChange, "refused_on_record": engine.ReservationRefusedChange,
}

func (c stateCollector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	count := func(d *prometheus.Desc, v int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	s := c.s
	st := s.engine.Stats()
	gauge(descDurable, float64(st.Durable))
	if first, err := s.engine.FirstRetained(); err == nil {
		gauge(descRetained, float64(first))
	}
	gauge(descPending, float64(st.Appended-min(st.Durable, st.Appended)))
	gauge(descJournalBytes, float64(st.JournalBytes))
	for kind, n := range st.Changes {
		count(descChanges, n, string(kind))
	}
	for outcome, kind := range outcomes {
		count(descReservations, st.Changes[kind], outcome)
	}
	for reason, n := range st.Refused {
		count(descRefused, n, reason.String())
	}
	for limit, n := range st.Limited {
		count(descLimited, n, limitName(limit))
	}
	gauge(descHolds, float64(st.LiveReservations))
	gauge(descSKUs, float64(st.SKUs))
	gauge(descLocations, float64(st.Locations))
	gauge(descCells, float64(st.Cells))
	for part, bytes := range map[string]int64{
		"cells": st.Memory.Cells, "reservations": st.Memory.Reservations, "answers": st.Memory.Answers,
		"ended": st.Memory.Ended, "names": st.Memory.Names, "journal": st.Memory.Journal,
	} {
		gauge(descMemory, float64(bytes), part)
	}
	gauge(descWindow, float64(st.Answers), "answers")
	gauge(descWindow, float64(st.Ended), "ended")
	gauge(descWindowReach, st.AnswersReach.Seconds(), "answers")
	gauge(descWindowReach, st.EndedReach.Seconds(), "ended")
	since := s.started
	if !st.Checkpoint.Written.IsZero() {
		since = st.Checkpoint.Written
	}
	gauge(descCheckpointTime, s.engine.Now().Sub(since).Seconds())
	gauge(descCheckpointSize, float64(st.Checkpoint.Bytes))
	gauge(descSinceCheck, float64(st.Durable-min(st.Checkpoint.Start, st.Durable)))
	gauge(descRecovery, st.Recovery.Load.Seconds(), "load")
	gauge(descRecovery, st.Recovery.Replay.Seconds(), "replay")
	gauge(descRecovered, float64(st.Recovery.Records))
	gauge(descClock, st.ClockOffset.Seconds())
	gauge(descDiskFull, boolean(st.DiskFull))
	gauge(descDiskFree, float64(st.DiskFree))
	gauge(descReady, boolean(s.Ready()))
	gauge(descRunning, float64(s.gate.running.Load()))
	gauge(descWaiting, float64(s.gate.waiting.Load()))
	gauge(descImports, float64(len(s.imports)))
	gauge(descStreams, float64(len(s.streams)))
	gauge(descConnections, float64(s.serving.Load()))
	for move, n := range st.OrderMoves {
		count(descOrderMoves, n, move.String())
	}
	gauge(descOrdersLive, float64(st.LiveOrders))
	gauge(descOrdersKept, float64(st.Orders))
	if s.hooks == nil {
		return
	}
	for _, id := range s.hooks.IDs() {
		if e, h, ok := s.hooks.Get(id); ok {
			count(descHookAttempts, int64(h.Delivered), id, "delivered")
			count(descHookAttempts, int64(h.Failed), id, "failed")
			count(descHookLost, int64(h.GaveUp+h.Missed), id)
			gauge(descHookWaiting, float64(h.Waiting), id)
			gauge(descHookBehind, float64(h.Behind), id)
			gauge(descHookDisabled, boolean(e.Disabled != ""), id)
		}
	}
}

func boolean(v bool) float64 {
	if v {
		return 1
	}
	return 0
}
