package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

var (
	kills    = flag.Int("kills", 4, "how often the server is killed")
	killSeed = flag.Uint64("kill-seed", 0, "seed of the load and of the moments of killing; 0 = a new one")
)

// The server is killed with SIGKILL while clients work, and started again, over and over. The clients keep a ledger of
// what they asked and what they were told. Nothing that was told may turn out otherwise, then or ever after.
func TestNothingAcknowledgedIsLostWhenTheServerIsKilled(t *testing.T) {
	seed := *killSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-kill-seed=%d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	program, dir := program(t), t.TempDir()
	db := filepath.Join(dir, "db")
	// Checkpoints come often, so that some are being written when the process ends.
	start := func() *process {
		p, err := startProcess(program, dir, os.Environ(), db, "--checkpoint-bytes", "64KiB")
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	l := &ledger{}
	for round := range *kills {
		p := start()
		if round == 0 {
			l.stock(t, p.address)
		}
		l.verify(t, p.address)
		before := l.answered()
		var clients sync.WaitGroup
		for client := range killClients {
			w := worker{
				ledger: l, address: p.address, name: fmt.Sprintf("%d-%d", round, client),
				rng: rand.New(rand.NewPCG(seed, uint64(round*killClients+client)+1)),
			}
			clients.Go(w.work)
		}
		clients.Go(func() { backUp(p.address) })
		time.Sleep(time.Duration(rng.IntN(500)) * time.Millisecond)
		p.kill()
		clients.Wait()
		t.Logf("round %d: %d answers, %d requests without one", round, l.answered()-before, len(l.open()))
	}
	p := start()
	l.verify(t, p.address)
	if err := p.stop(); err != nil {
		t.Fatalf("the server did not end well: %v\n%s", err, p.output())
	}
	if l.answered() == 0 {
		t.Fatal("nothing was ever answered: this has tested nothing")
	}
	out, err := exec.Command(program, "check", db).CombinedOutput()
	if err != nil {
		t.Fatalf("onhand check: %v\n%s", err, out)
	}
	t.Logf("%d requests in all\n%s", l.answered(), out)
}

const (
	killClients   = 8
	killSKUs      = 4
	killLocations = 2
)

// entry is a request and what was answered, where it was.
type entry struct {
	key, path, body string
	effect          effect // of the request, where it is carried out
	status          int    // 0: not answered
	answer          []byte
}

// effect is what a request does to a cell.
type effect struct {
	cell         cellName
	onHand, held int
	reservation  string // id that comes to be
}

type cellName struct{ sku, location int }

func (c cellName) members() string {
	return fmt.Sprintf(`"sku":"sku-%d","location":"store-%d"`, c.sku, c.location)
}

func (c cellName) path() string { return fmt.Sprintf("sku-%d/store-%d", c.sku, c.location) }

// ledger is what all clients have asked, in no particular order: the effects of requests add up.
type ledger struct {
	mu      sync.Mutex
	entries []*entry
}

func (l *ledger) ask(e *entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = append(l.entries, e)
}

// all returns the entries. Nobody works on them once the server has been killed.
func (l *ledger) all() []*entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.entries)
}

func (l *ledger) open() (open []*entry) {
	for _, e := range l.all() {
		if e.status == 0 {
			open = append(open, e)
		}
	}
	return open
}

func (l *ledger) answered() int { return len(l.all()) - len(l.open()) }

var killHTTP = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2 * killClients}, Timeout: time.Minute}

// send asks, and returns what was answered.
func (e *entry) send(address string) (status int, answer []byte, err error) {
	request, err := http.NewRequest("POST", "http://"+address+e.path, bytes.NewReader([]byte(e.body)))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", e.key)
	response, err := killHTTP.Do(request)
	if err != nil {
		return 0, nil, err
	}
	answer, err = io.ReadAll(response.Body)
	return response.StatusCode, answer, joinClose(err, response.Body)
}

func joinClose(err error, c io.Closer) error {
	if closeErr := c.Close(); err == nil {
		return closeErr
	}
	return err
}

func (e *entry) granted() bool { return e.status == http.StatusCreated || e.status == http.StatusOK }

