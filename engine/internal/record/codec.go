package record

import (
	"encoding/binary"
	"errors"
	"fmt"

	"onhand/engine/internal/reservation"
)

// A record begins with its format version, kind, the parts it has, and its time:
//
//	+---------+------+--------------+-------------+----- …
//	| version | kind | parts        | time, ns    |  parts, in the order of their bits
//	| u8      | u8   | u16 LE       | i64 LE      |
//	+---------+------+--------------+-------------+----- …
//
// Within a part, counts and unsigned numbers are uvarint, signed ones zigzag varint, strings a uvarint length and the
// bytes. A hold of one line takes about 60 bytes.
const (
	version   = 1
	headBytes = 1 + 1 + 2 + 8
)

const (
	partAnswer = 1 << iota
	partByID
	partCells
	partReservation
	partRefusals
	partNote
	partShortages
	partImport
	partSKU
	partLocation
	partPassedOver
	partOrder
	partTransfer
	partSlots
	partThresholds
	partsEnd
)

// Limits on what a record may claim, so that damaged bytes cannot make the decoder allocate without end. They are the
// engine's own limits on requests, or above them.
const (
	cellsMax      = 1 << 16
	linesMax      = reservation.LinesMax
	shortagesMax  = 1 << 16
	atRiskMax     = 1 << 16
	textBytesMax  = 4096
	refusalsLimit = linesMax
	slotsMax      = 1 << 16
)

// Append encodes r behind dst.
func Append(dst []byte, r *Record) []byte {
	parts := r.parts()
	dst = append(dst, version, byte(r.Kind))
	dst = binary.LittleEndian.AppendUint16(dst, parts)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(r.Time))
	if parts&(partAnswer|partByID) != 0 {
		if parts&partAnswer != 0 {
			dst = append(dst, r.Answer.Key[:]...)
		}
		dst = binary.LittleEndian.AppendUint64(dst, r.Answer.Fingerprint)
	}
	if parts&partCells != 0 {
		dst = binary.AppendUvarint(dst, uint64(len(r.Cells)))
		for i := range r.Cells {
			dst = appendCell(dst, &r.Cells[i])
		}
	}
	if parts&partReservation != 0 {
		dst = AppendReservation(dst, &r.Reservation)
	}
	if parts&partRefusals != 0 {
		dst = appendRefusals(dst, r.Refusals)
	}
	if parts&partNote != 0 {
		dst = appendString(dst, r.Reason)
		dst = appendString(dst, r.Reference)
	}
	if parts&partShortages != 0 {
		dst = binary.AppendUvarint(dst, uint64(len(r.Shortages)))
		for i := range r.Shortages {
			s := &r.Shortages[i]
			dst = binary.AppendUvarint(dst, uint64(s.SKU))
			dst = binary.AppendUvarint(dst, uint64(s.Location))
			dst = binary.AppendVarint(dst, s.Units)
			dst = binary.AppendUvarint(dst, uint64(len(s.AtRisk)))
			for j := range s.AtRisk {
				dst = append(dst, s.AtRisk[j][:]...)
			}
		}
	}
	if parts&partImport != 0 {
		dst = appendString(dst, r.Import.ID)
		dst = binary.AppendUvarint(dst, r.Import.Row)
		dst = binary.LittleEndian.AppendUint64(dst, r.Import.Hash)
	}
	if parts&partSKU != 0 {
		dst = AppendSKU(dst, &r.SKU)
	}
	if parts&partLocation != 0 {
		dst = AppendLocation(dst, &r.Location)
	}
	if parts&partPassedOver != 0 {
		dst = appendRefusals(dst, r.PassedOver)
	}
	if parts&partOrder != 0 {
		dst = AppendOrder(dst, r.Order)
	}
	if parts&partTransfer != 0 {
		dst = AppendTransfer(dst, &r.Transfer)
	}
	if parts&partSlots != 0 {
		dst = binary.AppendUvarint(dst, uint64(len(r.Slots)))
		for _, sku := range r.Slots {
			dst = binary.AppendUvarint(dst, uint64(sku))
		}
	}
	if parts&partThresholds != 0 {
		dst = binary.AppendUvarint(dst, uint64(len(r.Thresholds)))
		for i := range r.Thresholds {
			dst = AppendCellThreshold(dst, &r.Thresholds[i])
		}
	}
	return dst
}

func appendRefusals(dst []byte, refusals []Refusal) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(refusals)))
	for i := range refusals {
		dst = appendRefusal(dst, &refusals[i])
	}
	return dst
}

