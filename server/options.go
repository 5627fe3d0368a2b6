package server

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"time"
)

// Options configure a server. The zero Options are sound for a server on loopback.
type Options struct {
	// Keys are the API keys that are let in. With none, every request is let in with every scope, and the server listens
	// on loopback only unless Open is set.
	Keys *Keys
	// Open lets a server without keys listen on addresses other than loopback.
	Open bool
	// TLS, where not nil, is used for the API.
	TLS *tls.Config

	// BodyBytesMax is the largest request body, but for imports. Default 4 MiB.
	BodyBytesMax int
	// HeaderBytesMax is the most that a request's first line and headers may take. Default 16 KiB.
	HeaderBytesMax int
	// ImportBytesMax is the largest body of an import as sent, and ImportUnpackedMax the largest after decompression.
	// Default 4 GiB and 32 GiB.
	ImportBytesMax, ImportUnpackedMax int64

	// ConnectionsMax is the most connections at a time, and ConnectionsPerIPMax of one address (0 = no limit of its own).
	// Default 10,000 and 0.
	ConnectionsMax, ConnectionsPerIPMax int

	// ReadTimeout is how long a request may take to arrive, from its first byte; an import, between two reads of its body.
	// Default 10 seconds.
	ReadTimeout time.Duration
	// WriteTimeout is how long an answer may take to be sent; a stream, each part of it. Default 30 seconds.
	WriteTimeout time.Duration
	// IdleTimeout is how long a connection is kept without a request. Default 2 minutes.
	IdleTimeout time.Duration

	// Writes is the number of writes under way at a time, and WriteQueue how many more may wait for a place, for at most
	// QueueTimeout; what exceeds them is answered with 503. An eighth of the places is kept for commits, releases and
	// extensions, which have a queue of their own, as long, that goes first. Default 4,096, 8,192 and 1 second.
	Writes, WriteQueue int
	QueueTimeout       time.Duration
	// Imports is the number of imports at a time, and Streams of exports, change feeds and backups. Default 2 and 256.
	Imports, Streams int

	// CacheControl is the Cache-Control header of answers about availability. Default "no-cache": caches may keep them,
	// and ask whether they still hold (ETag) before each use.
	CacheControl string
	// Origins are the web origins whose scripts may call the API (CORS); "*" = all. Default none.
	Origins []string

	// WebhookDir is where webhook endpoints are kept, and how far each has come; "" = there are none. WebhookPrivate lets them be
	// on addresses that are not public. EventSource is the source of their events, a URI reference; default "/onhand".
	WebhookDir     string
	WebhookPrivate bool
	EventSource    string

	// Log receives what an operator should know. Default: nothing.
	Log *slog.Logger
}

func (o Options) withDefaults() (Options, error) {
	setDefault(&o.BodyBytesMax, 4<<20)
	setDefault(&o.HeaderBytesMax, 16<<10)
	setDefault(&o.ImportBytesMax, 4<<30)
	setDefault(&o.ImportUnpackedMax, 32<<30)
	setDefault(&o.ConnectionsMax, 10_000)
	setDefault(&o.ReadTimeout, 10*time.Second)
	setDefault(&o.WriteTimeout, 30*time.Second)
	setDefault(&o.IdleTimeout, 2*time.Minute)
	setDefault(&o.Writes, 4096)
	setDefault(&o.WriteQueue, 8192)
	setDefault(&o.QueueTimeout, time.Second)
	setDefault(&o.Imports, 2)
	setDefault(&o.Streams, 256)
	setDefault(&o.CacheControl, "no-cache")
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	for _, limit := range []struct {
		name       string
		value, min int64
	}{
		{"BodyBytesMax", int64(o.BodyBytesMax), 1 << 10}, {"HeaderBytesMax", int64(o.HeaderBytesMax), 1 << 10},
		{"ImportBytesMax", o.ImportBytesMax, 1 << 10}, {"ImportUnpackedMax", o.ImportUnpackedMax, 1 << 10},
		{"ConnectionsMax", int64(o.ConnectionsMax), 1}, {"ConnectionsPerIPMax", int64(o.ConnectionsPerIPMax), 0},
		{"ReadTimeout", int64(o.ReadTimeout), 1}, {"WriteTimeout", int64(o.WriteTimeout), 1},
		{"IdleTimeout", int64(o.IdleTimeout), 1}, {"Writes", int64(o.Writes), 8}, {"WriteQueue", int64(o.WriteQueue), 0},
		{"QueueTimeout", int64(o.QueueTimeout), 1}, {"Imports", int64(o.Imports), 1}, {"Streams", int64(o.Streams), 1},
	} {
		if limit.value < limit.min {
			return o, fmt.Errorf("server: %s is %d, want at least %d", limit.name, limit.value, limit.min)
		}
	}
	return o, nil
}

func setDefault[T comparable](v *T, to T) {
	var zero T
	if *v == zero {
		*v = to
	}
}
