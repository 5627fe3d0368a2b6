// Package record is the codec of the journal's records. A record is one change: what it left behind, in absolute
// values, never the command that led to it. Whoever installs records in order, from any state that is not older than
// the first of them, ends in the state that wrote them; installing one twice does no harm; no clock and no rule of
// business is needed.
package record

import "onhand/engine/internal/reservation"

// Kind says what kind of change a record is. The numbers are stored: they are never given another meaning.
type Kind uint8

const (
	StockSet Kind = iota + 1
	StockAdjusted
	StockImported
	ReservationHeld
	ReservationCommitted
	ReservationReleased
	ReservationExtended
	ReservationExpired
	ReservationRefused
	SKUSet
	LocationSet
	LocationDeleted
	OrderMoved
	TransferMoved
	SlotsRemoved
	kindEnd
)

// Record is one change. Which parts are set depends on Kind; a part that is empty takes no space when encoded.
type Record struct {
	Kind Kind
	Time int64 // engine time of the decision, ns

	// Answer makes the record the answer to whoever asks again with the same key.
	Answer Answer

	// Cells are the cells the change touched, as it left them.
	Cells []Cell

	// Reservation, for the reservation kinds, is the whole reservation as the change left it.
	Reservation reservation.Reservation

	// Refusals are the lines of a reservation request that were not, or not wholly, granted.
	Refusals []Refusal

	// PassedOver are the locations nearer than that of a reservation whose location was found, each with a line that could
	// not be granted there.
	PassedOver []Refusal

	// Reason and Reference are what the caller said of an adjustment or a count.
	Reason    string
	Reference string

	// Shortages are the cells that the change left with more units promised than there are, in the order of Cells.
	Shortages []Shortage

	// Thresholds are those of their own that the change has set for some of its cells, or taken away.
	Thresholds []CellThreshold

	Import   Import
	SKU      SKU
	Location Location

	// Order is the whole order that the change moved, as it left it, or nil.
	Order *Order
	// Transfer, for the kinds that move one, is the whole transfer as the change left it.
	Transfer Transfer
	// Slots are the SKUs of pickup slots that are over: all their cells are removed.
	Slots []uint32
}

// Answer identifies the request that a record answers.
type Answer struct {
	// Key is a hash of the idempotency key, zero where the request had none.
	Key [16]byte
	// ByID says that the reservation's id was chosen by the caller and so serves as a key too.
	ByID bool
	// Fingerprint is a hash of the request, by which a second request under the same key is told from a retry.
	Fingerprint uint64
}

// Asked reports whether a later request may be answered with the record.
func (a *Answer) Asked() bool { return a.ByID || a.Key != [16]byte{} }

// CellFlags say what a cell is besides its numbers.
type CellFlags uint8

const (
	// Blocked, OwnSafety and LocationBlocked are those of the stock map. LocationBlocked is there for readers of the
	// record only; it is not installed.
	Blocked CellFlags = 1 << iota
	OwnSafety
	LocationBlocked

	hasSafety // encoded only: a safety stock follows
	hasDelta  // encoded only: a delta follows
	hasEvents // encoded only: events follow
	cellFlagsEnd
)

// CellEvents say what a change meant for what is available of a cell: whoever reads the record need not know the cell
// before it, nor any threshold.
type CellEvents uint8

const (
	// CellLow cells are low, since this change or an earlier one.
	CellLow CellEvents = 1 << iota
	// CellOut cells had units available and have none any more; CellBack is the reverse.
	CellOut
	CellBack
	// CellBecameLow cells came to a threshold or below it, CellRecovered ones back to where they are no longer low.
	CellBecameLow
	CellRecovered
	cellEventsEnd
)

// Cell is a cell after a change.
type Cell struct {
	SKU, Location uint32
	OnHand, Held  int64
	Safety        int64 // the safety stock in force, of the cell itself with OwnSafety
	Delta         int64 // how far the change moved OnHand, for adjustments and imports of deltas
	// Threshold is the one that CellBecameLow or CellRecovered is about; 0 with the latter where it was taken away.
	Threshold int64
	Flags     CellFlags
	Events    CellEvents
	// WasAvailable, which is not encoded, is for whoever decides Events: there were units available before the change.
	WasAvailable bool
}

// Threshold says from when on a cell is low: with Low units available or fewer, until there are Clear again. Clear is
// above Low; 0 = there is no threshold.
type Threshold struct{ Low, Clear int64 }

// CellThreshold is a cell's own threshold, as a change has set it, or taken it away.
type CellThreshold struct {
	SKU, Location uint32
	Threshold
}

// Refusal is why a line was not granted. The names are strings because they may be unknown to the engine.
type Refusal struct {
	SKU, Location string
	Reason        uint8 // engine.Reason
	Requested     int64
	Granted       int64
	OnHand, Held  int64
	Safety        int64
}

// Shortage names the reservations that the units of a cell no longer cover.
type Shortage struct {
	SKU, Location uint32
	Units         int64
	AtRisk        []reservation.ID // newest first; at most as many as the engine's limit
}

// Import says how far a repeatable import has come.
type Import struct {
	ID string
	// Row is the last row whose effect is in this or an earlier record, from 1.
	Row uint64
	// Hash is the rolling hash of the rows up to and including Row.
	Hash uint64
}

// SKU is a SKU's settings.
type SKU struct {
	ID            uint32
	Title         string
	Unit          string
	GTIN          string
	DefaultSafety int64
	DefaultHold   int64 // ns; 0 = the engine's
	// How long the steps of an order with it take at most, in ns; 0 = as its location says.
	AcceptWithin, PickWithin, CollectWithin int64
	LowStock                                Threshold
}

// Location is a location's record.
type Location struct {
	ID      uint32
	Name    string
	Kind    uint8
	Blocked bool
	// Details are the rest of it, as JSON, or empty.
	Details string
}

// Reset empties r, keeping its memory for the next use.
func (r *Record) Reset() {
	lines, channel, reference := r.Reservation.Lines[:0], r.Reservation.Channel[:0], r.Reservation.Reference[:0]
	transferLines := r.Transfer.Lines[:0]
	*r = Record{
		Cells: r.Cells[:0], Refusals: r.Refusals[:0], PassedOver: r.PassedOver[:0], Shortages: r.Shortages[:0], Slots: r.Slots[:0],
		Thresholds: r.Thresholds[:0],
	}
	r.Reservation.Lines, r.Reservation.Channel, r.Reservation.Reference = lines, channel, reference
	r.Transfer.Lines = transferLines
}
