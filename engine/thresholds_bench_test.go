package engine

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"onhand/engine/internal/record"
	"onhand/engine/internal/stock"
)

// BenchmarkDecideEvents is what it costs each cell of a change to be looked at: where nobody ever set a threshold, and where its SKU
// has one.
func BenchmarkDecideEvents(b *testing.B) {
	for _, name := range []string{"no thresholds", "a threshold"} {
		b.Run(name, func(b *testing.B) {
			e, err := newEngine("db", Options{FS: vfs.NewMem()})
			if err != nil {
				b.Fatal(err)
			}
			if name != "no thresholds" {
				e.applySKU(1, &record.SKU{ID: 1, LowStock: record.Threshold{Low: 5, Clear: 6}})
			}
			view := stock.Cell{OnHand: 100, Held: 3}
			c := newCommand()
			for b.Loop() {
				c.rec.Cells = c.rec.Cells[:0]
				c.addCell(1, 1, &view, view.OnHand, view.Held+1, 0)
				e.decideEvents(&c.rec)
			}
		})
	}
}
