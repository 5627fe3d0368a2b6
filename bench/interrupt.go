package bench

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// made is what a measurement leaves behind where it is cut short: directories with databases, of which some are large, and
// processes that write into them. The lock is held while something is made or done away with, and by Interrupt for good: who
// would go on then, or come back with the error of a server that was ended, stops there until the process is no more.
var made = struct {
	sync.Mutex
	dirs      map[string]bool
	processes map[*exec.Cmd]syscall.Signal // and the signal that ends each at once
}{dirs: make(map[string]bool), processes: make(map[*exec.Cmd]syscall.Signal)}

// scratch makes a directory that is there until remove is called, or the measurement is interrupted.
func scratch(parent, pattern string) (dir string, remove func() error, err error) {
	made.Lock()
	defer made.Unlock()
	if dir, err = os.MkdirTemp(parent, pattern); err != nil {
		return "", nil, err
	}
	made.dirs[dir] = true
	return dir, func() error {
		made.Lock()
		defer made.Unlock()
		delete(made.dirs, dir)
		return os.RemoveAll(dir)
	}, nil
}

// begin starts a process that a signal ends at once, with all that it has started itself.
func begin(cmd *exec.Cmd, end syscall.Signal) error {
	made.Lock()
	defer made.Unlock()
	if err := cmd.Start(); err != nil {
		return err
	}
	made.processes[cmd] = end
	return nil
}

// ended is told of each process that was begun and waited for.
func ended(cmd *exec.Cmd) {
	made.Lock()
	defer made.Unlock()
	delete(made.processes, cmd)
}

// output runs a command to its end and returns what it wrote.
func output(cmd *exec.Cmd, end syscall.Signal) ([]byte, error) {
	var out bytes.Buffer
	cmd.Stdout = &out
	if cmd.Stderr == nil {
		cmd.Stderr = &out
	}
	dieWithParent(cmd)
	if err := begin(cmd, end); err != nil {
		return nil, err
	}
	err := cmd.Wait()
	ended(cmd)
	return out.Bytes(), err
}

// interruptWait is how long a process may take to end before it is killed.
const interruptWait = 10 * time.Second

// Interrupt ends the processes of whatever is being measured, and returns the directories that are left. An engine in this
// process may still write into these, and ends the process where it can't; so they are to be removed by Remove in another
// program, which this process becomes or starts. Nothing can be measured any more.
func Interrupt() []string {
	made.Lock()
	var all sync.WaitGroup
	for cmd, end := range made.processes {
		all.Go(func() {
			_ = cmd.Process.Signal(end) // it may have ended by itself
			for begun := time.Now(); alive(cmd.Process); time.Sleep(10 * time.Millisecond) {
				if time.Since(begun) > interruptWait {
					_ = cmd.Process.Kill()
					return
				}
			}
		})
	}
	all.Wait()
	dirs := make([]string, 0, len(made.dirs))
	for dir := range made.dirs {
		dirs = append(dirs, dir)
	}
	return dirs
}

// alive reports whether a child is there. Others may wait for it at the same time, or nobody.
func alive(p *os.Process) bool {
	var status syscall.WaitStatus
	for {
		pid, err := syscall.Wait4(p.Pid, &status, syscall.WNOHANG, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		return err == nil && pid == 0
	}
}

// Remove removes directories of a measurement that was interrupted. What has just been ended may make one more file in them.
func Remove(dirs []string) (err error) {
	for range 50 {
		err = nil
		for _, dir := range dirs {
			err = errors.Join(err, os.RemoveAll(dir))
		}
		if err == nil {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return err
}
