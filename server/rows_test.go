package server

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

// allRows reads a file to its end and holds every row to what must be true of any.
func allRows(t *testing.T, in rowReader) (lines []int, rows []stockRow) {
	t.Helper()
	last := 0
	for {
		var row stockRow
		line, err := in.next(&row)
		if errors.Is(err, io.EOF) {
			return lines, rows
		}
		if err != nil {
			t.Fatalf("after line %d: %v", last, err)
		}
		if line <= last {
			t.Fatalf("line %d comes after line %d", line, last)
		}
		last = line
		if row.OnHand != nil && row.OnHand != &row.onHand || row.SafetyStock != nil && row.SafetyStock != &row.safetyStock {
			// NDJSON rows have numbers of their own; those of CSV lie in the row, which is only good if it is this row.
			if _, ok := in.(*csvReader); ok {
				t.Fatal("a row's numbers lie elsewhere")
			}
		}
		if strings.ContainsAny(row.SKU+row.Location, "\n") {
			if _, ok := in.(*csvReader); ok {
				t.Fatalf("line %d: a value holds a line break: %q", line, row.SKU+row.Location)
			}
		}
		lines, rows = append(lines, line), append(rows, row)
	}
}

func csvOf(text string) (*csvReader, error) {
	return newCSVReader(bufio.NewReaderSize(strings.NewReader(text), 16)) // lines are longer than the buffer
}

func TestCSVLinesAreCutAsRFC4180Says(t *testing.T) {
	r := &csvReader{comma: ','}
	for line, want := range map[string][]string{
		`a`:           {"a"},
		`a,b`:         {"a", "b"},
		`a,`:          {"a", ""},
		`,`:           {"", ""},
		``:            {""},
		`"a","b"`:     {"a", "b"},
		`"a,b",c`:     {"a,b", "c"},
		`"a""b"`:      {`a"b`},
		`""""`:        {`"`},
		`"",""`:       {"", ""},
		`"a",`:        {"a", ""},
		` a , b `:     {" a ", " b "},
		`a;b`:         {"a;b"},
		`"""a""",b`:   {`"a"`, "b"},
		`"größe","寿"`: {"größe", "寿"},
	} {
		if err := r.split(line); err != nil || !slices.Equal(r.values, want) {
			t.Errorf("%q is %q (%v), want %q", line, r.values, err, want)
		}
	}
	for _, line := range []string{`"`, `"a`, `a"`, `a"b`, `"a"b`, `"a" `, ` "a"`, `"a"",b`, `a,"`, `"""`} {
		if err := r.split(line); err == nil {
			t.Errorf("%q is %q, want an error", line, r.values)
		}
	}
}

func TestLinesAreCountedThroughBlankAndLongOnes(t *testing.T) {
	long := strings.Repeat("x", lineBytesMax)
	in, err := csvOf("\n\nsku,location\n\r\na,L\n" + long + "y\n" + long[:lineBytesMax-3] + ",L\n\nb,L")
	if err != nil {
		t.Fatal(err)
	}
	lines, rows := allRows(t, in)
	if !slices.Equal(lines, []int{5, 6, 7, 9}) {
		t.Errorf("the rows are on lines %v", lines)
	}
	if rows[1].Err == nil || rows[2].Err != nil || rows[3].SKU != "b" {
		t.Errorf("the rows are %+v", rows)
	}
}

// brokenReader yields some bytes and then an error.
type brokenReader struct {
	io.Reader
	err error
}

func (r *brokenReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		err = r.err
	}
	return n, err
}

func TestALineThatReadingBreaksOffInIsNoRow(t *testing.T) {
	broken := errors.New("broken")
	for name, read := range map[string]func(in *bufio.Reader) (rowReader, error){
		"sku,location,on_hand\nA,L,1\nB,L,12": func(in *bufio.Reader) (rowReader, error) { return newCSVReader(in) },
		`{"sku":"A"}` + "\n" + `{"sku":"B"}`:  func(in *bufio.Reader) (rowReader, error) { return &jsonReader{textOf(in)}, nil },
	} {
		in, err := read(bufio.NewReader(&brokenReader{strings.NewReader(name), broken}))
		if err != nil {
			t.Fatal(err)
		}
		var row stockRow
		if _, err := in.next(&row); err != nil || row.SKU != "A" {
			t.Errorf("the whole line is %+v (%v)", row, err)
		}
		if _, err := in.next(&row); !errors.Is(err, broken) || row.SKU != "" {
			t.Errorf("the line that breaks off is %+v (%v)", row, err)
		}
	}
}

