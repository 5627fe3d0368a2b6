package plot

import (
	"encoding/xml"
	"io"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.001: "0.001", 1.5: "1.5", 999: "999", 1234: "1234", 20000: "20k", 1e6: "1M", 20e6: "20M", 2.5e9: "2.5G"} {
		if got := Number(v); got != want {
			t.Errorf("Number(%v) = %q, want %q", v, got, want)
		}
	}
}

// Whatever is drawn is well-formed, and no point lies outside the axes.
func TestAnyChartIsDrawn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.OneOf(rapid.Float64Range(0, 1), rapid.Float64Range(-1e6, 1e9), rapid.Just(math.NaN()), rapid.Just(0.0))
		c := &Chart{Title: rapid.StringMatching(`[ -~é]{0,20}`).Draw(t, "title"),
			X: Axis{Label: "s", Log: rapid.Bool().Draw(t, "logX")}, Y: Axis{Label: "<ms>", Log: rapid.Bool().Draw(t, "logY"), Zero: rapid.Bool().Draw(t, "zero")}}
		for range rapid.IntRange(0, 3).Draw(t, "lines") {
			n := rapid.IntRange(0, 20).Draw(t, "points")
			c.Lines = append(c.Lines, Line{Name: rapid.StringMatching(`[a-z<&]{1,8}`).Draw(t, "name"), Dots: rapid.Bool().Draw(t, "dots"),
				X: rapid.SliceOfN(value, n, n).Draw(t, "x"), Y: rapid.SliceOfN(value, n, n).Draw(t, "y")})
			if rapid.Bool().Draw(t, "extremes") {
				l := &c.Lines[len(c.Lines)-1]
				l.Low, l.High = rapid.SliceOfN(value, n, n).Draw(t, "low"), rapid.SliceOfN(value, n, n).Draw(t, "high")
			}
		}
		drawn := string(c.File())
		decoder := xml.NewDecoder(strings.NewReader(drawn))
		for {
			if _, err := decoder.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("%v in %s", err, drawn)
			}
		}
		if strings.Contains(drawn, "NaN") || strings.Contains(drawn, "Inf") {
			t.Fatalf("a place that is none: %s", drawn)
		}
		x, y := c.scale(&c.X, func(l *Line) []float64 { return l.X }), c.scale(&c.Y, (*Line).heights)
		x.from, x.to, y.from, y.to = 0, 1, 0, 1
		if len(x.ticks) > 40 || len(y.ticks) > 40 || len(y.ticks) < 2 {
			t.Fatalf("%d and %d ticks", len(x.ticks), len(y.ticks))
		}
		for _, l := range c.Lines {
			for i := range l.X {
				if px := x.at(l.X[i]); x.has(l.X[i]) && (px < -1e-6 || px > 1+1e-6) {
					t.Fatalf("%v is drawn at %v", l.X[i], px)
				}
			}
			for _, v := range l.heights() {
				if py := y.at(v); y.has(v) && (py < -1e-6 || py > 1+1e-6) {
					t.Fatalf("%v is drawn at %v", v, py)
				}
			}
		}
	})
}

// A second between two gaps is seen.
func TestAPointWithoutNeighboursIsDrawn(t *testing.T) {
	gap := math.NaN()
	c := &Chart{Lines: []Line{{X: []float64{1, 2, 3, 4, 5, 6}, Y: []float64{5, gap, 6, 7, gap, 8}}}}
	if n := strings.Count(c.SVG(), "h0"); n != 2 {
		t.Errorf("%d points are drawn as dots, want the first and the last", n)
	}
}

// On a page, which may be a telephone's, texts below the axis leave each other room, and the legend goes on in a line below.
func TestANarrowChartLeavesRoomForItsTexts(t *testing.T) {
	ticks := []Tick{{0, "0"}, {0.3, "50"}}
	text := "9"
	for n := 1; n <= 9; n++ {
		ticks = append(ticks, Tick{float64(n), "99." + text})
		text += "9"
	}
	c := &Chart{X: Axis{Ticks: ticks}, Y: Axis{Label: "1/s"}}
	for _, name := range []string{"failed", "refused", "late", "not sent", "a name of some length"} {
		c.Lines = append(c.Lines, Line{Name: name, X: []float64{0, 9}, Y: []float64{1, 2}})
	}
	x := c.scale(&c.X, func(l *Line) []float64 { return l.X })
	x.from, x.to = left, onPage.width-right
	end, shown := math.Inf(-1), 0
	for i, has := range roomFor(x) {
		if !has {
			continue
		}
		at, half := x.at(ticks[i].Value), textWidth(ticks[i].Text)/2
		if at-half < end {
			t.Errorf("%s begins at %.0f, where another ends at %.0f", ticks[i].Text, at-half, end)
		}
		end, shown = at+half, shown+1
	}
	if shown < 3 || !roomFor(x)[len(ticks)-1] {
		t.Errorf("%d texts are shown, want some, and the last", shown)
	}
	drawn := c.SVG()
	if !strings.Contains(drawn, `viewBox="0 0 340 270"`) || !strings.Contains(drawn, `y="59">not sent`) && !strings.Contains(drawn, `y="59">a name`) {
		t.Errorf("the legend has no second line: %s", drawn)
	}
	if file := string(c.File()); !strings.Contains(file, `viewBox="0 0 520 320"`) {
		t.Errorf("a file of its own is as narrow: %s", file)
	}
}
