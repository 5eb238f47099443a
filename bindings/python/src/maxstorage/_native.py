"""The C interface as ctypes sees it: the library, its functions, and failures as exceptions. Nothing here has logic of its own.

A call gives up the interpreter lock while it runs, so other threads go on, and one of them may cancel it.
"""
import ctypes
import os
import pathlib
from ctypes import POINTER, c_bool, c_char_p, c_double, c_int, c_int32, c_int64, c_size_t, c_uint32, c_uint64, c_void_p

ABI_VERSION = 0
SONAME = f"libmaxstorage.so.{ABI_VERSION}"


class ArrowSchema(ctypes.Structure):
    """struct ArrowSchema of the Arrow C Data Interface."""


class ArrowArray(ctypes.Structure):
    """struct ArrowArray of the Arrow C Data Interface."""


class ArrowArrayStream(ctypes.Structure):
    """struct ArrowArrayStream of the Arrow C Stream Interface."""


ArrowSchema._fields_ = [
    ("format", c_char_p), ("name", c_char_p), ("metadata", c_void_p), ("flags", c_int64), ("n_children", c_int64),
    ("children", POINTER(POINTER(ArrowSchema))), ("dictionary", POINTER(ArrowSchema)),
    ("release", ctypes.CFUNCTYPE(None, POINTER(ArrowSchema))), ("private_data", c_void_p),
]  # fmt: skip
ArrowArray._fields_ = [
    ("length", c_int64), ("null_count", c_int64), ("offset", c_int64), ("n_buffers", c_int64), ("n_children", c_int64),
    ("buffers", POINTER(c_void_p)), ("children", POINTER(POINTER(ArrowArray))), ("dictionary", POINTER(ArrowArray)),
    ("release", ctypes.CFUNCTYPE(None, POINTER(ArrowArray))), ("private_data", c_void_p),
]  # fmt: skip
ArrowArrayStream._fields_ = [
    ("get_schema", ctypes.CFUNCTYPE(c_int, POINTER(ArrowArrayStream), POINTER(ArrowSchema))),
    ("get_next", ctypes.CFUNCTYPE(c_int, POINTER(ArrowArrayStream), POINTER(ArrowArray))),
    ("get_last_error", ctypes.CFUNCTYPE(c_char_p, POINTER(ArrowArrayStream))),
    ("release", ctypes.CFUNCTYPE(None, POINTER(ArrowArrayStream))), ("private_data", c_void_p),
]  # fmt: skip

LogCallback = ctypes.CFUNCTYPE(None, c_void_p, c_int32, c_char_p, c_char_p)
WakeCallback = ctypes.CFUNCTYPE(None, c_void_p)
CredentialsProvider = ctypes.CFUNCTYPE(c_int32, c_void_p, c_void_p)
ReleaseCallback = ctypes.CFUNCTYPE(None, c_void_p)
MemoryReserve = ctypes.CFUNCTYPE(c_bool, c_void_p, c_size_t)
MemoryRelease = ctypes.CFUNCTYPE(None, c_void_p, c_size_t)
ThreadHook = ctypes.CFUNCTYPE(None, c_void_p)
ReadEndCallback = ctypes.CFUNCTYPE(None, c_void_p, c_int64, c_int32, c_void_p)
SpanCallback = ctypes.CFUNCTYPE(None, c_void_p, c_void_p)
RetryHook = ctypes.CFUNCTYPE(c_int64, c_void_p, c_void_p, c_int64, c_int64)

_HANDLE, _OUT, _ERR = c_void_p, POINTER(c_void_p), POINTER(c_void_p)

