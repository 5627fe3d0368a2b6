package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"onhand/engine"
)

type checkCommand struct {
	Dir  string `arg:"" help:"Directory of the stopped database." type:"path"`
	JSON bool   `help:"Print the report as JSON."`
}

// Help explains what is checked.
func (checkCommand) Help() string {
	return `Reads every block of the journal and every checkpoint, replays the journal over each checkpoint, compares where the ways lead, and audits each change against the one before it: nothing oversold, units conserved, held units those of live reservations. Changes nothing. Needs as much memory as the server.

Exit status: 0 sound, 1 not sound, 2 wrong usage, 3 it could not be checked.`
}

// checkReport is the report of a check, as JSON.
type checkReport struct {
	Sound            bool              `json:"sound"`
	FirstSequence    uint64            `json:"first_sequence"`
	LastSequence     uint64            `json:"last_sequence"`
	Blocks           int               `json:"blocks"`
	Audited          uint64            `json:"audited"`
	Checkpoints      []checkpointEntry `json:"checkpoints"`
	Cells            int64             `json:"cells"`
	LiveReservations int64             `json:"live_reservations"`
	Digest           string            `json:"digest"`
	Findings         []string          `json:"findings"`
	TookSeconds      float64           `json:"took_seconds"`
}

type checkpointEntry struct {
	Start    uint64 `json:"start"`
	End      uint64 `json:"end"`
	Bytes    int64  `json:"bytes"`
	Replayed uint64 `json:"replayed"`
}

// Run checks the database and prints what was found.
func (c *checkCommand) Run(s *streams) error {
	began := time.Now()
	found, err := engine.Check(c.Dir, engine.Options{Log: stderrLog(s), Fatal: fatal(s)})
	if found == nil {
		if !unsound(err) {
			return err
		}
		found = &engine.CheckReport{} // damaged such that it can't be read at all
	}
	report := newCheckReport(found, err)
	report.TookSeconds = time.Since(began).Seconds()
	if c.JSON {
		out := json.NewEncoder(s.out)
		out.SetIndent("", "  ")
		if err := out.Encode(report); err != nil {
			return err
		}
	} else {
		report.print(s.out)
	}
	if !report.Sound {
		return exitError{fmt.Errorf("%s is not sound", c.Dir), exitFinding}
	}
	return nil
}

func newCheckReport(r *engine.CheckReport, err error) *checkReport {
	report := &checkReport{
		Sound: err == nil, FirstSequence: r.First, LastSequence: r.Last, Blocks: r.Blocks, Audited: r.Audited,
		Checkpoints: []checkpointEntry{}, Cells: r.Cells, LiveReservations: r.Live, Digest: fmt.Sprintf("%016x", r.Digest),
		Findings: findings(err),
	}
	for _, cp := range r.Checkpoints {
		report.Checkpoints = append(report.Checkpoints, checkpointEntry(cp))
	}
	return report
}

// findings takes the errors apart that a check has joined.
func findings(err error) []string {
	all := []string{}
	if joined, ok := errors.AsType[interface {
		error
		Unwrap() []error
	}](err); ok && joined.Error() == err.Error() {
		for _, one := range joined.Unwrap() {
			all = append(all, one.Error())
		}
		return all
	}
	if err != nil {
		all = append(all, err.Error())
	}
	return all
}

func (r *checkReport) print(w io.Writer) {
	for _, f := range r.Findings {
		fmt.Fprintf(w, "NOT SOUND: %s\n", f)
	}
	fmt.Fprintf(w, "journal       %d blocks, sequences %d to %d\n", r.Blocks, r.FirstSequence, r.LastSequence)
	fmt.Fprintf(w, "audited       %d changes, each against the state before it\n", r.Audited)
	for _, cp := range r.Checkpoints {
		fmt.Fprintf(w, "checkpoint    %d to %d, %d bytes, %d changes replayed over it\n", cp.Start, cp.End, cp.Bytes, cp.Replayed)
	}
	fmt.Fprintf(w, "state         %s: %d cells, %d live reservations\n", r.Digest, r.Cells, r.LiveReservations)
	verdict := "sound"
	if !r.Sound {
		verdict = fmt.Sprintf("not sound, %d findings; restore the latest backup into an empty directory", len(r.Findings))
	}
	fmt.Fprintf(w, "%s, in %.1f s\n", verdict, r.TookSeconds)
}
