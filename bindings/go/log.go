package maxstorage

// #include <maxstorage.h>
// extern void maxstorageLog(void *context, int32_t level, char *target, char *message);
// static ms_status maxstorage_set_log(bool on, int32_t level) {
//   return ms_set_log_callback(on ? (ms_log_callback)maxstorageLog : NULL, NULL, level);
// }
import "C"

import (
	"sync/atomic"
	"unsafe"
)

// Level of a log record.
type Level int32

// The levels; a callback gets the records up to its level.
const (
	LevelError Level = 1 + iota
	LevelWarn
	LevelInfo
	LevelDebug
	LevelTrace
)

var logger atomic.Pointer[func(Level, string, string)]

//export maxstorageLog
func maxstorageLog(_ unsafe.Pointer, level C.int32_t, target, message *C.char) {
	if callback := logger.Load(); callback != nil {
		(*callback)(Level(level), C.GoString(target), C.GoString(message))
	}
}

// SetLog has a function called with the log records of the library, from threads of its own; nil ends that, and when SetLog returns the
// former function is not running any more. The function must not call the library.
func SetLog(level Level, callback func(level Level, target, message string)) error {
	if callback == nil {
		err := failure(C.maxstorage_set_log(false, 0), nil)
		logger.Store(nil)
		return err
	}
	logger.Store(&callback)
	return failure(C.maxstorage_set_log(true, C.int32_t(level)), nil)
}
