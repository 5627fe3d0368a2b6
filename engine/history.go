package engine

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	"onhand/engine/internal/record"
	"onhand/engine/internal/reservation"
	"onhand/engine/internal/window"
)

// history keeps reservations that have ended readable for as long as answers are remembered.
type history struct{ log *window.Log }

// An entry is the time of the end (i64) and the reservation (record.AppendReservation); its id starts at idOffset.
const (
	historyHeaderBytes = 8
	historyIDOffset    = historyHeaderBytes + 1
)

func referenceHash(reference []byte) uint32 { return uint32(xxhash.Sum64(reference)>>32) | 1 }

func (h *history) remember(r *reservation.Reservation, at int64, mayHave bool) {
	if mayHave {
		if _, ok := h.find(nil, r.ID); ok {
			return
		}
	}
	entry := make([]byte, 0, 192)
	entry = binary.LittleEndian.AppendUint64(entry, uint64(at))
	entry = record.AppendReservation(entry, r)
	if len(r.Reference) > 0 {
		h.log.Append(at, entry, idHash(r.ID), referenceHash(r.Reference))
	} else {
		h.log.Append(at, entry, idHash(r.ID))
	}
}

// restore puts an entry back as it was read from a checkpoint.
func (h *history) restore(entry []byte, r *reservation.Reservation) error {
	if err := decodeHistory(entry, r); err != nil {
		return err
	}
	h.remember(r, int64(binary.LittleEndian.Uint64(entry)), false)
	return nil
}

func decodeHistory(entry []byte, r *reservation.Reservation) error {
	if len(entry) < historyHeaderBytes {
		return record.ErrCorrupt
	}
	d := record.NewDecoder(entry[historyHeaderBytes:])
	d.Reservation(r)
	return d.End()
}

// find appends the entry of a reservation to dst.
func (h *history) find(dst []byte, id ID) ([]byte, bool) {
	return h.log.Find(dst, idHash(id), func(entry []byte) bool {
		return ID(entry[historyIDOffset:historyIDOffset+16]) == id
	})
}

// get reads an ended reservation into r.
func (h *history) get(id ID, r *reservation.Reservation) (bool, error) {
	entry, ok := h.find(nil, id)
	if !ok {
		return false, nil
	}
	return true, decodeHistory(entry, r)
}
