package loadtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"onhand/loadtest/wire"
)

// Verified is what came out when the server's state was held against the ledger.
type Verified struct {
	Reservations int64 `json:"reservations"` // granted
	Committed    int64 `json:"committed"`
	Released     int64 `json:"released"`
	Expired      int64 `json:"expired"`
	Held         int64 `json:"held"` // still, at the end
	Refused      int64 `json:"refused"`
	Forgotten    int64 `json:"forgotten,omitempty"` // those that ended longer ago than the server remembers them
	Unsure       int64 `json:"unsure"`              // requests without an answer, of which was asked in the end what became of them
	Unclear      int64 `json:"unclear,omitempty"`   // … and of those with an answer that does not tell, such as an error
	Cells        int64 `json:"cells"`
	UnitsSold    int64 `json:"units_sold"`
	// Violations says what is wrong: the first of them, and how many there are.
	Violations     []string `json:"violations,omitempty"`
	ViolationCount int64    `json:"violation_count"`
	Sale           string   `json:"sale,omitempty"`       // of a flash-sale: how it went
	Unproven       string   `json:"unproven,omitempty"`   // … and why it does not prove that exactly the stock was sold
	Unverified     string   `json:"unverified,omitempty"` // why the verification did not come to its end
	Left           int      `json:"locations_left"`       // those that could not be removed, since reservations live there
}

// violationsKept is how many are told one by one.
const violationsKept = 20

func (v *Verified) violation(format string, a ...any) {
	if v.ViolationCount++; len(v.Violations) < violationsKept {
		v.Violations = append(v.Violations, fmt.Sprintf(format, a...))
	}
}

// expiryWait is how long verify waits for the last reservations to expire. With longer ones it counts those that live.
const expiryWait = 90 * time.Second

// verify holds the server's state against what it has acknowledged:
//
//   - every reservation that was granted is there, and in the state that the last acknowledged request left it in, or
//     expired if its deadline is over, and no sooner; one that was refused is not there;
//   - on hand of every cell is what it was at first, with all acknowledged adjustments, less what was committed;
//   - held of every cell is the sum of the reservations that are still alive.
//
// Of requests that had no answer it asks first whether they took effect. An error says why it did not come to its end.
func (t *test) verify(ctx context.Context, ledgers []*ledger) (Verified, error) {
	var v Verified
	if err := t.reach(ctx); err != nil {
		return v, err
	}
	booked := make([]int64, len(t.shop.onHand))
	var holds []*hold
	for _, l := range ledgers {
		v.Refused += l.refused
		for i, n := range l.booked {
			booked[i] += n
		}
		for _, h := range l.holds {
			holds = append(holds, h) // also those that were refused: they are not to be there
			v.doubted(h.doubt)
		}
		for _, a := range l.moves {
			v.doubted(a.doubt)
			if err := t.resend(ctx, a); err != nil {
				return v, err
			}
			l.book(a, t.cell)
			for _, one := range a.lines {
				booked[t.cell(one)] += int64(one.quantity)
			}
		}
	}
	t.awaitExpiry(holds)
	if err := t.readClock(ctx); err != nil { // again, as the two drift apart
		return v, err
	}
	if err := t.checkReservations(holds, &v); err != nil {
		return v, err
	}
	t.live = slices.DeleteFunc(slices.Clone(holds), func(h *hold) bool { return h.state != held })
	return v, t.checkCells(ctx, holds, booked, &v)
}

// doubted counts a request of which is asked what became of it.
func (v *Verified) doubted(d doubt) {
	switch d {
	case unanswered:
		v.Unsure++
	case unclear, contradicted:
		v.Unclear++
	}
}

// answerWaitMin is how long a question of the verification waits for its answer, however short Config.Timeout is: that one
// is what customers bear, and the verification has time.
const answerWaitMin = 10 * time.Second

func (t *test) answerWait() time.Duration { return max(t.config.Timeout, answerWaitMin) }

