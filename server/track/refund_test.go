package track

import "testing"

func TestARefundIsOfAllOrOfWhat(t *testing.T) {
	en := textsOf("en")
	for _, x := range []struct {
		page      Page
		due, done string
	}{
		{Page{State: Cancelled, Lines: []Line{{Quantity: 2}}, PartCancelled: true}, "You will be refunded", "Refunded"},
		{Page{State: Cancelled, Lines: []Line{{Quantity: 2, Short: 2}}}, "You will be refunded", "Refunded"},
		{Page{State: Expired, Lines: []Line{{Quantity: 2}}}, "You will be refunded", "Refunded"},
		{Page{State: Returned, Lines: []Line{{Quantity: 2, Collected: 2, Returned: 2}}}, "You will be refunded", "Refunded"},
		{Page{State: Returned, Lines: []Line{{Quantity: 2, Collected: 1, Short: 1, Returned: 1}}}, "You will be refunded", "Refunded"},

		{Page{State: Short, Lines: []Line{{Quantity: 2}, {Quantity: 1, Short: 1}}}, "What is missing will be refunded", "What is missing has been refunded"},
		{Page{State: Ready, Lines: []Line{{Quantity: 2, Short: 1}}}, "What is missing will be refunded", "What is missing has been refunded"},
		{Page{State: Collected, Lines: []Line{{Quantity: 2, Short: 1, Collected: 1}}}, "What is missing will be refunded", "What is missing has been refunded"},
		{Page{State: Picking, Lines: []Line{{Quantity: 1}}, PartCancelled: true}, "What was cancelled will be refunded", "What was cancelled has been refunded"},
		{Page{State: Cancelled, Lines: []Line{{Quantity: 2, Collected: 1}}}, "What was cancelled will be refunded", "What was cancelled has been refunded"},
		{Page{State: Returned, Lines: []Line{{Quantity: 2, Collected: 2, Returned: 1}}}, "What you have returned will be refunded", "What you have returned has been refunded"},
		{Page{State: Returned, Lines: []Line{{Quantity: 3, Collected: 2, Short: 1, Returned: 1}}}, "Part of it will be refunded", "Part of it has been refunded"},
		{Page{State: Ready, Lines: []Line{{Quantity: 2, Short: 1}}, PartCancelled: true}, "Part of it will be refunded", "Part of it has been refunded"},
		{Page{State: Expired, Lines: []Line{{Quantity: 2, Collected: 1}}}, "Part of it will be refunded", "Part of it has been refunded"},
	} {
		for payment, want := range map[Payment]string{RefundDue: x.due, Refunded: x.done, Paid: "Paid"} {
			x.page.Payment = payment
			if got := en.paymentText(&x.page); got != want {
				t.Errorf("%+v: %q, want %q", x.page, got, want)
			}
		}
	}
}
