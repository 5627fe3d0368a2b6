package record

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"onhand/engine/internal/reservation"
)

var update = flag.Bool("update", false, "write the golden files anew; only for a format that has a new version")

// kinds are all kinds of record, by the name of their golden file.
var kinds = map[Kind]string{
	StockSet: "stock_set", StockAdjusted: "stock_adjusted", StockImported: "stock_imported",
	ReservationHeld: "reservation_held", ReservationCommitted: "reservation_committed",
	ReservationReleased: "reservation_released", ReservationExtended: "reservation_extended",
	ReservationExpired: "reservation_expired", ReservationRefused: "reservation_refused",
	SKUSet: "sku_set", LocationSet: "location_set", LocationDeleted: "location_deleted", OrderMoved: "order_moved",
	TransferMoved: "transfer_moved",
	SlotsRemoved:  "slots_removed",
}

// examples returns a record of each kind, with the parts that the engine gives it.
func examples() []*Record {
	id := reservation.ID{0: 0xA0, 15: 0xAF}
	key := Answer{Key: [16]byte{0: 1, 15: 16}, Fingerprint: 0x0102030405060708}
	held := reservation.Reservation{
		ID: id, State: reservation.Held, Created: 1_772_442_000_000_000_000, Deadline: 1_772_442_900_000_000_000,
		Sequence: 0, Channel: []byte("web"), Reference: []byte("order-1"),
		Lines: []reservation.Line{{SKU: 1, Location: 2, Quantity: 3}, {SKU: 300, Location: 70_000, Quantity: 1 << 31}},
	}
	moved := held
	moved.First, moved.Sequence = 41, 0
	moved.Lines = []reservation.Line{{SKU: 1, Location: 2, Quantity: 3, Committed: 1, Released: 1}, {SKU: 300, Location: 70_000, Quantity: 1 << 31, Released: 1 << 31}}
	owned := moved
	owned.State, owned.Owner = reservation.Held, 300
	in := func(state reservation.State) reservation.Reservation { r := moved; r.State = state; return r }
	cell := Cell{SKU: 1, Location: 2, OnHand: -7, Held: 2}
	const at = 1_772_442_000_123_456_789
	return []*Record{
		{Kind: StockSet, Time: at, Answer: key, Cells: []Cell{{SKU: 1, Location: 2, OnHand: 10, Safety: -5, Flags: OwnSafety | Blocked}}, Reason: "count", Reference: "2026-03"},
		{
			Kind: StockAdjusted, Time: at, Cells: []Cell{{SKU: 1, Location: 2, OnHand: -7, Held: 2, Delta: -9, Flags: LocationBlocked}},
			Reason: "sale", Shortages: []Shortage{{SKU: 1, Location: 2, Units: 9, AtRisk: []reservation.ID{id, {}}}, {SKU: 2, Location: 2, Units: 1}},
		},
		{Kind: StockImported, Time: at, Cells: []Cell{{SKU: 9, Location: 8, OnHand: math.MaxInt32, Delta: 4}}, Import: Import{ID: "monday", Row: 1 << 40, Hash: 0xFEDCBA9876543210}},
		{Kind: ReservationHeld, Time: at, Answer: Answer{ByID: true, Fingerprint: 99}, Cells: []Cell{cell}, Reservation: held},
		{Kind: ReservationCommitted, Time: at, Answer: key, Cells: []Cell{cell}, Reservation: in(reservation.Committed)},
		{Kind: ReservationReleased, Time: at, Cells: []Cell{cell}, Reservation: in(reservation.Released)},
		{Kind: ReservationExtended, Time: at, Reservation: in(reservation.Held)},
		{Kind: ReservationExpired, Time: at, Cells: []Cell{cell}, Reservation: in(reservation.Expired)},
		{
			Kind: ReservationRefused, Time: at, Answer: Answer{Key: key.Key, ByID: true, Fingerprint: 5},
			Refusals: []Refusal{{SKU: "lamp", Location: "lyon", Reason: 3, Requested: 5, Granted: 1, OnHand: -2, Held: 4, Safety: -1}, {SKU: "né"}},
		},
		{Kind: SKUSet, Time: at, SKU: SKU{ID: 5, Title: "Lamp", Unit: "piece", GTIN: "04012345678901", DefaultSafety: -2_000_000_000, DefaultHold: 900_000_000_000}},
		{Kind: LocationSet, Time: at, Location: Location{ID: 6, Name: "Lyon", Kind: 2, Blocked: true}},
		{Kind: LocationDeleted, Time: at, Location: Location{ID: 6}},
		{
			Kind: ReservationHeld, Time: at, Cells: []Cell{cell}, Reservation: held,
			PassedOver: []Refusal{{SKU: "lamp", Location: "lyon", Reason: 5, Requested: 5, OnHand: 4}},
		},
		{Kind: SlotsRemoved, Time: at, Slots: []uint32{7, 300, 70_000}},
		{Kind: LocationSet, Time: at, Location: Location{ID: 6, Name: "Lyon", Kind: 1, Details: `{"id_required":true}`}},
		{Kind: OrderMoved, Time: at, Answer: key, Cells: []Cell{cell}, Reservation: held, Order: &Order{
			ID: reservation.ID{0: 0xB0, 15: 0xBF}, Reservation: id, Token: [16]byte{0: 0xC0, 15: 0xCF}, State: 1, Move: 1,
			Placed: at, Deadline: at + 900_000_000_000, RemindAt: at + 1, Slot: at + 3_600_000_000_000, SlotEnd: at + 5_400_000_000_000,
			Location: 2, Channel: 1, Payment: 2, Fulfilment: 1, Handover: 3, OnShort: 2, Flags: PaidOnline | IDRequired, Extensions: 1, WrongCodes: 2,
			Code: "7XK2M9", Compartment: "M", Owner: "shop", Reference: "A-1001", Notes: "ring twice", PaymentNote: "pi_1", Bay: "4", Vehicle: "blue",
			Customer: Person{"c-7", "Ana", "+33 1 23", "ana@example.com"}, Collector: Person{Name: "Bo"},
			Transfers: []reservation.ID{{0: 0xD0, 15: 0xDF}},
			Lines:     []OrderLine{{SKU: 1, From: 2, Quantity: 3, Collected: 1, Returned: 1}, {SKU: 300, From: 70_000, Quantity: 9, Missing: 2, Cancelled: 1}},
			History:   []OrderStep{{Time: at, Sequence: 41, Move: 1, State: 1, By: "shop"}, {Time: at + 5, Move: 2, State: 2, By: "ana", Reason: "in stock"}},
		}},
		{
			Kind: TransferMoved, Time: at, Answer: key, Cells: []Cell{cell}, Transfer: Transfer{
				ID: id, State: 1, Moves: TransferPlanned, From: 6, To: 70_000, Created: at, Expected: at + 1,
				Lines: []TransferLine{{SKU: 1, Quantity: 1 << 31}},
			},
		},
		{
			Kind: TransferMoved, Time: at, Cells: []Cell{cell}, Reservation: held, Transfer: Transfer{
				ID: id, State: 3, Moves: TransferReceived | TransferLost | TransferDamaged, From: 6, To: 2, First: 41, Order: reservation.ID{1, 15: 9},
				Created: at, Dispatched: at + 5, Ended: at + 9, Expected: at - 7, Reference: "truck 7", Reason: "season", By: "né",
				Lines: []TransferLine{{SKU: 1, Quantity: 10, Dispatched: 9, Received: 5, Lost: 3, Damaged: 1, Cancelled: 1}, {SKU: 300, Quantity: 1}},
			},
		},
		{Kind: ReservationCommitted, Time: at, Cells: []Cell{cell}, Reservation: owned},
		{
			Kind: StockSet, Time: at, Cells: []Cell{
				{SKU: 1, Location: 2, OnHand: 3, Safety: 1, Flags: OwnSafety, Events: CellLow | CellBack | CellBecameLow, Threshold: 5},
			},
			Thresholds: []CellThreshold{{1, 2, Threshold{5, 8}}},
		},
		{Kind: StockAdjusted, Time: at, Cells: []Cell{{SKU: 1, Location: 2, OnHand: 9, Delta: 6, Events: CellRecovered, Threshold: 8}, {SKU: 2, Location: 2, Events: CellLow | CellOut}}},
		{Kind: SKUSet, Time: at, SKU: SKU{ID: 5, Title: "Lamp", DefaultHold: 900_000_000_000, LowStock: Threshold{5, 6}}},
	}
}

