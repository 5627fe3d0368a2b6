package track

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The style is the same in all of them, so that testdata has it not: page.css may change without eighty files changing.
func TestPagesAreAsInTestdata(t *testing.T) {
	seen := make(map[string]bool)
	each(t, func(t *testing.T, name, html string) {
		seen[name] = true
		compare(t, name, strings.Replace(html, string(style), "", 1))
		if *pageTo != "" {
			if err := os.WriteFile(filepath.Join(*pageTo, name), []byte(html), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	})
	files, err := filepath.Glob("testdata/*.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !seen[filepath.Base(f)] {
			t.Errorf("%s is of no page", f)
		}
	}
	if *pageTo != "" {
		b, err := json.Marshal(Headers)
		if err == nil {
			err = os.WriteFile(filepath.Join(*pageTo, "headers.json"), b, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestPagesAreSmall(t *testing.T) {
	codes := regexp.MustCompile(`(?s)<svg role="img".*?</svg>`)
	each(t, func(t *testing.T, name, html string) {
		if n := len(codes.ReplaceAllString(html, "")); n >= 15_000 {
			t.Errorf("%d bytes without the QR code, want less than 15000", n)
		}
		if n := len(html); n >= 20_000 {
			t.Errorf("%d bytes with the QR code, want less than 20000", n)
		}
	})
}

// element is a node of a page.
type element struct {
	name     string
	attr     map[string]string
	text     string // of all within
	children []*element
}

var void = regexp.MustCompile(`<(meta|link|input|br)\b([^>]*)>`)

// parse reads a page as XML, which is stricter than HTML: all is closed, in order, and quoted.
func parse(t *testing.T, html string) *element {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(void.ReplaceAllString(html, "<$1$2/>")))
	root := &element{}
	open := []*element{root}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return root
		}
		if err != nil {
			t.Fatalf("not well formed: %v", err)
		}
		switch x := token.(type) {
		case xml.StartElement:
			e := &element{name: x.Name.Local, attr: make(map[string]string)}
			for _, a := range x.Attr {
				if _, twice := e.attr[a.Name.Local]; twice {
					t.Errorf("<%s> has %s twice", e.name, a.Name.Local)
				}
				e.attr[a.Name.Local] = a.Value
			}
			top := open[len(open)-1]
			top.children = append(top.children, e)
			open = append(open, e)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			for _, e := range open {
				e.text += string(x)
			}
		}
	}
}

func (e *element) walk(f func(*element)) {
	f(e)
	for _, c := range e.children {
		c.walk(f)
	}
}

func TestPagesAreAccessible(t *testing.T) {
	each(t, func(t *testing.T, name, html string) {
		if !strings.HasPrefix(html, "<!doctype html>\n") {
			t.Error("no doctype")
		}
		lang := strings.Split(name, ".")[1]
		count := make(map[string]int)
		ids, labelled := make(map[string]*element), make(map[string]bool)
		var order []string
		root := parse(t, html)
		root.walk(func(e *element) {
			if e.name != "title" || len(e.attr) == 0 { // that of an image has an id
				count[e.name]++
			}
			if id, has := e.attr["id"]; has {
				if ids[id] != nil {
					t.Errorf("id %q is there twice", id)
				}
				ids[id] = e
			}
			switch e.name {
			case "html":
				if e.attr["lang"] != lang {
					t.Errorf("lang is %q", e.attr["lang"])
				}
			case "label":
				labelled[e.attr["for"]] = strings.TrimSpace(e.text) != ""
			case "h1", "h2", "h3":
				order = append(order, e.name)
				fallthrough
			case "title", "a", "button", "th", "dt":
				if strings.TrimSpace(e.text) == "" {
					t.Errorf("<%s> is empty", e.name)
				}
			case "time":
				if _, err := time.Parse(time.RFC3339, e.attr["datetime"]); err != nil {
					t.Error(err)
				}
			case "script", "img", "iframe":
				t.Errorf("there is a <%s>", e.name)
			}
			for attr := range e.attr {
				if attr == "style" || strings.HasPrefix(attr, "on") {
					t.Errorf("<%s> has %s, which the policy forbids", e.name, attr)
				}
			}
		})
		root.walk(func(e *element) {
			switch e.name {
			case "input":
				if !labelled[e.attr["id"]] || e.attr["maxlength"] == "" || e.attr["name"] == "" {
					t.Errorf("input %q lacks label, name or maxlength", e.attr["name"])
				}
			case "svg":
				titled := len(e.children) > 0 && e.children[0].name == "title" && e.children[0].text != ""
				if e.attr["aria-hidden"] != "true" && !(e.attr["role"] == "img" && titled) {
					t.Error("an image has no name and isn't hidden")
				}
			}
			if by := e.attr["aria-labelledby"]; by != "" && (ids[by] == nil || ids[by].text == "") {
				t.Errorf("<%s> is named by %q, which says nothing", e.name, by)
			}
		})
		for _, once := range []string{"title", "h1", "main", "html", "body"} {
			if count[once] != 1 {
				t.Errorf("<%s> is there %d times, want once", once, count[once])
			}
		}
		for i, h := range order {
			if i == 0 && h != "h1" || i > 0 && h > order[i-1] && h[1] != order[i-1][1]+1 {
				t.Errorf("headings come as %v", order)
			}
		}
		for _, want := range []string{`name="viewport"`, `content="noindex, nofollow"`, `content="no-referrer"`} {
			if !strings.Contains(html, want) {
				t.Errorf("%s is missing", want)
			}
		}
		if strings.Contains(html, "ZgotmplZ") || strings.Contains(html, "%!") || strings.Contains(html, "<no value>") {
			t.Error("something could not be written")
		}
	})
}

func TestStepsTellWhichIsThePresentOne(t *testing.T) {
	for _, l := range languages {
		for name, p := range samples() {
			b, err := Render(nil, p, l.tag)
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(b), `aria-current="step"`); n != 1 {
				t.Errorf("%s: %d steps are the present one", name, n)
			}
		}
	}
}

func TestPolicyKnowsTheStyle(t *testing.T) {
	each(t, func(t *testing.T, name, html string) {
		_, rest, _ := strings.Cut(html, "<style>")
		text, _, found := strings.Cut(rest, "</style>")
		sum := sha256.Sum256([]byte(text))
		if !found || !strings.Contains(ContentSecurityPolicy, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") {
			t.Error("the style is not the one of the policy")
		}
		if strings.Contains(text, "url(") || strings.Contains(text, "@import") {
			t.Error("the style loads something")
		}
	})
}

func TestWhatPeopleTypedIsNeverMarkup(t *testing.T) {
	const evil = `"><script>alert(1)</script><a href='javascript:x'>`
	p := samples()["ready_curbside_arrived"]
	p.Token, p.Reference, p.Code = evil, evil, evil
	p.Location = Location{Name: evil, Address: Address{Street: evil}, Phone: "+33 4" + evil, CollectionPoint: evil, Position: p.Location.Position}
	p.Lines[0].Title, p.Lines[1].Unit, p.Hours.Special[0].Name = evil, evil, evil
	p.Arrival = &Arrival{Bay: evil, Vehicle: evil, At: now}
	for name, f := range map[string]func([]byte, *Page, string) ([]byte, error){"order": Render, "arrived": RenderArrived} {
		b, err := f(nil, p, "en")
		if err != nil {
			t.Fatal(err)
		}
		parse(t, string(b)).walk(func(e *element) {
			if e.name == "script" || strings.HasPrefix(e.attr["href"], "javascript:") {
				t.Errorf("%s: there is <%s %v>", name, e.name, e.attr)
			}
		})
	}
	b, err := AppendJSON(nil, p, "en")
	if err != nil || !json.Valid(b) {
		t.Errorf("%v: %s", err, b)
	}
}

func TestCodesAreShownOnlyWhereThereIsSomethingToCollect(t *testing.T) {
	for _, s := range states {
		p := sample(s)
		p.Code, p.QR, p.CanAnnounce = "SECRET", "SECRET", true
		p.Arrival = &Arrival{At: now, Bay: "4"}
		html, err := Render(nil, p, "en")
		if err != nil {
			t.Fatal(err)
		}
		text, err := AppendJSON(nil, p, "en")
		if err != nil {
			t.Fatal(err)
		}
		for _, out := range []string{string(html), string(text)} {
			if got, want := strings.Contains(out, "SECRET"), s == Ready || s == Short; got != want {
				t.Errorf("%s: the code is shown: %v, want %v", s, got, want)
			}
		}
		if got, want := strings.Contains(string(html), "<form"), !p.ended(); got != want {
			t.Errorf("%s: arrival can be announced: %v, want %v", s, got, want)
		}
	}
}

func TestPagesWithWrongValuesAreRefused(t *testing.T) {
	for want, change := range map[string]func(*Page){
		`state is "held"`:       func(p *Page) { p.State = "held" },
		`step is ""`:            func(p *Page) { p.Steps[0].State = "" },
		`payment is "online"`:   func(p *Page) { p.Payment = "online" },
		`fulfilment is ""`:      func(p *Page) { p.Fulfilment = "" },
		`handover is ""`:        func(p *Page) { p.Handover = "" },
		`hours is "ajar"`:       func(p *Page) { p.Hours.State = "ajar" },
		`weekday is 7`:          func(p *Page) { p.Hours.Week[0].Day = 7 },
		`QR code has 201 bytes`: func(p *Page) { p.QR = strings.Repeat("x", 201) },
	} {
		p := sample(Ready)
		change(p)
		for _, f := range []func([]byte, *Page, string) ([]byte, error){Render, RenderArrived, AppendJSON} {
			if b, err := f([]byte("before"), p, "en"); err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), "the QR", "QR"), want) || string(b) != "before" {
				t.Errorf("%s: %q, %v", want, b, err)
			}
		}
	}
}

