package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress shows how far a step has come: as a bar on a terminal, and elsewhere, as in a log, by a line now and then. Its
// methods may be called by several goroutines.
type progress struct {
	out      io.Writer
	terminal bool

	mu     sync.Mutex
	step   string
	bar    *progressbar.ProgressBar
	began  time.Time
	told   time.Time
	latest int64
}

// progressInterval is how often progress is told where there is no terminal.
const progressInterval = 5 * time.Second

func newProgress(out io.Writer) *progress {
	file, ok := out.(*os.File)
	return &progress{out: out, terminal: ok && term.IsTerminal(int(file.Fd()))}
}

// steps is told that done of total things of a step are done; a total of -1 is not known yet.
func (p *progress) steps(step string, done, total int64) {
	p.at(step, done, total, false)
}

// bytes is steps for bytes.
func (p *progress) bytes(step string, done, total int64) {
	p.at(step, done, total, true)
}

func (p *progress) at(step string, done, total int64, bytes bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if step != p.step {
		p.end()
		p.step, p.began, p.told, p.latest = step, time.Now(), time.Now(), -1
		if p.terminal {
			options := []progressbar.Option{
				progressbar.OptionSetWriter(p.out), progressbar.OptionSetDescription(step), progressbar.OptionSetWidth(30),
				progressbar.OptionThrottle(100 * time.Millisecond), progressbar.OptionShowCount(),
				progressbar.OptionShowBytes(bytes), progressbar.OptionSetPredictTime(true),
			}
			if !bytes { // the rate of bytes shows without being asked for
				options = append(options, progressbar.OptionShowIts(), progressbar.OptionSetItsString("done"))
			}
			p.bar = progressbar.NewOptions64(total, options...)
		} else {
			fmt.Fprintf(p.out, "%s …\n", step)
		}
	}
	if done <= p.latest { // told late by another goroutine
		return
	}
	p.latest = done
	switch {
	case p.terminal:
		_ = p.bar.Set64(done)
	case time.Since(p.told) >= progressInterval:
		p.told = time.Now()
		fmt.Fprintf(p.out, "%s: %s\n", step, p.line(done, total, bytes))
	}
}

// line tells in words what a bar would show.
func (p *progress) line(done, total int64, bytes bool) string {
	took := time.Since(p.began).Seconds()
	rate := float64(done) / took
	scale, unit := 1.0, ""
	if bytes {
		scale, unit = 1e6, " MB"
	}
	if total <= 0 {
		return fmt.Sprintf("%.0f%s, %.1f%s/s", float64(done)/scale, unit, rate/scale, unit)
	}
	left := time.Duration(float64(total-done) / rate * float64(time.Second)).Round(time.Second)
	return fmt.Sprintf("%.0f of %.0f%s, %.1f%s/s, %v left", float64(done)/scale, float64(total)/scale, unit, rate/scale, unit, left)
}

// close ends the last step.
func (p *progress) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end()
}

func (p *progress) end() {
	if p.bar != nil {
		_ = p.bar.Exit()
		fmt.Fprintln(p.out)
		p.bar = nil
	}
	p.step = ""
}