// reach waits until the server answers, in case that it is only being started.
func (t *test) reach(ctx context.Context) error {
	wait := t.config.Timeout
	if t.config.ExpectRestart {
		wait = t.config.patience()
	}
	for began := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		err := t.readClock(ctx)
		if err == nil {
			return nil
		}
		if time.Since(began) >= wait {
			return fmt.Errorf("the server could not be reached: %w", err)
		}
	}
}

func (t *test) cell(l line) int { return t.shop.cell(int(l.sku), int(l.location)) }

// resend sends an adjustment again that had no answer, under its key: it counts once.
func (t *test) resend(ctx context.Context, a *adjustment) error {
	request := &job{op: opAdjust, adjust: a}
	s := newSender(&t.config, t.shop)
	s.append(nil, request)
	ctx, cancel := context.WithTimeout(ctx, t.answerWait())
	defer cancel()
	return t.api.keyed(ctx, "/v1/stock/adjustments", a.key, s.body)
}

// clock tells the server's time from ours.
type clock struct {
	ahead time.Duration // how far the server's is before ours, by what was read last
	// aheadMax is the most that it was ever found to be: after what was ours then, plus this, the server's time was not.
	aheadMax time.Duration
	read     bool
}

func (c *clock) now() time.Time { return time.Now().Add(c.ahead) }

// readClock asks the server for its time. It was that at some moment between the question and the answer.
func (t *test) readClock(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, t.answerWait())
	defer cancel()
	var cell struct {
		AsOf time.Time `json:"as_of"`
	}
	asked := time.Now()
	if err := t.api.json(ctx, http.MethodGet, "/v1/availability/"+t.shop.skus[0].path+"/"+t.shop.locations[0].path, nil, &cell); err != nil {
		return err
	}
	t.clock.ahead = -time.Since(cell.AsOf)
	if ahead := cell.AsOf.Sub(asked); !t.clock.read || ahead > t.clock.aheadMax {
		t.clock.aheadMax, t.clock.read = ahead, true
	}
	return nil
}

// awaitExpiry waits for the last of the reservations that nobody will commit or release any more.
func (t *test) awaitExpiry(holds []*hold) {
	var last int64
	for _, h := range holds {
		if h.state == held && h.doubt == certain {
			last = max(last, h.expires)
		}
	}
	wait := time.Unix(0, last).Sub(t.clock.now())
	if wait > expiryWait {
		return
	}
	for passed := time.Duration(0); passed <= wait; passed += 100 * time.Millisecond {
		t.watch.Progress("waiting for the last holds to expire", int64(passed/time.Second), int64(wait/time.Second))
		time.Sleep(100 * time.Millisecond)
	}
}

// expiryLeeway is how close to a deadline a reservation may be found held or expired: what we take for the server's time is
// that to within the time that a question takes, and what the clocks drift apart.
const expiryLeeway = time.Second

// checkReservations asks for every one, as fast as the server answers.
func (t *test) checkReservations(holds []*hold, v *Verified) error {
	address, secure := t.config.address()
	threads := min(t.config.Threads, max(len(holds), 1))
	checkers := make([]*checker, threads)
	errs := make([]error, threads)
	var wg sync.WaitGroup
	for i := range checkers {
		share := holds[len(holds)*i/threads : len(holds)*(i+1)/threads]
		checkers[i] = &checker{sender: newSender(&t.config, t.shop), holds: share, clock: t.clock, remembered: t.config.Remembered, patience: t.answerWait() + time.Second, underway: make([]*hold, parallel)}
		if i == 0 {
			checkers[i].progress = func(done int) {
				t.watch.Progress("checking reservations", int64(done*threads), int64(len(holds)))
			}
		}
		if len(share) == 0 {
			continue
		}
		wg.Go(func() {
			errs[i] = wire.Drive(wire.Target{Address: address, TLS: secure, Connections: min(parallel, len(share)), Timeout: t.answerWait()}, checkers[i])
		})
	}
	wg.Wait()
	for i, c := range checkers {
		if errs[i] != nil {
			return errs[i]
		}
		if c.gaveUp != nil {
			return c.gaveUp
		}
		v.Forgotten += c.found.Forgotten
		v.ViolationCount += c.found.ViolationCount
		v.Violations = append(v.Violations, c.found.Violations[:min(len(c.found.Violations), violationsKept-len(v.Violations))]...)
	}
	for _, h := range holds {
		switch h.state {
		case refused:
			continue
		case committed:
			v.Committed++
			for _, l := range h.lines {
				v.UnitsSold += int64(l.quantity)
			}
		case released:
			v.Released++
		case expired:
			v.Expired++
		default:
			v.Held++
		}
		v.Reservations++
	}
	return nil
}

