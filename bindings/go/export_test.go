package maxstorage

import (
	"context"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
)

// AddressOfValues is where the values of a column lie.
func AddressOfValues(column arrow.Array) uintptr {
	return uintptr(unsafe.Pointer(unsafe.SliceData(column.Data().Buffers()[1].Bytes())))
}

// NextWithAddress is Split.Next, and where the library had put the values of the first column.
func NextWithAddress(split *Split, ctx context.Context) (arrow.RecordBatch, uintptr, error) {
	return split.next(ctx)
}
