package engine

import (
	"crypto/subtle"
	"strings"
	"time"

	"onhand/engine/internal/record"
)

// Wrong codes: codeTries are free, then each doubles the time until the next is looked at, from codePause to codePauseMax. At that
// pace the 2³⁰ codes there are take longer than any order is kept.
const (
	codeTries    = 3
	codePause    = 30 * time.Second
	codePauseMax = time.Hour
)

// collect hands the order over, or some of it: what is handed over is sold in the same change.
func (w *orderWork) collect() error {
	if err := w.identify(); err != nil {
		return err
	}
	units, err := w.asked(func(sku uint32) uint32 { return w.openAt(sku, w.o.Location) })
	if err != nil {
		return err
	}
	w.o.WrongCodes, w.o.CodeFrom = 0, 0
	for _, u := range units {
		w.take(u, w.o.Location, true)
		w.book(u, openUnits, collected)
	}
	if w.open() > 0 {
		return nil
	}
	w.releaseAll() // its place in a slot or a locker
	w.end(Collected)
	paidInStore(w.o)
	return nil
}

// identify makes sure of who collects: by the code, and by a document where that is required; where the code is lost, by a document
// and a word on why.
func (w *orderWork) identify() error {
	if w.o.Flags&record.IDRequired != 0 && !w.r.IDChecked {
		return w.refuse("whoever collects it has to show an identity document (id_checked)")
	}
	if w.r.Code == "" {
		if w.r.IDChecked && w.r.Reason != "" {
			return nil
		}
		return invalid("code", "", "the pickup code; or id_checked and a reason, where the customer has lost it")
	}
	if w.now < w.o.CodeFrom {
		return &CodeError{ID: w.o.ID, Wrong: int(w.o.WrongCodes), RetryAt: timeOf(w.o.CodeFrom), Wait: waitFor(w.o.CodeFrom, w.now), Sequence: w.o.Sequence}
	}
	given := strings.ToUpper(strings.NewReplacer(" ", "", "-", "").Replace(w.r.Code))
	if w.o.Code != "" && subtle.ConstantTimeCompare([]byte(given), []byte(w.o.Code)) == 1 {
		return nil
	}
	if w.o.WrongCodes < 255 {
		w.o.WrongCodes++
	}
	if n := int(w.o.WrongCodes) - codeTries; n >= 0 {
		w.o.CodeFrom = w.now + int64(min(codePause<<min(n, 16), codePauseMax))
	}
	w.o.Move = uint8(MoveWrongCode)
	return &CodeError{ID: w.o.ID, Wrong: int(w.o.WrongCodes)}
}
