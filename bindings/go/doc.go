// Package maxstorage reads MaxCompute tables as Arrow record batches over the Storage API.
//
//	client, err := maxstorage.Open(maxstorage.Options{"endpoint": url, "access_key_id": id, "access_key_secret": secret, "project": "p"})
//	session, err := client.Read(ctx, "lineitem", maxstorage.Columns("l_orderkey"), maxstorage.SplitByRows(1_000_000))
//	scan, err := session.Scan()
//	for batch, err := range scan.Batches(ctx) { ... }
//
// It is a thin layer over libmaxstorage through cgo: every call is a call of the C interface, whose header tells the rules. Clients and
// sessions may be used from any goroutine at any time, a split by one goroutine at a time, a scan by any number. Close frees a handle,
// may be called twice and in any order; a handle that is forgotten is freed by the garbage collector. A context that ends cancels the
// read for good, as ms_split_cancel does; a deadline of a context only ends the call.
//
// The library is found through pkg-config; the build tag maxstorage_static links the static one.
package maxstorage

// #cgo !maxstorage_static pkg-config: maxstorage
// #cgo maxstorage_static pkg-config: maxstorage-static
// #include <maxstorage.h>
import "C"

import (
	"fmt"
	"time"
)

// Features of the library that is linked: a bit for each MS_FEATURE_ constant of the header.
func Features() uint64 { return uint64(C.ms_features()) }

// Version of the library that is linked.
func Version() string { return C.GoString(C.ms_version()) }

// BuildInfo tells how the library was built: version, target and profile, for bug reports.
func BuildInfo() string { return C.GoString(C.ms_build_info()) }

// Shutdown waits until no thread of the library is left, for hosts that must see them gone. It fails with WrongState while anything is
// open, and with Timeout; a later Open starts the threads again.
func Shutdown(timeout time.Duration) error {
	return failure(C.ms_shutdown(C.int64_t(timeout.Milliseconds())), nil)
}

// LiveHandles counts the handles of the library that are alive, for tests.
func LiveHandles() int64 { return int64(C.ms_live_handles()) }

func init() {
	if header, library := int32(C.MS_ABI_VERSION), int32(C.ms_abi_version()); header != library {
		panic(fmt.Sprintf("maxstorage: built with ABI %d, linked with a library of ABI %d", header, library))
	}
}
