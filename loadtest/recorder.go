package loadtest

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Histograms count nanoseconds, up to a day, with three digits that count; those of single seconds with two.
const (
	latencyMax    = int64(24 * time.Hour)
	digits        = 3
	secondsDigits = 2
)

func newHistogram(digits int) *hdrhistogram.Histogram {
	return hdrhistogram.New(1_000, latencyMax, digits) // to the microsecond
}

// record counts a time.
func record(h *hdrhistogram.Histogram, d time.Duration) {
	_ = h.RecordValue(min(max(int64(d), 0), latencyMax)) // it is in range
}

// count is what a worker has seen of one operation.
type count struct {
	// latency counts from the time a request was due, of all that were due: until the answer, or until it was given up. Without
	// the latter a server that answers a tenth of the requests fast, and the others never, would look good.
	latency *hdrhistogram.Histogram
	service *hdrhistogram.Histogram // from the time it was sent, of those that were
	OK      int64
	Refused int64
	Dropped int64
	InTime  int64 // answered while requests were due: what a rate is counted from
	Retried int64
	Errors  map[string]int64
}

// second is what a worker has seen in one second of a run.
type second struct {
	number, worker                           int
	answered, refused, failed, late, dropped int64
	latency                                  *hdrhistogram.Histogram
}

// recorder counts what a worker sees. It is used by the worker's goroutine only; seconds leave it through a channel.
type recorder struct {
	worker  int
	counts  [operations]*count
	Due     int64         // arrivals that were due, after the warm-up
	dueIn   []int64       // … in each second, by when they were due and not by when there was room to send them; with the warm-up
	from    time.Duration // the end of the warm-up
	until   time.Duration // the last request is due
	Late    int64         // sent more than lateAfter after they were due
	current *second
	seconds chan<- *second
}

// lateAfter is how long after its time a request counts as late. The loop sends what is due between two answers, so less
// than this is its own doing.
const lateAfter = time.Millisecond

func newRecorder(worker int, c *Config, seconds chan<- *second) *recorder {
	r := &recorder{worker: worker, seconds: seconds, from: c.Warmup, until: c.Duration}
	r.open(0)
	return r
}

func (r *recorder) open(number int) {
	r.current = &second{number: number, worker: r.worker, latency: newHistogram(secondsDigits)}
}

// at closes the seconds that are over.
func (r *recorder) at(now time.Duration) {
	for number := int(now / time.Second); r.current.number < number; {
		r.seconds <- r.current
		r.open(r.current.number + 1)
	}
}

// close hands on the last second.
func (r *recorder) close() { r.seconds <- r.current }

func (r *recorder) of(op operation) *count {
	c := r.counts[op]
	if c == nil {
		c = &count{latency: newHistogram(digits), service: newHistogram(digits), Errors: make(map[string]int64)}
		r.counts[op] = c
	}
	return c
}

// due counts an arrival.
func (r *recorder) due(j *job) {
	for number := int(j.due / time.Second); len(r.dueIn) <= number; {
		r.dueIn = append(r.dueIn, 0)
	}
	r.dueIn[j.due/time.Second]++
	if !j.warm {
		r.Due++
	}
}

// sent counts the sending of a job for the first time.
func (r *recorder) sent(j *job, closed bool) {
	if late := j.sent-j.due > lateAfter && !closed; late {
		r.current.late++
		if !j.warm {
			r.Late++
		}
	}
}

// dropped counts a job that is not sent at all.
func (r *recorder) dropped(j *job, now time.Duration) {
	r.at(now)
	record(r.current.latency, now-j.due)
	r.current.dropped++
	if j.warm {
		return
	}
	c := r.of(j.op)
	c.Dropped++
	record(c.latency, now-j.due)
}

// answered counts an answer that is what such a request may get: done, or refused.
func (r *recorder) answered(j *job, now time.Duration, no bool) {
	r.at(now)
	latency := now - j.due
	record(r.current.latency, latency)
	if r.current.answered++; no {
		r.current.refused++
	}
	c := r.of(j.op)
	if now >= r.from && now <= r.until {
		c.InTime++
	}
	if j.warm {
		return
	}
	record(c.latency, latency)
	record(c.service, now-j.sent)
	if no {
		c.Refused++
	} else {
		c.OK++
	}
}

// failed counts a request that got no answer, or one that it should not get.
func (r *recorder) failed(j *job, now time.Duration, why string) {
	r.at(now)
	record(r.current.latency, now-j.due)
	r.current.failed++
	if j.warm {
		return
	}
	c := r.of(j.op)
	c.Errors[why]++
	record(c.latency, now-j.due)
	record(c.service, now-j.sent)
}

// retried counts a request that is sent again.
func (r *recorder) retried(j *job) {
	if !j.warm {
		r.of(j.op).Retried++
	}
}
