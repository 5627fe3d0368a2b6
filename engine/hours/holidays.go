package hours

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rickar/cal/v2"
	"github.com/rickar/cal/v2/ar"
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
// the library has of its cantons is not what they observe (Geneva without the Jeûne genevois, and with Corpus Christi).
var holidayLists = map[string][]*cal.Holiday{
	"AR": ar.Holidays, "AT": at.Holidays, "BE": be.Holidays, "BG": bg.Holidays, "BR": br.Holidays, "CA": ca.Holidays,
	"CZ": cz.Holidays, "DE": de.Holidays, "DK": dk.Holidays, "ES": es.Holidays, "FR": fr.Holidays, "GB": gb.Holidays,
	"GR": gr.Holidays, "HR": hr.Holidays, "IE": ie.Holidays, "IT": it.Holidays, "JP": jp.Holidays, "LT": lt.Holidays,
	"LV": lv.Holidays, "MW": mw.Holidays, "NC": nc.Holidays, "NL": nl.Holidays, "NO": no.Holidays, "NZ": nz.Holidays,
	"PL": pl.Holidays, "RO": ro.Holidays, "RU": ru.Holidays, "SE": se.Holidays, "SI": si.Holidays, "SK": sk.Holidays,
	"UA": ua.Holidays, "US": us.Holidays, "ZA": za.Holidays,

	"AU-ACT": au.HolidaysACT, "AU-NSW": au.HolidaysNSW, "AU-NT": au.HolidaysNT, "AU-QLD": au.HolidaysQLD,
	"AU-SA": au.HolidaysSA, "AU-TAS": au.HolidaysTAS, "AU-VIC": au.HolidaysVIC, "AU-WA": au.HolidaysWA,

	"DE-BB": de.HolidaysBB, "DE-BE": de.HolidaysBE, "DE-BW": de.HolidaysBW, "DE-BY": de.HolidaysBY, "DE-HB": de.HolidaysHB,
	"DE-HE": de.HolidaysHE, "DE-HH": de.HolidaysHH, "DE-MV": de.HolidaysMV, "DE-NI": de.HolidaysNI, "DE-NW": de.HolidaysNW,
	"DE-RP": de.HolidaysRP, "DE-SH": de.HolidaysSH, "DE-SL": de.HolidaysSL, "DE-SN": de.HolidaysSN, "DE-ST": de.HolidaysST,
	"DE-TH": de.HolidaysTH,
}

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
		h = &holidays{list: list}
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
