package maxstorage

// #include <maxstorage.h>
import "C"

import (
	"context"
	"errors"
	"unsafe"
)

// until makes a call that ends when the context does, by what it hands to the call.
func until(ctx context.Context, call func(*C.ms_cancel) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	cancel := C.ms_cancel_new()
	var reported *C.ms_error
	if err := failure(C.ms_cancel_set_deadline_ms(cancel, deadline(ctx), &reported), reported); err != nil {
		return err
	}
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		if ctx.Err() == context.Canceled {
			C.ms_cancel_now(cancel)
		}
		close(ended)
	})
	defer func() {
		if !stop() {
			<-ended // it may not be freed under the function that uses it
		}
		C.ms_cancel_free(cancel)
	}()
	err := call(cancel)
	if ended := ctx.Err(); err != nil && ended != nil && !errors.Is(err, ended) {
		err = errors.Join(err, ended) // a stream tells its failures as text
	}
	return err
}

// until makes calls with a handle of the client that ends them when the context does.
func (c *Client) until(ctx context.Context, call func(*C.ms_client) error) error {
	return until(ctx, func(cancel *C.ms_cancel) (err error) {
		var bounded *C.ms_client
		c.handle.use(func(p unsafe.Pointer) {
			var reported *C.ms_error
			err = failure(C.ms_client_with_cancel((*C.ms_client)(p), cancel, &bounded, &reported), reported)
		})
		if err != nil {
			return err
		}
		defer C.ms_client_free(bounded)
		return call(bounded)
	})
}
