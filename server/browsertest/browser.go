// Package browsertest opens pages in a headless Chromium, for tests of what is on them.
package browsertest

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"image"
	"image/png"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"
)

// silence is how long the browser may be silent: what is waited for is the machine.
const silence = 2 * time.Minute

// Browser is a headless Chromium, spoken to in the DevTools protocol: JSON messages with a NUL behind each, over a pipe. It
// is what Chromium has without any library; .tools/track looks closer, with axe.
type Browser struct {
	T       *testing.T // whose test fails where something goes wrong
	to      io.Writer
	from    chan message
	session string
	id      int
}

type message struct {
	ID     int             `json:"id"`
	Method string          `json:"method"`
	Result json.RawMessage `json:"result"`
	Error  json.RawMessage `json:"error"`
}

// Open starts a browser that runs no script of any page, or skips the test where there is none. It ends with the test.
func Open(t *testing.T) *Browser {
	t.Helper()
	var path string
	for _, name := range []string{os.Getenv("CHROMIUM"), "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if found, err := exec.LookPath(name); name != "" && err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Skip("there is no Chromium here: it is looked for as chromium, chromium-browser, google-chrome and $CHROMIUM")
	}
	theirIn, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out, theirOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	profile, err := os.MkdirTemp("", "onhand-browser-") // its last files may be written when it is gone already
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(profile) })
	c := exec.Command(path, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--hide-scrollbars", "--disable-background-networking", "--user-data-dir="+profile, "--remote-debugging-pipe", "about:blank")
	c.ExtraFiles = []*os.File{theirIn, theirOut} // as its files 3 and 4
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	theirIn.Close()
	theirOut.Close()
	b := &Browser{T: t, to: in, from: make(chan message, 1000)}
	t.Cleanup(func() {
		in.Close() // it ends when nobody speaks to it any more
		ended := make(chan error, 1)
		go func() { ended <- c.Wait() }()
		select {
		case <-ended:
		case <-time.After(silence):
			c.Process.Kill()
		}
		out.Close()
	})
	go func() {
		defer close(b.from)
		for r := bufio.NewReader(out); ; {
			text, err := r.ReadBytes(0)
			if err != nil {
				return
			}
			var m message
			if json.Unmarshal(text[:len(text)-1], &m) == nil {
				b.from <- m
			}
		}
	}()
	var target struct{ TargetID, SessionID string }
	b.Call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	b.Call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &target)
	b.session = target.SessionID
	b.Call("Page.enable", nil, nil)
	b.Call("Emulation.setScriptExecutionDisabled", map[string]any{"value": true}, nil)
	return b
}

// until returns the first message that is wanted.
func (b *Browser) until(what string, wanted func(message) bool) message {
	b.T.Helper()
	for {
		select {
		case m, ok := <-b.from:
			if !ok && b.id == 1 {
				b.T.Skip("the Chromium that is here does not start")
			}
			if !ok {
				b.T.Fatalf("the browser went away before %s", what)
			}
			if wanted(m) {
				return m
			}
		case <-time.After(silence):
			b.T.Fatalf("the browser says nothing to %s", what)
		}
	}
}

func (b *Browser) send(method string, params map[string]any) {
	b.T.Helper()
	b.id++
	request := map[string]any{"id": b.id, "method": method}
	if params != nil {
		request["params"] = params
	}
	if b.session != "" {
		request["sessionId"] = b.session
	}
	text, err := json.Marshal(request)
	if err == nil {
		_, err = b.to.Write(append(text, 0))
	}
	if err != nil {
		b.T.Fatal(err)
	}
}

// Call calls a method of the protocol.
func (b *Browser) Call(method string, params map[string]any, result any) {
	b.T.Helper()
	b.send(method, params)
	m := b.until(method, func(m message) bool { return m.ID == b.id })
	if m.Error != nil {
		b.T.Fatalf("%s: %s", method, m.Error)
	}
	if result != nil {
		if err := json.Unmarshal(m.Result, result); err != nil {
			b.T.Fatalf("%s: %v", method, err)
		}
	}
}

// Navigate opens a page in a window of a size, and returns once it is loaded.
func (b *Browser) Navigate(url string, width, height int) {
	b.T.Helper()
	b.Call("Emulation.setDeviceMetricsOverride", map[string]any{
		"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600,
	}, nil)
	b.Call("Page.navigate", map[string]any{"url": url}, nil)
	b.until("load "+url, func(m message) bool { return m.Method == "Page.loadEventFired" })
}

// Follow evaluates an expression that leads to another page, such as a click, and returns once that is loaded.
func (b *Browser) Follow(expression string) {
	b.T.Helper()
	b.send("Runtime.evaluate", map[string]any{"expression": expression})
	answered, loaded := false, false
	b.until(expression, func(m message) bool {
		answered, loaded = answered || m.ID == b.id, loaded || m.Method == "Page.loadEventFired"
		return answered && loaded
	})
}

// Ask evaluates an expression, which the browser does for who debugs it while the page may run no script.
func (b *Browser) Ask(expression string, result any) {
	b.T.Helper()
	var answer struct {
		Result struct{ Value json.RawMessage }
	}
	b.Call("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true}, &answer)
	if err := json.Unmarshal(answer.Result.Value, result); err != nil {
		b.T.Fatalf("%s: %v", expression, err)
	}
}

// Picture returns what the window shows.
func (b *Browser) Picture() image.Image {
	b.T.Helper()
	var shot struct{ Data string }
	b.Call("Page.captureScreenshot", map[string]any{"format": "png"}, &shot)
	data, err := base64.StdEncoding.DecodeString(shot.Data)
	if err != nil {
		b.T.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		b.T.Fatal(err)
	}
	return img
}
