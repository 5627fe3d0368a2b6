package loadtest

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Series is a metric of the server over a run, one value a second.
type Series struct {
	Name   string   `json:"name"`
	Unit   string   `json:"unit"`
	Values Readings `json:"values"`
}

// Readings are values, of which those that could not be had are NaN, and null in JSON.
type Readings []float64

// MarshalJSON implements json.Marshaler.
func (r Readings) MarshalJSON() ([]byte, error) {
	values := make([]*float64, len(r))
	for i := range r {
		if !math.IsNaN(r[i]) {
			values[i] = &r[i]
		}
	}
	return json.Marshal(values)
}

// UnmarshalJSON implements json.Unmarshaler.
func (r *Readings) UnmarshalJSON(text []byte) error {
	var values []*float64
	if err := json.Unmarshal(text, &values); err != nil {
		return err
	}
	*r = make(Readings, len(values))
	for i, v := range values {
		if (*r)[i] = math.NaN(); v != nil {
			(*r)[i] = *v
		}
	}
	return nil
}

// scrapedSeries are what is drawn of a server, and how each value follows from two scrapes a second apart.
var scrapedSeries = []struct {
	name, unit string
	value      func(before, now scrape, seconds float64) float64
}{
	{"processors used", "", func(a, b scrape, s float64) float64 {
		return (b.sum("process_cpu_seconds_total") - a.sum("process_cpu_seconds_total")) / s
	}},
	{"memory", "MB", func(_, b scrape, _ float64) float64 { return b.sum("process_resident_memory_bytes") / 1e6 }},
	{"journal syncs", "1/s", func(a, b scrape, s float64) float64 {
		return (b.count("onhand_journal_sync_duration_seconds") - a.count("onhand_journal_sync_duration_seconds")) / s
	}},
	{"journal sync, mean", "ms", func(a, b scrape, _ float64) float64 {
		return 1e3 * mean(a, b, "onhand_journal_sync_duration_seconds")
	}},
	{"records a block, mean", "", func(a, b scrape, _ float64) float64 { return mean(a, b, "onhand_journal_block_records") }},
	{"live holds", "", func(_, b scrape, _ float64) float64 { return b.sum("onhand_holds_live") }},
	{"requests turned away", "1/s", func(a, b scrape, s float64) float64 {
		return (b.sum("onhand_http_overloaded_total") - a.sum("onhand_http_overloaded_total")) / s
	}},
	{"writes waiting", "", func(_, b scrape, _ float64) float64 { return b.sum("onhand_writes_waiting") }},
}

// mean returns the mean of what a histogram has counted between two scrapes.
func mean(a, b scrape, name string) float64 {
	n := b.count(name) - a.count(name)
	if n <= 0 {
		return 0
	}
	return (b.total(name) - a.total(name)) / n
}

// scrape is what a server's metrics were at one time.
type scrape map[string]*dto.MetricFamily

// sum adds up the values of a counter or a gauge under all its labels.
func (s scrape) sum(name string) float64 {
	var sum float64
	for _, m := range s[name].GetMetric() {
		sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + m.GetUntyped().GetValue()
	}
	return sum
}

// label returns a label of a metric's first sample.
func (s scrape) label(name, label string) (string, bool) {
	for _, m := range s[name].GetMetric() {
		for _, pair := range m.GetLabel() {
			if pair.GetName() == label {
				return pair.GetValue(), true
			}
		}
	}
	return "", false
}

func (s scrape) count(name string) float64 {
	var sum float64
	for _, m := range s[name].GetMetric() {
		sum += float64(m.GetHistogram().GetSampleCount())
	}
	return sum
}

func (s scrape) total(name string) float64 {
	var sum float64
	for _, m := range s[name].GetMetric() {
		sum += m.GetHistogram().GetSampleSum()
	}
	return sum
}

// scraper reads a server's metrics once a second.
type scraper struct {
	address string
	client  http.Client
	quit    chan struct{}
	done    chan struct{}

	series  []Series
	cpu     float64 // s, as far as scrapes reach; a restart begins anew
	version string  // of the server, as it last said; it may be another one after a restart
	failed  error   // of the first scrape that failed
	seen    bool    // one has succeeded
}

func startScraper(address string) *scraper {
	s := &scraper{address: address, client: http.Client{Timeout: 5 * time.Second}, quit: make(chan struct{}), done: make(chan struct{})}
	for _, one := range scrapedSeries {
		s.series = append(s.series, Series{Name: one.name, Unit: one.unit})
	}
	go s.run()
	return s
}

func (s *scraper) run() {
	defer close(s.done)
	if s.address == "" {
		return
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	before, at := s.read(), time.Now() // at once: a run of less than a second is to know its server, too
	for {
		select {
		case <-s.quit:
			return
		case <-tick.C:
		}
		now := s.read()
		took := time.Since(at).Seconds()
		at = time.Now()
		for i, one := range scrapedSeries {
			value := math.NaN() // while the server is away there is nothing to tell
			if before != nil && now != nil {
				value = max(one.value(before, now, took), 0)
			}
			s.series[i].Values = append(s.series[i].Values, value)
		}
		if before != nil && now != nil {
			s.cpu += max(now.sum("process_cpu_seconds_total")-before.sum("process_cpu_seconds_total"), 0)
		}
		before = now
	}
}

// read returns nil where there is no answer.
func (s *scraper) read() scrape {
	families, err := s.get()
	if err == nil {
		version, ok := families.label("onhand_build_info", "version")
		if !ok {
			err = fmt.Errorf("%s has no onhand_build_info: is it an onhand server's?", s.address)
		} else {
			s.version, s.seen = version, true
		}
	}
	if err != nil {
		if s.failed == nil {
			s.failed = err
		}
		return nil
	}
	return families
}

func (s *scraper) get() (scrape, error) {
	response, err := s.client.Get(s.address)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", s.address, response.Status)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(response.Body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.address, err)
	}
	return families, nil
}

// stop puts what was seen into the result: no series where there were no metrics, and why there were none.
func (s *scraper) stop(r *Result) {
	close(s.quit)
	<-s.done
	r.ServerVersion = s.version
	if !s.seen && s.failed != nil {
		r.NoMetrics = s.failed.Error()
	}
	var any bool
	for _, one := range s.series {
		for _, v := range one.Values {
			any = any || v > 0
		}
	}
	if any {
		r.ServerMetrics, r.ServerCPU = s.series, time.Duration(s.cpu*1e9)
	}
}
