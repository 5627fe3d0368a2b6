package record

import (
	"encoding/binary"

	"onhand/engine/internal/reservation"
)

// Transfer is units on their way from one location to another, whole, as a change left it.
type Transfer struct {
	ID    reservation.ID
	State uint8 // engine.TransferState; 0 = there is none
	// Moves are what the change did, as bits.
	Moves    TransferMoves
	From, To uint32
	// First is the sequence of the change that made the transfer, 0 in that change itself.
	First uint64
	Lines []TransferLine
	// Order is the order that the transfer is for, zero where it is for none.
	Order reservation.ID
	// Created, Dispatched (the first time), Ended and Expected are engine times in ns, but for Created 0 where there is none.
	Created, Dispatched, Ended, Expected int64
	Reference, Reason, By                string
}

// TransferLine is a SKU of a transfer: of Quantity units asked for, so many were dispatched, or will never be (Cancelled);
// of those dispatched, so many have come to an end; the rest is in transit.
type TransferLine struct {
	SKU                                                      uint32
	Quantity, Dispatched, Received, Lost, Damaged, Cancelled uint32
}

// ToDispatch returns how many units are yet to be dispatched.
func (l *TransferLine) ToDispatch() uint32 { return l.Quantity - l.Dispatched - l.Cancelled }

// InTransit returns how many units are on their way.
func (l *TransferLine) InTransit() uint32 { return l.Dispatched - l.Received - l.Lost - l.Damaged }

// TransferMoves are what one change does to a transfer: a transfer may be planned and dispatched at once, and of what arrives
// some may be damaged. The numbers are stored.
type TransferMoves uint8

// The moves.
const (
	TransferPlanned TransferMoves = 1 << iota
	TransferDispatched
	TransferReceived
	TransferLost
	TransferDamaged
	TransferCancelled
	transferMovesEnd
)

// The flags of a transfer say which of its optional parts are there.
const (
	transferOrder = 1 << iota
	transferDispatched
	transferEnded
	transferExpected
	transferFlagsEnd
)

// AppendTransfer encodes a transfer behind dst:
//
//	+-------+-------+-------+---------+----------+----+---------+---------+-------- … ------+-----------+----- …
//	| flags | state | moves | id (16) | from, to | first        | created | order,          | reference | lines
//	| u8    | u8    | u8    |         | uvarint  | uvarint      | i64 LE  | dispatched,     | reason    |
//	|       |       |       |         |          |              |         | ended, expected | by        |
//	+-------+-------+-------+---------+----------+--------------+---------+-------- … ------+-----------+----- …
//
// Order and times are there where flags say so, a time as varint ns after created. A line is seven uvarint.
func AppendTransfer(dst []byte, t *Transfer) []byte {
	flags := byte(0)
	set := func(flag byte, present bool) {
		if present {
			flags |= flag
		}
	}
	set(transferOrder, t.Order != reservation.ID{})
	set(transferDispatched, t.Dispatched != 0)
	set(transferEnded, t.Ended != 0)
	set(transferExpected, t.Expected != 0)
	dst = append(dst, flags, t.State, byte(t.Moves))
	dst = append(dst, t.ID[:]...)
	dst = binary.AppendUvarint(dst, uint64(t.From))
	dst = binary.AppendUvarint(dst, uint64(t.To))
	dst = binary.AppendUvarint(dst, t.First)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(t.Created))
	if flags&transferOrder != 0 {
		dst = append(dst, t.Order[:]...)
	}
	for _, at := range [...]int64{t.Dispatched, t.Ended, t.Expected} {
		if at != 0 {
			dst = binary.AppendVarint(dst, at-t.Created)
		}
	}
	dst = appendString(dst, t.Reference)
	dst = appendString(dst, t.Reason)
	dst = appendString(dst, t.By)
	dst = binary.AppendUvarint(dst, uint64(len(t.Lines)))
	for i := range t.Lines {
		l := &t.Lines[i]
		for _, v := range [...]uint32{l.SKU, l.Quantity, l.Dispatched, l.Received, l.Lost, l.Damaged, l.Cancelled} {
			dst = binary.AppendUvarint(dst, uint64(v))
		}
	}
	return dst
}

// Transfer reads what AppendTransfer wrote, reusing t's memory.
func (d *Decoder) Transfer(t *Transfer) {
	flags := d.Byte()
	if flags >= transferFlagsEnd {
		d.fail("unknown flags of a transfer")
	}
	*t = Transfer{Lines: t.Lines[:0], State: d.Byte(), Moves: TransferMoves(d.Byte())}
	if t.State == 0 || t.Moves >= transferMovesEnd {
		d.fail("unknown state or moves of a transfer")
	}
	copy(t.ID[:], d.take(16))
	t.From, t.To, t.First = d.Uint32(), d.Uint32(), d.Uvarint()
	t.Created = int64(d.Uint64())
	if flags&transferOrder != 0 {
		copy(t.Order[:], d.take(16))
	}
	time := func(flag byte) int64 {
		if flags&flag == 0 {
			return 0
		}
		return t.Created + d.Varint()
	}
	t.Dispatched, t.Ended, t.Expected = time(transferDispatched), time(transferEnded), time(transferExpected)
	t.Reference, t.Reason, t.By = d.text(), d.text(), d.text()
	for range d.count(linesMax) {
		t.Lines = append(t.Lines, TransferLine{
			SKU: d.Uint32(), Quantity: d.Uint32(), Dispatched: d.Uint32(), Received: d.Uint32(), Lost: d.Uint32(),
			Damaged: d.Uint32(), Cancelled: d.Uint32(),
		})
	}
}
