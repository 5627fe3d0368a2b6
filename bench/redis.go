package bench

import (
	"bufio"
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// redisScript is a reservation as shops write it.
//
//go:embed redis_reserve.lua
var redisScript string

// redisProcess is a Redis server with the script loaded.
type redisProcess struct {
	*process
	sha string
}

// startRedis starts a Redis that syncs its log as said (always: after every round of its event loop; everysec), or says why
// there is none.
func startRedis(dir, sync string) (*redisProcess, string, error) {
	program, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, "redis-server is not installed", nil
	}
	address, err := freeAddress()
	if err != nil {
		return nil, "", err
	}
	_, port, _ := net.SplitHostPort(address)
	// A SIGTERM ends what it has forked to write its log anew as well.
	p, err := startCommand(address, exec.Command(program, "--port", port, "--bind", "127.0.0.1", "--dir", dir, "--save", "",
		"--appendonly", "yes", "--appendfsync", sync, "--no-appendfsync-on-rewrite", "no", "--loglevel", "warning"), syscall.SIGTERM)
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

// deadlineMS is when the reservations of the bench end, in ms since 1970: not before it is over.
var deadlineMS = strconv.FormatInt(time.Now().Add(time.Hour).UnixMilli(), 10)

// redisReserve returns a maker of reservations of the cells that draw yields.
func redisReserve(p *redisProcess, draw drawer) func(dst []byte, r *rand.Rand) []byte {
	return func(dst []byte, r *rand.Rand) []byte {
		cells := draw(r)
		words := []string{"EVALSHA", p.sha, strconv.Itoa(2 + len(cells)), "deadlines", "hold:" + strconv.FormatUint(r.Uint64(), 36)}
		for _, c := range cells {
			words = append(words, redisCell(c))
		}
		words = append(words, strconv.FormatInt(time.Now().UnixMilli(), 10), deadlineMS)
		for range cells {
			words = append(words, "1")
		}
		return redisCommand(dst, words...)
	}
}

func redisCell(c cell) string { return skuName(c.sku) + "@" + locationName(c.location) }

// redisAnswer reads the script's answer: 0, or the number of the line that too little is left of.
func redisAnswer(in []byte) (int, error) {
	end := bytes.Index(in, []byte("\r\n"))
	if end < 0 {
		return 0, nil
	}
	if string(in[:end]) != ":0" {
		return 0, fmt.Errorf("the answer of Redis is %q", in[:end])
	}
	return end + 2, nil
}

func redisRead(dst []byte, r *rand.Rand) []byte {
	return redisCommand(dst, "HMGET", redisCell(anyCell(r)), "on_hand", "held")
}

// redisPair reads the answer to redisRead: two numbers, as strings.
func redisPair(in []byte) (int, error) {
	if len(in) < 4 {
		return 0, nil
	}
	if string(in[:4]) != "*2\r\n" {
		return 0, fmt.Errorf("the answer of Redis is %q", in)
	}
	at := 4
	for range 2 {
		end := bytes.Index(in[at:], []byte("\r\n"))
		if end < 0 {
			return 0, nil
		}
		length, err := strconv.Atoi(string(in[at+1 : at+end]))
		if err != nil || in[at] != '$' || length < 0 {
			return 0, fmt.Errorf("the answer of Redis is %q", in)
		}
		if at += end + 2 + length + 2; at > len(in) {
			return 0, nil
		}
	}
	return at, nil
}

// stock gives Redis the cells of the shop.
func (p *redisProcess) stock() (err error) {
	conn, err := net.Dial("tcp", p.address)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	answers := bufio.NewReader(conn)
	onHand := strconv.Itoa(shopOnHand)
	for sku := range shopSKUs {
		var out []byte
		for location := range shopLocations {
			out = redisCommand(out, "HSET", redisCell(cell{sku, location}), "on_hand", onHand, "held", "0")
		}
		if _, err := conn.Write(out); err != nil {
			return err
		}
		for range shopLocations {
			line, err := answers.ReadString('\n')
			if err != nil {
				return err
			}
			if line[0] != ':' {
				return fmt.Errorf("the answer of Redis is %q", line)
			}
		}
	}
	return nil
}
