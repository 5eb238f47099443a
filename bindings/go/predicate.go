package maxstorage

// #include <stdlib.h>
// #include <maxstorage.h>
import "C"

import (
	"fmt"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/cdata"
	"github.com/apache/arrow-go/v18/arrow/memory/mallocator"
)

// Op is how a column is compared.
type Op int32

// The comparisons.
const (
	EQ Op = C.MS_COMPARE_EQ
	NE Op = C.MS_COMPARE_NE
	LT Op = C.MS_COMPARE_LT
	LE Op = C.MS_COMPARE_LE
	GT Op = C.MS_COMPARE_GT
	GE Op = C.MS_COMPARE_GE
)

// Predicate is a filter: a tree of typed comparisons. The first failure in building one is kept and reported where it is used.
type Predicate struct {
	handle *handle
	err    error
}

func newPredicate(make func(**C.ms_predicate, **C.ms_error) C.ms_status) *Predicate {
	var out *C.ms_predicate
	var reported *C.ms_error
	if err := failure(make(&out, &reported), reported); err != nil {
		return &Predicate{err: err}
	}
	return &Predicate{handle: own(unsafe.Pointer(out), func(p unsafe.Pointer) { C.ms_predicate_free((*C.ms_predicate)(p)) })}
}

func (p *Predicate) use(call func(*C.ms_predicate)) {
	if p == nil || p.handle == nil {
		call(nil)
		return
	}
	p.handle.use(func(pointer unsafe.Pointer) { call((*C.ms_predicate)(pointer)) })
}

// Err is the first failure in building the predicate.
func (p *Predicate) Err() error {
	if p == nil {
		return nil
	}
	return p.err
}

// Close frees the predicate; what was made of it stays.
func (p *Predicate) Close() {
	if p != nil && p.handle != nil {
		p.handle.close()
	}
}

// String is the text of the predicate, for logs.
func (p *Predicate) String() (text string) {
	p.use(func(pointer *C.ms_predicate) { text = C.GoString(C.ms_predicate_text(pointer)) })
	return text
}

// FromSubstrait reads a Substrait message: an ExtendedExpression with one condition; docs/predicates.md has what is taken.
func FromSubstrait(message []byte) *Predicate {
	data := C.CBytes(message)
	defer C.free(data)
	return newPredicate(func(out **C.ms_predicate, reported **C.ms_error) C.ms_status {
		return C.ms_predicate_from_substrait(data, C.size_t(len(message)), out, reported)
	})
}

// Parse reads a predicate in the grammar of the service; docs/predicates.md has it.
func Parse(text string) *Predicate {
	words := C.CString(text)
	defer C.free(unsafe.Pointer(words))
	return newPredicate(func(out **C.ms_predicate, reported **C.ms_error) C.ms_status {
		return C.ms_predicate_parse(words, out, reported)
	})
}

// Compare is a column compared with a value: an arrow.Array of length 1, or a value of a Go type that Arrow has (integers, floats, bool,
// string, []byte, arrow.Date32, arrow.Timestamp as microseconds, nil for NULL).
func Compare(column string, op Op, value any) *Predicate {
	return withLiterals(column, []any{value}, func(name *C.char, schema *C.struct_ArrowSchema, array *C.struct_ArrowArray, out **C.ms_predicate, reported **C.ms_error) C.ms_status {
		return C.ms_predicate_compare(name, C.ms_compare_op(op), schema, array, out, reported)
	})
}

// In is a column that is one of some values; values as for Compare, or one arrow.Array with all of them.
func In(column string, values ...any) *Predicate { return in(column, false, values) }

// NotIn is a column that is none of some values.
func NotIn(column string, values ...any) *Predicate { return in(column, true, values) }

func in(column string, negated bool, values []any) *Predicate {
	return withLiterals(column, values, func(name *C.char, schema *C.struct_ArrowSchema, array *C.struct_ArrowArray, out **C.ms_predicate, reported **C.ms_error) C.ms_status {
		return C.ms_predicate_in(name, C.bool(negated), schema, array, out, reported)
	})
}

// IsNull is a column that is NULL.
func IsNull(column string) *Predicate { return null(column, false) }

// IsNotNull is a column that is not NULL.
func IsNotNull(column string) *Predicate { return null(column, true) }

func null(column string, negated bool) *Predicate {
	name := C.CString(column)
	defer C.free(unsafe.Pointer(name))
	return newPredicate(func(out **C.ms_predicate, reported **C.ms_error) C.ms_status {
		return C.ms_predicate_is_null(name, C.bool(negated), out, reported)
	})
}

// And is all of some predicates.
func And(operands ...*Predicate) *Predicate {
	return join(operands, func(all **C.ms_predicate, count C.size_t, out **C.ms_predicate, reported **C.ms_error) C.ms_status {
		return C.ms_predicate_and(all, count, out, reported)
	})
}

// Or is any of some predicates.
func Or(operands ...*Predicate) *Predicate {
	return join(operands, func(all **C.ms_predicate, count C.size_t, out **C.ms_predicate, reported **C.ms_error) C.ms_status {
		return C.ms_predicate_or(all, count, out, reported)
	})
}

// Not is the opposite; unknown stays unknown.
func Not(operand *Predicate) *Predicate {
	if operand.Err() != nil {
		return operand
	}
	var made *Predicate
	operand.use(func(p *C.ms_predicate) {
		made = newPredicate(func(out **C.ms_predicate, reported **C.ms_error) C.ms_status {
			return C.ms_predicate_not(p, out, reported)
		})
	})
	return made
}

