package server_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"onhand/server"
)

// report is the answer to an import.
type report struct {
	Rows, Applied, Repeated, Failed, Sequence uint64
	Errors                                    []struct {
		Line   int
		Detail string
	}
	ErrorsOmitted int `json:"errors_omitted"`
}

func (r *rig) importFile(parameters, body string, headers ...string) report {
	r.t.Helper()
	var got report
	decodeInto(r.t, r.do("POST", "/v1/stock/import"+parameters, body, headers...), http.StatusOK, &got)
	return got
}

func gzipped(parts ...string) string {
	var out bytes.Buffer
	for _, part := range parts { // each a member of its own
		z := gzip.NewWriter(&out)
		_, _ = z.Write([]byte(part))
		_ = z.Close()
	}
	return out.String()
}

func zstandard(text string, options ...zstd.EOption) string {
	var out bytes.Buffer
	z, err := zstd.NewWriter(&out, options...)
	if err != nil {
		panic(err)
	}
	_, _ = z.Write([]byte(text))
	_ = z.Close()
	return out.String()
}

const (
	bom = "\xef\xbb\xbf"
	// twoRows is what most of the files below say, in one way or another.
	twoRows     = "sku,location,on_hand,safety_stock,blocked\nA,L,3,1,false\nB,L,4,,true\n"
	twoRowsJSON = `{"sku":"A","location":"L","on_hand":3,"safety_stock":1,"blocked":false}` + "\n" +
		`{"sku":"B","location":"L","on_hand":4,"blocked":true}` + "\n"
)

func TestAnImportTakesTheFormsThatStockFilesHave(t *testing.T) {
	for name, file := range map[string]struct {
		body    string
		headers []string
	}{
		"CSV":                     {body: twoRows},
		"CSV by its media type":   {twoRows, []string{"Content-Type", "text/csv; charset=utf-8"}},
		"CRLF":                    {body: strings.ReplaceAll(twoRows, "\n", "\r\n")},
		"no end of the last line": {body: strings.TrimSuffix(twoRows, "\n")},
		"semicolons":              {body: strings.ReplaceAll(twoRows, ",", ";")},
		"tabs":                    {body: strings.ReplaceAll(twoRows, ",", "\t")},
		"bars":                    {body: strings.ReplaceAll(twoRows, ",", "|")},
		"a byte order mark":       {body: bom + twoRows},
		"blank lines":             {body: "\n" + strings.ReplaceAll(twoRows, "\n", "\n\n\r\n")},
		"another order of columns": {
			body: "blocked,on_hand,location,safety_stock,sku\n0,3,L,1,A\nyes,4,L,,B\n",
		},
		"headers in capitals, with blanks": {body: strings.Replace(twoRows, "sku,location,on_hand", "SKU, Location ,ON_HAND", 1)},
		"values in quotes":                 {body: "\"sku\",\"location\",on_hand,safety_stock,blocked\n\"A\",\"L\",\"3\",1,FALSE\nB,\"L\",4,\"\",TRUE\n"},
		"blanks around numbers":            {body: strings.Replace(twoRows, "3,1,false", " 3 , 1, false", 1)},
		"columns of an export":             {body: "sku,location,on_hand,safety_stock,blocked,held,available,sequence\nA,L,3,1,false,7,7,7\nB,L,4,,true,,,\n"},
		"gzip":                             {body: gzipped(twoRows)},
		"gzip that is named":               {gzipped(bom + twoRows), []string{"Content-Encoding", "gzip"}},
		"gzip in two members":              {body: gzipped(twoRows[:50], twoRows[50:])},
		"zstd":                             {zstandard(twoRows), []string{"Content-Encoding", "zstd"}},
		"NDJSON":                           {body: twoRowsJSON},
		"NDJSON by its media type":         {"\n" + twoRowsJSON, []string{"Content-Type", "application/x-ndjson"}},
		"NDJSON with a byte order mark":    {body: bom + twoRowsJSON},
		"NDJSON with CRLF, zstd":           {body: zstandard(strings.ReplaceAll(strings.TrimSuffix(twoRowsJSON, "\n"), "\n", "\r\n"))},
		"NDJSON with null":                 {body: strings.Replace(twoRowsJSON, `"on_hand":4`, `"on_hand":4,"safety_stock":null`, 1)},
		"NDJSON of an export":              {body: strings.ReplaceAll(twoRowsJSON, "}", `,"held":1,"available":2,"sequence":3}`)},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, server.Options{})
			got := r.importFile("", file.body, file.headers...)
			if got.Rows != 2 || got.Applied != 2 || got.Failed != 0 || got.Sequence == 0 {
				t.Errorf("the report is %+v", got)
			}
			a, b := r.cell("A"), r.cell("B")
			if a.OnHand != 3 || a.Safety != 1 || a.Blocked || b.OnHand != 4 || b.Safety != 0 || !b.Blocked {
				t.Errorf("the cells are %+v and %+v", a, b)
			}
		})
	}
}

