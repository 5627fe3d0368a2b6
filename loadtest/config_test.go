package loadtest

import "testing"

// What becomes of reservations follows the workload, and what was said of it.
func TestWhatBecomesOfReservations(t *testing.T) {
	for _, c := range []struct {
		workload        string
		commit, release float64 // as given; -1 = not at all
		wantCommit      float64
		wantRelease     float64
	}{
		{Reserve, -1, -1, 0.7, 0.2},
		{Reserve, 0.9, -1, 0.9, 0.1},
		{Reserve, -1, 0.5, 0.5, 0.5},
		{Replay, -1, -1, 1, 0},
		{Replay, 0.6, -1, 0.6, 0.2},
		{Replay, -1, 0.25, 0.75, 0.25},
		{Replay, 0.5, 0, 0.5, 0},
		{FlashSale, -1, -1, 1, 0},
	} {
		config := Config{Workload: c.workload, Commit: c.commit, Release: c.release}
		config.follow()
		if d := config.Commit - c.wantCommit; d > 1e-9 || d < -1e-9 {
			t.Errorf("%s, %g committed and %g released: %g are committed, want %g", c.workload, c.commit, c.release, config.Commit, c.wantCommit)
		}
		if d := config.Release - c.wantRelease; d > 1e-9 || d < -1e-9 {
			t.Errorf("%s, %g committed and %g released: %g are released, want %g", c.workload, c.commit, c.release, config.Release, c.wantRelease)
		}
	}
}
