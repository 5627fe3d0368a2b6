package stock

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

func TestALockSetIsASet(t *testing.T) {
	shards := rapid.SliceOf(rapid.IntRange(0, Shards-1))
	rapid.Check(t, func(r *rapid.T) {
		build := func(members []int) (set LockSet, in map[int]bool) {
			in = map[int]bool{}
			for _, shard := range members {
				set.Add(shard)
				in[shard] = true
			}
			return set, in
		}
		a, inA := build(shards.Draw(r, "a"))
		b, inB := build(shards.Draw(r, "b"))
		contains := true
		for shard := range Shards {
			if a.Has(shard) != inA[shard] {
				r.Fatalf("shard %d is in the set: %v", shard, a.Has(shard))
			}
			contains = contains && (!inB[shard] || inA[shard])
		}
		if a.Contains(&b) != contains {
			r.Fatalf("%v contains %v: %v", a, b, a.Contains(&b))
		}
		if !AllShards.Contains(&a) || !a.Contains(&a) || !a.Contains(&LockSet{}) {
			r.Fatal("a set is in itself and in all, and the empty one in it")
		}
	})
	for shard := range Shards {
		if !AllShards.Has(shard) {
			t.Errorf("shard %d is none of all", shard)
		}
	}
}

// TestLocksAreTakenInAscendingOrder stops whoever takes several at each of them in turn: those below are taken then, those
// above are not.
func TestLocksAreTakenInAscendingOrder(t *testing.T) {
	var m Map
	members := []int{0, 1, 63, 64, 127, 200, 255}
	var set LockSet
	for i := len(members) - 1; i >= 0; i-- {
		set.Add(members[i])
	}
	for at, stop := range members {
		m.locks[stop].Lock()
		done := make(chan struct{})
		go func() {
			m.Lock(&set)
			close(done)
		}()
		for _, below := range members[:at] {
			for m.locks[below].TryLock() {
				m.locks[below].Unlock()
				runtime.Gosched()
			}
		}
		for _, above := range members[at+1:] {
			if !m.locks[above].TryLock() {
				t.Fatalf("stopped at %d, shard %d is taken", stop, above)
			}
			m.locks[above].Unlock()
		}
		m.locks[stop].Unlock()
		<-done
		for shard := range Shards {
			free := m.locks[shard].TryLock()
			if free {
				m.locks[shard].Unlock()
			}
			if free == set.Has(shard) {
				t.Errorf("shard %d is free: %v", shard, free)
			}
		}
		m.Unlock(&set)
	}
	m.Lock(&AllShards)
	for shard := range Shards {
		if m.locks[shard].TryLock() {
			t.Errorf("shard %d is free", shard)
		}
	}
	m.Unlock(&AllShards)
}

// TestTransfersConserveUnits moves units between cells of random SKUs, several at a time: nobody waits for ever, and
// nothing is lost.
func TestTransfersConserveUnits(t *testing.T) {
	var m Map
	const skus, movers, moves = 300, 6, 2000
	for sku := uint32(1); sku <= skus; sku++ {
		m.Put(sku, 1, Cell{OnHand: 100})
	}
	var wg sync.WaitGroup
	for mover := range movers {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(mover), 0))
			for i := range moves {
				lines := make([]uint32, 2+r.IntN(6))
				var set LockSet
				for i := range lines {
					lines[i] = 1 + r.Uint32N(skus)
					set.Add(ShardOf(lines[i]))
				}
				if i%500 == 0 {
					set = AllShards
				}
				m.Lock(&set)
				for i, sku := range lines {
					c, _ := m.Raw(sku, 1)
					// The first line gives what the others take.
					if i == 0 {
						c.OnHand -= int64(len(lines) - 1)
					} else {
						c.OnHand++
					}
					c.Sequence++
					m.Put(sku, 1, c)
				}
				m.Unlock(&set)
			}
		})
	}
	wg.Wait()
	total := int64(0)
	for sku := uint32(1); sku <= skus; sku++ {
		c, _ := m.Raw(sku, 1)
		total += c.OnHand
	}
	if total != skus*100 {
		t.Errorf("there are %d units, there were %d", total, skus*100)
	}
}

// TestSKUsAreSpreadOverTheShards evenly, as their numbers are given out one after the other.
func TestSKUsAreSpreadOverTheShards(t *testing.T) {
	var count [Shards]int
	const each = 100
	for sku := range uint32(Shards * each) {
		count[ShardOf(sku)]++
	}
	for shard, n := range count {
		if n < each/2 || n > each*2 {
			t.Errorf("shard %d has %d of %d SKUs", shard, n, Shards*each)
		}
	}
}
