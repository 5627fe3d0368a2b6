package main

import (
	"io"
	"reflect"
	"testing"
	"time"

	"onhand/engine"
)

// TestEveryFlagOfTheEngineReachesIt gives each of them a value of its own, so that one that goes to another's place shows.
func TestEveryFlagOfTheEngineReachesIt(t *testing.T) {
	var c cli
	if _, err := newParser(&c, io.Discard, io.Discard).Parse([]string{
		"serve", "db", "--default-hold", "1m", "--window-age", "2m", "--window-keys", "1003", "--transfer-retention", "4m",
		"--retention-age", "5m", "--retention-bytes", "6", "--checkpoint-bytes", "70000",
		"--order-pay-within", "8m", "--order-accept-within", "9m", "--order-pick-within", "10m", "--order-collect-within", "11m",
		"--order-arrive-within", "12m", "--order-remind-before", "13m", "--order-extensions", "7", "--order-retention", "15h", "--orders-kept", "1016",
		"--holds-per-reference", "17", "--holds-per-key", "18", "--orders-per-customer", "19", "--orders-per-key", "20",
	}); err != nil {
		t.Fatal(err)
	}
	got, want := c.Serve.engineOptions(), engine.Options{
		DefaultHold: time.Minute, WindowAge: 2 * time.Minute, WindowKeys: 1003, TransferRetention: 4 * time.Minute,
		RetentionAge: 5 * time.Minute, RetentionBytes: 6, CheckpointBytes: 70000,
		OrderClocks: engine.OrderClocks{
			PayWithin: 8 * time.Minute, AcceptWithin: 9 * time.Minute, PickWithin: 10 * time.Minute, CollectWithin: 11 * time.Minute,
			ArriveWithin: 12 * time.Minute, RemindBefore: 13 * time.Minute, ExtensionsMax: 7,
		},
		OrderRetention: 15 * time.Hour, OrdersKept: 1016,
		HoldsPerReference: 17, HoldsPerOwner: 18, OrdersPerCustomer: 19, OrdersPerOwner: 20,
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got  %+v\nwant %+v", got, want)
	}
	c.Serve.OrderExtensions = 0
	if n := c.Serve.engineOptions().OrderClocks.ExtensionsMax; n != -1 {
		t.Fatalf("no extensions are %d to the engine, want -1, as 0 is its default", n)
	}
}
