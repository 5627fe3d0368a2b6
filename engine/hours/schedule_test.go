package hours

import (
	stdjson "encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"pgregory.net/rapid"
)

// TestJSON writes schedules and reads them back, with both of the JSON packages that the program uses.
func TestJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSchedule(t)
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var back, again Schedule
		if err := json.Unmarshal(text, &back, json.RejectUnknownMembers(true)); err != nil || !reflect.DeepEqual(&back, s) {
			t.Fatalf("%s: %+v, %v, want %+v", text, back, err, s)
		}
		if err := stdjson.Unmarshal(text, &again); err != nil || len(again.Regular) != len(s.Regular) {
			t.Fatalf("%s: %+v, %v", text, again, err)
		}
	})
}

func TestWhatIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		`{"time_zone":"Europe/Lutetia"}`:                                           `time_zone is "Europe/Lutetia"`,
		`{"time_zone":"Local"}`:                                                    `time_zone is "Local"`,
		`{"time_zone":"localtime"}`:                                                `time_zone is "localtime"`,
		`{"time_zone":"posixrules"}`:                                               `time_zone is "posixrules"`,
		`{"time_zone":"posix/Europe/Paris"}`:                                       `time_zone is "posix/Europe/Paris"`,
		`{"time_zone":"right/Europe/Paris"}`:                                       `time_zone is "right/Europe/Paris"`,
		`{"opening_hours":[{"days":["monday"],"closed":true}]}`:                    `time_zone is missing`,
		`{"holiday_country":"XX"}`:                                                 `holiday_country is "XX", want a country whose holidays are known: AT, AU, BE`,
		`{"holiday_country":"DE","holiday_region":"XX"}`:                           `holiday_region is "XX", want one of BB, BE, BW`,
		`{"holiday_country":"FR","holiday_region":"75"}`:                           `holiday_region is "75", want none`,
		`{"holiday_country":"AU"}`:                                                 `holiday_region is missing, want one of ACT`,
		`{"holiday_region":"BY"}`:                                                  `holiday_region is "BY", want holiday_country`,
		`{"opening_hours":[{"days":[],"closed":true}]}`:                            `opening_hours[0].days is empty`,
		`{"opening_hours":[{"days":["friday","friday"],"closed":true}]}`:           `opening_hours[0].days[1] is friday, want each day once`,
		`{"opening_hours":[{"days":["public_holiday"],"closed":true}]}`:            `opening_hours[0].days is public_holiday, want holiday_country`,
		`{"opening_hours":[{"days":["friday"]}]}`:                                  `opening_hours[0].opens is missing`,
		`{"opening_hours":[{"days":["friday"],"opens":"10:00"}]}`:                  `opening_hours[0].closes is missing`,
		`{"opening_hours":[{"days":["friday"],"opens":"10:00","closes":"10:00"}]}`: `opening_hours[0].closes is the time at which it opens`,
		`{"opening_hours":[{"days":["friday"],"opens":"24:00","closes":"10:00"}]}`: `opening_hours[0].opens is 24:00`,
		`{"opening_hours":[{"days":["friday"],"closed":true,"unknown":true}]}`:     `opening_hours[0] is hours, closed and unknown at once`,
		`{"opening_hours":[{"days":["friday"],"closed":true},{"days":["monday","friday"],"opens":"10:00","closes":"11:00"}]}`: `opening_hours[1] is friday in two ways`,
		`{"special_days":[{"closed":true}]}`:                                                                        `special_days[0].from is missing`,
		`{"special_days":[{"from":"2026-12-24","through":"--12-25","closed":true}]}`:                                `special_days[0].through is --12-25`,
		`{"special_days":[{"from":"2026-12-24","through":"2026-12-23","closed":true}]}`:                             `special_days[0].through is 2026-12-23`,
		`{"special_days":[{"from":"--12-24","closed":true},{"from":"--12-24","through":"--12-24","unknown":true}]}`: `special_days[1] is --12-24 in two ways`,
	} {
		if !strings.Contains(text, "time_zone") && !strings.Contains(want, "time_zone") {
			text = `{"time_zone":"Europe/Paris",` + text[1:]
		}
		var s Schedule
		if err := json.Unmarshal([]byte(text), &s); err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var e *Error
		if err := s.Validate(); !errors.As(err, &e) || !strings.HasPrefix(e.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	for text, want := range map[string]string{
		`{"opening_hours":[{"days":["funday"]}]}`:                 `days is "funday"`,
		`{"opening_hours":[{"days":["friday"],"opens":"9:00"}]}`:  `time of day is "9:00"`,
		`{"opening_hours":[{"days":["friday"],"opens":"24:01"}]}`: `time of day is "24:01"`,
		`{"special_days":[{"from":"2026-02-30"}]}`:                `date is "2026-02-30"`,
		`{"special_days":[{"from":"--02-30"}]}`:                   `date is "--02-30"`,
		`{"special_days":[{"from":"12/24"}]}`:                     `date is "12/24"`,
		`{"special_days":[{"from":"0001-01-01"}]}`:                `date is "0001-01-01"`,
	} {
		var s Schedule
		var e *Error
		if err := json.Unmarshal([]byte(text), &s); !errors.As(err, &e) || !strings.HasPrefix(e.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func TestHolidays(t *testing.T) {
	for _, c := range []struct {
		country, region, date string
		want                  bool
	}{
		{"FR", "", "2026-05-14", true}, // Ascension
		{"FR", "", "2026-05-15", false},
		{"DE", "BY", "2026-11-01", true}, // All Saints
		{"DE", "HH", "2026-11-01", false},
		{"US", "", "2026-11-26", true},    // Thanksgiving
		{"US", "", "2026-07-04", true},    // a Saturday …
		{"US", "", "2026-07-03", true},    // … and the day it is observed
		{"US", "", "2021-12-31", true},    // New Year 2022, observed the year before
		{"AU", "VIC", "2026-11-03", true}, // Melbourne Cup
		{"AU", "NSW", "2026-11-03", false},
		{"IT", "", "2027-03-28", true}, // Easter Sunday
		{"AU", "WA", "2027-03-28", true},
		{"FR", "", "2027-03-28", false}, // none there
		{"NO", "", "2027-05-16", true},  // Pentecost
		{"GR", "", "2027-05-02", true},  // Easter, the Orthodox
		{"GR", "", "2027-06-20", true},
		{"GR", "", "2027-03-28", false},
		{"NZ", "", "2027-06-25", true}, // Matariki
		{"NZ", "", "2052-06-21", true},
		{"NZ", "", "2053-06-21", false},
		{"PL", "", "2024-12-24", false}, // a holiday since 2025
		{"PL", "", "2025-12-24", true},
		{"IT", "", "2025-10-04", false},
		{"IT", "", "2026-10-04", true},
		{"RO", "", "2027-01-07", true},
		{"BR", "", "2026-11-20", true},
		{"UA", "", "2023-01-07", true}, // Christmas, until it was moved
		{"UA", "", "2024-01-07", false},
		{"UA", "", "2027-01-07", false},
		{"UA", "", "2026-12-25", true},
		{"UA", "", "2027-12-27", true}, // observed
		{"UA", "", "2023-05-09", true},
		{"UA", "", "2026-05-09", false},
		{"UA", "", "2026-05-11", false}, // nor is it observed
		{"UA", "", "2026-05-08", true},
		{"UA", "", "2023-07-28", true},
		{"UA", "", "2024-07-28", false},
		{"UA", "", "2026-07-15", true},
		{"UA", "", "2022-10-14", true},
		{"UA", "", "2023-10-14", false},
		{"UA", "", "2026-10-14", false},
		{"UA", "", "2026-10-01", true},
		{"UA", "", "2026-04-12", true}, // Easter, and the day after
		{"UA", "", "2026-04-13", true},
		{"UA", "", "2026-06-01", true}, // after Pentecost
		{"UA", "", "2026-01-02", false},
	} {
		h, err := holidaysOf(c.country, c.region)
		if err != nil {
			t.Fatal(err)
		}
		if got := h.on(date(c.date).number()); got != c.want {
			t.Errorf("%s in %s %s: %v", c.date, c.country, c.region, got)
		}
	}
	if h, err := holidaysOf("", ""); h != nil || err != nil || h.on(0) {
		t.Error("holidays of nowhere")
	}
}

func FuzzSchedule(f *testing.F) {
	f.Add([]byte(`{"time_zone":"Europe/Paris","holiday_country":"FR","opening_hours":[{"days":["monday","public_holiday"],"opens":"18:00","closes":"02:00"}],"special_days":[{"from":"--12-24","through":"--01-02","closed":true,"name":"x"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var s Schedule
		if json.Unmarshal(text, &s, json.RejectUnknownMembers(true)) != nil {
			return
		}
		c, err := s.Compile()
		if err != nil {
			return
		}
		if at := date("2026-12-31").number(); c != nil {
			if got := c.At(c.instant(at, 1)); !got.Until.After(c.instant(at, 1)) {
				t.Fatalf("%s: %+v", text, got)
			}
		}
		back, err := json.Marshal(&s)
		if err != nil {
			t.Fatal(err)
		}
		var again Schedule
		if err := json.Unmarshal(back, &again); err != nil || again.Validate() != nil {
			t.Fatalf("%s is written as %s: %v", text, back, err)
		}
	})
}

func TestDatesOfSpecialDays(t *testing.T) {
	for _, c := range []struct{ from, through, want string }{
		{"2026-12-24", "", "[[2026-12-24 2026-12-24]]"},
		{"2020-01-01", "2200-12-31", "[[2020-01-01 2200-12-31]]"},
		{"--12-24", "", "[[2026-12-24 2026-12-24] [2027-12-24 2027-12-24]]"},
		{"--12-24", "--01-02", "[[2025-12-24 2026-01-02] [2026-12-24 2027-01-02] [2027-12-24 2028-01-02]]"},
		{"--02-29", "", "[]"},
		{"--02-01", "--02-29", "[[2026-02-01 2026-02-28] [2027-02-01 2027-02-28]]"},
		{"--02-29", "--03-02", "[[2026-03-01 2026-03-02] [2027-03-01 2027-03-02]]"},
	} {
		s := Special{From: date(c.from)}
		if c.through != "" {
			s.Through = date(c.through)
		}
		if got := fmt.Sprint(s.Dates(2026, 2027)); got != c.want {
			t.Errorf("%s to %s: %s, want %s", c.from, c.through, got, c.want)
		}
	}
	if got := fmt.Sprint((&Special{From: date("--02-29")}).Dates(2027, 2028)); got != "[[2028-02-29 2028-02-29]]" {
		t.Error(got)
	}
}
