package engine_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"onhand/engine"
	"onhand/engine/enginetest"
)

// Concurrent callers write down what they asked, when, and what they were told. The engine is right if there is an order
// of all calls, each at some instant between its question and its answer, in which shopModel gives the same answers.

// shop is an engine with concurrent callers who write their history.
type shop struct {
	db    *enginetest.DB
	began time.Time
	ids   [shopSlots]atomic.Pointer[engine.ID]
	next  atomic.Int64 // slot

	mu      sync.Mutex
	history []porcupine.Operation
}

func cellName(cell int) (sku, location string) { return fmt.Sprintf("sku-%d", cell), "store" }

func newShop(t *testing.T, r *rand.Rand, units ...int64) *shop {
	t.Helper()
	s := &shop{db: enginetest.Open(t, engine.Options{DefaultHold: time.Hour}), began: time.Now()}
	s.next.Store(shopKeys) // slots 1 to shopKeys are those of the keys
	for cell, n := range units {
		s.call(0, asked{kind: askAdjust, cell: cell, units: at(cell, n)})
	}
	delay := r.Int64N(100) // so that what is not durable yet can be met
	s.db.BeforeDisk(func(op errorfs.Op) error {
		if enginetest.IsJournalSync(op) {
			time.Sleep(time.Duration(delay) * time.Microsecond)
		}
		return nil
	})
	return s
}

func at(cell int, units int64) (all [shopCells]int64) {
	all[cell] = units
	return all
}

// call carries out a call and writes it into the history.
func (s *shop) call(client int, in asked) said {
	in.since = s.seconds(s.db.Now())
	begun := time.Since(s.began).Nanoseconds()
	out := s.ask(&in)
	operation := porcupine.Operation{ClientId: client, Input: in, Call: begun, Output: out, Return: time.Since(s.began).Nanoseconds()}
	s.mu.Lock()
	s.history = append(s.history, operation)
	s.mu.Unlock()
	return out
}

func (*shop) seconds(t time.Time) int64 { return int64(t.Sub(enginetest.Start) / time.Second) }

func (s *shop) ask(in *asked) (out said) {
	var err error
	var reservation engine.Reservation
	switch in.kind {
	case askReserve:
		request := engine.ReserveRequest{ExpiresIn: time.Duration(in.seconds) * time.Second}
		for cell, units := range in.units {
			if units > 0 {
				sku, location := cellName(cell)
				request.Lines = append(request.Lines, engine.Line{SKU: sku, Location: location, Quantity: units})
			}
		}
		if in.key > 0 {
			request.Key = fmt.Sprint("key ", in.key)
		}
		refused := (*engine.RefusedError)(nil)
		if reservation, err = s.db.Reserve(&request); errors.As(err, &refused) {
			return said{}
		}
		out.ok, out.deadline = err == nil, s.seconds(reservation.Expires)
		if in.key > 0 {
			out.id = reservation.ID
		}
		s.ids[in.slot].Store(&reservation.ID)
	case askCommit, askRelease:
		do := s.db.Commit
		if in.kind == askRelease {
			do = s.db.Release
		}
		ended := (*engine.StateError)(nil)
		if reservation, err = do(&engine.FinishRequest{ID: *s.ids[in.slot].Load()}); errors.As(err, &ended) {
			return said{state: ended.State}
		}
		out.ok, out.state = err == nil, reservation.State
	case askFind:
		reservation, err = s.db.Reservation(*s.ids[in.slot].Load())
		if unknown := (*engine.UnknownError)(nil); errors.As(err, &unknown) {
			return said{} // lost in a power cut
		}
		out.ok, out.state = err == nil, reservation.State
	case askRead:
		sku, location := cellName(in.cell)
		var cell engine.Cell
		cell, err = s.db.Availability(sku, location)
		out = said{ok: err == nil, onHand: cell.OnHand, held: cell.Held, available: cell.Available}
	case askAdjust:
		sku, location := cellName(in.cell)
		var change engine.StockChange
		change, err = s.db.Adjust(&engine.Adjustment{
			Lines: []engine.Line{{SKU: sku, Location: location, Quantity: in.units[in.cell]}}, Reason: "receipt",
		})
		if err == nil {
			out = said{ok: true, onHand: change.Cells[0].OnHand}
		}
	case askAdvance:
		s.db.Clock.Advance(time.Duration(in.seconds) * time.Second)
		out.ok = true
	}
	if err != nil && !errors.Is(err, engine.ErrStopped) {
		panic(err) // no caller asks for what can fail otherwise
	}
	return out
}

// chooser makes a caller's next call.
type chooser func(s *shop, r *rand.Rand, own []int) (asked, bool)

