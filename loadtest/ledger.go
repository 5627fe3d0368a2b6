package loadtest

import "time"

// ledger is what a worker was promised: every reservation that was granted and what became of it, and every movement of
// stock that was booked. A request without an answer stands in it as such, until verify asks what became of it.
type ledger struct {
	holds   []*hold
	moves   []*adjustment // those without an answer
	booked  []int64       // by cell: the sum of the adjustments that were acknowledged
	refused int64
}

// hold is a reservation as this side knows it.
type hold struct {
	id      uuid
	state   holdState
	doubt   doubt // whether the last request about it took effect
	intent  operation
	expires int64 // Unix time, ns, the server's
	ended   int64 // Unix time, ns, ours: when it was committed or released, or said to have expired
	lines   []line
}

// doubt is why the ledger does not know whether a request took effect. verify asks.
type doubt uint8

const (
	certain      doubt = iota
	unanswered         // it had no answer
	unclear            // it had one that does not say so, such as an error
	contradicted       // it did not: the server says that the reservation had ended before, as it was never asked to
)

// holdState is how far a reservation has come.
type holdState uint8

const (
	asked holdState = iota // not answered yet
	refused
	held // until its deadline
	committed
	released
	expired // a commit or a release came too late
)

var holdStateNames = [...]string{"asked for", "refused", "held", "committed", "released", "expired"}

func (s holdState) String() string { return holdStateNames[s] }

// adjustment is a movement of stock.
type adjustment struct {
	key    string // idempotency key
	reason string
	lines  []line
	acked  bool
	doubt  doubt
}

// book counts an adjustment as done.
func (l *ledger) book(a *adjustment, cell func(line) int) {
	a.acked = true
	for _, one := range a.lines {
		l.booked[cell(one)] += int64(one.quantity)
	}
}

// deadline reads the expires_at of an answer; 0 where there is none.
func deadline(answer []byte) int64 {
	text, ok := member(answer, "expires_at")
	if !ok {
		return 0
	}
	at, err := time.Parse(time.RFC3339Nano, string(text))
	if err != nil {
		return 0
	}
	return at.UnixNano()
}