// checker asks for reservations and compares. It is an exchange of wire.
type checker struct {
	sender *sender
	holds  []*hold
	clock  clock

	remembered time.Duration
	patience   time.Duration // for how long none may be answered before the check is given up
	heard      time.Duration // the last answer
	underway   []*hold
	again      []*hold // those whose question had no answer
	done       int
	failures   int
	gaveUp     error
	found      Verified
	progress   func(done int)
}

// checkFailuresMax is how many questions in all may go without an answer before the check is given up.
const checkFailuresMax = 1000

func (c *checker) Next(connection int, _ time.Duration, dst []byte) ([]byte, bool) {
	var h *hold
	switch {
	case c.gaveUp != nil:
		return dst, false
	case len(c.again) > 0:
		h, c.again = c.again[0], c.again[1:]
	case len(c.holds) > 0:
		h, c.holds = c.holds[0], c.holds[1:]
	default:
		return dst, false
	}
	c.underway[connection] = h
	dst = append(dst, "GET /v1/reservations/"...)
	return c.sender.get(h.id.append(dst)), true
}

func (c *checker) Wait(now time.Duration) (time.Duration, bool) {
	if left := len(c.again) + len(c.holds); left > 0 && c.gaveUp == nil && now-c.heard > c.patience {
		c.gaveUp = fmt.Errorf("checking reservations: the server has not answered for %v, and %d were still to be asked for", c.patience, left)
	}
	return 0, c.gaveUp == nil && len(c.again)+len(c.holds) > 0
}

func (c *checker) Frame(in []byte) (int, error) { return wire.FrameHTTP(in) }

func (c *checker) Failed(connection int, _ time.Duration, err error) {
	c.retry(c.underway[connection], err)
}

func (c *checker) retry(h *hold, err error) {
	if c.failures++; c.failures > checkFailuresMax {
		c.gaveUp = fmt.Errorf("checking reservations: %w", err)
		return
	}
	c.again = append(c.again, h)
}

func (c *checker) Answered(connection int, now time.Duration, in []byte) bool {
	h := c.underway[connection]
	c.heard = now
	answer, err := wire.ReadHTTP(in)
	if err == nil && answer.Status != 200 && answer.Status != 404 {
		err = fmt.Errorf("HTTP status %d: %.200s", answer.Status, answer.Body)
	}
	if err != nil {
		c.retry(h, err)
		return false
	}
	if c.done++; c.progress != nil && c.done%1000 == 0 {
		c.progress(c.done)
	}
	c.compare(h, answer)
	return !answer.Last()
}

