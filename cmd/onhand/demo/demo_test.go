package demo

import "testing"

func TestDataIsWhole(t *testing.T) {
	c, err := newChain()
	if err != nil {
		t.Fatal(err)
	}
	if len(c.stores) != 1565 || len(c.articles) < 3900 || len(c.orders) < 25_000 {
		t.Fatalf("%d stores, %d articles, %d orders", len(c.stores), len(c.articles), len(c.orders))
	}
	for i := range c.orders {
		o := &c.orders[i]
		if i > 0 && o.minute < c.orders[i-1].minute {
			t.Fatalf("order %s is older than the one before it", o.number)
		}
		if len(o.lines) == 0 {
			t.Fatalf("order %s has no lines", o.number)
		}
		for _, l := range o.lines {
			if l.article < 0 || l.article >= len(c.articles) || l.quantity < 1 {
				t.Fatalf("order %s: line %+v", o.number, l)
			}
		}
	}
}

func TestAFifthOfWhatIsOrderedWillNotLast(t *testing.T) {
	c, err := newChain()
	if err != nil {
		t.Fatal(err)
	}
	short := 0
	for at, asked := range c.demand {
		if onHand, stocked := c.opening(at.store, at.article); !stocked {
			t.Fatalf("%s orders %s and does not carry it", c.stores[at.store].id, c.articles[at.article].sku)
		} else if onHand < asked {
			short++
		}
	}
	if share := float64(short) / float64(len(c.demand)); share < 0.1 || share > 0.3 {
		t.Fatalf("%.0f %% of what is ordered somewhere will not last", 100*share)
	}
}

func TestBusyStoresHaveMoreCustomers(t *testing.T) {
	c, err := newChain()
	if err != nil {
		t.Fatal(err)
	}
	shares, err := readShares()
	if err != nil {
		t.Fatal(err)
	}
	busiest, idlest := 0, 0
	for i := range c.orders {
		switch c.storeOf(&c.orders[i]) % len(shares) {
		case 0:
			busiest++
		case len(shares) - 1:
			idlest++
		}
	}
	if busiest <= 10*idlest {
		t.Fatalf("%d orders at the busiest stores, %d at the idlest", busiest, idlest)
	}
}
