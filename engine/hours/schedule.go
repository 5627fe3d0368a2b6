// Package hours tells when a location is open: from its regular hours, its special days and the public holidays of its
// country, in its own time zone.
//
// The rules are those of schema.org's OpeningHoursSpecification and specialOpeningHoursSpecification. Whatever is not
// known is unknown, never open.
package hours

import (
	"encoding"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Schedule is what a location says of its hours. The names are those under which it is written as JSON.
//
// A date's hours are those of the special days that name it; else, on a public holiday, those of the regular hours that
// name public_holiday, if any do; else those of its weekday. A weekday that no regular hours name is closed, but where there
// are no regular hours at all, the hours of every day are unknown.
type Schedule struct {
	Zone    string    `json:"time_zone,omitempty"`       // IANA name; needed where there are hours
	Country string    `json:"holiday_country,omitempty"` // ISO 3166-1 alpha-2: whose public holidays count
	Region  string    `json:"holiday_region,omitempty"`  // second part of ISO 3166-2, where the country's holidays depend on it
	Regular []Regular `json:"opening_hours,omitempty"`
	Special []Special `json:"special_days,omitempty"`
}

// Limits of a schedule.
const (
	RegularMax = 100 // entries
	SpecialMax = 400 // entries
	NameMax    = 100 // bytes of the name of a special day
)

// Interval is the hours of a day: from Opens until Closes, or Closed, or Unknown; exactly one of the three. Several
// intervals of one day add up. One that closes at or before it opens ends on the next day; 00:00 to 24:00 is round the
// clock. It belongs to the date on which it begins, whatever is said of the next one.
type Interval struct {
	Opens   *Minute `json:"opens,omitzero"`
	Closes  *Minute `json:"closes,omitzero"`
	Closed  bool    `json:"closed,omitzero"`
	Unknown bool    `json:"unknown,omitzero"`
}

// Regular are hours of each week.
type Regular struct {
	Days     []Day `json:"days"`
	Interval `json:",inline"`
}

// Special are hours of a date or a range of dates, of one year or of each. Where several name a date, those of one year go
// before those of each, then the shorter range before the longer, then the later entry before the earlier.
type Special struct {
	From     Date   `json:"from"`
	Through  Date   `json:"through,omitzero"` // the last date; zero = From
	Name     string `json:"name,omitempty"`   // such as Christmas
	Interval `json:",inline"`
}

// Dates returns the first and last date of each time that s comes in some years or goes on into the first of them, just one
// where it is of one year. The 29th of February is there in leap years only; a range that begins or ends on it is then shorter
// by a day.
func (s *Special) Dates(firstYear, lastYear int) (out [][2]Date) {
	if s.From.Year != 0 {
		return [][2]Date{{s.From, s.last()}}
	}
	wraps := s.last().number() < s.From.number()
	if wraps {
		firstYear-- // it may have begun the year before
	}
	for year := firstYear; year <= lastYear; year++ {
		from, through := s.From, s.last()
		if from.Year, through.Year = year, year; wraps {
			through.Year++
		}
		if from.Month == time.February && from.Day == 29 && !leap(from.Year) {
			from.Month, from.Day = time.March, 1
		}
		if through.Month == time.February && through.Day == 29 && !leap(through.Year) {
			through.Day = 28
		}
		if from.number() <= through.number() {
			out = append(out, [2]Date{from, through})
		}
	}
	return out
}

func leap(year int) bool { return time.Date(year, time.February, 29, 0, 0, 0, 0, time.UTC).Day() == 29 }

// Error says what is wrong with a schedule.
type Error struct {
	Field string // path of the field, such as opening_hours[2].closes
	Value string // what it held
	Want  string // what is allowed
}

func (e *Error) Error() string { return fmt.Sprintf("%s is %s, want %s", e.Field, e.Value, e.Want) }

// Day is a day of the week, or any public holiday.
type Day uint8

// The days, in the order of ISO 8601.
const (
	Monday Day = iota
	Tuesday
	Wednesday
	Thursday
	Friday
	Saturday
	Sunday
	PublicHoliday
	days
)

var dayNames = [days]string{"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "public_holiday"}

const dayWant = "monday, tuesday, wednesday, thursday, friday, saturday, sunday or public_holiday"

// String returns the day as it is written as JSON.
func (d Day) String() string {
	if d >= days {
		return "unknown"
	}
	return dayNames[d]
}

// MarshalText implements encoding.TextMarshaler.
func (d Day) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Day) UnmarshalText(text []byte) error {
	for i, name := range dayNames {
		if name == string(text) {
			*d = Day(i)
			return nil
		}
	}
	return &Error{"days", quote(string(text)), dayWant}
}

// Minute is a time of day in minutes since midnight, by the clock on the wall: 0 to 1440. It is written as HH:MM.
type Minute int16

const (
	dayMinutes = 24 * 60
	minuteWant = "HH:MM from 00:00 to 24:00"
)

// MarshalText implements encoding.TextMarshaler.
func (m Minute) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%02d:%02d", m/60, m%60), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *Minute) UnmarshalText(text []byte) error {
	v, ok := parseMinute(string(text), dayMinutes)
	if !ok || len(text) != 5 {
		return &Error{"time of day", quote(string(text)), minuteWant}
	}
	*m = Minute(v)
	return nil
}

