package window

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// remembered is an entry as it was given to a Log.
type remembered struct {
	at      int64
	payload []byte
	hashes  []uint32
}

// payload returns n bytes that differ from those of every other number.
func payload(number uint64, n int) []byte {
	b := bytes.Repeat([]byte{byte(number)}, max(8, n))
	binary.LittleEndian.PutUint64(b, number)
	return b
}

// under returns the payloads under a hash, in the order of the numbers they begin with.
func under(l *Log, hash uint32) (payloads [][]byte) {
	l.Each(hash, func(p []byte) bool {
		payloads = append(payloads, bytes.Clone(p))
		return true
	})
	slices.SortFunc(payloads, func(a, b []byte) int {
		return int(int64(binary.LittleEndian.Uint64(a)) - int64(binary.LittleEndian.Uint64(b)))
	})
	return payloads
}

func walked(l *Log, from Position) (payloads [][]byte, end Position) {
	end = l.Walk(from, func(p []byte) bool {
		payloads = append(payloads, p)
		return true
	})
	return payloads, end
}

// TestLogRemembersWhatItPromises compares the log with a list. What is not past its time, or is among the newest, must be
// there; what was dropped must be the oldest, in one piece, and leave no trace.
func TestLogRemembersWhatItPromises(t *testing.T) {
	const maxAge, maxCount = time.Hour, 40
	rapid.Check(t, func(r *rapid.T) {
		l := New(maxAge, maxCount)
		var all []remembered
		now, gone := int64(time.Hour), 0
		var kept Position // a position that a reader keeps while the log goes on
		keptAt := 0       // how many entries it has seen
		check := func() {
			// What is left is a tail of all.
			left, end := walked(l, Position{})
			if len(left) > len(all)-gone {
				r.Fatalf("%d entries, %d were left before", len(left), len(all)-gone)
			}
			gone = len(all) - len(left)
			for i, p := range left {
				if !bytes.Equal(p, all[gone+i].payload) {
					r.Fatalf("entry %d of %d is not the one that was appended", gone+i, len(all))
				}
			}
			if again, _ := walked(l, end); len(again) != 0 {
				r.Fatalf("%d entries behind the end", len(again))
			}
			// Nothing was dropped too early.
			for i, e := range all[:gone] {
				if newer := len(all) - 1 - i; e.at >= now-int64(maxAge) && newer < maxCount {
					r.Fatalf("entry %d of %d was dropped at the age of %v", i, len(all), time.Duration(now-e.at))
				}
			}
			st := l.Stats()
			oldest := int64(0)
			if len(left) > 0 {
				oldest = all[gone].at
			}
			if st.Count != len(left) || st.Oldest != oldest || st.Bytes < int64(st.Count)*16 {
				r.Fatalf("%+v with %d entries, the oldest of %d", st, len(left), oldest)
			}
			for hash := uint32(0); hash < 5; hash++ {
				var want [][]byte
				for _, e := range all[gone:] {
					for _, h := range e.hashes {
						if h == hash {
							want = append(want, e.payload)
						}
					}
				}
				l.Prefetch(hash)
				if got := under(l, hash); !slices.EqualFunc(got, want, bytes.Equal) {
					r.Fatalf("under %d there are %d, want %d", hash, len(got), len(want))
				}
			}
		}
		append1 := func(r *rapid.T, size int) {
			e := remembered{now, payload(uint64(len(all)), size), rapid.SliceOfN(rapid.Uint32Range(0, 4), 0, 3).Draw(r, "hashes")}
			given := bytes.Clone(e.payload)
			l.Append(e.at, given, e.hashes...)
			clear(given) // the caller's memory is its own again
			all = append(all, e)
		}
		r.Repeat(map[string]func(*rapid.T){
			"append small": func(r *rapid.T) { append1(r, rapid.IntRange(0, 100).Draw(r, "bytes")) },
			// A few of these fill a segment, which is the unit in which the log forgets.
			"append large": func(r *rapid.T) {
				append1(r, rapid.SampledFrom([]int{SegmentBytes / 3, SegmentBytes / 2, EntryMax(3)}).Draw(r, "bytes"))
			},
			"append many": func(r *rapid.T) {
				for range rapid.IntRange(0, 60).Draw(r, "how many") {
					append1(r, 10)
				}
			},
			"time": func(r *rapid.T) {
				now += rapid.Int64Range(0, int64(2*maxAge)).Draw(r, "passes")
			},
			"evict": func(*rapid.T) { l.Evict(now) },
			"read on": func(r *rapid.T) {
				most := rapid.IntRange(0, 30).Draw(r, "most")
				expect := max(keptAt, gone)
				kept = l.Walk(kept, func(p []byte) bool {
					if most == 0 {
						return false
					}
					if !bytes.Equal(p, all[expect].payload) {
						r.Fatalf("entry %d should come, %d comes", expect, binary.LittleEndian.Uint64(p))
					}
					expect++
					most--
					return true
				})
				if most > 0 && expect != len(all) {
					r.Fatalf("the walk ended at entry %d of %d", expect, len(all))
				}
				keptAt = expect
			},
			"": func(*rapid.T) { check() },
		})
	})
}

