package loadtest

import (
	"container/heap"
	crand "crypto/rand"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"time"

	"onhand/loadtest/wire"
)

// worker makes a share of the load, on one thread: every n-th arrival of the plan. It is the exchange of a wire.Drive.
type worker struct {
	config   *Config
	shop     *shop
	plan     arrivals
	shares   shares
	number   int
	sender   *sender
	recorder *recorder
	ledger   *ledger
	random   *rand.Rand    // what is asked for: the same with the same seed
	ids      *rand.ChaCha8 // ids must be new in every run
	keys     func() int
	stop     *atomic.Bool

	position float64 // the arrival that is next, by its place in the plan
	next     *job    // that arrival, nil if there is none
	waiting  jobs    // follow-ups and retries, the earliest first
	underway []*job  // by connection, each as many as Config.Pipeline
	moves    int
}

// arrivals say when the load is due and what it is.
type arrivals interface {
	// at returns when the n-th arrival is due; ok is false where there are fewer.
	at(n float64) (time.Duration, bool)
}

func newWorker(c *Config, s *shop, plan arrivals, number int, stop *atomic.Bool, seconds chan<- *second) (*worker, error) {
	shares, err := c.shares()
	if err != nil {
		return nil, err
	}
	var seed [32]byte
	_, _ = crand.Read(seed[:]) // never fails
	w := &worker{
		config: c, shop: s, plan: plan, shares: shares, number: number, stop: stop,
		sender: newSender(c, s), recorder: newRecorder(number, c, seconds),
		ledger: &ledger{booked: make([]int64, len(s.onHand))},
		random: rand.New(rand.NewPCG(c.Seed, uint64(number))), ids: rand.NewChaCha8(seed),
		position: float64(number), underway: make([]*job, c.Connections*c.Pipeline),
	}
	if w.keys, err = newKeys(c.Keys, len(s.skus), w.random); err != nil {
		return nil, err
	}
	if c.Poisson {
		w.position = w.random.ExpFloat64() * float64(c.Threads)
	}
	w.arrive()
	return w, nil
}

// arrive makes the next arrival.
func (w *worker) arrive() {
	w.next = nil
	if w.config.Closed {
		return
	}
	due, ok := w.plan.at(w.position)
	if !ok {
		return
	}
	w.next = w.request(due)
	if w.config.Poisson {
		w.position += w.random.ExpFloat64() * float64(w.config.Threads)
	} else {
		w.position += float64(w.config.Threads)
	}
}

// request decides what an arrival asks for.
func (w *worker) request(due time.Duration) *job {
	j := &job{due: due, warm: due < w.config.Warmup}
	switch w.config.Workload {
	case Replay:
		w.replay(j, w.plan.(*events).list[int(w.position)])
		return j
	case FlashSale:
		j.op, j.hold = opReserve, w.newHold([]line{{0, 0, 1}})
		return j
	}
	location := int32(w.random.IntN(len(w.shop.locations)))
	switch w.shares.draw(w.random) {
	case Read:
		j.op, j.line = opRead, line{int32(w.keys()), location, 0}
	case ReadSKU:
		j.op, j.line = opReadSKU, line{int32(w.keys()), 0, 0}
	case Near:
		j.op, j.line, j.place = opNear, line{int32(w.keys()), 0, 0}, w.somewhere()
	case Basket:
		j.op, j.lines, j.place = opBasket, w.lines(w.config.BasketLines, 0, 1), w.somewhere()
	case Reserve:
		j.op, j.hold = opReserve, w.newHold(w.lines(w.config.Lines, location, 1))
	case Hot:
		j.op, j.hold = opReserve, w.newHold([]line{{0, 0, 1}})
	case Till:
		// One in ten is a delivery of what the others sell in the mean, so that stock stays level.
		if w.random.IntN(10) == 0 {
			j.op, j.adjust = opAdjust, w.newAdjustment("receipt", w.lines(w.config.Lines, location, 9))
		} else {
			j.op, j.adjust = opAdjust, w.newAdjustment("sale", w.lines(w.config.Lines, location, -1))
		}
	}
	return j
}

// somewhere returns a position near one of the locations.
func (w *worker) somewhere() position {
	p := w.shop.places[w.random.IntN(len(w.shop.places))]
	return position{p.latitude + w.random.Float64() - 0.5, p.longitude + w.random.Float64() - 0.5}
}

