package demo

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// units is what became of an article's units.
type units struct{ sold, returned, lost int64 }

func (u *units) add(o *units) {
	u.sold += o.sold
	u.returned += o.returned
	u.lost += o.lost
}

// Units are the units of all articles: on hand at all locations, and on their way to one.
type Units struct{ Opening, Sold, Returned, Lost, OnHand, InTransit int64 }

// Conserved counts the stock of the whole chain, and returns an error unless the server has, of each article, as many units on hand
// or on their way as there were at first, less those sold and lost, and those that came back.
func (d *Demo) Conserved(ctx context.Context) (Units, error) {
	var sum Units
	counted, err := d.count(ctx)
	if err != nil {
		return sum, err
	}
	sent, err := d.inTransit(ctx)
	if err != nil {
		return sum, err
	}
	for a := range d.chain.articles {
		u, opening := &d.ledger[a], d.opening[a]
		sum.Opening += opening
		sum.Sold += u.sold
		sum.Returned += u.returned
		sum.Lost += u.lost
		sum.OnHand += counted[a]
		sku := d.chain.articles[a].sku
		sum.InTransit += sent[sku]
		if want := opening - u.sold + u.returned - u.lost; counted[a]+sent[sku] != want {
			return sum, fmt.Errorf("units of %s are not conserved: %d at first, %d sold, %d returned and %d lost make %d; the server has %d on hand and %d in transit",
				sku, opening, u.sold, u.returned, u.lost, want, counted[a], sent[sku])
		}
	}
	return sum, nil
}

// count returns the units on hand of each article, from an export of the whole stock.
func (d *Demo) count(ctx context.Context) ([]int64, error) {
	request, err := http.NewRequestWithContext(ctx, "GET", d.client.base+"/v1/stock/export?format=csv", nil)
	if err != nil {
		return nil, err
	}
	response, err := d.client.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(response.Body)
		return nil, fmt.Errorf("export: %s: %s", response.Status, text)
	}
	index := make(map[string]int, len(d.chain.articles))
	for a := range d.chain.articles {
		index[d.chain.articles[a].sku] = a
	}
	out := make([]int64, len(d.chain.articles))
	rows := bufio.NewScanner(response.Body)
	rows.Scan() // the header
	for n := int64(1); rows.Scan(); n++ {
		// No SKU or location of the demo has a comma or a quote.
		sku, rest, _ := bytes.Cut(rows.Bytes(), []byte{','})
		_, rest, _ = bytes.Cut(rest, []byte{','})
		text, _, _ := bytes.Cut(rest, []byte{','})
		onHand, err := strconv.ParseInt(string(text), 10, 64)
		a, known := index[string(sku)]
		if err != nil || !known {
			return nil, fmt.Errorf("export: row %q", rows.Bytes())
		}
		out[a] += onHand
		if n%50_000 == 0 {
			d.progress("counting the stock", n, max(n, d.cells))
		}
	}
	return out, rows.Err()
}

// inTransit returns the units of each article that are on their way; exports leave them out.
func (d *Demo) inTransit(ctx context.Context) (map[string]int64, error) {
	out := make(map[string]int64)
	for cursor := ""; ; {
		var page struct {
			Transfers []struct {
				Lines []struct {
					SKU       string
					InTransit int64 `json:"in_transit"`
				}
			}
			Next string `json:"next_cursor"`
		}
		if err := d.client.call(ctx, "GET", path("transfers")+"?limit=1000&state=in_transit"+cursor, "", nil, &page); err != nil {
			return nil, err
		}
		for i := range page.Transfers {
			for _, l := range page.Transfers[i].Lines {
				out[l.SKU] += l.InTransit
			}
		}
		if page.Next == "" {
			return out, nil
		}
		cursor = "&cursor=" + page.Next
	}
}
