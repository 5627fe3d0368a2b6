package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/cespare/xxhash/v2"
)

// A block is what one sync makes durable: the records of consecutive sequences, and the notes between them. It is
// stored under the big-endian sequence of its first record.
//
//	offset  bytes
//	 0      4      magic "oJb" and format version
//	 4      4      CRC-32C of everything from offset 8 to the end
//	 8      8      sequence of the first record
//	16      4      number of records, at least 1
//	20      4      length of the entries, in bytes
//	24      8      hash of the block before it (xxHash64 of all its bytes), 0 for the first block of a database
//	32      …      entries
//
//	entry: uvarint length << 1 | is a note, then the bytes
//
// The dense sequence shows a missing block, the hash that the block before is the one that was written, and the CRC
// damage. What they can't show, a journal that lost its last blocks, the high-water mark does (mark.go).
const (
	blockMagic       = uint32('o') | 'J'<<8 | 'b'<<16 | blockVersion<<24
	blockVersion     = 1
	blockHeaderBytes = 32
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrCorrupt is what every error about damaged or missing blocks wraps.
var ErrCorrupt = errors.New("journal is damaged")

// block is an open block: one that records are still appended to.
type block struct {
	data  []byte // header space and entries
	first uint64
	count uint32
	done  chan struct{} // closed once the block is durable
}

func (b *block) reset(first uint64) {
	b.data = append(b.data[:0], make([]byte, blockHeaderBytes)...)
	b.first, b.count = first, 0
	b.done = make(chan struct{})
}

func (b *block) last() uint64 { return b.first + uint64(b.count) - 1 }

func (b *block) append(entry []byte, note bool) {
	length := uint64(len(entry)) << 1
	if note {
		length |= 1
	}
	b.data = binary.AppendUvarint(b.data, length)
	b.data = append(b.data, entry...)
	if !note {
		b.count++
	}
}

// seal fills in the header and returns the block's hash, which goes into the next one.
func (b *block) seal(previous uint64) (hash uint64) {
	h := b.data[:blockHeaderBytes]
	binary.LittleEndian.PutUint32(h[0:], blockMagic)
	binary.LittleEndian.PutUint64(h[8:], b.first)
	binary.LittleEndian.PutUint32(h[16:], b.count)
	binary.LittleEndian.PutUint32(h[20:], uint32(len(b.data)-blockHeaderBytes))
	binary.LittleEndian.PutUint64(h[24:], previous)
	binary.LittleEndian.PutUint32(h[4:], crc32.Checksum(b.data[8:], castagnoli))
	return xxhash.Sum64(b.data)
}

// Block is a stored block, checked and ready to be walked. Its bytes are those given to ParseBlock.
type Block struct {
	First    uint64
	Count    uint32
	Previous uint64
	Hash     uint64
	Data     []byte
}

// Last returns the sequence of the block's last record.
func (b *Block) Last() uint64 { return b.First + uint64(b.Count) - 1 }

// ParseBlock checks data and returns the block in it.
func ParseBlock(data []byte) (Block, error) {
	if len(data) < blockHeaderBytes {
		return Block{}, fmt.Errorf("%w: a block of %d bytes", ErrCorrupt, len(data))
	}
	if magic := binary.LittleEndian.Uint32(data); magic != blockMagic {
		if magic&0xFFFFFF == blockMagic&0xFFFFFF {
			return Block{}, fmt.Errorf("%w: block format %d, this program reads %d", ErrCorrupt, magic>>24, blockVersion)
		}
		return Block{}, fmt.Errorf("%w: no block begins with %#08x", ErrCorrupt, magic)
	}
	b := Block{
		First:    binary.LittleEndian.Uint64(data[8:]),
		Count:    binary.LittleEndian.Uint32(data[16:]),
		Previous: binary.LittleEndian.Uint64(data[24:]),
		Data:     data,
	}
	if crc32.Checksum(data[8:], castagnoli) != binary.LittleEndian.Uint32(data[4:]) {
		return Block{}, fmt.Errorf("%w: block %d fails its checksum", ErrCorrupt, b.First)
	}
	if n := binary.LittleEndian.Uint32(data[20:]); int(n) != len(data)-blockHeaderBytes {
		return Block{}, fmt.Errorf("%w: block %d claims %d bytes and has %d", ErrCorrupt, b.First, n, len(data)-blockHeaderBytes)
	}
	if b.First == 0 || b.Count == 0 {
		return Block{}, fmt.Errorf("%w: block %d with %d records", ErrCorrupt, b.First, b.Count)
	}
	b.Hash = xxhash.Sum64(data)
	return b, nil
}

// Each calls record with every record of the block and its sequence, and note with every note, in the order in which
// they were written, until one of them fails. The slices are parts of the block.
func (b *Block) Each(record func(sequence uint64, entry []byte) error, note func(entry []byte) error) error {
	sequence, rest := b.First, b.Data[blockHeaderBytes:]
	for len(rest) > 0 {
		length, n := binary.Uvarint(rest)
		if n <= 0 || length>>1 > uint64(len(rest)-n) {
			return fmt.Errorf("%w: block %d has a broken entry", ErrCorrupt, b.First)
		}
		entry := rest[n : n+int(length>>1)]
		rest = rest[n+int(length>>1):]
		if length&1 != 0 {
			if note != nil {
				if err := note(entry); err != nil {
					return err
				}
			}
			continue
		}
		if sequence > b.Last() {
			return fmt.Errorf("%w: block %d has more than its %d records", ErrCorrupt, b.First, b.Count)
		}
		if err := record(sequence, entry); err != nil {
			return err
		}
		sequence++
	}
	if sequence != b.First+uint64(b.Count) {
		return fmt.Errorf("%w: block %d has fewer than its %d records", ErrCorrupt, b.First, b.Count)
	}
	return nil
}

// FirstRecord returns the block's first record, or nil where it can't be found.
func (b *Block) FirstRecord() (record []byte) {
	_ = b.Each(func(_ uint64, entry []byte) error {
		record = entry
		return ErrEnough
	}, nil)
	return record
}
