// Package snapshot is the format of checkpoint files: a header, chunks of opaque bytes, and an end that proves that
// nothing is missing.
//
//	file   = header, chunk …, end chunk
//
//	header   offset  bytes
//	          0      8      "onhandCP"
//	          8      4      format version
//	         12      4      length of the description that follows
//	         16      …      description (opaque), then CRC-32C of everything so far
//
//	chunk    offset  bytes
//	          0      1      kind; 0 = end
//	          1      4      stored length
//	          5      4      CRC-32C of kind, stored length and stored bytes
//	          9      …      S2 block (github.com/klauspost/compress/s2) of the chunk's bytes
//
// The end chunk holds the number of chunks before it and a trailer (opaque). A file without a sound end chunk is not a
// checkpoint, whatever else it holds: it was being written when the process died.
package snapshot

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/s2"
)

const (
	magic          = "onhandCP"
	version        = 1
	chunkHeader    = 9
	descriptionMax = 1 << 16
	// ChunkBytes is about how large a chunk should be: large enough to compress well and to write in one call, small
	// enough to hold several in memory while they are decoded side by side.
	ChunkBytes = 256 << 10
	// chunkMax bounds what a damaged length can make the reader allocate.
	chunkMax = 64 << 20
)

// KindEnd is the kind of the end chunk; other kinds are the caller's.
const KindEnd = 0

// ErrCorrupt is what every error about a damaged file wraps.
var ErrCorrupt = errors.New("checkpoint is damaged")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Writer writes a checkpoint file.
type Writer struct {
	w      *bufio.Writer
	buffer []byte
	chunks uint64
	bytes  int64
}

// NewWriter writes the header to w.
func NewWriter(w io.Writer, description []byte) (*Writer, error) {
	if len(description) > descriptionMax {
		return nil, fmt.Errorf("checkpoint: a description of %d bytes, at most %d can be read back", len(description), descriptionMax)
	}
	head := append([]byte(magic), 0, 0, 0, 0, 0, 0, 0, 0)
	binary.LittleEndian.PutUint32(head[8:], version)
	binary.LittleEndian.PutUint32(head[12:], uint32(len(description)))
	head = append(head, description...)
	head = binary.LittleEndian.AppendUint32(head, crc32.Checksum(head, castagnoli))
	out := &Writer{w: bufio.NewWriterSize(w, 1<<20), bytes: int64(len(head))}
	_, err := out.w.Write(head)
	return out, err
}

// Write adds a chunk of any kind but KindEnd.
func (w *Writer) Write(kind byte, data []byte) error {
	if kind == KindEnd {
		return errors.New("checkpoint: a chunk of the kind that ends the file")
	}
	w.chunks++
	return w.write(kind, data)
}

func (w *Writer) write(kind byte, data []byte) error {
	if need := chunkHeader + s2.MaxEncodedLen(len(data)); cap(w.buffer) < need {
		w.buffer = make([]byte, need)
	}
	w.buffer = w.buffer[:cap(w.buffer)]
	stored := s2.Encode(w.buffer[chunkHeader:], data)
	if max(len(data), len(stored)) > chunkMax {
		return fmt.Errorf("checkpoint: a chunk of %d bytes, at most %d can be read back", len(data), chunkMax)
	}
	head := w.buffer[:chunkHeader]
	head[0] = kind
	binary.LittleEndian.PutUint32(head[1:], uint32(len(stored)))
	sum := crc32.Update(crc32.Checksum(head[:5], castagnoli), castagnoli, stored)
	binary.LittleEndian.PutUint32(head[5:], sum)
	w.bytes += int64(chunkHeader + len(stored))
	_, err := w.w.Write(w.buffer[:chunkHeader+len(stored)])
	return err
}

// Close writes the end chunk and flushes. It does not close or sync what is underneath.
func (w *Writer) Close(trailer []byte) error {
	end := binary.LittleEndian.AppendUint64(nil, w.chunks)
	if err := w.write(KindEnd, append(end, trailer...)); err != nil {
		return err
	}
	return w.w.Flush()
}

