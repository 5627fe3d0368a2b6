package journal

import (
	"fmt"
	"testing"
)

// BenchmarkBlock encodes a block: records are appended to it, and it is sealed. Time and bytes are those of a block with so
// many records of 64 bytes: one, as a lone caller makes it, and as many as a sync of many callers has. The one allocation is
// the channel by which its callers wait; the buffer is used again, as the journal does it.
func BenchmarkBlock(b *testing.B) {
	for _, records := range []int{1, 30, 1000} {
		b.Run(fmt.Sprint(records, "_records"), func(b *testing.B) {
			var open block
			var hash uint64
			record, next := make([]byte, 64), uint64(1)
			b.ReportAllocs()
			for b.Loop() {
				open.reset(next)
				for range records {
					open.append(record, false)
				}
				hash = open.seal(hash)
				next = open.last() + 1
			}
			b.SetBytes(int64(len(open.data)))
		})
	}
}

// BenchmarkParseBlock checks a block and walks its records, as a restart and the change feed do.
func BenchmarkParseBlock(b *testing.B) {
	var open block
	open.reset(1)
	record := make([]byte, 64)
	for range 30 {
		open.append(record, false)
	}
	open.seal(0)
	b.SetBytes(int64(len(open.data)))
	b.ReportAllocs()
	var bytes int
	take := func(_ uint64, entry []byte) error {
		bytes += len(entry)
		return nil
	}
	for b.Loop() {
		parsed, err := ParseBlock(open.data)
		if err != nil {
			b.Fatal(err)
		}
		if err := parsed.Each(take, nil); err != nil {
			b.Fatal(err)
		}
	}
}
