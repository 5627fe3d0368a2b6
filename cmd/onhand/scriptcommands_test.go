package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// httpCommand is "http [-wait STATUS] METHOD URL [BODY | @FILE]": it sends a request, with ONHAND_KEY if there is one, and prints
// status and body. With -wait it asks again until the answer has that status.
func httpCommand() {
	wait := flag.Int("wait", 0, "")
	flag.Parse()
	text := flag.Arg(2)
	if name, file := strings.CutPrefix(text, "@"); file {
		read, err := os.ReadFile(name)
		exitOn(err)
		text = string(read)
	}
	deadline := time.Now().Add(time.Minute)
	for {
		request, err := http.NewRequest(flag.Arg(0), flag.Arg(1), strings.NewReader(text))
		exitOn(err)
		if key := os.Getenv("ONHAND_KEY"); key != "" {
			request.Header.Set("Authorization", "Bearer "+key)
		}
		if flag.NArg() > 2 {
			request.Header.Set("Content-Type", "application/json")
		}
		response, err := http.DefaultClient.Do(request)
		exitOn(err)
		body, err := io.ReadAll(response.Body)
		exitOn(err)
		if *wait != 0 && response.StatusCode != *wait && time.Now().Before(deadline) {
			time.Sleep(20 * time.Millisecond)
			continue
		}
		fmt.Printf("%d %s\n", response.StatusCode, body)
		if *wait != 0 && response.StatusCode != *wait {
			os.Exit(1)
		}
		return
	}
}

// certificateCommand is "certificate NAME FILE KEYFILE": it makes a certificate for 127.0.0.1 that signs itself.
func certificateCommand() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	exitOn(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: os.Args[1]},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	exitOn(err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	exitOn(err)
	exitOn(os.WriteFile(os.Args[2], pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o644))
	exitOn(os.WriteFile(os.Args[3], pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
}

// servedNameCommand is "served-name ADDRESS NAME": it waits until new connections are shown the certificate of that name.
func servedNameCommand() {
	got := ""
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		conn, err := tls.Dial("tcp", os.Args[1], &tls.Config{InsecureSkipVerify: true}) // it is the name that is asked for
		exitOn(err)
		got = conn.ConnectionState().PeerCertificates[0].Subject.CommonName
		exitOn(conn.Close())
		if got == os.Args[2] {
			return
		}
	}
	exitOn(fmt.Errorf("the certificate served is %q", got))
}

// damageCommand is "damage DIR SUFFIX": it flips a bit in the middle of the largest file below DIR whose name ends so.
func damageCommand() {
	largest, size := "", int64(0)
	exitOn(filepath.WalkDir(os.Args[1], func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, os.Args[2]) {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Size() > size {
			largest, size = path, info.Size()
		}
		return err
	}))
	if size == 0 {
		exitOn(errors.New("there is nothing to damage"))
	}
	file, err := os.OpenFile(largest, os.O_RDWR, 0)
	exitOn(err)
	var b [1]byte
	_, err = file.ReadAt(b[:], size/2)
	exitOn(err)
	b[0] ^= 0x10
	_, err = file.WriteAt(b[:], size/2)
	exitOn(errors.Join(err, file.Close()))
	fmt.Println(largest)
}

// stockFileCommand is "stock-file SKUS LOCATIONS FILE": it writes a stock file of so many SKUs at so many locations.
func stockFileCommand() {
	var skus, locations int
	_, err := fmt.Sscan(os.Args[1]+" "+os.Args[2], &skus, &locations)
	exitOn(err)
	file, err := os.Create(os.Args[3])
	exitOn(err)
	out := bufio.NewWriter(file)
	fmt.Fprintln(out, "sku,location,on_hand")
	for sku := range skus {
		for location := range locations {
			fmt.Fprintf(out, "sku-%d,store-%d,%d\n", sku, location, (sku+location)%100)
		}
	}
	exitOn(errors.Join(out.Flush(), file.Close()))
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