# Result and parameters of each function; a test compares the list with the header.
FUNCTIONS = {
    "ms_version": (c_char_p,),
    "ms_abi_version": (c_int32,),
    "ms_build_info": (c_char_p,),
    "ms_features": (c_uint64,),
    "ms_status_name": (c_char_p, c_int32),
    "ms_live_handles": (c_int64,),
    "ms_shutdown": (c_int32, c_int64),
    "ms_end_callbacks": (c_int32,),
    "ms_set_log_callback": (c_int32, LogCallback, c_void_p, c_int32),
    "ms_error_code": (c_int32, _HANDLE),
    "ms_error_message": (c_char_p, _HANDLE),
    "ms_error_is_retryable": (c_bool, _HANDLE),
    "ms_error_server_code": (c_char_p, _HANDLE),
    "ms_error_request_id": (c_char_p, _HANDLE),
    "ms_error_http_status": (c_int32, _HANDLE),
    "ms_error_attempts": (c_int32, _HANDLE),
    "ms_error_json": (c_char_p, _HANDLE),
    "ms_error_free": (None, _HANDLE),
    "ms_options_new": (_HANDLE,),
    "ms_options_set": (c_int32, _HANDLE, c_char_p, c_char_p, _ERR),
    "ms_options_add": (c_int32, _HANDLE, c_char_p, c_char_p, _ERR),
    "ms_options_load_environment": (c_int32, _HANDLE, _ERR),
    "ms_options_clone": (_HANDLE, _HANDLE),
    "ms_options_describe": (c_int32, _HANDLE, POINTER(ArrowArrayStream), _ERR),
    "ms_options_free": (None, _HANDLE),
    "ms_options_set_credentials_provider": (c_int32, _HANDLE, CredentialsProvider, c_void_p, ReleaseCallback, _ERR),
    "ms_credentials_set_access_key": (c_int32, _HANDLE, c_char_p, c_char_p, c_char_p, _ERR),
    "ms_credentials_set_bearer_token": (c_int32, _HANDLE, c_char_p, _ERR),
    "ms_credentials_set_expiry_ms": (c_int32, _HANDLE, c_int64, _ERR),
    "ms_credentials_set_error": (c_int32, _HANDLE, c_char_p, _ERR),
    "ms_options_set_memory_hooks": (c_int32, _HANDLE, MemoryReserve, MemoryRelease, c_void_p, _ERR),
    "ms_options_set_retry_hook": (c_int32, _HANDLE, RetryHook, c_void_p, _ERR),
    "ms_options_set_allocator": (c_int32, _HANDLE, c_void_p, c_void_p, c_void_p, _ERR),
    "ms_options_set_read_end_callback": (c_int32, _HANDLE, ReadEndCallback, c_void_p, _ERR),
    "ms_options_set_span_callback": (c_int32, _HANDLE, SpanCallback, c_void_p, _ERR),
    "ms_span_text": (c_char_p, _HANDLE, c_char_p),
    "ms_span_number": (c_int64, _HANDLE, c_char_p),
    "ms_span_json": (c_char_p, _HANDLE),
    "ms_options_set_thread_hooks": (c_int32, _HANDLE, ThreadHook, ThreadHook, c_void_p, _ERR),
    "ms_client_open": (c_int32, _HANDLE, _OUT, _ERR),
    "ms_client_metrics": (c_int32, _HANDLE, _OUT, _ERR),
    "ms_client_diagnose": (c_int32, _HANDLE, c_char_p, POINTER(ArrowArrayStream), _ERR),
    "ms_client_free": (None, _HANDLE),
    "ms_projects_schemas": (c_int32, _HANDLE, c_char_p, POINTER(ArrowArrayStream), _ERR),
    "ms_tables": (c_int32, _HANDLE, c_char_p, c_char_p, c_char_p, POINTER(ArrowArrayStream), _ERR),
    "ms_table_schema": (c_int32, _HANDLE, c_char_p, POINTER(ArrowSchema), _ERR),
    "ms_table_details": (c_int32, _HANDLE, c_char_p, POINTER(ArrowArrayStream), _ERR),
    "ms_partitions": (c_int32, _HANDLE, c_char_p, _HANDLE, POINTER(ArrowArrayStream), _ERR),
    "ms_table_preview": (c_int32, _HANDLE, c_char_p, _HANDLE, c_int64, POINTER(ArrowArrayStream), _ERR),
    "ms_predicate_compare": (c_int32, c_char_p, c_int32, POINTER(ArrowSchema), POINTER(ArrowArray), _OUT, _ERR),
    "ms_predicate_in": (c_int32, c_char_p, c_bool, POINTER(ArrowSchema), POINTER(ArrowArray), _OUT, _ERR),
    "ms_predicate_is_null": (c_int32, c_char_p, c_bool, _OUT, _ERR),
    "ms_predicate_and": (c_int32, POINTER(c_void_p), c_size_t, _OUT, _ERR),
    "ms_predicate_or": (c_int32, POINTER(c_void_p), c_size_t, _OUT, _ERR),
    "ms_predicate_not": (c_int32, _HANDLE, _OUT, _ERR),
    "ms_predicate_parse": (c_int32, c_char_p, _OUT, _ERR),
    "ms_predicate_from_substrait": (c_int32, c_char_p, c_size_t, _OUT, _ERR),
    "ms_predicate_text": (c_char_p, _HANDLE),
    "ms_predicate_clone": (_HANDLE, _HANDLE),
    "ms_predicate_free": (None, _HANDLE),
    "ms_session_open": (c_int32, _HANDLE, _HANDLE, _HANDLE, _OUT, _ERR),
    "ms_session_open_cancellable": (c_int32, _HANDLE, _HANDLE, _HANDLE, _HANDLE, _OUT, _ERR),
    "ms_cancel_new": (_HANDLE,),
    "ms_cancel_now": (None, _HANDLE),
    "ms_cancel_set_deadline_ms": (c_int32, _HANDLE, c_int64, _ERR),
    "ms_cancel_add_split": (c_int32, _HANDLE, _HANDLE, _ERR),
    "ms_cancel_add_scan": (c_int32, _HANDLE, _HANDLE, _ERR),
    "ms_cancel_arm": (c_int32, _HANDLE, _HANDLE, _ERR),
    "ms_cancel_from_signal": (None, _HANDLE),
    "ms_client_with_cancel": (c_int32, _HANDLE, _HANDLE, _OUT, _ERR),
    "ms_session_refresh_cancellable": (c_int32, _HANDLE, _HANDLE, _ERR),
    "ms_cancel_free": (None, _HANDLE),
    "ms_session_attach": (c_int32, _HANDLE, c_char_p, c_size_t, _OUT, _ERR),
    "ms_session_serialize": (c_int32, _HANDLE, _OUT, _ERR),
    "ms_session_serialize_json": (c_int32, _HANDLE, _OUT, _ERR),
    "ms_session_serialize_split": (c_int32, _HANDLE, c_int64, c_bool, _OUT, _ERR),
    "ms_session_more_splits": (c_int32, _HANDLE, c_int64, c_int64, _HANDLE, POINTER(c_int64), POINTER(c_bool), _ERR),
    "ms_session_try_more_splits": (c_int32, _HANDLE, c_int64, POINTER(c_int64), POINTER(c_bool), _ERR),
    "ms_session_schema": (c_int32, _HANDLE, POINTER(ArrowSchema), _ERR),
    "ms_session_split_count": (c_int64, _HANDLE),
    "ms_session_estimated_rows": (c_int64, _HANDLE),
    "ms_session_estimated_bytes": (c_int64, _HANDLE),
    "ms_session_expires_at_ms": (c_int64, _HANDLE),
    "ms_session_refresh": (c_int32, _HANDLE, _ERR),
    "ms_session_explain": (c_int32, _HANDLE, _OUT, _ERR),
    "ms_session_metrics": (c_int32, _HANDLE, _OUT, _ERR),
    "ms_session_split_info": (c_int32, _HANDLE, c_int64, _OUT, _ERR),
    "ms_split_info_rows": (c_int64, _HANDLE),
    "ms_split_info_start_row": (c_int64, _HANDLE),
    "ms_split_info_estimated_bytes": (c_int64, _HANDLE),
    "ms_split_info_partition": (c_char_p, _HANDLE),
    "ms_split_info_bucket": (c_int64, _HANDLE),
    "ms_split_info_weight": (c_double, _HANDLE),
    "ms_split_info_free": (None, _HANDLE),
    "ms_session_free": (None, _HANDLE),
    "ms_split_open": (c_int32, _HANDLE, c_int64, _HANDLE, _OUT, _ERR),
    "ms_split_next_batch": (c_int32, _HANDLE, POINTER(ArrowArray), _ERR),
    "ms_split_try_next_batch": (c_int32, _HANDLE, POINTER(ArrowArray), _ERR),
    "ms_split_set_waker": (c_int32, _HANDLE, WakeCallback, c_void_p, _ERR),
    "ms_split_ready_fd": (c_int, _HANDLE),
    "ms_split_set_deadline_ms": (c_int32, _HANDLE, c_int64, _ERR),
    "ms_split_schema": (c_int32, _HANDLE, POINTER(ArrowSchema), _ERR),
    "ms_split_export_stream": (c_int32, _HANDLE, POINTER(ArrowArrayStream), _ERR),
    "ms_split_add_filter": (c_int32, _HANDLE, _HANDLE, _ERR),
    "ms_split_progress": (c_double, _HANDLE),
    "ms_split_all_requested": (c_bool, _HANDLE),
    "ms_split_set_batch_limits": (c_int32, _HANDLE, c_int64, c_int64, _ERR),
    "ms_split_rows_delivered": (c_int64, _HANDLE),
    "ms_split_metrics": (c_int32, _HANDLE, _OUT, _ERR),
    "ms_split_cancel": (None, _HANDLE),
    "ms_split_free": (None, _HANDLE),
    "ms_scan_open": (c_int32, _HANDLE, _HANDLE, _OUT, _ERR),
    "ms_scan_next_batch": (c_int32, _HANDLE, POINTER(ArrowArray), POINTER(c_int64), _ERR),
    "ms_scan_next_batch_until": (c_int32, _HANDLE, c_int64, POINTER(ArrowArray), POINTER(c_int64), _ERR),
    "ms_scan_try_next_batch": (c_int32, _HANDLE, POINTER(ArrowArray), POINTER(c_int64), _ERR),
    "ms_scan_set_waker": (c_int32, _HANDLE, WakeCallback, c_void_p, _ERR),
    "ms_scan_ready_fd": (c_int, _HANDLE),
    "ms_scan_add_filter": (c_int32, _HANDLE, _HANDLE, _ERR),
    "ms_scan_schema": (c_int32, _HANDLE, POINTER(ArrowSchema), _ERR),
    "ms_scan_export_stream": (c_int32, _HANDLE, POINTER(ArrowArrayStream), _ERR),
    "ms_scan_export_async": (c_int32, _HANDLE, c_void_p, _ERR),
    "ms_scan_progress": (c_double, _HANDLE),
    "ms_scan_all_requested": (c_bool, _HANDLE),
    "ms_scan_set_batch_limits": (c_int32, _HANDLE, c_int64, c_int64, _ERR),
    "ms_scan_metrics": (c_int32, _HANDLE, _OUT, _ERR),
    "ms_scan_cancel": (None, _HANDLE),
    "ms_scan_free": (None, _HANDLE),
    "ms_metrics_count": (c_size_t, _HANDLE),
    "ms_metrics_name": (c_char_p, _HANDLE, c_size_t),
    "ms_metrics_value": (c_int64, _HANDLE, c_size_t),
    "ms_metrics_unit": (c_char_p, _HANDLE, c_size_t),
    "ms_metrics_free": (None, _HANDLE),
    "ms_column_copy_values": (c_int32, POINTER(ArrowSchema), POINTER(ArrowArray), c_int64, c_int64, c_int64, c_void_p, c_size_t, _ERR),
    "ms_column_copy_nulls": (c_int32, POINTER(ArrowSchema), POINTER(ArrowArray), c_int64, c_int64, c_int64, c_void_p, c_size_t, POINTER(c_int64), _ERR),
    "ms_column_copy_validity": (c_int32, POINTER(ArrowSchema), POINTER(ArrowArray), c_int64, c_int64, c_int64, c_void_p, c_size_t, POINTER(c_int64), _ERR),
    "ms_column_strings_size": (c_int32, POINTER(ArrowSchema), POINTER(ArrowArray), c_int64, c_int64, c_int64, POINTER(c_size_t), _ERR),
    "ms_column_copy_strings": (c_int32, POINTER(ArrowSchema), POINTER(ArrowArray), c_int64, c_int64, c_int64, c_uint32, c_void_p, c_size_t, POINTER(c_uint32), c_size_t, _ERR),
    "ms_bytes_data": (c_void_p, _HANDLE),
    "ms_bytes_len": (c_size_t, _HANDLE),
    "ms_bytes_free": (None, _HANDLE),
}


def _load():
    """The library that MAXSTORAGE_LIBRARY names, else the one in this package, else the system's."""
    named = os.environ.get("MAXSTORAGE_LIBRARY")
    packed = pathlib.Path(__file__).with_name(SONAME)
    loaded = ctypes.CDLL(named or (str(packed) if packed.exists() else SONAME))
    for name, (result, *parameters) in FUNCTIONS.items():
        function = getattr(loaded, name)
        function.restype, function.argtypes = result, parameters
    if loaded.ms_abi_version() != ABI_VERSION:
        raise ImportError(f"this package needs ABI {ABI_VERSION} of libmaxstorage; {loaded._name} has {loaded.ms_abi_version()}")
    return loaded


lib = _load()
