"""Failures as exceptions: one class for each band of statuses, and one for each status that programs tell apart."""
from ctypes import byref, c_void_p

from ._native import lib

OK, PENDING, BUSY, UNAVAILABLE = 0, 1, 102, 400


class Error(Exception):
    """A call failed."""

    code: int
    """The number of the status, for programs."""
    name: str
    """Its name, for example "MS_NOT_FOUND"."""
    message: str
    """One sentence for people, without credentials."""
    is_retryable: bool
    """Trying again at a higher level makes sense."""
    server_code: str
    """The code of the service; empty if the failure did not come from it."""
    request_id: str
    """For the support of the service; empty if no answer belongs to the failure."""
    http_status: int
    """0 without an answer."""
    attempts: int
    """How many requests were made."""
    json: str
    """All of this as a JSON document, for logs."""

    def __init__(self, code, handle):
        self.code = code
        self.name = lib.ms_status_name(code).decode()
        self.message = lib.ms_error_message(handle).decode()
        self.is_retryable = lib.ms_error_is_retryable(handle)
        self.server_code = lib.ms_error_server_code(handle).decode()
        self.request_id = lib.ms_error_request_id(handle).decode()
        self.http_status = lib.ms_error_http_status(handle)
        self.attempts = lib.ms_error_attempts(handle)
        self.json = lib.ms_error_json(handle).decode()
        text = f"{self.name}: {self.message}"
        super().__init__(f"{text} (request id {self.request_id})" if self.request_id else text)

    def __reduce__(self):
        return _again, (type(self), self.args, self.__dict__)


def _again(kind, arguments, attributes):
    """An exception that came from another process."""
    error = kind.__new__(kind, *arguments)
    error.args = arguments
    error.__dict__.update(attributes)
    return error


class CallerError(Error):
    """100: an argument, an option or the order of calls is wrong."""


class AccessError(Error):
    """200: identity, rights, quota."""


class NotFoundError(Error):
    """300: a named thing is missing, expired or of another kind."""


class TemporaryError(Error):
    """400: trying again later makes sense."""


class DataError(Error):
    """500: the data that arrived cannot be used."""


class CancelledError(Error):
    """600: the read was cancelled."""


class DeadlineExceededError(Error, TimeoutError):
    """601: the deadline of the call passed; the read goes on."""


class InternalError(Error):
    """900: a defect of the library."""


_BANDS = {1: CallerError, 2: AccessError, 3: NotFoundError, 4: TemporaryError, 5: DataError, 6: CancelledError, 9: InternalError}


def failure(status, handle):
    """The exception for a status and its error, which may be None."""
    return (DeadlineExceededError if status == 601 else _BANDS.get(status // 100, Error))(status, handle)


def call(function, *arguments):
    """Calls a function whose last parameter is `ms_error **`; returns MS_OK or MS_PENDING, or raises."""
    handle = c_void_p()
    status = function(*arguments, byref(handle))
    if status in (OK, PENDING):
        return status
    try:
        raise failure(status, handle)
    finally:
        lib.ms_error_free(handle)


def make(function, *arguments):
    """The same for a function that makes a handle: the output is the last parameter before the error."""
    handle = c_void_p()
    call(function, *arguments, byref(handle))
    return handle
