package webhook

import (
	"net/http"
	"testing"
	"time"
)

func TestPauses(t *testing.T) {
	total := time.Duration(0)
	for n := 1; n <= 20; n++ {
		want := pauses[min(n, len(pauses))-1]
		seen := make(map[time.Duration]bool)
		for range 100 {
			d := pause(n, 0)
			seen[d] = true
			if d < want*9/10 || d > want*11/10 {
				t.Fatalf("pause %d is %v, want %v give or take a tenth", n, d, want)
			}
		}
		if len(seen) < 50 {
			t.Fatalf("pause %d has %d values in a hundred: everybody would come back at once", n, len(seen))
		}
		total += want
	}
	if total < RetryFor {
		t.Fatalf("twenty attempts take %v", total)
	}
	if d := pause(1, time.Hour); d != time.Hour {
		t.Fatalf("who asks for an hour is left alone for %v", d)
	}
	if d := pause(1, 1000*time.Hour); d != pauseMax {
		t.Fatalf("who asks for 1,000 hours is left alone for %v", d)
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "120": 2 * time.Minute, "-1": 0, "soon": 0, "99999999999": 0,
		now.Add(time.Minute).Format(http.TimeFormat): time.Minute, now.Add(-time.Minute).Format(http.TimeFormat): 0,
	} {
		if got := retryAfterOf(text, now); got != want {
			t.Errorf("Retry-After: %s is %v, want %v", text, got, want)
		}
	}
}
