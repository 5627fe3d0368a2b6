package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"slices"
	"strings"
	"time"
	"unsafe"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/valyala/fasthttp"

	"onhand/engine"
	"onhand/engine/hours"
)

// decode reads a request's JSON body into v, strictly: unknown and duplicate members, values of another type, numbers
// out of range, text that is not UTF-8 and anything after the value are refused by name. As no member is descended into
// that v does not have, the depth of the body is bounded by the type of v. Only the nullable members may be null.
func (s *Server) decode(c *call, v any, nullable ...jsontext.Pointer) error {
	body, err := s.body(c)
	if err != nil {
		return err
	}
	media, parameters, _ := bytes.Cut(c.ctx.Request.Header.ContentType(), []byte{';'})
	if len(media) > 0 && !isJSON(media) {
		return &problem{
			status: fasthttp.StatusUnsupportedMediaType, kind: "media-type", title: "The body is not JSON",
			detail: "Content-Type is " + quoteShort(media) + ", want application/json",
		}
	}
	if charset, ok := charsetOf(parameters); ok && !strings.EqualFold(charset, "utf-8") {
		return &problem{
			status: fasthttp.StatusUnsupportedMediaType, kind: "media-type", title: "The body is not UTF-8",
			detail: "Content-Type says charset " + quoteShort([]byte(charset)) + ", want utf-8 or none (RFC 8259, section 8.1)",
		}
	}
	if len(body) == 0 {
		return invalidField("body", "empty", "a JSON object")
	}
	if err := json.Unmarshal(body, v, json.RejectUnknownMembers(true)); err != nil {
		return decodeProblem(err)
	}
	return refuseNull(body, nullable)
}

// refuseNull refuses a null that stands for any but the nullable members: the decoder takes one for the zero value, and
// who sends "title": null has perhaps lost the title.
func refuseNull(body []byte, nullable []jsontext.Pointer) error {
	if !bytes.Contains(body, []byte("null")) {
		return nil
	}
	d := jsontext.NewDecoder(bytes.NewReader(body))
	for {
		switch token, err := d.ReadToken(); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return decodeProblem(err)
		case token.Kind() == 'n' && !slices.Contains(nullable, d.StackPointer()):
			return invalidField(fieldOf(d.StackPointer()), "null", "a value, or to be left out")
		}
	}
}

// charsetOf returns the charset among the parameters of a Content-Type.
func charsetOf(parameters []byte) (charset string, given bool) {
	for len(parameters) > 0 {
		var one []byte
		one, parameters, _ = bytes.Cut(parameters, []byte{';'})
		name, value, _ := bytes.Cut(one, []byte{'='})
		if strings.EqualFold(string(bytes.TrimSpace(name)), "charset") {
			return string(bytes.Trim(value, " \t\"")), true
		}
	}
	return "", false
}

// isJSON takes what curl sends with -d for JSON too: a body that is none is refused all the same.
func isJSON(media []byte) bool {
	switch string(bytes.ToLower(bytes.TrimSpace(media))) {
	case "application/json", "text/json", "application/x-www-form-urlencoded":
		return true
	}
	return false
}

// body returns a request's whole body, up to the limit.
func (s *Server) body(c *call) ([]byte, error) {
	if c.bodyRead {
		return c.body, nil
	}
	body, err := s.readBody(c)
	if err == nil {
		c.body, c.bodyRead = body, true
	}
	return body, err
}

func (s *Server) readBody(c *call) ([]byte, error) {
	if c.ctx.Request.Header.ContentLength() > s.options.BodyBytesMax {
		return nil, s.tooLarge(c)
	}
	if encoding := c.ctx.Request.Header.ContentEncoding(); len(encoding) > 0 && string(encoding) != "identity" {
		return nil, &problem{
			status: fasthttp.StatusUnsupportedMediaType, kind: "encoding", title: "The body is compressed",
			detail: "Content-Encoding is " + quoteShort(encoding) + ", which only imports understand",
		}
	}
	stream := c.bodyStream()
	if stream == nil {
		return c.ctx.Request.Body(), nil
	}
	body, err := io.ReadAll(io.LimitReader(stream, int64(s.options.BodyBytesMax)+1))
	if err != nil {
		c.ctx.SetConnectionClose()
		if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
			return nil, s.tooSlow()
		}
		return nil, &problem{status: fasthttp.StatusBadRequest, kind: "body", title: "The body did not arrive whole", detail: err.Error()}
	}
	if len(body) > s.options.BodyBytesMax {
		return nil, s.tooLarge(c)
	}
	return body, nil
}

