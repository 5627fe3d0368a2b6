package engine

import (
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"onhand/engine/internal/clock"
)

// Options configure an engine. The zero Options are sound for production.
type Options struct {
	// DefaultHold is how long a reservation is held that names no deadline and whose SKUs have none of their own.
	// Default 15 minutes, range HoldMin to HoldMax.
	DefaultHold time.Duration

	// WindowAge and WindowKeys bound how long answers are remembered for retries, and ended reservations kept
	// readable: this long, or until so many newer ones follow, whichever comes first. Default 24 hours and 10,000,000.
	// A remembered answer takes about 110 bytes of memory.
	WindowAge  time.Duration
	WindowKeys int

	// TransferRetention is how long transfers that have ended are kept readable. Default 60 days.
	TransferRetention time.Duration

	// RetentionAge and RetentionBytes bound how long changes can be read back by the change feed: this long, or until
	// they take more disk than this, whichever comes first. What recovery needs is kept in any case.
	// Default 24 hours and 8 GiB.
	RetentionAge   time.Duration
	RetentionBytes int64

	// CheckpointBytes is how much journal is written before a new checkpoint is; it also waits until the journal is
	// half as large as the last checkpoint, so that checkpoints cost at most a fixed share of the writing.
	// Default 256 MiB.
	CheckpointBytes int64

	// OrderClocks are the clocks of orders where their location has none of its own.
	OrderClocks OrderClocks
	// OrderRetention and OrdersKept bound how long an order that has ended stays readable, and can be returned: this long, or until
	// so many others have ended since, whichever comes first. Default 60 days and 1,000,000. An order takes about half a kilobyte.
	OrderRetention time.Duration
	OrdersKept     int
	// HoldsPerReference and HoldsPerOwner are the most live reservations that there may be with the same reference, and of
	// the same owner. Default 0: no limit. A lower limit than before ends nothing; it only refuses more.
	HoldsPerReference, HoldsPerOwner int
	// OrdersPerCustomer and OrdersPerOwner are the same for live orders, by the reference of the customer and by who placed them.
	OrdersPerCustomer, OrdersPerOwner int

	// Log receives what an operator should know. Default: nothing.
	Log *slog.Logger

	// Fatal is called when the engine can no longer keep its promises: a failed sync, a full disk. It must end the
	// process, or at least never lead to an acknowledgement; the engine does not go on after it. Default: write the
	// error to standard error and exit with status 1.
	Fatal func(error)

	// Observe, where not nil, is told of what is worth measuring.
	Observe *Observer

	// FS and Clock take the place of the machine's file system and clock in tests.
	FS    vfs.FS
	Clock clock.Source
}

// Observer receives measurements. Any of its functions may be nil. They are called from the engine's own goroutines and
// must return quickly.
type Observer struct {
	// Block is called for each journal block: its records, its bytes, and how long it took to make it durable.
	Block func(records, bytes int, took time.Duration)
	// Expired is called for each reservation that expired: how long after its deadline its units were free.
	Expired func(lag time.Duration)
	// Checkpoint is called after each checkpoint.
	Checkpoint func(bytes int64, took time.Duration)
}

// HoldMin and HoldMax bound how long a reservation can be held from the moment it is made or extended.
const (
	HoldMin = time.Second
	HoldMax = 31 * 24 * time.Hour
)

func (o Options) withDefaults() (Options, error) {
	setDefault(&o.DefaultHold, 15*time.Minute)
	setDefault(&o.WindowAge, 24*time.Hour)
	setDefault(&o.WindowKeys, 10_000_000)
	setDefault(&o.TransferRetention, 60*24*time.Hour)
	setDefault(&o.RetentionAge, 24*time.Hour)
	setDefault(&o.RetentionBytes, 8<<30)
	setDefault(&o.CheckpointBytes, 256<<20)
	setDefault(&o.OrderRetention, 60*24*time.Hour)
	setDefault(&o.OrdersKept, 1_000_000)
	if err := o.OrderClocks.setDefaults(); err != nil {
		return o, err
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Fatal == nil {
		o.Fatal = func(err error) {
			fmt.Fprintln(os.Stderr, "onhand:", err)
			os.Exit(1)
		}
	}
	if o.Observe == nil {
		o.Observe = &Observer{}
	}
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Clock == nil {
		o.Clock = clock.NewSystem()
	}
	switch {
	case o.DefaultHold < HoldMin || o.DefaultHold > HoldMax:
		return o, invalid("DefaultHold", o.DefaultHold, fmt.Sprintf("%v to %v", HoldMin, HoldMax))
	case o.WindowAge < time.Minute:
		return o, invalid("WindowAge", o.WindowAge, "at least 1 minute")
	case o.WindowKeys < 1000 || o.WindowKeys > 100_000_000:
		return o, invalid("WindowKeys", o.WindowKeys, "1,000 to 100,000,000")
	case o.TransferRetention < time.Minute:
		return o, invalid("TransferRetention", o.TransferRetention, "at least 1 minute")
	case o.RetentionAge < 0:
		return o, invalid("RetentionAge", o.RetentionAge, "0 or more")
	case o.RetentionBytes < 0:
		return o, invalid("RetentionBytes", o.RetentionBytes, "0 or more")
	case o.OrderRetention < time.Hour:
		return o, invalid("OrderRetention", o.OrderRetention, "at least 1 hour")
	case o.OrdersKept < 1000 || o.OrdersKept > 100_000_000:
		return o, invalid("OrdersKept", o.OrdersKept, "1,000 to 100,000,000")
	case o.CheckpointBytes < 1<<16:
		return o, invalid("CheckpointBytes", o.CheckpointBytes, "at least 64 KiB")
	case o.HoldsPerReference < 0:
		return o, invalid("HoldsPerReference", o.HoldsPerReference, "1 or more, or 0 for no limit")
	case o.OrdersPerCustomer < 0:
		return o, invalid("OrdersPerCustomer", o.OrdersPerCustomer, "1 or more, or 0 for no limit")
	case o.OrdersPerOwner < 0:
		return o, invalid("OrdersPerOwner", o.OrdersPerOwner, "1 or more, or 0 for no limit")
	case o.HoldsPerOwner < 0:
		return o, invalid("HoldsPerOwner", o.HoldsPerOwner, "1 or more, or 0 for no limit")
	}
	return o, nil
}

func setDefault[T comparable](v *T, to T) {
	var zero T
	if *v == zero {
		*v = to
	}
}
