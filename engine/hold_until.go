package engine

import (
	"errors"
	"fmt"
	"time"

	"onhand/engine/hours"
)

// HoldUntil is a deadline by the opening hours of a reservation's location: some time before it closes on an open day.
// Today is the first open day where that is still to come; days on which the location stays closed are not counted.
type HoldUntil struct {
	OpenDay int           // 1 to OpenDayMax
	Before  time.Duration // before the last closing of that day, 0 to 24 hours
}

// OpenDayMax is the farthest open day that a reservation can be held until; its deadline is within HoldMax besides.
const OpenDayMax = 31

func (h *HoldUntil) check() error {
	if h.OpenDay < 1 || h.OpenDay > OpenDayMax {
		return invalid("hold_until.closing_of_open_day", h.OpenDay, fmt.Sprintf("1 to %d", OpenDayMax))
	}
	if h.Before < 0 || h.Before > 24*time.Hour {
		return invalid("hold_until.minutes_before", int64(h.Before/time.Minute), "0 to 1440")
	}
	return nil
}

// closingDeadline returns the deadline that h means at the location of all lines. It returns an error that wraps an
// hours.UnknownError where the location's hours don't tell.
func (e *Engine) closingDeadline(h *HoldUntil, lines []line, now int64) (int64, error) {
	for i := range lines[1:] {
		if lines[i+1].location != lines[0].location {
			return 0, invalid("hold_until", "a basket at several locations", "lines that are all at one location")
		}
	}
	p := e.locationOf(lines[0].location)
	if p == nil {
		return now + int64(e.options.DefaultHold), nil // it will be refused: there is no such location
	}
	// A deadline in less than HoldMin is no longer one, so the next open day is the first.
	at, err := p.calendar.DeadlineOfOpenDay(timeOf(now).Add(HoldMin-1), h.OpenDay, h.Before)
	if unknown := (*hours.UnknownError)(nil); errors.As(err, &unknown) {
		return 0, &untoldError{*invalid("hold_until", "for a location whose "+unknown.Error(), "a location with opening hours").(*InvalidError), unknown}
	}
	if err != nil {
		return 0, err
	}
	if at.Sub(timeOf(now)) > HoldMax {
		// Another location may be open sooner, so it is passed over like one whose hours don't tell.
		return 0, &untoldError{
			*invalid("hold_until", at.UTC().Format(time.RFC3339), fmt.Sprintf("a closing within %v from now", HoldMax)).(*InvalidError),
			&hours.UnknownError{Why: "the open day is too far ahead"},
		}
	}
	return at.UnixNano(), nil
}

// untoldError is an InvalidError that tells its cause.
type untoldError struct {
	InvalidError
	cause error
}

func (e *untoldError) Unwrap() []error { return []error{&e.InvalidError, e.cause} }
