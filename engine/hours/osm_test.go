package hours

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// otherwise reports whether the oracle is of another mind about some hours at an instant.
func otherwise(osm string, at time.Time) bool {
	if osm == "Mo-Sa 18:00-02:00" {
		// There, the night whose end is put forward goes on for an hour a day later.
		date := at.Format("01-02")
		return date == "03-29" || date == "03-30" || date == "03-08" || date == "03-09"
	}
	return false
}

// TestOracle compares with another implementation of other people's: see testdata/NOTICE.md.
func TestOracle(t *testing.T) {
	file, err := os.Open("testdata/osm_oracle.ndjson.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unpacked, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(unpacked)
	lines.Buffer(nil, 1<<20)
	lines.Scan() // how it was made
	patterns, probes := 0, 0
	for ; lines.Scan(); patterns++ {
		var c struct {
			Zone, Country, OSM string
			Probes             []int
		}
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		s := weekly(t, c.Zone, c.OSM)
		s.Country = c.Country
		calendar := compile(t, s)
		at := time.Unix(0, 0)
		for i := 0; i < len(c.Probes); i += 3 {
			at = at.Add(time.Duration(c.Probes[i]) * time.Minute)
			want, change := Closed, time.Time{}
			if c.Probes[i+1] == 1 {
				want = Open
			}
			if c.Probes[i+2] != 0 {
				change = at.Add(time.Duration(c.Probes[i+2]) * time.Minute)
			}
			probes++
			if otherwise(c.OSM, at.In(calendar.zone)) {
				continue
			}
			got := calendar.At(at)
			next := got.Closes
			if got.State == Closed {
				next = got.Opens
			}
			if got.State != want || !next.Equal(change) {
				t.Errorf("%s in %s at %v: %v until %v, the oracle says %v until %v", c.OSM, c.Zone, at.In(calendar.zone), got.State, next.In(calendar.zone), want, change.In(calendar.zone))
				break
			}
		}
	}
	if lines.Err() != nil || patterns < 500 || probes < 40_000 {
		t.Errorf("only %d patterns and %d probes: %v", patterns, probes, lines.Err())
	}
}

// describe writes regular hours as a test states them.
func describe(regular []Regular) string {
	var parts []string
	for _, r := range regular {
		var names []string
		for _, d := range r.Days {
			names = append(names, d.String()[:2])
		}
		text := strings.Join(names, ",") + " closed"
		if r.Opens != nil {
			opens, _ := r.Opens.MarshalText()
			closes, _ := r.Closes.MarshalText()
			text = fmt.Sprintf("%s %s-%s", strings.Join(names, ","), opens, closes)
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, "; ")
}

func TestParseOSM(t *testing.T) {
	const all = "mo,tu,we,th,fr,sa,su"
	for text, want := range map[string]string{
		"24/7":                              all + " 00:00-24:00",
		"Mo-Fr 09:00-18:00":                 "mo,tu,we,th,fr 09:00-18:00",
		"Mo-Fr: 9:00 - 18:00":               "mo,tu,we,th,fr 09:00-18:00",
		"Sa-Mo 09:00-18:00":                 "mo,sa,su 09:00-18:00",
		"Mo,We-Th 09:00-12:00,13:00-17:00;": "mo,we,th 09:00-12:00; mo,we,th 13:00-17:00",
		"09:00-18:00; Su off":               "mo,tu,we,th,fr,sa 09:00-18:00; su closed",
		"Mo-Su,PH 09:00-18:00":              all + ",pu 09:00-18:00",
		"Mo-Su 09:00-18:00; PH off":         all + " 09:00-18:00; pu closed",
		"Mo-Su 09:00-18:00; Tu 10:00-12:00": "mo,we,th,fr,sa,su 09:00-18:00; tu 10:00-12:00",
		"Fr 18:00-02:00":                    "fr 18:00-02:00",
		"Fr 18:00-26:00":                    "fr 18:00-02:00",
		"Fr 18:00-24:00 open":               "fr 18:00-24:00",
		"Mo closed":                         "mo closed",
		"24/7; PH off":                      all + " 00:00-24:00; pu closed",
		// Nights that no later rule puts an end to.
		"Mo-Su 20:00-02:00":                             all + " 20:00-02:00",
		"Mo-Sa 18:00-02:00":                             "mo,tu,we,th,fr,sa 18:00-02:00",
		"Mo-Su,PH 20:00-02:00":                          all + ",pu 20:00-02:00",
		"Sa 10:00-12:00; Mo-Fr 20:00-02:00":             "mo,tu,we,th,fr 20:00-02:00; sa 10:00-12:00",
		"Mo 10:00-12:00; Tu off; Su 20:00-02:00":        "mo 10:00-12:00; tu closed; su 20:00-02:00",
		"Mo-Fr 20:00-02:00; Su 10:00-12:00":             "mo,tu,we,th,fr 20:00-02:00; su 10:00-12:00",
		"Mo-Fr 20:00-00:00; Sa 10:00-12:00; PH off":     "mo,tu,we,th,fr 20:00-00:00; sa 10:00-12:00; pu closed",
		"Mo-Fr 20:00-24:00,00:00-02:00; PH off":         "mo,tu,we,th,fr 20:00-24:00; mo,tu,we,th,fr 00:00-02:00; pu closed",
		"Mo-Su 09:00-18:00; PH 20:00-02:00":             all + " 09:00-18:00; pu 20:00-02:00",
		"Mo-Fr 20:00-02:00; Sa 01:00-02:00,00:00-01:00": "mo,tu,we,th,fr 20:00-02:00; sa 01:00-02:00; sa 00:00-01:00",
		"Mo-Su 00:00-02:00,20:00-02:00; PH 00:00-02:00": all + ",pu 00:00-02:00; " + all + " 20:00-02:00",
		"Mo-Su 22:00-06:00; 24/7":                       all + " 00:00-24:00",
		// What comes after PH counts on holidays too.
		"PH off; Mo-Su 09:00-18:00":                    all + " 09:00-18:00",
		"PH off; 24/7":                                 all + " 00:00-24:00",
		"PH off; Mo-Fr 09:00-18:00; Sa,Su 10:00-12:00": "mo,tu,we,th,fr 09:00-18:00; sa,su 10:00-12:00",
		"Mo-Fr 09:00-18:00; PH off; Sa,Su off":         "mo,tu,we,th,fr 09:00-18:00; sa,su,pu closed",
		"Mo-Fr,PH 09:00-18:00; Sa 09:00-18:00":         "mo,tu,we,th,fr,sa,pu 09:00-18:00",
		"PH off; Mo-Fr 09:00-18:00; PH,Su 10:00-12:00": "mo,tu,we,th,fr 09:00-18:00; su,pu 10:00-12:00",
		"PH off; Mo-Su 09:00-18:00; Mo 08:00-18:00":    "mo 08:00-18:00; tu,we,th,fr,sa,su 09:00-18:00",
	} {
		got, err := ParseOSM(text)
		if err != nil || describe(got) != want {
			t.Errorf("%q: %q, %v, want %q", text, describe(got), err, want)
		}
	}
	const cut = ", after a rule whose hours go on past midnight"
	for text, at := range map[string]string{
		"":                                  `the end at byte 0`,
		"Mo":                                `the end at byte 2`,
		"Mo-":                               `the end at byte 3`,
		"Mo-Fr 9-18":                        `"9-18" at byte 6`,
		"Mo-Fr 09:00-18:00+":                `"+" at byte 17`,
		"Mo-Fr 09:00+":                      `"+" at byte 11`,
		"Jan-Mar Mo 09:00-18:00":            `"Jan-Mar" at byte 0`,
		"Mo-Fr 09:00-18:00 \"by call\"":     `"\"by" at byte 18`,
		"SH off":                            `"SH" at byte 0`,
		"week 1-10 Mo off":                  `"week" at byte 0`,
		"Mo sunrise-sunset":                 `"sunrise-sunset" at byte 3`,
		"Mo 09:00-18:00 || Tu off":          `"||" at byte 15`,
		"Mo 09:00-09:00":                    `"09:00" at byte 9`,
		"Mo 00:00-00:00":                    `"00:00" at byte 9`,
		"Mo 24:00-25:00":                    `"24:00-25:00" at byte 3`,
		"Mo 09:00-33:01":                    `"33:01" at byte 9`,
		"Mo 09:60-18:00":                    `"09:60-18:00" at byte 3`,
		"Mo[1] 09:00-18:00":                 `"[1]" at byte 2`,
		"Mo-PH off":                         `"PH" at byte 3`,
		"Mo 09:00-12:00, Tu 09:00-12:00":    `"Tu" at byte 16`,
		"Mo off; ; Tu off":                  `";" at byte 8`,
		"mo 09:00-12:00":                    `"mo" at byte 0`,
		"Mo-Sa,PH 09:00-18:00; Su off":      `"Su" at byte 22, after a rule for PH`,
		"PH off; Su off; Mo-Fr 09:00-18:00": `"Mo-Fr" at byte 16, after a rule for PH`,
		"Mo-Fr 09:00-18:00; PH 12:00-13:00; Sa 09:00-14:00":      `"Sa" at byte 35, after a rule for PH`,
		"Mo-Su 20:00-02:00; PH off":                              `"PH" at byte 19` + cut,
		"Mo-Sa 20:00-03:00; Su off":                              `"Su" at byte 19` + cut,
		"Mo-Fr 20:00-02:00; Sa 10:00-12:00":                      `"Sa" at byte 19` + cut,
		"Mo-Fr 20:00-26:00; Sa 10:00-12:00":                      `"Sa" at byte 19` + cut,
		"Mo-Su 22:00-06:00; We 20:00-23:00":                      `"We" at byte 19` + cut,
		"Su-Th 18:00-01:00; Fr,Sa 18:00-03:00":                   `"Fr" at byte 19` + cut,
		"Su 20:00-02:00; Mo 10:00-12:00":                         `"Mo" at byte 16` + cut, // over the week's end
		"Su 20:00-02:00; Tu off; Mo 10:00-12:00; Mo off":         `"Mo" at byte 24` + cut,
		"20:00-02:00; Mo off":                                    `"Mo" at byte 13` + cut,
		"Mo 10:00-12:00,20:00-02:00,13:00-14:00; Tu 00:00-01:59": `"Tu" at byte 40` + cut,
		"Mo 20:00-02:00; Tu 00:00-01:00,01:01-02:00":             `"Tu" at byte 16` + cut,
		"Fr 20:00-02:00; Fr off":                                 `"Fr" at byte 16` + cut, // whose night Saturday's is then, nobody says
		"Fr 20:00-02:00; Sa 00:00-02:00; PH off":                 `"PH" at byte 32` + cut,
		// A holiday that is open until two by itself has no night, and the day after it none that goes on.
		"Mo-Su 20:00-02:00; PH 00:00-02:00,18:00-02:00":                        `"PH" at byte 19` + cut,
		"PH 20:00-02:00; Mo-Su 20:00-23:00":                                    `"Mo-Su" at byte 16` + cut,
		"Mo-Su 22:00-06:00; 24/7 off":                                          `"24/7" at byte 19` + cut,
		"Mo 20:00-02:00; 24/7; We 20:00-02:00; Th 00:00-01:00; Fr 08:00-10:00": `"Th" at byte 38` + cut,
	} {
		_, err := ParseOSM(text)
		var e *Error
		if !errors.As(err, &e) || e.Value != at || e.Field != "opening_hours" {
			t.Errorf("%q: %v, want %s", text, err, at)
		}
	}
}

func FuzzParseOSM(f *testing.F) {
	for _, text := range []string{"Mo-Fr 09:00-12:00,14:00-18:00; Sa 10:00-16:00; PH off", "24/7", "Fr 18:00-26:00", "Sa-Mo off;",
		"Mo-Fr 20:00-02:00; Sa 00:00-02:00,10:00-12:00", "Mo-Sa 20:00-03:00; Su off", "Su,PH 22:00-06:00; 24/7"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		regular, err := ParseOSM(text)
		if err != nil {
			return
		}
		c, err := (&Schedule{Zone: "Europe/Paris", Country: "FR", Regular: regular}).Compile()
		if err != nil {
			t.Fatalf("%q is read as %q, which is refused: %v", text, describe(regular), err)
		}
		if s := c.At(time.Unix(1_780_000_000, 0)); s.State == Unknown {
			t.Fatalf("%q: %+v", text, s)
		}
	})
}
