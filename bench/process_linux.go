package bench

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// dieWithParent has the kernel end a server whose measurement has crashed.
func dieWithParent(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
}

// clockTicks is the unit of processor time in /proc/PID/stat, which Linux fixes for user space.
const clockTicks = 100

// cpu returns the processor time that the process has used, and with it, where these work for it, its children, living and
// dead.
func (p *process) cpu() (time.Duration, error) {
	pid := p.cmd.Process.Pid
	own, err := stat(pid)
	if err != nil || !p.family {
		return own.used, err
	}
	used := own.used + own.children
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0, err
	}
	for _, e := range entries {
		child, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		s, err := stat(child)
		if err == nil && s.parent == pid { // another may have ended meanwhile
			used += s.used
		}
	}
	return used, nil
}

// processStat is what /proc/PID/stat says of a process.
type processStat struct {
	parent   int
	used     time.Duration // user and system
	children time.Duration // of children that have ended and were waited for
}

func stat(pid int) (s processStat, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return s, err
	}
	// The second field, the program's name, is in parentheses and may hold blanks.
	rest := text[strings.LastIndex(string(text), ") ")+2:]
	fields := strings.Fields(string(rest))
	if len(fields) < 15 {
		return s, fmt.Errorf("/proc/PID/stat has %d fields", len(fields))
	}
	numbers := make([]int64, 5)
	for i, at := range []int{1, 11, 12, 13, 14} { // parent, user, system, and the same two of the children
		if numbers[i], err = strconv.ParseInt(fields[at], 10, 64); err != nil {
			return s, err
		}
	}
	tick := time.Second / clockTicks
	return processStat{int(numbers[0]), time.Duration(numbers[1]+numbers[2]) * tick, time.Duration(numbers[3]+numbers[4]) * tick}, nil
}

// resident returns the memory that a process holds, in bytes.
func resident(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0, fmt.Errorf("/proc/PID/statm is %q", text)
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}
