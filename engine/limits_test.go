package engine_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"onhand/engine"
	"onhand/engine/enginetest"
)

// lamp asks for a lamp in Lyon.
func lamp(reference, owner string) engine.ReserveRequest {
	return engine.ReserveRequest{
		Lines: []engine.Line{{SKU: "lamp", Location: "lyon", Quantity: 1}}, Reference: reference, Owner: owner, ExpiresIn: time.Minute,
	}
}

func wantLimit(t testing.TB, err error, want engine.LimitError) {
	t.Helper()
	var limit *engine.LimitError
	if !errors.As(err, &limit) || *limit != want {
		t.Errorf("answered %+v, want %+v", err, want)
	}
}

func TestSoManyAreLiveAndNoMore(t *testing.T) {
	db := enginetest.Open(t, engine.Options{HoldsPerReference: 2, HoldsPerOwner: 3})
	setOnHand(t, db, "lamp", "lyon", 100)
	first := reserve(t, db, lamp("anna", "shop"))
	if first.Owner != "shop" {
		t.Errorf("it is of %q", first.Owner)
	}
	long := lamp("anna", "till")
	long.ExpiresIn = time.Hour
	reserve(t, db, long)
	_, err := db.Reserve(&engine.ReserveRequest{Lines: lamps(1), Reference: "anna", Owner: "elsewhere"})
	wantLimit(t, err, engine.LimitError{Limit: engine.HoldsPerReference, Max: 2, Live: 2, Wait: time.Minute})

	// Another reference, and none, are another matter; the owner has a limit of its own.
	reserve(t, db, lamp("bo", "shop"))
	reserve(t, db, lamp("", "shop"))
	r := lamp("", "shop")
	_, err = db.Reserve(&r)
	wantLimit(t, err, engine.LimitError{Limit: engine.HoldsPerOwner, Max: 3, Live: 3})
	for range 10 { // nobody in particular has no limit
		reserve(t, db, lamp("", ""))
	}

	// What is committed or released in part counts until nothing of it is held.
	if _, err := db.Release(&engine.FinishRequest{ID: first.ID}); err != nil {
		t.Fatal(err)
	}
	reserve(t, db, lamp("anna", "shop"))
	_, err = db.Reserve(&r)
	wantLimit(t, err, engine.LimitError{Limit: engine.HoldsPerOwner, Max: 3, Live: 3})
	if n := db.Stats().Limited; n[engine.HoldsPerReference] != 1 || n[engine.HoldsPerOwner] != 2 {
		t.Errorf("refused by limit: %v, want 1 and 2", n)
	}
	if err := db.CheckInvariants(); err != nil {
		t.Error(err)
	}
}

func lamps(units int64) []engine.Line {
	return []engine.Line{{SKU: "lamp", Location: "lyon", Quantity: units}}
}

// TestWhatIsDueCountsForNothing: nobody is refused for the sake of a hold whose deadline has passed, swept or not.
func TestWhatIsDueCountsForNothing(t *testing.T) {
	db := enginetest.Open(t, engine.Options{HoldsPerReference: 1, HoldsPerOwner: 2})
	for i := range 40 {
		setOnHand(t, db, fmt.Sprint("sku-", i), "lyon", 1000)
	}
	for range 50 {
		// Each is due when the next is asked for; of one line, or of many shards.
		r := engine.ReserveRequest{Reference: "anna", Owner: "shop", ExpiresIn: time.Second}
		for i := range 1 + rand.IntN(3) {
			r.Lines = append(r.Lines, engine.Line{SKU: fmt.Sprint("sku-", (i*13+rand.IntN(13))%40), Location: "lyon", Quantity: 1})
		}
		reserve(t, db, r)
		r.Reference = ""
		reserve(t, db, r)
		db.Clock.Advance(time.Second)
	}
}

// TestALimitIsNotRemembered: what is refused by a limit under a key may be granted under it later, and what was granted
// stays granted, whatever the limit says by then.
func TestALimitIsNotRemembered(t *testing.T) {
	db := enginetest.Open(t, engine.Options{HoldsPerReference: 1})
	setOnHand(t, db, "lamp", "lyon", 9)
	first := lamp("anna", "old key")
	first.ID = engine.ID{7}
	held := reserve(t, db, first)
	second := lamp("anna", "")
	second.Key = "second"
	sequence := db.Durable()
	for range 2 {
		_, err := db.Reserve(&second)
		wantLimit(t, err, engine.LimitError{Limit: engine.HoldsPerReference, Max: 1, Live: 1, Wait: time.Minute})
	}
	if now := db.Durable(); now != sequence {
		t.Errorf("a limit has made change %d", now)
	}
	// A retry finds the first attempt, though there is no place for another, and from another owner too.
	first.Owner = "new key"
	if again := reserve(t, db, first); again.Sequence != held.Sequence || again.Owner != "old key" {
		t.Errorf("the retry was answered %+v, the first attempt %+v", again, held)
	}
	if _, err := db.Commit(&engine.FinishRequest{ID: held.ID}); err != nil {
		t.Fatal(err)
	}
	granted := reserve(t, db, second)
	if again := reserve(t, db, second); again.ID != granted.ID {
		t.Errorf("the retry was answered with %v, the first attempt with %v", again.ID, granted.ID)
	}
}

