package server

import (
	"net"
	"time"

	"github.com/valyala/fasthttp"
)

// authorize finds out who asks and whether they may. The principal is the name by which idempotency keys are told apart:
// two systems may use the same ones.
func (s *Server) authorize(c *call, need Scope) *problem {
	if need == scopePublic || !s.options.Keys.Any() {
		return nil
	}
	const scheme = "Bearer "
	header := c.ctx.Request.Header.Peek(fasthttp.HeaderAuthorization)
	if len(header) <= len(scheme) || !equalFold(header[:len(scheme)], scheme) {
		return unauthorized("send the API key as \"Authorization: Bearer ohk_…\"")
	}
	key, ok := s.options.Keys.find(string(header[len(scheme):]), time.Now())
	if !ok {
		return unauthorized("the API key is not known, or has expired")
	}
	if key.scopes&need == 0 {
		return &problem{
			status: fasthttp.StatusForbidden, kind: "forbidden", title: "The API key does not allow this",
			detail: "key " + key.ID + " lacks scope " + need.Names()[0],
		}
	}
	c.principal = key.ID
	return nil
}

func unauthorized(detail string) *problem {
	return &problem{status: fasthttp.StatusUnauthorized, kind: "unauthorized", title: "Who are you?", detail: detail}
}

func equalFold(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i := range b {
		if b[i]|0x20 != s[i]|0x20 {
			return false
		}
	}
	return true
}

// IsLoopback reports whether an address such as 127.0.0.1:8080 can be reached from this machine only.
func IsLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
