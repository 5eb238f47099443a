// Go over bindings/go: `go ENDPOINT TOKEN-FILE TIMES` imports every batch of every split into arrow-go; prints the rows as JSON.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strconv"

	maxstorage "maxstorage.local/go"
)

func main() {
	rows, err := read(os.Args[1], os.Args[2], os.Args[3])
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("{\"rows\": %d}\n", rows)
}

func read(endpoint, file, count string) (rows int64, err error) {
	times, err := strconv.Atoi(count)
	if err != nil {
		return 0, err
	}
	token, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	client, err := maxstorage.Open(maxstorage.Options{"endpoint": endpoint, "access_key_id": "local", "access_key_secret": "local"})
	if err != nil {
		return 0, err
	}
	defer client.Close()
	session, err := client.Attach(token)
	if err != nil {
		return 0, err
	}
	defer session.Close()
	for range times {
		for index := range session.Splits() {
			split, err := session.Split(index)
			if err != nil {
				return 0, err
			}
			for batch, err := range split.Batches(context.Background()) {
				if err != nil {
					return 0, err
				}
				rows += batch.NumRows()
			}
			split.Close()
		}
	}
	return rows, nil
}
