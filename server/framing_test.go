package server_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"onhand/server"
)

const (
	getLocation  = "GET /v1/locations/L HTTP/1.1\r\nHost: x\r\n"
	postAdjust   = "POST /v1/stock/adjustments HTTP/1.1\r\nHost: x\r\n"
	adjustByOne  = `{"lines":[{"sku":"S","location":"L","quantity":1}],"reason":"count"}`
	smuggledCall = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
)

// Where a proxy in front could see other requests than we do, nothing is carried out, and what follows on the connection
// is not taken for a request.
func TestAmbiguousFramingIsRefusedAndTheConnectionClosed(t *testing.T) {
	r := newRig(t, server.Options{})
	r.stock("S", 0)
	length := fmt.Sprintf("Content-Length: %d\r\n", len(adjustByOne))
	chunk := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(adjustByOne), adjustByOne)
	for name, request := range map[string]string{
		"content length and chunked":    postAdjust + length + "Transfer-Encoding: chunked\r\n\r\n" + chunk,
		"chunked and content length":    postAdjust + "Transfer-Encoding: chunked\r\n" + length + "\r\n" + chunk,
		"chunked and lower-case length": postAdjust + "transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n" + chunk,
		"content length and identity":   postAdjust + length + "Transfer-Encoding: identity\r\n\r\n" + adjustByOne,
		"two content lengths":           postAdjust + length + "Content-Length: 3\r\n\r\n" + adjustByOne,
		"the same length twice":         postAdjust + length + length + "\r\n" + adjustByOne,
		"a list of lengths":             postAdjust + "Content-Length: 5, 5\r\n\r\nabcde",
		"a negative length":             postAdjust + "Content-Length: -1\r\n\r\n",
		"a length with a sign":          postAdjust + fmt.Sprintf("Content-Length: +%d\r\n\r\n", len(adjustByOne)) + adjustByOne,
		"a length in hexadecimal":       postAdjust + "Content-Length: 0x10\r\n\r\n" + adjustByOne,
		"an empty length":               postAdjust + "Content-Length: \r\n\r\n" + adjustByOne,
		"a length beyond 64 bits":       postAdjust + "Content-Length: 18446744073709551617\r\n\r\n{",
		"two transfer encodings":        postAdjust + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n" + chunk,
		"an unknown transfer encoding":  postAdjust + "Transfer-Encoding: xchunked\r\n\r\n" + chunk,
		"gzip, chunked":                 postAdjust + "Transfer-Encoding: gzip, chunked\r\n\r\n" + chunk,
		"chunked in HTTP/1.0":           strings.Replace(postAdjust, "1.1", "1.0", 1) + "Transfer-Encoding: chunked\r\n\r\n" + chunk,
		"a blank before the colon":      postAdjust + "Content-Length : 5\r\n\r\nabcde",
		"a folded header":               getLocation + "X-Note: one\r\n two\r\n\r\n",
		"a folded transfer encoding":    postAdjust + length + "Transfer-Encoding:\r\n chunked\r\n\r\n" + chunk,
		"a folded first header":         "GET /v1/locations/L HTTP/1.1\r\n Host: x\r\nHost: x\r\n\r\n",
		"a bare LF between headers":     getLocation + "X-Note: one\nX-Other: two\r\n\r\n",
		"a bare CR in a header":         getLocation + "X-Note: one\rContent-Length: 5\r\n\r\n",
		"a NUL in a header":             getLocation + "X-Note: a\x00b\r\n\r\n",
		"a NUL in a header's name":      getLocation + "X-No\x00te: a\r\n\r\n",
		"a NUL in the target":           "GET /v1/locations/L\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
		"a blank in a header's name":    getLocation + "X Note: a\r\n\r\n",
		"a blank in an encoding's name": postAdjust + length + "X Transfer-Encoding: chunked\r\n\r\n" + adjustByOne,
		"a header without a colon":      getLocation + "nonsense\r\n\r\n",
		"a header without a name":       getLocation + ": nameless\r\n\r\n",
		"no host":                       "GET /v1/locations/L HTTP/1.1\r\n\r\n",
		"two hosts":                     getLocation + "Host: y\r\n\r\n",
		"no target":                     "GET HTTP/1.1\r\nHost: x\r\n\r\n",
		"a method that is none":         "G@T /v1/locations/L HTTP/1.1\r\nHost: x\r\n\r\n",
		"a chunk without a size":        postAdjust + "Transfer-Encoding: chunked\r\n\r\n\r\nabc\r\n0\r\n\r\n",
		"a chunk with a wrong size":     postAdjust + "Transfer-Encoding: chunked\r\n\r\n2\r\n" + adjustByOne + "\r\n0\r\n\r\n",
		"a chunk of a negative size":    postAdjust + "Transfer-Encoding: chunked\r\n\r\n-2\r\nab\r\n0\r\n\r\n",
		"a chunk beyond 64 bits":        postAdjust + "Transfer-Encoding: chunked\r\n\r\n1ffffffffffffffff\r\nab\r\n0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			s := r.dial()
			s.t = t
			s.send(request + smuggledCall)
			got := s.answer("POST")
			if got.status != http.StatusBadRequest {
				t.Errorf("the answer is %d %s, want 400", got.status, got.body)
			}
			if media := got.header.Get("Content-Type"); media != "application/problem+json" {
				t.Errorf("the answer is %s %q, want a problem document", media, got.body)
			}
			if !got.close {
				t.Error("the answer does not say that the connection closes")
			}
			s.wantClosed()
		})
	}
	if c := r.cell("S"); c.OnHand != 0 {
		t.Errorf("%d units were booked by requests that were refused", c.OnHand)
	}
}