func TestAFileThatIsNoStockFileIsRefusedWhole(t *testing.T) {
	r := newRig(t, server.Options{})
	for name, body := range map[string]string{
		"nothing":             "",
		"a byte order mark":   bom,
		"blank lines":         "\n\r\n\n",
		"an unknown column":   "sku,location,on_hand,colour\nA,L,3,red\n",
		"no location":         "sku,on_hand\nA,3\n",
		"no sku":              "location,on_hand\nL,3\n",
		"a column twice":      "sku,location,on_hand,On_Hand\nA,L,3,3\n",
		"no header":           "A,L,3\n",
		"a broken header":     "sku,location,\"on_hand\nA,L,3\n",
		"an endless header":   strings.Repeat("x", 100<<10),
		"UTF-16":              "\xff\xfes\x00k\x00u\x00,\x00",
		"half a gzip header":  "\x1f\x8b\x08",
		"no zstd after all":   "\x28\xb5\x2f\xfdnonsense nonsense",
		"gzip of no CSV":      gzipped("nonsense"),
		"a JSON array":        `[{"sku":"A","location":"L","on_hand":3}]`,
		"a zip file":          "PK\x03\x04",
		"an empty gzip":       gzipped(""),
		"a spoilt gzip":       gzipped(twoRows)[:20] + "xxxxxxxxxxxx" + gzipped(twoRows)[32:],
		"a dictionary's zstd": "\x28\xb5\x2f\xfd\x27\xff\xff\xff\xff\x10",
	} {
		got := r.do("POST", "/v1/stock/import", body)
		if got.status != http.StatusBadRequest || got.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	if got := r.get("/v1/skus"); got.body != `{"skus":[]}` {
		t.Errorf("something was imported: %s", got.body)
	}
	wantProblem(t, r.do("POST", "/v1/stock/import", twoRows, "Content-Encoding", "br"), http.StatusUnsupportedMediaType, "encoding")
	for _, parameters := range []string{"?mode=add", "?format=xml", "?dry_run=maybe", "?id=" + strings.Repeat("x", 65), "?id=%01", "?colour=red"} {
		wantProblem(t, r.do("POST", "/v1/stock/import"+parameters, twoRows), http.StatusBadRequest, "invalid")
	}
	// What the request says beats what the bytes look like.
	wantProblem(t, r.do("POST", "/v1/stock/import?format=csv", twoRowsJSON), http.StatusBadRequest, "invalid")
	if got := r.importFile("?format=ndjson", twoRows); got.Failed != 3 || got.Applied != 0 {
		t.Errorf("CSV as NDJSON: %+v", got)
	}
}

func TestRowsThatCanNotBeCarriedOutAreNamedByLineAndTheOthersTakeEffect(t *testing.T) {
	wantLines := func(t *testing.T, got report, lines map[int]string) {
		t.Helper()
		if int(got.Failed) != len(lines) || len(got.Errors) != len(lines) {
			t.Errorf("%d rows failed: %+v", got.Failed, got.Errors)
		}
		for _, e := range got.Errors {
			if want, ok := lines[e.Line]; !ok || !strings.Contains(e.Detail, want) {
				t.Errorf("line %d: %s, want %q", e.Line, e.Detail, want)
			}
		}
	}
	t.Run("CSV", func(t *testing.T) {
		r := newRig(t, server.Options{})
		got := r.importFile("", "sku,location,on_hand,safety_stock,blocked\n"+
			"A,L,1,,\n"+ // 2
			"B,L,one,,\n"+ // 3
			"C,L\n"+ // 4
			"D,L,1,,,,\n"+ // 5
			"\n"+ // 6
			",L,1,,\n"+ // 7
			"E,,1,,\n"+ // 8
			"\"F,L,1,,\n"+ // 9
			"G,L,1,,\n"+ // 10: the quote that is open in line 9 does not swallow it
			"H\"H,L,1,,\n"+ // 11
			"\"I\"I,L,1,,\n"+ // 12
			"J,L,1,,perhaps\n"+ // 13
			"K,L,9999999999999,,\n"+ // 14
			"M,L,1.5,,\n"+ // 15
			strings.Repeat("N", 70<<10)+",L,1,,\n"+ // 16
			strings.Repeat("O", 65)+",L,1,,\n"+ // 17
			"P\xff,L,1,,\n"+ // 18
			"Q,L,1,99999999999,\n"+ // 19
			"R,L,99999999999999999999,,\n"+ // 20
			"Z,L,1,,\n") // 21
		wantLines(t, got, map[int]string{
			3: "on_hand", 4: "2 values", 5: "7 values", 7: "sku", 8: "location", 9: "quote", 11: "quote", 12: "quote", 13: "blocked",
			14: "on_hand", 15: "on_hand", 16: "longer than", 17: "sku", 18: "UTF-8", 19: "safety_stock", 20: "on_hand",
		})
		if got.Rows != 19 || got.Applied != 3 {
			t.Errorf("the report is %+v", got)
		}
		for _, sku := range []string{"A", "G", "Z"} {
			if c := r.cell(sku); c.OnHand != 1 {
				t.Errorf("%s has %+v", sku, c)
			}
		}
	})
	t.Run("NDJSON", func(t *testing.T) {
		r := newRig(t, server.Options{})
		got := r.importFile("", `{"sku":"A","location":"L","on_hand":1}`+"\n"+
			`{"sku":"B","location":"L","on_hand":"1"}`+"\n"+
			`{"sku":"C","location":"L","on_hand":1`+"\n"+
			`{"sku":"D","location":"L","on_hand":1,"colour":"red"}`+"\n"+
			`{"sku":"E","location":"L","on_hand":1,"on_hand":2}`+"\n"+
			"nonsense\n"+
			`{"location":"L","on_hand":1}`+"\n"+
			`{"sku":"F","location":"L","on_hand":1.5}`+"\n"+
			`{"sku":"`+strings.Repeat("G", 70<<10)+`","location":"L"}`+"\n"+
			`{"sku":"H","location":"L","on_hand":1} {"sku":"I","location":"L","on_hand":1}`+"\n"+
			`{"sku":"J`+"\xff"+`","location":"L","on_hand":1}`+"\n"+
			`["K","L",1]`+"\n"+
			`{"sku":"Z","location":"L","on_hand":1}`)
		wantLines(t, got, map[int]string{
			2: "on_hand", 3: "broken", 4: "colour", 5: "twice", 6: "broken", 7: "sku", 8: "on_hand", 9: "longer than", 10: "broken",
			11: "UTF-8", 12: "object",
		})
		if got.Rows != 13 || got.Applied != 2 || r.cell("A").OnHand != 1 || r.cell("Z").OnHand != 1 {
			t.Errorf("the report is %+v", got)
		}
	})
	t.Run("more than are named", func(t *testing.T) {
		r := newRig(t, server.Options{})
		got := r.importFile("", "sku,location,on_hand\n"+strings.Repeat("A,L,x\n", 1100)+"Z,L,1\n")
		if len(got.Errors) != 1000 || got.ErrorsOmitted != 100 || got.Failed != 1100 || got.Applied != 1 || r.cell("Z").OnHand != 1 {
			t.Errorf("%d errors named, %d omitted, %d failed, %d applied", len(got.Errors), got.ErrorsOmitted, got.Failed, got.Applied)
		}
	})
}

func TestModesSayWhetherOnHandIsACountOrAMove(t *testing.T) {
	r := newRig(t, server.Options{})
	r.put("/v1/stock/A/L", `{"on_hand":10,"safety_stock":2,"blocked":true}`)
	const file = "sku,location,on_hand\nA,L,3\nA,L,4\n"
	if got := r.importFile("?mode=delta&dry_run=true", file); got.Applied != 2 || got.Sequence != 0 || r.cell("A").OnHand != 10 {
		t.Errorf("a dry run: %+v, on hand %d", got, r.cell("A").OnHand)
	}
	r.importFile("?mode=delta", file)
	if c := r.cell("A"); c.OnHand != 17 || c.Safety != 2 || !c.Blocked {
		t.Errorf("moved by 3 and 4, 10 on hand became %+v", c)
	}
	r.importFile("?mode=set", file)
	if c := r.cell("A"); c.OnHand != 4 || c.Safety != 2 || !c.Blocked {
		t.Errorf("counted 3, then 4, it became %+v", c)
	}
	r.importFile("", "sku,location,on_hand,safety_stock,blocked\nA,L,,,no\n")
	if c := r.cell("A"); c.OnHand != 4 || c.Safety != 2 || c.Blocked {
		t.Errorf("only unblocked, it became %+v", c)
	}
	if got := r.importFile("?dry_run=true", "sku,location,on_hand\nB,L,1\nC,L,x\n"); got.Applied != 1 || got.Failed != 1 || len(got.Errors) != 1 || got.Errors[0].Line != 3 {
		t.Errorf("a dry run: %+v", got)
	}
	if got := r.get("/v1/stock/B/L"); got.status != http.StatusNotFound {
		t.Errorf("a dry run left %d %s", got.status, got.body)
	}
}

// manyRows is a file that moves each of n SKUs by 1.
func manyRows(n int) string {
	var b strings.Builder
	b.WriteString("sku,location,on_hand\n")
	for i := range n {
		fmt.Fprintf(&b, "S%d,L,1\n", i)
	}
	return b.String()
}

func TestAnImportWithAnIDCountsOnce(t *testing.T) {
	r := newRig(t, server.Options{})
	file := manyRows(600)
	if got := r.importFile("?mode=delta&id=night", file); got.Applied != 600 || got.Repeated != 0 {
		t.Errorf("the first time: %+v", got)
	}
	if got := r.importFile("?mode=delta&id=night", file); got.Applied != 0 || got.Repeated != 600 || got.Rows != 600 {
		t.Errorf("the second time: %+v", got)
	}
	if got := r.importFile("?mode=delta&id=night", file+"T,L,1\n"); got.Applied != 1 || got.Repeated != 600 {
		t.Errorf("with a row more: %+v", got)
	}
	for parameters, body := range map[string]string{
		"?mode=delta&id=night": strings.Replace(file, "S5,L,1", "S5,L,2", 1),
		"?mode=set&id=night":   file,
	} {
		got := r.do("POST", "/v1/stock/import"+parameters, body)
		wantProblem(t, got, http.StatusUnprocessableEntity, "key-reused")
	}
	if got := r.importFile("?mode=delta&id=day", file); got.Applied != 600 {
		t.Errorf("under another id: %+v", got)
	}
	for _, sku := range []string{"S0", "S5", "S255", "S256", "S599"} {
		if c := r.cell(sku); c.OnHand != 2 {
			t.Errorf("%s was counted %d times, want 2", sku, c.OnHand)
		}
	}
}

func TestAnImportThatBreaksOffIsFinishedByItsRetry(t *testing.T) {
	r := newRig(t, server.Options{})
	const rows = 5000
	file := manyRows(rows)
	const head = "POST /v1/stock/import?mode=delta&id=night HTTP/1.1\r\nHost: x\r\n"
	for _, cut := range []int{len(file) / 3, len(file) / 2, len(file) - 5} {
		s := r.dial()
		s.send(head + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(file), file[:cut]))
		eventually(t, "the import is under way", func() bool { return r.gauge("onhand_imports_running") == 1 })
		wantProblem(t, r.do("POST", "/v1/stock/import?mode=delta&id=night", file), http.StatusConflict, "import-running")
		_ = s.Close()
		eventually(t, "the import has ended", func() bool { return r.gauge("onhand_imports_running") == 0 })
	}
	got := r.importFile("?mode=delta&id=night", file)
	if got.Rows != rows || got.Applied+got.Repeated != rows || got.Repeated < 256 || got.Applied == 0 {
		t.Errorf("the retry: %+v", got)
	}
	for i := range rows {
		if c := r.cell(fmt.Sprintf("S%d", i)); c.OnHand != 1 {
			t.Fatalf("S%d was counted %d times", i, c.OnHand)
		}
	}
}

