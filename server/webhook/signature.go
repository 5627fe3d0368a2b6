package webhook

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"
	"time"
)

// The headers of a delivery (Standard Webhooks 1.0.0, "Webhook metadata").
const (
	headerID        = "Webhook-Id"
	headerTimestamp = "Webhook-Timestamp"
	headerSignature = "Webhook-Signature"
)

// Secret is what deliveries are signed with: 24 to 64 bytes, written as whsec_ and base64.
type Secret string

const (
	secretPrefix   = "whsec_"
	secretBytes    = 32
	secretBytesMin = 24
	secretBytesMax = 64
	secretWant     = "whsec_ and 24 to 64 bytes in base64"
)

func newSecret() Secret {
	b := make([]byte, secretBytes)
	_, _ = rand.Read(b) // it never fails
	return Secret(secretPrefix + base64.StdEncoding.EncodeToString(b))
}

// key returns the bytes of a secret, and whether it is well-formed.
func (s Secret) key() ([]byte, bool) {
	text, ok := strings.CutPrefix(string(s), secretPrefix)
	key, err := base64.StdEncoding.DecodeString(text)
	return key, ok && err == nil && len(key) >= secretBytesMin && len(key) <= secretBytesMax
}

// sign returns the signatures of a message, one for each secret.
func sign(id string, at time.Time, body []byte, secrets ...Secret) string {
	var signatures []string
	for _, s := range secrets {
		key, _ := s.key()
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(id + "." + strconv.FormatInt(at.Unix(), 10) + "."))
		mac.Write(body)
		signatures = append(signatures, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	return strings.Join(signatures, " ")
}