// run lets clients make calls each, all at once. A client commits, releases and looks up its own reservations and, now and
// then, those of others.
func (s *shop) run(r *rand.Rand, clients, calls int, choose chooser) {
	var wg sync.WaitGroup
	for client := range clients {
		r := rand.New(rand.NewPCG(r.Uint64(), uint64(client)))
		wg.Go(func() {
			var own []int
			for range calls {
				in, ok := choose(s, r, own)
				if !ok {
					continue
				}
				if out := s.call(client, in); out.ok && in.kind == askReserve {
					own = append(own, in.slot)
				}
				if r.IntN(3) == 0 {
					runtime.Gosched()
				}
			}
		})
	}
	wg.Wait()
}

// slot returns an unused place for a reservation.
func (s *shop) slot() (int, bool) {
	n := int(s.next.Add(1))
	return n, n < shopSlots
}

// known returns a reservation that was made: mostly one of the caller's own.
func (s *shop) known(r *rand.Rand, own []int) (int, bool) {
	if len(own) > 0 && r.IntN(4) > 0 {
		return own[r.IntN(len(own))], true
	}
	slot := r.IntN(shopSlots)
	return slot, s.ids[slot].Load() != nil
}

func reserveUnits(units [shopCells]int64, seconds int64) chooser {
	return func(s *shop, _ *rand.Rand, _ []int) (asked, bool) {
		slot, ok := s.slot()
		return asked{kind: askReserve, slot: slot, units: units, seconds: seconds}, ok
	}
}

// finish commits, releases or looks up a reservation.
func finish(s *shop, r *rand.Rand, own []int) (asked, bool) {
	slot, ok := s.known(r, own)
	return asked{kind: []askedKind{askCommit, askRelease, askRelease, askFind}[r.IntN(4)], slot: slot}, ok
}

func readCell(s *shop, r *rand.Rand, cells int) (asked, bool) {
	return asked{kind: askRead, cell: r.IntN(cells)}, true
}

func checkHistory(t *testing.T, history []porcupine.Operation) {
	t.Helper()
	if porcupine.CheckOperations(shopModel, history) {
		return
	}
	_, info := porcupine.CheckOperationsVerbose(shopModel, history, 0)
	var longest []int
	for _, order := range info.PartialLinearizations()[0] {
		if len(order) > len(longest) {
			longest = order
		}
	}
	tell := func(i int) {
		o := &history[i]
		t.Logf("%9d … %9d client %d: %s", o.Call, o.Return, o.ClientId, shopModel.DescribeOperation(o.Input, o.Output))
	}
	for _, i := range longest {
		tell(i)
	}
	t.Log("these fit together, and none of the following fits behind them:")
	for i := range history {
		if !slices.Contains(longest, i) {
			tell(i)
		}
	}
	t.Fatal("there is no order of these calls that explains their answers")
}

// TestEveryoneOnOneSKU has all callers want the same few units.
func TestEveryoneOnOneSKU(t *testing.T) {
	r := enginetest.Rand(t)
	for range enginetest.Times(15) {
		s := newShop(t, r, 4)
		s.run(r, 6, 14, func(s *shop, r *rand.Rand, own []int) (asked, bool) {
			switch r.IntN(8) {
			case 0, 1, 2:
				return reserveUnits(at(0, 1+r.Int64N(2)), 3600)(s, r, own)
			case 3, 4, 5:
				return finish(s, r, own)
			case 6:
				return asked{kind: askAdjust, units: at(0, 1)}, true
			}
			return readCell(s, r, 1)
		})
		checkHistory(t, s.history)
		s.db.Close()
	}
}

// TestBasketsAcrossShards has callers want overlapping baskets, whose lines lie in different shards.
func TestBasketsAcrossShards(t *testing.T) {
	r := enginetest.Rand(t)
	for range enginetest.Times(15) {
		s := newShop(t, r, 3, 3, 3)
		s.run(r, 5, 14, func(s *shop, r *rand.Rand, own []int) (asked, bool) {
			switch r.IntN(8) {
			case 0, 1, 2, 3:
				units := [shopCells]int64{1, 1, 1}
				units[r.IntN(shopCells)] = r.Int64N(3)
				return reserveUnits(units, 3600)(s, r, own)
			case 4, 5:
				return finish(s, r, own)
			}
			return readCell(s, r, shopCells)
		})
		checkHistory(t, s.history)
		s.db.Close()
	}
}

// TestDeadlinesAreExactForEveryone has time pass while callers hold units for a few seconds: at the deadline they are the
// next one's, and no longer the holder's.
func TestDeadlinesAreExactForEveryone(t *testing.T) {
	r := enginetest.Rand(t)
	for range enginetest.Times(15) {
		s := newShop(t, r, 3, 3)
		s.run(r, 5, 16, func(s *shop, r *rand.Rand, own []int) (asked, bool) {
			switch r.IntN(9) {
			case 0, 1, 2, 3:
				units := [shopCells]int64{r.Int64N(3), r.Int64N(3)}
				units[r.IntN(2)]++
				return reserveUnits(units, 1+r.Int64N(4))(s, r, own)
			case 4, 5:
				return finish(s, r, own)
			case 6, 7:
				return asked{kind: askAdvance, seconds: 1}, true
			}
			return readCell(s, r, 2)
		})
		checkHistory(t, s.history)
		s.db.Close()
	}
}