// The last row of a file that is cut short may end in half a number.
func TestAnImportThatIsCutShortDoesNotTakeHalfARow(t *testing.T) {
	r := newRig(t, server.Options{})
	padding := strings.Repeat("P,L,1\n", 4000) // so that the body is read as it arrives
	for _, format := range []struct{ name, body string }{
		{"CSV", "sku,location,on_hand\nA,L,5\n" + padding + "H,L,123"},
		{"gzip", gzipped("sku,location,on_hand\nA,L,5\n" + padding + "H,L,123")[:60]},
		{"NDJSON", strings.Repeat(`{"sku":"A","location":"L","on_hand":5}`+"\n", 1000) + `{"sku":"H","location":"L","on_hand":123}`},
	} {
		for framing, request := range map[string]string{
			"length":   fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(format.body)+100, format.body),
			"chunk":    fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s", len(format.body)+100, format.body),
			"no chunk": fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(format.body), format.body),
		} {
			s := r.dial()
			s.send("POST /v1/stock/import HTTP/1.1\r\nHost: x\r\n" + request)
			closeWrite(t, s)
			got := s.answer("POST")
			if got.status != http.StatusBadRequest || !got.close {
				t.Errorf("%s, %s: %d %s", format.name, framing, got.status, got.body)
			}
		}
	}
	if got := r.get("/v1/stock/H/L"); got.status != http.StatusNotFound {
		t.Errorf("a row that was cut off took effect: %s", got.body)
	}
	if c := r.cell("A"); c.OnHand != 5 {
		t.Errorf("the rows before it are lost: %+v", c)
	}
}

