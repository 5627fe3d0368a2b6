package main

import (
	"fmt"
	"net"
	"time"

	"onhand/engine"
)

// Validate refuses values of flags that can't be meant, by the flag's name and before anything is opened. Zero is among
// them where the server and the engine take it for "the default": who writes --imports 0 doesn't want two.
func (c *serveCommand) Validate() error {
	for _, listen := range []struct{ name, address string }{{"listen", c.Listen}, {"admin", c.Admin}} {
		if listen.name == "admin" && listen.address == "" {
			continue
		}
		_, port, err := net.SplitHostPort(listen.address)
		if err == nil {
			_, err = net.LookupPort("tcp", port)
		}
		if err != nil {
			return fmt.Errorf("--%s is %q, want an address and a port, such as 127.0.0.1:8080 (%w)", listen.name, listen.address, err)
		}
	}
	for _, limit := range []struct {
		name            string
		value, min, max int64 // max 0 = none
	}{
		{"window-keys", int64(c.WindowKeys), 1000, 100_000_000},
		{"connections-max", int64(c.ConnectionsMax), 1, 0},
		{"connections-per-ip-max", int64(c.ConnectionsPerIPMax), 0, 0},
		{"holds-per-reference", int64(c.HoldsPerReference), 0, 0},
		{"holds-per-key", int64(c.HoldsPerKey), 0, 0},
		{"orders-per-customer", int64(c.OrdersPerCustomer), 0, 0},
		{"orders-per-key", int64(c.OrdersPerKey), 0, 0},
		{"order-extensions", int64(c.OrderExtensions), 0, 10},
		{"orders-kept", int64(c.OrdersKept), 1000, 100_000_000},
		{"writes", int64(c.Writes), 8, 0},
		{"write-queue", int64(c.WriteQueue), 1, 0},
		{"imports", int64(c.Imports), 1, 0},
		{"streams", int64(c.Streams), 1, 0},
		{"retention-bytes", int64(c.RetentionBytes), 1, 0},
		{"checkpoint-bytes", int64(c.CheckpointBytes), 64 << 10, 0},
		{"body-bytes-max", int64(c.BodyBytesMax), 1 << 10, 0},
		{"header-bytes-max", int64(c.HeaderBytesMax), 1 << 10, 0},
		{"import-bytes-max", int64(c.ImportBytesMax), 1 << 10, 0},
		{"import-unpacked-max", int64(c.ImportUnpackedMax), 1 << 10, 0},
	} {
		switch {
		case limit.value < limit.min:
			return fmt.Errorf("--%s is %d, want at least %d", limit.name, limit.value, limit.min)
		case limit.max > 0 && limit.value > limit.max:
			return fmt.Errorf("--%s is %d, want at most %d", limit.name, limit.value, limit.max)
		}
	}
	for _, limit := range []struct {
		name            string
		value, min, max time.Duration // max 0 = none
	}{
		{"default-hold", time.Duration(c.DefaultHold), engine.HoldMin, engine.HoldMax},
		{"order-pay-within", time.Duration(c.OrderPayWithin), engine.HoldMin, engine.HoldMax},
		{"order-accept-within", time.Duration(c.OrderAcceptWithin), engine.HoldMin, engine.HoldMax},
		{"order-pick-within", time.Duration(c.OrderPickWithin), engine.HoldMin, engine.HoldMax},
		{"order-collect-within", time.Duration(c.OrderCollectWithin), engine.HoldMin, engine.HoldMax},
		{"order-arrive-within", time.Duration(c.OrderArriveWithin), engine.HoldMin, engine.HoldMax},
		{"order-remind-before", time.Duration(c.OrderRemindBefore), engine.HoldMin, engine.HoldMax},
		{"order-retention", time.Duration(c.OrderRetention), time.Hour, 0},
		{"window-age", time.Duration(c.WindowAge), time.Minute, 0},
		{"retention-age", time.Duration(c.RetentionAge), 1, 0},
		{"transfer-retention", time.Duration(c.TransferRetention), time.Minute, 0},
		{"read-timeout", c.ReadTimeout, 1, 0},
		{"write-timeout", c.WriteTimeout, 1, 0},
		{"idle-timeout", c.IdleTimeout, 1, 0},
		{"queue-timeout", c.QueueTimeout, 1, 0},
		{"drain-delay", c.DrainDelay, 0, 0},
		{"drain-timeout", c.DrainTimeout, 0, 0},
	} {
		switch {
		case limit.value < limit.min && limit.min == 1:
			return fmt.Errorf("--%s is %v, want more than 0s", limit.name, limit.value)
		case limit.value < limit.min:
			return fmt.Errorf("--%s is %v, want at least %v", limit.name, limit.value, limit.min)
		case limit.max > 0 && limit.value > limit.max:
			return fmt.Errorf("--%s is %v, want at most %v", limit.name, limit.value, limit.max)
		}
	}
	return nil
}
