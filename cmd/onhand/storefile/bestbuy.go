package storefile

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"regexp"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"

	"onhand/engine"
	"onhand/engine/hours"
)

// bestBuyStore is an entry of stores.json of github.com/BestBuyAPIs/open-data-set. What must be there is nil where it isn't.
type bestBuyStore struct {
	ID       *int64 `json:"id"`
	Type     string `json:"type"`
	Name     string `json:"name"`
	Address  string `json:"address"`
	Address2 string `json:"address2"`
	City     string `json:"city"`
	State    string `json:"state"`
	Zip      string `json:"zip"`
	Location struct {
		Lat *float64 `json:"lat"`
		Lon *float64 `json:"lon"`
	} `json:"location"`
	Hours    string   `json:"hours"`
	Services []string `json:"services"`
}

// readBestBuy reads an array of stores, entry by entry. Their mobile and express shops are stores as well; what they offer
// becomes an attribute. Positions tell the time zones, which the file has not.
func readBestBuy(in io.Reader) iter.Seq[Row] {
	return func(yield func(Row) bool) {
		d, n := newArrayDecoder(in), 0
		for text, err := range elements(d) {
			if err != nil {
				yield(Row{Err: fmt.Errorf("an array of stores is wanted: %w", err)})
				return
			}
			n++
			row := Row{Item: "entry", Line: n}
			row.Location, row.Err = fromBestBuy(text)
			if !yield(row) {
				return
			}
		}
		if err := ended(d); err != nil {
			yield(Row{Err: fmt.Errorf("an array of stores is wanted: %w", err)})
		}
	}
}

func fromBestBuy(text []byte) (Location, error) {
	var s bestBuyStore
	if err := json.Unmarshal(text, &s); err != nil {
		return Location{}, tellJSON(err)
	}
	if s.ID == nil {
		return Location{}, errors.New("id is missing")
	}
	l := Location{ID: strconv.FormatInt(*s.ID, 10), Name: strings.TrimSpace(s.Name), Kind: engine.Store.String()}
	if s.Location.Lat == nil || s.Location.Lon == nil {
		return l, errors.New("location is without lat or lon")
	}
	l.Position = &engine.Position{Latitude: *s.Location.Lat, Longitude: *s.Location.Lon}
	if l.Position.Latitude == 0 && l.Position.Longitude == 0 {
		return l, errors.New("location is 0, 0")
	}
	l.Address = &engine.Address{
		Street: strings.TrimSpace(s.Address + " " + s.Address2), Locality: s.City, Region: s.State, PostalCode: s.Zip, Country: "US",
	}
	l.Attributes = map[string]string{"type": s.Type}
	var offers []string
	for _, offer := range s.Services {
		offers = append(offers, strings.TrimSpace(offer))
	}
	if len(offers) > 0 {
		l.Attributes["offers"] = cut(strings.Join(offers, "; "))
	}
	var err error
	l.Regular, err = BestBuyHours(s.Hours)
	return l, err
}

var bestBuyDay = regexp.MustCompile(`^(Mon|Tue|Wed|Thurs|Fri|Sat|Sun): (\d{1,2}(?::\d\d)?)-(\d{1,2}(?::\d\d)?)$`)

// BestBuyHours reads hours such as "Mon: 10-9:30; Tue: 10-9:30; …". They are of twelve hours and don't say which: shops
// open from six in the morning to five in the afternoon, and close after noon. "0-11:59" is round the clock. "12-11:59" may be
// that as well, or from noon, so it is unknown.
func BestBuyHours(text string) ([]hours.Regular, error) {
	var rules []string
	var unknown []hours.Day
	for part := range strings.SplitSeq(text, ";") {
		m := bestBuyDay.FindStringSubmatch(strings.TrimSpace(part))
		if m == nil {
			return nil, fmt.Errorf("hours has %q, want a day and hours such as \"Mon: 10-9:30\"", part)
		}
		day := m[1][:2]
		if m[2] == "0" && m[3] == "11:59" {
			rules = append(rules, day+" 00:00-24:00")
			continue
		}
		if m[2] == "12" && m[3] == "11:59" {
			parsed, err := hours.ParseOSM(day + " off")
			if err != nil {
				return nil, err
			}
			unknown = append(unknown, parsed[0].Days...)
			continue
		}
		opens, closes := bestBuyTime(m[2], 6), bestBuyTime(m[3], 12)
		rules = append(rules, day+" "+opens+"-"+closes)
	}
	var week []hours.Regular
	var err error
	if len(rules) > 0 {
		week, err = hours.ParseOSM(strings.Join(rules, "; "))
	}
	if len(unknown) > 0 {
		week = append(week, hours.Regular{Days: unknown, Interval: hours.Interval{Unknown: true}})
	}
	return week, err
}

// bestBuyTime writes a time on 24 hours; an hour before morning is one of the afternoon.
func bestBuyTime(text string, morning int) string {
	h, m, _ := strings.Cut(text, ":")
	hour, _ := strconv.Atoi(h)
	if hour < morning {
		hour += 12
	}
	if m == "" {
		m = "00"
	}
	return fmt.Sprintf("%02d:%s", hour, m)
}
