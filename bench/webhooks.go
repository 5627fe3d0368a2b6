package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"time"

	"onhand/loadtest"
)

// hookRate is how many reservations a second are made while they are posted to a receiver: somewhat more than the deliveries a second
// that are to be reached.
const hookRate = 5250

// webhooks measures what it costs to tell a receiver of every change: an open load of reservations, in turn with an endpoint
// and without. The receiver, and the loader, share the machine.
func (r *Report) webhooks(c Config, dir string) (err error) {
	receiver, err := startBare(c.Program, 200, "Cache-Control=no-store", "")
	if err != nil {
		return err
	}
	defer receiver.stop()
	address, err := freeAddress()
	if err != nil {
		return err
	}
	server, err := start(address, c.Program, "serve", filepath.Join(dir, "db"), "--listen", address, "--admin", "", "--log-level", "error", "--webhook-private")
	if err != nil {
		return err
	}
	defer server.stop()
	h := &hook{url: "http://" + address + "/v1/webhooks/bench", receiver: "http://" + receiver.address + "/"}

	var with, without, ratios, rates, catchUp []float64
	for round := range c.Rounds + 1 {
		quiet, err := reserveP99(address, c.Round, loadtest.Watcher{})
		if err != nil {
			return err
		}
		before, err := h.put()
		if err != nil {
			return err
		}
		var meanwhile pace
		busy, err := reserveP99(address, c.Round, loadtest.Watcher{Second: func(int, loadtest.Second, float64) { meanwhile.note(h) }})
		if err != nil {
			return err
		}
		rate, err := meanwhile.perSecond()
		if err != nil {
			return err
		}
		after, err := h.caughtUp()
		if err != nil {
			return err
		}
		begun := time.Now()
		if err := h.again(before.After + 1); err != nil {
			return err
		}
		again, err := h.caughtUp()
		if err != nil {
			return err
		}
		speed := float64(again.Delivered-after.Delivered) / time.Since(begun).Seconds()
		if again.Failed > 0 || again.Missed > 0 {
			return fmt.Errorf("%d attempts failed, %d changes were missed", again.Failed, again.Missed)
		}
		if err := h.remove(); err != nil {
			return err
		}
		if round == 0 {
			continue // it warms up
		}
		without, with, ratios = append(without, quiet), append(with, busy), append(ratios, busy/quiet)
		rates, catchUp = append(rates, rate), append(catchUp, speed)
	}
	r.atLeast(fmt.Sprintf("webhooks: deliveries while %d reservations a second are made", hookRate), spreadOf(rates), 5000, "a second")
	r.note("webhooks: p99 of reserve meanwhile", spreadOf(with), "ms")
	r.note("webhooks: p99 of reserve without", spreadOf(without), "ms")
	r.atMost("webhooks: p99 of reserve with ÷ without", spreadOf(ratios), 2, "×")
	r.atLeast("webhooks: deliveries of what has piled up", spreadOf(catchUp), 5000, "a second")
	return nil
}

// pace is how fast an endpoint is delivered to, between the first time that it was looked at and the last.
type pace struct {
	from, to    time.Time
	first, last uint64 // deliveries
	err         error
}

func (p *pace) note(h *hook) {
	st, err := h.status()
	if p.err = errors.Join(p.err, err); p.err != nil {
		return
	}
	p.to, p.last = time.Now(), st.Delivered
	if p.from.IsZero() {
		p.from, p.first = p.to, p.last
	}
}

func (p *pace) perSecond() (float64, error) {
	if p.err == nil && p.to.Equal(p.from) {
		p.err = errors.New("the load was too short to see how fast deliveries are")
	}
	return float64(p.last-p.first) / p.to.Sub(p.from).Seconds(), p.err
}

// reserveP99 makes reservations at hookRate for a while and returns their 99th percentile in milliseconds.
func reserveP99(address string, d time.Duration, watch loadtest.Watcher) (float64, error) {
	result, err := loadtest.Run(context.Background(), loadtest.Config{
		To: "http://" + address, Workload: loadtest.Reserve, Shape: loadtest.Constant, Rate: hookRate, Steps: 1, Poisson: true,
		Warmup: time.Second, Duration: d, Connections: 256, Timeout: 10 * time.Second, DropAfter: 10 * time.Second,
		SKUs: 2000, Locations: 20, OnHand: 1_000_000, Keys: "uniform", Lines: 1, BasketLines: 1, Think: time.Second, Hold: time.Hour, Seed: 1,
	}, watch)
	if err != nil {
		return 0, err
	}
	if why := result.Verified.Unverified; why != "" {
		return 0, errors.New("not verified: " + why)
	}
	for i := range result.Operations {
		if f := &result.Operations[i]; f.Operation == "reserve" {
			return float64(f.Latency.P99) / 1e6, nil
		}
	}
	return 0, errors.New("no reservation was made")
}

// hook is an endpoint of a server.
type hook struct{ url, receiver string }

type hookStatus struct {
	After, Behind, Delivered, Failed, Missed uint64
}

func (h *hook) call(method, path string, body, answer any) error {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return err
		}
	}
	request, err := http.NewRequest(method, h.url+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	text, err = io.ReadAll(response.Body)
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return err
	}
	if response.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %d %s", method, h.url, response.StatusCode, text)
	}
	return json.Unmarshal(text, answer)
}

func (h *hook) put() (hookStatus, error) {
	var got struct{ Status hookStatus }
	err := h.call(http.MethodPut, "", map[string]any{"url": h.receiver, "events": []string{"reservation.*"}}, &got)
	return got.Status, err
}

func (h *hook) status() (hookStatus, error) {
	var got struct{ Status hookStatus }
	err := h.call(http.MethodGet, "", nil, &got)
	return got.Status, err
}

func (h *hook) remove() error { return h.call(http.MethodDelete, "", nil, &struct{}{}) }

func (h *hook) again(from uint64) error {
	return h.call(http.MethodPost, "/redeliver", map[string]any{"from": from}, &struct{}{})
}

// caughtUp waits until all was delivered.
func (h *hook) caughtUp() (hookStatus, error) {
	for deadline := time.Now().Add(5 * time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		st, err := h.status()
		if err != nil || st.Behind == 0 {
			return st, err
		}
	}
	return hookStatus{}, errors.New("after five minutes not everything was delivered")
}
