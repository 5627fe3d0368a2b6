package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/alecthomas/kong"
)

// cli is the command line. Flags can also be given as environment variables ONHAND_… and in a configuration file.
type cli struct {
	Serve   serveCommand   `cmd:"" help:"Serve a database over HTTP."`
	Bench   benchCommand   `cmd:"" help:"Measure this program on this machine, beside limits and peers."`
	Demo    demoCommand    `cmd:"" help:"Serve a chain of stores and a year of its orders, to try things out."`
	Version versionCommand `cmd:"" help:"Print the program's version."`

	BenchBare benchBareCommand `cmd:"" hidden:""`
	BenchStep benchStepCommand `cmd:"" hidden:""`
}

// streams are where a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// Exit statuses.
const (
	exitOK      = 0
	exitFailed  = 1 // the command could not do what it was asked
	exitUsage   = 2 // the command line is wrong
	exitFinding = 3 // check found something
)

// exitError is an error with an exit status of its own.
type exitError struct {
	error
	status int
}

func (e exitError) Unwrap() error { return e.error }

func run(args []string, in io.Reader, out, errOut io.Writer) int {
	var c cli
	parser, err := kong.New(&c,
		kong.Name("onhand"),
		kong.Description("Real-time inventory availability: is it there, and may I have it?"),
		kong.DefaultEnvars("ONHAND"),
		kong.Writers(out, errOut),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	if err != nil {
		panic(err) // the command line is declared wrongly
	}
	ctx, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(errOut, "onhand: %v\n", err)
		return exitUsage
	}
	if err := ctx.Run(&streams{in, out, errOut}); err != nil {
		fmt.Fprintf(errOut, "onhand: %v\n", err)
		if e := (exitError{}); errors.As(err, &e) {
			return e.status
		}
		return exitFailed
	}
	return exitOK
}
