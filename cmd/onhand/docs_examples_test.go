package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"onhand/engine"
	"onhand/server"
)

// The documents show what one can ask a server and what it answers. Here it is asked, and must answer that.
//
// A block of kind "console" holds commands, "$ curl …", each with its answer, in which indented lines carry the one above
// on and "…" stands for anything. A block of another kind with a name behind it, such as "csv stock.csv", is a file that
// commands may send. Each document begins with an empty database.
//
// "$name" in an answer stands for what the server says there, a word of letters, digits, "_", "-" and ":", when it comes up first; from
// then on, in answers and in commands as a shell has it, for that word. "$ sleep 30m" moves the server's clock.
const exampleAddress = "http://127.0.0.1:8080"

// exampleWait is how long an answer may take: what is waited for is the machine.
const exampleWait = time.Minute

var codeBlock = regexp.MustCompile("(?ms)^```(\\w+)(?: (\\S+))?\n(.*?)^```$")

// example is a command and the answer shown under it.
type example struct {
	command string
	answer  []string
}

func TestDocsExamplesAnswerAsShown(t *testing.T) {
	total := 0
	for _, path := range documents(t) {
		if filepath.Dir(path) != "docs" {
			continue // README.md speaks of the demo
		}
		examples, files := examplesIn(readFromTop(t, path))
		total += len(examples)
		if len(examples) == 0 {
			continue
		}
		t.Run(filepath.Base(path), func(t *testing.T) {
			clock := &movedClock{began: time.Now()}
			url := serveExamples(t, clock)
			known := make(map[string]string)
			for _, x := range examples {
				if slept, ok := strings.CutPrefix(x.command, "sleep "); ok {
					clock.sleep(t, slept)
					continue
				}
				runExample(t, url, x, files, known)
			}
		})
	}
	if total < 20 {
		t.Errorf("only %d examples were found", total)
	}
}

// examplesIn returns the examples of a document, in order, and the files that they send.
func examplesIn(text string) (examples []example, files map[string]string) {
	files = make(map[string]string)
	for _, block := range codeBlock.FindAllStringSubmatch(text, -1) {
		kind, name, body := block[1], block[2], block[3]
		if name != "" {
			files[name] = body
		}
		if kind != "console" {
			continue
		}
		var x *example
		for line := range strings.Lines(body) {
			line = strings.TrimSuffix(line, "\n")
			command, begins := strings.CutPrefix(line, "$ ")
			switch {
			case begins:
				examples = append(examples, example{command: command})
				x = &examples[len(examples)-1]
			case strings.Count(x.command, "'")%2 == 1: // a shell reads on until the quote is closed
				x.command += "\n" + line
			case len(x.answer) > 0 && strings.HasPrefix(line, " "):
				x.answer[len(x.answer)-1] += strings.TrimSpace(line)
			default:
				x.answer = append(x.answer, line)
			}
		}
	}
	return examples, files
}

// movedClock is the machine's clock, ahead by as long as the examples have slept.
type movedClock struct {
	began time.Time
	ahead atomic.Int64
}

func (c *movedClock) Monotonic() int64 { return int64(time.Since(c.began)) + c.ahead.Load() }

func (c *movedClock) Read() (wall, monotonic int64) {
	now, ahead := time.Now(), c.ahead.Load()
	return now.UnixNano() + ahead, int64(now.Sub(c.began)) + ahead
}

func (c *movedClock) sleep(t *testing.T, text string) {
	t.Helper()
	var d period
	if err := d.UnmarshalText([]byte(text)); err != nil {
		t.Fatalf("sleep %s: %v", text, err)
	}
	c.ahead.Add(int64(d))
}

// serveExamples serves an empty database and returns its address.
func serveExamples(t *testing.T, clock *movedClock) string {
	t.Helper()
	e, err := engine.Open(t.TempDir(), engine.Options{Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.New(e, server.NewMetrics("docs"), server.Options{WebhookDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), exampleWait)
		defer cancel()
		if err := errors.Join(s.Shutdown(ctx), <-served, e.Close()); err != nil {
			t.Error(err)
		}
	})
	return "http://" + ln.Addr().String()
}

