package maxstorage

// #include <stdlib.h>
// #include <maxstorage.h>
import "C"

import (
	"context"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
)

// The catalogue. A context that ends ends the call. Each list calls `take` with one batch after the other, which is released afterwards; docs/catalogue.md tells the columns.
// Names may be empty where that stands for the default.

// ProjectsSchemas lists projects and their schemas.
func (c *Client) ProjectsSchemas(ctx context.Context, project string, take func(arrow.RecordBatch) error) error {
	return c.list(ctx, []string{project}, take, func(p *C.ms_client, names []*C.char, out *C.struct_ArrowArrayStream, reported **C.ms_error) C.ms_status {
		return C.ms_projects_schemas(p, names[0], out, reported)
	})
}

// Tables lists the tables of a schema whose names match a pattern with * and ?.
func (c *Client) Tables(ctx context.Context, project, schema, pattern string, take func(arrow.RecordBatch) error) error {
	return c.list(ctx, []string{project, schema, pattern}, take, func(p *C.ms_client, names []*C.char, out *C.struct_ArrowArrayStream, reported **C.ms_error) C.ms_status {
		return C.ms_tables(p, names[0], names[1], names[2], out, reported)
	})
}

// TableSchema is the columns of a table, with their MaxCompute types and keys as field metadata.
func (c *Client) TableSchema(ctx context.Context, table string) (schema *arrow.Schema, err error) {
	name := C.CString(table)
	defer C.free(unsafe.Pointer(name))
	err = c.until(ctx, func(p *C.ms_client) (err error) {
		schema, err = importSchema(func(out *C.struct_ArrowSchema, reported **C.ms_error) C.ms_status {
			return C.ms_table_schema(p, name, out, reported)
		})
		return err
	})
	return schema, err
}

// TableDetails tells what is known of a table besides its columns: one row.
func (c *Client) TableDetails(ctx context.Context, table string, take func(arrow.RecordBatch) error) error {
	return c.list(ctx, []string{table}, take, func(p *C.ms_client, names []*C.char, out *C.struct_ArrowArrayStream, reported **C.ms_error) C.ms_status {
		return C.ms_table_details(p, names[0], out, reported)
	})
}

// Partitions lists the partitions of a table; the filter on the partition keys may be nil.
func (c *Client) Partitions(ctx context.Context, table string, filter *Predicate, take func(arrow.RecordBatch) error) (err error) {
	if filter.Err() != nil {
		return filter.Err()
	}
	filter.use(func(predicate *C.ms_predicate) {
		err = c.list(ctx, []string{table}, take, func(p *C.ms_client, names []*C.char, out *C.struct_ArrowArrayStream, reported **C.ms_error) C.ms_status {
			return C.ms_partitions(p, names[0], predicate, out, reported)
		})
	})
	return err
}

// Preview gives the first rows of a table, without a session.
func (c *Client) Preview(ctx context.Context, table string, rows int64, take func(arrow.RecordBatch) error, more ...Option) error {
	scan, err := c.options.with(more).native()
	if err != nil {
		return err
	}
	defer C.ms_options_free(scan)
	return c.list(ctx, []string{table}, take, func(p *C.ms_client, names []*C.char, out *C.struct_ArrowArrayStream, reported **C.ms_error) C.ms_status {
		return C.ms_table_preview(p, names[0], scan, C.int64_t(rows), out, reported)
	})
}

// Diagnose walks from name resolution to the right to read: a row for each step. The table may be empty.
func (c *Client) Diagnose(ctx context.Context, table string, take func(arrow.RecordBatch) error) error {
	return c.list(ctx, []string{table}, take, func(p *C.ms_client, names []*C.char, out *C.struct_ArrowArrayStream, reported **C.ms_error) C.ms_status {
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
	ctx context.Context, names []string, take func(arrow.RecordBatch) error,
	ask func(*C.ms_client, []*C.char, *C.struct_ArrowArrayStream, **C.ms_error) C.ms_status,
) error {
	words := make([]*C.char, len(names))
	for i, name := range names {
		if name != "" {
			words[i] = C.CString(name)
			defer C.free(unsafe.Pointer(words[i]))
		}
	}
	return c.until(ctx, func(p *C.ms_client) error {
		reader, err := importStream(func(out *C.struct_ArrowArrayStream, reported **C.ms_error) C.ms_status {
			return ask(p, words, out, reported)
		})
		if err != nil {
			return err
		}
		return drain(reader, func(batch arrow.RecordBatch) error {
			if err := take(batch); err != nil {
				return err
			}
			return ctx.Err() // the call is told on another goroutine, which may come too late for the next batch
		})
	})
}
