package plot

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
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

// Size of a chart in its own units, in which letters are 13 high. It is shown as wide as there is room.
const (
	width, height = 520, 320
	left, right   = 62, 20
	top, bottom   = 58, 44
)

// Style is what the charts of a page need, as CSS.
const Style = `.chart{width:100%;height:auto;font:13px system-ui,sans-serif;--ink:#1c1f23;--faint:#6a7079;--grid:#e3e5e8;--c0:#1463c4;--c1:#c2410c;--c2:#15803d;--c3:#8b2fc9;--c4:#a16207;--c5:#0e7490}
@media(prefers-color-scheme:dark){.chart{--ink:#e8eaed;--faint:#9aa0a8;--grid:#33373d;--c0:#6ea8fe;--c1:#fb923c;--c2:#4ade80;--c3:#d09bff;--c4:#fbbf24;--c5:#38d5ee}}
.chart text{fill:var(--faint)}.chart .title{fill:var(--ink);font-weight:600;font-size:15px}.chart .grid{stroke:var(--grid);stroke-width:1}
.chart .line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}.chart .dashed{stroke-dasharray:5 5;stroke-width:1.5}`

// SVG draws the chart for a page that has Style.
func (c *Chart) SVG() string { return c.draw("") }

// File draws the chart as a file of its own.
func (c *Chart) File() []byte {
	background := `svg{background:#fff}@media(prefers-color-scheme:dark){svg{background:#16181b}}`
	return []byte(c.draw("<style>" + Style + background + "</style>"))
}

func (c *Chart) draw(style string) string {
	x, y := c.scale(&c.X, func(l *Line) []float64 { return l.X }), c.scale(&c.Y, (*Line).heights)
	x.from, x.to, y.from, y.to = left, width-right, height-bottom, top
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" class="chart" viewBox="0 0 %d %d" role="img" aria-label="%s">%s`,
		width, height, html.EscapeString(c.describe()), style)
	fmt.Fprintf(&b, `<text class="title" x="%d" y="19">%s</text>`, 8, html.EscapeString(c.Title))
	c.legend(&b)
	for _, t := range y.ticks {
		at := y.at(t.Value)
		fmt.Fprintf(&b, `<path class="grid" d="M%d %.1fH%d"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`, left, at, width-right, left-7, at+4, html.EscapeString(t.Text))
	}
	for _, t := range x.ticks {
		at := x.at(t.Value)
		fmt.Fprintf(&b, `<path class="grid" d="M%.1f %dV%d"/><text x="%.1f" y="%d" text-anchor="middle">%s</text>`, at, height-bottom, height-bottom+5, at, height-bottom+18, html.EscapeString(t.Text))
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text>`, width-right, height-8, html.EscapeString(c.X.Label))
	for i := range c.Lines {
		c.line(&b, &c.Lines[i], x, y)
	}
	b.WriteString("</svg>")
	return b.String()
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

func (c *Chart) legend(b *strings.Builder) {
	at := 8.0
	if c.Y.Label != "" {
		fmt.Fprintf(b, `<text x="%.0f" y="41">%s</text>`, at, html.EscapeString(c.Y.Label))
		at += 7.4*float64(len([]rune(c.Y.Label))) + 14
	}
	if len(c.Lines) < 2 {
		return
	}
	for _, l := range c.Lines {
		fmt.Fprintf(b, `<path class="line%s" d="M%.0f 37h16" style="stroke:var(--c%d)"/><text x="%.0f" y="41">%s</text>`, dashed(l), at, l.Color%Colors, at+21, html.EscapeString(l.Name))
		at += 21 + 7.2*float64(len([]rune(l.Name))) + 12
	}
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
