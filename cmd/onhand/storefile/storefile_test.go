package storefile

import (
	"encoding"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"onhand/engine"
	"onhand/engine/hours"
)

// read returns the rows of a file with this text.
func read(t *testing.T, format, text string) []Row {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return slices.Collect(Read(format, name))
}

// tell writes a row in one line.
func tell(r Row) string {
	if r.Err != nil {
		return fmt.Sprintf("%d: %v", r.Line, r.Err)
	}
	l := &r.Location
	text := fmt.Sprintf("%d: %s %q", r.Line, l.ID, l.Name)
	if l.Position != nil {
		text += fmt.Sprintf(" %v,%v", l.Position.Latitude, l.Position.Longitude)
	}
	if l.Zone != "" {
		text += " " + l.Zone
	}
	for _, r := range l.Regular {
		text += fmt.Sprintf(" %v", r.Days)
		if r.Opens != nil {
			opens, _ := r.Opens.MarshalText()
			closes, _ := r.Closes.MarshalText()
			text += fmt.Sprintf(" %s-%s", opens, closes)
		} else {
			text += fmt.Sprintf(" closed=%v unknown=%v", r.Closed, r.Unknown)
		}
	}
	for _, s := range l.Special {
		text += fmt.Sprintf(" %v/%v closed=%v", s.From, s.Through, s.Closed)
	}
	return text
}

func wantRows(t *testing.T, rows []Row, want ...string) {
	t.Helper()
	var got []string
	for _, r := range rows {
		got = append(got, tell(r))
	}
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			t.Errorf("lacks %s", want[i])
		case i >= len(want):
			t.Errorf("has %s", got[i])
		case !strings.HasPrefix(got[i], want[i]):
			t.Errorf("row %d\n got %s\nwant %s", i, got[i], want[i])
		}
	}
}

func TestBestBuy(t *testing.T) {
	wantRows(t, read(t, "bestbuy", `[
		{"id":7,"name":"El Paso ","location":{"lat":31.76,"lon":-106.4},"hours":"Mon: 10-9:30; Tue: 12-6; Wed: 1-5:30; Thurs: 9-12; Sat: 0-11:59"},
		{"id":8,"name":"x","location":{"lat":40.7,"lon":-74},"hours":"by appointment"},
		{"id":9,"name":"x","location":{"lat":0,"lon":0},"hours":"Mon: 10-9"},
		{"id":10,"name":"x","location":{"lat":40.7,"lon":-74},"hours":"Mon: 10-10:75"},
		{"id":7,"name":"x","location":{"lat":40.7,"lon":-74},"hours":"Mon: 10-9"},
		{"id":11,"name":"x","location":{"lat":40.7,"lon":-74},"hours":"Mon: 8-11:59; Tue: 12-11:59; Wed: 12-11:59"}]`),
		`1: 7 "El Paso" 31.76,-106.4 America/Denver [monday] 10:00-21:30 [tuesday] 12:00-18:00 [wednesday] 13:00-17:30 [thursday] 09:00-12:00 [saturday] 00:00-24:00`,
		`2: hours has "by appointment", want a day`,
		`3: location is 0, 0`,
		`4: opening_hours is "22:75"`,
		`5: id is "7", as in entry 1 already`,
		`6: 11 "x" 40.7,-74 America/New_York [monday] 08:00-23:59 [tuesday wednesday] closed=false unknown=true`)
	wantRows(t, read(t, "bestbuy", `{}`), `0: an array of stores is wanted`)
}

