package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A bench that is interrupted leaves nothing behind: no database, whether a server writes it or the bench itself does, and no
// server.
func TestAnInterruptedBenchLeavesNothing(t *testing.T) {
	for part, signal := range map[string]os.Signal{"get": syscall.SIGTERM, "callers": syscall.SIGINT} {
		t.Run(part, func(t *testing.T) {
			dir := t.TempDir()
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			program := filepath.Join(t.TempDir(), "onhand") // no link, as it starts itself by the name that the system has of it
			text, err := os.ReadFile(self)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(program, text, 0o700); err != nil {
				t.Fatal(err)
			}
			c := exec.Command(program, "bench", "--only", part, "--rounds", "1", "--round", "1m", "--dir", dir)
			var out strings.Builder
			c.Stdout, c.Stderr = &out, &out
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			defer c.Process.Kill()
			for begun := time.Now(); ; time.Sleep(50 * time.Millisecond) {
				if found, _ := filepath.Glob(filepath.Join(dir, "onhand-bench-*", "*", "*")); len(found) > 0 {
					break
				}
				if time.Since(begun) > time.Minute {
					t.Fatal("nothing is measured after a minute")
				}
			}
			time.Sleep(500 * time.Millisecond) // so that a server is there, too
			if err := c.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			_ = c.Wait()
			if status := c.ProcessState.ExitCode(); status != exitFailed || !strings.Contains(out.String(), "interrupted") {
				t.Errorf("the status is %d, and it says %q", status, out.String())
			}
			left, err := os.ReadDir(dir)
			if err != nil || len(left) > 0 {
				t.Errorf("%v are left, %v", left, err)
			}
			running, err := exec.Command("pgrep", "-f", dir).Output()
			if err == nil { // which is when it has found one
				t.Errorf("processes still run: %s", running)
			}
		})
	}
}
