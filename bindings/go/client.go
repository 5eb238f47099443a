package maxstorage

// #include <stdlib.h>
// #include <maxstorage.h>
import "C"

import (
	"context"
	"unsafe"
)

// Client is an endpoint, a caller, and the limits shared by what is opened through it.
type Client struct {
	handle  *handle
	options Options
}

// Open checks the options; makes no request. Keys that are not set come from the environment of the MaxCompute SDKs.
func Open(options Options, more ...Option) (*Client, error) {
	all := options.with(more)
	native, err := all.native()
	if err != nil {
		return nil, err
	}
	defer C.ms_options_free(native)
	var reported *C.ms_error
	if err := failure(C.ms_options_load_environment(native, &reported), reported); err != nil {
		return nil, err
	}
	var client *C.ms_client
	if err := failure(C.ms_client_open(native, &client, &reported), reported); err != nil {
		return nil, err
	}
	free := func(p unsafe.Pointer) { C.ms_client_free((*C.ms_client)(p)) }
	return &Client{own(unsafe.Pointer(client), free), all}, nil
}

// Close frees the client; what was opened through it goes on.
func (c *Client) Close() { c.handle.close() }

// Attach opens a session that was planned elsewhere, from Session.Token. Makes no request.
func (c *Client) Attach(token []byte, more ...Option) (*Session, error) {
	data := C.CBytes(token)
	defer C.free(data)
	var session *C.ms_session
	var err error
	c.handle.use(func(p unsafe.Pointer) {
		var reported *C.ms_error
		err = failure(C.ms_session_attach((*C.ms_client)(p), data, C.size_t(len(token)), &session, &reported), reported)
	})
	if err != nil {
		return nil, err
	}
	return newSession(session, c.options.with(more)), nil
}

// Read plans a read of a table; blocks until the plan is ready or the context ends.
func (c *Client) Read(ctx context.Context, table string, more ...Option) (*Session, error) {
	return c.ReadWhere(ctx, table, nil, more...)
}

// ReadWhere plans a read of a table with a filter, which may be nil.
func (c *Client) ReadWhere(ctx context.Context, table string, filter *Predicate, more ...Option) (*Session, error) {
	if err := filter.Err(); err != nil {
		return nil, err
	}
	scan := c.options.with(more)
	scan["table"] = table
	native, err := scan.native()
	if err != nil {
		return nil, err
	}
	defer C.ms_options_free(native)
	var session *C.ms_session
	err = until(ctx, func(cancel *C.ms_cancel) (err error) {
		c.handle.use(func(p unsafe.Pointer) {
			filter.use(func(predicate *C.ms_predicate) {
				var reported *C.ms_error
				err = failure(C.ms_session_open_cancellable((*C.ms_client)(p), native, predicate, cancel, &session, &reported), reported)
			})
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	return newSession(session, scan), nil
}
