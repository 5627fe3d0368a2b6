package stock

import (
	"math/rand/v2"
	"testing"
)

// benchMap is a map of two million cells, and the names of random ones.
func benchMap() (*Map, []name) {
	const skus, locations = 2000, 1000
	m := new(Map)
	for s := uint32(1); s <= skus; s++ {
		set := onlySet(s)
		m.Lock(&set)
		m.Presize(s, locations)
		for l := uint32(1); l <= locations; l++ {
			m.Put(s, l, Cell{OnHand: 10, Sequence: 1})
		}
		m.Unlock(&set)
	}
	r := rand.New(rand.NewPCG(1, 1))
	names := make([]name, 1<<16)
	for i := range names {
		names[i] = name{1 + r.Uint32N(skus), 1 + r.Uint32N(locations)}
	}
	return m, names
}

// BenchmarkView reads a random cell of two million.
func BenchmarkView(b *testing.B) {
	m, names := benchMap()
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		n := names[i&(len(names)-1)]
		if _, ok := m.View(n.sku, n.location); !ok {
			b.Fatal("not there")
		}
		i++
	}
}

// BenchmarkPut writes one, with its lock.
func BenchmarkPut(b *testing.B) {
	m, names := benchMap()
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		n := names[i&(len(names)-1)]
		set := onlySet(n.sku)
		m.Lock(&set)
		m.Put(n.sku, n.location, Cell{OnHand: int64(i), Sequence: uint64(i)})
		m.Unlock(&set)
		i++
	}
}

// BenchmarkScan reads all thousand cells of a SKU.
func BenchmarkScan(b *testing.B) {
	m, names := benchMap()
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		seen := 0
		m.Scan(names[i&(len(names)-1)].sku, func(uint32, Cell) bool { seen++; return true })
		if seen != 1000 {
			b.Fatal(seen)
		}
		i++
	}
}
