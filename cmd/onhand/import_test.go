package main

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

// A query that feeds a pipe may take longer to find its first row than a server waits for one.
func TestAnImportFromAPipeBeginsWithItsFirstByte(t *testing.T) {
	const readTimeout = time.Second
	p, err := startProcess(program(t), t.TempDir(), os.Environ(), "db", "--read-timeout", readTimeout.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	in, out := io.Pipe()
	go func() {
		time.Sleep(2 * readTimeout)
		_, err := io.WriteString(out, "sku,location,on_hand\ntea,lyon,3\n")
		_ = out.CloseWithError(err)
	}()
	var said, complained bytes.Buffer
	if status := run([]string{"import", "--to", "http://" + p.address, "-"}, in, &said, &complained); status != exitOK {
		t.Fatalf("status %d: %s", status, &complained)
	}
	if want := "1 rows: 1 applied, 0 failed"; !strings.HasPrefix(said.String(), want) {
		t.Errorf("it says %q, want %q", &said, want)
	}
}
