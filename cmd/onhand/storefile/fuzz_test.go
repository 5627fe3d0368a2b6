package storefile

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"onhand/engine"
)

// wantSound checks the rows of a file that anybody may have written: they come in order, of each line or element one, what
// ends the reading comes last, and whatever is sound is the same once it was written in any form and read again.
func wantSound(t *testing.T, rows []Row) {
	t.Helper()
	var sound []*Location
	last := make(map[string]int)
	for i := range rows {
		row := &rows[i]
		if row.Line == 0 {
			if row.Err == nil || i < len(rows)-1 {
				t.Fatalf("row %d of %d is in line 0: %v", i, len(rows), row.Err)
			}
			continue
		}
		if row.Line <= last[row.File] {
			t.Fatalf("line %d of %q comes after line %d", row.Line, row.File, last[row.File])
		}
		last[row.File] = row.Line
		if row.Part && row.Err == nil {
			t.Fatalf("a part of a location is a location: %s", tell(*row))
		}
		if row.Err == nil {
			sound = append(sound, &row.Location)
		}
	}
	for _, format := range []string{"ndjson", "csv", "geojson"} {
		var text strings.Builder
		w, err := NewWriter(format, &text, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range sound {
			if err := w.Write(l); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		again := slices.Collect(checked(formats[format](strings.NewReader(text.String()))))
		if len(again) != len(sound) {
			t.Fatalf("%d locations are %d in %s:\n%s", len(sound), len(again), format, text.String())
		}
		for i, l := range sound {
			got := &again[i].Location
			if again[i].Err != nil || got.ID != l.ID || got.Name != l.Name || got.Kind != l.Kind || got.Blocked != l.Blocked ||
				detailsOf(t, got) != detailsOf(t, l) {
				t.Fatalf("%s (%v): %s\n%s\nbecame %s\n%s", format, again[i].Err, tell(Row{Location: *l}), detailsOf(t, l).JSON(), tell(again[i]), detailsOf(t, got).JSON())
			}
		}
	}
}

func detailsOf(t *testing.T, l *Location) engine.Details {
	t.Helper()
	d, err := engine.NewDetails(l.LocationDetails)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// wantEveryLine checks that each line of a file that is not blank, but for the first so many, is a row.
func wantEveryLine(t *testing.T, file []byte, headers int, rows []Row) {
	t.Helper()
	if len(rows) > 0 && rows[len(rows)-1].Line == 0 {
		return // it was not read to its end
	}
	var want, got []int
	for i, line := range bytes.Split(bytes.TrimPrefix(file, []byte("\ufeff")), []byte{'\n'}) {
		if len(bytes.TrimSpace(line)) > 0 {
			want = append(want, i+1)
		}
	}
	for i := range rows {
		got = append(got, rows[i].Line)
	}
	if want = want[min(headers, len(want)):]; !slices.Equal(got, want) {
		t.Fatalf("lines %v are rows, want %v", got, want)
	}
}

// wantCounted checks that elements are counted from 1.
func wantCounted(t *testing.T, rows []Row) {
	t.Helper()
	for i := range rows {
		if rows[i].Line != i+1 && rows[i].Line != 0 {
			t.Fatalf("element %d is said to be the %dth", i+1, rows[i].Line)
		}
	}
}

func fuzzFile(f *testing.F, format string, more func(t *testing.T, file []byte, rows []Row), seeds ...string) {
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		rows := slices.Collect(checked(formats[format](bytes.NewReader(file))))
		wantSound(t, rows)
		more(t, file, rows)
	})
}

func FuzzCSV(f *testing.F) {
	fuzzFile(f, "csv", func(t *testing.T, file []byte, rows []Row) { wantEveryLine(t, file, 1, rows) },
		"id,name\nfresh1,fine\na\"b,x\nfresh2,y\n", "\ufeff\"id\",name\r\n\"a, \"\"b\"\"\",\"open\r\n\r\nc,d", "id,nope\na,b\n", "id,id\n", "",
		"id,latitude,longitude,opening_hours,special_days\na,48.8,2.3,Mo-Fr 09:00-18:00,\"[{\"\"from\"\":\"\"--12-24\"\",\"\"closed\"\":true}]\"\n",
		"id,blocked,services,preparation_time,suppliers,compartments,order_times,attributes\na,true,counter locker,60,"+
			"\"[{\"\"location\"\":\"\"w\"\",\"\"lead_time\"\":5}]\",\"[{\"\"size\"\":\"\"S\"\",\"\"count\"\":2}]\",\"{\"\"pay_within\"\":60}\",\"{\"\"k\"\":\"\"v\"\"}\"\n",
		"id,time_zone,opening_hours,pickup_slots\na,Europe/Paris,Mo 09:00-18:00,\"{\"\"interval\"\":30,\"\"capacity\"\":4,\"\"days_ahead\"\":7}\"\n")
}

func FuzzNDJSON(f *testing.F) {
	fuzzFile(f, "ndjson", func(t *testing.T, file []byte, rows []Row) { wantEveryLine(t, file, 0, rows) },
		`{"id":"a"}`, "{\"id\":\"a\",\"foo\":1}\nnot json\n\n[1]\n{\"id\":\"b\"}{\"id\":\"c\"}\nnull", `{"id":"a","id":"b"}`, "{\"id\":\"\xff\"}",
		`{"id":"a","opening_hours":"Mo-Fr 10:00-12:00","time_zone":"Europe/Paris"}`,
		`{"id":"a","opening_hours":[{"days":["monday"],"opens":"10:00","closes":"12:00"}],"position":{"latitude":48.8,"longitude":2.3}}`,
		`{"id":"a","address":{},"order_times":{"collect_until":{"closing_of_open_day":1}},"special_days":[{"from":"2030-01-01","unknown":true,"name":"\n"}],"time_zone":"UTC"}`)
}

func FuzzGeoJSON(f *testing.F) {
	fuzzFile(f, "geojson", func(t *testing.T, _ []byte, rows []Row) { wantCounted(t, rows) },
		`{"type":"FeatureCollection","features":[{"type":"Feature","id":"a","geometry":{"type":"Point","coordinates":[2.3,48.8]},"properties":{"name":"n","shop":"x","opening_hours":"Mo 10:00-12:00"}}]}`,
		`{"features":[{"type":"Feature","id":7,"geometry":null,"properties":null},null,{"type":"Feature","id":[]},{"id":"a","id":"b"}],"features":[]}`, `{"features":[{"type":"Feature"`, `[]`, `{}{}`,
		`{"features":[{"type":"Feature","id":"a","geometry":{"type":"Polygon","coordinates":[[[2.3,48.8]]]},"properties":{"id":"b","position":{"latitude":1,"longitude":2}}}]}`)
}

func FuzzBestBuy(f *testing.F) {
	fuzzFile(f, "bestbuy", func(t *testing.T, _ []byte, rows []Row) { wantCounted(t, rows) },
		`[{"id":7,"type":"BigBox","name":"x ","address":"1 Rd","address2":null,"location":{"lat":31.76,"lon":-106.4},"hours":"Mon: 10-9:30; Tue: 12-11:59; Sat: 0-11:59","services":["a ","b"]}]`,
		`[{"id":"x"},null,{"id":1,"location":{"lat":"99"}},7,{"id":1,"id":2}]`, `{}`, `[{"id":1.5}`, "[{\"id\":1,\"name\":\"\xff\"}][]")
}

func FuzzStarbucks(f *testing.F) {
	const head = "store_number,name,ownership_type,address,city,state,zip,country,timezone,latitude,longitude\n"
	fuzzFile(f, "starbucks", func(t *testing.T, file []byte, rows []Row) { wantEveryLine(t, file, 1, rows) },
		head+"1-2,\"A, B\",CO,1 Rd,X,CA,1,US,GMT-07:00 America/Los_Angeles,34.1,-119.1\n", head+"X1,\"Unterminated,CO,1 Rd\n12\"34,n\n", head+"1,n,,,,,,,,nan,0x1p3\n", "name\n", "")
}

func FuzzFuel(f *testing.F) {
	f.Add("1,46.2,5.2,01000,R,1 rue X,BOURG\n2,,,01000,R,2 rue X,BOURG\n", "1,Lundi,06.30,20.00,,1\n2,Mardi,01.00,01.00,1,1\n7,Dimanche,23.59,23.59,,1\n", "Bar,1\n", "2022-07-23T00:00:00,2022-12-31T00:00:00,T,1\n")
	f.Add("1,46.2,5.2,01000,R,1 rue X,BOURG\n\"bad,1,2\n", "9,Lundi,06.30\n1,Lundi,06.30,25.99,,1\n1,Lundi,,,1,1\n1,Lundi,08.00,9.00,,1\n", "Bar\n", "garbage,,T,1\n,,,\n")
	f.Fuzz(func(t *testing.T, stations, week, services, closures string) {
		rows := slices.Collect(checked(readFuel(fuel(stations, week, services, closures))))
		wantSound(t, rows)
		var places []Row
		for _, row := range rows {
			if !row.Part {
				places = append(places, row)
			}
		}
		wantEveryLine(t, []byte(fuelStations+stations), 1, places)
	})
}