// same compares what two records mean: slices without elements are equal, kept memory or not.
func same(a, b *Record) bool {
	return reflect.DeepEqual(normal(a), normal(b))
}

func normal(r *Record) Record {
	n := *r
	n.Thresholds = append([]CellThreshold(nil), r.Thresholds...)
	n.Cells = append([]Cell(nil), r.Cells...)
	n.Refusals = append([]Refusal(nil), r.Refusals...)
	n.PassedOver = append([]Refusal(nil), r.PassedOver...)
	n.Slots = append([]uint32(nil), r.Slots...)
	n.Shortages = nil
	for _, s := range r.Shortages {
		s.AtRisk = append([]reservation.ID(nil), s.AtRisk...)
		n.Shortages = append(n.Shortages, s)
	}
	n.Reservation.Lines = append([]reservation.Line(nil), r.Reservation.Lines...)
	n.Reservation.Channel = append([]byte(nil), r.Reservation.Channel...)
	n.Reservation.Reference = append([]byte(nil), r.Reservation.Reference...)
	n.Transfer.Lines = append([]TransferLine(nil), r.Transfer.Lines...)
	if r.Order != nil {
		o := *r.Order
		o.Transfers = append([]reservation.ID(nil), o.Transfers...)
		o.Lines, o.History = append([]OrderLine(nil), o.Lines...), append([]OrderStep(nil), o.History...)
		n.Order = &o
	}
	return n
}

