package main

import (
	"errors"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// The scripts in testdata/script say what each command promises, as its user would try it.
//
// Beside testscript's own words they have these: "serve DIR FLAGS…" starts a server and sets API and ADMIN to its
// addresses and ONHAND_TO to its URL; "shutdown" asks it to end and requires that it does so well; "terminate" only asks;
// "hangup" sends SIGHUP; "log TEXT" requires a text in its log. "status N COMMAND…" runs a command
// that must end with an exit status. "env-from NAME FILE" sets a variable to what a file holds, and "key-id NAME FILE" to
// the id of the API key in it. What runs as a process beside onhand is in scriptcommands_test.go.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Values[serverKey{}] = new(scriptServer)
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"serve": scriptServe, "shutdown": scriptShutdown, "hangup": scriptHangup,
			"terminate": scriptTerminate, "log": scriptLog, "status": scriptStatus,
			"env-from": scriptEnvFrom, "key-id": scriptKeyID,
		},
		RequireExplicitExec: true,
	})
}

// scriptServer is the server of a script, where one runs.
type scriptServer struct{ *process }

type serverKey struct{}

func serverOf(ts *testscript.TestScript, neg bool) *scriptServer {
	if neg {
		ts.Fatalf("it can't be negated")
	}
	return ts.Value(serverKey{}).(*scriptServer)
}

func scriptServe(ts *testscript.TestScript, neg bool, args []string) {
	s := serverOf(ts, neg)
	program, err := exec.LookPath("onhand") // testscript puts it there
	ts.Check(err)
	var env []string
	for _, name := range []string{"PATH", "WORK", "HOME"} {
		env = append(env, name+"="+ts.Getenv(name))
	}
	s.process, err = startProcess(program, ts.MkAbs("."), env, args...)
	ts.Check(err)
	p := s.process
	ts.Defer(p.kill)
	scheme := "http://"
	if strings.Contains(strings.Join(args, " "), "--tls-cert") {
		scheme = "https://"
	}
	ts.Setenv("API", p.address)
	ts.Setenv("ADMIN", "http://"+p.admin)
	ts.Setenv("ONHAND_TO", scheme+p.address)
}

func scriptShutdown(ts *testscript.TestScript, neg bool, _ []string) {
	s := serverOf(ts, neg)
	if err := s.stop(); err != nil {
		ts.Fatalf("the server ended with %v\n%s", err, s.output())
	}
}

func scriptTerminate(ts *testscript.TestScript, neg bool, _ []string) {
	ts.Check(serverOf(ts, neg).terminate())
}

func scriptHangup(ts *testscript.TestScript, neg bool, _ []string) {
	ts.Check(serverOf(ts, neg).command.Process.Signal(syscall.SIGHUP))
}

func scriptLog(ts *testscript.TestScript, neg bool, args []string) {
	s := ts.Value(serverKey{}).(*scriptServer)
	if text := strings.Join(args, " "); strings.Contains(s.output(), text) == neg {
		ts.Fatalf("%q is in the server's log: %v\n%s", text, neg, s.output())
	}
}

func scriptStatus(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N COMMAND…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if ended := (*exec.ExitError)(nil); errors.As(err, &ended) {
		got = ended.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

func scriptEnvFrom(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile(args[1])))
}

func scriptKeyID(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(args[0], strings.Split(ts.ReadFile(args[1]), "_")[1])
}
