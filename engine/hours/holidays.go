package hours

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rickar/cal/v2"
	"github.com/rickar/cal/v2/aa"
	"github.com/rickar/cal/v2/at"
	"github.com/rickar/cal/v2/au"
	"github.com/rickar/cal/v2/be"
	"github.com/rickar/cal/v2/bg"
	"github.com/rickar/cal/v2/br"
	"github.com/rickar/cal/v2/ca"
	"github.com/rickar/cal/v2/cz"
	"github.com/rickar/cal/v2/de"
	"github.com/rickar/cal/v2/dk"
	"github.com/rickar/cal/v2/es"
	"github.com/rickar/cal/v2/fr"
	"github.com/rickar/cal/v2/gb"
	"github.com/rickar/cal/v2/gr"
	"github.com/rickar/cal/v2/hr"
	"github.com/rickar/cal/v2/ie"
	"github.com/rickar/cal/v2/it"
	"github.com/rickar/cal/v2/jp"
	"github.com/rickar/cal/v2/lt"
	"github.com/rickar/cal/v2/lv"
	"github.com/rickar/cal/v2/mw"
	"github.com/rickar/cal/v2/nc"
	"github.com/rickar/cal/v2/nl"
	"github.com/rickar/cal/v2/no"
	"github.com/rickar/cal/v2/nz"
	"github.com/rickar/cal/v2/pl"
	"github.com/rickar/cal/v2/ro"
	"github.com/rickar/cal/v2/ru"
	"github.com/rickar/cal/v2/se"
	"github.com/rickar/cal/v2/si"
	"github.com/rickar/cal/v2/sk"
	"github.com/rickar/cal/v2/ua"
	"github.com/rickar/cal/v2/us"
	"github.com/rickar/cal/v2/za"
)

// holidayLists are the public holidays that github.com/rickar/cal knows, by country, or by country and region where it tells
// them apart. Where each region has its own, as in Australia, the country by itself has none. Switzerland is left out: what
// the library has of its cantons is not what they observe (Geneva without the Jeûne genevois, and with Corpus Christi). So is
// Argentina: there it has Good Friday on the Thursday, and moves none of those that are moved. What it lacks elsewhere is
// in holidaysLacking.
var holidayLists = map[string][]*cal.Holiday{
	"AT": at.Holidays, "BE": be.Holidays, "BG": bg.Holidays, "BR": br.Holidays, "CA": ca.Holidays,
	"CZ": cz.Holidays, "DE": de.Holidays, "DK": dk.Holidays, "ES": es.Holidays, "FR": fr.Holidays, "GB": gb.Holidays,
	"GR": gr.Holidays, "HR": hr.Holidays, "IE": ie.Holidays, "IT": it.Holidays, "JP": jp.Holidays, "LT": lt.Holidays,
	"LV": lv.Holidays, "MW": mw.Holidays, "NC": nc.Holidays, "NL": nl.Holidays, "NO": no.Holidays, "NZ": nz.Holidays,
	"PL": pl.Holidays, "RO": ro.Holidays, "RU": ru.Holidays, "SE": se.Holidays, "SI": si.Holidays, "SK": sk.Holidays,
	"UA": ukraine, "US": us.Holidays, "ZA": za.Holidays,

	"AU-ACT": au.HolidaysACT, "AU-NSW": au.HolidaysNSW, "AU-NT": au.HolidaysNT, "AU-QLD": au.HolidaysQLD,
	"AU-SA": au.HolidaysSA, "AU-TAS": au.HolidaysTAS, "AU-VIC": au.HolidaysVIC, "AU-WA": au.HolidaysWA,

	"DE-BB": de.HolidaysBB, "DE-BE": de.HolidaysBE, "DE-BW": de.HolidaysBW, "DE-BY": de.HolidaysBY, "DE-HB": de.HolidaysHB,
	"DE-HE": de.HolidaysHE, "DE-HH": de.HolidaysHH, "DE-MV": de.HolidaysMV, "DE-NI": de.HolidaysNI, "DE-NW": de.HolidaysNW,
	"DE-RP": de.HolidaysRP, "DE-SH": de.HolidaysSH, "DE-SL": de.HolidaysSL, "DE-SN": de.HolidaysSN, "DE-ST": de.HolidaysST,
	"DE-TH": de.HolidaysTH,
}

// What the library is made for is working days, so it leaves out holidays that are Sundays always; shops are closed on those
// too. And some are newer than it is. Found by comparing with the npm package date-holidays, 2026 to 2028.
var (
	easter            = aa.Easter
	pentecost         = aa.Pentecost
	orthodoxEaster    = &cal.Holiday{Name: "Orthodox Easter", Julian: true, Func: cal.CalcEasterOffset}
	orthodoxPentecost = &cal.Holiday{Name: "Orthodox Pentecost", Julian: true, Offset: 49, Func: cal.CalcEasterOffset}

	holidaysLacking = map[string][]*cal.Holiday{
		"AU-WA": {easter},
		"BG":    {orthodoxEaster},
		"BR":    {since(2024, time.November, 20, "Dia da Consciência Negra")},
		"DK":    {easter, pentecost},
		"GR":    {orthodoxEaster, orthodoxPentecost},
		"IT":    {easter, since(2026, time.October, 4, "San Francesco")},
		"LT":    {easter},
		"NL":    {easter, pentecost},
		"NO":    {easter, pentecost},
		"NZ":    {{Name: "Matariki", StartYear: 2022, Func: matariki}},
		"PL":    {easter, pentecost, since(2025, time.December, 24, "Wigilia")},
		"RO":    {since(2024, time.January, 6, "Bobotează"), since(2024, time.January, 7, "Sfântul Ioan")},
		"SE":    {easter, pentecost},
	}
)

