package journal

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the golden files anew; only for a format that has a new version")

// golden compares bytes with those in a file of testdata: hexadecimal digits, in lines.
func golden(t *testing.T, name string, got []byte) (want []byte) {
	t.Helper()
	name = filepath.Join("testdata", name)
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
	want, err = hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s: the stored format has changed without a new version\n got %x\nwant %x", name, got, want)
	}
	return want
}

// entry is a record or a note of a block.
type entry struct {
	data string
	note bool
}

func sealed(first, previous uint64, entries ...entry) []byte {
	b := &block{}
	b.reset(first)
	for _, e := range entries {
		b.append([]byte(e.data), e.note)
	}
	b.seal(previous)
	return b.data
}

func entriesOf(t testing.TB, b *Block) (entries []entry) {
	t.Helper()
	next := b.First
	err := b.Each(func(sequence uint64, data []byte) error {
		if sequence != next {
			t.Errorf("record %d comes where %d should", sequence, next)
		}
		next++
		entries = append(entries, entry{string(data), false})
		return nil
	}, func(data []byte) error {
		entries = append(entries, entry{string(data), true})
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	return entries
}

// TestBlockFormat pins the stored bytes: a database written by any version of this program stays readable.
func TestBlockFormat(t *testing.T) {
	entries := []entry{{"a SKU's name", true}, {"first", false}, {"", false}, {strings.Repeat("x", 70), false}}
	data := golden(t, "block.hex", sealed(0x0102030405060708, 0x1112131415161718, entries...))
	b, err := ParseBlock(data)
	if err != nil {
		t.Fatal(err)
	}
	if b.First != 0x0102030405060708 || b.Count != 3 || b.Previous != 0x1112131415161718 || b.Last() != b.First+2 {
		t.Errorf("%+v", b)
	}
	// The hash is stored in the next block, so it must not change either.
	if b.Hash != 0x1552632f73ece0ac {
		t.Errorf("hash %#x", b.Hash)
	}
}

func TestBlockRoundTrip(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		first := rapid.Uint64Range(1, 1<<56).Draw(r, "first")
		previous := rapid.Uint64().Draw(r, "previous")
		entries := rapid.SliceOf(rapid.Custom(func(r *rapid.T) entry {
			return entry{string(rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(r, "data")), rapid.Bool().Draw(r, "note")}
		})).Draw(r, "entries")
		entries = append(entries, entry{"the last is a record", false})
		records := 0
		for _, e := range entries {
			if !e.note {
				records++
			}
		}
		data := sealed(first, previous, entries...)
		b, err := ParseBlock(data)
		if err != nil {
			r.Fatal(err)
		}
		if b.First != first || b.Previous != previous || int(b.Count) != records || b.Last() != first+uint64(records)-1 {
			r.Errorf("%+v", b)
		}
		got := entriesOf(t, &b)
		if len(got) != len(entries) {
			r.Fatalf("%d entries, want %d", len(got), len(entries))
		}
		var firstRecord *string
		for i := range got {
			if got[i] != entries[i] {
				r.Errorf("entry %d is %+v", i, got[i])
			}
			if !got[i].note && firstRecord == nil {
				firstRecord = &got[i].data
			}
		}
		if string(b.FirstRecord()) != *firstRecord {
			r.Errorf("the first record is %q", b.FirstRecord())
		}
		// No single flipped bit goes unnoticed.
		bit := rapid.IntRange(0, len(data)*8-1).Draw(r, "bit")
		data[bit/8] ^= 1 << (bit % 8)
		if _, err := ParseBlock(data); !errors.Is(err, ErrCorrupt) {
			r.Errorf("with bit %d flipped: %v", bit, err)
		}
		data[bit/8] ^= 1 << (bit % 8)
		cut := rapid.IntRange(0, len(data)-1).Draw(r, "cut")
		if _, err := ParseBlock(data[:cut]); !errors.Is(err, ErrCorrupt) {
			r.Errorf("cut to %d bytes: %v", cut, err)
		}
	})
}

func TestEachStopsWhereItIsTold(t *testing.T) {
	b, err := ParseBlock(sealed(7, 0, entry{"note", true}, entry{"one", false}, entry{"two", false}))
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	if err := b.Each(func(uint64, []byte) error { seen++; return ErrEnough }, nil); !errors.Is(err, ErrEnough) || seen != 1 {
		t.Errorf("stopped by the record: %v after %d", err, seen)
	}
	seen = 0
	err = b.Each(func(uint64, []byte) error { seen++; return nil }, func([]byte) error { return ErrEnough })
	if !errors.Is(err, ErrEnough) || seen != 0 {
		t.Errorf("stopped by the note: %v after %d records", err, seen)
	}
}

