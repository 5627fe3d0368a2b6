package server

import (
	"slices"

	"github.com/valyala/fasthttp"
)

// cors answers a preflight request, or marks the answer to come as readable by the scripts of an allowed origin. It
// reports whether the request has been answered.
func (s *Server) cors(c *call, method string) bool {
	h := &c.ctx.Response.Header
	h.Add(fasthttp.HeaderVary, fasthttp.HeaderOrigin)
	origin := string(c.ctx.Request.Header.Peek(fasthttp.HeaderOrigin))
	if origin == "" || !slices.Contains(s.options.Origins, origin) && !slices.Contains(s.options.Origins, "*") {
		return false
	}
	h.Set(fasthttp.HeaderAccessControlAllowOrigin, origin)
	h.Set(fasthttp.HeaderAccessControlExposeHeaders, "ETag, Location, Retry-After")
	if method != fasthttp.MethodOptions {
		return false
	}
	h.Set(fasthttp.HeaderAccessControlAllowMethods, "GET, POST, PUT, DELETE")
	h.Set(fasthttp.HeaderAccessControlAllowHeaders, "Authorization, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID")
	h.Set(fasthttp.HeaderAccessControlMaxAge, "600")
	c.ctx.Response.SetStatusCode(fasthttp.StatusNoContent)
	return true
}
