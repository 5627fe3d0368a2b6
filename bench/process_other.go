//go:build !linux

package bench

import (
	"errors"
	"os/exec"
	"time"
)

var errLinuxOnly = errors.New("processor time and memory are measured on Linux only")

func dieWithParent(*exec.Cmd)                {}
func (*process) cpu() (time.Duration, error) { return 0, errLinuxOnly }
func resident(int) (int64, error)            { return 0, errLinuxOnly }
