package record

import (
	"testing"

	"onhand/engine/internal/reservation"
)

// benchRecord is a reservation of three lines.
func benchRecord() *Record {
	r := &Record{Kind: ReservationHeld, Time: 1_790_000_000_000_000_000}
	r.Reservation = reservation.Reservation{State: reservation.Held, Created: r.Time, Deadline: r.Time + 900e9, First: 4711, Sequence: 4711}
	for i := range uint32(3) {
		r.Cells = append(r.Cells, Cell{SKU: 1000 + i, Location: 17, OnHand: 40, Held: 3})
		r.Reservation.Lines = append(r.Reservation.Lines, reservation.Line{SKU: 1000 + i, Location: 17, Quantity: 1})
	}
	return r
}

func BenchmarkAppend(b *testing.B) {
	r := benchRecord()
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		out = Append(out[:0], r)
	}
	b.SetBytes(int64(len(out)))
}

func BenchmarkDecode(b *testing.B) {
	in := Append(nil, benchRecord())
	var r Record
	b.ReportAllocs()
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		if err := Decode(in, &r); err != nil {
			b.Fatal(err)
		}
	}
}