func TestOnlyHTTP10AndHTTP11AreSpoken(t *testing.T) {
	r := newRig(t, server.Options{})
	for _, version := range []string{"HTTP/0.9", "HTTP/1.2", "HTTP/2.0", "HTTP/3.0", "HTTP/9.9"} {
		s := r.dial()
		s.send("GET /v1/locations/L " + version + "\r\nHost: x\r\n\r\n" + smuggledCall)
		wantProblem(t, s.answer("GET"), http.StatusHTTPVersionNotSupported, "http-version")
		s.wantClosed()
	}
	for _, version := range []string{"HTTP/11", "HTTP/1.1x", "http/1.1", "ICY/1.0", "HTTP/1.10", ""} {
		s := r.dial()
		s.send("GET /v1/locations/L " + version + "\r\nHost: x\r\n\r\n" + smuggledCall)
		wantProblem(t, s.answer("GET"), http.StatusBadRequest, "framing")
		s.wantClosed()
	}
	s := r.dial()
	s.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") // how a client begins that takes HTTP/2 for granted
	wantProblem(t, s.answer("GET"), http.StatusBadRequest, "framing")
	s.wantClosed()
}

func TestHeadersHaveALimit(t *testing.T) {
	const limit = 4096
	r := newRig(t, server.Options{HeaderBytesMax: limit})
	padding := func(total int) string {
		const name = "X-Padding: "
		return getLocation + name + strings.Repeat("x", total-len(getLocation)-len(name)-len("\r\n\r\n")) + "\r\n\r\n"
	}
	s := r.dial()
	s.send(padding(limit))
	if got := s.answer("GET"); got.status != http.StatusOK {
		t.Errorf("headers of %d bytes, the limit: %d %s", limit, got.status, got.body)
	}
	for name, request := range map[string]string{
		"one byte too many":        padding(limit + 1),
		"a huge header":            padding(64 * limit),
		"a huge target":            "GET /v1/locations/" + strings.Repeat("L", 8*limit) + " HTTP/1.1\r\nHost: x\r\n\r\n",
		"too many headers":         getLocation + strings.Repeat("X-Note: a\r\n", limit) + "\r\n",
		"a header that never ends": getLocation + "X-Padding: " + strings.Repeat("x", 2*limit),
	} {
		s := r.dial()
		s.send(request)
		got := s.answer("GET")
		detail := wantProblem(t, got, http.StatusRequestHeaderFieldsTooLarge, "too-large")
		if !strings.Contains(detail, fmt.Sprint(limit)) {
			t.Errorf("%s: the detail %q does not name the limit", name, detail)
		}
		if !got.close {
			t.Errorf("%s: the connection is kept", name)
		}
	}
}

