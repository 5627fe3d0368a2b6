package engine

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"onhand/engine/internal/stock"
)

// Limits on what a request may hold. They are part of the interface: docs/openapi.yaml states them too.
const (
	// NameMax is the longest SKU or location id, in bytes.
	NameMax = 64
	// LinesMax is the most lines in one request; the largest basket in a year of a wholesaler's orders had 1,114.
	LinesMax = 2000
	// LineQuantityMax is the largest quantity of a reservation line.
	LineQuantityMax = 1<<31 - 1
	// QuantityMax is the largest on hand, and the largest change of it, either way.
	QuantityMax = 1_000_000_000_000
	// SafetyStockMax is the largest safety stock, and its negative the largest backorder allowance.
	SafetyStockMax = 2_000_000_000
	// ReferenceMax and ChannelMax are the longest of these texts, in bytes.
	ReferenceMax = 128
	ChannelMax   = 32
	// ByMax is the longest text that says who did something, in bytes.
	ByMax = 64
	// OwnerMax is the longest name of who asks for a reservation, in bytes.
	OwnerMax = 64
	// KeyMax is the longest idempotency key, in bytes.
	KeyMax = 255
)

// Line is one (SKU, location, quantity) of a request.
type Line struct {
	SKU, Location string
	Quantity      int64
}

// line is a line of a command under way: the SKU and location as integers, the same cell only once.
type line struct {
	sku, location uint32
	request       int // index of the first line of the request that it came from, if it is one of goods
	quantity      int64
	granted       int64
	reason        Reason
	stocked       bool
	view          stock.Cell // as of the decision, under the shard's lock

	resource *resource // what it holds if not goods
	guarded  bool      // a resource's shard is among the command's locks
}

// checkName refuses a name that can't be a SKU or a location.
func checkName(field, name string) error {
	if len(name) == 0 || len(name) > NameMax {
		return invalid(field, name, fmt.Sprintf("1 to %d bytes", NameMax))
	}
	return checkCharacters(field, name)
}

// checkText refuses a text that is too long or could not be written back out.
func checkText(field, text string, most int) error {
	if len(text) > most {
		return invalid(field, text, fmt.Sprintf("at most %d bytes", most))
	}
	return checkCharacters(field, text)
}

// checkCharacters refuses control characters, which no file format and no terminal passes on unharmed.
func checkCharacters(field, text string) error {
	for i := 0; i < len(text); i++ {
		if c := text[i]; c < ' ' || c == 0x7f {
			return invalid(field, text, "no control characters")
		}
	}
	if !utf8.ValidString(text) {
		return invalid(field, strings.ToValidUTF8(text, "\uFFFD"), "valid UTF-8")
	}
	return nil
}

// lineField names a field of a line for an error.
func lineField(i int, field string) string { return fmt.Sprintf("lines[%d].%s", i, field) }

// checkLines checks the number of lines, and the quantities with check.
func checkLines(lines []Line, check func(quantity int64) bool, want string) error {
	if len(lines) == 0 || len(lines) > LinesMax {
		return invalid("lines", fmt.Sprintf("%d lines", len(lines)), fmt.Sprintf("1 to %d lines", LinesMax))
	}
	for i := range lines {
		if !check(lines[i].Quantity) {
			return invalid(lineField(i, "quantity"), lines[i].Quantity, want)
		}
	}
	return nil
}

// checkNames checks the names of all lines, which are of goods.
func checkNames(lines []Line) error {
	for i := range lines {
		if err := checkSKUName("", lines[i].SKU); err != nil {
			return checkSKUName(lineField(i, "sku"), lines[i].SKU)
		}
		if err := checkName("", lines[i].Location); err != nil {
			return checkName(lineField(i, "location"), lines[i].Location)
		}
	}
	return nil
}

// mergeSmall is the number of lines up to which duplicates are looked for by comparing all pairs.
const mergeSmall = 16

// resolve turns the lines of a request into c.lines, adding up those for the same cell. Lines whose SKU or location is
// unknown carry the reason and stay apart. A name that is known is a good one, so only unknown ones are
// checked.
func (c *command) resolve(e *Engine, lines []Line) error {
	c.lines = c.lines[:0]
	var index map[uint64]int
	if len(lines) > mergeSmall {
		index = make(map[uint64]int, len(lines))
	}
next:
	for i := range lines {
		in := &lines[i]
		l := line{quantity: in.Quantity, request: i}
		var known bool
		if l.sku, known = e.skus.Lookup(in.SKU); !known {
			l.reason = UnknownSKU
		} else if l.location, known = e.lookupLocation(in.Location); !known {
			l.reason = UnknownLocation
		}
		if l.reason != 0 {
			if err := checkNames(lines[i : i+1]); err != nil {
				return checkNames(lines)
			}
			c.lines = append(c.lines, l)
			continue
		}
		cell := uint64(l.sku)<<32 | uint64(l.location)
		if index != nil {
			if at, ok := index[cell]; ok {
				c.lines[at].quantity += l.quantity
				continue
			}
			index[cell] = len(c.lines)
		} else {
			for j := range c.lines {
				if c.lines[j].sku == l.sku && c.lines[j].location == l.location && c.lines[j].reason == 0 {
					c.lines[j].quantity += l.quantity
					continue next
				}
			}
		}
		e.stock.Prefetch(l.sku, l.location)
		c.locks.Add(stock.ShardOf(l.sku))
		c.lines = append(c.lines, l)
	}
	return nil
}
