package engine

import (
	"cmp"
	"errors"
	"fmt"
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/text/language"

	"onhand/engine/hours"
)

// LocationDetails are what a location is besides what stock needs to know: where it is, when it is open, what customers
// can do there. Every part may be left out. The names are those of schema.org where it has one. It is stored as JSON under
// the names given here, which are those of the HTTP interface.
type LocationDetails struct {
	Position *Position `json:"position,omitempty"`
	Address  *Address  `json:"address,omitempty"`
	Phone    string    `json:"phone,omitempty"` // as people write it: digits, spaces and +-()./, at most 40 bytes
	Email    string    `json:"email,omitempty"` // RFC 5322 addr-spec
	URL      string    `json:"url,omitempty"`   // http or https

	hours.Schedule `json:",inline"`

	Services        []Service `json:"services,omitempty"`         // what customers can do there, each once
	CollectionPoint string    `json:"collection_point,omitempty"` // where to go, what to bring; at most CollectionPointMax bytes
	IDRequired      bool      `json:"id_required,omitzero"`       // whoever collects has to show an identity document
	// PreparationTime is how long the staff need until an order can be collected, in seconds of opening time or not; 0 to
	// 31 days.
	PreparationTime int64 `json:"preparation_time,omitzero"`
	// DefaultHold is how long a reservation there holds that names no deadline, in seconds; 0 = its SKU's, or the engine's.
	DefaultHold int64 `json:"default_hold,omitzero"`
	// Suppliers are the warehouses that can send stock there, at most SuppliersMax, each once. They may be put later.
	Suppliers []Supplier `json:"suppliers,omitempty"`
	// PickupSlots are when customers collect, where they choose a time; Compartments the locker's sizes, the smallest first, at
	// most CompartmentsMax, each once; OrderTimes how long each step of an order may take there.
	PickupSlots  *PickupSlots  `json:"pickup_slots,omitempty"`
	Compartments []Compartment `json:"compartments,omitempty"`
	OrderTimes   *OrderTimes   `json:"order_times,omitempty"`
	// Attributes are the shop's own; at most AttributesMax, names like those of SKUs, values of at most AttributeValueMax
	// bytes.
	Attributes map[string]string `json:"attributes,omitempty"`
}

// Position is a place on the Earth in degrees, WGS 84.
type Position struct {
	Latitude  float64 `json:"latitude"`  // −90 to 90
	Longitude float64 `json:"longitude"` // −180 to 180
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom. Half a position is none: what is left out must not be the equator.
func (p *Position) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	var in struct {
		Latitude  *float64 `json:"latitude"`
		Longitude *float64 `json:"longitude"`
	}
	if err := json.UnmarshalDecode(d, &in); err != nil {
		return err
	}
	if in.Latitude == nil {
		return &InvalidError{"position", "without latitude", "latitude and longitude in degrees"}
	}
	if in.Longitude == nil {
		return &InvalidError{"position", "without longitude", "latitude and longitude in degrees"}
	}
	*p = Position{*in.Latitude, *in.Longitude}
	return nil
}

// Address is a postal address by parts, as schema.org's PostalAddress has them; each at most AddressPartMax bytes.
type Address struct {
	Street     string `json:"street_address,omitempty"`
	Locality   string `json:"locality,omitempty"`
	Region     string `json:"region,omitempty"`
	PostalCode string `json:"postal_code,omitempty"`
	Country    string `json:"country,omitempty"` // ISO 3166-1 alpha-2
}

// Supplier is a warehouse that can send stock to a location.
type Supplier struct {
	Location string `json:"location"`
	LeadTime int64  `json:"lead_time"` // from the order to the shelf, in seconds; 0 to 366 days
}

// Service is what customers can do at a location. The numbers are bits in memory, never stored.
type Service uint8

// The services.
const (
	ServiceInStore Service = iota
	ServiceCounter
	ServiceCurbside
	ServiceLocker
	ServiceCallAndCollect
	ServicePayOnline
	ServicePayInStore
	serviceEnd
)

var serviceNames = [...]string{"in_store", "counter", "curbside", "locker", "call_and_collect", "pay_online", "pay_in_store"}

