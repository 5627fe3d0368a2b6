package webhook

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"onhand/engine"
)

// Endpoint is where events are sent, and which.
type Endpoint struct {
	ID  string `json:"id"`
	URL string `json:"url"`
	// Events are types, such as reservation.held, or groups of them, such as reservation.*; none = all.
	Events []string `json:"events"`
	// Locations limits events to those with a cell, a line or a record of one of these; none = all, and what is of no location.
	Locations   []string `json:"locations"`
	Description string   `json:"description"`
	// Secret signs deliveries. Where it is replaced, deliveries are signed with Previous besides, until PreviousEnds.
	Secret       Secret    `json:"secret"`
	Previous     Secret    `json:"previous_secret,omitempty"`
	PreviousEnds time.Time `json:"previous_secret_ends,omitzero"`
	Created      time.Time `json:"created"`
	// Disabled is why nothing is sent: who manages the endpoint said so, or its receiver did; "" = it is sent to.
	Disabled string `json:"disabled,omitempty"`
}

// Limits of an endpoint.
const (
	EndpointsMax   = 64
	IDMax          = 64   // bytes
	URLMax         = 2048 // bytes
	FiltersMax     = 200  // events, and locations
	DescriptionMax = 256  // bytes
	// SecretOverlap is for how long deliveries are signed with a secret that was replaced as well.
	SecretOverlap = 24 * time.Hour
)

// kinds are the types of events there are.
var kinds = engine.EventTypes()

func invalid(field, value, want string) error {
	if len(value) > 80 {
		value = strings.ToValidUTF8(value[:77], "") + "..."
	}
	return &engine.InvalidError{Field: field, Value: value, Want: want}
}

// check returns an engine.InvalidError where an endpoint can't be.
func (e *Endpoint) check() error {
	if !validID(e.ID) {
		return invalid("id", e.ID, "1 to 64 of a-z, 0-9, - and _")
	}
	u, err := url.Parse(e.URL)
	if err != nil || len(e.URL) > URLMax || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.Fragment != "" {
		return invalid("url", e.URL, "an http or https URL of at most 2048 bytes, without a fragment")
	}
	if u.User != nil {
		return invalid("url", u.Redacted(), "a URL without user and password: deliveries are signed instead")
	}
	if len(e.Events) > FiltersMax {
		return invalid("events", "too long", "at most 200 types")
	}
	for _, pattern := range e.Events {
		if !slices.ContainsFunc(kinds, func(k engine.ChangeKind) bool { return matches(pattern, k) }) {
			return invalid("events", pattern, "a type of event, such as reservation.held or stock.low, or a group, such as reservation.*")
		}
	}
	if len(e.Locations) > FiltersMax {
		return invalid("locations", "too long", "at most 200 locations")
	}
	for _, l := range e.Locations {
		if l == "" || len(l) > engine.NameMax {
			return invalid("locations", l, "ids of 1 to 64 bytes")
		}
	}
	if len(e.Description) > DescriptionMax {
		return invalid("description", e.Description, "at most 256 bytes")
	}
	if _, ok := e.Secret.key(); !ok {
		return invalid("secret", "of another form", secretWant)
	}
	return nil
}

func validID(id string) bool {
	if id == "" || len(id) > IDMax {
		return false
	}
	for _, b := range []byte(id) {
		if !('a' <= b && b <= 'z' || '0' <= b && b <= '9' || b == '-' || b == '_') {
			return false
		}
	}
	return true
}

// matches reports whether a type is the one that a pattern names, or of its group.
func matches(pattern string, kind engine.ChangeKind) bool {
	if group, ok := strings.CutSuffix(pattern, "*"); ok && (group == "" || strings.HasSuffix(group, ".")) {
		return strings.HasPrefix(string(kind), group)
	}
	return pattern == string(kind)
}

// secrets returns those that a delivery is signed with.
func (e *Endpoint) secrets(now time.Time) []Secret {
	if e.Previous != "" && now.Before(e.PreviousEnds) {
		return []Secret{e.Secret, e.Previous}
	}
	return []Secret{e.Secret}
}

// filter is an endpoint's, ready for use.
type filter struct {
	kinds     map[engine.ChangeKind]bool
	locations map[string]bool // nil = all
}

func (e *Endpoint) filter() *filter {
	f := &filter{kinds: make(map[engine.ChangeKind]bool)}
	for _, k := range kinds {
		f.kinds[k] = len(e.Events) == 0 || slices.ContainsFunc(e.Events, func(p string) bool { return matches(p, k) })
	}
	if len(e.Locations) > 0 {
		f.locations = make(map[string]bool)
		for _, l := range e.Locations {
			f.locations[l] = true
		}
	}
	return f
}

// wants reports whether an event of a change is to be sent: the change itself, which is number 0, or one of c.Events, which are
// counted from 1.
func (f *filter) wants(c *engine.Change, number int) bool {
	if number == 0 {
		return f.kinds[c.Kind] && f.at(c)
	}
	e := &c.Events[number-1]
	if !f.kinds[e.Type] {
		return false
	}
	if e.Location == "" {
		return f.at(c)
	}
	return f.locations == nil || f.locations[e.Location]
}

// at reports whether a change has to do with a location that is asked for.
func (f *filter) at(c *engine.Change) bool {
	if f.locations == nil || c.Location != nil && f.locations[c.Location.ID] {
		return true
	}
	for i := range c.Cells {
		if f.locations[c.Cells[i].Location] {
			return true
		}
	}
	for i := range c.Refused {
		if f.locations[c.Refused[i].Location] {
			return true
		}
	}
	if c.Transfer != nil && (f.locations[c.Transfer.From] || f.locations[c.Transfer.To]) {
		return true
	}
	if c.Order != nil {
		if f.locations[c.Order.Location] {
			return true
		}
		for i := range c.Order.Lines {
			if f.locations[c.Order.Lines[i].From] {
				return true
			}
		}
	}
	if c.Reservation != nil {
		for i := range c.Reservation.Lines {
			if f.locations[c.Reservation.Lines[i].Location] {
				return true
			}
		}
	}
	return false
}
