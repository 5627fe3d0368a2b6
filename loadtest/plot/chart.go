package plot

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// Chart is a set of lines over the same axes.
type Chart struct {
	Title string
	X, Y  Axis
	Lines []Line
}

// Axis is one of a chart's.
type Axis struct {
	Label string
	Log   bool // logarithmic; values must be above 1e-12 and below 1e18, others are left out
	Zero  bool // begin at 0, where the smallest value would do
	// Ticks are where the axis is marked, with what is written there; nil has them chosen.
	Ticks []Tick
}

// Tick is a mark on an axis.
type Tick struct {
	Value float64
	Text  string
}

// Line is a line of a chart. X and Y are of the same length. A NaN is a gap.
type Line struct {
	Name string
	X, Y []float64
	// Low and High are the extremes of what was measured, of which Y is the middle. They are drawn as a bar through each dot; nil
	// = there are none.
	Low, High []float64
	// Dots marks the points, of which there should then be few.
	Dots bool
	// Dashed is for what is beside the point: a plan, a limit.
	Dashed bool
	// Color chooses one of Colors; lines of one thing in several charts should have the same.
	Color int
}

// Colors is how many colours there are.
const Colors = 6

// size is that of a chart in its own units, in which letters are 13 high. It is shown as wide as there is room.
type size struct{ width, height float64 }

// On a page a chart is as wide as a telephone, where it is shown at its own size or a little less: letters would be
// unreadable if it were wider. On a wide page several are beside each other. A file has the width of a text.
var (
	onPage = size{340, 270}
	inFile = size{520, 320}
)

// Margins around the axes. A legend of more than one line takes its room from above.
const (
	left, right = 56, 14
	top, bottom = 58, 44
	legendLine  = 18
)

// Letters have no width before they are shown; this is what they take on average, and a little more.
const letter = 7.2

func textWidth(text string) float64 { return letter * float64(utf8.RuneCountInString(text)) }

// Style is what the charts of a page need, as CSS.
const Style = `.chart{display:block;width:100%;max-width:460px;margin:0 auto;height:auto;font:13px system-ui,sans-serif;--ink:#1c1f23;--faint:#6a7079;--grid:#e3e5e8;--c0:#1463c4;--c1:#c2410c;--c2:#15803d;--c3:#8b2fc9;--c4:#a16207;--c5:#0e7490}
@media(prefers-color-scheme:dark){.chart{--ink:#e8eaed;--faint:#9aa0a8;--grid:#33373d;--c0:#6ea8fe;--c1:#fb923c;--c2:#4ade80;--c3:#d09bff;--c4:#fbbf24;--c5:#38d5ee}}
.chart text{fill:var(--faint)}.chart .title{fill:var(--ink);font-weight:600;font-size:15px}.chart .grid{stroke:var(--grid);stroke-width:1}
.chart .line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}.chart .dashed{stroke-dasharray:5 5;stroke-width:1.5}`

// SVG draws the chart for a page that has Style.
func (c *Chart) SVG() string { return c.draw(onPage, "") }

// File draws the chart as a file of its own.
func (c *Chart) File() []byte {
	alone := `.chart{max-width:none}svg{background:#fff}@media(prefers-color-scheme:dark){svg{background:#16181b}}`
	return []byte(c.draw(inFile, "<style>"+Style+alone+"</style>"))
}

func (c *Chart) draw(in size, style string) string {
	var legend strings.Builder
	lines := c.legend(&legend, in.width)
	head, foot := top+legendLine*float64(lines-1), in.height-bottom
	x, y := c.scale(&c.X, func(l *Line) []float64 { return l.X }), c.scale(&c.Y, (*Line).heights)
	x.from, x.to, y.from, y.to = left, in.width-right, foot, head
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" class="chart" viewBox="0 0 %.0f %.0f" role="img" aria-label="%s">%s`,
		in.width, in.height, html.EscapeString(c.describe()), style)
	fmt.Fprintf(&b, `<text class="title" x="%d" y="19">%s</text>`, 8, html.EscapeString(c.Title))
	b.WriteString(legend.String())
	for _, t := range y.ticks {
		at := y.at(t.Value)
		fmt.Fprintf(&b, `<path class="grid" d="M%d %.1fH%.0f"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`, left, at, in.width-right, left-7, at+4, html.EscapeString(t.Text))
	}
	texts := roomFor(x)
	for i, t := range x.ticks {
		at := x.at(t.Value)
		fmt.Fprintf(&b, `<path class="grid" d="M%.1f %.0fV%.0f"/>`, at, foot, foot+5)
		if texts[i] {
			fmt.Fprintf(&b, `<text x="%.1f" y="%.0f" text-anchor="middle">%s</text>`, at, foot+18, html.EscapeString(t.Text))
		}
	}
	fmt.Fprintf(&b, `<text x="%.0f" y="%.0f" text-anchor="end">%s</text>`, in.width-right, in.height-8, html.EscapeString(c.X.Label))
	for i := range c.Lines {
		c.line(&b, &c.Lines[i], x, y)
	}
	b.WriteString("</svg>")
	return b.String()
}

