package webhook

import (
	"time"

	"onhand/engine"
)

// Delivery is one attempt to deliver an event.
type Delivery struct {
	Event    string // id
	Sequence uint64
	Type     engine.ChangeKind
	Attempt  int
	At       time.Time
	Took     time.Duration
	Status   int    // of the answer, 0 where there was none
	Error    string // "" = delivered
	Next     time.Time
	GaveUp   bool
}

// DeliveriesKept is how many attempts are remembered of each endpoint, in memory.
const DeliveriesKept = 1000

// deliveryLog is a ring of the last attempts.
type deliveryLog struct {
	all  []Delivery
	next int
}

func (l *deliveryLog) add(d Delivery) {
	if len(l.all) < DeliveriesKept {
		l.all = append(l.all, d)
		return
	}
	l.all[l.next] = d
	l.next = (l.next + 1) % DeliveriesKept
}

// last returns up to n attempts, the latest first.
func (l *deliveryLog) last(n int) []Delivery {
	n = min(n, len(l.all))
	out := make([]Delivery, 0, n)
	for i := range n {
		out = append(out, l.all[(l.next+len(l.all)-1-i)%len(l.all)])
	}
	return out
}
