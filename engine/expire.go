package engine

import (
	"math"
	"slices"
	"time"

	"onhand/engine/internal/record"
	"onhand/engine/internal/reservation"
	"onhand/engine/internal/stock"
)

// A deadline is kept in three ways, so that it is exact whether or not any of them is late:
//
//   - commit, extend and every reading of a reservation compare its deadline with engine time first;
//   - whoever wants to reserve and finds too little first frees what is due in the shards concerned;
//   - the sweeper frees what is due, so that readers see the units within SweepBound.

// SweepBound is how soon after a deadline its units are seen free by readers, while the processor has time to spare. The
// lag is measured: Observer.Expired.
const SweepBound = 10 * time.Millisecond

const (
	// sweepInterval is how long the sweeper sleeps where something is due soon.
	sweepInterval = 2 * time.Millisecond
	// sweepRest is how long it sleeps where nothing is; no hold is shorter than HoldMin, so none is missed.
	sweepRest = HoldMin / 2
	// expireBatch is how many reservations are ended in one go while a shard is locked: about 50 µs.
	expireBatch = 64
)

// sweepLoop ends reservations whose deadline has passed until stop is closed.
func (e *Engine) sweepLoop(stop <-chan struct{}) {
	c := newCommand()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-stop:
			return
		}
		next, err := e.sweep(c)
		if err != nil {
			return // the journal has failed, and said so
		}
		wait := min(max(time.Duration(next-e.clock.Now()), sweepInterval), sweepRest)
		timer.Reset(wait)
	}
}

// sweep ends everything that is due and returns a time before which nothing else will be.
func (e *Engine) sweep(c *command) (next int64, err error) {
	next = math.MaxInt64
	for shard := range stock.Shards {
		if err := e.endDueIn(c, shard); err != nil {
			return 0, err
		}
		next = min(next, e.reservations.NextDue(shard))
	}
	return next, nil
}

// endDueIn ends everything that is due in a shard. The caller holds no lock; c.locks is used.
func (e *Engine) endDueIn(c *command, shard int) error {
	for e.reservations.NextDue(shard) <= e.clock.Now() {
		if err := e.sweepShard(c, shard); err != nil {
			return err
		}
	}
	return nil
}

// sweepShard ends what is due in a shard, up to expireBatch. The caller holds no lock.
func (e *Engine) sweepShard(c *command, shard int) error {
	// The journal may have more to do than it should; wait for it before taking a lock, not under it.
	if err := e.log.Admit(); err != nil {
		return err
	}
	c.locks = stock.LockSet{}
	c.locks.Add(shard)
	c.ids = c.ids[:0]
	e.stock.Lock(&c.locks)
	e.expireShard(c, shard, e.clock.Now())
	e.stock.Unlock(&c.locks)
	for _, id := range c.ids {
		if err := e.expire(id); err != nil {
			return err
		}
	}
	return nil
}

// expireShard ends what is due in a shard by now, up to expireBatch, as far as it lies in the shards of c.locks, which
// the caller holds, and answers how many that were. Of the rest it appends the ids to c.ids.
func (e *Engine) expireShard(c *command, shard int, now int64) (ended int) {
	c.due = e.reservations.Due(c.due[:0], shard, now, expireBatch)
	// A reservation comes once for each of its lines in the shard.
	slices.Sort(c.due)
	c.due = slices.Compact(c.due)
	// Each of them touches ten places that are in no cache: ask for the memory of all before the first.
	for _, ref := range c.due {
		e.reservations.PrefetchRemoval(ref, e.stock.Prefetch)
		e.ended.log.Prefetch(idHash(e.reservations.IDOf(ref)))
	}
	for _, ref := range c.due {
		var needs stock.LockSet
		e.reservations.ShardsOf(ref, needs.Add)
		if c.locks.Contains(&needs) {
			e.expireLocked(ref, now)
			ended++
		} else {
			c.ids = append(c.ids, e.reservations.IDOf(ref))
		}
	}
	return ended
}

// expire ends a reservation if its deadline has passed.
func (e *Engine) expire(id ID) error {
	if err := e.log.Admit(); err != nil {
		return err
	}
	c := newCommand()
	defer c.recycle()
	ref, locked := e.lockReservation(c, id)
	if !locked {
		return nil
	}
	defer e.stock.Unlock(&c.locks)
	e.reservations.Read(ref, &c.rec.Reservation)
	if now := e.clock.Now(); c.rec.Reservation.Deadline <= now {
		e.expireLocked(ref, now)
	}
	return nil
}

// expireLocked ends a reservation whose deadline has passed. The caller holds its shards.
func (e *Engine) expireLocked(ref uint32, now int64) {
	c := newCommand()
	defer c.recycle()
	re := &c.rec.Reservation
	e.reservations.Read(ref, re)
	c.rec.Kind, c.rec.Time = record.ReservationExpired, now
	re.State = reservation.Expired
	for i := range re.Lines {
		l := &re.Lines[i]
		if l.Committed > 0 {
			re.State = reservation.Committed
		}
		if open := int64(l.Open()); open > 0 {
			view, _ := e.stock.View(l.SKU, l.Location)
			c.addCell(l.SKU, l.Location, &view, view.OnHand, view.Held-open, 0)
		}
	}
	if entry := e.orders.holding(re.ID); entry != nil {
		c.rec.Order = e.expiredOrder(entry, now)
	}
	lag := time.Duration(now - re.Deadline)
	e.write(c)
	if f := e.options.Observe.Expired; f != nil {
		f(lag)
	}
}