func (r *Record) parts() uint16 {
	var parts uint16
	set := func(part uint16, present bool) {
		if present {
			parts |= part
		}
	}
	set(partAnswer, r.Answer.Key != [16]byte{})
	set(partByID, r.Answer.ByID)
	set(partCells, len(r.Cells) > 0)
	set(partReservation, r.Reservation.State != 0)
	set(partRefusals, len(r.Refusals) > 0)
	set(partNote, r.Reason != "" || r.Reference != "")
	set(partShortages, len(r.Shortages) > 0)
	set(partImport, r.Import.ID != "")
	set(partSKU, r.SKU.ID != 0)
	set(partLocation, r.Location.ID != 0)
	set(partPassedOver, len(r.PassedOver) > 0)
	set(partOrder, r.Order != nil)
	set(partTransfer, r.Transfer.State != 0)
	set(partSlots, len(r.Slots) > 0)
	set(partThresholds, len(r.Thresholds) > 0)
	return parts
}

func appendString(dst []byte, s string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

func appendCell(dst []byte, c *Cell) []byte {
	flags := c.Flags & (Blocked | OwnSafety | LocationBlocked)
	if c.Safety != 0 {
		flags |= hasSafety
	}
	if c.Delta != 0 {
		flags |= hasDelta
	}
	if c.Events != 0 {
		flags |= hasEvents
	}
	dst = append(dst, byte(flags))
	dst = binary.AppendUvarint(dst, uint64(c.SKU))
	dst = binary.AppendUvarint(dst, uint64(c.Location))
	dst = binary.AppendVarint(dst, c.OnHand)
	dst = binary.AppendVarint(dst, c.Held)
	if flags&hasSafety != 0 {
		dst = binary.AppendVarint(dst, c.Safety)
	}
	if flags&hasDelta != 0 {
		dst = binary.AppendVarint(dst, c.Delta)
	}
	if flags&hasEvents != 0 {
		dst = append(dst, byte(c.Events))
		if c.Events&thresholdEvents != 0 {
			dst = binary.AppendVarint(dst, c.Threshold)
		}
	}
	return dst
}

// thresholdEvents are those that are about a threshold, which then follows them.
const thresholdEvents = CellBecameLow | CellRecovered

// AppendCellThreshold encodes a cell's own threshold behind dst.
func AppendCellThreshold(dst []byte, t *CellThreshold) []byte {
	dst = binary.AppendUvarint(dst, uint64(t.SKU))
	dst = binary.AppendUvarint(dst, uint64(t.Location))
	return appendThreshold(dst, t.Threshold)
}

func appendThreshold(dst []byte, t Threshold) []byte {
	dst = binary.AppendVarint(dst, t.Low)
	return binary.AppendVarint(dst, t.Clear)
}

// hasOwner, in the byte of a reservation's state, says that its owner follows the id.
const hasOwner = 0x80

// AppendReservation encodes a reservation behind dst: state, id, owner if it has one, times, sequences, text, lines.
func AppendReservation(dst []byte, r *reservation.Reservation) []byte {
	state := byte(r.State)
	if r.Owner != 0 {
		state |= hasOwner
	}
	dst = append(dst, state)
	dst = append(dst, r.ID[:]...)
	if r.Owner != 0 {
		dst = binary.AppendUvarint(dst, uint64(r.Owner))
	}
	dst = binary.LittleEndian.AppendUint64(dst, uint64(r.Created))
	dst = binary.AppendVarint(dst, r.Deadline-r.Created)
	// In a journal record First of a new reservation is the record's own sequence, which is not known yet: it is 0.
	dst = binary.AppendUvarint(dst, r.First)
	dst = binary.AppendUvarint(dst, r.Sequence)
	dst = append(dst, byte(len(r.Channel)), byte(len(r.Reference)))
	dst = append(dst, r.Channel...)
	dst = append(dst, r.Reference...)
	dst = binary.AppendUvarint(dst, uint64(len(r.Lines)))
	for i := range r.Lines {
		l := &r.Lines[i]
		dst = binary.AppendUvarint(dst, uint64(l.SKU))
		dst = binary.AppendUvarint(dst, uint64(l.Location))
		// The low bit says whether anything of the line was committed or released.
		moved := l.Committed|l.Released != 0
		quantity := uint64(l.Quantity) << 1
		if moved {
			quantity |= 1
		}
		dst = binary.AppendUvarint(dst, quantity)
		if moved {
			dst = binary.AppendUvarint(dst, uint64(l.Committed))
			dst = binary.AppendUvarint(dst, uint64(l.Released))
		}
	}
	return dst
}

func appendRefusal(dst []byte, r *Refusal) []byte {
	dst = append(dst, r.Reason)
	dst = appendString(dst, r.SKU)
	dst = appendString(dst, r.Location)
	for _, v := range [...]int64{r.Requested, r.Granted, r.OnHand, r.Held, r.Safety} {
		dst = binary.AppendVarint(dst, v)
	}
	return dst
}

// Where a SKU has more than what there was at first, its default hold is written as −1−hold, which is below 0 as none is,
// and behind it come flags (uvarint) and what they announce, in the order of their bits.
const (
	skuLowStock      = 1 << iota // its threshold
	skuCollectWithin             // varint
	skuAcceptWithin              // varint
	skuPickWithin                // varint
	skuFlagsEnd
)

// AppendSKU encodes a SKU's settings behind dst.
func AppendSKU(dst []byte, s *SKU) []byte {
	dst = binary.AppendUvarint(dst, uint64(s.ID))
	dst = appendString(dst, s.Title)
	dst = appendString(dst, s.Unit)
	dst = appendString(dst, s.GTIN)
	dst = binary.AppendVarint(dst, s.DefaultSafety)
	flags := uint64(0)
	if s.LowStock != (Threshold{}) {
		flags |= skuLowStock
	}
	if s.CollectWithin != 0 {
		flags |= skuCollectWithin
	}
	if s.AcceptWithin != 0 {
		flags |= skuAcceptWithin
	}
	if s.PickWithin != 0 {
		flags |= skuPickWithin
	}
	if flags == 0 {
		return binary.AppendVarint(dst, s.DefaultHold)
	}
	dst = binary.AppendVarint(dst, -1-s.DefaultHold)
	dst = binary.AppendUvarint(dst, flags)
	if flags&skuLowStock != 0 {
		dst = appendThreshold(dst, s.LowStock)
	}
	for _, within := range [...]int64{s.CollectWithin, s.AcceptWithin, s.PickWithin} {
		if within != 0 {
			dst = binary.AppendVarint(dst, within)
		}
	}
	return dst
}

// The flags of a location's record.
const (
	locationBlocked = 1 << iota
	locationDetails // its details follow
	locationFlagsEnd
)

// AppendLocation encodes a location's record behind dst.
func AppendLocation(dst []byte, l *Location) []byte {
	dst = binary.AppendUvarint(dst, uint64(l.ID))
	dst = appendString(dst, l.Name)
	flags := byte(0)
	if l.Blocked {
		flags |= locationBlocked
	}
	if len(l.Details) > 0 {
		flags |= locationDetails
	}
	dst = append(dst, l.Kind, flags)
	if len(l.Details) > 0 {
		dst = appendString(dst, l.Details)
	}
	return dst
}

// ErrCorrupt is what every decoding error wraps.
var ErrCorrupt = errors.New("corrupt record")

// Decode decodes b into r, reusing r's memory. r keeps no reference to b.
func Decode(b []byte, r *Record) error {
	r.Reset()
	if len(b) < headBytes {
		return fmt.Errorf("%w: %d bytes", ErrCorrupt, len(b))
	}
	if b[0] != version {
		return fmt.Errorf("%w: version %d, want %d", ErrCorrupt, b[0], version)
	}
	r.Kind = Kind(b[1])
	if r.Kind == 0 || r.Kind >= kindEnd {
		return fmt.Errorf("%w: kind %d", ErrCorrupt, b[1])
	}
	parts := binary.LittleEndian.Uint16(b[2:])
	if parts >= partsEnd {
		return fmt.Errorf("%w: parts %#x", ErrCorrupt, parts)
	}
	r.Time = int64(binary.LittleEndian.Uint64(b[4:]))
	d := Decoder{b: b[headBytes:]}
	if parts&(partAnswer|partByID) != 0 {
		if parts&partAnswer != 0 {
			copy(r.Answer.Key[:], d.take(16))
		}
		r.Answer.ByID = parts&partByID != 0
		r.Answer.Fingerprint = d.Uint64()
	}
	if parts&partCells != 0 {
		for range d.count(cellsMax) {
			r.Cells = append(r.Cells, d.cell())
		}
	}
	if parts&partReservation != 0 {
		d.Reservation(&r.Reservation)
	}
	if parts&partRefusals != 0 {
		for range d.count(refusalsLimit) {
			r.Refusals = append(r.Refusals, d.refusal())
		}
	}
	if parts&partNote != 0 {
		r.Reason, r.Reference = d.text(), d.text()
	}
	if parts&partShortages != 0 {
		for range d.count(shortagesMax) {
			s := Shortage{SKU: d.Uint32(), Location: d.Uint32(), Units: d.Varint()}
			for range d.count(atRiskMax) {
				s.AtRisk = append(s.AtRisk, reservation.ID(d.take(16)))
			}
			r.Shortages = append(r.Shortages, s)
		}
	}
	if parts&partImport != 0 {
		r.Import = Import{ID: d.text(), Row: d.Uvarint(), Hash: d.Uint64()}
	}
	if parts&partSKU != 0 {
		r.SKU = d.SKU()
	}
	if parts&partLocation != 0 {
		r.Location = d.Location()
	}
	if parts&partPassedOver != 0 {
		for range d.count(refusalsLimit) {
			r.PassedOver = append(r.PassedOver, d.refusal())
		}
	}
	if parts&partOrder != 0 {
		r.Order = new(Order)
		d.Order(r.Order)
	}
	if parts&partTransfer != 0 {
		d.Transfer(&r.Transfer)
	}
	if parts&partSlots != 0 {
		for range d.count(slotsMax) {
			r.Slots = append(r.Slots, d.Uint32())
		}
	}
	if parts&partThresholds != 0 {
		for range d.count(cellsMax) {
			r.Thresholds = append(r.Thresholds, d.CellThreshold())
		}
	}
	return d.End()
}

// Decoder reads the parts of a record, and of whatever else is made of them. After the first error every read answers
// zero and Err says what was wrong.
type Decoder struct {
	b   []byte
	err error
}

// NewDecoder returns a decoder over b.
func NewDecoder(b []byte) *Decoder { return &Decoder{b: b} }

var zeros [16]byte

func (d *Decoder) fail(what string) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: %s, %d bytes before the end", ErrCorrupt, what, len(d.b))
	}
	d.b = nil
}

