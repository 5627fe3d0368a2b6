package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// byteSize is a number of bytes, written with or without a unit: 4194304, 4MiB, 512MB.
type byteSize int64

var byteUnits = []struct {
	name  string
	bytes int64
}{
	// The longer names first: all end in B.
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1},
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (b *byteSize) UnmarshalText(text []byte) error {
	number, unit := strings.TrimSpace(string(text)), int64(1)
	for _, u := range byteUnits {
		if rest, ok := strings.CutSuffix(number, u.name); ok {
			number, unit = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/unit {
		return fmt.Errorf("size is %q, want a whole number with or without a unit, such as 512MB or 8GiB", text)
	}
	*b = byteSize(n * unit)
	return nil
}

// period is a length of time that may also be given in days: 36h, 7d.
type period time.Duration

const day = 24 * time.Hour

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *period) UnmarshalText(text []byte) error {
	s := string(text)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseInt(days, 10, 64)
		if err == nil && n >= 0 && n <= int64(math.MaxInt64/day) {
			*p = period(time.Duration(n) * day)
			return nil
		}
	} else if d, err := time.ParseDuration(s); err == nil {
		*p = period(d)
		return nil
	}
	return fmt.Errorf("period is %q, want a number with a unit, such as 90s, 15m, 36h or 7d", text)
}
