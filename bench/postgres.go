package bench

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	_ "embed"
)

//go:embed postgres.sql
var postgresSchema string

// postgresProcess is a PostgreSQL server with the tables and functions of postgres.sql.
type postgresProcess struct {
	*process
	remove func() error // its directory
}

// postgresSettings are those of a small server that is there for nothing else. All that makes a commit durable is on.
var postgresSettings = []string{
	"fsync=on", "synchronous_commit=on", "full_page_writes=on", "wal_compression=on",
	"shared_buffers=1GB", "max_connections=300", "max_wal_size=8GB", "checkpoint_timeout=15min", "wal_buffers=64MB",
	"jit=off", "autovacuum_naptime=10s", "log_min_messages=fatal", "unix_socket_directories=",
}

// startPostgres starts a PostgreSQL on a new database, or says why there is none.
func startPostgres() (_ *postgresProcess, why string, err error) {
	initdb, err := postgresProgram("initdb")
	if err != nil {
		return nil, "PostgreSQL is not installed", nil
	}
	server, err := postgresProgram("postgres")
	if err != nil {
		return nil, "PostgreSQL is not installed", nil
	}
	// It refuses to run as root, so it gets a directory that its own user can reach.
	dir, remove, err := scratch("", "onhand-bench-postgres-")
	if err != nil {
		return nil, "", err
	}
	p := &postgresProcess{remove: remove}
	defer func() {
		if err != nil || why != "" {
			err = errors.Join(err, remove())
		}
	}()
	as, why, err := unprivileged(dir)
	if why != "" || err != nil {
		return nil, why, err
	}
	data := filepath.Join(dir, "data")
	create := exec.Command(initdb, "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C")
	as(create)
	if out, err := output(create, syscall.SIGTERM); err != nil {
		return nil, "", fmt.Errorf("initdb: %w: %s", err, out)
	}
	address, err := freeAddress()
	if err != nil {
		return nil, "", err
	}
	_, port, _ := net.SplitHostPort(address)
	args := []string{"-D", data, "-c", "listen_addresses=127.0.0.1", "-c", "port=" + port}
	for _, s := range postgresSettings {
		args = append(args, "-c", s)
	}
	command := exec.Command(server, args...)
	as(command)
	if p.process, err = startCommand(address, command, syscall.SIGQUIT); err != nil {
		return nil, "", err
	}
	p.family = true
	if err := p.stock(); err != nil {
		p.process.stop()
		return nil, "", fmt.Errorf("PostgreSQL: %w", err)
	}
	return p, "", nil
}

func (p *postgresProcess) stop() {
	p.process.stop()
	_ = p.remove() // what is left lies in the system's temporary directory
}

// postgresProgram finds a program of PostgreSQL, which distributions keep off the path.
func postgresProgram(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	if out, err := exec.Command("pg_config", "--bindir").Output(); err == nil {
		if path, err := exec.LookPath(filepath.Join(strings.TrimSpace(string(out)), name)); err == nil {
			return path, nil
		}
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name) // the pattern is a good one
	if len(found) == 0 {
		return "", exec.ErrNotFound
	}
	slices.Sort(found)
	return found[len(found)-1], nil
}

// stock makes the tables and the cells of the shop.
func (p *postgresProcess) stock() (err error) {
	var conn net.Conn
	for range 100 { // it listens before it lets anyone in
		if conn, err = net.Dial("tcp", p.address); err == nil {
			if err = postgresHello(conn); err == nil {
				break
			}
			err = errors.Join(err, conn.Close())
		}
		time.Sleep(100 * time.Millisecond)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	for _, sql := range []string{
		postgresSchema,
		fmt.Sprintf("INSERT INTO cell SELECT 'SKU-' || lpad(i::text, 7, '0'), 'store-' || lpad(j::text, 4, '0'), %d FROM generate_series(0, %d) i, generate_series(0, %d) j",
			shopOnHand, shopSKUs-1, shopLocations-1),
		"VACUUM ANALYZE", "CHECKPOINT",
	} {
		if _, err := postgresQuery(conn, sql); err != nil {
			return err
		}
	}
	return nil
}

// What follows is the frontend/backend protocol, version 3.0, in text form:
// PostgreSQL 15 Documentation, "Message Formats".

// postgresMessage appends a message of a kind, whose body write appends.
func postgresMessage(dst []byte, kind byte, write func(dst []byte) []byte) []byte {
	if kind != 0 { // the first message of a connection has none
		dst = append(dst, kind)
	}
	at := len(dst)
	dst = write(append(dst, 0, 0, 0, 0))
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at))
	return dst
}

func postgresText(texts ...string) func(dst []byte) []byte {
	return func(dst []byte) []byte {
		for _, t := range texts {
			dst = append(append(dst, t...), 0)
		}
		return dst
	}
}

