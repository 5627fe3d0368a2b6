package loadtest

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// WriteComparison writes the figures of two runs beside each other, and warns where they were not made alike.
func WriteComparison(w io.Writer, before, after *Result) error {
	p := &printer{w: w}
	p.printf("\nbefore  %s, %s, %s\nafter   %s, %s, %s\n", before.Title(), before.Server, before.Started.Format("2006-01-02 15:04"),
		after.Title(), after.Server, after.Started.Format("2006-01-02 15:04"))
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

func compared(before, after *Result) (all []comparison) {
	pairs := []struct{ a, b *Figures }{}
	for i := range before.Operations {
		a := &before.Operations[i]
		if at := slices.IndexFunc(after.Operations, func(b Figures) bool { return b.Operation == a.Operation }); at >= 0 {
			pairs = append(pairs, struct{ a, b *Figures }{a, &after.Operations[at]})
		}
	}
	if len(pairs) != 1 {
		pairs = append(pairs, struct{ a, b *Figures }{&before.Total, &after.Total})
	}
	for _, p := range pairs {
		rates := comparison{p.a.Operation, "per second", number(p.a.Rate), number(p.b.Rate), change(p.a.Rate, p.b.Rate)}
		all = append(all, rates)
		for _, q := range []struct {
			name string
			a, b int64
		}{
			{"p50 ms", p.a.Latency.P50, p.b.Latency.P50}, {"p99 ms", p.a.Latency.P99, p.b.Latency.P99},
			{"p99.9 ms", p.a.Latency.P999, p.b.Latency.P999}, {"max ms", p.a.Latency.Max, p.b.Latency.Max},
		} {
			all = append(all, comparison{"", q.name, Milliseconds(q.a), Milliseconds(q.b), change(float64(q.a), float64(q.b))})
		}
		all = append(all, comparison{"", "failed", fmt.Sprint(p.a.Failed), fmt.Sprint(p.b.Failed), ""})
	}
	return all
}

func change(before, after float64) string {
	if before == 0 {
		return ""
	}
	return fmt.Sprintf("%+.1f%%", 100*(after/before-1))
}

// differences says in what two runs were not made alike.
func differences(a, b *Result) (all []string) {
	for _, d := range []struct {
		name string
		a, b any
	}{
		{"workload", a.Config.Workload, b.Config.Workload}, {"mix", a.Config.Mix, b.Config.Mix}, {"shape", a.Config.Shape, b.Config.Shape},
		{"closed", a.Config.Closed, b.Config.Closed}, {"rate", a.Config.Rate, b.Config.Rate}, {"duration", a.Config.Duration, b.Config.Duration},
		{"connections", a.Config.Connections, b.Config.Connections}, {"pipeline", max(a.Config.Pipeline, 1), max(b.Config.Pipeline, 1)}, {"SKUs", a.Config.SKUs, b.Config.SKUs},
		{"locations", a.Config.Locations, b.Config.Locations}, {"keys", a.Config.Keys, b.Config.Keys}, {"lines", a.Config.Lines, b.Config.Lines},
		{"processor", a.Environment.CPU, b.Environment.CPU}, {"processors", a.Environment.Processors, b.Environment.Processors},
	} {
		if d.name == "mix" && a.Config.Workload != b.Config.Workload {
			continue // only one of them has shares
		}
		if d.a != d.b {
			all = append(all, fmt.Sprintf("%s was %v, then %v", d.name, d.a, d.b))
		}
	}
	return all
}