// An entry that is not what an entry should be is told by its number, and the others are read.
func TestABestBuyEntryThatIsNone(t *testing.T) {
	const rest = `"location":{"lat":40.7,"lon":-74},"hours":"Mon: 10-9"}`
	const ok = ` "" 40.7,-74 America/New_York [monday] 10:00-21:00`
	rows := read(t, "bestbuy", "\ufeff[{\"id\":1,"+rest+`,{"id":"x",`+rest+`,{"id":3,"location":{"lat":"99","lon":1}},null,{"id":5.5},{"id":6,"location":{"lat":99,"lon":1},"hours":"Mon: 10-9"},
		{"id":7,"location":{"lat":40}},{"id":8},7,{"id":10,"id":11,`+rest+",{\"id\":11,\"name\":\"\xff\","+rest+`,{"id":12,"address2":null,`+rest+`]`)
	wantRows(t, rows, `1: 1`+ok, `2: /id is a string`, `3: /location/lat is a string`, `4: id is missing`, `5: /id is 5.5, which it can't be`,
		`6: position.latitude is 99`, `7: location is without lat or lon`, `8: location is without`, `9: it is a number`,
		`10: jsontext: duplicate object member name "id"`, `11: jsontext: invalid UTF-8`, `12: 12`+ok)
	if got, want := rows[1].Where("stores.json"), "stores.json: entry 2"; got != want {
		t.Errorf("it stands in %q, want %q", got, want)
	}
	// What came before the end of a file that was cut off is read.
	wantRows(t, read(t, "bestbuy", `[{"id":1,`+rest+`,{"id":2,`), `1: 1`+ok, `0: an array of stores is wanted: `)
	wantRows(t, read(t, "bestbuy", `[{"id":1,`+rest+`][{"id":2,`+rest+`]`), `1: 1`+ok, `0: an array of stores is wanted: there is more after its end`)
}

func TestAFeatureThatIsNone(t *testing.T) {
	rows := read(t, "geojson", `{"type":"FeatureCollection","features":[{"type":"Feature","id":"a"},null,{"type":"Feature","id":"b","id":"c"},
		{"type":"Feature","id":"g","geometry":{"type":"Polygon","coordinates":[[[2.3,48.8]]]}},{"type":"Feature","id":"a"}]}`)
	wantRows(t, rows, `1: a ""`, `2: type is ""`, `3: jsontext: duplicate object member name "id"`, `4: /geometry/coordinates/0 is an array`, `5: id is "a", as in feature 1 already`)
	if got, want := rows[1].Where("x.geojson"), "x.geojson: feature 2"; got != want {
		t.Errorf("it stands in %q, want %q", got, want)
	}
	// A feature by itself, and collections put one after another, are not read as less than they are.
	wantRows(t, read(t, "geojson", `{"type":"Feature","id":"a","geometry":null,"properties":{}}`), `0: a FeatureCollection as in RFC 7946 is wanted: there is no features`)
	wantRows(t, read(t, "geojson", `{"features":[]}{"features":[]}`), `0: a FeatureCollection as in RFC 7946 is wanted: there is more after its end`)
}

func TestStarbucks(t *testing.T) {
	wantRows(t, read(t, "starbucks", "\ufeffstore_number,name,ownership_type,address,city,state,zip,country,timezone,latitude,longitude\n"+
		"1-2,\"A, B\",CO,1 Rd,X,CA,1,US,GMT-07:00 America/Los_Angeles,34.1,-119.1\n"+
		"1-3,C,CO,1 Rd,X,CA,1,US,GMT-07:00 Mars/Base,34.1,-119.1\n"+
		"1-4,C,CO,1 Rd,X,CA,1,US,,x,-119.1\n"+
		"1-5,C\n"),
		`2: 1-2 "A, B" 34.1,-119.1 America/Los_Angeles`, `3: time_zone is "Mars/Base"`, `4: latitude is "x"`, `5: 2 values, want 11`)
	wantRows(t, read(t, "starbucks", "name\n"), `0: the header lacks store_number`)
	wantRows(t, read(t, "starbucks", ""), `0: the file is empty`)
}

const (
	fuelStations = "id,latitude,longitude,cp,pop,adresse,ville\n"
	fuelHours    = "id,nom,ouverture,fermeture,ferme,station_id\n"
	fuelServices = "service,station_id\n"
	fuelClosures = "debut,fin,type,station_id\n"
)

