package engine

import (
	"errors"
	"fmt"
	"strings"

	"onhand/engine/internal/journal"
	"onhand/engine/internal/snapshot"
)

// Errors that need no detail.
var (
	// ErrKeyReused says that the idempotency key, or the reservation id, was used before with another request.
	ErrKeyReused = errors.New("the key was used before with a different request")
	// ErrStopped says that the engine was closed or has failed. Whether a write that was under way took effect is not
	// known; a retry under the same key will tell.
	ErrStopped = journal.ErrStopped
	// ErrDiskFull says that writes are refused because the disk is almost full. Nothing was changed.
	ErrDiskFull = journal.ErrDiskFull
	// ErrTooManyHolds says that there is no memory left for further reservations. Nothing was changed.
	ErrTooManyHolds = errors.New("too many live reservations")
	// ErrDamaged says that what is stored can't be trusted.
	ErrDamaged = journal.ErrCorrupt
	// ErrCheckpointDamaged says that a checkpoint or backup file can't be trusted.
	ErrCheckpointDamaged = snapshot.ErrCorrupt
	// ErrNotRetained says that the changes asked for are no longer kept.
	ErrNotRetained = errors.New("the changes asked for are no longer retained")
)

// InvalidError says that a request can't be carried out as it stands. Nothing was changed.
type InvalidError struct {
	Field string // path of the field, such as lines[2].quantity
	Value string // what it held
	Want  string // what is allowed
}

func (e *InvalidError) Error() string {
	return fmt.Sprintf("%s is %s, want %s", e.Field, e.Value, e.Want)
}

// invalid returns an InvalidError. A long value is cut.
func invalid(field string, value any, want string) error {
	text := ""
	if s, ok := value.(string); ok {
		if len(s) > 80 {
			s = s[:77] + "..."
		}
		text = fmt.Sprintf("%q", s)
	} else {
		text = fmt.Sprint(value)
	}
	return &InvalidError{field, text, want}
}

// Kind of thing that an UnknownError names.
const (
	KindSKU         = "sku"
	KindLocation    = "location"
	KindReservation = "reservation"
	KindStock       = "stock"
	KindOrder       = "order"
	KindTransfer    = "transfer"
)

// UnknownError says that there is no such thing.
type UnknownError struct {
	Kind string // KindSKU …
	Name string
}

// unknown returns an UnknownError. The name may live in memory that the caller will reuse.
func unknown(kind, name string) error { return &UnknownError{kind, strings.Clone(name)} }

func (e *UnknownError) Error() string { return fmt.Sprintf("unknown %s %q", e.Kind, e.Name) }

// StateError says that a reservation is in a state that does not allow what was asked.
type StateError struct {
	ID       ID
	State    State
	Sequence uint64 // of the reservation's last change
}

func (e *StateError) Error() string {
	return fmt.Sprintf("reservation %s is %s", FormatID(e.ID), e.State)
}

// TransferStateError says that a transfer is in a state that does not allow what was asked: nothing of it is left to dispatch,
// to receive or to cancel.
type TransferStateError struct {
	ID    ID
	State TransferState
}

func (e *TransferStateError) Error() string {
	return fmt.Sprintf("transfer %s is %s", FormatID(e.ID), e.State)
}

// SequenceError says that a cell was changed since the sequence that the caller had seen.
type SequenceError struct {
	Want, Have uint64
}

func (e *SequenceError) Error() string {
	return fmt.Sprintf("if_sequence is %d, but the cell is at %d", e.Want, e.Have)
}

// InUseError says that a location can't be deleted because it still has stock, reservations or transfers.
type InUseError struct {
	Location     string
	Cells        int // cells with units on hand or held
	Reservations int // live reservations with a line there
	Orders       int // live orders that are collected there, or sent from there
	Transfers    int // open transfers from or to it
}

func (e *InUseError) Error() string {
	text := fmt.Sprintf("location %q still has %d cells with units and %d reservations", e.Location, e.Cells, e.Reservations)
	if e.Orders > 0 {
		text += fmt.Sprintf(", and %d orders", e.Orders)
	}
	if e.Transfers > 0 {
		text += fmt.Sprintf(", and %d transfers from or to it are open", e.Transfers)
	}
	return text
}

// RefusedError says that a reservation was not granted, or that what was to be committed or released is not held, and
// why, line by line.
type RefusedError struct {
	Lines []Refusal
	// Sequence is that of the change under which the refusal is on record, or 0 where the request had no key.
	Sequence uint64
	// NextSlots and LargerCompartments are, for an order that was refused a slot or compartment, those that can be had instead.
	NextSlots          []Slot
	LargerCompartments []string
}

func (e *RefusedError) Error() string {
	if len(e.Lines) == 0 {
		return "refused"
	}
	l := &e.Lines[0]
	more := ""
	if len(e.Lines) > 1 {
		more = fmt.Sprintf(", and %d more lines", len(e.Lines)-1)
	}
	return fmt.Sprintf("refused: %q at %q: %s%s", l.SKU, l.Location, l.Reason, more)
}
