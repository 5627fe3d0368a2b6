package engine

import (
	"encoding/binary"
	"fmt"

	"onhand/engine/internal/record"
)

// Names are given integers once. The definition is a note in the journal, before the first record that uses the integer.
//
//	+------+---------------+------------
//	| kind | integer       | name
//	| u8   | uvarint       | the rest
//	+------+---------------+------------
const (
	symbolSKU      = 's'
	symbolLocation = 'l'

	factOrder   = 'o' // tells what an order adds to the digest from what names do
	symbolOwner = 'k' // of reservations: an API key, mostly
)

func appendSymbol(dst []byte, kind byte, id uint32, name string) []byte {
	dst = append(dst, kind)
	dst = binary.AppendUvarint(dst, uint64(id))
	return append(dst, name...)
}

// applySymbol installs a definition, as of sequence at.
func (e *Engine) applySymbol(note []byte, at uint64) error {
	if len(note) < 3 {
		return fmt.Errorf("%w: a definition of %d bytes", record.ErrCorrupt, len(note))
	}
	id, n := binary.Uvarint(note[1:])
	if n <= 0 || id > 1<<32-1 {
		return fmt.Errorf("%w: a definition without a number", record.ErrCorrupt)
	}
	name := string(note[1+n:])
	table := e.skus
	switch note[0] {
	case symbolSKU:
	case symbolLocation:
		table = e.locations
	case symbolOwner:
		table = e.owners
	default:
		return fmt.Errorf("%w: a definition of kind %q", record.ErrCorrupt, note[0])
	}
	if !table.Restore(uint32(id), name, at) {
		return fmt.Errorf("%w: %q is defined as %d, which is taken or leaves a gap", record.ErrCorrupt, name, id)
	}
	return nil
}
