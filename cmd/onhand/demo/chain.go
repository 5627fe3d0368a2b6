package demo

import (
	"slices"
	"sort"

	"github.com/cespare/xxhash/v2"
)

// chain is everything that the demo knows before it begins.
type chain struct {
	stores   []store
	articles []article
	orders   []order

	busy   []int // sum of the shares of the stores up to and with this one
	demand map[cell]int64
}

type cell struct{ store, article int }

func newChain() (*chain, error) {
	c := &chain{}
	var err error
	if c.stores, err = readStores(); err != nil {
		return nil, err
	}
	if c.articles, err = readArticles(); err != nil {
		return nil, err
	}
	if c.orders, err = readOrders(); err != nil {
		return nil, err
	}
	shares, err := readShares()
	if err != nil {
		return nil, err
	}
	c.spread(shares)
	return c, nil
}

// spread gives each store its share of the customers, and so of what is ordered.
func (c *chain) spread(shares []int) {
	c.busy, c.demand = nil, make(map[cell]int64)
	sum := 0
	for i := range c.stores {
		sum += shares[i%len(shares)]
		c.busy = append(c.busy, sum)
	}
	for i := range c.orders {
		o := &c.orders[i]
		if o.kind != "sale" {
			continue
		}
		s := c.storeOf(o)
		for _, l := range o.lines {
			c.demand[cell{s, l.article}] += l.quantity
		}
	}
}

// storeOf returns where an order is collected: each customer has one store; busy stores have more customers.
func (c *chain) storeOf(o *order) int {
	who := o.customer
	if who == "" {
		who = o.number
	}
	return sort.SearchInts(c.busy, int(draw(who, "store")*float64(c.busy[len(c.busy)-1]))+1)
}

// opening returns what a store has of an article before the first order. Large stores carry every article and the others
// a tenth, with up to two on the shelf; what a store's customers will ask for in the year is there by 75 to 200 %, so that
// a fifth of it will not last.
func (c *chain) opening(s, a int) (onHand int64, stocked bool) {
	st, sku := &c.stores[s], c.articles[a].sku
	asked := c.demand[cell{s, a}]
	if asked == 0 && !st.large && draw(st.id, sku, "carried") >= 0.1 {
		return 0, false
	}
	const orderedMax = 2000 // nobody keeps tens of thousands of one thing, though one order asks for them
	onHand = int64(draw(st.id, sku, "shelf") * 3)
	return onHand + min(orderedMax, int64(float64(asked)*(0.75+1.25*draw(st.id, sku, "stock")))), true
}

// collectedAfter returns how many minutes after ordering a customer collects: one hour to two days. One in fifty never does.
func collectedAfter(o *order) (minutes int, collected bool) {
	return 60 + int(draw(o.number, "collected")*47*60), draw(o.number, "no-show") >= 0.02
}

// mostOrdered returns the articles by how many lines of orders ask for them, most first.
func (c *chain) mostOrdered() []int {
	count := make([]int, len(c.articles))
	for i := range c.orders {
		for _, l := range c.orders[i].lines {
			count[l.article]++
		}
	}
	all := make([]int, len(c.articles))
	for i := range all {
		all[i] = i
	}
	slices.SortStableFunc(all, func(a, b int) int { return count[b] - count[a] })
	return all
}

// draw returns a number in [0, 1) that looks random and is the same each time.
func draw(of ...string) float64 {
	var d xxhash.Digest
	for _, s := range of {
		_, _ = d.WriteString(s)
		_, _ = d.Write([]byte{0})
	}
	return float64(d.Sum64()>>11) / (1 << 53)
}