func TestARequestThatArrivesTooSlowlyIsCutOff(t *testing.T) {
	r := newRig(t, server.Options{ReadTimeout: 150 * time.Millisecond})
	large := strings.Repeat(" ", 20<<10)
	for name, request := range map[string]string{
		"half a request line": "GET /v1/loc",
		"half a header":       getLocation + "X-Note: a",
		"headers without end": getLocation + "X-Note: a\r\n",
		"half a small body":   postAdjust + "Content-Length: 100\r\n\r\n{",
		"half a large body":   postAdjust + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(large)+100) + large,
		"half a chunk":        postAdjust + "Transfer-Encoding: chunked\r\n\r\n10\r\nabc",
		"no further chunk":    postAdjust + "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
		"half an import":      "POST /v1/stock/import HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nsku,location,on_hand\nS,L,1\n" + large,
	} {
		t.Run(name, func(t *testing.T) {
			s := r.dial()
			s.t = t
			s.send(request)
			got := s.answer("POST")
			wantProblem(t, got, http.StatusRequestTimeout, "timeout")
			if !got.close {
				t.Error("the connection is kept")
			}
			s.wantClosed()
		})
	}
}

// A slowloris keeps a request alive by a byte now and then. The time is the request's, not each byte's.
func TestADripOfHeaderBytesDoesNotProlongARequest(t *testing.T) {
	r := newRig(t, server.Options{ReadTimeout: 200 * time.Millisecond})
	s := r.dial()
	s.send(getLocation)
	stop, dripped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(dripped)
		for {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
				if _, err := io.WriteString(s.Conn, "X: y\r\n"); err != nil {
					return
				}
			}
		}
	}()
	got := s.answer("GET")
	close(stop)
	<-dripped
	wantProblem(t, got, http.StatusRequestTimeout, "timeout")
}

func TestAnIdleConnectionIsClosedWithoutAWord(t *testing.T) {
	r := newRig(t, server.Options{IdleTimeout: 2 * time.Second})
	s := r.dial()
	s.wantOpen()
	s.wantClosed()
}

// A client may open a connection before it has a request for it.
func TestAConnectionThatWasNeverUsedIsAnIdleOne(t *testing.T) {
	const idle = 3 * time.Second
	r := newRig(t, server.Options{ReadTimeout: idle / 6, IdleTimeout: idle})
	s := r.dial()
	time.Sleep(idle / 3)
	s.wantOpen()
	time.Sleep(idle / 3)
	s.wantOpen()

	begun := time.Now()
	s = r.dial()
	s.wantClosed()
	if took := time.Since(begun); took < idle*9/10 {
		t.Errorf("it was closed after %v, before the time of an idle connection", took)
	}

	s = r.dial()
	time.Sleep(idle / 3)
	s.send("GET /v1/availability/S/L HT") // from here on the time of a request counts
	wantProblem(t, s.answer("GET"), http.StatusRequestTimeout, "timeout")
}

func TestAConnectionThatWasNeverUsedDoesNotHoldUpAStop(t *testing.T) {
	r := newRig(t, server.Options{IdleTimeout: time.Hour})
	s := r.dial()
	s.wantOpen()
	fresh := r.dial()
	r.stop() // fails where it takes longer than it may
	fresh.wantClosed()
}

func TestABodyHasALimit(t *testing.T) {
	const limit = 16 << 10
	r := newRig(t, server.Options{BodyBytesMax: limit})
	r.stock("S", 0)
	body := func(n int) string { return adjustByOne + strings.Repeat(" ", n-len(adjustByOne)) }
	chunked := func(body string) string {
		return postAdjust + fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(body), body)
	}
	whole := func(body string) string {
		return postAdjust + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
	}
	for _, request := range []string{whole(body(limit)), chunked(body(limit))} {
		s := r.dial()
		s.send(request)
		if got := s.answer("POST"); got.status != http.StatusOK {
			t.Errorf("a body of %d bytes, the limit: %d %s", limit, got.status, got.body)
		}
		s.wantOpen()
	}
	for _, request := range []string{
		whole(body(limit + 1)), chunked(body(limit + 1)), whole(body(20 * limit)),
		postAdjust + "Content-Length: 99999999999\r\n\r\n" + strings.Repeat(" ", limit), // refused without waiting for it
	} {
		s := r.dial()
		s.send(request)
		got := s.answer("POST")
		detail := wantProblem(t, got, http.StatusRequestEntityTooLarge, "too-large")
		if !strings.Contains(detail, fmt.Sprint(limit)) {
			t.Errorf("the detail %q does not name the limit", detail)
		}
		if !got.close {
			t.Error("the connection is kept")
		}
	}
	if c := r.cell("S"); c.OnHand != 2 {
		t.Errorf("%d units were booked, want those of the 2 bodies within the limit", c.OnHand)
	}
}

