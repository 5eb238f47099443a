package maxstorage

// #include <stdlib.h>
// #include <maxstorage.h>
import "C"

import (
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// The catalogue. Each list calls `take` with one batch after the other, which is released afterwards; docs/catalogue.md tells the columns.
// Names may be empty where that stands for the default.

// ProjectsSchemas lists projects and their schemas.
func (c *Client) ProjectsSchemas(project string, take func(arrow.RecordBatch) error) error {
	return c.list([]string{project}, take, func(p *C.ms_client, names []*C.char, out *C.struct_ArrowArrayStream, reported **C.ms_error) C.ms_status {
		return C.ms_projects_schemas(p, names[0], out, reported)
	})
}

// Tables lists the tables of a schema whose names match a pattern with * and ?.
func (c *Client) Tables(project, schema, pattern string, take func(arrow.RecordBatch) error) error {
	return c.list([]string{project, schema, pattern}, take, func(p *C.ms_client, names []*C.char, out *C.struct_ArrowArrayStream, reported **C.ms_error) C.ms_status {
		return C.ms_tables(p, names[0], names[1], names[2], out, reported)
	})
}

// TableSchema is the columns of a table, with their MaxCompute types and keys as field metadata.
func (c *Client) TableSchema(table string) (schema *arrow.Schema, err error) {
	name := C.CString(table)
	defer C.free(unsafe.Pointer(name))
	c.handle.use(func(p unsafe.Pointer) {
		schema, err = importSchema(func(out *C.struct_ArrowSchema, reported **C.ms_error) C.ms_status {
			return C.ms_table_schema((*C.ms_client)(p), name, out, reported)
		})
	})
	return schema, err
}

// TableDetails tells what is known of a table besides its columns: one row.
func (c *Client) TableDetails(table string, take func(arrow.RecordBatch) error) error {
	return c.list([]string{table}, take, func(p *C.ms_client, names []*C.char, out *C.struct_ArrowArrayStream, reported **C.ms_error) C.ms_status {
		return C.ms_table_details(p, names[0], out, reported)
	})
}

// Partitions lists the partitions of a table; the filter on the partition keys may be nil.
func (c *Client) Partitions(table string, filter *Predicate, take func(arrow.RecordBatch) error) (err error) {
	if filter.Err() != nil {
		return filter.Err()
	}
	filter.use(func(predicate *C.ms_predicate) {
		err = c.list([]string{table}, take, func(p *C.ms_client, names []*C.char, out *C.struct_ArrowArrayStream, reported **C.ms_error) C.ms_status {
			return C.ms_partitions(p, names[0], predicate, out, reported)
		})
	})
	return err
}

// Preview gives the first rows of a table, without a session.
func (c *Client) Preview(table string, rows int64, take func(arrow.RecordBatch) error, more ...Option) error {
	scan, err := c.options.with(more).native()
	if err != nil {
		return err
	}
	defer C.ms_options_free(scan)
	return c.list([]string{table}, take, func(p *C.ms_client, names []*C.char, out *C.struct_ArrowArrayStream, reported **C.ms_error) C.ms_status {
		return C.ms_table_preview(p, names[0], scan, C.int64_t(rows), out, reported)
	})
}

// Diagnose walks from name resolution to the right to read: a row for each step. The table may be empty.
func (c *Client) Diagnose(table string, take func(arrow.RecordBatch) error) error {
	return c.list([]string{table}, take, func(p *C.ms_client, names []*C.char, out *C.struct_ArrowArrayStream, reported **C.ms_error) C.ms_status {
		return C.ms_client_diagnose(p, names[0], out, reported)
	})
}

// Metrics are memory and requests of everything opened through the client.
func (c *Client) Metrics() (all Metrics, err error) {
	c.handle.use(func(p unsafe.Pointer) {
		all, err = importMetrics(func(out **C.ms_metrics, reported **C.ms_error) C.ms_status {
			return C.ms_client_metrics((*C.ms_client)(p), out, reported)
		})
	})
	return all, err
}

func (c *Client) list(
	names []string, take func(arrow.RecordBatch) error,
	ask func(*C.ms_client, []*C.char, *C.struct_ArrowArrayStream, **C.ms_error) C.ms_status,
) (err error) {
	words := make([]*C.char, len(names))
	for i, name := range names {
		if name != "" {
			words[i] = C.CString(name)
			defer C.free(unsafe.Pointer(words[i]))
		}
	}
	var reader array.RecordReader
	c.handle.use(func(p unsafe.Pointer) {
		reader, err = importStream(func(out *C.struct_ArrowArrayStream, reported **C.ms_error) C.ms_status {
			return ask((*C.ms_client)(p), words, out, reported)
		})
	})
	if err != nil {
		return err
	}
	return drain(reader, take)
}
