package server

import (
	"testing"
	"time"

	"onhand/engine"
)

func TestResourcesAreWritten(t *testing.T) {
	start := time.Date(2026, 11, 26, 10, 0, 0, 0, time.UTC)
	got := string(appendResources(nil, []engine.Resource{
		{Location: "lyon", Start: start, End: start.Add(time.Hour), Quantity: 1, Held: 1},
		{Location: "lyon", Start: start, Quantity: 1, Expired: 1},
		{Location: "lyon", Size: "S", Quantity: 2, Held: 1, Released: 1},
	}))
	const want = `[{"location":"lyon","slot":{"start":"2026-11-26T10:00:00Z","end":"2026-11-26T11:00:00Z"},"quantity":1,"held":1,"released":0,"expired":0},` +
		`{"location":"lyon","slot":{"start":"2026-11-26T10:00:00Z"},"quantity":1,"held":0,"released":0,"expired":1},` +
		`{"location":"lyon","compartment":"S","quantity":2,"held":1,"released":1,"expired":0}]`
	if got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

func TestRemovedSlotsAreWritten(t *testing.T) {
	got := string(appendChange(nil, &engine.Change{Sequence: 7, Kind: engine.SlotsRemovedChange, Slots: []string{"slot:2026-11-26T10:00Z", "slot:2026-11-26T11:00Z"}}, nil))
	if want := `{"sequence":7,"type":"slots.removed","time":"0001-01-01T00:00:00Z","slots":["slot:2026-11-26T10:00Z","slot:2026-11-26T11:00Z"]}`; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}
