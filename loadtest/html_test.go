package loadtest

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// The command in the report can be pasted into a shell.
func TestTheCommandIsQuotedForAShell(t *testing.T) {
	words := []string{"onhand", "loadtest", "--metrics", "", "--rate", "5k", "--fail-if", "p99>1h", "--mix", "read=70,till=30", "it's", "$HOME", "a b", "*", "~", `\n"`, "`ls`", "é", "#x", "a;b&c|d"}
	line := shellLine(words)
	if want := "onhand loadtest --metrics '' --rate 5k --fail-if 'p99>1h' --mix read=70,till=30 "; !strings.HasPrefix(line, want) {
		t.Errorf("it is %s, want it to begin with %s", line, want)
	}
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("there is no shell")
	}
	out, err := exec.Command(shell, "-c", `printf '%s\0' `+line).Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00"); !slices.Equal(got, words) {
		t.Errorf("of %s a shell makes %q, want %q", line, got, words)
	}
	page, err := (&Result{Command: words[:8]}).HTML(nil)
	if err != nil || !strings.Contains(string(page), "--fail-if &#39;p99&gt;1h&#39;</code>") {
		t.Errorf("the page has %v: %s", err, page)
	}
}