// fuel returns a directory of the tables with these rows.
func fuel(stations, week, services, closures string) fstest.MapFS {
	dir := make(fstest.MapFS)
	for name, text := range map[string]string{
		"stations.csv": fuelStations + stations, "jour_and_horaires.csv": fuelHours + week, "services_text.csv": fuelServices + services,
		"fermetures.csv": fuelClosures + closures,
	} {
		dir[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return dir
}

func TestFuel(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, fuel("1,46.2,5.2,01000,R,1 rue X,BOURG\n2,,,01000,R,2 rue X,BOURG\n3,59.8,-1.7,01000,R,3 rue X,BOURG\n",
		"1,Lundi,06.30,20.00,,1\n2,Mardi,01.00,01.00,1,1\n3,Mercredi,01.00,01.00,,1\n4,Jeudi,,,,1\n5,Vendredi,00.00,23.59,,1\n6,Samedi,18.00,02.00,,1\n7,Dimanche,23.59,23.59,,1\n",
		"Bar,1\nDouches,1\n", "2022-07-23T00:00:00,2022-12-31T00:00:00,T,1\n2009-02-01T00:00:00,,T,2\n")); err != nil {
		t.Fatal(err)
	}
	rows := slices.Collect(Read("fr-fuel", dir))
	wantRows(t, rows,
		`2: 1 "1 rue X, BOURG" 46.2,5.2 Europe/Paris [monday] 06:30-20:00 [tuesday] closed=true unknown=false [wednesday] closed=false unknown=true [thursday] closed=false unknown=true [friday] 00:00-24:00 [saturday] 18:00-02:00 [sunday] closed=false unknown=true 2022-07-23/2022-12-31 closed=true`,
		`3: 2 "2 rue X, BOURG" Europe/Paris 2009-02-01/2200-12-31 closed=true`,
		`4: the position 59.8, -1.7 is not in mainland France`)
	if rows[0].File != "stations.csv" {
		t.Errorf("the rows are of %q", rows[0].File)
	}
	if got := rows[0].Location.Attributes["services"]; got != "Bar; Douches" {
		t.Errorf("services %q", got)
	}
	wantRows(t, slices.Collect(Read("fr-fuel", t.TempDir())), `0: open `)
}

// A row beside the stations that can't be trusted is told, and what it would have said is unknown: never open, never closed.
func TestAFuelTableWithRowsThatCanNotBeTrusted(t *testing.T) {
	const unknown = "closed=false unknown=true"
	days := []string{"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"}
	for _, c := range []struct {
		week, services, closures string
		want                     string // what is told of the row
		monday, others           string // "" where no day has hours
	}{
		{week: "1,Lundi,06.30,25.99,,1\n", want: `jour_and_horaires.csv:2: fermeture is "25.99", want a time from 00.00 to 24.00; the day is taken as unknown`, monday: unknown, others: "08:00-19:00"},
		{week: "1,Lundi,24.00,23.00,,1\n", want: `jour_and_horaires.csv:2: ouverture is "24.00"`, monday: unknown, others: "08:00-19:00"},
		{week: "1,Lundi,25.99,25.99,,1\n", want: `jour_and_horaires.csv:2: ouverture is "25.99"`, monday: unknown, others: "08:00-19:00"},
		{week: "1,Lundi,06.30,,,1\n", want: `jour_and_horaires.csv:2: fermeture is ""`, monday: unknown, others: "08:00-19:00"},
		{week: "1,Lundi,06.30,20.00,peut-être,1\n", want: `jour_and_horaires.csv:2: ferme is "peut-être"`, monday: unknown, others: "08:00-19:00"},
		// A row that no station or no day can be told of leaves its day without one.
		{week: "1,Lundi,06.30\n", want: `jour_and_horaires.csv:2: 3 values, want 6`, monday: unknown, others: "08:00-19:00"},
		{week: "9,Lundi,06.30,20.00,,1\n", want: `jour_and_horaires.csv:2: a day is "9"`, monday: unknown, others: "08:00-19:00"},
		{week: "1,Lundi,06.30,20.00,,\n", want: `jour_and_horaires.csv:2: station_id is missing`, monday: unknown, others: "08:00-19:00"},
		{week: "1,\"Lundi,06.30,20.00,,1\n", want: `jour_and_horaires.csv:2: a value with a quote that is left open`, monday: unknown, others: "08:00-19:00"},
		{week: "1,Lundi,,,1,1\n1,Lundi,06.30,20.00,,1\n", want: `jour_and_horaires.csv:3: the day has a row already`, monday: unknown, others: "08:00-19:00"},
		{week: "1,Lundi,06.30,20.00,,1\n", services: "Bar\n", want: `services_text.csv:2: 1 values, want 2`, monday: "06:30-20:00", others: "08:00-19:00"},
		// A closure may be on any day.
		{week: "1,Lundi,06.30,20.00,,1\n", closures: "garbage,,T,1\n", want: `fermetures.csv:2: debut is "garbage", want a time such as 2022-10-06T00:00:00; the hours of the station are taken as unknown`},
		{week: "1,Lundi,06.30,20.00,,1\n", closures: "2022-07-23T00:00:00,2022-02-30T00:00:00,T,1\n", want: `fermetures.csv:2: fin is "2022-02-30T00:00:00"`},
		{week: "1,Lundi,06.30,20.00,,1\n", closures: "2022-07-23T00:00:00,2022-07-22T00:00:00,T,1\n", want: `fermetures.csv:2: fin is "2022-07-22T00:00:00", which is before debut`},
		{week: "1,Lundi,06.30,20.00,,1\n", closures: "--07-23T00:00:00,,T,1\n", want: `fermetures.csv:2: debut is "--07-23T00:00:00"`},
	} {
		station := `2: 1 "1 rue X, BOURG" 46.2,5.2 Europe/Paris`
		week := c.week
		for n, day := range days {
			said := c.others
			if n == 0 {
				said = c.monday
			} else {
				week += fmt.Sprintf("%d,,08.00,19.00,,1\n", n+1)
			}
			if said != "" {
				station += " [" + day + "] " + said
			}
		}
		rows := slices.Collect(readFuel(fuel("1,46.2,5.2,01000,R,1 rue X,BOURG\n4,,,,R,,\n", week, c.services, c.closures)))
		_, told, _ := strings.Cut(c.want, ":")
		wantRows(t, rows, told, station, `3: 4 ","`)
		if len(rows) == 3 && tell(rows[1]) != station {
			t.Errorf("%s: the station is\n     %s\nwant %s", c.want, tell(rows[1]), station)
		}
		if where := rows[0].Where("dir"); !rows[0].Part || !strings.HasPrefix("dir/"+c.want, where) {
			t.Errorf("the row stands in %s, want %s (part of a location: %v)", where, c.want, rows[0].Part)
		}
	}
}

func full() *Location {
	osm, err := hours.ParseOSM("Mo-Fr 09:00-18:00; Fr-Sa 22:00-02:00")
	if err != nil {
		panic(err)
	}
	osm = append(osm, hours.Regular{Days: []hours.Day{hours.PublicHoliday}, Interval: hours.Interval{Closed: true}})
	return &Location{ID: `a "b", c`, Name: "Ä\u00a0; x", Kind: "pickup_point", Blocked: true, LocationDetails: engine.LocationDetails{
		Position: &engine.Position{Latitude: -12.3456789, Longitude: 179.9},
		Address:  &engine.Address{Street: "1, Rd", Locality: "L", Region: "R", PostalCode: "007", Country: "FR"},
		Phone:    "+33 1", Email: "a@b.fr", URL: "https://b.fr/?a=1&b=2",
		Schedule: hours.Schedule{Zone: "Europe/Paris", Country: "FR", Regular: osm, Special: []hours.Special{
			{From: hours.Date{Month: 12, Day: 24}, Through: hours.Date{Month: 1, Day: 2}, Name: "<x>", Interval: hours.Interval{Closed: true}},
		}},
		Services: []engine.Service{engine.ServiceCounter, engine.ServicePayInStore}, CollectionPoint: "line", IDRequired: true,
		PreparationTime: 60, DefaultHold: 3600, Suppliers: []engine.Supplier{{Location: "w", LeadTime: 5}}, Attributes: map[string]string{"k": "v"},
	}}
}

// filled returns locations that have every member of a location between them.
func filled() []*Location {
	tuesday := hours.Tuesday
	first := full()
	first.Country, first.Schedule.Region = "DE", "BY"
	first.Regular = append(first.Regular, hours.Regular{Days: []hours.Day{hours.Sunday}, Interval: hours.Interval{Unknown: true}})
	opens, closes := hours.Minute(600), hours.Minute(720)
	first.Special = append(first.Special,
		hours.Special{From: hours.Date{Year: 2030, Month: 5, Day: 1}, Interval: hours.Interval{Opens: &opens, Closes: &closes}},
		hours.Special{From: hours.Date{Year: 2030, Month: 5, Day: 2}, Interval: hours.Interval{Unknown: true}})
	first.PickupSlots = &engine.PickupSlots{Interval: 30, Capacity: 4, Lead: 60, DaysAhead: 7, Overrides: []engine.SlotOverride{
		{Weekday: &tuesday, From: 600, To: 720, Capacity: 2}, {Date: hours.Date{Month: 12, Day: 24}, From: 1, To: 1440},
	}}
	first.Compartments = []engine.Compartment{{Size: "S", Count: 24}, {Size: "L", Count: 6}}
	first.OrderTimes = &engine.OrderTimes{PayWithin: 1, AcceptWithin: 2, PickWithin: 3, CollectWithin: 4, RemindBefore: 5, ExtensionsMax: 6}
	second := full()
	second.ID = "b"
	second.OrderTimes = &engine.OrderTimes{CollectUntil: &engine.CollectUntil{OpenDay: 2, MinutesBefore: 30}}
	return []*Location{first, second, {ID: "bare", Kind: "store"}}
}

// members adds the paths of v's members to all, and of those that say something to said. What writes itself as text has none.
func members(v reflect.Value, path string, all, said map[string]bool) {
	all[path] = true
	if !v.IsZero() {
		said[path] = true
	}
	if _, text := v.Interface().(encoding.TextMarshaler); text {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			v = reflect.New(v.Type().Elem())
		}
		if _, text := v.Elem().Interface().(encoding.TextMarshaler); !text {
			members(v.Elem(), path, all, said)
		}
	case reflect.Slice:
		members(reflect.Zero(v.Type().Elem()), path+"[]", all, said)
		for i := range v.Len() {
			said[path+"[]"] = true
			members(v.Index(i), path+"[]", all, said)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			members(v.Field(i), path+"."+v.Type().Field(i).Name, all, said)
		}
	}
}

