package engine

import "fmt"

// OrderTimes are how long a location gives each step of an order, in seconds, 0 to OrderTimeMax; 0 = none of its own.
type OrderTimes struct {
	PayWithin     int64 `json:"pay_within,omitzero"`     // from placed until paid online
	AcceptWithin  int64 `json:"accept_within,omitzero"`  // from placed until the staff have accepted it
	PickWithin    int64 `json:"pick_within,omitzero"`    // from accepted until it is ready
	CollectWithin int64 `json:"collect_within,omitzero"` // from ready until it is collected
	// CollectUntil is the end of the last step by opening hours, in the place of CollectWithin.
	CollectUntil  *CollectUntil `json:"collect_until,omitempty"`
	RemindBefore  int64         `json:"remind_before,omitzero"`  // the end of the last step
	ExtensionsMax int64         `json:"extensions_max,omitzero"` // 0 to ExtensionsMax
}

// CollectUntil is a deadline by opening hours; its parts are those of HoldUntil.
type CollectUntil struct {
	OpenDay       int64 `json:"closing_of_open_day"`     // 1 to OpenDayMax, from the day on which it is ready
	MinutesBefore int64 `json:"minutes_before,omitzero"` // 0 to 1440
}

// Limits of order times.
const (
	OrderTimeMax  = 31 * 86400 // seconds
	ExtensionsMax = 10
)

func (t *OrderTimes) check() error {
	if t == nil {
		return nil
	}
	for _, part := range []struct {
		name    string
		seconds int64
	}{
		{"pay_within", t.PayWithin}, {"accept_within", t.AcceptWithin}, {"pick_within", t.PickWithin},
		{"collect_within", t.CollectWithin}, {"remind_before", t.RemindBefore},
	} {
		if part.seconds < 0 || part.seconds > OrderTimeMax {
			return invalid("order_times."+part.name, part.seconds, fmt.Sprintf("0 to %d seconds", OrderTimeMax))
		}
	}
	if u := t.CollectUntil; u != nil {
		if t.CollectWithin != 0 {
			return invalid("order_times.collect_until", "given", "only one of collect_within and collect_until")
		}
		if u.OpenDay < 1 || u.OpenDay > OpenDayMax {
			return invalid("order_times.collect_until.closing_of_open_day", u.OpenDay, fmt.Sprintf("1 to %d", OpenDayMax))
		}
		if u.MinutesBefore < 0 || u.MinutesBefore > dayMinutes {
			return invalid("order_times.collect_until.minutes_before", u.MinutesBefore, "0 to 1440")
		}
	}
	if t.ExtensionsMax < 0 || t.ExtensionsMax > ExtensionsMax {
		return invalid("order_times.extensions_max", t.ExtensionsMax, fmt.Sprintf("0 to %d", ExtensionsMax))
	}
	return nil
}
