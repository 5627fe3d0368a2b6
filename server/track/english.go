package track

import (
	"fmt"
	"time"
)

func init() {
	const wait = "There is nothing for you to do. Please wait until this page says that it is ready before you set out."
	const noWait = "There is nothing for you to do."
	register(&texts{
		tag: "en",
		stories: map[string]story{
			"placed":           {"Placed", "We have your order", "The store has not confirmed it yet.", wait},
			"placed.ship_home": {"Placed", "We have your order", "It has not been confirmed yet.", noWait},
			"accepted": {"Confirmed", "Your order is confirmed", "The store has accepted it and will prepare it.",
				wait},
			"accepted.ship_to_store": {"Confirmed", "Your order is confirmed",
				"It will be prepared, and sent to the store where you collect it.", wait},
			"accepted.ship_home": {"Confirmed", "Your order is confirmed", "It will be prepared, and then sent to you.",
				noWait},
			"picking": {"Being prepared", "Your order is being prepared", "The staff are gathering your articles.", wait},
			"picking.ship_home": {"Being prepared", "Your order is being prepared",
				"The staff are gathering your articles.", noWait},
			"in_transit": {"On its way", "Your order is on its way to the store",
				"It has left, and will be kept for you as soon as it arrives.", wait},
			"in_transit.ship_home": {"On its way", "Your order is on its way to you", "It has left.", noWait},
			"ready": {"Ready", "Your order is ready", "It is waiting for you.",
				"Come with the code on this page and show it to the staff."},
			"ready.curbside": {"Ready", "Your order is ready", "It is waiting for you, and we bring it to your vehicle.",
				"Come with the code on this page, and park where it says curbside pickup."},
			"ready.locker": {"Ready", "Your order is ready", "It is waiting for you in a locker.",
				"Open the locker with the code on this page."},
			"ready.ship_home": {"Packed", "Your order is packed", "It waits for the carrier.", noWait},
			"collected":       {"Collected", "Your order has been collected", "Thank you!", "If anything is wrong with it, contact us."},
			"collected.ship_home": {"Sent", "Your order has been sent", "The carrier has it.",
				"If it does not arrive, contact us."},
			"collected.delivered": {"Delivered", "Your order has been delivered", "Thank you!",
				"If anything is wrong with it, contact us."},
			"cancelled": {"Cancelled", "This order is cancelled", "Nothing is kept for you any more.",
				"If you did not expect that, contact us."},
			"expired": {"Expired", "This order has expired",
				"The time for which it was kept is over, and nothing is kept for you any more.",
				"If you would still like to have it, please order again."},
			"short": {"Incomplete", "Part of your order is missing",
				"Not everything could be found. The list of articles says what is missing; the rest is kept for you.",
				"Contact us, and we find a solution."},
			"returned": {"Returned", "Your order has been returned", "We have received everything back.",
				"If that is not so, contact us."},
			"returned.partly": {"Returned", "Part of your order has been returned",
				"The list of articles says what we have received back.", "If that is not right, contact us."},
		},
		payments: map[Payment]string{
			PaymentPending: "We have not received it yet",
			Paid:           "Paid",
			DueInStore:     "You pay when you collect",
			RefundDue:      "You will be refunded",
			Refunded:       "Refunded",
		},
		units:     map[string]string{"piece": "%d\u00a0×", "gram": "%d\u00a0g", "millimetre": "%d\u00a0mm"},
		collected: func(n int64) string { return fmt.Sprintf("%d collected", n) },
		short:     func(n int64) string { return fmt.Sprintf("%d missing", n) },
		returned:  func(n int64) string { return fmt.Sprintf("%d returned", n) },

		partlyCollected: "Part of it has been collected already.",
		title:           "%[1]s – %[2]s",
		order:           "Order %s",
		orderAlone:      "Your order",

		until:         "Collect by",
		slot:          "Your time slot",
		payment:       "Payment",
		identity:      "To bring along",
		identityText:  "An identity document",
		code:          "Pickup code",
		codeText:      "Whoever has this code can collect the order.",
		qr:            "QR code for the pickup code %s",
		where:         "Where",
		mapApp:        "Open in a map app",
		osm:           "See on OpenStreetMap",
		phone:         "Call",
		steps:         "Progress",
		stepDone:      "done",
		stepNow:       "now",
		stepNext:      "to come",
		lines:         "Your articles",
		asOf:          "As of %s.",
		zone:          "Times are local to the location (%s).",
		refresh:       "Refresh this page",
		arrival:       "Are you here?",
		arrivalText:   "Tell us where you are parked, and we bring your order.",
		bay:           "Parking bay",
		bayHint:       "if it has a number",
		vehicle:       "Your vehicle",
		vehicleHint:   "such as a blue Clio",
		announce:      "I am here",
		announceAgain: "Correct it",
		arrived:       "We know that you are here",
		arrivedText:   "Please stay with your vehicle. We are on our way with your order.",
		arrivedSince:  "You told us %s.",
		back:          "Back to your order",
		unknown:       "There is no such order",
		unknownText: "The address of this page is not complete, or the order is long past. Please open the link in your " +
			"message once more, or contact the shop.",
		hours:         "Opening hours",
		special:       "Special days",
		openNow:       "Open now",
		openUntil:     "Open now, closes %s",
		closedNow:     "Closed now",
		closedUntil:   "Closed now, opens %s",
		hoursUnknown:  "The opening hours are not known.",
		everyDay:      "Every day",
		closed:        "closed",
		notKnown:      "not known",
		roundTheClock: "24 hours",
		days:          [7]string{"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"},
		tomorrow:      "tomorrow",
		yesterday:     "yesterday",

		clock:   func(hour, minute int) string { return fmt.Sprintf("%02d:%02d", hour, minute) },
		date:    func(t time.Time) string { return t.Format("Monday 2 January") },
		ofYear:  "%s %d",
		at:      "%s at %s",
		fromTo:  "%s, %s to %s",
		atClock: "at %s",
		onDate:  "on %s at %s",
		in:      func(n int, u unit) string { return "in " + englishUnit(n, u) },
		ago:     func(n int, u unit) string { return englishUnit(n, u) + " ago" },
		justNow: "now",
	})
}

func englishUnit(n int, u unit) string {
	word := [...]counted{{"minute", "minutes"}, {"hour", "hours"}, {"day", "days"}}[u]
	if n == 1 {
		return fmt.Sprintf("%d %s", n, word.one)
	}
	return fmt.Sprintf("%d %s", n, word.many)
}