func mustDecode(t testing.TB, b []byte) *Record {
	t.Helper()
	r := &Record{}
	if err := Decode(b, r); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestRecordFormat pins the stored bytes of each kind: a journal written by any version of this program stays readable.
func TestRecordFormat(t *testing.T) {
	seen := map[Kind]bool{}
	for _, r := range examples() {
		name := kinds[r.Kind]
		if seen[r.Kind] {
			name += "_more" // with the parts that came later
		}
		seen[r.Kind] = true
		name = filepath.Join("testdata", name+".hex")
		got := Append(nil, r)
		if *update {
			text := ""
			for rest := got; len(rest) > 0; rest = rest[min(32, len(rest)):] {
				text += hex.EncodeToString(rest[:min(32, len(rest))]) + "\n"
			}
			if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		want, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: the stored format has changed without a new version\n got %x\nwant %x", name, got, want)
		}
		if back := mustDecode(t, want); !same(back, r) {
			t.Errorf("%s: read as %+v\nwant %+v", name, back, r)
		}
	}
	for kind := Kind(1); kind < kindEnd; kind++ {
		if !seen[kind] || kinds[kind] == "" {
			t.Errorf("kind %d has no golden file", kind)
		}
	}
}

// drawn returns any record that can be written.
func drawn(r *rapid.T) *Record {
	i64 := rapid.OneOf(rapid.Int64Range(-3, 3), rapid.Int64())
	u32 := rapid.OneOf(rapid.Uint32Range(0, 300), rapid.Uint32())
	name := rapid.OneOf(rapid.StringN(0, 20, 64), rapid.Just(strings.Repeat("é", 32)))
	id := rapid.Custom(func(r *rapid.T) (id reservation.ID) {
		copy(id[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(r, "id"))
		return id
	})
	text := rapid.SliceOfN(rapid.Byte(), 0, reservation.TextMax)
	part := func(label string) bool { return rapid.Bool().Draw(r, label) }

	rec := &Record{Kind: Kind(rapid.IntRange(1, int(kindEnd)-1).Draw(r, "kind")), Time: rapid.Int64().Draw(r, "time")}
	if part("key") {
		rec.Answer.Key = [16]byte(id.Filter(func(id reservation.ID) bool { return id != reservation.ID{} }).Draw(r, "key"))
	}
	rec.Answer.ByID = part("by id")
	if rec.Answer.Asked() {
		rec.Answer.Fingerprint = rapid.Uint64().Draw(r, "fingerprint")
	}
	if part("cells") {
		rec.Cells = rapid.SliceOfN(rapid.Custom(func(r *rapid.T) Cell {
			events := CellEvents(rapid.ByteRange(0, byte(cellEventsEnd)-1).Draw(r, "events"))
			threshold := int64(0)
			if events&thresholdEvents != 0 {
				threshold = i64.Draw(r, "threshold")
			}
			return Cell{
				Events: events, Threshold: threshold,
				SKU: u32.Draw(r, "sku"), Location: u32.Draw(r, "location"), OnHand: i64.Draw(r, "on hand"), Held: i64.Draw(r, "held"),
				Safety: i64.Draw(r, "safety"), Delta: i64.Draw(r, "delta"),
				Flags: CellFlags(rapid.ByteRange(0, byte(Blocked|OwnSafety|LocationBlocked)).Draw(r, "flags")),
			}
		}), 0, 5).Draw(r, "cells")
	}
	if part("reservation") {
		rec.Reservation = reservation.Reservation{
			ID: id.Draw(r, "id"), State: reservation.State(rapid.ByteRange(1, 4).Draw(r, "state")),
			Created: rapid.Int64().Draw(r, "created"), Deadline: rapid.Int64().Draw(r, "deadline"),
			First: rapid.Uint64().Draw(r, "first"), Sequence: rapid.Uint64().Draw(r, "sequence"),
			Channel: text.Draw(r, "channel"), Reference: text.Draw(r, "reference"),
			Owner: rapid.SampledFrom([]uint32{0, 0, 1, math.MaxUint32}).Draw(r, "owner"),
			Lines: rapid.SliceOfN(rapid.Custom(func(r *rapid.T) reservation.Line {
				return reservation.Line{
					SKU: u32.Draw(r, "sku"), Location: u32.Draw(r, "location"), Quantity: u32.Draw(r, "quantity"),
					Committed: u32.Draw(r, "committed"), Released: u32.Draw(r, "released"),
				}
			}), 0, 5).Draw(r, "lines"),
		}
	}
	refusal := rapid.Custom(func(r *rapid.T) Refusal {
		return Refusal{
			SKU: name.Draw(r, "sku"), Location: name.Draw(r, "location"), Reason: rapid.Byte().Draw(r, "reason"),
			Requested: i64.Draw(r, "requested"), Granted: i64.Draw(r, "granted"),
			OnHand: i64.Draw(r, "on hand"), Held: i64.Draw(r, "held"), Safety: i64.Draw(r, "safety"),
		}
	})
	if part("refusals") {
		rec.Refusals = rapid.SliceOfN(refusal, 0, 4).Draw(r, "refusals")
	}
	if part("passed over") {
		rec.PassedOver = rapid.SliceOfN(refusal, 0, 4).Draw(r, "passed over")
	}
	if part("slots") {
		rec.Slots = rapid.SliceOfN(u32, 0, 5).Draw(r, "slots")
	}
	if part("note") {
		rec.Reason, rec.Reference = name.Draw(r, "reason"), name.Draw(r, "reference")
	}
	if part("shortages") {
		rec.Shortages = rapid.SliceOfN(rapid.Custom(func(r *rapid.T) Shortage {
			return Shortage{
				SKU: u32.Draw(r, "sku"), Location: u32.Draw(r, "location"), Units: i64.Draw(r, "units"),
				AtRisk: rapid.SliceOfN(id, 0, 3).Draw(r, "at risk"),
			}
		}), 0, 3).Draw(r, "shortages")
	}
	if part("thresholds") {
		rec.Thresholds = rapid.SliceOfN(rapid.Custom(func(r *rapid.T) CellThreshold {
			return CellThreshold{u32.Draw(r, "sku"), u32.Draw(r, "location"), Threshold{i64.Draw(r, "low"), i64.Draw(r, "clear")}}
		}), 0, 3).Draw(r, "thresholds")
	}
	if part("import") {
		rec.Import = Import{ID: "i" + name.Draw(r, "import"), Row: rapid.Uint64().Draw(r, "row"), Hash: rapid.Uint64().Draw(r, "hash")}
	}
	if part("sku") {
		rec.SKU = SKU{
			ID: max(1, u32.Draw(r, "id")), Title: name.Draw(r, "title"), Unit: name.Draw(r, "unit"), GTIN: name.Draw(r, "gtin"),
			DefaultSafety: i64.Draw(r, "safety"), DefaultHold: rapid.OneOf(rapid.Int64Range(0, 3), rapid.Int64Range(0, math.MaxInt64)).Draw(r, "hold"),
		}
		if part("low stock") {
			rec.SKU.LowStock = Threshold{i64.Draw(r, "low"), i64.Draw(r, "clear")}
		}
		for _, within := range []*int64{&rec.SKU.AcceptWithin, &rec.SKU.PickWithin, &rec.SKU.CollectWithin} {
			if part("within") {
				*within = i64.Draw(r, "within")
			}
		}
	}
	if part("location") {
		rec.Location = Location{ID: max(1, u32.Draw(r, "id")), Name: name.Draw(r, "name"), Kind: rapid.Byte().Draw(r, "kind"), Blocked: part("blocked")}
		if part("details") {
			rec.Location.Details = string(rapid.SliceOfN(rapid.Byte(), 1, 5000).Draw(r, "details"))
		}
	}
	if part("order") {
		rec.Order = drawnOrder(r)
	}
	if part("transfer") {
		created := rapid.Int64Range(1, 1<<61)
		rec.Transfer = Transfer{
			ID: id.Draw(r, "id"), State: rapid.ByteRange(1, 4).Draw(r, "state"),
			Moves: TransferMoves(rapid.ByteRange(0, byte(transferMovesEnd-1)).Draw(r, "moves")),
			From:  u32.Draw(r, "from"), To: u32.Draw(r, "to"), First: rapid.Uint64().Draw(r, "first"), Order: id.Draw(r, "order"),
			Created: created.Draw(r, "created"), Dispatched: created.Draw(r, "dispatched"), Ended: created.Draw(r, "ended"),
			Reference: name.Draw(r, "reference"), Reason: name.Draw(r, "reason"), By: name.Draw(r, "by"),
			Lines: rapid.SliceOfN(rapid.Custom(func(r *rapid.T) TransferLine {
				return TransferLine{
					SKU: u32.Draw(r, "sku"), Quantity: u32.Draw(r, "quantity"), Dispatched: u32.Draw(r, "dispatched"),
					Received: u32.Draw(r, "received"), Lost: u32.Draw(r, "lost"), Damaged: u32.Draw(r, "damaged"), Cancelled: u32.Draw(r, "cancelled"),
				}
			}), 0, 5).Draw(r, "lines"),
		}
		if part("expected") {
			rec.Transfer.Expected = created.Draw(r, "expected")
		}
	}
	return rec
}

// drawnOrder returns any order that can be written.
func drawnOrder(r *rapid.T) *Order {
	u32 := rapid.OneOf(rapid.Uint32Range(0, 300), rapid.Uint32())
	name := rapid.OneOf(rapid.StringN(0, 20, 64), rapid.Just(strings.Repeat("é", 500)))
	at := rapid.OneOf(rapid.Just[int64](0), rapid.Int64Range(-3, 3), rapid.Int64())
	b := rapid.Byte()
	id := func(label string) (id [16]byte) {
		copy(id[:], rapid.SliceOfN(b, 16, 16).Draw(r, label))
		return id
	}
	person := func(label string) Person {
		return Person{name.Draw(r, label), name.Draw(r, label), name.Draw(r, label), name.Draw(r, label)}
	}
	return &Order{
		ID: id("id"), Reservation: id("reservation"), Token: id("token"), State: max(1, b.Draw(r, "state")), Move: b.Draw(r, "move"),
		First: rapid.Uint64().Draw(r, "first"), Sequence: rapid.Uint64().Draw(r, "sequence"),
		Placed: at.Draw(r, "placed"), Deadline: at.Draw(r, "deadline"), RemindAt: at.Draw(r, "remind at"), Ended: at.Draw(r, "ended"),
		Arrived: at.Draw(r, "arrived"), CodeFrom: at.Draw(r, "code from"), Slot: at.Draw(r, "slot"), SlotEnd: at.Draw(r, "slot end"),
		Location: u32.Draw(r, "location"), Channel: b.Draw(r, "channel"), Payment: b.Draw(r, "payment"), Fulfilment: b.Draw(r, "fulfilment"),
		Handover: b.Draw(r, "handover"), OnShort: b.Draw(r, "on short"), Flags: OrderFlags(rapid.ByteRange(0, byte(orderFlagsEnd-1)).Draw(r, "flags")),
		Extensions: b.Draw(r, "extensions"), WrongCodes: b.Draw(r, "wrong codes"),
		Code: name.Draw(r, "code"), Compartment: name.Draw(r, "compartment"), Owner: name.Draw(r, "owner"), Reference: name.Draw(r, "reference"),
		Notes: name.Draw(r, "notes"), PaymentNote: name.Draw(r, "payment note"), Bay: name.Draw(r, "bay"), Vehicle: name.Draw(r, "vehicle"),
		Customer: person("customer"), Collector: person("collector"),
		Transfers: rapid.SliceOfN(rapid.Custom(func(r *rapid.T) reservation.ID {
			return reservation.ID{0: b.Draw(r, "transfer"), 15: b.Draw(r, "transfer")}
		}), 0, 3).Draw(r, "transfers"),
		Lines: rapid.SliceOfN(rapid.Custom(func(r *rapid.T) OrderLine {
			return OrderLine{
				SKU: u32.Draw(r, "sku"), From: u32.Draw(r, "from"), Quantity: u32.Draw(r, "quantity"), Collected: u32.Draw(r, "collected"),
				Missing: u32.Draw(r, "missing"), Cancelled: u32.Draw(r, "cancelled"), Returned: u32.Draw(r, "returned"), Damaged: u32.Draw(r, "damaged"),
			}
		}), 0, 5).Draw(r, "lines"),
		History: rapid.SliceOfN(rapid.Custom(func(r *rapid.T) OrderStep {
			return OrderStep{at.Draw(r, "time"), rapid.Uint64().Draw(r, "sequence"), b.Draw(r, "move"), b.Draw(r, "state"), name.Draw(r, "by"), name.Draw(r, "reason")}
		}), 0, 5).Draw(r, "history"),
	}
}

// TestOrderRoundTrip reads orders as they lie in memory and in checkpoints; cut short, or with something behind it, none is one.
func TestOrderRoundTrip(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		o := drawnOrder(r)
		b := AppendOrder([]byte("before"), o)[len("before"):]
		read := func(b []byte) (o Order, err error) {
			d := NewDecoder(b)
			d.Order(&o)
			return o, d.End()
		}
		scratch := bytes.Clone(b)
		back, err := read(scratch)
		for i := range scratch {
			scratch[i] = 0xEE // what was read must not lie in it
		}
		if err != nil || !same(&Record{Order: &back}, &Record{Order: o}) {
			r.Fatalf("read %+v, %v\nwrote %+v", back, err, o)
		}
		if _, err := read(b[:rapid.IntRange(0, len(b)-1).Draw(r, "cut")]); !errors.Is(err, ErrCorrupt) {
			r.Errorf("cut short: %v", err)
		}
		if _, err := read(append(bytes.Clone(b), 0)); !errors.Is(err, ErrCorrupt) {
			r.Errorf("with a byte behind it: %v", err)
		}
	})
}

