package maxstorage

// #include <maxstorage.h>
import "C"

import (
	"context"
	"iter"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/cdata"
)

// Session is one planned read of one table: columns, partitions, filter, snapshot, a list of splits. It never changes, but for the number of
// splits that are known.
type Session struct {
	handle  *handle
	options Options
}

func newSession(session *C.ms_session, options Options) *Session {
	free := func(p unsafe.Pointer) { C.ms_session_free((*C.ms_session)(p)) }
	return &Session{own(unsafe.Pointer(session), free), options}
}

// Close frees the session; what was opened from it goes on.
func (s *Session) Close() { s.handle.close() }

func (s *Session) use(call func(*C.ms_session)) {
	s.handle.use(func(p unsafe.Pointer) { call((*C.ms_session)(p)) })
}

// Splits is the number of splits that are known: all, unless the option plan.wait is "first".
func (s *Session) Splits() (count int64) {
	s.use(func(p *C.ms_session) { count = int64(C.ms_session_split_count(p)) })
	return count
}

// MoreSplits waits until more than `known` splits are known, or the plan is complete: with plan.wait "first", sessions are read while they are
// being planned. Splits that are known come before the failure of the rest.
func (s *Session) MoreSplits(ctx context.Context, known int64) (count int64, complete bool, err error) {
	err = until(ctx, func(cancel *C.ms_cancel) (err error) {
		s.use(func(p *C.ms_session) {
			var splits C.int64_t
			var whole C.bool
			var reported *C.ms_error
			err = failure(C.ms_session_more_splits(p, C.int64_t(known), 0, cancel, &splits, &whole, &reported), reported)
			count, complete = int64(splits), bool(whole)
		})
		return err
	})
	return count, complete, err
}

// TryMoreSplits is MoreSplits without waiting: pending is true while no more are known.
func (s *Session) TryMoreSplits(known int64) (count int64, complete, pending bool, err error) {
	s.use(func(p *C.ms_session) {
		var splits C.int64_t
		var whole C.bool
		var reported *C.ms_error
		status := C.ms_session_try_more_splits(p, C.int64_t(known), &splits, &whole, &reported)
		if pending = status == C.MS_PENDING; pending {
			return
		}
		err = failure(status, reported)
		count, complete = int64(splits), bool(whole)
	})
	return count, complete, pending, err
}

// SplitNumbers are the numbers of all splits, each as soon as it is known. A failure comes last.
func (s *Session) SplitNumbers(ctx context.Context) iter.Seq2[int64, error] {
	return func(yield func(int64, error) bool) {
		for next, complete := int64(0), false; !complete; {
			count, whole, err := s.MoreSplits(ctx, next)
			if err != nil {
				yield(-1, err)
				return
			}
			for complete = whole; next < count; next++ {
				if !yield(next, nil) {
					return
				}
			}
		}
	}
}

// EstimatedRows is -1 if it is not known.
func (s *Session) EstimatedRows() (rows int64) {
	s.use(func(p *C.ms_session) { rows = int64(C.ms_session_estimated_rows(p)) })
	return rows
}

// EstimatedBytes is -1 if it is not known.
func (s *Session) EstimatedBytes() (bytes int64) {
	s.use(func(p *C.ms_session) { bytes = int64(C.ms_session_estimated_bytes(p)) })
	return bytes
}

// ExpiresAt is the end of the session's life at the service, in milliseconds since 1970; -1 if it is not known.
func (s *Session) ExpiresAt() (ms int64) {
	s.use(func(p *C.ms_session) { ms = int64(C.ms_session_expires_at_ms(p)) })
	return ms
}

// Refresh prolongs the session's life; blocks until the service has answered or the context ends.
func (s *Session) Refresh(ctx context.Context) error {
	return until(ctx, func(cancel *C.ms_cancel) (err error) {
		s.use(func(p *C.ms_session) {
			var reported *C.ms_error
			err = failure(C.ms_session_refresh_cancellable(p, cancel, &reported), reported)
		})
		return err
	})
}

// Token is the session as bytes without credentials, for Client.Attach anywhere and in any language.
func (s *Session) Token() (token []byte, err error) {
	s.use(func(p *C.ms_session) {
		var reported *C.ms_error
		var bytes *C.ms_bytes
		if err = failure(C.ms_session_serialize(p, &bytes, &reported), reported); err == nil {
			token = goBytes(bytes)
		}
	})
	return token, err
}

// TokenJSON is the same as a JSON object, which may be laid out anew on its way; docs/reading.md has its keys.
func (s *Session) TokenJSON() (token []byte, err error) {
	s.use(func(p *C.ms_session) {
		var reported *C.ms_error
		var bytes *C.ms_bytes
		if err = failure(C.ms_session_serialize_json(p, &bytes, &reported), reported); err == nil {
			token = goBytes(bytes)
		}
	})
	return token, err
}