func TestRenderAppends(t *testing.T) {
	for _, f := range []func([]byte, *Page, string) ([]byte, error){Render, RenderArrived, AppendJSON} {
		alone, err := f(nil, sample(Ready), "fr")
		if err != nil {
			t.Fatal(err)
		}
		behind, err := f([]byte("before"), sample(Ready), "fr")
		if err != nil || string(behind) != "before"+string(alone) {
			t.Errorf("it doesn't append: %v", err)
		}
	}
}

func TestLinks(t *testing.T) {
	b, err := Render(nil, sample(Ready), "en")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`href="tel:&#43;33400000000"`, `href="geo:45.7607,4.8567?q=45.7607,4.8567"`,
		`href="https://www.openstreetmap.org/?mlat=45.7607&amp;mlon=4.8567#map=17/45.7607/4.8567"`,
		`href="./9fJ2kQ7xT1uV5wYzA3bC6d"`,
	} {
		if !strings.Contains(string(b), want) {
			t.Errorf("%s is missing", want)
		}
	}
	for phone, want := range map[string]string{
		"+33 (0)4 00 00": "tel:+3340000", "04.00/00-00": "tel:04000000", "(020) 7946": "tel:0207946", "": "", "x": "", "(0)4 12": "tel:0412",
	} {
		if got := string(tel(phone)); got != want {
			t.Errorf("tel(%q) = %q, want %q", phone, got, want)
		}
	}
}

