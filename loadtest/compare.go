package loadtest

import (
	"fmt"
	"io"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"text/tabwriter"
)

// WriteComparison writes the figures of two runs beside each other, and warns where they were not made alike.
func WriteComparison(w io.Writer, before, after *Result) error {
	p := &printer{w: w}
	p.printf("\nbefore  %s, %s, %s\nafter   %s, %s, %s\n", before.Title(), before.ServerName(), before.Started.Format("2006-01-02 15:04"),
		after.Title(), after.ServerName(), after.Started.Format("2006-01-02 15:04"))
	for _, text := range differences(before, after) {
		p.printf("not alike: %s\n", text)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\t\tbefore\tafter\tchange\t")
	for _, c := range compared(before, after) {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t\n", c.Operation, c.Figure, c.Before, c.After, c.Change)
	}
	p.err = firstError(p.err, t.Flush())
	return p.err
}

// comparison is a figure of two runs.
type comparison struct{ Operation, Figure, Before, After, Change string }

// compared lists the operations of both runs, those that only one of them has as well, and all together.
func compared(before, after *Result) (all []comparison) {
	operations := []*[2]*Figures{} // before and after; nil = it was not made
	for i := range before.Operations {
		operations = append(operations, &[2]*Figures{&before.Operations[i], nil})
	}
	for i := range after.Operations {
		f := &after.Operations[i]
		same := func(o *[2]*Figures) bool { return o[0] != nil && o[0].Operation == f.Operation }
		if at := slices.IndexFunc(operations, same); at >= 0 {
			operations[at][1] = f
		} else {
			operations = append(operations, &[2]*Figures{nil, f})
		}
	}
	if len(operations) != 1 {
		operations = append(operations, &[2]*Figures{&before.Total, &after.Total})
	}
	for _, o := range operations {
		all = append(all, beside(o[0], o[1])...)
	}
	return all
}

// figure is one of those that an operation has in both runs. Of a count no change is told: of is nil.
type figure struct {
	name  string
	of    func(*Figures) float64
	write func(*Figures) string
}

// beside returns the figures of an operation in two runs, of which one may not have made it.
func beside(before, after *Figures) (all []comparison) {
	some := before
	if some == nil {
		some = after
	}
	latency := func(name string, of func(*Quantiles) int64) figure {
		return figure{name + " ms", func(f *Figures) float64 { return float64(of(&f.Latency)) }, func(f *Figures) string { return f.atLeast(name, of(&f.Latency)) }}
	}
	for i, figure := range []figure{
		{"per second", func(f *Figures) float64 { return f.Rate }, func(f *Figures) string { return number(f.Rate) }},
		latency("p50", func(q *Quantiles) int64 { return q.P50 }), latency("p99", func(q *Quantiles) int64 { return q.P99 }),
		latency("p99.9", func(q *Quantiles) int64 { return q.P999 }), latency("max", func(q *Quantiles) int64 { return q.Max }),
		{"failed", nil, func(f *Figures) string { return fmt.Sprint(f.Failed) }},
		{"not sent", nil, func(f *Figures) string { return fmt.Sprint(f.Dropped) }},
	} {
		c := comparison{Figure: figure.name, Before: "–", After: "–"}
		if i == 0 {
			c.Operation = some.Operation
		}
		if before != nil {
			c.Before = figure.write(before)
		}
		if after != nil {
			c.After = figure.write(after)
		}
		if before != nil && after != nil && figure.of != nil {
			c.Change = change(figure.of(before), figure.of(after))
		}
		all = append(all, c)
	}
	return all
}

func change(before, after float64) string {
	if before == 0 {
		return ""
	}
	return fmt.Sprintf("%+.1f%%", 100*(after/before-1))
}

// unlike are the settings, by their names in the report, that may differ between runs that were made alike: where the
// server is, and what is new or done after the load. Whatever else a Config has is compared, so that none is forgotten.
var unlike = []string{"to", "metrics", "seed", "remembered", "keep"}

// differences says in what two runs were not made alike.
func differences(a, b *Result) (all []string) {
	differ := func(name string, a, b any) {
		if a != b {
			all = append(all, fmt.Sprintf("%s was %v, then %v", name, a, b))
		}
	}
	before, after := reflect.ValueOf(a.Config), reflect.ValueOf(b.Config)
	for i := range before.NumField() {
		name := settingName(before.Type().Field(i))
		if name == "" || slices.Contains(unlike, name) || !bothHave(a, b, name) {
			continue
		}
		x, y := before.Field(i).Interface(), after.Field(i).Interface()
		switch name {
		case "pipeline": // not recorded where it is 1, once
			x, y = max(a.Config.Pipeline, 1), max(b.Config.Pipeline, 1)
		case "poisson":
			name, x, y = "arrivals", arrivalsName(a.Config.Poisson), arrivalsName(b.Config.Poisson)
		case "file": // wherever it lies
			x, y = filepath.Base(a.Config.File), filepath.Base(b.Config.File)
		}
		differ(name, x, y)
	}
	differ("search for the limit", searched(a), searched(b))
	differ("interrupted", a.Interrupted, b.Interrupted)
	differ("load tester", a.Version, b.Version)
	differ("system", a.Environment.OS, b.Environment.OS)
	differ("processor", a.Environment.CPU, b.Environment.CPU)
	differ("processors", a.Environment.Processors, b.Environment.Processors)
	return all
}

// settingName returns the name of a field as its flag has it, "" of one that is not recorded.
func settingName(field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	if name == "-" {
		return ""
	}
	return strings.ReplaceAll(strings.TrimSuffix(name, "_ns"), "_", "-")
}

// bothHave reports whether a setting has a meaning in both runs. Where only one has it, what makes it so differs as well
// and is told.
func bothHave(a, b *Result, name string) bool {
	c, d := &a.Config, &b.Config
	switch name {
	case "mix", "stock", "file", "speed", "cover":
		return c.Workload == d.Workload
	case "steps":
		return c.Shape == Steps && d.Shape == Steps
	case "from":
		return c.Shape != Constant && c.Shape == d.Shape
	case "rate": // of a search it is what was found
		return !c.Closed && !d.Closed && c.Workload != Replay && d.Workload != Replay && (a.Limit == nil || b.Limit == nil)
	}
	return true
}

func arrivalsName(poisson bool) string {
	if poisson {
		return "poisson"
	}
	return "even"
}

func searched(r *Result) string {
	if r.Limit == nil {
		return "none"
	}
	return fmt.Sprintf("p99 within %v", r.Limit.Bound)
}
