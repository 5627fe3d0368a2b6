package server

import (
	"bytes"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"onhand/engine"
)

// call is one request under way: what the router made of its target, and working memory, kept for reuse.
type call struct {
	ctx *fasthttp.RequestCtx
	// params are the variable segments of the path, percent-decoded once.
	params [2]string
	query  query
	// principal names who asks, "" where the server has no keys.
	principal string
	// body is the request's body, once it was read whole.
	body      []byte
	bodyRead  bool
	bodyEnded bool // nothing more of it will come
	// out is where an answer is written before it is handed to fasthttp.
	out []byte
	// text is what params are decoded into.
	text []byte
	// cells and locations are where the engine puts the nearest.
	cells     []engine.NearbyCell
	locations []engine.FoundLocation
	// leave gives the request's place in its lane back; nil where someone else has taken that on.
	leave func()
}

var calls = sync.Pool{New: func() any { return new(call) }}

func newCall(ctx *fasthttp.RequestCtx) *call {
	c := calls.Get().(*call)
	c.ctx = ctx
	return c
}

func (c *call) recycle() {
	if cap(c.out) > 64<<10 {
		c.out = nil
	}
	*c = call{
		out: c.out[:0], text: c.text[:0], query: query{pairs: c.query.pairs[:0], text: c.query.text[:0]},
		cells: forReuse(c.cells), locations: forReuse(c.locations),
	}
	calls.Put(c)
}

// reusedMax is how long a list may be whose memory is kept: a few pages of the standard size.
const reusedMax = 128

// forReuse returns the memory of a list, unless it is an unusually long one.
func forReuse[T any](list []T) []T {
	if cap(list) > reusedMax {
		return nil
	}
	return list[:0]
}

// idempotencyKey returns the request's Idempotency-Key, set apart by who asks.
func (c *call) idempotencyKey() (string, error) {
	given := c.ctx.Request.Header.PeekAll("Idempotency-Key")
	if len(given) == 0 {
		return "", nil
	}
	if len(given) > 1 {
		return "", invalidField("Idempotency-Key", "given twice", "one key")
	}
	raw := given[0]
	// The IETF draft makes it a string in quotes; most clients send it bare.
	if len(raw) >= 2 && raw[0] == '"' && raw[len(raw)-1] == '"' {
		raw = raw[1 : len(raw)-1]
	}
	// An empty one is a key that a client has lost, and no reason to go on without.
	if len(raw) == 0 || len(raw) > idempotencyKeyMax || !utf8.Valid(raw) || bytes.ContainsFunc(raw, unicode.IsControl) {
		return "", invalidField("Idempotency-Key", quoteShort(raw), "1 to 200 bytes of UTF-8 without control characters")
	}
	if c.principal == "" {
		return string(raw), nil
	}
	return c.principal + "/" + string(raw), nil
}

// idempotencyKeyMax leaves the engine's limit room for the principal and a batch's index.
const idempotencyKeyMax = 200

// json answers with c.out.
func (c *call) json(status int) {
	c.ctx.Response.SetStatusCode(status)
	c.ctx.Response.Header.SetContentTypeBytes(contentJSON)
	c.ctx.Response.SetBody(c.out)
}

var (
	contentJSON    = []byte("application/json")
	contentProblem = []byte("application/problem+json")
)

// fail answers with a problem.
func (c *call) fail(err error) {
	p := problemOf(err)
	c.out = p.append(c.out[:0])
	c.ctx.Response.SetStatusCode(p.status)
	c.ctx.Response.Header.SetContentTypeBytes(contentProblem)
	if p.retryAfter > 0 {
		c.ctx.Response.Header.Set(fasthttp.HeaderRetryAfter, itoa(p.retryAfter))
	}
	if p.status == fasthttp.StatusUnauthorized {
		c.ctx.Response.Header.Set(fasthttp.HeaderWWWAuthenticate, "Bearer")
	}
	c.ctx.Response.SetBody(c.out)
}
