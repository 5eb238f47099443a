package maxstorage

import (
	"runtime"
	"sync"
	"unsafe"
)

// handle owns a handle of the library. Calls hold it against Close with a read lock; Close waits for them, so a call that blocks has to
// be cancelled first.
type handle struct {
	lock    sync.RWMutex
	pointer unsafe.Pointer
	free    func(unsafe.Pointer)
}

func own(pointer unsafe.Pointer, free func(unsafe.Pointer)) *handle {
	h := &handle{pointer: pointer, free: free}
	runtime.SetFinalizer(h, (*handle).close)
	return h
}

func (h *handle) close() {
	h.lock.Lock()
	defer h.lock.Unlock()
	if h.pointer != nil {
		h.free(h.pointer)
		h.pointer = nil
	}
	runtime.SetFinalizer(h, nil)
}

// use runs a call with the pointer, which is NULL after Close: the library answers MS_INVALID_ARGUMENT then.
func (h *handle) use(call func(unsafe.Pointer)) {
	h.lock.RLock()
	defer h.lock.RUnlock()
	call(h.pointer)
}

// take gives the pointer away.
func (h *handle) take() unsafe.Pointer {
	h.lock.Lock()
	defer h.lock.Unlock()
	pointer := h.pointer
	h.pointer = nil
	runtime.SetFinalizer(h, nil)
	return pointer
}
