package wire

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// HTTP is an HTTP/1.1 answer that has arrived.
type HTTP struct {
	Status int
	Head   []byte // with the status line, without the blank line
	Body   []byte // as sent: with its chunks where it is chunked
}

// FrameHTTP is an [Exchange.Frame] for HTTP/1.1 (RFC 9112): the length of the answer at the beginning of in, 0 while it is
// not whole.
func FrameHTTP(in []byte) (int, error) {
	_, n, err := readHTTP(in)
	return n, err
}

// ReadHTTP reads an answer that FrameHTTP has found to be whole.
func ReadHTTP(in []byte) (HTTP, error) {
	answer, n, err := readHTTP(in)
	if err == nil && n == 0 {
		err = errors.New("half an answer")
	}
	return answer, err
}

// headMax bounds the head of an answer.
const headMax = 64 << 10

func readHTTP(in []byte) (answer HTTP, n int, err error) {
	end := bytes.Index(in, []byte("\r\n\r\n"))
	if end < 0 {
		if len(in) > headMax {
			err = fmt.Errorf("an answer with more than %d bytes of headers", headMax)
		}
		return answer, 0, err
	}
	if end < 12 || string(in[:7]) != "HTTP/1." {
		return answer, 0, fmt.Errorf("no HTTP answer: %.200q", in)
	}
	answer.Head = in[:end]
	if answer.Status, err = strconv.Atoi(string(in[9:12])); err != nil {
		return answer, 0, fmt.Errorf("no HTTP status: %.200q", in)
	}
	begin := end + 4
	if answer.Status == 204 || answer.Status == 304 {
		return answer, begin, nil
	}
	if value, ok := answer.Header("Content-Length"); ok {
		length, err := strconv.ParseUint(string(value), 10, 40)
		if err != nil {
			return answer, 0, fmt.Errorf("Content-Length is %q", value)
		}
		if n = begin + int(length); len(in) < n {
			return answer, 0, nil
		}
		answer.Body = in[begin:n]
		return answer, n, nil
	}
	if coding, _ := answer.Header("Transfer-Encoding"); string(coding) != "chunked" {
		return answer, 0, fmt.Errorf("an answer that tells no length: %.200q", answer.Head)
	}
	length, err := chunksLength(in[begin:])
	if length == 0 || err != nil {
		return answer, 0, err
	}
	answer.Body = in[begin : begin+length]
	return answer, begin + length, nil
}

// Header returns the value of a header. The name is given as it is usually written, which is found at once.
func (a *HTTP) Header(name string) ([]byte, bool) {
	head := a.Head
	at := -1
	for from := 0; ; {
		i := bytes.Index(head[from:], []byte(name))
		if i < 0 {
			break
		}
		if i += from; i >= 2 && head[i-1] == '\n' && i+len(name) < len(head) && head[i+len(name)] == ':' {
			at = i
			break
		}
		from = i + 1
	}
	if at < 0 { // a proxy may have written it in its own way
		for i := bytes.IndexByte(head, '\n'); i >= 0; {
			line := head[i+1:]
			if len(line) > len(name) && line[len(name)] == ':' && bytes.EqualFold(line[:len(name)], []byte(name)) {
				at = i + 1
				break
			}
			next := bytes.IndexByte(line, '\n')
			if next < 0 {
				break
			}
			i += 1 + next
		}
	}
	if at < 0 {
		return nil, false
	}
	value := head[at+len(name)+1:]
	if end := bytes.IndexByte(value, '\r'); end >= 0 {
		value = value[:end]
	}
	return bytes.TrimSpace(value), true
}

// Last reports whether the server closes the connection after this answer.
func (a *HTTP) Last() bool {
	value, ok := a.Header("Connection")
	return ok && bytes.EqualFold(value, []byte("close"))
}

// chunksLength returns the length of a chunked body with its trailer, 0 while it is not whole.
func chunksLength(in []byte) (int, error) {
	for at := 0; ; {
		line := bytes.Index(in[at:], []byte("\r\n"))
		if line < 0 {
			return 0, nil
		}
		digits, _, _ := bytes.Cut(in[at:at+line], []byte(";"))
		size, err := strconv.ParseUint(string(bytes.TrimSpace(digits)), 16, 40)
		if err != nil {
			return 0, fmt.Errorf("the size of a chunk is %.20q", digits)
		}
		if size == 0 {
			end := bytes.Index(in[at+line:], []byte("\r\n\r\n")) // the blank line, behind what trailers there are
			if end < 0 {
				return 0, nil
			}
			return at + line + end + 4, nil
		}
		at += line + 2 + int(size) + 2
		if at > len(in) {
			return 0, nil
		}
	}
}
