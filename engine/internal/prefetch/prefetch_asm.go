//go:build amd64 || arm64

package prefetch

import "unsafe"

// Line asks for the cache line at p. It reads nothing, so p's content may be changing, and may be any address.
//
//go:noescape
func Line(p unsafe.Pointer)
