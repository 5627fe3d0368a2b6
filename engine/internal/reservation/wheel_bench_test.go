package reservation

import (
	"encoding/binary"
	"testing"
	"time"
)

// BenchmarkDue finds holds that are due and removes them, as expiry does: the cost is that of one hold.
func BenchmarkDue(b *testing.B) {
	const holds = 1 << 17
	t := New(testShards, testShardOf, &flat{})
	var re Reservation
	var refs []uint32
	var n uint64
	b.ReportAllocs()
	for done := 0; done < b.N; {
		b.StopTimer()
		begin := start + int64(n)*int64(time.Second)
		for i := range holds {
			n++
			re = Reservation{State: Held, Created: begin, Deadline: begin + int64(i%900)*int64(time.Second), First: n, Sequence: n, Lines: re.Lines[:0]}
			binary.LittleEndian.PutUint64(re.ID[:], n*0x9E3779B97F4A7C15)
			re.Lines = append(re.Lines, Line{SKU: uint32(n)%flatSKUs + 1, Quantity: 1})
			t.Insert(&re)
		}
		b.StartTimer()
		for shard := range testShards {
			for {
				if refs = t.Due(refs[:0], shard, begin+901*int64(time.Second), 1000); len(refs) == 0 {
					break
				}
				for _, ref := range refs {
					t.Remove(ref)
				}
				done += len(refs)
			}
		}
		if live := t.Stats().Live; live != 0 {
			b.Fatalf("%d are left", live)
		}
	}
}
