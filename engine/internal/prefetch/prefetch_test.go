package prefetch

import (
	"testing"
	"unsafe"
)

// TestAnyAddressMayBeAskedFor: a prefetch reads nothing, so it neither faults nor changes what is there.
func TestAnyAddressMayBeAskedFor(t *testing.T) {
	Line(nil)
	page := make([]byte, 4096)
	for i := range page {
		page[i] = byte(i)
	}
	for i := range page {
		Line(unsafe.Pointer(&page[i]))
	}
	// Behind the end of a slice, where the next page may not be mapped.
	Line(unsafe.Add(unsafe.Pointer(unsafe.SliceData(page)), 1<<40))
	for i := range page {
		if page[i] != byte(i) {
			t.Fatalf("byte %d is %d", i, page[i])
		}
	}
}
