package server

import (
	"bytes"

	"github.com/valyala/fasthttp"
)

// checkFraming refuses requests that fasthttp takes and a proxy in front of us might read differently: that is how
// requests are smuggled past whoever is to check them. The connection is closed after such a request.
func checkFraming(h *fasthttp.RequestHeader) *problem {
	switch string(h.Protocol()) {
	case "HTTP/1.1", "HTTP/1.0":
	default:
		return &problem{
			status: fasthttp.StatusHTTPVersionNotSupported, kind: "http-version", title: "The HTTP version is not supported",
			detail: "this server speaks HTTP/1.1 and HTTP/1.0",
		}
	}
	raw := h.RawHeaders()
	if bytes.IndexByte(raw, 0) >= 0 {
		return badFraming("a header holds a NUL byte (RFC 9110, section 5.5)")
	}
	if n := bytes.Count(raw, crlf); n != bytes.Count(raw, crlf[:1]) || n != bytes.Count(raw, crlf[1:]) {
		return badFraming("a header line ends in CR or LF alone, not in both (RFC 9112, section 2.2)")
	}
	for i := bytes.IndexByte(raw, '\n'); i >= 0; {
		rest := raw[i+1:]
		if len(rest) > 0 && (rest[0] == ' ' || rest[0] == '\t') {
			return badFraming("a header is folded over two lines (RFC 9112, section 5.2)")
		}
		next := bytes.IndexByte(rest, '\n')
		if next < 0 {
			break
		}
		i += 1 + next
	}
	if blankInName(raw) {
		return badFraming("a header's name holds a blank (RFC 9110, section 5.1)")
	}
	if hasHeader(raw, "transfer-encoding:") {
		if hasHeader(raw, "content-length:") {
			return badFraming("it has both Content-Length and Transfer-Encoding (RFC 9112, section 6.3)")
		}
		if h.ContentLength() != -1 { // -1 = chunked
			return badFraming("its Transfer-Encoding is not chunked (RFC 9112, section 6.1)")
		}
	}
	return nil
}

var crlf = []byte("\r\n")

func badFraming(detail string) *problem {
	return &problem{status: fasthttp.StatusBadRequest, kind: "framing", title: "The request is ambiguous", detail: detail}
}

// blankInName reports whether a line of raw has a blank before its colon. fasthttp refuses most other bytes that no name has.
func blankInName(raw []byte) bool {
	for len(raw) > 0 {
		line := raw
		if i := bytes.IndexByte(raw, '\n'); i >= 0 {
			line = raw[:i]
		}
		raw = raw[min(len(line)+1, len(raw)):]
		if colon := bytes.IndexByte(line, ':'); colon >= 0 && bytes.IndexByte(line[:colon], ' ') >= 0 {
			return true
		}
	}
	return false
}

// hasHeader reports whether a line of raw begins with name, in lower case and with its colon.
func hasHeader(raw []byte, name string) bool {
	for len(raw) > 0 {
		if len(raw) >= len(name) && raw[0]|0x20 == name[0] && equalFold(raw[:len(name)], name) {
			return true
		}
		i := bytes.IndexByte(raw, '\n')
		if i < 0 {
			return false
		}
		raw = raw[i+1:]
	}
	return false
}
