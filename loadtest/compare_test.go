package loadtest

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// alike returns a result whose every setting has a meaning.
func alike() *Result {
	return &Result{Version: "v1", Server: "onhand", ServerVersion: "v1",
		Config: Config{To: "http://a", Workload: Mixed, Shape: Steps, Pipeline: 2, File: "/a/orders.csv", Hold: 10 * time.Second}}
}

// Whatever a run was told that the other was not is a difference, a setting that is new in Config too.
func TestEverySettingIsCompared(t *testing.T) {
	config := reflect.TypeFor[Config]()
	for i := range config.NumField() {
		name := settingName(config.Field(i))
		a, b := alike(), alike()
		switch f := reflect.ValueOf(&b.Config).Elem().Field(i); f.Kind() {
		case reflect.String:
			f.SetString(f.String() + "x")
		case reflect.Bool:
			f.SetBool(!f.Bool())
		case reflect.Int, reflect.Int64:
			f.SetInt(f.Int() + 1)
		case reflect.Uint64:
			f.SetUint(f.Uint() + 1)
		case reflect.Float64:
			f.SetFloat(f.Float() + 1)
		}
		all := differences(a, b)
		if name == "" || slices.Contains(unlike, name) {
			if len(all) > 0 {
				t.Errorf("with another %s the runs are not alike: %q", config.Field(i).Name, all)
			}
			continue
		}
		if name == "poisson" {
			name = "arrivals"
		}
		if len(all) != 1 || !strings.HasPrefix(all[0], name+" was ") {
			t.Errorf("with another %s it says %q", name, all)
		}
	}
	a, b := alike(), alike()
	b.Config.Hold = time.Minute
	b.Config.File = "/b/orders.csv"
	if all := differences(a, b); !reflect.DeepEqual(all, []string{"hold was 10s, then 1m0s"}) {
		t.Errorf("it says %q", all)
	}
	b = alike()
	b.Version, b.Interrupted, b.Limit = "v2", true, &Limit{Bound: 5 * time.Millisecond}
	if all := strings.Join(differences(a, b), "; "); all != "search for the limit was none, then p99 within 5ms; interrupted was false, then true; load tester was v1, then v2" {
		t.Errorf("it says %q", all)
	}
	// What follows from another setting is not told besides.
	b = alike()
	b.Config.Workload, b.Config.Shape, b.Config.Rate, b.Config.From, b.Config.Steps, b.Config.Stock = FlashSale, Constant, 0, 5, 7, 1000
	if all := differences(a, b); !reflect.DeepEqual(all, []string{"workload was mixed, then flash-sale", "shape was steps, then constant"}) {
		t.Errorf("it says %q", all)
	}
}

// An operation that only one of two runs has made is shown, and so are both servers' versions.
func TestOperationsOfOneRunAreShown(t *testing.T) {
	a, b := alike(), alike()
	a.Operations = []Figures{{Operation: "read", Rate: 100, Failed: 3}, {Operation: "near", Rate: 50}}
	b.Operations = []Figures{{Operation: "read", Rate: 110}, {Operation: "reserve", Rate: 20}}
	a.Total, b.Total, b.ServerVersion = Figures{Operation: "all", Rate: 150}, Figures{Operation: "all", Rate: 130}, "v2"
	var rates [][5]string
	for _, c := range compared(a, b) {
		if c.Operation != "" {
			rates = append(rates, [5]string{c.Operation, c.Figure, c.Before, c.After, c.Change})
		}
	}
	want := [][5]string{{"read", "per second", "100", "110", "+10.0%"}, {"near", "per second", "50", "–", ""},
		{"reserve", "per second", "–", "20", ""}, {"all", "per second", "150", "130", "-13.3%"}}
	if !reflect.DeepEqual(rates, want) {
		t.Errorf("%q, want %q", rates, want)
	}
	page, err := b.HTML(a)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := WriteComparison(&text, a, b); err != nil {
		t.Fatal(err)
	}
	for where, text := range map[string]string{"comparison": text.String(), "page": string(page)} {
		if !strings.Contains(text, "onhand v1,") || !strings.Contains(text, "onhand v2") || !strings.Contains(text, "reserve") {
			t.Errorf("the %s is %s", where, text)
		}
	}
}
