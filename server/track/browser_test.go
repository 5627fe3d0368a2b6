package track

import (
	"fmt"
	"image"
	"image/color"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"onhand/server/browsertest"
)

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
	b := browsertest.Open(t)
	url, asked := serve(t)
	var title string
	b.Navigate(url+"/script", 360, 740)
	if b.Ask("document.title", &title); title != "off" {
		t.Fatal("the browser runs scripts, so that nothing is proved")
	}
	asked()
	for _, window := range []struct {
		width, height int
		columns       bool
	}{{320, 640, false}, {360, 740, false}, {1280, 800, true}} {
		for _, name := range []string{"ready", "ready_curbside", "ready_bare", "short", "unknown", "arrived"} {
			t.Run(fmt.Sprintf("%s at %d", name, window.width), func(t *testing.T) {
				b.T = t
				b.Navigate(url+"/track/"+name, window.width, window.height)
				if got, want := asked(), []string{"GET /track/" + name}; len(got) != 1 || got[0] != want[0] {
					t.Errorf("the page asks for %q, want %q alone", got, want)
				}
				var seen struct {
					Text                   string
					Wide, Room             int
					Headline, Where, Steps float64
					Smallest               float64
				}
				b.Ask(`(() => {
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
					if img := b.Picture(); img.Bounds().Dx() != window.width || (p.State == Ready) != (share(img, green) >= 10) {
						t.Errorf("a picture %v of which %d %% are green", img.Bounds(), share(img, green))
					}
				}
			})
		}
	}
	b.T = t
}
