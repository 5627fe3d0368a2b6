package loadtest

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Threshold is a condition under which a run counts as failed.
type Threshold struct {
	text      string
	operation string // "" = all together
	service   bool
	metric    string
	above     bool // fails above the value, or else below it
	orEqual   bool
	value     float64 // ns, a number, or with share a part of what was asked
	share     bool
}

var thresholdForm = regexp.MustCompile(`^\s*(?:([a-z-]+)\.)?(service\.)?([a-z]+[0-9.]*)\s*(>=|<=|>|<)\s*(\S+)\s*$`)

const thresholdHelp = "want such as p99>5ms, reserve.p99.9>20ms, service.p50>1ms, errors>0, refused>1%, late>5%, dropped>0, rate<10k"

// ParseThreshold reads a condition: [operation.][service.]metric comparison value. Metrics are p50, p90, p99, p99.9, p99.99,
// mean, max (a duration), rate (answers/s), and errors, refused, late, dropped (a number, or a share such as 1%).
func ParseThreshold(text string) (Threshold, error) {
	wrong := func(why string) (Threshold, error) {
		return Threshold{}, fmt.Errorf("threshold is %q: %s; %s", text, why, thresholdHelp)
	}
	m := thresholdForm.FindStringSubmatch(text)
	if m == nil {
		return wrong("it can't be read")
	}
	if m[1] == "service" { // "service.p50" without an operation
		m[1], m[2] = "", "service."
	}
	t := Threshold{text: strings.Join(strings.Fields(text), ""), operation: m[1], service: m[2] != "", metric: m[3],
		above: m[4][0] == '>', orEqual: strings.HasSuffix(m[4], "=")}
	if t.operation != "" && !slices.Contains(operationNames[:], t.operation) {
		return wrong(fmt.Sprintf("there is no operation %q, only %s", t.operation, strings.Join(operationNames[:], ", ")))
	}
	switch t.metric {
	case "p50", "p90", "p99", "p99.9", "p99.99", "mean", "max":
		d, err := time.ParseDuration(m[5])
		if err != nil {
			return wrong(fmt.Sprintf("%q is no duration", m[5]))
		}
		t.value = float64(d)
		return t, nil
	case "errors", "refused", "late", "dropped":
		if t.operation != "" && (t.metric == "late" || t.metric == "dropped") {
			return wrong(t.metric + " is counted for all operations together")
		}
	case "rate":
	default:
		return wrong(fmt.Sprintf("there is no metric %q", t.metric))
	}
	number, share := strings.CutSuffix(m[5], "%")
	scale := 1.0
	for unit, by := range map[string]float64{"k": 1e3, "M": 1e6} {
		if rest, ok := strings.CutSuffix(number, unit); ok {
			number, scale = rest, by
		}
	}
	value, err := strconv.ParseFloat(number, 64)
	if err != nil || math.IsNaN(value) || share && t.metric == "rate" || t.service {
		return wrong(fmt.Sprintf("%q is no value for %s", m[5], t.metric))
	}
	if t.share = share; share {
		value /= 100
	}
	t.value = value * scale
	return t, nil
}

// tails is how many requests a percentile is about one of: with fewer it is only the slowest of them, and if more than one in so
// many was never answered, it is that of a request of which nobody knows how long it would have taken.
var tails = map[string]int64{"p50": 2, "p90": 10, "p99": 100, "p99.9": 1000, "p99.99": 10_000}

// unbounded reports whether a percentile, or "max", is that of a request that was not answered. Its figure is then the least that
// it can be.
func (f *Figures) unbounded(figure string) bool {
	if figure == "max" {
		return f.Lost() > 0
	}
	tail, ok := tails[figure]
	return ok && f.Lost() > f.Measured()/tail
}

// Fails reports whether a run fails the condition, and says how. What was not measured fails every condition.
func (t Threshold) Fails(r *Result) (string, bool) {
	f := &r.Total
	if t.operation != "" {
		i := slices.IndexFunc(r.Operations, func(f Figures) bool { return f.Operation == t.operation })
		if i < 0 {
			return fmt.Sprintf("%s: there was no %s", t.text, t.operation), true
		}
		f = &r.Operations[i]
	}
	if few := max(tails[t.metric], 1); f.Measured() < few {
		return fmt.Sprintf("%s: only %d requests were measured, and it takes %d", t.text, f.Measured(), few), true
	}
	q := &f.Latency
	if t.service {
		q = &f.Service
	}
	asked := float64(f.OK + f.Refused + f.Failed)
	var value float64
	switch t.metric {
	case "p50":
		value = float64(q.P50)
	case "p90":
		value = float64(q.P90)
	case "p99":
		value = float64(q.P99)
	case "p99.9":
		value = float64(q.P999)
	case "p99.99":
		value = float64(q.P9999)
	case "mean":
		value = q.Mean
	case "max":
		value = float64(q.Max)
	case "rate":
		value = f.Rate
	case "errors":
		value = float64(f.Failed)
	case "refused":
		value = float64(f.Refused)
	case "late":
		value, asked = float64(r.Late), float64(r.Offered)
	case "dropped":
		value, asked = float64(r.Dropped), float64(r.Offered)
	}
	if t.share {
		value /= math.Max(asked, 1)
	}
	failed := t.above && value > t.value || !t.above && value < t.value || t.orEqual && value == t.value
	if !failed && t.above && f.unbounded(t.metric) {
		return fmt.Sprintf("%s: it can't be told, as %d of %d requests failed or were not sent", t.text, f.Lost(), f.Measured()), true
	}
	if !failed {
		return "", false
	}
	shown := strconv.FormatFloat(value, 'g', 6, 64)
	switch {
	case t.share:
		shown = strconv.FormatFloat(100*value, 'g', 4, 64) + "%"
	case t.metric[0] == 'p' || t.metric == "mean" || t.metric == "max":
		shown = time.Duration(value).Round(time.Microsecond).String()
	}
	return fmt.Sprintf("%s: it is %s", t.text, shown), true
}
