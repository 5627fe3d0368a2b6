package storefile

import (
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"regexp"
	"strconv"
	"strings"

	"onhand/engine"
	"onhand/engine/hours"
)

// bestBuyStore is an entry of stores.json of github.com/BestBuyAPIs/open-data-set.
type bestBuyStore struct {
	ID                                              int
	Type, Name, Address, Address2, City, State, Zip string
	Location                                        struct{ Lat, Lon float64 }
	Hours                                           string
	Services                                        []string
}

// readBestBuy reads an array of stores. Their mobile and express shops are stores as well; what they offer becomes an
// attribute. Positions tell the time zones, which the file has not.
func readBestBuy(in io.Reader) iter.Seq[Row] {
	return func(yield func(Row) bool) {
		var stores []bestBuyStore
		if err := json.NewDecoder(in).Decode(&stores); err != nil {
			yield(Row{Err: fmt.Errorf("an array of stores is wanted: %w", err)})
			return
		}
		for i := range stores {
			s := &stores[i]
			row := Row{Line: i + 1}
			row.Location = Location{ID: strconv.Itoa(s.ID), Name: strings.TrimSpace(s.Name), Kind: engine.Store.String(), LocationDetails: engine.LocationDetails{
				Position: &engine.Position{Latitude: s.Location.Lat, Longitude: s.Location.Lon},
				Address: &engine.Address{
					Street: strings.TrimSpace(s.Address + " " + s.Address2), Locality: s.City, Region: s.State, PostalCode: s.Zip, Country: "US",
				},
				Attributes: map[string]string{"type": s.Type},
			}}
			var offers []string
			for _, offer := range s.Services {
				offers = append(offers, strings.TrimSpace(offer))
			}
			if len(offers) > 0 {
				row.Location.Attributes["offers"] = cut(strings.Join(offers, "; "))
			}
			if s.Location.Lat == 0 && s.Location.Lon == 0 {
				row.Err = fmt.Errorf("location is 0, 0")
			} else {
				row.Location.Regular, row.Err = BestBuyHours(s.Hours)
			}
			if !yield(row) {
				return
			}
		}
	}
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
