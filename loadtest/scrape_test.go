package loadtest

import (
	"encoding/json"
	"math"
	"testing"
)

// What could not be read is a gap, in the file as well, and no zero.
func TestReadingsKeepTheirGaps(t *testing.T) {
	text, err := json.Marshal(Series{Name: "memory", Values: Readings{1.5, math.NaN(), 0}})
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"name":"memory","unit":"","values":[1.5,null,0]}`; string(text) != want {
		t.Errorf("%s, want %s", text, want)
	}
	var back Series
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if v := back.Values; len(v) != 3 || v[0] != 1.5 || !math.IsNaN(v[1]) || v[2] != 0 {
		t.Errorf("%v", v)
	}
}