func TestAnImportThatCanNotGoOnTellsWhatBecameOfTheRowsBefore(t *testing.T) {
	r := newRig(t, server.Options{ImportUnpackedMax: 16 << 10})
	got := r.do("POST", "/v1/stock/import", manyRows(2000))
	wantProblem(t, got, http.StatusRequestEntityTooLarge, "too-large")
	var counts report
	decodeInto(t, got, http.StatusRequestEntityTooLarge, &counts)
	if counts.Applied < 256 || counts.Applied != counts.Rows || counts.Sequence == 0 {
		t.Errorf("the problem has %s", got.body)
	}
	if c := r.cell(fmt.Sprintf("S%d", counts.Applied-1)); c.OnHand != 1 {
		t.Errorf("the last row that was applied is %+v", c)
	}
	if got := r.get(fmt.Sprintf("/v1/stock/S%d/L", counts.Applied)); got.status != http.StatusNotFound {
		t.Errorf("a row beyond those reported took effect: %s", got.body)
	}
}

func TestImportsHaveLimitsAsSentAndUnpacked(t *testing.T) {
	const limit = 8 << 10
	file := func(bytes int) string {
		const head, row = "sku,location,on_hand\n", "A,L,1\n"
		n := (bytes - len(head)) / len(row)
		return head + strings.Repeat(row, n) + strings.Repeat("\n", bytes-len(head)-n*len(row))
	}
	chunked := func(body string) string {
		return "POST /v1/stock/import HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body)
	}
	bomb := strings.Repeat("\n", 64<<20)
	t.Run("as sent", func(t *testing.T) {
		r := newRig(t, server.Options{ImportBytesMax: limit})
		if got := r.do("POST", "/v1/stock/import", file(limit)); got.status != http.StatusOK {
			t.Errorf("a file of %d bytes, the limit: %d %s", limit, got.status, got.body)
		}
		wantProblem(t, r.do("POST", "/v1/stock/import", file(limit+1)), http.StatusRequestEntityTooLarge, "too-large")
		for body, want := range map[string]int{file(limit): http.StatusOK, file(limit + 1): http.StatusRequestEntityTooLarge} {
			s := r.dial()
			s.send(chunked(body))
			if got := s.answer("POST"); got.status != want {
				t.Errorf("%d bytes in chunks: %d %s", len(body), got.status, got.body)
			}
		}
	})
	t.Run("unpacked", func(t *testing.T) {
		r := newRig(t, server.Options{ImportUnpackedMax: limit})
		for _, pack := range []func(string) string{
			func(s string) string { return gzipped(s) }, func(s string) string { return zstandard(s) },
		} {
			if got := r.do("POST", "/v1/stock/import", pack(file(limit))); got.status != http.StatusOK {
				t.Errorf("a file of %d bytes, the limit: %d %s", limit, got.status, got.body)
			}
			for _, body := range []string{pack(file(limit + 1)), pack("sku,location,on_hand\n" + bomb), pack(bomb)} {
				detail := wantProblem(t, r.do("POST", "/v1/stock/import", body), http.StatusRequestEntityTooLarge, "too-large")
				if !strings.Contains(detail, fmt.Sprint(limit)) || !strings.Contains(detail, "decompression") {
					t.Errorf("the detail is %q", detail)
				}
			}
		}
	})
	t.Run("window", func(t *testing.T) {
		r := newRig(t, server.Options{})
		// What would need more memory to unpack than the server gives is refused by its header.
		const window512MiB = "\x28\xb5\x2f\xfd\x00\x98"
		got := r.do("POST", "/v1/stock/import", window512MiB+strings.Repeat("\x00", 100))
		if got.status != http.StatusBadRequest {
			t.Errorf("a window of 512 MiB: %d %s", got.status, got.body)
		}
	})
}

