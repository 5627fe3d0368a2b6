package loadtest

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"
	"time"
)

// WriteSummary writes a result for people to read in a terminal.
func (r *Result) WriteSummary(w io.Writer) error {
	p := &printer{w: w}
	p.printf("\n%s\n", r.Title())
	if r.Config.Mix != "" {
		p.printf("%s\n", r.Config.Mix)
	}
	p.printf("%s at %s, load tester %s\n", r.ServerName(), r.Config.To, r.Version)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\tok\trefused\tfailed\tper second\tp50\tp90\tp99\tp99.9\tmax\t")
	rows := r.Operations
	if len(rows) > 1 {
		rows = append(rows[:len(rows):len(rows)], r.Total)
	}
	for _, f := range rows {
		q := f.Latency
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t\n", f.Operation, f.OK, f.Refused, f.Failed, number(f.Rate),
			f.atLeast("p50", q.P50), f.atLeast("p90", q.P90), f.atLeast("p99", q.P99), f.atLeast("p99.9", q.P999), f.atLeast("max", q.Max))
	}
	p.err = firstError(p.err, t.Flush())
	if r.Config.Closed {
		p.printf("Closed load: each of %d connections waited for its answer before it sent again. A stall of the server holds the load back too, so these latencies are too good; the rate is what it can do.\n", r.Config.Connections)
	} else {
		f, q := &r.Total, r.Total.Service
		p.printf("Latency in ms from the time a request was due. From its sending: p50 %s, p99 %s, p99.9 %s, max %s.\n",
			f.atLeast("p50", q.P50), f.atLeast("p99", q.P99), f.atLeast("p99.9", q.P999), f.atLeast("max", q.Max))
		p.printf("%d were due, %d (%.1f %%) were sent more than 1 ms late, %d could not be sent.\n", r.Offered, r.Late, percent(r.Late, r.Offered), r.Dropped)
	}
	if text := r.LostLine(); text != "" {
		p.printf("%s\n", text)
	}
	for _, f := range r.Operations {
		for _, why := range f.errorKinds() {
			p.printf("FAILED %s: %d × %s\n", f.Operation, f.Errors[why], why)
		}
		if f.Retried > 0 {
			p.printf("%s: %d were sent again, having had no answer\n", f.Operation, f.Retried)
		}
	}
	p.printf("Processor time: loader %.1f s per million requests", r.LoaderPerMio)
	if r.ServerCPU > 0 && r.LoaderCPU > 0 {
		p.printf("; server %.1f s, loader %.1f s in all", r.ServerCPU.Seconds(), r.LoaderCPU.Seconds())
	}
	p.printf(".\n")
	if r.NoMetrics != "" {
		p.printf("%s\n", r.NoMetricsLine())
	}
	r.skipped(p)
	r.limit(p)
	r.verified(p)
	for _, f := range r.Failed {
		p.printf("THRESHOLD %s\n", f)
	}
	return p.err
}

// skipped tells of the lines of a replay's file that are no part of the load.
func (r *Result) skipped(p *printer) {
	if r.Replayed == nil || r.Replayed.Skipped == 0 {
		return
	}
	p.printf("SKIPPED %s:\n", r.Replayed.Title())
	for _, why := range r.Replayed.Why {
		p.printf("  %s\n", why)
	}
	if more := r.Replayed.More(); more > 0 {
		p.printf("  and %d more\n", more)
	}
}

// Title says in a line how many lines were skipped.
func (r *Replayed) Title() string {
	return fmt.Sprintf("%d of the %d lines of the file can't be read, and were left out", r.Skipped, r.Lines)
}

// More returns how many lines were skipped that Why does not tell of.
func (r *Replayed) More() int64 { return r.Skipped - int64(len(r.Why)) }

func (r *Result) limit(p *printer) {
	if r.Limit == nil {
		return
	}
	if r.Limit.Rate == 0 {
		p.printf("No rate was borne with p99 within %v, of those at which a trial of %v measures a p99.\n", r.Limit.Bound, r.Config.Duration)
		return
	}
	p.printf("The highest rate with p99 within %v, and nothing refused: %s requests/s. The figures above are those at this rate.\n", r.Limit.Bound, number(r.Limit.Rate))
}