// ServiceNames are the services as the HTTP interface writes them.
const ServiceNames = "in_store, counter, curbside, locker, call_and_collect, pay_online or pay_in_store"

// Services lists every service.
func Services() []Service {
	all := make([]Service, serviceEnd)
	for i := range all {
		all[i] = Service(i)
	}
	return all
}

// String returns the service as the HTTP interface writes it.
func (s Service) String() string {
	if s >= serviceEnd {
		return "unknown"
	}
	return serviceNames[s]
}

// ParseService reads what String writes.
func ParseService(text string) (Service, error) {
	if i := slices.Index(serviceNames[:], text); i >= 0 {
		return Service(i), nil
	}
	return 0, invalid("service", text, ServiceNames)
}

// MarshalText implements encoding.TextMarshaler.
func (s Service) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Service) UnmarshalText(text []byte) (err error) {
	*s, err = ParseService(string(text))
	return err
}

// Limits of a location's details.
const (
	AddressPartMax     = 200         // bytes
	CollectionPointMax = 500         // bytes
	AttributesMax      = 64          // attributes
	AttributeValueMax  = 500         // bytes
	SuppliersMax       = 16          // suppliers
	PreparationMax     = 31 * 86400  // seconds
	LeadTimeMax        = 366 * 86400 // seconds
	DetailsMax         = 256 << 10   // bytes of them all as JSON
)

// Details are a location's details, checked, as they are stored. The zero Details say nothing.
type Details struct{ json string }

// NewDetails checks details. It returns an InvalidError where one is not allowed.
func NewDetails(d LocationDetails) (Details, error) {
	if err := d.check(); err != nil {
		return Details{}, err
	}
	d.normalise()
	text, err := json.Marshal(&d, json.Deterministic(true))
	if err != nil {
		return Details{}, err
	}
	if len(text) > DetailsMax {
		return Details{}, invalid("body", fmt.Sprintf("%d bytes", len(text)), fmt.Sprintf("at most %d bytes", DetailsMax))
	}
	if string(text) == "{}" {
		return Details{}, nil
	}
	return Details{string(text)}, nil
}

// JSON returns the details as a JSON object, or "" where there are none.
func (d Details) JSON() string { return d.json }

// Get returns the details by parts.
func (d Details) Get() (LocationDetails, error) {
	var out LocationDetails
	if d.json == "" {
		return out, nil
	}
	err := json.Unmarshal([]byte(d.json), &out)
	return out, err
}

// normalise gives equal details equal bytes.
func (d *LocationDetails) normalise() {
	if d.Position != nil {
		// Adding 0 turns −0 into 0.
		d.Position = &Position{d.Position.Latitude + 0, d.Position.Longitude + 0}
	}
	if d.Address != nil && *d.Address == (Address{}) {
		d.Address = nil
	}
	if d.OrderTimes != nil && *d.OrderTimes == (OrderTimes{}) {
		d.OrderTimes = nil
	}
	d.Services = slices.Clone(d.Services)
	slices.Sort(d.Services)
	// The fastest first: the order in which they are asked.
	d.Suppliers = slices.Clone(d.Suppliers)
	slices.SortStableFunc(d.Suppliers, func(a, b Supplier) int { return cmp.Compare(a.LeadTime, b.LeadTime) })
}

var phone = regexp.MustCompile(`^\+?[0-9 ()./-]{2,40}$`)

