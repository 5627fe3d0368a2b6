package engine

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"

	"onhand/engine/internal/reservation"
)

// ID is a reservation's id: 128 bits, written as a UUID (RFC 9562) in lower case.
type ID = reservation.ID

// idText is the length of an ID as text.
const idText = 36

// ParseID reads an id in the form 01932d6e-8c5a-7b1e-9d4f-2a6b8c0e1f35, in either letter case. Any 128 bits will do
// except all zeros.
func ParseID[T string | []byte](text T) (ID, error) {
	var id ID
	if len(text) != idText || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
		return id, invalidID(text)
	}
	compact := make([]byte, 0, 32)
	compact = append(compact, text[0:8]...)
	compact = append(compact, text[9:13]...)
	compact = append(compact, text[14:18]...)
	compact = append(compact, text[19:23]...)
	compact = append(compact, text[24:36]...)
	if _, err := hex.Decode(id[:], compact); err != nil || id == (ID{}) {
		return ID{}, invalidID(text)
	}
	return id, nil
}

func invalidID[T string | []byte](text T) error {
	return invalid("id", string(text), "a UUID such as 01932d6e-8c5a-7b1e-9d4f-2a6b8c0e1f35")
}

// AppendID writes an id behind dst.
func AppendID(dst []byte, id ID) []byte {
	dst = hex.AppendEncode(dst, id[0:4])
	dst = append(dst, '-')
	dst = hex.AppendEncode(dst, id[4:6])
	dst = append(dst, '-')
	dst = hex.AppendEncode(dst, id[6:8])
	dst = append(dst, '-')
	dst = hex.AppendEncode(dst, id[8:10])
	dst = append(dst, '-')
	return hex.AppendEncode(dst, id[10:16])
}

// FormatID returns an id as text.
func FormatID(id ID) string { return string(AppendID(make([]byte, 0, idText), id)) }

// newID returns an id that no one has used: a version 7 UUID, whose first 48 bits are the time in milliseconds, so that
// ids sort roughly by age. The rest comes from the runtime's ChaCha8 generator.
func newID(now int64) ID {
	var id ID
	binary.BigEndian.PutUint64(id[0:], uint64(now/1e6)<<16|0x7000|rand.Uint64()&0x0FFF)
	binary.BigEndian.PutUint64(id[8:], 1<<63|rand.Uint64()>>2)
	return id
}
