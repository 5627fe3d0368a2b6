package engine

import (
	"time"

	"onhand/engine/internal/record"
)

// Stats are an engine's present figures.
type Stats struct {
	Durable, Appended uint64 // sequences
	SKUs, Locations   int
	Cells             int64
	LiveReservations  int64
	// LiveOrders have not ended; Orders are all that are kept, and OrderMoves counts their moves since the start.
	LiveOrders int64
	Orders     int
	OrderMoves map[OrderMove]int64
	// Changes counts the changes made since the start, by kind, and Refused the refused lines, by reason.
	Changes map[ChangeKind]int64
	Refused map[Reason]int64
	// Limited counts the requests refused by a limit since the start, by limit.
	Limited map[string]int64
	// Answers and Ended are the answers remembered for retries, and the ended reservations kept readable; their reach is
	// how far back they go.
	Answers, Ended           int
	AnswersReach, EndedReach time.Duration
	// Memory, by part, in bytes.
	Memory MemoryStats
	// JournalBytes is the disk space of the journal.
	JournalBytes uint64
	// ClockOffset is the wall clock minus engine time.
	ClockOffset time.Duration
	// DiskFree is the free space of the database's disk, in bytes, and DiskFull says that writes are refused for want of it.
	DiskFree   uint64
	DiskFull   bool
	Checkpoint CheckpointStats
	Recovery   RecoveryStats
}

// MemoryStats say what takes an engine's memory, in bytes.
type MemoryStats struct {
	Cells, Reservations, Answers, Ended, Names, Journal int64
}

// Stats returns the present figures.
func (e *Engine) Stats() Stats {
	cells, live := e.stock.Stats(), e.reservations.Stats()
	answers, ended := e.answers.log.Stats(), e.ended.log.Stats()
	now := e.clock.Now()
	st := Stats{
		Durable: e.log.Durable(), Appended: e.log.Appended(),
		SKUs: int(e.skus.Len()), Locations: int(e.locations.Len()), Cells: cells.Cells,
		LiveReservations: live.Live,
		LiveOrders:       e.orders.live.Load(), Orders: int(e.orders.index.size.Load()), OrderMoves: make(map[OrderMove]int64),
		Changes: make(map[ChangeKind]int64), Refused: make(map[Reason]int64),
		Limited: e.limits.refused(),
		Answers: answers.Count, Ended: ended.Count,
		AnswersReach: e.reach(answers.Oldest, now), EndedReach: e.reach(ended.Oldest, now),
		Memory: MemoryStats{
			Cells: cells.Bytes, Reservations: live.Bytes, Answers: answers.Bytes, Ended: ended.Bytes,
			Names: e.skus.Bytes() + e.locations.Bytes() + e.owners.Bytes(), Journal: int64(e.log.MemoryBytes()),
		},
		JournalBytes: e.log.DiskBytes(),
		ClockOffset:  time.Duration(e.clockDrift.Load()),
		DiskFree:     e.diskFree.Load(),
		DiskFull:     e.diskFull.Load(),
		Checkpoint:   e.CheckpointStats(),
		Recovery:     e.recovery,
	}
	for kind := record.StockSet; int(kind) < len(changeKinds); kind++ {
		if changeKinds[kind] != "" {
			st.Changes[changeKinds[kind]] = e.counts.changesOf(kind)
		}
	}
	for _, m := range OrderMoves() {
		st.OrderMoves[m] = e.counts.moves[m].Load()
	}
	for _, reason := range Reasons() {
		st.Refused[reason] = e.counts.refused[reason].Load()
	}
	return st
}

// reach returns how far back a window goes: its full age until it first had to let something go.
func (e *Engine) reach(oldest, now int64) time.Duration {
	if oldest == 0 {
		return 0
	}
	return time.Duration(now - oldest)
}
