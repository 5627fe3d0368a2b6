package track

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// browserWait is how long the browser may be silent: what is waited for is the machine.
const browserWait = 2 * time.Minute

// browser is a headless Chromium, spoken to in the DevTools protocol: JSON messages with a NUL behind each, over a pipe. It
// is what Chromium has without any library; .tools/track looks closer, with axe.
type browser struct {
	t       *testing.T
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

func openBrowser(t *testing.T) *browser {
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
	b := &browser{t: t, to: in, from: make(chan message, 1000)}
	t.Cleanup(func() {
		in.Close() // it ends when nobody speaks to it any more
		ended := make(chan error, 1)
		go func() { ended <- c.Wait() }()
		select {
		case <-ended:
		case <-time.After(browserWait):
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
	b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	b.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &target)
	b.session = target.SessionID
	b.call("Page.enable", nil, nil)
	b.call("Emulation.setScriptExecutionDisabled", map[string]any{"value": true}, nil)
	return b
}

// until returns the first message that is wanted.
func (b *browser) until(what string, wanted func(message) bool) message {
	b.t.Helper()
	for {
		select {
		case m, ok := <-b.from:
			if !ok && b.id == 1 {
				b.t.Skip("the Chromium that is here does not start")
			}
			if !ok {
				b.t.Fatalf("the browser went away before %s", what)
			}
			if wanted(m) {
				return m
			}
		case <-time.After(browserWait):
			b.t.Fatalf("the browser says nothing to %s", what)
		}
	}
}

func (b *browser) call(method string, params map[string]any, result any) {
	b.t.Helper()
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
		b.t.Fatal(err)
	}
	m := b.until(method, func(m message) bool { return m.ID == b.id })
	if m.Error != nil {
		b.t.Fatalf("%s: %s", method, m.Error)
	}
	if result != nil {
		if err := json.Unmarshal(m.Result, result); err != nil {
			b.t.Fatalf("%s: %v", method, err)
		}
	}
}

func (b *browser) open(url string, width, height int) {
	b.t.Helper()
	b.call("Emulation.setDeviceMetricsOverride", map[string]any{
		"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600,
	}, nil)
	b.call("Page.navigate", map[string]any{"url": url}, nil)
	b.until("load "+url, func(m message) bool { return m.Method == "Page.loadEventFired" })
}

// ask evaluates an expression, which the browser does for who debugs it while the page may run no script.
func (b *browser) ask(expression string, result any) {
	b.t.Helper()
	var answer struct {
		Result struct{ Value json.RawMessage }
	}
	b.call("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true}, &answer)
	if err := json.Unmarshal(answer.Result.Value, result); err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
}

func (b *browser) picture() image.Image {
	b.t.Helper()
	var shot struct{ Data string }
	b.call("Page.captureScreenshot", map[string]any{"format": "png"}, &shot)
	data, err := base64.StdEncoding.DecodeString(shot.Data)
	if err != nil {
		b.t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		b.t.Fatal(err)
	}
	return img
}

// share is how much of a picture has a colour, in percent.
func share(img image.Image, want color.RGBA) int {
	n, r := 0, img.Bounds()
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			if color.RGBAModel.Convert(img.At(x, y)) == want {
				n++
			}
		}
	}
	return 100 * n / (r.Dx() * r.Dy())
}

// serve serves a page with all headers, and one with a script in it; asked tells what else was asked for.
func serve(t *testing.T) (url string, asked func() []string) {
	t.Helper()
	pages := pagesOf(t, "fr")
	var mu sync.Mutex
	var seen []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		seen = append(seen, r.Method+" "+r.URL.Path)
		mu.Unlock()
		if r.URL.Path == "/script" {
			io.WriteString(w, "<!doctype html><title>off</title><link rel=icon href='data:,'><script>document.title = 'on'</script>")
			return
		}
		for _, h := range Headers {
			w.Header().Set(h.Name, h.Value)
		}
		io.WriteString(w, pages[strings.TrimPrefix(r.URL.Path, "/track/")+".fr.html"])
	}))
	t.Cleanup(s.Close)
	return s.URL, func() []string {
		mu.Lock()
		defer mu.Unlock()
		out := seen
		seen = nil
		return out
	}
}

func TestPagesInABrowserWithoutScript(t *testing.T) {
	if testing.Short() {
		t.Skip("a browser takes its time")
	}
	b := openBrowser(t)
	url, asked := serve(t)
	var title string
	b.open(url+"/script", 360, 740)
	if b.ask("document.title", &title); title != "off" {
		t.Fatal("the browser runs scripts, so that nothing is proved")
	}
	asked()
	for _, window := range []struct {
		width, height int
		columns       bool
	}{{320, 640, false}, {360, 740, false}, {1280, 800, true}} {
		for _, name := range []string{"ready", "ready_curbside", "ready_bare", "short", "unknown", "arrived"} {
			t.Run(fmt.Sprintf("%s at %d", name, window.width), func(t *testing.T) {
				b.t = t
				b.open(url+"/track/"+name, window.width, window.height)
				if got, want := asked(), []string{"GET /track/" + name}; len(got) != 1 || got[0] != want[0] {
					t.Errorf("the page asks for %q, want %q alone", got, want)
				}
				var seen struct {
					Text                   string
					Wide, Room             int
					Headline, Where, Steps float64
					Smallest               float64
				}
				b.ask(`(() => {
					const left = (q) => document.querySelector(q)?.getBoundingClientRect().left ?? 0;
					const heights = [...document.querySelectorAll("a, button, input")].map((e) => e.getBoundingClientRect().height);
					const root = document.documentElement;
					return {Text: document.body.innerText, Wide: root.scrollWidth, Room: root.clientWidth,
						Headline: left("h1"), Where: left("#where"), Steps: left("#steps"), Smallest: Math.min(1000, ...heights)};
				})()`, &seen)
				if seen.Wide > window.width || seen.Room != window.width {
					t.Errorf("it is %d px wide, in a window of %d px that the browser takes for %d px", seen.Wide, window.width, seen.Room)
				}
				if seen.Smallest < 44 {
					t.Errorf("something to tap on is %g px high, want 44", seen.Smallest)
				}
				if seen.Where > 0 && seen.Where > seen.Headline != window.columns {
					t.Errorf("the headline begins at %g px, and where it is at %g px", seen.Headline, seen.Where)
				}
				fr := textsOf("fr")
				green := color.RGBA{0x14, 0x61, 0x4b, 0xff}
				switch p := samples()[name]; {
				case name == "unknown":
					if !strings.Contains(seen.Text, fr.unknown) {
						t.Errorf("it reads %q", seen.Text)
					}
				case name == "arrived":
					if !strings.Contains(seen.Text, fr.arrived) || !strings.Contains(seen.Text, "Blue <Clio>") {
						t.Errorf("it reads %q", seen.Text)
					}
				default:
					for _, want := range []string{fr.story(p).title, fr.story(p).advice, p.Code, p.Lines[0].name(), p.Location.Name} {
						if !strings.Contains(seen.Text, want) {
							t.Errorf("it doesn't say %q: %q", want, seen.Text)
						}
					}
					if img := b.picture(); img.Bounds().Dx() != window.width || (p.State == Ready) != (share(img, green) >= 10) {
						t.Errorf("a picture %v of which %d %% are green", img.Bounds(), share(img, green))
					}
				}
			})
		}
	}
	b.t = t
}