// TestOneKeyHasOneAnswer has several callers send the same request under the same key at once.
func TestOneKeyHasOneAnswer(t *testing.T) {
	r := enginetest.Rand(t)
	for range enginetest.Times(20) {
		s := newShop(t, r, 2)
		s.run(r, 6, 6, func(s *shop, r *rand.Rand, own []int) (asked, bool) {
			if r.IntN(4) == 0 {
				return finish(s, r, own)
			}
			key := 1 + r.IntN(shopKeys)
			return asked{kind: askReserve, slot: key, key: key, units: at(0, 1), seconds: 3600}, true
		})
		checkHistory(t, s.history)
		s.db.Close()
	}
}

// TestAPowerCutLosesNoAnswer takes a copy of the disk, as a power cut would leave it, while callers are at work, and reads
// what a restart makes of it. What had been answered by then must be there; what was under way may be.
func TestAPowerCutLosesNoAnswer(t *testing.T) {
	r := enginetest.Rand(t)
	for range enginetest.Times(15) {
		s := newShop(t, r, 4, 4)
		var from, to int64
		var disk *vfs.MemFS
		done := make(chan struct{})
		wait, unsynced := time.Duration(r.Int64N(2000))*time.Microsecond, r.IntN(101)
		power := rand.New(rand.NewPCG(r.Uint64(), 0))
		go func() {
			defer close(done)
			time.Sleep(wait)
			from = time.Since(s.began).Nanoseconds()
			disk = enginetest.Crash(s.db.Disk, unsynced, power)
			to = time.Since(s.began).Nanoseconds()
		}()
		s.run(r, 4, 14, func(s *shop, r *rand.Rand, own []int) (asked, bool) {
			switch r.IntN(6) {
			case 0, 1, 2:
				return reserveUnits([shopCells]int64{1, r.Int64N(2)}, 3600)(s, r, own)
			case 3, 4:
				return finish(s, r, own)
			}
			return readCell(s, r, 2)
		})
		<-done
		s.db.Close()
		s.db = enginetest.OpenOn(t, disk, engine.Options{DefaultHold: time.Hour})
		s.cutAt(t, from, to)
		for slot := range shopSlots {
			if s.made(slot) {
				s.call(0, asked{kind: askFind, slot: slot})
			}
		}
		for cell := range 2 {
			s.call(0, asked{kind: askRead, cell: cell})
		}
		checkHistory(t, s.history)
		s.db.Close()
	}
}

// made reports whether the history holds a reservation.
func (s *shop) made(slot int) bool {
	return slices.ContainsFunc(s.history, func(operation porcupine.Operation) bool {
		in := operation.Input.(asked)
		return in.kind == askReserve && in.slot == slot && operation.Output.(said).ok
	})
}

// cutAt leaves the history that a power cut between from and to leaves: the calls that were answered before it, and of those
// that were under way the ones whose effect is on the disk. Which these are the restarted engine says: would the checker have
// to guess, it would need a time and a memory exponential in their number. Everything answered before a call whose effect is
// on the disk has to be there too.
func (s *shop) cutAt(t *testing.T, from, to int64) {
	var left, lost []porcupine.Operation
	var last int64 // call of those that were under way and are on the disk
	for _, operation := range s.history {
		in, out := operation.Input.(asked), operation.Output.(said)
		change := out.ok && (in.kind == askReserve || in.kind == askCommit || in.kind == askRelease)
		switch {
		case operation.Return < from:
			left = append(left, operation)
		case operation.Call > to || !change:
		case s.isOnDisk(t, &in, &out):
			last = max(last, operation.Call)
			operation.Return = min(operation.Return, to)
			left = append(left, operation)
		default:
			lost = append(lost, operation)
		}
	}
	for _, operation := range lost {
		if operation.Return < last {
			t.Fatalf("%s is lost, and a later call is not", shopModel.DescribeOperation(operation.Input, operation.Output))
		}
	}
	s.history = left
}

// isOnDisk reports whether the effect of a call is. No more than one call can commit or release a reservation, so the state it
// is in tells whether this one did.
func (s *shop) isOnDisk(t *testing.T, in *asked, out *said) bool {
	reservation, err := s.db.Reservation(*s.ids[in.slot].Load())
	if unknown := (*engine.UnknownError)(nil); errors.As(err, &unknown) {
		return false
	} else if err != nil {
		t.Fatal(err)
	}
	return in.kind == askReserve || reservation.State == out.state
}
