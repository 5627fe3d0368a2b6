package engine

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"

	"onhand/engine/internal/record"
	"onhand/engine/internal/window"
)

// A write that carries an idempotency key, or a reservation id of the caller's choosing, is carried out once. Its record
// is also its answer: it is kept, under the key, for as long as the window says, and a retry is answered from it. A
// retry that meets its first attempt still under way waits for it. Key and effect are one record, so a crash keeps both
// or neither.

// answers are the records that retries are answered from.
type answers struct{ log *window.Log }

// An entry of the window: the sequence, the reservation's id if it serves as a key, and the record.
//
//	+------------+---------+--------------+--------
//	| sequence   | 0 or 16 | id (0 or 16) | record
//	| u64        | u8      |              |
//	+------------+---------+--------------+--------
const answerHeaderBytes = 9

// requestKey is an idempotency key as it is kept: the first half of its SHA-256, so that keys can't be made to collide.
type requestKey [16]byte

func keyOf(key string) requestKey {
	sum := sha256.Sum256([]byte(key))
	return requestKey(sum[:16])
}

func keyHash(key [16]byte) uint32 { return binary.LittleEndian.Uint32(key[:]) }

// idHash differs from keyHash for equal bytes; ids may be version 7 UUIDs, whose first bytes are all alike.
func idHash(id ID) uint32 { return uint32(xxhash.Sum64(id[:])) }

func (a *answers) remember(sequence uint64, r *record.Record, encoded []byte, mayHave bool) {
	if mayHave {
		if _, _, ok := a.find(nil, r.Answer.Key, r.Reservation.ID, r.Answer.ByID); ok {
			return
		}
	}
	entry := make([]byte, 0, 256)
	entry = binary.LittleEndian.AppendUint64(entry, sequence)
	var hashes [2]uint32
	n := 0
	if r.Answer.Key != [16]byte{} {
		hashes[n] = keyHash(r.Answer.Key)
		n++
	}
	if r.Answer.ByID {
		entry = append(entry, 16)
		entry = append(entry, r.Reservation.ID[:]...)
		hashes[n] = idHash(r.Reservation.ID)
		n++
	} else {
		entry = append(entry, 0)
	}
	a.log.Append(r.Time, append(entry, encoded...), hashes[:n]...)
}

// restore puts an entry back as it was read from a checkpoint.
func (a *answers) restore(entry []byte, r *record.Record) error {
	if len(entry) < answerHeaderBytes || len(entry) < answerHeaderBytes+int(entry[8]) {
		return record.ErrCorrupt
	}
	encoded := entry[answerHeaderBytes+int(entry[8]):]
	if err := record.Decode(encoded, r); err != nil {
		return err
	}
	a.remember(binary.LittleEndian.Uint64(entry), r, encoded, false)
	return nil
}

// find appends to dst the record that answers key, or, with byID, id.
func (a *answers) find(dst []byte, key requestKey, id ID, byID bool) (encoded []byte, sequence uint64, ok bool) {
	if key != (requestKey{}) {
		dst, ok = a.log.Find(dst, keyHash(key), func(entry []byte) bool {
			have, keyed := record.KeyOf(entry[answerHeaderBytes+int(entry[8]):])
			return keyed && have == key
		})
	}
	if !ok && byID {
		dst, ok = a.log.Find(dst, idHash(id), func(entry []byte) bool {
			return entry[8] == 16 && bytes.Equal(entry[answerHeaderBytes:][:16], id[:])
		})
	}
	if !ok {
		return dst, 0, false
	}
	return dst[answerHeaderBytes+int(dst[8]):], binary.LittleEndian.Uint64(dst), true
}

// claims are the keys whose first attempt is under way.
type claims struct {
	stripes [16]struct {
		// mu guards waiting. The window's own lock is taken under it.
		mu      sync.Mutex
		waiting map[claim]chan struct{} // nil until someone waits
		_       [40]byte
	}
}

// claim is a key or an id under way; the last byte tells them apart.
type claim [17]byte

func keyClaim(key requestKey) (c claim) { copy(c[:], key[:]); return c }
func idClaim(id ID) (c claim)           { copy(c[:], id[:]); c[16] = 1; return c }