func TestAddressesAreWrittenAsInTheirCountry(t *testing.T) {
	for country, want := range map[string]string{
		"FR": "1 A|69003 Lyon|Rhône", "US": "1 A|Lyon Rhône 69003", "GB": "1 A|Lyon|Rhône|69003", "": "1 A|69003 Lyon|Rhône",
	} {
		a := Address{Street: "1 A", Locality: "Lyon", Region: "Rhône", PostalCode: "69003", Country: country}
		if got := strings.Join(a.rows(), "|"); got != want {
			t.Errorf("%s: %s, want %s", country, got, want)
		}
	}
}

func TestArrivalIsTakenAsTyped(t *testing.T) {
	for _, x := range [][2]string{
		{" 4 ", "4"}, {"a\r\n\tb", "a b"}, {"\u202eabc", "abc"}, {strings.Repeat("é", 30), strings.Repeat("é", 20)}, {"\xff", "\ufffd"}, {" ", ""},
	} {
		if got := NewArrival(x[0], "", now).Bay; got != x[1] {
			t.Errorf("%q is taken as %q, want %q", x[0], got, x[1])
		}
	}
}

func BenchmarkRender(b *testing.B) {
	p := sample(Ready)
	var dst []byte
	for b.Loop() {
		var err error
		if dst, err = Render(dst[:0], p, "fr"); err != nil {
			b.Fatal(err)
		}
	}
}