// Err returns the first error.
func (d *Decoder) Err() error { return d.err }

// More reports whether there is more to read.
func (d *Decoder) More() bool { return len(d.b) > 0 }

// End returns the first error, or one that says there are bytes left.
func (d *Decoder) End() error {
	if d.err == nil && len(d.b) > 0 {
		d.fail("more bytes than the record needs")
	}
	return d.err
}

func (d *Decoder) take(n int) []byte {
	if n > len(d.b) {
		d.fail("cut short")
		if n <= len(zeros) {
			return zeros[:n]
		}
		return nil
	}
	b := d.b[:n]
	d.b = d.b[n:]
	return b
}

// Byte reads one byte.
func (d *Decoder) Byte() byte { return d.take(1)[0] }

// Uint64 reads eight bytes.
func (d *Decoder) Uint64() uint64 { return binary.LittleEndian.Uint64(d.take(8)) }

// Uvarint reads an unsigned number.
func (d *Decoder) Uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail("bad number")
		return 0
	}
	d.b = d.b[n:]
	return v
}

// Varint reads a signed number.
func (d *Decoder) Varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail("bad number")
		return 0
	}
	d.b = d.b[n:]
	return v
}

// Uint32 reads an unsigned number below 2³².
func (d *Decoder) Uint32() uint32 {
	v := d.Uvarint()
	if v > 1<<32-1 {
		d.fail("number above 2³²")
		return 0
	}
	return uint32(v)
}

