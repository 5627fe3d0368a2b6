package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

// cli is the command line. Flags can also be given as environment variables ONHAND_… and in a configuration file.
type cli struct {
	Config configPath `help:"YAML file of settings: a section for each command, in it its flags." type:"path" placeholder:"FILE"`

	Serve      serveCommand      `cmd:"" help:"Serve a database over HTTP."`
	Import     importCommands    `cmd:"" help:"Load a file of stock, or of locations."`
	Export     exportCommands    `cmd:"" help:"Write the stock, or the locations, to a file."`
	Backup     backupCommand     `cmd:"" help:"Take a backup of a running server, and verify it."`
	Restore    restoreCommand    `cmd:"" help:"Make a database from a backup, and verify it."`
	Check      checkCommand      `cmd:"" help:"Verify a stopped database from end to end."`
	Key        keyCommand        `cmd:"" help:"Make, list and revoke API keys."`
	Demo       demoCommand       `cmd:"" help:"Serve a chain of stores and a year of its orders, to try things out."`
	Bench      benchCommand      `cmd:"" help:"Measure this program on this machine, beside limits and peers."`
	Loadtest   loadtestCommands  `cmd:"" help:"Put a load on a server, open-loop, and verify what it made of it."`
	Completion completionCommand `cmd:"" help:"Print a script that completes this command line in a shell."`
	Version    versionCommand    `cmd:"" help:"Print the program's version."`

	Complete   completeCommand   `cmd:"" hidden:""`
	BenchBare  benchBareCommand  `cmd:"" hidden:""`
	BenchStep  benchStepCommand  `cmd:"" hidden:""`
	BenchClear benchClearCommand `cmd:"" hidden:""`
}

type importCommands struct {
	Stock     importCommand          `cmd:"" default:"withargs" help:"Load a stock file, CSV or NDJSON, of any size. \"onhand import FILE\" is the same."`
	Locations importLocationsCommand `cmd:"" help:"Load a file of locations: where they are, when they are open."`
}

type exportCommands struct {
	Stock     exportCommand          `cmd:"" default:"withargs" help:"Write the stock as CSV or NDJSON. \"onhand export\" is the same."`
	Locations exportLocationsCommand `cmd:"" help:"Write the locations as NDJSON, CSV, GeoJSON or JSON-LD."`
}

const description = `Real-time inventory availability: is it there, and may I have it?

Begin with "onhand demo", or with "onhand serve DIR" and "onhand import FILE".

A flag --some-name can also be given as ONHAND_SOME_NAME in the environment, or in a file named by --config. The command line goes before the environment, and that before the file. Sizes take units (512MB, 8GiB), and so do times (90s, 15m, 36h).

Exit status: 0 done; 1 done, and something is wrong with what was looked at (rows that failed, a damaged database, a bar missed); 2 the command line or the configuration is wrong; 3 it could not be done.`

// streams are where a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// Exit statuses.
const (
	exitOK      = 0
	exitFinding = 1 // done, and something is wrong with what was looked at
	exitUsage   = 2 // the command line or the configuration is wrong
	exitFailed  = 3 // it could not be done
)

// exitError is an error with an exit status of its own.
type exitError struct {
	error
	status int
}

func (e exitError) Unwrap() error { return e.error }

func newParser(c *cli, out, errOut io.Writer) *kong.Kong {
	parser, err := kong.New(c,
		kong.Name("onhand"),
		kong.Description(description),
		kong.DefaultEnvars("ONHAND"),
		kong.Writers(out, errOut),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, FlagsLast: true, WrapUpperBound: 110}),
	)
	if err != nil {
		panic(err) // the command line is declared wrongly
	}
	return parser
}

func run(args []string, in io.Reader, out, errOut io.Writer) int {
	return new(cli).run(args, &streams{in, out, errOut})
}

// run does what the arguments say and returns the exit status.
func (c *cli) run(args []string, s *streams) int {
	parser := newParser(c, s.out, s.err)
	if len(args) == 0 {
		parser.Stdout, parser.Exit = s.err, func(int) {}
		_, _ = parser.Parse([]string{"--help"})
		return exitUsage
	}
	ctx, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(s.err, "onhand: %v\n%s", err, seeHelp(err))
		return exitUsage
	}
	if err := ctx.Run(s); err != nil {
		fmt.Fprintf(s.err, "onhand: %v\n", err)
		if h := hint(err); h != "" {
			fmt.Fprintf(s.err, "        %s\n", h)
		}
		if e := (exitError{}); errors.As(err, &e) {
			return e.status
		}
		return exitFailed
	}
	return exitOK
}

// seeHelp points to the help of the command whose line is wrong.
func seeHelp(err error) string {
	command := "onhand"
	if wrong := (*kong.ParseError)(nil); errors.As(err, &wrong) && wrong.Context != nil {
		if node := wrong.Context.Selected(); node != nil {
			command = strings.TrimSpace(node.FullPath())
		}
	}
	return fmt.Sprintf("        %s --help shows how it is used\n", command)
}
