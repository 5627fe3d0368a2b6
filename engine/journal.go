package engine

import (
	"context"

	"onhand/engine/internal/journal"
)

// changeLog is what the engine needs of its journal, and all that stands between a decision and its being durable. It
// is an interface because several machines will one day agree on the blocks before they count as durable.
type changeLog interface {
	// Append numbers a record and takes it into the open block; it never waits.
	Append(record []byte) (sequence uint64)
	// AppendNote puts bytes before the next record, whose sequence it returns.
	AppendNote(note []byte) (sequence uint64)
	// Admit waits while the log has more to store than it should.
	Admit() error
	// Wait returns once a record is durable; WaitBeyond, once one after sequence is.
	Wait(sequence uint64) error
	WaitBeyond(ctx context.Context, sequence uint64) error
	// Durable and Appended return the last durable sequence and the last one given out.
	Durable() uint64
	Appended() uint64
	// First returns the oldest sequence retained; Trim lets go of what comes before a sequence.
	First() (uint64, error)
	Trim(sequence uint64) error
	// Blocks yields the durable blocks from the one that holds a sequence on; BlockAt, that one.
	Blocks(from uint64, f func(journal.Block) error) error
	BlockAt(sequence uint64) (journal.Block, bool, error)
	// Bytes and DiskBytes are disk space, of some sequences and of all; MemoryBytes is memory.
	Bytes(first, last uint64) (uint64, error)
	DiskBytes() uint64
	MemoryBytes() uint64
	// Failed is closed when the log can no longer keep its word.
	Failed() <-chan struct{}
	Close() error
}

var _ changeLog = (*journal.Journal)(nil)
