package server

import (
	"errors"
	"os"
	"sync"
	"time"
)

// deadline is when reading, or writing, a connection is to be given up. A server sets three for each request, and nearly all are
// replaced by a later one long before they pass. So one that is later than that which the system has been given is only noted down:
// when the earlier one passes, whoever it wakes looks here, and goes on until the noted one.
type deadline struct {
	give func(time.Time) error // to the system

	mu          sync.Mutex
	want, given time.Time // zero = never
}

// set replaces the deadline.
func (d *deadline) set(t time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.want = t
	if t.IsZero() || !d.given.IsZero() && !t.Before(d.given) {
		return nil
	}
	return d.giveLocked()
}

func (d *deadline) giveLocked() error {
	d.given = d.want
	return d.give(d.want)
}

// early reports whether err only says that an earlier deadline has passed than the present one, which the system has been given then.
func (d *deadline) early(err error) bool {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.want.IsZero() && !time.Now().Before(d.want) {
		return false
	}
	return d.giveLocked() == nil
}