// compare holds the server's answer about a reservation against the ledger, or takes it over where the ledger is not sure.
func (c *checker) compare(h *hold, answer wire.HTTP) {
	if answer.Status == 404 {
		if c.forgotten(h) {
			c.found.Forgotten++
			if h.state == held {
				h.state = expired
			}
			return
		}
		if h.state != asked && h.state != refused {
			c.found.violation("reservation %s was %s, and is not there", h.id, h.state)
		}
		h.state, h.doubt = refused, certain
		return
	}
	text, _ := member(answer.Body, "state")
	state := slices.Index(holdStateNames[:], string(text))
	if state < int(held) {
		c.found.violation("reservation %s has the state %q", h.id, text)
		return
	}
	if text := c.broken(h, holdState(state), deadline(answer.Body)); text != "" {
		c.found.violation("reservation %s %s", h.id, text)
	}
	if h.expires == 0 { // its request had no answer
		h.expires = deadline(answer.Body)
	}
	h.state, h.doubt = holdState(state), certain
}

// broken says which promise about a reservation the state and the deadline that the server tells of it break; "" if none.
func (c *checker) broken(h *hold, found holdState, expires int64) string {
	promised := h.expires
	switch {
	case promised == 0:
		promised = expires
	case expires < promised: // both are the server's own words about one time
		return fmt.Sprintf("has its deadline %v before the one that was promised", time.Duration(promised-expires).Round(time.Millisecond))
	}
	if said := h.ended + int64(c.clock.aheadMax); h.state == expired && said < promised-int64(expiryLeeway) {
		return fmt.Sprintf("was said to have expired %v before its deadline", time.Duration(promised-said).Round(time.Millisecond))
	}
	want, left := h.state, time.Unix(0, promised).Sub(c.clock.now())
	switch {
	case h.state == held && (h.doubt == unanswered || h.doubt == unclear) && found == finished[h.intent]:
		return "" // what had no answer took effect
	case h.state == held || h.state == asked: // and nobody else knows its id
		want = held
		if left < -expiryLeeway || left < expiryLeeway && found == expired {
			want = expired
		}
	}
	switch {
	case found == want:
		return ""
	case found == expired && want == held:
		return fmt.Sprintf("is expired, %v before its deadline", left.Round(time.Millisecond))
	}
	return fmt.Sprintf("is %s, and should be %s", found, want)
}

// forgotten reports whether a reservation has ended so long ago that the server may have forgotten it.
func (c *checker) forgotten(h *hold) bool {
	const leeway = 5 * time.Second
	switch h.state {
	case committed, released:
		return time.Since(time.Unix(0, h.ended)) > c.remembered-leeway
	case held, expired:
		return c.clock.now().Sub(time.Unix(0, h.expires)) > c.remembered-leeway
	}
	return false
}

// cellsPerQuery is how many cells a query may ask for.
const cellsPerQuery = 10_000

// checkCells compares on hand and held of every cell of the shop. Where a reservation may be expiring this very moment it
// looks again.
func (t *test) checkCells(ctx context.Context, holds []*hold, booked []int64, v *Verified) error {
	sold, live := make([]int64, len(booked)), make(map[int][]*hold)
	for _, h := range holds {
		for _, l := range h.lines {
			switch cell := t.cell(l); h.state {
			case committed:
				sold[cell] += int64(l.quantity)
			case held:
				live[cell] = append(live[cell], h)
			}
		}
	}
	cells := make([]int, len(booked))
	for i := range cells {
		cells[i] = i
	}
	var wrong map[int]string
	for attempt := range 5 {
		if attempt > 0 {
			time.Sleep(expiryLeeway / 2)
			cells = slices.Sorted(maps.Keys(wrong))
		}
		wrong = make(map[int]string)
		for first := 0; first < len(cells); first += cellsPerQuery {
			t.watch.Progress("checking stock", int64(first), int64(len(cells)))
			part := cells[first:min(first+cellsPerQuery, len(cells))]
			if err := t.query(ctx, part, func(cell int, a availability, asOf time.Time) {
				if text := t.compare(cell, a, asOf, t.shop.onHand[cell]+booked[cell]-sold[cell], live[cell]); text != "" {
					wrong[cell] = text
				}
			}); err != nil {
				return err
			}
		}
		if len(wrong) == 0 || len(live) == 0 {
			break
		}
	}
	v.Cells = int64(len(booked))
	for _, cell := range slices.Sorted(maps.Keys(wrong)) {
		v.violation("%s", wrong[cell])
	}
	if t.config.Workload == FlashSale {
		t.checkSale(sold[0], live[0], v)
	}
	return nil
}

