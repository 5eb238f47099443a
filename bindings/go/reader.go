package maxstorage

// #include <maxstorage.h>
import "C"

import (
	"context"
	"iter"
	"time"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/cdata"
	"golang.org/x/sys/unix"
)

// Metrics are the figures of a read at one moment, by name; docs/metrics.md explains them.
type Metrics map[string]int64

func importMetrics(fill func(**C.ms_metrics, **C.ms_error) C.ms_status) (Metrics, error) {
	var figures *C.ms_metrics
	var reported *C.ms_error
	if err := failure(fill(&figures, &reported), reported); err != nil {
		return nil, err
	}
	defer C.ms_metrics_free(figures)
	return metricsOf(figures), nil
}

func metricsOf(figures *C.ms_metrics) Metrics {
	all := Metrics{}
	for i := C.size_t(0); i < C.ms_metrics_count(figures); i++ {
		all[C.GoString(C.ms_metrics_name(figures, i))] = int64(C.ms_metrics_value(figures, i))
	}
	return all
}

// importBatch takes over a batch without copying its buffers; nil at the end of the data.
func importBatch(array *C.struct_ArrowArray, schema *arrow.Schema) (arrow.RecordBatch, error) {
	if array.release == nil {
		return nil, nil
	}
	batch, err := cdata.ImportCRecordBatchWithSchema((*cdata.CArrowArray)(unsafe.Pointer(array)), schema)
	if err != nil {
		cdata.ReleaseCArrowArray((*cdata.CArrowArray)(unsafe.Pointer(array)))
	}
	return batch, err
}

// batches makes an iterator of a `next`. The batch of a turn is released after it, so who keeps one retains it.
func batches(next func() (arrow.RecordBatch, error)) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) {
		for {
			batch, err := next()
			if err != nil {
				yield(nil, err)
				return
			}
			if batch == nil {
				return
			}
			goOn := yield(batch, nil)
			batch.Release()
			if !goOn {
				return
			}
		}
	}
}

// Split is an open reader over one split, for one goroutine at a time. Cancel and Metrics may be called from any.
type Split struct {
	handle *handle
	waker  *waker
	schema *arrow.Schema
}

func newSplit(split *C.ms_split) (*Split, error) {
	waker := &waker{}
	free := func(p unsafe.Pointer) {
		C.ms_split_free((*C.ms_split)(p))
		waker.forget()
	}
	s := &Split{handle: own(unsafe.Pointer(split), free), waker: waker}
	schema, err := importSchema(func(out *C.struct_ArrowSchema, reported **C.ms_error) C.ms_status {
		return C.ms_split_schema(split, out, reported)
	})
	if err != nil {
		s.Close()
		return nil, err
	}
	s.schema = schema
	return s, nil
}

func (s *Split) use(call func(*C.ms_split)) {
	s.handle.use(func(p unsafe.Pointer) { call((*C.ms_split)(p)) })
}

// Close ends the read. Batches that were taken stay valid.
func (s *Split) Close() {
	s.Cancel()
	s.handle.close()
}

// Schema of every batch.
func (s *Split) Schema() *arrow.Schema { return s.schema }

// Next is the next batch, to be released by the caller; nil after the last. It blocks until the batch is there or the context ends. When
// the context is cancelled the read ends for good; when its deadline passes only this call does.
func (s *Split) Next(ctx context.Context) (arrow.RecordBatch, error) {
	batch, _, err := s.next(ctx)
	return batch, err
}

// next also tells where the library put the values of the first column, so that a test can see that they stay there.
func (s *Split) next(ctx context.Context) (batch arrow.RecordBatch, values uintptr, err error) {
	stop := context.AfterFunc(ctx, func() {
		if ctx.Err() == context.Canceled {
			s.Cancel()
		}
	})
	defer stop()
	s.use(func(p *C.ms_split) {
		var array C.struct_ArrowArray
		var reported *C.ms_error
		if err = failure(C.ms_split_set_deadline_ms(p, deadline(ctx), &reported), reported); err != nil {
			return
		}
		if err = failure(C.ms_split_next_batch(p, &array, &reported), reported); err == nil {
			values = valuesOfFirst(&array)
			batch, err = importBatch(&array, s.schema)
		}
	})
	return batch, values, err
}

func valuesOfFirst(array *C.struct_ArrowArray) uintptr {
	if array.n_children == 0 {
		return 0
	}
	first := *array.children
	if first.n_buffers < 2 {
		return 0
	}
	return uintptr(unsafe.Slice(first.buffers, first.n_buffers)[1])
}