// TestWholeSegmentsAreForgottenOnceTheyArePastTheirTime, and not while one of their entries isn't.
func TestWholeSegmentsAreForgottenOnceTheyArePastTheirTime(t *testing.T) {
	l := New(time.Hour, math.MaxInt)
	second := int64(time.Second)
	at := func(s int64) int64 { return 1_000_000*second + s*second }
	l.Append(at(0), payload(0, SegmentBytes/2), 1)
	l.Append(at(100), payload(1, SegmentBytes/3), 1)
	l.Append(at(200), payload(2, SegmentBytes/2), 1) // begins a second segment
	for _, c := range []struct {
		now  int64
		want int
	}{{at(200), 3}, {at(3600), 3}, {at(3700), 3}, {at(3700) + 1, 1}, {at(100_000), 1}} {
		l.Evict(c.now)
		if got := len(under(l, 1)); got != c.want {
			t.Errorf("at %d there are %d entries, want %d", c.now, got, c.want)
		}
	}
	// The last segment stays, as it is being written; the next append that begins another lets it go.
	l.Append(at(100_000), payload(3, EntryMax(1)), 1)
	l.Evict(at(100_000))
	if got := under(l, 1); len(got) != 1 || got[0][0] != 3 {
		t.Errorf("%d entries", len(got))
	}
}

// TestSoManyAreRememberedAndNotAWholeLotMore: by number, a segment more than promised at most.
func TestSoManyAreRememberedAndNotAWholeLotMore(t *testing.T) {
	const maxCount = 30_000
	l := New(time.Hour, maxCount)
	most := 0
	for n := range uint64(200_000) {
		l.Append(int64(n), payload(n, 32), uint32(n))
		count := l.Stats().Count
		if want := min(int(n)+1, maxCount); count < want {
			t.Fatalf("after %d entries %d are remembered", n+1, count)
		}
		most = max(most, count)
	}
	if perSegment := SegmentBytes / 48; most > maxCount+perSegment+1 {
		t.Errorf("up to %d were remembered, promised are %d", most, maxCount)
	}
	// An entry is found as long as it is remembered, and its index entry goes with it.
	found := 0
	for n := range uint32(200_000) {
		if _, ok := l.Find(nil, n, func([]byte) bool { return true }); ok {
			found++
		}
	}
	if found != l.Stats().Count {
		t.Errorf("%d are found, %d are remembered", found, l.Stats().Count)
	}
}