// postgresHello opens a session.
func postgresHello(conn net.Conn) error {
	out := postgresMessage(nil, 0, func(dst []byte) []byte {
		dst = binary.BigEndian.AppendUint32(dst, 3<<16)
		return append(postgresText("user", "postgres", "database", "postgres")(dst), 0)
	})
	if _, err := conn.Write(out); err != nil {
		return err
	}
	_, err := postgresReply(conn)
	return err
}

// postgresQuery runs a statement and returns how many rows it yielded.
func postgresQuery(conn net.Conn, sql string) (rows int, err error) {
	if _, err := conn.Write(postgresMessage(nil, 'Q', postgresText(sql))); err != nil {
		return 0, err
	}
	return postgresReply(conn)
}

// postgresReply reads until the server is ready for the next request.
func postgresReply(conn net.Conn) (rows int, err error) {
	var in []byte
	buffer := make([]byte, 16<<10)
	for {
		n, err := conn.Read(buffer)
		in = append(in, buffer[:n]...)
		length, rows, failed := postgresFrame(in)
		if length > 0 || failed != nil {
			return rows, failed
		}
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return 0, err
		}
	}
}

// postgresFrame returns the length of the messages up to ReadyForQuery, 0 while they are not all there, and how many rows
// are among them. An error that the server tells is that of the whole.
func postgresFrame(in []byte) (length, rows int, err error) {
	for at := 0; at+5 <= len(in); {
		size := int(binary.BigEndian.Uint32(in[at+1:]))
		if size < 4 || size > 1<<24 {
			return 0, 0, fmt.Errorf("the answer of PostgreSQL is %.200q", in)
		}
		end := at + 1 + size
		if end > len(in) {
			return 0, 0, nil
		}
		switch in[at] {
		case 'E':
			err = fmt.Errorf("PostgreSQL says %q", in[at+5:end])
		case 'D':
			rows++
		case 'Z':
			return end, rows, err
		}
		at = end
	}
	return 0, 0, nil
}

// postgresAnswer reads the answer to a request that yields one row.
func postgresAnswer(in []byte) (int, error) {
	length, rows, err := postgresFrame(in)
	if err == nil && length > 0 && rows != 1 {
		err = fmt.Errorf("PostgreSQL answers with %d rows", rows)
	}
	return length, err
}

// postgresGreet opens a session and prepares the statements, so that each is parsed and planned once a connection.
func postgresGreet(conn net.Conn) error {
	if err := postgresHello(conn); err != nil {
		return err
	}
	var out []byte
	for name, sql := range map[string]string{
		"read":    "SELECT on_hand, held FROM cell WHERE sku = $1 AND location = $2",
		"reserve": "SELECT reserve($1::text[], $2::text[], $3::bigint[], 900)",
	} {
		out = postgresMessage(out, 'P', func(dst []byte) []byte { return append(postgresText(name, sql)(dst), 0, 0) })
	}
	if _, err := conn.Write(postgresMessage(out, 'S', postgresText())); err != nil {
		return err
	}
	_, err := postgresReply(conn)
	return err
}

// postgresCall appends the call of a prepared statement.
func postgresCall(dst []byte, statement string, parameters ...string) []byte {
	dst = postgresMessage(dst, 'B', func(dst []byte) []byte {
		dst = postgresText("", statement)(dst)
		dst = append(dst, 0, 0) // all in text form
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(parameters)))
		for _, p := range parameters {
			dst = binary.BigEndian.AppendUint32(dst, uint32(len(p)))
			dst = append(dst, p...)
		}
		return append(dst, 0, 0)
	})
	dst = postgresMessage(dst, 'E', func(dst []byte) []byte { return append(dst, 0, 0, 0, 0, 0) })
	return postgresMessage(dst, 'S', postgresText())
}

func postgresRead(dst []byte, r *rand.Rand) []byte {
	c := anyCell(r)
	return postgresCall(dst, "read", skuName(c.sku), locationName(c.location))
}

func postgresReserve(draw drawer) func(dst []byte, r *rand.Rand) []byte {
	return func(dst []byte, r *rand.Rand) []byte {
		cells := draw(r)
		slices.SortFunc(cells, func(a, b cell) int { return a.sku - b.sku })
		skus, locations, quantities := "{", "{", "{"
		for i, c := range cells {
			if i > 0 {
				skus, locations, quantities = skus+",", locations+",", quantities+","
			}
			skus, locations, quantities = skus+skuName(c.sku), locations+locationName(c.location), quantities+strconv.Itoa(1)
		}
		return postgresCall(dst, "reserve", skus+"}", locations+"}", quantities+"}")
	}
}
