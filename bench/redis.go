package bench

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"strconv"
)

// redisScript is a reservation as shops write it: check what is left of the cell, count it as held, keep the hold with
// its line, and note its deadline for a sweeper. It answers 1, or 0 where too little is left. The stock is loaded by
// the same script's first use of a cell, so that loading needs no second one.
//
//	KEYS  cell, hold, deadlines    ARGV  quantity, deadline (ms), on hand at first
const redisScript = `
local on_hand = redis.call('HGET', KEYS[1], 'on_hand')
if not on_hand then
  on_hand = ARGV[3]
  redis.call('HSET', KEYS[1], 'on_hand', on_hand, 'held', 0)
end
local held = redis.call('HGET', KEYS[1], 'held')
if tonumber(on_hand) - tonumber(held) < tonumber(ARGV[1]) then return 0 end
redis.call('HINCRBY', KEYS[1], 'held', ARGV[1])
redis.call('HSET', KEYS[2], 'cell', KEYS[1], 'quantity', ARGV[1])
redis.call('ZADD', KEYS[3], ARGV[2], KEYS[2])
return 1
`

// redisProcess is a Redis server with the script loaded.
type redisProcess struct {
	*process
	sha string
}

// startRedis starts a Redis that syncs its log after every event loop, or says why there is none.
func startRedis(dir string) (*redisProcess, string, error) {
	program, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, "redis-server is not installed", nil
	}
	address, err := freeAddress()
	if err != nil {
		return nil, "", err
	}
	_, port, _ := net.SplitHostPort(address)
	p, err := start(address, program, "--port", port, "--bind", "127.0.0.1", "--dir", dir, "--save", "",
		"--appendonly", "yes", "--appendfsync", "always", "--no-appendfsync-on-rewrite", "no", "--loglevel", "warning")
	if err != nil {
		return nil, "", err
	}
	sha, err := redisLoad(address)
	if err != nil {
		p.stop()
		return nil, "", err
	}
	return &redisProcess{p, sha}, "", nil
}

func redisLoad(address string) (sha string, err error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if _, err := conn.Write(redisCommand(nil, "SCRIPT", "LOAD", redisScript)); err != nil {
		return "", err
	}
	in := make([]byte, 256)
	n, err := conn.Read(in)
	if err != nil {
		return "", err
	}
	lines := bytes.Split(in[:n], []byte("\r\n"))
	if len(lines) < 2 || len(lines[1]) != 40 {
		return "", fmt.Errorf("the answer of Redis is %q", in[:n])
	}
	return string(lines[1]), nil
}

// redisCommand writes a command in Redis's protocol behind dst.
func redisCommand(dst []byte, words ...string) []byte {
	dst = append(dst, '*')
	dst = strconv.AppendInt(dst, int64(len(words)), 10)
	dst = append(dst, "\r\n"...)
	for _, w := range words {
		dst = append(dst, '$')
		dst = strconv.AppendInt(dst, int64(len(w)), 10)
		dst = append(dst, "\r\n"...)
		dst = append(dst, w...)
		dst = append(dst, "\r\n"...)
	}
	return dst
}

func redisReserve(p *redisProcess) func(dst []byte, r *rand.Rand) []byte {
	return func(dst []byte, r *rand.Rand) []byte {
		cell := skuName(r.IntN(shopSKUs)) + "@" + locationName(r.IntN(shopLocations))
		hold := strconv.FormatUint(r.Uint64(), 36)
		return redisCommand(dst, "EVALSHA", p.sha, "3", cell, "hold:"+hold, "deadlines", "1", "1790000000000", strconv.Itoa(shopOnHand))
	}
}

// redisAnswer reads the script's answer.
func redisAnswer(in []byte) (int, error) {
	end := bytes.Index(in, []byte("\r\n"))
	if end < 0 {
		return 0, nil
	}
	if string(in[:end]) != ":1" {
		return 0, fmt.Errorf("the answer of Redis is %q", in[:end])
	}
	return end + 2, nil
}