// TestReferencesGoRoundAndRound: they are modulo 2³² units, so a log that has seen 32 GiB begins anew.
func TestReferencesGoRoundAndRound(t *testing.T) {
	l := New(time.Hour, 10)
	l.first = 1<<32/segmentUnits - 3 // as if so many segments had come and gone
	var kept Position
	for n := range uint64(60) {
		l.Append(int64(n), payload(n, SegmentBytes/5), uint32(n%3))
		for hash := range uint64(3) {
			for _, p := range under(l, uint32(hash)) {
				if number := binary.LittleEndian.Uint64(p); number%3 != hash || number > n || number+30 < n {
					t.Fatalf("after %d: entry %d under hash %d", n, number, hash)
				}
			}
		}
		seen := 0
		kept = l.Walk(kept, func(p []byte) bool {
			if binary.LittleEndian.Uint64(p) != n {
				t.Errorf("entry %d comes where %d should", binary.LittleEndian.Uint64(p), n)
			}
			seen++
			return true
		})
		if seen != 1 {
			t.Errorf("after %d: %d new entries", n, seen)
		}
	}
	if l.first <= 1<<32/segmentUnits {
		t.Fatalf("the log has not come round: it is at segment %d", l.first)
	}
}

func TestFindTakesTheFirstThatMatches(t *testing.T) {
	l := New(time.Hour, 100)
	for n := range uint64(5) {
		l.Append(1, payload(n, 20), 7, 8)
	}
	got, ok := l.Find([]byte("dst"), 8, func(p []byte) bool { return binary.LittleEndian.Uint64(p) == 3 })
	if !ok || !bytes.Equal(got, append([]byte("dst"), payload(3, 20)...)) {
		t.Errorf("%x, %v", got, ok)
	}
	got, ok = l.Find([]byte("dst"), 8, func([]byte) bool { return false })
	if ok || string(got) != "dst" {
		t.Errorf("%x, %v", got, ok)
	}
	if _, ok = l.Find(nil, 9, func([]byte) bool { return true }); ok {
		t.Error("something is found under a hash that has nothing")
	}
	calls := 0
	l.Each(7, func([]byte) bool { calls++; return calls < 2 })
	if calls != 2 {
		t.Errorf("told to stop after 2, it went on for %d", calls)
	}
}

func TestTheLargestEntryFitsAndTheNextDoesNot(t *testing.T) {
	for hashes := range 4 {
		l := New(time.Hour, 100)
		keys := make([]uint32, hashes)
		largest := payload(1, EntryMax(hashes))
		l.Append(1, largest, keys...)
		if got, _ := walked(l, Position{}); len(got) != 1 || !bytes.Equal(got[0], largest) {
			t.Errorf("with %d hashes: the largest entry is not read as it was appended", hashes)
		}
		if len(l.segments[0].data) > SegmentBytes || cap(l.segments[0].data) != SegmentBytes {
			t.Errorf("with %d hashes: a segment of %d bytes", hashes, len(l.segments[0].data))
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("with %d hashes: a larger entry was taken", hashes)
				}
			}()
			l.Append(1, payload(1, EntryMax(hashes)+8), keys...)
		}()
		l.Append(1, payload(2, 8)) // and no lock was left behind
	}
}

