package demo

// The last weeks of the year are replayed as orders with every step that they take from the click to the bag: those of up to
// stepsLinesMax lines, as nobody fetches the others from a counter. What came before, and the rest, are reservations alone.
const (
	stepsDays     = 21
	stepsLinesMax = 20
)

// hasSteps reports whether a sale is replayed as an order, step by step.
func (c *chain) hasSteps(o *order) bool {
	return o.kind == "sale" && len(o.lines) <= stepsLinesMax && o.minute >= c.orders[len(c.orders)-1].minute-stepsDays*day
}

// plan is how a customer wants an order, and what comes in between.
type plan struct {
	from, at                               string // locations: where its units are held, and where it is collected
	channel, fulfilment, handover, payment string
	onShort                                string // what is to become of what is not found
	compartment                            string
	slot                                   bool
	unpaid                                 bool // its customer never pays
	fetched                                bool // its customer comes
	short                                  bool // something of it will not be found
	hurt                                   bool // something of it is lost or damaged on the way
}

// planOf draws how an order is made: most are collected at the store of their customer, some are sent there from a warehouse or to
// the locker, some to the customer's door.
func (c *chain) planOf(o *order) plan {
	s := &c.stores[c.storeOf(o)]
	is := func(what string, share float64) bool { return draw(o.number, what) < share }
	_, fetched := collectedAfter(o)
	p := plan{
		from: s.id, at: s.id, channel: "web", fulfilment: "pickup", handover: "counter", payment: "online_paid",
		onShort: pick(draw(o.number, "on short"), "ask", "transfer", "move"),
		fetched: fetched, short: is("short", 0.03), hurt: is("hurt", 0.05),
	}
	if is("channel", 0.1) {
		p.channel = pick(draw(o.number, "which channel"), "store", "marketplace", "social")
	}
	if pending := is("pending", 0.15); pending {
		p.payment, p.unpaid = "online_pending", is("unpaid", 0.25)
	} else if is("in store", 0.35) {
		p.payment = "in_store"
	}
	switch way := draw(o.number, "way"); {
	case way < 0.70:
		p.slot = s.slots && is("slot", 0.6)
		if s.services() && is("curbside", 0.15) {
			p.handover = "curbside"
		}
		if is("phone", 0.15) {
			p.channel, p.payment, p.unpaid = "phone", "in_store", false
		}
	case way < 0.84:
		p.fulfilment, p.from = "ship_to_store", s.supplier.id
	case way < 0.88:
		p.fulfilment, p.handover, p.compartment = "ship_to_store", "locker", compartmentFor(o)
		p.from, p.at = nearestWarehouse(locker.latitude, locker.longitude).id, locker.id
		p.payment, p.unpaid = "online_paid", false
	default:
		p.fulfilment, p.from, p.at = "ship_home", s.supplier.id, s.supplier.id
		if p.payment == "in_store" {
			p.payment = "online_paid"
		}
	}
	if p.fulfilment != "pickup" {
		p.short = false
	}
	return p
}

func pick(drawn float64, from ...string) string { return from[int(drawn*float64(len(from)))] }
