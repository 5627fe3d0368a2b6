package track

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"testing"
)

func TestJSONIsAsInTestdata(t *testing.T) {
	for _, l := range languages {
		of := samples()
		for _, name := range slices.Sorted(maps.Keys(of)) {
			b, err := AppendJSON(nil, of[name], l.tag)
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			if err := json.Indent(&out, b, "", "  "); err != nil {
				t.Fatalf("%s: %v", b, err)
			}
			out.WriteByte('\n')
			compare(t, name+"."+l.tag+".json", out.String())
		}
	}
}