func TestABatchHasTheSameLimits(t *testing.T) {
	db := enginetest.Open(t, engine.Options{HoldsPerOwner: 3})
	setOnHand(t, db, "lamp", "lyon", 4)
	requests := make([]engine.ReserveRequest, 6)
	for i := range requests {
		requests[i] = lamp("", "shop")
	}
	requests[1].Lines = lamps(100) // gives its place back
	text := ""
	for _, result := range db.ReserveBatch(nil, requests) {
		if result.Err == nil {
			text += "held; "
		} else {
			text += errorText(result.Err) + "; "
		}
	}
	want := "held; refused: lamp at lyon: short, 0 of 100; held; held; limit: holds_per_owner, 3 of 3; limit: holds_per_owner, 3 of 3; "
	if text != want {
		t.Errorf("answered %s\n   want %s", text, want)
	}
}

func TestFindAndHoldHasTheSameLimits(t *testing.T) {
	db := enginetest.Open(t, engine.Options{HoldsPerReference: 1})
	street(t, db, "a", "b")
	setOnHand(t, db, "tea", "b", 5)
	r := find(engine.Line{SKU: "tea", Quantity: 2})
	r.Reference, r.Owner = "anna", "shop"
	more := find(engine.Line{SKU: "tea", Quantity: 20})
	more.Reference = "anna"
	if _, err := db.Reserve(more); !strings.HasPrefix(errorText(err), "refused") {
		t.Errorf("answered %v", err)
	}
	held := reserve(t, db, *r)
	if held.Owner != "shop" {
		t.Errorf("it is of %q", held.Owner)
	}
	_, err := db.Reserve(r)
	wantLimit(t, err, engine.LimitError{Limit: engine.HoldsPerReference, Max: 1, Live: 1, Wait: time.Hour})
}

