package maxstorage

// #include <stdlib.h>
// #include <maxstorage.h>
import "C"

import (
	"fmt"
	"sort"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
)

// Options are keys and values; docs/options.md lists them. One map may serve a client, a session and a read: each takes its own keys.
type Options map[string]any

// Option adds to the options of a call.
type Option func(Options)

// Set sets any key: a string, bool or number, or a []string for a key that holds a list.
func Set(key string, value any) Option { return func(o Options) { o[key] = value } }

// Columns are the data columns to read.
func Columns(names ...string) Option { return Set("columns", names) }

// PartitionColumns are the partition columns to read, behind the data columns.
func PartitionColumns(names ...string) Option { return Set("partition_columns", names) }

// Partitions are the partitions to read, each "key=value/key=value".
func Partitions(specs ...string) Option { return Set("partitions", specs) }

// FilterText is a filter in the grammar of the service.
func FilterText(text string) Option { return Set("filter.text", text) }

// Exact has the library evaluate the filter itself, so that only rows that match arrive.
func Exact() Option { return Set("filter.exact", true) }

// SplitBySize cuts the table by stored bytes.
func SplitBySize(bytes int64) Option { return splits("size", "split.size_bytes", bytes) }

// SplitByCount cuts the table into about so many splits.
func SplitByCount(count int64) Option { return splits("parallelism", "split.parallelism", count) }

// SplitByRows cuts the table into splits of so many rows.
func SplitByRows(rows int64) Option { return splits("row_offset", "split.rows", rows) }

// SplitByBucket makes a split of each bucket of a clustered table.
func SplitByBucket() Option { return Set("split.mode", "bucket") }

func splits(mode, key string, value int64) Option {
	return func(o Options) { o["split.mode"], o[key] = mode, value }
}

// Compression on the wire: "none", "lz4" or "zstd".
func Compression(kind string) Option { return Set("read.compression", kind) }

func (o Options) with(more []Option) Options {
	all := make(Options, len(o)+len(more))
	for key, value := range o {
		all[key] = value
	}
	for _, add := range more {
		add(all)
	}
	return all
}

// Describe calls a function with one batch: every option of this version with its type, range, default and text, and the value that is
// set here. The batch is released afterwards.
func (o Options) Describe(take func(arrow.RecordBatch) error) error {
	native, err := o.native()
	if err != nil {
		return err
	}
	defer C.ms_options_free(native)
	reader, err := importStream(func(out *C.struct_ArrowArrayStream, reported **C.ms_error) C.ms_status {
		return C.ms_options_describe(native, out, reported)
	})
	if err != nil {
		return err
	}
	return drain(reader, take)
}

// attachments are keys that are none of the library: they carry functions of the host through Options.
var attachments = map[string]func(*C.ms_options, any) error{providerKey: setProvider, hooksKey: setMemoryHooks, retryKey: setRetryHook, readEndKey: setReadEnd, spanKey: setSpan}

// native makes the object of the library; the caller frees it.
func (o Options) native() (*C.ms_options, error) {
	made := C.ms_options_new()
	keys := make([]string, 0, len(o))
	for key := range o {
		keys = append(keys, key)
	}
	sort.Strings(keys) // the same failure every time
	for _, key := range keys {
		if attach, isFunction := attachments[key]; isFunction {
			if err := attach(made, o[key]); err != nil {
				C.ms_options_free(made)
				return nil, err
			}
			continue
		}
		values, isList := o[key].([]string)
		if !isList {
			values = []string{fmt.Sprint(o[key])}
		}
		for _, value := range values {
			if err := set(made, key, value, isList); err != nil {
				C.ms_options_free(made)
				return nil, err
			}
		}
	}
	return made, nil
}

func set(options *C.ms_options, key, value string, isList bool) error {
	var err *C.ms_error
	k, v := C.CString(key), C.CString(value)
	defer C.free(unsafe.Pointer(k))
	defer C.free(unsafe.Pointer(v))
	if isList {
		return failure(C.ms_options_add(options, k, v, &err), err)
	}
	return failure(C.ms_options_set(options, k, v, &err), err)
}
