package maxstorage

// #include <stdint.h>
// #include <maxstorage.h>
// extern void maxstorageReadEnd(uintptr_t context, int64_t split, int32_t outcome, ms_metrics *metrics);
// static void maxstorage_read_end(void *context, int64_t split, ms_status outcome, const ms_metrics *metrics) {
//   maxstorageReadEnd((uintptr_t)context, split, outcome, (ms_metrics *)metrics);
// }
// static ms_status maxstorage_set_read_end(ms_options *options, uintptr_t context, ms_error **err) {
//   return ms_options_set_read_end_callback(options, maxstorage_read_end, (void *)context, err);
// }
import "C"

import "runtime/cgo"

const readEndKey = " read end"

type readEnd func(split int64, outcome Code, metrics Metrics)

// OnReadEnd has a function told of the end of each read that is opened with this option, once, when it is closed: the number of the split, -1 for
// a scan; 0 if all was read, Cancelled if it ended before, or the code of its failure; and the final figures. For Open, sessions and reads; what
// is named last counts. It must return soon and must not call the library; it is kept for as long as the program runs.
func OnReadEnd(tell func(split int64, outcome Code, metrics Metrics)) Option {
	return Set(readEndKey, cgo.NewHandle(readEnd(tell)))
}

//export maxstorageReadEnd
func maxstorageReadEnd(context C.uintptr_t, split C.int64_t, outcome C.int32_t, figures *C.ms_metrics) {
	cgo.Handle(context).Value().(readEnd)(int64(split), Code(outcome), metricsOf(figures))
}

func setReadEnd(options *C.ms_options, hook any) error {
	var reported *C.ms_error
	return failure(C.maxstorage_set_read_end(options, C.uintptr_t(hook.(cgo.Handle)), &reported), reported)
}
