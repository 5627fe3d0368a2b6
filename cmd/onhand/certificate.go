package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"
)

// certificate is the API's TLS certificate. It is read again when its files change, as those of an ACME client do.
type certificate struct {
	certFile, keyFile string
	current           atomic.Pointer[tls.Certificate]
	read              [2]fileStamp // of the files as they were last tried; one goroutine uses it
}

// fileStamp tells whether a file has changed.
type fileStamp struct {
	modified time.Time
	size     int64
}

func stampOf(path string) (fileStamp, error) {
	info, err := os.Stat(path)
	if err != nil {
		return fileStamp{}, err
	}
	return fileStamp{info.ModTime(), info.Size()}, nil
}

func loadCertificate(certFile, keyFile string) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile}
	_, err := c.reload()
	return c, err
}

// reload reads the files if they have changed. Where they don't go together, as between the writing of one and of the
// other, the certificate known before stays in use.
func (c *certificate) reload() (changed bool, err error) {
	cert, certErr := stampOf(c.certFile)
	key, keyErr := stampOf(c.keyFile)
	if err := errors.Join(certErr, keyErr); err != nil {
		return false, fmt.Errorf("TLS certificate: %w", err)
	}
	if stamps := [2]fileStamp{cert, key}; stamps == c.read {
		return false, nil
	} else {
		c.read = stamps
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return false, fmt.Errorf("TLS certificate %s with key %s: %w", c.certFile, c.keyFile, err)
	}
	c.current.Store(&pair)
	return true, nil
}

// config returns the configuration of a server that uses the certificate as it is at each connection.
func (c *certificate) config() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current.Load(), nil },
	}
}

// watchInterval is how often the files of API keys and of the certificate are looked at.
const watchInterval = 2 * time.Second

// watchFiles reads files again that may have changed, from time to time and at once when asked to.
func watchFiles(ctx context.Context, now <-chan os.Signal, log *slog.Logger, reload ...func() error) {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-now:
		case <-ctx.Done():
			return
		}
		for _, r := range reload {
			if err := r(); err != nil {
				log.Error("a file could not be read again; what was read before stays in force", "error", err)
			}
		}
	}
}
