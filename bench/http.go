package bench

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
)

// shop is the stock that HTTP measurements run on: 4,000 SKUs in 100 stores, enough of each for ever.
const (
	shopSKUs      = 4000
	shopLocations = 100
	shopOnHand    = 1_000_000_000
)

func skuName(i int) string      { return string(appendSKU(nil, i)) }
func locationName(i int) string { return string(appendLocation(nil, i)) }

func appendSKU(dst []byte, i int) []byte      { return appendPadded(append(dst, "SKU-"...), i, 1_000_000) }
func appendLocation(dst []byte, i int) []byte { return appendPadded(append(dst, "store-"...), i, 1000) }

// appendPadded appends i with zeros before it, as many as it takes to have a digit for each power of ten up to top. The
// loaders make names this way, millions of them, while they measure.
func appendPadded(dst []byte, i, top int) []byte {
	for ; top > 1 && i < top; top /= 10 {
		dst = append(dst, '0')
	}
	return strconv.AppendInt(dst, int64(i), 10)
}

// startShop starts an onhand server on a new database with the shop in it.
func startShop(program, dir string) (*process, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	p, err := start(address, program, "serve", filepath.Join(dir, "db"), "--listen", address, "--admin", "", "--log-level", "error")
	if err != nil {
		return nil, err
	}
	var rows strings.Builder
	rows.WriteString("sku,location,on_hand\n")
	for sku := range shopSKUs {
		for location := range shopLocations {
			fmt.Fprintf(&rows, "%s,%s,%d\n", skuName(sku), locationName(location), shopOnHand)
		}
	}
	answer, err := http.Post("http://"+address+"/v1/stock/import", "text/csv", strings.NewReader(rows.String()))
	if err == nil {
		err = answer.Body.Close()
	}
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("import answered %s", answer.Status)
	}
	if err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

// startBare starts a bare server that answers as an onhand server does: with its headers and a body as long.
func startBare(program string, status int, headers, body string) (*process, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	return start(address, program, "bench-bare", address, strconv.Itoa(status), headers, body)
}

func getRequest(dst []byte, r *rand.Rand) []byte {
	dst = append(dst, "GET /v1/availability/"...)
	dst = appendSKU(dst, r.IntN(shopSKUs))
	dst = append(dst, '/')
	dst = appendLocation(dst, r.IntN(shopLocations))
	return append(dst, " HTTP/1.1\r\nHost: bench\r\n\r\n"...)
}

// cell is one of the shop's.
type cell struct{ sku, location int }

// drawer yields the cells that a reservation asks for, one unit of each.
type drawer func(r *rand.Rand) []cell

func anyCell(r *rand.Rand) cell   { return cell{r.IntN(shopSKUs), r.IntN(shopLocations)} }
func oneCell(r *rand.Rand) []cell { return []cell{anyCell(r)} }
func hotCell(*rand.Rand) []cell   { return []cell{{0, 0}} }
func threeCells(r *rand.Rand) []cell { // of different SKUs at one location
	c, step := anyCell(r), 1+r.IntN(shopSKUs/3)
	return []cell{c, {(c.sku + step) % shopSKUs, c.location}, {(c.sku + 2*step) % shopSKUs, c.location}}
}

// reserveRequest returns a maker of reservations of the cells that draw yields.
func reserveRequest(draw drawer) func(dst []byte, r *rand.Rand) []byte {
	return func(dst []byte, r *rand.Rand) []byte {
		body := append(make([]byte, 0, 256), `{"lines":[`...) // stays on the stack: the maker is shared by threads
		for i, c := range draw(r) {
			if i > 0 {
				body = append(body, ',')
			}
			body = appendSKU(append(body, `{"sku":"`...), c.sku)
			body = appendLocation(append(body, `","location":"`...), c.location)
			body = append(body, `","quantity":1}`...)
		}
		body = append(body, `],"expires_in":900}`...)
		dst = append(dst, "POST /v1/reservations HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: "...)
		dst = strconv.AppendInt(dst, int64(len(body)), 10)
		return append(append(dst, "\r\n\r\n"...), body...)
	}
}

