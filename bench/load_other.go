//go:build !linux

package bench

import (
	"errors"
	"time"
)

func (*load) run(*process, uint64, time.Duration) (*result, error) {
	return nil, errors.New("HTTP is measured on Linux only")
}
