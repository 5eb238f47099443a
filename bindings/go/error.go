package maxstorage

// #include <maxstorage.h>
import "C"

import (
	"context"
	"errors"
	"fmt"
)

// Code is a status of the C interface. It is an error itself, so that errors.Is(err, maxstorage.NotFound) asks for it.
type Code int32

// The codes, in bands of a hundred: mistakes of the caller, identity, named things, temporary failures, data, ended reads, our own defects.
const (
	InvalidArgument      Code = C.MS_INVALID_ARGUMENT
	InvalidOption        Code = C.MS_INVALID_OPTION
	Busy                 Code = C.MS_BUSY
	WrongState           Code = C.MS_WRONG_STATE
	Unsupported          Code = C.MS_UNSUPPORTED
	Forked               Code = C.MS_FORKED
	Unauthenticated      Code = C.MS_UNAUTHENTICATED
	PermissionDenied     Code = C.MS_PERMISSION_DENIED
	QuotaDenied          Code = C.MS_QUOTA_DENIED
	NotFound             Code = C.MS_NOT_FOUND
	AlreadyExists        Code = C.MS_ALREADY_EXISTS
	SessionExpired       Code = C.MS_SESSION_EXPIRED
	TableChanged         Code = C.MS_TABLE_CHANGED
	TableKindUnsupported Code = C.MS_TABLE_KIND_UNSUPPORTED
	Unavailable          Code = C.MS_UNAVAILABLE
	Throttled            Code = C.MS_THROTTLED
	Timeout              Code = C.MS_TIMEOUT
	Connection           Code = C.MS_CONNECTION
	ResourceExhausted    Code = C.MS_RESOURCE_EXHAUSTED
	CorruptData          Code = C.MS_CORRUPT_DATA
	SchemaMismatch       Code = C.MS_SCHEMA_MISMATCH
	ValueOutOfRange      Code = C.MS_VALUE_OUT_OF_RANGE
	CommitConflict       Code = C.MS_COMMIT_CONFLICT
	CommitUnknown        Code = C.MS_COMMIT_UNKNOWN
	Cancelled            Code = C.MS_CANCELLED
	DeadlineExceeded     Code = C.MS_DEADLINE_EXCEEDED
	Internal             Code = C.MS_INTERNAL
)

// String is the name of the code, for example "MS_NOT_FOUND".
func (c Code) String() string { return C.GoString(C.ms_status_name(C.ms_status(c))) }

// Error makes a code a target of errors.Is.
func (c Code) Error() string { return c.String() }

// Error is a failure of a call.
type Error struct {
	Code       Code
	Message    string // one sentence, without credentials
	Retryable  bool   // trying again at a higher level makes sense
	ServerCode string // code of the service; empty if the failure did not come from it
	RequestID  string // for the support of the service
	HTTPStatus int    // 0 without an answer
	Attempts   int    // requests that were made
	JSON       string // all of this as a JSON document, for logs
}

// Error is code, sentence and request id.
func (e *Error) Error() string {
	if e.RequestID == "" {
		return fmt.Sprintf("%s: %s", e.Code, e.Message)
	}
	return fmt.Sprintf("%s: %s (request id %s)", e.Code, e.Message, e.RequestID)
}

// Is tells whether the error has a code. A read that was cancelled is context.Canceled as well, one whose time was over
// context.DeadlineExceeded.
func (e *Error) Is(target error) bool {
	switch target {
	case context.Canceled:
		return e.Code == Cancelled
	case context.DeadlineExceeded:
		return e.Code == DeadlineExceeded
	}
	var code Code
	return errors.As(target, &code) && code == e.Code
}

// failure copies what a call reported and frees it.
func failure(status C.ms_status, err *C.ms_error) error {
	if status == C.MS_OK || status == C.MS_PENDING {
		return nil
	}
	defer C.ms_error_free(err)
	return copied(status, err)
}

func copied(status C.ms_status, err *C.ms_error) *Error {
	return &Error{
		Code:       Code(status),
		Message:    C.GoString(C.ms_error_message(err)),
		Retryable:  bool(C.ms_error_is_retryable(err)),
		ServerCode: C.GoString(C.ms_error_server_code(err)),
		RequestID:  C.GoString(C.ms_error_request_id(err)),
		HTTPStatus: int(C.ms_error_http_status(err)),
		Attempts:   int(C.ms_error_attempts(err)),
		JSON:       C.GoString(C.ms_error_json(err)),
	}
}
