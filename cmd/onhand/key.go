package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"onhand/server"
)

type keyCommand struct {
	New    keyNewCommand    `cmd:"" help:"Make an API key and print it, this once."`
	List   keyListCommand   `cmd:"" help:"List the API keys, without their secrets."`
	Revoke keyRevokeCommand `cmd:"" help:"Let an API key in no more."`
}

// Help explains what becomes of changes.
func (keyCommand) Help() string {
	return `A running server notices within seconds. It keeps the hashes of the keys only.`
}

// keysFile is where API keys lie.
type keysFile struct {
	Dir  string `help:"Directory of the database whose keys are meant." type:"path" xor:"keys"`
	Keys string `help:"File of API keys, where serve was given one by --keys." type:"path" placeholder:"FILE" xor:"keys"`
}

func (k *keysFile) path() (string, error) {
	switch {
	case k.Keys != "":
		return k.Keys, nil
	case k.Dir != "":
		return filepath.Join(k.Dir, keysName), nil
	}
	return "", exitError{errors.New("whose keys? Name the database with --dir, or the file with --keys"), exitUsage}
}

type keyNewCommand struct {
	Name      string   `arg:"" help:"Who will use the key: a word for lists and logs."`
	Scope     []string `help:"What it allows: read, reserve, stock (counts, adjustments, imports, the catalogue), or admin (all of it and backups)." required:""`
	ExpiresIn period   `help:"After what time it is let in no more, such as 90d; otherwise never." placeholder:"TIME"`
	keysFile
}

// Run makes a key.
func (c *keyNewCommand) Run(s *streams) error {
	path, err := c.path()
	if err != nil {
		return err
	}
	if _, err := server.ParseScopes(c.Scope); err != nil {
		return exitError{err, exitUsage}
	}
	var expires time.Time
	if c.ExpiresIn != 0 {
		expires = time.Now().Add(time.Duration(c.ExpiresIn)).UTC().Truncate(time.Second)
	}
	// Keys come before a server that listens beyond loopback, so the database may not be there yet.
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	bearer, key, err := server.CreateKey(path, c.Name, c.Scope, expires)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.err, "Key %s is in %s. What follows is shown this once; it is sent as \"Authorization: Bearer …\".\n", key.ID, path)
	fmt.Fprintln(s.out, bearer)
	return nil
}

type keyListCommand struct {
	keysFile
}

// Run lists the keys.
func (c *keyListCommand) Run(s *streams) error {
	path, err := c.path()
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Dir(path)); err != nil {
		return err // a mistyped directory is not one without keys
	}
	keys, err := server.ListKeys(path)
	if err != nil {
		return err
	}
	out := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "ID\tNAME\tSCOPES\tCREATED\tEXPIRES")
	for i := range keys {
		key := &keys[i]
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\n", key.ID, key.Name, strings.Join(key.Scopes, ","), moment(key.Created), expiry(key.Expires))
	}
	return out.Flush()
}

func moment(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func expiry(t time.Time) string {
	switch {
	case t.IsZero():
		return "never"
	case time.Now().After(t):
		return moment(t) + " (over)"
	}
	return moment(t)
}

type keyRevokeCommand struct {
	ID string `arg:"" help:"Id of the key, as key list shows it."`
	keysFile
}

// Run takes a key out.
func (c *keyRevokeCommand) Run(s *streams) error {
	path, err := c.path()
	if err != nil {
		return err
	}
	if err := server.RevokeKey(path, c.ID); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "Key %s is revoked.\n", c.ID)
	return nil
}
