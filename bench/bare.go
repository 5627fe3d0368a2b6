package bench

import (
	"net"

	"github.com/valyala/fasthttp"
)

// ServeBare serves one answer to every request at address, and nothing else: the most that any server built on fasthttp
// could do. It is run as a process of its own.
func ServeBare(address string, status int, contentType string, headers [][2]string, body []byte) error {
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	s := &fasthttp.Server{Name: "onhand", Handler: func(ctx *fasthttp.RequestCtx) {
		ctx.Response.SetStatusCode(status)
		ctx.Response.Header.SetContentType(contentType)
		for _, h := range headers {
			ctx.Response.Header.Set(h[0], h[1])
		}
		ctx.Response.SetBody(body)
	}}
	return s.Serve(ln)
}
