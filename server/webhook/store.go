package webhook

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// saved is what is kept of an endpoint, as JSON in a file of its own.
type saved struct {
	Endpoint Endpoint       `json:"endpoint"`
	After    uint64         `json:"after"`
	Waiting  []savedWaiting `json:"waiting"`
	Missed   uint64         `json:"missed"`
	// Lanes says by which rule events were put into lanes: lanesBySubject, or 0 before there was one for each cell, SKU and location.
	Lanes int `json:"lanes,omitzero"`
}

const lanesBySubject = 1

// known drops what says nothing any more of what was taken. An outbox takes it that whatever precedes a waiting event in its lane was
// taken, or is waiting; where they were in different lanes when it was saved, that holds up to After only. What is dropped is read, and
// sent, again.
func (s *saved) known() {
	if s.Lanes < lanesBySubject {
		s.Waiting = slices.DeleteFunc(s.Waiting, func(w savedWaiting) bool { return w.Sequence > s.After })
	}
}

// savedWaiting is an event that will be sent again.
type savedWaiting struct {
	Sequence uint64    `json:"sequence"`
	Number   int       `json:"number,omitzero"` // of the event among those of its change
	Attempts int       `json:"attempts"`
	First    time.Time `json:"first,omitzero"`
	Due      time.Time `json:"due,omitzero"`
	Error    string    `json:"error,omitempty"`
}

func (w *savedWaiting) key() eventKey { return eventKey{w.Sequence, w.Number} }

const savedSuffix = ".json"

// image returns what is to be saved.
func (c *courier) image() *saved {
	after, waiting := c.outbox.settled(c.read)
	s := &saved{Endpoint: c.endpoint, After: after, Missed: c.status.Missed, Lanes: lanesBySubject}
	for _, e := range waiting {
		s.Waiting = append(s.Waiting, savedWaiting{e.sequence, e.number, e.attempts, e.first, e.due, e.lastErr})
	}
	slices.SortFunc(s.Waiting, func(a, b savedWaiting) int { return a.key().compare(b.key()) })
	return s
}

// save writes an endpoint's file. It appears under its name only once it is whole and synced.
func save(dir string, s *saved) (err error) {
	data, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return err
	}
	name := filepath.Join(dir, s.Endpoint.ID+savedSuffix)
	file, err := os.OpenFile(name+".tmp", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600) // it has secrets in it
	if err != nil {
		return err
	}
	_, err = file.Write(append(data, '\n'))
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return errors.Join(err, os.Remove(name+".tmp"))
	}
	return errors.Join(os.Rename(name+".tmp", name), syncDir(dir))
}

func remove(dir, id string) error {
	return errors.Join(os.Remove(filepath.Join(dir, id+savedSuffix)), syncDir(dir))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// load reads the files of all endpoints.
func load(dir string) ([]*saved, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []*saved
	for _, entry := range entries {
		id, ok := strings.CutSuffix(entry.Name(), savedSuffix)
		if !ok {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			return nil, err
		}
		s := &saved{}
		if err := json.Unmarshal(data, s); err != nil {
			return nil, fmt.Errorf("%s: %w", entry.Name(), err)
		}
		if s.Endpoint.ID != id {
			return nil, fmt.Errorf("%s: it is of endpoint %q", entry.Name(), s.Endpoint.ID)
		}
		if err := s.Endpoint.check(); err != nil {
			return nil, fmt.Errorf("%s: %w", entry.Name(), err)
		}
		s.known()
		all = append(all, s)
	}
	return all, nil
}
