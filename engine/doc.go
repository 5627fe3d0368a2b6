// Package engine is onhand's stock engine: it answers "is it there, and may I have it?" for every SKU at every location,
// reserves units atomically until a deadline, and never promises the last unit twice. It needs no server; package server
// puts HTTP in front of it.
//
// # Words
//
// A SKU is a sellable article, a location a place that holds stock. A cell is one SKU at one location: units on hand,
// units held by live reservations, safety stock. Available = max(0, on hand − held − safety stock), and 0 where the cell
// or its location is blocked. A reservation holds one or more lines (SKU, location, quantity) until it is committed,
// released, or its deadline passes. Every change has a sequence: dense, never reused.
//
// # Promises
//
//  1. Never oversold. A reservation is granted only if every line is available at that instant; all or nothing, or as
//     much as there is if asked.
//  2. Acknowledged means durable: a write returns after the journal block with its record is synced.
//  3. Exactly once, under an idempotency key or a reservation id of the caller's choosing.
//  4. Exact deadlines, whether or not any sweeper has run (expire.go).
//  5. One sequence, in answers, reads, and the change feed. What a read shows is durable, so no crash takes it back.
//  6. A reason for every no, line by line (refusal.go).
//  7. The till is right: sales and counts are always taken, and a shortage names the reservations at risk (adjust.go).
//  8. Fail loud: what would make an acknowledgement a lie ends the process (Options.Fatal).
//
// # How a write goes
//
//	check ► claim the key ► resolve names ► lock shards ► decide ► append ► apply ► unlock ► wait ► answer
//	                                        └──────── microseconds, no I/O ───────┘         │
//	                                                       │                                │
//	                                          journal: open block ── seal ── store, sync ───┘
//
// Decide reads the cells and engine time and yields a record: what the change leaves behind, in absolute values. Append
// gives the record its sequence and copies it into the journal's open block. Apply installs it in memory, and is the
// same code for records just decided and records read back. Then the locks are dropped, before the disk is waited for:
// a popular SKU is never locked for longer than it takes to change it. The order of records in the journal is the order
// of their effects on each cell.
//
// # Locks
//
// In this order; nothing under any of them waits for the disk.
//
//  1. checkpoint.mu: one checkpoint, backup or trim at a time.
//  2. claims: a request that carries a key, until it is answered. A key is claimed before an id.
//  3. stock shards, in ascending order (stock.LockSet). A SKU's cells, and the reservation lines on them, belong to its
//     shard; a reservation is written under the locks of all its lines' shards and may be read under any one of them, and
//     a transfer is moved under those of its SKUs, which never change.
//     Every record is appended and applied under at least one, so who holds all of them sees a state between two changes.
//  4. the places claimed under a limit (limits.go), for a moment, and under them the reservation indexes only.
//  5. leaves, of which none is taken under another: the journal's open block, the symbol tables, the reservation indexes
//     and lists, the lists of orders and of transfers, the windows, imports.
//
// # Where things are
//
// One file per command: reserve, commit (and release), extend, expire, adjust, set_stock, import, place_order, move_order,
// move_transfer. One per noun: sku, location, line, reservation, order, transfer, refusal, and resource (pickup slots and lockers,
// which are held like units). order_moves.go has the states of orders, limits.go how many somebody may have. apply.go is the only way
// into the state; recover.go and checkpoint.go bring it
// back, check.go and audit.go prove it. Under internal: stock (the cells), reservation (live reservations and their
// deadlines), journal (Pebble), record (the codec of changes), window (what is remembered for a while), symbol, clock.
package engine
