package track

// A refund is of the whole order, where its customer has and gets nothing of it, or of a part: then the page says of which, so that
// nobody takes the rest for lost.

// paymentText says how it is with the money.
func (t *texts) paymentText(p *Page) string {
	if p.Payment == RefundDue || p.Payment == Refunded {
		if part := p.refundOf(); part != "" {
			return t.payments[p.Payment+"."+Payment(part)]
		}
	}
	return t.payments[p.Payment]
}

// refundOf returns what a refund is of: missing, cancelled or returned units, partly where it is of several of these or of what
// was not collected in time; and "" where it is of all.
func (p *Page) refundOf() string {
	var kept, missing, returned int64
	for i := range p.Lines {
		l := &p.Lines[i]
		missing += l.Short
		returned += l.Returned
		if p.ended() {
			kept += l.Collected - l.Returned
		} else {
			kept += l.Quantity - l.Short - l.Returned
		}
	}
	if kept <= 0 {
		return ""
	}
	cancelled := p.PartCancelled || p.State == Cancelled
	var of []string
	for _, x := range []struct {
		name  string
		holds bool
	}{{"missing", missing > 0}, {"cancelled", cancelled}, {"returned", returned > 0}} {
		if x.holds {
			of = append(of, x.name)
		}
	}
	if len(of) != 1 || p.State == Expired {
		return "partly"
	}
	return of[0]
}
