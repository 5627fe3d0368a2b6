package journal

import (
	"fmt"
	"sync"
	"testing"
)

// BenchmarkGroupCommit appends records of 64 bytes and waits until each is on the disk, from one caller and from many.
func BenchmarkGroupCommit(b *testing.B) {
	for _, callers := range []int{1, 64, 1024} {
		b.Run(fmt.Sprint(callers, "_callers"), func(b *testing.B) {
			j, err := Open(b.TempDir(), Options{})
			if err != nil {
				b.Fatal(err)
			}
			record := make([]byte, 64)
			b.ReportAllocs()
			b.ResetTimer()
			var wg sync.WaitGroup
			for caller := range callers {
				wg.Go(func() {
					for range (b.N + callers - 1 - caller) / callers {
						if err := j.Wait(j.Append(record)); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			if err := j.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}
