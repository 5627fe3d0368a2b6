package storefile

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// A quote that is left open or stands where it may not spoils the row on whose line it is, and no other; as does whatever
// else is wrong with a row.
func TestABadRowSpoilsNoOther(t *testing.T) {
	const open, inside = "a value with a quote that is left open", "a value with a quote inside that is not in quotes"
	for _, c := range []struct {
		text string
		want []string
	}{
		{"id,name\nfresh1,fine\na\"b,x\nfresh2,y\n", []string{`2: fresh1 "fine"`, "3: " + inside, `4: fresh2 "y"`}},
		{"id,name\nok1,fine\nbad,\"open quote\nok2,fine\n", []string{`2: ok1 "fine"`, "3: " + open, `4: ok2 "fine"`}},
		{"id,name\nok1,fine\nbad,\"open quote", []string{`2: ok1 "fine"`, "3: " + open}},
		// A quote further down that would close it does not take the rows between along.
		{"id,name\nbad,\"open\nok,fine\nworse,close\"\nok2,fine\n", []string{"2: " + open, `3: ok "fine"`, "4: " + inside, `5: ok2 "fine"`}},
		{"id,name\nok1,fine\nok2,\"ends\" here\nok3,x\n", []string{`2: ok1 "fine"`, "3: " + open, `4: ok3 "x"`}},
		{"id,name\n\"\n", []string{"2: " + open}},
		{"\ufeff\"id\",name\r\n\r\n \"a\",b\r\n\"a, \"\"1\"\"\",b\r\n", []string{"3: " + inside, `4: a, "1" "b"`}},
		{"id,name\na,\"" + strings.Repeat("x", lineBytesMax) + "\"\nb,c\n", []string{"2: the line is longer than", `3: b "c"`}},
		{"id,\"name\na,b\n", []string{"0: the header: " + open}},
		{"id\n.\n..\n/\n", []string{`2: id is ".", which no path can name`, `3: id is ".."`, `4: / ""`}},
		// What separates the values is found out from the header.
		{"id;name\n1;a, b\n2;\"c;d\"\n3,e\n", []string{`2: 1 "a, b"`, `3: 2 "c;d"`, "4: 1 values, want 2"}},
		{"id\tname\n1\ta;b\n", []string{`2: 1 "a;b"`}},
		{"id;latitude;longitude\n1;45,7;4,8\n2;45.7;4.8\n", []string{`2: latitude is "45,7"`, `3: 2 ""`}},
		{"id,name,id\na,b,c\n", []string{`0: the header has "id" twice`}},
		// What ends the reading is told once, and the columns are looked at before any row is.
		{"id,colour\n\"\n", []string{`0: there is no column "colour"`}},
	} {
		wantRows(t, read(t, "csv", c.text), c.want...)
	}
	const head = "store_number,name,latitude,longitude\n"
	wantRows(t, read(t, "starbucks", head+"1,\"A, B\",34,-119\nX1,\"Unterminated,34,-119\n2,\"5th & B, Oxnard\",34,-119\n12\"34,n,34,-119\n3,C,34,-119\n"),
		`2: 1 "A, B"`, "3: "+open, `4: 2 "5th & B, Oxnard"`, "5: "+inside, `6: 3 "C"`)
}

// A file that breaks off under the reader is not one that ends there.
func TestReadingThatFailsIsTold(t *testing.T) {
	for format, begin := range map[string]string{"csv": "id\na\nb", "ndjson": "\n{\"id\":\"a\"}\n{\"id\":", "starbucks": "store_number,name,latitude,longitude\n1,A,34,-119\n2"} {
		gone := errors.New("the disk is gone")
		rows := 0
		for row := range formats[format](io.MultiReader(strings.NewReader(begin), iotest.ErrReader(gone))) {
			if rows++; row.Line == 0 && errors.Is(row.Err, gone) != (rows == 2) || row.Line > 0 && row.Err != nil {
				t.Errorf("%s: row %d is %s", format, rows, tell(row))
			}
		}
		if rows != 2 {
			t.Errorf("%s: %d rows, want one and the error", format, rows)
		}
	}
}
