package engine

import (
	"unsafe"

	"onhand/engine/internal/record"
)

// orderEntry is an order as it is kept: what is looked at again and again, and behind it, in the same piece of memory, the locations
// that have to send units of it (places) and the order as it is stored (encoded). There is no pointer in it, so a million orders are
// a million objects that the garbage collector need not look into. As three objects each, with pointers from one to the next, they
// took a sixth of the processor time of placing orders.
//
// It is made by newOrderEntry only, and never changed.
type orderEntry struct {
	id, hold   ID
	token      Token
	state      OrderState
	erased     bool
	location   uint32
	due        int64 // deadline of a live order, 0 = none; end of another
	remindAt   int64
	ended      int64
	sequence   uint64
	reference  uint64 // hash; 0 = none
	customer   uint64 // hash; 0 = none
	owner      uint64 // hash; 0 = none
	digestFact uint64

	placesLength, encodedLength uint32
}

const orderEntrySize = int(unsafe.Sizeof(orderEntry{}))

// newOrderEntry returns an entry with what is behind it. places are where units of the order are held other than its location: nowhere,
// as a rule.
func newOrderEntry(e orderEntry, places []uint32, encoded []byte) *orderEntry {
	e.placesLength, e.encodedLength = uint32(len(places)), uint32(len(encoded))
	// Memory of more than eight bytes is aligned for what an entry is made of.
	memory := make([]byte, orderEntrySize+4*len(places)+len(encoded))
	entry := (*orderEntry)(unsafe.Pointer(unsafe.SliceData(memory)))
	*entry = e
	copy(entry.places(), places)
	copy(entry.encoded(), encoded)
	return entry
}

// places are the locations other than its own where units of the order are held, to be sent. They are not to be changed.
func (e *orderEntry) places() []uint32 {
	if e.placesLength == 0 {
		return nil
	}
	return unsafe.Slice((*uint32)(unsafe.Add(unsafe.Pointer(e), orderEntrySize)), e.placesLength)
}

// encoded is the order as it is stored. It is not to be changed.
func (e *orderEntry) encoded() []byte {
	behind := orderEntrySize + 4*int(e.placesLength)
	return unsafe.Slice((*byte)(unsafe.Pointer(e)), behind+int(e.encodedLength))[behind:]
}

// inQueue is the order's key in each queue that it is in.
func (e *orderEntry) inQueue() timeKey {
	if e.due == 0 { // none that has ended: that it has is told by when
		return timeKey{noDeadline, e.id}
	}
	return timeKey{e.due, e.id}
}

// decode reads the order.
func (e *orderEntry) decode(o *record.Order) error {
	d := record.NewDecoder(e.encoded())
	d.Order(o)
	return d.End()
}
