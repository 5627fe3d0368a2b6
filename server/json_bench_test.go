package server

import (
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"onhand/engine"
)

// JSON in: the body of a reservation of one line.
func BenchmarkDecodeReservation(b *testing.B) {
	body := []byte(`{"lines":[{"sku":"SKU-0000001","location":"store-0001","quantity":1}],"expires_in":900,"reference":"order-4711"}`)
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		var in reservationRequest
		if err := json.Unmarshal(body, &in, json.RejectUnknownMembers(true)); err != nil {
			b.Fatal(err)
		}
		if _, err := in.engine(""); err != nil {
			b.Fatal(err)
		}
	}
}

// JSON out: an answer about a cell, and one about a reservation.
func BenchmarkEncode(b *testing.B) {
	at := time.Date(2026, 11, 23, 11, 40, 5, 583461877, time.UTC)
	cell := engine.Cell{SKU: "SKU-0000001", Location: "store-0001", OnHand: 40, Held: 3, Available: 37, Stocked: true, Sequence: 4711}
	reservation := engine.Reservation{State: engine.Held, Created: at, Expires: at.Add(15 * time.Minute), Sequence: 4711,
		Lines: []engine.ReservationLine{{SKU: "SKU-0000001", Location: "store-0001", Quantity: 1, Held: 1}}}
	for name, encode := range map[string]func(dst []byte) []byte{
		"availability": func(dst []byte) []byte { return appendAvailability(dst, &cell) },
		"reservation":  func(dst []byte) []byte { return appendReservation(dst, &reservation) },
	} {
		b.Run(name, func(b *testing.B) {
			var out []byte
			b.ReportAllocs()
			for b.Loop() {
				out = encode(out[:0])
			}
			b.SetBytes(int64(len(out)))
		})
	}
}
