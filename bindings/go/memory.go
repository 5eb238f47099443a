package maxstorage

// #include <stdbool.h>
// #include <stdint.h>
// #include <maxstorage.h>
// extern bool maxstorageReserve(uintptr_t context, size_t bytes);
// extern void maxstorageRelease(uintptr_t context, size_t bytes);
// static bool maxstorage_reserve(void *context, size_t bytes) { return maxstorageReserve((uintptr_t)context, bytes); }
// static void maxstorage_release(void *context, size_t bytes) { maxstorageRelease((uintptr_t)context, bytes); }
// static ms_status maxstorage_set_memory_hooks(ms_options *options, uintptr_t context, ms_error **err) {
//   return ms_options_set_memory_hooks(options, maxstorage_reserve, maxstorage_release, (void *)context, err);
// }
import "C"

import "runtime/cgo"

const hooksKey = " memory hooks"

type memoryHooks struct {
	reserve func(bytes int) bool
	release func(bytes int)
}

// MemoryHooks has the host account for the memory that rows lie in: reserve is asked before each allocation and may refuse, which holds
// readers back; release is told when the memory is free again. For Open. Both are called from any thread, several at once, must return
// soon and must not call the library; they are kept for as long as the program runs. docs/memory.md tells what a refusal does.
func MemoryHooks(reserve func(bytes int) bool, release func(bytes int)) Option {
	return Set(hooksKey, cgo.NewHandle(memoryHooks{reserve, release}))
}

//export maxstorageReserve
func maxstorageReserve(context C.uintptr_t, bytes C.size_t) C.bool {
	return C.bool(cgo.Handle(context).Value().(memoryHooks).reserve(int(bytes)))
}

//export maxstorageRelease
func maxstorageRelease(context C.uintptr_t, bytes C.size_t) {
	cgo.Handle(context).Value().(memoryHooks).release(int(bytes))
}

func setMemoryHooks(options *C.ms_options, hooks any) error {
	var reported *C.ms_error
	return failure(C.maxstorage_set_memory_hooks(options, C.uintptr_t(hooks.(cgo.Handle)), &reported), reported)
}