// TestARowWithoutValuesLeavesItsCellAsItIs, and makes none.
func TestARowWithoutValuesLeavesItsCellAsItIs(t *testing.T) {
	r := newRig(t, server.Options{})
	r.stock("A", 5)
	for _, file := range []string{"sku,location,on_hand,safety_stock,blocked\nA,L,,,\nB,L,,,\n", "sku,location\nA,L\nB,L\n", `{"sku":"A","location":"L"}` + "\n" + `{"sku":"B","location":"L"}` + "\n"} {
		for _, mode := range []string{"set", "delta", "set&id=x", "set&id=x"} {
			sequence := r.db.Durable()
			if got := r.importFile("?mode="+mode, file); got.Rows != 2 || got.Applied != 2 || got.Failed != 0 {
				t.Errorf("%q, %s: %+v", file, mode, got)
			}
			if r.db.Durable() != sequence {
				t.Errorf("%q, %s changed something", file, mode)
			}
		}
	}
	if c := r.cell("A"); c.OnHand != 5 {
		t.Errorf("%+v", c)
	}
	if got := r.get("/v1/stock/B/L"); got.status != http.StatusNotFound {
		t.Errorf("a cell was made: %s", got.body)
	}
	if got := r.importFile("", "sku,location,on_hand\nA,L,\n,L,\nA,L,7\nA,transit:L,\n"); got.Applied != 2 || got.Failed != 2 {
		t.Errorf("%+v", got)
	}
	if c := r.cell("A"); c.OnHand != 7 {
		t.Errorf("%+v", c)
	}
}