// parseMinute reads H:MM or HH:MM up to a largest time.
func parseMinute(text string, most int) (minutes int, ok bool) {
	h, m, found := strings.Cut(text, ":")
	if !found || len(h) < 1 || len(h) > 2 || len(m) != 2 || !digits(h) || !digits(m) {
		return 0, false
	}
	hour, _ := strconv.Atoi(h)
	minute, _ := strconv.Atoi(m)
	return hour*60 + minute, minute < 60 && hour*60+minute <= most
}

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// Date is a day of the calendar, of one year or (Year 0) of each. It is written as 2026-12-24 or --12-24 (ISO 8601; the
// latter as in xsd:gMonthDay).
type Date struct {
	Year  int // 1970 to 2200; 0 = each
	Month time.Month
	Day   int
}

const dateWant = "a date such as 2026-12-24, or --12-24 for every year"

// IsZero reports whether d is none.
func (d Date) IsZero() bool { return d == Date{} }

// String returns the date as it is written as JSON.
func (d Date) String() string {
	if d.Year == 0 {
		return fmt.Sprintf("--%02d-%02d", int(d.Month), d.Day)
	}
	return fmt.Sprintf("%04d-%02d-%02d", d.Year, int(d.Month), d.Day)
}

// MarshalText implements encoding.TextMarshaler.
func (d Date) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Date) UnmarshalText(text []byte) error {
	s, layout := string(text), "2006-01-02"
	yearly := strings.HasPrefix(s, "--")
	if yearly {
		s = "2000" + s[1:] // a leap year: --02-29 is a date
	}
	t, err := time.Parse(layout, s)
	if err != nil || t.Year() < 1970 || t.Year() > 2200 {
		return &Error{"date", quote(string(text)), dateWant}
	}
	*d = Date{t.Year(), t.Month(), t.Day()}
	if yearly {
		d.Year = 0
	}
	return nil
}

// number returns a date of one year as days since 1970-01-01, and one of each year as a number that grows with it.
func (d Date) number() int {
	if d.Year == 0 {
		return int(d.Month)*32 + d.Day
	}
	return int(time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC).Unix() / 86400)
}

// ofYear returns the day's place in a leap year.
func (d Date) ofYear() int { return time.Date(2000, d.Month, d.Day, 0, 0, 0, 0, time.UTC).YearDay() }

var (
	_ encoding.TextMarshaler   = Day(0)
	_ encoding.TextUnmarshaler = (*Day)(nil)
	_ encoding.TextMarshaler   = Minute(0)
	_ encoding.TextUnmarshaler = (*Minute)(nil)
	_ encoding.TextMarshaler   = Date{}
	_ encoding.TextUnmarshaler = (*Date)(nil)
)

// quote quotes what a caller gave, cut where it is long.
func quote(s string) string {
	if len(s) > 80 {
		s = s[:77] + "..."
	}
	return strconv.Quote(s)
}