func (d *LocationDetails) check() error {
	if p := d.Position; p != nil {
		if err := p.check("position"); err != nil {
			return err
		}
	}
	if err := d.Address.check(); err != nil {
		return err
	}
	if d.Phone != "" && !phone.MatchString(d.Phone) {
		return invalid("phone", d.Phone, "2 to 40 digits, spaces and the characters ( ) . / -, with + before them if it is international")
	}
	if d.Email != "" {
		if a, err := mail.ParseAddress(d.Email); err != nil || a.Address != d.Email || len(d.Email) > 254 {
			return invalid("email", d.Email, "an address such as shop@example.com, of at most 254 bytes")
		}
	}
	if d.URL != "" {
		u, err := url.Parse(d.URL)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || len(d.URL) > 2000 || checkCharacters("", d.URL) != nil {
			return invalid("url", d.URL, "an address beginning with https:// or http://, of at most 2000 bytes")
		}
	}
	if err := d.Schedule.Validate(); err != nil {
		var e *hours.Error
		if errors.As(err, &e) {
			return &InvalidError{e.Field, e.Value, e.Want}
		}
		return err
	}
	for i, s := range d.Services {
		if s >= serviceEnd {
			return invalid(fmt.Sprintf("services[%d]", i), s, ServiceNames)
		}
		if slices.Contains(d.Services[:i], s) {
			return invalid(fmt.Sprintf("services[%d]", i), s.String(), "each service once")
		}
	}
	if err := checkText("collection_point", d.CollectionPoint, CollectionPointMax); err != nil {
		return err
	}
	if d.PreparationTime < 0 || d.PreparationTime > PreparationMax {
		return invalid("preparation_time", d.PreparationTime, fmt.Sprintf("0 to %d seconds", PreparationMax))
	}
	if h := d.DefaultHold; h < 0 || h > int64(HoldMax/time.Second) {
		return invalid("default_hold", h, fmt.Sprintf("1 to %d seconds, or 0 for none", HoldMax/time.Second))
	}
	if err := checkSuppliers(d.Suppliers); err != nil {
		return err
	}
	if err := cmp.Or(d.PickupSlots.check(&d.Schedule), checkCompartments(d.Compartments), d.OrderTimes.check()); err != nil {
		return err
	}
	return checkAttributes(d.Attributes)
}

func (p *Position) check(field string) error {
	if !(p.Latitude >= -90 && p.Latitude <= 90) {
		return invalid(field+".latitude", p.Latitude, "-90 to 90 degrees")
	}
	if !(p.Longitude >= -180 && p.Longitude <= 180) {
		return invalid(field+".longitude", p.Longitude, "-180 to 180 degrees")
	}
	return nil
}

func (a *Address) check() error {
	if a == nil {
		return nil
	}
	for _, part := range []struct{ name, text string }{
		{"street_address", a.Street}, {"locality", a.Locality}, {"region", a.Region}, {"postal_code", a.PostalCode},
	} {
		if err := checkText("address."+part.name, part.text, AddressPartMax); err != nil {
			return err
		}
	}
	if a.Country != "" && !validCountry(a.Country) {
		return invalid("address.country", a.Country, "a country by ISO 3166-1 alpha-2, such as FR")
	}
	return nil
}

func validCountry(code string) bool {
	region, err := language.ParseRegion(code)
	return err == nil && region.IsCountry() && region.String() == code
}

func checkSuppliers(suppliers []Supplier) error {
	if len(suppliers) > SuppliersMax {
		return invalid("suppliers", fmt.Sprintf("%d suppliers", len(suppliers)), fmt.Sprintf("at most %d", SuppliersMax))
	}
	for i := range suppliers {
		s := &suppliers[i]
		field := fmt.Sprintf("suppliers[%d].", i)
		if err := checkName(field+"location", s.Location); err != nil {
			return err
		}
		if slices.ContainsFunc(suppliers[:i], func(o Supplier) bool { return o.Location == s.Location }) {
			return invalid(field+"location", s.Location, "each location once")
		}
		if s.LeadTime < 0 || s.LeadTime > LeadTimeMax {
			return invalid(field+"lead_time", s.LeadTime, fmt.Sprintf("0 to %d seconds", LeadTimeMax))
		}
	}
	return nil
}

func checkAttributes(attributes map[string]string) error {
	if len(attributes) > AttributesMax {
		return invalid("attributes", fmt.Sprintf("%d attributes", len(attributes)), fmt.Sprintf("at most %d", AttributesMax))
	}
	for name, value := range attributes {
		if err := checkName("attributes", name); err != nil {
			return err
		}
		if err := checkText("attributes."+name, value, AttributeValueMax); err != nil {
			return err
		}
	}
	return nil
}
