package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"onhand/server"
)

// certificate returns a certificate of its own for 127.0.0.1, and who trusts it.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "onhand test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// newTLSRig serves the database of a plain rig over TLS as well.
func newTLSRig(t *testing.T, o server.Options) (*rig, *tls.Config) {
	t.Helper()
	plain := newRig(t, server.Options{})
	plain.stock("S", 3)
	cert, pool := certificate(t)
	o.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	metrics := server.NewMetrics("test")
	srv, err := server.New(plain.db.Engine, metrics, o)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	trust := &tls.Config{RootCAs: pool}
	r := &rig{
		Server: srv, db: plain.db, metrics: metrics, address: ln.Addr().String(), t: t,
		client: &http.Client{Transport: &http.Transport{TLSClientConfig: trust}},
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	t.Cleanup(func() {
		r.stop()
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return r, trust
}

func (r *rig) dialTLS(trust *tls.Config) *socket {
	r.t.Helper()
	conn, err := tls.Dial("tcp", r.address, trust)
	if err != nil {
		r.t.Fatal(err)
	}
	return newSocket(r.t, conn)
}

func TestTLSServesTheAPI(t *testing.T) {
	r, trust := newTLSRig(t, server.Options{})
	s := r.dialTLS(trust)
	for range 2 {
		s.send("GET /v1/stock/S/L HTTP/1.1\r\nHost: x\r\n\r\n")
		var c cell
		decodeInto(t, s.answer("GET"), http.StatusOK, &c)
		if c.OnHand != 3 {
			t.Errorf("on hand is %d, want 3", c.OnHand)
		}
	}
	if _, err := tls.Dial("tcp", r.address, &tls.Config{MaxVersion: tls.VersionTLS11, RootCAs: trust.RootCAs}); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
	if _, err := tls.Dial("tcp", r.address, &tls.Config{}); err == nil {
		t.Error("a client that does not trust the certificate is connected")
	}
}

func TestPlainHTTPToATLSPortIsToldSo(t *testing.T) {
	r, trust := newTLSRig(t, server.Options{})
	for _, request := range []string{getLocation + "\r\n", "POST /v1/reservations HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"} {
		s := r.dial()
		s.send(request)
		got := s.answer("GET")
		if detail := wantProblem(t, got, http.StatusBadRequest, "framing"); !strings.Contains(detail, "https") {
			t.Errorf("the detail is %q, want it to say what to do", detail)
		}
		s.wantClosed()
	}
	r.dialTLS(trust).wantOpen()
}

func TestAHandshakeThatDoesNotArriveIsCutOff(t *testing.T) {
	r, _ := newTLSRig(t, server.Options{ReadTimeout: 100 * time.Millisecond})
	r.dial().wantClosed()
	s := r.dial()
	s.send("\x16\x03\x01\x02\x00\x01") // the beginning of a ClientHello
	s.wantClosed()
}

func TestLimitsHoldOverTLS(t *testing.T) {
	r, trust := newTLSRig(t, server.Options{ConnectionsMax: 1})
	s := r.dialTLS(trust)
	s.wantOpen()
	if conn, err := tls.Dial("tcp", r.address, trust); err == nil {
		_ = conn.Close()
		t.Error("a connection beyond the limit is served")
	}
	s.send("POST /v1/stock/import HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1c\r\nsku,location,on_hand\r\nS,L,12\r\n")
	closeWrite(t, s)
	wantProblem(t, s.answer("POST"), http.StatusBadRequest, "body")
}
