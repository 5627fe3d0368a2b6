package symbol

import (
	"fmt"
	"sync"
	"testing"
	"unsafe"

	"pgregory.net/rapid"
)

func TestIDsAreDenseAndNeverGivenAnotherName(t *testing.T) {
	names := rapid.OneOf(rapid.StringN(0, 2, -1), rapid.SampledFrom([]string{"", "a", "A", "é", "a/b c%20", "a\x00"}))
	rapid.Check(t, func(r *rapid.T) {
		table := New()
		ids := map[string]uint32{}
		bySequence := map[uint32]uint64{}
		sequence := uint64(0)
		for range rapid.IntRange(1, 60).Draw(r, "steps") {
			name := names.Draw(r, "name")
			want, known := ids[name]
			if id, ok := table.Lookup(name); ok != known || id != want {
				r.Fatalf("lookup of %q: %d, %v; want %d, %v", name, id, ok, want, known)
			}
			defined := 0
			id := table.Intern(name, func(id uint32, n string) uint64 {
				defined++
				if n != name || id != uint32(len(ids))+1 {
					r.Fatalf("%q is defined as %q, %d", name, n, id)
				}
				sequence += rapid.Uint64Range(0, 3).Draw(r, "passed")
				bySequence[id] = sequence
				return sequence
			})
			if known && (defined != 0 || id != want) || !known && (defined != 1 || id != uint32(len(ids))+1) {
				r.Fatalf("%q got id %d, defined %d times; it had %d, %v", name, id, defined, want, known)
			}
			ids[name] = id
		}
		if table.Len() != uint32(len(ids)) {
			r.Errorf("%d names, want %d", table.Len(), len(ids))
		}
		for name, id := range ids {
			if table.Name(id) != name || table.Since(id) != bySequence[id] {
				r.Errorf("id %d is %q since %d, want %q since %d", id, table.Name(id), table.Since(id), name, bySequence[id])
			}
		}
		for at := uint64(0); at <= sequence+1; at++ {
			want := uint32(0)
			for id, since := range bySequence {
				if since <= at {
					want = max(want, id)
				}
			}
			if got := table.Through(at); got != want {
				r.Errorf("through %d: id %d, want %d", at, got, want)
			}
		}
		// Replay gives every name its id again.
		again := New()
		for id := uint32(1); id <= table.Len(); id++ {
			if !again.Restore(id, table.Name(id), table.Since(id)) {
				r.Errorf("restoring %d failed", id)
			}
		}
		for name, id := range ids {
			if got, ok := again.Lookup(name); !ok || got != id || again.Since(id) != bySequence[id] || again.Name(id) != name {
				r.Errorf("restored, %q has id %d, %v", name, got, ok)
			}
		}
		if again.Bytes() != table.Bytes() {
			r.Errorf("%d bytes, restored %d", table.Bytes(), again.Bytes())
		}
	})
}

func TestNoIDIsWithoutAName(t *testing.T) {
	table := New()
	for _, id := range []uint32{None, 1, 5000, 1<<32 - 1} {
		if name := table.Name(id); name != "" {
			t.Errorf("id %d is %q", id, name)
		}
	}
	if _, ok := table.Lookup("nobody"); ok || table.Through(1<<63) != 0 {
		t.Error("an empty table knows a name")
	}
}

// TestRestoreRefusesWhatASoundJournalNeverAsksFor: gaps, and ids or names with a second meaning.
func TestRestoreRefusesWhatASoundJournalNeverAsksFor(t *testing.T) {
	table := New()
	for _, c := range []struct {
		id   uint32
		name string
		want bool
	}{
		{None, "zero", false},
		{2, "a gap", false},
		{1, "one", true},
		{1, "one", true},
		{1, "another name", false},
		{2, "one", false},
		{3, "a gap", false},
		{2, "two", true},
		{1, "one", true},
	} {
		if got := table.Restore(c.id, c.name, 7); got != c.want {
			t.Errorf("restoring %d as %q: %v", c.id, c.name, got)
		}
	}
	if table.Len() != 2 || table.Name(1) != "one" || table.Name(2) != "two" {
		t.Errorf("%d names: %q, %q", table.Len(), table.Name(1), table.Name(2))
	}
}

// TestNamesAreCopied: the caller's string may lie in a buffer that the next request overwrites.
func TestNamesAreCopied(t *testing.T) {
	for name, add := range map[string]func(table *Table, name string){
		"interned": func(table *Table, name string) { table.Intern(name, func(uint32, string) uint64 { return 0 }) },
		"restored": func(table *Table, name string) { table.Restore(1, name, 0) },
	} {
		buffer := []byte("lamp")
		table := New()
		add(table, unsafeString(buffer))
		copy(buffer, "sofa")
		if table.Name(1) != "lamp" {
			t.Errorf("%s: the name is now %q", name, table.Name(1))
		}
		if _, ok := table.Lookup("lamp"); !ok {
			t.Errorf("%s: the name is no longer found", name)
		}
	}
}

// TestANameIsSeenOnlyOnceItIsDefined: whoever finds an id also finds its name, and its definition has been written before.
func TestANameIsSeenOnlyOnceItIsDefined(t *testing.T) {
	table := New()
	const names, callers = 3000, 4
	var mu sync.Mutex
	defined := map[uint32]string{}
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for n := range names {
				name := fmt.Sprint("sku-", n)
				id := table.Intern(name, func(id uint32, name string) uint64 {
					mu.Lock()
					defer mu.Unlock()
					if _, twice := defined[id]; twice {
						t.Errorf("id %d is defined twice", id)
					}
					defined[id] = name
					return uint64(id)
				})
				if table.Name(id) != name {
					t.Errorf("id %d is %q, want %q", id, table.Name(id), name)
				}
			}
		})
		wg.Go(func() {
			for table.Len() < names {
				for n := range names {
					name := fmt.Sprint("sku-", n)
					id, ok := table.Lookup(name)
					if !ok {
						continue
					}
					mu.Lock()
					if defined[id] != name {
						t.Errorf("%q is seen as %d, defined is %q", name, id, defined[id])
					}
					mu.Unlock()
					if table.Name(id) != name || table.Through(uint64(id)) < id {
						t.Errorf("id %d is %q", id, table.Name(id))
					}
				}
			}
		})
	}
	wg.Wait()
	if table.Len() != names {
		t.Errorf("%d names, want %d", table.Len(), names)
	}
}

func unsafeString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
