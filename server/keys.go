package server

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// Scope is a kind of request that a key may make.
type Scope uint8

// The scopes. Admin includes all others.
const (
	ScopeRead Scope = 1 << iota
	ScopeReserve
	ScopeStock
	ScopeAdmin
	scopeEnd
)

// scopePublic is for calls that need no key: what they are about is secret by itself.
const scopePublic Scope = 0

const allScopes = scopeEnd - 1

var scopeNames = map[Scope]string{ScopeRead: "read", ScopeReserve: "reserve", ScopeStock: "stock", ScopeAdmin: "admin"}

// ParseScopes reads names of scopes.
func ParseScopes(names []string) (Scope, error) {
	var all Scope
next:
	for _, name := range names {
		for s, n := range scopeNames {
			if n == name {
				all |= s
				continue next
			}
		}
		return 0, fmt.Errorf("scope is %q, want read, reserve, stock or admin", name)
	}
	if all&ScopeAdmin != 0 {
		all = allScopes
	}
	return all, nil
}

// Names returns the scopes' names.
func (s Scope) Names() []string {
	var names []string
	for one := ScopeRead; one < scopeEnd; one <<= 1 {
		if s&one != 0 {
			names = append(names, scopeNames[one])
		}
	}
	return names
}

// Key is an API key as it is stored: never the secret, only its hash. The secret has 256 bits from the system's random
// source, so a plain SHA-256 can't be searched.
type Key struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Scopes  []string  `json:"scopes"`
	Hash    string    `json:"hash"` // SHA-256 of the secret, hexadecimal
	Created time.Time `json:"created"`
	// Expires is when the key stops being let in; zero = never.
	Expires time.Time `json:"expires,omitzero"`
}

// Keys are the API keys in a file, looked at again when the file changes.
//
// A key as its bearer holds it is "ohk_ID_SECRET", sent as "Authorization: Bearer ohk_ID_SECRET".
type Keys struct {
	path    string
	current atomic.Pointer[keySet]
	// needed is set once there were keys: with the last one revoked, or the file gone, nobody is let in, instead of
	// everybody.
	needed atomic.Bool
}

type keySet struct {
	byID     map[string]*knownKey
	modified time.Time
	size     int64
}

type knownKey struct {
	Key
	scopes Scope
	hash   [sha256.Size]byte
}

const keyPrefix = "ohk_"

// LoadKeys reads the keys in a file. There need not be one yet.
func LoadKeys(path string) (*Keys, error) {
	k := &Keys{path: path}
	return k, k.Reload()
}

// Reload reads the file again if it has changed. Where it can't be read, the keys known before stay.
func (k *Keys) Reload() error {
	info, err := os.Stat(k.path)
	if errors.Is(err, fs.ErrNotExist) {
		k.current.Store(&keySet{})
		return nil
	}
	if err != nil {
		return fmt.Errorf("API keys: %w", err)
	}
	if have := k.current.Load(); have != nil && have.modified.Equal(info.ModTime()) && have.size == info.Size() {
		return nil
	}
	keys, err := readKeys(k.path)
	if err != nil {
		return err
	}
	set := &keySet{byID: make(map[string]*knownKey), modified: info.ModTime(), size: info.Size()}
	for _, key := range keys {
		known := &knownKey{Key: key}
		if known.scopes, err = ParseScopes(key.Scopes); err != nil {
			return fmt.Errorf("API keys: %s: key %s: %w", k.path, key.ID, err)
		}
		hash, err := hex.DecodeString(key.Hash)
		if err != nil || len(hash) != len(known.hash) {
			return fmt.Errorf("API keys: %s: key %s has no sound hash", k.path, key.ID)
		}
		copy(known.hash[:], hash)
		set.byID[key.ID] = known
	}
	k.current.Store(set)
	if len(set.byID) > 0 {
		k.needed.Store(true)
	}
	return nil
}

// Any reports whether there are keys, or were since they were loaded: whether a request needs one.
func (k *Keys) Any() bool { return k != nil && k.needed.Load() }

// find returns the key that a bearer holds.
func (k *Keys) find(bearer string, now time.Time) (*knownKey, bool) {
	rest, ok := strings.CutPrefix(bearer, keyPrefix)
	if !ok {
		return nil, false
	}
	id, secret, ok := strings.Cut(rest, "_")
	if !ok {
		return nil, false
	}
	key, ok := k.current.Load().byID[id]
	if !ok {
		return nil, false
	}
	hash := sha256.Sum256([]byte(secret))
	if subtle.ConstantTimeCompare(hash[:], key.hash[:]) != 1 || !key.Expires.IsZero() && !now.Before(key.Expires) {
		return nil, false
	}
	return key, true
}

// CreateKey makes a key, adds it to the file, and returns what its bearer is to be given; it is shown this once.
func CreateKey(path, name string, scopes []string, expires time.Time) (bearer string, key Key, err error) {
	if _, err := ParseScopes(scopes); err != nil {
		return "", Key{}, err
	}
	if name == "" || len(name) > 64 {
		return "", Key{}, fmt.Errorf("name is %q, want 1 to 64 bytes", name)
	}
	keys, err := readKeys(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", Key{}, err
	}
	var random [6 + 32]byte
	if _, err := rand.Read(random[:]); err != nil {
		return "", Key{}, err
	}
	id := hex.EncodeToString(random[:6])
	secret := base64.RawURLEncoding.EncodeToString(random[6:])
	hash := sha256.Sum256([]byte(secret))
	key = Key{
		ID: id, Name: name, Scopes: scopes, Hash: hex.EncodeToString(hash[:]),
		Created: time.Now().UTC().Truncate(time.Second), Expires: expires,
	}
	return keyPrefix + id + "_" + secret, key, writeKeys(path, append(keys, key))
}

// ListKeys returns the keys in a file.
func ListKeys(path string) ([]Key, error) {
	keys, err := readKeys(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return keys, err
}

// RevokeKey takes a key out of the file. A server that reads the file lets it in no more from the next look on.
func RevokeKey(path, id string) error {
	keys, err := readKeys(path)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(keys, func(k Key) bool { return k.ID == id })
	if i < 0 {
		return fmt.Errorf("there is no key with id %q", id)
	}
	return writeKeys(path, slices.Delete(keys, i, i+1))
}

func readKeys(path string) ([]Key, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("API keys: %w", err)
	}
	var keys []Key
	if err := json.Unmarshal(text, &keys); err != nil {
		return nil, fmt.Errorf("API keys: %s: %w", path, err)
	}
	return keys, nil
}

// writeKeys replaces the file in one step, so that a server never reads half of it.
func writeKeys(path string, keys []Key) error {
	text, err := json.MarshalIndent(keys, "", "  ")
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("API keys: %w", err)
	}
	_, err = file.Write(append(text, '\n'))
	if err = errors.Join(err, file.Chmod(0o600), file.Sync(), file.Close()); err != nil {
		return errors.Join(fmt.Errorf("API keys: %w", err), os.Remove(file.Name()))
	}
	return os.Rename(file.Name(), path)
}