// TestARefusedUploadIsToldWhy has a client that sends everything before it reads, as many do: a connection that is closed
// before would be reset, and the answer lost.
func TestARefusedUploadIsToldWhy(t *testing.T) {
	const piece = 64 << 10
	chunk := fmt.Sprintf("%x\r\n%s\r\n", piece, strings.Repeat("\n", piece))
	plain := newRig(t, server.Options{BodyBytesMax: piece, ImportBytesMax: piece, ImportUnpackedMax: piece})
	secure, trust := newTLSRig(t, server.Options{BodyBytesMax: piece, ImportBytesMax: piece, ImportUnpackedMax: piece})
	for name, dial := range map[string]func() *socket{
		"plain": plain.dial, "TLS": func() *socket { return secure.dialTLS(trust) },
	} {
		for what, request := range map[string]struct {
			head, piece string
			want        int
		}{
			"a length beyond the limit":  {"POST /v1/stock/import HTTP/1.1\r\nContent-Length: 100000000\r\n", chunk, 413},
			"more chunks than the limit": {"POST /v1/stock/import HTTP/1.1\r\nTransfer-Encoding: chunked\r\n", chunk, 413},
			"a body beyond the limit":    {"POST /v1/reservations HTTP/1.1\r\nTransfer-Encoding: chunked\r\n", chunk, 413},
			"nothing that takes a body":  {"POST /v1/nothing HTTP/1.1\r\nContent-Length: 100000000\r\n", chunk, 404},
			"ambiguous framing":          {"POST /v1/reservations HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n", chunk, 400},
			"headers without end":        {"GET / HTTP/1.1\r\nX-A: ", strings.Repeat("a", piece), 431},
		} {
			t.Run(name+", "+what, func(t *testing.T) {
				s := dial()
				s.send(strings.Replace(request.head, "\r\n", "\r\nHost: x\r\n", 1))
				if strings.HasSuffix(request.head, "\r\n") {
					s.send("\r\n")
				}
				begun := time.Now()
				for n := range 24 {
					if _, err := io.WriteString(s.Conn, request.piece); err != nil {
						if time.Since(begun) > 2*time.Second {
							t.Skip("this machine is too slow to send it while the server waits")
						}
						t.Fatalf("after %d pieces: %v", n, err)
					}
					time.Sleep(5 * time.Millisecond) // for the server to have answered long before the end
				}
				if got := s.answer("POST"); got.status != request.want {
					t.Errorf("%d %s, want %d", got.status, got.body, request.want)
				}
				if n, err := io.Copy(io.Discard, s.in); n != 0 || err != nil {
					t.Errorf("after the answer come %d bytes and %v, want the end", n, err)
				}
			})
		}
	}
}

func TestABodyThatBreaksOffIsNotCarriedOut(t *testing.T) {
	r := newRig(t, server.Options{})
	r.stock("S", 0)
	padded := adjustByOne + strings.Repeat(" ", 20<<10)
	for name, request := range map[string]string{
		"a small body": postAdjust + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(adjustByOne)+1, adjustByOne),
		"a large body": postAdjust + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(padded)+1, padded),
		"a chunk":      postAdjust + fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s", len(adjustByOne)+1, adjustByOne),
		"chunks":       postAdjust + fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(adjustByOne), adjustByOne),
	} {
		t.Run(name, func(t *testing.T) {
			s := r.dial()
			s.t = t
			s.send(request)
			closeWrite(t, s)
			if got := s.answer("POST"); got.status != http.StatusBadRequest || !got.close {
				t.Errorf("the answer is %d %s (closes: %v), want 400", got.status, got.body, got.close)
			}
			s.wantClosed()
		})
	}
	if c := r.cell("S"); c.OnHand != 0 {
		t.Errorf("%d units were booked by bodies that broke off", c.OnHand)
	}
}

// closeWrite tells the server that nothing more will come.
func closeWrite(t testing.TB, s *socket) {
	t.Helper()
	if err := s.Conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
}