func TestDecodeRefusesOrdersThatItDoesNotKnow(t *testing.T) {
	o := Order{State: 1, Location: 2}
	sound := AppendOrder(nil, &o)
	const version, state, deadline, flags = 0, 1 + 3*16, 1 + 3*16 + 2 + 2 + 8, 1 + 3*16 + 2 + 2 + 8 + 7 + 1 + 5
	for name, at := range map[string]struct {
		byte int
		to   byte
	}{"version": {version, 2}, "no state": {state, 0}, "a time of another form": {deadline, 2}, "flags": {flags, byte(orderFlagsEnd)}} {
		b := bytes.Clone(sound)
		if b[at.byte] == at.to {
			t.Fatalf("%s: byte %d is %d already", name, at.byte, at.to)
		}
		b[at.byte] = at.to
		d := NewDecoder(b)
		d.Order(&Order{})
		if err := d.End(); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if d := NewDecoder(sound); true {
		if d.Order(&Order{}); d.End() != nil {
			t.Error(d.End())
		}
	}
}

// TestRecordRoundTrip decodes each record into one that was used before, from bytes that are overwritten afterwards: what
// is read is what was written, and nothing else.
func TestRecordRoundTrip(t *testing.T) {
	used := &Record{}
	rapid.Check(t, func(r *rapid.T) {
		rec := drawn(r)
		before := normal(rec)
		prefix := []byte("before")
		b := Append(bytes.Clone(prefix), rec)
		if !bytes.HasPrefix(b, prefix) {
			r.Fatal("what was in dst is gone")
		}
		b = b[len(prefix):]
		if !reflect.DeepEqual(normal(rec), before) {
			r.Fatal("encoding changed the record")
		}
		if at := TimeOf(b); at != rec.Time {
			r.Errorf("the time is %d, want %d", at, rec.Time)
		}
		if key, ok := KeyOf(b); ok != (rec.Answer.Key != [16]byte{}) || key != rec.Answer.Key {
			r.Errorf("the key is %x, %v, want %x", key, ok, rec.Answer.Key)
		}
		scratch := bytes.Clone(b)
		if err := Decode(scratch, used); err != nil {
			r.Fatal(err)
		}
		for i := range scratch {
			scratch[i] = 0xEE
		}
		if !same(used, rec) {
			r.Fatalf("read %+v\nwrote %+v", used, rec)
		}
		// Cut short it is no record; nor is it with something behind it.
		cut := rapid.IntRange(0, len(b)-1).Draw(r, "cut")
		if err := Decode(b[:cut], &Record{}); !errors.Is(err, ErrCorrupt) {
			r.Errorf("cut to %d of %d bytes: %v", cut, len(b), err)
		}
		if err := Decode(append(b, 0), &Record{}); !errors.Is(err, ErrCorrupt) {
			r.Errorf("with a byte behind it: %v", err)
		}
	})
}

func TestDecodeRefusesWhatItDoesNotKnow(t *testing.T) {
	sound := Append(nil, examples()[0])
	for name, change := range map[string]func(b []byte){
		"version":        func(b []byte) { b[0]++ },
		"kind 0":         func(b []byte) { b[1] = 0 },
		"kind":           func(b []byte) { b[1] = byte(kindEnd) },
		"part":           func(b []byte) { b[3] |= 0x80 },
		"a cell's flags": func(b []byte) { b[headBytes+16+8+1] |= byte(cellFlagsEnd) },
	} {
		b := bytes.Clone(sound)
		change(b)
		if err := Decode(b, &Record{}); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestLimits encodes a record at each limit and just past it. What the engine may write is far below; what damage may
// claim is not read.
func TestLimits(t *testing.T) {
	for name, c := range map[string]struct {
		most int
		with func(n int) *Record
	}{
		"cells": {cellsMax, func(n int) *Record { return &Record{Kind: StockSet, Cells: make([]Cell, n)} }},
		"lines": {linesMax, func(n int) *Record {
			return &Record{Kind: ReservationHeld, Reservation: reservation.Reservation{State: reservation.Held, Lines: make([]reservation.Line, n)}}
		}},
		"refusals": {refusalsLimit, func(n int) *Record { return &Record{Kind: ReservationRefused, Refusals: make([]Refusal, n)} }},
		"passed over": {refusalsLimit, func(n int) *Record {
			return &Record{Kind: ReservationHeld, PassedOver: make([]Refusal, n)}
		}},
		"shortages": {shortagesMax, func(n int) *Record { return &Record{Kind: StockAdjusted, Shortages: make([]Shortage, n)} }},
		"at risk": {atRiskMax, func(n int) *Record {
			return &Record{Kind: StockAdjusted, Shortages: []Shortage{{AtRisk: make([]reservation.ID, n)}}}
		}},
		"lines of a transfer": {linesMax, func(n int) *Record {
			return &Record{Kind: TransferMoved, Transfer: Transfer{State: 1, Lines: make([]TransferLine, n)}}
		}},
		"transfers of an order": {orderLinesMax, func(n int) *Record {
			return &Record{Kind: OrderMoved, Order: &Order{State: 1, Transfers: make([]reservation.ID, n)}}
		}},
		"lines of an order": {orderLinesMax, func(n int) *Record {
			return &Record{Kind: OrderMoved, Order: &Order{State: 1, Lines: make([]OrderLine, n)}}
		}},
		"steps of an order": {orderHistoryMax, func(n int) *Record {
			return &Record{Kind: OrderMoved, Order: &Order{State: 1, History: make([]OrderStep, n)}}
		}},
		"text": {textBytesMax, func(n int) *Record { return &Record{Kind: SKUSet, SKU: SKU{ID: 1, Title: strings.Repeat("x", n)}} }},
	} {
		rec := c.with(c.most)
		if back := mustDecode(t, Append(nil, rec)); !same(back, rec) {
			t.Errorf("%s: %d are not read as they were written", name, c.most)
		}
		if err := Decode(Append(nil, c.with(c.most+1)), &Record{}); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %d are read: %v", name, c.most+1, err)
		}
	}
}

// TestNumbersTooLargeAreRefused, where the field they belong to is smaller than what a varint can say.
func TestNumbersTooLargeAreRefused(t *testing.T) {
	for name, b := range map[string][]byte{
		"2³²":                  {0x80, 0x80, 0x80, 0x80, 0x10},
		"more than 64 bits":    bytes.Repeat([]byte{0xFF}, 11),
		"a number cut short":   {0x80},
		"no number whatsoever": {},
	} {
		d := NewDecoder(b)
		if v := d.Uint32(); v != 0 || !errors.Is(d.Err(), ErrCorrupt) {
			t.Errorf("%s: %d, %v", name, v, d.Err())
		}
	}
	d := NewDecoder([]byte{0xFF, 0xFF, 0xFF, 0xFF, 0x0F})
	if v := d.Uint32(); v != math.MaxUint32 || d.End() != nil {
		t.Errorf("2³²−1: %d, %v", v, d.Err())
	}
	// A quantity has a bit more, for what was moved.
	held := reservation.Reservation{State: reservation.Held, Lines: []reservation.Line{{Quantity: math.MaxUint32}}}
	b := AppendReservation(nil, &held)
	b[len(b)-1]++
	if d := NewDecoder(b); true {
		d.Reservation(&reservation.Reservation{})
		if !errors.Is(d.End(), ErrCorrupt) {
			t.Errorf("a quantity of 2³²: %v", d.Err())
		}
	}
}

// TestNobodyIsNoOwner: that a reservation has no owner is said in one way only.
func TestNobodyIsNoOwner(t *testing.T) {
	b := AppendReservation(nil, &reservation.Reservation{State: reservation.Held, Owner: 1, Lines: []reservation.Line{{Quantity: 1}}})
	r := reservation.Reservation{Owner: 7}
	if d := NewDecoder(b); true {
		if d.Reservation(&r); d.End() != nil || r.Owner != 1 || r.State != reservation.Held {
			t.Errorf("read as %+v, %v", r, d.Err())
		}
	}
	b[1+len(r.ID)] = 0
	if d := NewDecoder(b); true {
		if d.Reservation(&r); !errors.Is(d.End(), ErrCorrupt) {
			t.Errorf("owner 0: %v", d.Err())
		}
	}
}

// TestAfterTheFirstErrorADecoderAnswersZero: whoever forgets to ask in between reads nothing that was not there.
func TestAfterTheFirstErrorADecoderAnswersZero(t *testing.T) {
	d := NewDecoder([]byte{5, 'a', 'b'})
	if s := d.Text(); s != "" {
		t.Errorf("a text of 5 bytes of which 2 are there: %q", s)
	}
	first := d.Err()
	if !errors.Is(first, ErrCorrupt) || d.More() {
		t.Errorf("%v, more: %v", first, d.More())
	}
	if d.Byte() != 0 || d.Uint64() != 0 || d.Uvarint() != 0 || d.Varint() != 0 || d.Uint32() != 0 || d.Text() != "" || len(d.Bytes()) != 0 {
		t.Error("something was read after the error")
	}
	if d.Err() != first || d.End() != first {
		t.Errorf("the first error was %v, now it is %v", first, d.Err())
	}
}

func TestBytesArePartOfWhatIsDecoded(t *testing.T) {
	d := NewDecoder([]byte{2, 'a', 'b', 0, 3, 'x'})
	if b := d.Bytes(); string(b) != "ab" {
		t.Errorf("%q", b)
	}
	if b := d.Bytes(); len(b) != 0 || d.Err() != nil || !d.More() {
		t.Errorf("%q, %v", b, d.Err())
	}
	if b := d.Bytes(); b != nil || !errors.Is(d.Err(), ErrCorrupt) {
		t.Errorf("%q, %v", b, d.Err())
	}
}

func TestKeyAndTimeOfWhatIsNoRecord(t *testing.T) {
	for n := range headBytes {
		if TimeOf(make([]byte, n)) != 0 {
			t.Errorf("%d bytes have a time", n)
		}
	}
	b := Append(nil, &Record{Kind: StockSet, Answer: Answer{Key: [16]byte{1}}})
	for n := range headBytes + 16 {
		if _, ok := KeyOf(b[:n]); ok {
			t.Errorf("%d bytes have a key", n)
		}
	}
}

// FuzzOrder feeds the decoder of orders whatever comes, as FuzzDecode does with records.
func FuzzOrder(f *testing.F) {
	for _, r := range examples() {
		if r.Order != nil {
			f.Add(AppendOrder(nil, r.Order))
		}
	}
	f.Add(AppendOrder(nil, &Order{State: 10, Ended: -1, Flags: Erased}))
	f.Add([]byte{orderVersion})
	f.Fuzz(func(t *testing.T, b []byte) {
		var o, again Order
		d := NewDecoder(b)
		if d.Order(&o); d.End() != nil {
			if !errors.Is(d.End(), ErrCorrupt) {
				t.Errorf("an error of another kind: %v", d.End())
			}
			return
		}
		once := AppendOrder(nil, &o)
		d = NewDecoder(once)
		if d.Order(&again); d.End() != nil {
			t.Fatal(d.End())
		}
		if twice := AppendOrder(nil, &again); !bytes.Equal(once, twice) {
			t.Errorf("written as %x, and read and written again as %x", once, twice)
		}
	})
}

// FuzzDecode feeds the decoder whatever comes. What it accepts it can write, and read again as the same.
func FuzzDecode(f *testing.F) {
	for _, r := range examples() {
		f.Add(Append(nil, r))
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		r := &Record{}
		if err := Decode(b, r); err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("an error of another kind: %v", err)
			}
			return
		}
		TimeOf(b)
		KeyOf(b)
		// Numbers may be written longer than needed, and parts may be there that are empty; so only what the second
		// writing says must be stable.
		once := Append(nil, r)
		again := mustDecode(t, once)
		if twice := Append(nil, again); !bytes.Equal(once, twice) {
			t.Errorf("written as %x, and read and written again as %x", once, twice)
		}
	})
}
