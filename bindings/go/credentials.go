package maxstorage

// #include <stdint.h>
// #include <stdlib.h>
// #include <maxstorage.h>
// extern int32_t maxstorageProvide(uintptr_t context, ms_credentials *out);
// extern void maxstorageForget(uintptr_t context);
// static ms_status maxstorage_provide(void *context, ms_credentials *out) { return maxstorageProvide((uintptr_t)context, out); }
// static void maxstorage_forget(void *context) { maxstorageForget((uintptr_t)context); }
// static ms_status maxstorage_set_provider(ms_options *options, uintptr_t context, ms_error **err) {
//   return ms_options_set_credentials_provider(options, maxstorage_provide, (void *)context, maxstorage_forget, err);
// }
import "C"

import (
	"runtime/cgo"
	"time"
	"unsafe"
)

// Credentials are an AccessKey, whose security token may be empty, or a bearer token instead. Both may be without an expiry.
type Credentials struct {
	AccessKeyID, AccessKeySecret, SecurityToken string
	BearerToken                                 string
	Expires                                     time.Time
}

const providerKey = " credentials provider"

// CredentialsProvider has a function supply the credentials. It is called from a thread of the library, ahead of the expiry, and must not
// call the library. The text of its error becomes part of messages: it must hold no secret.
func CredentialsProvider(provide func() (Credentials, error)) Option {
	return Set(providerKey, provide)
}

//export maxstorageProvide
func maxstorageProvide(context C.uintptr_t, out *C.ms_credentials) C.int32_t {
	provide := cgo.Handle(context).Value().(func() (Credentials, error))
	found, err := provide()
	if err != nil {
		text := C.CString(err.Error())
		defer C.free(unsafe.Pointer(text))
		C.ms_credentials_set_error(out, text, nil)
		return C.MS_UNAVAILABLE
	}
	status := found.fill(out)
	if status == C.MS_OK && !found.Expires.IsZero() {
		status = C.ms_credentials_set_expiry_ms(out, C.int64_t(found.Expires.UnixMilli()), nil)
	}
	return C.int32_t(status)
}

func (c *Credentials) fill(out *C.ms_credentials) C.ms_status {
	if c.BearerToken != "" {
		token := C.CString(c.BearerToken)
		defer C.free(unsafe.Pointer(token))
		return C.ms_credentials_set_bearer_token(out, token, nil)
	}
	id, secret := C.CString(c.AccessKeyID), C.CString(c.AccessKeySecret)
	defer C.free(unsafe.Pointer(id))
	defer C.free(unsafe.Pointer(secret))
	var token *C.char
	if c.SecurityToken != "" {
		token = C.CString(c.SecurityToken)
		defer C.free(unsafe.Pointer(token))
	}
	return C.ms_credentials_set_access_key(out, id, secret, token, nil)
}

//export maxstorageForget
func maxstorageForget(context C.uintptr_t) { cgo.Handle(context).Delete() }

func setProvider(options *C.ms_options, provide any) error {
	var reported *C.ms_error
	return failure(C.maxstorage_set_provider(options, C.uintptr_t(cgo.NewHandle(provide)), &reported), reported)
}