// roomFor says which of an axis's ticks have room for their text. The last one always has, as it tells how far the axis
// goes; where two are too near to each other it is the one further back that has.
func roomFor(x *scale) []bool {
	has := make([]bool, len(x.ticks))
	free := math.Inf(1) // where the text on the right begins
	for i := len(x.ticks) - 1; i >= 0; i-- {
		at, half := x.at(x.ticks[i].Value), textWidth(x.ticks[i].Text)/2
		if has[i] = at+half+letter/2 <= free; has[i] {
			free = at - half
		}
	}
	return has
}

// describe says for those who can't see it what the chart shows.
func (c *Chart) describe() string {
	text := c.Title
	for _, l := range c.Lines {
		low, high := math.Inf(1), math.Inf(-1)
		for _, v := range l.Y {
			if !math.IsNaN(v) {
				low, high = math.Min(low, v), math.Max(high, v)
			}
		}
		if low <= high {
			text += fmt.Sprintf("; %s: from %s to %s %s", l.Name, Number(low), Number(high), c.Y.Label)
		}
	}
	return text
}

// legend writes what the height of a point means and which line is which, and returns how many lines of text that took.
func (c *Chart) legend(b *strings.Builder, width float64) (lines int) {
	const begin = 8
	at, y := float64(begin), 41.0
	if c.Y.Label != "" {
		fmt.Fprintf(b, `<text x="%.0f" y="%.0f">%s</text>`, at, y, html.EscapeString(c.Y.Label))
		at += textWidth(c.Y.Label) + 14
	}
	lines = 1
	if len(c.Lines) < 2 {
		return lines
	}
	for _, l := range c.Lines {
		if at > begin && at+21+textWidth(l.Name) > width {
			at, y, lines = begin, y+legendLine, lines+1
		}
		fmt.Fprintf(b, `<path class="line%s" d="M%.0f %.0fh16" style="stroke:var(--c%d)"/><text x="%.0f" y="%.0f">%s</text>`, dashed(l), at, y-4, l.Color%Colors, at+21, y, html.EscapeString(l.Name))
		at += 21 + textWidth(l.Name) + 12
	}
	return lines
}

// heights returns all that has a place on the Y axis.
func (l *Line) heights() []float64 { return slices.Concat(l.Y, l.Low, l.High) }

func dashed(l Line) string {
	if l.Dashed {
		return " dashed"
	}
	return ""
}

func (c *Chart) line(b *strings.Builder, l *Line, x, y *scale) {
	var path strings.Builder
	pen := "M"
	for i := range l.X {
		if !x.has(l.X[i]) || !y.has(l.Y[i]) {
			pen = "M"
			continue
		}
		fmt.Fprintf(&path, "%s%.1f %.1f", pen, x.at(l.X[i]), y.at(l.Y[i]))
		if alone := pen == "M" && (i+1 == len(l.X) || !x.has(l.X[i+1]) || !y.has(l.Y[i+1])); alone {
			path.WriteString("h0") // a dot, by the round ends of a line
		}
		pen = "L"
	}
	fmt.Fprintf(b, `<path class="line%s" style="stroke:var(--c%d)" d="%s"/>`, dashed(*l), l.Color%Colors, path.String())
	if !l.Dots {
		return
	}
	for i := range l.X {
		if i < len(l.Low) && x.has(l.X[i]) && y.has(l.Low[i]) && y.has(l.High[i]) {
			fmt.Fprintf(b, `<path class="line" style="stroke:var(--c%d)" d="M%.1f %.1fV%.1f"/>`, l.Color%Colors, x.at(l.X[i]), y.at(l.Low[i]), y.at(l.High[i]))
		}
		if x.has(l.X[i]) && y.has(l.Y[i]) {
			fmt.Fprintf(b, `<circle r="3.5" cx="%.1f" cy="%.1f" style="fill:var(--c%d)"><title>%s %s: %s %s</title></circle>`, x.at(l.X[i]), y.at(l.Y[i]), l.Color%Colors,
				html.EscapeString(Number(l.X[i])), html.EscapeString(c.X.Label), html.EscapeString(Number(l.Y[i])), html.EscapeString(c.Y.Label))
		}
	}
}
