package server

import (
	"bytes"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// query holds the parameters of a request target, each name at most once, percent-decoded once.
type query struct {
	pairs []pair
	text  []byte
}

type pair struct {
	name, value string
	raw         []byte // the value before decoding
}

// parse reads the part of a target after the question mark.
func (q *query) parse(raw []byte, allowed []string) error {
	for len(raw) > 0 {
		part := raw
		if i := bytes.IndexByte(raw, '&'); i >= 0 {
			part, raw = raw[:i], raw[i+1:]
		} else {
			raw = nil
		}
		if len(part) == 0 {
			continue
		}
		name, value, _ := bytes.Cut(part, []byte{'='})
		n, err := url.QueryUnescape(string(name))
		if err != nil {
			return invalidField("query", quoteShort(name), "percent-encoded text")
		}
		if !slices.Contains(allowed, n) {
			want := "no parameters"
			if len(allowed) > 0 {
				want = strings.Join(allowed, ", ")
			}
			return &problem{
				status: 400, kind: "invalid", title: "The request is not valid",
				detail: fmt.Sprintf("there is no parameter %s here; allowed: %s", quoteShort(name), want),
			}
		}
		if q.has(n) {
			return invalidField(n, "given twice", "one value")
		}
		v, err := url.QueryUnescape(string(value))
		if err != nil || !utf8.ValidString(v) {
			return invalidField(n, quoteShort(value), "percent-encoded UTF-8")
		}
		if v == "" {
			// An empty filter would be none, and an empty dry_run a real run.
			return invalidField(n, "empty", "a value, or to be left out")
		}
		q.pairs = append(q.pairs, pair{n, v, value})
	}
	return nil
}

func (q *query) find(name string) *pair {
	for i := range q.pairs {
		if q.pairs[i].name == name {
			return &q.pairs[i]
		}
	}
	return nil
}

func (q *query) has(name string) bool { return q.find(name) != nil }

// text returns a parameter's value, or "" where it is not given.
func (q *query) value(name string) string {
	if p := q.find(name); p != nil {
		return p.value
	}
	return ""
}

// number returns a parameter's value from least to most, or standard where it is not given.
func (q *query) number(name string, least, most, standard uint64) (uint64, error) {
	p := q.find(name)
	if p == nil {
		return standard, nil
	}
	v, err := strconv.ParseUint(p.value, 10, 64)
	if err != nil || v < least || v > most {
		return 0, invalidField(name, quoteShort([]byte(p.value)), fmt.Sprintf("a whole number from %d to %d", least, most))
	}
	return v, nil
}

// boolean returns a parameter's value, false where it is not given.
func (q *query) boolean(name string) (bool, error) {
	switch v := q.value(name); v {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	default:
		return false, invalidField(name, quoteShort([]byte(v)), "true or false")
	}
}

// words returns the comma-separated values of a parameter that takes words of ours. None has a comma in it, so one that is
// written %2C separates too: that is how most clients encode a whole value.
func (q *query) words(name string, most int) ([]string, error) {
	p := q.find(name)
	if p == nil {
		return nil, nil
	}
	words := strings.Split(p.value, ",")
	if len(words) > most {
		return nil, invalidField(name, fmt.Sprintf("%d values", len(words)), fmt.Sprintf("at most %d", most))
	}
	return words, nil
}

// names returns the comma-separated values of a parameter that takes names of the caller's. These may have a comma in them,
// which is written %2C, so only one that is written as it is separates.
func (q *query) names(name string, most int) ([]string, error) {
	p := q.find(name)
	if p == nil {
		return nil, nil
	}
	parts := bytes.Split(p.raw, []byte{','})
	if len(parts) > most {
		return nil, invalidField(name, fmt.Sprintf("%d values", len(parts)), fmt.Sprintf("at most %d", most))
	}
	values := make([]string, len(parts))
	for i, part := range parts {
		v, err := url.QueryUnescape(string(part))
		if err != nil || v == "" {
			return nil, invalidField(name, quoteShort(part), "percent-encoded values, separated by commas")
		}
		values[i] = v
	}
	return values, nil
}

// minSequenceWait is how long a read waits for the sequence that it demands.
const minSequenceWait = 5 * time.Second

// awaitSequence waits for the min_sequence that a read demands, if it does.
func (s *Server) awaitSequence(c *call) error {
	if len(c.query.pairs) == 0 {
		return nil
	}
	sequence, err := c.query.number("min_sequence", 0, 1<<56, 0)
	if err != nil || sequence == 0 {
		return err
	}
	reached, err := s.engine.WaitSequence(sequence, minSequenceWait)
	if err == nil && !reached {
		err = &problem{
			status: 503, kind: "sequence-not-reached", title: "The sequence has not been reached", retryAfter: 1,
			detail: fmt.Sprintf("min_sequence is %d, the last change is %d", sequence, s.engine.Durable()),
		}
	}
	return err
}

// quoteShort quotes what a client sent, cut where it is long.
func quoteShort(b []byte) string {
	if len(b) > 80 {
		b = append(slices.Clone(b[:77]), "..."...)
	}
	return strconv.Quote(string(b))
}

func itoa(n int) string { return strconv.Itoa(n) }

// limitOf returns the page size that a request asks for.
func (q *query) limit(standard uint64) (int, error) {
	n, err := q.number("limit", 1, pageMax, standard)
	return int(n), err
}

// pageMax is the largest page of a listing.
const pageMax = 10_000
