// Counts the rows of a table: the quick start of docs/go.md.
package main

import (
	"context"
	"fmt"
	"os"

	maxstorage "maxstorage.local/go"
)

func count(endpoint, table string) (rows int64, err error) {
	ctx := context.Background()
	client, err := maxstorage.Open(maxstorage.Options{"endpoint": endpoint}) // ALIBABA_CLOUD_ACCESS_KEY_ID and ..._SECRET
	if err != nil {
		return 0, err
	}
	defer client.Close()
	session, err := client.Read(ctx, table)
	if err != nil {
		return 0, err
	}
	defer session.Close()
	scan, err := session.Scan()
	if err != nil {
		return 0, err
	}
	defer scan.Close()
	for batch, err := range scan.Batches(ctx) {
		if err != nil {
			return 0, err
		}
		rows += batch.NumRows()
	}
	return rows, nil
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: hello ENDPOINT PROJECT.SCHEMA.TABLE")
		os.Exit(2)
	}
	rows, err := count(os.Args[1], os.Args[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, "hello:", err)
		os.Exit(1)
	}
	fmt.Println(rows, "rows")
}