func (d *Decoder) count(most int) int {
	n := d.Uvarint()
	// Every element takes a byte at least.
	if n > uint64(most) || n > uint64(len(d.b)) {
		d.fail("count too large")
		return 0
	}
	return int(n)
}

// text reads a string.
func (d *Decoder) text() string {
	n := d.count(textBytesMax)
	return string(d.take(n))
}

// Text reads a string of at most 4,096 bytes.
func (d *Decoder) Text() string { return d.text() }

func (d *Decoder) cell() Cell {
	flags := CellFlags(d.Byte())
	if flags >= cellFlagsEnd {
		d.fail("unknown cell flag")
	}
	c := Cell{SKU: d.Uint32(), Location: d.Uint32(), OnHand: d.Varint(), Held: d.Varint()}
	if flags&hasSafety != 0 {
		c.Safety = d.Varint()
	}
	if flags&hasDelta != 0 {
		c.Delta = d.Varint()
	}
	if flags&hasEvents != 0 {
		c.Events = CellEvents(d.Byte())
		if c.Events >= cellEventsEnd {
			d.fail("unknown event of a cell")
		}
		if c.Events&thresholdEvents != 0 {
			c.Threshold = d.Varint()
		}
	}
	c.Flags = flags &^ (hasSafety | hasDelta | hasEvents)
	return c
}

