package bench

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"onhand/engine"
)

// town draws a position as shops lie in a country of the size of France: around five hundred centres, few in between.
func town(r *rand.Rand) engine.Position {
	centre := rand.New(rand.NewPCG(7, uint64(r.IntN(500))))
	latitude, longitude := 43+centre.Float64()*7, -3+centre.Float64()*10
	return engine.Position{Latitude: latitude + r.NormFloat64()/8, Longitude: longitude + r.NormFloat64()/8}
}

// openStores opens an engine with n stores, of which one in a hundred is curbside.
func openStores(dir string, n int) (*engine.Engine, error) {
	e, err := engine.Open(dir, engine.Options{})
	if err != nil {
		return nil, err
	}
	var group errgroup.Group
	group.SetLimit(512) // they share syncs
	random := rand.New(rand.NewPCG(3, 4))
	for i := range n {
		position := town(random)
		group.Go(func() error {
			d := engine.LocationDetails{Position: &position}
			if i%100 == 0 {
				d.Services = []engine.Service{engine.ServiceCurbside}
			}
			details, err := engine.NewDetails(d)
			if err == nil {
				_, err = e.PutLocation(engine.Location{ID: fmt.Sprintf("store-%07d", i), Details: details}, "")
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// near measures searches in process, from one goroutine.
func (r *Report) near(c Config, dir string) error {
	for _, size := range []struct {
		n    int
		name string
		bar  float64 // µs
	}{{25_000, "25,000", 2}, {1_000_000, "1 M", 4}} {
		e, err := openStores(filepath.Join(dir, strconv.Itoa(size.n)), size.n)
		if err != nil {
			return err
		}
		// Searches about as many places as there are cities, so that what they need is not all in the cache.
		from := make([]engine.Near, 1<<14)
		random := rand.New(rand.NewPCG(5, 6))
		for i := range from {
			from[i] = engine.Near{Position: town(random)}
		}
		var found []engine.FoundLocation
		nearest := func(filter engine.LocationFilter) (spread, error) {
			return r.each(c, func(i int) (err error) {
				found, _, err = e.LocationsNear(found[:0], from[i%len(from)], filter, engine.NearCursor{}, 10)
				if err == nil && len(found) != 10 {
					err = fmt.Errorf("%d found", len(found))
				}
				return err
			})
		}
		all, err := nearest(engine.LocationFilter{})
		if err == nil {
			r.atMost("engine: nearest 10 of "+size.name+" locations", all, size.bar, "µs")
			all, err = nearest(engine.LocationFilter{Services: []engine.Service{engine.ServiceCurbside}})
		}
		if err == nil {
			r.atMost("engine: nearest 10 of "+size.name+" under a filter of 1 %", all, 40, "µs")
		}
		if err == nil && size.n == 25_000 {
			err = r.changed(c, e)
		}
		if err := errors.Join(err, e.Close()); err != nil {
			return err
		}
	}
	return r.baskets(c, filepath.Join(dir, "baskets"))
}

// changed measures how long it takes from the moment that a location is moved until a search finds it where it is now.
func (r *Report) changed(c Config, e *engine.Engine) error {
	took, err := r.each(c, func(i int) error {
		at := engine.Position{Latitude: -40 - float64(i%1000)/100, Longitude: 170}
		details, err := engine.NewDetails(engine.LocationDetails{Position: &at})
		if err != nil {
			return err
		}
		if _, err := e.PutLocation(engine.Location{ID: "store-0000001", Details: details}, ""); err != nil {
			return err
		}
		found, _, err := e.LocationsNear(nil, engine.Near{Position: at}, engine.LocationFilter{}, engine.NearCursor{}, 1)
		if err == nil && (found[0].ID != "store-0000001" || found[0].Distance != 0) {
			err = errors.New("a location that was moved is not found where it is")
		}
		return err
	})
	if err == nil {
		for _, v := range []*float64{&took.Median, &took.Min, &took.Max} {
			*v /= 1000
		}
		r.atMost("engine: one of 25,000 locations moved, found, on the disk", took, 100, "ms")
	}
	return err
}

// baskets measures a basket of 5 among 1,565 stores × 4,000 SKUs, a fifth of the cells in stock.
func (r *Report) baskets(c Config, dir string) (err error) {
	const stores, skus = 1565, 4000
	e, err := openStores(dir, stores)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	im, err := e.BeginImport("", engine.ImportSet, false)
	if err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(8, 9))
	rows := make([]engine.ImportRow, 0, engine.ImportChunk)
	for sku := range skus {
		for store := range stores {
			onHand := int64(0)
			if random.IntN(5) == 0 {
				onHand = 3
			}
			rows = append(rows, engine.ImportRow{SKU: skuName(sku), Location: fmt.Sprintf("store-%07d", store), OnHand: &onHand})
			if len(rows) == cap(rows) {
				if _, err := im.Apply(nil, rows); err != nil {
					return err
				}
				rows = rows[:0]
			}
		}
	}
	if _, err := im.Apply(nil, rows); err != nil {
		return err
	}
	if _, err := im.Close(); err != nil {
		return err
	}
	requests := make([]engine.BasketRequest, 1<<12)
	for i := range requests {
		requests[i] = engine.BasketRequest{Near: engine.Near{Position: town(random)}, Limit: 10}
		for range 5 {
			requests[i].Lines = append(requests[i].Lines, engine.BasketLine{SKU: skuName(random.IntN(skus)), Quantity: 1})
		}
	}
	took, err := r.each(c, func(i int) error {
		_, err := e.Basket(&requests[i%len(requests)])
		return err
	})
	if err == nil {
		r.atMost("engine: basket of 5 near a point, 1,565 stores × 4,000 SKUs", took, 30, "µs")
	}
	return err
}

// each runs call in rounds, after one to warm up, and returns how long one takes in microseconds.
func (r *Report) each(c Config, call func(i int) error) (spread, error) {
	var values []float64
	for round := range c.Rounds + 1 {
		begun, count := time.Now(), 0
		for time.Since(begun) < c.Round/2 {
			for range 64 {
				if err := call(count); err != nil {
					return spread{}, err
				}
				count++
			}
		}
		if round > 0 {
			values = append(values, float64(time.Since(begun).Microseconds())/float64(count))
		}
	}
	return spreadOf(values), nil
}

// storesOverHTTP is how many stores are searched over HTTP.
const storesOverHTTP = 25_000

// httpNear measures searches over HTTP: of locations beside Redis, of availability beside a bare server.
func (r *Report) httpNear(c Config, dir string) error {
	address, err := freeAddress()
	if err != nil {
		return err
	}
	shop, err := start(address, c.Program, "serve", filepath.Join(dir, "db"), "--listen", address, "--admin", "", "--log-level", "error")
	if err != nil {
		return err
	}
	defer shop.stop()
	redis, why, err := startRedis(dir, "always")
	if err != nil {
		return err
	}
	if redis != nil {
		defer redis.stop()
	}
	if err := putStores(address, redis); err != nil {
		return err
	}
	locations := &contender{name: "onhand", process: shop, load: load{address: address, connections: c.Connections, request: nearRequest("/v1/locations?limit=10&radius_km=50&near="), answer: httpAnswer(200)}}
	contenders := []*contender{locations}
	var peer *contender
	if redis != nil {
		peer = &contender{name: "Redis", process: redis.process, load: load{address: redis.address, connections: c.Connections, request: redisNear, answer: redisList}}
		contenders = append(contenders, peer)
	}
	if err := contest(c.Rounds, c.Round, contenders...); err != nil {
		return err
	}
	r.note("nearest 10 of 25,000 within 50 km", own(locations, (*result).rate), "requests/s")
	r.note("nearest 10 of 25,000, server processor time", own(locations, (*result).cpuPerMillion), "s per million")
	if peer != nil {
		r.note("nearest 10 of 25,000, Redis GEOSEARCH", own(peer, (*result).rate), "requests/s")
		r.atLeast("nearest 10 of 25,000 ÷ Redis GEOSEARCH", ratio(locations, peer, (*result).rate), 2, "×")
		r.atMost("nearest 10 of 25,000 ÷ Redis, server processor time", ratio(locations, peer, (*result).cpuPerMillion), 0.5, "×")
	} else {
		r.skip("nearest 10 of 25,000 ÷ Redis GEOSEARCH", why)
	}

	// The bare server answers what the server answers about one position.
	body, err := get("http://" + address + "/v1/availability/SKU-0000000?limit=10&near=10,10")
	if err != nil {
		return err
	}
	bare, err := startBare(c.Program, 200, "Cache-Control=no-cache", body)
	if err != nil {
		return err
	}
	defer bare.stop()
	path := "/v1/availability/SKU-0000000?limit=10&near="
	ours := &contender{name: "onhand", process: shop, load: load{address: address, connections: c.Connections, request: nearRequest(path), answer: httpAnswer(200)}}
	theirs := &contender{name: "bare", process: bare, load: load{address: bare.address, connections: c.Connections, request: nearRequest(path), answer: httpAnswer(200)}}
	if err := contest(c.Rounds, c.Round, ours, theirs); err != nil {
		return err
	}
	r.note("GET availability near", own(ours, (*result).rate), "requests/s")
	r.note("GET availability near, server processor time", own(ours, (*result).cpuPerMillion), "s per million")
	r.atLeast("GET availability near ÷ bare server", ratio(ours, theirs, (*result).rate), 0.6, "×")
	return nil
}

func get(target string) (string, error) {
	answer, err := http.Get(target)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return "", err
	}
	if answer.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s answered %s", target, answer.Status)
	}
	return string(body), nil
}

// putStores gives both the same stores, and each store ten of one SKU.
func putStores(address string, redis *redisProcess) error {
	var group errgroup.Group
	group.SetLimit(64)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	random := rand.New(rand.NewPCG(3, 4))
	var rows strings.Builder
	rows.WriteString("sku,location,on_hand\n")
	var geo []byte
	for i := range storesOverHTTP {
		p := town(random)
		id := fmt.Sprintf("store-%07d", i)
		fmt.Fprintf(&rows, "%s,%s,10\n", skuName(0), id)
		latitude, longitude := strconv.FormatFloat(p.Latitude, 'f', 6, 64), strconv.FormatFloat(p.Longitude, 'f', 6, 64)
		geo = redisCommand(geo, "GEOADD", "stores", longitude, latitude, id)
		group.Go(func() error {
			request, err := http.NewRequest("PUT", "http://"+address+"/v1/locations/"+id,
				strings.NewReader(`{"name":"Store","position":{"latitude":`+latitude+`,"longitude":`+longitude+`}}`))
			if err != nil {
				return err
			}
			answer, err := client.Do(request)
			if err != nil {
				return err
			}
			if answer.StatusCode != http.StatusOK {
				err = fmt.Errorf("PUT answered %s", answer.Status)
			}
			return errors.Join(err, answer.Body.Close())
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	answer, err := client.Post("http://"+address+"/v1/stock/import", "text/csv", strings.NewReader(rows.String()))
	if err == nil {
		err = answer.Body.Close()
	}
	if err != nil || redis == nil {
		return err
	}
	conn, err := net.Dial("tcp", redis.address)
	if err != nil {
		return err
	}
	defer conn.Close()
	go func() { _, _ = conn.Write(geo) }() // a failure shows as an answer that is not there
	in := make([]byte, 64<<10)
	for left := storesOverHTTP * len(":1\r\n"); left > 0; {
		n, err := conn.Read(in)
		if err != nil {
			return err
		}
		left -= n
	}
	return nil
}

func nearRequest(path string) func(dst []byte, r *rand.Rand) []byte {
	return func(dst []byte, r *rand.Rand) []byte {
		p := town(r)
		dst = append(dst, "GET "...)
		dst = append(dst, path...)
		dst = appendDegrees(dst, p.Latitude)
		dst = append(dst, ',')
		dst = appendDegrees(dst, p.Longitude)
		return append(dst, " HTTP/1.1\r\nHost: bench\r\n\r\n"...)
	}
}

func appendDegrees(dst []byte, v float64) []byte {
	return strconv.AppendFloat(dst, math.Round(v*1e5)/1e5, 'f', -1, 64)
}

func redisNear(dst []byte, r *rand.Rand) []byte {
	p := town(r)
	return redisCommand(dst, "GEOSEARCH", "stores", "FROMLONLAT", string(appendDegrees(nil, p.Longitude)), string(appendDegrees(nil, p.Latitude)),
		"BYRADIUS", "50", "km", "ASC", "COUNT", "10", "WITHDIST")
}

// redisList reads a list of up to ten names with distances.
func redisList(in []byte) (int, error) {
	at := 0
	line := func() (string, bool) {
		end := strings.Index(string(in[at:min(len(in), at+64)]), "\r\n")
		if end < 0 {
			return "", false
		}
		text := string(in[at : at+end])
		at += end + 2
		return text, true
	}
	head, ok := line()
	if !ok {
		return 0, nil
	}
	items, err := strconv.Atoi(strings.TrimPrefix(head, "*"))
	if err != nil || head[0] != '*' {
		return 0, fmt.Errorf("the answer of Redis is %q", head)
	}
	for range 5 * items { // each: *2, $n, name, $n, distance
		if _, ok := line(); !ok {
			return 0, nil
		}
	}
	return at, nil
}
