package loadtest

import (
	"compress/gzip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// As UCI Online Retail writes it: lines of an order repeat a SKU, C… takes goods back, a negative quantity without C is a
// loss.
const invoices = `InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
536365,85123A,HEART,6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom
536365,71053,LANTERN,2,2010-12-01 08:26:00,3.39,17850.0,United Kingdom
536365,85123A,HEART,1,2010-12-01 08:26:00,2.55,17850.0,United Kingdom
C536379,71053,LANTERN,-1,2010-12-01 09:26:00,3.39,17850.0,United Kingdom
536380,71053,,-3,2010-12-01 08:56:00,0,,United Kingdom
536381,POST,,0,2010-12-01 08:56:00,0,,United Kingdom
`

func TestEventsOfInvoices(t *testing.T) {
	name := filepath.Join(t.TempDir(), "events.csv.gz")
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	packed := gzip.NewWriter(file)
	if _, err := packed.Write([]byte(invoices)); err != nil {
		t.Fatal(err)
	}
	if err := packed.Close(); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	e, err := readEvents(name, 1, 0, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	want := []event{
		{0, "", []line{{0, 0, 7}, {1, 0, 2}}},
		{30 * time.Minute, "loss", []line{{1, 0, -3}}},
		{time.Hour, "return", []line{{1, 0, 1}}},
	}
	if !reflect.DeepEqual(e.list, want) {
		t.Errorf("events are %+v, want %+v", e.list, want)
	}
	if !reflect.DeepEqual(e.skus, []string{"85123A", "71053"}) || e.Lines != 6 || e.Skipped != 1 || e.demand[[2]int32{0, 0}] != 7 {
		t.Errorf("SKUs %q, %d of %d skipped, demand %v", e.skus, e.Skipped, e.Lines, e.demand)
	}
	if at, ok := e.at(1); !ok || at != 5*time.Second {
		t.Errorf("half an hour of one hour is at %v of 10 s", at)
	}
	if _, ok := e.at(3); ok {
		t.Error("there is a fourth event")
	}
}

func TestEventsOfOurOwnNames(t *testing.T) {
	e := &events{locations: 2, demand: make(map[[2]int32]int64)}
	err := e.read(strings.NewReader("time,reference,location,sku,quantity\n1700000000,a,paris,lamp,1\n1700000060.5,b,lyon,lamp,1\n1700000061,c,paris,lamp,1\n"))
	if err != nil {
		t.Fatal(err)
	}
	if len(e.list) != 3 || e.list[1].at != 60500*time.Millisecond || e.list[0].lines[0].location != e.list[2].lines[0].location || e.list[0].lines[0].location == e.list[1].lines[0].location {
		t.Errorf("events are %+v", e.list)
	}
}

func TestWhatIsNoFileOfEvents(t *testing.T) {
	for text, says := range map[string]string{
		"":                                       "no header",
		"time,sku,quantity\n":                    "reference or invoiceno",
		"time,reference,sku,quantity\nx,a,b,1\n": `1 of its 1 lines can't be read: line 2: the time is "x"`,
		"time,reference,sku,quantity\n2020-01-01,a,,1\n":                                    `line 2: the SKU is ""`,
		"time,reference,sku,quantity\n":                                                     "no events",
		"time,reference,sku,quantity\n2020-01-01,a,b,1\n2020-01-01,a,b\n2020-01-01,a,b,c\n": `2 of its 3 lines can't be read: line 3: it has 3 fields, the header 4; line 4: the quantity is "c"`,
		"time,reference,sku,quantity\n2020-01-01,a,b,1\n2020-01-01,a,\"b,1\n":               "line 3",
	} {
		name := filepath.Join(t.TempDir(), "events.csv")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readEvents(name, 1, 0, time.Second); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: the error is %v, want it to say %q", text, err, says)
		}
	}
}

// Lines that can't be read are left out and counted, and the first of them told, each with its number.
func TestLinesThatAreSkipped(t *testing.T) {
	text := "time,reference,sku,quantity\n"
	for range 10 {
		text += "2020-01-01,a,lamp,1\n"
	}
	text += "2020-01-01,a,lamp,1.5\nsoon,a,lamp,1\n2020-01-01,a,,1\n2020-01-01,a\n2020-01-01,a,lamp,0\n2020-01-01,a,lamp,1000001\n2020-01-01,a,lamp,1\n"
	name := filepath.Join(t.TempDir(), "events.csv")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	e, err := readEvents(name, 1, 0, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if e.Lines != 17 || e.Skipped != 6 || len(e.Why) != skippedMax || e.demand[[2]int32{0, 0}] != 11 {
		t.Errorf("%d of %d lines are skipped, %d told of; the demand is %v", e.Skipped, e.Lines, len(e.Why), e.demand)
	}
	why := strings.Join(e.Why, "\n")
	for _, says := range []string{`line 12: the quantity is "1.5"`, `line 13: the time is "soon"`, `line 14: the SKU is ""`, "line 15: it has 2 fields", `line 16: the quantity is "0"`} {
		if !strings.Contains(why, says) {
			t.Errorf("it says %q, want it to say %q", why, says)
		}
	}
	r := &Result{Config: Config{Workload: Replay}, Replayed: &e.Replayed}
	var summary strings.Builder
	if err := r.WriteSummary(&summary); err != nil {
		t.Fatal(err)
	}
	page, err := r.HTML(nil)
	if err != nil {
		t.Fatal(err)
	}
	for where, text := range map[string]string{"summary": summary.String(), "page": string(page)} {
		if !strings.Contains(text, "6 of the 17 lines of the file can&#39;t be read") && !strings.Contains(text, "6 of the 17 lines of the file can't be read") || !strings.Contains(text, "line 13: the time is") || !strings.Contains(text, "and 1 more") {
			t.Errorf("the %s does not tell what was skipped: %s", where, text)
		}
	}
}