// tooSlow is the answer to a request that did not arrive in time.
func (s *Server) tooSlow() *problem {
	return &problem{
		status: fasthttp.StatusRequestTimeout, kind: "timeout", title: "The request took too long to arrive",
		detail: fmt.Sprintf("it has %v to arrive", s.options.ReadTimeout),
	}
}

func (s *Server) tooLarge(c *call) error {
	c.ctx.SetConnectionClose()
	return &problem{
		status: fasthttp.StatusRequestEntityTooLarge, kind: "too-large", title: "The body is too large",
		detail: fmt.Sprintf("at most %d bytes are taken; larger stock files go through POST /v1/stock/import", s.options.BodyBytesMax),
	}
}

// decodeProblem turns an error of the decoder into one that names the field.
func decodeProblem(err error) error {
	var semantic *json.SemanticError
	var syntactic *jsontext.SyntacticError
	switch {
	case errors.As(err, &semantic):
		field := fieldOf(semantic.JSONPointer)
		if errors.Is(err, json.ErrUnknownName) {
			return unknownField(field)
		}
		var own *engine.InvalidError
		if errors.As(semantic.Err, &own) {
			return invalidField(field, own.Value, own.Want)
		}
		var ofHours *hours.Error
		if errors.As(semantic.Err, &ofHours) {
			return invalidField(field, ofHours.Value, ofHours.Want)
		}
		value := string(semantic.JSONValue)
		if value == "" {
			value = kindName(semantic.JSONKind)
		}
		return invalidField(field, short(value), wantOf(semantic.GoType))
	case errors.As(err, &syntactic):
		field := fieldOf(syntactic.JSONPointer)
		if errors.Is(err, jsontext.ErrDuplicateName) {
			return invalidField(field, "given twice", "each member once")
		}
		return invalidField(field, fmt.Sprintf("broken at byte %d: %v", syntactic.ByteOffset, syntactic.Err), "JSON (RFC 8259) in UTF-8")
	}
	return invalidField("body", short(err.Error()), "JSON (RFC 8259) in UTF-8")
}

func kindName(k jsontext.Kind) string {
	switch k {
	case '{':
		return "an object"
	case '[':
		return "an array"
	}
	return "a " + k.String()
}

func unknownField(field string) error {
	p := invalidField(field, "unknown", "only the members that docs/openapi.yaml names")
	p.detail = "there is no field " + field + " in this request"
	return p
}

// fieldBytesMax is where the name of a field is cut: who nests a thousand arrays need not be told each.
const fieldBytesMax = 160

// fieldOf writes a JSON pointer as people write a path: /lines/2/quantity is lines[2].quantity.
func fieldOf(pointer jsontext.Pointer) string {
	var b strings.Builder
	for token := range pointer.Tokens() {
		if token != "" && strings.Trim(token, "0123456789") == "" && b.Len() > 0 {
			b.WriteString("[" + token + "]")
		} else {
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(short(token))
		}
		if b.Len() > fieldBytesMax {
			return b.String() + "..."
		}
	}
	if b.Len() == 0 {
		return "body"
	}
	return b.String()
}

func wantOf(t reflect.Type) string {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == nil:
		return "another value"
	case t == reflect.TypeFor[time.Time]():
		return "a time as in RFC 3339, such as 2026-01-31T17:00:00Z"
	case t == reflect.TypeFor[engine.ID]():
		return "a UUID such as 01932d6e-8c5a-7b1e-9d4f-2a6b8c0e1f35"
	}
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Int64:
		return "a whole number of at most 64 bits, without fraction or exponent"
	case reflect.Uint64:
		return "a whole number of 0 or more, without fraction or exponent"
	case reflect.Float64:
		return "a number"
	case reflect.Map:
		return "an object"
	case reflect.Slice:
		return "an array"
	case reflect.Struct:
		return "an object"
	}
	return "another value"
}

func short(s string) string {
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:77], "") + "..."
	}
	return s
}

// optional is a member that may be absent, null, or have a value.
type optional[T any] struct {
	Given bool
	Value *T // nil = null
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (o *optional[T]) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	o.Given = true
	return json.UnmarshalDecode(d, &o.Value)
}

// bytesToString shares b's memory; neither may change while the string is used.
func bytesToString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