func runExample(t *testing.T, url string, x example, files, known map[string]string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), exampleWait)
	defer cancel()
	request, follow, err := curl(ctx, x.command, files, known)
	if err != nil {
		t.Fatalf("%s: %v", x.command, err)
	}
	to := strings.Replace(request.URL.String(), exampleAddress, url, 1)
	if to == request.URL.String() {
		t.Fatalf("%s: it should ask %s", x.command, exampleAddress)
	}
	if request.URL, err = request.URL.Parse(to); err != nil {
		t.Fatalf("%s: %v", x.command, err)
	}
	request.Host = ""
	response, err := http.DefaultTransport.(*http.Transport).RoundTrip(request)
	if err != nil {
		t.Fatalf("%s: %v", x.command, err)
	}
	defer func() { _ = response.Body.Close() }() // nothing is left to be read, or wanted
	var answer []string
	in := bufio.NewScanner(response.Body)
	for (!follow || len(answer) < len(x.answer)) && in.Scan() {
		answer = append(answer, strings.TrimSuffix(in.Text(), "\r"))
	}
	if err := in.Err(); err != nil {
		t.Fatalf("%s: %v", x.command, err)
	}
	have, want := strings.Join(answer, "\n"), strings.Join(x.answer, "\n")
	if !answersTo(have, want, known) {
		t.Errorf("%s\nanswers:\n%s\nthe document shows:\n%s", x.command, have, want)
	}
}

// named is a word that an answer says and later commands use.
var named = regexp.MustCompile(`\$([a-z][a-z0-9_]*)`)

// answersTo compares an answer with the one shown, in which "…" stands for anything within a line, and "$name" for the word that is
// known by that name. Where none is, it is the one that the answer has there, and known from then on.
func answersTo(have, want string, known map[string]string) bool {
	var pattern strings.Builder
	var met []string
	literal := func(text string) { pattern.WriteString(strings.ReplaceAll(regexp.QuoteMeta(text), "…", ".*?")) }
	at := 0
	for _, m := range named.FindAllStringSubmatchIndex(want, -1) {
		literal(want[at:m[0]])
		at = m[1]
		if word, ok := known[want[m[2]:m[3]]]; ok {
			literal(word)
			continue
		}
		pattern.WriteString("([0-9A-Za-z_:-]+)")
		met = append(met, want[m[2]:m[3]])
	}
	literal(want[at:])
	words := regexp.MustCompile("^" + pattern.String() + "$").FindStringSubmatch(have)
	if words == nil {
		return false
	}
	for i, name := range met {
		if word, ok := known[name]; ok && word != words[i+1] {
			return false // twice in this answer, and not the same
		}
		known[name] = words[i+1]
	}
	return true
}

// curl turns a curl command into the request that it would send. follow says that the answer does not end by itself.
func curl(ctx context.Context, command string, files, known map[string]string) (r *http.Request, follow bool, err error) {
	words, err := shellWords(command, known)
	if err != nil {
		return nil, false, err
	}
	if len(words) == 0 || words[0] != "curl" {
		return nil, false, errors.New("only curl is understood")
	}
	method, url, body, media := "", "", "", ""
	header := make(http.Header)
	next := func() string {
		if len(words) < 2 {
			err = errors.New("an option without its value")
			return ""
		}
		words = words[1:]
		return words[0]
	}
	for words = words[1:]; len(words) > 0 && err == nil; words = words[1:] {
		switch word := words[0]; word {
		case "-N":
			follow = true
		case "-X":
			method = next()
		case "-H":
			name, value, _ := strings.Cut(next(), ":")
			header.Add(name, strings.TrimSpace(value))
		case "-d", "--data-binary":
			body, media = next(), "application/x-www-form-urlencoded"
			if name, isFile := strings.CutPrefix(body, "@"); isFile {
				if body = files[name]; body == "" {
					return nil, false, fmt.Errorf("the document shows no file %s", name)
				}
			}
		default:
			if strings.HasPrefix(word, "-") || url != "" {
				return nil, false, fmt.Errorf("%q is not understood", word)
			}
			url = word
		}
	}
	if err != nil {
		return nil, false, err
	}
	if method == "" {
		method = http.MethodGet
		if media != "" {
			method = http.MethodPost
		}
	}
	var in io.Reader = http.NoBody
	if media != "" {
		in = strings.NewReader(body)
	}
	if r, err = http.NewRequestWithContext(ctx, method, url, in); err != nil {
		return nil, false, err
	}
	r.Header = header
	if media != "" && header.Get("Content-Type") == "" {
		header.Set("Content-Type", media)
	}
	return r, follow, nil
}

