package bench

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// Row is one line of the report.
type Row struct {
	Name   string
	Value  spread
	Unit   string
	Bar    string // what it should reach, "" where there is no bar
	Passed bool
	Note   string
}

// Report is what a run has measured.
type Report struct {
	Rows []Row
	out  io.Writer
}

// atLeast and atMost add a row with a bar.
func (r *Report) atLeast(name string, v spread, bar float64, unit string) {
	r.add(Row{Name: name, Value: v, Unit: unit, Bar: fmt.Sprintf("≥ %g", bar), Passed: v.Median >= bar})
}

func (r *Report) atMost(name string, v spread, bar float64, unit string) {
	r.add(Row{Name: name, Value: v, Unit: unit, Bar: fmt.Sprintf("≤ %g", bar), Passed: v.Median <= bar})
}

// note adds a row without a bar.
func (r *Report) note(name string, v spread, unit string) {
	r.add(Row{Name: name, Value: v, Unit: unit, Passed: true})
}

// heading begins a group of rows.
func (r *Report) heading(text string) { fmt.Fprintf(r.out, "\n%s\n", text) }

// skip says what was not measured, and why.
func (r *Report) skip(name, why string) {
	r.add(Row{Name: name, Note: "not measured: " + why, Passed: true})
}

func (r *Report) add(row Row) {
	r.Rows = append(r.Rows, row)
	w := tabwriter.NewWriter(r.out, 2, 8, 2, ' ', 0)
	r.print(w, row)
	_ = w.Flush()
}

func (r *Report) print(w io.Writer, row Row) {
	if row.Note != "" {
		fmt.Fprintf(w, "%-58s %s\n", row.Name, row.Note)
		return
	}
	verdict := ""
	if row.Bar != "" {
		verdict = "reached"
		if !row.Passed {
			verdict = "MISSED"
		}
	}
	fmt.Fprintf(w, "%-58s %10s  (%s … %s) %-14s %-10s %s\n", row.Name,
		number(row.Value.Median), number(row.Value.Min), number(row.Value.Max), row.Unit, row.Bar, verdict)
}

// number writes a figure with three digits that count.
func number(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%.3g M", v/1e6)
	case v >= 1e4:
		return fmt.Sprintf("%.3g k", v/1e3)
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

// Missed returns the number of bars that were not reached.
func (r *Report) Missed() (n int) {
	for i := range r.Rows {
		if !r.Rows[i].Passed {
			n++
		}
	}
	return n
}

// NewReport returns an empty report that prints each row to out as it is measured.
func NewReport(out io.Writer) *Report { return &Report{out: out} }
