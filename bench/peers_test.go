package bench

import (
	"bytes"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// What peers are given to do is what onhand does: no unit twice, all lines or none, and back at the deadline.

func TestRedisScript(t *testing.T) {
	p, why, err := startRedis(t.TempDir(), "always")
	if err != nil {
		t.Fatal(err)
	}
	if p == nil {
		t.Log("nothing was tested: " + why)
		return
	}
	defer p.stop()
	conn, err := net.Dial("tcp", p.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	do := func(words ...string) string {
		t.Helper()
		if _, err := conn.Write(redisCommand(nil, words...)); err != nil {
			t.Fatal(err)
		}
		in := make([]byte, 4096)
		n, err := conn.Read(in)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(in[:n]))
	}
	reserve := func(hold string, now, deadline int, lines ...string) string {
		words := []string{"EVALSHA", p.sha, strconv.Itoa(2 + len(lines)/2), "deadlines", hold}
		for i := 0; i < len(lines); i += 2 {
			words = append(words, lines[i])
		}
		words = append(words, strconv.Itoa(now), strconv.Itoa(deadline))
		for i := 1; i < len(lines); i += 2 {
			words = append(words, lines[i])
		}
		return do(words...)
	}
	for _, c := range []string{"a", "b"} {
		do("HSET", c, "on_hand", "3", "held", "0")
	}
	for _, step := range []struct{ got, want string }{
		{reserve("h1", 1, 100, "a", "2", "b", "1"), ":0"},
		{reserve("h2", 2, 100, "b", "2", "a", "2"), ":2"}, // too little of a
		{do("HGET", "b", "held"), "$1\r\n1"},              // and so nothing of b
		{reserve("h3", 3, 50, "b", "1", "b", "2"), ":2"},  // the same cell twice is its sum
		{reserve("h4", 4, 50, "b", "1", "b", "1"), ":0"},
		{reserve("h5", 5, 200, "b", "1"), ":1"},
		{reserve("h6", 60, 200, "b", "1"), ":0"}, // h4 is over
		{reserve("h7", 60, 200, "a", "2"), ":1"},
		{reserve("h8", 101, 200, "a", "2"), ":0"}, // h1 is over
		{do("EXISTS", "h1"), ":0"},
		{do("ZCARD", "deadlines"), ":2"},
		{reserve("h9", 102, 200, "unknown", "1"), ":1"},
	} {
		if step.got != step.want {
			t.Errorf("%q, want %q", step.got, step.want)
		}
	}
}

func TestPostgresFunctions(t *testing.T) {
	p, why, err := startPostgres()
	if err != nil {
		t.Fatal(err)
	}
	if p == nil {
		t.Log("nothing was tested: " + why)
		return
	}
	defer p.stop()
	conn, err := net.Dial("tcp", p.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := postgresGreet(conn); err != nil {
		t.Fatal(err)
	}
	do := func(sql string) error {
		_, err := postgresQuery(conn, sql)
		return err
	}
	held := func(sku string, want int) {
		t.Helper()
		if rows, err := postgresQuery(conn, fmt.Sprintf("SELECT 1 FROM cell WHERE sku = '%s' AND location = 'x' AND held = %d", sku, want)); err != nil || rows != 1 {
			t.Errorf("held of %s is not %d: %v", sku, want, err)
		}
	}
	reserve := func(skus string, quantities string, seconds int) error {
		locations := "{x" + strings.Repeat(",x", strings.Count(skus, ",")) + "}"
		return do(fmt.Sprintf("SELECT reserve('%s', '%s', '%s', %d)", skus, locations, quantities, seconds))
	}
	refused := func(err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), "OH001") {
			t.Errorf("the answer is %v, want OH001", err)
		}
	}
	if err := do("INSERT INTO cell VALUES ('a', 'x', 3), ('b', 'x', 3)"); err != nil {
		t.Fatal(err)
	}
	if err := reserve("{a,b}", "{2,1}", 1); err != nil {
		t.Error(err)
	}
	refused(reserve("{b,a}", "{2,2}", 900))
	held("b", 1)
	refused(reserve("{b,b}", "{1,2}", 900))
	refused(reserve("{unknown}", "{1}", 900))
	held("a", 2)
	time.Sleep(1100 * time.Millisecond)
	if err := do("SELECT sweep(1000)"); err != nil {
		t.Error(err)
	}
	held("a", 0)
	held("b", 0)
	if rows, err := postgresQuery(conn, "SELECT 1 FROM hold"); err != nil || rows != 0 {
		t.Errorf("%d holds are left, %v", rows, err)
	}
}

// Answers are read as they come in, in whatever pieces.
func TestPeerAnswers(t *testing.T) {
	postgres := postgresMessage(nil, '2', postgresText())
	postgres = postgresMessage(postgres, 'D', func(dst []byte) []byte { return append(dst, 0, 1, 0, 0, 0, 1, '7') })
	postgres = postgresMessage(postgres, 'C', postgresText("SELECT 1"))
	postgres = postgresMessage(postgres, 'Z', func(dst []byte) []byte { return append(dst, 'I') })
	for name, c := range map[string]struct {
		answer string
		read   func(in []byte) (int, error)
	}{
		"a row of PostgreSQL":    {string(postgres), postgresAnswer},
		"a pair of Redis":        {"*2\r\n$4\r\n1000\r\n$1\r\n0\r\n", redisPair},
		"a number of Redis":      {":0\r\n", redisAnswer},
		"a page of a web server": {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", httpAnswer(200)},
	} {
		for i := range len(c.answer) {
			if n, err := c.read([]byte(c.answer[:i])); n != 0 || err != nil {
				t.Errorf("%s: %q is taken as %d bytes, %v", name, c.answer[:i], n, err)
			}
		}
		if n, err := c.read([]byte(c.answer)); n != len(c.answer) || err != nil {
			t.Errorf("%s is taken as %d of %d bytes, %v", name, n, len(c.answer), err)
		}
	}
	failed := postgresMessage(postgresMessage(nil, 'E', postgresText("SERROR", "COH001")), 'Z', postgresText())
	none := bytes.Replace(postgres, []byte{'D'}, []byte{'n'}, 1)
	for name, c := range map[string]struct {
		answer string
		read   func(in []byte) (int, error)
	}{
		"an error":          {string(failed), postgresAnswer},
		"no row":            {string(none), postgresAnswer},
		"a refusal":         {":1\r\n", redisAnswer},
		"an error of Redis": {"-ERR\r\n", redisAnswer},
		"a missing cell":    {"*2\r\n$-1\r\n$-1\r\n", redisPair},
		"another status":    {"HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\n\r\n", httpAnswer(201)},
	} {
		if n, err := c.read([]byte(c.answer)); err == nil {
			t.Errorf("%s is taken as %d bytes", name, n)
		}
	}
}