func TestExpect100ContinueIsAnswered(t *testing.T) {
	r := newRig(t, server.Options{})
	r.stock("S", 0)
	s := r.dial()
	s.send(postAdjust + fmt.Sprintf("Expect: 100-continue\r\nContent-Length: %d\r\n\r\n", len(adjustByOne)))
	line, err := s.in.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "HTTP/1.1 100 ") {
		t.Fatalf("the first answer is %q (%v), want 100", line, err)
	}
	if line, err = s.in.ReadString('\n'); err != nil || line != "\r\n" {
		t.Fatalf("after 100 comes %q (%v)", line, err)
	}
	s.send(adjustByOne)
	if got := s.answer("POST"); got.status != http.StatusOK {
		t.Errorf("the answer is %d %s", got.status, got.body)
	}
	s.wantOpen()
}

func TestPipelinedRequestsAreAnsweredInTheirOrder(t *testing.T) {
	r := newRig(t, server.Options{})
	var all strings.Builder
	const n = 50
	for i := range n {
		body := fmt.Sprintf(`{"on_hand":%d}`, i)
		fmt.Fprintf(&all, "PUT /v1/stock/S/L HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		all.WriteString("GET /v1/stock/S/L HTTP/1.1\r\nHost: x\r\n\r\n")
	}
	s := r.dial()
	go s.send(all.String())
	for i := range n {
		for _, method := range []string{"PUT", "GET"} {
			var c cell
			decodeInto(t, s.answer(method), http.StatusOK, &c)
			if c.OnHand != int64(i) {
				t.Fatalf("%s %d was answered with on hand %d", method, i, c.OnHand)
			}
		}
	}
}

func TestHTTP10KeepsTheConnectionOnlyWhenAsked(t *testing.T) {
	r := newRig(t, server.Options{})
	const request = "GET /v1/locations/L HTTP/1.0\r\n"
	s := r.dial()
	s.send(request + "\r\n")
	if got := s.answer("GET"); got.status != http.StatusOK {
		t.Errorf("the answer is %d %s", got.status, got.body)
	}
	s.wantClosed()
	s = r.dial()
	for range 2 {
		s.send(request + "Connection: keep-alive\r\n\r\n")
		if got := s.answer("GET"); got.status != http.StatusOK || got.header.Get("Connection") != "keep-alive" {
			t.Errorf("the answer is %d %s with Connection: %s", got.status, got.body, got.header.Get("Connection"))
		}
	}
	s = r.dial()
	s.send(getLocation + "Connection: close\r\n\r\n")
	if got := s.answer("GET"); !got.close {
		t.Error("Connection: close is not answered with the same")
	}
	s.wantClosed()
}

func TestChunkedBodiesAreTakenWithTrailers(t *testing.T) {
	r := newRig(t, server.Options{})
	r.stock("S", 0)
	s := r.dial()
	half := len(adjustByOne) / 2
	s.send(postAdjust + fmt.Sprintf("Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n%x\r\n%s\r\n%X;note=\"a\"\r\n%s\r\n0\r\nX-Sum: 1\r\n\r\n",
		half, adjustByOne[:half], len(adjustByOne)-half, adjustByOne[half:]))
	if got := s.answer("POST"); got.status != http.StatusOK {
		t.Errorf("the answer is %d %s", got.status, got.body)
	}
	s.wantOpen()
	if c := r.cell("S"); c.OnHand != 1 {
		t.Errorf("on hand is %d, want 1", c.OnHand)
	}
}

func TestHeadIsGetWithoutABody(t *testing.T) {
	r := newRig(t, server.Options{})
	r.stock("S", 3)
	s := r.dial()
	for _, path := range []string{
		"/v1/availability/S/L", "/v1/locations/L", "/v1/stock/export", "/v1/changes?after=0", "/v1/changes?after=0&wait=300", "/v1/backup", "/nothing",
	} {
		// Were a body sent, it would be read as the next answer.
		s.send("HEAD " + path + " HTTP/1.1\r\nHost: x\r\n\r\n")
		head := s.answer("HEAD")
		if head.body != "" || head.close {
			t.Errorf("HEAD %s: body %q, closes %v", path, head.body, head.close)
		}
		if want := r.get(strings.Replace(path, "wait=300", "wait=0", 1)); head.status != want.status || head.header.Get("Content-Type") != want.header.Get("Content-Type") {
			t.Errorf("HEAD %s is answered with %d %s, GET with %d %s", path, head.status, head.header.Get("Content-Type"), want.status, want.header.Get("Content-Type"))
		}
	}
	s.wantOpen()
}

func TestUnknownMethodsAreToldTheKnownOnes(t *testing.T) {
	r := newRig(t, server.Options{})
	for _, method := range []string{"PATCH", "OPTIONS", "TRACE", "CONNECT", "BREW", "POST"} {
		got := r.do(method, "/v1/locations/L", "")
		wantProblem(t, got, http.StatusMethodNotAllowed, "method-not-allowed")
		for _, want := range []string{"GET", "PUT", "DELETE"} {
			if !strings.Contains(got.header.Get("Allow"), want) {
				t.Errorf("%s: Allow is %q, want it to name %s", method, got.header.Get("Allow"), want)
			}
		}
	}
}

func TestUnknownPathsAreProblems(t *testing.T) {
	r := newRig(t, server.Options{})
	for _, path := range []string{
		"/", "/v1", "/v1/", "/v2/locations/L", "/v1/locations/L/more", "/v1/locations/L/", "//v1/locations/L", "/v1/./locations/L",
		"/V1/locations/L", "/v1/a/b/c/d/e/f", "/metrics", "/debug/pprof/",
	} {
		s := r.dial()
		s.send("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n")
		wantProblem(t, s.answer("GET"), http.StatusNotFound, "no-such-call")
		s.wantOpen()
	}
}

func TestATargetMayBeAWholeURI(t *testing.T) {
	r := newRig(t, server.Options{})
	r.stock("S", 3)
	s := r.dial()
	for _, target := range []string{
		"http://x/v1/availability/S/L", "https://x:8443/v1/availability/S/L?min_sequence=1", "HTTP://another.example/v1/availability/S/L",
	} {
		s.send("GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n")
		if got := s.answer("GET"); got.status != http.StatusOK || !strings.Contains(got.body, `"on_hand":3`) {
			t.Errorf("%s is answered with %d %s", target, got.status, got.body)
		}
	}
	for _, target := range []string{"http://", "http://x", "http:///v1/availability/S/L", "ftp://x/v1/availability/S/L"} {
		s.send("GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n")
		wantProblem(t, s.answer("GET"), http.StatusNotFound, "no-such-call")
	}
	s.wantOpen()
}

func TestConnectionsHaveALimit(t *testing.T) {
	r := newRig(t, server.Options{ConnectionsMax: 3})
	r.client.CloseIdleConnections()
	var open []*socket
	eventually(t, "three connections", func() bool {
		open = append(open, r.dial())
		s := open[len(open)-1]
		s.send(getLocation + "\r\n")
		if got := s.answer("GET"); got.status != http.StatusOK {
			open = open[:len(open)-1] // the client's idle connection is still counted
		}
		return len(open) == 3
	})
	s := r.dial()
	got := s.answer("GET")
	wantProblem(t, got, http.StatusServiceUnavailable, "overloaded")
	if got.header.Get("Retry-After") == "" || !got.close {
		t.Errorf("the answer has Retry-After %q, closes %v", got.header.Get("Retry-After"), got.close)
	}
	s.wantClosed()
	late := r.dial()
	for range 10 { // a request that comes when it was refused already does not lose it the answer
		time.Sleep(5 * time.Millisecond)
		late.send(getLocation)
	}
	wantProblem(t, late.answer("GET"), http.StatusServiceUnavailable, "overloaded")
	for _, s := range open {
		s.wantOpen() // those that were there go on
	}
	_ = open[0].Close()
	eventually(t, "a place for a new connection", func() bool {
		s := r.dial()
		s.send(getLocation + "\r\n")
		return s.answer("GET").status == http.StatusOK
	})
}

func TestConnectionsOfOneAddressHaveALimit(t *testing.T) {
	r := newRig(t, server.Options{ConnectionsPerIPMax: 2})
	first := r.dial() // the rig's client has the other one
	first.wantOpen()
	got := r.dial().answer("GET")
	wantProblem(t, got, http.StatusTooManyRequests, "overloaded")
	if got.header.Get("Retry-After") == "" {
		t.Error("there is no Retry-After")
	}
	first.wantOpen()
}
