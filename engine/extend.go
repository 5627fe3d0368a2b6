package engine

import (
	"time"

	"onhand/engine/internal/record"
)

// Extend moves a reservation's deadline to a later time: in from now, or at; HoldMin to HoldMax from now. It returns a
// StateError where the reservation is no longer held.
func (e *Engine) Extend(id ID, in time.Duration, at time.Time, key string) (Reservation, error) {
	o, err := keyed(key, func(f *fingerprint) {
		f.begin("extend")
		_, _ = f.d.Write(id[:])
		f.number(int64(in))
		f.time(at)
	})
	if err != nil {
		return Reservation{}, err
	}
	if (in == 0) == at.IsZero() {
		return Reservation{}, invalid("expires_in", in, "exactly one of expires_in and expires_at")
	}
	return e.change(id, &o, func(c *command, now int64) error {
		re := &c.rec.Reservation
		deadline, err := deadlineAt(in, at, now)
		if err != nil {
			return err
		}
		if deadline < re.Deadline {
			want := "no earlier than the present deadline, " + timeOf(re.Deadline).Format(time.RFC3339Nano)
			if in != 0 {
				return invalid("expires_in", in, want)
			}
			return invalid("expires_at", at.Format(time.RFC3339Nano), want)
		}
		re.Deadline = deadline
		c.rec.Kind = record.ReservationExtended
		return nil
	})
}
