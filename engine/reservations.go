package engine

import (
	"encoding/binary"
	"errors"
	"math"

	"onhand/engine/internal/reservation"
	"onhand/engine/internal/window"
)

// ReservationFilter says which reservations to list. Empty fields ask for all.
type ReservationFilter struct {
	Location  string // with a line there
	State     State
	Reference string
}

func (f *ReservationFilter) matches(r *reservation.Reservation, place uint32) bool {
	if f.State != 0 && State(r.State) != f.State || f.Reference != "" && string(r.Reference) != f.Reference {
		return false
	}
	if place == 0 {
		return true
	}
	for i := range r.Lines {
		if r.Lines[i].Location == place {
			return true
		}
	}
	return false
}

// ReservationCursor is where a listing goes on. The zero cursor begins one.
type ReservationCursor struct {
	Phase listPhase
	// Place and Before, among the live: the location being listed, and the sequence before which to go on.
	Place  uint32
	Before uint64
	// Ended, among those that have ended.
	Ended window.Position
}

type listPhase uint8

const (
	listLive listPhase = iota
	listEnded
	listDone
)

// Done reports whether the listing has come to its end.
func (c *ReservationCursor) Done() bool { return c.Phase == listDone }

// scanMax bounds how many ended reservations one page looks at for those that match: about 10 ms of work.
const scanMax = 50_000

// referenceMatchesMax bounds the answer to a search by reference, which comes in one page.
const referenceMatchesMax = 1000

// Reservations lists up to limit reservations and returns where to go on. Live ones come first, by location and newest
// first within it, each once, at the location of its first line where no location is asked for; then those that have
// ended, oldest first. A page may be short, or empty, before the end. What is reserved, ended or forgotten while the
// listing goes on may be missed; everything else is listed once. A search by reference comes in one page.
func (e *Engine) Reservations(f ReservationFilter, cursor ReservationCursor, limit int) ([]Reservation, ReservationCursor, error) {
	l := listing{e: e, c: newCommand(), filter: f, limit: limit}
	defer l.c.recycle()
	if f.Location != "" {
		id, ok := e.lookupLocation(f.Location)
		if !ok {
			return nil, cursor, e.unknownLocation(f.Location)
		}
		l.place = id
	}
	var err error
	if f.Reference != "" {
		cursor.Phase, err = listDone, l.byReference()
	}
	if cursor.Phase == listLive && err == nil {
		if f.State != 0 && f.State != Held {
			cursor.Phase = listEnded
		} else {
			err = l.live(&cursor)
		}
	}
	if cursor.Phase == listEnded && err == nil {
		if f.State == Held {
			cursor.Phase = listDone
		} else {
			err = l.ended(&cursor)
		}
	}
	if err != nil {
		return nil, cursor, err
	}
	// A page rests on what it leaves out as well: a reservation that is not among the live may just have ended.
	return l.out, cursor, e.settle(e.log.Appended())
}

// listing is one page under way.
type listing struct {
	e      *Engine
	c      *command
	filter ReservationFilter
	place  uint32 // of filter.Location, or 0
	limit  int
	out    []Reservation
}

// matches reports whether a reservation is to be listed. By a reference that was erased nothing is found.
func (l *listing) matches(r *reservation.Reservation) bool {
	return l.filter.matches(r, l.place) && (l.filter.Reference == "" || len(l.e.referenceOf(r)) > 0)
}

func (l *listing) add(r *reservation.Reservation) { l.out = append(l.out, l.e.reservationFrom(r)) }

// read adds a reservation if it still matches.
func (l *listing) read(id ID) error {
	err := l.e.readReservation(l.c, id)
	if unknown := (*UnknownError)(nil); errors.As(err, &unknown) {
		return nil // ended and forgotten in between
	}
	if err == nil && l.matches(&l.c.rec.Reservation) {
		l.add(&l.c.rec.Reservation)
	}
	return err
}

