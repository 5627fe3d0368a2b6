package loadtest

import (
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// processorTime returns what this process has used so far, user and system.
func processorTime() time.Duration {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func environment() Environment {
	host, _ := os.Hostname() // "" where it is not known
	return Environment{Host: host, OS: runtime.GOOS + "/" + runtime.GOARCH, CPU: cpuModel(), Processors: runtime.NumCPU(), Go: runtime.Version()}
}

// cpuModel returns the name of the processor where the system tells it in a file, else "".
func cpuModel() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