// lines returns n lines of different SKUs.
func (w *worker) lines(n int, location, quantity int32) []line {
	lines := make([]line, 0, n)
	for len(lines) < n {
		sku := int32(w.keys())
		for contains(lines, sku) { // the next one that is not there yet: a few keys may be nearly all that are drawn
			sku = (sku + 1) % int32(len(w.shop.skus))
		}
		lines = append(lines, line{sku, location, quantity})
	}
	return lines
}

func contains(lines []line, sku int32) bool {
	for _, l := range lines {
		if l.sku == sku {
			return true
		}
	}
	return false
}

func (w *worker) newHold(lines []line) *hold {
	h := &hold{lines: lines}
	for i := 0; i < 16; i += 8 {
		x := w.ids.Uint64()
		for b := range 8 {
			h.id[i+b] = byte(x >> (8 * b))
		}
	}
	h.id[6], h.id[8] = h.id[6]&0x0f|0x40, h.id[8]&0x3f|0x80 // RFC 9562, version 4
	switch x := w.random.Float64(); {
	case x < w.config.Commit:
		h.intent = opCommit
	case x < w.config.Commit+w.config.Release:
		h.intent = opRelease
	default:
		h.intent = opReserve // and no more: it is left to expire
	}
	w.ledger.holds = append(w.ledger.holds, h)
	return h
}

func (w *worker) newAdjustment(reason string, lines []line) *adjustment {
	w.moves++
	a := &adjustment{key: w.shop.prefix + strconv.Itoa(w.number) + "-" + strconv.Itoa(w.moves), reason: reason, lines: lines}
	return a
}

// Next implements wire.Exchange: follow-ups go first, then what has arrived.
func (w *worker) Next(connection int, now time.Duration, dst []byte) ([]byte, bool) {
	j := w.take(now)
	if j == nil {
		return dst, false
	}
	if j.sent = now; !j.retried {
		w.recorder.sent(j, w.config.Closed)
	}
	w.underway[connection] = j
	return w.sender.append(dst, j), true
}

func (w *worker) take(now time.Duration) *job {
	w.shed(now)
	if len(w.waiting) > 0 && w.waiting[0].again <= now {
		return heap.Pop(&w.waiting).(*job)
	}
	if w.stop.Load() {
		return nil
	}
	if w.config.Closed {
		if now >= w.config.Duration {
			return nil
		}
		j := w.request(now)
		w.recorder.due(j)
		return j
	}
	if w.next == nil || w.next.due > now {
		return nil
	}
	j := w.next
	w.arrive()
	w.recorder.due(j)
	return j
}

// shed gives up what has waited too long to be sent. It needs no connection: if none can be had, since the server is away, the
// load ends at its time all the same, and what was due is counted.
func (w *worker) shed(now time.Duration) {
	w.recorder.at(now)
	stopped := w.stop.Load()
	for !stopped && w.next != nil && now-w.next.due > w.config.DropAfter {
		j := w.next
		w.arrive()
		w.recorder.due(j)
		w.recorder.dropped(j, now)
		if j.hold != nil {
			j.hold.state = refused // nobody was asked
		}
	}
	for len(w.waiting) > 0 {
		switch j := w.waiting[0]; {
		case j.retried && now-j.due > w.config.patience():
			w.fail(j, now, j.why, j.doubt)
		case !j.retried && stopped:
			// Who was asked to stop sends no follow-ups, but asks again what became of those that had no answer.
		case !j.retried && now-j.due > w.config.DropAfter:
			w.recorder.dropped(j, now) // its reservation is left to expire
		default:
			return
		}
		heap.Pop(&w.waiting)
	}
}

// Wait implements wire.Exchange.
func (w *worker) Wait(now time.Duration) (time.Duration, bool) {
	w.shed(now)
	until := time.Duration(-1)
	if !w.stop.Load() {
		if w.config.Closed && now < w.config.Duration {
			return 0, true
		}
		if w.next != nil {
			until = w.next.due
		}
	}
	if len(w.waiting) > 0 {
		if first := w.waiting[0].again; until < 0 || first < until {
			until = first
		}
	}
	return max(until-now, 0), until >= 0
}

// Frame implements wire.Exchange.
func (w *worker) Frame(in []byte) (int, error) { return wire.FrameHTTP(in) }

