package loadtest

import "bytes"

// member returns the value of a string member of a JSON object that the server has written, without parsing all of it: an
// onhand server writes no blank after a colon and no such name inside a string of ours. A value with an escape is not found.
func member(object []byte, name string) ([]byte, bool) {
	for from := 0; ; {
		at := bytes.Index(object[from:], []byte(name))
		if at < 0 {
			return nil, false
		}
		begin := from + at
		rest := object[begin+len(name):]
		from = begin + len(name)
		if begin == 0 || object[begin-1] != '"' || !bytes.HasPrefix(rest, []byte(`":"`)) {
			continue
		}
		value := rest[3:]
		if end := bytes.IndexAny(value, `"\`); end >= 0 && value[end] == '"' {
			return value[:end], true
		}
	}
}