// TestAWalkCopesWithAnyPosition: positions come back from callers, and may be of another log or of before a restart.
func TestAWalkCopesWithAnyPosition(t *testing.T) {
	l := New(time.Hour, math.MaxInt)
	if got, end := walked(l, Position{}); len(got) != 0 || end != (Position{}) {
		t.Errorf("an empty log: %d entries, end %v", len(got), end)
	}
	if got, end := walked(l, Position{9, 9}); len(got) != 0 || end != (Position{9, 9}) {
		t.Errorf("a foreign position in an empty log: %d entries, end %v", len(got), end)
	}
	var all [][]byte
	for n := range uint64(9) {
		all = append(all, payload(n, SegmentBytes/4))
		l.Append(1, all[n], 1)
	}
	perSegment := 3
	for offset := range SegmentBytes + 20 {
		if offset > 100 && offset < SegmentBytes-100 && offset%777 != 0 {
			continue
		}
		got, _ := walked(l, Position{1, offset})
		// It goes on at the first entry there or behind.
		before := 0
		for at := unit; at < min(offset, len(l.segments[1].data)); {
			_, _, at = l.segments[1].entry(at)
			before++
		}
		want := all[perSegment+before:]
		if !slices.EqualFunc(got, want, bytes.Equal) {
			t.Fatalf("from offset %d: %d entries, want %d", offset, len(got), len(want))
		}
	}
	for _, from := range []Position{{3, 0}, {100, 5}, {math.MaxUint64, math.MaxInt}} {
		if got, end := walked(l, from); len(got) != 0 || end != from {
			t.Errorf("from %v: %d entries, end %v", from, len(got), end)
		}
	}
	if got, _ := walked(l, Position{0, -5}); len(got) != len(all) {
		t.Errorf("from a negative offset: %d entries", len(got))
	}
	if got, _ := walked(l, Position{0, math.MaxInt}); len(got) != len(all)-perSegment {
		t.Errorf("from far behind a segment's end: %d entries", len(got))
	}
}

// TestAWalkSurvivesWhatIsForgottenMeanwhile: it goes on with the oldest that is left.
func TestAWalkSurvivesWhatIsForgottenMeanwhile(t *testing.T) {
	l := New(time.Hour, 3)
	for n := range uint64(3) {
		l.Append(1, payload(n, SegmentBytes/2), 1)
	}
	var seen []uint64
	at := l.Walk(Position{}, func(p []byte) bool {
		seen = append(seen, binary.LittleEndian.Uint64(p))
		return len(seen) < 2
	})
	for n := uint64(3); n < 10; n++ {
		l.Append(1, payload(n, SegmentBytes/2), 1)
	}
	left, _ := walked(l, Position{})
	rest, _ := walked(l, at)
	if !slices.EqualFunc(rest, left, bytes.Equal) {
		t.Errorf("the walk goes on with %d entries, %d are left", len(rest), len(left))
	}
	// Payloads may be kept though their segment is forgotten.
	if binary.LittleEndian.Uint64(left[0]) != 10-uint64(len(left)) {
		t.Errorf("the oldest that is left is %d", binary.LittleEndian.Uint64(left[0]))
	}
}

// TestManyMayUseALogAtOnce: walks read without a lock what appends have written. Meant for the race detector.
func TestManyMayUseALogAtOnce(t *testing.T) {
	l := New(time.Hour, 2000)
	stop := make(chan struct{})
	var readers, writers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			var at Position
			last := uint64(0)
			for {
				select {
				case <-stop:
					return
				default:
				}
				at = l.Walk(at, func(p []byte) bool {
					number := binary.LittleEndian.Uint64(p)
					if number <= last {
						t.Errorf("entry %d comes after %d", number, last)
					}
					if p[len(p)-1] != byte(number) {
						t.Errorf("entry %d is half written", number)
					}
					last = number
					return true
				})
				l.Each(uint32(last%16), func(p []byte) bool {
					if binary.LittleEndian.Uint64(p)%16 != last%16 {
						t.Errorf("entry %d under hash %d", binary.LittleEndian.Uint64(p), last%16)
					}
					return true
				})
				l.Stats()
				l.Evict(int64(last))
			}
		})
	}
	var mu sync.Mutex
	next := uint64(0)
	for writer := range 2 {
		writers.Go(func() {
			r := rand.New(rand.NewPCG(uint64(writer), 2))
			for range 4000 {
				size := 9 + r.IntN(1500)
				mu.Lock()
				next++
				l.Append(int64(next), payload(next, size), uint32(next%16))
				mu.Unlock()
			}
		})
	}
	writers.Wait()
	close(stop)
	readers.Wait()
}