// Bytes returns the size of the file so far.
func (w *Writer) Bytes() int64 { return w.bytes }

// Chunk is a chunk as stored: checked, but not yet decompressed, so that this can be done side by side.
type Chunk struct {
	Kind   byte
	stored []byte
}

// Data decompresses the chunk behind dst[:0].
func (c *Chunk) Data(dst []byte) ([]byte, error) {
	if n, err := s2.DecodedLen(c.stored); err != nil || n > chunkMax {
		return nil, fmt.Errorf("%w: a chunk of %d bytes", ErrCorrupt, n)
	}
	data, err := s2.Decode(dst[:cap(dst)], c.stored)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return data, nil
}

// Reader reads a checkpoint file.
type Reader struct {
	r      *bufio.Reader
	chunks uint64
}

// NewReader reads the header from r and returns the description in it.
func NewReader(r io.Reader) (*Reader, []byte, error) {
	in := &Reader{r: bufio.NewReaderSize(r, 1<<20)}
	head := make([]byte, 16)
	if _, err := io.ReadFull(in.r, head); err != nil {
		return nil, nil, fmt.Errorf("%w: header: %w", ErrCorrupt, err)
	}
	if string(head[:8]) != magic {
		return nil, nil, fmt.Errorf("%w: it does not begin with %q", ErrCorrupt, magic)
	}
	if v := binary.LittleEndian.Uint32(head[8:]); v != version {
		return nil, nil, fmt.Errorf("checkpoint format %d, this program reads %d", v, version)
	}
	n := binary.LittleEndian.Uint32(head[12:])
	if n > descriptionMax {
		return nil, nil, fmt.Errorf("%w: a description of %d bytes", ErrCorrupt, n)
	}
	rest := make([]byte, n+4)
	if _, err := io.ReadFull(in.r, rest); err != nil {
		return nil, nil, fmt.Errorf("%w: header: %w", ErrCorrupt, err)
	}
	sum := crc32.Update(crc32.Checksum(head, castagnoli), castagnoli, rest[:n])
	if sum != binary.LittleEndian.Uint32(rest[n:]) {
		return nil, nil, fmt.Errorf("%w: the header fails its checksum", ErrCorrupt)
	}
	return in, rest[:n], nil
}

// Next returns the next chunk. After the last it returns a chunk of KindEnd and the trailer.
func (r *Reader) Next() (Chunk, []byte, error) {
	var head [chunkHeader]byte
	if _, err := io.ReadFull(r.r, head[:]); err != nil {
		return Chunk{}, nil, fmt.Errorf("%w: cut short after %d chunks: %w", ErrCorrupt, r.chunks, err)
	}
	n := binary.LittleEndian.Uint32(head[1:])
	if n > chunkMax {
		return Chunk{}, nil, fmt.Errorf("%w: a chunk of %d bytes", ErrCorrupt, n)
	}
	c := Chunk{Kind: head[0], stored: make([]byte, n)}
	if _, err := io.ReadFull(r.r, c.stored); err != nil {
		return Chunk{}, nil, fmt.Errorf("%w: cut short after %d chunks: %w", ErrCorrupt, r.chunks, err)
	}
	if crc32.Update(crc32.Checksum(head[:5], castagnoli), castagnoli, c.stored) != binary.LittleEndian.Uint32(head[5:]) {
		return Chunk{}, nil, fmt.Errorf("%w: chunk %d fails its checksum", ErrCorrupt, r.chunks)
	}
	if c.Kind != KindEnd {
		r.chunks++
		return c, nil, nil
	}
	end, err := c.Data(nil)
	if err != nil {
		return Chunk{}, nil, err
	}
	if len(end) < 8 || binary.LittleEndian.Uint64(end) != r.chunks {
		return Chunk{}, nil, fmt.Errorf("%w: chunks are missing", ErrCorrupt)
	}
	return c, end[8:], nil
}