func join(operands []*Predicate, make func(**C.ms_predicate, C.size_t, **C.ms_predicate, **C.ms_error) C.ms_status) *Predicate {
	size := C.size_t(unsafe.Sizeof((*C.ms_predicate)(nil)))
	list := (**C.ms_predicate)(C.calloc(C.size_t(len(operands)+1), size)) // memory of C: it may hold pointers of C
	defer C.free(unsafe.Pointer(list))
	all := unsafe.Slice(list, len(operands))
	for i, operand := range operands {
		if operand.Err() != nil {
			return operand
		}
		operand.use(func(p *C.ms_predicate) { all[i] = C.ms_predicate_clone(p) })
		defer C.ms_predicate_free(all[i])
	}
	return newPredicate(func(out **C.ms_predicate, reported **C.ms_error) C.ms_status {
		return make(list, C.size_t(len(operands)), out, reported)
	})
}

// withLiterals hands values over as an Arrow array in memory of C.
func withLiterals(column string, values []any, make func(*C.char, *C.struct_ArrowSchema, *C.struct_ArrowArray, **C.ms_predicate, **C.ms_error) C.ms_status) *Predicate {
	literals, err := arrayOf(values)
	if err != nil {
		return &Predicate{err: err}
	}
	defer literals.Release()
	name := C.CString(column)
	defer C.free(unsafe.Pointer(name))
	schema := (*C.struct_ArrowSchema)(C.calloc(1, C.sizeof_struct_ArrowSchema))
	defer C.free(unsafe.Pointer(schema))
	content := (*C.struct_ArrowArray)(C.calloc(1, C.sizeof_struct_ArrowArray))
	defer C.free(unsafe.Pointer(content))
	cdata.ExportArrowArray(literals, (*cdata.CArrowArray)(unsafe.Pointer(content)), (*cdata.CArrowSchema)(unsafe.Pointer(schema)))
	defer cdata.ReleaseCArrowSchema((*cdata.CArrowSchema)(unsafe.Pointer(schema)))
	return newPredicate(func(out **C.ms_predicate, reported **C.ms_error) C.ms_status {
		return make(name, schema, content, out, reported)
	})
}

func arrayOf(values []any) (arrow.Array, error) {
	if len(values) == 1 {
		if whole, ok := values[0].(arrow.Array); ok {
			return array.Concatenate([]arrow.Array{whole}, mallocator.NewMallocator()) // a copy: it may lie in memory of Go
		}
	}
	kind := arrow.DataType(arrow.PrimitiveTypes.Int64)
	for _, value := range values {
		if value == nil {
			continue
		}
		found := typeOf(value)
		if found == nil {
			return nil, fmt.Errorf("maxstorage: %T is no literal of a predicate; use an arrow.Array", value)
		}
		kind = found
		break
	}
	builder := array.NewBuilder(mallocator.NewMallocator(), kind)
	defer builder.Release()
	for _, value := range values {
		if !add(builder, value) {
			return nil, fmt.Errorf("maxstorage: %T and %s cannot stand in one list", value, kind)
		}
	}
	return builder.NewArray(), nil
}

func typeOf(value any) arrow.DataType {
	switch value.(type) {
	case int, int8, int16, int32, int64, uint8, uint16, uint32:
		return arrow.PrimitiveTypes.Int64
	case float32, float64:
		return arrow.PrimitiveTypes.Float64
	case bool:
		return arrow.FixedWidthTypes.Boolean
	case string:
		return arrow.BinaryTypes.String
	case []byte:
		return arrow.BinaryTypes.Binary
	case arrow.Date32:
		return arrow.FixedWidthTypes.Date32
	case arrow.Timestamp:
		return arrow.FixedWidthTypes.Timestamp_us
	}
	return nil
}

func add(builder array.Builder, value any) bool {
	if value == nil {
		builder.AppendNull()
		return true
	}
	switch to := builder.(type) {
	case *array.Int64Builder:
		number, ok := integer(value)
		if ok {
			to.Append(number)
		}
		return ok
	case *array.Float64Builder:
		switch number := value.(type) {
		case float32:
			to.Append(float64(number))
		case float64:
			to.Append(number)
		default:
			whole, ok := integer(value)
			if ok {
				to.Append(float64(whole))
			}
			return ok
		}
		return true
	case *array.BooleanBuilder:
		truth, ok := value.(bool)
		if ok {
			to.Append(truth)
		}
		return ok
	case *array.StringBuilder:
		text, ok := value.(string)
		if ok {
			to.Append(text)
		}
		return ok
	case *array.BinaryBuilder:
		bytes, ok := value.([]byte)
		if ok {
			to.Append(bytes)
		}
		return ok
	case *array.Date32Builder:
		day, ok := value.(arrow.Date32)
		if ok {
			to.Append(day)
		}
		return ok
	case *array.TimestampBuilder:
		time, ok := value.(arrow.Timestamp)
		if ok {
			to.Append(time)
		}
		return ok
	}
	return false
}

func integer(value any) (int64, bool) {
	switch number := value.(type) {
	case int:
		return int64(number), true
	case int8:
		return int64(number), true
	case int16:
		return int64(number), true
	case int32:
		return int64(number), true
	case int64:
		return number, true
	case uint8:
		return int64(number), true
	case uint16:
		return int64(number), true
	case uint32:
		return int64(number), true
	}
	return 0, false
}
