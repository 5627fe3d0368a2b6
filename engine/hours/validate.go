package hours

import (
	"fmt"
	"slices"
	"unicode/utf8"
)

// Validate returns an Error where a schedule says what can't be.
func (s *Schedule) Validate() error {
	if s.Zone != "" {
		if _, err := loadZone(s.Zone); err != nil {
			return &Error{"time_zone", quote(s.Zone), "the name of a time zone in the IANA data base, such as Europe/Paris"}
		}
	} else if len(s.Regular)+len(s.Special) > 0 {
		return &Error{"time_zone", "missing", "the IANA time zone that the hours are in, such as Europe/Paris"}
	}
	if _, err := holidaysOf(s.Country, s.Region); err != nil {
		return err
	}
	if n := len(s.Regular); n > RegularMax {
		return &Error{"opening_hours", fmt.Sprintf("%d entries", n), fmt.Sprintf("at most %d", RegularMax)}
	}
	if n := len(s.Special); n > SpecialMax {
		return &Error{"special_days", fmt.Sprintf("%d entries", n), fmt.Sprintf("at most %d", SpecialMax)}
	}
	var said [days][3]bool
	for i := range s.Regular {
		if err := s.Regular[i].validate(fmt.Sprintf("opening_hours[%d]", i), s.Country, &said); err != nil {
			return err
		}
	}
	for i := range s.Special {
		if err := s.Special[i].validate(fmt.Sprintf("special_days[%d]", i), s.Special[:i]); err != nil {
			return err
		}
	}
	return nil
}

func (r *Regular) validate(field, country string, said *[days][3]bool) error {
	if len(r.Days) == 0 {
		return &Error{field + ".days", "empty", dayWant}
	}
	kind, err := r.Interval.validate(field)
	if err != nil {
		return err
	}
	for j, d := range r.Days {
		switch {
		case d >= days:
			return &Error{fmt.Sprintf("%s.days[%d]", field, j), fmt.Sprint(uint8(d)), dayWant}
		case slices.Contains(r.Days[:j], d):
			return &Error{fmt.Sprintf("%s.days[%d]", field, j), d.String(), "each day once"}
		case d == PublicHoliday && country == "":
			return &Error{field + ".days", d.String(), "holiday_country to be given, which says when those are"}
		}
		said[d][kind] = true
		if count(said[d]) > 1 {
			return &Error{field, d.String() + " in two ways", "a day to have hours, or to be closed, or to be unknown"}
		}
	}
	return nil
}

func count(said [3]bool) (n int) {
	for _, s := range said {
		if s {
			n++
		}
	}
	return n
}

// kinds of intervals
const (
	kindHours = iota
	kindClosed
	kindUnknown
)

func (v *Interval) validate(field string) (kind int, err error) {
	given := v.Opens != nil || v.Closes != nil
	switch {
	case given && (v.Closed || v.Unknown) || v.Closed && v.Unknown:
		return 0, &Error{field, "hours, closed and unknown at once", "one of opens with closes, closed, and unknown"}
	case v.Closed:
		return kindClosed, nil
	case v.Unknown:
		return kindUnknown, nil
	case v.Opens == nil:
		return 0, &Error{field + ".opens", "missing", minuteWant + `, or "closed": true`}
	case v.Closes == nil:
		return 0, &Error{field + ".closes", "missing", minuteWant}
	}
	opens, closes := *v.Opens, *v.Closes
	if opens < 0 || opens >= dayMinutes {
		return 0, &Error{field + ".opens", fmt.Sprintf("%02d:%02d", opens/60, opens%60), "HH:MM from 00:00 to 23:59"}
	}
	if closes < 0 || closes > dayMinutes {
		return 0, &Error{field + ".closes", fmt.Sprintf("%02d:%02d", closes/60, closes%60), minuteWant}
	}
	if opens == closes {
		return 0, &Error{field + ".closes", "the time at which it opens", `another: round the clock is 00:00 to 24:00, and closed all day is "closed": true`}
	}
	return kindHours, nil
}

func (s *Special) validate(field string, before []Special) error {
	kind, err := s.Interval.validate(field)
	if err != nil {
		return err
	}
	if len(s.Name) > NameMax || !utf8.ValidString(s.Name) {
		return &Error{field + ".name", quote(s.Name), fmt.Sprintf("at most %d bytes of UTF-8", NameMax)}
	}
	if s.From.IsZero() {
		return &Error{field + ".from", "missing", dateWant}
	}
	if !s.Through.IsZero() {
		if (s.Through.Year == 0) != (s.From.Year == 0) {
			return &Error{field + ".through", s.Through.String(), "a date of the same form as from: of one year, or of each"}
		}
		if s.From.Year != 0 && s.Through.number() < s.From.number() {
			return &Error{field + ".through", s.Through.String(), "the day of from, or a later one"}
		}
	}
	for i := range before {
		if b := &before[i]; b.From == s.From && b.last() == s.last() {
			if other, _ := b.Interval.validate(""); other != kind {
				return &Error{field, s.From.String() + " in two ways", "a day to have hours, or to be closed, or to be unknown"}
			}
		}
	}
	return nil
}

func (s *Special) last() Date {
	if s.Through.IsZero() {
		return s.From
	}
	return s.Through
}
