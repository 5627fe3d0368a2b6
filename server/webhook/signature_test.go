package webhook

import (
	"strings"
	"testing"
	"time"
)

// The vector is the one that the libraries of Standard Webhooks 1.0.0 test themselves with.
func TestSignatureVector(t *testing.T) {
	got := sign("msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Fatalf("signature %s, want %s", got, want)
	}
}

func TestTwoSecretsWhileRotating(t *testing.T) {
	now := time.Now()
	e := Endpoint{Secret: newSecret(), Previous: newSecret(), PreviousEnds: now.Add(time.Hour)}
	both := strings.Fields(sign("1", now, []byte("x"), e.secrets(now)...))
	if len(both) != 2 || both[0] != sign("1", now, []byte("x"), e.Secret) || both[1] != sign("1", now, []byte("x"), e.Previous) {
		t.Fatalf("signatures %q", both)
	}
	if after := e.secrets(now.Add(time.Hour)); len(after) != 1 || after[0] != e.Secret {
		t.Fatalf("after the overlap it signs with %d secrets", len(after))
	}
}

func TestSecrets(t *testing.T) {
	for _, s := range []Secret{"", "whsec_", "whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_not base64 at all, though it is long enough", Secret(secretPrefix + strings.Repeat("QUJD", 22))} {
		if _, ok := s.key(); ok {
			t.Errorf("%q is taken for a secret", s)
		}
	}
	if _, ok := newSecret().key(); !ok {
		t.Error("a new secret is none")
	}
}