// ukraine is what the library has, put right: by the laws 3009-IX and 3107-IX of 2023 Christmas is on the 25th of December
// only, and other days have moved. A holiday on a weekend is observed on the Monday after it. Under martial law neither is a day
// off, but that is no property of a date.
var ukraine = []*cal.Holiday{
	ua.NewYear, ua.OrthodoxChristmas.Clone(&cal.Holiday{EndYear: 2023}), ua.WomensDay,
	orthodoxEaster, ua.OrthodoxEasterMonday, ua.LabourDay, ua.LabourDay2,
	ua.VictoryDay.Clone(&cal.Holiday{EndYear: 2023}), inUkraine(2024, 0, time.May, 8, "День пам'яті та перемоги"),
	orthodoxPentecost, {Name: "Трійця", Julian: true, Offset: 50, Func: cal.CalcEasterOffset},
	ua.ConstitutionDay,
	inUkraine(2022, 2023, time.July, 28, "День Української Державності"), inUkraine(2024, 0, time.July, 15, "День Української Державності"),
	ua.IndependenceDay,
	ua.DefenderOfUkraineDay.Clone(&cal.Holiday{EndYear: 2022}), inUkraine(2023, 0, time.October, 1, "День захисників і захисниць України"),
	ua.CatholicChristmas.Clone(&cal.Holiday{Observed: ua.NewYear.Observed}),
}

// inUkraine returns a holiday of some years, the last 0 for all that come, observed as others are there.
func inUkraine(first, last int, month time.Month, day int, name string) *cal.Holiday {
	h := since(first, month, day, name)
	h.EndYear, h.Observed = last, ua.NewYear.Observed
	return h
}

// since returns a holiday that is on one date from a year on.
func since(year int, month time.Month, day int, name string) *cal.Holiday {
	return &cal.Holiday{Name: name, StartYear: year, Month: month, Day: day, Func: cal.CalcDayOfMonth}
}

// matarikiDates are those of Te Kāhui o Matariki Public Holiday Act 2022, schedule 1, from 2022 to 2052, as month and day.
// They follow the moon.
var matarikiDates = [...]int{
	624, 714, 628, 620, 710, 625, 714, 706, 621, 711, // 2022
	702, 624, 707, 629, 718, 710, 625, 715, 706, 719, // 2032
	711, 703, 624, 707, 629, 719, 703, 625, 715, 630, // 2042
	621, // 2052
}

func matariki(_ *cal.Holiday, year int) time.Time {
	if i := year - 2022; i >= 0 && i < len(matarikiDates) {
		return time.Date(year, time.Month(matarikiDates[i]/100), matarikiDates[i]%100, 0, 0, 0, 0, cal.DefaultLoc)
	}
	return time.Time{}
}

// The library makes dates midnights of the machine's own time zone, some of which there are not.
func init() { cal.DefaultLoc = time.UTC }

// holidays are the public holidays of a country or region, worked out year by year.
type holidays struct {
	list  []*cal.Holiday
	years sync.Map // int → map[int]bool, by days since 1970
}

var (
	holidaysMu    sync.Mutex
	holidaysKnown = map[string]*holidays{}
)

// holidaysOf returns the holidays of a country and region, nil for none.
func holidaysOf(country, region string) (*holidays, error) {
	if country == "" {
		if region != "" {
			return nil, &Error{"holiday_region", quote(region), "holiday_country beside it"}
		}
		return nil, nil
	}
	name := country
	if region != "" {
		name += "-" + region
	}
	list, known := holidayLists[name]
	if !known {
		return nil, unknownHolidays(country, region)
	}
	holidaysMu.Lock()
	defer holidaysMu.Unlock()
	h := holidaysKnown[name]
	if h == nil {
		h = &holidays{list: slices.Concat(list, holidaysLacking[name])}
		holidaysKnown[name] = h
	}
	return h, nil
}

func unknownHolidays(country, region string) error {
	var countries, regions []string
	for name := range maps.Keys(holidayLists) {
		c, r, _ := strings.Cut(name, "-")
		countries = append(countries, c)
		if c == country && r != "" {
			regions = append(regions, r)
		}
	}
	slices.Sort(countries)
	slices.Sort(regions)
	countries = slices.Compact(countries)
	switch {
	case !slices.Contains(countries, country):
		return &Error{"holiday_country", quote(country), "a country whose holidays are known: " + strings.Join(countries, ", ")}
	case region == "":
		return &Error{"holiday_region", "missing", "one of " + strings.Join(regions, ", ")}
	case len(regions) == 0:
		return &Error{"holiday_region", quote(region), "none: only the holidays of all of " + country + " are known"}
	}
	return &Error{"holiday_region", quote(region), "one of " + strings.Join(regions, ", ")}
}

// on reports whether a day since 1970 is a public holiday: the day itself, and the one on which it is observed where it falls
// on a weekend and the country moves it.
func (h *holidays) on(day int) bool {
	if h == nil {
		return false
	}
	year := time.Unix(int64(day)*86400, 0).UTC().Year()
	known, ok := h.years.Load(year)
	if !ok {
		dates := map[int]bool{}
		// The first of January may be observed on the last of December.
		for y := year - 1; y <= year+1; y++ {
			for _, holiday := range h.list {
				actual, observed := holiday.Calc(y)
				for _, t := range []time.Time{actual, observed} {
					if !t.IsZero() && t.Year() == year {
						dates[Date{t.Year(), t.Month(), t.Day()}.number()] = true
					}
				}
			}
		}
		known, _ = h.years.LoadOrStore(year, dates)
	}
	return known.(map[int]bool)[day]
}
