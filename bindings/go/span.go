package maxstorage

// #include <stdint.h>
// #include <maxstorage.h>
// extern void maxstorageSpan(uintptr_t context, ms_span *span);
// static void maxstorage_span(void *context, const ms_span *span) { maxstorageSpan((uintptr_t)context, (ms_span *)span); }
// static ms_status maxstorage_set_span_callback(ms_options *options, uintptr_t context, ms_error **err) {
//   return ms_options_set_span_callback(options, maxstorage_span, (void *)context, err);
// }
import "C"

import (
	"encoding/json"
	"runtime/cgo"
)

const spanKey = " span"

// Span is a request to the service that is over; docs/tracing.md tells more.
type Span struct {
	Name         string `json:"name"`
	TraceID      string `json:"trace_id"`
	SpanID       string `json:"span_id"`
	ParentSpanID string `json:"parent_span_id"`
	Start        int64  `json:"start_unix_ns"`
	End          int64  `json:"end_unix_ns"`
	Status       Code   `json:"status"`
	StatusName   string `json:"status_name"`
	Message      string `json:"message"`
	Method       string `json:"method"`
	Endpoint     string `json:"endpoint"`
	Path         string `json:"path"`
	Attempt      int64  `json:"attempt"`
	HTTPStatus   int    `json:"http_status"`
	RequestID    string `json:"request_id"`
	Bytes        int64  `json:"bytes"`
	Split        *int64 `json:"split"` // nil for a request that is not about one split
}

type onSpan func(span Span)

// OnSpan has a function told of each request to the service when it is over, as a span whose parent is that of the option trace.parent. For Open,
// sessions and reads; what is named last counts. It is called from any thread, several at once, must return soon and must not call the library; it
// is kept for as long as the program runs.
func OnSpan(tell func(span Span)) Option { return Set(spanKey, cgo.NewHandle(onSpan(tell))) }

//export maxstorageSpan
func maxstorageSpan(context C.uintptr_t, given *C.ms_span) {
	var span Span
	if json.Unmarshal([]byte(C.GoString(C.ms_span_json(given))), &span) == nil {
		cgo.Handle(context).Value().(onSpan)(span)
	}
}

func setSpan(options *C.ms_options, hook any) error {
	var reported *C.ms_error
	return failure(C.maxstorage_set_span_callback(options, C.uintptr_t(hook.(cgo.Handle)), &reported), reported)
}