// signed makes the checksum right again, so that a lie in a block gets past it.
func signed(data []byte) []byte {
	binary.LittleEndian.PutUint32(data[4:], crc32.Checksum(data[8:], castagnoli))
	return data
}

func TestABlockThatContradictsItselfIsRefused(t *testing.T) {
	sound := func() []byte { return sealed(5, 0, entry{"one", false}, entry{"note", true}, entry{"two", false}) }
	for name, lie := range map[string]func(data []byte) []byte{
		"first sequence 0":   func(d []byte) []byte { clear(d[8:16]); return d },
		"no records":         func(d []byte) []byte { clear(d[16:20]); return d },
		"more records":       func(d []byte) []byte { d[16]++; return d },
		"fewer records":      func(d []byte) []byte { d[16]--; return d },
		"another length":     func(d []byte) []byte { d[20]++; return d },
		"bytes behind":       func(d []byte) []byte { return append(d, 0) },
		"entry beyond end":   func(d []byte) []byte { d[blockHeaderBytes] = 0x7E; return d },
		"endless varint":     func(d []byte) []byte { return sealed(5, 0, entry{"", false})[:blockHeaderBytes] },
		"unfinished varint":  func(d []byte) []byte { d[len(d)-4] = 0x80; return d },
		"newer format":       func(d []byte) []byte { d[3]++; return d },
		"something else":     func(d []byte) []byte { d[0] = 'x'; return d },
		"a header by itself": func(d []byte) []byte { return d[:blockHeaderBytes] },
	} {
		data := signed(lie(sound()))
		b, err := ParseBlock(data)
		if err == nil {
			err = b.Each(func(uint64, []byte) error { return nil }, nil)
		}
		if !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ParseBlock(signed(append(sound()[:3], append([]byte{2}, sound()[4:]...)...))); err == nil || !strings.Contains(err.Error(), "format 2") {
		t.Errorf("a newer format is not named: %v", err)
	}
}

// FuzzBlock feeds the decoder whatever comes, as it is and with a sound header in front, which gets past the checksum.
func FuzzBlock(f *testing.F) {
	f.Add(sealed(1, 0, entry{"record", false}), uint64(1), uint32(1))
	f.Add(sealed(9, 7, entry{"note", true}, entry{"a", false}, entry{"b", false}), uint64(1<<64-1), uint32(1<<32-1))
	f.Add([]byte{}, uint64(0), uint32(0))
	f.Fuzz(func(t *testing.T, data []byte, first uint64, count uint32) {
		walk(t, data)
		whole := append(make([]byte, blockHeaderBytes), data...)
		binary.LittleEndian.PutUint32(whole[0:], blockMagic)
		binary.LittleEndian.PutUint64(whole[8:], first)
		binary.LittleEndian.PutUint32(whole[16:], count)
		binary.LittleEndian.PutUint32(whole[20:], uint32(len(data)))
		walk(t, signed(whole))
	})
}

// walk reads a block, which may be none. One that is sound is the one that its entries make.
func walk(t *testing.T, data []byte) {
	b, err := ParseBlock(data)
	if err != nil {
		if !errors.Is(err, ErrCorrupt) {
			t.Errorf("an error of another kind: %v", err)
		}
		return
	}
	again := &block{}
	again.reset(b.First)
	err = b.Each(func(sequence uint64, data []byte) error {
		if sequence != b.First+uint64(again.count) {
			t.Errorf("record %d after %d records from %d", sequence, again.count, b.First)
		}
		again.append(data, false)
		return nil
	}, func(data []byte) error {
		again.append(data, true)
		return nil
	})
	if err != nil {
		if !errors.Is(err, ErrCorrupt) {
			t.Errorf("an error of another kind: %v", err)
		}
		return
	}
	again.seal(b.Previous)
	// A length may be written in more bytes than it needs, so only the meaning must be the same.
	c, err := ParseBlock(again.data)
	if err != nil || c.First != b.First || c.Count != b.Count || c.Previous != b.Previous {
		t.Errorf("%+v, %v", c, err)
	}
}
