package loadtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Result is what a run has found. It is written as JSON, and read again to compare runs.
type Result struct {
	Version     string      `json:"version"` // of this program
	Command     []string    `json:"command,omitempty"`
	Started     time.Time   `json:"started"`
	Environment Environment `json:"environment"`
	Server      string      `json:"server"` // what it says of itself
	// ServerVersion is that of the server by its metrics, "" where there were none.
	ServerVersion string    `json:"server_version,omitempty"`
	Config        Config    `json:"config"`
	Replayed      *Replayed `json:"replayed,omitempty"` // of a replay's file

	// Took is the time in which what follows was counted: from the end of the warm-up to the last answer.
	Took          time.Duration `json:"took_ns"`
	Offered       int64         `json:"offered"` // arrivals that were due
	Late          int64         `json:"late"`    // requests sent more than 1 ms after they were due
	Dropped       int64         `json:"dropped"` // requests not sent at all
	Total         Figures       `json:"total"`   // of all operations together
	Operations    []Figures     `json:"operations"`
	Seconds       []Second      `json:"seconds"`
	ServerMetrics []Series      `json:"server_metrics,omitempty"`
	NoMetrics     string        `json:"no_metrics,omitempty"` // why there are none, where they were asked for

	// LoaderCPU is what this side has used, over all of the run.
	LoaderCPU    time.Duration `json:"loader_cpu_ns"`
	LoaderPerMio float64       `json:"loader_cpu_seconds_per_million"`
	ServerCPU    time.Duration `json:"server_cpu_ns,omitempty"` // by its metrics
	Interrupted  bool          `json:"interrupted,omitempty"`

	Verified Verified `json:"verified"`
	Limit    *Limit   `json:"limit,omitempty"` // of a search for it
	Failed   []string `json:"failed_thresholds,omitempty"`
}

// Environment is where a run was made.
type Environment struct {
	Host       string `json:"host"`
	OS         string `json:"os"`
	CPU        string `json:"cpu,omitempty"`
	Processors int    `json:"processors"`
	Go         string `json:"go"`
}

// Figures are those of one operation.
type Figures struct {
	Operation string           `json:"operation"`
	OK        int64            `json:"ok"`
	Refused   int64            `json:"refused"`
	Retried   int64            `json:"retried,omitempty"`
	Failed    int64            `json:"failed"`
	Dropped   int64            `json:"dropped,omitempty"` // not sent at all
	Errors    map[string]int64 `json:"errors,omitempty"`
	Rate      float64          `json:"rate"` // answers/s, while requests were due
	// Latency is of all requests: one that was not answered counts with the time until it was given up.
	Latency Quantiles `json:"latency"`
	Service Quantiles `json:"service"` // the same from their sending, of those that were sent

	inTime           int64
	latency, service *hdrhistogram.Histogram
}

// Quantiles of a time, in ns.
type Quantiles struct {
	Min   int64   `json:"min_ns"`
	Mean  float64 `json:"mean_ns"`
	P50   int64   `json:"p50_ns"`
	P90   int64   `json:"p90_ns"`
	P99   int64   `json:"p99_ns"`
	P999  int64   `json:"p99_9_ns"`
	P9999 int64   `json:"p99_99_ns"`
	Max   int64   `json:"max_ns"`
	// Curve is the latency at percentiles ever closer to 100, for plots.
	Curve []Point `json:"curve,omitempty"`
}

// Point is a point of a curve of quantiles.
type Point struct {
	Percentile float64 `json:"percentile"`
	NS         int64   `json:"ns"`
}

// Second is one second of a run.
type Second struct {
	Offered  int64 `json:"offered"` // due in it, whenever they were sent
	Answered int64 `json:"answered"`
	Refused  int64 `json:"refused"`
	Failed   int64 `json:"failed"`
	Late     int64 `json:"late"`
	Dropped  int64 `json:"dropped"`
	P50      int64 `json:"p50_ns"`
	P99      int64 `json:"p99_ns"`
	Max      int64 `json:"max_ns"`
}