const (
	getBody     = `{"sku":"SKU-0000001","location":"store-0001","available":1000000000,"on_hand":1000000000,"held":0,"safety_stock":0,"blocked":false,"stocked":true,"sequence":1402,"as_of":"2026-11-23T11:40:05.583461877Z"}`
	reserveBody = `{"id":"01a20834-c461-7f8c-bb6e-2a5cb09248cb","state":"held","lines":[{"sku":"SKU-0000001","location":"store-0001","quantity":1,"held":1,"committed":0,"released":0,"expired":0}],"created_at":"2026-11-23T11:40:05.601256797Z","expires_at":"2026-11-23T11:55:05.601256797Z","sequence":1234567}`
)

// httpGet measures the server beside a bare one.
func (r *Report) httpGet(c Config, dir string) error {
	shop, err := startShop(c.Program, dir)
	if err != nil {
		return err
	}
	defer shop.stop()
	bare, err := startBare(c.Program, 200, "Etag=W/\"2xw\"|Cache-Control=no-cache", getBody)
	if err != nil {
		return err
	}
	defer bare.stop()
	ours := &contender{name: "onhand", process: shop, load: load{address: shop.address, connections: c.Connections, request: getRequest, answer: httpAnswer(200)}}
	theirs := &contender{name: "bare", process: bare, load: load{address: bare.address, connections: c.Connections, request: getRequest, answer: httpAnswer(200)}}
	if err := contest(c.Rounds, c.Round, ours, theirs); err != nil {
		return err
	}
	r.note("GET availability", own(ours, (*result).rate), "requests/s")
	r.note("GET availability, bare server", own(theirs, (*result).rate), "requests/s")
	r.atLeast("GET availability ÷ bare server", ratio(ours, theirs, (*result).rate), 0.85, "×")
	r.note("GET availability, server processor time", own(ours, (*result).cpuPerMillion), "s per million")
	r.atMost("GET availability ÷ bare server, server processor time", ratio(ours, theirs, (*result).cpuPerMillion), 1.2, "×")
	return nil
}

// httpReserve measures the server beside a bare one and beside Redis.
func (r *Report) httpReserve(c Config, dir string) error {
	shop, err := startShop(c.Program, dir)
	if err != nil {
		return err
	}
	defer shop.stop()
	bare, err := startBare(c.Program, 201, "Location=/v1/reservations/01a20834-c461-7f8c-bb6e-2a5cb09248cb", reserveBody)
	if err != nil {
		return err
	}
	defer bare.stop()
	one := func(name string, p *process, draw drawer) *contender {
		return &contender{name: name, process: p, load: load{address: p.address, connections: c.Connections, request: reserveRequest(draw), answer: httpAnswer(201)}}
	}
	spread, hot, limit := one("onhand", shop, oneCell), one("onhand, hot", shop, hotCell), one("bare", bare, oneCell)
	contenders := []*contender{spread, hot, limit}
	var peer *contender
	redis, why, err := startRedis(dir, "always")
	if err != nil {
		return err
	}
	if redis != nil {
		defer redis.stop()
		if err := redis.stock(); err != nil {
			return err
		}
		peer = &contender{name: "Redis", process: redis.process, load: load{address: redis.address, connections: c.Connections, request: redisReserve(redis, oneCell), answer: redisAnswer}}
		contenders = append(contenders, peer)
	}
	if err := contest(c.Rounds, c.Round, contenders...); err != nil {
		return err
	}
	r.note("reserve, durable, one line", own(spread, (*result).rate), "requests/s")
	r.note("reserve, bare server", own(limit, (*result).rate), "requests/s")
	r.atLeast("reserve ÷ bare server", ratio(spread, limit, (*result).rate), 0.5, "×")
	r.atMost("reserve, server processor time", own(spread, (*result).cpuPerMillion), 14, "s per million")
	r.note("reserve, p99", own(spread, func(x *result) float64 { return quantile(x.latency, 0.99).Seconds() * 1e3 }), "ms")
	r.atLeast("reserve: everyone on one SKU ÷ on different ones (HTTP)", ratio(hot, spread, (*result).rate), 0.95, "×")
	if peer == nil {
		r.skip("reserve ÷ Redis with appendfsync always", why)
		return nil
	}
	r.note("reserve, Redis with appendfsync always", own(peer, (*result).rate), "requests/s")
	r.atLeast("reserve ÷ Redis with appendfsync always", ratio(spread, peer, (*result).rate), 2, "×")
	r.note("reserve, Redis, server processor time", own(peer, (*result).cpuPerMillion), "s per million")
	return nil
}