// TestOwnersAreBounded: a limit below nothing and a name without end are refused.
func TestOwnersAreBounded(t *testing.T) {
	for _, o := range []engine.Options{{HoldsPerReference: -1}, {HoldsPerOwner: -1}} {
		if _, err := engine.Open(t.TempDir(), o); !errors.As(err, new(*engine.InvalidError)) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	db := enginetest.Open(t, engine.Options{})
	r := lamp("", strings.Repeat("x", engine.OwnerMax+1))
	if _, err := db.Reserve(&r); !errors.As(err, new(*engine.InvalidError)) {
		t.Errorf("an owner of %d bytes: %v", len(r.Owner), err)
	}
}

// mostLive goes through the changes and returns the most reservations that were live at any moment, by reference and by
// owner; what both begin with is one thing.
func mostLive(t testing.TB, db *enginetest.DB) map[string]int {
	t.Helper()
	most, live := map[string]int{}, map[string]int{}
	err := db.Changes(0, func(c *engine.Change) error {
		r := c.Reservation
		if r == nil {
			return nil
		}
		for _, name := range []string{"reference " + r.Reference, "owner " + r.Owner} {
			switch {
			case c.Kind == engine.ReservationHeldChange:
				live[name]++
				most[name] = max(most[name], live[name])
			case r.State != engine.Held:
				live[name]--
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return most
}

// TestTheLastPlaceGoesToOne has many ask for the last places at once, some of them in vain: exactly as many as are allowed
// get one, and nobody is refused for the sake of those who get none.
func TestTheLastPlaceGoesToOne(t *testing.T) {
	const places, callers = 5, 64
	for _, o := range []engine.Options{{HoldsPerReference: places}, {HoldsPerOwner: places}, {HoldsPerReference: places + 1, HoldsPerOwner: places}} {
		db := enginetest.Open(t, o)
		setOnHand(t, db, "lamp", "lyon", 1000)
		setOnHand(t, db, "sofa", "lyon", 0)
		for range rounds(20) {
			var held, limited, short atomic.Int64
			var wait sync.WaitGroup
			ids := make(chan engine.ID, callers)
			begin := make(chan struct{})
			for i := range callers {
				wait.Go(func() {
					r := lamp("anna", "shop")
					if i%2 == 0 {
						r.Lines[0].SKU = "sofa"
					}
					<-begin
					got, err := db.Reserve(&r)
					switch {
					case err == nil:
						held.Add(1)
						ids <- got.ID
					case errors.As(err, new(*engine.LimitError)):
						limited.Add(1)
					case errors.As(err, new(*engine.RefusedError)):
						short.Add(1)
					default:
						t.Error(err)
					}
				})
			}
			close(begin)
			wait.Wait()
			close(ids)
			if held.Load() != places || held.Load()+limited.Load()+short.Load() != callers {
				t.Fatalf("%d of %d got one of %d places, %d met the limit, %d had no stock", held.Load(), callers, places, limited.Load(), short.Load())
			}
			for id := range ids {
				if _, err := db.Release(&engine.FinishRequest{ID: id}); err != nil {
					t.Fatal(err)
				}
			}
		}
		if most := mostLive(t, db); most["reference anna"] != places || most["owner shop"] != places {
			t.Errorf("the most that were live: %v, want %d", most, places)
		}
	}
}

// TestLimitsHoldInAnyTraffic has many callers reserve, finish and let expire, with retries, batches and checkpoints between:
// at no sequence are more live than allowed. The counts are those of a recount, then and after a restart and a crash.
func TestLimitsHoldInAnyTraffic(t *testing.T) {
	o := engine.Options{HoldsPerReference: 3, HoldsPerOwner: 7, CheckpointBytes: 1 << 16}
	db := enginetest.Open(t, o)
	for i := range 6 {
		setOnHand(t, db, fmt.Sprint("sku-", i), "lyon", 1_000_000)
	}
	random := enginetest.Rand(t)
	seeds := make([]uint64, 16)
	for i := range seeds {
		seeds[i] = random.Uint64()
	}
	work := func() {
		var wait sync.WaitGroup
		for i, seed := range seeds {
			seeds[i]++
			wait.Go(func() { limitTraffic(t, db, rand.New(rand.NewPCG(seed, 0))) })
		}
		wait.Go(func() {
			for range 3 {
				if err := db.Checkpoint(); err != nil {
					t.Error(err)
				}
			}
		})
		wait.Wait()
		if err := db.CheckInvariants(); err != nil {
			t.Error(err)
		}
	}
	counts := func() (text string) {
		for _, name := range []string{"anna", "bo", "shop", "till"} {
			withReference, ofOwner := db.CountLive(name, name)
			text += fmt.Sprintf("%s %d %d, ", name, withReference, ofOwner)
		}
		return text
	}
	for range rounds(3) {
		work()
		db.Sweep()
		db.Settle()
		before := counts()
		db.Restart()
		if after := counts(); after != before {
			t.Errorf("after a restart there are %s; there were %s", after, before)
		}
		work()
		db.Sweep()
		db.Settle()
		before = counts()
		db.Crash(0, random)
		if after := counts(); after != before {
			t.Errorf("after a crash there are %s; there were %s", after, before)
		}
		if err := db.CheckInvariants(); err != nil {
			t.Error(err)
		}
	}
	most := mostLive(t, db)
	for _, name := range []string{"reference anna", "reference bo"} {
		if most[name] != o.HoldsPerReference {
			t.Errorf("%s had %d live at most, want %d", name, most[name], o.HoldsPerReference)
		}
	}
	for _, name := range []string{"owner shop", "owner till"} {
		if most[name] != o.HoldsPerOwner {
			t.Errorf("%s had %d live at most, want %d", name, most[name], o.HoldsPerOwner)
		}
	}
}

func limitTraffic(t *testing.T, db *enginetest.DB, r *rand.Rand) {
	var own []engine.ID
	request := func() engine.ReserveRequest {
		out := engine.ReserveRequest{
			Reference: []string{"", "", "anna", "bo"}[r.IntN(4)], Owner: []string{"", "shop", "till"}[r.IntN(3)],
			ExpiresIn: time.Duration(1+r.IntN(3)) * time.Second,
		}
		if r.IntN(3) == 0 {
			out.Key = fmt.Sprint("k", r.IntN(200))
		}
		for range 1 + r.IntN(3) {
			out.Lines = append(out.Lines, engine.Line{SKU: fmt.Sprint("sku-", r.IntN(7)), Location: "lyon", Quantity: 1}) // sku-6 is unknown
		}
		return out
	}
	expected := func(err error) {
		var refused *engine.RefusedError
		var limit *engine.LimitError
		var state *engine.StateError
		switch {
		case err == nil, errors.As(err, &refused), errors.As(err, &state), errors.Is(err, engine.ErrKeyReused):
		case errors.As(err, &limit):
			if limit.Live < limit.Max {
				t.Errorf("%v", limit)
			}
		default:
			t.Error(err)
		}
	}
	for range 60 {
		switch n := r.IntN(10); {
		case n < 5:
			one := request()
			got, err := db.Reserve(&one)
			if expected(err); err == nil {
				own = append(own, got.ID)
			}
		case n < 6:
			for _, result := range db.ReserveBatch(nil, []engine.ReserveRequest{request(), request(), request()}) {
				expected(result.Err)
			}
		case n < 9 && len(own) > 0:
			at := r.IntN(len(own))
			finish := []func(*engine.FinishRequest) (engine.Reservation, error){db.Commit, db.Release}[r.IntN(2)]
			_, err := finish(&engine.FinishRequest{ID: own[at]})
			expected(err)
		default:
			db.Clock.Advance(time.Duration(r.IntN(300)) * time.Millisecond)
		}
	}
}
