package server_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"onhand/server"
)

// awkward are SKUs that a file format could trip over.
var awkward = []string{
	"plain", "with blank", " blank before", "blank after ", "comma,inside", "semicolon;inside", `quote"inside`, `"quoted"`, `""`, `"`,
	"a|b", "#comment", "=1+1", "null", "0", "-1", "true", "{\"sku\":1}", "[", "\\", "\\n", "sku", "slash/percent%2F", "größe", "寿司",
	"🧦", "e\u0301", "\u00a0", "\u2028", "\ufeffmark", "--", strings.Repeat("x", 64),
}

// awkwardRig has a cell for each of them, of every kind.
func awkwardRig(t *testing.T) *rig {
	t.Helper()
	r := newRig(t, server.Options{})
	var rows strings.Builder
	for i, sku := range awkward {
		row := map[string]any{"sku": sku, "location": "L", "on_hand": i * 7 % 5}
		switch i % 4 {
		case 1:
			row["safety_stock"] = i
		case 2:
			row["safety_stock"] = -i
			row["blocked"] = true
		case 3:
			row["on_hand"] = -i
			row["safety_stock"] = 0
		}
		line, err := json.Marshal(row)
		if err != nil {
			t.Fatal(err)
		}
		rows.Write(append(line, '\n'))
	}
	if got := r.importFile("", rows.String()); got.Applied != uint64(len(awkward)) {
		t.Fatalf("the import: %+v", got)
	}
	return r
}

// contents is an export as CSV without the columns that an import passes over.
func (r *rig) contents() [][]string {
	r.t.Helper()
	got := r.get("/v1/stock/export", "Accept-Encoding", "identity")
	if got.status != http.StatusOK {
		r.t.Fatalf("export: %d %s", got.status, got.body)
	}
	all, err := csv.NewReader(strings.NewReader(got.body)).ReadAll() // someone else's reader of the same format
	if err != nil {
		r.t.Fatal(err)
	}
	for i := range all {
		all[i] = all[i][:5]
	}
	return all
}

func TestAnExportImportedElsewhereIsTheSameStock(t *testing.T) {
	from := awkwardRig(t)
	want := from.contents()
	if len(want) != 1+len(awkward) {
		t.Fatalf("the export has %d rows, want %d", len(want)-1, len(awkward))
	}
	for _, format := range []string{"csv", "ndjson"} {
		for _, encoding := range []string{"identity", "gzip", "zstd"} {
			file := from.get("/v1/stock/export?format="+format, "Accept-Encoding", encoding)
			to := newRig(t, server.Options{})
			if got := to.importFile("", file.body, "Content-Type", file.header.Get("Content-Type")); got.Failed != 0 || got.Applied != uint64(len(awkward)) {
				t.Errorf("%s, %s: %+v", format, encoding, got)
			}
			if have := to.contents(); !slices.EqualFunc(have, want, slices.Equal) {
				t.Errorf("%s, %s: %q became %q", format, encoding, want, have)
			}
		}
	}
	// Where it came from, nothing changes.
	from.importFile("", from.get("/v1/stock/export").body)
	if have := from.contents(); !slices.EqualFunc(have, want, slices.Equal) {
		t.Errorf("%q became %q", want, have)
	}
}

func TestAnExportIsCompressedAsAsked(t *testing.T) {
	r := awkwardRig(t)
	plain := r.get("/v1/stock/export", "Accept-Encoding", "identity")
	if media := plain.header.Get("Content-Type"); media != "text/csv; charset=utf-8" {
		t.Errorf("the export is %s", media)
	}
	for accept, want := range map[string]string{
		"gzip": "gzip", "zstd": "zstd", "gzip, zstd": "zstd", "GZIP": "gzip", "br, gzip;q=0.5": "gzip", "zstd;q=0, gzip": "gzip",
		"zstd;q=0.000,gzip;q=0": "", "br": "", "identity": "",
	} {
		got := r.get("/v1/stock/export", "Accept-Encoding", accept)
		if encoding := got.header.Get("Content-Encoding"); encoding != want {
			t.Errorf("Accept-Encoding: %s is answered with %q, want %q", accept, encoding, want)
			continue
		}
		var in io.Reader = strings.NewReader(got.body)
		var err error
		switch want {
		case "gzip":
			in, err = gzip.NewReader(in)
		case "zstd":
			in, err = zstd.NewReader(in)
		}
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(in); err != nil || string(text) != plain.body {
			t.Errorf("%s: unpacked it is %q (%v), want %q", accept, text, err, plain.body)
		}
	}
}

func TestAnExportCanBeOfOneSKUOrLocation(t *testing.T) {
	r := newRig(t, server.Options{})
	r.put("/v1/locations/M", `{}`)
	r.importFile("", "sku,location,on_hand\nA,L,1\nA,M,2\nB,L,3\n")
	for parameters, want := range map[string][]string{
		"": {"A@L", "A@M", "B@L"}, "sku=A": {"A@L", "A@M"}, "location=L": {"A@L", "B@L"}, "sku=B&location=L": {"B@L"}, "sku=B&location=M": nil,
	} {
		var have []string
		for line := range strings.Lines(r.get("/v1/stock/export?format=ndjson&" + parameters).body) {
			var row struct{ SKU, Location string }
			if err := json.Unmarshal([]byte(line), &row); err != nil {
				t.Fatal(err)
			}
			have = append(have, row.SKU+"@"+row.Location)
		}
		if slices.Sort(have); !slices.Equal(have, want) {
			t.Errorf("%q: %v, want %v", parameters, have, want)
		}
	}
	wantProblem(t, r.get("/v1/stock/export?sku=Z"), http.StatusNotFound, "unknown-sku")
	wantProblem(t, r.get("/v1/stock/export?location=Z"), http.StatusNotFound, "unknown-location")
	wantProblem(t, r.get("/v1/stock/export?format=xml"), http.StatusBadRequest, "invalid")
}

func TestALargeExportIsWhole(t *testing.T) {
	r := newRig(t, server.Options{})
	const n = 20_000
	var rows bytes.Buffer
	rows.WriteString("sku,location,on_hand\n")
	for i := range n {
		fmt.Fprintf(&rows, "S%d,L,%d\n", i, i)
	}
	r.importFile("", rows.String())
	for _, encoding := range []string{"identity", "gzip"} {
		to := newRig(t, server.Options{})
		if got := to.importFile("", r.get("/v1/stock/export", "Accept-Encoding", encoding).body); got.Applied != n {
			t.Errorf("%s: %+v", encoding, got)
		}
		if c := to.cell("S19999"); c.OnHand != 19999 {
			t.Errorf("%s: the last cell is %+v", encoding, c)
		}
	}
}
