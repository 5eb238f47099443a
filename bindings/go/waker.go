package maxstorage

// #include <stdint.h>
// #include <maxstorage.h>
// extern void maxstorageWake(uintptr_t context);
// static void maxstorage_wake(void *context) { maxstorageWake((uintptr_t)context); }
// static ms_status maxstorage_set_split_waker(ms_split *split, uintptr_t context, ms_error **err) {
//   return ms_split_set_waker(split, context ? maxstorage_wake : NULL, (void *)context, err);
// }
// static ms_status maxstorage_set_scan_waker(ms_scan *scan, uintptr_t context, ms_error **err) {
//   return ms_scan_set_waker(scan, context ? maxstorage_wake : NULL, (void *)context, err);
// }
import "C"

import (
	"runtime/cgo"
	"sync"
)

// waker keeps the channel that is registered with a reader for as long as the library may wake it.
type waker struct {
	lock    sync.Mutex
	current cgo.Handle
}

// set registers a channel, or none for nil, in place of the former one, which the library does not use any more then.
func (w *waker) set(ready chan<- struct{}, register func(C.uintptr_t, **C.ms_error) C.ms_status) error {
	w.lock.Lock()
	defer w.lock.Unlock()
	var next cgo.Handle
	if ready != nil {
		next = cgo.NewHandle(ready)
	}
	var reported *C.ms_error
	if err := failure(register(C.uintptr_t(next), &reported), reported); err != nil {
		if next != 0 {
			next.Delete()
		}
		return err
	}
	w.drop()
	w.current = next
	return nil
}

// forget is for when the reader is gone.
func (w *waker) forget() {
	w.lock.Lock()
	defer w.lock.Unlock()
	w.drop()
}

func (w *waker) drop() {
	if w.current != 0 {
		w.current.Delete()
		w.current = 0
	}
}

//export maxstorageWake
func maxstorageWake(context C.uintptr_t) {
	select {
	case cgo.Handle(context).Value().(chan<- struct{}) <- struct{}{}:
	default: // there is a wake in it already
	}
}

// Notify has a value sent to a channel whenever TryNext, after it was pending, has an answer again: a batch, the end or a failure. Like
// those of signal.Notify, sends do not wait: the channel needs room for one. Register before the first TryNext; nil ends it.
func (s *Split) Notify(ready chan<- struct{}) (err error) {
	s.use(func(p *C.ms_split) {
		err = s.waker.set(ready, func(context C.uintptr_t, reported **C.ms_error) C.ms_status {
			return C.maxstorage_set_split_waker(p, context, reported)
		})
	})
	return err
}

// Notify is that of a split. One value may stand for several batches: take until TryNext is pending.
func (s *Scan) Notify(ready chan<- struct{}) (err error) {
	s.use(func(p *C.ms_scan) {
		err = s.waker.set(ready, func(context C.uintptr_t, reported **C.ms_error) C.ms_status {
			return C.maxstorage_set_scan_waker(p, context, reported)
		})
	})
	return err
}
