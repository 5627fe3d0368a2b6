package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"onhand/loadtest"
)

// loadView shows a load test while it runs: on a terminal a bar and the latest seconds, elsewhere a line every few seconds.
type loadView struct {
	out      io.Writer
	terminal bool
	columns  func() int // of the terminal
	length   time.Duration
	steps    *progress
	begun    bool // the load is under way
	shown    int  // lines on the screen that the next view replaces
	recent   []string
	told     time.Time
}

func newLoadView(out io.Writer, c *loadtestCommand) *loadView {
	file, ok := out.(*os.File)
	columns := func() int {
		width, _, err := term.GetSize(int(file.Fd()))
		if err != nil || width < 1 {
			return 80
		}
		return width
	}
	return &loadView{out: out, terminal: ok && term.IsTerminal(int(file.Fd())), columns: columns, length: time.Duration(c.Duration), steps: newProgress(out)}
}

func (v *loadView) watcher() loadtest.Watcher {
	return loadtest.Watcher{Progress: v.progress, Second: v.second}
}

func (v *loadView) progress(step string, done, total int64) {
	if v.begun {
		v.begun, v.shown, v.recent = false, 0, nil
	}
	v.steps.steps(step, done, total)
}

// recentMax is how many seconds are on the screen.
const recentMax = 10

// second shows one more second of the load.
func (v *loadView) second(number int, s loadtest.Second, planned float64) {
	if !v.begun {
		v.steps.close()
		v.begun = true
		if !v.terminal {
			fmt.Fprintf(v.out, "load …\n%s\n", loadHeader)
		}
	}
	line := fmt.Sprintf("%6ds %9.0f %9d %8d %7d %7d %9s %9s %9s", number+1, planned, s.Answered, s.Refused, s.Failed, s.Dropped,
		loadtest.Milliseconds(s.P50), loadtest.Milliseconds(s.P99), loadtest.Milliseconds(s.Max))
	if !v.terminal {
		if time.Since(v.told) >= progressInterval || s.Failed > 0 {
			v.told = time.Now()
			fmt.Fprintln(v.out, line)
		}
		return
	}
	if v.recent = append(v.recent, line); len(v.recent) > recentMax {
		v.recent = v.recent[1:]
	}
	// A line that wraps would take two, and the view would not go back to where it began.
	columns := v.columns()
	var screen strings.Builder
	show := func(text string) {
		if r := []rune(text); len(r) > columns {
			text = string(r[:columns])
		}
		screen.WriteString(text + "\n")
	}
	if v.shown > 0 {
		fmt.Fprintf(&screen, "\x1b[%dA\x1b[J", v.shown) // up to where the view began, and clear what is below
	}
	done := min(float64(number+1)/max(v.length.Seconds(), 1), 1)
	width := max(min(40, columns-30), 1)
	filled := int(done * float64(width))
	show(fmt.Sprintf("[%s%s] %3.0f%%  %ds of %v", strings.Repeat("█", filled), strings.Repeat("·", width-filled), 100*done, number+1, v.length))
	show(loadHeader)
	for _, l := range v.recent {
		show(l)
	}
	v.shown = len(v.recent) + 2
	fmt.Fprint(v.out, screen.String())
}

const loadHeader = "   time   planned  answered  refused  failed dropped    p50 ms    p99 ms    max ms"

// trial tells of a rate that was tried in a search.
func (v *loadView) trial(t loadtest.Trial) {
	v.steps.close()
	v.begun, v.shown, v.recent = false, 0, nil
	verdict := "borne"
	if !t.OK {
		verdict = "not borne: " + t.Why
	}
	fmt.Fprintf(v.out, "%.0f/s: p99 %s ms, %s\n", t.Rate, loadtest.Milliseconds(int64(t.P99)), verdict)
}

func (v *loadView) close() { v.steps.close() }