// FuzzCSVRows reads any file, and compares how lines are cut with the standard library's reader.
func FuzzCSVRows(f *testing.F) {
	for _, seed := range []string{
		"sku,location,on_hand\nA,L,1\n", "sku;location;blocked\r\n\"A;B\";L;true\r\n", "location\tsku\nL\t\"A\"\"B\"\n",
		"sku,location,on_hand,safety_stock\n\"A,L,1,\nB,L,,2\n", "sku|location\n|\n", "\xff", "sku,location\n\n\n\"", "sku,location\na\"b,c\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		in, err := newCSVReader(bufio.NewReaderSize(bytes.NewReader(file), 16))
		if err == nil {
			lines, _ := allRows(t, in)
			if most := 1 + bytes.Count(file, []byte{'\n'}); len(lines) > 0 && lines[len(lines)-1] > most {
				t.Fatalf("there is a row on line %d of %d", lines[len(lines)-1], most)
			}
		}
		r := &csvReader{comma: ','}
		for line := range bytes.SplitSeq(file, []byte{'\n'}) {
			if len(line) == 0 || bytes.ContainsRune(line, '\r') {
				continue
			}
			std := csv.NewReader(bytes.NewReader(line))
			std.FieldsPerRecord = -1
			want, wantErr := std.Read()
			if err := r.split(string(line)); (err == nil) != (wantErr == nil) || err == nil && !slices.Equal(r.values, want) {
				t.Fatalf("%q is %q (%v), the standard library reads %q (%v)", line, r.values, err, want, wantErr)
			}
		}
	})
}

// FuzzNDJSONRows reads any file, and writes what it took for a row so that it must read the same again.
func FuzzNDJSONRows(f *testing.F) {
	for _, seed := range []string{
		`{"sku":"A","location":"L","on_hand":1}`, `{"sku":"A","location":"L","safety_stock":-1,"blocked":true}` + "\n\n{}\n", "null",
		`{"sku":"\ud800"}`, `{"sku":"A","sku":"B"}`, "[]", "{\"sku\":\"\x00\"}", `{"on_hand":1e3}`, `{"on_hand":99999999999999999999}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		in := &jsonReader{textOf(bufio.NewReaderSize(bytes.NewReader(file), 16))}
		lines, rows := allRows(t, in)
		written := 0
		for line := range bytes.SplitSeq(file, []byte{'\n'}) {
			if len(bytes.TrimSpace(line)) > 0 {
				written++
			}
		}
		if len(lines) != written {
			t.Fatalf("%d lines were written, %d read", written, len(lines))
		}
		for i := range rows {
			row := &rows[i]
			if row.Err != nil {
				continue
			}
			text, err := json.Marshal(jsonRow{SKU: row.SKU, Location: row.Location, OnHand: row.OnHand, SafetyStock: row.SafetyStock, Blocked: row.Blocked})
			if err != nil {
				t.Fatalf("line %d: %v", lines[i], err)
			}
			var again stockRow
			if _, err := (&jsonReader{textOf(bufio.NewReader(bytes.NewReader(text)))}).next(&again); err != nil || again.Err != nil {
				t.Fatalf("%s: %v, %v", text, err, again.Err)
			}
			if again.SKU != row.SKU || again.Location != row.Location || !same(again.OnHand, row.OnHand) ||
				!same(again.SafetyStock, row.SafetyStock) || !same(again.Blocked, row.Blocked) {
				t.Fatalf("%+v became %+v", row, again)
			}
		}
	})
}

func same[T comparable](a, b *T) bool { return a == b || a != nil && b != nil && *a == *b }
