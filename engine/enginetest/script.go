package enginetest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"onhand/engine"
)

// A script is a text that a test carries out and compares with itself. A line that begins at the margin is a command
// (commands.go), what is indented below it is the answer expected, and # begins a comment:
//
//	stock lamp@lyon on_hand=1
//	  2 lamp@lyon: 1 on hand, 0 held, 1 available
//	reserve anna lamp@lyon
//	  3 anna is held until 09:15:00: lamp@lyon 1 held
//
// The number before an answer is the sequence it is about. Reservations go by the names that the script gives them.

// RunScripts carries out every script that matches a pattern, each on a new database. With update it writes the answers
// into the scripts instead of comparing them.
func RunScripts(t *testing.T, pattern string, update bool) {
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts match %s: %v", pattern, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			have := runScript(t, string(text))
			if update {
				if err := os.WriteFile(file, []byte(have), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			compare(t, file, string(text), have)
		})
	}
}

// runScript returns the script with the answers that the engine gives.
func runScript(t *testing.T, text string) string {
	s := &script{
		db: Open(t, engine.Options{}), t: t, ids: make(map[string]engine.ID), names: make(map[engine.ID]string), codes: make(map[string]string),
	}
	var out strings.Builder
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, " ") {
			continue
		}
		out.WriteString(strings.TrimRight(line, "\n"))
		out.WriteByte('\n')
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		s.out.Reset()
		s.run(line)
		for answer := range strings.Lines(s.out.String()) {
			out.WriteString("  " + answer)
		}
	}
	return out.String()
}

// compare tells the first line that differs, with the command that it answers.
func compare(t *testing.T, file, want, have string) {
	t.Helper()
	wants, haves := strings.Split(want, "\n"), strings.Split(have, "\n")
	command := ""
	for i := range max(len(wants), len(haves)) {
		w, h := "(nothing)", "(nothing)"
		if i < len(wants) {
			w = wants[i]
		}
		if i < len(haves) {
			h = haves[i]
		}
		if w != h {
			t.Fatalf("%s:%d: %s\n  expected: %s\n  answered: %s", file, i+1, command, strings.TrimSpace(w), strings.TrimSpace(h))
		}
		if w != "" && !strings.HasPrefix(w, " ") {
			command = w
		}
	}
}

// words are a command's words, and its options: the words of the form name=value.
type words struct {
	plain   []string
	options map[string]string
}

// split takes a line apart at its spaces; those between quotes are part of a word.
func split(line string) (w words, err error) {
	w.options = make(map[string]string)
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimSpace(line) {
		var word strings.Builder
		quoted := false
		end := len(line)
		for i, c := range line {
			if c == '"' {
				quoted = !quoted
				continue
			}
			if c == ' ' && !quoted {
				end = i
				break
			}
			word.WriteRune(c)
		}
		if quoted {
			return w, fmt.Errorf("a quote is not closed: %s", line)
		}
		line = line[end:]
		if name, value, ok := strings.Cut(word.String(), "="); ok {
			w.options[name] = value
		} else {
			w.plain = append(w.plain, word.String())
		}
	}
	return w, nil
}
