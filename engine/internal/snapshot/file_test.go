package snapshot

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/s2"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the golden files anew; only for a format that has a new version")

// part is a chunk as it was given to a Writer.
type part struct {
	kind byte
	data string
}

func written(t testing.TB, description string, trailer string, parts ...part) []byte {
	t.Helper()
	var file bytes.Buffer
	w, err := NewWriter(&file, []byte(description))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range parts {
		if err := w.Write(p.kind, []byte(p.data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close([]byte(trailer)); err != nil {
		t.Fatal(err)
	}
	if w.Bytes() != int64(file.Len()) {
		t.Errorf("the writer counts %d bytes, the file has %d", w.Bytes(), file.Len())
	}
	return file.Bytes()
}

// read reads a whole file.
func read(file []byte) (description, trailer string, parts []part, err error) {
	r, d, err := NewReader(bytes.NewReader(file))
	if err != nil {
		return "", "", nil, err
	}
	var buffer []byte
	for {
		c, end, err := r.Next()
		if err != nil {
			return "", "", nil, err
		}
		if c.Kind == KindEnd {
			return string(d), string(end), parts, nil
		}
		// The buffer is used again, as the engine does.
		if buffer, err = c.Data(buffer); err != nil {
			return "", "", nil, err
		}
		parts = append(parts, part{c.Kind, string(buffer)})
	}
}

func equal(a, b []part) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// TestCheckpointFormat pins the stored bytes: a checkpoint written by any version of this program stays readable. Only the
// reading is pinned where the compressor has a choice; a repetitive chunk leaves it one.
func TestCheckpointFormat(t *testing.T) {
	parts := []part{{1, "ab"}, {255, ""}, {2, strings.Repeat("cell ", 40)}}
	name := filepath.Join("testdata", "checkpoint.hex")
	got := written(t, "description", "trailer", parts...)
	if *update {
		text := ""
		for rest := got; len(rest) > 0; rest = rest[min(32, len(rest)):] {
			text += hex.EncodeToString(rest[:min(32, len(rest))]) + "\n"
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	golden, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatal(err)
	}
	description, trailer, back, err := read(golden)
	if err != nil || description != "description" || trailer != "trailer" || !equal(back, parts) {
		t.Errorf("read as %q, %q, %q, %v", description, trailer, back, err)
	}
	header := 16 + len("description") + 4
	incompressible := header + chunkHeader + 2 + len("ab") + 1
	if !bytes.Equal(got[:incompressible], golden[:incompressible]) {
		t.Errorf("the stored format has changed without a new version\n got %x\nwant %x", got[:incompressible], golden[:incompressible])
	}
}

func partsDrawn(r *rapid.T) []part {
	return rapid.SliceOfN(rapid.Custom(func(r *rapid.T) part {
		data := string(rapid.SliceOfN(rapid.Byte(), 0, 60).Draw(r, "data"))
		return part{rapid.ByteRange(1, 255).Draw(r, "kind"), strings.Repeat(data, rapid.SampledFrom([]int{1, 1, 1, 500}).Draw(r, "times"))}
	}), 0, 5).Draw(r, "chunks")
}

func TestCheckpointRoundTrip(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		parts := partsDrawn(r)
		description := string(rapid.SliceOf(rapid.Byte()).Draw(r, "description"))
		trailer := string(rapid.SliceOf(rapid.Byte()).Draw(r, "trailer"))
		file := written(t, description, trailer, parts...)
		d, e, back, err := read(file)
		if err != nil || d != description || e != trailer || !equal(back, parts) {
			r.Fatalf("read as %q, %q, %q, %v", d, e, back, err)
		}
		// Nothing of it can change, be lost at the end, or be left out, without being noticed.
		bit := rapid.IntRange(0, len(file)*8-1).Draw(r, "bit")
		file[bit/8] ^= 1 << (bit % 8)
		if _, _, _, err := read(file); err == nil {
			r.Errorf("bit %d of byte %d was flipped, and it was not noticed", bit%8, bit/8)
		} else if !errors.Is(err, ErrCorrupt) && (bit/8 < 8 || bit/8 >= 12) { // a version we don't know is no damage
			r.Errorf("with bit %d of byte %d flipped: %v", bit%8, bit/8, err)
		}
		file[bit/8] ^= 1 << (bit % 8)
		cut := rapid.IntRange(0, len(file)-1).Draw(r, "cut")
		if _, _, _, err := read(file[:cut]); !errors.Is(err, ErrCorrupt) {
			r.Errorf("cut to %d of %d bytes: %v", cut, len(file), err)
		}
	})
}

// TestEveryFlippedBitAndEveryCutIsNoticed goes through a small file from end to end.
func TestEveryFlippedBitAndEveryCutIsNoticed(t *testing.T) {
	file := written(t, "about", "end", part{1, "one"}, part{2, strings.Repeat("two", 100)})
	for bit := range len(file) * 8 {
		file[bit/8] ^= 1 << (bit % 8)
		if _, _, _, err := read(file); err == nil {
			t.Errorf("bit %d of byte %d was flipped, and it was not noticed", bit%8, bit/8)
		}
		file[bit/8] ^= 1 << (bit % 8)
	}
	for n := range file {
		if _, _, _, err := read(file[:n]); !errors.Is(err, ErrCorrupt) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
}

// TestALeftOutOrRepeatedChunkIsNoticed, though each chunk by itself is sound.
func TestALeftOutOrRepeatedChunkIsNoticed(t *testing.T) {
	header := written(t, "d", "")
	header = header[:16+1+4]
	one := written(t, "d", "", part{1, "one"})
	two := written(t, "d", "", part{1, "one"}, part{2, "two"})
	chunk := one[len(header) : len(header)+chunkHeader+len(s2.Encode(nil, []byte("one")))]
	end := two[len(header)+len(chunk)*2:]
	if _, _, parts, err := read(bytes.Join([][]byte{header, chunk, chunk, end}, nil)); err != nil || len(parts) != 2 {
		t.Fatalf("put together again: %v, %v", parts, err)
	}
	for name, chunks := range map[string][][]byte{
		"left out": {header, chunk, end},
		"all gone": {header, end},
		"repeated": {header, chunk, chunk, chunk, end},
	} {
		if _, _, _, err := read(bytes.Join(chunks, nil)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnotherVersionIsNamed(t *testing.T) {
	file := written(t, "", "")
	file[8]++
	if _, _, err := NewReader(bytes.NewReader(file)); err == nil || !strings.Contains(err.Error(), "format 2") {
		t.Errorf("got %v", err)
	}
}

// signed appends a chunk with a sound checksum, whatever it holds and claims.
func signed(file []byte, kind byte, length uint32, stored []byte) []byte {
	head := binary.LittleEndian.AppendUint32([]byte{kind}, length)
	sum := crc32.Update(crc32.Checksum(head, castagnoli), castagnoli, stored)
	head = binary.LittleEndian.AppendUint32(head, sum)
	return append(append(file, head...), stored...)
}

// TestADamagedLengthAllocatesNothing: a file that claims huge parts is refused before memory is taken for them.
func TestADamagedLengthAllocatesNothing(t *testing.T) {
	var empty bytes.Buffer
	if _, err := NewWriter(&empty, nil); err != nil {
		t.Fatal(err)
	}
	header := written(t, "", "")[:20]
	huge := binary.AppendUvarint(nil, chunkMax+1) // what the compressed bytes claim to become
	for name, file := range map[string][]byte{
		"description":       binary.LittleEndian.AppendUint32(append([]byte(magic), 1, 0, 0, 0), descriptionMax+1),
		"stored":            signed(bytes.Clone(header), 1, chunkMax+1, nil),
		"decompressed":      signed(bytes.Clone(header), 1, uint32(len(huge)), huge),
		"decompressed end":  signed(bytes.Clone(header), KindEnd, uint32(len(huge)), huge),
		"no compressed end": signed(bytes.Clone(header), KindEnd, 3, []byte{9, 9, 9}),
		"a short end":       signed(bytes.Clone(header), KindEnd, 5, s2.Encode(nil, []byte("abc"))),
	} {
		if _, _, _, err := read(file); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestWhatCanNotBeReadBackIsNotWritten, at the reader's limits and just past them.
func TestWhatCanNotBeReadBackIsNotWritten(t *testing.T) {
	if _, err := NewWriter(io.Discard, make([]byte, descriptionMax+1)); err == nil {
		t.Error("a description was written that is too long to be read")
	}
	description := strings.Repeat("x", descriptionMax)
	if d, _, _, err := read(written(t, description, "")); err != nil || d != description {
		t.Errorf("the longest description: %v", err)
	}
	w, err := NewWriter(io.Discard, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(1, make([]byte, chunkMax+1)); err == nil {
		t.Error("a chunk was written that is too large to be read")
	}
	largest := strings.Repeat("x", chunkMax)
	if _, _, parts, err := read(written(t, "", "", part{1, largest})); err != nil || len(parts) != 1 || parts[0].data != largest {
		t.Errorf("the largest chunk: %v", err)
	}
	if err := w.Write(KindEnd, []byte("not the end")); err == nil {
		t.Error("a chunk was written that would be taken for the end")
	}
}

// TestAFailedWriteIsReported, however late the disk reports it.
func TestAFailedWriteIsReported(t *testing.T) {
	broken := errors.New("broken")
	for room := range 3 {
		w, err := NewWriter(&limited{room: room << 20, err: broken}, []byte("d"))
		for i := 0; err == nil && i < 3<<20/ChunkBytes; i++ {
			err = w.Write(1, incompressible(ChunkBytes, uint32(i)))
		}
		if err == nil {
			err = w.Close(nil)
		}
		if !errors.Is(err, broken) {
			t.Errorf("after %d MiB: %v", room, err)
		}
	}
}

// limited fails once it has taken so many bytes.
type limited struct {
	room int
	err  error
}

func (l *limited) Write(p []byte) (int, error) {
	if l.room -= len(p); l.room < 0 {
		return 0, l.err
	}
	return len(p), nil
}

func incompressible(n int, seed uint32) []byte {
	b := make([]byte, n)
	for i := range b {
		seed = seed*1664525 + 1013904223
		b[i] = byte(seed >> 24)
	}
	return b
}

// FuzzRead feeds the reader whatever comes: as a file, and as a chunk and an end with sound checksums.
func FuzzRead(f *testing.F) {
	f.Add(written(f, "about", "end", part{1, "one"}, part{2, strings.Repeat("two", 100)}))
	f.Add(s2.Encode(nil, []byte("chunk")))
	f.Add(s2.Encode(nil, append(binary.LittleEndian.AppendUint64(nil, 1), "trailer"...)))
	f.Add([]byte{})
	header := written(f, "", "")[:20]
	f.Fuzz(func(t *testing.T, data []byte) {
		files := [][]byte{
			data,
			signed(bytes.Clone(header), 1, uint32(len(data)), data),
			signed(bytes.Clone(header), KindEnd, uint32(len(data)), data),
		}
		for _, file := range files {
			description, trailer, parts, err := read(file)
			if err != nil {
				continue
			}
			d, e, again, err := read(written(t, description, trailer, parts...))
			if err != nil || d != description || e != trailer || !equal(again, parts) {
				t.Errorf("%q, %q, %q is read back as %q, %q, %q, %v", description, trailer, parts, d, e, again, err)
			}
		}
	})
}
