package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	iofs "io/fs"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// mark is the high-water mark: the last sequence known to be durable, kept outside the journal, so that a journal that
// lost its end is noticed. Pebble stops reading its write-ahead log at the first damage in the newest file and takes
// what comes after for never written; only something outside can tell.
//
// The file has two slots 4 KiB apart, so that they never share a sector, written in turn: a torn write leaves the other.
//
//	offset  bytes
//	 0      4      magic "oJm" and format version
//	 4      4      CRC-32C of the next 16 bytes
//	 8      8      sequence
//	16      8      hash of the block that ends with it
//
// A slot is written after each block and the file is synced once a second and at shutdown. After the process dies the
// mark is exact; after a power failure it may be up to a second behind, never ahead.
type mark struct {
	file vfs.File
	turn int64
}

const (
	markMagic     = uint32('o') | 'J'<<8 | 'm'<<16 | 1<<24
	markSlotBytes = 24
	markStride    = 4096
)

type markValue struct{ sequence, hash uint64 }

func openMark(fs vfs.FS, name string) (*mark, markValue, error) {
	var file vfs.File
	_, err := fs.Stat(name) // OpenReadWrite would make the file too, and leave its name unsynced
	if err == nil {
		file, err = fs.OpenReadWrite(name, vfs.WriteCategoryUnspecified)
	} else if errors.Is(err, iofs.ErrNotExist) {
		file, err = fs.Create(name, vfs.WriteCategoryUnspecified)
		if err == nil {
			_, err = file.WriteAt(make([]byte, 2*markStride), 0)
		}
		if err == nil {
			err = syncDir(fs, fs.PathDir(name))
		}
		if err == nil {
			err = file.Sync()
		}
	}
	if err != nil {
		return nil, markValue{}, fmt.Errorf("high-water mark: %w", err)
	}
	v, turn, err := readMark(file)
	if err != nil {
		return nil, markValue{}, errors.Join(err, file.Close())
	}
	return &mark{file, turn}, v, nil
}

// readMark returns the later of the two slots that are sound, and which slot to write next.
func readMark(file io.ReaderAt) (v markValue, turn int64, err error) {
	broken := 0
	for i := range int64(2) {
		var b [markSlotBytes]byte
		if _, err := file.ReadAt(b[:], i*markStride); err != nil && !errors.Is(err, io.EOF) {
			return v, 0, fmt.Errorf("high-water mark: %w", err)
		}
		if b == [markSlotBytes]byte{} {
			continue // never written
		}
		if binary.LittleEndian.Uint32(b[0:]) != markMagic || binary.LittleEndian.Uint32(b[4:]) != crc32.Checksum(b[8:], castagnoli) {
			broken++
			continue
		}
		if s := binary.LittleEndian.Uint64(b[8:]); s > v.sequence {
			v, turn = markValue{s, binary.LittleEndian.Uint64(b[16:])}, 1-i
		}
	}
	if broken == 2 {
		return v, 0, fmt.Errorf("%w: both slots of the high-water mark are unreadable, so it can't be told whether the journal is whole; restore the latest backup", ErrCorrupt)
	}
	return v, turn, nil
}

// write notes v in the next slot, without a sync.
func (m *mark) write(v markValue) error {
	var b [markSlotBytes]byte
	binary.LittleEndian.PutUint32(b[0:], markMagic)
	binary.LittleEndian.PutUint64(b[8:], v.sequence)
	binary.LittleEndian.PutUint64(b[16:], v.hash)
	binary.LittleEndian.PutUint32(b[4:], crc32.Checksum(b[8:], castagnoli))
	if _, err := m.file.WriteAt(b[:], m.turn*markStride); err != nil {
		return fmt.Errorf("high-water mark: %w", err)
	}
	m.turn = 1 - m.turn
	return nil
}

func syncDir(fs vfs.FS, name string) error {
	dir, err := fs.OpenDir(name)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