// shellWords splits a command as a shell does, where it uses blanks, quotes and variables only.
func shellWords(command string, known map[string]string) (words []string, err error) {
	var word strings.Builder
	within, quote := false, rune(0)
	skip := 0
	for i, r := range command {
		if i < skip {
			continue
		}
		if name := named.FindString(command[i:]); r == '$' && quote != '\'' && name != "" && strings.HasPrefix(command[i:], name) {
			value, ok := known[name[1:]]
			if !ok {
				return nil, fmt.Errorf("no answer has told %s", name)
			}
			word.WriteString(value)
			within, skip = true, i+len(name)
			continue
		}
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, within = r, true
		case r == ' ':
			if within {
				words = append(words, word.String())
				word.Reset()
			}
			within = false
		case strings.ContainsRune("$`\\|&;<>*?~(){}#!", r):
			return nil, fmt.Errorf("%q means something to a shell: put it in quotes", r)
		default:
			word.WriteRune(r)
			within = true
		}
	}
	if quote != 0 {
		return nil, errors.New("a quote is not closed")
	}
	if within {
		words = append(words, word.String())
	}
	return words, nil
}

func TestDocsExamplesAreComparedStrictly(t *testing.T) {
	for _, c := range []struct {
		have, want string
		equal      bool
	}{
		{`{"a":1,"b":2}`, `{"a":1,"b":2}`, true},
		{`{"a":1,"b":2}`, `{"a":1,…}`, true},
		{`{"a":1,"b":2}`, `{"a":1}`, false},
		{`{"a":1,"b":2}`, `{"a":2,…}`, false},
		{"{}\n{}", "{}", false},
		{"{}\n{}", "…", false}, // within a line
		{`{"a":"x-1","b":"y"}`, `{"a":"$one","b":"y"}`, true},
		{`{"a":"x-1","b":"x-1"}`, `{"a":"$one","b":"$one"}`, true},
		{`{"a":"x-1","b":"x-2"}`, `{"a":"$one","b":"$one"}`, false},
		{`{"a":"","b":"y"}`, `{"a":"$one","b":"y"}`, false},
		{`{"a":"known","b":"y"}`, `{"a":"$two",…}`, true},
		{`{"a":"other","b":"y"}`, `{"a":"$two",…}`, false},
	} {
		if answersTo(c.have, c.want, map[string]string{"two": "known"}) != c.equal {
			t.Errorf("%q against %q: want %v", c.have, c.want, c.equal)
		}
	}
}

func TestDocsExamplesUseWhatAnswersTold(t *testing.T) {
	known := map[string]string{"two": "known"}
	if !answersTo(`{"id":"x-1","of":"known"}`, `{"id":"$one","of":"$two"}`, known) || known["one"] != "x-1" {
		t.Errorf("told: %v", known)
	}
	words, err := shellWords(`curl http://h/$one/do -d '{"code": "'$two'", "$one": "$ 1"}' "$one"x`, known)
	if want := []string{"curl", "http://h/x-1/do", "-d", `{"code": "known", "$one": "$ 1"}`, "x-1x"}; err != nil || !slices.Equal(words, want) {
		t.Errorf("%q, %v; want %q", words, err, want)
	}
	for _, command := range []string{"curl $three", "curl $", "curl $(date)"} {
		if words, err := shellWords(command, known); err == nil {
			t.Errorf("%s: %q", command, words)
		}
	}
}
