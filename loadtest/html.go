package loadtest

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"math"
	"strings"
	"time"

	"onhand/loadtest/plot"
)

//go:embed report.html.tmpl
var reportText string

var reportTemplate = template.Must(template.New("report").Funcs(template.FuncMap{
	"ms":     Milliseconds,
	"number": number,
	"shell":  shellLine,
}).Parse(reportText))

// shellLine writes a command so that a shell reads the same words again. What none of them gives a meaning stays as it is; all
// else is put between single quotes, in which only these have one.
func shellLine(words []string) string {
	var b strings.Builder
	for i, w := range words {
		if i > 0 {
			b.WriteByte(' ')
		}
		if w != "" && strings.IndexFunc(w, shellMinds) < 0 {
			b.WriteString(w)
			continue
		}
		b.WriteString("'" + strings.ReplaceAll(w, "'", `'\''`) + "'")
	}
	return b.String()
}

func shellMinds(r rune) bool {
	plain := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:,@%+=", r)
	return !plain
}

// HTML returns the result as a page that needs nothing else: no script, no font, no other file.
func (r *Result) HTML(earlier *Result) ([]byte, error) {
	page := struct {
		*Result
		Style        template.CSS
		Charts       []template.HTML
		ServerCharts []template.HTML
		Earlier      *Result
		Compared     []comparison
		Unlike       []string
		Trials       []Trial
		Rows         []Figures
	}{Result: r, Style: plot.Style, Earlier: earlier, Rows: r.Operations}
	if len(page.Rows) > 1 {
		page.Rows = append(page.Rows[:len(page.Rows):len(page.Rows)], r.Total)
	}
	if r.Limit != nil {
		page.Trials = r.Limit.Trials
	}
	if earlier != nil {
		page.Compared, page.Unlike = compared(earlier, r), differences(earlier, r)
	}
	for _, c := range r.charts(earlier) {
		page.Charts = append(page.Charts, template.HTML(c.SVG())) // drawn and escaped by plot
	}
	for i := range r.ServerMetrics {
		s := &r.ServerMetrics[i]
		c := plot.Chart{Title: "server: " + s.Name, X: plot.Axis{Label: "s", Zero: true}, Y: plot.Axis{Label: s.Unit, Zero: true},
			Lines: []plot.Line{{Name: s.Name, X: upTo(len(s.Values)), Y: s.Values, Color: 5}}}
		page.ServerCharts = append(page.ServerCharts, template.HTML(c.SVG()))
	}
	var out bytes.Buffer
	err := reportTemplate.Execute(&out, page)
	return out.Bytes(), err
}

// upTo returns 1 … n: the ends of the seconds of a run.
func upTo(n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = float64(i + 1)
	}
	return x
}

// charts draws the latencies and the rate, over percentiles and over time.
func (r *Result) charts(earlier *Result) []*plot.Chart {
	quantiles := &plot.Chart{Title: "latency by percentile", X: plot.Axis{Label: "percentile", Ticks: percentileTicks(r.Total.Latency.Curve)}, Y: plot.Axis{Label: "ms", Log: true}}
	curve := func(name string, q Quantiles, color int, dashed bool) {
		l := plot.Line{Name: name, Color: color, Dashed: dashed}
		for _, p := range q.Curve {
			if p.NS > 0 {
				l.X, l.Y = append(l.X, nines(p.Percentile)), append(l.Y, float64(p.NS)/1e6)
			}
		}
		quantiles.Lines = append(quantiles.Lines, l)
	}
	curve("from due", r.Total.Latency, 0, false)
	if !r.Config.Closed {
		curve("from sending", r.Total.Service, 2, false)
	}
	if earlier != nil {
		curve("before", earlier.Total.Latency, 4, true)
	}
	charts := []*plot.Chart{quantiles}

	seconds := r.wholeSeconds()
	at := upTo(len(seconds))
	column := func(f func(Second) float64) []float64 {
		y := make([]float64, len(seconds))
		for i, s := range seconds {
			y[i] = f(s)
		}
		return y
	}
	overTime := plot.Axis{Label: "s", Zero: true}
	charts = append(charts, &plot.Chart{Title: "latency over time", X: overTime, Y: plot.Axis{Label: "ms", Log: true}, Lines: []plot.Line{
		{Name: "p50", Color: 2, X: at, Y: column(func(s Second) float64 { return gap(s.P50) })},
		{Name: "p99", Color: 0, X: at, Y: column(func(s Second) float64 { return gap(s.P99) })},
		{Name: "max", Color: 1, X: at, Y: column(func(s Second) float64 { return gap(s.Max) })},
	}})
	rate := &plot.Chart{Title: "rate", X: overTime, Y: plot.Axis{Label: "1/s", Zero: true}, Lines: []plot.Line{
		{Name: "answered, with follow-ups", Color: 0, X: at, Y: column(func(s Second) float64 { return float64(s.Answered) })},
	}}
	if !r.Config.Closed {
		rate.Lines = append(rate.Lines, plot.Line{Name: "arrived", Color: 4, Dashed: true, X: at, Y: column(func(s Second) float64 { return float64(s.Offered) })})
	}
	charts = append(charts, rate)
	charts = append(charts, &plot.Chart{Title: "what did not go well", X: overTime, Y: plot.Axis{Label: "1/s", Zero: true}, Lines: []plot.Line{
		{Name: "failed", Color: 1, X: at, Y: column(func(s Second) float64 { return float64(s.Failed) })},
		{Name: "refused", Color: 3, X: at, Y: column(func(s Second) float64 { return float64(s.Refused) })},
		{Name: "late", Color: 4, X: at, Y: column(func(s Second) float64 { return float64(s.Late) })},
		{Name: "not sent", Color: 5, X: at, Y: column(func(s Second) float64 { return float64(s.Dropped) })},
	}})
	if r.Limit != nil {
		charts = append(charts, r.Limit.chart())
	}
	return charts
}

