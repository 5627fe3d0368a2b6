package server

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/valyala/fasthttp"

	"onhand/engine"
	"onhand/server/webhook"
)

// docs is where the documents about metrics lie.
const docs = "../docs"

// servedMetrics returns all that a server tells Prometheus, by name.
func servedMetrics(t *testing.T) map[string]*dto.MetricFamily {
	t.Helper()
	m := NewMetrics("1.2.3")
	e, err := engine.Open(t.TempDir(), engine.Options{Observe: m.Observer()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	s, err := New(e, m, Options{WebhookDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Shutdown(t.Context()); err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	for _, id := range []string{"shop", "well"} { // those that the tests of the alerts speak of
		if _, _, err := s.hooks.Put(webhook.Endpoint{ID: id, URL: "https://shop.example/", Disabled: "by request"}); err != nil {
			t.Fatal(err)
		}
	}
	// A counter by status code is there once something was answered.
	s.metrics.observe(nil, new(fasthttp.RequestCtx))
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]*dto.MetricFamily)
	for _, f := range families {
		all[f.GetName()] = f
	}
	if len(all) < 30 {
		t.Fatalf("only %d metrics are served", len(all))
	}
	return all
}

// typeOf returns a metric's type as the page writes it.
func typeOf(f *dto.MetricFamily) string { return strings.ToLower(f.GetType().String()) }

func labelsOf(f *dto.MetricFamily) map[string][]string {
	labels := make(map[string][]string)
	for _, m := range f.GetMetric() {
		for _, l := range m.GetLabel() {
			labels[l.GetName()] = append(labels[l.GetName()], l.GetValue())
		}
	}
	return labels
}

func readDoc(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(docs, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// metricRow is a row of a table in docs/metrics.md: name, type, unit, labels.
var metricRow = regexp.MustCompile("(?m)^\\| `(onhand_[a-z_]+)` \\| ([a-z]+) \\| ([^|]+) \\|([^|]*)\\| ([^|]+) \\|$")

func TestDocsMetricsPageNamesEveryMetricWithItsTypeAndLabels(t *testing.T) {
	served := servedMetrics(t)
	page := readDoc(t, "metrics.md")
	explained := make(map[string]bool)
	for _, row := range metricRow.FindAllStringSubmatch(page, -1) {
		name := row[1]
		if explained[name] {
			t.Errorf("docs/metrics.md explains %s twice", name)
		}
		explained[name] = true
		f, ok := served[name]
		if !ok {
			t.Errorf("docs/metrics.md explains %s, which does not exist", name)
			continue
		}
		if want := typeOf(f); row[2] != want {
			t.Errorf("docs/metrics.md calls %s a %s; it is a %s", name, row[2], want)
		}
		var labels []string
		for _, l := range strings.Split(row[4], ",") {
			if l = strings.Trim(strings.TrimSpace(l), "`"); l != "" {
				labels = append(labels, l)
			}
		}
		slices.Sort(labels)
		if want := slices.Sorted(maps.Keys(labelsOf(f))); !slices.Equal(labels, want) {
			t.Errorf("docs/metrics.md gives %s the labels %q; it has %q", name, labels, want)
		}
	}
	for name := range served {
		if strings.HasPrefix(name, "onhand_") && !explained[name] {
			t.Errorf("docs/metrics.md has no row for %s", name)
		}
	}
	// Rows that the pattern does not take would be left out in silence.
	if n := strings.Count(page, "\n| `onhand_"); n != len(explained) {
		t.Errorf("docs/metrics.md has %d rows, of which %d could be read", n, len(explained))
	}
}

func TestMetricsKeepToTheConventionsOfPrometheus(t *testing.T) {
	problems, err := promlint.NewWithMetricFamilies(slices.Collect(maps.Values(servedMetrics(t)))).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestMetricsHaveNoLabelThatGrowsWithTheStock(t *testing.T) {
	bounded := []string{"call", "method", "code", "lane", "kind", "outcome", "reason", "part", "window", "phase", "version", "go_version", "limit", "endpoint", "move"} // webhook.EndpointsMax
	for name, f := range servedMetrics(t) {
		for label := range labelsOf(f) {
			if strings.HasPrefix(name, "onhand_") && !slices.Contains(bounded, label) {
				t.Errorf("%s has a label %s, whose values are not known to be few", name, label)
			}
		}
	}
}

// What dashboards and rules are made of. A selector is a metric and what is asked of its labels.
var (
	metricName = regexp.MustCompile(`\b(?:onhand|go|process)_[a-z0-9_]+\b`)
	selector   = regexp.MustCompile(`\b(onhand_[a-z_]+)\{((?:[^{}"]|"(?:[^"\\]|\\.)*")*)\}`)
	matcher    = regexp.MustCompile(`([a-z_]+)\s*(=~|!=|!~|=)\s*"((?:[^"\\]|\\.)*)"`)
)

// checkExpressions checks every metric in text, and every label and value that is asked of one.
func checkExpressions(t *testing.T, where, text string, served map[string]*dto.MetricFamily) {
	t.Helper()
	for _, name := range metricName.FindAllString(text, -1) {
		if servedAs(name, served) == nil && name != "go_version" {
			t.Errorf("%s uses %s, which does not exist", where, name)
		}
	}
	fromElsewhere := []string{"job", "instance", "le"}
	for _, s := range selector.FindAllStringSubmatch(text, -1) {
		f := servedAs(s[1], served)
		if f == nil {
			continue // reported above
		}
		labels := labelsOf(f)
		for _, m := range matcher.FindAllStringSubmatch(s[2], -1) {
			label, value := m[1], m[3]
			if slices.Contains(fromElsewhere, label) {
				continue
			}
			values, ok := labels[label]
			if !ok {
				t.Errorf("%s asks %s for label %s, which it does not have", where, s[1], label)
			}
			// Codes come up as they are answered, and what version this is anyone may invent.
			if m[2] == "=" && label != "code" && label != "version" && label != "go_version" && !knownValue(label, value, values) {
				t.Errorf("%s asks for %s=%q, which %s never has", where, label, value, s[1])
			}
		}
	}
}

// knownValue takes the calls and methods of routes that were not called yet, too.
func knownValue(label, value string, values []string) bool {
	return slices.Contains(values, value) || slices.ContainsFunc(routes(), func(rt *route) bool {
		return label == "call" && value == rt.pattern || label == "method" && value == rt.method
	})
}

// servedAs returns the metric that a name belongs to, which may be that of a histogram's parts.
func servedAs(name string, served map[string]*dto.MetricFamily) *dto.MetricFamily {
	if f := served[name]; f != nil {
		return f
	}
	for _, part := range []string{"_bucket", "_sum", "_count"} {
		if whole, ok := strings.CutSuffix(name, part); ok && served[whole] != nil && typeOf(served[whole]) == "histogram" {
			return served[whole]
		}
	}
	return nil
}

func TestDocsAlertRulesUseMetricsThatExist(t *testing.T) {
	served := servedMetrics(t)
	rules := readDoc(t, "alerts/onhand.rules.yml")
	tests := readDoc(t, "alerts/onhand.rules.test.yml")
	checkExpressions(t, "docs/alerts/onhand.rules.yml", rules, served)
	checkExpressions(t, "docs/alerts/onhand.rules.test.yml", tests, served)
	alerts := regexp.MustCompile(`(?m)^ +- alert: (\w+)$`).FindAllStringSubmatch(rules, -1)
	if len(alerts) < 10 {
		t.Fatalf("only %d alerts were found", len(alerts))
	}
	for _, alert := range alerts {
		// The tests list whatever fires, so that an alert which is never in a list is one that was never seen to fire.
		if !strings.Contains(tests, `alertname="`+alert[1]+`"`) {
			t.Errorf("alert %s has no test in which it fires", alert[1])
		}
	}
}

func TestDocsDashboardCanBeImportedAndUsesMetricsThatExist(t *testing.T) {
	served := servedMetrics(t)
	var dashboard struct {
		Title, UID string
		Templating struct {
			List []struct{ Name, Type, Query any }
		}
		Panels []struct {
			ID         int
			Title      string
			Type       string
			Datasource struct{ UID string }
			Targets    []struct {
				Expr       string
				Datasource struct{ UID string }
			}
		}
	}
	if err := json.Unmarshal([]byte(readDoc(t, "grafana/onhand.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	if len(dashboard.Templating.List) == 0 || dashboard.Templating.List[0].Type != "datasource" {
		t.Error("the first variable must be the data source, on which the others depend")
	}
	const variable = "${datasource}"
	ids := make(map[int]bool)
	used := make(map[string]bool)
	for _, p := range dashboard.Panels {
		if ids[p.ID] {
			t.Errorf("panel %q has the id of another, %d", p.Title, p.ID)
		}
		ids[p.ID] = true
		if p.Type == "row" {
			continue
		}
		if p.Datasource.UID != variable || len(p.Targets) == 0 {
			t.Errorf("panel %q does not take its data from %s", p.Title, variable)
		}
		for _, target := range p.Targets {
			if target.Datasource.UID != variable {
				t.Errorf("panel %q has a query to %q", p.Title, target.Datasource.UID)
			}
			checkExpressions(t, "panel "+p.Title, target.Expr, served)
			for _, name := range metricName.FindAllString(target.Expr, -1) {
				if f := servedAs(name, served); f != nil {
					used[f.GetName()] = true
				}
			}
		}
	}
	// What the work on a bad night begins with must be on it.
	for _, name := range []string{
		"onhand_http_request_duration_seconds", "onhand_reservations_total", "onhand_refused_lines_total", "onhand_holds_live",
		"onhand_journal_block_records", "onhand_journal_sync_duration_seconds", "onhand_journal_pending_records",
		"onhand_expiry_lag_seconds", "onhand_checkpoint_age_seconds", "onhand_checkpoint_duration_seconds",
		"onhand_memory_bytes", "onhand_window_reach_seconds", "onhand_sequence_retained", "onhand_disk_free_bytes",
	} {
		if !used[name] {
			t.Errorf("the dashboard does not show %s", name)
		}
	}
}

func TestMetricsAreServedBeforeTheDatabaseIsOpen(t *testing.T) {
	answer := httptest.NewRecorder()
	NewAdmin(NewMetrics("1.2.3")).Handler().ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	body := answer.Body.String()
	if !strings.Contains(body, `onhand_build_info{go_version="`) || strings.Contains(body, "onhand_ready") {
		t.Errorf("docs/metrics.md and alert OnhandNotReady say that there is onhand_build_info before onhand_ready; there is:\n%s", body)
	}
}
