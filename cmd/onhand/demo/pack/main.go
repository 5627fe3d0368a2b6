// Command pack makes the demo's data out of the public files that it comes from (../data/NOTICE.md):
//
//	go run ./cmd/onhand/demo/pack SOURCE cmd/onhand/demo/data
//
// SOURCE is a directory with the files stores.json, online_retail.csv.gz and transactions.csv.gz.
package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: pack SOURCE DESTINATION")
		os.Exit(2)
	}
	if err := pack(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

func pack(from, to string) error {
	stores, err := readStores(filepath.Join(from, "stores.json"))
	if err != nil {
		return err
	}
	if err := write(filepath.Join(to, "stores.csv.zst"), stores); err != nil {
		return err
	}
	shares, err := readShares(filepath.Join(from, "transactions.csv.gz"))
	if err != nil {
		return err
	}
	if err := write(filepath.Join(to, "shares.csv.zst"), shares); err != nil {
		return err
	}
	retail, err := readRetail(filepath.Join(from, "online_retail.csv.gz"))
	if err != nil {
		return err
	}
	if err := write(filepath.Join(to, "articles.csv.zst"), retail.articleRows()); err != nil {
		return err
	}
	return write(filepath.Join(to, "orders.csv.zst"), retail.orderRows())
}

func write(name string, rows [][]string) error {
	var text bytes.Buffer
	if err := csv.NewWriter(&text).WriteAll(rows); err != nil {
		return err
	}
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithWindowSize(8<<20))
	if err != nil {
		return err
	}
	packed := encoder.EncodeAll(text.Bytes(), nil)
	fmt.Printf("%s: %d rows, %d bytes packed into %d\n", name, len(rows)-1, text.Len(), len(packed))
	return os.WriteFile(name, packed, 0o644)
}
