package demo

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// connections is how many requests are sent at a time.
const connections = 32

// Progress is told how far a step has come.
type Progress func(step string, done, total int64)

// Demo is a chain and the server that it runs on.
type Demo struct {
	chain    *chain
	client   *client
	progress Progress

	opening []int64 // units of each article before the first order
	cells   int64
	ledger  []units // what became of each article's units
}

// New returns a demo on the server at base, such as http://127.0.0.1:8080.
func New(base string, progress Progress) (*Demo, error) {
	c, err := newChain()
	if err != nil {
		return nil, fmt.Errorf("demo data: %w", err)
	}
	return &Demo{
		chain: c, client: newClient(base, connections), progress: progress,
		opening: make([]int64, len(c.articles)), ledger: make([]units, len(c.articles)),
	}, nil
}

// Fill stores the catalogue, the locations and the opening stock.
func (d *Demo) Fill(ctx context.Context) error {
	ids, records := d.chain.places()
	if err := d.each(ctx, "stores", len(ids), func(ctx context.Context, i int) error {
		return d.client.call(ctx, "PUT", path("locations", ids[i]), "", records[i], nil)
	}); err != nil {
		return err
	}
	if err := d.each(ctx, "articles", len(d.chain.articles), func(ctx context.Context, i int) error {
		a := d.chain.articles[i]
		return d.client.call(ctx, "PUT", path("skus", a.sku), "", map[string]any{"title": a.title}, nil)
	}); err != nil {
		return err
	}
	return d.importStock(ctx)
}

// each calls f for 0 … n-1, several at a time.
func (d *Demo) each(ctx context.Context, step string, n int, f func(ctx context.Context, i int) error) error {
	var next, done atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for range connections {
		group.Go(func() error {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if err := f(ctx, i); err != nil {
					return err
				}
				d.progress(step, done.Add(1), int64(n))
			}
			return nil
		})
	}
	return group.Wait()
}

// importStock sends the opening stock as one CSV file. It is a repeatable import: cut off and sent again, it goes on
// where it was.
func (d *Demo) importStock(ctx context.Context) error {
	from, to := io.Pipe()
	go func() { to.CloseWithError(d.writeStock(to)) }()
	request, err := http.NewRequestWithContext(ctx, "POST", d.client.base+"/v1/stock/import?id=demo-opening-stock", from)
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "text/csv")
	var report struct{ Rows, Failed int64 }
	if err := d.client.send(request, &report); err != nil {
		return err
	}
	if report.Failed > 0 {
		return fmt.Errorf("%d of %d rows of stock were not taken", report.Failed, report.Rows)
	}
	return nil
}

func (d *Demo) writeStock(to io.Writer) error {
	out := bufio.NewWriterSize(to, 1<<20)
	line := []byte("sku,location,on_hand\n")
	for a := range d.chain.articles {
		add := func(location string, onHand int64) {
			line = append(append(line, d.chain.articles[a].sku...), ',')
			line = append(append(line, location...), ',')
			line = append(strconv.AppendInt(line, onHand, 10), '\n')
			d.opening[a] += onHand
			d.cells++
		}
		for i := range warehouses {
			add(warehouses[i].id, d.chain.kept(&warehouses[i], a))
		}
		for s := range d.chain.stores {
			if onHand, stocked := d.chain.opening(s, a); stocked {
				add(d.chain.stores[s].id, onHand)
			}
		}
		if _, err := out.Write(line); err != nil {
			return err
		}
		line = line[:0]
		d.progress("opening stock", int64(a+1), int64(len(d.chain.articles)))
	}
	return out.Flush()
}