// begin claims c, unless find answers true, waiting for whoever has claimed it before. It reports whether find did.
func (cs *claims) begin(c claim, find func() bool) (found bool) {
	s := &cs.stripes[c[15]&15]
	for {
		s.mu.Lock()
		wait, under := s.waiting[c]
		if !under {
			found = find()
			if !found {
				if s.waiting == nil {
					s.waiting = make(map[claim]chan struct{})
				}
				s.waiting[c] = nil
			}
			s.mu.Unlock()
			return found
		}
		if wait == nil {
			wait = make(chan struct{})
			s.waiting[c] = wait
		}
		s.mu.Unlock()
		<-wait
	}
}

func (cs *claims) end(c claim) {
	s := &cs.stripes[c[15]&15]
	s.mu.Lock()
	if wait := s.waiting[c]; wait != nil {
		close(wait)
	}
	delete(s.waiting, c)
	s.mu.Unlock()
}

// once is the claim of one request.
type once struct {
	answer     record.Answer
	id         ID // with answer.ByID
	claimedKey bool
	claimedID  bool
}

// begin claims the request's keys. Where it was answered before it reports so, with the record in c.rec; where the keys
// belong to another request it returns ErrKeyReused. Unless it does either, end must follow.
//
// A key is always claimed before an id, so two requests that share both can't wait for each other.
func (o *once) begin(e *Engine, c *command) (sequence uint64, answered bool, err error) {
	if !o.answer.Asked() {
		return 0, false, nil
	}
	var encoded []byte
	find := func(key requestKey, byID bool) func() bool {
		return func() (ok bool) {
			encoded, sequence, ok = e.answers.find(c.buffer[:0], key, o.id, byID)
			return ok
		}
	}
	found := false
	if o.answer.Key != [16]byte{} {
		found = e.claims.begin(keyClaim(o.answer.Key), find(o.answer.Key, false))
		o.claimedKey = !found
	}
	if !found && o.answer.ByID {
		found = e.claims.begin(idClaim(o.id), find(requestKey{}, true))
		o.claimedID = !found
	}
	if !found {
		return 0, false, nil
	}
	o.end(e)
	if err := record.Decode(encoded, &c.rec); err != nil {
		return 0, false, err
	}
	// The first attempt may still be waiting for its block; so does the retry.
	if err := e.settle(sequence); err != nil {
		return 0, false, err
	}
	if c.rec.Answer.Fingerprint != o.answer.Fingerprint {
		return 0, false, ErrKeyReused
	}
	return sequence, true, nil
}

// end lets go of what was claimed. The record that answers the request, if there is one, has been applied.
func (o *once) end(e *Engine) {
	if o.claimedID {
		e.claims.end(idClaim(o.id))
		o.claimedID = false
	}
	if o.claimedKey {
		e.claims.end(keyClaim(o.answer.Key))
		o.claimedKey = false
	}
}

// keyed returns the claim of a request that may carry an idempotency key. describe tells the request to a fingerprint; it
// is called only where there is a key.
func keyed(key string, describe func(*fingerprint)) (once, error) {
	var o once
	if key == "" {
		return o, nil
	}
	if err := checkText("idempotency key", key, KeyMax); err != nil {
		return o, err
	}
	var f fingerprint
	describe(&f)
	o.answer.Key, o.answer.Fingerprint = keyOf(key), f.sum()
	return o, nil
}

// fingerprint sums up a request, so that a retry can be told from another request under the same key.
type fingerprint struct{ d xxhash.Digest }

func (f *fingerprint) begin(operation string) {
	f.d.Reset()
	f.text(operation)
}

func (f *fingerprint) text(s string) {
	f.number(int64(len(s)))
	_, _ = f.d.WriteString(s)
}

func (f *fingerprint) number(v int64) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(v))
	_, _ = f.d.Write(b[:])
}

func (f *fingerprint) bool(v bool) {
	if v {
		f.number(1)
	} else {
		f.number(0)
	}
}

func (f *fingerprint) optional(v *int64) {
	f.bool(v != nil)
	if v != nil {
		f.number(*v)
	}
}

func (f *fingerprint) time(t time.Time) {
	if t.IsZero() {
		f.number(0)
		return
	}
	f.number(t.UnixNano())
}

func (f *fingerprint) lines(lines []Line) {
	f.number(int64(len(lines)))
	for i := range lines {
		f.text(lines[i].SKU)
		f.text(lines[i].Location)
		f.number(lines[i].Quantity)
	}
}

func (f *fingerprint) sum() uint64 { return f.d.Sum64() }