// TryNext is Next without blocking: pending is true while nothing is ready.
func (s *Split) TryNext() (batch arrow.RecordBatch, pending bool, err error) {
	s.use(func(p *C.ms_split) {
		var array C.struct_ArrowArray
		var reported *C.ms_error
		status := C.ms_split_try_next_batch(p, &array, &reported)
		if pending = status == C.MS_PENDING; pending {
			return
		}
		if err = failure(status, reported); err == nil {
			batch, err = importBatch(&array, s.schema)
		}
	})
	return batch, pending, err
}

// ReadyFD is a descriptor that is readable while TryNext has an answer; -1 if there is none. It belongs to the split.
func (s *Split) ReadyFD() (fd int) {
	s.use(func(p *C.ms_split) { fd = int(C.ms_split_ready_fd(p)) })
	return fd
}

// Batches are the batches that are left. Each is released after its turn: Retain what is kept. A failure comes last.
func (s *Split) Batches(ctx context.Context) iter.Seq2[arrow.RecordBatch, error] {
	return batches(func() (arrow.RecordBatch, error) { return s.Next(ctx) })
}

// Reader turns the split into a reader of arrow-go, with the batches that were not taken yet; the split is used up. Its errors are those of
// Arrow streams, text with a number of the system. Releasing it ends the read.
func (s *Split) Reader() (array.RecordReader, error) {
	if err := s.Notify(nil); err != nil {
		return nil, err
	}
	return importStream(func(out *C.struct_ArrowArrayStream, reported **C.ms_error) C.ms_status {
		return C.ms_split_export_stream((*C.ms_split)(s.handle.take()), out, reported)
	})
}

// AddFilter keeps further rows out: those of batches that were not taken yet must match this filter too.
func (s *Split) AddFilter(filter *Predicate) (err error) {
	if filter.Err() != nil {
		return filter.Err()
	}
	s.use(func(p *C.ms_split) {
		filter.use(func(predicate *C.ms_predicate) {
			var reported *C.ms_error
			err = failure(C.ms_split_add_filter(p, predicate, &reported), reported)
		})
	})
	return err
}

// Progress is from 0 to 1; -1 if it is not known.
func (s *Split) Progress() (progress float64) {
	s.use(func(p *C.ms_split) { progress = float64(C.ms_split_progress(p)) })
	return progress
}

// SetBatchLimits says how large the batches of later calls are at most; 0 for what the options of the read say. Larger ones are cut without
// copying. From any goroutine.
func (s *Split) SetBatchLimits(maxRows, maxBytes int64) (err error) {
	s.use(func(p *C.ms_split) {
		var reported *C.ms_error
		err = failure(C.ms_split_set_batch_limits(p, C.int64_t(maxRows), C.int64_t(maxBytes), &reported), reported)
	})
	return err
}

// AllRequested tells whether all requests of the read are out, so that it is time to open the next one. From any goroutine.
func (s *Split) AllRequested() (all bool) {
	s.use(func(p *C.ms_split) { all = bool(C.ms_split_all_requested(p)) })
	return all
}

// RowsDelivered is the position from which a later read would go on.
func (s *Split) RowsDelivered() (rows int64) {
	s.use(func(p *C.ms_split) { rows = int64(C.ms_split_rows_delivered(p)) })
	return rows
}

// Metrics of the read so far.
func (s *Split) Metrics() (all Metrics, err error) {
	s.use(func(p *C.ms_split) {
		all, err = importMetrics(func(out **C.ms_metrics, reported **C.ms_error) C.ms_status {
			return C.ms_split_metrics(p, out, reported)
		})
	})
	return all, err
}

// Cancel ends the read for good: a Next that blocks wakes at once.
func (s *Split) Cancel() { s.use(func(p *C.ms_split) { C.ms_split_cancel(p) }) }

// Scan reads all splits of a session, for any number of goroutines.
type Scan struct {
	handle *handle
	waker  *waker
	schema *arrow.Schema
}

func newScan(scan *C.ms_scan) (*Scan, error) {
	waker := &waker{}
	free := func(p unsafe.Pointer) {
		C.ms_scan_free((*C.ms_scan)(p))
		waker.forget()
	}
	s := &Scan{handle: own(unsafe.Pointer(scan), free), waker: waker}
	schema, err := importSchema(func(out *C.struct_ArrowSchema, reported **C.ms_error) C.ms_status {
		return C.ms_scan_schema(scan, out, reported)
	})
	if err != nil {
		s.Close()
		return nil, err
	}
	s.schema = schema
	return s, nil
}

func (s *Scan) use(call func(*C.ms_scan)) {
	s.handle.use(func(p unsafe.Pointer) { call((*C.ms_scan)(p)) })
}

// Close ends the scan. Batches that were taken stay valid.
func (s *Scan) Close() {
	s.Cancel()
	s.handle.close()
}

// Schema of every batch.
func (s *Scan) Schema() *arrow.Schema { return s.schema }

