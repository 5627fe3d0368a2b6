package bench

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"onhand/engine"
)

// limits measures the journal beside a loop that does nothing but append as many bytes to a file and wait for the disk.
func (r *Report) limits(c Config, dir string) (err error) {
	var blocks, bytes atomic.Int64
	observe := &engine.Observer{Block: func(_, n int, _ time.Duration) {
		blocks.Add(1)
		bytes.Add(int64(n))
	}}
	e, err := openStock(filepath.Join(dir, "db"), shopSKUs, shopLocations, shopOnHand, engine.Options{CheckpointBytes: 1 << 40, Observe: observe})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	n := namesOf(shopSKUs, shopLocations)
	var rates, sizes, raws, ratios []float64
	for i := range c.Rounds + 1 {
		b, s := blocks.Load(), bytes.Load()
		begun := time.Now()
		if _, _, err := callers(c.Connections, c.Round, func(random *rand.Rand) (int, error) {
			_, err := e.Reserve(&engine.ReserveRequest{Lines: []engine.Line{n.line(random)}, ExpiresIn: 15 * time.Minute})
			return 1, err
		}); err != nil {
			return err
		}
		took := time.Since(begun).Seconds()
		made, size := blocks.Load()-b, bytes.Load()-s
		if made == 0 {
			return errors.New("no block was made")
		}
		raw, err := appendAndSync(filepath.Join(dir, "raw"), int(size/made), c.Round)
		if err != nil {
			return err
		}
		if i > 0 {
			rate := float64(made) / took
			rates, sizes, raws, ratios = append(rates, rate), append(sizes, float64(size/made)), append(raws, raw), append(ratios, rate/raw)
		}
	}
	r.note("journal: blocks under 64 callers, each synced", spreadOf(rates), "blocks/s")
	r.note("journal: size of a block", spreadOf(sizes), "bytes")
	r.note("append of as many bytes and fdatasync, nothing else", spreadOf(raws), "times/s")
	r.note("journal ÷ append and fdatasync", spreadOf(ratios), "×")
	return nil
}

// appendAndSync returns how often a second so many bytes can be appended to a file and synced.
func appendAndSync(name string, size int, d time.Duration) (rate float64, err error) {
	file, err := os.Create(name)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, file.Close(), os.Remove(name)) }()
	block := make([]byte, size)
	for i := range block {
		block[i] = byte(i * 7) // a disk may make little of zeros
	}
	begun, count := time.Now(), 0
	for time.Since(begun) < d {
		if _, err := file.Write(block); err != nil {
			return 0, err
		}
		if err := syncData(file); err != nil {
			return 0, err
		}
		count++
	}
	return float64(count) / time.Since(begun).Seconds(), nil
}

// copySpeed returns how many bytes a second memory copies, from one place of it to another.
func copySpeed() float64 {
	from, to := make([]byte, 256<<20), make([]byte, 256<<20)
	for i := range from {
		from[i] = 1 // the kernel provides memory only once it is written to
	}
	copy(to, from)
	begun := time.Now()
	const times = 4
	for range times {
		copy(to, from)
	}
	return float64(times*len(from)) / time.Since(begun).Seconds()
}
