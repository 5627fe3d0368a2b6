package engine_test

import (
	"bytes"
	"testing"
	"time"

	"onhand/engine"
	"onhand/engine/enginetest"
)

// FuzzReservationCursor goes on with a listing from any bytes that are taken for a cursor: it ends, and lists nothing twice.
func FuzzReservationCursor(f *testing.F) {
	db := enginetest.Open(f, engine.Options{})
	setOnHand(f, db, "lamp", "lyon", 100)
	setOnHand(f, db, "lamp", "nice", 100)
	var cursor engine.ReservationCursor
	for range 6 {
		for _, location := range []string{"lyon", "nice"} {
			r, err := db.Reserve(&engine.ReserveRequest{Lines: one("lamp", location), ExpiresIn: time.Hour})
			if err != nil {
				f.Fatal(err)
			}
			if location == "nice" {
				if _, err := db.Release(&engine.FinishRequest{ID: r.ID}); err != nil {
					f.Fatal(err)
				}
			}
		}
	}
	for !cursor.Done() {
		f.Add(cursor.AppendBinary(nil), 1)
		var err error
		if _, cursor, err = db.Reservations(engine.ReservationFilter{}, cursor, 1); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte, limit int) {
		cursor, err := engine.ParseReservationCursor(raw)
		if err != nil {
			return
		}
		if again := cursor.AppendBinary(nil); !bytes.Equal(again, raw) {
			t.Fatalf("%x is written back as %x", raw, again)
		}
		seen := make(map[engine.ID]bool)
		for pages := 0; !cursor.Done(); pages++ {
			var page []engine.Reservation
			if page, cursor, err = db.Reservations(engine.ReservationFilter{}, cursor, 1+limit&7); err != nil {
				t.Fatal(err)
			}
			for _, r := range page {
				if seen[r.ID] {
					t.Fatalf("%v is listed twice", r.ID)
				}
				seen[r.ID] = true
			}
			if pages > 100 {
				t.Fatal("the listing does not end")
			}
		}
	})
}
