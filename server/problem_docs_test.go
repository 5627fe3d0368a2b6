package server

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"onhand/engine"
)

// problemRow is a row of the table in docs/errors.md: types, statuses.
var problemRow = regexp.MustCompile("(?m)^\\| ((?:`[a-z-]+`(?:, )?)+) \\| ([0-9, ]+) \\|")

func TestDocsErrorsNamesEveryTypeOfProblem(t *testing.T) {
	explained, statuses := make(map[string]bool), make(map[string]string)
	for _, row := range problemRow.FindAllStringSubmatch(readDoc(t, "errors.md"), -1) {
		for _, kind := range strings.Split(row[1], ", ") {
			explained[strings.Trim(kind, "`")] = true
			statuses[strings.Trim(kind, "`")] = row[2]
		}
	}
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	made := map[string]bool{
		"unknown-" + engine.KindSKU: true, "unknown-" + engine.KindLocation: true,
		"unknown-" + engine.KindReservation: true, "unknown-" + engine.KindStock: true,
		"unknown-" + engine.KindTransfer: true, "unknown-" + engine.KindOrder: true,
	}
	names := make(map[string]string) // StatusNotFound → 404
	for code := 400; code < 600; code++ {
		names["Status"+strings.NewReplacer(" ", "", "-", "").Replace(http.StatusText(code))] = strconv.Itoa(code)
	}
	answered := regexp.MustCompile(`\bstatus: +fasthttp\.(\w+), kind: +"([a-z-]+)"`)
	kind := regexp.MustCompile(`\bkind: +"([a-z-]+)"`)
	for _, name := range sources {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range answered.FindAllStringSubmatch(string(text), -1) {
			if code := names[a[1]]; explained[a[2]] && (code == "" || !strings.Contains(statuses[a[2]], code)) {
				t.Errorf("%s answers %s with %s %s, docs/errors.md with %s", name, a[2], a[1], code, statuses[a[2]])
			}
		}
		for _, k := range kind.FindAllStringSubmatch(string(text), -1) {
			if !strings.HasSuffix(k[1], "-") { // completed by the kind of thing that is unknown
				made[k[1]] = true
			}
		}
	}
	if len(made) < 20 {
		t.Fatalf("only %d types of problems were found in the source", len(made))
	}
	for k := range made {
		if !explained[k] {
			t.Errorf("docs/errors.md does not explain %s", k)
		}
	}
	for k := range explained {
		if !made[k] {
			t.Errorf("docs/errors.md explains %s, which no answer is of", k)
		}
	}
}

func TestDocsReservationsNamesEveryReason(t *testing.T) {
	page := readDoc(t, "reservations.md")
	for _, r := range engine.Reasons() {
		if !strings.Contains(page, "\n| `"+r.String()+"` | ") {
			t.Errorf("docs/reservations.md does not explain reason %s", r)
		}
	}
}