// A location has the members that it has today: one added later has to be filled in here, and so written and read below.
func TestEveryMemberIsFilled(t *testing.T) {
	all, said := make(map[string]bool), make(map[string]bool)
	for _, l := range filled() {
		members(reflect.ValueOf(*l), "", all, said)
	}
	for path := range all {
		if !said[path] {
			t.Errorf("none of the locations has %s", path)
		}
	}
}

// What is written can be read, and is the same.
func TestFormsThatAreWrittenCanBeRead(t *testing.T) {
	for _, format := range []string{"ndjson", "csv", "geojson"} {
		var text strings.Builder
		w, err := NewWriter(format, &text, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		want := filled()
		for _, l := range want {
			if err := w.Write(l); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		rows := read(t, format, text.String())
		if len(rows) != len(want) {
			t.Fatalf("%s: %d rows of\n%s", format, len(rows), text.String())
		}
		for i := range want {
			if rows[i].Err != nil || !reflect.DeepEqual(&rows[i].Location, want[i]) {
				t.Errorf("%s: %v\n got %+v\nwant %+v", format, rows[i].Err, rows[i].Location, want[i])
			}
		}
	}
}

func TestNothingToWrite(t *testing.T) {
	for format, want := range map[string]string{
		"ndjson": "", "geojson": "{\"type\":\"FeatureCollection\",\"features\":[\n\n]}\n",
		"jsonld": "{\"@context\":\"https://schema.org\",\"@graph\":[\n\n]}\n", "csv": strings.Join(Columns, ",") + "\r\n",
	} {
		var text strings.Builder
		w, err := NewWriter(format, &text, time.Time{})
		if err == nil {
			err = w.Close()
		}
		if err != nil || text.String() != want {
			t.Errorf("%s: %q, %v", format, text.String(), err)
		}
	}
}

func TestJSONLD(t *testing.T) {
	var text strings.Builder
	w, err := NewWriter("jsonld", &text, time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	late := full()
	if late.Regular, err = hours.ParseOSM("Mo-Fr 10:00-24:00; Sa 00:00-24:00"); err != nil {
		t.Fatal(err)
	}
	late.Special = []hours.Special{{From: hours.Date{Month: 2, Day: 29}, Interval: hours.Interval{Closed: true}}}
	for _, l := range []*Location{full(), late, {ID: "w", Kind: "warehouse"}} {
		if err := w.Write(l); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Graph []map[string]any `json:"@graph"`
	}
	if err := json.Unmarshal([]byte(text.String()), &got); err != nil || len(got.Graph) != 2 {
		t.Fatalf("%s: %v", text.String(), err)
	}
	for _, want := range []string{
		`"@type":"Store"`, `"telephone":"+33 1"`, `"postalCode":"007"`, `"dayOfWeek":["PublicHolidays"],"opens":"00:00"`,
		`"closes":"02:00","dayOfWeek":["Friday","Saturday"],"opens":"22:00"`,
		`"closes":"00:00","dayOfWeek":["Monday","Tuesday","Wednesday","Thursday","Friday"],"opens":"10:00"`,
		`"closes":"23:59","dayOfWeek":["Saturday"],"opens":"00:00"`, `"validFrom":"2025-12-24","validThrough":"2026-01-02"`,
		`"validFrom":"2026-12-24","validThrough":"2027-01-02"`, `"validFrom":"2027-12-24","validThrough":"2028-01-02"`,
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%s lacks %s", text.String(), want)
		}
	}
	if strings.Contains(text.String(), "02-29") {
		t.Errorf("%s has the 29th of February of years that have none", text.String())
	}
}

// schema.org has no rule for which of several special days counts, so each date is in one of them.
func TestJSONLDOfSpecialDaysThatOverlap(t *testing.T) {
	l := full()
	l.Special = nil
	if err := json.Unmarshal([]byte(`[{"from":"--12-24","opens":"10:00","closes":"18:00"}, {"from":"2026-12-24","opens":"06:00","closes":"12:00"},
		{"from":"2026-12-20","through":"2026-12-30","opens":"08:00","closes":"23:00"}, {"from":"2026-12-26","unknown":true}]`), &l.Special); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	w, err := NewWriter("jsonld", &text, time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(l); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Graph []struct {
			Special []struct{ ValidFrom, ValidThrough, Opens, Closes string } `json:"specialOpeningHoursSpecification"`
		} `json:"@graph"`
	}
	const want = "[{2026-12-20 2026-12-23 08:00 23:00} {2026-12-24 2026-12-24 06:00 12:00} {2026-12-25 2026-12-25 08:00 23:00} " +
		"{2026-12-27 2026-12-30 08:00 23:00} {2027-12-24 2027-12-24 10:00 18:00}]"
	if err := json.Unmarshal([]byte(text.String()), &got); err != nil || fmt.Sprint(got.Graph[0].Special) != want {
		t.Errorf("%v\n got %v\nwant %s", err, got.Graph[0].Special, want)
	}
	l.Special = append(l.Special, hours.Special{})
	if err := w.Write(l); err == nil || !strings.Contains(err.Error(), "special_days[4]") {
		t.Errorf("special days that can't be: %v", err)
	}
}

func TestWhatIsNoFileOfLocations(t *testing.T) {
	wantRows(t, read(t, "csv", "id,opening_hours,time_zone,blocked,services,attributes\n"+
		"a,Mo-Fr 09:00-18:00,Europe/Paris,true,counter locker,\"{\"\"k\"\":\"\"v\"\"}\"\nb,Mo-Fr 9-18,Europe/Paris,,,\nc,,,perhaps,,\nd,,,,teleport,\ne,,,,,{\n"),
		`2: a "" Europe/Paris [monday tuesday wednesday thursday friday] 09:00-18:00`,
		`3: opening_hours is "9-18" at byte 6`, `4: blocked is "perhaps"`, `5: service is "teleport"`, `6: attributes: `)
	wantRows(t, read(t, "csv", "id,colour\n"+"a,red\n"), `0: there is no column "colour"`)
	wantRows(t, read(t, "ndjson", "{\"id\":\"a\"}\n\n{\"id\":\"b\",\"colour\":1}\n{\n{\"id\":\"c\",\"phone\":\"x\"}\n"),
		`1: a ""`, `3: there is no member /colour`, `4: jsontext: `, `5: phone is "x"`)
	wantRows(t, read(t, "geojson", `{"type":"FeatureCollection","name":"x","features":[{"type":"Feature","id":17,"properties":{"name":"n"},"geometry":{"type":"Point","coordinates":[2.5,48,10]}},
		{"type":"Feature","id":"l","properties":{},"geometry":{"type":"LineString","coordinates":[]}}, {"type":"X"}]}`),
		`1: 17 "n" 48,2.5`, `2: geometry is a LineString`, `3: type is "X"`)
	// What the server would refuse is told here already, so that a dry run knows it too.
	wantRows(t, read(t, "ndjson", "{\"name\":\"x\"}\n{\"name\":\"y\"}\nnull\n[1]\n{\"id\":5}\n{\"id\":\""+strings.Repeat("x", 65)+"\"}\n"+
		"{\"id\":\"a\\u0007\"}\n{\"id\":\"b\",\"name\":\""+strings.Repeat("x", 257)+"\"}\n{\"id\":\"c\",\"position\":{\"latitude\":3}}\n"+
		"{\"id\":\"d\",\"opening_hours\":[{\"days\":[\"monday\"],\"opens\":\"9:00\"}]}\n"),
		`1: id is missing`, `2: id is missing`, `3: id is missing`, `4: it is an array`, `5: /id is a number`, `6: location is "xxx`, `7: location is "a\a"`,
		`8: name is "xxx`, `9: in /position: position is without longitude`, `10: in /opening_hours/0/opens: time of day is "9:00"`)
	wantRows(t, read(t, "geojson", `{"features":[{"type":"Feature","id":12345678,"properties":null,"geometry":null},{"type":"Feature","id":1.50,"properties":{}},
		{"type":"Feature","id":[],"properties":{}},{"type":"Feature","id":null,"properties":{"id":"x"}}]}`),
		`1: 12345678 ""`, `2: 1.50 ""`, `3: `, `4: x ""`)
	wantRows(t, read(t, "geojson", `[]`), `0: a FeatureCollection`)
	wantRows(t, read(t, "geojson", `{"features":[{"type":"Feature"`), `0: a FeatureCollection`)
}

// Hours come from OpenStreetMap in GeoJSON as a rule, where they are a string.
func TestOpenStreetMapHoursInEachForm(t *testing.T) {
	const place, week = `"position":{"latitude":48.8,"longitude":2.3}`, ` 48.8,2.3 Europe/Paris [monday tuesday] 10:00-12:00`
	wantRows(t, read(t, "ndjson", `{"id":"a","opening_hours":"Mo-Tu 10:00-12:00",`+place+"}\n"+
		`{"id":"b","opening_hours":[{"days":["monday","tuesday"],"opens":"10:00","closes":"12:00"}],`+place+"}\n"+
		`{"id":"c","opening_hours":"Mo-Tu 10-12",`+place+"}\n"+`{"id":"d","opening_hours":" "}`+"\n"+`{"id":"e","opening_hours":null}`+"\n"+
		`{"id":"f","opening_hours":7}`+"\n"+`{"id":"g","opening_hours":[{"days":"Mo"}]}`+"\n"),
		`1: a ""`+week, `2: b ""`+week, `3: in /opening_hours: opening_hours is "10-12" at byte 6`, `4: d ""`, `5: e ""`,
		`6: /opening_hours is a number`, `7: /opening_hours/0/days is a string`)
	wantRows(t, read(t, "csv", "id,latitude,longitude,opening_hours\na,48.8,2.3,\"Mo,Tu 10:00-12:00\"\nb,48.8,2.3, \n"), `2: a ""`+week, `3: b "" 48.8,2.3`)
	wantRows(t, read(t, "geojson", `{"features":[{"type":"Feature","id":"a","geometry":{"type":"Point","coordinates":[2.3,48.8]},
		"properties":{"shop":"books","opening_hours":"Mo-Tu 10:00-12:00"}}]}`), `1: a ""`+week)
}