// CellThreshold reads what AppendCellThreshold wrote.
func (d *Decoder) CellThreshold() CellThreshold {
	return CellThreshold{SKU: d.Uint32(), Location: d.Uint32(), Threshold: d.threshold()}
}

func (d *Decoder) threshold() Threshold { return Threshold{Low: d.Varint(), Clear: d.Varint()} }

// Reservation reads what AppendReservation wrote, reusing r's memory.
func (d *Decoder) Reservation(r *reservation.Reservation) {
	state := d.Byte()
	r.State = reservation.State(state &^ hasOwner)
	if r.State == 0 || r.State > reservation.Expired {
		d.fail("unknown reservation state")
	}
	copy(r.ID[:], d.take(16))
	r.Owner = 0
	if state&hasOwner != 0 {
		if r.Owner = d.Uint32(); r.Owner == 0 {
			d.fail("an owner that is nobody")
		}
	}
	r.Created = int64(d.Uint64())
	r.Deadline = r.Created + d.Varint()
	r.First = d.Uvarint()
	r.Sequence = d.Uvarint()
	channel, reference := int(d.Byte()), int(d.Byte())
	r.Channel = append(r.Channel[:0], d.take(channel)...)
	r.Reference = append(r.Reference[:0], d.take(reference)...)
	r.Lines = r.Lines[:0]
	for range d.count(linesMax) {
		l := reservation.Line{SKU: d.Uint32(), Location: d.Uint32()}
		quantity := d.Uvarint()
		if quantity>>1 > 1<<32-1 {
			d.fail("quantity above 2³²")
		}
		l.Quantity = uint32(quantity >> 1)
		if quantity&1 != 0 {
			l.Committed, l.Released = d.Uint32(), d.Uint32()
		}
		r.Lines = append(r.Lines, l)
	}
}

func (d *Decoder) refusal() Refusal {
	return Refusal{
		Reason: d.Byte(), SKU: d.text(), Location: d.text(),
		Requested: d.Varint(), Granted: d.Varint(), OnHand: d.Varint(), Held: d.Varint(), Safety: d.Varint(),
	}
}

// SKU reads what AppendSKU wrote.
func (d *Decoder) SKU() SKU {
	s := SKU{
		ID: d.Uint32(), Title: d.text(), Unit: d.text(), GTIN: d.text(),
		DefaultSafety: d.Varint(), DefaultHold: d.Varint(),
	}
	if s.DefaultHold >= 0 {
		return s
	}
	s.DefaultHold = -1 - s.DefaultHold
	flags := d.Uvarint()
	if flags >= skuFlagsEnd {
		d.fail("unknown flags of a SKU")
	}
	if flags&skuLowStock != 0 {
		s.LowStock = d.threshold()
	}
	if flags&skuCollectWithin != 0 {
		s.CollectWithin = d.Varint()
	}
	if flags&skuAcceptWithin != 0 {
		s.AcceptWithin = d.Varint()
	}
	if flags&skuPickWithin != 0 {
		s.PickWithin = d.Varint()
	}
	return s
}

// Location reads what AppendLocation wrote.
func (d *Decoder) Location() Location {
	l := Location{ID: d.Uint32(), Name: d.text(), Kind: d.Byte()}
	flags := d.Byte()
	if flags >= locationFlagsEnd {
		d.fail("unknown flags of a location")
	}
	l.Blocked = flags&locationBlocked != 0
	if flags&locationDetails != 0 {
		l.Details = string(d.Bytes())
	}
	return l
}

// KeyOf returns the hash of the idempotency key in an encoded record, without decoding the rest.
func KeyOf(b []byte) (key [16]byte, ok bool) {
	if len(b) < headBytes+16 || binary.LittleEndian.Uint16(b[2:])&partAnswer == 0 {
		return key, false
	}
	return [16]byte(b[headBytes : headBytes+16]), true
}

// Bytes reads a uvarint length and so many bytes, which are part of what is being decoded.
func (d *Decoder) Bytes() []byte {
	n := d.Uvarint()
	if n > uint64(len(d.b)) {
		d.fail("cut short")
		return nil
	}
	return d.take(int(n))
}

// TimeOf returns the time of an encoded record, or 0 where b is none.
func TimeOf(b []byte) int64 {
	if len(b) < headBytes {
		return 0
	}
	return int64(binary.LittleEndian.Uint64(b[4:]))
}