// verify asks every request of the ledger again. Those that were answered must be answered the same; those that were not
// are answered now, once and for all. Then the stock must be exactly what the answers add up to.
func (l *ledger) verify(t *testing.T, address string) {
	t.Helper()
	queue := make(chan *entry)
	var clients sync.WaitGroup
	for range killClients {
		clients.Go(func() {
			for e := range queue {
				if t.Failed() {
					continue // one example says enough
				}
				status, answer, err := e.send(address)
				switch {
				case err != nil:
					t.Errorf("%s %s again: %v", e.path, e.key, err)
				case e.status == 0 && status < 500:
					e.status, e.answer = status, answer
				case status != e.status || !bytes.Equal(answer, e.answer):
					t.Errorf("%s %s %s was answered\n%d %s\nand after the kill\n%d %s", e.path, e.key, e.body, e.status, e.answer, status, answer)
				}
			}
		})
	}
	for _, e := range l.all() {
		queue <- e
	}
	close(queue)
	clients.Wait()
	if t.Failed() {
		t.FailNow()
	}

	stock := make(map[cellName]effect)
	for _, e := range l.all() {
		switch {
		case e.granted():
			sum := stock[e.effect.cell]
			sum.onHand += e.effect.onHand
			sum.held += e.effect.held
			stock[e.effect.cell] = sum
		case e.status != http.StatusConflict:
			t.Fatalf("%s %s was answered %d %s", e.path, e.body, e.status, e.answer)
		case e.effect.reservation != "":
			// Nothing that was refused appears.
			status, body := get(t, address, "/v1/reservations/"+e.effect.reservation)
			if status != http.StatusNotFound {
				t.Fatalf("reservation %s was refused, and is there: %d %s", e.effect.reservation, status, body)
			}
		}
	}
	for cell, want := range stock {
		status, body := get(t, address, "/v1/stock/"+cell.path())
		on, held := fmt.Sprintf(`"on_hand":%d,`, want.onHand), fmt.Sprintf(`"held":%d,`, want.held)
		if status != http.StatusOK || !bytes.Contains(body, []byte(on)) || !bytes.Contains(body, []byte(held)) {
			t.Errorf("%s is %d %s, want %s %s", cell.path(), status, body, on, held)
		}
	}
	if t.Failed() {
		t.FailNow()
	}
}

// stock brings all cells into being: what is asked of an unknown SKU is not remembered under its key, but looked at afresh.
func (l *ledger) stock(t *testing.T, address string) {
	t.Helper()
	w := worker{ledger: l, address: address, name: "stock"}
	for sku := range killSKUs {
		for location := range killLocations {
			cell := cellName{sku, location}
			body := fmt.Sprintf(`{"reason":"receipt","lines":[{%s,"quantity":50}]}`, cell.members())
			if granted, _ := w.ask("/v1/stock/adjustments", body, effect{cell: cell, onHand: 50}); !granted {
				t.Fatalf("%s could not be stocked: %s", cell.path(), l.all()[0].answer)
			}
		}
	}
}

func get(t *testing.T, address, path string) (status int, body []byte) {
	t.Helper()
	response, err := killHTTP.Get("http://" + address + path)
	if err != nil {
		t.Fatal(err)
	}
	body, err = io.ReadAll(response.Body)
	if err := joinClose(err, response.Body); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, body
}

// backUp takes backups until the server is gone. Each begins with a checkpoint, so that the process is also killed while
// one is written, and while the journal is trimmed after it.
func backUp(address string) {
	for {
		response, err := killHTTP.Get("http://" + address + "/v1/backup")
		if err != nil {
			return
		}
		_, err = io.Copy(io.Discard, response.Body)
		if joinClose(err, response.Body) != nil {
			return
		}
	}
}

// worker is a client that works until the server is gone.
type worker struct {
	ledger  *ledger
	address string
	name    string
	rng     *rand.Rand
	asked   int
}

func (w *worker) work() {
	for w.step() {
	}
}

// step moves stock, or makes a reservation and mostly ends it. It returns false once the server does not answer.
func (w *worker) step() bool {
	cell := cellName{w.rng.IntN(killSKUs), w.rng.IntN(killLocations)}
	line := cell.members()
	if w.rng.IntN(4) == 0 {
		delta, reason := 1+w.rng.IntN(20), "receipt"
		if w.rng.IntN(3) == 0 {
			delta, reason = -1-w.rng.IntN(5), "sale"
		}
		_, ok := w.ask("/v1/stock/adjustments", fmt.Sprintf(`{"reason":%q,"lines":[{%s,"quantity":%d}]}`, reason, line, delta), effect{cell: cell, onHand: delta})
		return ok
	}
	quantity := 1 + w.rng.IntN(3)
	id := fmt.Sprintf("%08x-0000-4000-8000-%012x", w.rng.Uint32(), w.rng.Uint64()&0xffff_ffff_ffff)
	granted, ok := w.ask("/v1/reservations", fmt.Sprintf(`{"id":%q,"lines":[{%s,"quantity":%d}],"expires_in":86400}`, id, line, quantity),
		effect{cell: cell, held: quantity, reservation: id})
	if !ok || !granted {
		return ok
	}
	switch w.rng.IntN(3) {
	case 0:
		_, ok = w.ask("/v1/reservations/"+id+"/commit", "{}", effect{cell: cell, onHand: -quantity, held: -quantity})
	case 1:
		_, ok = w.ask("/v1/reservations/"+id+"/release", "{}", effect{cell: cell, held: -quantity})
	}
	return ok
}

// ask writes a request into the ledger, sends it, and writes down the answer if there is one.
func (w *worker) ask(path, body string, does effect) (granted, ok bool) {
	w.asked++
	e := &entry{key: fmt.Sprintf("%s-%d", w.name, w.asked), path: path, body: body, effect: does}
	w.ledger.ask(e)
	status, answer, err := e.send(w.address)
	if err != nil {
		return false, false
	}
	e.status, e.answer = status, answer
	return e.granted(), true
}