// quantilesOf reads a histogram.
func quantilesOf(h *hdrhistogram.Histogram) Quantiles {
	if h == nil || h.TotalCount() == 0 {
		return Quantiles{}
	}
	q := Quantiles{Min: h.Min(), Mean: h.Mean(), Max: h.Max()}
	for _, one := range []struct {
		at   float64
		into *int64
	}{{50, &q.P50}, {90, &q.P90}, {99, &q.P99}, {99.9, &q.P999}, {99.99, &q.P9999}} {
		*one.into = min(h.ValueAtPercentile(one.at), q.Max)
	}
	// Ten points for each time that what is left becomes a tenth of it.
	for k := 0; k <= 60; k++ {
		rest := pow10(-float64(k) / 10)
		if rest*float64(h.TotalCount()) < 1 {
			break
		}
		percentile := 100 * (1 - rest)
		q.Curve = append(q.Curve, Point{percentile, min(h.ValueAtPercentile(percentile), q.Max)})
	}
	return q
}

// Hgrm returns the latencies of all operations as the percentile table of HdrHistogram, in milliseconds, which its plotters
// read.
func (r *Result) Hgrm() ([]byte, error) {
	var out bytes.Buffer
	if r.Total.latency == nil {
		return nil, fmt.Errorf("the result was read from a file: its histogram is not in it")
	}
	_, err := r.Total.latency.PercentilesPrint(&out, 10, 1e6)
	return out.Bytes(), err
}

// ReadResult reads what a run has written.
func ReadResult(name string) (*Result, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	r := new(Result)
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("%s is no result of a load test: %w", name, err)
	}
	if r.Config.Workload == "" {
		return nil, fmt.Errorf("%s is no result of a load test", name)
	}
	return r, nil
}

// sum adds up what the workers have counted.
func (r *Result) sum(recorders []*recorder, took time.Duration) {
	// A load that was interrupted, or a replay of a moment, ends before its time. What is answered behind the last request, the
	// follow-ups and what had piled up, is no part of a rate.
	while := min(took, r.Config.Duration) - r.Config.Warmup
	total := Figures{Operation: "all", latency: newHistogram(digits), service: newHistogram(digits), Errors: make(map[string]int64)}
	for op := range operations {
		f := Figures{Operation: op.String(), latency: newHistogram(digits), service: newHistogram(digits), Errors: make(map[string]int64)}
		seen := false
		for _, rec := range recorders {
			c := rec.counts[op]
			if c == nil {
				continue
			}
			seen = true
			f.add(&Figures{OK: c.OK, Refused: c.Refused, Dropped: c.Dropped, Retried: c.Retried, Errors: c.Errors, inTime: c.InTime, latency: c.latency, service: c.service})
		}
		if !seen || f.Measured()+f.Retried == 0 { // nothing, or in the warm-up only
			continue
		}
		total.add(&f)
		f.finish(while)
		r.Operations = append(r.Operations, f)
	}
	total.finish(while)
	r.Total, r.Dropped = total, total.Dropped
	for _, rec := range recorders {
		r.Offered += rec.Due
		r.Late += rec.Late
		for number, n := range rec.dueIn {
			if number < len(r.Seconds) {
				r.Seconds[number].Offered += n
			}
		}
	}
}

func (f *Figures) add(o *Figures) {
	f.OK, f.Refused, f.Dropped, f.Retried, f.inTime = f.OK+o.OK, f.Refused+o.Refused, f.Dropped+o.Dropped, f.Retried+o.Retried, f.inTime+o.inTime
	for why, n := range o.Errors {
		f.Errors[why] += n
		f.Failed += n
	}
	f.latency.Merge(o.latency)
	f.service.Merge(o.service)
}

// Measured is how many requests the latencies are of.
func (f *Figures) Measured() int64 { return f.OK + f.Refused + f.Failed + f.Dropped }

// Lost is how many of them were not answered as they should be. How long these would have taken nobody knows.
func (f *Figures) Lost() int64 { return f.Failed + f.Dropped }

func (f *Figures) finish(while time.Duration) {
	if s := while.Seconds(); s > 0 {
		f.Rate = float64(f.inTime) / s
	}
	f.Latency, f.Service = quantilesOf(f.latency), quantilesOf(f.service)
}

// errorKinds returns what went wrong, the commonest first.
func (f *Figures) errorKinds() []string {
	kinds := slices.Sorted(maps.Keys(f.Errors))
	slices.SortStableFunc(kinds, func(a, b string) int { return int(f.Errors[b] - f.Errors[a]) })
	return kinds
}
