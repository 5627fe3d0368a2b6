package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"onhand/loadtest"
)

// A load goes on while the server is killed and started again, and all that was acknowledged is found to be there.
func TestALoadGoesOnWhileTheServerIsKilled(t *testing.T) {
	program, dir := program(t), t.TempDir()
	p, err := startProcess(program, dir, os.Environ(), filepath.Join(dir, "db"))
	if err != nil {
		t.Fatal(err)
	}
	address := p.address
	defer func() {
		if err := p.stop(); err != nil {
			t.Error(err)
		}
	}()
	report := filepath.Join(dir, "report")
	load := exec.Command(program, "loadtest", "mixed", "--to", "http://"+address, "--metrics", "http://"+p.admin+"/metrics", "--mix", "read=20,reserve=60,till=20",
		"--rate", "800", "--duration", "4s", "--warmup", "0s", "--skus", "50", "--locations", "4", "--hold", "2s", "--connections", "32",
		"--expect-restart", "--fail-if", "errors>0", "--fail-if", "dropped>0", "--out", report)
	var out strings.Builder
	load.Stdout, load.Stderr = &out, &out
	if err := load.Start(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		time.Sleep(1200 * time.Millisecond)
		p.kill()
		if p, err = startProcess(program, dir, os.Environ(), filepath.Join(dir, "db"), "--listen", address); err != nil {
			t.Fatal(err)
		}
	}
	if err := load.Wait(); err != nil {
		t.Fatalf("the load test ended with %v\n%s", err, out.String())
	}
	r, err := loadtest.ReadResult(filepath.Join(report, "run.json"))
	if err != nil {
		t.Fatal(err)
	}
	var again int64
	for _, f := range r.Operations {
		again += f.Retried
	}
	if r.Late == 0 || r.Verified.Reservations == 0 {
		t.Errorf("%d requests were late, %d reservations: no restart was felt\n%s", r.Late, r.Verified.Reservations, out.String())
	}
	t.Logf("%d requests were sent again\n%s", again, out.String())
}
