package maxstorage

// #include <stdint.h>
// #include <maxstorage.h>
// extern int64_t maxstorageRetry(uintptr_t context, ms_error *error, int64_t elapsed_ms, int64_t planned_delay_ms);
// static int64_t maxstorage_retry(void *context, const ms_error *error, int64_t elapsed_ms, int64_t planned_delay_ms) {
//   return maxstorageRetry((uintptr_t)context, (ms_error *)error, elapsed_ms, planned_delay_ms);
// }
// static ms_status maxstorage_set_retry_hook(ms_options *options, uintptr_t context, ms_error **err) {
//   return ms_options_set_retry_hook(options, maxstorage_retry, (void *)context, err);
// }
import "C"

import (
	"runtime/cgo"
	"time"
)

const retryKey = " retry hook"

type retryHook func(err *Error, elapsed, planned time.Duration) time.Duration

// RetryHook has the host decide about each further attempt: decide is told how a request failed that the library would make again, how long
// attempts go on, and how long it would wait; it returns how long to wait, or less than 0 to give up. For Open. It is called from any thread,
// several at once, must return soon and must not call the library; it is kept for as long as the program runs.
func RetryHook(decide func(err *Error, elapsed, planned time.Duration) time.Duration) Option {
	return Set(retryKey, cgo.NewHandle(retryHook(decide)))
}

//export maxstorageRetry
func maxstorageRetry(context C.uintptr_t, err *C.ms_error, elapsed, planned C.int64_t) C.int64_t {
	ms := func(count C.int64_t) time.Duration { return time.Duration(count) * time.Millisecond }
	delay := cgo.Handle(context).Value().(retryHook)(copied(C.ms_error_code(err), err), ms(elapsed), ms(planned))
	if delay < 0 {
		return -1
	}
	return C.int64_t(delay.Milliseconds())
}

func setRetryHook(options *C.ms_options, hook any) error {
	var reported *C.ms_error
	return failure(C.maxstorage_set_retry_hook(options, C.uintptr_t(hook.(cgo.Handle)), &reported), reported)
}