// Next is the next batch of any split, to be released by the caller, and the number of its split; nil after the last. It blocks until the
// batch is there or the context ends. When the context is cancelled the scan ends for good; when its deadline passes only this call does.
func (s *Scan) Next(ctx context.Context) (batch arrow.RecordBatch, split int64, err error) {
	stop := context.AfterFunc(ctx, func() {
		if ctx.Err() == context.Canceled {
			s.Cancel()
		}
	})
	defer stop()
	s.use(func(p *C.ms_scan) {
		var array C.struct_ArrowArray
		var number C.int64_t
		var reported *C.ms_error
		if err = failure(C.ms_scan_next_batch_until(p, deadline(ctx), &array, &number, &reported), reported); err == nil {
			split = int64(number)
			batch, err = importBatch(&array, s.schema)
		}
	})
	return batch, split, err
}

// Reader turns the scan into a reader of arrow-go, as Split.Reader.
func (s *Scan) Reader() (array.RecordReader, error) {
	if err := s.Notify(nil); err != nil {
		return nil, err
	}
	return importStream(func(out *C.struct_ArrowArrayStream, reported **C.ms_error) C.ms_status {
		return C.ms_scan_export_stream((*C.ms_scan)(s.handle.take()), out, reported)
	})
}

// AddFilter keeps further rows out, as Split.AddFilter.
func (s *Scan) AddFilter(filter *Predicate) (err error) {
	if filter.Err() != nil {
		return filter.Err()
	}
	s.use(func(p *C.ms_scan) {
		filter.use(func(predicate *C.ms_predicate) {
			var reported *C.ms_error
			err = failure(C.ms_scan_add_filter(p, predicate, &reported), reported)
		})
	})
	return err
}

// TryNext is Next without blocking: pending is true while nothing is ready; the split is -1 then, and after the last batch.
func (s *Scan) TryNext() (batch arrow.RecordBatch, split int64, pending bool, err error) {
	s.use(func(p *C.ms_scan) {
		var array C.struct_ArrowArray
		var number C.int64_t
		var reported *C.ms_error
		status := C.ms_scan_try_next_batch(p, &array, &number, &reported)
		split = int64(number)
		if pending = status == C.MS_PENDING; pending {
			return
		}
		if err = failure(status, reported); err == nil {
			batch, err = importBatch(&array, s.schema)
		}
	})
	return batch, split, pending, err
}

// ReadyFD is a descriptor that is readable while TryNext has an answer; -1 if there is none. It belongs to the scan.
func (s *Scan) ReadyFD() (fd int) {
	s.use(func(p *C.ms_scan) { fd = int(C.ms_scan_ready_fd(p)) })
	return fd
}

// Batches are the batches that are left, for one goroutine; each goroutine makes its own. Each is released after its turn: Retain what
// is kept. A failure comes last.
func (s *Scan) Batches(ctx context.Context) iter.Seq2[arrow.RecordBatch, error] {
	return batches(func() (arrow.RecordBatch, error) {
		batch, _, err := s.Next(ctx)
		return batch, err
	})
}

// Progress is from 0 to 1.
func (s *Scan) Progress() (progress float64) {
	s.use(func(p *C.ms_scan) { progress = float64(C.ms_scan_progress(p)) })
	return progress
}

// SetBatchLimits says how large the batches of later calls are at most; 0 for what the options of the read say. Larger ones are cut without
// copying. From any goroutine.
func (s *Scan) SetBatchLimits(maxRows, maxBytes int64) (err error) {
	s.use(func(p *C.ms_scan) {
		var reported *C.ms_error
		err = failure(C.ms_scan_set_batch_limits(p, C.int64_t(maxRows), C.int64_t(maxBytes), &reported), reported)
	})
	return err
}

// AllRequested tells whether all requests of the scan are out, so that it is time to open the next one. From any goroutine.
func (s *Scan) AllRequested() (all bool) {
	s.use(func(p *C.ms_scan) { all = bool(C.ms_scan_all_requested(p)) })
	return all
}

// Metrics of the scan so far.
func (s *Scan) Metrics() (all Metrics, err error) {
	s.use(func(p *C.ms_scan) {
		all, err = importMetrics(func(out **C.ms_metrics, reported **C.ms_error) C.ms_status {
			return C.ms_scan_metrics(p, out, reported)
		})
	})
	return all, err
}

// Cancel ends the scan for good: every Next that blocks wakes at once.
func (s *Scan) Cancel() { s.use(func(p *C.ms_scan) { C.ms_scan_cancel(p) }) }

// deadline is that of a context in milliseconds of CLOCK_MONOTONIC; 0 for none.
func deadline(ctx context.Context) C.int64_t {
	at, ok := ctx.Deadline()
	if !ok {
		return 0
	}
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return 0
	}
	left := max(time.Until(at).Milliseconds(), 0)
	return C.int64_t(now.Nano()/int64(time.Millisecond) + left + 1)
}
