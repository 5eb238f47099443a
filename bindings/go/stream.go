package maxstorage

// #include <stdlib.h>
// #include <maxstorage.h>
import "C"

import (
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/cdata"
)

// importStream makes a reader of the stream that `fill` writes; its Release ends what is behind it.
func importStream(fill func(*C.struct_ArrowArrayStream, **C.ms_error) C.ms_status) (array.RecordReader, error) {
	stream := (*C.struct_ArrowArrayStream)(C.calloc(1, C.sizeof_struct_ArrowArrayStream))
	defer C.free(unsafe.Pointer(stream))
	var reported *C.ms_error
	if err := failure(fill(stream, &reported), reported); err != nil {
		return nil, err
	}
	moved := (*cdata.CArrowArrayStream)(unsafe.Pointer(stream)) // is empty once the reader has it
	defer cdata.ReleaseCArrowArrayStream(moved)
	reader, err := cdata.ImportCRecordReader(moved, nil)
	if err != nil {
		return nil, err
	}
	return reader.(array.RecordReader), nil
}

// drain calls a function with one batch after the other, which is released afterwards, and releases the reader.
func drain(reader array.RecordReader, take func(arrow.RecordBatch) error) error {
	defer reader.Release()
	for reader.Next() {
		if err := take(reader.RecordBatch()); err != nil {
			return err
		}
	}
	return reader.Err()
}