// Answered implements wire.Exchange.
func (w *worker) Answered(connection int, now time.Duration, in []byte) bool {
	j := w.underway[connection]
	answer, err := wire.ReadHTTP(in)
	if err != nil {
		w.fail(j, now, err.Error(), unclear)
		return false
	}
	switch answer.Status {
	case 200, 201:
		w.recorder.answered(j, now, false)
		w.done(j, now, answer.Body)
	case 409:
		w.refused(j, now, answer.Body)
	case 503, 429:
		// The server was too busy, or is going down; it has done nothing.
		w.again(j, now, "HTTP status "+strconv.Itoa(answer.Status), unclear)
	default:
		w.fail(j, now, fmt.Sprintf("HTTP status %d", answer.Status), unclear)
	}
	return !answer.Last()
}

// done takes a success into the ledger and sends the follow-up on its way.
func (w *worker) done(j *job, now time.Duration, body []byte) {
	switch j.op {
	case opReserve:
		h := j.hold
		h.state, h.doubt = held, certain
		h.expires = deadline(body)
		if h.intent == opCommit || h.intent == opRelease {
			think := time.Duration(float64(w.config.Think) * (0.5 + w.random.Float64()))
			due := now + think
			heap.Push(&w.waiting, &job{op: h.intent, hold: h, due: due, again: due, warm: due < w.config.Warmup})
		}
	case opCommit, opRelease:
		j.hold.state, j.hold.doubt, j.hold.ended = finished[j.op], certain, time.Now().UnixNano()
	case opAdjust:
		w.ledger.book(j.adjust, func(l line) int { return w.shop.cell(int(l.sku), int(l.location)) })
	}
}

// finished is the state that a commit or a release leads to.
var finished = map[operation]holdState{opCommit: committed, opRelease: released}

// refused takes a 409 into the ledger: there was too little, or the deadline was over.
func (w *worker) refused(j *job, now time.Duration, body []byte) {
	kind, _ := member(body, "type")
	switch {
	case j.op == opReserve && string(kind) == "urn:onhand:problem:refused":
		j.hold.state, j.hold.doubt = refused, certain
		w.ledger.refused++
		w.recorder.answered(j, now, true)
	case j.op == opCommit || j.op == opRelease:
		// Too late, as far as verify finds that the deadline was over; or it is a retry, and the first attempt took effect.
		state, _ := member(body, "state")
		switch {
		case string(state) == expired.String():
			j.hold.state, j.hold.doubt, j.hold.ended = expired, certain, time.Now().UnixNano()
			w.recorder.answered(j, now, true)
		case j.retried && string(state) == finished[j.op].String():
			j.hold.state, j.hold.doubt, j.hold.ended = finished[j.op], certain, time.Now().UnixNano()
			w.recorder.answered(j, now, false)
		case len(state) > 0: // and nobody else knows its id
			w.fail(j, now, "HTTP status 409, "+string(kind)+", "+string(state), contradicted)
		default:
			w.fail(j, now, "HTTP status 409, "+string(kind), unclear)
		}
	default:
		w.fail(j, now, "HTTP status 409, "+string(kind), unclear)
	}
}

// Failed implements wire.Exchange.
func (w *worker) Failed(connection int, now time.Duration, err error) {
	j := w.underway[connection]
	why := err.Error()
	switch {
	case errors.Is(err, wire.ErrTimeout):
		why = "timeout"
	case errors.Is(err, wire.ErrClosed):
		why = "connection closed"
	}
	w.again(j, now, why, unanswered)
}

// again has a request sent once more where a restart is expected, as a shop would, under the same key or id; or else it is
// a failure.
func (w *worker) again(j *job, now time.Duration, why string, d doubt) {
	if !w.config.ExpectRestart || now-j.due > w.config.patience() {
		w.fail(j, now, why, d)
		return
	}
	w.recorder.retried(j)
	j.retried, j.again, j.why, j.doubt = true, now+retryPause, why, d
	heap.Push(&w.waiting, j)
}

// retryPause is how long a client waits before it tries again.
const retryPause = 100 * time.Millisecond

// fail gives a request up. What has become of it, verify asks.
func (w *worker) fail(j *job, now time.Duration, why string, d doubt) {
	w.recorder.failed(j, now, why)
	if j.hold != nil {
		j.hold.doubt = d
	}
	if j.adjust != nil {
		j.adjust.doubt = d
		w.ledger.moves = append(w.ledger.moves, j.adjust)
	}
}

// jobs is a heap by the time at which each may be sent.
type jobs []*job

func (h jobs) Len() int           { return len(h) }
func (h jobs) Less(i, j int) bool { return h[i].again < h[j].again }
func (h jobs) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *jobs) Push(x any)        { *h = append(*h, x.(*job)) }
func (h *jobs) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
