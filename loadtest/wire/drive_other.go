//go:build !linux

package wire

// Drive makes the target's connections and keeps them busy as the exchange says, until it has no more requests and all that
// were sent are answered or have failed. It fails only where it can't begin.
func Drive(t Target, e Exchange) error {
	if err := t.check(); err != nil {
		return err
	}
	return drivePortable(t, e)
}