func (l *listing) live(cursor *ReservationCursor) error {
	first, last := l.place, l.place
	if l.place == 0 {
		first, last = 1, l.e.reservations.Places()
	}
	if cursor.Place < first {
		cursor.Place, cursor.Before = first, 1<<64-1
	}
	for cursor.Place <= last {
		entries := l.e.reservations.Place(nil, cursor.Place, cursor.Before, l.place == 0, l.limit-len(l.out))
		for _, entry := range entries {
			cursor.Before = entry.First
			if err := l.readLive(entry.ID); err != nil {
				return err
			}
		}
		if len(l.out) >= l.limit {
			return nil
		}
		if len(entries) == 0 {
			cursor.Place, cursor.Before = cursor.Place+1, 1<<64-1
		}
	}
	cursor.Phase = listEnded
	return nil
}

// readLive adds a reservation unless it has ended since; it then comes among the ended.
func (l *listing) readLive(id ID) error {
	state := l.filter.State
	l.filter.State = Held
	err := l.read(id)
	l.filter.State = state
	return err
}

func (l *listing) ended(cursor *ReservationCursor) error {
	var r reservation.Reservation
	var err error
	scanned, more := 0, false
	cursor.Ended = l.e.ended.log.Walk(cursor.Ended, func(entry []byte) bool {
		if more = len(l.out) >= l.limit || scanned == scanMax; more {
			return false
		}
		scanned++
		if err = decodeHistory(entry, &r); err != nil {
			return false
		}
		if l.matches(&r) {
			l.add(&r)
		}
		return true
	})
	if !more {
		cursor.Phase = listDone
	}
	return err
}

func (l *listing) byReference() error {
	reference := []byte(l.filter.Reference)
	if l.filter.State == 0 || l.filter.State == Held {
		for _, id := range l.e.reservations.FindReference(nil, reference, math.MaxInt) {
			if len(l.out) == referenceMatchesMax {
				return nil
			}
			if err := l.readLive(id); err != nil {
				return err
			}
		}
	}
	var ids []ID
	l.e.ended.log.Each(referenceHash(reference), func(entry []byte) bool {
		ids = append(ids, ID(entry[historyIDOffset:historyIDOffset+16]))
		return len(ids) < referenceMatchesMax
	})
	for _, id := range ids {
		if len(l.out) == referenceMatchesMax {
			return nil
		}
		entry, ok := l.e.ended.find(nil, id)
		if !ok {
			continue
		}
		var r reservation.Reservation
		if err := decodeHistory(entry, &r); err != nil {
			return err
		}
		if l.matches(&r) {
			l.add(&r)
		}
	}
	return nil
}

// encode and decode: a cursor travels as bytes.

// AppendBinary writes the cursor behind dst.
func (c *ReservationCursor) AppendBinary(dst []byte) []byte {
	dst = append(dst, byte(c.Phase))
	dst = binary.AppendUvarint(dst, uint64(c.Place))
	dst = binary.AppendUvarint(dst, c.Before)
	dst = binary.AppendUvarint(dst, c.Ended.Segment)
	return binary.AppendUvarint(dst, uint64(c.Ended.Offset))
}

// ParseReservationCursor reads what AppendBinary wrote.
func ParseReservationCursor(b []byte) (ReservationCursor, error) {
	bad := invalid("cursor", "of another form", "the next_cursor of an earlier answer")
	if len(b) < 1 || b[0] > byte(listDone) {
		return ReservationCursor{}, bad
	}
	c := ReservationCursor{Phase: listPhase(b[0])}
	rest := b[1:]
	var numbers [4]uint64
	for i := range numbers {
		v, n := binary.Uvarint(rest)
		if n <= 0 {
			return ReservationCursor{}, bad
		}
		numbers[i], rest = v, rest[n:]
	}
	if len(rest) > 0 || numbers[0] > 1<<32-1 || numbers[3] > window.SegmentBytes || numbers[3]%8 != 0 {
		return ReservationCursor{}, bad
	}
	c.Place, c.Before = uint32(numbers[0]), numbers[1]
	c.Ended = window.Position{Segment: numbers[2], Offset: int(numbers[3])}
	return c, nil
}