func (r *Result) verified(p *printer) {
	v := &r.Verified
	if v.Sale != "" {
		p.printf("Flash sale: %s.\n", v.Sale)
	}
	switch {
	case v.ViolationCount == 0 && v.Unverified == "":
		p.printf("Verified: %d reservations (%d committed, %d released, %d expired, %d held) and %d cells are as they were acknowledged", v.Reservations,
			v.Committed, v.Released, v.Expired, v.Held, v.Cells)
		if v.Forgotten > 0 {
			p.printf("; the server has forgotten %d of the reservations, as it may after %v", v.Forgotten, r.Config.Remembered)
		}
		if v.Unsure > 0 {
			p.printf("; of %d requests without an answer was asked what became of them", v.Unsure)
		}
		if v.Unclear > 0 {
			p.printf("; of %d that were answered by an error, too", v.Unclear)
		}
		p.printf(".\n")
	case v.ViolationCount > 0:
		p.printf("VIOLATED: %d times the server's state is not what it acknowledged:\n", v.ViolationCount)
		for _, text := range v.Violations {
			p.printf("  %s\n", text)
		}
		if more := v.ViolationCount - int64(len(v.Violations)); more > 0 {
			p.printf("  and %d more\n", more)
		}
	}
	if v.Unverified != "" {
		p.printf("NOT VERIFIED: %s. The figures above are what was measured; whether the server has kept what it acknowledged is not known.\n", v.Unverified)
	}
	if v.Unproven != "" {
		p.printf("NOT PROVEN that exactly the stock is sold: %s.\n", v.Unproven)
	}
	if v.Left > 0 && v.Unverified != "" {
		p.printf("%d locations of this run may have stayed on the server.\n", v.Left)
	} else if v.Left > 0 {
		p.printf("%d locations of this run have live reservations and stay.\n", v.Left)
	}
	if r.Interrupted {
		p.printf("It was interrupted: the figures are those up to then.\n")
	}
}

// LostLine says how requests that were not answered count; "" where there are none.
func (r *Result) LostLine() string {
	f := &r.Total
	if f.Lost() == 0 {
		return ""
	}
	return fmt.Sprintf("%d requests failed and %d were not sent. They are in the latencies with the time from when they were due until they were given up; a percentile with ≥ is that of such a one, and may be any time longer.", f.Failed, f.Dropped)
}

// atLeast writes a percentile in ms.
func (f *Figures) atLeast(figure string, ns int64) string {
	if f.unbounded(figure) {
		return "≥" + Milliseconds(ns)
	}
	return Milliseconds(ns)
}

// ServerName is what is known of which server it was.
func (r *Result) ServerName() string {
	name := cmp.Or(r.Server, "a server without a name")
	if r.ServerVersion == "" {
		return name + " of unknown version"
	}
	return name + " " + r.ServerVersion
}

// NoMetricsLine says what there is none of, and why.
func (r *Result) NoMetricsLine() string {
	return fmt.Sprintf("The server's metrics could not be read: %s. Its version and what it used meanwhile are not known; --metrics says where they are.", r.NoMetrics)
}

// Title says in a line what the load was.
func (r *Result) Title() string {
	c := &r.Config
	what := c.Workload
	if c.Workload == FlashSale {
		what += fmt.Sprintf(" of %d units", c.Stock)
	}
	how := fmt.Sprintf("open load, %s/s, %s", number(c.Rate), c.Shape)
	switch {
	case c.Closed:
		how = "closed load"
	case c.Workload == Replay:
		how = fmt.Sprintf("%s times as fast as it happened", number(c.Speed))
	case c.Shape != Constant:
		how = fmt.Sprintf("open load, %s from %s to %s/s", c.Shape, number(c.From), number(c.Rate))
	}
	if c.Poisson {
		how += ", Poisson arrivals"
	}
	if c.drawsKeys() && c.Keys != uniform {
		how += ", SKUs by " + c.Keys
	}
	title := fmt.Sprintf("%s: %s, %v, %d connections", what, how, c.Duration.Round(time.Millisecond), c.Connections)
	if c.Pipeline > 1 {
		title += fmt.Sprintf(", pipelined %d deep", c.Pipeline)
	}
	return title
}

type printer struct {
	w   io.Writer
	err error
}

func (p *printer) printf(format string, a ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, a...)
	}
}

func firstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// Milliseconds writes a time in ms with three digits that count.
func Milliseconds(ns int64) string {
	ms := float64(ns) / 1e6
	switch {
	case ms == 0:
		return "0"
	case ms >= 100:
		return fmt.Sprintf("%.0f", ms)
	}
	return strings.TrimSuffix(fmt.Sprintf("%.*f", 2-int(math.Floor(math.Log10(ms))), ms), ".")
}

// number writes a number with three digits that count.
func number(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%.3g M", v/1e6)
	case v >= 1e4:
		return fmt.Sprintf("%.3g k", v/1e3)
	case v >= 100 || v == 0:
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

func percent(part, whole int64) float64 { return 100 * float64(part) / float64(max(whole, 1)) }
