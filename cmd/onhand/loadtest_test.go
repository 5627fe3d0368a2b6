package main

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
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
		"--rate", "800", "--duration", "10s", "--warmup", "0s", "--skus", "50", "--locations", "4", "--hold", "2s", "--connections", "32",
		"--expect-restart", "--fail-if", "errors>0", "--fail-if", "dropped>0", "--out", report)
	var out strings.Builder
	load.Stdout, load.Stderr = &out, &out
	if err := load.Start(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		awaitLoad(t, p.admin)
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
	if r.ServerVersion != version || r.NoMetrics != "" {
		t.Errorf("the server's version is %q, want %q; of metrics it says %q", r.ServerVersion, version, r.NoMetrics)
	}
	t.Logf("%d requests were sent again\n%s", again, out.String())
}

var heldCount = regexp.MustCompile(`(?m)^onhand_reservations_total{outcome="held"} (\d+)`)

// awaitLoad waits until a server has made reservations since it started: the load that makes them is under way.
func awaitLoad(t *testing.T, admin string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		answer, err := http.Get("http://" + admin + "/metrics")
		if err != nil {
			continue
		}
		text, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if m := heldCount.FindSubmatch(text); err == nil && m != nil {
			if n, _ := strconv.Atoi(string(m[1])); n >= 300 {
				return
			}
		}
	}
	t.Fatal("the load has not begun within a minute")
}

// The metrics are looked for beside the server, unless somebody says where, or that there are none.
func TestWhereMetricsAreLookedFor(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "http://127.0.0.1:9090/metrics"},
		{[]string{"--to", "http://shop.example:8080"}, "http://shop.example:9090/metrics"},
		{[]string{"--to", "https://[2001:db8::1]"}, "http://[2001:db8::1]:9090/metrics"},
		{[]string{"--to", "http://shop.example", "--metrics", "http://other/m"}, "http://other/m"},
		{[]string{"--metrics="}, ""},
		{[]string{"--metrics", ""}, ""},
	} {
		var line cli
		if _, err := newParser(&line, io.Discard, io.Discard).Parse(append([]string{"loadtest", "read"}, c.args...)); err != nil {
			t.Fatal(err)
		}
		if got := line.Loadtest.Run.config().Metrics; got != c.want {
			t.Errorf("%q: metrics are looked for at %q, want %q", c.args, got, c.want)
		}
	}
}
