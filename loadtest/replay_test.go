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
	if !reflect.DeepEqual(e.skus, []string{"85123A", "71053"}) || e.skipped != 1 || e.demand[[2]int32{0, 0}] != 7 {
		t.Errorf("SKUs %q, %d skipped, demand %v", e.skus, e.skipped, e.demand)
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
		"time,reference,sku,quantity\nx,a,b,1\n": `line 2: the time is "x"`,
		"time,reference,sku,quantity\n2020-01-01,a,,1\n": `line 2: the SKU is ""`,
		"time,reference,sku,quantity\n":                  "no events",
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