// wholeSeconds leaves out the last one where it was only begun and there are others.
func (r *Result) wholeSeconds() []Second {
	n := len(r.Seconds)
	if begun := r.Config.Warmup + r.Took - time.Duration(n-1)*time.Second; n > 1 && begun < 9*time.Second/10 {
		return r.Seconds[:n-1]
	}
	return r.Seconds
}

// gap is a time in ms; where there was none, a gap.
func gap(ns int64) float64 {
	if ns == 0 {
		return math.NaN()
	}
	return float64(ns) / 1e6
}

// chart shows the rates that were tried.
func (l *Limit) chart() *plot.Chart {
	c := &plot.Chart{Title: "search for the limit: p99 by rate", X: plot.Axis{Label: "requests/s", Log: true}, Y: plot.Axis{Label: "ms", Log: true},
		Lines: []plot.Line{{Name: "borne", Color: 2, Dots: true}, {Name: "not borne", Color: 1, Dots: true}, {Name: "bound", Color: 4, Dashed: true}}}
	for _, t := range l.Trials {
		line := &c.Lines[0]
		if !t.OK {
			line = &c.Lines[1]
		}
		line.X, line.Y = append(line.X, t.Rate), append(line.Y, float64(t.P99)/1e6)
		c.Lines[2].X, c.Lines[2].Y = append(c.Lines[2].X, t.Rate), append(c.Lines[2].Y, float64(l.Bound)/float64(time.Millisecond))
	}
	for i := range c.Lines[:2] { // drawn from the lowest rate to the highest, whatever the order of the trials
		sortPoints(&c.Lines[i])
	}
	return c
}

func sortPoints(l *plot.Line) {
	for i := range l.X {
		for k := i; k > 0 && l.X[k] < l.X[k-1]; k-- {
			l.X[k], l.X[k-1] = l.X[k-1], l.X[k]
			l.Y[k], l.Y[k-1] = l.Y[k-1], l.Y[k]
		}
	}
}

// nines is the scale of percentiles: 90 is at 1, 99 at 2, 99.9 at 3.
func nines(percentile float64) float64 { return -math.Log10(math.Max(1-percentile/100, 1e-12)) }

func percentileTicks(curve []Point) []plot.Tick {
	ticks := []plot.Tick{{Value: 0, Text: "0"}, {Value: nines(50), Text: "50"}, {Value: 1, Text: "90"}}
	text := "99"
	for n := 2; len(curve) > 0 && nines(curve[len(curve)-1].Percentile) >= float64(n); n++ {
		ticks = append(ticks, plot.Tick{Value: float64(n), Text: text})
		if text == "99" {
			text = "99."
		}
		text += "9"
	}
	return ticks
}

// EnvironmentLine says where the run was made.
func (r *Result) EnvironmentLine() string {
	e := r.Environment
	return fmt.Sprintf("%s, %s, %d processors %s, %s", e.Host, e.OS, e.Processors, e.CPU, e.Go)
}
