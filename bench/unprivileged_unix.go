//go:build unix

package bench

import (
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
)

// unprivileged returns a function that has a command run as somebody else where we are root, and gives that user a directory.
func unprivileged(dir string) (as func(*exec.Cmd), why string, err error) {
	if os.Getuid() != 0 {
		return func(*exec.Cmd) {}, "", nil
	}
	var who *user.User
	for _, name := range []string{"postgres", "nobody"} {
		if who, err = user.Lookup(name); err == nil {
			break
		}
	}
	if err != nil {
		return nil, "PostgreSQL does not run as root, and there is no user postgres or nobody", nil
	}
	uid, err := strconv.ParseUint(who.Uid, 10, 32)
	if err != nil {
		return nil, "", err
	}
	gid, err := strconv.ParseUint(who.Gid, 10, 32)
	if err != nil {
		return nil, "", err
	}
	if err := os.Chown(dir, int(uid), int(gid)); err != nil {
		return nil, "", err
	}
	return func(c *exec.Cmd) {
		if c.SysProcAttr == nil {
			c.SysProcAttr = &syscall.SysProcAttr{}
		}
		c.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		c.Dir = dir
	}, "", nil
}
