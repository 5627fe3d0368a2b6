package track

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"regexp"
	"strings"
)

//go:embed page.html
var pageTemplate string

//go:embed page.css
var pageStyle string

var (
	style = template.CSS(compact(pageStyle))
	pages = template.Must(template.New("").Parse(unindented(pageTemplate)))
)

// ContentSecurityPolicy is the policy to send with every page: nothing is loaded or run, the one style is known by its hash,
// the icon of the tab is in the page, and the form goes to where the page came from.
var ContentSecurityPolicy = func() string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; img-src data:; " +
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
}()

// Header is a header field.
type Header struct{ Name, Value string }

// Headers are to be sent with every page. The address of a page is all it takes to read it, so that it must not get into
// indexes, caches and the logs of other sites. As a referrer is withheld, browsers send Origin: null with the form.
var Headers = []Header{
	{"Content-Type", "text/html; charset=utf-8"},
	{"Content-Security-Policy", ContentSecurityPolicy},
	{"Cache-Control", "no-store"},
	{"Referrer-Policy", "no-referrer"},
	{"X-Robots-Tag", "noindex, nofollow"},
	{"X-Content-Type-Options", "nosniff"},
	{"Vary", "Accept, Accept-Language"},
}

// Render appends the page in a language, of those that Language returns. An error is a mistake of the caller's: a field of the
// page with a value that it can't have.
func Render(dst []byte, p *Page, lang string) ([]byte, error) {
	return render(dst, "order", p, lang)
}

// RenderArrived appends the answer to a customer who announced their arrival, which p has already.
func RenderArrived(dst []byte, p *Page, lang string) ([]byte, error) {
	return render(dst, "arrived", p, lang)
}

func render(dst []byte, name string, p *Page, lang string) ([]byte, error) {
	if err := p.check(); err != nil {
		return dst, err
	}
	t := textsOf(lang)
	v, err := t.view(p)
	if err != nil {
		return dst, err
	}
	if name == "arrived" {
		v.Title, v.Text, v.Advice, v.Tone = t.arrived, t.arrivedText, "", "go"
		v.Document = t.arrived
		if v.Location != "" {
			v.Document = fmt.Sprintf(t.title, t.arrived, v.Location)
		}
	}
	return execute(dst, name, v)
}

// RenderUnknown appends the page for a token that no order has. It is to be sent as 404.
func RenderUnknown(dst []byte, lang string) ([]byte, error) {
	t := textsOf(lang)
	v := &view{frame: t.frame(), Title: t.unknown, Text: t.unknownText, Tone: "off"}
	v.Document = t.unknown
	return execute(dst, "unknown", v)
}

func execute(dst []byte, name string, v *view) ([]byte, error) {
	b := body(dst)
	if err := pages.ExecuteTemplate(&b, name, v); err != nil {
		return dst, fmt.Errorf("track: %s: %w", name, err)
	}
	return b, nil
}

// body is a writer that appends.
type body []byte

func (b *body) Write(p []byte) (int, error) {
	*b = append(*b, p...)
	return len(p), nil
}

var comments = regexp.MustCompile(`(?s)/\*.*?\*/`)

// compact takes comments, line breaks and indentation out of the style.
func compact(css string) string {
	var b strings.Builder
	for line := range strings.Lines(comments.ReplaceAllString(css, "")) {
		b.WriteString(strings.TrimSpace(line))
	}
	return b.String()
}

// unindented takes indentation out of the template, and the lines that its actions would leave empty.
func unindented(html string) string {
	var b strings.Builder
	for line := range strings.Lines(html) {
		line = strings.TrimSpace(line)
		b.WriteString(line)
		if line != "" && !(strings.HasPrefix(line, "{{") && strings.HasSuffix(line, "}}")) {
			b.WriteByte('\n')
		}
	}
	return b.String()
}
