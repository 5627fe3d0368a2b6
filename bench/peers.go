package bench

import (
	"fmt"
	"time"
)

// The part peers puts the same work to onhand and to what else a shop could keep its stock in: Redis with a script, and
// PostgreSQL with a function. Each runs on this machine, alone while it is measured, with its data in a temporary directory.
// What they do is in redis_reserve.lua and postgres.sql.
//
// All are asked in the form that costs them least: Redis by EVALSHA, PostgreSQL by a prepared statement. onhand is asked over
// HTTP with JSON, as shops do.

// peer is a way of keeping stock.
type peer struct {
	name    string
	process *process
	loads   [works]load // without connections
}

// work is what is asked of each peer.
type work int

const (
	workRead work = iota
	workReserve
	workHot
	workBasket
	works
)

var workNames = [works]string{"read of a random cell", "reserve", "reserve, everyone on one cell", "reserve a basket of 3"}

var workDraws = [works]drawer{workReserve: oneCell, workHot: hotCell, workBasket: threeCells}

// peerConnections are how many callers there are at a time.
var peerConnections = []int{64, 256}

func (r *Report) peers(c Config, dir string) error {
	peers, stop, err := r.startPeers(c, dir)
	defer stop()
	if err != nil {
		return err
	}
	for w := range works {
		for _, connections := range peerConnections {
			contenders := make([]*contender, len(peers))
			for i, p := range peers {
				l := p.loads[w]
				l.connections = connections
				contenders[i] = &contender{name: p.name, process: p.process, load: l}
			}
			if err := contest(c.Rounds, c.Round, contenders...); err != nil {
				return err
			}
			r.heading(fmt.Sprintf("%s, %d connections", workNames[w], connections))
			for _, one := range contenders {
				r.add(Row{Name: "  " + one.name, Note: peerNote(contenders[0], one), Passed: true})
			}
		}
	}
	return nil
}

// peerNote tells what a contender did, and by how much the first one beats it.
func peerNote(first, c *contender) string {
	rate, cpu := own(c, (*result).rate), own(c, (*result).cpuPerMillion)
	at := func(q float64) spread {
		return own(c, func(x *result) float64 { return float64(quantile(x.latency, q)) / float64(time.Millisecond) })
	}
	p50, p99 := at(0.5), at(0.99)
	text := fmt.Sprintf("%6s/s (%s … %s)  p50 %s ms  p99 %s ms (%s … %s)  %s CPU s/M", number(rate.Median), number(rate.Min), number(rate.Max),
		number(p50.Median), number(p99.Median), number(p99.Min), number(p99.Max), number(cpu.Median))
	if c == first {
		return text
	}
	times := ratio(first, c, (*result).rate)
	return text + fmt.Sprintf("  onhand ÷ it: %s (%s … %s)", number(times.Median), number(times.Min), number(times.Max))
}

// startPeers starts all that are installed, onhand first, and says what is not.
func (r *Report) startPeers(c Config, dir string) (all []*peer, stop func(), err error) {
	var stops []func()
	stop = func() {
		for _, s := range stops {
			s()
		}
	}
	shop, err := startShop(c.Program, dir)
	if err != nil {
		return nil, stop, err
	}
	stops = append(stops, shop.stop)
	onhand := &peer{name: "onhand", process: shop}
	onhand.loads[workRead] = load{address: shop.address, request: getRequest, answer: httpAnswer(200)}
	for w := workReserve; w < works; w++ {
		onhand.loads[w] = load{address: shop.address, request: reserveRequest(workDraws[w]), answer: httpAnswer(201)}
	}
	all = append(all, onhand)
	for _, sync := range []struct{ setting, name string }{
		{"always", "Redis, appendfsync always"},
		{"everysec", "Redis, appendfsync everysec (may lose a second)"},
	} {
		sub, err := subdirectory(dir, "redis-"+sync.setting)
		if err != nil {
			return nil, stop, err
		}
		redis, why, err := startRedis(sub, sync.setting)
		if err != nil {
			return nil, stop, err
		}
		if redis == nil {
			r.skip(sync.name, why)
			continue
		}
		stops = append(stops, redis.stop)
		if err := redis.stock(); err != nil {
			return nil, stop, err
		}
		p := &peer{name: sync.name, process: redis.process}
		p.loads[workRead] = load{address: redis.address, request: redisRead, answer: redisPair}
		for w := workReserve; w < works; w++ {
			p.loads[w] = load{address: redis.address, request: redisReserve(redis, workDraws[w]), answer: redisAnswer}
		}
		all = append(all, p)
	}
	postgres, why, err := startPostgres()
	if err != nil {
		return nil, stop, err
	}
	if postgres == nil {
		r.skip("PostgreSQL, synchronous_commit on", why)
		return all, stop, nil
	}
	stops = append(stops, postgres.stop)
	p := &peer{name: "PostgreSQL, synchronous_commit on", process: postgres.process}
	p.loads[workRead] = load{address: postgres.address, request: postgresRead, answer: postgresAnswer, greet: postgresGreet}
	for w := workReserve; w < works; w++ {
		p.loads[w] = load{address: postgres.address, request: postgresReserve(workDraws[w]), answer: postgresAnswer, greet: postgresGreet}
	}
	return append(all, p), stop, nil
}