// availability is what the server says of a cell.
type availability struct {
	OnHand int64 `json:"on_hand"`
	Held   int64
}

func (t *test) compare(cell int, a availability, asOf time.Time, onHand int64, live []*hold) string {
	where := t.shop.skus[cell/len(t.shop.locations)].text + " at " + t.shop.locations[cell%len(t.shop.locations)].text
	var units int64
	for _, h := range live {
		if h.expires <= asOf.UnixNano() {
			continue
		}
		for _, l := range h.lines {
			if t.cell(l) == cell {
				units += int64(l.quantity)
			}
		}
	}
	switch {
	case a.OnHand != onHand:
		return fmt.Sprintf("%s: on hand is %d, and should be %d by what was acknowledged", where, a.OnHand, onHand)
	case a.Held != units:
		return fmt.Sprintf("%s: held is %d, and should be %d", where, a.Held, units)
	case t.config.Workload != Till && t.config.Workload != Mixed && t.config.Workload != Replay && onHand < units:
		return fmt.Sprintf("%s: oversold: %d units are promised and %d are there", where, units, onHand)
	}
	return ""
}

// query asks for cells.
func (t *test) query(ctx context.Context, cells []int, each func(cell int, a availability, asOf time.Time)) error {
	type pair struct {
		SKU      string `json:"sku"`
		Location string `json:"location"`
	}
	pairs := make([]pair, len(cells))
	for i, cell := range cells {
		pairs[i] = pair{t.shop.skus[cell/len(t.shop.locations)].text, t.shop.locations[cell%len(t.shop.locations)].text}
	}
	var answer struct {
		Results []availability
		AsOf    time.Time `json:"as_of"`
	}
	ctx, cancel := context.WithTimeout(ctx, t.answerWait())
	defer cancel()
	if err := t.api.json(ctx, http.MethodPost, "/v1/availability/query", map[string]any{"cells": pairs}, &answer); err != nil {
		return err
	}
	if len(answer.Results) != len(cells) {
		return errors.New("/v1/availability/query: it answers " + strconv.Itoa(len(answer.Results)) + " cells of " + strconv.Itoa(len(cells)))
	}
	for i, a := range answer.Results {
		each(cells[i], a, answer.AsOf)
	}
	return nil
}

// checkSale proves that exactly the stock was sold, or says why that can't be told. Who is refused while units are held by
// others is refused rightly; should those come back, as their hold expires, and nobody ask any more, they stay unsold, and the
// server has done nothing wrong.
func (t *test) checkSale(sold int64, live []*hold, v *Verified) {
	stock, holding := t.config.Stock, int64(len(live))
	v.Sale = fmt.Sprintf("%d units, %d buyers refused, %d units sold, %d held, %d left", stock, v.Refused, sold, holding, stock-sold-holding)
	switch back := v.Released + v.Expired; {
	case sold+holding > stock:
		v.violation("flash sale: %d units were sold and %d are held, of %d", sold, holding, stock)
	case sold+holding < stock && v.Refused > 0 && back == 0:
		v.violation("flash sale: buyers were refused, and of %d units only %d were sold", stock, sold)
	case sold < stock:
		v.Unproven = fmt.Sprintf("of %d units %d were not sold: %d buyers came, %d of them were refused, %d released what they held or let it expire, and %d hold it still",
			stock, stock-sold, v.Reservations+v.Refused, v.Refused, back, holding)
	case v.Refused == 0 && stock > 0:
		v.Unproven = fmt.Sprintf("all %d units were sold, but no more buyers came: nobody had to be refused", stock)
	}
}
