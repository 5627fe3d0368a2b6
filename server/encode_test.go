package server

import (
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"
)

// TestAppendString compares it with the library, for strings that need no quoting, some, or all of it.
func TestAppendString(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := string(rapid.SliceOf(rapid.OneOf(rapid.Byte(), rapid.ByteRange(' ', '~'))).Draw(rt, "s"))
		want, _ := jsontext.AppendQuote([]byte("["), s)
		if got := appendString([]byte("["), s); string(got) != string(want) {
			rt.Fatalf("%q is written %s, should be %s", s, got, want)
		}
	})
	for b := range 256 {
		want, _ := jsontext.AppendQuote(nil, string([]byte{'a', byte(b)}))
		if got := appendString(nil, string([]byte{'a', byte(b)})); string(got) != string(want) {
			t.Errorf("byte %d is written %s, should be %s", b, got, want)
		}
	}
}