// SplitToken is one split as bytes, also while others are planned, for the worker that reads it: what Client.Attach makes of it has it under its
// number. With asJSON it is as TokenJSON writes.
func (s *Session) SplitToken(index int64, asJSON bool) (token []byte, err error) {
	s.use(func(p *C.ms_session) {
		var reported *C.ms_error
		var bytes *C.ms_bytes
		if err = failure(C.ms_session_serialize_split(p, C.int64_t(index), C.bool(asJSON), &bytes, &reported), reported); err == nil {
			token = goBytes(bytes)
		}
	})
	return token, err
}

// Metrics of all reads of the session so far, closed ones included.
func (s *Session) Metrics() (all Metrics, err error) {
	s.use(func(p *C.ms_session) {
		all, err = importMetrics(func(out **C.ms_metrics, reported **C.ms_error) C.ms_status {
			return C.ms_session_metrics(p, out, reported)
		})
	})
	return all, err
}

// Explain tells how the read was planned, as JSON; docs/explain.md has the keys.
func (s *Session) Explain() (json []byte, err error) {
	s.use(func(p *C.ms_session) {
		var reported *C.ms_error
		var bytes *C.ms_bytes
		if err = failure(C.ms_session_explain(p, &bytes, &reported), reported); err == nil {
			json = goBytes(bytes)
		}
	})
	return json, err
}

// SplitInfo is what a split covers; -1 and "" where it is not known.
type SplitInfo struct {
	Rows, StartRow, EstimatedBytes, Bucket int64
	Partition                              string
	Weight                                 float64
}

// SplitInfo tells what a split covers.
func (s *Session) SplitInfo(index int64) (facts SplitInfo, err error) {
	s.use(func(p *C.ms_session) {
		var reported *C.ms_error
		var info *C.ms_split_info
		if err = failure(C.ms_session_split_info(p, C.int64_t(index), &info, &reported), reported); err != nil {
			return
		}
		defer C.ms_split_info_free(info)
		facts = SplitInfo{
			Rows: int64(C.ms_split_info_rows(info)), StartRow: int64(C.ms_split_info_start_row(info)),
			EstimatedBytes: int64(C.ms_split_info_estimated_bytes(info)), Bucket: int64(C.ms_split_info_bucket(info)),
			Partition: C.GoString(C.ms_split_info_partition(info)), Weight: float64(C.ms_split_info_weight(info)),
		}
	})
	return facts, err
}

// Schema of every batch.
func (s *Session) Schema() (schema *arrow.Schema, err error) {
	s.use(func(p *C.ms_session) {
		schema, err = importSchema(func(out *C.struct_ArrowSchema, reported **C.ms_error) C.ms_status {
			return C.ms_session_schema(p, out, reported)
		})
	})
	return schema, err
}

// Split starts to read a split; returns at once.
func (s *Session) Split(index int64, more ...Option) (*Split, error) {
	read, err := s.options.with(more).native()
	if err != nil {
		return nil, err
	}
	defer C.ms_options_free(read)
	var split *C.ms_split
	s.use(func(p *C.ms_session) {
		var reported *C.ms_error
		err = failure(C.ms_split_open(p, C.int64_t(index), read, &split, &reported), reported)
	})
	if err != nil {
		return nil, err
	}
	return newSplit(split)
}

// Scan starts to read all splits; returns at once.
func (s *Session) Scan(more ...Option) (*Scan, error) {
	read, err := s.options.with(more).native()
	if err != nil {
		return nil, err
	}
	defer C.ms_options_free(read)
	var scan *C.ms_scan
	s.use(func(p *C.ms_session) {
		var reported *C.ms_error
		err = failure(C.ms_scan_open(p, read, &scan, &reported), reported)
	})
	if err != nil {
		return nil, err
	}
	return newScan(scan)
}

func goBytes(bytes *C.ms_bytes) []byte {
	defer C.ms_bytes_free(bytes)
	return C.GoBytes(C.ms_bytes_data(bytes), C.int(C.ms_bytes_len(bytes)))
}

func importSchema(fill func(*C.struct_ArrowSchema, **C.ms_error) C.ms_status) (*arrow.Schema, error) {
	var out C.struct_ArrowSchema
	var reported *C.ms_error
	if err := failure(fill(&out, &reported), reported); err != nil {
		return nil, err
	}
	return cdata.ImportCArrowSchema((*cdata.CArrowSchema)(unsafe.Pointer(&out)))
}
