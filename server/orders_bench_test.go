package server

import (
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/valyala/fasthttp"

	"onhand/engine"
)

const (
	benchReservationBody = `{"lines":[{"sku":"lamp","location":"L","quantity":1},{"sku":"bulb","location":"L","quantity":2}],"expires_in":900,"reference":"c-0000001"}`
	benchOrderBody       = `{"lines":[{"sku":"lamp","location":"L","quantity":1},{"sku":"bulb","location":"L","quantity":2}],"payment":"online_paid","reference":"order-4711","customer":{"reference":"c-0000001","name":"Ana","phone":"+33 6"}}`
)

// BenchmarkPlaceOrder is what placing an order costs beside reserving the same lines: JSON in, and the call as a whole, on a disk
// that takes no time (where there is /dev/shm), with enough callers for blocks to be full.
func BenchmarkPlaceOrder(b *testing.B) {
	b.Run("decode/reservation", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var in reservationRequest
			if err := json.Unmarshal([]byte(benchReservationBody), &in, json.RejectUnknownMembers(true)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("decode/order", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var in orderRequest
			if err := json.Unmarshal([]byte(benchOrderBody), &in, json.RejectUnknownMembers(true)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encode/order", func(b *testing.B) {
		o := benchOrder()
		var out []byte
		b.ReportAllocs()
		for b.Loop() {
			out = appendOrder(out[:0], &o, true, nil)
		}
		b.SetBytes(int64(len(out)))
	})
	for name, call := range map[string]struct{ path, body string }{
		"call/reservation": {"/v1/reservations", benchReservationBody}, "call/order": {"/v1/orders", benchOrderBody},
	} {
		b.Run(name, func(b *testing.B) { benchCall(b, call.path, call.body) })
	}
}

func benchOrder() engine.Order {
	at := time.Date(2026, 11, 23, 11, 40, 5, 583461877, time.UTC)
	return engine.Order{
		State: engine.Placed, Move: engine.MovePlace, Location: "L", Channel: engine.Web, Fulfilment: engine.Pickup, Handover: engine.AtCounter,
		Payment: engine.PaymentPaid, OnShort: engine.OnShortAsk, Placed: at, Deadline: at.Add(4 * time.Hour), Reference: "order-4711", Code: "K7QX2M",
		Customer: engine.Person{Reference: "c-1", Name: "Ana", Phone: "+33 6"},
		Lines:    []engine.OrderLine{{SKU: "lamp", From: "L", Quantity: 1, Open: 1}, {SKU: "bulb", From: "L", Quantity: 2, Open: 2}},
		History:  []engine.OrderStep{{Time: at, Sequence: 4711, Move: engine.MovePlace, State: engine.Placed}}, Sequence: 4711,
	}
}

func benchCall(b *testing.B, path, body string) {
	s, e := benchServer(b)
	for _, sku := range []string{"lamp", "bulb"} {
		if _, err := e.SetStock(&engine.SetStockRequest{SKU: sku, Location: "L", OnHand: new(int64(1e12))}); err != nil {
			b.Fatal(err)
		}
	}
	var customers atomic.Int64
	b.ReportAllocs()
	b.SetParallelism(64)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			var ctx fasthttp.RequestCtx
			var request fasthttp.Request
			request.Header.SetMethod("POST")
			request.Header.SetHost("127.0.0.1")
			request.SetRequestURI(path)
			request.SetBodyString(strings.Replace(body, "c-0000001", "c-"+strconv.FormatInt(1e7+customers.Add(1), 10), 1))
			ctx.Init(&request, benchRemote, nil)
			s.serve(&ctx)
			if ctx.Response.StatusCode() != fasthttp.StatusCreated || !strings.Contains(string(ctx.Response.Body()), `"lamp"`) {
				b.Errorf("%d %s", ctx.Response.StatusCode(), ctx.Response.Body())
				return
			}
		}
	})
}
