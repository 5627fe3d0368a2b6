package engine

import (
	"errors"
	"fmt"
	"slices"

	"onhand/engine/internal/journal"
	"onhand/engine/internal/record"
)

// CheckReport says what Check has looked at.
type CheckReport struct {
	First, Last uint64 // sequences in the journal
	Blocks      int
	// Audited is the number of changes that were checked, each against the state before it.
	Audited     uint64
	Checkpoints []CheckpointReport
	Cells       int64
	Live        int64
	Digest      uint64 // of the state at Last
}

// CheckpointReport is what Check found of one checkpoint.
type CheckpointReport struct {
	Start, End uint64
	Bytes      int64
	// Replayed is the number of changes replayed over it.
	Replayed uint64
}

// checkMark is a sequence at which the state's digest must be a known one.
type checkMark struct {
	sequence, digest uint64
	reached          bool
}

// Check verifies the database in dir, which no engine has open, from end to end, and changes nothing: every block and
// the chain they form, every record, every checkpoint file; each checkpoint with the journal replayed over it against
// the digest it holds and against every other way to the same state; each change against the rules; and that the units
// held are those of the live reservations.
//
// It needs as much memory as the engine itself. The error joins all that is wrong.
func Check(dir string, options Options) (*CheckReport, error) {
	return check(dir, options, nil)
}

func check(dir string, options Options, marks []*checkMark) (*CheckReport, error) {
	e, err := newEngine(dir, options)
	if err != nil {
		return nil, err
	}
	c := checker{options: e.options, dir: dir, marks: marks}
	fs := e.options.FS
	text, err := readFile(fs, fs.PathJoin(dir, formatName))
	if err != nil {
		return nil, fmt.Errorf("check %s: not a database: %w", dir, err)
	}
	if string(text) != formatText {
		return nil, fmt.Errorf("check %s: its format is %q, this program's is %q", dir, text, formatText)
	}
	log, err := journal.Open(fs.PathJoin(dir, journalName), journal.Options{
		FS: fs, Fatal: e.options.Fatal, Log: e.options.Log, ReadOnly: true,
	})
	if err != nil {
		return nil, fmt.Errorf("check %s: %w", dir, err)
	}
	c.log = log
	c.run()
	if err := log.Close(); err != nil {
		c.found(err)
	}
	return &c.report, errors.Join(c.findings...)
}

type checker struct {
	options  Options
	dir      string
	log      changeLog
	report   CheckReport
	findings []error
	marks    []*checkMark
}

func (c *checker) found(err error) {
	if err != nil {
		c.findings = append(c.findings, err)
	}
}

func (c *checker) run() {
	first, err := c.log.First()
	if err != nil {
		c.found(err)
		return
	}
	c.report.First, c.report.Last = first, c.log.Durable()
	if err := c.journal(first); err != nil {
		c.found(err)
		return // nothing can be replayed over a broken journal
	}
	probe := &Engine{options: c.options, dir: c.dir}
	starts, err := probe.checkpointFiles()
	if err != nil {
		c.found(err)
		return
	}
	// The oldest way to the present state audits the most changes.
	ways := slices.Clone(starts)
	slices.Reverse(ways)
	audit := true
	if first == 1 || first > c.report.Last && len(starts) == 0 {
		c.way(nil, audit)
		audit = false
	}
	for i := range ways {
		c.way(&ways[i], audit)
		audit = false
	}
	if first != 1 && len(starts) == 0 && c.report.Last > 0 {
		c.found(fmt.Errorf("%w: it begins at %d and there is no checkpoint to begin from", ErrDamaged, first))
	}
	for _, m := range c.marks {
		if !m.reached {
			c.found(fmt.Errorf("%w: it does not reach sequence %d", ErrDamaged, m.sequence))
		}
	}
}

// journal checks every block, the chain they form, and that every record can be read.
func (c *checker) journal(first uint64) error {
	var rec record.Record
	next := first
	err := c.log.Blocks(first, func(b journal.Block) error {
		c.report.Blocks++
		if b.First != next {
			return fmt.Errorf("%w: block %d begins where %d should", ErrDamaged, b.First, next)
		}
		return b.Each(func(sequence uint64, encoded []byte) error {
			next = sequence + 1
			if err := record.Decode(encoded, &rec); err != nil {
				return fmt.Errorf("change %d: %w", sequence, err)
			}
			return nil
		}, nil)
	})
	if err == nil && next != c.report.Last+1 {
		err = fmt.Errorf("%w: it ends at %d instead of %d", ErrDamaged, next-1, c.report.Last)
	}
	return err
}

// way takes one way to the present state, from a checkpoint or, without one, from nothing, and checks where it leads.
func (c *checker) way(start *uint64, audit bool) {
	e, err := newEngine(c.dir, c.options)
	if err != nil {
		c.found(err)
		return
	}
	e.log = c.log
	base := &checkpointImage{}
	if start != nil {
		if base, err = e.loadCheckpoint(*start); err != nil {
			c.found(err)
			return
		}
	}
	r := replayer{e: e, base: base, marks: c.marks}
	if audit {
		a := auditor{e: e}
		r.audit = func(sequence uint64, rec *record.Record) error {
			if sequence <= base.end {
				return nil // the state is ahead of the record
			}
			c.report.Audited++
			return a.audit(sequence, rec)
		}
	}
	if err := r.run(); err != nil {
		c.found(err)
		return
	}
	if start != nil {
		c.report.Checkpoints = append(c.report.Checkpoints, CheckpointReport{base.start, base.end, base.bytes, r.records})
	}
	c.findings = append(c.findings, e.checkInvariants()...)
	digest := e.digestLocked()
	c.report.Cells, c.report.Live = e.stock.Stats().Cells, e.reservations.Stats().Live
	if c.report.Digest == 0 {
		c.report.Digest = digest
	} else if c.report.Digest != digest {
		c.found(fmt.Errorf("%w: from %s, replay leads to state %016x, from elsewhere to %016x", ErrBroken, name(start), digest, c.report.Digest))
	}
}

func name(start *uint64) string {
	if start == nil {
		return "the beginning"
	}
	return checkpointName(*start)
}
